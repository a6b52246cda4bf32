"""How what a cell shows is looked at: pictures of it for each width, and what axe-core finds."""

from __future__ import annotations

from playwright.sync_api import Page

from tests.browser.notebook import ARTIFACTS, Notebook
from tests.support.lab import REPOSITORY, Theme

AXE = REPOSITORY / "js" / "node_modules" / "axe-core" / "axe.min.js"

WIDTHS = (320, 700, 1200)
"""Pixels that a widget is given."""

EDGES = (min(WIDTHS), max(WIDTHS))
"""Those at which axe-core looks: what is between has one of their layouts."""

# JupyterLab's body is 0 px high and hides what overflows, so that to axe-core nothing is in sight.
STYLE = """
    body { block-size: 100vh }
    .jp-OutputArea { flex: none; inline-size: var(--width, 700px); }
    .jp-OutputPrompt, .jp-OutputArea-promptOverlay { display: none; }
    .whole .rbee-list { max-block-size: none; }
"""

SET_WIDTH = "width => document.body.style.setProperty('--width', width)"

# What fades in is faint for a moment.
_SETTLED = """
    () => Promise.allSettled(document.getAnimations()
        .filter(({ effect }) => effect.getComputedTiming().iterations !== Infinity)
        .map(({ finished }) => finished))
"""

VIOLATIONS = """
    elements => axe.run(elements, { resultTypes: ['violations'] }).then(({ violations }) =>
        violations.flatMap(({ id, nodes }) => nodes.map(
            ({ html, failureSummary }) => `${id}: ${failureSummary} ${html.slice(0, 300)}`)))
"""


def prepare(page: Page) -> None:
    """Have a page ready to be looked at."""
    page.add_script_tag(path=AXE)
    page.add_style_tag(content=STYLE)


def look(notebook: Notebook, name: str, theme: Theme, index: int = 0) -> list[str]:
    """Take a picture of a cell for each width, and give what axe-core finds wrong."""
    page, cell, found = notebook.page, notebook.cell(index), set[str]()
    page.mouse.move(0, 0)
    for width in WIDTHS:
        page.evaluate(SET_WIDTH, f"{width}px")
        page.evaluate(_SETTLED)
        path = ARTIFACTS / f"{name}-{width}-{theme}.png"
        cell.locator(".jp-OutputArea").screenshot(path=path)
        if width in EDGES:
            widgets = cell.locator("[data-live]")
            found |= {f"{width} px: {line}" for line in widgets.evaluate_all(VIOLATIONS)}
    return sorted(found)
