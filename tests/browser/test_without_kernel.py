"""What is left of a panel on pages that no kernel answers: reopened, exported, stripped, killed."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.browser.notebook import ARTIFACTS, LIMIT_S
from tests.support.hub import Hub
from tests.support.lab import Lab

pytestmark = pytest.mark.alone

MB = 1_000_000

CELLS = (
    "%load_ext rbee_widgets",
    "%download org/left:slow.gguf",
    "d = %download org/left:file.gguf",
    "await d",
    "%download org/left:none.gguf",
    "%download",
)
VIEWS = 5
STATUSES = ["complete", "downloading", "failed"]

STATE = "application/vnd.jupyter.widget-state+json"
SAVES_STATE = {"@jupyter-widgets/jupyterlab-manager:plugin": {"saveState": True}}


@dataclass(frozen=True)
class Left:
    """A notebook that was run and saved, and a page of it whose kernel is dead."""

    lab: Lab
    page: Page
    notebook: dict[str, Any]


@pytest.fixture(scope="module")
def left() -> Iterator[Left]:
    with Hub(rate=3e6) as hub, Lab(settings=SAVES_STATE, env={"HF_ENDPOINT": hub.url}) as lab:
        hub.add("org/left", "slow.gguf", size=3000 * MB)
        hub.add("org/left", "file.gguf", size=MB)
        page = lab.open("left.ipynb", CELLS)
        views = page.locator(".rbee-panel")
        for index in range(len(CELLS)):
            lab.run_cell(page, index)
            expect(views).to_have_count(index, timeout=LIMIT_S * 1000)
            if index == len(CELLS) - 2:
                shows(page.locator(".rbee-row"))
        yield Left(lab, page, saved(lab, page))


def shows(rows: Locator) -> None:
    """Wait until the downloads are where they stay, or as good as."""
    slow = rows.filter(has_text="slow").get_by_role("progressbar")
    expect(slow).to_have_attribute("aria-valuenow", re.compile("^0.[1-9]"), timeout=20_000)
    failed = rows.filter(has_text="none").and_(rows.page.locator('[data-status="failed"]'))
    expect(failed).to_have_count(1, timeout=LIMIT_S * 1000)


def saved(lab: Lab, page: Page) -> dict[str, Any]:
    """Save the notebook, once its widgets hold what is shown: that may take two seconds."""
    end = time.monotonic() + LIMIT_S
    while True:
        lab.save(page)
        text = (lab.root / "left.ipynb").read_text("utf-8")
        notebook: dict[str, Any] = json.loads(text)
        state = notebook["metadata"]["widgets"][STATE]["state"].values()
        held = [model["state"].get("snapshot", {}).get("rows", []) for model in state]
        if sorted({one["status"] for rows in held for one in rows}) == STATUSES:
            return notebook
        assert time.monotonic() < end, held
        page.wait_for_timeout(200)


def reopened(left: Left, name: str, notebook: dict[str, Any]) -> Page:
    """Open a copy, with a kernel that knows nothing of it; it is trusted while it is the same."""
    (left.lab.root / name).write_text(json.dumps(notebook, indent=1) + "\n", "utf-8")
    return left.lab.open(name, wait_kernel=False)


def shoot(page: Page, name: str) -> None:
    page.screenshot(path=ARTIFACTS / f"hosts-{name}-light.png", full_page=True)


def tells_what_was(panels: Locator) -> None:
    """Check that panels tell the last figures and their time, and that nothing pretends to live."""
    expect(panels).to_have_count(VIEWS, timeout=LIMIT_S * 1000)
    expect(panels.and_(panels.page.locator('[data-live="no"]'))).to_have_count(VIEWS)
    for panel in panels.all():
        expect(panel.locator("time")).to_contain_text(re.compile(r"Snapshot from .*\d\d:\d\d"))
        expect(panel.locator("time")).to_have_attribute("datetime", re.compile("^20.*Z$"))
        expect(panel.get_by_role("button")).to_have_count(0)
        expect(panel.locator("[data-busy]")).to_have_count(0)
    panel = panels.last
    states = panel.locator(".rbee-state")
    expect(states).to_have_text(["Downloading", "Failed", "Complete"])
    expect(panel.locator(".rbee-bytes").first).to_contain_text("of 3.00 GB")
    expect(panel.get_by_text("status code 404")).to_be_visible()
    links = panel.get_by_role("link", name="Open in rbee")
    targets = [link.get_attribute("href") for link in links.all()]
    assert targets == [f"rbee://model/org/left:{name}.gguf" for name in ("slow", "none", "file")]
    endless = """
        panel => panel.getAnimations({ subtree: true })
            .filter(one => one.effect.getTiming().iterations === Infinity).length
    """
    assert [one.evaluate(endless) for one in panels.all()] == [0] * VIEWS


# -- Reopened -------------------------------------------------------------------------------------


def test_a_reopened_notebook_with_saved_state_tells_what_was(left: Left) -> None:
    page = reopened(left, "reopened.ipynb", left.notebook)
    tells_what_was(page.locator(".rbee-panel"))
    shoot(page, "reopened")
    page.close()


def test_saved_state_holds_the_code_once_and_no_narration(left: Left) -> None:
    saved = left.notebook["metadata"]["widgets"][STATE]["state"]
    sizes = sorted(len(json.dumps(model)) for model in saved.values())
    print(f"\n{len(sizes)} models, {sum(sizes)} bytes: {sizes}")
    assert sum(size > 10_000 for size in sizes) == 1, "the code"
    assert sum(sizes[:-1]) < 4000 * VIEWS
    assert "Executing job" not in json.dumps(saved)


def test_a_notebook_that_is_not_trusted_shows_a_table(left: Left) -> None:
    notebook = {**left.notebook, "metadata": {**left.notebook["metadata"], "tags": ["changed"]}}
    page = reopened(left, "untrusted.ipynb", notebook)
    output = page.locator(".jp-OutputArea-output").last
    expect(output.get_by_text("Downloads, as of 20")).to_be_visible()
    expect(output.get_by_role("row")).to_have_count(4)
    expect(page.get_by_text("Loading widget")).to_have_count(0)
    expect(page.locator(".rbee-panel")).to_have_count(0)
    shoot(page, "untrusted")
    page.close()


# -- Exported, stripped ---------------------------------------------------------------------------


def test_an_export_without_widgets_shows_a_table(left: Left, tmp_path: Path) -> None:
    metadata = {key: value for key, value in left.notebook["metadata"].items() if key != "widgets"}
    source = tmp_path / "left.ipynb"
    source.write_text(json.dumps({**left.notebook, "metadata": metadata}), "utf-8")
    subprocess.run(
        [sys.executable, "-m", "nbconvert", "--to", "html", str(source)],
        check=True,
        capture_output=True,
    )
    page = left.lab.browser.new_page(viewport={"width": 1000, "height": 900})
    page.route(re.compile("^http"), lambda route: route.abort())
    page.goto(source.with_suffix(".html").as_uri(), wait_until="domcontentloaded")
    tables = page.locator('[data-live="no"]')
    expect(tables).to_have_count(VIEWS)
    expect(tables.last.get_by_role("row")).to_have_count(4)
    expect(tables.last.get_by_role("row").nth(1)).to_contain_text(
        re.compile(r"org/left:slow.gguf\s*Downloading\s*0\.\d% of 3\.00 GB\s*20\d\d-")
    )
    link = tables.last.get_by_role("link", name="org/left:file.gguf")
    expect(link).to_have_attribute("href", "rbee://model/org/left:file.gguf")
    shoot(page, "nbconvert")
    page.close()


def test_a_page_that_strips_all_attributes_still_reads_well(left: Left) -> None:
    """As GitHub does, and leaves links without their targets."""
    data = left.notebook["cells"][-1]["outputs"][0]["data"]
    stripped = re.sub(r"<(\w+)[^>]*>", r"<\1>", "".join(data["text/html"]))
    page = left.lab.browser.new_page(viewport={"width": 1000, "height": 300})
    page.set_content(f"<body>{stripped}</body>")
    (heading, table) = page.locator("p, table").all()
    expect(heading).to_have_text(re.compile(r"^Downloads, as of 20\d\d-\d\d-\d\d \d\d:\d\d UTC"))
    heads = table.get_by_role("columnheader").all_inner_texts()
    assert heads == ["Name", "State", "Size", "Started", "Path"]
    names = [
        row.get_by_role("cell").first.inner_text() for row in table.get_by_role("row").all()[1:]
    ]
    assert names == [f"org/left:{name}.gguf" for name in ("slow", "none", "file")]
    shoot(page, "stripped")
    page.close()


def test_a_terminals_reader_of_the_notebook_has_a_line_for_each(left: Left) -> None:
    plain = "".join(left.notebook["cells"][-1]["outputs"][0]["data"]["text/plain"]).splitlines()
    assert [line.split()[0] for line in plain] == [
        f"org/left:{name}.gguf" for name in ("none", "file", "slow")
    ]


# -- The kernel is gone ---------------------------------------------------------------------------


def test_a_killed_kernel_leaves_what_was(left: Left) -> None:
    panels = left.page.locator(".rbee-panel")
    expect(panels.and_(left.page.locator('[data-live="yes"]'))).to_have_count(VIEWS)
    pids = left.lab.kernel_pids()
    for pid in pids:
        os.kill(pid, signal.SIGKILL)
    tells_what_was(panels)
    dialog = left.page.get_by_role("dialog")
    dialog.get_by_role("button", name="Ok").click()
    shoot(left.page, "killed")
