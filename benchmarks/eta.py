"""Judge the estimator of `rbee_widgets.progress` on recorded downloads, beside those of its peers.

    python -m benchmarks.eta              judge; ends with 1 if a goal is missed
    python -m benchmarks.eta --tuning     the same on the traces that constants are tuned on

Each trace is replayed twice: bytes several times a second, and what a real hive says of the same
download, a percentage to one decimal every ten seconds and no size. Every estimator is told what
has arrived by then, and is asked once a second.
"""

from __future__ import annotations

import argparse
import io
import itertools
import math
import statistics
import sys
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol

import rich.console
import rich.progress
import tqdm

from benchmarks.record_traces import Trace, load
from rbee_widgets.progress import Progress

HEARTBEAT_S: Final = 10.0
"""Seconds between two lines of a real hive."""

LATENESS_S: Final = 0.002
"""Seconds that a line comes after it is due: a timer is never early."""

FIRST_S: Final = 5
"""Seconds after the beginning in which nobody is asked."""

LAST_S: Final = 2
"""Seconds before the end in which nobody is asked."""

TOLERANCE_S: Final = 10.0
"""Least seconds left that a jump is set in proportion to."""


# -- Input ----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Input:
    """What is told of a download: seconds and amounts (bytes, or percent), oldest first."""

    trace: Trace
    samples: Sequence[tuple[float, float]]
    total: float
    is_percent: bool

    @property
    def ends_at(self) -> float:
        """Seconds at the last byte."""
        return self.trace.samples[-1][0]

    def queries(self) -> Iterator[float]:
        """Give the seconds at which an estimator is asked."""
        now = FIRST_S + 1.0
        while now < self.ends_at - LAST_S:
            yield now
            now += 1


def as_bytes(trace: Trace) -> Input:
    """Give a download as our own hive tells it."""
    return Input(trace, trace.samples, trace.total, is_percent=False)


def as_percent(trace: Trace) -> Input:
    """Give a download as a real hive tells it: its narration says "(36.5% complete)"."""
    told, beat = [], 1
    for (_, there), (later, _) in itertools.pairwise(trace.samples):
        while (at := beat * HEARTBEAT_S + LATENESS_S) < later:
            told.append((at, round(there / trace.total * 100, 1)))
            beat += 1
    return Input(trace, told, 100.0, is_percent=True)


# -- Estimators -----------------------------------------------------------------------------------


class Estimator(Protocol):
    """One of those that are judged."""

    def tell(self, now: float, amount: float) -> None:
        """Take in what has arrived by now."""

    def eta(self, now: float) -> float | None:
        """Give the seconds left, None for no answer."""


class _Ours:
    """`rbee_widgets.progress`, as `DownloadState` uses it."""

    def __init__(self, given: Input) -> None:
        self.progress = Progress()
        self._given = given

    def tell(self, now: float, amount: float) -> None:
        if self._given.is_percent:
            self.progress.observe(now, percentage=amount, percentage_step=0.1)
        else:
            total = self._given.trace.total
            self.progress.observe(now, bytes_downloaded=int(amount), total_size=total)

    def eta(self, now: float) -> float | None:
        return self.progress.eta(now)


class _Tqdm:
    """The real tqdm with an injected clock: it smooths by .3 at each update."""

    def __init__(self, given: Input) -> None:
        self._now = 0.0
        self._total = given.total
        self._bar: tqdm.tqdm | None = None

    def tell(self, now: float, amount: float) -> None:
        self._now = now
        if self._bar is None:
            bar = tqdm.tqdm(
                total=self._total,
                initial=amount,
                file=io.StringIO(),
                mininterval=0,
                miniters=0,
                bar_format="",
            )
            bar._time = lambda: self._now  # noqa: SLF001 (the only way in for a clock)
            bar.start_t = bar.last_print_t = now
            self._bar = bar
        else:
            self._bar.update(amount - self._bar.n)

    def eta(self, now: float) -> float | None:
        if self._bar is None:
            return None
        self._now = now
        asked = {**self._bar.format_dict, "bar_format": "{remaining_s}"}
        return float(tqdm.tqdm.format_meter(**asked)) or None


class _Rich:
    """The real rich with an injected clock: the mean rate of the last 30 s."""

    def __init__(self, given: Input) -> None:
        self._now = 0.0
        self._total = given.total
        self._progress = rich.progress.Progress(
            console=rich.console.Console(file=io.StringIO()),
            auto_refresh=False,
            get_time=lambda: self._now,
        )
        self._task: rich.progress.TaskID | None = None

    def tell(self, now: float, amount: float) -> None:
        self._now = now
        if self._task is None:
            self._task = self._progress.add_task("", total=self._total)
            self._progress.tasks[0].completed = amount  # there before: no sample of its speed
        else:
            self._progress.update(self._task, completed=amount)

    def eta(self, now: float) -> float | None:
        self._now = now
        return self._progress.tasks[0].time_remaining if self._progress.tasks else None


