"""Rows as a static table: for pages without a kernel. Pure but for the local time zone.

Such pages (GitHub, an export, a notebook that isn't trusted) strip styles, classes and unknown
links as they please: what is left must still read well.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from rbee_widgets import tables
from rbee_widgets.state import Status, Type
from rbee_widgets.tables import MAX_ROWS, moment, whole, words, zone
from rbee_widgets.text import size

_GROUPS: Final = {Status.COMPLETE: 2} | dict.fromkeys(
    (Status.FAILED, Status.CANCELLED, Status.INTERRUPTED), 1
)
"""As the panel orders them; what is under way comes first."""

Row = Mapping[str, Any]


def html(rows: Iterable[Row], at: float) -> str:
    """Word rows, as the front end knows them, as they were `at` (Unix seconds)."""
    ordered = sorted(rows, key=_order)
    heading = f"<p><strong>Downloads, as of {moment(at)} {zone(at)}</strong></p>"
    if not ordered:
        return f'<div data-live="no">{heading}<p>No downloads.</p></div>'
    shown, rest = ordered[:MAX_ROWS], len(ordered[MAX_ROWS:])
    more = f"<p>and {rest} more</p>" if rest else ""
    return f'<div data-live="no">{heading}{tables.html(_columns(shown))}{more}</div>'


def _columns(rows: list[Row]) -> dict[str, list[str]]:
    """Give the cells of each column by its head."""
    hives = [row.get("hive", "") for row in rows]
    return {
        "Name": [_name(row) for row in rows],
        "State": [_state(row) for row in rows],
        "Size": [whole(_amount(row)) for row in rows],
        "Hive": [words(hive) for hive in hives] if len(set(hives) - {""}) > 1 else [],
        "Started": [whole(moment(row["created_at"])) for row in rows],
        "Path": [f"<code>{words(row['path'])}</code>" if row.get("path") else "" for row in rows],
    }


def _order(row: Row) -> tuple[int, float]:
    return _GROUPS.get(row["status"], 0), -row["created_at"]


def _name(row: Row) -> str:
    name: str = row["name"]
    return tables.link(name) if row["type"] == Type.MODEL else words(name)


def _state(row: Row) -> str:
    state = str(row["status"]).capitalize()
    if row.get("error"):
        state += f": {row['error']}"
    return "<br>".join(words(part) for part in (state, row.get("hint")) if part)


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
