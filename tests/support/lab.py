"""A real JupyterLab on loopback, driven by headless Chromium.

Everything lies in a temporary folder: settings, workspaces, kernel specs, and the home and XDG
folders of the server, its kernels and whatever they start. So a hive that a kernel starts is this
lab's own, and the lab ends it: it ends every process whose environment carries its runtime folder.

    with Lab() as lab:
        page = lab.open("a.ipynb", ["print(1)"])
        lab.run_all(page)
        lab.wait_idle(page)
        page.screenshot(path="a.png")

Chromium is ``/usr/bin/chromium``, or what the variable CHROMIUM names. As a script it runs one
notebook: ``python -m tests.support.lab NOTEBOOK --shot a.png``. Linux; playwright's synchronous
API, so not from inside a running event loop.
"""

from __future__ import annotations

import argparse
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from abc import ABC, abstractmethod
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal, TypeAlias
from urllib.parse import quote
from uuid import uuid4

import httpx
import psutil
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from typing import Self

    from playwright.sync_api import ConsoleMessage, WebSocket

REPOSITORY = Path(__file__).parents[2]

CHROMIUM = os.environ.get("CHROMIUM", "/usr/bin/chromium")

CHROMIUM_ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
    # A headless page must not be throttled as one in the background while it is measured.
    "--disable-background-timer-throttling",
    "--disable-renderer-backgrounding",
    "--disable-backgrounding-occluded-windows",
]

START_S = 60.0
"""Longest time in seconds that the server may take to answer; 3 is usual."""

READY_S = 90.0
"""Longest time in seconds that a page may take to show a notebook with a live kernel."""

IDLE_S = 120.0
"""Longest time in seconds that the cells of a notebook may run."""

END_S = 5.0
"""Seconds between asking a process to end and ending it."""

INHERITED_BY_NOBODY = ("RBEE_", "HF_", "HUGGING", "JUPYTER", "IPYTHON", "XDG_")
"""Beginnings of variables that would let the developer's own set-up into the lab."""

Theme = Literal["light", "dark"]

Cell: TypeAlias = dict[str, Any]
"""A cell as nbformat 4.5 has it."""

_NOTEBOOK_READY = """
    () => jupyterapp.shell.currentWidget?.content?.model?.cells !== undefined
"""

_KERNEL_READY = """
    () => ['idle', 'busy'].includes(
        jupyterapp.shell.currentWidget.sessionContext?.session?.kernel?.status)
"""

_ALL_IDLE = """
    () => {
        const panel = jupyterapp.shell.currentWidget;
        const cells = [...panel.content.model.cells].filter(
            cell => cell.type === 'code' && cell.sharedModel.getSource().trim());
        const hasFailed = cells.some(
            cell => cell.outputs.toJSON().some(output => output.output_type === 'error'));
        return panel.sessionContext.session?.kernel?.status === 'idle'
            && cells.every(cell => cell.executionState !== 'running')
            && (hasFailed || cells.every(cell => cell.executionCount !== null));
    }
"""

_OUTPUTS = """
    () => [...jupyterapp.shell.currentWidget.content.model.cells].map(
        cell => cell.type === 'code' ? cell.outputs.toJSON() : [])
"""

_SELECT = """
    index => {
        const notebook = jupyterapp.shell.currentWidget.content;
        notebook.activeCellIndex = index;
        notebook.deselectAll();
    }
"""


@dataclass(frozen=True, slots=True)
class Console:
    """One message of a page's console; `kind` is `error`, `warning` or `pageerror` (uncaught)."""

    kind: str
    text: str


@dataclass  # no slots: playwright sets an attribute on whom its events go to
class Traffic:
    """Frames and bytes on the kernels' websockets since `reset`; pass it to `Lab.open`."""

    frames_received: int = 0
    bytes_received: int = 0
    frames_sent: int = 0
    bytes_sent: int = 0

    def reset(self) -> None:
        """Count from zero again."""
        self.frames_received = self.bytes_received = self.frames_sent = self.bytes_sent = 0

    def watch(self, websocket: WebSocket) -> None:
        """Count what this websocket carries, if it is a kernel's."""
        if "/channels" in websocket.url:
            websocket.on("framereceived", self._received)
            websocket.on("framesent", self._sent)

    def _received(self, payload: str | bytes) -> None:
        self.frames_received += 1
        self.bytes_received += _size(payload)

    def _sent(self, payload: str | bytes) -> None:
        self.frames_sent += 1
        self.bytes_sent += _size(payload)


def _size(payload: str | bytes) -> int:
    return len(payload if isinstance(payload, bytes) else payload.encode())


