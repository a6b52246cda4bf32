"""Questions to a source that answers as no honest one does; redirects, waits, and HEAD refused."""

from __future__ import annotations

import asyncio
import gzip
import time
import tracemalloc
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import httpx
import pytest

from rbee_widgets.market import asking
from rbee_widgets.market.asking import MAX_ANSWER, MAX_REDIRECTS, MAX_WAIT_S, Answer, Asker
from rbee_widgets.market.asking import retry_after as wait
from rbee_widgets.market.header import HeaderReader
from rbee_widgets.market.huggingface import HuggingFace
from rbee_widgets.market.source import Query, SourceError
from rbee_widgets.market.web import Web
from tests.support.drip import Drip
from tests.support.origin import Reply, origin, said

pytestmark = pytest.mark.anyio

BEGUN = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n"


async def ask(url: str, *, limit: int = MAX_ANSWER, is_cut: bool = False) -> Answer:
    """Ask as a source does, in a thread, with a token."""

    def asked() -> Answer:
        with httpx.Client() as client:
            broken = (httpx.HTTPError, httpx.InvalidURL, OSError)
            asker = Asker(client, "the hub", httpx.TimeoutException, broken, "wait")
            headers = {"Authorization": "Bearer secret"}
            return asker.ask(url, headers=headers, limit=limit, is_cut=is_cut)

    return await asyncio.to_thread(asked)


async def test_redirects_are_followed_so_far() -> None:
    paths: list[str] = []

    def reply(path: str, _: dict[str, str]) -> bytes:
        paths.append(path)
        left = int(path.removeprefix("/"))
        if left == 0:
            return said("200 OK", b"[1]", Connection="close")
        return said("302 Found", Location=f"/{left - 1}", Connection="close")

    async with origin(reply) as url:
        assert (await ask(f"{url}/{MAX_REDIRECTS}")).json("the hub") == [1]
        assert len(paths) == MAX_REDIRECTS + 1
        with pytest.raises(SourceError, match="redirects without end"):
            await ask(f"{url}/{MAX_REDIRECTS + 1}")


async def test_a_token_follows_no_redirect_to_another_host() -> None:
    seen: list[str | None] = []

    def there(_: str, headers: dict[str, str]) -> bytes:
        seen.append(headers.get("authorization"))
        return said("200 OK", b"[]", Connection="close")

    async with origin(there) as elsewhere:

        def here(_: str, headers: dict[str, str]) -> bytes:
            seen.append(headers.get("authorization"))
            return said("307 Temporary Redirect", Location=elsewhere, Connection="close")

        async with origin(here) as url:
            await ask(url)
    assert seen == ["Bearer secret", None]


@pytest.mark.parametrize(
    "location",
    ["http://[", "ftp://example.org/", "http://127.0.0.1:9/", "http://a..b/", "http://xn--a/"],
)
async def test_a_redirect_to_nowhere_is_told(location: str) -> None:
    async with origin(lambda *_: said("302 Found", Location=location, Connection="close")) as url:
        with pytest.raises(SourceError, match="can't be reached"):
            await ask(url)


@pytest.mark.parametrize("is_cut", [False, True])
async def test_a_bomb_is_not_unpacked(is_cut: bool) -> None:
    bomb = gzip.compress(bytes(400 << 20), 9)
    assert len(bomb) < 1 << 20
    answer = said("200 OK", bomb, Content_Encoding="gzip", Connection="close")
    async with origin(lambda *_: answer) as url:
        tracemalloc.start()
        try:
            if is_cut:
                assert len((await ask(url, limit=1 << 20, is_cut=True)).body) == 1 << 20
            else:
                with pytest.raises(SourceError, match="more than"):
                    await ask(url)
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert peak < 4 * MAX_ANSWER


@pytest.mark.parametrize(
    ("body", "encoding"),
    [(b"[]", "br"), (b"[]", "gzip"), (gzip.compress(b"[1, 2]", mtime=0)[:-12], "gzip")],
)
async def test_what_cannot_be_unpacked_is_rubbish(body: bytes, encoding: str) -> None:
    answer = said("200 OK", body, Content_Encoding=encoding, Connection="close")
    async with origin(lambda *_: answer) as url:
        with pytest.raises(SourceError, match="something else than models"):
            (await ask(url)).json("the hub")


async def test_packed_is_unpacked() -> None:
    packed = gzip.compress(b"[1, 2]", mtime=0)
    answer = said("200 OK", packed, Content_Encoding="GZIP", Connection="close")
    async with origin(lambda *_: answer) as url:
        assert (await ask(url)).json("the hub") == [1, 2]


