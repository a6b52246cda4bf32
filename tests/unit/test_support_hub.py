"""The hub that other tests rely on does what it says, as an httpx client sees it."""

from __future__ import annotations

import hashlib
import math
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from huggingface_hub import HfApi, ModelCard, ModelInfo
from huggingface_hub.errors import GatedRepoError, HfHubHTTPError, RepositoryNotFoundError

from tests.support import hub_api
from tests.support.hub import (
    Cut,
    Flip,
    Hub,
    IgnoreRange,
    Reset,
    Rubbish,
    Short,
    Slow,
    Stall,
    Status,
    too_many,
)
from tests.support.hub_repo import Content, Metadata

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

REPO, PATH = "org/repo", "sub/file.gguf"
SIZE = 1_000_000


@pytest.fixture
def hub() -> Iterator[Hub]:
    with Hub() as hub:
        hub.add(REPO, PATH, size=SIZE, seed=1)
        yield hub


@pytest.fixture
def client(hub: Hub) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=hub.url, follow_redirects=True, trust_env=False) as client:
        yield client


RESOLVE = f"/{REPO}/resolve/main/{PATH}"


def eventually(claim: Callable[[], bool]) -> bool:
    """Tell whether `claim` comes true, within 2 s: far less than a transfer would go on."""
    end = time.monotonic() + 2
    while not claim() and time.monotonic() < end:
        time.sleep(0.005)
    return claim()


def test_any_range_of_a_content_is_a_piece_of_the_whole() -> None:
    content = Content(300_000, seed=7)
    whole = content.read(0, content.size)
    assert whole[:4] == b"GGUF"
    assert len(whole) == content.size
    for start, stop in [(0, 2), (2, 9), (65_535, 65_537), (65_536, 131_072), (299_999, 400_000)]:
        assert content.read(start, stop) == whole[start:stop]
    assert whole != Content(300_000, seed=8).read(0, 300_000)
    assert hashlib.sha256(whole).hexdigest() == content.sha256


def test_a_resolve_redirects_with_what_the_real_hub_tells(hub: Hub, client: httpx.Client) -> None:
    answer = client.head(RESOLVE, follow_redirects=False)
    assert answer.status_code == 302
    assert answer.headers["x-linked-etag"] == f'"{hub.sha256(REPO, PATH)}"'
    assert answer.headers["x-linked-size"] == str(SIZE)
    assert answer.headers["x-repo-commit"] == client.get(f"/api/models/{REPO}").json()["sha"]


def test_a_download_is_whole(hub: Hub, client: httpx.Client) -> None:
    body = client.get(RESOLVE).content
    assert hashlib.sha256(body).hexdigest() == hub.sha256(REPO, PATH)
    assert hub.sent == SIZE
    assert eventually(lambda: hub.open_transfers == 0)


@pytest.mark.parametrize(
    ("asked", "status", "span"),
    [
        ("bytes=0-9", 206, (0, 10)),
        ("bytes=999990-", 206, (999_990, SIZE)),
        ("bytes=5-99999999", 206, (5, SIZE)),
        ("bytes=-7", 206, (SIZE - 7, SIZE)),
        ("bytes=x", 200, (0, SIZE)),
        ("bytes=1000000-", 416, (0, 0)),
    ],
)
def test_a_range_is_answered(
    hub: Hub, client: httpx.Client, asked: str, status: int, span: tuple[int, int]
) -> None:
    answer = client.get(RESOLVE, headers={"Range": asked})
    assert answer.status_code == status
    assert answer.content == hub.content(REPO, PATH).read(*span)
    expected = {
        206: f"bytes {span[0]}-{span[1] - 1}/{SIZE}",
        416: f"bytes */{SIZE}",
    }
    assert answer.headers.get("content-range") == expected.get(status)


def test_if_range_gives_the_whole_once_the_content_has_changed(
    hub: Hub, client: httpx.Client
) -> None:
    url = hub.add_file("plain.gguf", size=SIZE, seed=1)
    headers = {"Range": "bytes=10-", "If-Range": client.head(url).headers["etag"]}
    assert client.get(url, headers=headers).status_code == 206
    hub.add_file("plain.gguf", size=SIZE, seed=2)
    assert client.get(url, headers=headers).status_code == 200


