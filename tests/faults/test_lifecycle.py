"""Kernels, hives and trackers that end in the middle: nothing is lost, and it is told."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.faults.cases import fault
from tests.faults.conftest import Seen
from tests.support.downloads import sha256
from tests.support.hub import Hub
from tests.support.kernel import Kernel

pytestmark = pytest.mark.usefixtures("local_hives")

MODEL = "org/repo:file.gguf"
SIZE = 60_000_000
MB = 1_000_000


@pytest.fixture
def file(hub: Hub) -> None:
    """A file of 60 MB that comes at 15 MB/s."""
    hub.rate = 15e6
    hub.add("org/repo", "file.gguf", size=SIZE, seed=1)


@pytest.fixture
def kernel(tmp_path: Path) -> Iterator[Kernel]:
    with Kernel(tmp_path) as kernel:
        yield kernel


def until(condition: Callable[[], Any], limit: float = 20.0) -> None:
    end = time.monotonic() + limit
    while not condition():
        assert time.monotonic() < end, "it did not become so"
        time.sleep(0.05)


def has(kernel: Kernel, least: int) -> bool:
    """Whether so many bytes have arrived of the one download that a kernel knows."""
    arrived: int = kernel.value("rbee.downloads()[0].bytes_downloaded")
    return arrived >= least


def finish(kernel: Kernel) -> str:
    """Wait for the end of a kernel's one download; gives where the file is."""
    path: str = json.loads(kernel.run("print(json.dumps((await rbee.downloads()[0]).path))"))
    return path


def hive_pid(home: Path) -> int:
    (told,) = (home / "runtime").rglob("hive-*.json")
    pid: int = json.loads(told.read_text())["pid"]
    return pid


@pytest.mark.usefixtures("file")
@fault(35, "kernel killed in the middle", "the next kernel shows the download, moving")
@pytest.mark.parametrize("how", ["SIGKILL", "os._exit", "restart"])
def test_a_download_outlives_its_kernel(tmp_path: Path, hub: Hub, how: str, seen: Seen) -> None:
    with Kernel(tmp_path) as kernel:
        kernel.run(f"d = rbee.download('{MODEL}')")
        until(lambda: has(kernel, 5 * MB))
        before = kernel.value("[d.id, d.job_id]")
        match how:
            case "SIGKILL":
                kernel.kill()
            case "os._exit":
                kernel.send("import os; os._exit(1)")
                until(lambda: not psutil.pid_exists(kernel.pid) or is_dead(kernel.pid))
    begin = time.monotonic()
    with Kernel(tmp_path) as kernel:
        (row,) = kernel.rows()
        assert (row["id"], row["job_id"]) == tuple(before)
        until(lambda: kernel.rows()[0]["status"] == "downloading")
        at = kernel.rows()[0]["bytes_downloaded"]
        until(lambda: has(kernel, at + 2 * MB))
        took = time.monotonic() - begin
        path = finish(kernel)
        assert kernel.rows()[0]["status"] == "complete"
    assert sha256(path) == hub.sha256("org/repo", "file.gguf")
    assert hub.sent < SIZE + 2 * MB
    seen(f"moving {took:.1f} s after the next kernel's start, {hub.sent / SIZE:.2f} of it sent")


def is_dead(pid: int) -> bool:
    return bool(psutil.Process(pid).status() == psutil.STATUS_ZOMBIE)


@pytest.mark.usefixtures("file")
@fault(35, "kernel and hive both killed", "interrupted; Retry goes on from the partial file")
def test_what_ended_with_its_hive_is_interrupted_and_retry_goes_on(
    tmp_path: Path, home: Path, hub: Hub, seen: Seen
) -> None:
    with Kernel(tmp_path) as kernel:
        kernel.run(f"d = rbee.download('{MODEL}')")
        until(lambda: has(kernel, 40 * MB))
        kernel.kill()
        os.kill(hive_pid(home), signal.SIGKILL)
    with Kernel(tmp_path) as kernel:
        kernel.rows()
        until(lambda: "has ended" in str(kernel.rows()[0].get("error")))
        (row,) = kernel.rows()
        assert row["status"] == "interrupted"
        assert row["bytes_downloaded"] > 20 * MB
        before = hub.sent
        kernel.run("rbee.downloads()[0].retry()")
        path = finish(kernel)
    assert sha256(path) == hub.sha256("org/repo", "file.gguf")
    again = hub.sent - before - (SIZE - row["bytes_downloaded"])
    assert again < 16 * MB
    seen(f"interrupted at {row['percentage']:.0f} %, {max(0, again) / MB:.1f} MB fetched again")


