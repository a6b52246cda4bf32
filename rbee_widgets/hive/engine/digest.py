"""The sha256 of a file that is still coming: it follows the bytes, so no second pass is due."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Final

from rbee_widgets.hive.engine.partial import Partial

BLOCK: Final = 1 << 20


class Digest:
    """The sha256 of the first `hashed` bytes of a partial file."""

    def __init__(self) -> None:
        self.hashed = 0
        self._sha256 = hashlib.sha256()

    def follow(self, partial: Partial, stop: int, is_over: Callable[[], bool]) -> None:
        """Hash up to `stop`, all of which is there, unless it is over before.

        Raises
        ------
        OSError
            It is not there after all, or can't be read.

        """
        if stop <= self.hashed:
            return
        buffer = memoryview(bytearray(min(BLOCK, stop - self.hashed)))
        with partial.open_at(self.hashed) as file:
            while self.hashed < stop and not is_over():
                count = file.readinto(buffer[: stop - self.hashed])  # type: ignore[attr-defined]
                if not count:
                    raise OSError(5, "The partial file was cut short by another", partial.path)
                self._sha256.update(buffer[:count])
                self.hashed += count

    def hexdigest(self) -> str:
        """Give it, of what was hashed."""
        return self._sha256.hexdigest()