def test_a_head_tells_the_size_and_sends_nothing(hub: Hub, client: httpx.Client) -> None:
    answer = client.head(RESOLVE)
    assert answer.headers["content-length"] == str(SIZE)
    assert hub.sent == 0


def test_a_small_file_is_answered_directly_with_its_git_hash(
    hub: Hub, client: httpx.Client
) -> None:
    hub.add(REPO, "config.json", head=b"hello\n", lfs=False)
    answer = client.get(f"/{REPO}/resolve/main/config.json", follow_redirects=False)
    assert answer.content == b"hello\n"
    assert answer.headers["etag"] == '"ce013625030ba8dba906f756967f9e9ca394464a"'


def test_the_api_lists_files_and_with_blobs_their_hashes(hub: Hub, client: httpx.Client) -> None:
    [plain] = client.get(f"/api/models/{REPO}").json()["siblings"]
    assert plain == {"rfilename": PATH}
    [file] = client.get(f"/api/models/{REPO}?blobs=true").json()["siblings"]
    assert file["size"] == SIZE
    assert file["lfs"]["sha256"] == hub.sha256(REPO, PATH)


@pytest.mark.parametrize(
    ("path", "code"),
    [
        ("/org/none/resolve/main/f.gguf", "RepoNotFound"),
        ("/api/models/org/none", "RepoNotFound"),
        (f"/{REPO}/resolve/main/none.gguf", "EntryNotFound"),
        (f"/{REPO}/resolve/none/{PATH}", "RevisionNotFound"),
    ],
)
@pytest.mark.usefixtures("hub")
def test_what_is_missing_is_named(client: httpx.Client, path: str, code: str) -> None:
    answer = client.get(path)
    assert (answer.status_code, answer.headers["x-error-code"]) == (404, code)


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 401),
        ({"Authorization": "Bearer wrong"}, 403),
        ({"Authorization": "Bearer right"}, 200),
    ],
)
def test_a_gated_repo_opens_to_a_known_token_alone(headers: dict[str, str], status: int) -> None:
    with Hub(tokens=["right"]) as hub:
        hub.add(REPO, PATH, size=10, gated=True)
        answer = httpx.get(hub.url + RESOLVE, headers=headers, follow_redirects=True)
    assert answer.status_code == status
    assert answer.headers.get("x-error-code") == (None if status == 200 else "GatedRepo")


def test_the_cdn_is_another_origin_which_records_whether_a_token_came() -> None:
    with Hub(tokens=["right"], cdn=True) as hub:
        hub.add(REPO, PATH, size=10, gated=True)
        headers = {"Authorization": "Bearer right"}
        httpx.get(hub.url + RESOLVE, headers=headers, follow_redirects=True)
        resolve, cdn = hub.requests
    assert resolve.port != cdn.port
    assert (resolve.authorization, cdn.authorization) == ("Bearer right", None)


def test_the_rate_is_kept_and_can_be_changed_live(hub: Hub) -> None:
    hub.rate = 60e6
    hub.add(REPO, PATH, size=100_000_000)
    samples: list[tuple[float, int]] = []
    with httpx.stream("GET", hub.url + RESOLVE, follow_redirects=True) as answer:
        received = 0
        for chunk in answer.iter_raw():
            received += len(chunk)
            samples.append((time.monotonic(), received))
            if received > 40e6:
                hub.rate = 20e6
            if received > 48e6:
                break
    assert speed(samples, 2e6, 38e6) == pytest.approx(60e6, rel=0.05)
    assert speed(samples, 42e6, 48e6) == pytest.approx(20e6, rel=0.05)


def speed(samples: list[tuple[float, int]], first: float, last: float) -> float:
    """Mean bytes per second between the samples nearest after these amounts."""
    (began, low), (ended, high) = (
        next(sample for sample in samples if sample[1] >= amount) for amount in (first, last)
    )
    return (high - low) / (ended - began)


def test_a_client_that_leaves_is_noticed_at_once(hub: Hub) -> None:
    hub.rate = 5e6
    hub.add(REPO, PATH, size=100_000_000)
    with httpx.stream("GET", hub.url + RESOLVE, follow_redirects=True) as answer:
        body = answer.iter_raw()  # dropping it would close the connection already
        next(body)
        assert hub.open_transfers == 1
    assert eventually(lambda: hub.open_transfers == 0)
    sent = hub.sent
    time.sleep(0.1)
    assert hub.sent == sent


