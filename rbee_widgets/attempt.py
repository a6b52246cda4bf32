"""One attempt at a download: one job, from its submission to its end. All I/O of a download."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from contextlib import aclosing, suppress
from enum import Enum, auto
from typing import Final, Protocol

from rbee_widgets.background import Background
from rbee_widgets.client import Hive
from rbee_widgets.contract import (
    JobResponse,
    JobSummary,
    Model,
    ModelDownload,
    Operation,
    WorkerInstall,
)
from rbee_widgets.errors import (
    HiveRefusedError,
    HiveUnreachableError,
    RbeeError,
    StreamCutError,
)
from rbee_widgets.links import Target
from rbee_widgets.listing import Listing
from rbee_widgets.narration import Event, Failed, Narration, Progressed
from rbee_widgets.outage import Outage
from rbee_widgets.sizes import size_on_hub
from rbee_widgets.state import DownloadState, Retry, Status, Type
from rbee_widgets.store import Record

CANCEL_LIMIT_S: Final = 10.0
"""Seconds that a hive may take to end a job that it was told to cancel."""

IN_VAIN: Final = 6
"""How often in a row a stream is taken up again that brings nothing new."""

LIVES: Final = 5
"""How often in a row a job is submitted anew that its hive lost before it brought a byte."""

SILENCE_S: Final = 30.0
"""Seconds without a word after which a hive is asked whether it is still there; a real one, which
gives no other sign of life, speaks every ten seconds unless it guesses or copies."""

GIVEN_UP_S: Final = 3600.0
"""Seconds without a word after which a stream is taken for lost, though its hive answers: of a job
that broke inside a real hive nothing is ever heard again."""

_TELLS_FILE: Final = "hf_download_file"
_CATALOG_KNOWS: Final = frozenset({Status.COMPLETE, Status.INTERRUPTED})


class Change(Enum):
    """What has changed about a download."""

    FIGURES = auto()
    STATUS = auto()
    LIST = auto()
    """It came or went."""


class Surroundings(Protocol):
    """What an attempt needs of who makes it."""

    async def find(self) -> Hive:
        """Give the hive to use where none is named."""

    def outage(self, hive: Hive) -> Outage:
        """Give what waits for a hive that does not answer."""

    def listing(self, hive: Hive) -> Listing:
        """Give what lists a hive's catalog."""


