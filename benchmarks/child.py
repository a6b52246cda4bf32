"""Processes that the benchmarks start: measured ones, and servers. None outlives its caller."""

from __future__ import annotations

import os
import re
import select
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final

from benchmarks.telling import Span, told

ROOT: Final = Path(__file__).resolve().parents[1]
START_S: Final = 20.0
END_S: Final = 10.0
LOOK_S: Final = 0.02
_READY: Final = "listening on "
_KIB: Final = 1024


class ChildError(Exception):
    """Raised when a child fails, or is late."""


@dataclass(frozen=True, slots=True)
class Cost:
    """What a process took: seconds, and bytes at its peak.

    `transfer`: the part that the child timed itself; of a tool in C, the whole process.
    `memory` is the peak up to `LOOK_S` before the end: the kernel's figure for the whole life
    begins with what this process has.
    """

    process: Span
    transfer: Span
    memory: int


def environment(home: Path, **more: str) -> dict[str, str]:
    """Give a child nothing of this user's settings, such as proxies and tokens."""
    return {
        "PATH": os.environ.get("PATH", os.defpath),
        "LC_ALL": "C.UTF-8",
        "HOME": str(home),
        "no_proxy": "*",
        **more,
    }


def run(command: Sequence[str], environ: Mapping[str, str], timeout: float) -> Cost:
    """Run a command to its end and tell what it cost.

    Raises
    ------
    ChildError
        It failed, or was still at work after `timeout` seconds.

    """
    with _output() as output:
        begun = time.perf_counter()
        with _started(command, environ, output) as child:
            peak = _watch(child, begun + timeout)
            wall = time.perf_counter() - begun
            if peak is None:
                raise ChildError(f"not done after {timeout:.0f} s")
            _, status, usage = os.wait4(child.pid, 0)
            child.returncode = os.waitstatus_to_exitcode(status)
        text = _text(output)
    if child.returncode != 0:
        raise ChildError(f"exit status {child.returncode}: {_last_line(text)}")
    process = Span(wall, usage.ru_utime + usage.ru_stime)
    return Cost(process, told(text) or process, peak)


@dataclass(frozen=True, slots=True)
class Server:
    """A process that answers at `url`, an origin without a slash at its end."""

    pid: int
    url: str

    @property
    def port(self) -> int:
        """Its port on loopback."""
        return int(self.url.rpartition(":")[2])


@contextmanager
def serving(command: Sequence[str], environ: Mapping[str, str]) -> Iterator[Server]:
    """Start a server that says where it listens, and end it after the body."""
    with _output() as output, _started(command, environ, output) as child:

        def address() -> str | None:
            line, has_ended, _ = _text(output).partition("\n")
            return line.removeprefix(_READY) if has_ended and line.startswith(_READY) else None

        yield Server(child.pid, wait_for(address, child, lambda: _text(output)))


@contextmanager
def running(command: Sequence[str], environ: Mapping[str, str]) -> Iterator[subprocess.Popen[str]]:
    """Start a server that says nothing, and end it after the body."""
    with _output() as output, _started(command, environ, output) as child:
        yield child


def wait_for(
    ready: Callable[[], str | None], child: subprocess.Popen[str], said: Callable[[], str]
) -> str:
    """Wait until a server is ready, and give what `ready` gave.

    Raises
    ------
    ChildError
        It ended, or was not ready in time.

    """
    deadline = time.monotonic() + START_S
    while (answer := ready()) is None:
        if child.poll() is not None or time.monotonic() > deadline:
            raise ChildError(f"{child.args!r} does not start: {_last_line(said())}")
        time.sleep(LOOK_S)
    return answer


@contextmanager
def _started(
    command: Sequence[str], environ: Mapping[str, str], output: IO[str]
) -> Iterator[subprocess.Popen[str]]:
    child = subprocess.Popen(
        command,
        cwd=ROOT,
        env=environ,
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=output,
        text=True,
    )
    try:
        yield child
    finally:
        if child.returncode is None:
            child.terminate()
            try:
                child.wait(END_S)
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()


def _watch(child: subprocess.Popen[str], deadline: float) -> int | None:
    """Wait, and give the most memory seen, in bytes; None: it is still at work at the deadline.

    The exit status is left to be taken, as it carries the costs.
    """
    peak = 0
    handle = os.pidfd_open(child.pid)
    try:
        while time.perf_counter() < deadline:
            peak = max(peak, _peak(child.pid))
            ended, _, _ = select.select([handle], [], [], LOOK_S)
            if ended:
                return peak
    finally:
        os.close(handle)
    return None


def _peak(pid: int) -> int:
    """Give a process's peak of resident memory, in bytes; 0: it has ended."""
    found = re.search(r"^VmHWM:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE)
    return int(found[1]) * _KIB if found else 0


def _output() -> IO[str]:
    """Make a file for what a child says; it appends, wherever its reader has got to."""
    return tempfile.TemporaryFile("a+")


def _text(output: IO[str]) -> str:
    output.seek(0)
    return output.read()


def _last_line(text: str) -> str:
    lines = text.strip().splitlines()
    return lines[-1][:200] if lines else "it said nothing"
