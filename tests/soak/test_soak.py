"""Minutes of bad weather by a seed: no file is wrong, no download is lost and nothing is left."""

from __future__ import annotations

import asyncio
import json
import os
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from random import Random, SystemRandom
from typing import Final

import pytest

from tests.soak.watcher import Memory, Wanted
from tests.soak.world import FILES, HIVES, User, World, model
from tests.support.downloads import sha256, until
from tests.support.hive import end_local_hives

pytestmark = pytest.mark.alone

MINUTES: Final = float(os.environ.get("RBEE_SOAK_MINUTES", "2"))
SEED: Final = int(os.environ.get("RBEE_SOAK_SEED", SystemRandom().randrange(10**6)))

END_S: Final = 120.0
"""Seconds within which all must be complete once the weather is fair."""

SAMPLE_S: Final = 4.0
MOST_GROWTH_MB: Final = 8.0
"""Twice what allocators make of 3 and of 10 minutes alike (-2 to +4 MB); what is alive is counted
exactly, beside it."""


@pytest.fixture
def world(tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    world = World(tmp_path)
    monkeypatch.setenv("HF_ENDPOINT", world.hub.url)
    with world.hub, world.desk, world.shelf:
        yield world
    end_local_hives(home / "runtime")


@pytest.mark.anyio
@pytest.mark.timeout(MINUTES * 60 + 4 * END_S)
async def test_nothing_is_lost_and_nothing_is_left(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    def say(text: str) -> None:
        with capsys.disabled():
            print(f"\nsoak: {text}", flush=True)

    say(f"{MINUTES:g} min, RBEE_SOAK_SEED={SEED}")
    try:
        say(await soak(world))
    except BaseException as error:
        error.add_note(f"again: RBEE_SOAK_MINUTES={MINUTES:g} RBEE_SOAK_SEED={SEED}")
        raise


async def soak(world: World) -> str:
    """Go through it all; gives what was seen."""
    mine, shelf = Memory(os.getpid()), Memory(world.shelf.pid)
    async with asyncio.TaskGroup() as chores:
        user = User(world, chores)
        await user.have_all(END_S)  # what is made once and kept is made now
        before = await at_rest(world, Counter())
        world.open()
        rng, begin = Random(SEED), time.monotonic()
        while (now := time.monotonic()) < begin + MINUTES * 60:
            await user.act(rng)
            assert not world.watcher.wrong, world.watcher.wrong[:3]
            if now >= begin + len(mine.samples) * SAMPLE_S:
                world.forget()
                mine.sample()
                shelf.sample()
    world.hub.heal()
    world.hub.rate, begin = None, time.monotonic()
    await user.insist(END_S)
    assert_right(world, world.watcher.there)
    await user.have_all(END_S)
    took = time.monotonic() - begin
    assert_right(world, {(hive, model(file)) for hive in HIVES for file in FILES})
    assert_nothing_else(world)
    user.clear_all()
    assert not world.tracker.downloads
    await until(lambda: not any(world.store.iterdir()))
    assert not world.watcher.wrong, world.watcher.wrong[:3]
    after = await at_rest(world, before)
    assert not after - before, f"left: {after - before}"
    growth = {"this process": mine.growth, "the shelf's hive": shelf.growth}
    told = ", ".join(f"{name} {mb:+.1f} MB" for name, mb in growth.items())
    assert max(growth.values()) < MOST_GROWTH_MB, told
    counts = ", ".join(f"{name} {count}" for name, count in user.counts.most_common())
    return (
        f"{counts}; {world.watcher.looks} changes looked at; {world.sent / 1e6:.0f} MB sent; "
        f"all {len(FILES)} files right on {len(HIVES)} hives {took:.0f} s after; grown: {told}"
    )


async def at_rest(world: World, most: Counter[str]) -> Counter[str]:
    """Count what is held once the tracker is closed, waiting for what is beyond `most` to go."""
    await world.close()
    world.hub.stop()
    end = time.monotonic() + 10
    while (held := await world.holdings()) - most and time.monotonic() < end:
        await asyncio.sleep(0.5)
    world.hub.start()
    return held


def assert_right(world: World, wanted: Iterable[Wanted]) -> None:
    """See that each of these is in its place, with its entry and nothing beside it, and right."""
    for hive, name in wanted:
        folder = world.folders[hive] / name.replace("/", "-").replace(":", "-")
        assert sorted(path.name for path in folder.iterdir()) == ["metadata.json", "model.gguf"]
        assert json.loads((folder / "metadata.json").read_text())["artifact"]["id"] == name
        assert sha256(folder / "model.gguf") == world.hub.sha256(*name.split(":")), (hive, name)


def assert_nothing_else(world: World) -> None:
    """See that there is nothing but these files: with `assert_right`, no part of one either."""
    for folder in world.folders.values():
        assert len([path for path in folder.iterdir() if path.name != ".locks"]) == len(FILES)