class Attempt:
    """One attempt at a download: its job, and what became of it.

    Where an embedded hive ends before its job does, the next hive is given the job anew: the
    attempt is the same one, its state a fresh one. `heard` is called with each line of narration,
    `changed` after each change. `hive` may be chosen beforehand.
    """

    def __init__(
        self,
        target: Target,
        hive: Hive | None,
        *,
        clock: Callable[[], float],
        heard: Callable[[Narration | Failed], None],
        changed: Callable[[Change], None],
    ) -> None:
        self.target: Final = target
        self.type: Final = target.type
        self.name: Final = target.id
        self.hive = hive
        self.state = DownloadState(target.type)
        self.job_id: str | None = None
        self.path: str | None = None
        """Where the model lies on its hive, None while that isn't known."""
        self.remark: str | None = None
        """What it has been through, None where nothing is worth a word."""
        self.is_wanted = True
        """Whether a job that its hive has lost is to be submitted again without being asked for."""
        self.task: asyncio.Task[None] | None = None
        self._clock = clock
        self._heard = heard
        self._changed = changed
        self._last_event_id = "0"
        self._is_silent = False
        self._lives = LIVES
        self._is_real = False
        self._file = ""
        """The file that the hive has chosen, where none was named."""
        self._sizing: asyncio.Task[None] | None = None
        self._over = False
        self._waiting: list[Callable[[], None]] = []

    def recall(self, record: Record) -> None:
        """Become what another kernel knew of it; `begin` looks what has become of its job."""
        self.job_id = record.job_id
        self.is_wanted = False
        self.state.recall(
            record.status,
            bytes_downloaded=record.bytes_downloaded,
            total_size=record.total_size,
            percentage=record.percentage,
            error=record.error,
            hint=record.hint,
            now=self._clock(),
        )
        self._over = self.state.status.is_final

    @property
    def is_over(self) -> bool:
        """Whether nothing more comes of it."""
        return self._over

    @property
    def is_unheard(self) -> bool:
        """Whether its model may yet arrive and nobody tells, as a real hive's stream broke off."""
        is_cut = self.is_over and self.state.status is Status.INTERRUPTED
        return is_cut and self._is_real and self.type is Type.MODEL

    def when_over(self, wake: Callable[[], None]) -> None:
        """Call `wake` at the end, at once where that is past."""
        if self._over:
            wake()
        else:
            self._waiting.append(wake)

    def begin(
        self,
        background: Background,
        around: Surroundings,
        *,
        instead_of: Attempt | None = None,
    ) -> None:
        """Submit the job, unless that was done before, and follow it to its end, whatever that is.

        `instead_of` is an attempt that broke off: its job may go on and is in the way.
        """
        self._over = False
        self.task = background.start(self._run(around, instead_of), f"follow {self.name}")
        # Not at the end of `_run`: a task that is cancelled before its first step runs none of it.
        self.task.add_done_callback(self._end)

    async def _run(self, around: Surroundings, instead_of: Attempt | None) -> None:
        try:
            if instead_of is not None:
                await instead_of.abandon()
            self.hive = hive = self.hive or await around.find()
            if not self.is_wanted and await hive.has_ended():
                self.state.interrupt("its hive has ended; Retry goes on from what is there")
                return
            outage = around.outage(hive)
            if self.state.status is not Status.INTERRUPTED:
                await self._submit(hive, outage)
            while not await self._follow(hive, outage):
                if not self._begin_again(hive):
                    return
                await self._submit(hive, outage)
            await self._settle(around.listing(hive))
        except RbeeError as error:
            if self.state.status is Status.INTERRUPTED:
                self.state.interrupt(str(error))
            else:
                self.state.fail(str(error))
        finally:
            if self._sizing is not None:
                self._sizing.cancel()
                await asyncio.wait([self._sizing])

    def _end(self, task: asyncio.Task[None]) -> None:
        if task.cancelled():
            # As a cancel, where that was asked for.
            self.state.interrupt("nobody follows it any more; its job may go on")
        elif task.exception() is not None:
            self.state.fail("an error of this package's own; its log tells more")
        self._over = True
        for wake in self._waiting:
            wake()
        self._changed(Change.STATUS)

    # -- Submitting -------------------------------------------------------------------------------

    async def _submit(self, hive: Hive, outage: Outage) -> None:
        """Submit the job, waiting for the hive where it does not answer."""
        self.state.note = f"Connecting to {hive.id}"
        self._changed(Change.STATUS)
        try:
            job = await self._submitted(hive)
        except HiveUnreachableError:
            await outage.over(self._wait)
            job = await self._submitted(hive)
        self.job_id, self._last_event_id = job.job_id, "0"
        self._changed(Change.STATUS)

    async def _submitted(self, hive: Hive) -> JobResponse:
        if self.target.sha256 is not None and not await hive.is_embedded():
            raise HiveRefusedError(
                hive.url,
                "a hive that checks a sha256",
                "a real one, which does not",
                "leave it out, or use the local hive",
            )
        return await hive.submit(self._operation(hive))

    def _operation(self, hive: Hive) -> Operation:
        if self.type is Type.WORKER:
            return WorkerInstall(hive_id=hive.id, worker_id=self.name)
        return ModelDownload(hive_id=hive.id, model=self.name, sha256=self.target.sha256)

    def _wait(self, retry: Retry, reason: str) -> None:
        self.state.wait(retry, reason)
        self._changed(Change.STATUS)

    def _begin_again(self, hive: Hive) -> bool:
        """Make ready for another job, as the hive knows the last one no more; False: leave it."""
        has_brought = self.state.progress.bytes_downloaded > 0
        self._lives = LIVES if has_brought else self._lives - 1
        if not self.is_wanted or self._lives == 0:
            self.state.interrupt("its hive has lost the job; Retry goes on from what is there")
            return False
        self.state = DownloadState(self.type)
        if self.job_id is not None:
            self.remark = f"{hive.id} ended in the middle; the next one goes on from what was there"
            self._heard(Narration(f"🔁 {self.remark}"))
        return True

    # -- Following --------------------------------------------------------------------------------

    async def _follow(self, hive: Hive, outage: Outage) -> bool:
        """Read the stream to its end, going on where it broke off; False: its job is lost."""
        in_vain = 0
        while True:
            if self.state.status is Status.INTERRUPTED:
                jobs = await outage.over(self._wait)
                if jobs is None:
                    self._is_real = True  # its stream is given only once
                    return True
                job_id = self._found(jobs)
                if job_id is None:
                    return False
                self.job_id = job_id
                self.state.reattach()
                self._changed(Change.STATUS)
            seen = self._last_event_id
            reason = await self._read(hive)
            if reason is not None:
                self.state.interrupt(reason)
                self._changed(Change.STATUS)
            in_vain = 0 if self._last_event_id != seen else in_vain + 1
            has_told = reason is None and not self.state.is_lost
            self._is_real |= has_told and self._last_event_id == "0"
            if has_told or self.state.status.is_final or in_vain == IN_VAIN:
                return True

    def _found(self, jobs: Iterable[JobSummary]) -> str | None:
        """Find its job; or one that does the same, if its kernel ended before it knew the id."""
        for job in jobs:
            is_same = self.job_id is None and job.model == self.name and not job.state.is_final
            if job.job_id == self.job_id or is_same:
                return job.job_id
        return None

    async def _read(self, hive: Hive) -> str | None:
        """Read the stream; None at its end, else why it broke off before."""
        assert self.job_id is not None  # noqa: S101 (it was submitted)
        reading = asyncio.create_task(self._take(hive, self.job_id), name=f"read {self.name}")
        silent = 0.0
        try:
            while not (await asyncio.wait({reading}, timeout=SILENCE_S))[0]:
                silent = silent + SILENCE_S if self._is_silent else 0.0
                self._is_silent = True
                if silent and self._last_event_id == "0":
                    await self._doubt(hive, silent)
            await reading
        except (StreamCutError, HiveUnreachableError) as error:
            if self.state.status.is_active:
                return str(error)
        finally:
            reading.cancel()
            await asyncio.wait({reading})
        if self.state.status.is_active:
            return "the stream ended without telling how the job did"
        return None

    async def _take(self, hive: Hive, job_id: str) -> None:
        async with aclosing(hive.stream(job_id, self._last_event_id)) as told:
            async for event_id, event in told:
                self._last_event_id = event_id or self._last_event_id
                self._is_silent = False
                self._observe(event)

    async def _doubt(self, hive: Hive, silent: float) -> None:
        """Ask after a hive that gives no signs of life, and has been silent for some seconds.

        Raises
        ------
        StreamCutError
            It is there no more, or has lost the job.

        """
        if silent >= GIVEN_UP_S:
            raise StreamCutError(hive.url, f"not a word of this job for {silent / 60:.0f} min")
        try:
            await hive.answer()
        except RbeeError as error:
            raise StreamCutError(hive.url, str(error)) from error

    def _observe(self, event: Event) -> None:
        before = self.state.status
        if isinstance(event, Narration):
            self._heard(event)
            if event.action == _TELLS_FILE:
                self._file = event.human.partition(": ")[2]
        self.state.observe(event, self._clock())
        if isinstance(event, Failed) and self.state.status is Status.FAILED:
            self._heard(event)
        if isinstance(event, Progressed) and self.state.progress.total_size is None:
            self._ask_size()
        self._changed(Change.FIGURES if self.state.status is before else Change.STATUS)

    def _ask_size(self) -> None:
        """Ask the hub, once, for the total that the hive does not tell."""
        repo, _, file = self.name.partition(":")
        if self.type is Type.MODEL and self._sizing is None and (file or self._file):
            self._sizing = asyncio.create_task(self._learn_size(repo, file or self._file))

    async def _learn_size(self, repo: str, file: str) -> None:
        size = await size_on_hub(repo, file)
        if size and self.state.status.is_active and self.state.progress.total_size is None:
            self.state.progress.observe(self._clock(), total_size=size)
            self._changed(Change.FIGURES)

    async def _settle(self, listing: Listing) -> None:
        """Let the catalog tell what the stream left open: where the model is, and its exact size.

        It also tells whether a job whose stream broke off has put the model there.
        """
        if self.type is Type.MODEL and self.state.status in _CATALOG_KNOWS:
            with suppress(RbeeError):
                self.settle(await listing.models())

    def settle(self, models: Iterable[Model]) -> None:
        """Take from a listing of the hive's catalog what it tells of this model."""
        for model in models:
            if model.id == self.name:
                self.path = model.path
                self.state.complete(model.size)
                self._changed(Change.STATUS)

    async def cancel(self) -> None:
        """Have the job cancelled, and see that an end comes of it."""
        if self.hive is None or self.job_id is None or self.task is None:
            return
        try:
            await self.hive.cancel(self.job_id)
        except RbeeError as error:
            self.state.note = f"not cancelled on its hive: {error}"
        await asyncio.wait([self.task], timeout=CANCEL_LIMIT_S)
        self.task.cancel()

    async def abandon(self) -> None:
        """Have the job cancelled that nobody follows any more, where that can be done."""
        if self.hive is None or self.job_id is None or await self.hive.has_ended():
            return
        with suppress(RbeeError):
            await self.hive.cancel(self.job_id)
