"""`Tracker` and `Download`: jobs followed on one loop, from submission to their end.

The tracker owns every task that it starts; what it learns goes to its subscribers. All of it runs
on the loop that the tracker was made on (a kernel's own), or on one in a thread where none ran.
Public calls may come from any thread.
"""

from __future__ import annotations

import asyncio
import threading
import time
import uuid
from collections import deque
from collections.abc import Callable, Generator, Iterable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final

from rbee_widgets import client
from rbee_widgets.attempt import Attempt, Change
from rbee_widgets.background import Background, home_loop
from rbee_widgets.client import Hive
from rbee_widgets.errors import DownloadError, RbeeError, UnknownHiveError
from rbee_widgets.links import read_target
from rbee_widgets.narration import Narration, Progressed
from rbee_widgets.state import Status, Type

MAX_LINES: Final = 1000
"""Lines of narration that a download keeps; progress lines replace each other."""

MAX_LINE: Final = 2000
"""Characters of a line that are kept."""

TICK_S: Final = 1.0
"""Seconds between looks at what time alone changes: a speed that falls, a stall."""


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a download's narration; a later one of the same `n` replaces it.

    `n` counts from 0 within the download, `at` is Unix seconds.
    """

    n: int
    at: float
    action: str | None
    text: str
    passing: bool
    """Whether it is a figure that the next one outdates."""


Subscriber = Callable[["Download", Change], None]


class Download:
    """A download, from now on: live figures, an end to await, and what the user can do.

    Made by a tracker. `await` it for its end: it gives itself, or raises `DownloadError`.
    """

    def __init__(self, tracker: Tracker, type: Type, name: str, hive: Hive | None) -> None:  # noqa: A002
        self.id: Final = f"download-{uuid.uuid4().hex[:12]}"
        self.type: Final = type
        self.name: Final = name
        self.created_at: Final = time.time()
        """Unix seconds."""
        self._tracker = tracker
        self._lines: deque[Line] = deque(maxlen=MAX_LINES)
        self.attempt = self._new_attempt(hive)
        """The attempt under way, or the last one."""

    def _new_attempt(self, hive: Hive | None) -> Attempt:
        return Attempt(
            self.type,
            self.name,
            hive,
            clock=self._tracker.clock,
            heard=self._hear,
            changed=lambda change: self._tracker.changed(self, change),
        )

    def begin_again(self) -> None:
        """Put a fresh attempt, on the same hive, in the place of one that is over."""
        self.attempt = self._new_attempt(self.attempt.hive)

    def __repr__(self) -> str:
        percentage = "" if self.percentage is None else f" {self.percentage:.1f}%"
        return f"<Download {self.name} {self.status}{percentage}>"

    # -- What is known ----------------------------------------------------------------------------

    @property
    def hive(self) -> str:
        """The id of the hive that fetches, empty until one was found."""
        return "" if self.attempt.hive is None else self.attempt.hive.id

    @property
    def job_id(self) -> str | None:
        """The id of its job on that hive, None before it was submitted."""
        return self.attempt.job_id

    @property
    def path(self) -> str | None:
        """Where the model lies on its hive, None while that isn't known."""
        return self.attempt.path

    @property
    def status(self) -> Status:
        """Where it stands."""
        return self.attempt.state.status

    @property
    def bytes_downloaded(self) -> int:
        """Bytes that are there."""
        return self.attempt.state.progress.bytes_downloaded

    @property
    def total_size(self) -> int | None:
        """Bytes in all, None while unknown."""
        return self.attempt.state.progress.total_size

    @property
    def percentage(self) -> float | None:
        """Percent; 100 for *complete* alone, None while unknown."""
        return self.attempt.state.percentage

    @property
    def speed(self) -> float | None:
        """Bytes per second, None while unknown or when nothing flows any more."""
        return self.attempt.state.progress.speed(self._now) if self._flows else None

    @property
    def eta(self) -> float | None:
        """Seconds left, None where that means nothing."""
        return self.attempt.state.progress.eta(self._now) if self._flows else None

    @property
    def stalled_for(self) -> float | None:
        """Seconds without a byte where that is a stall, else None."""
        return self.attempt.state.progress.stalled_for(self._now) if self._flows else None

    @property
    def error(self) -> str | None:
        """What went wrong, in the hive's own words."""
        return self.attempt.state.error

    @property
    def hint(self) -> str | None:
        """The way out of `error`, None where none is known."""
        return self.attempt.state.hint

    @property
    def note(self) -> str | None:
        """The latest thing that was said."""
        return self.attempt.state.note

    @property
    def narration(self) -> list[str]:
        """What the hive said, oldest first; the newest `MAX_LINES` of it."""
        return [line.text for line in self._lines]

    @property
    def lines(self) -> list[Line]:
        """The narration with its times and actions, oldest first."""
        return list(self._lines)

    @property
    def _flows(self) -> bool:
        return self.status is Status.DOWNLOADING

    @property
    def _now(self) -> float:
        return self._tracker.clock()

    # -- What the user can do ---------------------------------------------------------------------

    def cancel(self) -> None:
        """Ask the hive to stop; does nothing after an end."""
        self._tracker.request(self._tracker.cancel, self)

    def retry(self) -> None:
        """Fetch it again, going on from what is there.

        Raises
        ------
        ValueError
            It is under way or complete.

        """
        if not self.can_retry:
            raise ValueError(f"{self.name} is {self.status}; there is nothing to retry")
        self._tracker.request(self._tracker.retry, self)

    def clear(self) -> None:
        """Forget it, and remove what an unfinished download left.

        Raises
        ------
        ValueError
            It is under way.

        """
        if not self.can_clear:
            raise ValueError(f"{self.name} is {self.status}; cancel it first")
        self._tracker.request(self._tracker.clear, self)

    @property
    def can_retry(self) -> bool:
        """Whether `retry` means something now."""
        return self.can_clear and self.status is not Status.COMPLETE

    @property
    def can_clear(self) -> bool:
        """Whether `clear` means something now."""
        return not self.status.is_active

    def __await__(self) -> Generator[Any, None, Download]:
        """Wait for the end, on any loop. While a cell awaits, some kernels keep buttons waiting."""
        return self._ended().__await__()

    async def _ended(self) -> Download:
        loop = asyncio.get_running_loop()
        ended = asyncio.Event()

        def wake() -> None:
            with suppress(RuntimeError):  # the awaiting loop was closed
                loop.call_soon_threadsafe(ended.set)

        self._tracker.request(self.attempt.when_over, wake)
        await ended.wait()
        return self._outcome()

    def wait(self, timeout: float | None = None) -> Download:
        """Wait for the end where nothing can be awaited: a script without a loop.

        Raises
        ------
        DownloadError
            It failed.
        TimeoutError
            `timeout` seconds passed.
        RuntimeError
            Called on the loop that follows the download, which would then stand still.

        """
        if self._tracker.is_here:
            raise RuntimeError("waiting here would stop the download; use `await` instead")
        ended = threading.Event()
        self._tracker.request(self.attempt.when_over, ended.set)
        if not ended.wait(timeout):
            raise TimeoutError(f"{self.name} is {self.status} after {timeout} s")
        return self._outcome()

    def _outcome(self) -> Download:
        if self.status is not Status.COMPLETE:
            raise DownloadError(self.name, self.status, self.error, self.hint)
        return self

    def _hear(self, said: Narration) -> None:
        """Keep a line; a figure replaces the figure before it."""
        last = self._lines[-1] if self._lines else None
        passing = isinstance(said, Progressed)
        n = 0 if last is None else last.n + 1
        if passing and last is not None and last.passing:
            n = last.n
            self._lines.pop()
        self._lines.append(Line(n, time.time(), said.action, said.human[:MAX_LINE], passing))


