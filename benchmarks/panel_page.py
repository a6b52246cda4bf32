"""One run: a display in a notebook of its own, and what it costs the kernel, the wire and the page.

Its parts follow each other, so that a close look does not cost what is measured: first costs, with
nothing of ours at work in the page; then delays and frames; then frames while the page scrolls.
"""

from __future__ import annotations

import json
import os
import re
import signal
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Final

from playwright.sync_api import Error, Page, WebSocket

from benchmarks.frames import PACED, SCROLL, Pace, p95_of, pace_of
from benchmarks.notebooks import Notebooks
from benchmarks.panel_arms import IPYWIDGETS, OURS, RICH, TQDM, TRACKER, Told
from tests.support.lab import Lab

SETTLES_S: Final = 2.0
"""Seconds that a display is left to itself before anything is measured."""

COST_S: Final = 4.0
WATCH_S: Final = 4.0
LONG_WATCH_S: Final = 20.0
"""With many rows few are in sight, and each is told something every few seconds."""

MANY: Final = 1000
"""Rows that are many; their page is scrolled too."""

SCROLL_S: Final = 5.0
SCROLL_STEP: Final = 40
"""Pixels a frame."""

TICKS_S: Final = 31.0
"""Longer than what lies between two whole states of the panel: one is among what is counted."""

PATIENCE_S: Final = 1.0
"""Seconds that an update has at least to come into sight."""

LIMIT_S: Final = 20.0

RATE: Final = 100.0
MANY_RATE: Final = 200.0
"""Updates a second that many rows are told: each one in five seconds, so that none is a stall."""

TICK_RATE: Final = 20.0
"""Updates a second of the one row that is active among others: something new in each tick."""

_OUTER: Final = ".jp-WindowedPanel-outer"
"""What scrolls."""

_NODES: Final = {
    OURS: ".rbee-row",
    TQDM: ".widget-hbox",
    IPYWIDGETS: ".widget-hbox",
    RICH: ".jp-OutputArea-output pre",
}
"""What holds a row; of rich what holds them all, a line each."""


def rate_of(rows: int) -> float:
    """Give the updates a second that so many rows are told."""
    return MANY_RATE if rows >= MANY else RATE


class RunError(Exception):
    """Raised when a display does not come, or its kernel tells nothing."""


# -- What is found --------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Delays:
    """Milliseconds from an update's telling to the frame that shows it, or a later one."""

    count: int
    p50: float
    p95: float


@dataclass(frozen=True, slots=True)
class Run:
    """What a display cost, per update unless said otherwise."""

    cpu: float
    """Milliseconds of the kernel, all its threads."""

    rate: float
    """Updates a second that the driver came to."""

    messages: float
    """A second, all that the page received of the kernel."""

    size: float
    """Bytes received."""

    main: float
    """Milliseconds a second of the page's main thread."""

    delays: Delays | None
    still: Pace | None
    scrolled: Pace | None

    @property
    def message(self) -> float | None:
        """Bytes of a message."""
        return self.size * self.rate / self.messages if self.messages else None


@dataclass(frozen=True, slots=True)
class Ticks:
    """What the panel sends while one row is active."""

    rate: float
    """Ticks a second: deltas of the rows that changed."""

    size: float
    """Bytes of a tick."""

    whole: float
    """Bytes of all messages, whole states and signs of life among them, for each tick."""


# -- The wire -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Frame:
    """One message on a kernel's websocket; `kind`: the panel's own word for it."""

    size: int
    kind: str


class Wire:
    """What the pages of a browser receive of their kernels."""

    def __init__(self) -> None:
        self._frames: list[Frame] = []

    def follow(self, page: Page) -> None:
        """Listen to a page that is not loaded yet."""
        page.on("websocket", self._watch)

    def take(self) -> list[Frame]:
        """Give what came since the last time."""
        frames, self._frames = self._frames, []
        return frames

    def _watch(self, websocket: WebSocket) -> None:
        if "/channels" in websocket.url:
            websocket.on("framereceived", self._note)

    def _note(self, payload: str | bytes) -> None:
        content = payload if isinstance(payload, bytes) else payload.encode()
        kind = re.search(rb'"kind": ?"(\w+)"', content)
        self._frames.append(Frame(len(content), kind[1].decode() if kind else ""))


# -- A notebook -----------------------------------------------------------------------------------


