"""A hive that points elsewhere, or answers with what no hive says."""

from __future__ import annotations

import asyncio
import json
import tracemalloc
import zlib
from collections.abc import Callable, Iterator
from typing import Final

import pytest

from rbee_widgets import Hive, Tracker
from rbee_widgets.contract import ModelDownload
from rbee_widgets.errors import HiveRefusedError, HiveUnreachableError, RbeeError
from rbee_widgets.state import Status
from tests.faults.cases import fault
from tests.faults.conftest import Seen
from tests.support.hostile import (
    JOB,
    MODEL,
    TOKEN,
    Bytes,
    HostileHive,
    answer,
    followed,
    job,
    says,
    stream,
)

pytestmark = pytest.mark.anyio

STREAM: Final = f"GET /v1/jobs/{JOB}/stream"
WANTED: Final = ModelDownload(hive_id="h", model=MODEL)


def endless(piece: bytes) -> Iterator[bytes]:
    while True:
        yield piece


# -- Elsewhere ------------------------------------------------------------------------------------


@fault(32, "an sse_url that points elsewhere", "never followed: the stream is asked of the hive")
@pytest.mark.parametrize(
    "sse_url",
    [
        pytest.param("{elsewhere}/v1/jobs/job-1/stream", id="another origin"),
        pytest.param("//{host}/v1/jobs/job-1/stream", id="no scheme"),
        pytest.param("http://127.0.0.1@{host}/", id="userinfo"),
        pytest.param("file:///etc/passwd", id="a file"),
        pytest.param("http://169.254.169.254/latest/meta-data/", id="a metadata address"),
        pytest.param("/v1/shutdown", id="another path"),
        pytest.param("x" * 100_000, id="100 kB"),
    ],
)
async def test_an_sse_url_leads_nowhere(sse_url: str, seen: Seen) -> None:
    async with HostileHive() as elsewhere:
        host = elsewhere.url.removeprefix("http://")
        pointed = sse_url.format(elsewhere=elsewhere.url, host=host)
        async with HostileHive(submitted=job(sse_url=pointed)) as hive:
            download = await followed(hive)
        assert elsewhere.asked == []
    assert download.status is Status.COMPLETE
    assert hive.targets[:2] == ["POST /v1/jobs", STREAM]
    seen("complete, by the hive's own stream")


async def _read(hive: Hive) -> None:
    async for _ in hive.stream(JOB):
        pass


_CALLS: Final[dict[str, Callable[[Hive], object]]] = {
    "POST /v1/jobs": lambda hive: hive.submit(WANTED),
    STREAM: _read,
    "GET /v1/jobs": lambda hive: hive.jobs(),
    f"DELETE /v1/jobs/{JOB}": lambda hive: hive.cancel(JOB),
    "GET /v1/capabilities": lambda hive: hive.capabilities(),
}


_WITH_ANSWER: Final = [call for call in _CALLS if not call.startswith("DELETE")]


async def called(hive: HostileHive, call: str) -> RbeeError:
    """Make a call that must fail; gives the error."""
    handle = Hive(hive.url, "hostile", TOKEN)
    try:
        with pytest.raises(RbeeError) as raised:
            await _CALLS[call](handle)  # type: ignore[misc]
    finally:
        await handle.aclose()
    assert "\x1b" not in str(raised.value)
    assert len(str(raised.value)) < 500
    return raised.value


def hostile(call: str, given: Bytes) -> HostileHive:
    """Give a hive that answers one call so."""
    if call == "POST /v1/jobs":
        return HostileHive(submitted=given)
    return HostileHive(otherwise={call: given})


@fault(32, "a redirect to another server", "not followed, the token stays")
@pytest.mark.parametrize("call", _CALLS)
async def test_a_redirect_is_not_followed(call: str, seen: Seen) -> None:
    for status in ("301", "302", "303", "307", "308"):
        async with HostileHive() as elsewhere:
            given = answer(status=f"{status} Elsewhere", location=f"{elsewhere.url}/v1/jobs")
            async with hostile(call, given) as hive:
                error = await called(hive, call)
            assert elsewhere.asked == []
        assert isinstance(error, HiveRefusedError)
        assert status in str(error)
        assert TOKEN not in str(error)
    seen("301, 302, 303, 307 and 308 refused, nothing asked elsewhere")


