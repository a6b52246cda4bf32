"""Downloads in a terminal: a live line, and `python -m rbee_widgets download`."""

from __future__ import annotations

import asyncio
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final, TextIO

from rbee_widgets.attempt import Change
from rbee_widgets.errors import DownloadError, RbeeError
from rbee_widgets.handle import Download
from rbee_widgets.state import Status, Type
from rbee_widgets.text import printable, progress_line
from rbee_widgets.tracker import Tracker

FAILED: Final = 1
INTERRUPTED: Final = 130
"""What a shell expects of a command that Ctrl-C ended."""

PLAIN_STEP: Final = 10.0
"""Percent between two lines where the output is no terminal."""


def show(download: Download) -> None:
    """Print a download's progress on stderr as it comes, to the end of its attempt."""
    printer = _Printer(sys.stderr)

    def changed(other: Download, _: Change) -> None:
        if other is download:
            printer.show(download)
            if printer.has_ended:
                unsubscribe()

    unsubscribe: Callable[[], None] = download.owner.subscribe(changed)


class _Printer:
    """One line of a terminal that is written again and again; elsewhere a line now and then."""

    def __init__(self, out: TextIO) -> None:
        self._out = out
        self._live = out.isatty()
        self.has_ended = False
        """Whether the last word was said, or nobody listens any more."""
        self._told: tuple[Status, float] | None = None
        self._text = ""

    def show(self, download: Download) -> None:
        try:
            self._show(download, ended=download.attempt.is_over)
        except (OSError, ValueError):  # the other end of a pipe has gone, the file was closed
            self.has_ended = True

    def _show(self, download: Download, *, ended: bool) -> None:
        if not (self._live or ended or self._is_news(download)):
            return
        self.has_ended = ended
        text = progress_line(download)
        if text == self._text and not (self._live and ended):
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


def download(model: str, hive_url: str | None, sha256: str | None) -> int:
    """Fetch a model and wait for it; gives the exit status.

    0 only when the file is there, whole; 1 with one line of reason; 130 after Ctrl-C, the job
    having been cancelled.
    """
    return asyncio.run(_download(model, hive_url, sha256))


async def _download(model: str, hive_url: str | None, sha256: str | None) -> int:
    tracker = Tracker()
    try:
        fetched = tracker.download(model, hive_url, sha256=sha256)
    except (ValueError, RbeeError) as error:
        return _say(str(error))
    try:
        show(fetched)
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
    if fetched.type is Type.WORKER:
        return 0
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
