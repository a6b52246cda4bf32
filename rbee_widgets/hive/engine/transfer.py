"""A transfer: attempts at one file, until it is there, whole and right, or can't be had."""

from __future__ import annotations

import hashlib
import stat
import threading
from pathlib import Path
from typing import Final

from rbee_widgets.hive.engine.attempt import Attempt
from rbee_widgets.hive.engine.digest import BLOCK
from rbee_widgets.hive.engine.errors import (
    BeginAgainError,
    CancelledTransferError,
    ChangedError,
    CorruptError,
    RefusedError,
    TransferError,
)
from rbee_widgets.hive.engine.partial import Partial, discard, forget
from rbee_widgets.hive.engine.patience import Wait, wait_after
from rbee_widgets.hive.engine.remote import Remote
from rbee_widgets.hive.engine.web import Web

BEGINNINGS: Final = 3
"""How often a file may have to be begun anew because it changed, or has no ranges."""


class Transfer:
    """The fetching of one remote file to one path.

    `done`, `total`, `connections` and `wait` may be read, and `cancel` called, from any thread.

    Parameters
    ----------
    remote
        What is fetched.
    path
        The whole file's place; what is unfinished lies beside it, as `.part` and `.part.json`.
    web
        The connections.

    """

    def __init__(self, remote: Remote, path: Path, web: Web) -> None:
        self._remote = remote
        self._path = path
        self._web = web
        self._cancelled = threading.Event()
        self._attempt: Attempt | None = None
        self._wait: Wait | None = None
        self._found = 0

    @property
    def done(self) -> int:
        """Bytes that are there."""
        return self._attempt.done if self._attempt else self._found

    @property
    def total(self) -> int | None:
        """Bytes of the whole; None: not known yet."""
        return self._attempt.total if self._attempt else self._remote.size

    @property
    def connections(self) -> int:
        """How many are at work."""
        return self._attempt.readers if self._attempt else 0

    @property
    def wait(self) -> Wait | None:
        """The wait before the next try, or the last one; None: bytes have come since."""
        return self._wait or (self._attempt.wait if self._attempt else None)

    def kept(self) -> int:
        """Tell how many bytes of an earlier run this one would go on from."""
        if self._may_be_there():
            return self._path.stat().st_size
        kept = Partial.reopen(self._path, self._remote)
        if kept is None:
            return 0
        partial, record = kept
        with partial:
            return sum(stop - start for start, stop in record.spans)

    def cancel(self) -> None:
        """Have `run` end soon; what has arrived is kept."""
        self._cancelled.set()
        if self._attempt is not None:
            self._attempt.wake()

    def run(self) -> None:
        """Fetch it, verify it, give it its name; blocks. Nothing is fetched where it is there.

        Raises
        ------
        TransferError
            It did not arrive; unless it was corrupt, what is good of it is kept.
        OSError
            It can't be written.

        """
        if self._path.is_dir():
            raise IsADirectoryError(21, "A folder has the file's name", str(self._path))
        if self._is_there():
            forget(self._path)  # the process may have been killed right after the naming
            return
        has_ranges, was_corrupt = True, False
        beginnings = breaks = 0
        while True:
            try:
                self._try(has_ranges=has_ranges)
            except BeginAgainError as why:
                discard(self._path)
                has_ranges = why.has_ranges
                if why.trouble is not None:
                    breaks += 1
                    self._pause(breaks, why.trouble, why.reason)
                elif beginnings == BEGINNINGS:
                    raise ChangedError(str(why)) from why
                else:
                    beginnings += 1
            except CorruptError:
                discard(self._path)
                if was_corrupt:
                    raise
                was_corrupt = True
            else:
                return

    def _may_be_there(self) -> bool:
        try:
            found = self._path.lstat()
        except FileNotFoundError:
            return False
        is_known = self._remote.sha256 is not None and found.st_size == self._remote.size
        return is_known and stat.S_ISREG(found.st_mode)

    def _is_there(self) -> bool:
        """Tell whether the file has its name already: an earlier process may have come so far."""
        if not self._may_be_there():
            return False
        sha256 = hashlib.sha256()
        with self._path.open("rb") as file:
            while block := file.read(BLOCK):
                if self._cancelled.is_set():
                    raise CancelledTransferError
                sha256.update(block)
                self._found += len(block)
        if sha256.hexdigest() == self._remote.sha256:
            return True
        self._found = 0
        return False

    def _pause(self, breaks: int, trouble: TransferError, reason: str) -> None:
        """Wait before a broken stream is begun anew; raise what broke it where that is enough."""
        asked_s = trouble.wait_s if isinstance(trouble, RefusedError) else None
        wait = wait_after(breaks, reason, asked_s)
        if wait is None:
            raise trouble
        self._wait = wait
        self._cancelled.wait(wait.seconds)
        self._wait = None

    def _try(self, *, has_ranges: bool) -> None:
        self._attempt = Attempt(
            self._remote, self._path, self._web, self._cancelled.is_set, has_ranges=has_ranges
        )
        self._attempt.run()
