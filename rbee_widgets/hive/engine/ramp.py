"""How many connections pay: found by trying. Pure.

It begins with one, goes on to a few unless that one is near and brings all that a machine can
take, and then, while more of them bring more, to more: twice as many at first, later one at a
time. Where they bring nothing they are given back, and tried again after a while: lines change.
"""

from __future__ import annotations

from typing import Final

FEW: Final = 8
"""About as many as a browser opens to one host: no strain for any origin."""

FAR_S: Final = 0.02
"""Seconds until a first byte from which on it is the way that limits, and not the machine."""

ENOUGH: Final = 100e6
"""Bytes per second of the first connection above which the machine is the limit, and more of them
only get in each other's way."""

PROBE_S: Final = 0.02
"""Seconds for which the first connection is looked at, at least; a promising one five times as
long, since all begins slowly."""

WINDOW_S: Final = 0.1
"""Seconds over which a number of connections is judged, or two waits for a first byte where those
are longer: a new connection needs some round trips to gain speed."""

WAITS: Final = 2
GAIN: Final = 0.3
"""The share of a proportional gain that more connections must bring."""

HOLD_S: Final = 10.0
MAX_HOLD_S: Final = 160.0


class Ramp:
    """The search for one transfer; `limit` is the most that it may use.

    Times are seconds of a monotonic clock, amounts bytes.
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.wanted = 1
        self._first_byte_s = 0.0
        self._first: tuple[float, int] | None = None
        self._is_probed = False
        self._before: tuple[int, float] | None = None  # connections, bytes per second
        self._doubles = True
        self._hold_s = HOLD_S
        self._holds_until: float | None = None
        self._unrefused: tuple[int, bool, float, float | None] | None = None  # before the burst
        self._from: tuple[float, int] | None = None  # when, at how many bytes

    @property
    def has_begun(self) -> bool:
        """Whether a first connection has been seen to flow."""
        return self._is_probed or self._first is not None

    def answered(self, first_byte_s: float) -> None:
        """Note how long an answer took to begin."""
        self._first_byte_s = min(self._first_byte_s or first_byte_s, first_byte_s)

    def refused(self, now: float, flowing: int) -> None:
        """Note that the origin would not have more than `flowing` for now."""
        fewer = max(1, min(self.wanted, flowing))
        if self._unrefused is None:
            self._unrefused = self.wanted, self._doubles, self._hold_s, self._holds_until
        if self._holds_until is None:
            self._give_back(now, fewer)
        else:  # of the same burst
            self.wanted = fewer

    def gone(self) -> None:
        """Note that none brings anything: those refused just now tell nothing of their number."""
        if self._unrefused is not None:
            self.wanted, self._doubles, self._hold_s, self._holds_until = self._unrefused
            self._unrefused = None

    def observe(self, now: float, done: int, flowing: int) -> int:
        """Take in how far it is; gives how many connections to use.

        `flowing` counts those that bring bytes.
        """
        if not self._is_probed:
            self._probe(now, done, flowing)
        elif self._holds_until is not None:
            if now >= self._holds_until:
                self._holds_until = self._unrefused = None
                self._before, self._from = None, (now, done)  # lines change: measured anew
        elif flowing < self.wanted:
            self._from = None  # not all of them have begun
        elif self._from is None:
            self._from = (now, done)
        else:
            self._judge(now, done, *self._from)
        return self.wanted

    def _probe(self, now: float, done: int, flowing: int) -> None:
        if not flowing:
            self._first = None
        elif self._first_byte_s >= FAR_S:
            self._is_probed = True
            self.wanted = min(FEW, self.limit)
        elif self._first is None:
            self._first = (now, done)
        elif (passed := now - self._first[0]) >= PROBE_S:
            rate = (done - self._first[1]) / passed
            if rate >= ENOUGH:
                self._is_probed = True
                self._holds_until = now + self._hold_s
            elif rate < ENOUGH / 4 or passed >= 5 * PROBE_S:
                self._is_probed = True
                self.wanted = min(FEW, self.limit)

    def _judge(self, now: float, done: int, since: float, done_then: int) -> None:
        if now - since < max(WINDOW_S, WAITS * self._first_byte_s):
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
        self._is_probed = True
        self.wanted = wanted
        self._doubles = False
        self._holds_until = now + self._hold_s
        self._hold_s = min(MAX_HOLD_S, 2 * self._hold_s)
