"""The marketplace in a cell: searches, pages, what a page is told, and how it ends."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from rbee_widgets import Hive, Tracker
from rbee_widgets.errors import HiveUrlError, UnknownHiveError
from rbee_widgets.market.civitai import CivitAI
from rbee_widgets.market.market import PAGE
from tests.support import market
from tests.support.downloads import until
from tests.support.drip import Drip
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
async def lone(world_hub: Hub) -> AsyncIterator[Tracker]:  # noqa: ARG001 (who is asked)
    """Give a tracker whose one hive is away."""
    tracker = Tracker([NOWHERE])
    yield tracker
    await tracker.aclose()


async def test_the_first_search_is_made_at_once(lone: Tracker) -> None:
    shelf = Shelf(" bartowski ", tracker=lone)
    shelf.look()
    found = await shelf.found(1)
    assert len(found) > 10
    assert all("bartowski" in model for model in found)
    assert shelf.state["query"]["text"] == "bartowski"
    assert (shelf.state["asked"], shelf.state["trouble"]) == (1, None)
    [source] = shelf.state["sources"]
    assert (source["name"], source["title"]) == ("huggingface", "Hugging Face")
    assert {"format", "task", "license", "least"} <= set(source["filters"])
    assert {"trending", "downloads", "likes", "newest"} <= set(source["orders"])
    assert shelf.state["contexts"][shelf.state["context"]] == 8192
    assert repr(shelf) == f"<Marketplace of {len(found)} models>"
    shelf.close()


@pytest.fixture
async def shelf(lone: Tracker) -> AsyncIterator[Shelf]:
    """Give a marketplace that a page shows, whose first search is over."""
    shelf = Shelf(market.TINY, tracker=lone)
    shelf.look()
    await shelf.found(1)
    yield shelf
    shelf.close()


# -- Searches -------------------------------------------------------------------------------------


async def test_a_newer_search_wins_though_the_older_answers_later(
    world_hub: Hub, shelf: Shelf
) -> None:
    world_hub.fail(Slow(1), path="search=bartowski")
    shelf.search(2, "bartowski")
    await until(lambda: shelf.state["asked"] == 2)
    assert shelf.state["searching"]
    assert shelf.state["query"]["n"] == 1
    assert next(iter(shelf.models)) == market.TINY  # what was found stays until there is better
    shelf.search(3, "unsloth")
    found = await shelf.found(3)
    assert all("unsloth" in model for model in found)
    before = len(shelf.sent)
    await asyncio.sleep(1.5)
    assert list(shelf.models) == found
    assert (shelf.state["asked"], shelf.state["query"]["n"]) == (3, 3)
    assert not [one for one in shelf.sent[before:] if "set" in one]


async def test_typing_fast_sends_at_most_ten_messages_a_second(shelf: Shelf) -> None:
    words = "bartowski llama 3"
    await asyncio.sleep(1)
    began, before = time.monotonic(), len(shelf.sent)
    for number in range(40):
        shelf.search(2 + number, words[: 1 + number % len(words)])
        await asyncio.sleep(0.05)
    took = time.monotonic() - began
    assert len(shelf.sent) - before <= 10 * took + 1
    await shelf.found(41)
    assert shelf.gaps == 0


async def test_pages_follow_each_other_until_the_end(shelf: Shelf) -> None:
    shelf.search(2, "mix-0")
    assert len(await shelf.found(2)) == PAGE
    for count in (2 * PAGE, 130):
        assert shelf.state["more"]
        shelf.more()
        shelf.more()  # a page that scrolls says it often
        await shelf.has(count)
    assert not shelf.state["more"]
    asked = len(shelf.sent)
    shelf.more()
    say(shelf, kind="more", page="a page", n=1)
    await asyncio.sleep(0.3)
    assert not [one for one in shelf.sent[asked:] if "set" in one]
    assert len(shelf.models) == 130
    assert shelf.gaps == 0


async def test_a_page_that_failed_goes_on_where_it_was(world_hub: Hub, shelf: Shelf) -> None:
    shelf.search(2, "mix-0", order="likes")
    first = await shelf.found(2)
    world_hub.fail(too_many(33))
    shelf.more()
    await until(lambda: shelf.state["trouble"])
    assert shelf.state["trouble"]["retry"] == 33
    assert "429" in shelf.state["trouble"]["text"]
    assert (list(shelf.models), shelf.state["more"]) == (first, True)
    for count in (2 * PAGE, 130):
        shelf.more()
        await shelf.has(count)
        assert shelf.state["trouble"] is None
    assert list(shelf.models)[:PAGE] == first
    shelf.search(3, "mix-0", order="likes")
    again = await shelf.found(3)
    assert again == first


async def test_what_is_not_there_is_an_empty_result(shelf: Shelf) -> None:
    shelf.search(2, "no-such-model-anywhere")
    assert await shelf.found(2) == []
    assert (shelf.state["more"], shelf.state["trouble"]) == (False, None)


async def test_the_url_of_a_models_page_finds_the_model(world_hub: Hub, shelf: Shelf) -> None:
    shelf.search(2, f"{world_hub.url}/{market.TINY}/tree/main")
    assert next(iter(await shelf.found(2))) == market.TINY


async def test_filters_reach_the_hub(shelf: Shelf) -> None:
    shelf.search(2, "", license="mit", format=None, least=1.0, most=4.0)
    await shelf.found(2)
    assert shelf.models
    assert {one["license"] for one in shelf.models.values()} == {"mit"}
    assert all(1e9 <= one["parameters"] <= 4e9 for one in shelf.models.values())
    shelf.search(3, "", format="safetensors")
    await shelf.found(3)
    assert market.SAFETENSORS in shelf.models


@pytest.mark.parametrize(
    "told",
    [
        {"n": -1},
        {"n": "2"},
        {"text": "x" * 3000},
        {"order": "best"},
        {"least": float("nan")},
        {"license": ""},
        {"source": ["huggingface"]},
        {"more": 1},
    ],
)
async def test_a_search_that_is_none_is_not_made(shelf: Shelf, told: dict[str, Any]) -> None:
    asked = {"n": 2, "source": "huggingface", "text": "x", "order": "likes"}
    say(shelf, kind="search", page="a page", **asked | told)
    await asyncio.sleep(0.3)
    assert shelf.state["asked"] == 1


@pytest.mark.parametrize(
    ("fault", "says", "retry"),
    [
        (Status(500, everywhere=True), "500", None),
        (Status(503, {"Retry-After": "7"}, everywhere=True), "7s", 7),
        (Rubbish(), "text/html", None),
    ],
)
async def test_a_hub_in_trouble_is_told_of(
    world_hub: Hub, shelf: Shelf, fault: Status | Rubbish, says: str, retry: float | None
) -> None:
    world_hub.fail(fault)
    shelf.search(2, "bartowski")
    assert await shelf.found(2) == []
    assert says in shelf.state["trouble"]["text"]
    assert shelf.state["trouble"]["retry"] == retry
    assert not shelf.state["more"]
    shelf.search(3, "bartowski")
    assert await shelf.found(3)
    assert shelf.state["trouble"] is None


async def test_a_hub_that_is_down_is_told_of(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    shelf.search(2, "bartowski")
    assert await shelf.found(2) == []
    assert "127.0.0.1:9 can't be reached" in shelf.state["trouble"]["text"]


async def test_a_hub_that_never_answers_is_given_up(world_hub: Hub, shelf: Shelf) -> None:
    world_hub.fail(Slow(60), path="search=bartowski")
    shelf.search(2, "bartowski")
    began = time.monotonic()
    assert await shelf.found(2, limit=20) == []
    assert 9 < time.monotonic() - began < 13
    assert "has not answered" in shelf.state["trouble"]["text"]
    alive = [one for one in shelf.sent if one["kind"] == "market" and "set" not in one]
    assert len(alive) >= 3  # while it searches, a page knows that Python lives


async def test_an_answer_that_never_begins_is_given_up(
    shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rbee_widgets.market.market.LIMIT_S", 1.0)
    async with Drip(b"HTTP/1.1 200 OK\r\n", b"X") as server:
        monkeypatch.setenv("HF_ENDPOINT", server.url)
        shelf.search(2, "bartowski")
        assert await shelf.found(2, limit=3) == []
        assert "no whole answer within 1" in shelf.state["trouble"]["text"]


# -- While the results change ---------------------------------------------------------------------


async def test_what_a_newer_search_leaves_out_is_looked_into_to_the_end(
    world_hub: Hub, shelf: Shelf, caplog: pytest.LogCaptureFixture
) -> None:
    world_hub.fail(Slow(1), path=f"/api/models/{market.TINY}?")
    shelf.unfold(market.TINY)
    shelf.search(2, "unsloth")
    assert market.TINY not in await shelf.found(2)
    shelf.search(3, "tiny-llama")
    assert market.TINY in await shelf.found(3)
    await until(lambda: shelf.files.get(market.TINY, {}).get("state") == "there")
    await shelf.unfolded(market.TINY)
    assert caplog.records == []


async def test_what_is_still_shown_is_asked_of_its_own_source(
    world_hub: Hub, lone: Tracker
) -> None:
    shelf = Shelf(market.TINY, tracker=lone, sources=["huggingface", CivitAI(world_hub.url)])
    shelf.look()
    await shelf.found(1)
    world_hub.fail(Slow(2), path="/api/v1/models")
    shelf.search(2, "tiny", "civitai")
    assert await shelf.unfolded(market.TINY)
    assert await shelf.found(2) == []  # CivitAI has nothing here but trouble: no such address
    assert "404" in shelf.state["trouble"]["text"]
    assert shelf.state["query"]["source"] == "civitai"
    assert shelf.files == {}  # what it knows no more it doesn't leave on the page
    shelf.close()


async def test_of_many_models_that_were_unfolded_the_oldest_is_forgotten(
    shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rbee_widgets.market.market.MOST_UNFOLDED", 2)
    shelf.search(2, "mix-0")
    oldest, *others = (await shelf.found(2))[:3]
    for model in (oldest, *others):
        await shelf.unfolded(model)
    await until(lambda: list(shelf.files) == others)
    await shelf.unfolded(oldest)
    await until(lambda: list(shelf.files) == [others[1], oldest])


# -- Revisions ------------------------------------------------------------------------------------


@pytest.mark.usefixtures("world_hub")
async def test_a_page_is_told_what_it_lacks_and_no_more(tracker: Tracker) -> None:
    shelf = Shelf(market.TINY, tracker=tracker)
    shelf.look()
    await shelf.found(1)
    await shelf.visited()
    await asyncio.sleep(1)
    before = len(shelf.sent)
    shelf.look()
    await asyncio.sleep(0.8)
    assert [one["kind"] for one in shelf.sent[before:]] == ["beat"]  # of the rows
    known, revision = dict(shelf.models), shelf.rev
    for has in (-1, revision - 1, revision + 5):
        before = len(shelf.sent)
        say(shelf, kind="shown", page="another", seq=0, rev=has)
        whole, *rest = [one for one in shelf.sent[before:] if one["kind"] == "market"]
        assert (whole["since"], whole["rev"], rest) == (-1, revision, [])
        assert shelf.models == known
        assert whole["set"] == shelf.state
    await asyncio.sleep(0.8)  # a page that missed the last message is told what it should have
    told = [one for one in shelf.sent[before:] if one["kind"] == "market"]
    assert [(one["since"], one["rev"]) for one in told[1:]] == [(revision, revision)]
    shelf.close()


async def test_a_page_that_comes_amid_changes_is_told_all_once(shelf: Shelf) -> None:
    shelf.search(2, "unsloth")
    before = len(shelf.sent)
    say(shelf, kind="shown", page="another", seq=0, rev=-1)
    told = [one for one in shelf.sent[before:] if one["kind"] == "market"]
    assert [one["since"] for one in told] == [-1]
    assert told[0]["set"]["asked"] == 2
    await shelf.found(2)
    assert shelf.gaps == 0


async def test_nobody_looks_and_nothing_is_sent(world_hub: Hub, shelf: Shelf) -> None:
    await shelf.visited()
    turn_away(shelf)
    before, revision = len(shelf.sent), shelf.rev
    asked = len(world_hub.requests)
    shelf.search(2, "unsloth")
    await until(lambda: len(world_hub.requests) > asked)
    await until(lambda: shelf.market["set"]["query"]["text"] == "unsloth")  # what is saved
    assert len(shelf.sent) == before
    shelf.look()
    await until(lambda: shelf.state["query"]["n"] == 2)
    assert shelf.rev > revision
    assert all("unsloth" in model for model in shelf.models)
    assert [one["id"] for one in shelf.market["append"]] == list(shelf.models)


async def test_what_is_saved_is_bounded(shelf: Shelf) -> None:
    shelf.search(2, "mix-0")
    await shelf.found(2)
    for count in (2 * PAGE, 130):
        shelf.more()
        await shelf.has(count)
    await until(lambda: len(shelf.market["append"]) == 100)


async def test_hostile_names_come_as_text_of_bounded_length(shelf: Shelf) -> None:
    shelf.search(2, "evil")
    assert market.HOSTILE_CARD in await shelf.found(2)
    files = await shelf.unfolded(market.HOSTILE_CARD)
    say(shelf, kind="card", page="a page", model=market.HOSTILE_CARD)
    await until(lambda: shelf.cards.get(market.HOSTILE_CARD, {}).get("state") == "there")
    assert "<script" not in shelf.cards[market.HOSTILE_CARD]["html"].lower()
    assert "javascript:" not in shelf.cards[market.HOSTILE_CARD]["html"].lower()
    assert all(path.isprintable() and ".." not in path for path in files)
    assert all(len(path) < 2048 for path in files)
    for model in shelf.models.values():
        texts = [told for told in model.values() if isinstance(told, str)]
        assert all(text.isprintable() and len(text) <= 400 for text in texts)


# -- Ends -----------------------------------------------------------------------------------------


async def test_closing_while_threads_wait_leaves_nothing(
    world_hub: Hub, lone: Tracker, caplog: pytest.LogCaptureFixture
) -> None:
    shelf = Shelf(market.TINY, tracker=lone)
    shelf.look()
    await shelf.found(1)
    before = asyncio.all_tasks()
    world_hub.fail(Slow(1.5), times=3)
    shelf.unfold(market.TINY)
    say(shelf, kind="card", page="a page", model=market.TINY)
    shelf.search(2, "bartowski")
    await asyncio.sleep(0.3)
    sent = len(shelf.sent)
    shelf.close()
    await asyncio.sleep(0.01)
    assert asyncio.all_tasks() <= before
    loop: Any = asyncio.get_running_loop()
    timers = [one for one in loop._scheduled if not one.cancelled()]
    assert "Market" not in repr(timers)
    assert "Alarm" not in repr(timers)
    await asyncio.sleep(2.5)
    assert len(shelf.sent) == sent
    assert caplog.records == []
    shelf.close()  # twice does no harm


async def test_what_is_refused_is_told_and_leaves_nothing(lone: Tracker) -> None:
    with pytest.raises(ValueError, match="huggingface or civitai, got 'ollama'"):
        Shelf("llama", tracker=lone, sources=["ollama"])
    with pytest.raises(ValueError, match="a source of models"):
        Shelf("llama", tracker=lone, sources=[])
    with pytest.raises(UnknownHiveError, match="moon"):
        Shelf("llama", "moon", tracker=lone)
    with pytest.raises(HiveUrlError):
        Shelf("llama", "ftp://moon", tracker=lone)


async def test_it_can_be_closed_after_its_tracker(world_hub: Hub) -> None:
    tracker = Tracker([NOWHERE], background=True)
    shelf = Shelf(market.TINY, tracker=tracker)
    await until(lambda: len(world_hub.requests))
    await tracker.aclose()
    shelf.close()
    assert shelf.comm is None


# -- The hive that is away ------------------------------------------------------------------------


async def test_a_hive_that_is_away_is_told_and_hinders_no_search(shelf: Shelf) -> None:
    hive = await shelf.visited()
    assert hive["id"] == "nowhere"
    assert "127.0.0.1:1" in hive["error"]
    assert (hive["gpu"], hive["ram"], hive["free"], hive["devices"]) == (None, None, None, [])
    files = await shelf.unfolded(market.TINY)
    assert {file["installed"] for file in files.values()} == {None}
    for file in files.values():
        assert set(file["fit"]["verdicts"]) == {"unknown"}
        assert "has not told its devices" in file["fit"]["why"]
        assert file["fit"]["weights"] > 0
