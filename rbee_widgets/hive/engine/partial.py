"""The partial file: sparse, written at any offset, and the whole file by rename alone.

Safe where two processes share a folder and no lock holds: a file is never cut short in place but
made anew, so that each has its own, and only the file that this process wrote gets the name.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import IO, Final, Self

from rbee_widgets.hive.engine import record as records
from rbee_widgets.hive.engine.record import Record
from rbee_widgets.hive.engine.remote import Remote

_FLAGS: Final = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)
_sync = getattr(os, "fdatasync", os.fsync)


def partial_of(path: Path) -> Path:
    """Give the place of a file's partial."""
    return path.with_name(f"{path.name}.part")


def record_of(path: Path) -> Path:
    """Give the place of the record of a file's partial."""
    return path.with_name(f"{path.name}.part.json")


def discard(path: Path) -> None:
    """Remove what an unfinished transfer has left; the record goes first."""
    forget(path)
    partial_of(path).unlink(missing_ok=True)


def forget(path: Path) -> None:
    """Remove the record of a file's partial, and the draft of one that a kill has left."""
    record = record_of(path)
    record.unlink(missing_ok=True)
    record.with_name(f"{record.name}.new").unlink(missing_ok=True)


class Partial:
    """A partial file of `path` that is open; a context manager."""

    def __init__(self, path: Path, file: IO[bytes]) -> None:
        self.path = path
        self._file = file
        self._identity = os.fstat(file.fileno())
        self._is_doubtful = False
        """Whether the disk has refused something: it need not say so a second time."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close it; what is there stays."""
        self._file.close()

    @classmethod
    def create(cls, path: Path) -> Partial:
        """Make a new one in the place of any other."""
        path.parent.mkdir(parents=True, exist_ok=True)
        discard(path)
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | _FLAGS
        return cls(path, os.fdopen(os.open(partial_of(path), flags, 0o644), "r+b", buffering=0))

    @classmethod
    def reopen(cls, path: Path, remote: Remote) -> tuple[Partial, Record] | None:
        """Open what is there of a remote file; None: nothing that can be gone on from."""
        record = records.load(record_of(path))
        if record is None or not record.goes_on(remote):
            return None
        try:
            descriptor = os.open(partial_of(path), os.O_RDWR | _FLAGS)
        except OSError:
            return None
        kept = cls(path, os.fdopen(descriptor, "r+b", buffering=0))
        least = record.spans[-1][1] if record.spans else 0
        if (
            kept._identity.st_ino != record.inode
            or kept._identity.st_nlink != 1  # it is another file too
            or not least <= kept._identity.st_size <= record.size
        ):
            kept._file.close()
            return None
        return kept, record

    @property
    def inode(self) -> int:
        """The file's number, which tells it from others of its name."""
        return self._identity.st_ino

    def open_at(self, offset: int) -> IO[bytes]:
        """Give an own handle on it for one reader or writer.

        Raises
        ------
        OSError
            Another process has put a file of its own in the place.

        """
        file = os.fdopen(os.open(partial_of(self.path), os.O_RDWR | _FLAGS), "r+b", buffering=0)
        try:
            self._check(os.fstat(file.fileno()))
            file.seek(offset)
        except OSError:
            file.close()
            raise
        return file

    def keep(self, record: Record) -> None:
        """Bring what is written to disk, then say so in a record taken before.

        Raises
        ------
        OSError
            The disk refuses; from then on nothing is said of what is there.

        """
        if not self._is_doubtful:
            self._bring_to_disk(_sync)
            records.save(record, record_of(self.path))

    def settle(self, size: int) -> None:
        """Bring all of it to disk.

        Raises
        ------
        OSError
            The disk refuses.

        """
        self._file.truncate(size)
        self._bring_to_disk(os.fsync)

    def finish(self) -> None:
        """Give it its name.

        Raises
        ------
        OSError
            It can't be had there, or another process has put a file of its own in the place.

        """
        partial = partial_of(self.path)
        self._check(partial.lstat())
        partial.replace(self.path)
        try:
            self._check(self.path.lstat())
        except OSError:
            self.path.replace(partial)  # give the other its own back
            raise
        forget(self.path)

    def _bring_to_disk(self, sync: Callable[[int], None]) -> None:
        try:
            sync(self._file.fileno())
        except OSError:
            self._is_doubtful = True
            raise

    def _check(self, found: os.stat_result) -> None:
        if not os.path.samestat(found, self._identity):
            raise FileExistsError(
                17, "Another process writes the same file", str(partial_of(self.path))
            )
