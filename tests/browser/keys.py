"""A user without a pointer, who goes through a cell by keyboard."""

from __future__ import annotations

import re
from dataclasses import dataclass

from playwright.sync_api import Locator, Page


@dataclass(frozen=True)
class Keys:
    """A user without a pointer, who must always know where they are."""

    page: Page
    panel: Locator

    def press(self, *keys: str) -> None:
        for key in keys:
            self.page.keyboard.press(key)

    @property
    def place(self) -> str:
        """The name of what has the focus, or what else tells it."""
        name: str = self.page.evaluate(
            """() => {
                const { ariaLabel, innerText, labels, localName } = document.activeElement;
                return ariaLabel || labels?.[0]?.innerText || innerText || localName;
            }"""
        )
        return name

    def go(self, name: str, key: str = "Tab") -> None:
        """Step on to what is called so; each step must be seen."""
        steps: list[str] = []
        while not re.match(name, self.place) or not steps:
            self.press(key)
            steps.append(self.place)
            assert len(steps) < 60, steps
            assert self.page.evaluate(_IS_MARKED), f"no ring around {steps[-1]!r}"

    def is_in(self, panel: Locator) -> bool:
        held: bool = panel.evaluate("panel => panel.contains(document.activeElement)")
        return held


_IS_MARKED = """
    () => {
        const element = document.activeElement;
        if (!element.closest('.jp-OutputArea-output')) return true; // JupyterLab's own
        const { outlineStyle, outlineWidth, outlineColor } = getComputedStyle(element);
        return outlineStyle !== 'none' && parseFloat(outlineWidth) >= 2
            && !/, 0\\)$|transparent/.test(outlineColor);
    }
"""
