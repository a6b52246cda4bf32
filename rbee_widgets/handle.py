"""`Download`: what a user holds of one download: live figures, an end to await, and what to do."""

from __future__ import annotations

import asyncio
import threading
import time
import uuid
from collections import deque
from collections.abc import Callable, Generator
from contextlib import suppress
from typing import Any, Final, Protocol

from rbee_widgets.attempt import Attempt, Change
from rbee_widgets.client import Hive
from rbee_widgets.errors import DownloadError
from rbee_widgets.links import Target
from rbee_widgets.log import MAX_LINE, Line, Log, Source
from rbee_widgets.narration import Failed, Narration
from rbee_widgets.state import Status
from rbee_widgets.store import Record

MAX_LINES: Final = 1000
"""Lines of narration that a download keeps; progress lines replace each other."""

Subscriber = Callable[["Download", Change], None]


class Owner(Protocol):
    """Who follows downloads: a tracker, on its loop."""

    @property
    def downloads(self) -> list[Download]:
        """All that were not cleared, newest first."""

    @property
    def loop(self) -> asyncio.AbstractEventLoop:
        """Its loop."""

    @property
    def log(self) -> Log:
        """What all of them were told."""

    def restore(self) -> None:
        """Bring back what an earlier kernel left, or another one has begun."""

    def subscribe(self, subscriber: Subscriber) -> Callable[[], None]:
        """Tell of each change, on its loop; gives what ends that."""

    @property
    def clock(self) -> Callable[[], float]:
        """Seconds of a monotonic clock."""

    @property
    def is_here(self) -> bool:
        """Whether the caller runs on its loop."""

    def request(self, function: Callable[..., None], *arguments: Any) -> None:
        """Call a function on its loop, from any thread."""

    def changed(self, download: Download, change: Change) -> None:
        """Take note of a change; on its loop, as what follows."""

    def cancel(self, download: Download) -> None:
        """Cancel a download."""

    def retry(self, download: Download) -> None:
        """Submit a download again."""

    def clear(self, download: Download) -> None:
        """Forget a download."""


