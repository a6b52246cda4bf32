"""The public hub's model API, as far as `huggingface_hub` asks for it. Pure.

Answers are made from a query's pairs and the hub's repos; `hub.py` sends them.
"""

from __future__ import annotations

import base64
import hashlib
import json
import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, TypeAlias
from urllib.parse import urlencode

from tests.support.hub_repo import Content, File, Metadata, Repo

Pairs: TypeAlias = Sequence[tuple[str, str]]
"""A query string's keys and values, in order."""

MODELS_A_PAGE: Final = 1000
"""Where the client states no limit, which is a page's length on the hub, not the whole's."""

FILES_A_PAGE: Final = 1000
FILES_A_PAGE_EXPANDED: Final = 50

ORDERS: Final[Mapping[str, Callable[[Metadata], float]]] = {
    "trendingScore": lambda about: about.trending,
    "downloads": lambda about: about.downloads,
    "likes": lambda about: about.likes,
    "lastModified": lambda about: about.last_modified,
    "createdAt": lambda about: about.created_at,
}

_PLAIN: Final = (
    *("likes", "trendingScore", "private", "downloads", "tags"),
    *("pipeline_tag", "library_name", "createdAt"),
)
_FULL: Final = (*_PLAIN, "author", "gated", "disabled", "lastModified", "sha", "siblings")
_DETAILS: Final = (*_FULL, "cardData", "gguf", "safetensors", "usedStorage")
_KNOWN: Final = {*_DETAILS, "config", "downloadsAllTime", "baseModels", "spaces", "widgetData"}
"""What may be asked for with `expand`; those that the hub knows nothing of are left out."""

_UNITS: Final = {"": 1, "k": 1e3, "m": 1e6, "b": 1e9, "t": 1e12}


class BadQueryError(Exception):
    """A query that the public hub answers with 400."""


@dataclass(frozen=True, slots=True)
class Page:
    """One page of an answer, and the query of the next; None: it is the last."""

    items: list[dict[str, object]]
    following: str | None


# -- models -------------------------------------------------------------------------------------


def models(repos: Mapping[str, Repo], pairs: Pairs, most: int = MODELS_A_PAGE) -> Page:
    """Answer `GET /api/models`, with `most` on a page at most."""
    query = _Query(pairs)
    found = [(name, repo) for name, repo in list(repos.items()) if _matches(name, repo, query)]
    order = query.one("sort") or "trendingScore"
    if order not in ORDERS:
        raise BadQueryError(f"Invalid sort parameter: {order}")
    key = ORDERS[order]
    # The client of 2.4 states no direction: then the largest come first.
    found.sort(key=lambda entry: key(entry[1].metadata), reverse=query.one("direction") != "1")

    shown = _shown(query)
    start, length = query.cursor(), query.whole("limit", most)
    items = [tell(name, repo, shown) for name, repo in found[start : start + length]]
    return Page(items, _following(pairs, start + length, len(found)))


def model(name: str, repo: Repo, pairs: Pairs) -> dict[str, object]:
    """Answer `GET /api/models/{id}`."""
    query = _Query(pairs)
    fields = _expanded(query) or _DETAILS
    return tell(name, repo, fields, blobs=query.flag("blobs"))


def tell(name: str, repo: Repo, fields: Iterable[str], *, blobs: bool = False) -> dict[str, object]:
    """Give the JSON of a model with these fields, less those of which nothing is known."""
    told: dict[str, object] = {"_id": _id(name), "id": name, "modelId": name}
    for wanted in fields:
        match wanted:
            case "author":
                told[wanted] = name.partition("/")[0]
            case "sha":
                told[wanted] = repo.commit
            case "usedStorage":
                told[wanted] = sum(file.content.size for file in repo.files.values())
            case "siblings":
                told[wanted] = [
                    {"rfilename": path, **(_blob(file) if blobs else {})}
                    for path, file in sorted(repo.files.items())
                ]
            case _ if wanted in _TOLD:
                told[wanted] = _TOLD[wanted](repo.metadata)
    return {key: value for key, value in told.items() if value is not None}


_TOLD: Final[Mapping[str, Callable[[Metadata], object]]] = {
    "private": lambda _: False,
    "disabled": lambda _: False,
    "gated": lambda about: about.gated or False,
    "downloads": lambda about: about.downloads,
    "downloadsAllTime": lambda about: about.downloads * 7,
    "likes": lambda about: about.likes,
    "trendingScore": lambda about: about.trending,
    "tags": lambda about: about.tags,
    "pipeline_tag": lambda about: about.pipeline_tag,
    "library_name": lambda about: about.library_name,
    "createdAt": lambda about: _stamp(about.created_at),
    "lastModified": lambda about: _stamp(about.last_modified),
    "cardData": lambda about: about.card,
    "gguf": lambda about: about.gguf,
    "safetensors": lambda about: about.safetensors,
}


def _shown(query: _Query) -> Sequence[str]:
    if expanded := _expanded(query):
        return expanded
    fields = _FULL if query.flag("full") else _PLAIN
    return (*fields, "cardData") if query.flag("cardData") else fields


def _expanded(query: _Query) -> Sequence[str]:
    expanded = query.all("expand")
    for wanted in expanded:
        if wanted not in _KNOWN:
            raise BadQueryError(f"Invalid expand parameter: {wanted}")
    return expanded