@pytest.mark.usefixtures("file")
@fault(35, "the cell is run again in the next kernel", "the same row goes on, also without a hive")
def test_asking_again_takes_up_what_was_interrupted(
    tmp_path: Path, home: Path, hub: Hub, seen: Seen
) -> None:
    with Kernel(tmp_path) as kernel:
        kernel.run(f"%download {MODEL}")
        until(lambda: has(kernel, 25 * MB))
        kernel.kill()
        os.kill(hive_pid(home), signal.SIGKILL)
    with Kernel(tmp_path) as kernel:
        kernel.run(f"d = %download {MODEL}")
        path = json.loads(kernel.run("print(json.dumps((await d).path))"))
        assert len(kernel.rows()) == 1
        remark = kernel.rows()[0].get("remark")
    assert sha256(path) == hub.sha256("org/repo", "file.gguf")
    seen(f"complete in one row; it says: {remark}")


@pytest.mark.usefixtures("file")
@fault(19, "two kernels want one file", "one transfer, the same row in both")
def test_two_kernels_share_a_transfer_and_a_row(tmp_path: Path, hub: Hub, seen: Seen) -> None:
    with Kernel(tmp_path) as first, Kernel(tmp_path) as second:
        for kernel in (first, second):
            kernel.run(f"d = rbee.download('{MODEL}')")
        until(lambda: has(first, 5 * MB))
        rows = first.rows(), second.rows()
        assert [len(each) for each in rows] == [1, 1]
        assert rows[0][0]["id"] == rows[1][0]["id"]
        assert {finish(first), finish(second)} == {finish(first)}
        path = finish(first)
    assert sha256(path) == hub.sha256("org/repo", "file.gguf")
    assert hub.sent < SIZE + 2 * MB
    seen(f"one id in both, {hub.sent / SIZE:.2f} of the file sent")


@pytest.mark.usefixtures("file")
@fault(37, "cancelled in another kernel", "both rows say cancelled; either may retry")
def test_a_cancel_is_seen_in_the_other_kernel(tmp_path: Path, hub: Hub, seen: Seen) -> None:
    with Kernel(tmp_path) as first, Kernel(tmp_path) as second:
        first.run(f"d = rbee.download('{MODEL}')")
        until(lambda: has(first, 5 * MB))
        until(lambda: second.rows()[0]["status"] == "downloading")
        begin = time.monotonic()
        second.run("rbee.downloads()[0].cancel()")
        until(lambda: first.rows()[0]["status"] == "cancelled")
        took = time.monotonic() - begin
        assert second.rows()[0]["status"] == "cancelled"
        first.run("d.retry()")
        path = finish(first)
    assert sha256(path) == hub.sha256("org/repo", "file.gguf")
    seen(f"cancelled in both after {took:.1f} s, then complete")


@pytest.mark.usefixtures("file")
@fault(35, "hive killed in the middle", "the next hive is started and goes on, the row tells it")
def test_a_download_outlives_its_hive(kernel: Kernel, home: Path, hub: Hub, seen: Seen) -> None:
    kernel.run(f"d = rbee.download('{MODEL}')\nsaid = []")
    kernel.run("rbee_end = d.owner.subscribe(lambda one, _: said.append(str(one.status)))")
    until(lambda: has(kernel, 25 * MB))
    hive = hive_pid(home)
    os.kill(hive, signal.SIGKILL)
    begin, at = time.monotonic(), hub.sent
    until(lambda: kernel.rows()[0].get("remark"))
    until(lambda: kernel.rows()[0]["status"] == "downloading")
    took = time.monotonic() - begin
    path = finish(kernel)
    assert hive_pid(home) != hive
    assert "interrupted" in kernel.value("said")
    (row,) = kernel.rows()
    assert sha256(path) == hub.sha256("org/repo", "file.gguf")
    again = hub.sent - SIZE
    assert again < 16 * MB
    assert at < SIZE
    seen(f"goes on after {took:.1f} s, {again / MB:.1f} MB fetched again; {row['remark']}")


