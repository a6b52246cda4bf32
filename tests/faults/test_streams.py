"""Streams that break off, hives that go away or fall silent, and what a real hive does."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from rbee_widgets import Download, Hive, Tracker
from rbee_widgets.contract import CHANNEL_LOST, frame, sse
from rbee_widgets.state import Status
from rbee_widgets.store import Store
from rbee_widgets.text import progress_line
from tests.faults.cases import fault
from tests.faults.conftest import Seen
from tests.support.downloads import ended, failure, sha256, until
from tests.support.hive import HiveProcess
from tests.support.hub import Hub
from tests.support.proxy import Proxy
from tests.support.replay import End as Ended
from tests.support.replay import Read, ReplayHive, Transcript, transcript

pytestmark = pytest.mark.anyio

MODEL = "org/repo:file.gguf"
NOWHERE = "http://127.0.0.1:9"
MB = 1_000_000


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tries that follow each other faster than is good for a real hive."""
    monkeypatch.setattr("rbee_widgets.outage.PAUSE_S", 0.05)
    monkeypatch.setattr("rbee_widgets.outage.MAX_PAUSE_S", 0.4)


@pytest.fixture
def file(hub: Hub) -> None:
    """A file of 20 MB that comes at 10 MB/s."""
    hub.rate = 10e6
    hub.add("org/repo", "file.gguf", size=20 * MB, seed=5)


def listen(tracker: Tracker) -> tuple[list[Status], list[tuple[int, int]]]:
    """Take down the statuses that a tracker tells, and the tries."""
    statuses: list[Status] = []
    tries: list[tuple[int, int]] = []

    def hear(download: Download, _: object) -> None:
        if statuses[-1:] != [download.status]:
            statuses.append(download.status)
        if download.retry_in is not None and tries[-1:] != [download.retry_in[:2]]:
            tries.append(download.retry_in[:2])

    tracker.subscribe(hear)
    return statuses, tries


@asynccontextmanager
async def tracking(*hives: Hive) -> AsyncIterator[Tracker]:
    tracker = Tracker(hives)
    try:
        yield tracker
    finally:
        await tracker.aclose()


def saying(*events: bytes) -> Transcript:
    """A real hive's stream of a download of `MODEL` that says these events."""
    like = transcript("download_small")
    return Transcript(
        name="made",
        post={"operation": "model_download", "model": MODEL},
        answer=None,
        status=200,
        headers=like.headers,
        records=(Read(0, b"".join(events)), Ended(0)),
    )


# -- Nobody answers -------------------------------------------------------------------------------


@fault(1, "hive not listening", "6 tries told in the row, then failed, with host and port")
async def test_a_hive_that_is_down_is_told(seen: Seen) -> None:
    async with tracking(Hive(NOWHERE)) as tracker:
        _, tries = listen(tracker)
        download = tracker.download(MODEL)
        begin = time.monotonic()
        failed = await failure(download)
        took = time.monotonic() - begin
    assert download.status is Status.FAILED
    assert tries == [(number, 6) for number in range(1, 7)]
    assert "no rbee hive answers at http://127.0.0.1:9" in str(failed)
    assert 5 < took < 30
    seen(f"failed after {took:.0f} s and {len(tries)} tries: {failed.error}")


@pytest.mark.usefixtures("quick")
@fault(1, "hive comes up while it is waited for", "the download starts by itself")
async def test_a_hive_that_comes_late_is_waited_for(
    hive: HiveProcess, hub: Hub, seen: Seen
) -> None:
    hub.add("org/repo", "file.gguf", size=1000)
    hive.stop()
    async with tracking(hive.handle()) as tracker:
        _, tries = listen(tracker)
        download = tracker.download(MODEL)
        await until(lambda: tries)
        assert download.status is Status.QUEUED
        hive.start()
        await download
    seen(f"complete, after {len(tries)} tries")


