"""The catalog of a hive, listed once for all who want to know at about the same time."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import TypeVar

from rbee_widgets.background import Question
from rbee_widgets.client import Hive
from rbee_widgets.contract import Model, Worker
from rbee_widgets.errors import HiveUnreachableError
from rbee_widgets.links import Target
from rbee_widgets.state import Type

_Entry = TypeVar("_Entry", Model, Worker)


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
        RbeeError
            The catalog can't be had.

        """
        # One that has begun may lack what has come since; one that waits for its turn won't.
        if self._next is None or not self._next.is_open:
            self._next = Question(self._list(), f"catalog of {self._hive.id}")
        return await self._next.answer()

    async def find(self, target: Target) -> Model | Worker | None:
        """Find what is there of a target.

        Raises
        ------
        RbeeError
            The catalog can't be had.

        """
        if target.type is Type.MODEL:
            return next((one for one in await self.models() if one.id == target.id), None)
        for worker in await self._in_time(self._hive.workers()):
            longer = f"{target.id}-{worker.version}-{worker.platform.lower()}"
            if worker.id in (target.id, longer):
                return worker
        return None

    async def _list(self) -> list[Model]:
        async with self._turn:
            self._next = None
            return await self._in_time(self._hive.models())

    async def _in_time(self, asking: Awaitable[list[_Entry]]) -> list[_Entry]:
        try:
            return await asking
        except TimeoutError as error:
            raise HiveUnreachableError(self._hive.url, "no catalog in time") from error
