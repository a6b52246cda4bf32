"""What a job is told of the fetch that it follows."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from rbee_widgets.hive.jobs import Job
from rbee_widgets.hive.provision import _follow


class SlowJob(Job):
    """A job that takes its time to tell."""

    async def narrate(self, *args: Any, **options: Any) -> None:
        await asyncio.sleep(0.2)
        await super().narrate(*args, **options)


@pytest.mark.anyio
async def test_what_a_fetch_says_in_its_last_moment_is_told() -> None:
    entry = object()
    lines = [("f", "hf_download_file", "the first")]

    async def run() -> Any:
        await asyncio.sleep(0.1)  # the first is being told
        lines.append(("f", "hf_download_complete", "the last"))
        return entry

    news = asyncio.get_running_loop().create_future()
    news.set_result(None)
    fetch: Any = SimpleNamespace(
        lines=lines,
        news=news,
        task=asyncio.create_task(run()),
        transfer=None,
        followers=0,
        file="f",
    )
    job = SlowJob({})
    assert await _follow(job, fetch) is entry
    told = ""
    async for event in job.follow(beat=0.01):
        if event is None:
            break
        told += event.text
    assert "the first" in told
    assert "the last" in told
