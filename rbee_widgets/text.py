"""Downloads as lines of text: for terminals, and where no widget can be shown. Pure."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from datetime import datetime
from typing import Final

from rbee_widgets.handle import Download
from rbee_widgets.log import Log
from rbee_widgets.state import Status

BAR_WIDTH: Final = 24
MAX_WORDS: Final = 2000
"""Characters of an error, a hint or a note that a line repeats."""

NEWEST: Final = 20
"""Lines of a log that are worded."""

_UNITS: Final = ("B", "kB", "MB", "GB", "TB", "PB")


def size(amount: float) -> str:
    """Word an amount of bytes: SI units, three digits or so."""
    unit = 0
    while amount >= 999.5 and unit < len(_UNITS) - 1:
        amount /= 1000
        unit += 1
    digits = 0 if unit == 0 or amount >= 100 else 1 if amount >= 10 else 2
    return f"{amount:.{digits}f} {_UNITS[unit]}"


def duration(seconds: float) -> str:
    """Word a time: `45s`, `2m 30s`, `1h 05m`."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole}s"
    if whole < 3600:
        return f"{whole // 60}m {whole % 60:02d}s"
    return f"{whole // 3600}h {whole % 3600 // 60:02d}m"


def printable(text: str) -> str:
    """Give text as one line that a terminal can't be driven by; direction overrides show."""
    return "".join(
        f"\\u{ord(char):04x}" if unicodedata.bidirectional(char) in _OVERRIDES else char
        for char in " ".join(text.split())
        if char.isprintable() or unicodedata.bidirectional(char) in _OVERRIDES
    )


_OVERRIDES: Final = frozenset({"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"})


def _words(said: str) -> str:
    return printable(said[:MAX_WORDS])


def progress_line(download: Download) -> str:
    """Word a download in one line."""
    name = printable(download.name)
    match download.status:
        case Status.COMPLETE:
            done = "" if download.total_size is None else f"  {size(download.total_size)}"
            where = f"  {printable(download.path)}" if download.path else ""
            return f"{name}  complete{done}{where}"
        case Status.FAILED | Status.CANCELLED | Status.INTERRUPTED as status:
            reason = f": {_words(download.error)}" if download.error else ""
            hint = f" ({_words(download.hint)})" if download.hint else ""
            return f"{name}  {status}{reason}{hint}{_retry(download, ' — ')}"
    return f"{name}  {_bar(download.percentage)}{_figures(download)}"


def table(downloads: Sequence[Download]) -> str:
    """Word downloads, one a line."""
    if not downloads:
        return "No downloads."
    return "\n".join(progress_line(download) for download in downloads)


def narration(log: Log) -> str:
    """Word the newest lines of a log, newest last."""
    lines = log.before(log.revision + 1, NEWEST)
    if not lines:
        return "No narration."
    left_out = len(log) - len(lines)
    return "\n".join(
        [
            *([f"({left_out} lines before)"] if left_out else []),
            *(
                f"{_clock(line.at)}  {printable(line.source.name)}  {_words(line.text)}"
                for line in lines
            ),
        ]
    )


def _clock(at: float) -> str:
    return datetime.fromtimestamp(at).astimezone().strftime("%H:%M:%S")


def _bar(percentage: float | None) -> str:
    if percentage is None:
        return ""
    filled = int(percentage / 100 * BAR_WIDTH)
    return f"[{'#' * filled}{'.' * (BAR_WIDTH - filled)}] {percentage:5.1f}%  "


def _retry(download: Download, before: str = "") -> str:
    if download.retry_in is None:
        return ""
    number, of, seconds = download.retry_in
    return f"{before}retry {number} of {of} in {duration(seconds)}"


def _figures(download: Download) -> str:
    parts = []
    if download.total_size is not None:
        parts.append(f"{size(download.bytes_downloaded)} of {size(download.total_size)}")
    if download.retry_in is not None:
        parts.append(_retry(download) + (f": {_words(download.note)}" if download.note else ""))
    elif download.stalled_for is not None:
        parts.append(f"stalled {duration(download.stalled_for)}")
    elif download.speed is not None:
        parts.append(f"{size(download.speed)}/s")
    if download.eta is not None:
        parts.append(f"{duration(download.eta)} left")
    if not parts and download.note:
        parts.append(_words(download.note))
    return "  ".join([download.status, *parts])
