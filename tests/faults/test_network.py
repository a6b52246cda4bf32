"""Thirteen faults of a network, each on a file of 4 MiB, as other downloaders were judged by too.

The hive has one connection to a host, so that each fault strikes where it is meant to.
"""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from rbee_widgets import Download, Tracker
from rbee_widgets.state import Status
from tests.faults.cases import fault
from tests.faults.conftest import Seen
from tests.support.downloads import failure, sha256
from tests.support.hive import HiveProcess
from tests.support.hub import Cut, Flip, Hub, IgnoreRange, Reset, Short, Stall
from tests.support.hub import Status as HubStatus
from tests.support.origin import asked, origin, ranged, said

pytestmark = pytest.mark.anyio

MODEL = "org/repo:file.gguf"
SIZE = 4 << 20
HALF = SIZE // 2
IN_SOCKETS = 512 << 10
"""Bytes that may be lost on their way when a connection is reset: far less than a piece."""


@pytest.fixture
def hive(tmp_path: Path, hub: Hub) -> Iterator[HiveProcess]:
    with HiveProcess(tmp_path / "models", hub.url, options=["--connections", "1"]) as hive:
        yield hive


@pytest.fixture
def file(hub: Hub) -> Hub:
    hub.rate = 40e6
    hub.add("org/repo", "file.gguf", size=SIZE)
    return hub


async def arrives(tracker: Tracker, hub: Hub, seen: Seen) -> Download:
    """Fetch the file and see that it is right."""
    began = time.monotonic()
    download = await tracker.download(MODEL)
    took = time.monotonic() - began
    assert sha256(download.path) == hub.sha256("org/repo", "file.gguf")
    seen(f"right after {took:.1f} s, {again(hub) / 1024:.0f} KiB sent again")
    return download


def again(hub: Hub) -> int:
    return hub.sent - SIZE


def parts(hub: Hub) -> list[int]:
    """Give the bytes of each answer that held any."""
    return [request.sent for request in hub.requests if request.sent]


@fault(0, "nothing", "complete, each byte sent once")
async def test_a_file_arrives(tracker: Tracker, file: Hub, seen: Seen) -> None:
    await arrives(tracker, file, seen)
    assert again(file) == 0


@fault(1, "connection reset before the headers", "asked again after a wait, which is told; right")
async def test_a_reset_before_the_headers_is_outlasted(
    tracker: Tracker, file: Hub, seen: Seen
) -> None:
    file.fail(Reset())
    download = await arrives(tracker, file, seen)
    assert again(file) == 0
    assert any("🔁 Retry 2 of 6 in" in line for line in download.narration)


@fault(2, "connection reset in the middle", "gone on from there, right, one piece again at most")
async def test_a_reset_in_the_middle_is_outlasted(tracker: Tracker, file: Hub, seen: Seen) -> None:
    file.fail(Cut(HALF))
    await arrives(tracker, file, seen)
    assert parts(file)[0] == HALF
    assert 0 <= again(file) < IN_SOCKETS


