"""What a stranger's JSON tells, believed only as far as it can be true. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

from rbee_widgets.untrusted import label

MAX_COUNT: Final = 2**53
"""Above this a browser's numbers are not exact, and no count of the world is."""

_SHA256: Final = re.compile(r"[0-9a-f]{64}")
_EARLIEST: Final = datetime(2000, 1, 1, tzinfo=UTC).timestamp()
_LATEST: Final = datetime(2200, 1, 1, tzinfo=UTC).timestamp()


def count(value: Any) -> int | None:
    """Read an amount; None where it is none, negative or absurd."""
    if isinstance(value, bool) or not isinstance(value, int):
        return None
    return value if 0 <= value <= MAX_COUNT else None


def words(value: Any) -> str | None:
    """Read one line of text, cleaned and cut; None where there is none."""
    return " ".join(label(value).split()) or None if isinstance(value, str) else None


def moment(value: Any) -> float | None:
    """Read an ISO 8601 time as Unix seconds; one without a zone is UTC."""
    if not isinstance(value, str) or len(value) > 64:
        return None
    try:
        read = datetime.fromisoformat(value)
    except ValueError:
        return None
    try:
        at = (read if read.tzinfo else read.replace(tzinfo=UTC)).timestamp()
    except OverflowError:  # the year 1, east of Greenwich
        return None
    return at if _EARLIEST <= at <= _LATEST else None


def digest(value: Any) -> str | None:
    """Read a sha256 in hex, whatever its case."""
    lowered = value.lower() if isinstance(value, str) and len(value) == 64 else ""
    return lowered if _SHA256.fullmatch(lowered) else None


def mapping(value: Any) -> Mapping[str, Any]:
    """Read an object; an empty one where it is none."""
    return value if isinstance(value, dict) else {}


def items(value: Any, most: int) -> list[Any]:
    """Read a list's first `most` items; none where it is none."""
    return value[:most] if isinstance(value, list) else []
