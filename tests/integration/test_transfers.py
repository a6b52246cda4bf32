"""The transfers of a hive: shared, queued, bounded, and able to go on after any end."""

from __future__ import annotations

import asyncio
import hashlib
import json
import random
import shutil
import signal
import time
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import psutil
import pytest

from rbee_widgets import Download, DownloadError, Hive, Tracker
from rbee_widgets.hive.engine import Remote, Transfer, TransferError, Web
from rbee_widgets.state import Status
from tests.support.downloads import ended, sha256, until
from tests.support.hive import HiveProcess
from tests.support.hub import Flip, Hub, Stall
from tests.support.hub_repo import Content
from tests.support.origin import fetched, origin, ranged, said
from tests.support.replay import Read, ReplayHive, transcript

pytestmark = pytest.mark.anyio

MODEL = "org/repo:file.gguf"
MB = 1_000_000


# -- One transfer for one file --------------------------------------------------------------------


async def test_a_second_job_for_a_model_joins_the_first(hive: HiveProcess, hub: Hub) -> None:
    hub.rate = 20e6
    hub.add("org/repo", "file.gguf", size=20 * MB)
    first, second = Tracker([hive.handle()]), Tracker([hive.handle()])
    one = first.download(MODEL)
    await until(lambda: one.bytes_downloaded > 4 * MB)
    other = second.download(MODEL)
    await until(lambda: other.bytes_downloaded > 8 * MB)
    assert abs(other.bytes_downloaded - one.bytes_downloaded) < 4 * MB
    assert one.job_id != other.job_id
    await asyncio.gather(one, other)
    assert any("following it" in line for line in other.narration)
    assert one.path == other.path
    assert sha256(one.path) == hub.sha256("org/repo", "file.gguf")
    assert hub.sent < 21 * MB, "it was fetched once"
    await asyncio.gather(first.aclose(), second.aclose())


@pytest.mark.parametrize("leaves", [0, 1])
async def test_cancelling_one_leaves_the_other(hive: HiveProcess, hub: Hub, leaves: int) -> None:
    hub.rate = 20e6
    hub.add("org/repo", "file.gguf", size=20 * MB)
    trackers = [Tracker([hive.handle()]) for _ in range(2)]
    pair = [tracker.download(MODEL) for tracker in trackers]
    await until(lambda: all(one.bytes_downloaded > 2 * MB for one in pair))
    pair[leaves].cancel()
    await asyncio.gather(*(ended(one) for one in pair))
    assert [one.status for one in pair] == [
        Status.CANCELLED if i == leaves else Status.COMPLETE for i in range(2)
    ]
    assert sha256(pair[1 - leaves].path) == hub.sha256("org/repo", "file.gguf")
    await asyncio.gather(*(tracker.aclose() for tracker in trackers))


async def test_cancelling_both_ends_the_transfer(hive: HiveProcess, hub: Hub) -> None:
    hub.rate = 20e6
    hub.add("org/repo", "file.gguf", size=40 * MB)
    trackers = [Tracker([hive.handle()]) for _ in range(2)]
    pair = [tracker.download(MODEL) for tracker in trackers]
    await until(lambda: all(one.bytes_downloaded > 2 * MB for one in pair))
    for one in pair:
        one.cancel()
    await asyncio.gather(*(ended(one) for one in pair))
    await until(lambda: hub.open_transfers == 0, 1)
    assert [one.status for one in pair] == [Status.CANCELLED] * 2
    await asyncio.gather(*(tracker.aclose() for tracker in trackers))


# -- The line -------------------------------------------------------------------------------------


