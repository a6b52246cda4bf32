"""What the widgets look like, how they go by keyboard, and what they say to a screen reader."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

import pytest
from playwright.sync_api import Locator, expect

from tests.browser.conftest import grave
from tests.browser.keys import Keys
from tests.browser.looks import SET_WIDTH, VIOLATIONS, look, prepare
from tests.browser.notebook import ARTIFACTS, LIMIT_S, Notebook
from tests.support.lab import Lab, Theme

pytestmark = pytest.mark.alone

WIDGETS = {
    "panel": "DownloadPanel(stage)",
    "rows": "*(DownloadPanel(download=one) for one in stage.downloads)",
    "log": "NarrationPanel(stage)",
    "buttons": "*(InstallButton(name, tracker=stage) for name in wanted())",
}
"""What is shown of the stage: all of it in one widget, or each download in one of its own."""

EVERY = "for name in SCENES: stage.scene(name)"
FIVE = "for name in ('complete', 'failed', 'queued', 'stalled', 'downloading'): stage.scene(name)"
TWO_HIVES = f"{FIVE}\nstage.scene('long name', hive='gaming-pc'); stage.scene('worker', hive='nas')"
CROWD = "stage.crowd(200)"
NONE = "pass"

# What moves has a stage of its own with a clock that runs: its curves grow during the other tests.
SETUP = """
import asyncio, math, os, time
from rbee_widgets import DownloadPanel, InstallButton, NarrationPanel
from tests.support.stage import SCENES, SILENT, UNREACHABLE, Gallery, Stage, progress

stage, moving, shown = Gallery(), Stage(), []

def wanted():
    names = [one.name for one in stage.downloads if one.name.isprintable()]
    return [SILENT, UNREACHABLE, "org/absent:model.gguf", "absent-worker", *names]

async def flow(name, rate):
    one, done, began = moving.enter(name), 0.0, time.monotonic()
    while True:
        done += 0.25 * rate(time.monotonic() - began)
        moving.hear(one, progress(done, 30e9))
        await asyncio.sleep(0.25)

flows = [asyncio.create_task(flow(f"org/moves:{name}.gguf", rate)) for name, rate in {
    "evenly": lambda t: 20e6,
    "up-and-down": lambda t: 20e6 * (1 + math.sin(t / 3)),
    "faster-and-faster": lambda t: 1e6 * t,
    "by-fits-and-starts": lambda t: 30e6 * (t % 12 < 6),
}.items()]
DownloadPanel(moving)
"""

_SET_SOURCE = """
    ([index, source]) => {
        const cell = [...jupyterapp.shell.currentWidget.content.model.cells][index];
        cell.sharedModel.setSource(source);
    }
