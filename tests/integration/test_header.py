"""Headers that are read over HTTP, from real servers."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx
import pytest

from rbee_widgets.market import header as module
from rbee_widgets.market.gguf import FIRST, MOST
from rbee_widgets.market.header import MAX_REQUESTS, HeaderReader
from rbee_widgets.market.source import SourceError
from tests.support.gguf_header import LLAMA, figure, file, header
from tests.support.hub import Cut, Hub, IgnoreRange, Request, Reset, Short, Stall, Status

SIZE = 5_000_000
PATH = "org/repo"
NAME = "model-Q4_K_M.gguf"
TOKEN = {"Authorization": "Bearer hf_secret"}
REAL = header(general={"general.name": "Llama 3.1 8B"})
"""Of 128,256 tokens: 3.4 MB."""


@pytest.fixture
def hub() -> Iterator[Hub]:
    with Hub(cdn=True, tokens=["hf_secret"]) as running:
        yield running


@pytest.fixture
def reader() -> Iterator[HeaderReader]:
    with closing(HeaderReader()) as ready:
        yield ready


def url_of(hub: Hub, head: bytes = REAL, *, name: str = NAME, size: int = SIZE) -> str:
    hub.add(PATH, name, size=max(size, len(head)), head=head)
    return f"{hub.url}/{PATH}/resolve/main/{name}"


def refusal(reader: HeaderReader, url: str) -> SourceError:
    with pytest.raises(SourceError) as error:
        reader.read(url, {})
    assert len(str(error.value)) < 1000
    return error.value


def files(hub: Hub) -> list[Request]:
    return [request for request in hub.requests if request.status in {200, 206}]


# -- a few requests -------------------------------------------------------------------------------


def test_a_header_takes_a_redirect_and_one_range(hub: Hub, reader: HeaderReader) -> None:
    shape = reader.read(url_of(hub), {})
    assert (shape.name, shape.vocabulary, shape.depth) == ("Llama 3.1 8B", 128_256, 32)
    assert [request.status for request in hub.requests] == [302, 206]
    assert hub.requests[1].range == f"bytes=0-{FIRST - 1}"
    assert hub.sent == FIRST


def test_a_tokenizer_that_comes_first_takes_few_requests(hub: Hub, reader: HeaderReader) -> None:
    head = header(tokens=50_000, has_tokens_first=True)
    assert 1_000_000 < len(head) < MOST
    assert reader.read(url_of(hub, head), {}).vocabulary == 50_000
    assert len(hub.requests) <= MAX_REQUESTS
    assert sum(request.status == 302 for request in hub.requests) == 1
    assert hub.sent <= MOST, "no byte was fetched twice"


def test_no_more_than_2_mib_is_fetched_of_what_never_ends(hub: Hub, reader: HeaderReader) -> None:
    head = header(has_tokens_first=True)  # 128,256 tokens of it
    error = refusal(reader, url_of(hub, head))
    assert f"reaches beyond its first {MOST} bytes" in str(error)
    assert NAME in str(error)
    assert hub.sent <= MOST
    assert len(hub.requests) <= MAX_REQUESTS


def test_a_header_is_read_once(hub: Hub, reader: HeaderReader) -> None:
    url = url_of(hub)
    assert reader.read(url, {}) is reader.read(url, {})
    assert len(files(hub)) == 1


def test_what_failed_is_asked_for_again(hub: Hub, reader: HeaderReader) -> None:
    url = url_of(hub)
    hub.fail(Status(503))
    assert "HTTP 503" in str(refusal(reader, url))
    assert reader.read(url, {}).vocabulary == 128_256


def test_the_oldest_is_forgotten(
    hub: Hub, reader: HeaderReader, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "CACHED", 2)
    head = header(tokens=10)
    urls = [url_of(hub, head, name=f"{number}.gguf") for number in range(3)]
    for url in [*urls[:2], urls[0], urls[2]]:
        reader.read(url, {})
    before = len(files(hub))
    reader.read(urls[0], {})
    assert len(files(hub)) == before, "it had been asked for since"
    reader.read(urls[1], {})
    assert len(files(hub)) == before + 1


def test_threads_share_a_reader(hub: Hub, reader: HeaderReader) -> None:
    head = header(tokens=10)
    urls = [url_of(hub, head, name=f"{number}.gguf") for number in range(8)]
    found: list[int] = []

    def read() -> None:
        found.extend(reader.read(url, {}).vocabulary for url in urls)

    threads = [threading.Thread(target=read) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert found == [10] * 32


# -- where it goes --------------------------------------------------------------------------------


def test_a_token_stays_at_its_host(hub: Hub, reader: HeaderReader) -> None:
    hub.add(PATH, NAME, size=SIZE, head=REAL, gated=True)
    reader.read(f"{hub.url}/{PATH}/resolve/main/{NAME}", TOKEN)
    hub_s, cdn_s = hub.requests
    assert hub_s.port != cdn_s.port
    assert hub_s.authorization == TOKEN["Authorization"]
    assert cdn_s.authorization is None


def test_a_gated_file_says_what_to_do(hub: Hub, reader: HeaderReader) -> None:
    hub.add(PATH, NAME, size=SIZE, head=REAL, gated=True)
    error = refusal(reader, f"{hub.url}/{PATH}/resolve/main/{NAME}")
    assert "HTTP 401" in str(error)
    assert "HF_TOKEN" in str(error)


@pytest.mark.parametrize(
    "url",
    ["ftp://example.org/m.gguf", "file:///etc/passwd", "model.gguf", "http://", "", "http://h:x/"],
)
def test_only_http_is_asked(reader: HeaderReader, url: str) -> None:
    assert "expected an http or https address" in str(refusal(reader, url))


@pytest.mark.parametrize(
    "location",
    ["file:///etc/passwd", "ftp://example.org/x", "", "http://h:x/", "javascript:alert(1)"],
)
def test_a_redirect_may_not_lead_elsewhere(reader: HeaderReader, location: str) -> None:
    with serving({"Location": location}, status=302) as url:
        assert "127.0.0.1 doesn't give the header of model.gguf: " in str(refusal(reader, url))


def test_a_redirect_may_not_leave_tls() -> None:
    fetch = module._Fetch(httpx.Client(), "https://hub.example/m.gguf", {})
    with closing(fetch.client), pytest.raises(SourceError, match="where rbee doesn't follow"):
        fetch._next(httpx.URL(fetch.url), "http://hub.example/m.gguf")


def test_redirects_come_to_an_end(reader: HeaderReader) -> None:
    with serving({"Location": "/again.gguf"}, status=302) as url:
        assert f"more than {MAX_REQUESTS} requests" in str(refusal(reader, url))


# -- servers that do as they please ---------------------------------------------------------------


def test_a_server_that_ignores_ranges_is_read_as_far_as_needed(
    hub: Hub, reader: HeaderReader
) -> None:
    url = url_of(hub, size=400_000_000)
    hub.fail(IgnoreRange(), times=9)
    assert reader.read(url, {}).vocabulary == 128_256
    assert [request.status for request in files(hub)] == [200]
    until = time.monotonic() + 5
    while hub.open_transfers and time.monotonic() < until:
        time.sleep(0.01)
    assert hub.open_transfers == 0, "the connection was closed"
    assert hub.sent < 100_000_000


def test_a_server_that_ignores_later_ranges_is_read_from_the_start(reader: HeaderReader) -> None:
    head = header(tokens=10_000, has_tokens_first=True)
    assert len(head) > FIRST
    with serving({}, body=head, ignores_from=1) as url:
        assert reader.read(url, {}).vocabulary == 10_000


def test_a_small_file_that_is_sent_whole_is_read_to_its_end(reader: HeaderReader) -> None:
    with serving({}, body=header(tokens=10), ignores_from=0) as url:
        assert reader.read(url, {}).vocabulary == 10
    with serving({}, body=header(tokens=10)[:99], ignores_from=0) as url:
        assert "ends after 99 bytes" in str(refusal(reader, url))


@pytest.mark.parametrize(
    ("headers", "words"),
    [
        ({"Content-Range": "bytes 7-99/100"}, "asked for bytes from 0, it sends 'bytes 7-99/100'"),
        ({}, "it sends ''"),
        ({"Content-Encoding": "gzip", "Content-Range": "bytes 0-9/10"}, "compressed (gzip)"),
    ],
)
def test_another_part_than_was_asked_for_is_refused(
    reader: HeaderReader, headers: dict[str, str], words: str
) -> None:
    with serving(headers, status=206, body=b"GGUF") as url:
        assert words in str(refusal(reader, url))


def test_more_than_was_asked_for_is_not_taken(reader: HeaderReader) -> None:
    body = file(figure("x", 1)) + bytes(50_000_000)
    with serving({"Content-Range": "bytes 0-65535/50000000"}, status=206, body=body) as url:
        assert "no general.architecture" in str(refusal(reader, url))


@pytest.mark.parametrize(
    ("head", "words"),
    [
        (b"<!doctype html><script>alert(1)</script>", "it begins with b'<!do'"),
        (file(count=1 << 60), "1152921504606846976 keys"),
        (header(keys=LLAMA | {"block_count": 9999}, tokens=10), "9999 layers"),
    ],
)
def test_a_header_that_lies_is_told_in_words(
    hub: Hub, reader: HeaderReader, head: bytes, words: str
) -> None:
    error = refusal(reader, url_of(hub, head))
    assert words in str(error)
    assert NAME in str(error)
    assert hub.sent <= FIRST


def test_an_empty_file_has_no_header(hub: Hub, reader: HeaderReader) -> None:
    url = hub.add_file("empty.gguf", size=0, head=b"")
    assert "ends after 0 bytes" in str(refusal(reader, url))


@pytest.mark.parametrize("fault", [Reset(), Cut(100), Short(100)])
def test_a_connection_that_breaks_is_told(
    hub: Hub, reader: HeaderReader, fault: Reset | Cut | Short
) -> None:
    url = url_of(hub)
    hub.fail(fault)
    assert "127.0.0.1 doesn't give the header of" in str(refusal(reader, url))


def test_a_hub_that_is_down_is_told(hub: Hub, reader: HeaderReader) -> None:
    url = url_of(hub)
    hub.stop()
    assert "127.0.0.1 doesn't give the header of" in str(refusal(reader, url))


@pytest.mark.parametrize(
    ("status", "words"), [(404, "there is no such file"), (403, "who asks"), (500, "HTTP 500")]
)
def test_a_refusal_is_told(hub: Hub, reader: HeaderReader, status: int, words: str) -> None:
    url = url_of(hub)
    hub.fail(Status(status))
    assert words in str(refusal(reader, url))


@pytest.mark.parametrize(
    ("after", "seconds"), [("7", 7.0), ("soon", None), ("", None), ("9" * 400, None)]
)
def test_a_hub_that_is_asked_too_often_says_how_long(
    hub: Hub, reader: HeaderReader, after: str, seconds: float | None
) -> None:
    url = url_of(hub)
    hub.fail(Status(429, {"Retry-After": after}))
    error = refusal(reader, url)
    assert "too often" in str(error)
    assert error.retry_after == seconds


def test_silence_has_an_end(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "TIMEOUT_S", 0.3)
    url = url_of(hub)
    hub.fail(Stall(after=10))
    with closing(HeaderReader()) as impatient:
        assert "timed out" in str(refusal(impatient, url))


def test_a_trickle_has_an_end(
    hub: Hub, reader: HeaderReader, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "LIMIT_S", 0.3)
    url = url_of(hub, header(tokens=9000, has_tokens_first=True))
    hub.rate = 50_000
    assert "isn't there after" in str(refusal(reader, url))


# -- a server that answers as it is told ----------------------------------------------------------


@contextmanager
def serving(
    headers: dict[str, str],
    *,
    status: int = 200,
    body: bytes = b"",
    ignores_from: int | None = None,
) -> Iterator[str]:
    """Serve one answer; or, with `ignores_from`, `body` by ranges, heeded until that request."""
    asked = 0

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            nonlocal asked
            asked += 1
            if ignores_from is None:
                self.answer(status, headers, body)
            elif asked > ignores_from:
                self.answer(200, {}, body)
            else:
                first, last = map(int, self.headers["Range"].removeprefix("bytes=").split("-"))
                told = f"bytes {first}-{last}/{len(body)}"
                self.answer(206, {"Content-Range": told}, body[first : last + 1])

        def answer(self, code: int, told: dict[str, str], data: bytes) -> None:
            self.send_response(code)
            for name, value in told.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            try:
                self.wfile.write(data)
            except OSError:
                return  # the reader has enough

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/model.gguf"
        server.shutdown()
        thread.join()
