"""How far a download is, how fast it goes and how long it will take: honest, or None.

Pure: samples and a clock's readings come in as arguments. Input is coarse and of many kinds: sizes
several times a second, or `(36.5% complete)` every ten seconds and no size at all.
"""

from __future__ import annotations

import math
from typing import Final

FAST_HALF_LIFE_S: Final = 10.0
"""Half-life of the rate that is shown as speed, in seconds: shorter ones double the ETA's error
on coarse input."""

SLOW_HALF_LIFE_S: Final = 45.0
"""Half-life of the rate that a long ETA is made from, in seconds."""

STALL_S: Final = 10.0
"""Seconds without a byte after which a download is stalled, where updates come often."""

WARM_UP_S: Final = 2.0
"""Seconds of movement before an ETA means something."""

WARM_UP_SAMPLES: Final = 3


class _Rate:
    """A time-weighted mean rate: decayed amount over decayed time."""

    __slots__ = ("amount", "time")

    def __init__(self) -> None:
        self.amount = 0.0
        self.time = 0.0

    def add(self, amount: float, elapsed: float, half_life: float) -> None:
        keep = 0.5 ** (elapsed / half_life)
        self.amount = self.amount * keep + amount
        self.time = self.time * keep + elapsed

    def after(self, idle: float, half_life: float) -> float | None:
        keep = 0.5 ** (idle / half_life)
        time = self.time * keep + idle
        return self.amount * keep / time if time > 0 else None


class Progress:
    """The bytes of one attempt. Never backwards; unknown stays None.

    Amounts are bytes where the total is known, else percent: one arithmetic serves both. The
    first sample is where the attempt began (a resumed file), never a speed.
    """

    __slots__ = ("_at", "_bytes", "_fast", "_gap", "_percentage", "_samples", "_slow", "total_size")

    def __init__(self) -> None:
        self.total_size: int | None = None
        """Bytes in all, None until told."""
        self._bytes: float | None = None
        self._percentage: float | None = None
        self._at: float | None = None
        self._gap = 0.0
        self._samples = 0
        self._fast = _Rate()
        self._slow = _Rate()

    # -- Samples ----------------------------------------------------------------------------------

    def observe(
        self,
        now: float,
        *,
        percentage: float | None = None,
        percentage_step: float | None = None,
        bytes_downloaded: int | None = None,
        bytes_step: float | None = None,
        total_size: int | None = None,
    ) -> None:
        """Take in what a line tells; `now` in seconds of a monotonic clock, `*_step` as told there.

        Of two tellings of the same amount the finer wins.
        """
        if total_size is not None and total_size != self.total_size:
            self._learn_total(total_size)
        before = self._amount
        if percentage is not None:
            self._percentage = max(percentage, self._percentage or 0.0)
        done = self._finer(percentage, percentage_step, bytes_downloaded, bytes_step)
        if done is not None:
            self._bytes = max(done, self._bytes or 0.0)
        self._sample(now, before)

    def _learn_total(self, total_size: int) -> None:
        if self.total_size is None and self._bytes is None and self._percentage is not None:
            # Rates were in percent until now.
            for rate in (self._fast, self._slow):
                rate.amount *= total_size / 100
            self._bytes = self._percentage / 100 * total_size
        self.total_size = total_size

    def _finer(
        self,
        percentage: float | None,
        percentage_step: float | None,
        bytes_downloaded: int | None,
        bytes_step: float | None,
    ) -> float | None:
        if percentage is None or not self.total_size:
            return bytes_downloaded
        computed = percentage / 100 * self.total_size
        if bytes_downloaded is None:
            return computed
        computed_step = (percentage_step or 0.0) / 100 * self.total_size
        return computed if computed_step < (bytes_step or 0.0) else bytes_downloaded

    def _sample(self, now: float, before: float | None) -> None:
        after = self._amount
        if after is None or (before is not None and after <= before):
            return
        if before is not None and self._at is not None:
            elapsed = max(0.0, now - self._at)
            self._gap = 0.7 * self._gap + 0.3 * elapsed if self._samples > 1 else elapsed
            self._fast.add(after - before, elapsed, self._fast_half_life)
            self._slow.add(after - before, elapsed, self._slow_half_life)
        self._at = now
        self._samples += 1

    # -- What is known ----------------------------------------------------------------------------

    @property
    def bytes_downloaded(self) -> int:
        """Bytes that are there; 0 while none are known."""
        done = round(self._bytes or 0.0)
        return done if self.total_size is None else min(done, self.total_size)

    @property
    def percentage(self) -> float | None:
        """Percent, 0 to 100, None while unknown."""
        if self.total_size and self._bytes is not None:
            return min(100.0, self._bytes / self.total_size * 100)
        return self._percentage

    @property
    def is_whole(self) -> bool:
        """Whether all that was announced has arrived."""
        if self.total_size is not None and self._bytes is not None:
            return self._bytes >= self.total_size
        return self._percentage == 100.0

    def complete(self, size: int | None = None) -> None:
        """Note that the file is there; `size` is its exact size in bytes where that is known."""
        if size is not None:
            self.total_size = size
        if self.total_size is not None:
            self._bytes = float(self.total_size)
        self._percentage = 100.0

    def stalled_for(self, now: float) -> float | None:
        """Seconds since the last byte where that is a stall, else None."""
        if self._at is None or self.is_whole:
            return None
        idle = now - self._at
        return idle if idle >= max(STALL_S, 3 * self._gap) else None

    def speed(self, now: float) -> float | None:
        """Bytes per second of late, 0 in a stall, None while unknown.

        Measured up to `now` and not up to the last sample: a download that stops slows down.
        """
        if self.total_size is None and self._bytes is None:
            return None
        return self._rate(self._fast, self._fast_half_life, now)

    def eta(self, now: float) -> float | None:
        """Seconds until the last byte, None where that means nothing (yet)."""
        remaining = self._remaining
        if remaining is None or self._samples < WARM_UP_SAMPLES or self._slow.time < WARM_UP_S:
            return None
        fast = self._rate(self._fast, self._fast_half_life, now)
        slow = self._rate(self._slow, self._slow_half_life, now)
        if not fast or not slow:
            return None
        # Far ends follow the slow rate, near ends the fast one.
        weight = math.exp(-(remaining / slow) / 60)
        return remaining / math.exp(weight * math.log(fast) + (1 - weight) * math.log(slow))

    @property
    def _amount(self) -> float | None:
        return self._bytes if self._bytes is not None else self._percentage

    @property
    def _remaining(self) -> float | None:
        if self._bytes is not None:
            return None if self.total_size is None else max(0.0, self.total_size - self._bytes)
        return None if self._percentage is None else 100.0 - self._percentage

    @property
    def _fast_half_life(self) -> float:
        return max(FAST_HALF_LIFE_S, 1.5 * self._gap)

    @property
    def _slow_half_life(self) -> float:
        return max(SLOW_HALF_LIFE_S, 4 * self._gap)

    def _rate(self, rate: _Rate, half_life: float, now: float) -> float | None:
        if self._at is None or self._samples < 2:
            return None
        if self.stalled_for(now) is not None:
            return 0.0
        return rate.after(max(0.0, now - self._at - 1.5 * self._gap), half_life)
