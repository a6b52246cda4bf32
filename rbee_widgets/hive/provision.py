"""Getting a model: what to fetch, the transfer, its narration, and the catalog's entry."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any, Final, TypeVar

import anyio
import anyio.to_thread
import filelock

from rbee_widgets.hive.catalog import Catalog, Entry, Place
from rbee_widgets.hive.hub import Hub, ModelId, ProvisionError, Source, os_error_text
from rbee_widgets.hive.jobs import Job, JobCancelledError, JobError
from rbee_widgets.hive.settings import Settings
from rbee_widgets.hive.transfer import CancelledTransferError, Transfer

PROGRESS_INTERVAL_S: Final = 0.05
"""Seconds between two progress lines while bytes flow: half of a panel's tick, so that what is
painted is fresh whichever way the two fall together. At least four a second are promised."""

HEARTBEAT_S: Final = 10.0
"""Seconds of silence after which a hive says that it still downloads."""

LOCK_TIMEOUT_S: Final = 5.0
"""Seconds that a download waits for another one of the same file, as in a real hive."""

LOCK_INTERVAL_S: Final = 0.1
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
        self._threads = anyio.CapacityLimiter(MAX_THREADS)

    def is_busy(self, place: Place) -> bool:
        """Whether a model is being fetched, by this hive or another."""
        lock = _lock(place)
        if place.lock.exists() and not _taken(lock):
            return True
        lock.release()
        return False

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
                if self._catalog.has(model):  # whoever had the lock has brought it
                    raise JobError(f"Model '{model}' already exists")
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
        async with _beside(self._tell_progress(job, transfer, file)):
            try:
                await self._unless_cancelled(job, transfer.run, stop=transfer.cancel)
            except (CancelledTransferError, JobCancelledError):
                await job.narrate(_TRACKER, "download_cancelled", "❌ Download cancelled")
                raise JobCancelledError from None
        await _tell_figures(job, transfer)

    async def _tell_progress(self, job: Job, transfer: Transfer, file: str) -> None:
        silent = 0.0
        while True:
            await asyncio.sleep(PROGRESS_INTERVAL_S)
            silent += PROGRESS_INTERVAL_S
            moved = transfer.done > job.figures.bytes_downloaded
            if moved and await _tell_figures(job, transfer):
                silent = 0.0
            elif silent >= HEARTBEAT_S:
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

    @asynccontextmanager
    async def _locked(self, job: Job, place: Place) -> AsyncIterator[None]:
        """Keep other downloads of the same file away: of this hive, and of any other process."""
        lock = _lock(place)
        place.lock.parent.mkdir(parents=True, exist_ok=True)
        deadline = time.monotonic() + LOCK_TIMEOUT_S
        while not _taken(lock):
            if job.cancel_asked.is_set():
                raise JobCancelledError
            if time.monotonic() > deadline:
                raise ProvisionError(
                    f"HuggingFace download failed: Lock acquisition failed: {place.lock}",
                    "Another download of this model is running; wait for it, or cancel it",
                )
            await asyncio.sleep(LOCK_INTERVAL_S)
        try:
            yield
        finally:
            lock.release()

    async def _unless_cancelled(
        self, job: Job, work: Callable[[], _T], *, stop: Callable[[], bool] = lambda: False
    ) -> _T:
        """Do blocking work in a thread, until it is done or the job is cancelled.

        `stop` asks the work to end, and tells whether its end must be waited for.
        """
        working = asyncio.ensure_future(
            anyio.to_thread.run_sync(work, abandon_on_cancel=True, limiter=self._threads)
        )
        asked = asyncio.ensure_future(job.cancel_asked.wait())
        try:
            await asyncio.wait({working, asked}, return_when=asyncio.FIRST_COMPLETED)
            if not working.done() and stop():
                await asyncio.wait({working})
            if working.done():
                return working.result()
            raise JobCancelledError
        finally:
            stop()
            asked.cancel()
            working.cancel()


def _lock(place: Place) -> filelock.FileLock:
    return filelock.FileLock(place.lock, timeout=0, thread_local=False)


def _taken(lock: filelock.FileLock) -> bool:
    """Take a lock if it is free."""
    try:
        lock.acquire()
    except filelock.Timeout:
        return False
    return True


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


async def _tell_figures(job: Job, transfer: Transfer) -> bool:
    """Tell how far it is, where that can be told; gives whether it was."""
    done, total = transfer.done, transfer.total
    job.figures.bytes_downloaded, job.figures.total_size = done, total
    if total is None:
        return False
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
    return True


def _gigabytes(entry: Entry) -> str:
    return f"{entry.artifact.size / 1e9:.2f} GB"
