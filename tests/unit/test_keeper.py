"""Records are written off the loop, and none is lost at the end."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from rbee_widgets import Hive, Tracker
from rbee_widgets.keeper import Keeper
from rbee_widgets.store import Store

pytestmark = pytest.mark.anyio


async def test_what_waits_for_a_thread_is_written_at_the_end(tmp_path: Path) -> None:
    tracker, store = Tracker([Hive("http://127.0.0.1:9")]), Store(tmp_path / "store")
    download = tracker.download("org/repo:file.gguf")
    keeper = Keeper(store, tracker._background)
    loop, free = asyncio.get_running_loop(), threading.Event()
    with ThreadPoolExecutor(1) as threads:
        loop.set_default_executor(threads)
        held = loop.run_in_executor(None, free.wait)  # as by a hive that takes long to start
        keeper.changed(download, at_once=True)
        await asyncio.sleep(0.1)
        keeper.flush()
        await tracker.aclose()
        free.set()
        await held
    (record,) = store.records(besides=())
    assert record.id == download.id
