"""One attempt at a download: one job, from its submission to its end. All I/O of a download."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import aclosing, suppress
from enum import Enum, auto
from typing import Final

from rbee_widgets.background import Background
from rbee_widgets.client import Hive
from rbee_widgets.contract import ModelDownload, Operation, WorkerInstall
from rbee_widgets.errors import (
    HiveRefusedError,
    HiveUnreachableError,
    RbeeError,
    StreamCutError,
)
from rbee_widgets.links import Target
from rbee_widgets.narration import Event, Narration, Progressed
from rbee_widgets.sizes import size_on_hub
from rbee_widgets.state import DownloadState, Status, Type

CANCEL_LIMIT_S: Final = 10.0
"""Seconds that a hive may take to end a job that it was told to cancel."""

BACKOFF_S: Final = (0.2, 0.5, 1.0, 2.0, 4.0, 8.0)
"""Seconds before each try to go on with a stream that broke off."""

_TELLS_FILE: Final = "hf_download_file"
_CATALOG_KNOWS: Final = frozenset({Status.COMPLETE, Status.INTERRUPTED})


class Change(Enum):
    """What has changed about a download."""

    FIGURES = auto()
    STATUS = auto()
    LIST = auto()
    """It came or went."""


class Attempt:
    """One job for a download, and what became of it.

    `heard` is called with each line of narration, `changed` after each change. `hive` may be
    chosen beforehand; else `begin` is told how to find one.
    """

    def __init__(
        self,
        target: Target,
        hive: Hive | None,
        *,
        clock: Callable[[], float],
        heard: Callable[[Narration], None],
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
        self.task: asyncio.Task[None] | None = None
        self._clock = clock
        self._heard = heard
        self._changed = changed
        self._last_event_id = "0"
        self._file = ""
        """The file that the hive has chosen, where none was named."""
        self._sizing: asyncio.Task[None] | None = None
        self._over = False
        self._waiting: list[Callable[[], None]] = []

    @property
    def is_over(self) -> bool:
        """Whether nothing more comes of it."""
        return self._over

    def when_over(self, wake: Callable[[], None]) -> None:
        """Call `wake` at the end, at once where that is past."""
        if self._over:
            wake()
        else:
            self._waiting.append(wake)

    def begin(
        self,
        background: Background,
        find: Callable[[], Awaitable[Hive]],
        *,
        instead_of: Attempt | None = None,
    ) -> None:
        """Submit the job and follow it to its end, whatever that is.

        `instead_of` is an attempt that broke off: its job may go on and is in the way.
        """
        self.task = background.start(self._run(find, instead_of), f"follow {self.name}")
        # Not at the end of `_run`: a task that is cancelled before its first step runs none of it.
        self.task.add_done_callback(self._end)

    async def _run(self, find: Callable[[], Awaitable[Hive]], instead_of: Attempt | None) -> None:
        try:
            if instead_of is not None:
                await instead_of.abandon()
            self.hive = hive = self.hive or await find()
            if self.target.sha256 is not None and not await hive.is_embedded():
                raise HiveRefusedError(
                    hive.url,
                    "a hive that checks a sha256",
                    "a real one, which does not",
                    "leave it out, or use the local hive",
                )
            job = await hive.submit(self._operation(hive))
            self.job_id = job.job_id
            await self._follow(hive, job.job_id)
            await self._settle(hive)
        except RbeeError as error:
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

    def _operation(self, hive: Hive) -> Operation:
        if self.type is Type.WORKER:
            return WorkerInstall(hive_id=hive.id, worker_id=self.name)
        return ModelDownload(hive_id=hive.id, model=self.name, sha256=self.target.sha256)

    async def _follow(self, hive: Hive, job_id: str) -> None:
        """Read the stream to its end, going on where it broke off if the hive can do that."""
        tries = 0
        while True:
            seen = self._last_event_id
            reason = await self._read(hive, job_id)
            if reason is None:
                return
            self.state.interrupt(reason)
            self._changed(Change.STATUS)
            if self._last_event_id != seen:
                tries = 0
            # Without ids it is a real hive's stream, which is given only once.
            if self._last_event_id == "0" or tries == len(BACKOFF_S):
                return
            await asyncio.sleep(BACKOFF_S[tries])
            tries += 1

    async def _read(self, hive: Hive, job_id: str) -> str | None:
        """Read the stream; None at its end, else why it broke off before."""
        try:
            async with aclosing(hive.stream(job_id, self._last_event_id)) as told:
                async for event_id, event in told:
                    self._last_event_id = event_id or self._last_event_id
                    self._observe(event)
        except (StreamCutError, HiveUnreachableError) as error:
            if self.state.status.is_active:
                return str(error)
        if self.state.status.is_active:
            return "the stream ended without telling how the job did"
        return None

    def _observe(self, event: Event) -> None:
        before = self.state.status
        if isinstance(event, Narration):
            self.state.reattach()
            self._heard(event)
            if event.action == _TELLS_FILE:
                self._file = event.human.partition(": ")[2]
        self.state.observe(event, self._clock())
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

    async def _settle(self, hive: Hive) -> None:
        """Let the catalog tell what the stream left open: where the model is, and its exact size.

        It also tells whether a job whose stream broke off has put the model there.
        """
        if self.type is not Type.MODEL or self.state.status not in _CATALOG_KNOWS:
            return
        try:
            models = await hive.models()
        except (RbeeError, TimeoutError):
            return
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
        if self.hive is not None and self.job_id is not None:
            with suppress(RbeeError):
                await self.hive.cancel(self.job_id)
