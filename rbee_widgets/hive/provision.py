"""Getting a model for a job: the fetch that brings it, new or joined, told as it goes."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any, Final

from rbee_widgets.hive.catalog import Catalog, Entry, Place
from rbee_widgets.hive.engine import Transfer, Wait
from rbee_widgets.hive.fetch import (
    TRACKER,
    VENDOR,
    Fetch,
    Fetching,
    gigabytes,
    is_locked,
    progress_line,
    retry_line,
)
from rbee_widgets.hive.hub import ModelId
from rbee_widgets.hive.jobs import Job, JobCancelledError, JobError
from rbee_widgets.hive.settings import Settings
from rbee_widgets.hive.trouble import ProvisionError

PROGRESS_INTERVAL_S: Final = 0.05
"""Seconds between two progress lines while bytes flow: half of a panel's tick, so that what is
painted is fresh whichever way the two fall together. At least four a second are promised."""

HEARTBEAT_S: Final = 10.0
"""Seconds of silence after which a hive says that it still downloads."""

ENDING_S: Final = 0.5
"""Seconds that a fetch whose end was asked for is waited for. A slow disk may hold it longer: it
then ends behind its job, and enters no model."""

_PROVISIONER: Final = (
    "<rbee_hive_model_provisioner::provisioner::ModelProvisioner as "
    "rbee_hive_artifact_catalog::provisioner::ArtifactProvisioner"
    "<artifacts_contract::model::ModelEntry>>::provision"
)


class Provisioner:
    """Fetches models into a catalog: each one once, however many jobs want it."""

    def __init__(self, settings: Settings, catalog: Catalog) -> None:
        self._catalog = catalog
        self._fetching = Fetching(settings, catalog)
        self._fetches: dict[Path, Fetch] = {}

    def is_busy(self, place: Place) -> bool:
        """Whether a model is being fetched, by this hive or another."""
        return place.folder in self._fetches or is_locked(place)

    async def provision(self, job: Job, model: str, sha256: str | None) -> None:
        """Fetch a model, or follow the fetch that is under way, telling of it.

        Raises
        ------
        JobError, JobCancelledError
            It did not arrive.

        """
        await job.narrate(_PROVISIONER, "model_provision_start", f"🚀 Provisioning model '{model}'")
        try:
            entry = await self._provision(job, model, sha256)
        except ProvisionError as error:
            if error.hint is not None:
                await job.narrate(VENDOR, "hf_download_hint", f"💡 {error.hint}")
            raise JobError(str(error)) from error
        await job.narrate(
            _PROVISIONER,
            "model_provision_complete",
            f"✅ Model '{model}' provisioned successfully ({gigabytes(entry)})",
        )

    async def _provision(self, job: Job, model: str, sha256: str | None) -> Entry:
        ModelId.parse(model)
        folder = self._catalog.place(model).folder
        while (fetch := self._fetches.get(folder)) is not None and fetch.is_ending:
            await _ended(job, fetch)
        if fetch is None:
            fetch = Fetch(self._fetching, model, sha256)
            self._fetches[folder] = fetch
            fetch.task.add_done_callback(lambda _: self._fetches.pop(folder))
        elif fetch.model != model:
            raise JobError(
                f"Model '{model}' would take the folder of '{fetch.model}': '{folder.name}'"
            )
        elif sha256 not in (None, fetch.sha256):
            raise ProvisionError(
                f"Model '{model}' is being fetched without, or with another sha256",
                "Wait for it, or cancel it",
            )
        else:
            await job.narrate(
                _PROVISIONER, "download_joined", "🔗 Another job fetches this model: following it"
            )
        return await _follow(job, fetch)


async def _ended(job: Job, fetch: Fetch) -> None:
    """Wait until a fetch has come to its end.

    Raises
    ------
    JobCancelledError
        The job's end was asked for.

    """
    cancelled = asyncio.ensure_future(job.cancel_asked.wait())
    try:
        await asyncio.wait({fetch.task, cancelled}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        cancelled.cancel()
    if job.cancel_asked.is_set():
        raise JobCancelledError


async def _follow(job: Job, fetch: Fetch) -> Entry:
    """Tell a job what its fetch says, to the end of either; the last one to leave ends the fetch.

    Raises
    ------
    JobCancelledError
        The job's end was asked for.

    """
    fetch.followers += 1
    teller = _Teller(job, fetch)
    news = fetch.news
    cancelled = asyncio.ensure_future(job.cancel_asked.wait())
    try:
        while not fetch.task.done() and not cancelled.done():
            awaited: set[asyncio.Future[Any]] = {fetch.task, cancelled, news}
            await asyncio.wait(
                awaited,
                timeout=PROGRESS_INTERVAL_S if fetch.transfer else None,
                return_when=asyncio.FIRST_COMPLETED,
            )
            news = fetch.news  # taken before: what is said meanwhile is news, too
            await teller.tell()
    finally:
        cancelled.cancel()
        fetch.followers -= 1
        if not fetch.followers and not fetch.task.done():
            fetch.is_ending = True
            fetch.task.cancel()
            await asyncio.wait({fetch.task}, timeout=ENDING_S)
            fetch.is_abandoned = not fetch.task.done()
    await teller.tell()  # what it has said since
    if not fetch.task.done() or fetch.task.cancelled():
        if fetch.transfer is not None:
            await job.narrate(TRACKER, "download_cancelled", "❌ Download cancelled")
        raise JobCancelledError
    return fetch.task.result()


class _Teller:
    """Tells one job what a fetch says, and how far it is."""

    def __init__(self, job: Job, fetch: Fetch) -> None:
        self._job = job
        self._fetch = fetch
        self._told = 0
        self._wait: Wait | None = None
        self._silent = 0.0

    async def tell(self) -> None:
        """Tell what is new."""
        transfer = self._fetch.transfer
        for function, action, text in self._fetch.lines[self._told :]:
            self._told += 1
            if action != "download_progress":
                await self._job.narrate(function, action, text)
            elif transfer is not None and self._has_moved(transfer):  # its last word
                await self._job.narrate(function, action, text, passing=True)
        if transfer is not None:
            await self._tell_wait(transfer.wait)
            await self._tell_progress(transfer)

    async def _tell_wait(self, wait: Wait | None) -> None:
        if wait is not None and wait is not self._wait:
            await self._job.narrate(TRACKER, "download_retry", retry_line(wait))
        self._wait = wait

    def _has_moved(self, transfer: Transfer) -> bool:
        """Take over a transfer's figures; gives whether they are new."""
        figures = self._job.figures
        before = figures.bytes_downloaded, figures.total_size
        figures.bytes_downloaded, figures.total_size = transfer.done, transfer.total
        return before != (figures.bytes_downloaded, figures.total_size)

    async def _tell_progress(self, transfer: Transfer) -> None:
        self._silent += PROGRESS_INTERVAL_S
        moved = self._has_moved(transfer)
        text = progress_line(transfer) if moved and not self._fetch.task.done() else None
        if text is None and self._silent >= HEARTBEAT_S:
            percent = ""
            if transfer.total:
                percent = f" ({transfer.done / transfer.total * 100:.1f}% complete)"
            text = f"⏳ Still downloading {self._fetch.file}{percent}..."
        if text is not None:
            self._silent = 0.0
            await self._job.narrate(TRACKER, "download_progress", text, passing=True)
