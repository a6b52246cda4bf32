"""The hub that other tests rely on does what it says, as an httpx client sees it."""

from __future__ import annotations

import hashlib
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import httpx
import pytest

from tests.support.hub import Content, Cut, Flip, Hub, IgnoreRange, Reset, Short, Stall, Status

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

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