class _Aria2:
    """The rule of aria2's `SpeedCalc`: bytes in slots of a second over ten seconds up to now."""

    WINDOW_S: Final = 10.0
    SLOT_S: Final = 1.0

    def __init__(self, given: Input) -> None:
        self._total = given.total
        self._slots: deque[tuple[float, float]] = deque()
        self._amount: float | None = None

    def tell(self, now: float, amount: float) -> None:
        fresh = 0.0 if self._amount is None else amount - self._amount
        self._amount = amount
        if fresh <= 0:
            return
        if self._slots and now - self._slots[-1][0] < self.SLOT_S:
            at, before = self._slots.pop()
            self._slots.append((at, before + fresh))
        else:
            self._slots.append((now, fresh))

    def eta(self, now: float) -> float | None:
        while self._slots and now - self._slots[0][0] > self.WINDOW_S:
            self._slots.popleft()
        if self._amount is None or not self._slots:
            return None
        elapsed = max(now - self._slots[0][0], 0.001)
        return (self._total - self._amount) * elapsed / sum(fresh for _, fresh in self._slots)


ESTIMATORS: Final[dict[str, Callable[[Input], Estimator]]] = {
    "rbee": _Ours,
    "tqdm": _Tqdm,
    "rich": _Rich,
    "aria2": _Aria2,
}


# -- Replay ---------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Answer:
    """What an estimator says at a moment, and what is true."""

    now: float
    left: float
    """Seconds until the last byte, as it came to be."""
    eta: float | None

    @property
    def error(self) -> float:
        """By how much it is off, in logarithms: .1 is a tenth, .69 is a factor of two."""
        return math.inf if self.eta is None else abs(math.log(max(self.eta, 0.1) / self.left))


def replay(given: Input, estimator: Estimator) -> Iterator[float]:
    """Tell an estimator all that is known by each moment at which it is asked; gives the moment."""
    samples = deque(given.samples)
    for now in given.queries():
        while samples and samples[0][0] <= now:
            estimator.tell(*samples.popleft())
        yield now


def answers(given: Input, estimator: Estimator) -> list[Answer]:
    """Give what an estimator says once a second."""
    return [
        Answer(now, given.ends_at - now, estimator.eta(now)) for now in replay(given, estimator)
    ]


Told = list[list[Answer]]
"""The answers of one estimator, by download."""


def errors(told: Iterable[Answer]) -> list[float]:
    """Give the errors of all answers that are some."""
    return [answer.error for answer in told if answer.eta is not None]


def jitter(told: Told) -> float:
    """Give by how much, of what is left, an ETA jumps from a second to the next."""
    return statistics.fmean(
        abs(after.eta - before.eta + 1) / max(after.left, TOLERANCE_S)
        for download in told
        for before, after in itertools.pairwise(download)
        if before.eta is not None and after.eta is not None
    )


def quantile(values: Sequence[float], share: float) -> float:
    """Give the value that a share of all lies below."""
    ordered = sorted(values)
    at = share * (len(ordered) - 1)
    low, high = ordered[math.floor(at)], ordered[math.ceil(at)]
    return low + (high - low) * (at - math.floor(at))


@dataclass(frozen=True, slots=True)
class Figures:
    """How good an estimator is."""

    median: float
    p90: float
    jitter: float
    silent: float
    """Part of the moments at which it has no answer."""

    @classmethod
    def of(cls, told: Told) -> Figures:
        """Judge the answers to all downloads."""
        every = list(itertools.chain.from_iterable(told))
        found = errors(every)
        silent = 1 - len(found) / len(every)
        return cls(quantile(found, 0.5), quantile(found, 0.9), jitter(told), silent)


def shared(told: Told, others: Told) -> Told:
    """Leave out the moments at which one of two has no answer."""
    return [
        [one for one, other in zip(*both, strict=True) if None not in (one.eta, other.eta)]
        for both in zip(told, others, strict=True)
    ]


def wins(told: Told, others: Told) -> int:
    """Count the downloads on which the usual error is less than another's."""
    pairs = zip(shared(told, others), shared(others, told), strict=True)
    return sum(
        statistics.median(errors(one)) < statistics.median(errors(other))
        for one, other in pairs
        if one
    )


# -- What only ours promises ----------------------------------------------------------------------


@dataclass(slots=True)
class Promises:
    """Counts over all downloads."""

    ranges: int = 0
    sooner: int = 0
    """Ranges that the truth lies below."""
    later: int = 0
    stalls: list[float] = field(default_factory=list)
    """Seconds from the last byte until the speed is 0, for each stall of ten seconds and more."""
    backwards: int = 0
    """Percentages less than the one before."""

    @property
    def within(self) -> float:
        """Part of the ranges that hold the truth."""
        return 1 - (self.sooner + self.later) / self.ranges