async def test_transfers_wait_in_the_order_of_their_arrival(
    hive: HiveProcess, hub: Hub, tracker: Tracker
) -> None:
    hub.rate = 10e6
    for i in range(6):
        hub.add("org/many", f"{i}.gguf", size=3 * MB, seed=i)
    started: list[str] = []

    def changed(download: Download, _: object) -> None:
        if download.bytes_downloaded and download.name not in started:
            started.append(download.name)

    tracker.subscribe(changed)
    downloads = []
    for i in range(6):
        downloads.append(tracker.download(f"org/many:{i}.gguf"))
        await until(lambda: any("Downloading file" in line for line in downloads[-1].narration))
    await until(lambda: downloads[5].note == "⏳ Queued, 2 before it")
    assert [one.status for one in downloads[3:]] == [Status.QUEUED] * 3
    assert downloads[3].note == "⏳ Queued, next in line"
    assert len(started) == 3
    with hive.http() as http:
        jobs = http.get("/v1/jobs").json()["jobs"]
    assert len(jobs) == 6
    await asyncio.gather(*downloads)
    assert started == [f"org/many:{i}.gguf" for i in range(6)]
    for i, one in enumerate(downloads):
        assert sha256(one.path) == hub.sha256("org/many", f"{i}.gguf")
    said = [line for line in downloads[5].narration if "Queued" in line]
    assert [line.partition("Queued, ")[2] for line in said] == [
        "2 before it",
        "1 before it",
        "next in line",
    ]


async def test_who_waits_can_be_cancelled(hub: Hub, tracker: Tracker) -> None:
    hub.rate = 5e6
    for i in range(5):
        hub.add("org/many", f"{i}.gguf", size=5 * MB, seed=i)
    downloads = []
    for i in range(5):
        downloads.append(tracker.download(f"org/many:{i}.gguf"))
        await until(lambda: any("Downloading file" in line for line in downloads[-1].narration))
    await until(lambda: downloads[4].status is Status.QUEUED and downloads[4].note is not None)
    begin = time.monotonic()
    downloads[3].cancel()
    assert (await ended(downloads[3])).status is Status.CANCELLED
    assert time.monotonic() - begin < 1
    assert not any("3.gguf" in request.path for request in hub.requests if request.method == "GET")
    await until(lambda: "next in line" in str(downloads[4].note), 1)
    for one in downloads:
        one.cancel()
    await asyncio.gather(*(ended(one) for one in downloads))


@pytest.mark.parametrize("connections", [4, 16])
async def test_no_host_gets_more_connections_than_allowed(tmp_path: Path, connections: int) -> None:
    options = ["--connections", str(connections)]
    with (
        Hub(cdn=True) as hub,
        HiveProcess(tmp_path / "models", hub.url, options=options) as hive,
    ):
        hub.cap = 3e6
        for i in range(3):
            hub.add("org/many", f"{i}.gguf", size=60 * MB, seed=i)
        tracker = Tracker([hive.handle()])
        first = tracker.download("org/many:0.gguf")
        process, port = psutil.Process(hive.pid), urlsplit(hub.cdn_url).port
        most = 0

        def looked() -> int:
            nonlocal most
            peers = [each.raddr for each in process.net_connections("tcp") if each.raddr]
            count: int = sum(peer.port == port for peer in peers)
            most = max(most, count)
            return most

        await until(lambda: looked() == connections)
        rest = [tracker.download(f"org/many:{i}.gguf") for i in (1, 2)]
        # All get a share, also those that come when one has taken everything.
        await until(lambda: looked() > 0 and all(one.bytes_downloaded > MB for one in rest))
        for one in (first, *rest):
            one.cancel()
        await asyncio.gather(*(ended(one) for one in (first, *rest)))
        await tracker.aclose()
    assert most == connections


# -- Going on -------------------------------------------------------------------------------------


def begun(hive: HiveProcess, hub: Hub) -> None:
    """Have a download going, as a client does."""
    before = hub.sent
    with hive.http() as http:
        asked = {"operation": "model_download", "hive_id": "h", "model": MODEL}
        job = http.post("/v1/jobs", json=asked).json()
        with http.stream("GET", job["sse_url"]) as told:
            for _ in told.iter_lines():
                if hub.sent > before:
                    return


def kept_of(hive: HiveProcess) -> int:
    record = hive.models / "org-repo-file.gguf" / "model.gguf.part.json"
    if not record.exists():
        return 0
    spans = json.loads(record.read_bytes())["record"]["spans"]
    return sum(stop - start for start, stop in spans)


