"""What a page is told of downloads, and when.

Jupyter Server drops messages for good above a thousand a second, so changes are gathered: at most
ten messages a second, four where figures alone have changed, none while no page shows the widget.
A change is a numbered delta of the rows that changed; a page that missed a number says which one
it has, and is told what came since. A trait holds the whole state for new views and for saved
notebooks: it is set when a row comes, goes or changes its status, and seldom otherwise.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, Final

from rbee_widgets.attempt import Change
from rbee_widgets.handle import Download, Owner
from rbee_widgets.log import Line
from rbee_widgets.widgets.channel import Channel, Message

DELTA_S: Final = 0.11
"""Seconds that changes are gathered before a delta: room for what else is sent in the second,"""

FIGURES_S: Final = 0.25
"""and those of figures alone."""

HOLD_S: Final = 2.0
"""Least seconds between two settings of the trait,"""

HOLD_ROW_S: Final = 0.01
"""and more for each row in it: the trait is the one message whose size grows with all rows."""

HOLD_FIGURES_S: Final = 30.0
"""Seconds between two settings of the trait while figures alone change."""

REST_S: Final = 2.0
"""Seconds after the last end, or look, when what a notebook keeps is brought up to date."""

MAX_TEXT: Final = 2000
"""Characters of an error or a note that a row carries."""

MAX_GONE: Final = 1000
"""Rows that are remembered as gone; a page that has missed more is told everything anew."""

Row = dict[str, Any]


def row(download: Download) -> Row:
    """Give a download as a page knows it; what is None is left out. Bytes and seconds."""
    told = {
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
    return {name: value for name, value in told.items() if value is not None}


class Publisher:
    """Publishes some of a tracker's downloads: `send` sends a message, `hold` sets the trait.

    Lives on the tracker's loop from `begin` on.
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
        self._hold = hold
        self._channel = Channel(
            tracker.loop,
            send,
            beat=lambda: {"seq": self._seq},
            is_alive=lambda: any(one.status.is_active for one in self.downloads),
        )
        self._next_flush = self._channel.alarm(self._flush)
        self._next_hold = self._channel.alarm(self._hold_snapshot)
        self._next_rest = self._channel.alarm(self._rest)
        self.at_rest: list[Callable[[], None]] = []
        """What is called once nothing is under way any more, and nobody looks."""
        self._seq = 0
        self._sent = {one.id: row(one) for one in self.downloads}
        self._seqs = dict.fromkeys(self._sent, 0)
        """Of each row that of its last change,"""
        self._gone: dict[str, int] = {}
        """and of those that went."""
        self._floor = 0
        """The least number from which all that went are remembered."""
        self._changed: dict[str, Download] = {}
        self._is_structural = False
        """Whether more than figures has changed since the last delta,"""
        self._is_held = True
        """whether the trait tells all but figures,"""
        self._is_kept = True
        """and whether a notebook that is saved now does, in all that it keeps."""
        self._flushed_at = self._held_at = -HOLD_FIGURES_S
        self._lines: dict[str, int] = {}
        """Of each row whose narration is shown, the number of the last line that was sent."""
        self.is_displayed = False
        """Whether a cell shows it, even if no page does yet."""
        self._unsubscribe: Callable[[], None] = lambda: None

    @property
    def downloads(self) -> list[Download]:
        """What is published, newest first."""
        return [one for one in self._tracker.downloads if self._shows(one)]

    def begin(self) -> None:
        """Publish from now on; on the loop."""
        self._unsubscribe = self._tracker.subscribe(self._on_change)
        for download in self.downloads:  # whatever has changed since the first snapshot
            self._on_change(download, Change.FIGURES)

    def close(self) -> None:
        """Publish no more; on the loop."""
        self._unsubscribe()
        self._channel.close()

    def snapshot(self) -> Message:
        """Give the whole state."""
        rows = [row(download) for download in self.downloads]
        return {"seq": self._seq, "at": time.time(), "rows": rows}

    # -- What a page says -------------------------------------------------------------------------

    def shown(self, page: str, seq: int, opened: dict[str, int]) -> None:
        """Take note that a page shows the rows, and tell it what it has missed.

        `seq` is the number of its last delta, -1 where it has none; `opened` tells of the rows
        whose narration it shows the number of the last line that it has.
        """
        self._channel.audience.shown(page, opened)
        self._collect()
        lines = self._missed_lines(opened)
        if not self._floor <= seq <= self._seq:
            self._channel.send({"kind": "snapshot", **self.snapshot()})
            seq = self._seq
            if lines:
                self._send_delta(seq, lines)
        elif seq < self._seq or lines:
            self._send_delta(seq, lines)
        else:
            self._channel.send_beat()
        self._arm()

    def hidden(self, page: str) -> None:
        """Take note that a page shows them no longer."""
        self._channel.audience.hidden(page)
        self._next_rest.within(REST_S)

    # -- What changes -----------------------------------------------------------------------------

    def _on_change(self, download: Download, change: Change) -> None:
        if not self._shows(download):
            return
        self._changed[download.id] = download
        if change is Change.FIGURES and self._next_flush.is_set:
            return  # most of what comes: it goes along
        if change is not Change.FIGURES:
            self._is_structural = True
            self._is_held = self._is_kept = False
            self._next_rest.within(REST_S)
        self._arm()

    def _rest(self) -> None:
        """Have all that a notebook keeps tell the end, once nothing is under way.

        A view that is looked at is left alone: a cell's output that changes is made anew, and what
        was unfolded or focused in it is not.
        """
        is_over = not any(one.status.is_active for one in self.downloads)
        if self._is_kept or not self.is_displayed or not is_over or self._channel.audience.is_there:
            return
        self._is_kept = True
        self._hold(self.snapshot())
        for tell in self.at_rest:
            tell()

    def _arm(self) -> None:
        """See that what has changed is sent in time, if anybody looks."""
        if not self._channel.audience.is_there:
            return
        if self._changed:
            self._next_flush.within(self._wait)
        if not self._is_held:
            pause = max(HOLD_S, HOLD_ROW_S * len(self._sent))
            self._next_hold.within(self._held_at + pause - time.monotonic())

    @property
    def _wait(self) -> float:
        """Seconds until the next delta may be sent; none where it is due."""
        pace = DELTA_S if self._is_structural else FIGURES_S
        return max(0.0, self._flushed_at + pace - time.monotonic())

    def _flush(self) -> None:
        if not self._channel.audience.is_there:
            return
        if self._wait:  # something else was sent meanwhile
            self._arm()
            return
        changed, seq = list(self._changed), self._seq
        self._collect()
        opened = self._channel.audience.opened
        self._lines = {id: n for id, n in self._lines.items() if id in opened}  # noqa: A001
        lines = self._missed_lines({id: self._lines.get(id, -1) for id in changed if id in opened})  # noqa: A001
        if self._seq > seq or lines:
            self._send_delta(seq, lines)
            self._next_hold.within(self._held_at + HOLD_FIGURES_S - time.monotonic())

    def _collect(self) -> None:
        """Give what has changed a number."""
        changed, self._changed = self._changed, {}
        kept = {one.id for one in self.downloads}
        self._is_structural = False
        rows = {id: row(download) for id, download in changed.items() if id in kept}  # noqa: A001
        fresh = {id: now for id, now in rows.items() if now != self._sent.get(id)}  # noqa: A001
        gone = [id for id in changed if id not in kept and id in self._sent]  # noqa: A001
        if not fresh and not gone:
            return
        self._seq += 1
        self._sent |= fresh
        self._seqs |= dict.fromkeys(fresh, self._seq)
        for id in gone:  # noqa: A001
            del self._sent[id], self._seqs[id]
            self._gone[id] = self._seq
        while len(self._gone) > MAX_GONE:
            self._floor = self._gone.pop(next(iter(self._gone)))

    def _send_delta(self, since: int, lines: dict[str, list[Message]]) -> None:
        self._flushed_at = time.monotonic()
        self._channel.send(
            {
                "kind": "delta",
                "since": since,
                "seq": self._seq,
                "rows": [self._sent[id] for id, seq in self._seqs.items() if seq > since],  # noqa: A001
                "gone": [id for id, seq in self._gone.items() if seq > since],  # noqa: A001
                "lines": lines,
            }
        )

    def _hold_snapshot(self) -> None:
        if not self._channel.audience.is_there:
            return
        self._is_held = True
        self._held_at = time.monotonic()
        self._flushed_at += DELTA_S  # that was a message too
        self._hold(self.snapshot())

    def _missed_lines(self, opened: dict[str, int]) -> dict[str, list[Message]]:
        """Give the lines of some rows that came, or were replaced, after the numbers given."""
        missed = {}
        for download in self.downloads if opened else ():
            last = opened.get(download.id)
            if last is None:
                continue
            sent = self._lines.get(download.id, -1)
            lines = download.lines
            fresh = [
                line for line in lines if line.n > last or (line.n == last == sent and line.passing)
            ]
            if fresh:
                self._lines[download.id] = max(sent, fresh[-1].n)
                missed[download.id] = [told(line) for line in fresh]
        return missed


def told(line: Line) -> Message:
    """Give a line as a page knows it; what is None is left out."""
    words = {
        "n": line.n,
        "at": line.at,
        "level": line.level,
        "actor": line.actor,
        "action": line.action,
        "text": line.text,
    }
    return {name: value for name, value in words.items() if value is not None}


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
