"""Hosts of notebooks beside JupyterLab, real and on loopback: Notebook 7 and marimo.

    with Marimo("import rbee_widgets as rbee", "rbee.DownloadPanel()") as marimo:
        page = marimo.open()
        page.locator(".rbee-panel").wait_for()

A marimo notebook is a file of Python, so its cells are given when the host is made: they run as
its page opens.
"""

from __future__ import annotations

import os
import signal
import sys
from contextlib import suppress
from textwrap import indent
from typing import TYPE_CHECKING, Any, ClassVar, Literal
from urllib.parse import quote

import psutil

from tests.support.lab import Host, Lab

if TYPE_CHECKING:
    from playwright.sync_api import BrowserContext, Page


class Notebook7(Lab):
    """A Jupyter Notebook 7: JupyterLab's parts, one notebook a page."""

    MODULE: ClassVar = "notebook"
    APP: ClassVar = "JupyterNotebookApp"

    def _address(self, name: str) -> str:
        return f"{self.url}/notebooks/{quote(name)}"


class Marimo(Host):
    """A marimo server of one notebook.

    Parameters
    ----------
    cells
        Python; a cell's names are the other cells' too, as long as no two give the same.
    mode
        As in ``marimo edit`` and ``marimo run``: with code and one kernel, or an app of which
        each page has a run of its own.
    host
        As for `Host`.
    """

    HEALTH: ClassVar = "/health"

    def __init__(self, *cells: str, mode: Literal["edit", "run"] = "edit", **host: Any) -> None:
        super().__init__(**host)
        self.cells = cells
        self.mode = mode

    def _prepare(self) -> None:
        settings = self._mkdir("config/marimo") / "marimo.toml"
        settings.write_text(
            f'[display]\ntheme = "{self.theme}"\n[runtime]\nauto_instantiate = true\n'
        )
        functions = "".join(
            f"@app.cell\ndef _():\n{indent(cell, '    ')}\n    return\n\n" for cell in self.cells
        )
        code = f"import marimo\n\napp = marimo.App()\n\n{functions}"
        (self.root / "app.py").write_text(code, "utf-8")

    def _command(self, port: str) -> list[str]:
        return [
            *(sys.executable, "-m", "marimo", self.mode, "app.py", "--headless", "--no-token"),
            *("--host", "127.0.0.1", "--port", port),
        ]

    def open(self, *, context: BrowserContext | None = None) -> Page:
        """Open the notebook; its cells run where they haven't."""
        page = self.new_page(context=context)
        page.goto(self.url, wait_until="domcontentloaded")
        return page

    def kill_kernel(self) -> None:
        """End the kernel of an edited notebook at once, as a crash does."""
        for process in self.processes():
            with suppress(psutil.NoSuchProcess):
                if "multiprocessing.spawn" in " ".join(process.cmdline()):
                    os.kill(process.pid, signal.SIGKILL)
