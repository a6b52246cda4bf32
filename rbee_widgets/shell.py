"""Downloads in a terminal: a live line, and `python -m rbee_widgets download`."""

from __future__ import annotations

import asyncio
import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final, TextIO

from rbee_widgets.attempt import Change
from rbee_widgets.client import Hive
from rbee_widgets.errors import DownloadError
from rbee_widgets.handle import Download
from rbee_widgets.state import Status
from rbee_widgets.text import printable, progress_line
from rbee_widgets.tracker import Tracker

FAILED: Final = 1
INTERRUPTED: Final = 130
"""What a shell expects of a command that Ctrl-C ended."""

PLAIN_STEP: Final = 10.0
"""Percent between two lines where the output is no terminal."""


def show(download: Download, tracker: Tracker, out: TextIO = sys.stderr) -> None:
    """Print a download's progress as it comes, to its end."""
    printer = _Printer(out)

    def changed(other: Download, _: Change) -> None:
        if other is download:
            printer.show(download)
            if not download.status.is_active:
                unsubscribe()

    unsubscribe: Callable[[], None] = tracker.subscribe(changed)


class _Printer:
    """One line of a terminal that is written again and again; elsewhere a line now and then."""

    def __init__(self, out: TextIO) -> None:
        self._out = out
        self._live = out.isatty()
        self._told: tuple[Status, float] | None = None
        self._text = ""

    def show(self, download: Download) -> None:
        ended = not download.status.is_active
        if not self._live and not self._is_news(download):
            return
        text = progress_line(download)
        if text == self._text:
            return
        self._text = text
        if not self._live:
            print(text, file=self._out, flush=True)
            return
        if not ended:
            text = text[: shutil.get_terminal_size().columns - 1]
        print(f"\r\x1b[K{text}", end="\n" if ended else "", file=self._out, flush=True)

    def _is_news(self, download: Download) -> bool:
        percentage = download.percentage or 0.0
        if self._told is not None:
            status, told = self._told
            if status is download.status and percentage - told < PLAIN_STEP:
                return False
        self._told = download.status, percentage
        return True


def download(model: str, hive_url: str | None) -> int:
    """Fetch a model and wait for it; gives the exit status.

    0 only when the file is there, whole; 1 with one line of reason; 130 after Ctrl-C, the job
    having been cancelled.
    """
    return asyncio.run(_download(model, hive_url))


async def _download(model: str, hive_url: str | None) -> int:
    try:
        hive = hive_url and Hive(hive_url, token=os.environ.get("RBEE_HIVE_TOKEN"))
        tracker = Tracker([hive] if hive else [])
        fetched = tracker.download(model)
    except ValueError as error:
        return _say(str(error))
    try:
        show(fetched, tracker)
        await fetched
        return _whole(fetched)
    except DownloadError:
        return FAILED  # its line was printed
    except asyncio.CancelledError:
        # Ctrl-C: the hive would go on, so it is told, and its word waited for.
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 (a coroutine runs in one)
        task.uncancel()
        fetched.cancel()
        try:
            await fetched
        except DownloadError:
            return INTERRUPTED
        return _whole(fetched)
    finally:
        await tracker.aclose()


def _whole(fetched: Download) -> int:
    """See for ourselves where the file is on this machine; another hive's catalog is believed."""
    local = fetched.attempt.hive is not None and fetched.attempt.hive.is_local
    if fetched.path is None:
        return _say(f"{fetched.name} is complete, says the hive, but not in its catalog")
    if local and not _is_whole(Path(fetched.path), fetched.total_size):
        return _say(f"{fetched.name} is complete, says the hive, but not whole at {fetched.path}")
    print(fetched.path)  # noqa: T201 (what a script wants to read)
    return 0


def _is_whole(path: Path, size: int | None) -> bool:
    return path.is_file() and size in (None, path.stat().st_size)


def _say(reason: str) -> int:
    print(printable(reason), file=sys.stderr)  # noqa: T201 (one line, as promised)
    return FAILED