class Tracker:
    """All downloads of one owner, on one loop.

    Parameters
    ----------
    hives
        The hives that downloads may name; the first is the one used where none is named. Without
        any, one is found: `RBEE_HIVE_URL`, a hive on this machine's default ports, the embedded.
    clock
        Seconds of a monotonic clock.

    """

    def __init__(
        self, hives: Iterable[Hive] = (), *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.clock: Final = clock
        self._hives: dict[str, Hive] = {hive.id: hive for hive in hives}
        self._preferred = next(iter(self._hives.values()), None)
        self._downloads: list[Download] = []
        self._subscribers: list[Subscriber] = []
        self._background = Background(home_loop())
        self._ticking: asyncio.Task[None] | None = None

    # -- Downloads --------------------------------------------------------------------------------

    def download(self, model: str, hive: Hive | str | None = None) -> Download:
        """Fetch a model; starts at once.

        Parameters
        ----------
        model
            `org/repo`, `org/repo:file.gguf`, an `rbee://` link, or, on an embedded hive, a URL.
        hive
            A hive, or the id or the URL of one.

        Raises
        ------
        ValueError
            `model` names nothing.
        UnknownHiveError
            `hive` does.

        """
        return self._fetch(model, Type.MODEL, hive)

    def install_worker(self, worker: str, hive: Hive | str | None = None) -> Download:
        """Build and install a worker on a hive; the same otherwise."""
        return self._fetch(worker, Type.WORKER, hive)

    def _fetch(self, name: str, type: Type, hive: Hive | str | None) -> Download:  # noqa: A002
        target = read_target(name, type)
        chosen = self._chosen(hive)
        for known in self._downloads:
            same = (known.type, known.name) == (target.type, target.id)
            if same and known.status.is_active and chosen in (None, known.attempt.hive):
                return known
        download = Download(self, target.type, target.id, chosen)
        self._downloads.insert(0, download)
        self.request(self._start, download)
        return download

    @property
    def downloads(self) -> list[Download]:
        """All that were not cleared, newest first."""
        return list(self._downloads)

    # -- Hives ------------------------------------------------------------------------------------

    @property
    def hives(self) -> list[Hive]:
        """The hives that were given, added or found."""
        return list(self._hives.values())

    def add(self, hive: Hive) -> None:
        """Make a hive known by its id."""
        self._hives[hive.id] = hive

    def _chosen(self, hive: Hive | str | None) -> Hive | None:
        if hive is None:
            return self._preferred
        if isinstance(hive, Hive):
            return self._known(hive)
        if hive in self._hives:
            return self._hives[hive]
        if "://" in hive:
            return self._known(Hive(hive))
        if hive == "local":
            return self._known(Hive.local())
        raise UnknownHiveError(hive, ["local", *self._hives])

    def _known(self, hive: Hive) -> Hive:
        """Give the hive of that id that is known, so that one connection serves; else learn it."""
        return self._hives.setdefault(hive.id, hive)

    # -- Subscribers ------------------------------------------------------------------------------

    def subscribe(self, subscriber: Subscriber) -> Callable[[], None]:
        """Tell of each change, on the tracker's loop; gives what ends that."""
        self._subscribers.append(subscriber)
        return lambda: self._subscribers.remove(subscriber)

    def changed(self, download: Download, change: Change) -> None:
        """Tell the subscribers; on the loop."""
        for subscriber in tuple(self._subscribers):
            subscriber(download, change)

    # -- The loop ---------------------------------------------------------------------------------

    @property
    def is_here(self) -> bool:
        """Whether the caller runs on the tracker's loop."""
        return self._background.is_here

    @property
    def loop(self) -> asyncio.AbstractEventLoop:
        """The tracker's loop."""
        return self._background.loop

    def request(self, function: Callable[..., None], *arguments: Any) -> None:
        """Call a function on the tracker's loop, from any thread."""
        self._background.call(function, *arguments)

    async def aclose(self) -> None:
        """Stop following, and leave nothing behind. The hives' jobs go on."""
        await self._background.here(self._close())

    async def _close(self) -> None:
        await self._background.aclose()
        for hive in self._hives.values():
            await hive.aclose()
        self._subscribers.clear()

    # -- What the user asked for; on the loop -----------------------------------------------------

    def _start(self, download: Download) -> None:
        download.attempt.begin(self._background, self._find)
        if self._ticking is None or self._ticking.done():
            self._ticking = self._background.start(self._tick(), "tick")
        self.changed(download, Change.LIST)

    def cancel(self, download: Download) -> None:
        """Cancel a download; on the loop."""
        attempt = download.attempt
        if attempt.state.status.is_final or attempt.state.status is Status.CANCELLING:
            return
        attempt.state.cancelling()
        self.changed(download, Change.STATUS)
        if attempt.job_id is not None:
            self._background.start(attempt.cancel(), f"cancel {download.name}")
        elif attempt.task is not None:
            attempt.task.cancel()

    def retry(self, download: Download) -> None:
        """Submit a download again; on the loop."""
        if not download.can_retry:
            return
        if download.attempt.task is not None:
            download.attempt.task.cancel()  # it may still try to reattach
        download.begin_again()
        self._start(download)

    def clear(self, download: Download) -> None:
        """Forget a download; on the loop."""
        if not download.can_clear or download not in self._downloads:
            return
        self._downloads.remove(download)
        attempt = download.attempt
        if attempt.task is not None:
            attempt.task.cancel()
        unfinished = download.type is Type.MODEL and download.status is not Status.COMPLETE
        if unfinished and not self._is_wanted(download):
            self._background.start(_discard(attempt), f"discard {download.name}")
        self.changed(download, Change.LIST)

    def _is_wanted(self, download: Download) -> bool:
        return any(
            (other.name, other.hive) == (download.name, download.hive) and other.status.is_active
            for other in self._downloads
        )

    # -- Tasks ------------------------------------------------------------------------------------

    async def _find(self) -> Hive:
        return self._preferred or self._known(await client.find())

    async def _tick(self) -> None:
        while active := [one for one in self._downloads if one.status.is_active]:
            await asyncio.sleep(TICK_S)
            for download in active:
                self.changed(download, Change.FIGURES)


async def _discard(attempt: Attempt) -> None:
    """Remove what a download left on its hive; where that can't be done, it stays for a retry."""
    if attempt.hive is None or attempt.job_id is None:
        return
    with suppress(RbeeError, TimeoutError):
        await attempt.hive.cancel(attempt.job_id)  # an interrupted one's job may go on
        await attempt.hive.discard(attempt.name)


_default: Tracker | None = None


def default_tracker() -> Tracker:
    """Give the tracker that magics, panels and plain calls share; made on first use."""
    global _default  # noqa: PLW0603 (one a process is what is meant)
    if _default is None or _default.loop.is_closed():
        _default = Tracker()
    return _default