@fault(37, "cancelled while the hive is waited for", "cancelled at once")
async def test_what_waits_for_its_hive_can_be_cancelled(seen: Seen) -> None:
    async with tracking(Hive(NOWHERE)) as tracker:
        notes: list[str] = []
        tracker.subscribe(lambda one, _: notes.append(one.note or ""))
        download = tracker.download(MODEL)
        await until(lambda: len(notes) > 1)
        assert any(note.startswith("Connecting to 127.0.0.1:9") for note in notes)
        await until(lambda: download.retry_in is not None)
        assert "retry 1 of 6 in " in progress_line(download)
        begin = time.monotonic()
        download.cancel()
        download.cancel()
        assert (await ended(download)).status is Status.CANCELLED
        took = time.monotonic() - begin
    assert took < 1
    seen(f"cancelled after {took * 1000:.0f} ms")


@pytest.mark.usefixtures("file")
@fault(37, "cancelled while the stream is cut and its hive away", "cancelled at once")
async def test_what_lost_its_hive_can_be_cancelled(hive: HiveProcess, seen: Seen) -> None:
    async with tracking(hive.handle()) as tracker:
        download = tracker.download(MODEL)
        await until(lambda: download.bytes_downloaded > MB)
        hive.stop(signal.SIGKILL)
        await until(lambda: download.retry_in is not None)
        begin = time.monotonic()
        download.cancel()
        assert (await ended(download)).status is Status.CANCELLED
        took = time.monotonic() - begin
        hive.start()
    assert took < 1
    seen(f"cancelled after {took * 1000:.0f} ms")


# -- A stream that breaks off ---------------------------------------------------------------------


@pytest.mark.usefixtures("file", "quick")
@fault(22, "stream of an embedded hive cut", "taken up after the last event; nothing told twice")
@pytest.mark.parametrize(
    ("cut_after", "with_reset"),
    [
        pytest.param(4000, False, id="closed in good order"),
        pytest.param(4000, True, id="reset"),
        pytest.param(1400, False, id="in half an event"),
        pytest.param(60, False, id="in the head of the answer"),
    ],
)
async def test_a_stream_that_breaks_off_is_taken_up_where_it_was(
    hive: HiveProcess, hub: Hub, cut_after: int, with_reset: bool, seen: Seen
) -> None:
    async with (
        Proxy(hive.url, cut_after=cut_after, with_reset=with_reset) as proxy,
        tracking(Hive(proxy.url, token=hive.token)) as tracker,
    ):
        statuses, _ = listen(tracker)
        download = await tracker.download(MODEL)
    assert proxy.has_cut
    assert statuses[-1] is Status.COMPLETE
    lines = [line for line in download.narration if "Progress" not in line]
    assert len(lines) == len(set(lines))
    assert sha256(download.path) == hub.sha256("org/repo", "file.gguf")
    seen(f"complete; by way of {', '.join(dict.fromkeys(statuses))}")


@pytest.mark.usefixtures("file")
@fault(22, "hive out of reach for two seconds", "tries told in the row, then it goes on")
async def test_an_outage_is_told_and_outlasted(hive: HiveProcess, seen: Seen) -> None:
    async with Proxy(hive.url) as proxy, tracking(Hive(proxy.url, token=hive.token)) as tracker:
        _, tries = listen(tracker)
        download = tracker.download(MODEL)
        await until(lambda: download.bytes_downloaded > MB)
        proxy.is_down = True
        proxy.cut()
        await until(lambda: download.status is Status.INTERRUPTED)
        assert "broke off" in str(download.error)
        await asyncio.sleep(2)
        assert download.retry_in is not None
        proxy.is_down = False
        await download
    assert tries
    seen(f"complete after {len(tries)} tries")


