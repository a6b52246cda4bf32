"""Figures of the displays as tables, and the goals that the panel is judged by."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Final

from benchmarks.frames import LATE_MS, Pace
from benchmarks.panel_arms import IDLE, OURS, TQDM
from benchmarks.panel_page import MANY, Run, Ticks, rate_of
from benchmarks.report import Verdict, line

CPU_ROWS: Final = 20
CPU_SHARE: Final = 0.25
TICK_RATIO: Final = 1.5
DELAY_MS: Final = 300.0


@dataclass(slots=True)
class Runs:
    """All runs of one arm with so many rows; `faults` tell of those that failed."""

    done: list[Run] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)

    def values(self, of: Callable[[Run], float | None]) -> list[float]:
        """Give a figure of each run, none where one failed: its others are luck."""
        found = [] if self.faults else map(of, self.done)
        return [figure for figure in found if figure is not None]

    def median(self, of: Callable[[Run], float | None]) -> float | None:
        """Give its median; None where there is none."""
        values = self.values(of)
        return median(values) if values else None


Figures = Mapping[tuple[int, str], Runs]
"""All runs, by rows and arm."""


Part = Callable[[Run], Pace | None]
"""A part of a run in which frames were looked at."""


def p50(run: Run) -> float | None:
    """Milliseconds of the usual delay."""
    return None if run.delays is None else run.delays.p50


def p95(run: Run) -> float | None:
    """Milliseconds that one delay in twenty is longer than."""
    return None if run.delays is None else run.delays.p95


def _still(run: Run) -> Pace | None:
    return run.still


def _scrolled(run: Run) -> Pace | None:
    return run.scrolled


def _of_frames(runs: Runs, part: Part, of: Callable[[Pace], float]) -> float | None:
    return runs.median(lambda run: None if (pace := part(run)) is None else of(pace))


def driver(figures: Figures, rows: int) -> float | None:
    """Give the kernel's milliseconds per update that tells nothing, at the pace of so many rows."""
    idle = [
        runs.median(lambda run: run.cpu)
        for (others, arm), runs in figures.items()
        if arm == IDLE and rate_of(others) == rate_of(rows)
    ]
    return idle[0] if idle else None


# -- Tables ---------------------------------------------------------------------------------------


def table(figures: Figures, rows: int) -> str:
    """Draw all arms with so many rows."""
    head = (
        *("display", "kernel ms/update (min–max)", "without the driver"),
        *("messages/s", "bytes/update", "bytes/message"),
        *("main thread ms/s (min–max)", "delay ms: p50", "p95", "frames/s"),
    )
    spent = driver(figures, rows)
    lines = [_row(arm, runs, spent) for (size, arm), runs in figures.items() if size == rows]
    title = f"### {_counted(rows)}, {rate_of(rows):.0f} updates a second"
    return _drawn(title, head, lines)


def _row(arm: str, runs: Runs, spent: float | None) -> list[str]:
    if runs.faults:
        total = len(runs.faults) + len(runs.done)
        return [arm, f"failed, {len(runs.faults)} of {total}: {runs.faults[0]}", *["–"] * 8]
    cpu = runs.median(lambda run: run.cpu)
    return [
        arm,
        _spread(runs, lambda run: run.cpu, 3),
        _figure(None if cpu is None or spent is None else cpu - spent, 3),
        _figure(runs.median(lambda run: run.messages), 1),
        _figure(runs.median(lambda run: run.size), 0),
        _figure(runs.median(lambda run: run.message), 0),
        _spread(runs, lambda run: run.main, 0),
        _figure(runs.median(p50), 0),
        _figure(runs.median(p95), 0),
        _figure(_of_frames(runs, _still, lambda pace: pace.rate), 1),
    ]


def frames_table(figures: Figures, rows: int) -> str:
    """Draw how smooth a page with so many rows is."""
    each = ("frames/s", "ms between two: p95", f"> {LATE_MS:.0f} ms")
    head = ("display", *(f"{when}: {what}" for when in ("still", "scrolling") for what in each))
    lines = []
    for (size, arm), runs in figures.items():
        cells = [*_paces(runs, _still), *_paces(runs, _scrolled)]
        if size == rows and any(run.still for run in runs.done):
            lines.append([arm, *cells])
    return _drawn(f"### {_counted(rows)}, frames", head, lines)