@dataclass
class Host(ABC):
    """A server of notebooks with a browser; a context manager.

    Parameters
    ----------
    theme
        The host's own theme.
    env
        Variables of the server and so of the kernels, over those that the host sets itself.
    pythonpath
        Folders from which kernels import; the repository by default.
    shared
        The browser of another host, whose life this one's lies within; else it has its own.
    """

    theme: Theme = "light"
    env: Mapping[str, str] = field(default_factory=dict)
    pythonpath: Sequence[Path] = (REPOSITORY,)
    shared: Browser | None = None
    console: list[Console] = field(default_factory=list, init=False)
    """Errors and warnings of all pages, oldest first."""

    HEALTH: ClassVar = "/api/status"
    """What the server answers once it is ready."""

    # Life

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            folder = tempfile.TemporaryDirectory(prefix="host-", ignore_cleanup_errors=True)
            self.folder = Path(stack.enter_context(folder))
            self.root = self._mkdir("root")
            self.runtime = self._mkdir("runtime", mode=0o700)
            self._prepare()
            stack.callback(self._end_processes)
            self.url = f"http://127.0.0.1:{_free_port()}"
            self._start_server(stack)
            self.browser: Browser = self.shared or _launch(stack)
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def _mkdir(self, name: str, mode: int = 0o755) -> Path:
        path = self.folder / name
        path.mkdir(mode=mode, parents=True)
        return path

    @abstractmethod
    def _prepare(self) -> None:
        """Write what the server reads as it starts."""

    @abstractmethod
    def _command(self, port: str) -> list[str]:
        """Give what starts the server."""

    def _environment(self) -> dict[str, str]:
        ours = {
            "HOME": "home",
            "XDG_CACHE_HOME": "cache",
            "XDG_CONFIG_HOME": "config",
            "XDG_DATA_HOME": "share",
            "XDG_STATE_HOME": "state",
            "XDG_RUNTIME_DIR": "runtime",
            "IPYTHONDIR": "ipython",
            "JUPYTER_CONFIG_DIR": "jupyter",
            "JUPYTER_DATA_DIR": "data",
            # In a virtual environment its own kernel specs come before JUPYTER_DATA_DIR, but
            # after JUPYTER_PATH.
            "JUPYTER_PATH": "data",
            "JUPYTER_RUNTIME_DIR": "jupyter-runtime",
            "JUPYTERLAB_SETTINGS_DIR": "settings",
            "JUPYTERLAB_WORKSPACES_DIR": "workspaces",
        }
        return {
            **{k: v for k, v in os.environ.items() if not k.startswith(INHERITED_BY_NOBODY)},
            **{name: str(self.folder / path) for name, path in ours.items()},
            "PYTHONPATH": os.pathsep.join(map(str, self.pythonpath)),
            **self.env,
        }

    def _start_server(self, stack: ExitStack) -> None:
        log = stack.enter_context((self.folder / "server.log").open("w"))
        server = subprocess.Popen(
            self._command(self.url.rpartition(":")[2]),
            env=self._environment(),
            cwd=self.root,
            stdout=log,
            stderr=subprocess.STDOUT,
        )
        stack.callback(server.wait, END_S)
        stack.callback(self._end_processes)
        end = time.monotonic() + START_S
        while not _answers(self.url + self.HEALTH):
            if server.poll() is not None or time.monotonic() > end:
                raise RuntimeError(f"no answer; the log ends: {self.log[-2000:]}")
            time.sleep(0.1)

    @property
    def log(self) -> str:
        """What the server and its kernels have written so far."""
        return (self.folder / "server.log").read_text(errors="replace")

    def processes(self) -> list[psutil.Process]:
        """Give the host's processes but the browser: server, kernels, and what they started."""
        return [
            process
            for process in psutil.process_iter()
            if _environ(process).get("XDG_RUNTIME_DIR") == str(self.runtime)
        ]

    def _end_processes(self) -> None:
        """End all processes of this host by their ids, also those that left their parents."""
        processes = self.processes()
        for process in processes:
            with suppress(psutil.NoSuchProcess):
                process.terminate()
        _, alive = psutil.wait_procs(processes, timeout=END_S)
        for process in alive:
            with suppress(psutil.NoSuchProcess):
                process.kill()
        psutil.wait_procs(alive, timeout=END_S)

    # Pages

    def new_page(
        self,
        *,
        viewport: tuple[int, int] = (1280, 900),
        context: BrowserContext | None = None,
        traffic: Traffic | None = None,
    ) -> Page:
        """Give an empty page, in a browser of its own where no `context` is given.

        Make one with `browser.new_context` for another kind of browser (reduced motion, touch);
        `viewport` (width and height in CSS pixels) then has no meaning.
        """
        width, height = viewport
        context = context or self.browser.new_context(viewport={"width": width, "height": height})
        page = context.new_page()
        page.on("console", self._note)
        page.on("pageerror", lambda error: self.console.append(Console("pageerror", str(error))))
        if traffic is not None:
            page.on("websocket", traffic.watch)
        return page

    def _note(self, message: ConsoleMessage) -> None:
        if message.type in {"error", "warning"}:
            self.console.append(Console(message.type, message.text))

    @property
    def console_errors(self) -> list[Console]:
        """Errors of all pages, oldest first, without the warnings."""
        return [message for message in self.console if message.kind != "warning"]


