"""The fetching of one model: what it is, its turn, its bytes, its entry in the catalog.

It runs once, however many jobs want the model; what it has to say is kept for all of them.
"""

from __future__ import annotations

import asyncio
import shutil
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Final, TypeVar

import anyio
import anyio.to_thread
import filelock

from rbee_widgets.hive.catalog import Catalog, Entry, Place
from rbee_widgets.hive.engine import (
    ChangedError,
    CorruptError,
    RefusedError,
    Remote,
    Transfer,
    TransferError,
    Wait,
    Web,
)
from rbee_widgets.hive.engine.patience import wait_after
from rbee_widgets.hive.hub import Hub, ModelId, Source
from rbee_widgets.hive.jobs import JobError
from rbee_widgets.hive.settings import Settings
from rbee_widgets.hive.trouble import (
    FAILED,
    AwayError,
    ProvisionError,
    broken,
    no_space,
    refused,
    unwritable,
)
from rbee_widgets.hive.turns import Turns

LOCK_TIMEOUT_S: Final = 5.0
"""Seconds that a download waits for one of another hive, as a real hive does."""

LOCK_INTERVAL_S: Final = 0.1
MAX_THREADS: Final = 256

CONNECTING_S: Final = 1.0
"""Seconds without an answer after which it is said whose is waited for."""

ANSWER_S: Final = 60.0
"""The most seconds that the hub may take over one answer."""

VENDOR: Final = (
    "<rbee_hive_model_provisioner::huggingface::HuggingFaceVendor as "
    "rbee_hive_artifact_catalog::provisioner::VendorSource>::download"
)
TRACKER: Final = "rbee_hive_model_provisioner::download_tracker::DownloadTracker::start_heartbeat"

_T = TypeVar("_T")
Line = tuple[str, str, str]
"""A line of narration: the function, the action and the text."""


class Fetching:
    """What all fetches of a hive share."""

    def __init__(self, settings: Settings, catalog: Catalog) -> None:
        self.settings = settings
        self.catalog = catalog
        self.web = Web(settings.connections)
        self.hubs = Web(settings.connections)
        """For questions, so that none waits until a transfer gives a connection back."""
        self.turns = Turns(settings.transfers)
        self.running: dict[Transfer, int] = {}
        """What each one at work had on disk when it began, in bytes."""
        self._threads = anyio.CapacityLimiter(MAX_THREADS)

    async def in_thread(self, work: Callable[[], _T]) -> _T:
        """Do blocking work in a thread, which is left alone when nobody waits any more."""
        return await anyio.to_thread.run_sync(work, abandon_on_cancel=True, limiter=self._threads)

    @property
    def promised(self) -> int:
        """Bytes of disk that those at work still need."""
        return sum(
            max(0, (transfer.total or 0) - max(transfer.done, kept))
            for transfer, kept in self.running.items()
        )