def _paces(runs: Runs, part: Part) -> list[str]:
    late = _of_frames(runs, part, lambda pace: pace.late)
    return [
        _figure(_of_frames(runs, part, lambda pace: pace.rate), 1),
        _figure(_of_frames(runs, part, lambda pace: pace.p95), 1),
        "–" if late is None else f"{late:.1%}",
    ]


def ticks_table(ticks: Mapping[int, Ticks]) -> str:
    """Draw what is sent for one active row."""
    head = ("rows", "ticks/s", "bytes a tick", "bytes of all messages, for each tick")
    lines = [
        [str(rows), f"{one.rate:.1f}", f"{one.size:.0f}", f"{one.whole:.0f}"]
        for rows, one in ticks.items()
    ]
    return _drawn("### 1 active row, the others complete", head, lines)


def _counted(rows: int) -> str:
    return f"{rows} row" if rows == 1 else f"{rows} rows"


def _drawn(title: str, head: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    return "\n".join([title, "", line(head), line(["---"] * len(head)), *map(line, lines), ""])


def _figure(value: float | None, digits: int) -> str:
    return "–" if value is None else f"{value:.{digits}f}"


def _spread(runs: Runs, of: Callable[[Run], float], digits: int) -> str:
    values = runs.values(of)
    if not values:
        return "–"
    low, middle, high = (f"{one:.{digits}f}" for one in (min(values), median(values), max(values)))
    return f"{middle} ({low}–{high})"


# -- Goals ----------------------------------------------------------------------------------------


def judge(figures: Figures, ticks: Mapping[int, Ticks]) -> list[Verdict]:
    """Judge what was measured; what was to be and failed is missed."""
    sizes = dict.fromkeys(rows for rows, _ in figures)
    verdicts = [_judge_cpu(figures)] if (CPU_ROWS, TQDM) in figures else []
    if MANY in sizes:
        verdicts.append(_judge_ticks(ticks))
    verdicts += [_judge_delay(figures, rows) for rows in sizes]
    if MANY in sizes:
        verdicts.append(_judge_frames(figures, "still", _still))
        verdicts.append(_judge_frames(figures, "scrolling", _scrolled))
    return verdicts


def _judge_cpu(figures: Figures) -> Verdict:
    # The driver wakes the loop for each update, whatever is shown: that is no display's cost.
    wanted = f"kernel CPU an update adds ≤ {CPU_SHARE} × {TQDM}'s, {CPU_ROWS} rows"
    ours = figures[CPU_ROWS, OURS].median(lambda run: run.cpu)
    theirs = figures[CPU_ROWS, TQDM].median(lambda run: run.cpu)
    spent = driver(figures, CPU_ROWS)
    if ours is None or theirs is None or spent is None:
        return _unmeasured(wanted)
    net = (ours - spent) / (theirs - spent)
    text = f"{wanted}: {net:.2f}; the driver's included {ours / theirs:.2f}"
    return Verdict(text, net <= CPU_SHARE)


def _judge_ticks(ticks: Mapping[int, Ticks]) -> Verdict:
    wanted = f"bytes of a tick for 1 of {MANY} rows ≤ {TICK_RATIO} × for 1 of 1"
    if not {1, MANY} <= ticks.keys():
        return _unmeasured(wanted)
    one, many = ticks[1], ticks[MANY]
    text = f"{wanted}: {many.size / one.size:.2f}; of all messages {many.whole / one.whole:.2f}"
    return Verdict(text, many.size <= TICK_RATIO * one.size)


def _judge_delay(figures: Figures, rows: int) -> Verdict:
    wanted = f"p95 of the delay ≤ {DELAY_MS:.0f} ms, {_counted(rows)}"
    delay = figures[rows, OURS].median(p95)
    if delay is None:
        return _unmeasured(wanted)
    return Verdict(f"{wanted}: {delay:.0f}", delay <= DELAY_MS)


def _judge_frames(figures: Figures, when: str, part: Part) -> Verdict:
    wanted = f"60 frames a second with {MANY} rows, {when}: p95 between two ≤ {LATE_MS:.0f} ms"
    ours, idle = (
        _of_frames(figures[MANY, arm], part, lambda pace: pace.p95) for arm in (OURS, IDLE)
    )
    if ours is None or idle is None:
        return _unmeasured(wanted)
    return Verdict(f"{wanted}: {ours:.1f}; plain text {idle:.1f}", ours <= LATE_MS)


def _unmeasured(wanted: str) -> Verdict:
    return Verdict(f"{wanted}: not measured, as a run failed", is_held=False)
