"""The sha256 of a file that is still coming: it follows the bytes, so no second pass is due."""

from __future__ import annotations

import hashlib
from typing import Final

from rbee_widgets.hive.engine.partial import Partial
from rbee_widgets.hive.engine.shared import Shared

BLOCK: Final = 1 << 20


class Digest:
    """The sha256 of an attempt's file, as far as that reaches without a gap."""

    def __init__(self, shared: Shared) -> None:
        self._shared = shared
        self._begin()

    def _begin(self) -> None:
        self._hashed = 0
        self._sha256 = hashlib.sha256()

    def run(self) -> None:
        """Hash what is there and what follows, until all of it is; an error ends the attempt."""
        shared = self._shared
        try:
            while self._follow():
                with shared.news:
                    shared.arrivals.wait_for(self._is_behind)
        except BaseException as error:  # noqa: BLE001 (raised again by the one who steers)
            shared.fail(error)

    def finish(self) -> str:
        """Hash what is left of the whole file; gives the hex digest.

        Raises
        ------
        OSError
            It can't be read.

        """
        if self._shared.is_overwritten:  # perhaps behind what was hashed
            self._begin()
        self._follow()
        return self._sha256.hexdigest()

    def _is_behind(self) -> bool:
        ahead = self._shared.plan.frontier - self._hashed
        return self._shared.is_over or self._shared.is_whole or ahead >= BLOCK

    def _follow(self) -> bool:
        """Hash up to the frontier; gives whether there is more to come."""
        shared = self._shared
        with shared.news:
            partial, stop, is_whole = shared.partial, shared.plan.frontier, shared.is_whole
        if partial is not None and stop > self._hashed:
            self._read(partial, stop)
        return not (is_whole or shared.is_over)

    def _read(self, partial: Partial, stop: int) -> None:
        buffer = memoryview(bytearray(min(BLOCK, stop - self._hashed)))
        with partial.open_at(self._hashed) as file:
            while self._hashed < stop and not self._shared.is_over:
                count = file.readinto(buffer[: stop - self._hashed])  # type: ignore[attr-defined]
                if not count:
                    raise OSError(5, "The partial file was cut short by another", partial.path)
                self._sha256.update(buffer[:count])
                self._hashed += count
