"""What goes to the front end, and when.

Jupyter Server drops messages for good above a thousand a second, so changes are gathered and sent
at most ten times a second as numbered deltas of the rows that changed. A front end that misses a
number asks for all. A trait holds the whole state for new views, reloads and saved notebooks: it
is set when a row comes, goes or changes its status, and every two seconds while anything moves.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any, Final

from rbee_widgets.attempt import Change
from rbee_widgets.handle import Download, Owner

DELTA_S: Final = 0.1
"""Seconds that changes are gathered before a delta."""

SNAPSHOT_S: Final = 2.0
"""Seconds between two settings of the trait while figures alone change."""

AFTERWARDS_S: Final = 0.25
"""Seconds of quiet after which the last state is sent once more, in case it was dropped."""

MAX_TEXT: Final = 2000
"""Characters of an error or a note that a row carries."""

Row = dict[str, Any]
Message = dict[str, Any]


def row(download: Download) -> Row:
    """Give a download as the front end knows it; sizes in bytes, times in seconds."""
    return {
        "id": download.id,
        "job_id": download.job_id,
        "name": download.name,
        "type": download.type,
        "hive": download.hive,
        "status": download.status,
        "bytes_downloaded": download.bytes_downloaded,
        "total_size": download.total_size,
        "percentage": _rounded(download.percentage, 2),
        "speed": _rounded(download.speed, 0),
        "eta": _rounded(download.eta, 1),
        "eta_range": _rounded_range(download.eta_range),
        "stalled_for": _rounded(download.stalled_for, 0),
        "retry": _retry(download.retry_in),
        "error": _cut(download.error),
        "hint": _cut(download.hint),
        "note": _cut(download.note),
        "remark": _cut(download.remark),
        "path": download.path,
        "created_at": download.created_at,
    }


class Publisher:
    """Publishes some of a tracker's downloads: `send` sends a message, `hold` sets the trait.

    Lives on the tracker's loop, and is the only one that sends for its widget.
    """

    def __init__(
        self,
        tracker: Owner,
        shows: Callable[[Download], bool],
        *,
        send: Callable[[Message], None],
        hold: Callable[[Message], None],
    ) -> None:
        self._tracker = tracker
        self._shows = shows
        self._send = send
        self._hold = hold
        self._seq = 0
        self._flushed_at = self._held_at = -SNAPSHOT_S
        self._structure_changed = False
        self._changed: dict[str, Download] = {}
        self._sent: dict[str, Row] = {}
        self._opened: dict[str, int] = {}  # the number of the last line that was sent
        self._next_flush: asyncio.TimerHandle | None = None
        self._last_word: asyncio.TimerHandle | None = None
        self._unsubscribe = tracker.subscribe(self._on_change)

    @property
    def downloads(self) -> list[Download]:
        """What is published, newest first."""
        return [one for one in self._tracker.downloads if self._shows(one)]

    def close(self) -> None:
        """Publish no more."""
        self._unsubscribe()
        for timer in (self._next_flush, self._last_word):
            if timer is not None:
                timer.cancel()

    # -- What the front end asks for --------------------------------------------------------------

    def snapshot(self) -> Message:
        """Give the whole state."""
        rows = [row(download) for download in self.downloads]
        return {"seq": self._seq, "at": time.time(), "rows": rows}

    def send_snapshot(self) -> None:
        """Send the whole state to a front end that starts, or missed something."""
        self._send({"kind": "snapshot", **self.snapshot()})

    def open(self, download: Download) -> None:
        """Send a download's narration, and what comes to it from now on."""
        self._opened[download.id] = -1
        self._send({"kind": "narration", "id": download.id, "lines": self._fresh_lines(download)})

    # -- What changes -----------------------------------------------------------------------------

    def _on_change(self, download: Download, change: Change) -> None:
        if not self._shows(download):
            return
        if change is Change.LIST:
            self._sent.pop(download.id, None)
            self._opened.pop(download.id, None)
        else:
            self._changed[download.id] = download
        self._structure_changed |= change is not Change.FIGURES
        if self._next_flush is None:
            wait = self._flushed_at + DELTA_S - time.monotonic()
            self._next_flush = self._tracker.loop.call_later(max(0.0, wait), self._flush)

    def _flush(self) -> None:
        self._next_flush = None
        self._flushed_at = time.monotonic()
        changed, self._changed = self._changed, {}
        if not self._send_delta(changed) and not self._structure_changed:
            return
        if self._structure_changed or self._flushed_at - self._held_at >= SNAPSHOT_S:
            self._hold_snapshot()
            self._flushed_at += DELTA_S  # that was a second message
        if self._last_word is not None:
            self._last_word.cancel()
        self._last_word = self._tracker.loop.call_later(AFTERWARDS_S, self._hold_snapshot)

    def _send_delta(self, changed: dict[str, Download]) -> bool:
        """Send what is new, and tell whether anything was."""
        rows = {id: row(download) for id, download in changed.items()}  # noqa: A001
        fresh = {id: now for id, now in rows.items() if now != self._sent.get(id)}  # noqa: A001
        lines = {
            id: self._fresh_lines(download)
            for id, download in changed.items()  # noqa: A001
            if id in self._opened
        }
        if not fresh and not any(lines.values()):
            return False
        self._sent |= fresh
        self._seq += 1
        self._send(
            {
                "kind": "delta",
                "seq": self._seq,
                "at": time.time(),
                "rows": list(fresh.values()),
                "lines": lines,
            }
        )
        return True

    def _hold_snapshot(self) -> None:
        self._structure_changed = False
        self._held_at = time.monotonic()
        self._hold(self.snapshot())

    def _fresh_lines(self, download: Download) -> list[Message]:
        """Give the lines that came, or were replaced, since the last time."""
        sent = self._opened[download.id]
        fresh = [
            line for line in download.lines if line.n > sent or (line.n == sent and line.passing)
        ]
        if fresh:
            self._opened[download.id] = fresh[-1].n
        return [
            {"n": line.n, "at": line.at, "action": line.action, "text": line.text} for line in fresh
        ]


def _rounded(figure: float | None, digits: int) -> float | None:
    return None if figure is None else round(figure, digits)


def _rounded_range(seconds: tuple[float, float] | None) -> list[int] | None:
    return None if seconds is None else [round(end) for end in seconds]


def _retry(coming: tuple[int, int, float] | None) -> Row | None:
    if coming is None:
        return None
    number, of, seconds = coming
    return {"number": number, "of": of, "in": round(seconds, 1)}


def _cut(text: str | None) -> str | None:
    return None if text is None else text[:MAX_TEXT]
