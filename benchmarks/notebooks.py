"""One notebook after the other in one page of a browser, each with a kernel of its own."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from importlib.metadata import version
from typing import Final

from playwright.sync_api import BrowserContext, Page

from tests.support.lab import Lab

VIEWPORT: Final = (1280, 900)

_CLOSE: Final = """
    async () => {
        const notebook = jupyterapp.shell.currentWidget;
        await notebook.sessionContext.shutdown();
        notebook.dispose();
    }
"""


def setting(lab: Lab, packages: Iterable[str]) -> str:
    """Tell the machine, the browser and the packages that a run is made with."""
    return (
        f"{os.cpu_count()} cores, Linux {platform.release()}, Python {platform.python_version()}; "
        f"Chromium {lab.browser.version}, headless; "
        + ", ".join(f"{package} {version(package)}" for package in packages)
    )


class Notebooks:
    """A JupyterLab in one page of a browser."""

    def __init__(self, lab: Lab) -> None:
        width, height = VIEWPORT
        self.context: Final[BrowserContext] = lab.browser.new_context(
            viewport={"width": width, "height": height}
        )
        self._lab = lab
        self._page: Page | None = None

    def renew(self) -> None:
        """Leave the page, and all that the notebooks have left in it."""
        if self._page is not None:
            self._page.close()
            self._page = None

    @contextmanager
    def open(self, name: str, cell: str) -> Iterator[Page]:
        """Open a notebook of one cell, which is not run; in the end it and its kernel are gone."""
        if self._page is None:
            self._page = self._lab.open(name, [cell], context=self.context)
        else:
            self._lab.write(name, [cell])
            self._lab.command(self._page, "docmanager:open", {"path": name})
            self._lab.wait_ready(self._page)
        page = self._page
        try:
            yield page
        finally:
            page.evaluate(_CLOSE)
