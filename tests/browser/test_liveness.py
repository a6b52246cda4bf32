"""What comes through while a cell runs, and what is spared while nobody looks."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from itertools import pairwise
from typing import Any

import pytest
from playwright.sync_api import BrowserContext, Locator, WebSocket, expect

from tests.browser.conftest import Open, grave
from tests.browser.notebook import LIMIT_S, Notebook
from tests.browser.test_panel import gaps, moves
from tests.support.hub import Hub
from tests.support.lab import Lab, Traffic

pytestmark = pytest.mark.alone

MB = 1_000_000

STAGE = """
import asyncio, time
from rbee_widgets import DownloadPanel
from rbee_widgets.attempt import Change
from tests.support.stage import Stage, progress

stage = Stage()
panel = DownloadPanel(stage)
flowing = asyncio.create_task(asyncio.sleep(0))
rows, rounds = [], 0

def perform(count, period, shake=False):
    global rows, flowing
    flowing.cancel()
    stage.clear_all()
    rows = [stage.enter(f"org/repo:{i}.gguf") for i in range(count)]
    flowing = asyncio.create_task(flow(period, shake))

async def flow(period, shake):
    global rounds
    done = 0
    while True:
        rounds += 1
        done += 4e9 * period / 100
        for row in rows:
            stage.hear(row, progress(done, 4e9))
        if shake:
            row = rows[rounds % len(rows)]
            row.attempt.state.interrupt("shaken")
            stage.changed(row, Change.STATUS)
        await asyncio.sleep(period)
"""

FILLER = "#\n" * 100
"""A cell higher than the page."""

CELLS = (STAGE, "panel", "time.sleep(10)", "panel", FILLER)
PANEL, SLEEP, AGAIN = 0, 1, 2
"""Which cells these are, counted from the one after the stage."""


@dataclass(frozen=True)
class Message:
    """A message of a widget's comm: when it was sent (Unix seconds), and what of."""

    at: float
    kind: str


@dataclass
class Comms(Traffic):
    """The messages of widgets on the kernels' websockets, oldest first."""

    received: list[Message] = field(default_factory=list)
    sent: list[Message] = field(default_factory=list)

    def watch(self, websocket: WebSocket) -> None:
        if "/channels" in websocket.url:
            websocket.on("framereceived", lambda payload: note(payload, self.received))
            websocket.on("framesent", lambda payload: note(payload, self.sent))


def note(payload: str | bytes, messages: list[Message]) -> None:
    """Take note of a frame, if it is a message of a comm."""
    if not isinstance(payload, bytes) or b'"comm_msg"' not in payload:
        return
    # Offsets of 8 bytes each, their number before them: channel, header, parent, metadata, content.
    count = int.from_bytes(payload[:8], "little")
    offsets = [int.from_bytes(payload[8 * i : 8 * i + 8], "little") for i in range(1, count + 1)]
    parts = [payload[begin:end] for begin, end in pairwise(offsets)]
    header, content = json.loads(parts[1]), json.loads(parts[4])
    if header["msg_type"] != "comm_msg":  # its parent is
        return
    data: dict[str, Any] = content["data"]
    kind = data.get("content", {}).get("kind") or data["method"]
    messages.append(Message(datetime.fromisoformat(header["date"]).timestamp(), kind))


@dataclass(frozen=True)
class Theatre:
    """A notebook with a stage, and what its page and its kernel tell each other."""

    notebook: Notebook
    comms: Comms

    def perform(self, count: int, period: float, *, shake: bool = False) -> Locator:
        """Have so many rows told of every `period` seconds, and show them; gives their figures."""
        self.notebook.execute(f"perform({count}, {period}, {shake})")
        self.notebook.lab.run_cell(self.notebook.page, PANEL + 1, wait=True)
        percents = self.notebook.row(PANEL).locator(".rbee-percent")
        expect(percents).to_have_count(count, timeout=LIMIT_S * 1000)
        expect(percents.first).to_have_text(re.compile(r"^[1-9][0-9.]*%$"), timeout=LIMIT_S * 1000)
        return percents

    def forget(self) -> None:
        """Forget which messages there were."""
        self.comms.sent.clear()
        self.comms.received.clear()


@pytest.fixture(scope="module")
def theatre(lab: Lab, browser: BrowserContext) -> Iterator[Theatre]:
    comms = Comms()
    notebook = Notebook(lab, lab.open("stage.ipynb", CELLS, context=browser, traffic=comms))
    notebook.page.evaluate(_HANDLES)
    lab.run_cell(notebook.page, 0, wait=True)
    yield Theatre(notebook, comms)
    assert grave(lab.console) == []


