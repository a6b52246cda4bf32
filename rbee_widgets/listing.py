"""The catalog of a hive, listed once for all who want to know at about the same time."""

from __future__ import annotations

import asyncio

from rbee_widgets.background import Question
from rbee_widgets.client import Hive
from rbee_widgets.contract import Model


class Listing:
    """The listings of one hive: one after the other, however many ask."""

    def __init__(self, hive: Hive) -> None:
        self._hive = hive
        self._turn = asyncio.Lock()
        self._next: Question[list[Model]] | None = None

    async def models(self) -> list[Model]:
        """List what is there now.

        Raises
        ------
        RbeeError, TimeoutError
            As `Hive.models`.

        """
        # One that has begun may lack what has come since; one that waits for its turn won't.
        if self._next is None or not self._next.is_open:
            self._next = Question(self._list(), f"catalog of {self._hive.id}")
        return await self._next.answer()

    async def _list(self) -> list[Model]:
        async with self._turn:
            self._next = None
            return await self._hive.models()
