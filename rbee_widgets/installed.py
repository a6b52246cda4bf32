"""`models`: what is installed on a hive, as a list that shows itself, and deletes.

It is a look at one moment: what comes or goes later is seen by looking again. (A module named as
the function would hide it.)
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Final
from urllib.parse import urlsplit

import platformdirs

from rbee_widgets import discovery, tables, text
from rbee_widgets.background import run_elsewhere
from rbee_widgets.client import Hive
from rbee_widgets.contract import Model, folder_of
from rbee_widgets.errors import HiveUnreachableError, NotDeletedError
from rbee_widgets.links import MAX_NAME
from rbee_widgets.market.files import quantisation
from rbee_widgets.tables import MAX_ROWS, moment, whole, words, zone
from rbee_widgets.tracker import default_tracker, default_trackers

_LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "::1"})
_YEARS: Final = range(1970, 9999)
"""The years that a model may have come in: those on either side break the arithmetic of zones."""


def models(hive: Hive | str | None = None) -> InstalledModels:
    """List the models that are installed on a hive; waits for its answer.

    `hive` is as for `download`: a hive, its id or its URL; None: the one that is found.

    Raises
    ------
    RbeeError
        It can't be asked.

    """
    tracker = default_tracker()
    found, listed = run_elsewhere(_listed(tracker.chosen(hive)))
    known = tracker.chosen(found) or found
    return InstalledModels((InstalledModel(one, known) for one in listed), known.id, time.time())


async def _listed(hive: Hive | None) -> tuple[Hive, list[Model]]:
    hive = hive or await discovery.find()
    try:
        return hive, await hive.models()
    except TimeoutError as error:
        raise HiveUnreachableError(hive.url, "no catalog in time") from error
    finally:
        await hive.aclose()


async def _delete(hive: Hive, model: Model) -> None:
    try:
        await hive.delete(model)
    except TimeoutError as error:
        raise NotDeletedError(model.id, f"no end of it from {hive.id} in time") from error
    finally:
        await hive.aclose()


class InstalledModel:
    """A model of a hive's catalog. None: not told."""

    def __init__(self, told: Model, hive: Hive) -> None:
        self.id: Final = told.id
        """What it was fetched as: `org/repo:file.gguf`."""
        self.name: Final = told.name
        """What its hive calls it."""
        self.size: Final = told.size
        """Bytes."""
        self.quantisation: Final = _quantisation(told.id)
        """As the file's name has it, such as `Q4_K_M`."""
        self.added_at: Final = _read_time(told.added_at) or _written_at(told, hive)
        """When it came, in UTC."""
        self.path: Final = told.path
        """Where it lies on its hive."""
        self.hive: Final = hive.id
        """The id of its hive."""
        self._told = told
        self._hive = hive

    def __repr__(self) -> str:
        return f"<InstalledModel {self._words()}>"

    def _words(self) -> str:
        return f"{tables.line(self.id)}, {text.size(self.size)}"

    def delete(self, *, confirm: bool = True) -> bool:
        """Delete it from its hive, having asked; only with `confirm=False` without.

        Gives whether it was deleted: whatever is answered but yes leaves it.

        Raises
        ------
        NotDeletedError
            It is being downloaded, nobody can be asked here, or the hive did not delete it.
        RbeeError
            The hive can't be asked.

        """
        if self._is_coming():
            raise NotDeletedError(self.id, "it is being downloaded; cancel that first")
        if confirm and not self._is_meant():
            return False
        run_elsewhere(_delete(self._hive, self._told))
        return True

    def _is_coming(self) -> bool:
        return any(
            download.name == self.id
            and not (download.status.is_final or download.attempt.is_over)
            and download.attempt.hive is not None
            and download.attempt.hive.is_same_as(self._hive)
            for tracker in default_trackers()
            for download in tracker.downloads
        )

    def _is_meant(self) -> bool:
        try:
            said = input(f"Delete {self._words()}, from {tables.line(self.hive)}? [y/N] ")
        except (EOFError, OSError, RuntimeError) as error:  # a kernel's own is a RuntimeError
            raise NotDeletedError(
                self.id, "nobody can be asked here; say so beforehand: delete(confirm=False)"
            ) from error
        return said.strip().lower() in ("y", "yes")


