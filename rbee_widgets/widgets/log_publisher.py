"""What a page is told of a tracker's log: the newest lines, then what comes, older ones if asked.

Paced as the rows are. Each message goes on from a revision; a page that has missed one says which
it has.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any, Final

from rbee_widgets.attempt import Change
from rbee_widgets.handle import Download, Owner
from rbee_widgets.log import Line
from rbee_widgets.widgets.audience import MAX_PAGES
from rbee_widgets.widgets.channel import Channel, Message
from rbee_widgets.widgets.publisher import DELTA_S, FIGURES_S, HOLD_S, told

MOST: Final = 1000
"""Lines in a message."""


class LogPublisher:
    """Publishes a tracker's log: `send` sends a message, `hold` sets the trait.

    Lives on the tracker's loop from `begin` on.
    """

    def __init__(
        self,
        tracker: Owner,
        *,
        send: Callable[[Message], None],
        hold: Callable[[Message], None],
    ) -> None:
        self._tracker = tracker
        self._log = tracker.log
        self._hold = hold
        self._channel = Channel(
            tracker.loop,
            send,
            beat=lambda: {"rev": self._sent},
            is_alive=lambda: any(one.status.is_active for one in tracker.downloads),
        )
        self._next_flush = self._channel.alarm(self._flush)
        self._next_hold = self._channel.alarm(self._hold_summary)
        self._next_older = self._channel.alarm(self._tell_older)
        self._asked: dict[str, int] = {}
        """Below which revision pages have asked for older lines."""
        self._sent = self._log.revision
        """The revision up to which every page was told."""
        self._flushed_at = self._sent_at = -FIGURES_S
        self._unsubscribe: Callable[[], None] = lambda: None

    def summary(self) -> Message:
        """Give what a saved notebook tells: how many lines there are, and when that was so."""
        return {"count": len(self._log), "at": time.time()}

    def begin(self) -> None:
        """Publish from now on; on the loop."""
        self._unsubscribe = self._tracker.subscribe(self._on_change)

    def close(self) -> None:
        """Publish no more; on the loop."""
        self._unsubscribe()
        self._channel.close()

    # -- What a page says -------------------------------------------------------------------------

    def shown(self, page: str, revision: int) -> None:
        """Take note that a page shows the log up to a revision (-1: nothing); tell it the rest."""
        self._channel.audience.shown(page, {})
        newer = self._log.since(revision)
        self._sent = self._log.revision
        if not 0 <= revision <= self._sent or len(newer) > MOST:
            newest = self._log.before(self._sent + 1, MOST)
            end = len(newest) < MOST
            self._send("lines", newest, page=page, since=-1, rev=self._sent, end=end)
        elif newer:
            self._send("lines", newer, since=revision, rev=self._sent)
        else:
            self._channel.send_beat()

    def hidden(self, page: str) -> None:
        """Take note that a page shows it no longer."""
        self._channel.audience.hidden(page)

    def older(self, page: str, revision: int) -> None:
        """Tell a page the lines before a revision, in turn with what else is sent."""
        if page not in self._asked and len(self._asked) >= MAX_PAGES:
            return
        self._asked[page] = revision
        self._next_older.within(self._pause)

    @property
    def _pause(self) -> float:
        """Seconds until something may be sent again; none where it may."""
        return max(0.0, self._sent_at + DELTA_S - time.monotonic())

    def _tell_older(self) -> None:
        if self._pause:  # something else was sent meanwhile
            self._next_older.within(self._pause)
            return
        page = next(iter(self._asked))
        revision = self._asked.pop(page)
        lines = self._log.before(revision, MOST)
        self._send("older", lines, page=page, before=revision, end=len(lines) < MOST)
        if self._asked:
            self._next_older.within(DELTA_S)

    # -- What changes -----------------------------------------------------------------------------

    def _on_change(self, _: Download, __: Change) -> None:
        if self._log.revision > self._sent and self._channel.audience.is_there:
            self._next_flush.within(self._flushed_at + FIGURES_S - time.monotonic())

    def _flush(self) -> None:
        newer = self._log.since(self._sent)
        if not newer or not self._channel.audience.is_there:
            return
        if self._pause:
            self._next_flush.within(self._pause)
            return
        since, lines = self._sent, newer[:MOST]
        self._sent = lines[-1].revision
        self._flushed_at = time.monotonic()
        self._send("lines", lines, since=since, rev=self._sent)
        self._next_hold.within(HOLD_S)
        if len(newer) > MOST:
            self._next_flush.within(DELTA_S)

    def _hold_summary(self) -> None:
        if self._channel.audience.is_there:
            self._hold(self.summary())

    def _send(self, kind: str, lines: Sequence[Line], **more: Any) -> None:
        self._sent_at = time.monotonic()
        sources = {line.source.id: line.source for line in lines}
        jobs = {
            id: {"name": one.name, "hive": one.hive, "job_id": one.job_id}
            for id, one in sources.items()  # noqa: A001
        }
        entries = [told(line) | {"rev": line.revision, "d": line.source.id} for line in lines]
        self._channel.send({"kind": kind, "lines": entries, "jobs": jobs, **more})
