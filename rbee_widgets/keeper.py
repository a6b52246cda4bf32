"""Keeps the records of a tracker's downloads as they change, off the loop."""

from __future__ import annotations

import asyncio
import logging
import threading
from contextlib import suppress
from typing import Final

from rbee_widgets.background import Background
from rbee_widgets.handle import Download
from rbee_widgets.state import Status
from rbee_widgets.store import Store

PAUSE_S: Final = 1.0
"""Seconds between two writings of figures alone."""

_log: Final = logging.getLogger(__name__)


class Keeper:
    """Writes what changes to a store; lives on the tracker's loop."""

    def __init__(self, store: Store, background: Background) -> None:
        self._store = store
        self._background = background
        self._changed: dict[str, Download] = {}
        self._taken: dict[str, Download] = {}
        """What is being written; perhaps it waits for a thread yet."""
        self._kept: set[str] = set()
        """Ids of those that have, or had, a record: one that another kernel removed stays away."""
        self._writing: asyncio.Task[None] | None = None
        self._news = asyncio.Event()
        self._lock = threading.Lock()
        """Held while one is written, so that an older state never takes a newer one's place."""
        self._has_ended = False
        self._has_failed = False

    def knows(self, download: Download) -> None:
        """Take note of a download that has a record."""
        self._kept.add(download.id)

    def begins(self, download: Download) -> None:
        """Write the record of a download that begins, at once, even where one was removed."""
        self._kept.discard(download.id)
        self._put({download.id: download})

    def forgets(self, download: Download) -> None:
        """Remove the record of a download that was cleared, at once: it would be restored again."""
        self._put({download.id: download})

    def changed(self, download: Download, *, at_once: bool) -> None:
        """Have a download's record written soon, or now: the kernel may end at any time."""
        self._changed[download.id] = download
        if at_once:
            self._news.set()
        if self._writing is None or self._writing.done():
            self._writing = self._background.start(self._write(), "keep records")

    def end(self) -> None:
        """Write what is left, and nothing from then on; blocks."""
        self._put(self._taken | self._changed)
        with self._lock:
            self._has_ended = True

    async def _write(self) -> None:
        while self._changed:
            self._news.clear()
            self._taken, self._changed = self._changed, {}
            try:
                await asyncio.to_thread(self._put, self._taken)
            except RuntimeError:  # the interpreter ends, and gives no more threads
                self._put(self._taken)
            self._taken = {}
            with suppress(TimeoutError):
                async with asyncio.timeout(PAUSE_S):
                    await self._news.wait()

    def _put(self, changed: dict[str, Download]) -> None:
        try:
            for download in changed.values():
                with self._lock:
                    if not self._has_ended:
                        self._put_one(download)
        except OSError as error:  # a full or a read-only disk: this kernel shows all it knows
            if not self._has_failed:
                _log.warning("downloads are not kept for other kernels: %s", error)
            self._has_failed = True

    def _put_one(self, download: Download) -> None:
        is_known = download in download.owner.downloads
        if not is_known or download.status is Status.COMPLETE:
            self._store.remove(download.id)
        elif download.id not in self._kept or self._store.has(download.id):
            self._store.put(download.record())
            self._kept.add(download.id)
