"""This user's own hive: started once, found again, and nobody else's."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from rbee_widgets import Hive, Tracker
from rbee_widgets.hive import launch
from tests.support.hub import Hub

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("local_hives")]

ENSURE = "from rbee_widgets.hive import launch; a = launch.ensure(); print(a.pid, a.url)"


async def test_it_is_started_on_first_use_and_fetches(home: Path, hub: Hub) -> None:
    hub.add("org/repo", "file.gguf", size=100_000)
    tracker = Tracker([Hive.local()])
    download = await tracker.download("org/repo:file.gguf")
    await tracker.aclose()
    # Where a real hive of this machine keeps its models.
    assert download.path == str(home / "cache/rbee/models/org-repo-file.gguf/model.gguf")
    assert download.hive == "local"


async def test_it_is_one_however_many_ask_for_it() -> None:
    begin = time.monotonic()
    commands = [
        await asyncio.create_subprocess_exec(
            sys.executable, "-c", ENSURE, stdout=asyncio.subprocess.PIPE
        )
        for _ in range(4)
    ]
    told = {(await command.communicate())[0] for command in commands}
    print(f"four of them in {time.monotonic() - begin:.1f} s")
    assert len(told) == 1
    assert Hive.local().url in told.pop().decode()


async def test_many_downloads_may_be_its_first(hub: Hub) -> None:
    tracker = Tracker([Hive.local()])
    downloads = []
    for i in range(6):
        hub.add("org/repo", f"{i}.gguf", size=100_000, seed=i)
        downloads.append(tracker.download(f"org/repo:{i}.gguf"))
    for download in downloads:
        assert (await download).status == "complete"
    await tracker.aclose()


async def test_another_token_is_another_hive(monkeypatch: pytest.MonkeyPatch) -> None:
    first = launch.ensure()
    monkeypatch.setenv("HF_TOKEN", "hf_new")
    assert launch.ensure().pid != first.pid


async def test_it_outlives_who_started_it() -> None:
    told = subprocess.run(
        [sys.executable, "-c", ENSURE], capture_output=True, text=True, check=True
    ).stdout
    pid = int(told.split()[0])
    assert psutil.pid_exists(pid)
    assert launch.ensure().pid == pid


async def test_one_that_died_is_replaced(hub: Hub) -> None:
    hub.add("org/repo", "file.gguf", size=1000)
    first = launch.ensure()
    os.kill(first.pid, signal.SIGKILL)
    psutil.wait_procs([psutil.Process(first.pid)], timeout=5)
    tracker = Tracker([Hive.local()])
    await tracker.download("org/repo:file.gguf")
    await tracker.aclose()
    assert launch.ensure().pid != first.pid


async def test_another_hub_is_another_hive(monkeypatch: pytest.MonkeyPatch) -> None:
    first = launch.ensure()
    with Hub() as other:
        monkeypatch.setenv("HF_ENDPOINT", other.url)
        assert launch.ensure().pid != first.pid


async def test_why_it_does_not_start_is_told(home: Path) -> None:
    (home / "runtime").chmod(0o700)
    (home / "runtime" / "rbee_widgets").write_text("in the way")
    tracker = Tracker([Hive.local()])
    download = tracker.download("org/repo:file.gguf")
    with pytest.raises(Exception, match="the local hive did not start"):
        await download
    await tracker.aclose()