@pytest.mark.usefixtures("quick")
@fault(22, "twenty streams of one hive cut at once", "one asks for all whether it is back")
async def test_one_asks_for_all(hive: HiveProcess, hub: Hub, seen: Seen) -> None:
    hub.rate = 10e6
    for i in range(20):
        hub.add("org/many", f"{i}.gguf", size=5 * MB, seed=i)
    async with Proxy(hive.url) as proxy, tracking(Hive(proxy.url, token=hive.token)) as tracker:
        downloads = [tracker.download(f"org/many:{i}.gguf") for i in range(20)]
        await until(lambda: all(one.lines for one in downloads))
        proxy.is_down = True
        proxy.cut()
        before = proxy.asked
        await until(lambda: all(one.status is Status.INTERRUPTED for one in downloads), 5)
        await asyncio.sleep(0.5)
        asked = proxy.asked - before
        proxy.is_down, hub.rate = False, None
        await asyncio.gather(*downloads)
    assert asked <= 8
    seen(f"{asked} questions in half a second for 20 rows, then all complete")


@pytest.mark.usefixtures("file", "quick")
@fault(22, "hive of another machine restarted", "the lost job is submitted anew, the row tells it")
async def test_a_job_that_a_restart_has_lost_is_submitted_anew(
    hive: HiveProcess, hub: Hub, seen: Seen
) -> None:
    async with tracking(hive.handle()) as tracker:
        download = tracker.download(MODEL)
        await until(lambda: download.bytes_downloaded > 10 * MB)
        first, at = download.job_id, download.bytes_downloaded
        hive.stop(signal.SIGKILL)
        hive.start()
        waiting = asyncio.ensure_future(ended(download))
        await until(lambda: download.job_id != first)
        await waiting
    assert download.status is Status.COMPLETE
    assert sha256(download.path) == hub.sha256("org/repo", "file.gguf")
    again = hub.sent - 20 * MB
    assert again < 16 * MB
    seen(
        f"killed at {at / MB:.0f} MB, {max(0, again) / MB:.1f} MB fetched again; {download.remark}"
    )


@pytest.mark.usefixtures("file", "quick")
@fault(22, "hive stays away in the middle", "interrupted after 6 tries; Retry goes on")
async def test_a_hive_that_stays_away_interrupts_and_retry_goes_on(
    hive: HiveProcess, hub: Hub, seen: Seen
) -> None:
    async with tracking(hive.handle()) as tracker:
        download = tracker.download(MODEL)
        await until(lambda: download.bytes_downloaded > 10 * MB)
        hive.stop(signal.SIGKILL)
        failed = await failure(download)
        assert download.status is Status.INTERRUPTED
        hive.start()
        download.retry()
        await download
    assert sha256(download.path) == hub.sha256("org/repo", "file.gguf")
    seen(f"{failed.error}; then complete by Retry")


@pytest.mark.usefixtures("file")
@fault(22, "hive restarted with another token", "interrupted at once, and told that it wants one")
async def test_a_hive_with_a_new_token_is_told(hive: HiveProcess, seen: Seen) -> None:
    async with tracking(hive.handle()) as tracker:
        download = tracker.download(MODEL)
        await until(lambda: download.bytes_downloaded > MB)
        hive.stop(signal.SIGKILL)
        hive.token = "another"
        hive.start()
        failed = await failure(download)
    assert download.status is Status.INTERRUPTED
    assert "wants a token" in str(failed)
    seen(str(download.error))


@pytest.mark.usefixtures("file", "quick")
@fault(21, "hive frozen for two seconds, as by a suspend", "noticed, then taken up again")
async def test_a_hive_that_falls_silent_is_noticed_and_taken_up_again(
    hive: HiveProcess, hub: Hub, monkeypatch: pytest.MonkeyPatch, seen: Seen
) -> None:
    monkeypatch.setattr("rbee_widgets.stream.SILENCE_S", 1.0)
    async with tracking(hive.handle()) as tracker:
        statuses, _ = listen(tracker)
        download = tracker.download(MODEL)
        await until(lambda: download.bytes_downloaded > 8 * MB)
        os.kill(hive.pid, signal.SIGSTOP)
        begin = time.monotonic()
        try:
            await until(lambda: download.status is Status.INTERRUPTED)
            took = time.monotonic() - begin
            await asyncio.sleep(1)
        finally:
            os.kill(hive.pid, signal.SIGCONT)
        await download
    assert sha256(download.path) == hub.sha256("org/repo", "file.gguf")
    seen(f"noticed after {took:.1f} s (limit set to 1 s), then {statuses[-1]}")


