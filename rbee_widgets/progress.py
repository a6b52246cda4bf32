"""How far a download is, how fast it goes and how long it will take: honest, or None.

Pure: samples and a clock's readings come in as arguments. Input is coarse and of many kinds: sizes
several times a second, or `(36.5% complete)` every ten seconds and no size at all.

An ETA weighs the rate of the moment against the rate of all that was: what is near its end goes on
as it goes now, what has far to go meets again what it has met. The constants of that are tuned on
recorded downloads; `docs/eta.md` tells how, and how well they do.
"""

from __future__ import annotations

import math
from typing import Final

MOMENT_HALF_LIFE_S: Final = 3.0
"""Half-life of the rate that a near end is foretold from, in seconds."""

SPEED_HALF_LIFE_S: Final = 10.0
"""Half-life of the rate that is shown as speed, in seconds: steady enough to be read."""

LONG_HALF_LIFE_S: Final = 300.0
"""Half-life of the rate that a far end is foretold from, in seconds."""

SIGHT_S: Final = 5.0
"""How far the moment reaches: half of the weight at the root of this times the seconds known."""

SLOW_START_S: Final = 60.0
"""Seconds after the beginning in which a rate that has grown outdates what was before."""

GROWN: Final = 1.2
"""Times the long rate that the speed is when it has grown."""

LEAST_LEFT: Final = 0.3
"""Least part of an ETA that is left while no news comes."""

SWING_HALF_LIFE_S: Final = 60.0
"""Half-life of the swing, in seconds: of the mean distance in logarithms of moment and long run."""

EARLY_SCALE: Final = 0.75
EARLY_POWER: Final = 0.4
"""The 10th percentile of ETAs on record: the logarithm of what may be saved, by the swing."""

LATE_SHARE: Final = 0.19
"""Their 90th percentile: what may be added, as a part of the whole time. Most of it is the slow
end that some downloads have and none announces."""

STALL_S: Final = 10.0
"""Seconds without a byte after which a download is stalled, where updates come often."""

REST_SHARE: Final = 0.5
"""Part of the time that makes a stall which counts for the rates, of any that is longer."""

AT_ONCE: Final = 5
"""Times the long rate at which what was held up comes in, at least."""

WARM_UP_S: Final = 2.0
"""Seconds of movement before an ETA means something."""

WARM_UP_SAMPLES: Final = 3


class _Mean:
    """A time-weighted mean that forgets: decayed amount over decayed time.

    Parameters
    ----------
    half_life
        In seconds.
    gaps
        Gaps between two samples that the half-life spans at least: a mean of few is mostly their
        rounding.

    """

    __slots__ = ("_gaps", "_half_life", "amount", "time")

    def __init__(self, half_life: float, gaps: float) -> None:
        self.amount = 0.0
        self.time = 0.0
        self._half_life = half_life
        self._gaps = gaps

    def add(self, amount: float, elapsed: float, gap: float) -> None:
        keep = self._keep(elapsed, gap)
        self.amount = self.amount * keep + amount
        self.time = self.time * keep + elapsed

    def after(self, idle: float, gap: float) -> float:
        """Give the mean after some more seconds of nothing; 0 where there is none."""
        keep = self._keep(idle, gap)
        time = self.time * keep + idle
        return self.amount * keep / time if time > 0 else 0.0

    def become(self, other: _Mean) -> None:
        self.amount, self.time = other.amount, other.time

    @property
    def value(self) -> float:
        """The mean, 0 where there is none."""
        return self.amount / self.time if self.time > 0 else 0.0

    def _keep(self, elapsed: float, gap: float) -> float:
        return math.exp2(-elapsed / max(self._half_life, self._gaps * gap))