async def test_what_trickles_ends_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asking, "TIMEOUT_S", 1.0)
    async with Drip(BEGUN, b" ") as server:
        began = time.monotonic()
        with pytest.raises(SourceError, match="has not answered within 1"):
            await ask(server.url)
        assert 0.9 < time.monotonic() - began < 6


@pytest.mark.parametrize(
    "answer", [b"", b"\x00" * 100, b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n["]
)
async def test_what_is_no_http_is_told(answer: bytes) -> None:
    async with origin(lambda *_: answer + (b"\r\nConnection: close" if not answer else b"")) as url:
        with pytest.raises(SourceError, match=r"can't be reached|has not answered"):
            await ask(url)


def test_a_wait_is_told_in_seconds_or_as_a_date() -> None:
    soon = format_datetime(datetime.now(UTC) + timedelta(seconds=90), usegmt=True)
    told = wait({"retry-after": soon})
    assert told is not None
    assert 85 < told <= 90
    assert wait({"retry-after": " 120 "}) == 120
    assert wait({"retry-after": "999999999"}) == MAX_WAIT_S
    assert wait({"retry-after": "Thu, 01 Jan 1970 00:00:00 GMT"}) == 0
    assert wait({"retry-after": "Thu, 01 Jan 1970 00:00:00 -0000"}) == 0
    assert wait({"retry-after": "Fri, 31 Dec 9999 23:59:59 GMT"}) == MAX_WAIT_S


@pytest.mark.parametrize(
    "told",
    [
        "",
        "soon",
        "-1",
        "1.5",
        "9" * 40,
        "Thu, 99 Jan 1970 00:00:00 GMT",
        "Thu, 01 Jan 99999 00:00:00 GMT",
        "Thu, 01 Jan 2024 00:00:00 +" + "9" * 30,
        "Thu, 01 Jan 2024 99:99:99 GMT",
        "Thu, 01 Jan 2024 00:00:00 +9999",
        "\x00" * 10,
        "Jan" * 1000,
    ],
)
def test_a_wait_that_is_none_is_not_known(told: str) -> None:
    assert wait({"retry-after": told}) is None
    assert wait({}) is None


# -- A plain URL, asked by HEAD ------------------------------------------------------------------


def headless(status: str) -> Reply:
    """Refuse a HEAD alone."""
    return lambda _, headers: said(
        status if headers["method"] == "HEAD" else "200 OK", b"GGUF", Connection="close"
    )


@pytest.mark.parametrize(
    "status", ["403 Forbidden", "405 Method Not Allowed", "501 Not Implemented"]
)
async def test_a_server_without_head_may_have_the_file(status: str) -> None:
    async with origin(headless(status)) as url:
        details = await asyncio.to_thread(Web().details, f"{url}/m-Q4_K_M.gguf?signed=1")
    [file] = details.files
    assert (file.path, file.size, file.quantisation) == ("m-Q4_K_M.gguf", None, "Q4_K_M")
    assert file.header_url is not None
    assert file.header_url.endswith("?signed=1")


@pytest.mark.parametrize(
    ("status", "words"),
    [
        ("404 Not Found", "There is nothing at"),
        ("410 Gone", "There is nothing at"),
        ("401 Unauthorized", "answers 401 Unauthorized"),
        ("500 Internal Server Error", "has trouble"),
        ("429 Too Many Requests", "asked too often"),
        ("299 Odd", "answers 299"),
    ],
)
async def test_a_refused_head_is_told(status: str, words: str) -> None:
    async with origin(headless(status)) as url:
        with pytest.raises(SourceError, match=words):
            await asyncio.to_thread(Web().details, f"{url}/m-Q4_K_M.gguf")


async def test_a_length_that_is_not_told_leaves_the_size_unknown() -> None:
    async with origin(lambda *_: said("200 OK", Content_Length="", Connection="close")) as url:
        details = await asyncio.to_thread(Web().details, f"{url}/m-Q4_K_M.gguf")
    assert details.files[0].size is None


@pytest.mark.parametrize("host", ["a..b", "a" * 70, "xn--a", "nobody.invalid", "127.0.0.1:9"])
def test_a_host_that_there_is_not_is_told(host: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(SourceError, match="can't be reached"):
        Web().details(f"http://{host}/m.gguf")
    with pytest.raises(SourceError, match=r"doesn't give the header|expected an http"):
        HeaderReader().read(f"http://{host}/m.gguf", {})
    monkeypatch.setenv("HF_ENDPOINT", f"http://{host}")
    with pytest.raises(SourceError, match="can't be reached"):
        next(HuggingFace().search(Query("x")))


def test_an_endpoint_that_is_no_url_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "http://[")
    assert not HuggingFace().has_page("http://example.org/a/b")
    with pytest.raises(SourceError, match=r"http://\[ can't be reached"):
        next(HuggingFace().search(Query("x")))