@pytest.mark.usefixtures("file")
@fault(21, "the wall clock jumps by an hour, both ways", "no figure is negative, nothing breaks")
async def test_a_clock_that_jumps_changes_nothing(
    tracker: Tracker, hub: Hub, monkeypatch: pytest.MonkeyPatch, seen: Seen
) -> None:
    figures: list[float] = []
    tracker.subscribe(lambda one, _: figures.extend([one.speed or 0, one.eta or 0]))
    real, shift = time.time, 0.0
    monkeypatch.setattr(time, "time", lambda: real() + shift)
    download = tracker.download(MODEL)
    for jump in (3600.0, -3600.0, 0.0):
        at = download.bytes_downloaded
        shift = jump
        await until(lambda: download.bytes_downloaded > at + 2 * MB)  # noqa: B023 (awaited here)
    await download
    assert min(figures) >= 0
    assert max(figures[::2]) < 1e9
    assert sha256(download.path) == hub.sha256("org/repo", "file.gguf")
    seen(f"complete; speeds from 0 to {max(figures[::2]) / MB:.0f} MB/s")


# -- A real hive ----------------------------------------------------------------------------------


@fault(22, "stream of a real hive cut, the model in its catalog", "complete, its stream asked once")
async def test_a_real_hives_catalog_settles(seen: Seen) -> None:
    script = transcript("download_30s")
    async with ReplayHive(script, cut_at=900, catalog=transcript("model_list_three")) as hive:
        async with tracking(Hive(hive.url)) as tracker:
            download = await tracker.download("org/big:big.Q8_0.gguf")
        streams = [path for method, path, _ in hive.requests if path.endswith("/stream")]
    assert len(streams) == len(set(streams))
    seen(f"complete, {download.total_size} bytes at {download.path}")


@fault(
    22, "job of a real hive goes on when nobody listens", "found in its catalog when it is there"
)
async def test_what_a_real_hive_finishes_unheard_is_found(
    monkeypatch: pytest.MonkeyPatch, seen: Seen
) -> None:
    monkeypatch.setattr("rbee_widgets.watch.FIRST_S", 0.2)
    async with (
        ReplayHive(transcript("download_30s"), cut_at=900) as hive,
        tracking(Hive(hive.url)) as tracker,
    ):
        download = tracker.download("org/big:big.Q8_0.gguf")
        await failure(download)
        assert download.status is Status.INTERRUPTED
        await asyncio.sleep(0.5)
        assert download.status is Status.INTERRUPTED
        hive._catalog = transcript("model_list_three")
        await until(lambda: download.status is Status.COMPLETE)
        assert (await download).percentage == 100
    seen("interrupted, then complete by itself")


@fault(23, "a stream's end told in odd ways", "the first end counts")
@pytest.mark.parametrize(
    ("events", "status"),
    [
        pytest.param([sse(CHANNEL_LOST), sse("[DONE]")], "interrupted", id="channel lost, DONE"),
        pytest.param([sse("[DONE]"), sse("[DONE]")], "complete", id="DONE twice"),
        pytest.param([sse("[DONE]"), sse("[ERROR] no")], "complete", id="ERROR after DONE"),
        pytest.param([sse("[ERROR] no"), sse("[DONE]")], "failed", id="DONE after ERROR"),
        pytest.param([sse("[CANCELLED]"), sse("[DONE]")], "cancelled", id="DONE after CANCELLED"),
        pytest.param(
            [sse("[DONE]"), sse(frame("f", "x", "📊 Progress: 5.0% (1 MB / 20 MB)"))],
            "complete",
            id="progress after DONE",
        ),
        pytest.param([sse(frame("f", "x", "✅ complete [DONE]"))], "interrupted", id="none at all"),
    ],
)
async def test_the_first_end_counts(events: list[bytes], status: str, seen: Seen) -> None:
    async with ReplayHive(saying(*events)) as hive, tracking(Hive(hive.url)) as tracker:
        download = await ended(tracker.download(MODEL))
        assert download.status == status
        assert (download.percentage == 100) == (status == "complete")
        streams = [path for method, path, _ in hive.requests if path.endswith("/stream")]
    assert len(streams) == len(set(streams))
    seen(f"{download.status}" + (f": {download.error}" if download.error else ""))