class Progress:
    """The bytes of one attempt. Never backwards; unknown stays None.

    Amounts are bytes where the total is known, else percent: one arithmetic serves both. The
    first sample is where the attempt began (a resumed file), never a speed.
    """

    __slots__ = (
        "_at",
        "_began",
        "_bytes",
        "_gap",
        "_long",
        "_moment",
        "_owed",
        "_percentage",
        "_samples",
        "_shown",
        "_spared",
        "_speed",
        "_swing",
        "total_size",
    )

    def __init__(self) -> None:
        self.total_size: int | None = None
        """Bytes in all, None until told."""
        self._bytes: float | None = None
        self._percentage: float | None = None
        self._shown: float | None = None
        self._began = 0.0
        self._at: float | None = None
        self._gap = 0.0
        self._samples = 0
        self._owed = 0.0
        self._spared = 0.0
        self._moment = _Mean(MOMENT_HALF_LIFE_S, 0.4)
        self._speed = _Mean(SPEED_HALF_LIFE_S, 1.5)
        self._long = _Mean(LONG_HALF_LIFE_S, 4)
        self._swing = _Mean(SWING_HALF_LIFE_S, 4)

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
        self._show()
        self._sample(now, before)

    def recall(
        self,
        now: float,
        *,
        percentage: float | None,
        bytes_downloaded: int | None,
        total_size: int | None,
    ) -> None:
        """Go on from figures of another time: what brings them again is no news, and no speed."""
        self._at, self.total_size = now, total_size
        self._percentage, self._bytes = percentage, bytes_downloaded
        self._shown = percentage
        self._show()

    def _learn_total(self, total_size: int) -> None:
        if self.total_size is None and self._bytes is None and self._percentage is not None:
            # Rates were in percent until now.
            for mean in (self._moment, self._speed, self._long):
                mean.amount *= total_size / 100
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

    def _show(self) -> None:
        told = self._percentage
        if self.total_size and self._bytes is not None:
            told = self._bytes / self.total_size * 100
        # A total that turns out larger takes back nothing.
        if told is not None:
            self._shown = max(min(100.0, told), self._shown or 0.0)

    def _sample(self, now: float, before: float | None) -> None:
        after = self._amount
        if after is None or (before is not None and after <= before):
            return
        if before is None or self._at is None or not self._samples:
            self._began = now
        else:
            self._advance(after - before, max(0.0, now - self._at), now - self._began)
        self._at = now
        self._samples += 1

    def _advance(self, amount: float, elapsed: float, age: float) -> None:
        if self._samples == 1:
            self._gap = elapsed
        else:
            counted = self._counted(amount, elapsed)
            # A stall says little of how often samples come.
            self._gap += 0.3 * (min(elapsed, self._patience) - self._gap)
            elapsed = counted
        for mean in (self._moment, self._speed, self._long):
            mean.add(amount, elapsed, self._gap)
        if age < SLOW_START_S and self._speed.value > GROWN * self._long.value:
            self._long.become(self._speed)
        if self._moment.value and self._long.value:
            swing = abs(math.log(self._moment.value / self._long.value))
            self._swing.add(swing * elapsed, elapsed, self._gap)

    def _counted(self, amount: float, elapsed: float) -> float:
        """Seconds that the rates are to count for an advance.

        What comes after a stall comes as before it: the better part of it is spared, once; the
        next one of its kind is a habit. But if a reader was held up (by a cell that kept the
        loop), all that it missed comes at once, and the time is given back.
        """
        rest = elapsed - REST_SHARE * self._patience - self._spared
        owed, self._owed = self._owed, max(0.0, rest)
        if rest > 0:
            self._spared += rest
            return elapsed - rest
        if amount > AT_ONCE * self._long.value * elapsed:
            self._spared -= owed
            return elapsed + owed
        return elapsed

    # -- What is known ----------------------------------------------------------------------------

    @property
    def bytes_downloaded(self) -> int:
        """Bytes that are there; 0 while none are known."""
        done = round(self._bytes or 0.0)
        return done if self.total_size is None else min(done, self.total_size)

    @property
    def percentage(self) -> float | None:
        """Percent, 0 to 100, never less than before; None while unknown."""
        return self._shown

    @property
    def is_whole(self) -> bool:
        """Whether all that was announced has arrived."""
        if self.total_size is not None and self._bytes is not None:
            return self._bytes >= self.total_size
        return self._percentage == 100.0

    def complete(self, size: int | None = None) -> None:
        """Note that the file is there; `size` is its exact size in bytes where that is known."""
        if size is not None:
            self._learn_total(size)
        if self.total_size is not None:
            self._bytes = float(self.total_size)
        self._percentage = self._shown = 100.0

    def stalled_for(self, now: float) -> float | None:
        """Seconds since the last byte where that is a stall, else None."""
        if self._at is None or self.is_whole:
            return None
        idle = now - self._at
        return idle if idle >= self._patience else None

    def speed(self, now: float) -> float | None:
        """Bytes per second of late, 0 in a stall, None while unknown.

        Measured up to `now` and not up to the last sample: a download that stops slows down.
        """
        if self.total_size is None and self._bytes is None:
            return None
        if self._at is None or self._samples < 2:
            return None
        if self.stalled_for(now) is not None:
            return 0.0
        return self._speed.after(self._overdue(now), self._gap) if self._speed.time else None

    @property
    def usual_speed(self) -> float | None:
        """Bytes per second of the last minutes in which they flowed, None while unknown.

        An end changes nothing of it: what is over tells how fast it was.
        """
        return None if self._bytes is None else self._long.value or None

    def eta(self, now: float) -> float | None:
        """Seconds until the last byte, None where that means nothing (yet).

        Runs down between two samples: what is due since the last one has come, as far as we know.
        """
        remaining = self._remaining
        if self._at is None or remaining is None or self.stalled_for(now) is not None:
            return None
        if self._samples < WARM_UP_SAMPLES or self._long.time < WARM_UP_S:
            return None
        overdue = self._overdue(now)
        moment = self._moment.after(overdue, self._gap)
        long = self._long.after(overdue, self._gap)
        if not moment or not long:
            return None
        sight = SIGHT_S * self._long.time
        far = remaining / long
        eta = far * math.pow(long / moment, sight / (sight + far * far))
        return max(eta - min(max(0.0, now - self._at), self._gap), LEAST_LEFT * eta)

    def eta_range(self, now: float) -> tuple[float, float] | None:
        """Seconds that eight of ten downloads keep within; None where that means nothing (yet).

        From the 10th to the 90th percentile, as observed where as much was known. How soon it may
        be over follows from how unsteady it was; how late, from the whole time.
        """
        eta = self.eta(now)
        if eta is None or self.is_whole:
            return None
        early = math.exp(-EARLY_SCALE * self._swing.value**EARLY_POWER)
        return eta * early, eta + LATE_SHARE * (self._long.time + eta)

    @property
    def _amount(self) -> float | None:
        return self._bytes if self._bytes is not None else self._percentage

    @property
    def _remaining(self) -> float | None:
        if self._bytes is not None:
            return None if self.total_size is None else max(0.0, self.total_size - self._bytes)
        return None if self._percentage is None else 100.0 - self._percentage

    @property
    def _patience(self) -> float:
        """Seconds without a byte that are no stall yet."""
        return max(STALL_S, 3 * self._gap)

    def _overdue(self, now: float) -> float:
        """Seconds since a sample was due."""
        return 0.0 if self._at is None else max(0.0, now - self._at - 1.5 * self._gap)
