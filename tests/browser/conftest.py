"""A JupyterLab and a hub for a whole module, and a notebook for each test."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import BrowserContext

from tests.browser.notebook import LIMIT_S, Notebook
from tests.support.hub import Hub
from tests.support.lab import Console, Lab

HARMLESS = ("Comm not found",)
"""What a console may say: ipywidgets asks for the comms of a page that is gone."""

COMPLAINTS = ("Traceback", "never retrieved", "was destroyed but it is pending")
"""What neither a cell nor a log may say."""

CLOSED_PAGE = re.compile(
    r"^Task exception was never retrieved\nfuture: <Task [^\n]*WebSocketClosedError\(\)>\n"
    r"Traceback .*?^tornado\.websocket\.WebSocketClosedError$",
    re.MULTILINE | re.DOTALL,
)
"""What Jupyter Server says if a page closes while something is sent, whatever the kernel does."""

Open = Callable[..., Notebook]


def grave(console: list[Console]) -> list[Console]:
    """Give what a console should not have said."""
    return [
        message
        for message in console
        if message.kind != "warning" and not any(words in message.text for words in HARMLESS)
    ]


@pytest.fixture(scope="module")
def hub() -> Iterator[Hub]:
    """A hub for a module; each test names repositories of its own."""
    with Hub() as hub:
        yield hub


@pytest.fixture(scope="module")
def lab(hub: Hub) -> Iterator[Lab]:
    with Lab(env={"HF_ENDPOINT": hub.url}) as lab:
        yield lab


@pytest.fixture(scope="module")
def browser(lab: Lab) -> BrowserContext:
    """One browser for all pages: what it has cached, the next page needn't load."""
    return lab.browser.new_context(viewport={"width": 1280, "height": 900})


@pytest.fixture
def models(lab: Lab) -> Path:
    """Where the lab's own hive keeps its models."""
    return lab.folder / "cache" / "rbee" / "models"


@pytest.fixture
def open_notebook(
    request: pytest.FixtureRequest, lab: Lab, hub: Hub, browser: BrowserContext
) -> Iterator[Open]:
    """Open a notebook of the given cells, with the magics loaded.

    At the end its kernel is ended, and nothing may have been complained of, whatever was tested.
    """
    opened: list[Notebook] = []
    before = len(lab.console)

    def open_one(*cells: str) -> Notebook:
        name = re.sub(r"\W+", "_", request.node.name.removeprefix("test_"))[:40] + ".ipynb"
        page = lab.open(name, ["%load_ext rbee_widgets", *cells], context=browser)
        lab.run_cell(page, 0)
        opened.append(Notebook(lab, page))
        opened[-1].wait_run(-1)
        return opened[-1]

    yield open_one
    hub.rate = None
    hub.heal()
    for notebook in opened:
        said = json.dumps(lab.outputs(notebook.page))
        complaints = [words for words in COMPLAINTS if words in said]
        console = grave(lab.console[before:])
        notebook.until(lambda: hub.open_transfers == 0, LIMIT_S)
        notebook.page.evaluate("() => jupyterapp.shell.currentWidget.sessionContext.shutdown()")
        notebook.page.close()
        assert (complaints, console) == ([], [])
    # What these kernels have left is not for the next test's.
    shutil.rmtree(lab.folder / "state" / "rbee_widgets" / "downloads", ignore_errors=True)
