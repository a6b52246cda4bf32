"""The shell form: `python -m rbee_widgets download`."""

from __future__ import annotations

import asyncio
import os
import pty
import re
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from tests.support.hive import TOKEN, HiveProcess
from tests.support.hub import Flip, Hub
from tests.support.replay import Read, ReplayHive, transcript

pytestmark = pytest.mark.anyio

COMMAND = [sys.executable, "-m", "rbee_widgets", "download"]


def run(*arguments: str, hive: HiveProcess | None = None) -> subprocess.CompletedProcess[str]:
    to = [] if hive is None else ["--hive", hive.url]
    return subprocess.run(
        [*COMMAND, *arguments, *to],
        capture_output=True,
        text=True,
        timeout=60,
        env={**os.environ, "RBEE_HIVE_TOKEN": TOKEN},
        check=False,
    )


def test_success_is_a_file_that_is_there(hive: HiveProcess, hub: Hub) -> None:
    hub.add("org/repo", "file.gguf", size=3_000_000)
    done = run("org/repo:file.gguf", hive=hive)
    assert done.returncode == 0, done.stderr
    assert Path(done.stdout.strip()).stat().st_size == 3_000_000
    assert "complete" in done.stderr.splitlines()[-1]
    again = run("org/repo:file.gguf", hive=hive)
    assert (again.returncode, again.stdout) == (0, done.stdout)


@pytest.mark.parametrize(
    ("model", "reason"),
    [
        ("tinyllama", "not supported"),
        ("org/none:x.gguf", "404"),
        ("", "expected a model"),
        ("rbee://marketplace", "expected a link"),
        ("org/repo:bad.gguf", "sha256 mismatch"),
    ],
)
def test_failure_is_one_clear_line(hive: HiveProcess, hub: Hub, model: str, reason: str) -> None:
    hub.add("org/repo", "bad.gguf", size=1000)
    hub.fail(Flip(500), times=2)
    done = run(model, hive=hive)
    assert done.returncode == 1
    assert done.stdout == ""
    assert reason in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr


def test_a_hive_that_is_down_or_no_hive_is_told() -> None:
    for url, reason in (
        ("http://127.0.0.1:9", "no rbee hive answers"),
        ("nonsense", "give its URL"),
    ):
        done = run("org/repo:file.gguf", "--hive", url)
        assert done.returncode == 1
        assert reason in done.stderr.splitlines()[-1]
        assert "Traceback" not in done.stderr


def test_a_reader_that_leaves_early_changes_nothing(hive: HiveProcess, hub: Hub) -> None:
    hub.rate = 5e6
    hub.add("org/repo", "file.gguf", size=5_000_000)
    line = " ".join([*COMMAND, "org/repo:file.gguf", "--hive", hive.url])
    done = subprocess.run(
        ["/bin/bash", "-o", "pipefail", "-c", f"{line} 2>&1 >/dev/null | head -1"],
        capture_output=True,
        timeout=30,
        env={**os.environ, "RBEE_HIVE_TOKEN": TOKEN},
        check=False,
    )
    assert done.returncode == 0
    assert done.stdout.count(b"\n") == 1


async def test_a_worker_is_installed_from_a_shell() -> None:
    async with ReplayHive(transcript("worker_install")) as hive:
        command = [*COMMAND, "rbee://worker/tiny-worker-rbee-cpu", "--hive", hive.url]
        process = await asyncio.create_subprocess_exec(*command, stderr=asyncio.subprocess.PIPE)
        _, err = await process.communicate()
    assert process.returncode == 0, err


async def test_a_hostile_path_reaches_no_terminal() -> None:
    script = transcript("download_small")
    listed = transcript("model_list_three")
    hostile = replace(
        listed,
        records=tuple(
            replace(record, body=record.body.replace(b'"/home/user', b'"/\\u001b[2J'))
            if isinstance(record, Read)
            else record
            for record in listed.records
        ),
    )
    async with ReplayHive(script, catalog=hostile) as hive:
        command = [*COMMAND, "org/tiny:other.gguf", "--hive", hive.url]
        process = await asyncio.create_subprocess_exec(
            *command, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
        )
        out, err = await process.communicate()
    assert process.returncode == 1
    assert b"\x1b[2J" not in out + err


def test_ctrl_c_cancels_the_job(hive: HiveProcess, hub: Hub) -> None:
    hub.rate = 5e6
    hub.add("org/repo", "file.gguf", size=100_000_000)
    with subprocess.Popen(
        [*COMMAND, "org/repo:file.gguf", "--hive", hive.url],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "RBEE_HIVE_TOKEN": TOKEN},
    ) as process:
        while not hub.open_transfers:
            time.sleep(0.01)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=10)
    assert process.returncode == 130
    assert (out, "Traceback" in err) == ("", False)
    assert "cancelled" in err.splitlines()[-1]
    with hive.http() as http:
        assert http.get("/v1/jobs").json()["jobs"][0]["state"] == "cancelled"
    assert hub.open_transfers == 0


def test_a_terminal_sees_one_line_that_moves(hive: HiveProcess, hub: Hub) -> None:
    hub.rate = 10e6
    hub.add("org/repo", "file.gguf", size=20_000_000)
    master, slave = pty.openpty()
    with subprocess.Popen(
        [*COMMAND, "org/repo:file.gguf", "--hive", hive.url],
        stdout=subprocess.DEVNULL,
        stderr=slave,
        env={**os.environ, "RBEE_HIVE_TOKEN": TOKEN, "COLUMNS": "120"},
    ) as process:
        os.close(slave)
        seen = b""
        while True:
            try:
                data = os.read(master, 4096)
            except OSError:  # the other end is closed
                break
            if not data:
                break
            seen += data
        assert process.wait(10) == 0
    os.close(master)
    text = seen.decode()
    percents = [float(figure) for figure in re.findall(r"(\d+\.\d)%", text)]
    assert len(percents) >= 8
    assert percents == sorted(percents)
    assert "MB/s" in text
    assert text.count("\n") == 1
