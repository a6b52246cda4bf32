"""Measure the panel beside what else shows progress in a notebook, in a real JupyterLab.

    python -m benchmarks.panel                      everything; ends with 1 if a goal is missed
    python -m benchmarks.panel --rows 20 --rounds 1
    python -m benchmarks.panel --only-ours --rows 1000

Each display has a notebook and a kernel of its own, in an order that is shuffled anew each round.
Figures are medians of the rounds.
"""

from __future__ import annotations

import argparse
import random
import signal
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from benchmarks.notebooks import setting
from benchmarks.panel_arms import IDLE, IPYWIDGETS, OURS, RICH, TQDM, TRACKER
from benchmarks.panel_page import MANY, Bench, RunError, Ticks
from benchmarks.panel_report import CPU_ROWS, Runs, frames_table, judge, table, ticks_table
from benchmarks.report import Verdict
from tests.support.lab import Lab

ROWS: Final = (1, 20, 100, MANY)
PACKAGES: Final = ("jupyterlab", "ipykernel", "ipywidgets", "anywidget", "tqdm", "rich")


@dataclass(frozen=True, slots=True)
class Options:
    """What the command line asks for; `seed` makes the order of the displays repeatable."""

    rows: tuple[int, ...]
    rounds: int
    only_ours: bool
    seed: int


def arms(rows: int, options: Options) -> list[str]:
    """Name what is shown with so many rows.

    A thousand of the others' bars take longer to come than a run lasts. What the driver and the
    tracker cost by themselves is measured once for each pace.
    """
    few = [size for size in options.rows if size < MANY]
    base = CPU_ROWS if CPU_ROWS in few else min(few, default=MANY)
    peers = [] if rows >= MANY or options.only_ours else [TQDM, IPYWIDGETS, RICH]
    return [OURS, *peers, *([TRACKER, IDLE] if rows in (base, MANY) else [])]


def run(options: Options, lab: Lab) -> list[Verdict]:
    """Measure and tell; gives what the goals came to."""
    bench = Bench(lab)
    chance = random.Random(options.seed)  # noqa: S311 (an order, not a secret)
    figures = {(rows, arm): Runs() for rows in options.rows for arm in arms(rows, options)}
    for number in range(options.rounds):
        bench.renew()
        for rows, arm in chance.sample(list(figures), len(figures)):
            _log(f"round {number + 1}: {rows} rows, {arm}")
            try:
                figures[rows, arm].done.append(bench.run(arm, rows))
            except RunError as error:
                figures[rows, arm].faults.append(str(error))
                bench.renew()
    ticks = _ticks(bench) if MANY in options.rows else {}
    for rows in options.rows:
        print(table(figures, rows))
    if MANY in options.rows:
        print(frames_table(figures, MANY), ticks_table(ticks), sep="\n")
    for message in lab.console_errors:
        _log(f"a page said: {message.text}")
    return judge(figures, ticks)


def _ticks(bench: Bench) -> dict[int, Ticks]:
    """Measure once: bytes are not a matter of luck."""
    ticks = {}
    for rows in (1, MANY):
        _log(f"ticks, {rows} rows")
        try:
            ticks[rows] = bench.ticks(rows)
        except RunError as error:
            _log(str(error))
    return ticks


def _command(options: Options) -> str:
    """Give the command that measures the same, in the same order."""
    ours = " --only-ours" if options.only_ours else ""
    rows = ",".join(map(str, options.rows))
    return (
        f"python -m benchmarks.panel --rows {rows} --rounds {options.rounds} "
        f"--seed {options.seed}{ours}"
    )


def _log(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _options(arguments: Sequence[str] | None) -> Options:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.panel", description=__doc__)
    parser.add_argument("--rows", default=",".join(map(str, ROWS)), help="default: %(default)s")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only-ours", action="store_true", help="for tuning")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 32))
    options = parser.parse_args(arguments)
    try:
        rows = tuple(sorted(map(int, options.rows.split(","))))
    except ValueError:
        rows = ()
    if not rows or rows[0] < 1 or rows[-1] > MANY:
        parser.error(f"--rows takes numbers from 1 to {MANY}, as {parser.get_default('rows')}")
    return Options(rows, options.rounds, options.only_ours, options.seed)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmark; gives the exit status."""
    options = _options(arguments)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that all that runs is ended
    with Lab() as lab:
        print(f"- {setting(lab, PACKAGES)}\n- `{_command(options)}`\n", flush=True)
        verdicts = run(options, lab)
    print("### Goals", "", *verdicts, sep="\n")
    return 0 if all(verdict.is_held for verdict in verdicts) else 1


if __name__ == "__main__":
    sys.exit(main())