"""


@dataclass(frozen=True)
class Wall:
    """One cell of a notebook, in which something else is shown each time."""

    notebook: Notebook

    @property
    def outputs(self) -> Locator:
        """What hangs there."""
        return self.notebook.cell(0).locator(".jp-OutputArea-output")

    def set_up(self) -> None:
        """Have the kernel know the stage."""
        self.notebook.lab.run_cell(self.notebook.page, 0, wait=True)

    def hang(self, scenes: str, widgets: str = WIDGETS["panel"]) -> Locator:
        """Show widgets of the scenes that are staged, and give the outputs."""
        page, lab = self.notebook.page, self.notebook.lab
        code = (
            f"for widget in shown: widget.close()\nstage.clear_all()\nstage = Gallery()\n"
            f"{scenes}\nshown = [{widgets}]\ndisplay(*shown)"
        )
        page.evaluate(_SET_SOURCE, [1, code])
        lab.run_cell(page, 1, wait=True)
        assert lab.errors(page) == []
        count = len(self.notebook.outputs(0))
        live = self.outputs.locator("[data-live=yes]")
        expect(live).to_have_count(count, timeout=LIMIT_S * 1000)
        return self.outputs

    def unroll(self) -> None:
        """Have every row in sight."""
        self.outputs.evaluate_all("outputs => outputs.map(one => one.classList.add('whole'))")

    def see(self, what: str, theme: Theme, index: int = 0) -> list[str]:
        """Take a picture of a cell for each width, and give what axe-core finds wrong."""
        return look(self.notebook, f"looks-{what}", theme, index)


@pytest.fixture(scope="module")
def wall(lab: Lab) -> Iterator[Wall]:
    context = lab.browser.new_context(viewport={"width": 1700, "height": 3000})
    page = lab.open("looks.ipynb", [SETUP, ""], context=context)
    prepare(page)
    wall = Wall(Notebook(lab, page))
    wall.set_up()
    yield wall
    assert grave(lab.console) == []


# The parameter belongs to the module, so that all of one theme is looked at before the other.
@pytest.fixture(scope="module", params=get_args(Theme))
def worn(request: pytest.FixtureRequest) -> Theme:
    theme: Theme = request.param
    return theme


@pytest.fixture
def theme(worn: Theme, wall: Wall) -> Theme:
    wall.notebook.wear(worn)
    return worn


# -- Looks ----------------------------------------------------------------------------------------


def test_a_fault_would_be_found(wall: Wall) -> None:
    wall.hang(FIVE)
    wall.notebook.wear("light")
    wall.outputs.locator(".rbee-state").last.evaluate("words => { words.style.color = '#999' }")
    (found,) = wall.outputs.evaluate_all(VIOLATIONS)
    assert found.startswith("color-contrast")


@pytest.mark.parametrize("widget", WIDGETS)
def test_every_state_can_be_read_by_all(wall: Wall, theme: Theme, widget: str) -> None:
    wall.hang(EVERY, WIDGETS[widget])
    wall.unroll()
    assert wall.see(widget, theme) == []


@pytest.mark.parametrize(
    ("what", "scenes"),
    [("none", NONE), ("five", FIVE), ("hives", TWO_HIVES), ("crowd", CROWD)],
    ids=lambda words: words if words.isalpha() else "",
)
def test_any_number_of_rows_can_be_read_by_all(
    wall: Wall, theme: Theme, what: str, scenes: str
) -> None:
    wall.hang(scenes)
    assert wall.see(what, theme) == []


def test_what_opens_can_be_read_by_all(wall: Wall, theme: Theme) -> None:
    panel = wall.hang(EVERY)
    panel.get_by_role("searchbox").fill("instruct")
    panel.get_by_role("button", name="Options").click()
    for name in ("TheBloke", "meta-llama"):
        row = panel.locator(".rbee-row").filter(has_text=name)
        row.get_by_role("button", name=re.compile("^Narration of")).click()
        expect(row.get_by_text("Executing job")).to_be_visible()
    assert wall.see("open", theme) == []
    panel.get_by_role("searchbox").fill("nothing of that name")
    expect(panel.get_by_text("No download matches")).to_be_visible()
    assert wall.see("unmatched", theme) == []


def test_what_moves_can_be_read_by_all(wall: Wall, theme: Theme) -> None:
    assert wall.see("moving", theme, -1) == []


def test_a_busy_kernel_can_be_read_by_all(wall: Wall) -> None:
    busy = wall.notebook.cell(-1).locator("[data-busy]")
    wall.notebook.page.evaluate(_EXECUTE_SOON, "while not os.path.exists('over'): time.sleep(0.1)")
    expect(busy).to_be_visible(timeout=LIMIT_S * 1000)
    try:
        for theme in get_args(Theme):
            wall.notebook.wear(theme)
            assert wall.see("busy", theme, -1) == []
        expect(busy).to_be_visible()
    finally:
        (wall.notebook.lab.root / "over").touch()
    expect(busy).to_have_count(0, timeout=LIMIT_S * 1000)


def test_a_kernel_that_is_gone_leaves_what_can_be_read_by_all(wall: Wall) -> None:
    panel = wall.hang(EVERY)
    wall.unroll()
    page = wall.notebook.page
    page.evaluate("() => jupyterapp.shell.currentWidget.sessionContext.session.kernel.restart()")
    expect(panel.locator("[data-live=no]")).to_have_count(1, timeout=LIMIT_S * 1000)
    wall.notebook.lab.wait_ready(page)
    try:
        for theme in get_args(Theme):
            wall.notebook.wear(theme)
            assert wall.see("gone", theme) == []
    finally:
        wall.set_up()


_EXECUTE_SOON = """
    code => {
        jupyterapp.shell.currentWidget.sessionContext.session.kernel
            .requestExecute({ code, store_history: false });
    }