@dataclass
class Lab(Host):
    """A JupyterLab with a browser; a context manager.

    Parameters
    ----------
    settings
        User settings by plugin, such as
        ``{"@jupyterlab/notebook-extension:tracker": {"windowingMode": "none"}}``.
    kernel_python
        The kernels' interpreter.
    """

    settings: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    kernel_python: str = sys.executable

    MODULE: ClassVar = "jupyterlab"
    APP: ClassVar = "LabApp"
    """The application's module and its name in settings."""

    def _prepare(self) -> None:
        self._write_settings()
        self._write_kernelspec()

    def _write_settings(self) -> None:
        quiet = {"fetchNews": "false", "checkForUpdates": False}
        themes = {"theme": "JupyterLab Dark" if self.theme == "dark" else "JupyterLab Light"}
        every = {
            "@jupyterlab/apputils-extension:notification": quiet,
            "@jupyterlab/apputils-extension:themes": themes,
            **self.settings,
        }
        for plugin, values in every.items():
            file = self.folder / "settings" / (plugin.replace(":", "/") + ".jupyterlab-settings")
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(json.dumps(values))

    def _write_kernelspec(self) -> None:
        """Shadow the installed `python3`, so that the kernel is the interpreter asked for."""
        command = [self.kernel_python, "-Xfrozen_modules=off", "-m", "ipykernel_launcher"]
        spec = {
            "argv": [*command, "-f", "{connection_file}"],
            "display_name": "Python 3",
            "language": "python",
            "metadata": {"debugger": False},
        }
        folder = self._mkdir("data/kernels/python3")
        (folder / "kernel.json").write_text(json.dumps(spec))

    def _command(self, port: str) -> list[str]:
        return [
            *(sys.executable, "-m", self.MODULE, "--no-browser", "--allow-root"),
            "--ServerApp.ip=127.0.0.1",
            f"--ServerApp.port={port}",
            "--ServerApp.port_retries=0",
            "--IdentityProvider.token=",
            "--ServerApp.password=",
            "--ServerApp.disable_check_xsrf=True",
            "--ServerApp.terminals_enabled=False",
            f"--ServerApp.root_dir={self.root}",
            f"--{self.APP}.expose_app_in_browser=True",  # gives pages `jupyterapp`
            "--LabApp.news_url=",
        ]

    def kernel_pids(self) -> list[int]:
        """Give the ids of the kernels that run now."""
        pids = []
        for process in self.processes():
            with suppress(psutil.NoSuchProcess):
                if "ipykernel_launcher" in process.cmdline():
                    pids.append(process.pid)
        return pids

    # Notebooks

    def write(self, name: str, cells: Iterable[str | Cell]) -> Path:
        """Write a notebook into the server's folder; a cell that is text becomes a code cell."""
        notebook = {
            "nbformat": 4,
            "nbformat_minor": 5,
            "metadata": {
                "kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}
            },
            "cells": [_code(cell) if isinstance(cell, str) else cell for cell in cells],
        }
        path = self.root / name
        path.write_text(json.dumps(notebook), "utf-8")
        return path

    def open(
        self,
        name: str,
        cells: Iterable[str | Cell] | None = None,
        *,
        viewport: tuple[int, int] = (1280, 900),
        context: BrowserContext | None = None,
        traffic: Traffic | None = None,
        wait_kernel: bool = True,
    ) -> Page:
        """Open a notebook, written from `cells` where given, in a browser of its own.

        The same name opened twice is the same notebook and kernel seen from two browsers. For
        `viewport`, `context` and `traffic` see `new_page`.
        """
        if cells is not None:
            self.write(name, cells)
        page = self.new_page(viewport=viewport, context=context, traffic=traffic)
        page.goto(self._address(name), wait_until="domcontentloaded")
        self.wait_ready(page, wait_kernel=wait_kernel)
        return page

    def _address(self, name: str) -> str:
        return f"{self.url}/lab/workspaces/{uuid4().hex}/tree/{quote(name)}"

    def reload(self, page: Page, *, wait_kernel: bool = True) -> None:
        """Load the page again and wait until its notebook is there; the kernel lives on."""
        page.reload(wait_until="domcontentloaded")
        self.wait_ready(page, wait_kernel=wait_kernel)

    def wait_ready(self, page: Page, *, wait_kernel: bool = True, timeout: float = READY_S) -> None:
        """Wait, for at most `timeout` seconds, until the notebook is shown and its kernel lives."""
        page.wait_for_function("() => window.jupyterapp?.shell", timeout=timeout * 1000)
        page.wait_for_function(_NOTEBOOK_READY, timeout=timeout * 1000)
        if wait_kernel:
            page.wait_for_function(_KERNEL_READY, timeout=timeout * 1000)

    def command(
        self,
        page: Page,
        name: str,
        arguments: Mapping[str, Any] | None = None,
        *,
        wait: bool = True,
    ) -> None:
        """Run a command of JupyterLab; `wait` for its end, a failure of which is raised."""
        page.evaluate(
            """([name, args, wait]) => {
                const done = jupyterapp.commands.execute(name, args).then(() => null);
                if (wait) return done;
                done.catch(() => null);
            }""",
            [name, dict(arguments or {}), wait],
        )

    def run_all(self, page: Page) -> None:
        """Run all cells; doesn't wait for their end."""
        self.command(page, "notebook:run-all-cells", wait=False)

    def run_cell(self, page: Page, index: int, *, wait: bool = False) -> None:
        """Run one cell, counted from 0; `wait` for its end."""
        page.evaluate(_SELECT, index)
        self.command(page, "notebook:run-cell", wait=wait)

    def wait_idle(self, page: Page, *, timeout: float = IDLE_S) -> None:
        """Wait, for at most `timeout` seconds, until every code cell has run or one has failed."""
        page.wait_for_function(_ALL_IDLE, timeout=timeout * 1000)

    def outputs(self, page: Page) -> list[list[dict[str, Any]]]:
        """Give each cell's outputs, as nbformat has them."""
        outputs: list[list[dict[str, Any]]] = page.evaluate(_OUTPUTS)
        return outputs

    def errors(self, page: Page) -> list[tuple[str, str]]:
        """Give name and text of each exception that a cell ended in."""
        return [
            (output["ename"], output["evalue"])
            for outputs in self.outputs(page)
            for output in outputs
            if output["output_type"] == "error"
        ]

    def save(self, page: Page) -> None:
        """Save the notebook and wait until it is written."""
        self.command(page, "docmanager:save")


