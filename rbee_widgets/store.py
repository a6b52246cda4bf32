"""What outlives a kernel: records of downloads that aren't complete, in the user's state folder.

Each is a file that is replaced as a whole: any number of kernels may read and write them. No token
is ever kept.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Final, Literal

import platformdirs
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from rbee_widgets.links import MAX_NAME
from rbee_widgets.state import Status, Type

MAX_RECORDS: Final = 200
"""Records that are read; older ones are removed."""

MAX_BYTES: Final = 64 << 10
"""Bytes of a record: more is none of ours."""


class Record(BaseModel):
    """A download as another kernel needs it; sizes in bytes, times in Unix seconds."""

    model_config = ConfigDict(frozen=True)

    version: Literal[1] = 1
    id: str = Field(pattern="^download-[0-9a-f]{12}$")
    type: Type
    name: str = Field(max_length=MAX_NAME)
    sha256: str | None
    created_at: float
    hive: str = Field(max_length=200)
    """The hive's name,"""
    url: str | None = Field(max_length=MAX_NAME)
    """and where it is; None: this user's own, wherever that is."""
    job_id: str | None = Field(max_length=200)
    status: Status
    bytes_downloaded: int
    total_size: int | None
    percentage: float | None
    error: str | None
    hint: str | None


class Store:
    """The records of this user; each is for one of those who share this store."""

    def __init__(self, folder: Path | None = None) -> None:
        self._folder = folder or platformdirs.user_state_path("rbee_widgets") / "downloads"
        self._taken: set[str] = set()
        self._taking = threading.Lock()

    def take(self) -> list[Record]:
        """Give the records that nobody here has, newest first."""
        with self._taking:
            return self._take()

    def _take(self) -> list[Record]:
        if not self._folder.is_dir():
            return []
        places = [place for place in self._folder.glob("*.json") if place.stem not in self._taken]
        records = [record for place in places if (record := _read(place)) is not None]
        records.sort(key=lambda record: record.created_at, reverse=True)
        for old in records[MAX_RECORDS:]:
            self.remove(old.id)
        self._taken.update(record.id for record in records)
        return records[:MAX_RECORDS]

    def give_back(self, ids: Iterable[str]) -> None:
        """Let others have the records of some ids."""
        self._taken.difference_update(ids)

    def has(self, id: str) -> bool:  # noqa: A002 (the field's name)
        """Whether there is a record of that id: another kernel may have removed it."""
        return self._place(id).exists()

    def put(self, record: Record) -> None:
        """Write a record in the place of the one before.

        Raises
        ------
        OSError
            It can't be written.

        """
        self._taken.add(record.id)
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._folder.chmod(0o700)
        place = self._place(record.id)
        draft = place.with_suffix(f".{os.getpid()}")
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC
        with os.fdopen(os.open(draft, flags, 0o600), "w", encoding="utf-8") as file:
            file.write(record.model_dump_json())
        draft.replace(place)

    def remove(self, id: str) -> None:  # noqa: A002
        """Remove a record, if there is one."""
        self._place(id).unlink(missing_ok=True)

    def _place(self, id: str) -> Path:  # noqa: A002
        return self._folder / f"{id}.json"


def _read(place: Path) -> Record | None:
    with suppress(OSError, ValidationError):
        if place.stat().st_size <= MAX_BYTES:
            record = Record.model_validate_json(place.read_bytes())
            return record if record.id == place.stem else None
    return None
