"""The engines that are compared: how each is told what to fetch, and where it puts it."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Final

from benchmarks.origin import COMMIT, REPO, File

CONNECTIONS: Final = 8
"""How many of them at a time, wherever an engine can have several."""

_TOOLS: Final = ("nginx", "aria2c", "curl", "wget")


@dataclass(frozen=True, slots=True)
class Task:
    """What an engine is given: all files of one origin, into an empty folder.

    `origin`: its URL; `connections`: of our engine, the others have `CONNECTIONS` where they can;
    `breaks_off`: the origin resets connections, so engines are told to go on.
    """

    origin: str
    files: tuple[File, ...]
    folder: Path
    connections: int
    breaks_off: bool = False

    def url(self, file: File) -> str:
        """Where a file is."""
        return self.origin + file.path


@dataclass(frozen=True, slots=True)
class Engine:
    """One way to fetch; `place`: where a file has arrived, below the task's folder."""

    name: str
    command: Callable[[Task], list[str]]
    place: Callable[[File], Path]

    def arrival(self, task: Task, file: File) -> Path:
        """Tell where a file has arrived."""
        return task.folder / self.place(file)


def _plain(file: File) -> Path:
    return Path(file.name)


def _cached(file: File) -> Path:
    """Where huggingface_hub's cache has a file."""
    return Path("cache", f"models--{REPO.replace('/', '--')}", "snapshots", COMMIT, file.name)


def _python(module: str, *arguments: str) -> list[str]:
    return [sys.executable, "-m", f"benchmarks.{module}", *arguments]


def _written(task: Task, text: str) -> str:
    path = task.folder / "list"
    path.write_text(text)
    return str(path)


# -- One file -------------------------------------------------------------------------------------


def _ours(task: Task) -> list[str]:
    (file,) = task.files
    return _python(
        "fetch",
        *(task.url(file), str(task.folder / file.name)),
        *("--sha256", file.sha256, "--connections", str(task.connections)),
    )


def _curl(task: Task) -> list[str]:
    (file,) = task.files
    # curl doubles its pause each time: a second each time is kinder.
    stubborn = ("--retry", "20", "--retry-all-errors", "--retry-delay", "1", "-C", "-")
    return [
        *("curl", "-q", "-sS", "-f", *(stubborn if task.breaks_off else ())),
        *("-o", str(task.folder / file.name), task.url(file)),
    ]


def _wget(task: Task) -> list[str]:
    (file,) = task.files
    # wget pauses a second longer each time, up to ten: a second each time is kinder.
    stubborn = ("-c", "-t", "0", "--waitretry", "1")
    return [
        *("wget", "--no-config", "-q", *(stubborn if task.breaks_off else ())),
        *("-O", str(task.folder / file.name), task.url(file)),
    ]


def _aria2(connections: int) -> Callable[[Task], list[str]]:
    def command(task: Task) -> list[str]:
        (file,) = task.files
        return [
            *("aria2c", "--no-conf", "-q", f"-x{connections}", f"-s{connections}"),
            *(("-m", "0") if task.breaks_off else ()),
            *("-d", str(task.folder), "-o", file.name, task.url(file)),
        ]

    return command


def _hub(task: Task) -> list[str]:
    names = (file.name for file in task.files)
    cache = str(task.folder / "cache")
    return _python("hub_fetch", REPO, cache, *names, "--threads", str(CONNECTIONS))


# -- Many files -----------------------------------------------------------------------------------


def _ours_many(task: Task) -> list[str]:
    lines = (f"{task.url(file)}\t{task.folder / file.name}\t{file.sha256}" for file in task.files)
    listed = _written(task, "\n".join(lines))
    return _python("fetch", "--list", listed, "--connections", str(task.connections))


def _curl_many(task: Task) -> list[str]:
    lines = (
        f'url = "{task.url(file)}"\noutput = "{task.folder / file.name}"' for file in task.files
    )
    parallel = ("-Z", "--parallel-max", str(CONNECTIONS))
    return ["curl", "-q", "-sS", "-f", *parallel, "-K", _written(task, "\n".join(lines))]


def _aria2_many(task: Task) -> list[str]:
    lines = (f"{task.url(file)}\n out={file.name}" for file in task.files)
    listed = _written(task, "\n".join(lines))
    return [
        *("aria2c", "--no-conf", "-q", f"-j{CONNECTIONS}"),
        *("-d", str(task.folder), "-i", listed),
    ]


OURS: Final = "rbee_widgets"
HUB: Final = "hf_hub_download"
ARIA2_ONE: Final = "aria2c -x1"
ARIA2_MANY: Final = f"aria2c -x{CONNECTIONS}"
ARIA2_FILES: Final = f"aria2c -j{CONNECTIONS}"

FOR_ONE: Final = (
    Engine(OURS, _ours, _plain),
    Engine("curl", _curl, _plain),
    Engine("wget", _wget, _plain),
    Engine(ARIA2_ONE, _aria2(1), _plain),
    Engine(ARIA2_MANY, _aria2(CONNECTIONS), _plain),
    Engine(HUB, _hub, _cached),
)
FOR_MANY: Final = (
    Engine(OURS, _ours_many, _plain),
    Engine("curl -Z", _curl_many, _plain),
    Engine(ARIA2_FILES, _aria2_many, _plain),
    Engine(HUB, _hub, _cached),
)


def versions() -> str:
    """Tell the versions of all that takes part."""
    found = [f"{tool} {_tool_version(tool)}" for tool in _TOOLS]
    try:
        found.append(f"huggingface_hub {version('huggingface_hub')}")
    except PackageNotFoundError:
        found.append("huggingface_hub missing")
    return ", ".join(found)


def _tool_version(tool: str) -> str:
    path = shutil.which(tool) or shutil.which(tool, path="/usr/sbin")
    if path is None:
        return "missing"
    asked = [path, "-v" if tool == "nginx" else "--version"]
    answer = subprocess.run(asked, capture_output=True, text=True, check=False, timeout=10)
    number = re.search(r"\d+(\.\d+)+", answer.stdout + answer.stderr)
    return number[0] if number else "unknown"
