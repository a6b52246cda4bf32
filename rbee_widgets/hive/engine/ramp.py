"""How many connections pay: found by trying. Pure.

It begins with few. While more of them bring more, it goes on: twice as many at first, then one at a
time. Where they don't, they are given back, and tried again later, since lines change.
"""

from __future__ import annotations

from typing import Final

FEW: Final = 4
"""Where it begins: as many as a browser would use for a page, and no strain for any origin."""

WINDOW_S: Final = 0.2
"""Seconds over which a number of connections is judged, or a few round trips where those are
longer: a new connection needs some to gain speed."""

ROUND_TRIPS: Final = 4
GAIN: Final = 0.5
"""The share of a proportional gain that more connections must bring."""

HOLD_S: Final = 10.0
MAX_HOLD_S: Final = 160.0


class Ramp:
    """The search for one transfer; `limit` is the most that it may use."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.wanted = 1
        self.round_trip_s = 0.0
        self._before: tuple[int, float] | None = None  # connections, bytes per second
        self._doubles = True
        self._hold_s = HOLD_S
        self._from: tuple[float, int] | None = None  # when, at how many bytes
        self._holds_until: float | None = None

    def begin(self) -> None:
        """Note that the origin answers, and has ranges."""
        self.wanted = min(FEW, self.limit)

    def refused(self, now: float, active: int) -> None:
        """Note that the origin would not have more than `active` for now."""
        self._give_back(now, max(1, min(self.wanted, active)))

    def observe(self, now: float, done: int, active: int) -> int:
        """Take in how far it is; gives how many connections to use.

        `now` is in seconds of a monotonic clock, `done` in bytes, `active` counts those that are
        at work.
        """
        if self._holds_until is not None:
            if now >= self._holds_until:
                self._holds_until = None
                self._before, self._from = None, (now, done)  # lines change: measured anew
        elif active < self.wanted:
            self._from = None  # not all of them are at work yet
        elif self._from is None:
            self._from = (now, done)
        else:
            self._judge(now, done, *self._from)
        return self.wanted

    def _judge(self, now: float, done: int, since: float, done_then: int) -> None:
        if now - since < max(WINDOW_S, ROUND_TRIPS * self.round_trip_s):
            return
        rate = (done - done_then) / (now - since)
        if self._before is not None:
            fewer, rate_then = self._before
            needed = rate_then * (1 + GAIN * (self.wanted / fewer - 1))
            if self.wanted > fewer and rate < needed:
                self._give_back(now, fewer)
                return
        self._before = (self.wanted, rate)
        more = 2 * self.wanted if self._doubles else self.wanted + 1
        self.wanted = min(more, self.limit)
        self._from = None

    def _give_back(self, now: float, wanted: int) -> None:
        self.wanted = wanted
        self._doubles = False
        self._holds_until = now + self._hold_s
        self._hold_s = min(MAX_HOLD_S, 2 * self._hold_s)