# -- While a cell runs ----------------------------------------------------------------------------


def test_a_busy_kernel_is_told_with_the_last_figures_greyed(theatre: Theatre) -> None:
    notebook = theatre.notebook
    percent = theatre.perform(1, 0.1)
    panel = notebook.panel(PANEL)
    ink = colour(percent)
    notebook.begin(SLEEP)
    began = time.monotonic()
    said = panel.get_by_text(re.compile(r"Kernel busy, last heard \d+ s ago"))
    expect(said).to_be_visible(timeout=8000)
    after = time.monotonic() - began
    print(f"\nsaid after {after:.1f} s")
    assert after >= 4.5, "a pause was taken for a busy kernel"
    expect(panel).to_have_attribute("data-busy", "")
    assert colour(percent) != ink
    last, words = percent.inner_text(), said.inner_text()
    expect(said).not_to_have_text(words)
    assert percent.inner_text() == last
    notebook.wait_run(SLEEP)
    expect(said).to_have_count(0, timeout=1000)
    expect(panel).not_to_have_attribute("data-busy", "")
    expect(percent).not_to_have_text(last, timeout=1000)
    assert colour(percent) == ink


def colour(element: Locator) -> str:
    found: str = element.evaluate("element => getComputedStyle(element).color")
    return found


def test_cancel_stops_the_bytes_while_a_cell_holds_the_kernel(
    hub: Hub, open_notebook: Open
) -> None:
    hub.rate = 10e6
    hub.add("org/held", "file.gguf", size=200 * MB)
    notebook = open_notebook("%download org/held:file.gguf", "import time; time.sleep(5)")
    notebook.run(0)
    notebook.shows_percentage(notebook.row(0), 2)
    notebook.begin(1)
    prompt = notebook.cell(1).locator(".jp-InputPrompt")
    expect(prompt).to_have_text("[*]:")
    notebook.page.wait_for_timeout(1000)  # the kernel has long been in it
    notebook.button(0, "Cancel").click()
    began = time.monotonic()
    notebook.until(lambda: hub.open_transfers == 0, 1)
    print(f"\nno byte {time.monotonic() - began:.3f} s after the click")
    expect(notebook.button(0, "Cancel")).to_have_text("Cancelling…")
    sent = hub.sent
    expect(prompt).to_have_text("[*]:")
    notebook.shows(0, "cancelled")
    assert hub.sent == sent


BACKGROUND = """
import rbee_widgets as rbee
tracker = rbee.Tracker(background=True)
rbee.DownloadPanel(download=tracker.download("org/beside:call.gguf"))
"""


def test_a_download_in_the_background_moves_beside_a_cell(hub: Hub, open_notebook: Open) -> None:
    hub.rate = 10e6
    for seed, name in enumerate(("call", "magic")):
        hub.add("org/beside", f"{name}.gguf", size=400 * MB, seed=seed)
    notebook = open_notebook(
        BACKGROUND, "%download --background org/beside:magic.gguf", "import time; time.sleep(5)"
    )
    notebook.run(0, 1)
    for index in (0, 1):
        notebook.shows_percentage(notebook.row(index), 1)
    notebook.record()
    began = time.time()
    notebook.run(2)
    ended = time.time()
    for index, name in enumerate(("Tracker(background=True)", "%download --background")):
        samples = [sample for sample in notebook.samples if sample.panel == index]
        seen = [at for at in moves(samples) if began <= at <= ended]
        longest = max(gaps([began, *seen, ended]))
        print(f"\n{name}: {len(seen)} moves, longest gap {longest * 1000:.0f} ms")
        assert longest <= 0.6
        notebook.button(index, "Cancel").click()
        notebook.shows(index, "cancelled")


def test_a_download_in_the_background_is_live_in_a_run_of_all_cells(
    hub: Hub, open_notebook: Open
) -> None:
    """The cell that holds the kernel begins before the page has said a word."""
    hub.rate = 10e6
    hub.add("org/all", "file.gguf", size=200 * MB)
    notebook = open_notebook(
        "%download --background org/all:file.gguf", "import time; time.sleep(8)"
    )
    for cell in (0, 1):
        notebook.begin(cell)
    notebook.shows_percentage(notebook.row(0), 2)
    notebook.button(0, "Cancel").click()
    notebook.shows(0, "cancelled", 1)
    expect(notebook.cell(1).locator(".jp-InputPrompt")).to_have_text("[*]:")
    assert hub.open_transfers == 0


