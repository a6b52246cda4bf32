"""A notebook in a real JupyterLab, as its user sees it: cells to run, rows to read and click."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from playwright.sync_api import Locator, Page, expect

from tests.support.lab import REPOSITORY, Lab, Theme

ARTIFACTS = REPOSITORY / "artifacts"
"""Where the screenshots go."""

LIMIT_S = 15.0
"""Longest wait in seconds for anything that isn't told a limit of its own."""

POLL_MS = 10.0
"""Milliseconds between two looks at a condition outside of the page."""

_EXECUTE = """
    code => [...jupyterapp.shell.widgets('main')].find(({ sessionContext }) => sessionContext)
        .sessionContext.session.kernel.requestExecute({ code, store_history: false })
        .done.then(reply => reply.content)
"""

_HAS_RUN = """
    index => {
        const cell = [...jupyterapp.shell.currentWidget.content.model.cells][index];
        return cell.executionState !== 'running' && cell.executionCount !== null;
    }
"""

# The observer is called after a paint is over, so that the words of a sample belong together.
_RECORD = """
    () => {
        window.samples = [];
        window.clicks = [];
        const last = new Map();
        const now = () => performance.timeOrigin + performance.now();
        const text = (row, name) => row.querySelector(name)?.textContent ?? '';
        const look = () => {
            const at = now() / 1000;
            const panels = [...document.querySelectorAll('.rbee-panel')];
            for (const row of document.querySelectorAll('.rbee-row')) {
                const sample = {
                    panel: panels.indexOf(row.closest('.rbee-panel')),
                    id: row.dataset.id,
                    status: row.dataset.status,
                    valuenow: row.querySelector('[role=progressbar]').getAttribute('aria-valuenow'),
                    percent: text(row, '.rbee-percent'),
                    bytes: text(row, '.rbee-bytes'),
                    speed: text(row, '.rbee-speed'),
                    note: text(row, '.rbee-note'),
                };
                const key = `${sample.panel} ${sample.id}`;
                const state = JSON.stringify(sample);
                if (last.get(key) !== state) window.samples.push({ at, ...sample });
                last.set(key, state);
            }
        };
        new MutationObserver(look).observe(document.body, {
            subtree: true, childList: true, attributes: true,
            attributeFilter: ['aria-valuenow', 'data-status'],
        });
        document.addEventListener('click', () => window.clicks.push(now() / 1000), true);
        look();
    }
"""

_UNITS = {"B": 1.0, "kB": 1e3, "MB": 1e6, "GB": 1e9}


def amount(text: str) -> float:
    """Read `136 MB` as 136 000 000; so with the speed `60.1 MB/s`."""
    read = re.match(r"([0-9.]+) ([kMG]?B)", text)
    assert read is not None, text
    return float(read[1]) * _UNITS[read[2]]


@dataclass(frozen=True, slots=True)
class Sample:
    """What one row showed from `at` (Unix seconds) on, in the page's own words."""

    at: float
    panel: int
    """Which of the page's panels, counted from 0."""
    id: str
    status: str
    valuenow: str | None
    percent: str
    bytes: str
    speed: str
    note: str

    @property
    def percentage(self) -> float | None:
        """`aria-valuenow`, None where it is left out."""
        return None if self.valuenow is None else float(self.valuenow)