class Download:
    """A download, from now on: live figures, an end to await, and what the user can do.

    Made by a tracker. `await` it for its end: it gives itself, or raises `DownloadError`.
    """

    def __init__(
        self, owner: Owner, target: Target, hive: Hive | None, *, record: Record | None = None
    ) -> None:
        self.id: Final = record.id if record else f"download-{uuid.uuid4().hex[:12]}"
        self.target: Final = target
        """What it fetches."""
        self.type: Final = target.type
        self.name: Final = target.id
        self.created_at: Final = record.created_at if record else time.time()
        """Unix seconds."""
        self.owner: Final = owner
        """The tracker that follows it."""
        self._lines: deque[Line] = deque(maxlen=MAX_LINES)
        self.attempt = self._new_attempt(hive)
        """The attempt under way, or the last one."""
        if record is not None:
            self.attempt.recall(record)

    def record(self) -> Record:
        """Give what another kernel needs to go on with it."""
        hive = self.attempt.hive
        return Record(
            id=self.id,
            type=self.type,
            name=self.name,
            sha256=self.target.sha256,
            created_at=self.created_at,
            hive=self.hive,
            url=None if hive is None or hive.is_local else hive.url,
            job_id=self.job_id,
            status=self.status,
            bytes_downloaded=self.bytes_downloaded,
            total_size=self.total_size,
            percentage=self.percentage,
            error=self.error and self.error[:MAX_LINE],
            hint=self.hint and self.hint[:MAX_LINE],
        )

    def _new_attempt(self, hive: Hive | None) -> Attempt:
        return Attempt(
            self.target,
            hive,
            clock=self.owner.clock,
            heard=self._hear,
            changed=lambda change: self.owner.changed(self, change),
        )

    def begin_again(self) -> None:
        """Put a fresh attempt, on the same hive, in the place of one that is over."""
        self.attempt = self._new_attempt(self.attempt.hive)

    def __repr__(self) -> str:
        percentage = "" if self.percentage is None else f" {self.percentage:.1f}%"
        return f"<Download {self.name} {self.status}{percentage}>"

    def _display_(self) -> Any:
        """Give marimo what it shows where this is a cell's last value: the download's row."""
        from rbee_widgets.display import view  # noqa: PLC0415 (views know downloads, not the reverse)

        return view(self)

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
    def usual_speed(self) -> float | None:
        """Bytes per second while they flowed, after the end too; None while unknown."""
        return self.attempt.state.progress.usual_speed

    @property
    def eta(self) -> float | None:
        """Seconds left, None where that means nothing."""
        return self.attempt.state.progress.eta(self._now) if self._flows else None

    @property
    def eta_range(self) -> tuple[float, float] | None:
        """Seconds left at best and at worst, as eight of ten keep to; None as for `eta`."""
        return self.attempt.state.progress.eta_range(self._now) if self._flows else None

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
    def remark(self) -> str | None:
        """What it has been through, None where nothing is worth a word."""
        return self.attempt.remark

    @property
    def retry_in(self) -> tuple[int, int, float] | None:
        """The number of the coming try, of how many, and the seconds until then; None: no need."""
        retry = self.attempt.state.retry
        if retry is None:
            return None
        return retry.number, retry.of, max(0.0, retry.at - self._now)

    @property
    def narration(self) -> list[str]:
        """What the hive said, oldest first; the newest `MAX_LINES` of it."""
        return [line.text for line in self.lines]

    @property
    def lines(self) -> list[Line]:
        """The narration with its times and actions, oldest first."""
        return list(self._lines)

    @property
    def _flows(self) -> bool:
        return self.status is Status.DOWNLOADING

    @property
    def _now(self) -> float:
        return self.owner.clock()

    # -- What the user can do ---------------------------------------------------------------------

    def cancel(self) -> None:
        """Ask the hive to stop; does nothing after an end."""
        self.owner.request(self.owner.cancel, self)

    def retry(self) -> None:
        """Fetch it again, going on from what is there.

        Raises
        ------
        ValueError
            It is under way or complete.

        """
        if not self.can_retry:
            raise ValueError(f"{self.name} is {self.status}; there is nothing to retry")
        self.owner.request(self.owner.retry, self)

    def clear(self) -> None:
        """Forget it, and remove what an unfinished download left.

        Raises
        ------
        ValueError
            It is under way.

        """
        if not self.can_clear:
            raise ValueError(f"{self.name} is {self.status}; cancel it first")
        self.owner.request(self.owner.clear, self)

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
        while not (attempt := self.attempt).is_over:
            ended = asyncio.Event()

            def wake(ended: asyncio.Event = ended) -> None:
                with suppress(RuntimeError):  # the awaiting loop was closed
                    loop.call_soon_threadsafe(ended.set)

            self.owner.request(attempt.when_over, wake)
            await ended.wait()  # perhaps to find that another attempt was begun
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
        if self.owner.is_here:
            raise RuntimeError("waiting here would stop the download; use `await` instead")
        deadline = None if timeout is None else time.monotonic() + timeout
        while not (attempt := self.attempt).is_over:
            ended = threading.Event()
            self.owner.request(attempt.when_over, ended.set)
            if not ended.wait(deadline and deadline - time.monotonic()):
                raise TimeoutError(f"{self.name} is {self.status} after {timeout} s")
        return self._outcome()

    def _outcome(self) -> Download:
        if self.status is not Status.COMPLETE:
            raise DownloadError(self.name, self.status, self.error, self.hint)
        return self

    def _hear(self, said: Narration | Failed) -> None:
        """Keep a line; a figure replaces the figure before it."""
        last = self._lines[-1] if self._lines else None
        if isinstance(said, Failed) and last is not None and last.text == said.error:
            return  # many a hive says it twice
        source = last.source if last is not None else None
        if source is None or (source.hive, source.job_id) != (self.hive, self.job_id):
            source = Source(self.id, self.name, self.hive, self.job_id)
        line = self.owner.log.hear(source, said, time.time(), last=last)
        if last is not None and last.n == line.n:
            self._lines.pop()
        self._lines.append(line)
