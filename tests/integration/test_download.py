"""Real bytes: from a hub over HTTP to disk, told by a hive process, followed by a tracker."""

from __future__ import annotations

import asyncio
import logging
import signal
import threading
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from itertools import pairwise
from statistics import quantiles

import psutil
import pytest

from rbee_widgets import Download, DownloadError, Hive, Tracker
from rbee_widgets.attempt import Change
from rbee_widgets.state import Status
from tests.support.downloads import failure, sha256, until
from tests.support.hive import HiveProcess
from tests.support.hub import Hub
from tests.support.replay import ReplayHive, transcript

pytestmark = pytest.mark.anyio

MODEL = "org/repo:file.gguf"
FOLDER = "org-repo-file.gguf"


async def awaited(download: Download) -> Download:
    return await download


def left_in(hive: HiveProcess, folder: str = FOLDER) -> set[str]:
    place = hive.models / folder
    return {file.name for file in place.iterdir()} if place.is_dir() else set()


def models_in(hive: HiveProcess) -> list[str]:
    folders = hive.models.iterdir() if hive.models.is_dir() else ()
    return [folder.name for folder in folders if folder.name != ".locks"]


# -- The figures ----------------------------------------------------------------------------------


@pytest.mark.alone
async def test_a_large_file_is_told_as_it_is(hive: HiveProcess, hub: Hub, tracker: Tracker) -> None:
    hub.rate = 60e6
    hub.add("org/repo", "file.gguf", size=300_000_000, seed=1)
    partial = hive.models / FOLDER / "model.gguf.part"
    moves: list[float] = []
    off_disk: list[float] = []
    off_speed: list[float] = []
    percentages: list[float] = []

    def changed(download: Download, change: Change) -> None:
        if change is not Change.FIGURES or download.percentage is None or not partial.exists():
            return
        now = time.monotonic()
        if not percentages or download.percentage > percentages[-1]:
            moves.append(now)
            on_disk = partial.stat().st_blocks * 512
            off_disk.append(abs(download.bytes_downloaded - on_disk) / 300e6)
            off_disk.append(abs(download.percentage - on_disk / 3e6) / 100)
        percentages.append(download.percentage)
        if now - moves[0] > 3 and download.speed:
            off_speed.append(abs(download.speed / 60e6 - 1))

    tracker.subscribe(changed)
    download = await tracker.download(MODEL)

    # A look at the disk comes some milliseconds after the word: more of them on a busy machine.
    usually = quantiles(off_disk, n=10)[-1]
    gaps = [after - before for before, after in pairwise(moves)]
    print(
        f"moves {1 / (sum(gaps) / len(gaps)):.1f}/s, longest gap {max(gaps):.2f} s, "
        f"off disk {usually:.2%}, {max(off_disk):.2%} at most, off speed {max(off_speed):.2%}"
    )
    assert max(gaps) <= 0.5
    assert usually <= 0.01
    assert max(off_disk) <= 0.05
    assert max(off_speed) <= 0.10
    assert percentages == sorted(percentages)
    assert download.bytes_downloaded == download.total_size == 300_000_000
    assert download.path is not None
    assert sha256(download.path) == hub.sha256("org/repo", "file.gguf")
    assert left_in(hive) == {"model.gguf", "metadata.json"}


async def test_twenty_at_once_all_arrive_and_none_is_mixed_up(hub: Hub, tracker: Tracker) -> None:
    hub.rate = 10e6
    downloads = []
    for i in range(20):
        hub.add("org/many", f"{i}.gguf", size=10_000_000 + i, seed=i)
        downloads.append(tracker.download(f"org/many:{i}.gguf"))
    await asyncio.gather(*downloads)
    assert len({download.job_id for download in downloads}) == 20
    for i, download in enumerate(downloads):
        assert (download.name, download.status) == (f"org/many:{i}.gguf", Status.COMPLETE)
        assert download.total_size == 10_000_000 + i
        assert download.path is not None
        assert sha256(download.path) == hub.sha256("org/many", f"{i}.gguf")


async def test_a_repository_without_a_file_is_guessed(hub: Hub, tracker: Tracker) -> None:
    for name in ("repo.Q8_0.gguf", "repo.Q4_K_M.gguf", "repo.F16.gguf"):
        hub.add("org/repo", name, size=1000 + len(name))
    download = await tracker.download("org/repo")
    assert download.total_size == 1000 + len("repo.Q4_K_M.gguf")


async def test_a_plain_url_is_fetched(hub: Hub, tracker: Tracker) -> None:
    url = hub.add_file("some model.gguf", size=50_000)
    download = await tracker.download(url)
    assert download.name == url
    assert download.total_size == 50_000


# -- Cancel, Retry, Clear -------------------------------------------------------------------------


@pytest.fixture
async def flowing(hub: Hub, tracker: Tracker) -> Download:
    """A download in its middle."""
    hub.rate = 20e6
    hub.add("org/repo", "file.gguf", size=40_000_000, seed=3)
    download = tracker.download(MODEL)
    await until(lambda: download.bytes_downloaded > 8_000_000)
    return download