@fault(35, "hive killed again and again", "each time the next one goes on; the file is right")
def test_hives_that_keep_dying_are_outlived(
    kernel: Kernel, home: Path, hub: Hub, seen: Seen
) -> None:
    hub.rate = 20e6
    hub.add("org/repo", "file.gguf", size=100 * MB, seed=2)
    kernel.run(f"d = rbee.download('{MODEL}')")
    hives = set()
    for percent in (15, 30, 45, 60):
        until(lambda: has(kernel, percent * MB))  # noqa: B023 (called at once)
        hives.add(hive_pid(home))
        os.kill(hive_pid(home), signal.SIGKILL)
    path = finish(kernel)
    assert len(hives) == 4
    assert sha256(path) == hub.sha256("org/repo", "file.gguf")
    assert hub.sent < 100 * MB + 4 * 16 * MB
    seen(f"right after 4 kills, {hub.sent / 1e8:.2f} of the file sent")


@fault(35, "hive killed under five downloads", "one next hive, and all five go on")
def test_one_hive_is_started_for_all_that_lost_theirs(
    kernel: Kernel, home: Path, hub: Hub, seen: Seen
) -> None:
    hub.rate = 20e6
    for i in range(5):
        hub.add("org/many", f"{i}.gguf", size=10 * MB, seed=i)
    kernel.run("ds = [rbee.download(f'org/many:{i}.gguf') for i in range(5)]")
    until(lambda: kernel.value("sum(d.bytes_downloaded for d in ds)") > 10 * MB)
    os.kill(hive_pid(home), signal.SIGKILL)
    paths = json.loads(kernel.run("print(json.dumps([(await d).path for d in ds]))"))
    for i, path in enumerate(paths):
        assert sha256(path) == hub.sha256("org/many", f"{i}.gguf")
    log = (home / "state" / "rbee_widgets" / "log" / "hive.log").read_text()
    hives = log.count("listening on")
    assert hives == 2
    seen(f"{hives} hives in all, five right files")


@pytest.mark.usefixtures("file")
@fault(35, "cell interrupted while it awaits", "the cell ends, the download goes on")
def test_an_interrupted_cell_ends_no_download(
    kernel: Kernel, tmp_path: Path, hub: Hub, seen: Seen
) -> None:
    kernel.run(f"d = rbee.download('{MODEL}')")
    until(lambda: has(kernel, 5 * MB))
    awaits = kernel.send("open('begun', 'w').close()\nawait d")
    until((tmp_path / "begun").exists)
    kernel.interrupt()
    assert kernel.reply(awaits) == "error"
    at = kernel.value("d.bytes_downloaded")
    status = kernel.value("str(d.status)")
    assert (status, at < SIZE) == ("downloading", True)
    path = finish(kernel)
    assert sha256(path) == hub.sha256("org/repo", "file.gguf")
    seen(f"at {at / SIZE:.0%} when the cell ended, then complete")


@fault(35, "a kernel's child by fork", "it leaves its parent's downloads alone")
def test_a_fork_leaves_the_parents_downloads_alone(kernel: Kernel, hub: Hub, seen: Seen) -> None:
    hub.rate = 15e6
    hub.add("org/repo", "file.gguf", size=30 * MB)
    kernel.run(f"d = rbee.download('{MODEL}')")
    until(lambda: has(kernel, 5 * MB))
    kernel.run(
        "import multiprocessing\n"
        "child = multiprocessing.get_context('fork').Process(target=print)\n"
        "child.start(); child.join(10)"
    )
    assert kernel.value("child.exitcode") == 0
    path = finish(kernel)
    assert sha256(path) == hub.sha256("org/repo", "file.gguf")
    seen("complete")
