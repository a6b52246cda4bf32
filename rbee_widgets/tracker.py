"""`Tracker`: downloads followed on one loop, from submission to their end.

The tracker owns every task that it starts; what it learns goes to its subscribers. All of it runs
on the loop that the tracker was made on (a kernel's own), or on one in a thread where none ran.
Public calls may come from any thread.
"""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import Any, Final

from rbee_widgets import discovery
from rbee_widgets.attempt import Attempt, Change
from rbee_widgets.background import Background, in_kernel
from rbee_widgets.client import Hive
from rbee_widgets.errors import RbeeError, UnknownHiveError
from rbee_widgets.handle import Download, Subscriber
from rbee_widgets.links import Target, read_sha256, read_target
from rbee_widgets.state import Status, Type

_log: Final = logging.getLogger(__name__)

TICK_S: Final = 1.0
"""Seconds between looks at what time alone changes: a speed that falls, a stall."""


class Tracker:
    """All downloads of one owner, on one loop.

    Parameters
    ----------
    hives
        The hives that downloads may name; the first is the one used where none is named. Without
        any, one is found: `RBEE_HIVE_URL`, a hive on this machine's default ports, the embedded.
    background
        Follow them on a loop in a thread of its own, and not on the running one.
    clock
        Seconds of a monotonic clock.

    """

    def __init__(
        self,
        hives: Iterable[Hive] = (),
        *,
        background: bool = False,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.clock: Final = clock
        self._hives: dict[str, Hive] = {}
        self._handles: list[Hive] = []  # also those whose ids others have now
        for hive in hives:
            self.add(hive)
        self._preferred = next(iter(self._hives.values()), None)
        self._downloads: list[Download] = []
        self._subscribers: list[Subscriber] = []
        self._background = Background(in_thread=background)
        self._ticking: asyncio.Task[None] | None = None

    # -- Downloads --------------------------------------------------------------------------------

    def download(
        self, model: str, hive: Hive | str | None = None, *, sha256: str | None = None
    ) -> Download:
        """Fetch a model; starts at once.

        Parameters
        ----------
        model
            `org/repo`, `org/repo:file.gguf`, an `rbee://` link, or, on an embedded hive, a URL.
        hive
            A hive, or the id or the URL of one.
        sha256
            What the file must hash to, in hex: needed where no hub states it, as for a URL.
            An embedded hive checks it; with a real one, which can't, the download fails.

        Raises
        ------
        ValueError
            `model` names nothing, or `sha256` is none.
        UnknownHiveError
            `hive` does.

        """
        target = read_target(model, Type.MODEL)
        if sha256 is not None:
            target = replace(target, sha256=read_sha256(sha256))
        return self._fetch(target, hive)

    def install_worker(self, worker: str, hive: Hive | str | None = None) -> Download:
        """Build and install a worker on a hive; the same otherwise."""
        return self._fetch(read_target(worker, Type.WORKER), hive)

    def _fetch(self, target: Target, hive: Hive | str | None) -> Download:
        chosen = self._chosen(hive)
        for known in self._downloads:
            same = known.target == target and chosen in (None, known.attempt.hive)
            if same and known.status.is_active:
                return known
        download = Download(self, target, chosen)
        self._downloads.insert(0, download)
        self.request(self._start, download)
        return download

    @property
    def downloads(self) -> list[Download]:
        """All that were not cleared, newest first."""
        return list(self._downloads)

    # -- Hives ------------------------------------------------------------------------------------

    @property
    def hives(self) -> list[Hive]:
        """The hives that were given, added or found."""
        return list(self._hives.values())

    def add(self, hive: Hive) -> None:
        """Make a hive known by its id, in the place of any other of that id."""
        self._hives[hive.id] = hive
        self._handles.append(hive)

    def _chosen(self, hive: Hive | str | None) -> Hive | None:
        if hive is None:
            return self._preferred
        if isinstance(hive, Hive):
            return self._known(hive)
        if hive in self._hives:
            return self._hives[hive]
        if "://" in hive:
            return self._known(Hive(hive, token=os.environ.get("RBEE_HIVE_TOKEN")))
        if hive == "local":
            return self._known(Hive.local())
        raise UnknownHiveError(hive, ["local", *self._hives])

    def _known(self, hive: Hive) -> Hive:
        """Give the handle on the same hive that is known, so that it is one; else learn it."""
        known = self._hives.get(hive.id)
        if known is None or not known.is_same_as(hive):
            self.add(hive)
            return hive
        return known

    # -- Subscribers ------------------------------------------------------------------------------

    def subscribe(self, subscriber: Subscriber) -> Callable[[], None]:
        """Tell of each change, on the tracker's loop; gives what ends that."""
        self._subscribers.append(subscriber)
        return partial(self._unsubscribe, subscriber)

    def _unsubscribe(self, subscriber: Subscriber) -> None:
        if subscriber in self._subscribers:
            self._subscribers.remove(subscriber)

    def changed(self, download: Download, change: Change) -> None:
        """Tell the subscribers; on the loop."""
        for subscriber in tuple(self._subscribers):
            try:
                subscriber(download, change)
            except Exception:  # noqa: BLE001 (whatever a view does)
                # A view that breaks must not break the download that it shows.
                _log.exception("a subscriber broke and is told no more")
                self._unsubscribe(subscriber)

    # -- The loop ---------------------------------------------------------------------------------

    @property
    def is_here(self) -> bool:
        """Whether the caller runs on the tracker's loop."""
        return self._background.is_here

    @property
    def loop(self) -> asyncio.AbstractEventLoop:
        """The tracker's loop."""
        return self._background.loop

    def request(self, function: Callable[..., None], *arguments: Any) -> None:
        """Call a function on the tracker's loop, from any thread."""
        self._background.call(function, *arguments)

    async def aclose(self) -> None:
        """Stop following, and leave nothing behind. The hives' jobs go on."""
        await self._background.here(self._close())
        await self._background.end()

    async def _close(self) -> None:
        await self._background.aclose()
        for hive in self._handles:
            await hive.aclose()
        self._subscribers.clear()

    # -- What the user asked for; on the loop -----------------------------------------------------

    def _start(self, download: Download, *, instead_of: Attempt | None = None) -> None:
        download.attempt.begin(self._background, self._find, instead_of=instead_of)
        if self._ticking is None or self._ticking.done():
            self._ticking = self._background.start(self._tick(), "tick")
        self.changed(download, Change.LIST)

    def cancel(self, download: Download) -> None:
        """Cancel a download; on the loop."""
        attempt = download.attempt
        if attempt.state.status.is_final or attempt.state.status is Status.CANCELLING:
            return
        attempt.state.cancelling()
        if attempt.is_over:  # interrupted: nobody follows its job, which may go on
            attempt.state.cancelled()
            self._background.start(attempt.abandon(), f"abandon {download.name}")
        elif attempt.job_id is not None:
            self._background.start(attempt.cancel(), f"cancel {download.name}")
        elif attempt.task is not None:
            attempt.task.cancel()
        self.changed(download, Change.STATUS)

    def retry(self, download: Download) -> None:
        """Submit a download again; on the loop."""
        if not download.can_retry:
            return
        before = download.attempt
        if before.task is not None:
            before.task.cancel()  # it may still try to reattach
        download.begin_again()
        self._start(
            download,
            instead_of=before if before.state.status is Status.INTERRUPTED else None,
        )

    def clear(self, download: Download) -> None:
        """Forget a download; on the loop."""
        if not download.can_clear or download not in self._downloads:
            return
        self._downloads.remove(download)
        attempt = download.attempt
        if attempt.task is not None:
            attempt.task.cancel()
        unfinished = download.type is Type.MODEL and download.status is not Status.COMPLETE
        if unfinished and not self._is_wanted(download):
            self._background.start(_discard(attempt), f"discard {download.name}")
        self.changed(download, Change.LIST)

    def _is_wanted(self, download: Download) -> bool:
        return any(
            (other.name, other.hive) == (download.name, download.hive) and other.status.is_active
            for other in self._downloads
        )

    # -- Tasks ------------------------------------------------------------------------------------

    async def _find(self) -> Hive:
        return self._preferred or self._known(await discovery.find())

    async def _tick(self) -> None:
        while active := [one for one in self._downloads if one.status.is_active]:
            await asyncio.sleep(TICK_S)
            for download in active:
                self.changed(download, Change.FIGURES)


async def _discard(attempt: Attempt) -> None:
    """Remove what a download left on its hive; where that can't be done, it stays for a retry."""
    if attempt.hive is None or attempt.job_id is None:
        return
    await attempt.abandon()  # an interrupted one's job may go on
    with suppress(RbeeError, TimeoutError):
        await attempt.hive.discard(attempt.name)


_default: Tracker | None = None


def default_tracker() -> Tracker:
    """Give the tracker that magics, panels and plain calls share; made on first use."""
    global _default  # noqa: PLW0603 (one a process is what is meant)
    if _default is None or _default.loop.is_closed():
        # A kernel's loop always runs; a terminal's and a script's only now and then.
        _default = Tracker(background=not in_kernel())
    return _default