async def test_retry_goes_on_from_what_is_there(
    hive: HiveProcess, hub: Hub, flowing: Download
) -> None:
    flowing.cancel()
    with pytest.raises(DownloadError):
        await flowing
    before, kept = hub.sent, flowing.bytes_downloaded
    flowing.retry()
    await flowing
    assert hub.sent - before <= 41_000_000 - kept
    assert sha256(str(flowing.path)) == hub.sha256("org/repo", "file.gguf")
    assert left_in(hive) == {"model.gguf", "metadata.json"}


async def test_clear_removes_what_is_left(
    hive: HiveProcess, tracker: Tracker, flowing: Download
) -> None:
    with pytest.raises(ValueError, match="cancel it first"):
        flowing.clear()
    flowing.cancel()
    with pytest.raises(DownloadError):
        await flowing
    flowing.clear()
    assert tracker.downloads == []
    await until(lambda: left_in(hive) == set(), 3)


async def test_clear_leaves_a_complete_model_alone(
    hive: HiveProcess, hub: Hub, tracker: Tracker
) -> None:
    hub.add("org/repo", "file.gguf", size=1000)
    download = await tracker.download(MODEL)
    download.clear()
    again = await tracker.download(MODEL)
    assert again.note == "already on this hive"
    assert left_in(hive) == {"model.gguf", "metadata.json"}


async def test_the_same_again_is_the_same_download(tracker: Tracker, flowing: Download) -> None:
    assert tracker.download(MODEL) is flowing
    assert tracker.downloads == [flowing]


# -- What goes wrong ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("model", "error", "hint"),
    [
        ("tinyllama", "not supported by HuggingFace vendor", "org/repo:file.gguf"),
        ("org/repo:../../etc/passwd", "not supported by HuggingFace vendor", "org/repo"),
        ("ftp://example.org/x", "not supported by HuggingFace vendor", "http(s) URL"),
        ("org/none:file.gguf", "status code 404", "no file 'file.gguf' in a repository 'org/none'"),
        ("org/repo:none.gguf", "status code 404", "It has: a.gguf, b.gguf"),
        ("org/repo", "Could not find GGUF file", "It has: a.gguf, b.gguf"),
        ("org/gated:file.gguf", "status code 401", "HF_TOKEN"),
    ],
)
async def test_a_wrong_name_is_told_with_the_way_out(
    hive: HiveProcess, hub: Hub, tracker: Tracker, model: str, error: str, hint: str
) -> None:
    hub.add("org/repo", "a.gguf", size=10)
    hub.add("org/repo", "b.gguf", size=10)
    hub.add("org/gated", "file.gguf", size=10, gated=True)
    failed = await failure(tracker.download(model))
    assert error in str(failed.error)
    assert hint in str(failed.hint)
    assert models_in(hive) == []


async def test_a_hive_that_wants_a_token_is_told(hive: HiveProcess) -> None:
    tracker = Tracker([Hive(hive.url)])
    failed = await failure(tracker.download(MODEL))
    assert "RBEE_HIVE_TOKEN" in str(failed)
    await tracker.aclose()


async def test_what_is_no_hive_is_told(hub: Hub) -> None:
    tracker = Tracker([Hive(hub.url)])
    failed = await failure(tracker.download(MODEL))
    assert hub.url in str(failed)
    assert "404" in str(failed)
    await tracker.aclose()


async def test_a_hub_that_comes_back_soon_is_no_news(
    hub: Hub, tracker: Tracker, flowing: Download
) -> None:
    assert tracker.downloads == [flowing]
    hub.stop()
    await asyncio.sleep(1)
    hub.start()
    await flowing
    assert sha256(str(flowing.path)) == hub.sha256("org/repo", "file.gguf")


@asynccontextmanager
async def origin(answer: bytes) -> AsyncIterator[tuple[str, asyncio.Event]]:
    """A plain server that answers HEAD with no length, and GET with `answer` and no end.

    Gives its file's URL, and what is set once a GET came.
    """
    asked = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(asyncio.CancelledError, ConnectionError, asyncio.IncompleteReadError):
            while head := await reader.readuntil(b"\r\n\r\n"):
                if head.startswith(b"HEAD"):
                    writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
                    break
                writer.write(answer)
                asked.set()
                await reader.read()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/some.gguf", asked
    finally:
        server.close()


async def test_a_transfer_of_unknown_size_says_that_it_lives(tracker: Tracker) -> None:
    body = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nGGUFx\r\n"
    async with origin(body) as (url, _):
        download = tracker.download(url)
        await until(lambda: any("Still downloading" in line for line in download.narration), 12)
        assert (download.percentage, download.total_size) == (None, None)
        download.cancel()
        with pytest.raises(DownloadError, match="cancelled"):
            await download


# -- What breaks off ------------------------------------------------------------------------------


