"""`Tracker`: downloads followed on one loop, from submission to their end.

The tracker owns every task that it starts; what it learns goes to its subscribers. All of it runs
on the loop that the tracker was made on (a kernel's own), or on one in a thread where none ran.
Public calls may come from any thread.
"""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections.abc import Callable, Coroutine, Iterable
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import Any, Final, NamedTuple

from rbee_widgets.attempt import Attempt, Change
from rbee_widgets.background import Background, in_kernel
from rbee_widgets.client import Hive
from rbee_widgets.contract import Model, Worker
from rbee_widgets.errors import HiveUrlError, RbeeError
from rbee_widgets.handle import Download, Subscriber
from rbee_widgets.hives import Hives
from rbee_widgets.keeper import Keeper
from rbee_widgets.links import Target, read_sha256, read_target
from rbee_widgets.log import Log
from rbee_widgets.state import Status, Type
from rbee_widgets.store import Store
from rbee_widgets.watch import watch

_log: Final = logging.getLogger(__name__)

TICK_S: Final = 1.0
"""Seconds between looks at what time alone changes: a speed that falls, a stall."""

TICK_MOST: Final = 50
"""Downloads that are looked at in one go, so that no change of another waits for a thousand,"""

TICK_LEAST_S: Final = 0.25
"""and seconds between two goes, however many there are."""


class Found(NamedTuple):
    """What a hive's catalog tells of something; None: it isn't there."""

    hive: Hive
    entry: Model | Worker | None


