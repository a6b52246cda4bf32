"""The sources of models against the test hub, over a socket."""

from __future__ import annotations

import itertools
import logging
import subprocess
import sys
import time
from collections.abc import Iterator
from urllib.parse import parse_qs

import pytest
from huggingface_hub import HfApi

from rbee_widgets.market.card import to_html
from rbee_widgets.market.civitai import CivitAI
from rbee_widgets.market.huggingface import PAGE, HuggingFace
from rbee_widgets.market.source import ModelInfo, Order, Query, SourceError
from rbee_widgets.market.web import Web
from tests.support import civitai, market
from tests.support.hub import Hub, Reset, Rubbish, Slow, Status, too_many
from tests.support.hub_repo import Metadata

MANY = Query(text="mix-0", format="gguf")


@pytest.fixture(scope="module")
def world() -> Iterator[Hub]:
    with Hub(tokens=["secret"]) as hub:
        market.fill(hub, models=120, light=130)
        civitai.fill_civitai(civitai.Civitai(hub))
        yield hub


@pytest.fixture
def world_hub(world: Hub, monkeypatch: pytest.MonkeyPatch) -> Hub:
    world.heal()
    monkeypatch.setenv("HF_ENDPOINT", world.url)
    return world


def first(query: Query, count: int = 10) -> list[ModelInfo]:
    return list(itertools.islice(HuggingFace().search(query), count))


def trouble(hub: Hub, query: Query | None = None) -> SourceError:
    with pytest.raises(SourceError) as caught:
        first(query or Query("llama"))
    assert hub.url.removeprefix("http://") in str(caught.value)
    return caught.value


def test_a_page_is_asked_for_when_it_is_needed(world_hub: Hub) -> None:
    before = len(world_hub.requests)
    found = HuggingFace().search(MANY)
    ids = [model.id for model in itertools.islice(found, PAGE)]
    assert len(world_hub.requests) - before == 1
    ids += [model.id for model in found]
    assert len(world_hub.requests) - before == 3
    assert len(set(ids)) == len(ids) == 130


def test_the_hub_is_asked_what_huggingface_hub_would_ask(world_hub: Hub) -> None:
    seen: list[dict[str, list[str]]] = []
    query = Query("a", Order.LIKES, "gguf", "text-generation", None, "en", "mit")
    list(itertools.islice(HuggingFace().search(query), 1))
    fields = parse_qs(_last_query(world_hub))["expand"]
    seen.append(parse_qs(_last_query(world_hub)))
    api = HfApi(endpoint=world_hub.url).list_models(
        search="a",
        sort="likes",
        filter=["gguf", "en", "license:mit"],
        pipeline_tag="text-generation",
        limit=PAGE,
        expand=fields,  # type: ignore[arg-type]
    )
    list(itertools.islice(api, 1))
    seen.append(parse_qs(_last_query(world_hub)))
    assert seen[0] == seen[1]


def _last_query(hub: Hub) -> str:
    _ = hub.requests
    return str(hub._records[-1].scope["query_string"], "ascii")


@pytest.mark.parametrize(
    ("order", "key"),
    [
        (Order.DOWNLOADS, "downloads"),
        (Order.LIKES, "likes"),
        (Order.UPDATED, "updated_at"),
        (Order.NEWEST, "created_at"),
    ],
)
@pytest.mark.usefixtures("world_hub")
def test_results_come_in_the_order_that_was_chosen(order: Order, key: str) -> None:
    told = [getattr(model, key) for model in first(Query("gguf", order), 40)]
    figures = [figure for figure in told if figure is not None]  # absurd ones are not believed
    assert figures == sorted(figures, reverse=True)
    assert figures[0] > figures[-1]


def test_a_repository_is_found_by_its_name_or_its_page(world_hub: Hub) -> None:
    for text in (market.TINY, f"{world_hub.url}/{market.TINY}/tree/main"):
        found = first(Query(text, format="safetensors"), 1)
        assert [model.id for model in found] == [market.TINY]
    ids = [model.id for model in first(Query(market.TINY), 50)]
    assert ids.count(market.TINY) == 1