@pytest.mark.parametrize("rate", [50e6, 200e6])
def test_each_of_twenty_kills_costs_little(hive: HiveProcess, hub: Hub, rate: float) -> None:
    seed = random.randrange(1 << 30)
    print(f"seed {seed}")
    moments = random.Random(seed)
    hub.rate = rate
    hub.add("org/repo", "file.gguf", size=200 * MB, seed=2)
    costs = []
    for _ in range(20):
        sent, kept = hub.sent, kept_of(hive)
        begun(hive, hub)
        time.sleep(moments.uniform(0, 10e6 / rate))
        hive.stop(signal.SIGKILL)
        time.sleep(0.1)  # the hub notices
        costs.append(hub.sent - sent - (kept_of(hive) - kept))
        hive.start()
    with hive.http() as http:
        asked = {"operation": "model_download", "hive_id": "h", "model": MODEL}
        job = http.post("/v1/jobs", json=asked).json()
        assert "[DONE]" in http.get(job["sse_url"], timeout=60).text
    print(
        f"{len(costs)} kills, fetched again {max(costs) / 2**20:.1f} MiB at most, "
        f"{sum(costs) / len(costs) / 2**20:.1f} on average; {hub.sent / 200e6:.2f} of the file"
    )
    place = hive.models / "org-repo-file.gguf"
    assert sha256(place / "model.gguf") == hub.sha256("org/repo", "file.gguf")
    assert {file.name for file in place.iterdir()} == {"model.gguf", "metadata.json"}
    assert max(costs) <= 16 << 20


# -- Verified -------------------------------------------------------------------------------------


async def test_a_sha256_of_the_users_is_checked(
    hive: HiveProcess, hub: Hub, tracker: Tracker
) -> None:
    url = hub.add_file("f.gguf", size=MB, seed=5)
    right = hashlib.sha256(httpx.get(url).content).hexdigest()
    with pytest.raises(ValueError, match="64 hexadecimal digits"):
        tracker.download(url, sha256="abc")
    with pytest.raises(DownloadError, match="sha256 mismatch"):
        await tracker.download(url, sha256="0" * 64)
    hub.fail(Flip(1000))
    download = await tracker.download(url, sha256=right.upper())
    assert sha256(download.path) == right
    hub.add("org/repo", "file.gguf", size=MB)
    with pytest.raises(DownloadError, match="the hub states"):
        await tracker.download(MODEL, sha256=right)
    with hive.http() as http:
        job = {"operation": "model_download", "hive_id": "h", "model": MODEL, "sha256": "nonsense"}
        told = http.get(http.post("/v1/jobs", json=job).json()["sse_url"]).text
    assert "[ERROR] 'nonsense' is no sha256" in told


async def test_a_real_hive_is_not_believed_to_check() -> None:
    async with ReplayHive(transcript("download_small")) as hive:
        tracker = Tracker([Hive(hive.url)])
        with pytest.raises(DownloadError, match="a hive that checks a sha256"):
            await tracker.download("org/tiny:other.gguf", sha256="0" * 64)
        await tracker.aclose()


# -- The layout -----------------------------------------------------------------------------------


def as_a_real_hive_reads(root: Path) -> dict[str, dict[str, Any]]:
    """Read a models folder as the contract says that a real hive does."""
    required = {"id", "name", "source", "path", "size", "status", "modelType", "config"}
    found = {}
    for folder in root.iterdir():
        metadata = folder / "metadata.json"
        if not metadata.is_file():
            continue
        entry = json.loads(metadata.read_text())
        assert entry.keys() >= {"artifact", "added_at"}
        artifact = entry["artifact"]
        assert artifact.keys() >= required
        assert folder.name == artifact["id"].replace("/", "-").replace(":", "-")
        assert artifact["source"] in ("HuggingFace", "CivitAI", "Local")
        assert (artifact["status"], artifact["modelType"]) == ("Available", "Llm")
        assert Path(artifact["path"]) == folder / "model.gguf"
        assert Path(artifact["path"]).stat().st_size == artifact["size"]
        found[artifact["id"]] = artifact
    return found


