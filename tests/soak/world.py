"""A user, and all that can happen to one who downloads: every chance is drawn from a seed."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from contextlib import aclosing, suppress
from pathlib import Path
from random import Random
from typing import Final

import platformdirs
import psutil

from rbee_widgets import Download, Hive, RbeeError, Tracker
from rbee_widgets.contract import ModelDelete
from rbee_widgets.hive import launch
from rbee_widgets.hive.settings import CONNECTIONS
from rbee_widgets.narration import Done
from rbee_widgets.state import Status
from rbee_widgets.store import Store
from tests.soak.watcher import Wanted, Watcher, living
from tests.support import hub
from tests.support.hive import HiveProcess

REPO: Final = "org/soak"
SIZES: Final = (0, 1, 70_000, 10**6, 10**6, 2**21, *(n * 10**6 for n in range(3, 16)), 20 * 10**6)
FILES: Final = [f"{number}.gguf" for number in range(len(SIZES))]
HIVES: Final = ("local", "desk", "shelf")
MOST_ACTIVE: Final = 5
"""Downloads at once: more than a hive's own limit, few enough for two cores."""

IDLE_THREADS: Final = 16
"""Threads that a hive may keep: each download leaving one behind would soon be far beyond."""

RATES: Final = (1e6, 5e6, 10e6, 30e6, None)
"""Bytes per second that the hub gives."""


class World:
    """A hub, three hives and a tracker, all of them real.

    *local* is the user's own hive, killed now and then and started by whoever needs it; *desk* is
    killed and started again on its port; *shelf* lives through it all, so that its growth tells.
    """

    def __init__(self, folder: Path) -> None:
        ports = _free_ports()
        self.hub = hub.Hub(port=next(ports))
        for number, (file, size) in enumerate(zip(FILES, SIZES, strict=True)):
            self.hub.add(REPO, file, size=size, seed=number, head=b"GGUF"[:size])
        self.desk, self.shelf = (
            HiveProcess(folder / name, self.hub.url, port=next(ports)) for name in HIVES[1:]
        )
        self.store = folder / "store"
        self.watcher = Watcher()
        self.tracker: Tracker
        self.sent = 0

    def hive(self, name: str) -> Hive:
        """Give a handle on a hive."""
        processes = {"desk": self.desk, "shelf": self.shelf}
        return processes[name].handle(name) if name in processes else Hive.local()

    def open(self) -> None:
        """Make a tracker, as a kernel does that has just begun."""
        self.tracker = Tracker(map(self.hive, HIVES), store=Store(self.store))
        self.tracker.subscribe(self.watcher.look)
        self.tracker.restore()

    async def close(self) -> None:
        """End it, as a kernel's end does."""
        await self.tracker.aclose()
        del self.tracker

    @property
    def under_way(self) -> list[Download]:
        return [one for one in self.tracker.downloads if not one.status.is_final]

    @property
    def folders(self) -> dict[str, Path]:
        """Where each hive keeps its models."""
        local = platformdirs.user_cache_path() / "rbee" / "models"
        return {"local": local, "desk": self.desk.models, "shelf": self.shelf.models}

    def pids(self) -> dict[str, int]:
        """Tell the processes of the hives that run."""
        pids = {"desk": self.desk.pid, "shelf": self.shelf.pid}
        local = launch.running()
        return pids if local is None else {**pids, "local": local.pid}

    async def holdings(self) -> Counter[str]:
        """Count all that must not grow: objects of the package, tasks, open files and threads."""
        held = await living()
        held["tasks"] = len(asyncio.all_tasks())
        for name, pid in {"this process": os.getpid(), **self.pids()}.items():
            process = psutil.Process(pid)
            sockets = [one.status != psutil.CONN_CLOSE_WAIT for one in process.net_connections()]
            held[f"files and sockets of {name}"] = len(process.open_files()) + sum(sockets)
            # A hive keeps connections to the hub, dead ones too, until they are needed again; and
            # the threads that wait for work, as many as it once had at the same time.
            is_hive = pid != os.getpid()
            descriptors, threads = (10 + 2 * CONNECTIONS, IDLE_THREADS) if is_hive else (0, 0)
            held[f"descriptors of {name}"] = max(descriptors, process.num_fds())
            held[f"threads of {name}"] = max(threads, process.num_threads())
        return held

    def forget(self) -> None:
        """Have the hub forget the requests that have ended: they are no growth of ours."""
        for record in [one for one in self.hub._records if one.ended is not None]:
            self.sent += record.sent
            self.hub._records.remove(record)


def model(file: str) -> str:
    return f"{REPO}:{file}"


def _free_ports() -> Iterator[int]:
    """Give ports that no connection takes by chance while their servers are away."""
    for port in range(20_000 + os.getpid() % 10_000, 32_000):
        with suppress(OSError), socket.create_server(("127.0.0.1", port)):
            yield port


