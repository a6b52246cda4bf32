"""What a user may name: an id, or an `rbee://` link of any form that rbee ever wrote. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final
from urllib.parse import parse_qs, unquote, urlsplit

from rbee_widgets.state import Type

_SHA256: Final = re.compile(r"[0-9a-f]{64}")
MAX_NAME: Final = 2048
"""Characters of a name: a URL's practical limit."""


@dataclass(frozen=True, slots=True)
class Target:
    """Something to fetch."""

    type: Type
    id: str
    sha256: str | None = None
    """What it must hash to, in hex, where the user knows."""


def read_sha256(text: str) -> str:
    """Read a sha256 as the user typed it.

    Raises
    ------
    ValueError
        It is none.

    """
    digest = text.strip().lower()
    if not _SHA256.fullmatch(digest):
        raise ValueError(f"expected a sha256, 64 hexadecimal digits, got {text[:80]!r}")
    return digest


def read_target(text: str, type: Type = Type.MODEL) -> Target:  # noqa: A002 (the field's name)
    """Read what a user named; an id is of `type`, a link tells its own.

    Raises
    ------
    ValueError
        It is empty, too long, not one line of text, or a link to nothing that can be fetched.

    """
    name = text.strip()
    if not name:
        raise ValueError(f"expected a {type} to fetch, such as {_EXAMPLES[type]}, got nothing")
    if len(name) > MAX_NAME or not name.isprintable():
        raise ValueError(f"expected a {type} such as {_EXAMPLES[type]}, got {name[:80]!r}")
    if not name.lower().startswith("rbee://"):
        return Target(type, name)
    target = _read_link(name)
    if target is None or not target.id or not target.id.isprintable():
        raise ValueError(
            f"expected a link such as rbee://model/org/repo:file.gguf, got {name[:80]!r}"
        )
    return target


_EXAMPLES: Final = {Type.MODEL: "org/repo:file.gguf", Type.WORKER: "llm-worker-rbee-cpu"}


def _read_link(link: str) -> Target | None:
    try:
        parts = urlsplit(link)
    except ValueError:  # a bracket too few
        return None
    place = f"{parts.netloc}{parts.path}".strip("/")
    asked = parse_qs(parts.query).get("id", [""])[0]
    match place.partition("/"):
        case ["model" | "download-model", "/", name]:
            return Target(Type.MODEL, unquote(name))
        case ["worker" | "install-worker", "/", name]:
            return Target(Type.WORKER, unquote(name))
        case ["model", "", ""]:
            return Target(Type.MODEL, asked)
        case ["install", "/", "model"]:
            return Target(Type.MODEL, asked)
        case ["install", "/", "worker"]:
            return Target(Type.WORKER, asked)
    return None
