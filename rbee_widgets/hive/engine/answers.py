"""What the headers of an answer say. Pure but for a look at the clock where they tell no time."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from contextlib import suppress
from email.utils import parsedate_to_datetime
from typing import Final, Protocol

from rbee_widgets.hive.engine.remote import Location

SETTLED_S: Final = 60.0
"""Age of a file from which its date of change is as good as a strong ETag."""

_RANGE: Final = re.compile(r"bytes ([0-9]{1,18})-([0-9]{1,18})/([0-9]{1,18})", re.IGNORECASE)

Headers = Mapping[str, str]
"""By name; the names are found whatever their case."""


class Answer(Protocol):
    """What is known of an answer before its body is read; `location` is where it came from."""

    location: Location
    status: int
    headers: Headers


def validator(headers: Headers) -> str | None:
    """Give what tells this version of a file from any other, as RFC 9110 has it; None: nothing.

    A strong ETag; else the date of its last change, unless the next one might bear the same.
    """
    etag = headers.get("etag")
    if etag is not None and not etag.startswith("W/"):
        return etag
    modified = headers.get("last-modified")
    with suppress(ValueError, TypeError, KeyError, OverflowError):
        age = parsedate_to_datetime(headers["date"]) - parsedate_to_datetime(str(modified))
        if age.total_seconds() >= SETTLED_S:
            return modified
    return None


def content_range(headers: Headers) -> tuple[int, int, int] | None:
    """Give the first and the last offset of a range and the whole's size; None: not told."""
    told = _RANGE.fullmatch(headers.get("content-range", ""))
    if told is None:
        return None
    first, last, size = (int(figure) for figure in told.groups())
    return (first, last, size) if first <= last < size else None


def content_length(headers: Headers) -> int | None:
    """Give the length of a body in bytes; None: not told."""
    told = headers.get("content-length", "")
    return int(told) if re.fullmatch("[0-9]{1,18}", told) else None


def retry_after(headers: Headers) -> float | None:
    """Give the seconds that the origin asks us to wait; None: it doesn't."""
    told = headers.get("retry-after", "")
    if re.fullmatch("[0-9]{1,18}", told):
        return float(told)
    with suppress(ValueError, TypeError, OverflowError):
        return max(0.0, parsedate_to_datetime(told).timestamp() - _now(headers))
    return None


def _now(headers: Headers) -> float:
    """Give the time by the origin's own clock where it tells that: ours may be off."""
    with suppress(ValueError, TypeError, KeyError, OverflowError):
        return parsedate_to_datetime(headers["date"]).timestamp()
    return time.time()
