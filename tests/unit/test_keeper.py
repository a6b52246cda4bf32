"""Records are written off the loop, and none is lost at the end."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from rbee_widgets import Hive, Tracker
from rbee_widgets.keeper import Keeper
from rbee_widgets.store import Store
from tests.support.downloads import until

pytestmark = pytest.mark.anyio


class Late(ThreadPoolExecutor):
    """Threads that begin their work when they are let."""

    def __init__(self) -> None:
        super().__init__(1)
        self.taken, self.free = threading.Event(), threading.Event()

    def submit(self, work: Any, /, *args: Any, **kwargs: Any) -> Future[Any]:
        def late() -> Any:
            self.taken.set()
            self.free.wait()
            return work(*args, **kwargs)

        return super().submit(late)


async def test_what_waits_for_a_thread_is_written_at_the_end_and_not_later(tmp_path: Path) -> None:
    tracker, store = Tracker([Hive("http://127.0.0.1:9")]), Store(tmp_path / "store")
    download = tracker.download("org/repo:file.gguf")
    keeper = Keeper(store, tracker._background)
    with Late() as threads:
        asyncio.get_running_loop().set_default_executor(threads)
        keeper.changed(download, at_once=True)
        await until(threads.taken.is_set)
        keeper.end()
        (record,) = Store(tmp_path / "store").take()
        (place,) = (tmp_path / "store").iterdir()
        place.write_text("as another kernel has it by now")
        await tracker.aclose()
        threads.free.set()
    assert record.id == download.id
    assert place.read_text() == "as another kernel has it by now"
