"""Start this user's embedded hive, or find it running.

A running hive tells its address and token in a file that only this user can read. There is one
hive for each place that models go to and each hub that they come from: normally one in all.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import subprocess
import sys
import time
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Final

import filelock
import httpx
import platformdirs
import psutil
from pydantic import BaseModel, ValidationError

from rbee_widgets.hive.settings import Settings

START_TIMEOUT_S: Final = 30.0
"""Seconds that a hive may take to answer for the first time; a cold disk takes five."""

PROBE_TIMEOUT_S: Final = 3.0
LOG_TAIL: Final = 500
"""Characters of a failed hive's log that its error repeats."""

# Neither a link nor a pipe that somebody has put in the place is followed or waited for.
_READ: Final = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)

_started: Final[list[subprocess.Popen[bytes]]] = []
"""Hives that this process started: kept so that their ends are noticed."""


class LaunchError(Exception):
    """Raised when the hive ends before it answers, or does not answer in time."""


class Address(BaseModel):
    """Where a hive listens; the token opens it to this user alone."""

    url: str
    token: str | None
    pid: int

    def __repr__(self) -> str:
        return f"Address({self.url!r}, pid={self.pid})"


def ensure() -> Address:
    """Give the address of this user's hive, having started it where none runs. Blocks.

    Raises
    ------
    LaunchError
        It ended before it answered, did not answer in time, or has no place of its own.

    """
    place = address_file(Settings.from_environ())
    try:
        address = _running(place)
        if address is None:
            _private(place.parent)
            with filelock.FileLock(place.with_suffix(".lock"), timeout=START_TIMEOUT_S):
                address = _running(place) or _start(place)
    except OSError as error:
        raise LaunchError(str(error)) from error
    return address


def running() -> Address | None:
    """Give the address of this user's hive if it runs. Blocks."""
    return _running(address_file(Settings.from_environ()))


def address_file(settings: Settings) -> Path:
    """Tell where a hive of these settings tells its address."""
    # A hub's token in the environment is the hive's for life, so another one is another hive.
    told = settings.model_dump_json() + os.environ.get("HF_TOKEN", "")
    digest = hashlib.sha256(told.encode()).hexdigest()[:12]
    with warnings.catch_warnings():
        # A session without a runtime folder is no news to the user; another place serves.
        warnings.simplefilter("ignore")
        folder = platformdirs.user_runtime_path("rbee_widgets")
    return folder / f"hive-{digest}.json"


@contextlib.contextmanager
def announced(place: Path, address: Address) -> Iterator[None]:
    """Tell an address for as long as the hive runs; the file appears whole, and for us alone."""
    _private(place.parent)
    draft = place.with_suffix(f".{address.pid}")
    draft.unlink(missing_ok=True)
    with open(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:  # noqa: PTH123
        file.write(address.model_dump_json())
    draft.replace(place)
    try:
        yield
    finally:
        told = _read(place)
        if told is not None and told.pid == address.pid:
            place.unlink(missing_ok=True)


def _private(folder: Path) -> None:
    """Make a folder that only this user can enter; what is missing above it, likewise.

    One that others could enter is closed to them.

    Raises
    ------
    LaunchError
        It is a link, or another user's.

    """
    if not folder.parent.exists():
        _private(folder.parent)
    folder.mkdir(mode=0o700, exist_ok=True)
    if folder.is_symlink() or not _is_mine(folder.lstat()):
        raise LaunchError(f"{folder} is a link or another user's; remove it and try again")
    folder.chmod(0o700)


def _is_mine(entry: os.stat_result) -> bool:
    """Whether a file or a folder is this user's; so is any where a platform tells no owners."""
    return not hasattr(os, "geteuid") or entry.st_uid == os.geteuid()


def _read(place: Path) -> Address | None:
    """Read an address that this user's hive has told; what others have put there is none."""
    try:
        with open(os.open(place, _READ), "rb") as file:  # noqa: PTH123
            mine = _is_mine(os.fstat(file.fileno()))
            return Address.model_validate_json(file.read()) if mine else None
    except (OSError, ValidationError):
        return None


def _lives(pid: int) -> bool:
    """Whether a process of this user has this id."""
    try:
        return bool(psutil.Process(pid).username() == psutil.Process().username())
    except psutil.Error:
        return False


def _running(place: Path) -> Address | None:
    address = _read(place)
    if address is None or not _lives(address.pid):
        return None
    headers = {"Authorization": f"Bearer {address.token}"}
    try:
        answer = httpx.get(
            f"{address.url}/v1/capabilities",
            headers=headers,
            timeout=PROBE_TIMEOUT_S,
            trust_env=False,
        )
    except httpx.ReadTimeout:  # busy; a second one beside it would be worse
        return address
    except httpx.HTTPError:
        return None
    return address if answer.status_code == 200 else None


def _start(place: Path) -> Address:
    log = platformdirs.user_log_path("rbee_widgets") / "hive.log"
    _private(log.parent)
    with log.open("ab") as sink:
        begin = sink.tell()
        process = subprocess.Popen(
            [sys.executable, "-m", "rbee_widgets", "hive", "--detached"],
            stdin=subprocess.DEVNULL,
            stdout=sink,
            stderr=sink,
            start_new_session=True,  # outlives the kernel, and its interrupts
            cwd=log.parent,
        )
    _started[:] = [hive for hive in _started if hive.poll() is None]
    _started.append(process)
    return _await_answer(process, place, log, begin)


def _await_answer(process: subprocess.Popen[bytes], place: Path, log: Path, begin: int) -> Address:
    deadline = time.monotonic() + START_TIMEOUT_S
    while time.monotonic() < deadline:
        address = _running(place)
        if address is not None:
            return address
        if process.poll() is not None:
            with log.open("rb") as written:
                raise LaunchError(_tail(written, begin))
        time.sleep(0.02)
    process.kill()
    process.wait()
    raise LaunchError(f"no answer within {START_TIMEOUT_S:.0f} s; its log is {log}")


def _tail(log: IO[bytes], begin: int) -> str:
    log.seek(begin)
    text = log.read().decode(errors="replace").strip()
    return text[-LOG_TAIL:] or f"it ended at once; its log is {log.name}"
