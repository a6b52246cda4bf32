"""The way to the pages that show a widget: open while one does, paced, with signs of life."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any, Final

from rbee_widgets.widgets.audience import Audience

AFTERWARDS_S: Final = 0.4
"""Seconds of quiet after which a page is told what it should have, in case that was dropped."""

BEAT_S: Final = 2.0
"""Seconds between signs of life while something is under way."""

Message = dict[str, Any]


class Alarm:
    """One call to come on a loop; of several times that are asked for the earliest counts."""

    def __init__(self, loop: asyncio.AbstractEventLoop, ring: Callable[[], None]) -> None:
        self._loop = loop
        self._ring = ring
        self._timer: asyncio.TimerHandle | None = None

    @property
    def is_set(self) -> bool:
        """Whether a call is to come."""
        return self._timer is not None

    def within(self, seconds: float) -> None:
        """Call at the latest in so many seconds."""
        at = self._loop.time() + max(0.0, seconds)
        if self._timer is not None and self._timer.when() <= at:
            return
        self.cancel()
        self._timer = self._loop.call_at(at, self._due)

    def cancel(self) -> None:
        """Don't call."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _due(self) -> None:
        self._timer = None
        self._ring()


class Channel:
    """Sends for one widget; lives on the tracker's loop, and nothing else sends for it.

    Parameters
    ----------
    loop
        The tracker's.
    send
        Sends a message to all pages.
    beat
        Gives a sign of life: what a page that missed nothing has.
    is_alive
        Whether something is under way.

    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        send: Callable[[Message], None],
        *,
        beat: Callable[[], Message],
        is_alive: Callable[[], bool],
    ) -> None:
        self.audience = Audience()
        self._loop = loop
        self._send = send
        self._beat = beat
        self._is_alive = is_alive
        self._alarms: list[Alarm] = []
        self._life = self.alarm(self._show_life)

    def alarm(self, ring: Callable[[], None]) -> Alarm:
        """Make an alarm, for something to be sent later."""
        alarm = Alarm(self._loop, ring)
        self._alarms.append(alarm)
        return alarm

    def send(self, message: Message) -> None:
        """Send a message, and see that a page that missed it comes to know."""
        self._send({**message, "at": time.time()})
        self._life.cancel()
        self._life.within(AFTERWARDS_S)

    def send_beat(self) -> None:
        """Give a sign of life, and more of them while something is under way."""
        self._send({"kind": "beat", **self._beat(), "at": time.time()})
        self._life.cancel()
        if self._is_alive():
            self._life.within(BEAT_S)

    def _show_life(self) -> None:
        if self.audience.is_there:
            self.send_beat()

    def close(self) -> None:
        """Send no more."""
        for alarm in self._alarms:
            alarm.cancel()