"""


# -- By ear ---------------------------------------------------------------------------------------


def heard(widgets: Locator) -> str:
    """Give the tree that a screen reader walks, with what progress bars say; no time of day."""
    bars = widgets.get_by_role("progressbar")
    said = iter(bars.evaluate_all("bars => bars.map(bar => bar.ariaValueText)"))
    trees = "\n".join(widget.aria_snapshot() for widget in widgets.all())
    lines = [
        f"{line}: {next(said)}" if "- progressbar " in line else line for line in trees.splitlines()
    ]
    return re.sub(r"\b\d\d:\d\d:\d\d\b", "12:00:00", "\n".join(lines))


@pytest.mark.parametrize("widget", [name for name in WIDGETS if name != "rows"])
def test_a_screen_reader_is_told_each_state_in_words(wall: Wall, widget: str) -> None:
    wall.notebook.page.evaluate(SET_WIDTH, "1200px")
    tree = heard(wall.hang(EVERY, WIDGETS[widget]))
    ARTIFACTS.mkdir(exist_ok=True)
    (ARTIFACTS / f"{widget}.aria.yaml").write_text(f"{tree}\n")
    expected = Path(__file__).with_name(f"{widget}.aria.yaml")
    assert tree.splitlines() == expected.read_text().splitlines()


# -- By keyboard ----------------------------------------------------------------------------------


# Looked at in each frame, as one that no user sees is none.
_WATCH = """
    () => {
        window.lost = 0;
        const look = () => {
            if (document.activeElement === document.body) window.lost += 1;
            requestAnimationFrame(look);
        };
        requestAnimationFrame(look);
    }
"""


def test_the_keyboard_alone_filters_cancels_retries_and_clears(wall: Wall) -> None:
    panel = wall.hang(EVERY)
    page = wall.notebook.page
    wall.notebook.cell(0).click(position={"x": 2, "y": 2})
    keys = Keys(page, panel)
    page.evaluate(_WATCH)
    keys.press("Escape")
    keys.go("Filter downloads")

    rows = panel.locator(".rbee-row")
    page.keyboard.type("mistral-7b")
    expect(rows).to_have_count(2)
    keys.go("Narration of TheBloke")
    keys.press("Enter")
    expect(panel.locator(".rbee-narration")).to_be_visible()
    keys.press("Enter")
    expect(panel.locator(".rbee-narration")).to_have_count(0)
    keys.go("Cancel download of TheBloke")
    keys.press("Enter")
    row = rows.filter(has_text="TheBloke")
    expect(row).to_have_attribute("data-status", "cancelled")
    assert keys.place.startswith("Retry download of TheBloke")
    keys.press("Enter")
    expect(row).to_have_attribute("data-status", "queued")
    assert keys.place.startswith("Cancel download of TheBloke")
    keys.press("Space")
    expect(row).to_have_attribute("data-status", "cancelled")
    keys.go("Clear TheBloke")
    keys.press("Enter")
    expect(row).to_have_count(0)
    assert keys.is_in(panel)
    keys.go("Filter downloads", "Shift+Tab")
    keys.press("Escape")
    expect(rows).to_have_count(17)
    assert keys.place == "Filter downloads"

    keys.go("Clear finished")
    keys.press("Enter")
    expect(panel.locator("[data-status=complete]")).to_have_count(0)
    assert keys.is_in(panel)
    keys.go("Options")
    keys.press("Enter")
    expect(panel.get_by_role("group", name="Options")).to_be_visible()
    keys.press("Tab", "Escape")
    expect(panel.get_by_role("group", name="Options")).to_have_count(0)
    assert keys.place == "Options"
    keys.go("Cancel all", "Shift+Tab")
    keys.press("Enter")
    expect(panel.get_by_role("button", name="Cancel all")).to_have_count(0)
    expect(panel.locator("[data-status=downloading], [data-status=queued]")).to_have_count(0)
    assert keys.is_in(panel)
    assert page.evaluate("() => window.lost") == 0
    assert page.locator(".jp-Notebook.jp-mod-editMode").count() == 0, "the notebook took a key"