def _matches(name: str, repo: Repo, query: _Query) -> bool:
    about = repo.metadata
    lower = name.lower()
    if not all(word in lower for text in query.each("search") for word in text.lower().split()):
        return False
    author = query.one("author")
    if author is not None and lower.partition("/")[0] != author.lower():
        return False
    labels = {*about.tags, about.pipeline_tag, about.library_name}
    wanted = [
        *query.all("filter"),
        *query.all("pipeline_tag"),
        *query.all("library"),
        *query.all("language"),
        *(f"license:{text}" for text in query.all("license")),
    ]
    if not labels.issuperset(wanted):
        return False
    gated = query.one("gated")
    if gated is not None and query.flag("gated") != bool(about.gated):
        return False
    least, most = _bounds(query.one("num_parameters") or "")
    return (least, most) == (0, math.inf) or least <= (about.parameters or -1) <= most


def _bounds(text: str) -> tuple[float, float]:
    """Read `min:6B,max:128B`."""
    bounds = {"min": 0.0, "max": math.inf}
    for part in filter(None, text.split(",")):
        match = re.fullmatch(r"(min|max):([0-9.]+)([kmbt]?)", part.strip().lower())
        if match is None:
            raise BadQueryError(f"Invalid num_parameters parameter: {text}")
        side, amount, unit = match.groups()
        bounds[side] = float(amount) * _UNITS[unit]
    return bounds["min"], bounds["max"]


# -- files --------------------------------------------------------------------------------------


def tree(repo: Repo, folder: str, pairs: Pairs) -> Page | None:
    """Answer `GET /api/models/{id}/tree/{revision}/{folder}`; None: there is no such folder."""
    query = _Query(pairs)
    prefix = f"{folder.strip('/')}/" if folder.strip("/") else ""
    entries: dict[str, dict[str, object]] = {}
    for path, file in sorted(repo.files.items()):
        if not path.startswith(prefix):
            continue
        below = path.removeprefix(prefix).split("/")
        for depth in range(1, len(below)):
            at = prefix + "/".join(below[:depth])
            entries[at] = {"type": "directory", "oid": _id(at, 40), "size": 0, "path": at}
        entries[path] = _entry(path, file)
    if not query.flag("recursive"):
        depth = prefix.count("/")
        entries = {at: entry for at, entry in entries.items() if at.count("/") == depth}
    if prefix and not entries:
        return None
    expand = query.flag("expand")
    length = query.whole("limit", FILES_A_PAGE_EXPANDED if expand else FILES_A_PAGE)
    start = query.cursor()
    listed = list(entries.values())
    return Page(listed[start : start + length], _following(pairs, start + length, len(listed)))


def _entry(path: str, file: File) -> dict[str, object]:
    size = file.content.size
    entry: dict[str, object] = {"type": "file", "oid": file.oid, "size": size, "path": path}
    if file.lfs:
        entry["lfs"] = {"oid": file.content.sha256, "size": size, "pointerSize": _POINTER}
    return entry


_POINTER: Final = 134
"""Bytes of the text that stands in git for a file of LFS."""


def pointer(file: File) -> Content:
    """Give the text that stands in git for a file of LFS."""
    size = file.content.size
    text = f"version https://git-lfs.github.com/spec/v1\noid sha256:{file.content.sha256}\n"
    body = f"{text}size {size}\n".encode()
    return Content(len(body), head=body)


def _blob(file: File) -> dict[str, object]:
    """Give what `?blobs=true` adds to a file of the model API."""
    size = file.content.size
    blob: dict[str, object] = {"size": size, "blobId": file.oid}
    if file.lfs:
        blob["lfs"] = {"sha256": file.content.sha256, "size": size, "pointerSize": _POINTER}
    return blob


# -- the rest -----------------------------------------------------------------------------------


class _Query:
    """The pairs of a query string, by name."""

    def __init__(self, pairs: Pairs) -> None:
        self._pairs = pairs

    def each(self, name: str) -> list[str]:
        """Give the values as they were sent."""
        return [value for key, value in self._pairs if key == name]

    def all(self, name: str) -> list[str]:
        """Give all values, whether repeated, with brackets, or joined by commas."""
        texts = [*self.each(name), *self.each(f"{name}[]")]
        return [part.strip() for text in texts for part in text.split(",") if part.strip()]

    def one(self, name: str) -> str | None:
        return next(iter(self.each(name)), None)

    def flag(self, name: str) -> bool:
        return (self.one(name) or "").lower() in {"true", "1", "full"}

    def whole(self, name: str, default: int) -> int:
        text = self.one(name)
        if text is None:
            return default
        if not text.isdecimal() or not int(text):
            raise BadQueryError(f"Invalid {name} parameter: {text}")
        return min(int(text), default)

    def cursor(self) -> int:
        """Give the place that a cursor of ours stands for."""
        text = self.one("cursor")
        if text is None:
            return 0
        try:
            return int(json.loads(base64.urlsafe_b64decode(text))["after"])
        except (ValueError, KeyError, TypeError) as error:
            raise BadQueryError("Invalid cursor parameter") from error


def _following(pairs: Pairs, start: int, total: int) -> str | None:
    """Give the query of the page from `start`: the same, with another cursor."""
    if start >= total:
        return None
    cursor = base64.urlsafe_b64encode(json.dumps({"after": start}).encode()).decode()
    return urlencode([*(pair for pair in pairs if pair[0] != "cursor"), ("cursor", cursor)])


def _id(name: str, length: int = 24) -> str:
    return hashlib.sha1(name.encode(), usedforsecurity=False).hexdigest()[:length]


def _stamp(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