def test_a_client_that_never_reads_and_leaves_is_noticed_at_once(hub: Hub) -> None:
    hub.add(REPO, PATH, size=100_000_000)
    with httpx.stream("GET", hub.url + RESOLVE, follow_redirects=True):
        assert eventually(lambda: hub.sent > 0)
        assert hub.open_transfers == 1
    assert eventually(lambda: hub.open_transfers == 0)


def test_a_status_strikes_so_often_and_then_no_more(hub: Hub, client: httpx.Client) -> None:
    hub.fail(Status(503, {"Retry-After": "1"}), path=PATH, times=2)
    answers = [client.get(RESOLVE) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [503, 503, 200]
    assert answers[0].headers["retry-after"] == "1"


def test_a_status_everywhere_strikes_the_api_too(hub: Hub, client: httpx.Client) -> None:
    hub.fail(Status(429, everywhere=True), path="/api/")
    assert client.get(RESOLVE).status_code == 200
    assert client.get(f"/api/models/{REPO}").status_code == 429


def test_a_reset_answers_nothing(hub: Hub, client: httpx.Client) -> None:
    hub.fail(Reset())
    with pytest.raises(httpx.ReadError):
        client.get(RESOLVE)
    assert client.get(RESOLVE).status_code == 200


@pytest.mark.parametrize(
    ("fault", "error"),
    [(Cut(300_000), httpx.ReadError), (Short(300_000), httpx.RemoteProtocolError)],
)
def test_a_broken_body_ends_after_so_many_bytes(
    hub: Hub, fault: Cut | Short, error: type[httpx.TransportError]
) -> None:
    hub.fail(fault)
    received = bytearray()
    with httpx.stream("GET", hub.url + RESOLVE, follow_redirects=True) as answer:
        assert answer.headers["content-length"] == str(SIZE)
        with pytest.raises(error):
            collect(answer, received)
    assert received == hub.content(REPO, PATH).read(0, 300_000)
    assert eventually(lambda: hub.open_transfers == 0)


def collect(answer: httpx.Response, received: bytearray) -> None:
    for chunk in answer.iter_raw():
        received += chunk


def test_a_stall_holds_and_goes_on(hub: Hub, client: httpx.Client) -> None:
    hub.fail(Stall(after=1000, seconds=0.3))
    began = time.monotonic()
    body = client.get(RESOLVE).content
    assert time.monotonic() - began >= 0.3
    assert hashlib.sha256(body).hexdigest() == hub.sha256(REPO, PATH)


def test_a_stall_for_ever_ends_with_its_client(hub: Hub) -> None:
    hub.fail(Stall(after=1000))
    with pytest.raises(httpx.ReadTimeout):
        httpx.get(hub.url + RESOLVE, follow_redirects=True, timeout=0.2)
    assert eventually(lambda: hub.open_transfers == 0)
    assert hub.sent == 1000


@pytest.mark.parametrize("fault", [Flip(at=70_000), Cut(20), Short(20), Stall(20)])
def test_a_fault_waits_for_an_answer_in_which_it_shows(
    hub: Hub, client: httpx.Client, fault: Flip | Cut | Short | Stall
) -> None:
    hub.fail(fault)
    content = hub.content(REPO, PATH)
    for _ in range(2):
        assert client.get(RESOLVE, headers={"Range": "bytes=0-9"}).content == content.read(0, 10)
    try:
        received = client.get(RESOLVE, timeout=0.2).content
    except httpx.TransportError:
        received = b""
    assert received != content.read(0, SIZE)
    assert client.get(RESOLVE).content == content.read(0, SIZE)


def test_one_byte_can_be_wrong(hub: Hub, client: httpx.Client) -> None:
    hub.fail(Flip(at=70_000))
    wrong, right = client.get(RESOLVE).content, client.get(RESOLVE).content
    assert [at for at in range(SIZE) if wrong[at] != right[at]] == [70_000]


def test_a_range_can_be_ignored(hub: Hub, client: httpx.Client) -> None:
    hub.fail(IgnoreRange())
    answer = client.get(RESOLVE, headers={"Range": "bytes=10-"})
    assert (answer.status_code, len(answer.content)) == (200, SIZE)


def test_a_hub_that_stops_cuts_its_transfers_and_may_come_back(hub: Hub) -> None:
    hub.rate = 5e6
    hub.add(REPO, PATH, size=100_000_000)
    with httpx.stream("GET", hub.url + RESOLVE, follow_redirects=True) as answer:
        body = answer.iter_raw()
        next(body)
        hub.stop()
        with pytest.raises(httpx.ReadError):
            list(body)
    with pytest.raises(httpx.ConnectError):
        httpx.get(hub.url)
    assert hub.open_transfers == 0
    hub.start()
    assert httpx.head(hub.url + RESOLVE).status_code == 302


# The model API, as the real client sees it


CARD = "---\nlicense: mit\n---\n# Small\n\nA model.\n"


@pytest.fixture
def market() -> Iterator[Hub]:
    with Hub(tokens=["right"]) as hub:
        for number in range(1, 26):
            license_id = "mit" if number % 2 else "apache-2.0"
            hub.add_repo(
                f"org{number % 3}/Llama-{number}B-GGUF",
                Metadata(
                    downloads=number * 100,
                    likes=100 - number,
                    trending=number % 7,
                    tags=("gguf", "en" if number % 5 else "de", f"license:{license_id}"),
                    pipeline_tag="text-generation" if number % 4 else "image-text-to-text",
                    library_name="transformers",
                    created_at=1_700_000_000 + number,
                    last_modified=1_710_000_000 - number,
                    card={"license": license_id},
                    gguf={"total": number * 10**9, "architecture": "llama"},
                ),
            )
        hub.add_repo("Other/small-model", Metadata(gated="manual"), readme=CARD)
        hub.add("Other/small-model", "small.gguf", size=1000)
        yield hub


@pytest.fixture
def api(market: Hub) -> Any:  # all that its answers tell is optional by its types
    return HfApi(endpoint=market.url, token=False)


def numbers(models: Iterable[ModelInfo]) -> list[int]:
    return [int(model.id.split("-")[1].removesuffix("B")) for model in models]


@pytest.mark.parametrize(
    ("search", "found"),
    [
        ("llama", 25),
        ("LLAMA gguf", 25),
        ("gguf org1/llama", 9),
        ("24b", 1),
        ("llama small", 0),
        ("small", 1),
        ("", 26),
    ],
)
def test_a_search_finds_the_ids_that_hold_all_words(api: Any, search: str, found: int) -> None:
    assert len(list(api.list_models(search=search))) == found


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        ({"filter": "license:mit"}, lambda n: n % 2),
        ({"filter": ["gguf", "license:mit", "de"]}, lambda n: n % 2 and not n % 5),
        ({"filter": "gguf,license:mit"}, lambda n: n % 2),
        ({"filter": "transformers"}, lambda n: n),
        ({"pipeline_tag": "image-text-to-text"}, lambda n: not n % 4),
        ({"author": "ORG1"}, lambda n: n % 3 == 1),
        ({"num_parameters": "min:6B,max:8B"}, lambda n: 6 <= n <= 8),
        ({"gated": False, "search": "llama"}, lambda n: n),
        ({"filter": "no-such-tag"}, lambda _: False),
    ],
)
def test_filters_all_hold(
    api: Any, filters: dict[str, object], expected: Callable[[int], bool]
) -> None:
    found = numbers(api.list_models(**filters))
    assert sorted(found) == [number for number in range(1, 26) if expected(number)]


