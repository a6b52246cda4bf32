"""The files of the marketplace: what they take, on which hive they fit, and their headers' lies."""

from __future__ import annotations

import tracemalloc
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from rbee_widgets import Tracker
from tests.support import market
from tests.support.cards import driver
from tests.support.downloads import until
from tests.support.hive import HiveProcess
from tests.support.hub import Hub, Status, too_many
from tests.support.shelf import Shelf, Told, by_quantisation

pytestmark = pytest.mark.anyio

LLAMA = "bartowski/Llama-3.1-8B-Instruct-GGUF"
GPU, OFFLOAD, NO, UNKNOWN = "gpu", "offload", "no", "unknown"


@pytest.fixture(scope="module")
def world() -> Iterator[Hub]:
    with Hub(tokens=["secret"]) as hub:
        market.fill(hub, models=120)
        yield hub


@pytest.fixture(scope="module")
def machines(world: Hub, tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[HiveProcess]]:
    """Give two hives: one with a card of 80 GB, one with a card of 6 GB."""
    folder = tmp_path_factory.mktemp("machines")
    cards = {"large": "0, NVIDIA A100-SXM4-80GB, 81920, 8.0", "small": "0, NVIDIA RTX, 6138, 8.6"}
    started = []
    for name, card in cards.items():
        home = {"HOME": str(folder), "XDG_RUNTIME_DIR": str(folder), "XDG_DATA_HOME": str(folder)}
        environ = home | driver(folder / name, card)
        started.append(HiveProcess(folder / name / "models", world.url, environ=environ))
    with started[0], started[1]:
        yield started


@pytest.fixture
def world_hub(world: Hub, monkeypatch: pytest.MonkeyPatch) -> Hub:
    world.heal()
    monkeypatch.setenv("HF_ENDPOINT", world.url)
    return world


@pytest.fixture
async def shelf(world_hub: Hub, machines: list[HiveProcess]) -> AsyncIterator[Shelf]:  # noqa: ARG001
    """Give a marketplace over both hives, the large one chosen."""
    tracker = Tracker([machines[0].handle("large"), machines[1].handle("small")])
    shelf = Shelf(LLAMA, tracker=tracker)
    shelf.look()
    await shelf.found(1)
    await shelf.visited()
    yield shelf
    shelf.close()
    await tracker.aclose()


async def find(shelf: Shelf, model: str, **filters: Any) -> Told:
    """Search for a model by its name; give it."""
    number = shelf.state["asked"] + 1
    shelf.search(number, model, **filters)
    await shelf.found(number)
    return shelf.models[model]


async def test_a_hive_tells_its_devices(shelf: Shelf) -> None:
    hive = shelf.state["hive"]
    assert shelf.state["hives"] == [{"id": "large"}, {"id": "small"}]
    assert (hive["id"], hive["error"]) == ("large", None)
    assert hive["gpu"] == 80 << 30
    [card] = [device for device in hive["devices"] if device["type"] != "cpu"]
    assert (card["name"], card["memory"]) == ("NVIDIA A100-SXM4-80GB", 80 << 30)
    assert hive["ram"] > 1 << 30
    assert hive["free"] > 1 << 30
    assert (hive["promised"], hive["speed"]) == (0, None)


async def test_files_are_told_with_their_sizes(world_hub: Hub, shelf: Shelf) -> None:
    files = await shelf.unfolded(LLAMA)
    sizes = [file["size"] for file in files.values()]
    assert sizes == sorted(sizes)
    assert len(files) == 12
    for path, file in files.items():
        assert file["id"] == f"{LLAMA}:{path}"
        assert file["quantisation"] in path
        assert file["size"] == world_hub.content(LLAMA, path).size
        assert (file["parts"], file["cannot"], file["sha256"]) == (1, None, None)
        assert (file["installed"], file["place"]) == (False, None)
    told = shelf.files[LLAMA]
    assert (told["license"], told["gate"], told["more"]) == ("llama3.1", None, 0)


async def test_the_figures_add_up(shelf: Shelf) -> None:
    files = by_quantisation(await shelf.unfolded(LLAMA))
    contexts = shelf.state["contexts"]
    for file in files.values():
        fit = file["fit"]
        assert fit["trained"] == 131_072
        assert len(fit["verdicts"]) == len(fit["kv"]) == len(fit["compute"]) == len(contexts)
        assert 0.95 * file["size"] < fit["weights"] + fit["host"] <= file["size"]
        # 32 layers of 8 heads of 128 numbers, keys and values, of 2 bytes each
        per_token = 32 * 8 * 128 * 2 * 2
        assert fit["kv"] == [min(context, 131_072) * per_token for context in contexts]
        assert fit["compute"] == sorted(fit["compute"])
        assert fit["overhead"] > 0


