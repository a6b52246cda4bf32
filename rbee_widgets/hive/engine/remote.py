"""What is to be fetched."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

_PORTS: Final = {"http": 80, "https": 443}


def origin_of(url: str) -> tuple[str, str, int | None]:
    """Give what makes two URLs of one origin: scheme, host and port."""
    parts = urlsplit(url)
    return parts.scheme, parts.hostname or "", parts.port or _PORTS.get(parts.scheme)


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
