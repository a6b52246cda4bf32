"""What an origin says, or does not: refusals, redirects, lengths, ranges, versions, addresses."""

from __future__ import annotations

import gzip
import hashlib
import random
import re
import subprocess
import sys
import time
from collections.abc import Callable
from email.utils import formatdate
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from rbee_widgets import Download, Tracker
from rbee_widgets.hive.engine import Remote, patience
from rbee_widgets.hive.engine.addresses import Reach, reach_of
from rbee_widgets.state import Status
from tests.faults.cases import fault
from tests.faults.conftest import Seen
from tests.support.downloads import ended, failure, sha256, until
from tests.support.hive import HiveProcess
from tests.support.hub import Flip, Hub, Stall
from tests.support.hub import Status as HubStatus
from tests.support.origin import asked, fetched, origin, ranged, said

pytestmark = pytest.mark.anyio

MODEL = "org/repo:file.gguf"
MB = 1_000_000
CONTENT = random.Random(7).randbytes(3 * MB)
SHA256 = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the engine of this process wait for milliseconds where it waits for seconds."""
    monkeypatch.setattr(patience, "PAUSE_S", 0.01)


def retries(download: Download) -> list[str]:
    return [line for line in download.narration if "🔁" in line]


def models_in(hive: HiveProcess) -> list[str]:
    return [file.name for file in hive.models.glob("*/*") if ".lock" not in file.name]


# -- Nobody there ---------------------------------------------------------------------------------


@fault(1, "hub not listening", "six tries, each wait told, then failed; no file left")
async def test_a_hub_that_is_down_is_asked_six_times(
    hive: HiveProcess, hub: Hub, tracker: Tracker, seen: Seen
) -> None:
    host = urlsplit(hub.url).netloc
    hub.stop()
    began = time.monotonic()
    download = tracker.download(MODEL)
    failed = await failure(download)
    took = time.monotonic() - began
    assert str(failed.error).endswith(
        "Connection Failed: Connect error: Connection refused (os error 111)"
    )
    assert host in str(failed.error)
    assert "is the hub up" in str(failed.hint)
    told = retries(download)
    assert [line[:14] for line in told] == [f"🔁 Retry {n} of 6" for n in range(2, 7)]
    assert all(f"{host} can't be connected to (Connection refused)" in line for line in told)
    assert 7 < took < 40
    assert models_in(hive) == []
    seen(f"failed after {len(told)} retries in {took:.0f} s: Connection refused, {host}")


@fault(1, "hub back after the first try", "asked again, complete")
async def test_a_hub_that_comes_back_is_asked_again(hub: Hub, tracker: Tracker, seen: Seen) -> None:
    hub.add("org/repo", "file.gguf", size=MB)
    hub.stop()
    download = tracker.download(MODEL)
    await until(lambda: retries(download))
    hub.start()
    await download
    assert sha256(download.path) == hub.sha256("org/repo", "file.gguf")
    seen(f"complete after {len(retries(download))} retries")


@fault(1, "hub gone in the middle for longer than all tries", "failed; Retry goes on from there")
async def test_a_hub_that_stays_away_is_told_and_retry_goes_on(
    hub: Hub, tracker: Tracker, seen: Seen
) -> None:
    hub.rate = 20e6
    hub.add("org/repo", "file.gguf", size=20 * MB)
    download = tracker.download(MODEL)
    await until(lambda: download.bytes_downloaded > 8 * MB)
    hub.stop()
    failed = await failure(download)
    assert "Connection refused (os error 111)" in str(failed.error)
    assert "is the hub up" in str(failed.hint)
    told = retries(download)
    assert told[-1].startswith("🔁 Retry 6 of 6")
    hub.start()
    before, kept = hub.sent, download.bytes_downloaded
    download.retry()
    await download
    again = hub.sent - before - (20 * MB - kept)
    assert again < MB
    assert sha256(download.path) == hub.sha256("org/repo", "file.gguf")
    seen(f"failed after {len(told)} retries; Retry went on at {kept / MB:.1f} MB of 20")


@fault(4, "hub takes the question and says nothing", "told whose answer is awaited; cancel in 1 s")
async def test_a_hub_that_says_nothing_is_named_and_left_at_once(
    tracker: Tracker, hive: HiveProcess, seen: Seen
) -> None:
    async with origin(lambda *_: b"") as url:
        download = tracker.download(f"{url}/file.gguf")
        said_so = f"🔌 Connecting to {urlsplit(url).netloc}"
        await until(lambda: any(said_so in line for line in download.narration))
        began = time.monotonic()
        download.cancel()
        assert (await ended(download)).status is Status.CANCELLED
        took = time.monotonic() - began
    assert took < 1
    assert models_in(hive) == []
    seen(f"cancelled after {took * 1000:.0f} ms")


@fault(4, "cancel while no byte comes", "cancelled within 1 s")
async def test_cancel_ends_a_stall(hub: Hub, tracker: Tracker, seen: Seen) -> None:
    hub.add("org/repo", "file.gguf", size=4 * MB)
    hub.fail(Stall(2 * MB), times=20)
    download = tracker.download(MODEL)
    await until(lambda: download.bytes_downloaded >= 1.9 * MB)
    began = time.monotonic()
    download.cancel()
    assert (await ended(download)).status is Status.CANCELLED
    took = time.monotonic() - began
    assert took < 1
    seen(f"cancelled after {took * 1000:.0f} ms")


# -- Refusals -------------------------------------------------------------------------------------


@fault(5, "416 on resume, as the file is shorter now", "begun anew once, the shorter file")
@pytest.mark.usefixtures("impatient")
async def test_a_file_that_has_become_shorter_is_begun_anew(tmp_path: Path, seen: Seen) -> None:
    shorter, spans = CONTENT[: MB // 2], list[tuple[int, int] | None]()

    def reply(_: str, headers: dict[str, str]) -> bytes:
        spans.append(asked(CONTENT, headers))
        if len(spans) == 1:
            whole = ranged(CONTENT, headers, ETag='"1"', Connection="close")
            return whole[: MB + 500]
        if (spans[-1] or (0, 0))[0] >= len(shorter):
            return said("416 Unsatisfiable", Content_Range=f"bytes */{len(shorter)}")
        return ranged(shorter, headers, ETag='"2"')

    async with origin(reply) as url:
        assert await fetched(Remote(f"{url}/f"), tmp_path / "f", shorter) == ""
    assert (spans[1] or (0, 0))[0] > len(shorter)
    seen(f"right after {len(spans)} requests")


@fault(5, "416 on each resume", "begun anew, right or a clear error")
@pytest.mark.usefixtures("impatient")
async def test_an_origin_that_refuses_every_resume_is_begun_anew(
    tmp_path: Path, seen: Seen
) -> None:
    spans: list[tuple[int, int] | None] = []

    def reply(_: str, headers: dict[str, str]) -> bytes:
        spans.append(asked(CONTENT, headers))
        if len(spans) == 1:
            return ranged(CONTENT, headers, ETag='"1"', Connection="close")[: MB + 500]
        if spans[-1] and spans[-1][0]:
            return said("416 Unsatisfiable", Content_Range=f"bytes */{len(CONTENT)}")
        return ranged(CONTENT, headers, ETag='"1"')

    async with origin(reply) as url:
        assert await fetched(Remote(f"{url}/f"), tmp_path / "f", CONTENT) == ""
    seen(f"right after {len(spans)} requests")


@fault(6, "Retry-After of an origin", "waited for where it means something")
@pytest.mark.parametrize(
    ("told", "least"),
    [
        pytest.param(lambda: "1", 1.0, id="seconds"),
        pytest.param(lambda: formatdate(time.time() + 3, usegmt=True), 1.5, id="date"),
        pytest.param(lambda: formatdate(time.time() - 9, usegmt=True), 0.0, id="date in the past"),
        pytest.param(lambda: "-5", 0.0, id="negative"),
        pytest.param(lambda: "soon", 0.0, id="rubbish"),
    ],
)
@pytest.mark.usefixtures("impatient")
async def test_a_wait_that_is_asked_for_is_kept(
    tmp_path: Path, told: Callable[[], str], least: float, seen: Seen
) -> None:
    times: list[float] = []

    def reply(_: str, headers: dict[str, str]) -> bytes:
        times.append(time.monotonic())
        if len(times) == 1:
            return said("429 Too Many Requests", Retry_After=told())
        return ranged(CONTENT, headers, ETag='"1"')

    async with origin(reply) as url:
        assert await fetched(Remote(f"{url}/f"), tmp_path / "f", CONTENT) == ""
    waited = times[1] - times[0]
    assert least <= waited < least + 3
    seen(f"waited {waited:.1f} s, then right")


@fault(6, "Retry-After beyond a minute", "failed at once, with the time that is asked for")
@pytest.mark.parametrize("seconds", [300, 10**9])
async def test_a_wait_that_is_too_long_is_told(
    hub: Hub, tracker: Tracker, seconds: int, seen: Seen
) -> None:
    hub.add("org/repo", "file.gguf", size=1000)
    hub.fail(HubStatus(429, {"Retry-After": str(seconds)}, everywhere=True))
    download = tracker.download(MODEL)
    failed = await failure(download)
    assert f"status code 429; Retry-After asks for {seconds} s" in str(failed.error)
    assert retries(download) == []
    assert len(hub.requests) == 1
    seen(f"failed at once: Retry-After asks for {seconds} s")


@fault(6, "cancel while a wait that was asked for is kept", "cancelled within 1 s")
async def test_cancel_ends_a_wait(hub: Hub, tracker: Tracker, seen: Seen) -> None:
    hub.add("org/repo", "file.gguf", size=1000)
    hub.fail(HubStatus(429, {"Retry-After": "50"}, everywhere=True))
    download = tracker.download(MODEL)
    await until(lambda: any("🔁 Retry 2 of 6 in 50.0 s" in line for line in download.narration))
    began = time.monotonic()
    download.cancel()
    assert (await ended(download)).status is Status.CANCELLED
    took = time.monotonic() - began
    assert took < 1
    seen(f"cancelled after {took * 1000:.0f} ms of 50 s")


@fault(7, "hub out of order", "asked again after a wait, which is told; complete")
@pytest.mark.parametrize("status", [408, 500, 504])
async def test_a_hub_that_is_out_of_order_is_asked_again(
    hub: Hub, tracker: Tracker, status: int, seen: Seen
) -> None:
    hub.add("org/repo", "file.gguf", size=1000)
    hub.fail(HubStatus(status, everywhere=True))
    download = await tracker.download(MODEL)
    (told,) = retries(download)
    assert told.endswith(f"{urlsplit(hub.url).netloc} answers with status {status}")
    assert sha256(download.path) == hub.sha256("org/repo", "file.gguf")
    seen(told.partition("🔁 ")[2].partition(" in ")[0] + ", complete")


@fault(7, "refused for good", "failed at once, with the way out")
@pytest.mark.parametrize(
    ("status", "hint"),
    [
        (401, "private or gated: accept its licence at {url}/org/repo and set HF_TOKEN"),
        (403, "'org/repo' is gated: accept its licence at {url}/org/repo and set HF_TOKEN"),
        (404, "There is no file 'file.gguf' in a repository 'org/repo' on"),
        (410, "has taken it down"),
        (451, "has taken it down"),
    ],
)
async def test_what_is_refused_for_good_is_not_asked_for_again(
    hive: HiveProcess, hub: Hub, tracker: Tracker, status: int, hint: str, seen: Seen
) -> None:
    hub.fail(HubStatus(status, everywhere=True))
    download = tracker.download(MODEL)
    failed = await failure(download)
    assert f"status code {status}" in str(failed.error)
    assert hint.format(url=hub.url) in str(failed.hint)
    assert retries(download) == []
    assert len([one for one in hub.requests if "resolve" in one.path]) == 1
    assert models_in(hive) == []
    seen(f"failed at once: {str(failed.hint).replace(hub.url, 'HUB').split(' on 127.')[0]}")


@fault(7, "a file that is not there", "failed at once, the likest names first")
async def test_near_names_are_told_first(hub: Hub, tracker: Tracker, seen: Seen) -> None:
    for name in [f"other-{n}.gguf" for n in range(9)] + ["model-Q4_K_M.gguf", "model-Q8_0.gguf"]:
        hub.add("org/repo", name, size=10)
    failed = await failure(tracker.download("org/repo:model-q4_k_s.gguf"))
    told = str(failed.hint).partition("It has: ")[2]
    assert told.startswith("model-Q4_K_M.gguf, model-Q8_0.gguf, other-")
    assert told.count(".gguf") == 8
    assert told.endswith(" and 3 more")
    seen(f"It has: {told[:36]}, …")


@fault(7, "hub answers its list of files with an error page", "asked again, complete")
async def test_a_list_of_files_is_asked_for_again(hub: Hub, tracker: Tracker, seen: Seen) -> None:
    hub.add("org/repo", "model-Q4_K_M.gguf", size=1000)
    hub.fail(HubStatus(502, everywhere=True), path="/api/")
    download = await tracker.download("org/repo")
    assert len(retries(download)) == 1
    seen("complete after 1 retry")


# -- Redirects ------------------------------------------------------------------------------------


@fault(8, "redirect that is not followed", "a clear error at once")
@pytest.mark.parametrize(
    ("target", "error"),
    [
        pytest.param("/f", "leads on and on", id="loop"),
        pytest.param("http://[::1", "not followed", id="no URL"),
        pytest.param("http://127.0.0.1:99999/", "not followed", id="no port"),
        pytest.param("file:///etc/passwd", "not followed", id="file"),
        pytest.param("ftp://127.0.0.1/f", "not followed", id="ftp"),
        pytest.param("gopher://127.0.0.1/f", "not followed", id="gopher"),
        pytest.param("http://169.254.169.254/latest/meta-data/", "nothing is", id="metadata"),
    ],
)
async def test_a_redirect_that_leads_nowhere_is_told(
    tmp_path: Path, target: str, error: str, seen: Seen
) -> None:
    requests = 0

    def reply(*_: object) -> bytes:
        nonlocal requests
        requests += 1
        return said("302 Found", Location=target)

    async with origin(reply) as url:
        told = await fetched(Remote(f"{url}/f"), tmp_path / "f", CONTENT)
    assert error in told
    assert requests <= 11
    seen(f"{told.partition(':')[0]} after {requests} requests")


@fault(8, "redirects", "followed up to ten")
@pytest.mark.parametrize(("hops", "arrives"), [(10, True), (11, False)])
async def test_ten_redirects_are_followed(
    tmp_path: Path, hops: int, arrives: bool, seen: Seen
) -> None:
    def reply(path: str, headers: dict[str, str]) -> bytes:
        hop = int(path[1:])
        if hop < hops:
            return said("302 Found", Location=f"/{hop + 1}")
        return ranged(CONTENT, headers, ETag='"1"')

    async with origin(reply) as url:
        told = await fetched(Remote(f"{url}/0"), tmp_path / "f", CONTENT)
    assert told == "" if arrives else "leads on and on" in told
    seen("right" if arrives else "failed: leads on and on")


@fault(8, "redirect to another port with a token", "no token there")
async def test_a_token_stays_at_its_origin(tmp_path: Path, seen: Seen) -> None:
    sent: dict[str, set[str | None]] = {"own": set(), "other": set()}

    def there(_: str, headers: dict[str, str]) -> bytes:
        sent["other"].add(headers.get("authorization"))
        return ranged(CONTENT, headers, ETag='"1"')

    secret = "hf_secret"
    async with origin(there) as other:

        def here(_: str, headers: dict[str, str]) -> bytes:
            sent["own"].add(headers.get("authorization"))
            return said("302 Found", Location=f"{other}/f", Set_Cookie="a=b")

        async with origin(here) as url:
            remote = Remote(f"{url}/f", token=secret)
            assert await fetched(remote, tmp_path / "f", CONTENT) == ""
    assert sent == {"own": {"Bearer hf_secret"}, "other": {None}}
    seen("right, and no token at the other port")


# -- Lengths and ranges ---------------------------------------------------------------------------


def bare(head: str, body: bytes = CONTENT) -> bytes:
    return f"HTTP/1.1 200 OK\r\n{head}Connection: close\r\n\r\n".encode() + body


def chunked(body: bytes) -> bytes:
    return f"{len(body):x}\r\n".encode() + body + b"\r\n0\r\n\r\n"


CHUNKED = "Transfer-Encoding: chunked\r\n"


@fault(9, "odd length or encoding", "the right file, or a clear error")
@pytest.mark.parametrize(
    ("answer", "known", "error"),
    [
        pytest.param(bare("Content-Length: 3001000\r\n"), False, "Unreachable", id="too long"),
        pytest.param(bare("Content-Length: 3001000\r\n"), True, "3001000 bytes", id="known, long"),
        pytest.param(bare("Content-Length: 2999000\r\n"), True, "2999000 bytes", id="known, short"),
        pytest.param(bare("Content-Length: 2999000\r\n"), None, "Corrupt", id="sha256, short"),
        pytest.param(bare(""), False, "", id="missing"),
        pytest.param(bare(""), True, "", id="known, missing"),
        pytest.param(bare("", CONTENT[:-9]), True, "Unreachable", id="known, missing, less comes"),
        pytest.param(bare("", CONTENT + b"x"), True, "more than", id="known, missing, more comes"),
        pytest.param(bare("Content-Length: -5\r\n"), None, "", id="negative"),
        pytest.param(bare(f"Content-Length: {2**63}\r\n"), None, "Unreachable", id="2^63"),
        pytest.param(bare(f"Content-Length: {10**30}\r\n"), None, "Unreachable", id="10^30"),
        pytest.param(bare(CHUNKED, chunked(CONTENT)), True, "", id="chunked"),
        pytest.param(bare(CHUNKED, chunked(CONTENT)[:-5]), None, "Unreachable", id="chunks end"),
        pytest.param(
            bare(CHUNKED, b"5\r\n12345\r\n0\r\n\r\n"), True, "Unreachable", id="few chunks"
        ),
        pytest.param(bare(CHUNKED, b"zz\r\n" + CONTENT), None, "Unreachable", id="no chunk"),
        pytest.param(
            bare("Content-Encoding: gzip\r\n", gzip.compress(CONTENT)), None, "encoded", id="gzip"
        ),
    ],
)
@pytest.mark.usefixtures("impatient")
async def test_an_odd_length_is_no_file_that_is_wrong(
    tmp_path: Path, answer: bytes, known: bool | None, error: str, seen: Seen
) -> None:
    async with origin(lambda *_: answer) as url:
        remote = Remote(
            f"{url}/f",
            size=len(CONTENT) if known else None,
            sha256=SHA256 if known is None else None,
        )
        told = await fetched(remote, tmp_path / "f", CONTENT)
    assert error in told
    assert bool(error) == bool(told)
    seen(re.sub(r"https?://[^ ]+", "…", told)[:90].replace("\n", " ") or "right")


@fault(9, "more than was announced", "a clear error")
async def test_more_than_was_announced_is_no_file(tmp_path: Path, seen: Seen) -> None:
    async with origin(lambda *_: bare(CHUNKED, chunked(CONTENT))) as url:
        told = await fetched(Remote(f"{url}/f", size=3), tmp_path / "f", CONTENT)
    assert "more than 3 bytes" in told
    seen("failed: more than 3 bytes")


@fault(9, "HEAD that tells no size", "complete, with no percentage till then")
async def test_a_head_that_says_nothing_of_the_size_is_not_believed(
    tracker: Tracker, seen: Seen
) -> None:
    def reply(_: str, headers: dict[str, str]) -> bytes:
        return said("200 OK") if headers["method"] == "HEAD" else ranged(CONTENT, headers)

    async with origin(reply) as url:
        download = await tracker.download(f"{url}/f.gguf")
    assert Path(str(download.path)).read_bytes() == CONTENT
    seen("right")


@fault(10, "range other than asked for", "begun anew without ranges, right")
@pytest.mark.parametrize(
    "odd",
    [
        pytest.param({"Content_Range": "bytes 0-5/*"}, id="no size"),
        pytest.param({"Content_Range": "bytes 7-12/3000000"}, id="another one"),
        pytest.param({"Content_Range": "bytes 9-2/3000000"}, id="backwards"),
        pytest.param({"Content_Range": "bytes 0-3000000/3000000"}, id="beyond the end"),
        pytest.param({"Content_Range": "pages 1-2/3"}, id="another unit"),
        pytest.param({"Content_Type": "multipart/byteranges; boundary=x"}, id="many parts"),
        pytest.param({}, id="none"),
    ],
)
async def test_an_odd_range_is_done_without(
    tmp_path: Path, odd: dict[str, str], seen: Seen
) -> None:
    def reply(_: str, headers: dict[str, str]) -> bytes:
        if "range" in headers:
            return said("206 Partial Content", b"123456", **odd)
        return said("200 OK", CONTENT)

    async with origin(reply) as url:
        assert await fetched(Remote(f"{url}/f"), tmp_path / "f", CONTENT) == ""
    seen("right")


@fault(10, "range that overlaps what is there", "written where it belongs, right")
async def test_a_range_that_begins_too_early_is_not_taken_for_the_next(
    tmp_path: Path, seen: Seen
) -> None:
    requests = 0

    def reply(_: str, headers: dict[str, str]) -> bytes:
        nonlocal requests
        requests += 1
        if requests == 1:
            return ranged(CONTENT, headers, ETag='"1"', Connection="close")[: MB + 500]
        start, stop = asked(CONTENT, headers) or (0, len(CONTENT))
        early = max(0, start - 1000)
        told = f"bytes {early}-{stop - 1}/{len(CONTENT)}"
        if "range" not in headers:
            return said("200 OK", CONTENT, ETag='"1"')
        return said("206 Partial Content", CONTENT[early:stop], Content_Range=told, ETag='"1"')

    async with origin(reply) as url:
        assert await fetched(Remote(f"{url}/f"), tmp_path / "f", CONTENT) == ""
    seen(f"right after {requests} requests")


# -- Damage and change ----------------------------------------------------------------------------


@fault(11, "damaged each time", "failed as corrupt, nothing left; Retry fetches it anew")
async def test_a_file_that_is_always_damaged_is_never_there(
    hive: HiveProcess, hub: Hub, tracker: Tracker, seen: Seen
) -> None:
    hub.add("org/repo", "file.gguf", size=4 * MB)
    hub.fail(Flip(1_234_567), times=2)
    download = tracker.download(MODEL)
    failed = await failure(download)
    assert "sha256 mismatch" in str(failed.error)
    assert models_in(hive) == []
    download.retry()
    await download
    assert sha256(download.path) == hub.sha256("org/repo", "file.gguf")
    seen("failed: sha256 mismatch; right after Retry")


@fault(12, "file changed on the hub before Retry", "begun anew, the new version")
async def test_retry_begins_again_where_the_file_has_changed(
    hub: Hub, tracker: Tracker, seen: Seen
) -> None:
    hub.rate = 20e6
    hub.add("org/repo", "file.gguf", size=10 * MB, seed=3)
    download = tracker.download(MODEL)
    await until(lambda: download.bytes_downloaded > 2 * MB)
    download.cancel()
    await ended(download)
    hub.add("org/repo", "file.gguf", size=10 * MB, seed=4)
    download.retry()
    await download
    assert sha256(download.path) == hub.sha256("org/repo", "file.gguf")
    seen("the new version, from its beginning")


@fault(12, "file changed and broken off, again and again", "one version, or a clear error")
@pytest.mark.usefixtures("impatient")
async def test_a_file_that_always_changes_is_an_error(tmp_path: Path, seen: Seen) -> None:
    versions = 0

    def reply(_: str, headers: dict[str, str]) -> bytes:
        nonlocal versions
        versions += 1
        return ranged(CONTENT, headers, ETag=f'"{versions}"', Connection="close")[: MB + 500]

    async with origin(reply) as url:
        told = await fetched(Remote(f"{url}/f"), tmp_path / "f", CONTENT)
    assert "ChangedError" in told
    seen(f"failed after {versions} versions: it has changed")


# -- Addresses ------------------------------------------------------------------------------------


@fault(34, "URL of a place that nothing is fetched from", "refused before a byte is sent")
@pytest.mark.parametrize(
    "url",
    [
        "http://169.254.169.254/latest/meta-data/",
        "http://[fe80::1]/f",
        "http://[::ffff:169.254.169.254]/f",
        "http://0.0.0.0:1/f",
        "http://[::]:1/f",
        "http://224.0.0.1/f",
        "http://255.255.255.255/f",
        "http://100.100.100.200/f",
        "http://[fd00:ec2::254]/f",
    ],
)
async def test_a_forbidden_address_is_refused(tmp_path: Path, url: str, seen: Seen) -> None:
    told = await fetched(Remote(url), tmp_path / "f", CONTENT)
    assert "an address that nothing is fetched from" in told
    seen(told.partition(": ")[2])


@fault(34, "job for what is none of a fetcher's business", "failed at once, told as one line")
@pytest.mark.parametrize(
    ("model", "error"),
    [
        ("http://169.254.169.254/latest/meta-data/", "an address that nothing is fetched from"),
        ("file:///etc/passwd", "not supported"),
    ],
)
async def test_a_job_for_a_forbidden_place_fails_at_once(
    tracker: Tracker, model: str, error: str, seen: Seen
) -> None:
    download = tracker.download(model)
    failed = await failure(download)
    assert error in str(failed.error)
    assert retries(download) == []
    seen(f"failed at once: {error}")


@fault(34, "names and redirects into a network", "no byte sent to a place further inside")
@pytest.mark.parametrize(
    ("url", "target", "error"),
    [
        pytest.param("http://2852039166/f", None, "nothing is fetched from", id="number, metadata"),
        pytest.param("http://0xa9fea9fe/f", None, "nothing is fetched from", id="hex, metadata"),
        pytest.param("http://10.0.0.1/f", None, "", id="private, as the user wants"),
        pytest.param("http://8.8.8.8/r", "http://8.8.4.4/f", "", id="public to public"),
        pytest.param("http://8.8.8.8/r", "http://10.0.0.1/f", "private", id="public to private"),
        pytest.param("http://8.8.8.8/r", "http://127.0.0.1/f", "loopback", id="public to loopback"),
        pytest.param("http://8.8.8.8/r", "http://2130706433/f", "loopback", id="the same, number"),
        pytest.param("http://10.0.0.1/r", "http://127.0.0.1/f", "loopback", id="private, loopback"),
        pytest.param("http://10.0.0.1/r", "http://10.0.0.2/f", "", id="private to private"),
        pytest.param("http://127.0.0.1/r", "http://10.0.0.1/f", "", id="loopback to private"),
    ],
)
def test_no_redirect_leads_further_inside(
    tmp_path: Path, url: str, target: str | None, error: str, seen: Seen
) -> None:
    command = ["unshare", "--net", "--map-root-user", sys.executable, "-m", "tests.support.network"]
    run = subprocess.run(
        [*command, url, target or "", str(tmp_path / "f")],
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
    )
    told, reached = run.stdout.splitlines()
    last = urlsplit(target or url).path
    if error:
        assert error in told
        assert last not in reached.split()
    else:
        assert told == "right"
    seen(told.partition(": ")[2] or told)


@pytest.mark.parametrize(
    ("address", "reach"),
    [
        ("8.8.8.8", Reach.PUBLIC),
        ("2606:4700::1", Reach.PUBLIC),
        ("10.1.2.3", Reach.PRIVATE),
        ("192.168.0.1", Reach.PRIVATE),
        ("100.64.0.1", Reach.PRIVATE),
        ("fd12::1", Reach.PRIVATE),
        ("127.9.9.9", Reach.LOOPBACK),
        ("::1", Reach.LOOPBACK),
        ("::ffff:127.0.0.1", Reach.LOOPBACK),
        ("64:ff9b::7f00:1", Reach.LOOPBACK),
        ("2002:a00:1::", Reach.PRIVATE),
        ("fe80::1%eth0", None),
        ("64:ff9b::a9fe:a9fe", None),
        ("0.1.2.3", None),
        ("ff02::1", None),
    ],
)
def test_an_address_is_as_private_as_where_it_leads(address: str, reach: Reach | None) -> None:
    assert reach_of(address) is reach
