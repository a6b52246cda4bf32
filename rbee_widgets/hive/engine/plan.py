"""What of a file is there, what is being asked for, and what to ask for next. Pure.

A file is fetched in *asks*: ranges of whole pieces, taken in order from a shared queue, so that
the bytes that have arrived stay close behind one frontier and can be hashed while others flow.
An ask is one piece near the end and up to four at the beginning: each one costs a round trip,
which at 20 MB/s and 40 ms is a fifth of a piece's time. Where nothing is left to ask for, half of
the longest ask under way is taken over, so that no slow connection holds the end up.

Offsets and sizes are bytes; a span is `(start, stop)`, `stop` excluded.
"""

from __future__ import annotations

import bisect
from collections.abc import Iterable, Iterator
from typing import Final

PIECE: Final = 8 << 20
MAX_ASK: Final = 4 * PIECE
MIN_SPLIT: Final = 2 << 20
"""An ask with less than this to come is left to its connection: a new request costs more."""

SLOW_S: Final = 2.0
"""Seconds that an ask may still take, unless it is one of a slow connection."""

SOON_S: Final = 0.2
"""Seconds that a new connection and its first byte may take: what ends before is left alone, since
what is under way of it would come twice."""

MIN_SLOW_SPLIT: Final = 64 << 10
"""The same for a slow connection, or one that has fallen silent."""

Span = tuple[int, int]


class Spans:
    """A set of offsets, kept as its disjoint spans in order."""

    def __init__(self, spans: Iterable[Span] = ()) -> None:
        self._spans: list[Span] = []
        for span in spans:
            self.add(*span)

    def __iter__(self) -> Iterator[Span]:
        return iter(self._spans)

    def add(self, start: int, stop: int) -> int:
        """Put a span in; gives how many of its bytes are new."""
        if start >= stop:
            return 0
        first = bisect.bisect_left(self._spans, start, key=lambda span: span[1])
        last = bisect.bisect_right(self._spans, stop, key=lambda span: span[0])
        known = self._spans[first:last]
        had = sum(span[1] - span[0] for span in known)
        if known:
            start, stop = min(start, known[0][0]), max(stop, known[-1][1])
        self._spans[first:last] = [(start, stop)]
        return stop - start - had

    def gaps(self, stop: int) -> Iterator[Span]:
        """Give what is missing before `stop`, in order."""
        at = 0
        for span in self._spans:
            if span[0] >= stop:
                break
            if span[0] > at:
                yield at, span[0]
            at = span[1]
        if at < stop:
            yield at, stop


class Ask:
    """A range that one connection fetches: `at` moves on, `stop` may be moved back.

    `stop` None: to the end, wherever that is. `since` is when it was given out.
    """

    __slots__ = ("at", "since", "start", "stop")

    def __init__(self, start: int, stop: int | None, since: float) -> None:
        self.start = start
        self.at = start
        self.stop = stop
        self.since = since

    @property
    def rest(self) -> int:
        """How much is still to come; 0 where nobody knows."""
        return 0 if self.stop is None else max(0, self.stop - self.at)

    def is_soon_over(self, now: float) -> bool:
        """Tell whether its own connection ends it sooner than a new one would help."""
        got, age = self.at - self.start, now - self.since
        return got > 0 and age > 0 and self.rest * age < SOON_S * got

    def lasts(self, now: float) -> float:
        """Tell how many more seconds it takes at its own pace; 0 where nobody knows yet."""
        age = now - self.since
        if age < SLOW_S:
            return 0.0
        return self.rest * age / max(1, self.at - self.start)


class Plan:
    """The plan of one file.

    Parameters
    ----------
    size
        Of the file; None: not known, so that only its beginning can be asked for.
    done
        What is there already.

    """

    def __init__(self, size: int | None, done: Iterable[Span] = ()) -> None:
        self.size = size
        self._there = Spans(done)
        self.done = sum(stop - start for start, stop in self._there)
        self._asked: list[Ask] = []

    @property
    def frontier(self) -> int:
        """The offset before which everything is there."""
        first = next(iter(self._there), (0, 0))
        return first[1] if first[0] == 0 else 0

    @property
    def is_whole(self) -> bool:
        """Whether all of it is there."""
        return self.size is not None and self.done >= self.size

    @property
    def spans(self) -> list[Span]:
        """What is there, in order."""
        return list(self._there)

    def take(self, connections: int, now: float) -> Ask | None:
        """Give the next ask, where `connections` share the work; None: nothing to ask for.

        `now` is in seconds of a monotonic clock.
        """
        if self.size is None:
            ask = None if self._asked else Ask(0, MAX_ASK, now)
        else:
            ask = self._from_queue(self.size, connections, now) or self._split(now)
        if ask is not None:
            self._asked.append(ask)
        return ask

    def _from_queue(self, size: int, connections: int, now: float) -> Ask | None:
        taken = Spans(self._there)
        for ask in self._asked:
            taken.add(ask.at, size if ask.stop is None else ask.stop)
        gaps = list(taken.gaps(size))
        if not gaps:
            return None
        left = sum(stop - start for start, stop in gaps)
        start, stop = gaps[0]
        length = min(MAX_ASK, max(PIECE, left // connections))
        end = (start + length) // PIECE * PIECE  # on the grid; the first one may be longer
        return Ask(start, min(stop, end if end > start else start + PIECE), now)

    def _split(self, now: float) -> Ask | None:
        longest = max(self._asked, key=lambda ask: (ask.lasts(now), ask.rest), default=None)
        if longest is None or longest.is_soon_over(now):
            return None
        if longest.rest < (MIN_SPLIT if longest.lasts(now) < SLOW_S else MIN_SLOW_SPLIT):
            return None
        middle = longest.at + longest.rest // 2
        half = Ask(middle, longest.stop, now)
        longest.stop = middle
        return half

    def arrived(self, ask: Ask, count: int) -> int:
        """Note that the next bytes of an ask are on disk; gives how many of them are new."""
        fresh = self._there.add(ask.at, ask.at + count)
        ask.at += count
        self.done += fresh
        return fresh

    def release(self, ask: Ask) -> None:
        """Note that an ask is over; what has not arrived of it can be asked for again."""
        self._asked.remove(ask)

    def learn(self, size: int) -> None:
        """Note the size, told by the origin or by the end of the one stream."""
        self.size = size
        for ask in self._asked:
            ask.stop = size if ask.stop is None else min(ask.stop, size)