@pytest.mark.parametrize(
    ("url", "is_page"),
    [
        ("{hub}/org/repo", True),
        ("{hub}/org/repo-GGUF/blob/main/a.gguf", True),
        ("{hub}/org/repo?not-for-all-audiences=true", True),
        ("https://huggingface.co/org/repo/tree/main", True),
        ("https://hf.co/org/repo", True),
        ("{hub}/org/repo/resolve/main/a.gguf", False),
        ("{hub}/files/a.gguf", False),
        ("{hub}/files/a.GGUF?download=true", False),
        ("{hub}/org", False),
        ("https://example.org/org/repo", False),
        ("https://huggingface.co.example.org/org/repo", False),
    ],
)
def test_a_models_page_is_told_from_a_file(world_hub: Hub, url: str, is_page: bool) -> None:
    assert HuggingFace().has_page(url.format(hub=world_hub.url)) == is_page


def test_a_model_tells_what_the_hub_knows(world_hub: Hub) -> None:
    [model] = first(Query(market.TINY), 1)
    assert (model.author, model.downloads, model.likes) == (market.TINY.split("/")[0], 4321, 56)
    assert (model.license, model.task, model.gate) == ("mit", "text-generation", None)
    assert model.updated_at == market.NOW - 3 * 86_400
    assert model.parameters
    assert model.url == f"{world_hub.url}/{market.TINY}"