def promises(inputs: Iterable[Input]) -> Promises:
    """Look at what ours says beside the ETA."""
    found = Promises()
    for given in inputs:
        _count_ranges(given, found)
        ours = _Ours(given)
        shown = 0.0
        for (now, amount), later in itertools.pairwise([*given.samples, (given.ends_at, 0.0)]):
            ours.tell(now, amount)
            percentage = ours.progress.percentage or 0.0
            found.backwards += percentage < shown
            shown = percentage
            if not given.is_percent and later[0] - now > TOLERANCE_S:
                found.stalls.append(_until_zero(ours.progress, now))
    return found


def ranges(given: Input) -> Iterator[tuple[float, tuple[float, float] | None]]:
    """Give the range that ours tells at each moment at which it is asked."""
    ours = _Ours(given)
    for now in replay(given, ours):
        yield now, ours.progress.eta_range(now)


def _count_ranges(given: Input, found: Promises) -> None:
    for now, told in ranges(given):
        if told is not None:
            found.ranges += 1
            found.sooner += given.ends_at - now < told[0]
            found.later += given.ends_at - now > told[1]


def _until_zero(progress: Progress, at: float) -> float:
    tenths = (tenth / 10 for tenth in range(1000))
    return next((idle for idle in tenths if progress.speed(at + idle + 1e-6) == 0), math.inf)


# -- Report ---------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Goal:
    """What is to hold, and what was found."""

    aim: str
    found: str
    holds: bool


def judge(form: str, inputs: Sequence[Input]) -> list[Goal]:
    """Print what each estimator does with one form of input, and give the goals."""
    told = {
        name: [answers(given, make(given)) for given in inputs] for name, make in ESTIMATORS.items()
    }
    figures = {name: Figures.of(one) for name, one in told.items()}
    kinds = list(dict.fromkeys(given.trace.kind for given in inputs))
    print(f"\n**{form}**\n")
    print("| | median | P90 | jitter | silent |", *(f" {kind} |" for kind in kinds), sep="")
    print("|---|" + "---|" * (4 + len(kinds)))
    for name, one in figures.items():
        of_kind = [
            quantile(
                errors(
                    answer
                    for given, download in zip(inputs, told[name], strict=True)
                    if given.trace.kind == kind
                    for answer in download
                ),
                0.5,
            )
            for kind in kinds
        ]
        cells = [one.median, one.p90, one.jitter, one.silent, *of_kind]
        print(f"| {name} |", *(f" {cell:.3f} |" for cell in cells), sep="")
    return [*_beats(told, figures), *_keeps(inputs)]


def _beats(told: dict[str, Told], figures: dict[str, Figures]) -> Iterator[Goal]:
    ours = figures["rbee"]
    for name in list(told)[1:]:
        theirs = figures[name]
        # The same moments too, or an estimator could win by saying nothing when it is hard.
        mine = Figures.of(shared(told["rbee"], told[name]))
        other = Figures.of(shared(told[name], told["rbee"]))
        won = f"less on {wins(told['rbee'], told[name])} of {len(told[name])} downloads"
        yield Goal(
            f"median error below {name}'s",
            f"{mine.median:.3f} to {other.median:.3f} where both answer; {won}",
            ours.median < theirs.median and mine.median < other.median,
        )
        yield Goal(
            f"P90 of the error below {name}'s",
            f"{mine.p90:.3f} to {other.p90:.3f} where both answer",
            ours.p90 < theirs.p90 and mine.p90 < other.p90,
        )
    ratio = ours.jitter / figures["tqdm"].jitter
    yield Goal("jitter at most a third of tqdm's", f"{ratio:.2f} of it", ratio <= 1 / 3)


def _keeps(inputs: Sequence[Input]) -> Iterator[Goal]:
    kept = promises(inputs)
    ends = f"{kept.sooner / kept.ranges:.1%} sooner, {kept.later / kept.ranges:.1%} later"
    yield Goal(
        "80 ± 5 % within the range", f"{kept.within:.1%}; {ends}", 0.75 <= kept.within <= 0.85
    )
    yield Goal("no percentage goes backwards", f"{kept.backwards} do", not kept.backwards)
    if kept.stalls:
        slowest = max(kept.stalls)
        yield Goal(
            "no speed 10 s into a stall",
            f"0 after {slowest:.1f} s at most, in {len(kept.stalls)} stalls",
            slowest <= TOLERANCE_S,
        )


FORMS: Final = {"bytes several times a second": as_bytes, "percent every 10 s": as_percent}


def main() -> int:
    """Replay, print, and tell whether all goals hold."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.eta", description=__doc__)
    parser.add_argument("--tuning", action="store_true", help="on the traces tuned on")
    options = parser.parse_args()
    traces = load("tuning.jsonl" if options.tuning else "judging.jsonl")
    print(
        f"{len(traces)} downloads; errors are |ln(ETA / true)|, to the right their median by kind"
    )
    held = True
    for form, read in FORMS.items():
        goals = judge(form, [read(trace) for trace in traces])
        print("\n| goal | found | |\n|---|---|---|")
        for goal in goals:
            print(f"| {goal.aim} | {goal.found} | {'held' if goal.holds else '**missed**'} |")
            held &= goal.holds
    return 0 if held else 1


if __name__ == "__main__":
    sys.exit(main())
