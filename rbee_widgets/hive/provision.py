"""Getting a model: what to fetch, the transfer, its narration, and the catalog's entry."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any, Final, TypeVar

import anyio
import anyio.to_thread

from rbee_widgets.hive.catalog import Catalog, Entry, Place
from rbee_widgets.hive.hub import Hub, ModelId, ProvisionError, Source, os_error_text
from rbee_widgets.hive.jobs import Job, JobCancelledError, JobError
from rbee_widgets.hive.settings import Settings
from rbee_widgets.hive.transfer import CancelledTransferError, Transfer

PROGRESS_INTERVAL_S: Final = 0.1
"""Seconds between two progress lines while bytes flow; at least four a second are promised."""

HEARTBEAT_S: Final = 10.0
"""Seconds of silence after which a hive says that it still downloads."""

LOCK_TIMEOUT_S: Final = 5.0
"""Seconds that a download waits for another one of the same file, as in a real hive."""

MAX_THREADS: Final = 256

_PROVISIONER: Final = (
    "<rbee_hive_model_provisioner::provisioner::ModelProvisioner as "
    "rbee_hive_artifact_catalog::provisioner::ArtifactProvisioner"
    "<artifacts_contract::model::ModelEntry>>::provision"
)
_VENDOR: Final = (
    "<rbee_hive_model_provisioner::huggingface::HuggingFaceVendor as "
    "rbee_hive_artifact_catalog::provisioner::VendorSource>::download"
)
_TRACKER: Final = "rbee_hive_model_provisioner::download_tracker::DownloadTracker::start_heartbeat"

_T = TypeVar("_T")


class Provisioner:
    """Fetches models into a catalog."""

    def __init__(self, settings: Settings, catalog: Catalog) -> None:
        self._settings = settings
        self._catalog = catalog
        self._locks: dict[str, asyncio.Lock] = {}
        self._threads = anyio.CapacityLimiter(MAX_THREADS)

    def is_busy(self, place: Place) -> bool:
        """Whether a model is being fetched."""
        return self._lock(place).locked()

    async def provision(self, job: Job, model: str) -> None:
        """Fetch a model, telling of it.

        Raises
        ------
        JobError, JobCancelledError
            It did not arrive.

        """
        await job.narrate(_PROVISIONER, "model_provision_start", f"🚀 Provisioning model '{model}'")
        try:
            entry = await self._provision(job, model)
        except ProvisionError as error:
            if error.hint is not None:
                await job.narrate(_VENDOR, "hf_download_hint", f"💡 {error.hint}")
            raise JobError(str(error)) from error
        await job.narrate(
            _PROVISIONER,
            "model_provision_complete",
            f"✅ Model '{model}' provisioned successfully ({_gigabytes(entry)})",
        )

    async def _provision(self, job: Job, model: str) -> Entry:
        wanted = ModelId.parse(model)
        place = self._catalog.place(model)
        hub = Hub(self._settings)
        try:
            source = await self._find(job, hub, wanted)
            async with self._locked(job, place):
                transfer = Transfer(hub.http, source, place)
                await self._transfer(job, transfer, source.file)
                await job.narrate(
                    _VENDOR,
                    "hf_download_cached",
                    f"✅ File downloaded and cached at: {place.model}",
                )
                entry = self._catalog.add(model)
        except OSError as error:
            raise ProvisionError(
                f"HuggingFace download failed: I/O error {os_error_text(error)}"
            ) from error
        finally:
            hub.close()
        await job.narrate(
            _VENDOR, "hf_download_complete", f"✅ Model ready: {source.file} ({_gigabytes(entry)})"
        )
        return entry

    async def _find(self, job: Job, hub: Hub, wanted: ModelId) -> Source:
        """Say and ask what is to be fetched."""
        origin = "its URL" if wanted.repo is None else "HuggingFace"
        await job.narrate(
            _VENDOR, "hf_download_start", f"📥 Downloading model '{wanted.text}' from {origin}"
        )
        file = wanted.file
        if file is None:
            await job.narrate(_VENDOR, "hf_find_gguf", "🔍 Looking for GGUF file in repository...")
            file = await self._unless_cancelled(job, lambda: hub.choose_file(wanted))
        await job.narrate(_VENDOR, "hf_download_file", f"📥 Downloading file: {file}")
        return await self._unless_cancelled(job, lambda: hub.source(wanted, file))

    async def _transfer(self, job: Job, transfer: Transfer, file: str) -> None:
        async with _beside(self._tell_progress(job, transfer, file), _stop_if_asked(job, transfer)):
            try:
                await anyio.to_thread.run_sync(transfer.run, limiter=self._threads)
            except CancelledTransferError:
                await job.narrate(_TRACKER, "download_cancelled", "❌ Download cancelled")
                raise JobCancelledError from None
            finally:
                transfer.cancel()
        await _tell_figures(job, transfer)

    async def _tell_progress(self, job: Job, transfer: Transfer, file: str) -> None:
        silent = 0.0
        while True:
            await asyncio.sleep(PROGRESS_INTERVAL_S)
            if transfer.done > job.figures.bytes_downloaded:
                silent = 0.0
                await _tell_figures(job, transfer)
                continue
            silent += PROGRESS_INTERVAL_S
            if silent >= HEARTBEAT_S:
                silent = 0.0
                percent = ""
                if transfer.total:
                    percent = f" ({transfer.done / transfer.total * 100:.1f}% complete)"
                await job.narrate(
                    _TRACKER,
                    "download_progress",
                    f"⏳ Still downloading {file}{percent}...",
                    passing=True,
                )

    def _lock(self, place: Place) -> asyncio.Lock:
        return self._locks.setdefault(place.folder.name, asyncio.Lock())

    @asynccontextmanager
    async def _locked(self, job: Job, place: Place) -> AsyncIterator[None]:
        """Keep other downloads of the same file away."""
        lock = self._lock(place)
        try:
            async with asyncio.timeout(LOCK_TIMEOUT_S):
                await lock.acquire()
        except TimeoutError:
            raise ProvisionError(
                f"HuggingFace download failed: Lock acquisition failed: {place.partial}",
                "Another download of this model is running; wait for it, or cancel it",
            ) from None
        try:
            if job.cancel_asked.is_set():
                raise JobCancelledError
            yield
        finally:
            lock.release()

    async def _unless_cancelled(self, job: Job, work: Callable[[], _T]) -> _T:
        """Do blocking work in a thread; a cancelled job does not wait for it."""
        working = asyncio.ensure_future(
            anyio.to_thread.run_sync(work, abandon_on_cancel=True, limiter=self._threads)
        )
        asked = asyncio.ensure_future(job.cancel_asked.wait())
        try:
            await asyncio.wait({working, asked}, return_when=asyncio.FIRST_COMPLETED)
            if working.done():
                return working.result()
            raise JobCancelledError
        finally:
            asked.cancel()
            working.cancel()


@asynccontextmanager
async def _beside(*chores: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    """Do chores for as long as the block takes; what goes wrong in them is raised at its end."""
    tasks = [asyncio.create_task(chore) for chore in chores]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        for ended in await asyncio.gather(*tasks, return_exceptions=True):
            if isinstance(ended, Exception):
                raise ended


async def _stop_if_asked(job: Job, transfer: Transfer) -> None:
    await job.cancel_asked.wait()
    transfer.cancel()


async def _tell_figures(job: Job, transfer: Transfer) -> None:
    done, total = transfer.done, transfer.total
    job.figures.bytes_downloaded, job.figures.total_size = done, total
    if total is None:
        return
    # Digits enough that a speed can be computed from the text.
    unit, scale, digits = ("MB", 1e6, 2) if total >= 10_000_000 else ("B", 1, 0)
    percent = done / total * 100 if total else 100.0
    await job.narrate(
        _TRACKER,
        "download_progress",
        f"📊 Progress: {percent:.1f}% "
        f"({done / scale:.{digits}f} {unit} / {total / scale:.{digits}f} {unit})",
        passing=True,
    )


def _gigabytes(entry: Entry) -> str:
    return f"{entry.artifact.size / 1e9:.2f} GB"
