"""The state machine of a download: events in, one status out. Pure.

::

    queued ─▶ downloading ─▶ finishing ─▶ complete
       │           │             │
       └───────────┴── cancelling ─▶ cancelled ─┐
                   ├─▶ failed ──────────────────┼─ retry ─▶ queued
                   └─▶ interrupted ─ reattach ──┘

Only a stream's own marker ends a download well or badly. Everything that moves a status lives in
this file.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from rbee_widgets.narration import (
    Cancelled,
    Done,
    Event,
    Failed,
    Lost,
    Narration,
    Progressed,
    Retrying,
)
from rbee_widgets.progress import Progress

SHOWN_BEFORE_COMPLETE: Final = 99.9
"""The highest percentage of anything but *complete*."""

ALREADY_THERE: Final = "already on this hive"


class Type(StrEnum):
    """What is fetched."""

    MODEL = "model"
    WORKER = "worker"


class Status(StrEnum):
    """Where a download stands."""

    QUEUED = "queued"
    DOWNLOADING = "downloading"
    FINISHING = "finishing"
    CANCELLING = "cancelling"
    COMPLETE = "complete"
    CANCELLED = "cancelled"
    FAILED = "failed"
    INTERRUPTED = "interrupted"

    @property
    def is_final(self) -> bool:
        """Whether the stream has said its last word."""
        return self in (Status.COMPLETE, Status.CANCELLED, Status.FAILED)

    @property
    def is_active(self) -> bool:
        """Whether the hive is, or soon will be, at work."""
        return not self.is_final and self is not Status.INTERRUPTED


@dataclass(frozen=True, slots=True)
class Retry:
    """A try that is to come: which one of how many, and when, on the monotonic clock."""

    number: int
    of: int
    at: float


# The job has been taken; nothing is fetched yet.
_BEFORE: Final = frozenset({"execute", "route_job"})
# The hive has looked at what is wanted, and lets others go first.
_WAITING: Final = "download_queued"
# All bytes are there; the hive verifies, copies, enters it in its catalog.
_FINISHING: Final = frozenset(
    {"hf_verify", "hf_download_cached", "hf_copy_start", "hf_download_complete"}
)
_SUCCESS: Final = {
    Type.MODEL: "model_download_complete",
    Type.WORKER: "worker_install_complete",
}
_EXISTS: Final = re.compile(r"Model '.*' already exists", re.DOTALL)


class DownloadState:
    """One attempt at a download, from its submission to its end.

    `error` and `hint` (the way out) are sentences of the hive's or ours, None while all is well;
    `note` is the latest line for people, `retry` the next try while something is waited for.
    """

    def __init__(self, type: Type) -> None:  # noqa: A002 (the field's name)
        self.type = type
        self.status = Status.QUEUED
        self.progress = Progress()
        self.error: str | None = None
        self.hint: str | None = None
        self.note: str | None = None
        self.retry: Retry | None = None
        self._before = Status.QUEUED
        """What an interruption came into."""
        self.is_lost = False
        """Whether the hive has said that it can't tell of the job (again)."""
        self._succeeded = False
        self._spoken_failure: str | None = None
        self._from_queen = False

    @property
    def percentage(self) -> float | None:
        """Percent; 100 for *complete* alone, None while unknown."""
        if self.status is Status.COMPLETE:
            return 100.0
        told = self.progress.percentage
        return None if told is None else min(told, SHOWN_BEFORE_COMPLETE)

    # -- What the stream says ---------------------------------------------------------------------

    def observe(self, event: Event, now: float) -> None:
        """Take in one event at `now`, in seconds of a monotonic clock; after an end, nothing."""
        if self.status.is_final:
            return
        if isinstance(event, Narration):
            self.reattach()
        match event:
            case Progressed():
                self._listen(event)
                self._progressed(event, now)
            case Retrying(number=number, of=of, seconds=seconds, reason=reason):
                self._listen(event)
                self.wait(Retry(number, of, now + seconds), reason)
            case Narration():
                self._listen(event)
                self.retry = None
            case Lost():
                self.is_lost = True
            case Done():
                self._done()
            case Failed(error):
                self._failed(error)
            case Cancelled():
                self.cancelled()

    def _progressed(self, told: Progressed, now: float) -> None:
        before = self.progress.bytes_downloaded
        self.progress.observe(
            now,
            percentage=told.percentage,
            percentage_step=told.percentage_step,
            bytes_downloaded=told.bytes_downloaded,
            bytes_step=told.bytes_step,
            total_size=told.total_size,
        )
        if self.progress.bytes_downloaded > before:
            self.retry = None
        if self.progress.is_whole and self.status is Status.DOWNLOADING:
            self.status = Status.FINISHING

    def _listen(self, said: Narration) -> None:
        self.note = said.human or self.note
        action = said.action or ""
        self._succeeded |= action == _SUCCESS[self.type]
        self._from_queen |= said.actor is not None
        if action == "failed":
            self._spoken_failure = said.human
        if action.endswith("_hint"):
            self.hint = said.human.removeprefix("💡").strip()
        if self.status is Status.CANCELLING or action in _BEFORE:
            return
        if action == _WAITING:
            self.status = Status.QUEUED
        elif action in _FINISHING:
            self.status = Status.FINISHING
        elif self.status is not Status.FINISHING:
            self.status = Status.DOWNLOADING

    def _done(self) -> None:
        if self.is_lost:
            self.interrupt("the hive no longer tells of this job")
        elif self._from_queen and not self._succeeded:
            # A queen says [DONE] after two silent seconds, and after a failure.
            if self._spoken_failure is None:
                self.interrupt("the queen stopped telling of this job before it ended")
            else:
                self._failed(self._spoken_failure)
        else:
            self.complete()

    def _failed(self, error: str) -> None:
        if self.type is Type.MODEL and _EXISTS.fullmatch(error):
            self.complete()
            self.note = ALREADY_THERE
        elif self.status is Status.CANCELLING:
            # The operation noticed the cancel before the job did.
            self.cancelled()
        else:
            self.fail(error or "the hive gave no reason")

    def wait(self, retry: Retry, reason: str) -> None:
        """Note that something is tried again, and what stood in its way; after an end, nothing."""
        if not self.status.is_final:
            self.retry, self.note = retry, reason

    # -- What else happens ------------------------------------------------------------------------

    def complete(self, size: int | None = None) -> None:
        """Note that the file is there, `size` bytes of it where that is known."""
        if self.status is not Status.COMPLETE:
            self.status = Status.COMPLETE
            self.error = self.hint = self.note = self.retry = None
        self.progress.complete(size)

    def fail(self, error: str, hint: str | None = None) -> None:
        """End the attempt with what went wrong."""
        self.status = Status.FAILED
        self.error, self.retry = error, None
        self.hint = hint or self.hint

    def interrupt(self, reason: str) -> None:
        """Note that the stream ended and told no end."""
        if self.status is Status.CANCELLING:
            self.cancelled()
        elif not self.status.is_final:
            if self.status is not Status.INTERRUPTED:
                self._before, self.status = self.status, Status.INTERRUPTED
            self.error, self.note, self.retry = reason, None, None

    def recall(
        self,
        status: Status,
        *,
        bytes_downloaded: int,
        total_size: int | None,
        percentage: float | None,
        error: str | None,
        hint: str | None,
        now: float,
    ) -> None:
        """Become what is known from before; what was under way is interrupted for now."""
        self.progress.recall(
            now,
            percentage=percentage,
            bytes_downloaded=bytes_downloaded or None,
            total_size=total_size,
        )
        if status.is_final:
            self.status, self.error, self.hint = status, error, hint
        else:
            self._before = status if status.is_active else Status.DOWNLOADING
            self.status, self.error = Status.INTERRUPTED, "looking for what has become of it"

    def reattach(self) -> None:
        """Note that the stream goes on."""
        if self.status is Status.INTERRUPTED:
            self.status = self._before
            self.error = self.retry = None
            self.is_lost = False

    def cancelling(self) -> None:
        """Note that the user asked for an end."""
        if not self.status.is_final:
            self.status = Status.CANCELLING
            self.error = self.retry = None

    def cancelled(self) -> None:
        """Note that nothing is left that could go on."""
        if not self.status.is_final:
            self.status = Status.CANCELLED
            self.error = self.retry = None