class InstalledModels(list[InstalledModel]):
    """The models of one hive, by their ids, as they were at a moment (Unix seconds)."""

    def __init__(self, found: Iterable[InstalledModel], hive: str, at: float) -> None:
        super().__init__(sorted(found, key=lambda model: model.id.lower()))
        self._hive = hive
        self._at = at

    @property
    def size(self) -> int:
        """Bytes of all of them."""
        return sum(model.size for model in self)

    def __repr__(self) -> str:
        if not self:
            return f"{self._heading()} {_HOW}"
        shown = self[:MAX_ROWS]
        return "\n".join([tables.text(_columns(shown)), *self._more(), "", self._heading()])

    def _repr_html_(self) -> str:
        heading = f"<p><strong>{words(self._heading())}</strong></p>"
        if not self:
            return f"<div>{heading}<p>{words(_HOW)}</p></div>"
        columns = {
            head: list(map(words, cells)) for head, cells in _columns(self[:MAX_ROWS]).items()
        }
        for head in ("Size", "Quantisation", "Added"):
            columns[head] = list(map(whole, columns[head]))
        columns["Path"] = [f"<code>{cell}</code>" for cell in columns["Path"]]
        more = "".join(f"<p>{line}</p>" for line in self._more())
        return f"<div>{heading}{tables.html(columns)}{more}</div>"

    def _heading(self) -> str:
        number = {0: "No models", 1: "1 model"}.get(len(self), f"{len(self)} models")
        together = f", {text.size(self.size)} in all" if self else ""
        as_of = f"as of {moment(self._at)} {zone(self._at)}"
        return f"{number} on {tables.line(self._hive)}{together}, {as_of}."

    def _more(self) -> list[str]:
        rest = len(self) - MAX_ROWS
        return [f"and {rest} more"] if rest > 0 else []


_HOW: Final = "Fetch one with %download org/repo:file.gguf, or rbee.download('org/repo:file.gguf')."


def _columns(shown: Sequence[InstalledModel]) -> dict[str, list[str]]:
    return {
        "Model": [tables.line(model.id) for model in shown],
        "Size": [text.size(model.size) for model in shown],
        "Quantisation": [model.quantisation or "" for model in shown],
        "Added": [_moment(model.added_at) for model in shown],
        "Path": [tables.line(model.path) for model in shown],
        "Hive": [tables.line(model.hive) for model in shown],
    }


def _moment(at: datetime | None) -> str:
    return "" if at is None else moment(at.timestamp())


def _read_time(told: str | None) -> datetime | None:
    try:
        at = datetime.fromisoformat(told or "")
    except ValueError:
        return None
    if at.year not in _YEARS:
        return None
    return at.astimezone(UTC) if at.tzinfo else at.replace(tzinfo=UTC)


def _written_at(told: Model, hive: Hive) -> datetime | None:
    """Look when the file was written, which a real hive does not tell in its list.

    None where that can't be seen: of another machine's hive, and of a file that lies elsewhere
    than where this user's hives keep their models: no hive has us look at any other path.
    """
    place = platformdirs.user_cache_path() / "rbee" / "models" / folder_of(told.id) / "model.gguf"
    if urlsplit(hive.url).hostname not in _LOOPBACK or told.path != str(place):
        return None
    try:
        return datetime.fromtimestamp(place.stat().st_mtime, UTC)
    except OSError:
        return None


def _quantisation(model: str) -> str | None:
    """Tell the quantisation of the file that an id names; None where it names none."""
    if len(model) > MAX_NAME:
        return None
    file = model if "://" in model else model.partition(":")[2]
    return quantisation(file)
