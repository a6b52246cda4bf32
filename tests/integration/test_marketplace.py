"""The marketplace in a cell: searches, pages, what a page is told, and how it ends."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from rbee_widgets import Hive, Tracker
from rbee_widgets.errors import HiveUrlError, UnknownHiveError
from rbee_widgets.market.market import PAGE
from tests.support import market
from tests.support.downloads import until
from tests.support.hub import Hub, Rubbish, Slow, Status, too_many
from tests.support.page import say, turn_away
from tests.support.shelf import Shelf

pytestmark = pytest.mark.anyio

NOWHERE = Hive("http://127.0.0.1:1", "nowhere")
"""Nobody answers there: most of what is told here has no need of a hive."""


@pytest.fixture(scope="module")
def world() -> Iterator[Hub]:
    with Hub() as hub:
        market.fill(hub, models=120, light=130)
        yield hub


@pytest.fixture
def world_hub(world: Hub, monkeypatch: pytest.MonkeyPatch) -> Hub:
    world.heal()
    world.page_length = 1000
    monkeypatch.setenv("HF_ENDPOINT", world.url)
    return world


@pytest.fixture
async def lone(world_hub: Hub) -> AsyncIterator[Tracker]:
    """Give a tracker whose one hive is away."""
    tracker = Tracker([NOWHERE])
    yield tracker
    await tracker.aclose()


async def test_the_first_search_is_made_at_once(world_hub: Hub, lone: Tracker) -> None:
    shelf = Shelf(" bartowski ", tracker=lone)
    shelf.look()
    found = await shelf.found(1)
    assert len(found) > 10
    assert all("bartowski" in id for id in found)
    assert shelf.state["query"]["text"] == "bartowski"
    assert (shelf.state["asked"], shelf.state["trouble"]) == (1, None)
    [source] = shelf.state["sources"]
    assert (source["name"], source["title"]) == ("huggingface", "Hugging Face")
    assert {"format", "task", "license", "least"} <= set(source["filters"])
    assert {"trending", "downloads", "likes", "newest"} <= set(source["orders"])
    assert shelf.state["contexts"][shelf.state["context"]] == 8192
    assert repr(shelf) == f"<Marketplace of {len(found)} models>"
    shelf.close()