@fault(2, "nine resets, each after a tenth", "gone on from each, right")
async def test_nine_resets_are_outlasted(tracker: Tracker, file: Hub, seen: Seen) -> None:
    file.fail(Cut(SIZE // 10), times=9)
    await arrives(tracker, file, seen)
    assert parts(file)[:9] == [SIZE // 10] * 9
    assert 0 <= again(file) < 9 * IN_SOCKETS


@fault(3, "body ends in good order before its length", "gone on from there, right")
async def test_a_body_that_ends_early_is_not_the_end(
    tracker: Tracker, file: Hub, seen: Seen
) -> None:
    file.fail(Short(HALF))
    await arrives(tracker, file, seen)
    assert parts(file)[0] == HALF
    assert 0 <= again(file) < IN_SOCKETS


@fault(10, "Range ignored on resume", "begun anew, right")
async def test_an_origin_that_ignores_ranges_is_begun_anew(
    tracker: Tracker, file: Hub, seen: Seen
) -> None:
    file.fail(Cut(HALF))
    file.fail(IgnoreRange(), times=2)
    await arrives(tracker, file, seen)
    assert (parts(file)[0], parts(file)[-1]) == (HALF, SIZE)


@fault(12, "file changed between two parts", "begun anew, all of it the new version")
async def test_two_versions_never_mix(tracker: Tracker, seen: Seen) -> None:
    old, new = (random.Random(seed).randbytes(SIZE) for seed in (1, 2))
    spans: list[tuple[int, int] | None] = []

    def reply(_: str, headers: dict[str, str]) -> bytes:
        if headers["method"] == "GET":
            spans.append(asked(old, headers))
            if len(spans) == 1:  # it breaks off half-way
                whole = ranged(old, headers, ETag='"old"', Connection="close")
                return whole[: whole.index(b"\r\n\r\n") + 4 + HALF]
        now, etag = (new, '"new"') if spans else (old, '"old"')
        if headers.get("if-range", etag) != etag:
            return said("200 OK", now, ETag=etag)
        return ranged(now, headers, ETag=etag)

    async with origin(reply) as url:
        download = await tracker.download(f"{url}/file.gguf")
    assert spans[1] == (HALF, SIZE), "it went on from half-way"
    assert Path(str(download.path)).read_bytes() == new
    seen(f"the new version after {len(spans)} requests")


@fault(7, "503 twice", "asked again after each, which is told; right")
async def test_an_origin_that_is_busy_twice_is_outlasted(
    tracker: Tracker, file: Hub, seen: Seen
) -> None:
    file.fail(HubStatus(503), times=2)
    download = await arrives(tracker, file, seen)
    assert again(file) == 0
    told = [line for line in download.narration if "🔁" in line]
    assert [line[:14] for line in told] == ["🔁 Retry 2 of 6", "🔁 Retry 3 of 6"]
    assert urlsplit(file.url).netloc in told[0]


@fault(6, "429 with Retry-After: 2", "waited for two seconds, which is told; right")
async def test_a_wait_of_two_seconds_is_kept(tracker: Tracker, file: Hub, seen: Seen) -> None:
    file.fail(HubStatus(429, {"Retry-After": "2"}))
    download = await arrives(tracker, file, seen)
    assert any("🔁 Retry 2 of 6 in 2.0 s" in line for line in download.narration)
    refused, *_, answered = [one for one in file.requests if one.method == "GET"]
    assert answered.at - refused.at >= 2


@fault(11, "one flipped bit", "noticed by its sha256, fetched once more, right")
async def test_a_flipped_bit_is_mended(tracker: Tracker, file: Hub, seen: Seen) -> None:
    file.fail(Flip(1_234_567))
    await arrives(tracker, file, seen)
    assert again(file) == SIZE


@fault(9, "Content-Length too long by 1000", "a clear error and no file")
async def test_a_length_that_is_too_long_is_an_error(
    tracker: Tracker, hive: HiveProcess, seen: Seen
) -> None:
    content = random.Random(1).randbytes(SIZE)

    def reply(_: str, headers: dict[str, str]) -> bytes:
        length = SIZE if headers["method"] == "HEAD" else SIZE + 1000
        return said("200 OK", content, Content_Length=str(length), Connection="close")

    async with origin(reply) as url:
        failed = await failure(tracker.download(f"{url}/file.gguf"))
    assert f"has {SIZE + 1000} bytes, not {SIZE}" in str(failed.error)
    assert list(hive.models.glob("*/model.gguf")) == []
    seen(f"failed: {str(failed.error).partition(': ')[2]}")


@fault(8, "redirect to another host, with a token", "right, and the token sent to the hub alone")
async def test_a_token_is_for_the_hub_alone(tmp_path: Path, seen: Seen) -> None:
    with Hub(cdn=True, tokens=["hf_secret"]) as hub:
        hub.add("org/repo", "file.gguf", size=SIZE, gated=True)
        environ = {"HF_TOKEN": "hf_secret"}
        with HiveProcess(tmp_path / "models", hub.url, environ=environ) as hive:
            tracker = Tracker([hive.handle()])
            await arrives(tracker, hub, seen)
            await tracker.aclose()
        sent = {(request.port, request.authorization) for request in hub.requests}
        hub_port, cdn_port = (urlsplit(url).port for url in (hub.url, hub.cdn_url))
    assert sent == {(hub_port, "Bearer hf_secret"), (cdn_port, None)}


@fault(4, "no byte from half-way on, for ever", "asked anew within 15 s, right")
async def test_a_stall_is_outlasted(tracker: Tracker, file: Hub, seen: Seen) -> None:
    file.fail(Stall(HALF))
    began = time.monotonic()
    download = await arrives(tracker, file, seen)
    assert download.status is Status.COMPLETE
    assert time.monotonic() - began < 20, "15 s and what a busy machine takes"
    assert parts(file)[0] == HALF
    assert again(file) < IN_SOCKETS
