"""Floods, crowds, a kernel that is kept busy and a laptop that slept: bounded, and nothing lost."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest

from rbee_widgets import Download, DownloadPanel, Hive, Tracker
from rbee_widgets.state import Status
from tests.faults.cases import fault
from tests.faults.conftest import Seen
from tests.support.downloads import ended, sha256, until
from tests.support.flood import flooding
from tests.support.hive import HiveProcess
from tests.support.hub import Hub
from tests.support.kernel import Kernel
from tests.support.page import looking

pytestmark = [pytest.mark.anyio, pytest.mark.alone]

MODEL = "org/repo:file.gguf"
MB = 1_000_000
LAG_S = 0.05
"""Seconds that the loop may be late in 99 of 100 cases."""


class Lag:
    """How late a loop is: looked at every 5 ms."""

    def __init__(self) -> None:
        self._late: list[float] = []

    async def watch(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            begin = loop.time()
            await asyncio.sleep(0.005)
            self._late.append(loop.time() - begin - 0.005)

    def percentile(self, share: float) -> float:
        """Give the lag in seconds that a share of the looks kept within."""
        return sorted(self._late)[int(share * (len(self._late) - 1))]


@asynccontextmanager
async def watched() -> AsyncIterator[Lag]:
    lag = Lag()
    watching = asyncio.create_task(lag.watch())
    try:
        yield lag
    finally:
        watching.cancel()
        await asyncio.wait({watching})


class Counted(DownloadPanel):
    """A panel that counts the messages to its front end."""

    def __init__(self, tracker: Tracker) -> None:
        self.messages = 0
        super().__init__(tracker)

    def send(self, content: Any, buffers: Any = None) -> None:
        self.messages += 1
        super().send(content, buffers)

    def send_state(self, key: Any = None) -> None:
        self.messages += 1
        super().send_state(key)


@fault(24, "a flood of narration", "loop late by less than 50 ms at p99, 10 messages/s, end exact")
@pytest.mark.parametrize(
    ("rate", "lines"),
    [
        pytest.param(10_000, 100_000, id="10 000 lines a second for 10 s"),
        pytest.param(0, 300_000, id="300 000 lines in one go"),
    ],
)
async def test_a_flood_is_borne(rate: int, lines: int, seen: Seen) -> None:
    process = psutil.Process()
    async with flooding(rate, lines) as url:
        tracker = Tracker([Hive(url)])
        panel = Counted(tracker)
        memory, cpu, begin = process.memory_info().rss, time.process_time(), time.monotonic()
        async with looking(panel), watched() as lag:
            download = tracker.download(MODEL)
            await download
        took = time.monotonic() - begin
        cpu = (time.process_time() - cpu) / took
        grown = (process.memory_info().rss - memory) / 2**20
        await tracker.aclose()
        panel.close()
    p99 = lag.percentile(0.99)
    seen(
        f"{lines / took:,.0f} lines/s, late by {p99 * 1000:.0f} ms at p99, "
        f"{panel.messages / took:.1f} messages/s, {cpu:.2f} of a core, {grown:+.0f} MiB"
    )
    assert download.status is Status.COMPLETE
    assert len(download.lines) == 1000
    assert download.lines[-1].text.startswith(f"   Compiling crate-{lines - 1} ")
    assert download.bytes_downloaded == download.total_size == lines * 1000
    assert panel.messages <= 10 * took + 5
    assert grown < 60  # the log keeps the newest 50 000 lines
    assert p99 < LAG_S or not rate  # flat out, both cores are full


@fault(24, "cancel in the middle of a flood", "cancelled once what is under way was read")
@pytest.mark.parametrize(
    ("rate", "limit"),
    [
        pytest.param(10_000, 1.0, id="10 000 lines a second"),
        pytest.param(0, 4.0, id="as fast as they are taken"),
    ],
)
async def test_a_flood_can_be_cancelled(rate: int, limit: float, seen: Seen) -> None:
    async with flooding(rate, 100_000_000) as url:
        tracker = Tracker([Hive(url)])
        download = tracker.download(MODEL)
        await until(lambda: len(download.lines) > 900)
        begin = time.monotonic()
        download.cancel()
        await ended(download)
        took = time.monotonic() - begin
        await tracker.aclose()
    assert download.status is Status.CANCELLED
    assert took < limit
    seen(f"cancelled after {took:.2f} s")


@fault(24, "200 downloads at once", "all arrive, none is mixed up, the loop stays free")
async def test_two_hundred_at_once_all_arrive(hub: Hub, tracker: Tracker, seen: Seen) -> None:
    process = psutil.Process()
    for i in range(200):
        hub.add("org/many", f"{i}.gguf", size=100_000 + i, seed=i)
    panel = Counted(tracker)
    memory, begin = process.memory_info().rss, time.monotonic()
    async with looking(panel), watched() as lag:
        downloads = [tracker.download(f"org/many:{i}.gguf") for i in range(200)]
        await asyncio.gather(*downloads)
    took = time.monotonic() - begin
    grown = (process.memory_info().rss - memory) / 2**20
    for i, download in enumerate(downloads):
        assert download.total_size == 100_000 + i
        assert sha256(download.path) == hub.sha256("org/many", f"{i}.gguf")
    assert len(panel.snapshot["rows"]) == 200
    await until(lambda: all(row["status"] == "complete" for row in panel.snapshot["rows"]))
    assert panel.messages <= 10 * took + 5
    panel.close()
    seen(
        f"200 right files in {took:.0f} s; late by {lag.percentile(0.5) * 1000:.0f} ms in the "
        f"median, {lag.percentile(0.99) * 1000:.0f} ms at p99, hub in the same process; "
        f"{panel.messages / took:.1f} messages/s, {grown:+.0f} MiB"
    )
    assert grown < 100


@pytest.mark.usefixtures("local_hives")
@pytest.mark.timeout(180)
@fault(24, "a cell keeps the kernel busy for a minute", "caught up within a second; nothing lost")
def test_a_busy_kernel_catches_up(tmp_path: Path, home: Path, hub: Hub, seen: Seen) -> None:
    hub.rate = 1.5e6
    hub.add("org/repo", "file.gguf", size=120 * MB, seed=4)
    partial = home / "cache/rbee/models/org-repo-file.gguf/model.gguf.part"
    with Kernel(tmp_path) as kernel:
        kernel.run(
            f"d = rbee.download('{MODEL}')\nsaid, sent = [], []\n"
            "end = d.owner.subscribe(lambda one, _: said.append(str(one.status)))\n"
            "class Panel(rbee.DownloadPanel):\n"
            "    def send(self, content, buffers=None): sent.append(content)\n"
            "p = Panel()\nimport asyncio, time\n"
            "def look(): p._on_message(p, {'kind': 'shown', 'page': 'a', 'seq': 0}, [])\n"
            "look()"
        )
        while not kernel.value("d.bytes_downloaded > 2_000_000"):
            time.sleep(0.1)
        kernel.run("said.clear()\ntime.sleep(60)", limit=90)
        kernel.run("look()\nawait asyncio.sleep(1)")
        told = kernel.value("[m for m in sent if 'rows' in m][-1]['rows'][0]['bytes_downloaded']")
        on_disk = partial.stat().st_blocks * 512
        assert set(kernel.value("said")) == {"downloading"}
        hub.rate = None
        path = json.loads(kernel.run("print(json.dumps((await d).path))"))
    assert told > 60 * MB
    assert abs(told - on_disk) < 12 * MB
    assert sha256(path) == hub.sha256("org/repo", "file.gguf")
    seen(
        f"{told / MB:.0f} MB told after a second, {on_disk / MB:.0f} MB on disk; never interrupted"
    )


@fault(21, "the monotonic clock jumps by an hour", "no figure is negative; the speed comes back")
async def test_a_laptop_that_slept_goes_on(hive: HiveProcess, hub: Hub, seen: Seen) -> None:
    hub.rate = 10e6
    hub.add("org/repo", "file.gguf", size=60 * MB, seed=6)
    slept = 0.0
    tracker = Tracker([hive.handle()], clock=lambda: time.monotonic() + slept)
    figures: list[float] = []

    def look(one: Download, _: object) -> None:
        figures.extend([one.speed or 0.0, one.eta or 0.0, one.stalled_for or 0.0])

    tracker.subscribe(look)
    download = tracker.download(MODEL)
    await until(lambda: download.eta is not None)
    before = download.speed or 0.0
    slept = 3600.0
    at = download.bytes_downloaded
    await until(lambda: download.bytes_downloaded > at + 30 * MB)
    after = download.speed or 0.0
    await download
    await tracker.aclose()
    assert min(figures) >= 0
    assert 0.3 < after / before < 3
    assert sha256(download.path) == hub.sha256("org/repo", "file.gguf")
    seen(f"{before / MB:.1f} MB/s before, {after / MB:.1f} MB/s 3 s after it")