async def test_verdicts_differ_by_hive_and_by_context(shelf: Shelf) -> None:
    large = by_quantisation(await shelf.unfolded(LLAMA))
    assert set(large["Q4_K_M"]["fit"]["verdicts"]) == {GPU}
    await shelf.chosen("small")
    small = by_quantisation(await shelf.unfolded(LLAMA))
    verdicts = small["Q4_K_M"]["fit"]["verdicts"]
    assert verdicts[0] == GPU
    assert GPU not in verdicts[4:]
    assert verdicts == sorted(verdicts, key=[GPU, OFFLOAD, NO].index)
    assert GPU not in small["BF16"]["fit"]["verdicts"]
    for name, file in large.items():
        assert file["fit"] | {"verdicts": []} == small[name]["fit"] | {"verdicts": []}


async def test_one_header_is_read_for_a_family_and_once(world_hub: Hub, shelf: Shelf) -> None:
    model = "bartowski/Qwen2.5-7B-Instruct-GGUF"
    await find(shelf, model)
    before = len(world_hub.requests)
    files = await shelf.unfolded(model)
    assert len(files) > 10
    ranged = [one for one in world_hub.requests[before:] if one.range]
    assert sum(one.sent for one in ranged) <= 2 << 20
    assert len({one.path for one in ranged if "/resolve/" in one.path}) == 1
    asked = len(world_hub.requests)
    shelf.unfold(model)
    await shelf.chosen("small")
    assert len(world_hub.requests) == asked


async def test_a_split_file_is_one_that_cannot_be_installed(shelf: Shelf) -> None:
    await find(shelf, market.SPLIT)
    files = await shelf.unfolded(market.SPLIT)
    split = [file for file in files.values() if file["parts"] > 1]
    assert split
    for file in split:
        assert file["path"].endswith(f"-00001-of-{file['parts']:05}.gguf")
        assert f"in {file['parts']} parts" in file["cannot"]
        assert set(file["fit"]["verdicts"]) == {NO}, file
        assert file["size"] > 150e9
    shelf.fetch(market.SPLIT, split[0]["id"])
    assert shelf._owner.downloads == []


async def test_headers_that_lie_are_told_in_words_and_cost_nothing(shelf: Shelf) -> None:
    await find(shelf, market.LIAR)
    tracemalloc.start()
    try:
        files = await shelf.unfolded(market.LIAR, limit=30)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(files) == len(market.lies())
    assert peak < 50e6
    for file in files.values():
        assert set(file["fit"]["verdicts"]) == {UNKNOWN}
        assert 10 < len(file["fit"]["why"]) <= 1000
        assert file["fit"]["why"].isprintable()
        assert file["installed"] is False


async def test_a_gate_is_told_before_the_click(
    shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = await find(shelf, market.GATED)
    assert "ask its authors" in model["gate"]
    files = await shelf.unfolded(market.GATED)
    assert "set HF_TOKEN" in shelf.files[market.GATED]["gate"]
    for file in files.values():
        assert set(file["fit"]["verdicts"]) == {UNKNOWN}
        assert "HF_TOKEN" in file["fit"]["why"]
    monkeypatch.setenv("HF_TOKEN", "secret")
    await find(shelf, market.GATED_AUTO)
    files = await shelf.unfolded(market.GATED_AUTO)
    assert {file["fit"]["verdicts"][0] for file in files.values()} == {GPU}


async def test_what_has_no_gguf_is_of_unknown_fit(shelf: Shelf) -> None:
    await find(shelf, market.SAFETENSORS, format=None)
    files = await shelf.unfolded(market.SAFETENSORS)
    assert files
    for file in files.values():
        assert set(file["fit"]["verdicts"]) == {UNKNOWN}
        assert "GGUF" in file["fit"]["why"]
    await find(shelf, market.EMPTY, format=None)
    assert await shelf.unfolded(market.EMPTY) == {}


async def test_files_that_cannot_be_told_are_asked_for_again(world_hub: Hub, shelf: Shelf) -> None:
    world_hub.fail(too_many(7), path=f"/api/models/{LLAMA}?")
    shelf.unfold(LLAMA)
    told = await shelf.in_state(LLAMA, "error")
    assert told["retry"] == 7
    assert "429" in told["error"]
    shelf.unfold(LLAMA)
    await shelf.in_state(LLAMA, "there")
    await shelf.unfolded(LLAMA)
    world_hub.fail(Status(500), path="README.md")
    shelf.read(LLAMA)
    await until(lambda: shelf.cards.get(LLAMA, {}).get("state") == "error")
    assert "500" in shelf.cards[LLAMA]["error"]
    shelf.read(LLAMA)
    await until(lambda: shelf.cards[LLAMA]["state"] == "there")
    assert "<h4>" in shelf.cards[LLAMA]["html"]


async def test_nothing_is_told_of_models_that_were_not_found(shelf: Shelf) -> None:
    shelf.unfold(market.TINY)
    shelf.read(market.TINY)
    shelf.choose("moon")
    shelf.unfold(LLAMA)
    await shelf.unfolded(LLAMA)
    assert list(shelf.files) == [LLAMA]
    assert shelf.cards == {}
    assert shelf.state["hive"]["id"] == "large"