async def test_what_is_fetched_here_a_real_hive_finds(
    hive: HiveProcess, hub: Hub, tracker: Tracker
) -> None:
    hub.add("org/repo", "sub/f-Q4_K_M.gguf", size=3 * MB)
    hub.add("org/repo", "file.gguf", size=2 * MB)
    await asyncio.gather(*(tracker.download(m) for m in (MODEL, "org/repo:sub/f-Q4_K_M.gguf")))
    found = as_a_real_hive_reads(hive.models)
    assert {name: model["size"] for name, model in found.items()} == {
        MODEL: 2 * MB,
        "org/repo:sub/f-Q4_K_M.gguf": 3 * MB,
    }
    assert found["org/repo:sub/f-Q4_K_M.gguf"]["name"] == "f-Q4_K_M.gguf"


async def test_what_a_real_hive_has_stored_is_found_here(
    hive: HiveProcess, hub: Hub, tracker: Tracker
) -> None:
    told = b"".join(one.body for one in transcript("model_get").records if isinstance(one, Read))
    lines = [line.removeprefix("data: ") for line in told.decode().splitlines()]
    artifact = json.loads("".join(lines[lines.index("{") : lines.index("}") + 1]))
    folder = hive.models / artifact["id"].replace("/", "-").replace(":", "-")
    folder.mkdir(parents=True)
    artifact["path"] = str(folder / "model.gguf")
    (folder / "model.gguf").write_bytes(b"GGUF" + bytes(artifact["size"] - 4))
    (folder / "metadata.json").write_text(
        json.dumps({"artifact": artifact, "added_at": artifact["addedAt"], "last_accessed": None})
    )
    (hive.models / artifact["id"]).mkdir(parents=True)  # the stray one that it leaves
    handle = hive.handle()
    models = await handle.models()
    await handle.aclose()
    assert [(model.id, model.size, model.path) for model in models] == [
        (artifact["id"], artifact["size"], artifact["path"])
    ]
    download = await tracker.download(artifact["id"])
    assert download.note == "already on this hive"
    assert hub.sent == 0
    shutil.rmtree(folder)


# -- Origins with ways of their own ---------------------------------------------------------------


CONTENT = random.Random(7).randbytes(12 * MB)


async def test_a_signed_address_that_expires_is_asked_for_anew(tmp_path: Path) -> None:
    served = 0

    def reply(path: str, headers: dict[str, str]) -> bytes:
        nonlocal served
        signature = served // 3
        if path == "/f":
            return said("302 Found", Location=f"/cdn?sig={signature}")
        if path != f"/cdn?sig={signature}":
            return said("403 Forbidden")
        served += 1
        return ranged(CONTENT, headers, ETag='"1"')

    async with origin(reply) as url:
        assert await fetched(Remote(f"{url}/f"), tmp_path / "f", CONTENT) == ""


async def test_a_redirects_target_that_is_down_is_left(tmp_path: Path) -> None:
    asked: list[str] = []

    def reply(path: str, headers: dict[str, str]) -> bytes:
        asked.append(path)
        if path == "/f":
            return said("302 Found", Location="/bad" if asked.count("/f") == 1 else "/good")
        return said("503 Busy") if path == "/bad" else ranged(CONTENT, headers, ETag='"1"')

    async with origin(reply) as url:
        assert await fetched(Remote(f"{url}/f"), tmp_path / "f", CONTENT) == ""


async def test_the_environment_names_the_proxy_and_what_goes_past_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    def reply(path: str, headers: dict[str, str]) -> bytes:
        asked.append(path)
        return ranged(CONTENT, headers, ETag='"1"')

    async with origin(reply) as url:
        monkeypatch.setenv("http_proxy", url)
        monkeypatch.setenv("no_proxy", "127.0.0.1")
        assert await fetched(Remote("http://models.test/f"), tmp_path / "f", CONTENT) == ""
        assert set(asked) == {"http://models.test/f"}
        asked.clear()
        assert await fetched(Remote(f"{url}/f"), tmp_path / "f", CONTENT) == ""
        assert set(asked) == {"/f"}