def test_a_size_is_told_guessed_or_let_pass(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_ENDPOINT", hub.url)
    hub.add_repo("a/x-8B", Metadata(tags=("gguf",), gguf={"total": 3_000_000_000}))
    hub.add_repo("a/y-7b-4bit", Metadata(tags=("gguf",)))
    hub.add_repo("a/z-4bit", Metadata(tags=("gguf",)))
    hub.add_repo("a/w-70B", Metadata(tags=("gguf",)))
    assert {model.id for model in first(Query(least=2, most=4))} == {"a/x-8B", "a/z-4bit"}
    assert {model.id for model in first(Query(least=5, most=8))} == {"a/y-7b-4bit", "a/z-4bit"}


def test_a_search_without_a_match_of_size_ends(world_hub: Hub) -> None:
    before = len(world_hub.requests)
    assert len(first(Query(least=5000), 1000)) < 250
    assert len(world_hub.requests) - before <= 11


def test_files_have_their_sizes_and_their_headers_addresses(world_hub: Hub) -> None:
    details = HuggingFace().details(market.TINY)
    assert [file.quantisation for file in details.files][-1] == "BF16"
    sizes = [file.size or 0 for file in details.files]
    assert sizes == sorted(sizes)
    file = details.files[0]
    assert file.target.id == f"{market.TINY}:{file.path}"
    assert file.sha256 == world_hub.sha256(market.TINY, file.path)
    assert file.target.sha256 is None  # a hive of rbee's own would refuse it
    assert file.header_url == f"{world_hub.url}/{market.TINY}/resolve/main/{file.path}"
    assert {file.family for file in details.files} == {"tiny-llama"}
    assert (details.license, details.gate, details.more) == ("mit", None, 0)


@pytest.mark.usefixtures("world_hub")
def test_a_card_comes_without_its_front_matter_and_a_missing_one_is_empty() -> None:
    card = HuggingFace().card(market.TINY)
    assert "tiny-llama" in card
    assert not card.startswith("---")
    assert HuggingFace().card(market.EMPTY) == ""


def test_a_gate_tells_what_to_do_before_the_click(
    world_hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = f"{world_hub.url}/{market.GATED_AUTO}"
    [model] = first(Query(market.GATED_AUTO), 1)
    assert model.gate is not None
    assert page in model.gate
    assert "set HF_TOKEN" in model.gate
    assert HuggingFace().details(market.GATED_AUTO).gate == model.gate
    monkeypatch.setenv("HF_TOKEN", "unknown")
    [model] = first(Query(market.GATED_AUTO), 1)
    assert model.gate is not None
    assert "your token" in model.gate


def test_the_token_goes_to_the_hub_alone(world_hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "secret")
    source = HuggingFace()
    [file, *_] = source.details(market.TINY).files
    assert world_hub.requests[-1].authorization == "Bearer secret"
    assert source.headers(file) == {"Authorization": "Bearer secret"}
    monkeypatch.setenv("HF_ENDPOINT", "http://elsewhere.test")
    assert source.headers(file) == {}


def test_too_many_requests_tell_the_wait_at_once(world_hub: Hub) -> None:
    world_hub.fail(too_many(55))
    began = time.monotonic()
    error = trouble(world_hub)
    assert error.retry_after == 55
    assert "429" in str(error)
    assert "55s" in str(error)
    assert time.monotonic() - began < 3


@pytest.mark.parametrize(
    ("fault", "says"),
    [
        (Status(503, {"Retry-After": "7"}, everywhere=True), "503 Service Unavailable"),
        (Status(401, everywhere=True), "set HF_TOKEN"),
        (Status(404, everywhere=True), "404"),
        (Rubbish(), "text/html"),
        (Rubbish(b"[{", "application/json"), "something else"),
        (Rubbish(b'{"a": 1}', "application/json"), "no list"),
        (Rubbish(b"[" * 100_000, "application/json"), "something else"),
        (Rubbish(b"[1, " * 1000, "application/json", repeat=20_000), "more than"),
    ],
)
def test_trouble_is_told_in_words(
    world_hub: Hub, fault: Status | Rubbish, says: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    world_hub.fail(fault)
    assert says in str(trouble(world_hub))
    assert caplog.records == []


def test_models_that_lie_are_left_out_or_not_believed(world_hub: Hub) -> None:
    body = (
        b'[7, null, [], {"id": 3}, {"id": "../x"}, {"id": "a/../b"}, {"id": "a/<b>"},'
        b' {"id": "a/b", "downloads": -1, "likes": 1e999,'
        b' "gguf": {"total": 1180591620717411303424},'
        b' "createdAt": "9999-12-31T23:59:59-23:00", "lastModified": 5, "tags": "x", "author": [1],'
        b' "pipeline_tag": "\\u001b[31mred\\nline"}, {"id": "c/d", "disabled": true}]'
    )
    world_hub.fail(Rubbish(body, "application/json"))
    [model] = first(Query("llama"))
    assert (model.id, model.author, model.task) == ("a/b", "a", "red line")
    assert model.downloads is model.likes is model.parameters is None
    assert model.created_at is model.updated_at is None


def test_hostile_models_stay_text(world_hub: Hub) -> None:
    found = first(Query("evil"), 20)
    assert [model.id for model in found] == [market.HOSTILE_CARD]
    files = HuggingFace().details(market.HOSTILE_CARD).files
    assert all(file.path.isprintable() and ".." not in file.path for file in files)
    assert "<script" not in to_html(HuggingFace().card(market.HOSTILE_CARD), world_hub.url)


def test_a_slow_hub_is_given_up(world_hub: Hub) -> None:
    world_hub.fail(Slow(60))
    began = time.monotonic()
    assert "has not answered" in str(trouble(world_hub))
    assert time.monotonic() - began < 13
    world_hub.heal()


def test_nobody_there_is_told_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    began = time.monotonic()
    with pytest.raises(SourceError, match=r"127\.0\.0\.1:9 can't be reached.*HF_ENDPOINT"):
        first(Query("llama"))
    assert time.monotonic() - began < 3


def test_offline_nobody_is_asked(world_hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    before = len(world_hub.requests)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    assert "HF_HUB_OFFLINE" in str(trouble(world_hub))
    assert len(world_hub.requests) == before


@pytest.mark.parametrize("model", ["no/such", "../../etc", "plain", "a/b/c"])
@pytest.mark.usefixtures("world_hub")
def test_a_model_that_is_not_there_is_told(model: str) -> None:
    for ask in (HuggingFace().details, HuggingFace().card):
        with pytest.raises(SourceError, match=r"There is no|Expected a model"):
            ask(model)


def test_a_connection_that_breaks_is_told(world_hub: Hub) -> None:
    world_hub.fail(Reset(), path="README.md")
    with pytest.raises(SourceError, match="can't be reached"):
        HuggingFace().card(market.TINY)


def test_huggingface_hub_is_not_imported_before_it_is_asked() -> None:
    script = (
        "import sys, rbee_widgets.market.huggingface, rbee_widgets.market.civitai;"
        "print({'huggingface_hub', 'httpx2', 'nh3', 'markdown_it'} & sys.modules.keys())"
    )
    told = subprocess.run([sys.executable, "-c", script], capture_output=True, check=True)
    assert told.stdout.strip() == b"set()"


# -- CivitAI -----------------------------------------------------------------------------------


def test_civitai_is_read_by_cursors_without_what_is_not_for_all(world_hub: Hub) -> None:
    found = list(CivitAI(world_hub.url).search(Query(order=Order.DOWNLOADS)))
    assert {model.task for model in found} == {"Checkpoint", "LORA"}
    assert len({model.id for model in found}) == len(found) > PAGE
    downloads = [model.downloads or 0 for model in found]
    assert downloads == sorted(downloads, reverse=True)


def test_a_file_of_civitai_is_a_url_with_its_hash(world_hub: Hub) -> None:
    source = CivitAI(world_hub.url)
    [model] = source.search(Query("Tiny Style"))
    assert (model.title, model.id) == ("Tiny Style", str(civitai.TINY))
    [file] = source.details(model.id).files
    assert file.target.id == f"{world_hub.url}/api/download/models/1900001"
    assert file.size == 300_000
    assert file.target.sha256 == file.sha256
    assert file.sha256 is not None
    assert file.sha256 == file.sha256.lower()
    assert "<p>" in source.card(model.id)


def test_civitais_key_is_sent_and_early_access_told(
    world_hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CIVITAI_API_KEY", "key")
    details = CivitAI(world_hub.url).details(str(civitai.EARLY))
    assert world_hub.requests[-1].authorization == "Bearer key"
    assert details.gate is not None
    assert "Early access" in details.gate


@pytest.mark.parametrize(
    ("fault", "says"),
    [(too_many(9), "9s"), (Rubbish(), "text/html"), (Status(401, everywhere=True), "CIVITAI")],
)
def test_civitais_trouble_is_told(world_hub: Hub, fault: Status | Rubbish, says: str) -> None:
    world_hub.fail(fault)
    with pytest.raises(SourceError, match=says):
        list(CivitAI(world_hub.url).search(Query("x")))


# -- a plain URL -------------------------------------------------------------------------------


def test_a_url_is_a_model_of_one_file(hub: Hub) -> None:
    url = hub.add_file("tiny model-Q4_K_M.gguf", size=12_345)
    text = f"{url}#sha256={'AB' * 32}"
    [model] = Web().search(Query(f" {text} "))
    [file] = Web().details(model.id).files
    assert (file.path, file.size, file.quantisation) == ("tiny model-Q4_K_M.gguf", 12_345, "Q4_K_M")
    assert (file.target.id, file.target.sha256) == (url, "ab" * 32)
    assert hub.sent == 0


def test_what_is_no_url_finds_nothing_and_a_wrong_one_is_told(hub: Hub) -> None:
    assert list(Web().search(Query("llama"))) == []
    for text in ("http://[", "https://u:p@x/f.gguf", f"{hub.url}/f#sha256=12"):
        with pytest.raises(SourceError, match="can't be fetched"):
            list(Web().search(Query(text)))
    with pytest.raises(SourceError, match="There is nothing at"):
        Web().details(f"{hub.url}/files/none.gguf")
