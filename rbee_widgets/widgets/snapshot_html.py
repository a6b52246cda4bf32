"""Rows as a static table: for pages without a kernel. Pure but for the local time zone.

Such pages (GitHub, an export, a notebook that isn't trusted) strip styles, classes and unknown
links as they please: what is left must still read well.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta, timezone
from html import escape
from typing import Any, Final
from urllib.parse import quote

from rbee_widgets.state import Status, Type
from rbee_widgets.text import printable, size

MAX_ROWS: Final = 100
MAX_WORDS: Final = 300
"""Characters of a name, a reason or a path."""

_LINKED: Final = 1000
"""Characters of a model's id that is still made a link."""

_GROUPS: Final = {Status.COMPLETE: 2} | dict.fromkeys(
    (Status.FAILED, Status.CANCELLED, Status.INTERRUPTED), 1
)
"""As the panel orders them; what is under way comes first."""

_CELL: Final = 'style="padding: 2px 12px 2px 0; text-align: left; vertical-align: top"'

Row = Mapping[str, Any]


def html(rows: Iterable[Row], at: float) -> str:
    """Word rows, as the front end knows them, as they were `at` (Unix seconds)."""
    ordered = sorted(rows, key=_order)
    heading = f"<p><strong>Downloads, as of {_moment(at)} {_zone(at)}</strong></p>"
    if not ordered:
        return f'<div data-live="no">{heading}<p>No downloads.</p></div>'
    shown, rest = ordered[:MAX_ROWS], len(ordered[MAX_ROWS:])
    columns = _columns(shown)
    head = _line(columns, "th")
    body = "".join(_line(cells, "td") for cells in zip(*columns.values(), strict=True))
    more = f"<p>and {rest} more</p>" if rest else ""
    return (
        f'<div data-live="no">{heading}<table style="border-collapse: collapse">'
        f"<thead>{head}</thead><tbody>{body}</tbody></table>{more}</div>"
    )


def _columns(rows: list[Row]) -> dict[str, list[str]]:
    """Give the cells of each column by its head, but for columns that would tell nothing."""
    hives = [row.get("hive", "") for row in rows]
    columns = {
        "Name": [_name(row) for row in rows],
        "State": [_state(row) for row in rows],
        "Size": [_whole(_amount(row)) for row in rows],
        "Hive": [_words(hive) for hive in hives] if len(set(hives) - {""}) > 1 else [],
        "Started": [_whole(_moment(row["created_at"])) for row in rows],
        "Path": [f"<code>{_words(row['path'])}</code>" if row.get("path") else "" for row in rows],
    }
    return {head: cells for head, cells in columns.items() if any(cells)}


def _order(row: Row) -> tuple[int, float]:
    return _GROUPS.get(row["status"], 0), -row["created_at"]


def _line(cells: Iterable[str], tag: str) -> str:
    return f"<tr>{''.join(f'<{tag} {_CELL}>{cell}</{tag}>' for cell in cells)}</tr>"


def _name(row: Row) -> str:
    name: str = row["name"]
    if row["type"] != Type.MODEL or "://" in name or len(name) > _LINKED:
        return _words(name)
    link = quote(name, safe="/:", errors="replace")
    return f'<a href="rbee://model/{link}" style="color: inherit">{_words(name)}</a>'


def _state(row: Row) -> str:
    words = [str(row["status"]).capitalize()]
    if row.get("error"):
        words[0] += f": {row['error']}"
    return "<br>".join(_words(part) for part in (*words, row.get("hint")) if part)


def _amount(row: Row) -> str:
    """Word how much is there: `45.2% of 5.54 GB`, or `5.54 GB` where that is all."""
    total, done = row.get("total_size"), row.get("bytes_downloaded") or 0
    if row["status"] == Status.COMPLETE:
        return size(total or done) if total or done else ""
    percentage = row.get("percentage")
    if percentage is None:
        return size(done) if done else ""
    share = f"{percentage:.1f}%"
    return share if total is None else f"{share} of {size(total)}"


def _whole(words: str) -> str:
    """Give words of ours that no narrow column may break."""
    return words and f'<span style="white-space: nowrap">{words}</span>'


def _words(said: str | None) -> str:
    """Give text of a server as text: one line of so many characters, the middle left out."""
    line = printable(said or "")
    if len(line) > MAX_WORDS:
        half = MAX_WORDS // 2
        line = f"{line[:half]}…{line[-half:]}"
    return escape(line)


def _moment(at: float) -> str:
    return f"{_local(at):%Y-%m-%d %H:%M}"


def _zone(at: float) -> str:
    """Word the time zone as the distance from UTC, which reads the same everywhere."""
    return timezone(_local(at).utcoffset() or timedelta()).tzname(None)


def _local(at: float) -> datetime:
    return datetime.fromtimestamp(at, UTC).astimezone()