class Bench:
    """A JupyterLab in one page of a browser, in which one display after the other is shown."""

    def __init__(self, lab: Lab) -> None:
        self._lab = lab
        self._notebooks = Notebooks(lab)
        self._wire = Wire()
        self._notebooks.context.on("page", self._wire.follow)
        self._count = 0

    def renew(self) -> None:
        """Leave the page, and all that the displays have left in it."""
        self._notebooks.renew()

    def run(self, arm: str, rows: int) -> Run:
        """Measure an arm.

        Raises
        ------
        RunError
            It showed nothing.

        """
        with self._shown(arm, rows, rows, rate_of(rows)) as notebook:
            costs = notebook.costs(COST_S)
            watch = still = scrolled = None
            if arm != TRACKER:
                watch = notebook.watch(arm, LONG_WATCH_S if rows >= MANY else WATCH_S)
                still = watch.pace
            if rows >= MANY and arm != TRACKER:
                scrolled = notebook.scroll(SCROLL_S)
            told = notebook.end()
        cpu, rate = _cpu(told, costs)
        return Run(
            cpu=cpu,
            rate=rate,
            messages=len(costs.frames) / costs.seconds,
            size=sum(frame.size for frame in costs.frames) / (rate * costs.seconds),
            main=costs.main * 1e3 / costs.seconds,
            delays=_delays(told, watch) if watch else None,
            still=still,
            scrolled=scrolled,
        )

    def ticks(self, rows: int) -> Ticks:
        """Measure what is sent of a panel in which all rows but one are complete.

        Raises
        ------
        RunError
            It showed nothing, or sent no tick.

        """
        with self._shown(OURS, rows, 1, TICK_RATE) as notebook:
            costs = notebook.costs(TICKS_S)
        sizes = [frame.size for frame in costs.frames if frame.kind == "delta"]
        if not sizes:
            raise RunError("no tick came")
        whole = sum(frame.size for frame in costs.frames) / len(sizes)
        return Ticks(len(sizes) / costs.seconds, median(sizes), whole)

    @contextmanager
    def _shown(self, arm: str, rows: int, active: int, rate: float) -> Iterator[_Notebook]:
        self._count += 1
        told = self._lab.folder / f"told-{self._count}.json"
        call = f"begin({arm!r}, rows={rows}, active={active}, rate={rate}, path={str(told)!r})"
        # What rich prints once its cell has ended is lost: so that cell goes on as long as it does.
        wait = "\nawait task" if arm == RICH else ""
        cell = f"from benchmarks.panel_arms import begin\n\ntask = {call}{wait}"
        with self._notebooks.open(f"run-{self._count}.ipynb", cell) as page:
            self._lab.run_cell(page, 0)
            _wait_shown(self._lab, page, arm)
            page.wait_for_timeout(SETTLES_S * 1e3)
            (kernel,) = self._lab.kernel_pids()
            yield _Notebook(page, self._wire, kernel, told)


def _wait_shown(lab: Lab, page: Page, arm: str) -> None:
    try:
        if arm == TRACKER:
            lab.wait_idle(page, timeout=LIMIT_S)
        else:
            output = page.locator(".jp-OutputArea-output")
            output.get_by_text("bench/row-").first.wait_for(timeout=LIMIT_S * 1e3)
    except Error as error:
        said = [": ".join(one) for one in lab.errors(page)]
        raise RunError(" ".join(["it does not come", *said])) from error


@dataclass(frozen=True, slots=True)
class _Costs:
    begun: float
    """Unix seconds."""
    ended: float
    frames: Sequence[Frame]
    main: float
    """Seconds of the page's main thread."""

    @property
    def seconds(self) -> float:
        return self.ended - self.begun


@dataclass(frozen=True, slots=True)
class _Watch:
    begun: float
    ended: float
    rows: frozenset[int]
    """Those in sight."""
    seen: Sequence[tuple[float, int, float]]
    """Unix seconds, row and level, oldest first."""
    pace: Pace


class _Notebook:
    """A display that is there, and its kernel."""

    def __init__(self, page: Page, wire: Wire, kernel: int, told: Path) -> None:
        self._page = page
        self._wire = wire
        self._kernel = kernel
        self._told = told

    def costs(self, seconds: float) -> _Costs:
        session = self._page.context.new_cdp_session(self._page)
        session.send("Performance.enable")

        def main() -> float:
            metrics = session.send("Performance.getMetrics")["metrics"]
            return float({one["name"]: one["value"] for one in metrics}["TaskDuration"])

        before = main()
        self._wire.take()
        begun = time.time()
        self._page.wait_for_timeout(seconds * 1e3)
        ended = time.time()
        frames = self._wire.take()
        costs = _Costs(begun, ended, frames, main() - before)
        session.detach()
        return costs

    def watch(self, arm: str, seconds: float) -> _Watch:
        found = self._page.evaluate(_WATCH, [_NODES.get(arm), arm == RICH, seconds * 1e3])
        return _Watch(
            found["begun"],
            found["ended"],
            frozenset(found["rows"]),
            [tuple(one) for one in found["seen"]],
            pace_of(found["frames"]),
        )

    def scroll(self, seconds: float) -> Pace:
        return pace_of(self._page.evaluate(SCROLL, [_OUTER, seconds * 1e3, SCROLL_STEP]))

    def end(self) -> list[Told]:
        """Stop the driver, and give all that was told."""
        os.kill(self._kernel, signal.SIGUSR1)
        deadline = time.monotonic() + LIMIT_S
        while not self._told.exists():
            if time.monotonic() > deadline:
                raise RunError("its kernel tells nothing")
            self._page.wait_for_timeout(10)
        return [tuple(one) for one in json.loads(self._told.read_text())]


