"""A panel in a real JupyterLab whose server drops messages, as another cell prints without end."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import Open, browser, hub, lab, models, open_notebook
from tests.browser.notebook import LIMIT_S
from tests.faults.cases import fault
from tests.faults.conftest import Seen
from tests.support.downloads import sha256
from tests.support.hub import Hub

__all__ = ["browser", "hub", "lab", "models", "open_notebook"]  # the fixtures

pytestmark = pytest.mark.alone

MB = 1_000_000

FLOOD = """\
import asyncio, time
async def flood(seconds):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        for _ in range(400):
            print("x", flush=True)
        await asyncio.sleep(0.1)
await flood(4)
"""
"""Far above the thousand messages a second that Jupyter Server passes on."""


@fault(38, "messages dropped by Jupyter Server", "the panel heals itself: right figures, right end")
def test_a_panel_heals_itself(
    hub: Hub,
    models: Path,
    open_notebook: Open,
    seen: Seen,
) -> None:
    hub.rate = 10e6
    hub.add("org/heals", "file.gguf", size=40 * MB)
    hub.add("org/heals", "second.gguf", size=10 * MB)
    notebook = open_notebook(
        "%download org/heals:file.gguf", FLOOD, "%download org/heals:second.gguf"
    )
    notebook.run(0)
    notebook.shows_percentage(notebook.row(0), 5)
    notebook.record()
    notebook.begin(1)
    notebook.wait_run(1, 60)  # JupyterLab paints thousands of lines long after they were printed
    row = notebook.row(0)
    expect(row).to_have_attribute("data-status", "complete", timeout=LIMIT_S * 1000)
    expect(row.locator(".rbee-percent")).to_have_text("100%")
    expect(row.locator(".rbee-bytes")).to_have_text("40.0 MB")
    told = [one for one in notebook.samples if one.percentage is not None]
    moves = [one.percentage or 0.0 for one in told]
    gaps = [after.at - before.at for before, after in pairwise(told)]
    assert moves == sorted(moves)
    printed = "".join(str(output.get("text", "")) for output in notebook.outputs(1))
    notebook.run(2)
    notebook.shows(2, "complete")
    assert sha256(models / "org-heals-file.gguf" / "model.gguf") == hub.sha256(
        "org/heals", "file.gguf"
    )
    seen(
        f"complete with its figures; {len(told)} figures shown, {max(gaps):.1f} s between two at "
        f"most, while {printed.count('x')} of about 16000 prints came through"
    )