class Tracker:
    """All downloads of one owner, on one loop.

    Parameters
    ----------
    hives
        The hives that downloads may name; the first is the one used where none is named. Without
        any, one is found: `RBEE_HIVE_URL`, a hive on this machine's default ports, the embedded.
    background
        Follow them on a loop in a thread of its own, and not on the running one.
    store
        Where those that aren't complete are kept, so that they outlive this kernel; `restore`
        brings them back.
    clock
        Seconds of a monotonic clock.

    """

    def __init__(
        self,
        hives: Iterable[Hive] = (),
        *,
        background: bool = False,
        store: Store | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.clock: Final = clock
        self.log: Final = Log()
        """What its hives have said."""
        self._hives = Hives(hives, clock)
        self._downloads: list[Download] = []
        self._subscribers: list[Subscriber] = []
        self._background = Background(in_thread=background)
        self._ticking: asyncio.Task[None] | None = None
        self._watching: dict[Hive, asyncio.Task[None]] = {}
        self.store: Final = store
        """Where those that aren't complete are kept, if anywhere."""
        self._keeper = Keeper(store, self._background) if store else None

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
        return self.fetch(target, self._hives.chosen(hive))

    def install_worker(self, worker: str, hive: Hive | str | None = None) -> Download:
        """Build and install a worker on a hive; the same otherwise."""
        return self.fetch(read_target(worker, Type.WORKER), self._hives.chosen(hive))

    def fetch(self, target: Target, chosen: Hive | None) -> Download:
        """Fetch a target from a hive that was `chosen`; None: from the one that is found."""
        self.restore()
        for known in self._downloads:
            same = known.target == target and chosen in (None, known.attempt.hive)
            if same and not known.status.is_final:
                self.request(self._insist, known)
                return known
        download = Download(self, target, chosen)
        self._downloads.insert(0, download)
        if self._keeper is not None:
            self._keeper.begins(download)  # before this call ends: another kernel may ask at once
        self.request(self._follow, download)
        return download

    def restore(self) -> None:
        """Bring back what an earlier kernel left, or another one has begun.

        What is under way on a hive is followed again; what has become of the rest is asked of its
        hive's catalog.
        """
        if self.store is None:
            return
        records = self.store.take()
        for record in records:
            target = Target(record.type, record.name, record.sha256)
            try:
                hive = self._hives.remembered(record.hive, record.url)
            except HiveUrlError:  # nobody of ours wrote it
                continue
            download = Download(self, target, hive, record=record)
            self._downloads.append(download)
            self.request(self._take_up, download)
        if records:
            self._downloads.sort(key=lambda download: download.created_at, reverse=True)

    @property
    def downloads(self) -> list[Download]:
        """All that were not cleared, newest first."""
        return list(self._downloads)

    # -- Hives ------------------------------------------------------------------------------------

    @property
    def hives(self) -> list[Hive]:
        """The hives that were given, added or found."""
        return list(self._hives)

    def chosen(self, hive: Hive | str | None) -> Hive | None:
        """Give the hive that is meant: by itself, its id or its URL; None: the preferred one.

        Raises
        ------
        UnknownHiveError, HiveUrlError
            It means none.

        """
        return self._hives.chosen(hive)

    def add(self, hive: Hive) -> None:
        """Make a hive known by its id, in the place of any other of that id."""
        self._hives.add(hive)

    def look_up(
        self, target: Target, hive: Hive | None, then: Callable[[Found | RbeeError], None]
    ) -> None:
        """Ask a hive's catalog for a target, and call `then` with the answer; on the loop."""
        self.start(self._look_up(target, hive, then), f"look up {target.id}")

    async def _look_up(
        self, target: Target, hive: Hive | None, then: Callable[[Found | RbeeError], None]
    ) -> None:
        try:
            hive = await self.found(hive)
            then(Found(hive, await self._hives.listing(hive).find(target)))
        except RbeeError as error:
            then(error)

    async def found(self, hive: Hive | None) -> Hive:
        """Give the hive that was chosen; None: the one that is found."""
        return hive or await self._hives.find()

    async def catalog(self, hive: Hive) -> list[Model]:
        """List the models of a hive that is known; raises `RbeeError`."""
        return await self._hives.listing(hive).models()

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
        if self._keeper is not None:
            self._keeper.changed(download, at_once=change is not Change.FIGURES)
        if download.attempt.is_over and change is Change.STATUS:
            self._watch(download.attempt)
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

    def start(self, work: Coroutine[Any, Any, None], name: str) -> asyncio.Task[None]:
        """Do some work on the tracker's loop, to be called there; it ends with the tracker."""
        return self._background.start(work, name)

    async def aclose(self) -> None:
        """Stop following, and leave nothing behind. The hives' jobs go on."""
        await self._background.here(self._close())
        await self._background.end()

    async def _close(self) -> None:
        if self._keeper is not None:
            self._keeper.end()  # before all that runs is interrupted by us
        self._keeper = None
        if self.store is not None:
            self.store.give_back(download.id for download in self._downloads)
        await self._background.aclose()
        await self._hives.aclose()
        self._subscribers.clear()

    # -- What the user asked for; on the loop -----------------------------------------------------

    def _take_up(self, download: Download) -> None:
        """Follow again what another kernel has begun, unless it has ended."""
        if self._keeper is not None:
            self._keeper.knows(download)
        if download.status.is_final:
            self.changed(download, Change.LIST)
        else:
            self._follow(download)

    def _follow(self, download: Download, *, instead_of: Attempt | None = None) -> None:
        download.attempt.begin(self._background, self._hives, instead_of=instead_of)
        if self._ticking is None or self._ticking.done():
            self._ticking = self._background.start(self._tick(), "tick")
        self.changed(download, Change.LIST)

    def _insist(self, download: Download) -> None:
        """Have a download go on that may have been interrupted: the user wants it, here and now."""
        download.attempt.is_wanted = True
        if download.attempt.is_over:
            self.retry(download)

    def cancel(self, download: Download) -> None:
        """Cancel a download; on the loop."""
        attempt = download.attempt
        before = attempt.state.status
        if before.is_final or before is Status.CANCELLING:
            return
        attempt.state.cancelling()
        if before is Status.INTERRUPTED:  # nobody reads its stream, but its job may go on
            if attempt.is_over:
                attempt.state.cancelled()
            elif attempt.task is not None:
                attempt.task.cancel()
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
        if self._keeper is not None:
            self._keeper.begins(download)
        was_cut = before.state.status is Status.INTERRUPTED
        self._follow(download, instead_of=before if was_cut else None)

    def clear(self, download: Download) -> None:
        """Forget a download; on the loop."""
        if not download.can_clear or download not in self._downloads:
            return
        self._downloads.remove(download)
        if self._keeper is not None:
            self._keeper.forgets(download)
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

    async def _tick(self) -> None:
        while active := [one for one in self._downloads if not one.attempt.is_over]:
            parts = math.ceil(len(active) / TICK_MOST)
            for part in range(parts):
                await asyncio.sleep(max(TICK_S / parts, TICK_LEAST_S))
                for download in active[part::parts]:
                    self.changed(download, Change.FIGURES)

    def _watch(self, attempt: Attempt) -> None:
        """See that what a real hive no longer tells of is looked for in its catalog."""
        hive = attempt.hive
        if hive is None or not attempt.is_unheard or hive in self._watching:
            return

        def waiting() -> list[Attempt]:
            attempts = [download.attempt for download in self._downloads]
            return [one for one in attempts if one.hive is hive and one.is_unheard]

        self._watching[hive] = watching = self._background.start(
            watch(self._hives.listing(hive), waiting), f"watch {hive.id}"
        )
        watching.add_done_callback(lambda _: self._watching.pop(hive))


async def _discard(attempt: Attempt) -> None:
    """Remove what a download left on its hive; where that can't be done, it stays for a retry."""
    if attempt.hive is None or attempt.job_id is None:
        return
    await attempt.abandon()  # an interrupted one's job may go on
    with suppress(RbeeError, TimeoutError):
        await attempt.hive.discard(attempt.name)


_defaults: Final[dict[bool, Tracker]] = {}
"""One on the kernel's loop, one in a thread; each made on first use."""


def default_tracker(*, background: bool = False) -> Tracker:
    """Give the tracker that magics, panels and plain calls share.

    `background` is the one beside it, whose loop no cell can hold. A terminal's and a script's loop
    run only now and then: there they are the same.
    """
    in_thread = background or not in_kernel()
    known = _defaults.get(in_thread)
    if known is not None and not known.loop.is_closed():
        return known
    beside = default_trackers()
    store = beside[0].store if beside else Store()
    tracker = _defaults[in_thread] = Tracker(background=in_thread, store=store)
    for hive in beside[0].hives if beside else ():
        tracker.add(hive)
    return tracker


def default_trackers() -> list[Tracker]:
    """Give those that were made."""
    return [tracker for tracker in _defaults.values() if not tracker.loop.is_closed()]


def restored_tracker(*, background: bool = False) -> Tracker:
    """Give a default tracker, with all that other kernels have left or begun."""
    tracker = default_tracker(background=background)
    tracker.restore()
    return tracker


def default_downloads() -> list[Download]:
    """Give the downloads of all default trackers, newest first."""
    restored_tracker()
    downloads = [one for tracker in default_trackers() for one in tracker.downloads]
    return sorted(downloads, key=lambda download: download.created_at, reverse=True)