@fault(32, "a token in the environment, and another hive's URL", "sent to the hive it is for alone")
async def test_the_environments_token_is_for_the_hive_that_it_names(
    monkeypatch: pytest.MonkeyPatch, seen: Seen
) -> None:
    async with HostileHive() as own, HostileHive() as other:
        monkeypatch.setenv("RBEE_HIVE_URL", f"{own.url}/")
        monkeypatch.setenv("RBEE_HIVE_TOKEN", TOKEN)
        tracker = Tracker()
        for hive in (own, other):
            await tracker.download(MODEL, hive=hive.url)
        await tracker.aclose()
    assert {asked.headers.get("authorization") for asked in own.asked} == {f"Bearer {TOKEN}"}
    assert {asked.headers.get("authorization") for asked in other.asked} == {None}
    seen("the other hive saw none")


@fault(32, "a URL of a hive with more than an origin", "refused where it is typed")
@pytest.mark.parametrize(
    "url",
    [
        "http://user@127.0.0.1:7835",
        "http://user:password@127.0.0.1:7835",
        "http://:password@127.0.0.1:7835",
        "http://127.0.0.1:7835/v1",
        "http://127.0.0.1:7835?x",
        "file:///etc/passwd",
        "127.0.0.1:7835",
        "http://",
        "http://[::1",
        "http://127.0.0.1:99999",
        "http://127.0.0.1:0",
    ],
)
async def test_a_hive_is_an_origin(url: str, seen: Seen) -> None:
    with pytest.raises(ValueError, match="expected the URL of a hive") as raised:
        Hive(url)
    seen(str(raised.value)[:80])


# -- No hive --------------------------------------------------------------------------------------


@fault(36, "an answer that is none of a hive's", "an error that names the hive and what came")
@pytest.mark.parametrize(
    "make",
    [
        pytest.param(lambda: answer(b"<!doctype html><title>x", "text/html"), id="200 with HTML"),
        pytest.param(lambda: answer(b"<html>log in", "text/html", "511 Login"), id="a login page"),
        pytest.param(lambda: answer(b"", "", "407 Proxy"), id="a proxy that asks for a login"),
        pytest.param(lambda: answer(b"", "", "204 No Content"), id="204"),
        pytest.param(lambda: answer(b"[1, 2]"), id="JSON of another shape"),
        pytest.param(lambda: answer(b'{"a":' * 100_000), id="JSON without end"),
        pytest.param(lambda: answer(b"{}", "text/plain; charset=zlib"), id="a codec for charset"),
        pytest.param(lambda: answer(b"\xff\xfe\x00\x1b[2J", "text/plain"), id="no text"),
        pytest.param(lambda: b"x" * 90_000 + b"\r\n\r\n", id="no HTTP"),
        pytest.param(lambda: b"HTTP/1.1 200 OK\r\n" + b"x: y\r\n" * 50_000, id="heads for ever"),
        pytest.param(
            lambda: b"HTTP/1.1 500 x\r\ncontent-length: 99\r\n\r\nabc", id="a cut refusal"
        ),
        pytest.param(lambda: b"", id="nothing"),
        pytest.param(
            lambda: answer(zlib.compress(b"x" * (64 << 20)), content_encoding="deflate"),
            id="a compressed bomb",
        ),
        pytest.param(
            lambda: answer(b"x" * 999, "text/plain", "500 x", content_encoding="gzip"),
            id="a refusal that is no gzip",
        ),
        pytest.param(
            lambda: answer(endless(b"x" * 65536), "text/plain", "500 x"), id="a refusal for ever"
        ),
    ],
)
async def test_what_no_hive_says_is_an_error(make: Callable[[], Bytes], seen: Seen) -> None:
    peaks = []
    for call in _WITH_ANSWER:
        async with hostile(call, make()) as hive:
            url = hive.url
            tracemalloc.start()
            error = await called(hive, call)
            peaks.append(tracemalloc.get_traced_memory()[1] / 2**20)
            tracemalloc.stop()
        assert isinstance(error, HiveRefusedError | HiveUnreachableError)
        assert url in str(error)
    assert max(peaks) < 24
    seen(f"{str(error).replace(url, 'URL')[:70]!r}, {max(peaks):.1f} MiB at most")


@fault(36, "a refusal that stops in its middle", "given up as soon as any other answer")
async def test_a_refusal_that_stalls_is_given_up(
    monkeypatch: pytest.MonkeyPatch, seen: Seen
) -> None:
    monkeypatch.setattr("rbee_widgets.client.ANSWER_TIMEOUT_S", 0.5)
    stalled = [b"HTTP/1.1 500 x\r\ncontent-length: 99\r\n\r\nabc", None]
    for call in _WITH_ANSWER:
        async with hostile(call, stalled) as hive, asyncio.timeout(5):
            error = await called(hive, call)
        assert isinstance(error, HiveUnreachableError)
        assert "no answer within" in str(error)
    seen("given up at the limit, of a stream too")


