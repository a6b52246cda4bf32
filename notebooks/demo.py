"""Shows the first notebook at work: `make demo`, or `make demo HEADLESS=1` for pictures of it.

Everything it makes lies in a temporary folder and ends with it. Where the machine is offline
(no hub answers, or `HF_HUB_OFFLINE` is set) a sample hub on loopback serves the model, slowly
enough to be watched.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import httpx
import psutil
from playwright.sync_api import Page, expect

from tests.support.hub import Hub
from tests.support.lab import Lab

NOTEBOOK: Final = Path(__file__).parent / "01_download.ipynb"
PUBLIC_HUB: Final = "https://huggingface.co"

REPO, FILE = "ggml-org/models", "tinyllamas/stories15M-q4_0.gguf"
SIZE: Final = 19_077_344
"""Bytes of that file on the public hub."""

SAMPLE_RATE: Final = 2e6
"""Bytes per second of the sample hub: ten seconds to watch."""

LIMIT_MS: Final = 180_000
VIEWPORT: Final = (1200, 1600)
"""Width and height, in pixels, that show the whole notebook."""


def main() -> int:
    """Run the demo; gives the exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--headless", action="store_true", help="take pictures, and end")
    parser.add_argument("--pictures", type=Path, default=Path("artifacts"), metavar="FOLDER")
    options = parser.parse_args()
    with _hub() as endpoint:
        # A hive of its own, so that the user's is left alone and the file is not there already.
        environment = {"HF_ENDPOINT": endpoint, "RBEE_HIVE_URL": ""}
        if options.headless:
            return _take_pictures(options.pictures, environment)
        return _open(environment)


@contextmanager
def _hub() -> Iterator[str]:
    """Give the address of the hub to use."""
    endpoint = os.environ.get("HF_ENDPOINT", PUBLIC_HUB)
    if _answers(endpoint):
        print(f"models come from {endpoint}")
        yield endpoint
        return
    with Hub(rate=SAMPLE_RATE) as hub:
        hub.add(REPO, FILE, size=SIZE)
        print(f"this machine is offline: a sample hub serves {FILE} at {hub.url}")
        yield hub.url


def _answers(endpoint: str) -> bool:
    if os.environ.get("HF_HUB_OFFLINE"):
        return False
    try:
        return httpx.head(f"{endpoint}/{REPO}/resolve/main/{FILE}", timeout=3).status_code < 400
    except httpx.HTTPError:
        return False


def _open(environment: dict[str, str]) -> int:
    """Open JupyterLab on the notebook, for as long as the user likes."""
    command = [sys.executable, "-m", "jupyterlab", str(NOTEBOOK), "--ServerApp.ip=127.0.0.1"]
    if os.name == "posix" and os.geteuid() == 0:
        command.append("--allow-root")
    with _home() as places:
        try:
            environ = {**os.environ, **environment, **places}
            return subprocess.run(command, env=environ, check=False).returncode
        except KeyboardInterrupt:
            return 0


@contextmanager
def _home() -> Iterator[dict[str, str]]:
    """Give places that are gone afterwards, and end the hive that was started in them."""
    with tempfile.TemporaryDirectory(prefix="rbee-demo-") as folder:
        runtime = Path(folder, "runtime")
        runtime.mkdir(mode=0o700)
        yield {
            "XDG_CACHE_HOME": f"{folder}/cache",
            "XDG_STATE_HOME": f"{folder}/state",
            "XDG_RUNTIME_DIR": str(runtime),
        }
        for told in runtime.rglob("hive-*.json"):
            hive = psutil.Process(json.loads(told.read_text())["pid"])
            hive.terminate()
            hive.wait(10)


def _take_pictures(folder: Path, environment: dict[str, str]) -> int:
    """Run the notebook in a browser that nobody sees."""
    folder.mkdir(parents=True, exist_ok=True)
    cells = json.loads(NOTEBOOK.read_text(encoding="utf-8"))["cells"]
    with Lab(env=environment) as lab:
        page = lab.open(NOTEBOOK.name, cells, viewport=VIEWPORT)
        lab.run_all(page)
        try:
            _watch(page, folder)
            lab.wait_idle(page)
        except AssertionError as error:
            page.screenshot(path=folder / "demo-failed.png")
            print(f"the row did not reach complete: {str(error).splitlines()[0]}", file=sys.stderr)
            return 1
        expect(page.locator(".rbee-panel[data-live=no]")).to_have_count(0)
        failed = lab.errors(page)
        page.screenshot(path=folder / "demo-end.png")
    if failed:
        print(f"a cell failed: {failed}", file=sys.stderr)
        return 1
    print(f"pictures are in {folder}")
    return 0


def _watch(page: Page, folder: Path) -> None:
    row = page.locator(".rbee-row").first
    bar = row.get_by_role("progressbar")
    row.wait_for(timeout=LIMIT_MS)
    page.wait_for_function(
        "bar => Number(bar.getAttribute('aria-valuenow')) >= 40",
        arg=bar.element_handle(),
        timeout=LIMIT_MS,
    )
    page.screenshot(path=folder / "demo-middle.png")
    expect(row).to_have_attribute("data-status", "complete", timeout=LIMIT_MS)


if __name__ == "__main__":
    sys.exit(main())
