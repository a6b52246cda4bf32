"""Figures of the engines: what was measured, as tables, and the goals that it is judged by.

Engines in Python are judged by the time of their transfer alone, since a hive starts once for many
downloads; the process of a tool in C is its transfer.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal

from benchmarks.cases import Case
from benchmarks.child import Cost
from benchmarks.engines import ARIA2_FILES, ARIA2_MANY, ARIA2_ONE, HUB, OURS
from benchmarks.memory import Memory

GIB: Final = 1 << 30
MIB: Final = 1 << 20
GROWTH: Final = 80 * MIB
"""Bytes that eight downloads at once may add to an idle hive."""


@dataclass(slots=True)
class Runs:
    """All runs of one engine in one case; `faults` tell of those that failed, `costs` of others."""

    costs: list[Cost] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)

    def median(self, of: Callable[[Cost], float]) -> float | None:
        """Give a figure's median; None where any run failed, as its others are luck."""
        return statistics.median(map(of, self.costs)) if self.costs and not self.faults else None


Figures = Mapping[str, Runs]
"""The runs of a case by their engine's name."""


def process_wall(cost: Cost) -> float:
    """Seconds of the whole process."""
    return cost.process.wall


def process_cpu(cost: Cost) -> float:
    """Seconds that the whole process computed."""
    return cost.process.cpu


def transfer_wall(cost: Cost) -> float:
    """Seconds of the transfer alone."""
    return cost.transfer.wall


def transfer_cpu(cost: Cost) -> float:
    """Seconds that the transfer alone computed."""
    return cost.transfer.cpu


# -- Tables ---------------------------------------------------------------------------------------


def table(case: Case, figures: Figures) -> str:
    """Draw a case."""
    each = "CPU s/GiB" if case.count == 1 else "CPU ms/file"
    head = (
        *("engine", "process s (min–max)", "transfer s (min–max)", "MB/s of the transfer"),
        *(f"{each}: transfer", f"{each}: process", "peak memory MiB"),
        *(f"process, speed vs {case.reference}", "transfer, the same"),
    )
    rows = [_row(case, name, figures) for name in figures]
    lines = [line(head), line(["---"] * len(head)), *map(line, rows)]
    title = f"## {case.name}: {case.title}, {case.place}"
    return "\n".join([title, "", *lines, ""])


def _row(case: Case, name: str, figures: Figures) -> list[str]:
    runs = figures[name]
    if runs.faults:
        total = len(runs.faults) + len(runs.costs)
        return [name, f"failed, {len(runs.faults)} of {total}: {runs.faults[0]}", *["–"] * 7]
    size = case.size * case.count
    unit = size / GIB if case.count == 1 else case.count / 1e3
    wall = statistics.median(map(transfer_wall, runs.costs))
    memory = statistics.median(cost.memory for cost in runs.costs)
    return [
        name,
        _spread(runs, process_wall),
        _spread(runs, transfer_wall),
        f"{size / wall / 1e6:.0f}",
        f"{statistics.median(map(transfer_cpu, runs.costs)) / unit:.2f}",
        f"{statistics.median(map(process_cpu, runs.costs)) / unit:.2f}",
        f"{memory / MIB:.0f}",
        _ratio(figures.get(case.reference), runs, process_wall),
        _ratio(figures.get(case.reference), runs, transfer_wall),
    ]


def line(cells: Sequence[str]) -> str:
    """Draw a line of a table."""
    return f"| {' | '.join(cells)} |"


def _spread(runs: Runs, of: Callable[[Cost], float]) -> str:
    values = [of(cost) for cost in runs.costs]
    return f"{statistics.median(values):.2f} ({min(values):.2f}–{max(values):.2f})"


def _ratio(above: Runs | None, below: Runs | None, of: Callable[[Cost], float]) -> str:
    ratio = _quotient(above, below, of)
    return "–" if ratio is None else f"{ratio:.2f}"


def _quotient(above: Runs | None, below: Runs | None, of: Callable[[Cost], float]) -> float | None:
    """Divide two medians; None where one of them is not to be had."""
    dividend = above.median(of) if above is not None else None
    divisor = below.median(of) if below is not None else None
    return dividend / divisor if dividend is not None and divisor else None


# -- Goals ----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Goal:
    """What ours must reach: `bound` times a peer's speed or more, or its CPU time or less."""

    case: str
    peer: str
    what: Literal["speed", "CPU time"]
    bound: float


GOALS: Final = (
    Goal("256MiB", ARIA2_ONE, "speed", 2.0),
    Goal("256MiB", HUB, "speed", 3.0),
    Goal("256MiB", HUB, "CPU time", 0.5),
    Goal("2GiB", ARIA2_ONE, "speed", 1.0),
    Goal("capped", ARIA2_MANY, "speed", 1.2),
    Goal("small", ARIA2_FILES, "speed", 1.2),
)


@dataclass(frozen=True, slots=True)
class Verdict:
    """A goal beside what was measured."""

    text: str
    is_held: bool

    def __str__(self) -> str:
        return f"- {'held' if self.is_held else '**missed**'}: {self.text}"


def judge(goal: Goal, figures: Figures) -> Verdict:
    """Judge a goal by the transfer alone; what can't be told is missed."""
    ours, peer = figures.get(OURS), figures.get(goal.peer)
    if goal.what == "speed":
        sign = "≥"
        ratio = _quotient(peer, ours, transfer_wall)
        whole = _quotient(peer, ours, process_wall)
    else:
        sign = "≤"
        ratio = _quotient(ours, peer, transfer_cpu)
        whole = _quotient(ours, peer, process_cpu)
    wanted = f"{goal.what} {sign} {goal.bound} × {goal.peer} ({goal.case})"
    if ratio is None or whole is None:
        return Verdict(f"{wanted}: not measured, as a run failed", is_held=False)
    is_held = ratio >= goal.bound if sign == "≥" else ratio <= goal.bound
    return Verdict(f"{wanted}: {ratio:.2f}; by whole processes {whole:.2f}", is_held)


def judge_memory(memory: Memory, count: int) -> Verdict:
    """Judge what downloads add to a hive."""
    text = (
        f"{count} downloads at once add ≤ {GROWTH / MIB:.0f} MiB to a hive: "
        f"{memory.growth / MIB:.0f} MiB, from {memory.idle / MIB:.0f} to "
        f"{memory.peak / MIB:.0f} MiB, in {memory.wall:.1f} s"
    )
    return Verdict(text, memory.growth <= GROWTH)
