"""A marketplace in a cell, as its user sees it: results, their files, and what they say."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass

from playwright.sync_api import Locator, expect

from tests.browser.keys import Keys
from tests.browser.notebook import LIMIT_S, Notebook
from tests.support.hive import HiveProcess

_FRAME = """
    () => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))
"""

# What a user can have seen: the state at the end of each frame, where it is another than before.
_RECORD = """
    panel => {
        window.seen = [];
        let last = '';
        const look = () => {
            const ids = [...panel.querySelectorAll('.rbee-model')].map(one => one.dataset.id);
            const box = panel.querySelector('[type=search]');
            const state = JSON.stringify([box?.value ?? '', ids]);
            if (state !== last) window.seen.push(JSON.parse(last = state));
            requestAnimationFrame(look);
        };
        look();
    }
"""


def setup(hives: Sequence[HiveProcess], query: str = "") -> str:
    """Give the cell that shows a marketplace for hives."""
    handles = ", ".join(f"Hive({one.url!r}, {one.name!r}, {one.token!r})" for one in named(hives))
    return (
        "from rbee_widgets import Hive, Marketplace, Tracker\n"
        f"tracker = Tracker([{handles}])\n"
        f"shop = Marketplace({query!r}, tracker=tracker)\nshop"
    )


def named(hives: Sequence[HiveProcess]) -> list[Named]:
    return [Named(one.url, one.models.name, one.token) for one in hives]


@dataclass(frozen=True)
class Named:
    """A hive as the notebook calls it: by the name of its folder."""

    url: str
    name: str
    token: str | None


@dataclass(frozen=True)
class MarketPage:
    """The marketplace in a notebook's cell."""

    notebook: Notebook
    index: int = 0

    @property
    def panel(self) -> Locator:
        return self.notebook.cell(self.index).locator(".rbee-market")

    @property
    def keys(self) -> Keys:
        return Keys(self.notebook.page, self.panel)

    @property
    def box(self) -> Locator:
        return self.panel.get_by_role("searchbox", name="Search models")

    @property
    def models(self) -> Locator:
        return self.panel.locator(".rbee-model")

    @property
    def status(self) -> Locator:
        """How many were found, or that it is searching."""
        return self.panel.locator(".rbee-found")

    def model(self, id: str) -> Locator:  # noqa: A002 (the wire's name)
        return self.panel.locator(f".rbee-model[data-id={json.dumps(id)}]")

    def file(self, model: str, quantisation: str) -> Locator:
        """Give the row of a file."""
        words = self.notebook.page.locator(".rbee-quantisation", has_text=_only(quantisation))
        return self.model(model).locator(".rbee-file").filter(has=words)

    def show(self) -> None:
        """Run the cell, and wait for the first results."""
        self.notebook.run(self.index)
        expect(self.models).not_to_have_count(0, timeout=LIMIT_S * 1000)

    def ids(self) -> list[str]:
        """Give the models that are listed."""
        ids: list[str] = self.models.evaluate_all("models => models.map(one => one.dataset.id)")
        return ids

    def verdicts(self, model: str) -> list[str]:
        """Give for each file of a model that is open whether it fits."""
        files = self.model(model).locator(".rbee-file")
        fits: list[str] = files.evaluate_all("files => files.map(one => one.dataset.fit)")
        return fits

    def wait_fits(self, model: str) -> list[str]:
        """Wait until it is known of all files of a model whether they fit."""
        files = self.model(model).locator(".rbee-file")
        expect(files).not_to_have_count(0, timeout=LIMIT_S * 1000)
        expect(files.and_(self.panel.locator("[data-fit=unknown]"))).to_have_count(
            0, timeout=LIMIT_S * 1000
        )
        return self.verdicts(model)

    def wait_found(self, count: int | None = None) -> None:
        """Wait for the answer to the newest search: of `count` models, else of any."""
        expect(self.status).to_have_text(
            re.compile(r"^\d[\d,]* models?\b" if count is None else rf"^{count} models?\b"),
            timeout=LIMIT_S * 1000,
        )

    def search(self, text: str) -> None:
        """Look for something, not by keyboard alone, and wait for the answer."""
        self.box.fill(text)
        self.box.press("Enter")
        self.next_frame()  # it says that it is searching
        self.wait_found()

    def open_files(self, model: str, *, unknown: bool = False) -> None:
        """Unfold a model, and wait until it is known, or known not to be known, what fits."""
        head = self.model(model).locator(".rbee-model-head")
        if head.get_attribute("aria-expanded") == "false":
            head.click()
        if unknown:
            files = self.model(model).locator(".rbee-file")
            expect(files).not_to_have_count(0, timeout=LIMIT_S * 1000)
        else:
            self.wait_fits(model)

    def choose(self, hive: str) -> None:
        """Choose a hive, and wait for what it tells."""
        self.panel.get_by_role("combobox", name="Hive").select_option(hive)
        expect(self.panel.locator(".rbee-devices")).to_contain_text("free", timeout=LIMIT_S * 1000)

    def next_frame(self) -> None:
        """Wait until what is scheduled is painted."""
        self.notebook.page.evaluate(_FRAME)

    # -- Records ----------------------------------------------------------------------------------

    def record(self) -> None:
        """Record from now on what is seen of the search box and the results."""
        self.panel.evaluate(_RECORD)

    @property
    def seen(self) -> list[tuple[str, list[str]]]:
        """Give what stood in the box, and the models below it, as often as either changed."""
        return [(text, ids) for text, ids in self.notebook.page.evaluate("() => window.seen")]

    # -- By keyboard ------------------------------------------------------------------------------

    def enter(self) -> Keys:
        """Come to the search box from the cell above."""
        self.notebook.cell(self.index).click(position={"x": 2, "y": 2})
        keys = self.keys
        keys.press("Escape")
        keys.go("Search models")
        return keys

    def type_anew(self, text: str) -> None:
        """With the focus in the search box: type something else."""
        self.keys.press("Control+a")
        self.notebook.page.keyboard.type(text, delay=30)

    def step_to(self, key: str, wanted: Locator) -> None:
        """Press a key until something has the focus."""
        for _ in range(60):
            self.keys.press(key)
            if wanted.evaluate("one => one === document.activeElement"):
                return
        raise AssertionError(f"{key} doesn't lead to {wanted}; the focus is on {self.keys.place!r}")


def _only(text: str) -> re.Pattern[str]:
    return re.compile(f"^{re.escape(text)}$")