async def test_an_outage_does_not_cost_the_connections(tmp_path: Path, hub: Hub) -> None:
    hub.cap = 3e6
    url = hub.add_file("f.gguf", size=100 * MB, seed=1)
    with Web(16) as web:
        transfer = Transfer(Remote(url), tmp_path / "f", web)
        running = asyncio.ensure_future(asyncio.to_thread(transfer.run))
        await until(lambda: transfer.connections == 16)
        hub.stop()
        await asyncio.sleep(1)
        hub.start()
        before = transfer.done
        await until(lambda: transfer.done > before, 5)
        await until(lambda: transfer.connections == 16, 2)
        await running


async def test_waiting_for_the_first_answer_keeps_no_core_busy(tmp_path: Path) -> None:
    def reply(_: str, headers: dict[str, str]) -> bytes:
        return b"" if kept else ranged(CONTENT, headers, ETag='"1"')[: 6 * MB]

    async def busy(least: int) -> float:
        """Run a transfer for a second; gives how much of it the process was at work."""
        transfer = Transfer(Remote(f"{url}/f"), tmp_path / "f", web)
        running = asyncio.ensure_future(asyncio.to_thread(transfer.run))
        await until(lambda: transfer.connections == 1 and transfer.done > least)
        before = time.process_time()
        await asyncio.sleep(1)
        worked = time.process_time() - before
        transfer.cancel()
        with pytest.raises(TransferError):
            await running
        kept.append(transfer.done)
        return worked

    kept = list[int]()
    async with origin(reply) as url:
        with Web(1) as web:
            await busy(4 * MB)
            assert await busy(0) < 0.3
    assert kept[0] == kept[1]


async def test_on_a_steady_line_hardly_a_byte_comes_twice(tmp_path: Path, hub: Hub) -> None:
    hub.cap = 3e6
    url = hub.add_file("f.gguf", size=40 * MB, seed=1)
    with Web(16) as web:
        await asyncio.to_thread(Transfer(Remote(url), tmp_path / "f", web).run)
    assert sum(request.sent for request in hub.requests) < 42 * MB


# -- Jobs on one folder ---------------------------------------------------------------------------


async def test_two_models_of_one_folder_are_not_one(hub: Hub, tracker: Tracker) -> None:
    hub.rate = 10e6
    hub.add("org/llama-7b", "f.gguf", size=10 * MB, seed=1)
    hub.add("org-llama/7b", "f.gguf", size=10 * MB, seed=2)
    first = tracker.download("org/llama-7b:f.gguf")
    await until(lambda: first.bytes_downloaded > MB)
    with pytest.raises(DownloadError, match="would take the folder of 'org/llama-7b:f"):
        await tracker.download("org-llama/7b:f.gguf")
    assert sha256((await first).path) == hub.sha256("org/llama-7b", "f.gguf")


async def test_a_cancel_is_for_its_own_job_alone(hive: HiveProcess, hub: Hub) -> None:
    hub.rate = 20e6
    hub.add("org/repo", "file.gguf", size=20 * MB)
    first, second = Tracker([hive.handle()]), Tracker([hive.handle()])
    for _ in range(5):
        one = first.download(MODEL)
        await until(lambda one=one: one.bytes_downloaded > 0)  # type: ignore[misc]
        one.cancel()
        other = second.download(MODEL)
        await ended(one)
        await until(lambda other=other: other.bytes_downloaded > 0)  # type: ignore[misc]
        other.cancel()
        await ended(other)
        assert (one.status, other.status) == (Status.CANCELLED, Status.CANCELLED)
    last = second.download(MODEL)
    assert sha256((await last).path) == hub.sha256("org/repo", "file.gguf")
    await asyncio.gather(first.aclose(), second.aclose())


async def test_a_file_that_changes_while_it_waits_is_asked_for_anew(
    hub: Hub, tracker: Tracker
) -> None:
    hub.add("org/repo", "file.gguf", size=8 * MB, seed=1)
    hub.rate = 8e6
    hub.fail(Stall(MB, seconds=1))
    download = tracker.download(MODEL)
    await until(lambda: download.bytes_downloaded > 0)
    hub.add("org/repo", "file.gguf", size=8 * MB, seed=2)
    assert sha256((await download).path) in (
        hub.sha256("org/repo", "file.gguf"),
        hashlib.sha256(Content(8 * MB, 1).read(0, 8 * MB)).hexdigest(),
    )