async def test_an_interrupted_download_can_be_cancelled_and_cleared() -> None:
    async with ReplayHive(transcript("download_small"), cut_at=600) as hive:
        tracker = Tracker([Hive(hive.url)])
        download = tracker.download("org/tiny:other.gguf")
        with pytest.raises(DownloadError, match="interrupted"):
            await download
        download.cancel()
        assert download.status is Status.CANCELLED
        assert download.can_retry
        await until(lambda: any(method == "DELETE" for method, _, _ in hive.requests))
        download.clear()
        assert tracker.downloads == []
        await tracker.aclose()


async def test_an_await_outlasts_a_retry(hive: HiveProcess, flowing: Download) -> None:
    waiting = asyncio.ensure_future(awaited(flowing))
    hive.stop(signal.SIGKILL)
    await until(lambda: flowing.status is Status.INTERRUPTED)
    hive.start()
    flowing.retry()
    assert await waiting is flowing
    assert flowing.status is Status.COMPLETE


async def test_a_view_that_breaks_breaks_nothing_else(
    hub: Hub, tracker: Tracker, caplog: pytest.LogCaptureFixture
) -> None:
    hub.add("org/repo", "file.gguf", size=1000)

    def broken(*_: object) -> None:
        raise BrokenPipeError

    end = tracker.subscribe(broken)
    assert (await tracker.download(MODEL)).status is Status.COMPLETE
    assert caplog.text.count("a subscriber broke") == 1
    end()


async def test_the_way_out_of_a_refusal_is_one(hive: HiveProcess, hub: Hub) -> None:
    hub.add("org/repo", "file.gguf", size=1000)
    tracker = Tracker()
    failed = await failure(tracker.download(MODEL, hive=Hive(hive.url)))
    assert "Hive(url, token=…)" in str(failed)
    await tracker.download(MODEL, hive=Hive(hive.url, token=hive.token))
    await tracker.aclose()


async def test_a_handle_serves_one_loop_after_another(hive: HiveProcess, hub: Hub) -> None:
    hub.add("org/repo", "file.gguf", size=1000)
    handle = hive.handle()

    def script() -> str:
        async def healthy() -> bool:
            try:
                return await handle.healthy()
            finally:
                await handle.aclose()

        assert asyncio.run(healthy())
        tracker = Tracker([handle], background=True)
        status = tracker.download(MODEL).wait(10).status
        asyncio.run(tracker.aclose())
        return status

    threads = threading.active_count()
    assert await asyncio.to_thread(script) == "complete"
    await until(lambda: threading.active_count() <= threads + 1)  # to_thread keeps its own


async def test_what_a_server_says_is_no_terminal_control() -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 500 No\r\nContent-Length: 12\r\n\r\n\x1b]0;owned\x07no")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    tracker = Tracker([Hive(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}")])
    failed = await failure(tracker.download(MODEL))
    assert "500 no" in str(failed)
    assert "\x1b" not in str(failed)
    await tracker.aclose()
    server.close()


# -- What is left ---------------------------------------------------------------------------------


async def test_nothing_is_left_of_a_closed_tracker(
    hive: HiveProcess, hub: Hub, caplog: pytest.LogCaptureFixture
) -> None:
    hub.rate = 10e6
    hub.add("org/repo", "file.gguf", size=100_000_000)
    hub.add("org/repo", "small.gguf", size=1000)
    me = psutil.Process()
    tasks = asyncio.all_tasks()
    client_ports = {c.laddr.port for c in me.net_connections() if c.raddr}
    tracker = Tracker([hive.handle()])
    running = tracker.download(MODEL)
    await tracker.download("org/repo:small.gguf")
    with pytest.raises(DownloadError):
        await tracker.download("org/repo:none.gguf")
    await until(lambda: running.bytes_downloaded > 0)
    waiting = asyncio.ensure_future(awaited(running))
    await tracker.aclose()
    with pytest.raises(DownloadError, match="interrupted"):
        await waiting
    assert asyncio.all_tasks() == tasks
    ours = {c.raddr.port for c in me.net_connections() if c.raddr}
    assert int(hive.url.rpartition(":")[2]) not in ours
    assert client_ports is not None
    assert [r for r in caplog.records if r.levelno >= logging.ERROR] == []


async def test_a_job_outlives_its_tracker(hive: HiveProcess, hub: Hub) -> None:
    hub.rate = 10e6
    hub.add("org/repo", "file.gguf", size=10_000_000)
    tracker = Tracker([hive.handle()])
    download = tracker.download(MODEL)
    await until(lambda: download.bytes_downloaded > 0)
    await tracker.aclose()
    await until(lambda: "metadata.json" in left_in(hive), 5)


async def test_a_download_can_be_awaited_on_another_loop_and_in_a_script(
    tracker: Tracker, flowing: Download
) -> None:
    def script() -> str:
        return asyncio.run(awaited(flowing)).status

    assert tracker.is_here
    assert await asyncio.to_thread(script) == "complete"
    assert await asyncio.to_thread(flowing.wait, 1) is flowing
    with pytest.raises(RuntimeError, match="await"):
        flowing.wait()


async def test_requests_from_another_thread_wake_the_loop(flowing: Download) -> None:
    await asyncio.to_thread(flowing.cancel)
    with pytest.raises(DownloadError, match="cancelled"):
        await flowing