def queen(action: str, human: str) -> bytes:
    text = f'{{"type":"narration","actor":"queen","action":"{action}","human":"{human}"}}'
    return sse(text)


@fault(23, "a queen's DONE after two silent seconds", "interrupted, unless it told the success")
@pytest.mark.parametrize(
    ("said", "status"),
    [
        pytest.param([queen("route_job", "x")], "interrupted", id="in the middle"),
        pytest.param([queen("model_download_complete", "x")], "complete", id="after the success"),
        pytest.param([queen("failed", "Job failed: no")], "failed", id="after a failure"),
    ],
)
async def test_a_queens_end_is_doubted(said: list[bytes], status: str, seen: Seen) -> None:
    script = saying(*said, sse("[DONE]"))
    async with ReplayHive(script) as hive, tracking(Hive(hive.url)) as tracker:
        download = await ended(tracker.download(MODEL))
    assert download.status == status
    seen(f"{download.status}" + (f": {download.error}" if download.error else ""))


@fault(23, "a queen's DONE while the job goes on", "found in the catalog when it is there")
async def test_what_a_queen_stopped_telling_of_is_found(
    monkeypatch: pytest.MonkeyPatch, seen: Seen
) -> None:
    monkeypatch.setattr("rbee_widgets.watch.FIRST_S", 0.2)
    like = saying(queen("route_job", "x"), sse("[DONE]"))
    script = replace(like, post={"operation": "model_download", "model": "org/big:big.Q8_0.gguf"})
    async with ReplayHive(script) as hive, tracking(Hive(hive.url)) as tracker:
        download = tracker.download("org/big:big.Q8_0.gguf")
        await failure(download)
        assert download.status is Status.INTERRUPTED
        hive._catalog = transcript("model_list_three")
        await until(lambda: download.status is Status.COMPLETE)
    seen("interrupted, then complete by itself")


@pytest.mark.usefixtures("quick")
@fault(35, "a real hive's machine gone without a word", "asked for when it is silent; interrupted")
async def test_a_real_hive_that_is_gone_without_a_word_is_noticed(
    monkeypatch: pytest.MonkeyPatch, seen: Seen
) -> None:
    monkeypatch.setattr("rbee_widgets.attempt.SILENCE_S", 0.5)
    monkeypatch.setattr("rbee_widgets.client.PROBE_TIMEOUT_S", 0.2)
    async with (
        ReplayHive(transcript("download_30s"), speed=0.1) as hive,
        Proxy(hive.url) as proxy,
        tracking(Hive(proxy.url)) as tracker,
    ):
        download = tracker.download("org/big:big.Q8_0.gguf")
        await until(lambda: download.percentage)
        proxy.is_stalled = True
        begin = time.monotonic()
        failed = await failure(download)
        took = time.monotonic() - begin
    assert download.status is Status.INTERRUPTED
    seen(f"after {took:.1f} s (limits shortened): {failed.error}")