class User:
    """Does at random what a user may do, and what may be done to one.

    Each act is given a luck of its own: what it draws changes nothing of those to come. It says
    whether there was something to do.
    """

    def __init__(self, world: World, chores: asyncio.TaskGroup) -> None:
        self.counts: Counter[str] = Counter()
        self._world = world
        self._chores = chores
        self._deleting: set[Wanted] = set()
        self._away: set[str] = set()
        world.open()

    async def act(self, rng: Random) -> None:
        """Do one thing, then wait a while."""
        acts, weights = zip(*self._acts().items(), strict=True)
        (act,) = rng.choices(acts, weights)
        luck, pause = Random(rng.getrandbits(64)), rng.expovariate(4)
        if await act(luck):
            self.counts[act.__name__] += 1
        await asyncio.sleep(min(pause, 2.0))

    def _acts(self) -> dict[Callable[[Random], Awaitable[bool]], int]:
        return {
            self.download: 16,
            self.cancel: 4,
            self.retry: 5,
            self.clear: 4,
            self.delete: 8,
            self.arm_fault: 6,
            self.change_rate: 3,
            self.kill_local_hive: 1,
            self.kill_desk: 1,
            self.stop_hub: 1,
            self.restart_tracker: 1,
        }

    # -- What a user does -------------------------------------------------------------------------

    async def download(self, luck: Random) -> bool:
        """Ask for a file, now and then twice, or on several hives."""
        file = model(luck.choice(FILES))
        hives, times = luck.sample(HIVES, luck.choice((1, 1, 1, 2, 3))), luck.choice((1, 1, 2))
        free = [hive for hive in hives if (hive, file) not in self._deleting]
        if len(self._world.under_way) + len(free) > MOST_ACTIVE:
            return False
        for hive in free * times:
            self._world.tracker.download(file, hive)
        return bool(free)

    async def cancel(self, luck: Random) -> bool:
        return self._do(luck, Download.cancel, lambda one: not one.status.is_final)

    async def retry(self, luck: Random) -> bool:
        return self._do(luck, Download.retry, lambda one: one.can_retry)

    async def clear(self, luck: Random) -> bool:
        if luck.random() < 0.2:
            self.clear_all()
        return self._do(luck, Download.clear, lambda one: one.can_clear)

    def clear_all(self) -> None:
        for one in self._world.tracker.downloads:
            if one.can_clear:
                one.clear()

    def _do(
        self,
        luck: Random,
        act: Callable[[Download], None],
        can: Callable[[Download], bool],
    ) -> bool:
        able = [one for one in self._world.tracker.downloads if can(one)]
        able = [one for one in able if (one.hive, one.name) not in self._deleting]
        if able:
            act(luck.choice(able))
        return bool(able)

    async def delete(self, luck: Random) -> bool:
        """Delete a whole model of which no download is under way."""
        busy = {(one.hive, one.name) for one in self._world.under_way}
        whole = sorted(self._world.watcher.there - busy - self._deleting)
        if whole:
            self._chores.create_task(self._delete(luck.choice(whole)))
        return bool(whole)

    async def _delete(self, wanted: Wanted) -> None:
        name, file = wanted
        self._deleting.add(wanted)
        self._world.watcher.there.discard(wanted)
        hive, operation = self._world.hive(name), ModelDelete(hive_id=name, id=file)
        with suppress(RbeeError, TimeoutError):  # it may be killed by now
            async with asyncio.timeout(20), aclosing(hive.run(operation)) as told:
                async for event in told:
                    self.counts["deleted"] += isinstance(event, Done)
        await hive.aclose()
        self._deleting.discard(wanted)

    # -- What is done to one ----------------------------------------------------------------------

    async def arm_fault(self, luck: Random) -> bool:
        at = luck.randrange(3_000_000)
        fault: hub.Fault = luck.choice(
            (
                hub.Cut(at),
                hub.Short(at),
                hub.Stall(at, luck.uniform(0.5, 2.0)),
                hub.Status(luck.choice((500, 503, 404))),
                hub.Status(429, {"Retry-After": "1"}),
                hub.Status(503, everywhere=True),
                hub.Flip(at),
                hub.IgnoreRange(),
            )
        )
        self._world.hub.fail(fault, times=luck.choice((1, 1, 3)))
        return True

    async def change_rate(self, luck: Random) -> bool:
        self._world.hub.rate = luck.choice(RATES)
        return True

    async def stop_hub(self, luck: Random) -> bool:
        hub = self._world.hub
        return self._stop("hub", hub.stop, hub.start, luck.uniform(0.2, 2.0))

    async def kill_desk(self, luck: Random) -> bool:
        desk = self._world.desk
        return self._stop("desk", lambda: desk.stop(signal.SIGKILL), desk.start, luck.uniform(0, 4))

    def _stop(
        self, name: str, stop: Callable[[], object], start: Callable[[], None], seconds: float
    ) -> bool:
        """Let something be away for some seconds."""

        async def be_away() -> None:
            await asyncio.to_thread(stop)
            await asyncio.sleep(seconds)
            await asyncio.to_thread(start)
            self._away.discard(name)

        if name in self._away:
            return False
        self._away.add(name)
        self._chores.create_task(be_away())
        return True

    async def kill_local_hive(self, _: Random) -> bool:
        pid = (await asyncio.to_thread(self._world.pids)).get("local")
        if pid is not None:
            os.kill(pid, signal.SIGKILL)
        return pid is not None

    async def restart_tracker(self, luck: Random) -> bool:
        await self._world.close()
        await asyncio.sleep(luck.uniform(0.0, 1.0))
        self._world.open()
        return True

    # -- The end ----------------------------------------------------------------------------------

    async def have_all(self, limit: float) -> None:
        """Download every file on every hive."""
        for hive in HIVES:
            for file in FILES:
                self._world.tracker.download(model(file), hive)
        await self.insist(limit)

    async def insist(self, limit: float) -> None:
        """Retry all that is not complete until it is."""
        downloads = self._world.tracker.downloads
        try:
            async with asyncio.timeout(limit):
                while rest := [one for one in downloads if one.status is not Status.COMPLETE]:
                    for one in rest:
                        if one.can_retry:
                            one.retry()
                            self.counts["retry"] += 1
                    await asyncio.sleep(0.5)
        except TimeoutError:
            told = [f"{one!r} on {one.hive}: {one.error or one.note}" for one in rest]
            raise AssertionError(f"not complete within {limit:.0f} s: {told}") from None