@pytest.mark.parametrize(
    ("sort", "value"),
    [
        ("downloads", lambda model: model.downloads),
        ("likes", lambda model: model.likes),
        ("trending_score", lambda model: model.trending_score),
        ("created_at", lambda model: model.created_at),
        ("last_modified", lambda model: model.last_modified),
    ],
)
def test_the_largest_come_first(api: Any, sort: str, value: Callable[[ModelInfo], float]) -> None:
    values = [value(model) for model in api.list_models(search="llama", sort=sort, full=True)]
    assert values == sorted(values, reverse=True)
    assert len(set(values)) > 1


def test_a_direction_turns_the_order_round(market: Hub) -> None:
    answer = httpx.get(f"{market.url}/api/models?search=llama&sort=downloads&direction=1&limit=2")
    assert [model["downloads"] for model in answer.json()] == [100, 200]


def test_pages_are_fetched_as_one_reads_on(market: Hub, api: Any) -> None:
    market.page_length = 10
    found = iter(api.list_models(filter="gguf", sort="downloads"))
    assert numbers(next(found) for _ in range(10)) == list(range(25, 15, -1))
    assert len(market.requests) == 1
    assert numbers(found) == list(range(15, 0, -1))
    assert len(market.requests) == 3


def test_a_stated_limit_is_a_pages_length(market: Hub) -> None:
    answer = httpx.get(f"{market.url}/api/models?filter=gguf&sort=downloads&limit=20")
    assert len(answer.json()) == 20
    rest = httpx.get(answer.links["next"]["url"])
    assert [model["downloads"] for model in rest.json()] == [500, 400, 300, 200, 100]
    assert "next" not in rest.links


