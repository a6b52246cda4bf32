"""An outage of a hive: whether it answers again is asked by one, for all who wait for it."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from typing import Final

from rbee_widgets.background import Question
from rbee_widgets.client import Hive
from rbee_widgets.contract import JobSummary
from rbee_widgets.errors import HiveRefusedError, RbeeError
from rbee_widgets.state import Retry

TRIES: Final = 6
"""How often a hive is asked again that did not answer."""

PAUSE_S: Final = 0.5
"""Seconds before the first of these tries; each further one waits twice as long."""

MAX_PAUSE_S: Final = 8.0

Told = Callable[[Retry, str], None]
"""Takes the coming try, and why there must be one."""


def pause(number: int) -> float:
    """Give the seconds to wait before try `number` (from 1): so that many don't come at once."""
    longest = min(MAX_PAUSE_S, PAUSE_S * 2.0 ** (number - 1))
    return longest * random.uniform(0.5, 1.0)  # noqa: S311 (no secret)


class Outage:
    """The outages of one hive.

    Parameters
    ----------
    hive
        Which hive.
    clock
        Seconds of a monotonic clock.

    """

    def __init__(self, hive: Hive, clock: Callable[[], float]) -> None:
        self._hive = hive
        self._clock = clock
        self._told: list[Told] = []
        self._last: tuple[Retry, str] | None = None
        self._question: Question[list[JobSummary] | None] | None = None

    async def over(self, told: Told) -> list[JobSummary] | None:
        """Wait until the hive answers; gives its jobs, None from a real one, which tells none.

        Asks at once, then `TRIES` times more; `told` is called before each of these.

        Raises
        ------
        RbeeError
            It did not answer, or refuses us.

        """
        if self._question is None or not self._question.is_open:
            self._last = None
            self._question = Question(self._ask(), f"outage of {self._hive.id}")
        elif self._last is not None:
            told(*self._last)
        self._told.append(told)
        try:
            return await self._question.answer()
        finally:
            self._told.remove(told)

    async def _ask(self) -> list[JobSummary] | None:
        for number in range(1, TRIES + 1):
            try:
                return await self._hive.answer()
            except RbeeError as error:
                if isinstance(error, HiveRefusedError) and error.wants_token:
                    raise
                wait = pause(number)
                self._last = Retry(number, TRIES, self._clock() + wait), str(error)
                for told in tuple(self._told):
                    told(*self._last)
                await asyncio.sleep(wait)
        return await self._hive.answer()
