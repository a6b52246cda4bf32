"""Jobs: what runs, what it said, and who listens.

A job waits until its stream is read for the first time, then runs to its end whether anybody
listens or not. Everything it says is kept in order, so any number of readers can follow it, late
ones too, and a reader that was cut off goes on after the last event that it saw.
"""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import AsyncGenerator, Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

from rbee_widgets.contract import (
    CANCELLED,
    DONE,
    ERROR,
    JobState,
    JobSummary,
    frame,
)

MAX_EVENTS: Final = 10_000
"""Events of one job that are kept, as many as a real hive's channel holds."""

MAX_ENDED: Final = 200
"""Ended jobs that are kept for readers to come."""

_EXECUTION: Final = "job_server::execution::execute_and_stream"


class JobError(Exception):
    """Raised by an operation that failed; the text goes out as the job's error."""


class JobCancelledError(Exception):
    """Raised by an operation that stopped because its job was cancelled."""


@dataclass(frozen=True, slots=True)
class Sent:
    """One event of a stream; `id` counts from 1 within its job."""

    id: int
    text: str
    name: str | None = None
    passing: bool = False
    """A figure that the next one outdates."""


@dataclass(slots=True)
class Figures:
    """How far a job is; sizes in bytes, None: unknown."""

    bytes_downloaded: int = 0
    total_size: int | None = None


class Job:
    """One submitted job. `request` is what was submitted, whatever it is."""

    def __init__(self, request: Any) -> None:
        self.id = f"job-{uuid.uuid4()}"
        self.request = request
        self.state = JobState.QUEUED
        self.error: str | None = None
        self.figures = Figures()
        self.created_at = time.time()
        self.cancel_asked = asyncio.Event()
        self._events: list[Sent] = []
        self._last_id = 0
        self._news = asyncio.Condition()
        self._task: asyncio.Task[None] | None = None

    # -- Speaking ---------------------------------------------------------------------------------

    async def narrate(
        self, function: str, action: str, message: str, *, passing: bool = False
    ) -> None:
        """Say a line for people; a `passing` one is forgotten once the next of its kind is said."""
        await self._send(frame(function, action, message), passing=passing)

    async def tell(self, json_text: str) -> None:
        """Send a data event: JSON on one line."""
        await self._send(json_text, name="data")

    async def _send(self, text: str, name: str | None = None, *, passing: bool = False) -> None:
        async with self._news:
            self._append(text, name, passing=passing)

    def _append(self, text: str, name: str | None = None, *, passing: bool = False) -> None:
        self._last_id += 1
        if passing and self._events and self._events[-1].passing:
            self._events.pop()
        self._events.append(Sent(self._last_id, text, name, passing))
        if len(self._events) > MAX_EVENTS:
            del self._events[0]
        self._news.notify_all()

    # -- Listening --------------------------------------------------------------------------------

    async def follow(
        self, after: int = 0, beat: float | None = None
    ) -> AsyncGenerator[Sent | None, None]:
        """Give the events after the one of id `after`, as they come, to the job's end.

        None says that `beat` seconds passed without any.
        """
        seen = after
        while True:
            try:
                async with asyncio.timeout(beat), self._news:
                    await self._news.wait_for(partial(self._has_more, seen))
            except TimeoutError:
                yield None
                continue
            for event in self._after(seen):
                yield event
                seen = event.id
            if self.state.is_final and seen >= self._last_id:
                return

    def _has_more(self, seen: int) -> bool:
        return self._last_id > seen or self.state.is_final

    def _after(self, seen: int) -> list[Sent]:
        fresh = []
        for event in reversed(self._events):
            if event.id <= seen:
                break
            fresh.append(event)
        return fresh[::-1]

    # -- Life -------------------------------------------------------------------------------------

    def start(self, operate: Callable[[Job], Awaitable[None]]) -> None:
        """Run the job, unless it runs already or has ended."""
        if self._task is None:
            self._task = asyncio.create_task(self._run(operate), name=self.id)

    async def _run(self, operate: Callable[[Job], Awaitable[None]]) -> None:
        await self.narrate(_EXECUTION, "execute", f"Executing job {self.id}")
        try:
            if self.cancel_asked.is_set():
                raise JobCancelledError
            self.state = JobState.RUNNING
            await operate(self)
        except JobCancelledError:
            await self.narrate(_EXECUTION, "cancelled", f"Job {self.id} cancelled")
            await self._end(JobState.CANCELLED, CANCELLED)
        except JobError as error:
            await self._fail(str(error))
        except asyncio.CancelledError:
            raise
        except Exception as error:
            # A job that breaks must still end: its readers would wait for ever.
            await self._fail(f"internal error: {error!r}")
            raise
        else:
            await self._end(JobState.COMPLETED, DONE)

    async def _fail(self, error: str) -> None:
        self.error = error
        await self.narrate(_EXECUTION, "failed", f"Job {self.id} failed: {error}")
        await self._end(JobState.FAILED, f"{ERROR} {error}")

    async def _end(self, state: JobState, marker: str) -> None:
        async with self._news:
            self.state = state
            self._append(marker)

    def cancel(self) -> bool:
        """Ask the job to end; False where it has ended."""
        if self.is_over or self.cancel_asked.is_set():
            return False
        self.cancel_asked.set()
        return True

    @property
    def is_over(self) -> bool:
        """Whether nothing more will happen unless a reader comes."""
        return self.state.is_final or (self._task is None and self.cancel_asked.is_set())

    async def aclose(self) -> None:
        """Stop the job without a marker, as the end of its hive does."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])

    def summary(self) -> JobSummary:
        """Tell the job as `GET /v1/jobs` does."""
        request = self.request if isinstance(self.request, dict) else {}
        done, total = self.figures.bytes_downloaded, self.figures.total_size
        return JobSummary(
            job_id=self.id,
            operation=str(request.get("operation", "")),
            model=_text(request.get("model")) or _text(request.get("id")),
            state=JobState.CANCELLED if self.is_over and not self.state.is_final else self.state,
            bytes_downloaded=done,
            total_size=total,
            percentage=done / total * 100 if total else None,
            error=self.error,
            created_at=self.created_at,
        )


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else None


class Jobs:
    """All jobs of a hive."""

    def __init__(self) -> None:
        self._jobs: dict[str, Job] = {}  # oldest first

    def submit(self, request: Any) -> Job:
        """Take a job; it waits for its first reader."""
        job = Job(request)
        self._jobs[job.id] = job
        ended = [old.id for old in self._jobs.values() if old.is_over]
        for old in ended[:-MAX_ENDED]:
            del self._jobs[old]
        return job

    def get(self, job_id: str) -> Job | None:
        """Give a job, None where it is unknown."""
        return self._jobs.get(job_id)

    def newest_first(self) -> list[Job]:
        """List them all."""
        return list(reversed(self._jobs.values()))

    @property
    def any_running(self) -> bool:
        """Whether a job is at work."""
        return any(job.state is JobState.RUNNING for job in self._jobs.values())

    async def aclose(self) -> None:
        """Stop all that run."""
        for job in self._jobs.values():
            await job.aclose()