def test_what_a_model_tells_depends_on_what_is_asked(api: Any) -> None:
    [plain] = api.list_models(search="7b-gguf", limit=1)
    assert (plain.downloads, plain.likes, plain.pipeline_tag) == (1700, 83, "text-generation")
    assert (plain.author, plain.last_modified, plain.gguf) == (None, None, None)
    [full] = api.list_models(search="7b-gguf", limit=1, full=True, cardData=True)
    assert (full.author, full.gated, full.card_data.license) == ("org2", False, "mit")
    [few] = api.list_models(search="7b-gguf", limit=1, expand=["gguf", "lastModified"])
    assert few.gguf == {"total": 17_000_000_000, "architecture": "llama"}
    assert few.last_modified.timestamp() == 1_710_000_000 - 17
    assert few.downloads is None


def test_an_unknown_field_is_refused(api: Any) -> None:
    with pytest.raises(HfHubHTTPError, match="Invalid expand parameter: nonsense"):
        list(api.list_models(expand=["nonsense"]))


def test_a_model_tells_the_size_and_hash_of_its_files(market: Hub, api: Any) -> None:
    info = api.model_info("Other/small-model", files_metadata=True)
    [card, weights] = info.siblings
    assert (card.rfilename, card.size, card.lfs) == ("README.md", len(CARD), None)
    assert (weights.rfilename, weights.size) == ("small.gguf", 1000)
    assert weights.lfs.sha256 == market.sha256("Other/small-model", "small.gguf")
    assert info.gated == "manual"
    assert info.last_modified is not None


def test_a_tree_is_listed_page_by_page(
    market: Hub, api: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hub_api, "FILES_A_PAGE", 3)
    for path in ("a.gguf", "Q4/x.gguf", "Q4/deep/y.gguf", "Q8/z.gguf", "b.gguf"):
        market.add("org/tree", path, size=10)
    above = [entry.path for entry in api.list_repo_tree("org/tree")]
    assert above == ["Q4", "Q8", "a.gguf", "b.gguf"]
    below = [entry.path for entry in api.list_repo_tree("org/tree", recursive=True)]
    assert [path for path in below if path.endswith(".gguf")] == [
        *("Q4/deep/y.gguf", "Q4/x.gguf", "Q8/z.gguf", "a.gguf", "b.gguf")
    ]
    inner = [entry.path for entry in api.list_repo_tree("org/tree", "Q4")]
    assert inner == ["Q4/deep", "Q4/x.gguf"]
    assert len(market.requests) == 2 + 3 + 1


def test_a_card_is_read_raw_and_resolved_even_where_files_are_gated(market: Hub, api: Any) -> None:
    repo = "Other/small-model"
    assert httpx.get(f"{market.url}/{repo}/raw/main/README.md").text == CARD
    assert httpx.get(f"{market.url}/{repo}/resolve/main/README.md").text == CARD
    with pytest.raises(GatedRepoError):
        api.hf_hub_download(repo, "small.gguf")
    headers = {"Authorization": "Bearer right"}
    pointer = httpx.get(f"{market.url}/{repo}/raw/main/small.gguf", headers=headers).text
    assert pointer.endswith(f"{market.sha256(repo, 'small.gguf')}\nsize 1000\n")


def test_a_repo_that_is_not_there_is_named(api: Any) -> None:
    with pytest.raises(RepositoryNotFoundError) as raised:
        api.model_info("org/none")
    assert str(raised.value.request_id).startswith("Root=1-")