@fault(36, "what is no hive on a hive's port", "not taken for one, nothing raised")
@pytest.mark.parametrize(
    ("path", "make"),
    [
        pytest.param("/health", lambda: answer(b"ok", "text/html"), id="HTML"),
        pytest.param("/health", lambda: answer(b"no", "text/plain"), id="not ok"),
        pytest.param("/health", lambda: answer(b"o\0", "text/plain; charset=bz2"), id="a codec"),
        pytest.param("/health", lambda: b"\0", id="no HTTP"),
        pytest.param("/v1/capabilities", lambda: answer(b"[]"), id="no capabilities"),
        pytest.param("/v1/capabilities", lambda: answer(b"<html>", "text/html"), id="a web page"),
    ],
)
async def test_a_look_never_raises(path: str, make: Callable[[], Bytes], seen: Seen) -> None:
    async with HostileHive(otherwise={f"GET {path}": make()}) as hostile:
        hive = Hive(hostile.url)
        assert await hive.healthy() is False
        await hive.aclose()
    seen("no hive")


@fault(36, "a catalog of another shape", "not believed; the download is what its stream said")
@pytest.mark.parametrize(
    "models",
    [
        pytest.param({"id": MODEL}, id="no list"),
        pytest.param([7], id="numbers"),
        pytest.param([{"id": MODEL}], id="half an entry"),
        pytest.param([{"id": MODEL, "name": "f", "path": "/m", "size": -1}], id="a negative size"),
        pytest.param([{"id": MODEL, "name": "f", "path": "/m", "size": 10**400}], id="10^400 B"),
        pytest.param([{"id": MODEL, "name": "f", "path": "/m", "size": 1.5}], id="half a byte"),
        pytest.param([{"id": MODEL, "name": "f", "path": "/m\x1b[2J", "size": 1}], id="an escape"),
        pytest.param([{"id": MODEL, "name": "f", "path": "/m" * 9999, "size": 1}], id="long"),
        pytest.param([{"id": "x" * 900}] * 2000, id="1.8 MB"),
    ],
)
async def test_a_catalog_is_not_believed_blindly(models: object, seen: Seen) -> None:
    async with HostileHive(streamed=says("hello"), models=models) as hive:
        download = await followed(hive)
    assert download.status is Status.COMPLETE
    assert download.path is None
    assert download.total_size is None
    seen("complete, no path, no size")


@fault(36, "a model whose path is another user's file", "told as the hive tells it, not opened")
async def test_a_path_is_told_and_not_opened(seen: Seen) -> None:
    models = [{"id": MODEL, "name": "f", "path": "/etc/shadow", "size": 1}]
    async with HostileHive(models=models) as hive:
        download = await followed(hive)
    assert download.path == "/etc/shadow"
    seen("the path is a string")


@fault(36, "a stream that says another content type", "failed, with what came")
@pytest.mark.parametrize("kind", ["text/html", "application/json", "text/plain", ""])
async def test_a_stream_is_of_events_or_an_error(kind: str, seen: Seen) -> None:
    async with HostileHive(streamed=answer(b"data: [DONE]\n\n", kind)) as hive:
        download = await followed(hive)
    assert download.status is Status.FAILED
    assert "expected a text/event-stream" in (download.error or "")
    seen(f"{download.error}".partition(": ")[2])


@fault(36, "a stream that is compressed though none was asked for", "failed, not unpacked")
@pytest.mark.parametrize("coding", ["gzip", "deflate", "br", "zstd", "x-nonsense"])
async def test_a_compressed_stream_is_not_unpacked(coding: str, seen: Seen) -> None:
    bomb = zlib.compress(b"data: x\n" * (8 << 20))
    async with HostileHive(streamed=stream(bomb, content_encoding=coding)) as hive:
        download = await followed(hive)
    assert download.status is Status.FAILED
    assert "not compressed" in (download.error or "")
    assert hive.asked[1].headers["accept-encoding"] == "identity"
    seen(f"{download.error}".partition(": ")[2])


@fault(36, "a bomb for an error text", "one line of it is repeated")
async def test_a_long_error_is_cut(seen: Seen) -> None:
    async with HostileHive(submitted=answer(b"x\x1b[2J\n" * 99_999, status="500 x")) as hive:
        error = await called(hive, "POST /v1/jobs")
    assert len(json.dumps(str(error))) < 800
    seen(f"{len(str(error))} characters")
