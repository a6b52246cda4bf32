"""What a job does: each operation's narration, in a hive's own words, and its work.

The texts and the functions they name are those of a real hive, so that every client of one reads
them; `hf_verify` and the `_hint` lines are additions.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any, Final, TypeVar

import anyio
import anyio.to_thread

from rbee_widgets.contract import (
    HiveCheck,
    ModelDelete,
    ModelDownload,
    ModelGet,
    ModelList,
    OperationError,
    UnsupportedOperationError,
    parse_operation,
)
from rbee_widgets.hive.catalog import Catalog, CatalogError, Entry, Place
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

_ROUTER: Final = "rbee_hive::job_router::route_operation"
_MODEL: Final = "rbee_hive::operations::model::handle_"
_HIVE: Final = "rbee_hive::operations::hive::handle_hive_operation"
_CHECK: Final = "rbee_hive::hive_check::handle_hive_check"
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


class Operations:
    """The operations of one hive."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._catalog = Catalog(settings.models_dir)
        self._locks: dict[str, asyncio.Lock] = {}
        self._threads = anyio.CapacityLimiter(MAX_THREADS)

    async def run(self, job: Job) -> None:
        """Do what a job asks.

        Raises
        ------
        JobError, JobCancelledError
            How it ended, if not well.

        """
        try:
            operation = parse_operation(job.request)
        except OperationError as error:
            raise JobError(f"Failed to parse operation: {error}") from error
        except UnsupportedOperationError as error:
            await self._route(job, str(error))
            raise JobError(_unsupported(str(error))) from error
        await self._route(job, operation.operation)
        try:
            match operation:
                case ModelDownload():
                    await self._model_download(job, operation)
                case ModelList():
                    await self._model_list(job, operation)
                case ModelGet():
                    await self._model_get(job, operation)
                case ModelDelete():
                    await self._model_delete(job, operation)
                case HiveCheck():
                    await _hive_check(job)
                case _:
                    raise JobError(_unsupported(operation.operation))
        except CatalogError as error:
            raise JobError(str(error)) from error

    async def _route(self, job: Job, tag: str) -> None:
        await job.narrate(_ROUTER, "route_job", f"Executing operation: {tag}")

    # -- The catalog ------------------------------------------------------------------------------

    async def _model_list(self, job: Job, asked: ModelList) -> None:
        function = f"{_MODEL}model_list"
        await job.narrate(
            function, "model_list_start", f"📋 Listing models on hive '{asked.hive_id}'"
        )
        entries = self._catalog.entries()
        await job.narrate(function, "model_list_result", f"Found {len(entries)} model(s)")
        models = [_listed(entry) for entry in entries]
        if models:
            await job.narrate(function, "model_list_table", _table(models))
        else:
            await job.narrate(
                function,
                "model_list_empty",
                "No models found. Download a model with: ./rbee model download <model-id>",
            )
        answer = {"action": "model_list", "payload": {"models": models}}
        await job.tell(json.dumps(answer, separators=(",", ":"), ensure_ascii=False))
        await job.narrate(function, "model_list_complete", "✅ Model list operation complete")

    async def _model_get(self, job: Job, asked: ModelGet) -> None:
        function = f"{_MODEL}model_get"
        await job.narrate(
            function, "model_get_start", f"🔍 Getting model '{asked.id}' on hive '{asked.hive_id}'"
        )
        entry = self._catalog.get(asked.id)
        model = entry.artifact
        await job.narrate(
            function,
            "model_get_found",
            f"✅ Model: {model.id} | Name: {model.name} | Path: {model.path}",
        )
        details = model.model_dump_json(indent=2, by_alias=True)
        await job.narrate(function, "model_get_details", details)
        self._catalog.touch(entry)

    async def _model_delete(self, job: Job, asked: ModelDelete) -> None:
        function = f"{_MODEL}model_delete"
        await job.narrate(
            function,
            "model_delete_start",
            f"🗑️  Deleting model '{asked.id}' on hive '{asked.hive_id}'",
        )
        try:
            place = self._catalog.place(asked.id)
            if self._lock(place).locked():
                raise CatalogError(f"Model '{asked.id}' is being downloaded")
            if asked.partial:
                place.discard_partial()
            else:
                self._catalog.delete(asked.id)
        except CatalogError as error:
            await job.narrate(
                function,
                "model_delete_error",
                f"❌ Failed to delete model '{asked.id}': {error}",
            )
            raise
        await job.narrate(
            function, "model_delete_complete", f"✅ Model '{asked.id}' deleted successfully"
        )

    # -- Downloads --------------------------------------------------------------------------------

    async def _model_download(self, job: Job, asked: ModelDownload) -> None:
        function = f"{_MODEL}model_download"
        model = asked.model
        await job.narrate(
            function,
            "model_download_start",
            f"📥 Downloading model '{model}' on hive '{asked.hive_id}'",
        )
        if self._exists(model):
            await job.narrate(
                function,
                "model_download_exists",
                f"⚠️  Model '{model}' already exists in catalog",
            )
            raise JobError(f"Model '{model}' already exists")
        await job.narrate(_PROVISIONER, "model_provision_start", f"🚀 Provisioning model '{model}'")
        try:
            entry = await self._provision(job, model)
        except ProvisionError as error:
            if error.hint is not None:
                await job.narrate(_VENDOR, "hf_download_hint", f"💡 {error.hint}")
            raise JobError(str(error)) from error
        size = f"{entry.artifact.size / 1e9:.2f} GB"
        await job.narrate(
            _PROVISIONER,
            "model_provision_complete",
            f"✅ Model '{model}' provisioned successfully ({size})",
        )
        await job.narrate(
            function,
            "model_download_complete",
            f"✅ Model '{model}' downloaded and added to catalog",
        )

    def _exists(self, model: str) -> bool:
        try:
            return self._catalog.has(model)
        except CatalogError:
            return False  # an id unfit for a folder is told of as unfit

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
        size = f"{entry.artifact.size / 1e9:.2f} GB"
        await job.narrate(
            _VENDOR, "hf_download_complete", f"✅ Model ready: {source.file} ({size})"
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


def _unsupported(tag: str) -> str:
    if tag == "infer":
        return "Infer operation should NOT be routed to hive! It belongs to queen-rbee"
    return f"Operation '{tag}' is not supported by rbee-hive (should be handled by queen-rbee)"


def _listed(entry: Entry) -> dict[str, Any]:
    model = entry.artifact
    return {
        "id": model.id,
        "loaded": False,
        "name": model.name,
        "path": model.path,
        "size": model.size,
    }


def _table(rows: list[dict[str, Any]]) -> str:
    """Draw rows as a hive does: padded columns, a rule below the head, a newline at the end."""
    names = list(rows[0])
    cells = [[_cell(row[name]) for name in names] for row in rows]
    widths = [max(len(text) for text in column) for column in zip(names, *cells, strict=True)]
    lines = [
        " │ ".join(text.ljust(width) for text, width in zip(line, widths, strict=True))
        for line in (names, *cells)
    ]
    rule = "─┼─".join("─" * width for width in widths)
    return "\n".join([lines[0], rule, *lines[1:]]) + "\n"


def _cell(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


# -- hive_check -----------------------------------------------------------------------------------

_STEP_S: Final = 0.1
_SEQUENCE_STEP_S: Final = 0.05
_CHECKS: Final = (
    ("test_1", "📝 Test 1: Simple narration through hive"),
    ("test_2", "📝 Test 2: rbee-hive version 0.1.0 reporting"),
    ("test_3", "📝 Test 3: Testing Human Mode"),
    ("mode_test", "Testing narration in human mode via hive SSE"),
    ("test_4", "📝 Test 4: Testing Cute Mode"),
    ("mode_test", "🐝 Testing narration in cute mode via hive SSE!"),
    ("test_5", "📝 Test 5: Testing Story Mode"),
    ("mode_test", "'Testing narration through the hive', said the server"),
    ("test_6", "📝 Test 6: Hex: ff, Debug: [1, 2, 3], Float: 3.14"),
    ("test_7", "📝 Test 7: Sequential narrations"),
    *(("sequence", f"Narration sequence {i}/5 streaming via hive SSE") for i in range(1, 6)),
    ("test_8", "📝 Test 8: Job ID context propagation"),
    ("job_context", "✅ This narration is routed via job_id to your SSE stream"),
    ("test_9", "📝 Test 9: Partial mode combinations"),
    ("partial_test", "Technical message streamed from hive to client"),
    ("test_10", "📝 Test 10: Final summary"),
    ("hive_check_complete", "✅ Hive check complete - all SSE narration tests passed"),
    ("summary", "✨ Hive narration test complete - hive SSE streaming tested successfully"),
)


async def _hive_check(job: Job) -> None:
    await job.narrate(_HIVE, "hive_check_start", "🔍 Starting hive narration check")
    await job.narrate(
        _CHECK, "test_start", "🔍 Hive Narration Test - Testing SSE streaming from hive"
    )
    for action, text in _CHECKS:
        if job.cancel_asked.is_set():
            raise JobCancelledError
        if action.startswith("test_"):
            await asyncio.sleep(_STEP_S)
        elif action == "sequence":
            await asyncio.sleep(_SEQUENCE_STEP_S)
        await job.narrate(_CHECK, action, text)
    await job.narrate(_HIVE, "hive_check_complete", "✅ Hive narration check complete")
