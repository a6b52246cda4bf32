"""Installing from the marketplace: on a real hive, to the end, and what is told of it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from rbee_widgets import Hive, Tracker
from rbee_widgets.market.civitai import CivitAI
from tests.support import civitai, market
from tests.support.downloads import ended, sha256, until
from tests.support.hive import HiveProcess
from tests.support.hub import Hub
from tests.support.shelf import Shelf, Told, by_quantisation

pytestmark = pytest.mark.anyio

FILE = f"{market.TINY}:tiny-llama-Q4_K_M.gguf"


@pytest.fixture
def hub(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> Hub:
    """Put a few models on the hub."""
    market.fill(hub, models=15)
    monkeypatch.setenv("HF_ENDPOINT", hub.url)
    return hub


@pytest.fixture
async def shelf(hub: Hub, tracker: Tracker) -> AsyncIterator[Shelf]:
    """Give a marketplace whose first model is unfolded."""
    shelf = Shelf(market.TINY, tracker=tracker, sources=["huggingface", CivitAI(hub.url)])
    shelf.look()
    await shelf.found(1)
    await shelf.visited()
    await shelf.unfolded(market.TINY)
    yield shelf
    shelf.close()


async def row(shelf: Shelf, name: str, status: str = "complete") -> Told:
    """Wait for the row of a file to be at a status."""
    found: list[Told] = []

    def is_there() -> bool:
        rows = [one for one in shelf.rows.values() if one["name"] == name]
        found[:] = [one for one in rows if one["status"] == status]
        return bool(found)

    await until(is_there)
    return found[0]


async def installed(shelf: Shelf, model: str, file: str) -> Told:
    """Wait for a file to be marked as installed."""

    def told() -> Told:
        return next(one for one in shelf.files[model]["files"] if one["id"] == file)

    await until(lambda: told()["installed"])
    return told()


async def test_a_file_is_installed_and_marked(
    hub: Hub, hive: HiveProcess, tracker: Tracker, shelf: Shelf
) -> None:
    shelf.fetch(market.TINY, FILE)
    shelf.fetch(market.TINY, FILE)
    [download] = tracker.downloads
    done = await row(shelf, FILE)
    assert (done["id"], done["hive"], done["type"]) == (download.id, hive.handle().id, "model")
    file = await installed(shelf, market.TINY, FILE)
    assert file["place"] == download.path
    assert Path(file["place"]).is_relative_to(hive.models)
    assert sha256(file["place"]) == hub.sha256(*FILE.split(":"))
    others = [one for one in shelf.files[market.TINY]["files"] if one["id"] != FILE]
    assert {one["installed"] for one in others} == {False}
    assert shelf.gaps == 0


async def test_what_is_there_already_is_marked(hub: Hub, hive: HiveProcess) -> None:
    other = Tracker([hive.handle()])
    await other.download(FILE)
    await other.aclose()
    tracker = Tracker([hive.handle()])
    shelf = Shelf(market.TINY, tracker=tracker)
    shelf.look()
    await shelf.found(1)
    shelf.unfold(market.TINY)
    await shelf.in_state(market.TINY, "there")
    assert (await installed(shelf, market.TINY, FILE))["place"]
    assert shelf.rows == {}
    assert hub.open_transfers == 0
    shelf.close()
    await tracker.aclose()


async def test_a_download_begun_elsewhere_is_in_the_rows(tracker: Tracker, shelf: Shelf) -> None:
    download = tracker.download(FILE)
    assert (await row(shelf, FILE))["id"] == download.id
    await download
    assert (await installed(shelf, market.TINY, FILE))["place"] == download.path


@pytest.mark.parametrize(
    ("model", "file"),
    [
        (market.TINY, f"{market.TINY}:tiny-llama-Q9.gguf"),
        (market.TINY, f"{market.SMALL}:Llama-3.2-1B-Instruct-Q4_K_M.gguf"),
        (market.TINY, "http://127.0.0.1:9/model.gguf"),
        (market.SMALL, FILE),
        ("no/model", FILE),
    ],
)
async def test_what_is_no_file_of_the_model_is_not_fetched(
    tracker: Tracker, shelf: Shelf, model: str, file: str
) -> None:
    shelf.fetch(model, file)
    await asyncio.sleep(0.1)
    assert tracker.downloads == []


async def test_figures_tell_what_comes_and_how_fast(
    hub: Hub, tracker: Tracker, shelf: Shelf
) -> None:
    files = by_quantisation(await shelf.unfolded(market.TINY))
    free = shelf.state["hive"]["free"]
    assert (shelf.state["hive"]["promised"], shelf.state["hive"]["speed"]) == (0, None)
    size = files["BF16"]["size"]
    hub.rate = size / 3
    shelf.fetch(market.TINY, files["BF16"]["id"])
    await row(shelf, files["BF16"]["id"], "downloading")
    await until(lambda: 0 < shelf.state["hive"]["promised"] <= size)
    await row(shelf, files["BF16"]["id"])
    await until(lambda: shelf.state["hive"]["promised"] == 0)
    await until(lambda: shelf.state["hive"]["speed"])
    assert size / 6 < shelf.state["hive"]["speed"] < size
    await until(lambda: shelf.state["hive"]["free"] != free)
    assert tracker.downloads[0].usual_speed is not None


async def test_room_is_promised_once(hub: Hub, tracker: Tracker, shelf: Shelf) -> None:
    hub.rate = 20e6
    hub.add("org/other", "large.gguf", size=400_000_000)
    free = shelf.state["hive"]["free"]
    download = tracker.download("org/other:large.gguf")
    await until(lambda: shelf.state["hive"]["promised"] > 300e6)
    await until(lambda: download.bytes_downloaded > 60e6)
    shelf.search(2, "x")  # any other news tells it anew
    await shelf.found(2)
    hive = shelf.state["hive"]
    assert hive["promised"] < 350e6
    assert abs(hive["free"] - hive["promised"] - (free - 400e6)) < 20e6
    download.cancel()
    await ended(download)
    await until(lambda: shelf.state["hive"]["promised"] == 0)


async def test_other_downloads_end_is_told(hub: Hub, tracker: Tracker, shelf: Shelf) -> None:
    hub.rate = 1e6
    hub.add("org/other", "large.gguf", size=50_000_000)
    download = tracker.download("org/other:large.gguf")
    await until(lambda: shelf.state["hive"]["promised"] > 40e6)
    download.cancel()
    await ended(download)
    await until(lambda: shelf.state["hive"]["promised"] == 0)


# -- Other sources --------------------------------------------------------------------------------


async def test_a_url_is_installed_with_its_hash(hub: Hub, tracker: Tracker, shelf: Shelf) -> None:
    head = hub.content(*FILE.split(":")).read(0, 1 << 20)
    url = hub.add_file("tiny model-Q4_K_M.gguf", head=head, size=len(head) + 1000)
    content = hub._plain["tiny model-Q4_K_M.gguf"]
    text = f"{url}#sha256={content.sha256}"
    shelf.search(2, text)
    assert await shelf.found(2) == [text]
    [file] = (await shelf.unfolded(text)).values()
    assert (file["id"], file["size"], file["quantisation"]) == (url, content.size, "Q4_K_M")
    assert file["sha256"] == content.sha256
    assert file["fit"]["weights"] > 0
    shelf.fetch(text, url)
    await row(shelf, url)
    assert tracker.downloads[0].target.sha256 == content.sha256
    assert (await installed(shelf, text, url))["place"] == tracker.downloads[0].path


async def test_a_wrong_hash_fails(hub: Hub, tracker: Tracker, shelf: Shelf) -> None:
    url = hub.add_file("bad.gguf", size=5000)
    text = f"{url}#sha256={'ab' * 32}"
    shelf.search(2, text)
    await shelf.found(2)
    await shelf.unfolded(text)
    shelf.fetch(text, url)
    failed = await row(shelf, url, "failed")
    assert "sha256" in failed["error"]
    assert tracker.downloads[0].path is None
    await asyncio.sleep(0.3)
    assert not shelf.files[text]["files"][0]["installed"]


async def test_a_url_that_cannot_be_fetched_is_trouble(hub: Hub, shelf: Shelf) -> None:
    shelf.search(2, f"{hub.url}/files/x.gguf#sha256=12")
    assert await shelf.found(2) == []
    assert "sha256" in shelf.state["trouble"]["text"]
    shelf.search(3, f"{hub.url}/files/none.gguf")
    [model] = await shelf.found(3)
    shelf.unfold(model)
    assert "There is nothing at" in (await shelf.in_state(model, "error"))["error"]


async def test_civitai_is_searched_and_its_file_installed(
    hub: Hub, tracker: Tracker, shelf: Shelf
) -> None:
    civitai.fill_civitai(civitai.Civitai(hub))
    assert [one["name"] for one in shelf.state["sources"]] == ["huggingface", "civitai"]
    shelf.search(2, "Tiny Style", "civitai")
    [model] = await shelf.found(2)
    assert shelf.models[model]["title"] == "Tiny Style"
    assert shelf.state["query"]["source"] == "civitai"
    [file] = (await shelf.unfolded(model)).values()
    assert set(file["fit"]["verdicts"]) == {"unknown"}
    assert file["sha256"]
    shelf.fetch(model, file["id"])
    await row(shelf, file["id"])
    done = await installed(shelf, model, file["id"])
    assert sha256(done["place"]) == file["sha256"]
    assert tracker.downloads[0].name == file["id"]


# -- Another hive ---------------------------------------------------------------------------------


async def test_a_file_goes_to_the_hive_that_is_chosen(
    hub: Hub, hive: HiveProcess, tmp_path: Path
) -> None:
    with HiveProcess(tmp_path / "other models", hub.url) as other:
        tracker = Tracker([hive.handle("one"), other.handle("other")])
        shelf = Shelf(market.TINY, tracker=tracker)
        shelf.look()
        await shelf.found(1)
        await shelf.visited()
        await shelf.unfolded(market.TINY)
        await shelf.chosen("other")
        shelf.fetch(market.TINY, FILE)
        done = await row(shelf, FILE)
        assert done["hive"] == "other"
        place = (await installed(shelf, market.TINY, FILE))["place"]
        assert Path(place).is_relative_to(other.models)
        await shelf.chosen("one")
        await until(lambda: not any(one["installed"] for one in shelf.files[market.TINY]["files"]))
        shelf.close()
        await tracker.aclose()


async def test_a_hive_that_comes_back_is_asked_again(
    hive: HiveProcess, hub: Hub, tracker: Tracker
) -> None:
    hive.stop()
    shelf = Shelf(market.TINY, tracker=tracker)
    shelf.look()
    assert (await shelf.visited())["error"]
    assert await shelf.found(1)
    assert hub.requests
    await shelf.unfolded(market.TINY)
    hive.start()
    shelf.look()  # as a page does every few seconds
    await until(lambda: shelf.state["hive"]["error"] is None)
    await until(lambda: shelf.state["hive"]["free"])
    await until(lambda: shelf.files[market.TINY]["files"][0]["installed"] is False)
    shelf.close()


async def test_a_hive_that_is_none_is_told_of(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    assert hub.url
    monkeypatch.setenv("RBEE_HIVE_URL", "ftp://gaming-pc")
    tracker = Tracker()
    shelf = Shelf(market.TINY, tracker=tracker)
    shelf.look()
    told = await shelf.visited()
    assert (told["id"], told["devices"]) == ("", [])
    assert "'ftp://gaming-pc'" in told["error"]
    await shelf.found(1)
    await shelf.unfolded(market.TINY)
    bundle = shelf._repr_mimebundle_()
    assert bundle is not None
    assert "On no hive, 8k tokens" in bundle[0]["text/html"]
    shelf.close()
    await tracker.aclose()


async def test_a_hive_given_by_itself_is_chosen_and_can_be_again(
    hub: Hub, hive: HiveProcess
) -> None:
    assert hub.url
    tracker = Tracker([Hive("http://127.0.0.1:1", "away")])
    shelf = Shelf(market.TINY, hive.handle("here"), tracker=tracker)
    shelf.look()
    await shelf.found(1)
    assert (await shelf.visited())["id"] == "here"
    known: Any = [{"id": "away"}, {"id": "here"}]
    assert shelf.state["hives"] == known
    assert (await shelf.chosen("away"))["error"]
    await until(lambda: shelf.state["hives"] == known)
    assert (await shelf.chosen("here"))["devices"]
    shelf.close()
    await tracker.aclose()