# -- While nobody looks ---------------------------------------------------------------------------


def scroll_away(notebook: Notebook) -> None:
    notebook.page.evaluate("() => { scroller.scrollTop = scroller.scrollHeight }")


def scroll_back(notebook: Notebook) -> None:
    notebook.page.evaluate("() => { scroller.scrollTop = 0 }")


def open_another(notebook: Notebook) -> None:
    notebook.lab.command(notebook.page, "launcher:create")


def come_back(notebook: Notebook) -> None:
    notebook.page.evaluate("() => jupyterapp.shell.activateById(home.id)")


def hide_tab(notebook: Notebook) -> None:
    # Playwright keeps every page visible, whichever tab is in front: this is what pages hear of it.
    notebook.page.evaluate("() => hideTab(true)")


def show_tab(notebook: Notebook) -> None:
    notebook.page.evaluate("() => hideTab(false)")


def close_view(notebook: Notebook) -> None:
    notebook.lab.command(notebook.page, "notebook:clear-all-cell-outputs")


def show_again(notebook: Notebook) -> None:
    notebook.begin(AGAIN)


_HANDLES = """
    () => {
        window.home = jupyterapp.shell.currentWidget;
        window.scroller = home.node.querySelector('.jp-WindowedPanel-outer');
        window.hideTab = hidden => {
            const values = { hidden, visibilityState: hidden ? 'hidden' : 'visible' };
            for (const [name, value] of Object.entries(values))
                Object.defineProperty(document, name, { value, configurable: true });
            document.dispatchEvent(new Event('visibilitychange'));
        };
    }
"""


@pytest.mark.parametrize(
    ("leave", "back"),
    [
        (scroll_away, scroll_back),
        (open_another, come_back),
        (hide_tab, show_tab),
        (close_view, show_again),
    ],
    ids=["scrolled", "another tab of the lab", "another tab of the browser", "closed"],
)
def test_nothing_is_sent_while_nobody_looks(
    theatre: Theatre, leave: Callable[[Notebook], None], back: Callable[[Notebook], None]
) -> None:
    notebook, comms = theatre.notebook, theatre.comms
    theatre.perform(1, 0.1)
    leave(notebook)
    notebook.until(lambda: comms.sent and comms.sent[-1].kind == "hidden", 3)
    notebook.page.wait_for_timeout(500)  # what was under way has come
    theatre.forget()
    notebook.page.wait_for_timeout(1000)
    notebook.execute(WHILE_NOBODY_LOOKS)
    notebook.page.wait_for_timeout(1000)
    assert (comms.received, comms.sent) == ([], [])
    began = time.monotonic()
    back(notebook)
    notebook.page.wait_for_function(
        "() => document.querySelector('[data-status=downloading] .rbee-percent')?.innerText"
        " === '77.0%'",
        polling="raf",
    )
    took = time.monotonic() - began
    print(f"\nright after {took * 1000:.0f} ms")
    assert took <= 0.5
    expect(notebook.page.locator("[data-status=complete]")).to_be_visible(timeout=500)


WHILE_NOBODY_LOOKS = """
flowing.cancel()
stage.hear(stage.enter("org/repo:other.gguf"), progress(1e6, 1e6), "[DONE]")
stage.hear(rows[0], progress(3.08e9, 4e9))
"""


# -- The pace -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("shake", "least", "most"), [(False, 3.0, 4.5), (True, 5.0, 10.0)], ids=["figures", "states"]
)
def test_a_hundred_rows_that_change_a_hundred_times_a_second_are_told_a_few_times(
    theatre: Theatre, shake: bool, least: float, most: float
) -> None:
    notebook = theatre.notebook
    theatre.perform(100, 0.01, shake=shake)
    notebook.execute("begin = rounds, time.monotonic()")
    theatre.forget()
    notebook.page.wait_for_timeout(5000)
    came = [message.at for message in theatre.comms.received]
    notebook.execute(TELL_PACE)
    updates = float((notebook.lab.root / "pace").read_text())
    pace = (len(came) - 1) / (came[-1] - came[0])
    # A tenth less than a second: the loop may be late with one and in time with the next.
    busiest = max(sum(at <= other < at + 0.9 for other in came) for at in came)
    print(f"\n{updates:.0f} updates/s of 100 rows: {pace:.2f} messages/s, at most {busiest} in one")
    assert updates > 2 * pace
    assert least <= pace <= most
    assert busiest <= 10


TELL_PACE = """
with open("pace", "w") as file:
    print((rounds - begin[0]) / (time.monotonic() - begin[1]), file=file)
"""
