"""What runs inside the kernel: the displays that are compared, and the one driver that tells them.

Every display is told the same updates at the same pace, by the same task on the kernel's loop, and
keeps its defaults. An update is a row, and how many of `TOTAL` are done of it.

    from benchmarks.panel_arms import begin
    task = begin("rbee_widgets", rows=20, active=20, rate=100.0, path="told.json")
"""

from __future__ import annotations

import asyncio
import json
import random
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Final, Protocol

from IPython.display import HTML, display

TOTAL: Final = 3000
"""What a row counts to: megabytes, where a display has a unit."""

LASTS_S: Final = 60.0
"""Seconds from the first update to the last, which choose how far a row goes at each: more than a
run takes. One row alone, told a hundred times a second, is done after thirty."""

OURS: Final = "rbee_widgets"
TQDM: Final = "tqdm.notebook"
IPYWIDGETS: Final = "ipywidgets"
RICH: Final = "rich"
IDLE: Final = "idle"
TRACKER: Final = "tracker alone"


def name_of(row: int) -> str:
    """Name a row, by which the page finds it again; all names are of a length."""
    return f"bench/row-{row:04}"


# -- What is compared -----------------------------------------------------------------------------


class Arm(Protocol):
    """A display, or what stands in its place."""

    def tell(self, row: int, done: int) -> None:
        """Take in that so much of a row is done."""

    def level(self, done: int) -> float:
        """Give the figure that the page shows of so much; by it the page tells when it does."""


class _Tracker:
    """Downloads that hear the narration of a hive, and nobody who looks at them.

    The rows from `active` on are complete before it begins.
    """

    def __init__(self, rows: int, active: int) -> None:
        from tests.support.stage import MB, Stage, progress  # noqa: PLC0415 (an arm loads its own)

        @cache  # what a hive says it has paid for
        def said(done: int) -> str:
            return progress(done * MB, TOTAL * MB)

        self._said = said
        self.stage = Stage()
        for row in range(active, rows):
            self.stage.enter(f"{name_of(row)}:file.gguf", self._said(TOTAL), "[DONE]")
        self._downloads = [
            self.stage.enter(f"{name_of(row)}:file.gguf", self._said(0)) for row in range(active)
        ]

    def tell(self, row: int, done: int) -> None:
        self.stage.hear(self._downloads[row], self._said(done))

    def level(self, done: int) -> float:
        """Percent, cut to tenths."""
        return done * 1000 // TOTAL / 10


class _Ours(_Tracker):
    """The same with the panel."""

    def __init__(self, rows: int, active: int) -> None:
        from rbee_widgets import DownloadPanel  # noqa: PLC0415

        super().__init__(rows, active)
        display(DownloadPanel(self.stage))


class _Tqdm:
    """A bar in the notebook for each row."""

    def __init__(self, rows: int, _: int) -> None:
        from tqdm.notebook import tqdm  # noqa: PLC0415

        self._bars = [tqdm(total=TOTAL, desc=name_of(row)) for row in range(rows)]

    def tell(self, row: int, done: int) -> None:
        bar = self._bars[row]
        bar.update(done - bar.n)

    def level(self, done: int) -> float:
        return done


class _Ipywidgets:
    """A plain bar and a label for each row, set with each update."""

    def __init__(self, rows: int, _: int) -> None:
        import ipywidgets  # noqa: PLC0415

        self._bars = [ipywidgets.IntProgress(max=TOTAL) for _ in range(rows)]
        self._labels = [ipywidgets.HTML() for _ in range(rows)]
        for row in range(rows):
            self.tell(row, 0)
        pairs = zip(self._bars, self._labels, strict=True)
        display(ipywidgets.VBox([ipywidgets.HBox(pair) for pair in pairs]))

    def tell(self, row: int, done: int) -> None:
        self._bars[row].value = done
        self._labels[row].value = f"{name_of(row)}: {done}/{TOTAL} MB"

    def level(self, done: int) -> float:
        return done


class _Rich:
    """All rows in one live display, as rich shows it in a notebook."""

    def __init__(self, rows: int, _: int) -> None:
        from rich.progress import Progress  # noqa: PLC0415

        self._progress = Progress()
        self._tasks = [self._progress.add_task(name_of(row), total=TOTAL) for row in range(rows)]
        self._progress.start()

    def tell(self, row: int, done: int) -> None:
        self._progress.update(self._tasks[row], completed=done)

    def level(self, done: int) -> float:
        """Percent, rounded."""
        return round(100 * done / TOTAL)


class _Idle:
    """Nothing to tell: what the driver and a page at rest cost. Its lines are there to scroll."""

    def __init__(self, rows: int, _: int) -> None:
        lines = "".join(f"<div>{name_of(row)}</div>" for row in range(rows))
        display(HTML(f'<div style="line-height: 40px">{lines}</div>'))

    def tell(self, row: int, done: int) -> None:
        pass

    def level(self, done: int) -> float:
        return done


ARMS: Final[dict[str, Callable[[int, int], Arm]]] = {
    OURS: _Ours,
    TQDM: _Tqdm,
    IPYWIDGETS: _Ipywidgets,
    RICH: _Rich,
    TRACKER: _Tracker,
    IDLE: _Idle,
}


# -- The driver -----------------------------------------------------------------------------------

Told = tuple[float, int, float, float]
"""Unix seconds just before an update, its row and level, and the kernel's CPU seconds after it."""


def begin(name: str, *, rows: int, active: int, rate: float, path: str) -> asyncio.Task[None]:
    """Show an arm in this cell, and tell it `rate` updates a second, spread over its active rows.

    Ends at a SIGUSR1, and then writes all that was told to `path`, as JSON.
    """
    loop = asyncio.get_running_loop()
    task = loop.create_task(_drive(ARMS[name](rows, active), active, rate, Path(path)))
    loop.add_signal_handler(signal.SIGUSR1, task.cancel)
    return task


async def _drive(arm: Arm, active: int, rate: float, path: Path) -> None:
    told: list[Told] = []
    step = max(1, round(TOTAL * active / (rate * LASTS_S)))
    # Not one row after the other: those in sight would all be told at about the same moment.
    order = random.Random(0).sample(range(active), active)  # noqa: S311 (the same in every run)
    begun = time.monotonic()
    with suppress(asyncio.CancelledError):
        for count in range(active * (TOTAL // step - 1)):
            await asyncio.sleep(begun + count / rate - time.monotonic())
            row, done = order[count % active], step * (count // active + 1)
            at = time.time()
            arm.tell(row, done)
            told.append((at, row, arm.level(done), time.process_time()))
    unfinished = path.with_suffix(".part")
    unfinished.write_text(json.dumps(told))
    unfinished.rename(path)