@dataclass(frozen=True)
class Notebook:
    """One notebook in a page of its own.

    Its cells are counted from 0; above them stands one more, which has loaded the magics.
    """

    lab: Lab
    page: Page

    # -- Cells ------------------------------------------------------------------------------------

    def begin(self, index: int) -> None:
        """Run one cell; doesn't wait for its end."""
        self.lab.run_cell(self.page, index + 1)

    def run(self, *indices: int) -> None:
        """Run cells one after the other, each to its end."""
        for index in indices:
            self.begin(index)
            self.wait_run(index)

    def wait_run(self, index: int, limit: float = LIMIT_S) -> None:
        """Wait for the end of a cell that runs for the first time."""
        self.page.wait_for_function(_HAS_RUN, arg=index + 1, timeout=limit * 1000)

    def execute(self, code: str) -> None:
        """Have the kernel run code that stands in no cell, to its end."""
        reply = self.page.evaluate(_EXECUTE, code)
        assert reply["status"] == "ok", reply

    def cell(self, index: int) -> Locator:
        """Give a code cell with its output."""
        return self.page.locator(".jp-Notebook .jp-CodeCell").nth(index + 1)

    def outputs(self, index: int) -> list[dict[str, Any]]:
        """Give a cell's outputs, as nbformat has them."""
        return self.lab.outputs(self.page)[index + 1]

    def text(self, index: int) -> str:
        """Give the words of a cell's output, as they are read."""
        return self.cell(index).locator(".jp-OutputArea-output").inner_text().strip()

    # -- Rows -------------------------------------------------------------------------------------

    def panel(self, index: int) -> Locator:
        """Give the panel in a cell's output."""
        return self.cell(index).locator(".rbee-panel")

    def row(self, index: int) -> Locator:
        """Give the row in the output of a cell that shows one."""
        return self.cell(index).locator(".rbee-row")

    def ids(self, index: int) -> list[str]:
        """Give the downloads that a cell shows, top row first."""
        ids: list[str] = self.row(index).evaluate_all("rows => rows.map(row => row.dataset.id)")
        return ids

    def shows(self, index: int, status: str, limit: float = LIMIT_S) -> None:
        """Wait until a cell's row shows a status, for at most `limit` seconds."""
        expect(self.row(index)).to_have_attribute("data-status", status, timeout=limit * 1000)

    def shows_percentage(self, row: Locator, least: float) -> None:
        """Wait until a row has come to a percentage."""
        self.page.wait_for_function(
            "([row, least]) => Number(row.querySelector('[role=progressbar]').ariaValueNow)>=least",
            arg=[row.element_handle(), least],
            timeout=LIMIT_S * 1000,
        )

    def button(self, index: int, name: str) -> Locator:
        """Give the button of a cell's row whose accessible name begins so."""
        return self.row(index).get_by_role("button", name=re.compile(f"^{name}"))

    def until(self, condition: Callable[[], object], limit: float = LIMIT_S) -> None:
        """Wait for something outside of the page, for at most `limit` seconds."""
        end = time.monotonic() + limit
        while not condition():
            assert time.monotonic() < end, f"not within {limit} s"
            self.page.wait_for_timeout(POLL_MS)

    # -- Records ----------------------------------------------------------------------------------

    def record(self) -> None:
        """Record from now on what every row shows, and when the user clicked; until a reload."""
        self.page.evaluate(_RECORD)

    @property
    def samples(self) -> list[Sample]:
        """What was recorded, oldest first."""
        return [Sample(**sample) for sample in self.page.evaluate("() => window.samples")]

    @property
    def clicked_at(self) -> float:
        """When the last click (or Enter on a button) came, in Unix seconds."""
        at: float = self.page.evaluate("() => window.clicks.at(-1)")
        return at

    # -- Looks ------------------------------------------------------------------------------------

    def wear(self, theme: Theme) -> None:
        """Switch the theme of the running page."""
        name = "JupyterLab Dark" if theme == "dark" else "JupyterLab Light"
        self.lab.command(self.page, "apputils:change-theme", {"theme": name})
        self.page.wait_for_function(
            "light => document.body.dataset.jpThemeLight === light",
            arg=str(theme == "light").lower(),
        )
        expect(self.page.locator("#jupyterlab-splash")).to_have_count(0, timeout=LIMIT_S * 1000)

    @contextmanager
    def worn(self, theme: Theme) -> Iterator[None]:
        """Switch the theme, and back."""
        self.wear(theme)
        try:
            yield
        finally:
            self.wear("light")

    def shoot(self, state: str, theme: Theme = "light") -> Path:
        """Take a picture of the page, named by what it shows."""
        path = ARTIFACTS / f"panel-{state}-{theme}.png"
        self.page.screenshot(path=path)
        return path
