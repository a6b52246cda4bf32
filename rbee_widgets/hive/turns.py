"""One line for all transfers of a hive: so many at once, in the order in which they came."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager


class Turns:
    """The line; its first `limit` places are at work."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._line: list[Turn] = []

    @contextmanager
    def place(self) -> Iterator[Turn]:
        """Take a place, and leave it at the end of the block."""
        turn = Turn(self)
        self._line.append(turn)
        try:
            yield turn
        finally:
            self._line.remove(turn)
            for other in self._line:
                other.moved.set()

    def waiting_before(self, turn: Turn) -> int | None:
        """Tell how many wait before a place; None: it is its turn."""
        waiting = self._line.index(turn) - self._limit
        return waiting if waiting >= 0 else None


class Turn:
    """A place in the line."""

    def __init__(self, turns: Turns) -> None:
        self.moved = asyncio.Event()
        self._turns = turns

    async def come(self, tell: Callable[[int], None]) -> None:
        """Wait for the turn; `tell` is given how many wait before it, whenever that changes."""
        told = None
        while (before := self._turns.waiting_before(self)) is not None:
            if before != told:
                tell(before)
                told = before
            self.moved.clear()
            await self.moved.wait()