# -- Inside the page ------------------------------------------------------------------------------

# What a page shows is on the screen with the second frame after it changed, at the latest.
_WATCH: Final = f"""
    async ([selector, isText, milliseconds]) => {{
        {PACED}
        const outer = document.querySelector('{_OUTER}');
        const place = outer.getBoundingClientRect();
        const isInSight = (top, bottom) => top >= place.top && bottom <= place.bottom;
        const rowOf = text => Number(/row-(\\d+)/.exec(text)[1]);
        const levelOf = text => Number((/(\\d+)\\/\\d+/.exec(text) ?? /(\\d+)%/.exec(text))[1]);
        const lines = () => document.querySelector(selector).textContent.split('\\n')
            .filter(line => line.includes('row-'));

        const byNode = () => {{
            const nodes = [...document.querySelectorAll(selector)].filter(node => {{
                // To ask for the place of what the browser leaves out has it laid out.
                if (!node.checkVisibility({{ contentVisibilityAuto: true }})) return false;
                const {{ top, bottom }} = node.getBoundingClientRect();
                return isInSight(top, bottom);
            }});
            const rows = nodes.map(node => rowOf(node.textContent));
            const bars = nodes.map(node => node.querySelector('[role=progressbar]'));
            const level = (node, i) =>
                bars[i] ? Number(bars[i].getAttribute('aria-valuenow')) : levelOf(node.textContent);
            return {{ rows, read: () => nodes.map((node, i) => [rows[i], level(node, i)]) }};
        }};
        const byLine = () => {{
            const {{ top, height }} = document.querySelector(selector).getBoundingClientRect();
            const each = height / lines().length;
            const shown = lines().filter((_, i) => isInSight(top + i * each, top + (i + 1) * each));
            const count = shown.length;
            const read = () => lines().slice(0, count).map(line => [rowOf(line), levelOf(line)]);
            return {{ rows: shown.map(rowOf), read }};
        }};
        const nothing = () => ({{ rows: [], read: () => [] }});

        const {{ rows, read }} = (selector === null ? nothing : isText ? byLine : byNode)();
        const last = new Map(read());
        const seen = [];
        const look = () => {{
            const fresh = read().filter(([row, level]) => last.get(row) !== level);
            if (fresh.length === 0) return;
            for (const [row, level] of fresh) last.set(row, level);
            const onScreen = () => {{
                const at = Date.now() / 1000;
                for (const [row, level] of fresh) seen.push([at, row, level]);
            }};
            requestAnimationFrame(() => requestAnimationFrame(onScreen));
        }};
        const observer = new MutationObserver(look);
        observer.observe(outer, {{
            subtree: true, childList: true, characterData: true,
            attributes: true, attributeFilter: ['aria-valuenow'],
        }});
        await paced(100);
        const begun = Date.now() / 1000;
        const frames = await paced(milliseconds);
        observer.disconnect();
        return {{ begun, ended: Date.now() / 1000, rows, seen, frames }};
    }}
"""


# -- From what was seen to figures ----------------------------------------------------------------


def _cpu(told: Sequence[Told], costs: _Costs) -> tuple[float, float]:
    """Give the kernel's milliseconds for an update, and updates a second."""
    within = [(at, cpu) for at, _, _, cpu in told if costs.begun <= at <= costs.ended]
    if len(within) < 2:
        raise RunError("its kernel was told nothing meanwhile")
    (first, before), (last, after) = within[0], within[-1]
    count = len(within) - 1
    return (after - before) * 1e3 / count, count / (last - first)


def _delays(told: Sequence[Told], watch: _Watch) -> Delays | None:
    """Give the delays of what changed a figure in sight; None where nothing did.

    What was not seen at all counts as seen at the end.
    """
    delays = []
    shown: dict[int, float] = {}
    for at, row, level, _ in told:
        is_news = level > shown.get(row, 0)
        shown[row] = level
        if is_news and row in watch.rows and watch.begun <= at <= watch.ended - PATIENCE_S:
            sights = (when for when, of, what in watch.seen if of == row and what >= level)
            delays.append((next(sights, watch.ended) - at) * 1e3)
    if len(delays) < 2:
        return None
    return Delays(len(delays), median(delays), p95_of(delays))
