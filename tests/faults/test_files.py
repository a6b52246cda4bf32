"""What lies in the models folder: links, others' bytes, torn records, odd sizes; and cancels."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import random
import re
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from rbee_widgets import Download, Tracker
from rbee_widgets.hive.engine import CancelledTransferError, Remote, Transfer, Web
from rbee_widgets.hive.engine.partial import Partial, partial_of
from rbee_widgets.hive.engine.record import Record
from rbee_widgets.state import Status
from tests.faults.cases import fault
from tests.faults.conftest import Seen
from tests.support.disk import refusing
from tests.support.downloads import ended, failure, sha256, until
from tests.support.hive import HiveProcess
from tests.support.hub import Hub
from tests.support.origin import origin, said

pytestmark = pytest.mark.anyio

MODEL = "org/repo:file.gguf"
FOLDER = "org-repo-file.gguf"
MB = 1_000_000
WHOLE = {"model.gguf", "metadata.json"}
OTHERS = "Another process|File exists|No such file|cut short by another"


def left_in(hive: HiveProcess) -> set[str]:
    place = hive.models / FOLDER
    return {file.name for file in place.iterdir()} if place.is_dir() else set()


async def begun(hive: HiveProcess, hub: Hub) -> tuple[Tracker, Download]:
    """Have a download of 20 MB in its middle, and what has arrived on record."""
    hub.rate = 20e6
    hub.add("org/repo", "file.gguf", size=20 * MB, seed=3)
    tracker = Tracker([hive.handle()])
    download = tracker.download(MODEL)
    await until(lambda: download.bytes_downloaded > 10 * MB)
    return tracker, download


async def has_asked(download: Download) -> None:
    await until(lambda: any("Downloading file" in line for line in download.narration))


# -- Links ----------------------------------------------------------------------------------------


def linked_folder(place: Path, outside: Path) -> None:
    place.parent.mkdir()
    place.symlink_to(outside.parent)


def linked_name(name: str, *, is_hard: bool = False) -> Callable[[Path, Path], None]:
    def link(place: Path, outside: Path) -> None:
        place.mkdir(parents=True)
        if is_hard:
            (place / name).hardlink_to(outside)
        else:
            (place / name).symlink_to(outside)

    return link


@fault(16, "link that leads out of the models folder", "nothing is written through it")
@pytest.mark.parametrize(
    ("link", "is_refused"),
    [
        pytest.param(linked_folder, True, id="folder"),
        pytest.param(linked_name("model.gguf"), False, id="model"),
        pytest.param(linked_name("model.gguf", is_hard=True), False, id="model, hard link"),
        pytest.param(linked_name("model.gguf.part"), False, id="part"),
        pytest.param(linked_name("model.gguf.part", is_hard=True), False, id="part, hard link"),
        pytest.param(linked_name("model.gguf.part.json"), False, id="record"),
        pytest.param(linked_name("model.gguf.part.json.new"), False, id="record's draft"),
        pytest.param(linked_name("metadata.json"), False, id="entry"),
        pytest.param(linked_name("metadata.json.new"), False, id="entry's draft"),
    ],
)
async def test_nothing_is_written_through_a_link(
    hive: HiveProcess,
    hub: Hub,
    tracker: Tracker,
    tmp_path: Path,
    link: Callable[[Path, Path], None],
    is_refused: bool,
    seen: Seen,
) -> None:
    hub.add("org/repo", "file.gguf", size=5 * MB)
    outside = tmp_path / "outside" / "precious"
    outside.parent.mkdir()
    outside.write_bytes(b"x" * 5 * MB)
    link(hive.models / FOLDER, outside)
    download = tracker.download(MODEL)
    if is_refused:
        failed = await failure(download)
        assert "is a link; models are kept in real folders" in str(failed.error)
    else:
        await download
        assert sha256(download.path) == hub.sha256("org/repo", "file.gguf")
        assert left_in(hive) == WHOLE
        assert not any(file.is_symlink() for file in (hive.models / FOLDER).iterdir())
    assert outside.read_bytes() == b"x" * 5 * MB
    assert [file.name for file in outside.parent.iterdir()] == ["precious"]
    seen("refused" if is_refused else "complete, the link replaced, what it led to untouched")


@fault(16, "part that has become another file's too", "begun anew, the other file untouched")
async def test_a_part_with_another_name_is_not_gone_on_with(
    hive: HiveProcess, hub: Hub, tmp_path: Path, seen: Seen
) -> None:
    tracker, download = await begun(hive, hub)
    download.cancel()
    await ended(download)
    other = tmp_path / "other"
    other.hardlink_to(hive.models / FOLDER / "model.gguf.part")
    before = sha256(other)
    download.retry()
    await download
    assert sha256(download.path) == hub.sha256("org/repo", "file.gguf")
    assert sha256(other) == before
    await tracker.aclose()
    seen("complete; the other name's file as it was")


# -- Sizes ----------------------------------------------------------------------------------------


@fault(18, "size in bytes", "exact, done at 100 %")
@pytest.mark.parametrize("size", [0, 1, 4, 999, 8 << 20, 16 << 20])
async def test_files_of_any_size_are_exact(
    hub: Hub, tracker: Tracker, size: int, seen: Seen
) -> None:
    hub.add("org/repo", "file.gguf", size=size, head=b"GGUF"[:size])
    download = await tracker.download(MODEL)
    assert download.bytes_downloaded == download.total_size == size
    assert download.percentage == 100
    assert sha256(download.path) == hub.sha256("org/repo", "file.gguf")
    seen("exact")


@fault(18, "offsets beyond 2^32, in a sparse file", "gone on there, exact")
async def test_offsets_beyond_four_gigabytes_are_exact(tmp_path: Path, seen: Seen) -> None:
    there, rest = (1 << 32) + 12_345, random.Random(1).randbytes(300_000)
    size, path, spans = there + len(rest), tmp_path / "f", list[tuple[int, int]]()

    def reply(_: str, headers: dict[str, str]) -> bytes:
        told = re.fullmatch("bytes=([0-9]+)-([0-9]+)", headers["range"])
        assert told is not None
        start, stop = int(told[1]), int(told[2]) + 1
        spans.append((start, stop))
        content = f"bytes {start}-{stop - 1}/{size}"
        body = rest[start - there : stop - there]
        return said("206 Partial Content", body, Content_Range=content, ETag='"1"')

    async with origin(reply) as url:
        with Partial.create(path) as partial:
            os.truncate(partial_of(path), there)
            inode, known = partial.inode, [(0, there)]
            partial.keep(Record(f"{url}/f", size, '"1"', None, None, inode, known))
        with Web(8) as web:
            await asyncio.to_thread(Transfer(Remote(f"{url}/f", etag='"1"'), path, web).run)
    assert path.stat().st_size == size
    assert min(spans)[0] == there
    with path.open("rb") as file:
        file.seek(there)
        assert file.read() == rest
    seen(f"exact, {len(rest)} bytes fetched from {there} on")


# -- Other processes ------------------------------------------------------------------------------


@pytest.fixture
def other(hive: HiveProcess, hub: Hub) -> Iterator[HiveProcess]:
    """Another hive on the same folder."""
    with HiveProcess(hive.models, hub.url) as other:
        yield other


@fault(19, "two hives on one folder", "the second waits, then finds it; fetched once")
async def test_two_hives_on_one_folder_do_not_mix_their_bytes(
    hive: HiveProcess, other: HiveProcess, hub: Hub, seen: Seen
) -> None:
    tracker, first = await begun(hive, hub)
    hub.rate = 4e6
    elsewhere = Tracker([other.handle("other")])
    second = elsewhere.download(MODEL)
    await has_asked(second)
    hub.rate = 20e6
    await asyncio.gather(first, second)
    assert second.note == "already on this hive"
    assert sha256(first.path) == hub.sha256("org/repo", "file.gguf")
    assert left_in(hive) == WHOLE
    assert hub.sent < 21 * MB, "it was fetched once"
    await asyncio.gather(tracker.aclose(), elsewhere.aclose())
    seen("fetched once; the second found it")


@fault(19, "lock held for longer than anyone waits", "the second fails, naming the lock")
async def test_a_lock_that_is_held_is_told(
    hive: HiveProcess, other: HiveProcess, hub: Hub, seen: Seen
) -> None:
    tracker, first = await begun(hive, hub)
    hub.rate = 1e5
    elsewhere = Tracker([other.handle("other")])
    failed = await failure(elsewhere.download(MODEL))
    assert f"Lock acquisition failed: {hive.models}" in str(failed.error)
    assert "Another hive downloads this model" in str(failed.hint)
    hub.rate = None
    await first
    assert sha256(first.path) == hub.sha256("org/repo", "file.gguf")
    await asyncio.gather(tracker.aclose(), elsewhere.aclose())
    seen("the second failed after 5 s; the first complete")


@fault(19, "holder of the lock killed", "the other takes over where it stopped; one right file")
async def test_the_lock_of_a_killed_hive_is_free(
    hive: HiveProcess, other: HiveProcess, hub: Hub, seen: Seen
) -> None:
    tracker, first = await begun(hive, hub)
    hub.rate = 4e6
    elsewhere = Tracker([other.handle("other")])
    second = elsewhere.download(MODEL)
    await has_asked(second)
    before = hub.sent
    hive.stop(signal.SIGKILL)
    await tracker.aclose()
    hub.rate = 20e6
    await second
    assert sha256(second.path) == hub.sha256("org/repo", "file.gguf")
    assert left_in(hive) == WHOLE
    fetched = hub.sent - before
    assert fetched < 20 * MB
    assert first.status is not Status.COMPLETE
    await elsewhere.aclose()
    hive.start()
    seen(f"complete, {fetched / MB:.0f} MB of 20 fetched by the second")


@fault(19, "lock that does not hold", "one right file, the other hive told of it")
async def test_two_hives_without_a_lock_end_in_the_right_file(
    hive: HiveProcess, other: HiveProcess, hub: Hub, seen: Seen
) -> None:
    tracker, first = await begun(hive, hub)
    hub.rate = 4e6
    (hive.models / ".locks" / f"{FOLDER}.lock").unlink()  # so that each has its own
    elsewhere = Tracker([other.handle("other")])
    second = elsewhere.download(MODEL)
    await until(lambda: second.bytes_downloaded > 0 or second.status is not Status.QUEUED)
    hub.rate = 20e6
    ends = [await ended(one) for one in (first, second)]
    complete = [one for one in ends if one.status is Status.COMPLETE]
    failed = [str(one.error) for one in ends if one.status is Status.FAILED]
    assert complete
    assert len(complete) + len(failed) == 2
    assert all(re.search(OTHERS, why) for why in failed)
    assert sha256(complete[0].path) == hub.sha256("org/repo", "file.gguf")
    await asyncio.gather(tracker.aclose(), elsewhere.aclose())
    seen(f"{len(complete)} complete, {len(failed)} told of the other; the file is right")


@fault(19, "two processes' engines without a lock", "one right file at least")
async def test_two_engines_without_a_lock_end_in_the_right_file(
    tmp_path: Path, hub: Hub, seen: Seen
) -> None:
    hub.rate = 40e6
    url = hub.add_file("f.gguf", size=20 * MB, seed=1)
    sha = hashlib.sha256(httpx.get(url).content).hexdigest()
    path = tmp_path / "f.gguf"
    with Web(4) as web, Web(4) as other:

        def fetch(web: Web) -> str | None:
            try:
                Transfer(Remote(url, sha256=sha), path, web).run()
            except OSError as error:
                return str(error)
            return None

        both = asyncio.gather(asyncio.to_thread(fetch, web), asyncio.to_thread(fetch, other))
        ends = await both
    assert None in ends
    assert [end for end in ends if end and not re.search(OTHERS, end)] == []
    assert sha256(path) == sha
    seen(f"{ends.count(None)} right, {2 - ends.count(None)} told of the other")


# -- Torn -----------------------------------------------------------------------------------------


def untouched(_: Path) -> None:
    """Leave all as the kill left it."""


def torn_record(place: Path) -> None:
    record = place / "model.gguf.part.json"
    record.write_bytes(record.read_bytes()[:-40])


def flipped_record(place: Path) -> None:
    record = place / "model.gguf.part.json"
    written = bytearray(record.read_bytes())
    written[len(written) // 2] ^= 4
    record.write_bytes(bytes(written))


def record_ahead(place: Path) -> None:
    """Have the record name bytes that are not on disk, as after a power cut without a sync."""
    part = place / "model.gguf.part"
    (stop,) = {stop for _, stop in spans_in(place)[-1:]}
    os.truncate(part, stop // 2)


def zeroed_block(place: Path) -> None:
    """Lose a block that the record names, as a disk does that lied about its sync."""
    with (place / "model.gguf.part").open("r+b") as file:
        file.seek(1 << 20)
        file.write(bytes(4096))


def stray_drafts(place: Path) -> None:
    (place / "model.gguf.part.json.new").write_bytes(b"half a rec")
    (place / "metadata.json.new").write_bytes(b"half an en")


def lost_part(place: Path) -> None:
    (place / "model.gguf.part").unlink()


def lost_record(place: Path) -> None:
    (place / "model.gguf.part.json").unlink()


def spans_in(place: Path) -> list[tuple[int, int]]:
    told = json.loads((place / "model.gguf.part.json").read_bytes())["record"]["spans"]
    return [(start, stop) for start, stop in told]


@fault(20, "kill -9 in the middle, and then", "what is doubtful fetched again, no orphan, right")
@pytest.mark.parametrize(
    ("damage", "goes_on"),
    [
        pytest.param(untouched, True, id="nothing more"),
        pytest.param(torn_record, False, id="record torn"),
        pytest.param(flipped_record, False, id="a bit of the record flipped"),
        pytest.param(record_ahead, False, id="record ahead of the data"),
        pytest.param(zeroed_block, False, id="a block lost that the record names"),
        pytest.param(stray_drafts, True, id="half-written drafts beside it"),
        pytest.param(lost_part, False, id="part lost"),
        pytest.param(lost_record, False, id="record lost"),
    ],
)
async def test_a_kill_costs_little_and_leaves_no_orphan(
    hive: HiveProcess, hub: Hub, damage: Callable[[Path], None], goes_on: bool, seen: Seen
) -> None:
    tracker, _ = await begun(hive, hub)
    place = hive.models / FOLDER
    hive.stop(signal.SIGKILL)
    await tracker.aclose()
    kept = sum(stop - start for start, stop in spans_in(place))
    damage(place)
    assert not (place / "model.gguf").exists()
    hub.rate, before = None, hub.sent
    hive.start()
    after = Tracker([hive.handle()])
    download = await after.download(MODEL)
    await after.aclose()
    fetched = hub.sent - before
    assert sha256(download.path) == hub.sha256("org/repo", "file.gguf")
    assert left_in(hive) == WHOLE
    assert fetched == 20 * MB - kept if goes_on else fetched >= 20 * MB - kept
    seen(f"right; {kept / MB:.0f} MB of 20 on record, {fetched / MB:.0f} fetched again")


@fault(20, "killed between the file's name and its entry", "entered without a byte fetched again")
async def test_a_whole_file_without_an_entry_is_entered(
    hive: HiveProcess, hub: Hub, tracker: Tracker, seen: Seen
) -> None:
    hub.add("org/repo", "file.gguf", size=5 * MB)
    download = await tracker.download(MODEL)
    (hive.models / FOLDER / "metadata.json").unlink()
    (hive.models / FOLDER / "model.gguf.part.json").touch()
    before = hub.sent
    download.clear()
    again = await tracker.download(MODEL)
    assert (again.status, again.percentage) == (Status.COMPLETE, 100)
    assert hub.sent == before
    assert left_in(hive) == WHOLE
    seen("complete, 0 bytes fetched")


# -- Cancel ---------------------------------------------------------------------------------------


async def cancelled_twice(download: Download) -> float:
    """Cancel, twice; gives the seconds to the end."""
    began = time.monotonic()
    download.cancel()
    download.cancel()
    await ended(download)
    took = time.monotonic() - began
    assert download.status is Status.CANCELLED
    assert took < 1
    return took


@fault(37, "cancel, twice, while queued", "cancelled within 1 s, nothing fetched")
async def test_cancel_while_queued(hub: Hub, tracker: Tracker, seen: Seen) -> None:
    hub.rate = 5e6
    for i in range(4):
        hub.add("org/many", f"{i}.gguf", size=5 * MB, seed=i)
    downloads = []
    for i in range(4):
        downloads.append(tracker.download(f"org/many:{i}.gguf"))
        await until(lambda: any("Downloading file" in line for line in downloads[-1].narration))
    await until(lambda: any("Queued" in line for line in downloads[3].narration))
    took = await cancelled_twice(downloads[3])
    assert not any("3.gguf" in one.path for one in hub.requests if one.method == "GET")
    for one in downloads[:3]:
        await cancelled_twice(one)
    seen(f"cancelled after {took * 1000:.0f} ms")


@fault(37, "cancel, twice, while the first answer is awaited", "cancelled within 1 s")
async def test_cancel_while_connecting(tracker: Tracker, hive: HiveProcess, seen: Seen) -> None:
    gets: list[str] = []

    def reply(path: str, headers: dict[str, str]) -> bytes:
        if headers["method"] == "HEAD":
            return said("200 OK")
        gets.append(path)
        return b""

    async with origin(reply) as url:
        download = tracker.download(f"{url}/file.gguf")
        await until(lambda: gets)
        took = await cancelled_twice(download)
    assert [file for file in hive.models.glob("*/*") if ".lock" not in file.name] == []
    seen(f"cancelled after {took * 1000:.0f} ms")


@fault(37, "cancel, twice, in the middle", "cancelled within 1 s, no more bytes, the part kept")
async def test_cancel_in_the_middle(hive: HiveProcess, hub: Hub, seen: Seen) -> None:
    tracker, download = await begun(hive, hub)
    took = await cancelled_twice(download)
    await until(lambda: hub.open_transfers == 0, 1)
    assert left_in(hive) == {"model.gguf.part", "model.gguf.part.json"}
    before, kept = hub.sent, download.bytes_downloaded
    download.retry()
    await download
    assert hub.sent - before <= 21 * MB - kept
    await tracker.aclose()
    seen(f"cancelled after {took * 1000:.0f} ms; Retry went on at {kept / MB:.0f} MB of 20")


@fault(
    37, "cancel, twice, at the end, on a disk that takes 2 s for", "cancelled within 1 s, for good"
)
@pytest.mark.parametrize(
    ("call", "name"),
    [
        pytest.param("fsync", "model.gguf.part", id="the sync"),
        pytest.param("rename", "model.gguf", id="the rename"),
    ],
)
async def test_cancel_while_a_slow_disk_is_at_work(
    tmp_path: Path, hub: Hub, call: str, name: str, seen: Seen
) -> None:
    hub.add("org/repo", "file.gguf", size=2 * MB)
    flag = tmp_path / "slow"
    flag.touch()
    wrapped = refusing(flag, call, name, 0, seconds=2)
    with HiveProcess(tmp_path / "models", hub.url, wrapped=wrapped) as hive:
        tracker = Tracker([hive.handle()])
        download = tracker.download(MODEL)
        await until(lambda: hub.sent == 2 * MB and hub.open_transfers == 0)
        await asyncio.sleep(0.3)  # it is at its end now
        took = await cancelled_twice(download)
        flag.unlink()
        await asyncio.sleep(2.5)  # what the disk was at is over
        named = {"model.gguf"} if call == "rename" else set()
        assert left_in(hive) & WHOLE == named, "no model is there"
        before = hub.sent
        download.retry()
        await download
        assert sha256(download.path) == hub.sha256("org/repo", "file.gguf")
        again = hub.sent - before
        assert left_in(hive) == WHOLE
        await tracker.aclose()
    assert again == 0
    seen(f"cancelled after {took * 1000:.0f} ms; Retry fetched {again} bytes")


@fault(37, "cancel, twice, while it is hashed", "cancelled within 1 s, the part kept")
async def test_cancel_while_hashing(tmp_path: Path, seen: Seen) -> None:
    # All of it is there, so that seconds of hashing are what is left.
    size, path, sha = 4 << 30, tmp_path / "f", "0" * 64
    with Partial.create(path) as partial:
        os.truncate(partial_of(path), size)
        url, inode = "http://127.0.0.1:9/f", partial.inode
        partial.keep(Record(url, size, None, sha, None, inode, [(0, size)]))
    with Web(1) as web:
        transfer = Transfer(Remote(url, size=size, sha256=sha), path, web)
        running = asyncio.ensure_future(asyncio.to_thread(transfer.run))
        await until(lambda: transfer.done == size)
        assert not running.done()
        began = time.monotonic()
        transfer.cancel()
        transfer.cancel()
        with pytest.raises(CancelledTransferError):
            await running
        took = time.monotonic() - began
    assert took < 1
    assert {file.name for file in tmp_path.glob("f*")} == {"f.part", "f.part.json"}
    seen(f"cancelled after {took * 1000:.0f} ms")


@fault(37, "cancel, twice, when it is done", "complete stays complete")
async def test_cancel_when_done(hive: HiveProcess, hub: Hub, tracker: Tracker, seen: Seen) -> None:
    hub.add("org/repo", "file.gguf", size=1000)
    download = await tracker.download(MODEL)
    download.cancel()
    download.cancel()
    await asyncio.sleep(0.1)
    assert download.status is Status.COMPLETE
    assert left_in(hive) == WHOLE
    seen("complete")


@fault(37, "cancel, twice, at once", "cancelled")
async def test_cancel_at_once(hub: Hub, tracker: Tracker, seen: Seen) -> None:
    hub.add("org/repo", "file.gguf", size=4 * MB)
    took = await cancelled_twice(tracker.download(MODEL))
    seen(f"cancelled after {took * 1000:.0f} ms")
