"""What is to be fetched."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from rbee_widgets.hive.engine.addresses import Reach

_PORTS: Final = {"http": 80, "https": 443}


def origin_of(url: str) -> tuple[str, str, int | None]:
    """Give what makes two URLs of one origin: scheme, host and port."""
    parts = urlsplit(url)
    return parts.scheme, parts.hostname or "", parts.port or _PORTS.get(parts.scheme)


def host_of(url: str) -> str:
    """Give a URL's host and port for people: what it says, without a user's name."""
    return urlsplit(url).netloc.rpartition("@")[2]


@dataclass(frozen=True, slots=True)
class Location:
    """Where a file is asked for: its own URL, or a place that this has led to.

    `within` is the most private network that it may lie in: whoever leads on leads no further
    inside than where it lies itself. The user may name any.
    """

    url: str
    within: Reach = Reach.LOOPBACK


@dataclass(frozen=True, slots=True)
class Remote:
    """A file at an origin; None: not known beforehand."""

    url: str
    size: int | None = None
    """Bytes."""
    sha256: str | None = None
    """Hex digest of the whole, in lower case."""
    etag: str | None = None
    """The strong ETag."""
    revision: str | None = None
    """The commit that it belongs to."""
    token: str | None = None
    """The bearer token for the URL's own origin."""
