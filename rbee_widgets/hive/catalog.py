"""The models on disk, in the layout that a real hive of the same machine finds.

A model is `{root}/{dir}/model.gguf` beside `metadata.json`, `dir` being its id with each `/` and
`:` replaced by `-`. It is in the catalog once the metadata is there, which is written last and by
rename: nothing half-written is ever listed, and nothing is cached here. While a model is fetched
its folder holds `model.gguf.part`, its record `model.gguf.part.json`, and no metadata.
"""

from __future__ import annotations

import datetime as dt
import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from rbee_widgets.contract import folder_of
from rbee_widgets.hive.engine import discard

MODEL_FILE: Final = "model.gguf"
METADATA: Final = "metadata.json"
LOCKS: Final = ".locks"
MAX_NAME: Final = 255
"""Bytes of a file's name on every file system that matters."""


class Artifact(BaseModel):
    """A model's entry, in the keys and the order of a hive; `size` in bytes."""

    model_config = ConfigDict(populate_by_name=True)

    id: str
    name: str
    author: str | None = None
    source: Any = "Local"
    path: str
    size: int
    status: Any = "Available"
    added_at: str | None = Field(default=None, alias="addedAt")
    model_type: str = Field(default="Llm", alias="modelType")
    config: dict[str, Any] = {}


class Entry(BaseModel):
    """`metadata.json`."""

    artifact: Artifact
    added_at: str
    last_accessed: str | None = None


class CatalogError(Exception):
    """Raised when the catalog can't do what was asked; the text goes out as the job's error."""


@dataclass(frozen=True, slots=True)
class Place:
    """The folder of one model, there or yet to come."""

    folder: Path

    @property
    def model(self) -> Path:
        """The whole file."""
        return self.folder / MODEL_FILE

    @property
    def lock(self) -> Path:
        """What a process holds that writes here; beside the folders, so that it outlives them."""
        return self.folder.parent / LOCKS / f"{self.folder.name}.lock"

    @property
    def metadata(self) -> Path:
        """The entry."""
        return self.folder / METADATA

    def discard_partial(self) -> None:
        """Remove what an unfinished download left, and the folder if nothing else is in it."""
        discard(self.model)
        if not self.metadata.exists():  # the process ended before it could be entered
            self.model.unlink(missing_ok=True)
        if self.folder.is_dir() and not any(self.folder.iterdir()):
            self.folder.rmdir()


class Catalog:
    """The models below one root folder."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def place(self, model_id: str) -> Place:
        """Give a model's folder.

        Raises
        ------
        CatalogError
            The id can't be a folder's name, or another model's folder has that name.

        """
        name = folder_of(model_id)
        if (
            name in ("", ".", "..", LOCKS)
            or len(name.encode()) > MAX_NAME
            or not name.isprintable()
        ):
            raise CatalogError(f"Model ID '{model_id}' can't name a folder")
        place = Place(self.root / name)
        if place.folder.is_symlink():
            raise CatalogError(f"'{place.folder}' is a link; models are kept in real folders")
        other = self._read(place)
        if other is not None and model_id not in (other.artifact.id, name):
            raise CatalogError(
                f"Model '{model_id}' would take the folder of '{other.artifact.id}': '{name}'"
            )
        return place

    def entries(self) -> list[Entry]:
        """List what is there, oldest first."""
        if not self.root.is_dir():
            return []
        read = (self._read(Place(folder)) for folder in self.root.iterdir())
        return sorted((entry for entry in read if entry is not None), key=lambda e: e.added_at)

    def get(self, model_id: str) -> Entry:
        """Give one entry.

        Raises
        ------
        CatalogError
            There is none of that id.

        """
        entry = self._read(self.place(model_id))
        if entry is None:
            raise CatalogError(f"Artifact '{model_id}' not found in catalog")
        return entry

    def has(self, model_id: str) -> bool:
        """Whether a hive would say that the model exists."""
        return self._read(self.place(model_id)) is not None

    def add(self, model_id: str) -> Entry:
        """Enter a model whose file lies whole in its place."""
        place = self.place(model_id)
        added_at = _now()
        entry = Entry(
            artifact=Artifact(
                id=model_id,
                name=model_id.rpartition("/")[2].partition(":")[0] or model_id,
                path=str(place.model),
                size=place.model.stat().st_size,
                added_at=added_at,
            ),
            added_at=added_at,
        )
        self._write(place, entry)
        return entry

    def touch(self, entry: Entry) -> None:
        """Note that an entry was asked for."""
        self._write(
            self.place(entry.artifact.id), entry.model_copy(update={"last_accessed": _now()})
        )

    def delete(self, model_id: str) -> None:
        """Delete a model, by its id or its folder's name.

        Raises
        ------
        CatalogError
            There is none.

        """
        place = self.place(model_id)
        self.get(model_id)
        # The entry goes first: what remains after a crash is no model.
        place.metadata.unlink()
        shutil.rmtree(place.folder)

    def _read(self, place: Place) -> Entry | None:
        try:
            return Entry.model_validate_json(place.metadata.read_bytes())
        except (OSError, ValidationError):
            return None

    def _write(self, place: Place, entry: Entry) -> None:
        draft = place.metadata.with_suffix(".json.new")
        draft.unlink(missing_ok=True)  # it may be a link, or what a crash has left
        try:
            with draft.open("x", encoding="utf-8") as file:
                file.write(entry.model_dump_json(indent=2, by_alias=True))
                file.flush()
                os.fsync(file.fileno())
            draft.replace(place.metadata)
        except OSError:
            draft.unlink(missing_ok=True)
            raise


def _now() -> str:
    return dt.datetime.now(dt.UTC).isoformat().replace("+00:00", "Z")