class Fetch:
    """One model on its way.

    Its task gives the catalog's entry, or raises `ProvisionError`; cancelled, it keeps what has
    arrived.
    """

    def __init__(self, fetching: Fetching, model: str, sha256: str | None) -> None:
        self.model = model
        self.sha256 = sha256
        self.file = model
        self.lines: list[Line] = []
        """All that it has said."""
        self.news: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        """Done once it has said more, or begins to transfer; there is a new one then."""
        self.transfer: Transfer | None = None
        self.followers = 0
        self.is_ending = False
        """Whether its last follower has left,"""
        self.is_abandoned = False
        """and was told of its end, which then can be no other."""
        self.task = asyncio.create_task(self._run(), name=f"fetch {model}")
        self._shared = fetching

    def _say(self, action: str, text: str, function: str = VENDOR) -> None:
        self.lines.append((function, action, text))
        self._wake()

    def _wake(self) -> None:
        told, self.news = self.news, asyncio.get_running_loop().create_future()
        told.set_result(None)

    async def _run(self) -> Entry:
        wanted = ModelId.parse(self.model)
        catalog = self._shared.catalog
        place = catalog.place(self.model)
        hub = Hub(self._shared.settings, self._shared.hubs)
        try:
            with self._shared.turns.place() as turn:
                source = await self._find(hub, wanted)
                await turn.come(self._say_queued)
                async with _locked(place):
                    if catalog.has(self.model):  # whoever had the lock has brought it
                        raise JobError(f"Model '{self.model}' already exists")
                    await self._bring(hub, wanted, source, place)
                    entry = catalog.add(self.model)
        except OSError as error:
            raise unwritable(error, place.folder, self.transfer) from error
        self._say("hf_download_complete", f"✅ Model ready: {source.file} ({gigabytes(entry)})")
        return entry

    def _say_queued(self, before: int) -> None:
        text = f"{before} before it" if before else "next in line"
        self._say("download_queued", f"⏳ Queued, {text}")

    async def _find(self, hub: Hub, wanted: ModelId) -> Source:
        """Say and ask what is to be fetched."""
        origin = "its URL" if wanted.repo is None else "HuggingFace"
        self._say("hf_download_start", f"📥 Downloading model '{wanted.text}' from {origin}")
        file = wanted.file
        if file is None:
            self._say("hf_find_gguf", "🔍 Looking for GGUF file in repository...")
            file = await self._ask(hub, wanted, lambda: hub.choose_file(wanted))
        self._say("hf_download_file", f"📥 Downloading file: {file}")
        self.file = file
        return await self._source(hub, wanted, file)

    async def _source(self, hub: Hub, wanted: ModelId, file: str) -> Source:
        return await self._ask(hub, wanted, lambda: hub.source(wanted, file, self.sha256))

    async def _ask(self, hub: Hub, wanted: ModelId, question: Callable[[], _T]) -> _T:
        """Ask the hub, as often as there is hope."""
        failures = 0
        while True:
            try:
                return await self._ask_once(hub.host(wanted), question)
            except AwayError as error:
                failures += 1
                wait = wait_after(failures, error.reason, error.wait_s)
                if wait is None:
                    raise
            self._say("download_retry", retry_line(wait))
            await asyncio.sleep(wait.seconds)

    async def _ask_once(self, host: str, question: Callable[[], _T]) -> _T:
        connecting = asyncio.get_running_loop().call_later(
            CONNECTING_S, self._say, "download_connecting", f"🔌 Connecting to {host}"
        )
        try:
            async with asyncio.timeout(ANSWER_S):
                return await self._shared.in_thread(question)
        except TimeoutError as error:
            raise AwayError(
                f"{FAILED}request error: {host} takes more than {ANSWER_S:.0f} s to answer",
                f"{host} is busy or out of order; Retry asks it again",
                reason=f"{host} does not come to an end with its answer",
            ) from error
        finally:
            connecting.cancel()

    async def _bring(self, hub: Hub, wanted: ModelId, source: Source, place: Place) -> None:
        remote = source.remote
        try:
            try:
                await self._transfer(remote, place)
            except (ChangedError, CorruptError):
                # It may have changed since the hub was asked, so it is asked once more.
                fresh = await self._source(hub, wanted, source.file)
                if fresh.remote == remote:
                    raise
                remote = fresh.remote
                await self._transfer(remote, place)
        except RefusedError as error:
            status, file = error.status, source.file
            why = await self._shared.in_thread(lambda: hub.why(wanted, status, file))
            raise refused(error, remote.url, why) from error
        except TransferError as error:
            raise broken(error, remote.url) from error
        self._say("hf_download_cached", f"✅ File downloaded and cached at: {place.model}")

    async def _transfer(self, remote: Remote, place: Place) -> None:
        transfer = Transfer(remote, place.model, self._shared.web)
        kept = await self._shared.in_thread(transfer.kept)
        self._check_space(remote, kept, place)
        self._shared.running[transfer] = kept
        self.transfer = transfer
        self._wake()
        working = asyncio.ensure_future(self._shared.in_thread(transfer.run))
        try:
            await asyncio.shield(working)
        except asyncio.CancelledError:
            transfer.cancel()
            (error,) = await asyncio.gather(working, return_exceptions=True)
            if error is not None or self.is_abandoned:
                raise
            # It was there already: what remains is to say so.
            task = asyncio.current_task()
            assert task is not None  # noqa: S101 (a coroutine runs in one)
            task.uncancel()
        finally:
            del self._shared.running[transfer]
        line = progress_line(transfer)
        if line is not None:
            self._say("download_progress", line, TRACKER)

    def _check_space(self, remote: Remote, kept: int, place: Place) -> None:
        if remote.size is None:
            return
        place.folder.mkdir(parents=True, exist_ok=True)
        needed, free = remote.size - kept, shutil.disk_usage(place.folder).free
        promised = self._shared.promised
        if needed <= free - promised:
            return
        raise no_space(needed, place.folder.parent, promised=promised)


# -- Locks ----------------------------------------------------------------------------------------


@asynccontextmanager
async def _locked(place: Place) -> AsyncIterator[None]:
    """Keep other hives on the same folder away."""
    lock = _lock(place)
    place.lock.parent.mkdir(parents=True, exist_ok=True)
    deadline = time.monotonic() + LOCK_TIMEOUT_S
    while not _taken(lock):
        if time.monotonic() > deadline:
            raise ProvisionError(
                f"{FAILED}Lock acquisition failed: {place.lock}",
                "Another hive downloads this model; wait for it, or cancel it there",
            )
        await asyncio.sleep(LOCK_INTERVAL_S)
    try:
        yield
    finally:
        lock.release()


def is_locked(place: Place) -> bool:
    """Whether a hive fetches the model."""
    lock = _lock(place)
    if place.lock.exists() and not _taken(lock):
        return True
    lock.release()
    return False


def _lock(place: Place) -> filelock.FileLock:
    return filelock.FileLock(place.lock, timeout=0, thread_local=False)


def _taken(lock: filelock.FileLock) -> bool:
    """Take a lock if it is free."""
    try:
        lock.acquire()
    except filelock.Timeout:
        return False
    return True


# -- Words ----------------------------------------------------------------------------------------


def progress_line(transfer: Transfer) -> str | None:
    """Tell how far a transfer is; None where that can't be told."""
    done, total = transfer.done, transfer.total
    if total is None:
        return None
    # Digits enough that a speed can be computed from the text.
    unit, scale, digits = ("MB", 1e6, 2) if total >= 10_000_000 else ("B", 1, 0)
    percent = done / total * 100 if total else 100.0
    return (
        f"📊 Progress: {percent:.1f}% "
        f"({done / scale:.{digits}f} {unit} / {total / scale:.{digits}f} {unit})"
    )


def gigabytes(entry: Entry) -> str:
    """Give a model's size for people."""
    return f"{entry.artifact.size / 1e9:.2f} GB"


def retry_line(wait: Wait) -> str:
    """Tell a wait before the next try."""
    return f"🔁 Retry {wait.number} of {wait.of} in {wait.seconds:.1f} s: {wait.reason}"