@pytest.mark.usefixtures("quick")
@fault(35, "a job that broke inside a real hive", "given up after an hour; its catalog settles")
async def test_a_job_that_is_silent_for_ever_is_given_up(
    monkeypatch: pytest.MonkeyPatch, seen: Seen
) -> None:
    monkeypatch.setattr("rbee_widgets.attempt.SILENCE_S", 0.3)
    monkeypatch.setattr("rbee_widgets.attempt.GIVEN_UP_S", 1.0)
    script = transcript("download_cancel_12s")
    catalog = transcript("model_list_three")
    async with ReplayHive(script, hold="delete", catalog=catalog) as hive:
        async with tracking(Hive(hive.url)) as tracker:
            assert script.post is not None
            download = tracker.download(script.post["model"])
            await ended(download)
        asked = [path for method, path, _ in hive.requests if (method, path) == ("GET", "/v1/jobs")]
    assert download.status in (Status.INTERRUPTED, Status.COMPLETE)
    assert len(asked) >= 2
    seen(f"{download.status} (limit set to 1 s), asked {len(asked)} times meanwhile")


# -- What is kept ---------------------------------------------------------------------------------


@fault(0, "records of downloads that nobody of ours wrote", "ignored; the others come back")
@pytest.mark.parametrize(
    "written",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b'{"version": 1, "id": "download-0123456', id="torn"),
        pytest.param(b"\xff\x00" * 500, id="rubbish"),
        pytest.param(b"[" * 100_000, id="too large"),
        pytest.param(b'{"version": 2}', id="of another version"),
    ],
)
async def test_a_record_of_nonsense_is_ignored(
    home: Path, hive: HiveProcess, hub: Hub, written: bytes, seen: Seen
) -> None:
    folder = home / "state" / "rbee_widgets" / "downloads"
    tracker = Tracker([hive.handle()], store=Store())
    await failure(tracker.download(MODEL))
    await tracker.aclose()
    (kept,) = folder.iterdir()
    assert hive.token is not None
    assert hive.token not in kept.read_text()
    assert (folder.stat().st_mode & 0o777, kept.stat().st_mode & 0o777) == (0o700, 0o600)
    (folder / "download-0123456789ab.json").write_bytes(written)
    tracker = Tracker([hive.handle()], store=Store())
    tracker.restore()
    (download,) = tracker.downloads
    assert download.status is Status.FAILED
    assert download.can_retry
    hub.add("org/repo", "file.gguf", size=1000)
    download.retry()
    await download
    await tracker.aclose()
    assert not kept.exists()
    seen("one row, failed as before; complete by Retry")


@fault(0, "record of a hive whose URL is none", "ignored; nothing else is stopped by it")
async def test_a_record_of_no_hive_is_ignored(home: Path, hive: HiveProcess, seen: Seen) -> None:
    tracker = Tracker([hive.handle()], store=Store())
    await failure(tracker.download(MODEL))
    await tracker.aclose()
    (kept,) = (home / "state" / "rbee_widgets" / "downloads").iterdir()
    kept.write_text(kept.read_text().replace(hive.url, "nonsense"))
    tracker = Tracker([hive.handle()], store=Store())
    tracker.restore()
    assert tracker.downloads == []
    await tracker.aclose()
    seen("no row")


@fault(0, "cleared, and restored in the same breath", "it stays away")
async def test_what_was_cleared_is_not_restored(hive: HiveProcess, seen: Seen) -> None:
    tracker = Tracker([hive.handle()], store=Store())
    download = tracker.download(MODEL)
    await failure(download)
    download.clear()
    tracker.restore()
    assert tracker.downloads == []
    await tracker.aclose()
    seen("no row")


@fault(14, "state folder can't be written", "downloads work; they are not kept for other kernels")
async def test_a_state_folder_that_cant_be_written_stops_nothing(
    home: Path, hive: HiveProcess, hub: Hub, caplog: pytest.LogCaptureFixture, seen: Seen
) -> None:
    (home / "state").write_text("a file in its place")
    hub.add("org/repo", "file.gguf", size=1000)
    tracker = Tracker([hive.handle()], store=Store())
    download = await tracker.download(MODEL)
    await tracker.aclose()
    assert "are not kept" in caplog.text
    seen(f"{download.status}; the log says that they are not kept")
