"""What must hold all the time, and what must not grow."""

from __future__ import annotations

import asyncio
import ctypes
import gc
import os
import sys
from collections import Counter
from statistics import median
from weakref import WeakKeyDictionary

import psutil

from rbee_widgets import Download
from rbee_widgets.attempt import Attempt, Change
from rbee_widgets.state import Status

Wanted = tuple[str, str]
"""A hive's id, and a model on it."""


class Watcher:
    """Looks at each change of each download; `wrong` is what it has seen that must not be."""

    def __init__(self) -> None:
        self.wrong: list[str] = []
        self.there: set[Wanted] = set()
        """What was told to be complete, and not deleted since."""
        self.looks = 0
        self._last: WeakKeyDictionary[Attempt, Status] = WeakKeyDictionary()
        self._furthest: dict[str, float] = {}

    def look(self, one: Download, _: Change) -> None:
        """Be told of a change."""
        self.looks += 1
        figures = one.percentage, one.speed, one.eta, *(one.eta_range or ())
        wrong = [name for name, holds in self._holds(one).items() if not holds]
        if wrong:
            self.wrong.append(f"{one!r}, job {one.job_id}, {figures}: not {', '.join(wrong)}")

    def _holds(self, one: Download) -> dict[str, bool]:
        percentage, is_complete = one.percentage, one.status is Status.COMPLETE
        last = self._last.get(one.attempt)
        self._last[one.attempt] = one.status
        if is_complete and last is not one.status:
            self.there.add((one.hive, one.name))
        furthest = 0.0
        if percentage is not None and one.job_id is not None:
            furthest = self._furthest.get(one.job_id, 0.0)
            self._furthest[one.job_id] = max(furthest, percentage)
        rows = Counter(row.id for row in one.owner.downloads)
        return {
            "within 0 and 100 %": percentage is None or 0 <= percentage <= 100,
            "100 % if and only if complete": (percentage == 100) == is_complete,
            f"behind no {furthest} % of the same job": percentage is None or percentage >= furthest,
            "at an end for good": last is None or not last.is_final or one.status is last,
            "of a speed that is none or positive": (one.speed or 0.0) >= 0,
            "of an ETA that is none or positive": min(one.eta or 0.0, *(one.eta_range or (0,)))
            >= 0,
            "in one row": rows[one.id] <= 1,
        }


class Memory:
    """The memory of a process over a run, in MB."""

    def __init__(self, pid: int) -> None:
        self._process = psutil.Process(pid)
        self.samples: list[float] = []

    def sample(self) -> None:
        if self._process.pid == os.getpid():
            gc.collect()
            if sys.platform == "linux":
                ctypes.CDLL(None).malloc_trim(0)  # what is free counts as free
        self.samples.append(self._process.memory_info().rss / 1e6)

    @property
    def growth(self) -> float:
        """From the sixth of the run after its middle to its last sixth, by their medians."""
        count = len(self.samples)
        middle = self.samples[count // 2 : count * 2 // 3]
        return median(self.samples[count * 5 // 6 :]) - median(middle)


async def living() -> Counter[str]:
    """Count the objects of this package's own classes that are alive in this process."""
    for _ in range(2):  # generators come to their ends on the loop
        gc.collect()
        await asyncio.sleep(0.01)
    kinds = (type(one) for one in gc.get_objects())
    return Counter(
        kind.__qualname__ for kind in kinds if str(kind.__module__).startswith("rbee_widgets")
    )
