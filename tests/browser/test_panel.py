"""The panel in a real JupyterLab: a real kernel, a real embedded hive, real bytes from a hub."""

from __future__ import annotations

import asyncio
import hashlib
import threading
import time
from bisect import bisect_left
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path

from tests.browser.conftest import Open
from tests.browser.notebook import Sample, amount
from tests.support.hub import Hub
from tests.support.lab import Lab
from tests.support.replay import ReplayHive, Transcript

MB = 1_000_000


def sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def is_right(models: Path, hub: Hub, repo: str, file: str) -> bool:
    """Whether the file is there, whole, with nothing left beside it."""
    folder = models / f"{repo.replace('/', '-')}-{file}"
    return {path.name for path in folder.iterdir()} == {"model.gguf", "metadata.json"} and sha256(
        folder / "model.gguf"
    ) == hub.sha256(repo, file)


@contextmanager
def replayed(recording: Transcript, *, speed: float) -> Iterator[ReplayHive]:
    """Run a hive that replays a recording, on a loop in a thread of its own."""
    hive = ReplayHive(recording, speed=speed)
    started = threading.Event()
    loop = asyncio.new_event_loop()
    over = asyncio.Event()

    async def serve() -> None:
        async with hive:
            started.set()
            await over.wait()

    def run() -> None:
        with asyncio.Runner(loop_factory=lambda: loop) as runner:
            runner.run(serve())

    thread = threading.Thread(target=run, name="replay")
    thread.start()
    try:
        assert started.wait(5)
        yield hive
    finally:
        loop.call_soon_threadsafe(over.set)
        thread.join()


class DiskRecord:
    """The size of a growing file, looked at every few milliseconds; a context manager."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._times: list[float] = []
        self._sizes: list[int] = []
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._look, name="disk")

    def __enter__(self) -> DiskRecord:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _look(self) -> None:
        while not self._over.wait(0.004):
            for name in ("model.gguf.part", "model.gguf"):
                try:
                    size = (self._folder / name).stat().st_size
                except FileNotFoundError:
                    continue
                self._times.append(time.time())
                self._sizes.append(size)
                break

    def between(self, begin: float, end: float) -> tuple[int, int]:
        """Give the sizes at two Unix times, or at the looks just before and just after."""
        first = max(0, bisect_left(self._times, begin) - 1)
        last = min(len(self._times) - 1, bisect_left(self._times, end))
        return self._sizes[first], self._sizes[last]


def moves(samples: list[Sample]) -> list[Sample]:
    """Give the samples at which the bar had moved on."""
    return [
        after
        for before, after in pairwise(samples)
        if after.percentage is not None and after.percentage > (before.percentage or 0)
    ]


# -- The figures ----------------------------------------------------------------------------------


def test_a_row_tells_the_bytes_on_disk_as_they_come(
    lab: Lab, hub: Hub, models: Path, open_notebook: Open
) -> None:
    hub.rate = 60e6
    hub.add("org/large", "file.gguf", size=300 * MB, seed=1)
    notebook = open_notebook("%download org/large:file.gguf")
    notebook.record()
    with DiskRecord(models / "org-large-file.gguf") as disk:
        notebook.begin(0)
        notebook.shows(0, "complete", 30)
    samples = notebook.samples
    flowing = [one for one in samples if one.status == "downloading" and one.percentage]

    steps = moves(flowing)
    gaps = [after.at - before.at for before, after in pairwise(steps)]
    speeds = [amount(one.speed) for one in flowing if one.at - flowing[0].at > 3]
    off_each_other, off_disk, lag = [], [], []
    for one in flowing:
        percentage = one.percentage or 0.0
        done, total = (amount(words) for words in one.bytes.split(" of "))
        assert (total, one.percent) == (300e6, f"{percentage:.1f}%")
        off_each_other.append(abs(done / 3e6 - percentage))
        before, after = disk.between(one.at, one.at)
        off_disk.append(max(before - done, done - after, 0) / 3e6)
        lag.append(after-done)
    print(
        f"{len(gaps) / sum(gaps):.1f} moves/s, longest gap {max(gaps):.2f} s, "
        f"percent off bytes {max(off_each_other):.2f} %, off disk {sorted(off_disk)} %, "
        f"speed off {max(abs(speed / 60e6 - 1) for speed in speeds):.1%}"
    )
    print([round(x/1e6,2) for x in lag])
    assert 0