def _code(source: str) -> Cell:
    return {
        "cell_type": "code",
        "id": uuid4().hex[:8],
        "metadata": {},
        "execution_count": None,
        "outputs": [],
        "source": source,
    }


def _launch(stack: ExitStack) -> Browser:
    playwright = stack.enter_context(sync_playwright())
    browser = playwright.chromium.launch(executable_path=CHROMIUM, args=CHROMIUM_ARGUMENTS)
    stack.callback(browser.close)
    return browser


def _free_port() -> int:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        port: int = listening.getsockname()[1]
        return port


def _answers(url: str) -> bool:
    try:
        return httpx.get(url, timeout=2, trust_env=False).is_success
    except httpx.TransportError:
        return False


def _environ(process: psutil.Process) -> dict[str, str]:
    """Give a process's environment; empty where it is another user's or gone."""
    try:
        environ: dict[str, str] = process.environ()
    except psutil.Error:
        return {}
    return environ


def main() -> int:
    """Run one notebook and take a picture; 1 if a cell failed or the selector never came."""
    parser = argparse.ArgumentParser(prog="python -m tests.support.lab")
    parser.add_argument("notebook", type=Path)
    parser.add_argument("--wait-for", default=".jp-OutputArea-output", metavar="CSS")
    parser.add_argument("--shot", type=Path, default=Path("lab.png"))
    parser.add_argument("--theme", choices=["light", "dark"], default="light")
    options = parser.parse_args()
    with Lab(theme=options.theme) as lab:
        name = options.notebook.name
        (lab.root / name).write_bytes(options.notebook.read_bytes())
        page = lab.open(name)
        lab.run_all(page)
        lab.wait_idle(page)
        page.wait_for_selector(options.wait_for)
        page.screenshot(path=options.shot)
        errors = lab.errors(page)
        print("cell errors:", errors, "console errors:", lab.console_errors)
    return 1 if errors else 0


if __name__ == "__main__":
    sys.exit(main())
