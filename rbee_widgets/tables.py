"""Tables of what servers have told: for pages that strip what they please, and as aligned text.

Pure but for the local time zone.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta, timezone
from html import escape
from typing import Final
from urllib.parse import quote

from rbee_widgets.text import printable

MAX_ROWS: Final = 100
MAX_WORDS: Final = 300
"""Characters of a name, a reason or a path."""

_LINKED: Final = 1000
"""Characters of a model's id that is still made a link."""

_CELL: Final = 'style="padding: 2px 12px 2px 0; text-align: left; vertical-align: top"'


def html(columns: Mapping[str, Sequence[str]]) -> str:
    """Lay out columns of HTML by their heads, but for those that would tell nothing."""
    told = {head: cells for head, cells in columns.items() if any(cells)}
    body = "".join(_row(cells, "td") for cells in zip(*told.values(), strict=True))
    return (
        f'<table style="border-collapse: collapse">'
        f"<thead>{_row(told, 'th')}</thead><tbody>{body}</tbody></table>"
    )


def _row(cells: Iterable[str], tag: str) -> str:
    return f"<tr>{''.join(f'<{tag} {_CELL}>{cell}</{tag}>' for cell in cells)}</tr>"


def text(columns: Mapping[str, Sequence[str]]) -> str:
    """Align columns of words below their heads, but for those that would tell nothing."""
    told = [(head, *cells) for head, cells in columns.items() if any(cells)]
    widths = [max(map(len, column)) for column in told]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in zip(*told, strict=True)
    )


def whole(words: str) -> str:
    """Give words of ours that no narrow column may break, as HTML."""
    return words and f'<span style="white-space: nowrap">{words}</span>'


def words(said: str | None) -> str:
    """Give text of a server as text, as HTML."""
    return escape(line(said))


def link(model: str, shown: str | None = None) -> str:
    """Give a model's id as a link that rbee opens, where it can be one, as HTML."""
    if "://" in model or len(model) > _LINKED:
        return words(shown or model)
    address = quote(model, safe="/:", errors="replace")
    return f'<a href="rbee://model/{address}" style="color: inherit">{words(shown or model)}</a>'


def line(said: str | None) -> str:
    """Give text of a server as one line of so many characters, the middle left out."""
    kept = printable(said or "")
    if len(kept) <= MAX_WORDS:
        return kept
    half = MAX_WORDS // 2
    return f"{kept[:half]}…{kept[-half:]}"


def moment(at: float) -> str:
    """Word a time, in Unix seconds."""
    return f"{_local(at):%Y-%m-%d %H:%M}"


def zone(at: float) -> str:
    """Word the time zone as the distance from UTC, which reads the same everywhere."""
    return timezone(_local(at).utcoffset() or timedelta()).tzname(None)


def _local(at: float) -> datetime:
    return datetime.fromtimestamp(at, UTC).astimezone()