def test_too_many_requests_say_when_to_come_back(market: Hub, api: Any) -> None:
    market.fail(too_many(42), path="/api/models/Other")
    told = r"Retry after 42 seconds \(0/500 requests remaining in current 300s window\)"
    with pytest.raises(HfHubHTTPError, match=told) as raised:
        api.model_info("Other/small-model")
    assert raised.value.response.headers["retry-after"] == "42"
    assert api.model_info("Other/small-model").id == "Other/small-model"


def test_the_client_waits_itself_before_a_search_is_refused(market: Hub, api: Any) -> None:
    market.fail(too_many(0), path="/api/models?")
    assert len(list(api.list_models(search="llama"))) == 25
    assert [request.status for request in market.requests] == [429, 200]


@pytest.mark.parametrize("code", [500, 503])
def test_the_api_can_be_down(market: Hub, api: Any, code: int) -> None:
    market.fail(Status(code, everywhere=True), path="/api/")
    with pytest.raises(HfHubHTTPError) as raised:
        api.model_info("Other/small-model")
    assert raised.value.response.status_code == code


def test_an_answer_can_be_slow_by_what_is_searched(market: Hub) -> None:
    market.fail(Slow(0.3), path="search=lla&", times=math.inf)
    took = []
    for text in ("lla", "llama", "lla"):
        began = time.monotonic()
        answer = httpx.get(f"{market.url}/api/models?search={text}&limit=5")
        took.append(time.monotonic() - began)
        assert len(answer.json()) == 5
    assert [seconds >= 0.3 for seconds in took] == [True, False, True]


def test_a_slow_answer_may_be_a_refusal(market: Hub) -> None:
    market.fail(Slow(0.2))
    market.fail(Status(503, everywhere=True))
    began = time.monotonic()
    assert httpx.get(f"{market.url}/api/models").status_code == 503
    assert time.monotonic() - began >= 0.2


@pytest.mark.parametrize(
    "rubbish",
    [
        Rubbish(),
        Rubbish(b'[{"id": "org/mo', "application/json"),
        Rubbish(b'{"models": 7}', "application/json"),
        Rubbish(b"[1, null]", "application/json"),
        Rubbish(b"\xff\x00", "application/json"),
    ],
)
def test_the_api_can_answer_rubbish(market: Hub, api: Any, rubbish: Rubbish) -> None:
    market.fail(rubbish, path="/api/models")
    with pytest.raises((ValueError, TypeError, KeyError)):
        list(api.list_models())
    assert len(list(api.list_models())) == 26


def test_rubbish_can_be_huge_and_ends_with_its_client(market: Hub) -> None:
    market.fail(Rubbish(b" " * 1_000_000, "application/json", repeat=100_000), path="/api/")
    with httpx.stream("GET", f"{market.url}/api/models") as answer:
        assert answer.headers["content-length"] == str(10**11)
        next(answer.iter_raw())
    assert eventually(lambda: all(request.ended for request in market.requests))


def test_a_card_loads_as_the_real_library_reads_it(market: Hub) -> None:
    text = httpx.get(f"{market.url}/Other/small-model/raw/main/README.md").text
    data: Any = ModelCard(text).data
    assert data.license == "mit"


def test_a_stated_hash_is_told_and_nothing_is_computed(market: Hub, api: Any) -> None:
    market.add("org/huge", "huge.gguf", size=10**12, sha256="ab" * 32)
    [file] = api.model_info("org/huge", files_metadata=True).siblings
    assert (file.size, file.lfs.sha256) == (10**12, "ab" * 32)
    url = f"{market.url}/org/huge/resolve/main/huge.gguf"
    answer = httpx.get(url, headers={"Range": "bytes=0-3"}, follow_redirects=True)
    assert answer.content == b"GGUF"


def test_the_hub_runs_as_a_process_too() -> None:
    arguments = ["--file", "org/repo:f.gguf=1e3", "--file", "org/gated:f.gguf=1000,gated"]
    with subprocess.Popen(
        [sys.executable, "-m", "tests.support.hub", *arguments, "--file", "plain.bin=10"],
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            assert process.stdout is not None
            url = process.stdout.readline().removeprefix("listening on ").strip()
            assert len(httpx.get(f"{url}/files/plain.bin").content) == 10
            assert httpx.head(f"{url}/org/repo/resolve/main/f.gguf").status_code == 302
            assert httpx.head(f"{url}/org/gated/resolve/main/f.gguf").status_code == 401
        finally:
            process.send_signal(signal.SIGTERM)
    assert process.returncode == 0
