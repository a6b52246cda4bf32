"""Takes the pictures of the second notebook: `python -m notebooks.pictures`.

A marketplace of the tests, with a workstation and a laptop whose cards no machine need have.
"""

from __future__ import annotations

import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import Final

from playwright.sync_api import Locator, Page, expect

from tests.support import market
from tests.support.cards import driver
from tests.support.hive import HiveProcess
from tests.support.hub import Hub
from tests.support.lab import Lab

FOLDER: Final = Path(__file__).parent / "images"

CARDS: Final = {
    "laptop": "0, NVIDIA GeForce RTX 4060 Laptop GPU, 8188, 8.9",
    "workstation": "0, NVIDIA RTX 6000 Ada Generation, 49140, 8.9",
}

MODEL: Final = "bartowski/Qwen3-14B-GGUF"
LIMIT_MS: Final = 20_000
VIEWPORT: Final = (1200, 1100)


def main() -> int:
    """Take them."""
    FOLDER.mkdir(exist_ok=True)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="rbee-pictures-")))
        hub = stack.enter_context(Hub())
        market.fill(hub)
        hives = [
            stack.enter_context(
                HiveProcess(folder / name, hub.url, environ=driver(folder / f"{name}-bin", card))
            )
            for name, card in CARDS.items()
        ]
        lab = stack.enter_context(Lab(env={"HF_ENDPOINT": hub.url}))
        known = ", ".join(
            f"rbee.Hive({hive.url!r}, {name!r}, {hive.token!r})"
            for name, hive in zip(CARDS, hives, strict=True)
        )
        shown = "rbee.Marketplace('GGUF', tracker=rbee.Tracker([" + known + "]))"
        code = f"import rbee_widgets as rbee\n{shown}"
        page = lab.open("pictures.ipynb", [code], viewport=VIEWPORT)
        lab.run_all(page)
        _shoot(page)
    return 0


def _shoot(page: Page) -> None:
    shop = page.locator(".rbee-market")
    expect(shop.locator(".rbee-model").first).to_be_visible(timeout=LIMIT_MS)
    expect(shop.locator(".rbee-devices")).to_contain_text("RTX 4060", timeout=LIMIT_MS)
    shop.screenshot(path=FOLDER / "marketplace-results.png")
    shop.get_by_role("searchbox").fill(MODEL)
    model = shop.locator(f".rbee-model[data-id='{MODEL}']")
    expect(shop.locator(".rbee-model")).to_have_count(1, timeout=LIMIT_MS)
    model.get_by_role("button").first.click()
    _read(model)
    shop.screenshot(path=FOLDER / "marketplace-files.png")


def _read(model: Locator) -> None:
    """Wait until it is known of each file whether it fits."""
    expect(model.locator(".rbee-file").first).to_be_visible(timeout=LIMIT_MS)
    expect(model.locator(".rbee-file:not([data-fit])")).to_have_count(0, timeout=LIMIT_MS)
    expect(model.locator(".rbee-file[data-fit=no]").first).to_be_visible(timeout=LIMIT_MS)


if __name__ == "__main__":
    sys.exit(main())
