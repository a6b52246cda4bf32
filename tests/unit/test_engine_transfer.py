"""Whatever an origin and a disk do, a transfer ends in the right file or in an error.

The origin here is a script and not a server: thousands of arrivals, cuts and power failures in an
order of their own take minutes over sockets. The same over real ones is among the other tests.
"""

from __future__ import annotations

import contextlib
import hashlib
import random
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from urllib3.exceptions import HTTPError

from rbee_widgets.hive.engine import (
    Remote,
    Transfer,
    TransferError,
    attempt,
    digest,
    partial,
    patience,
    plan,
    reader,
    shared,
)
from rbee_widgets.hive.engine.digest import Digest
from rbee_widgets.hive.engine.origin import Origin
from rbee_widgets.hive.engine.partial import Partial, partial_of, record_of
from rbee_widgets.hive.engine.plan import Ask, Plan
from rbee_widgets.hive.engine.ramp import Ramp
from rbee_widgets.hive.engine.record import Record, load
from rbee_widgets.hive.engine.remote import Location
from rbee_widgets.hive.engine.shared import Shared

URL = "http://origin/f"


class KilledError(Exception):
    """The process ends here."""


@dataclass
class World:
    """An origin, a disk, and what happens to them."""

    seed: int
    size: int
    keeps_size: bool
    """Whether the next version is as long."""
    has_ranges: bool
    has_etags: bool
    tells_size: bool
    trouble: float
    """The share of requests that something happens to."""
    kills: float
    """The share of requests in which the process ends."""
    corrupts: bool
    version: int = 0
    is_dead: bool = False
    requests: int = 0
    synced: bytes = field(default=b"", repr=False)
    random: random.Random = field(init=False)
    versions: list[bytes] = field(init=False, repr=False)
    lock: threading.RLock = field(default_factory=threading.RLock)
    per_host: int = 4

    def __post_init__(self) -> None:
        self.random = random.Random(self.seed)
        other = self.size if self.keeps_size else self.size + 1 + self.seed % 300
        self.versions = [self.random.randbytes(size) for size in (self.size, other)]

    @contextlib.contextmanager
    def sharing(self, _: str) -> Iterator[Callable[[], int]]:
        yield lambda: self.per_host

    def get(
        self,
        location: Location,
        headers: Mapping[str, str],
        _token: str | None,
        _over: Callable[[], bool],
    ) -> Any:
        with self.lock:
            self.requests += 1
            happens = self.random.random() < self.trouble
            what = self.random.choice(FAULTS) if happens else None
            if self.random.random() < self.kills:
                what = "killed"
            if what == "refused":
                raise HTTPError("connection refused")
            if what == "changes":
                self.version = min(self.version + 1, len(self.versions) - 1)
            return Answer(self, location, headers, what, self.random.randrange(1 << 30))


FAULTS = ["refused", "changes", "busy", "cut", "less", "flip", "whole", "other"]


class Answer:
    """One answer of the origin, as a `Body` is."""

    def __init__(
        self,
        world: World,
        location: Location,
        asked: Mapping[str, str],
        fault: str | None,
        seed: int,
    ) -> None:
        self.location = location
        self._world = world
        self._random = random.Random(seed)
        content = world.versions[world.version]
        etag = f'"{world.version}"'
        self.headers: dict[str, str] = {"etag": etag} if world.has_etags else {}
        span = asked.get("Range", "").removeprefix("bytes=").partition("-")
        is_same = asked.get("If-Range", etag) == etag or not world.has_etags
        start, stop = 0, len(content)
        self.status = 200
        if span[1] and world.has_ranges and is_same and fault != "whole":
            start, stop = int(span[0]), min(int(span[2]) + 1, len(content))
            self.status = 206
            if fault == "less":
                stop = min(stop, start + 1000)
            self.headers["content-range"] = f"bytes {start}-{stop - 1}/{len(content)}"
            if start >= stop:
                self.status = 416
                self.headers["content-range"] = f"bytes */{len(content)}"
            if fault == "other" and stop - start > 1:
                start += 1
                self.headers["content-range"] = f"bytes {start}-{stop - 1}/{len(content)}"
        if fault == "busy":
            self.status = 503
        if world.tells_size or self.status == 206:
            self.headers["content-length"] = str(max(0, stop - start))
        body = bytearray(content[start:stop])
        if fault == "flip" and body and world.corrupts:
            body[self._random.randrange(len(body))] ^= 0x40
        self._body = memoryview(bytes(body))
        self._ends = self._random.randrange(len(body) + 1) if fault in ENDS else None
        self._fault = fault

    def read(self) -> bytes:
        if self._world.is_dead:
            raise HTTPError("nobody is there")
        count = self._random.randrange(1, 5000)
        chunk = self._body[:count]
        if self._ends is not None:
            if self._ends < count:
                if self._fault == "killed":
                    self._world.is_dead = True
                    raise KilledError
                raise HTTPError("connection reset")
            self._ends -= count
        self._body = self._body[count:]
        return bytes(chunk)

    def shut(self) -> None:
        """There is nobody to wake."""

    def close(self) -> None:
        """There is nothing to close."""


ENDS = ("cut", "killed")


SMALL: dict[ModuleType, dict[str, float]] = {
    plan: {"PIECE": 8 << 10, "MAX_ASK": 16 << 10, "MIN_SPLIT": 2 << 10},
    digest: {"BLOCK": 4 << 10},
    shared: {"KEEP_BYTES": 4 << 10, "MAX_UNKEPT": 12 << 10},
    patience: {"PAUSE_S": 0.0005},
    reader: {"PROGRESS": 1, "OTHERS_S": 0.001},
    attempt: {"KEEP_BYTES": 4 << 10, "TICK_S": 0.001, "HASH_BESIDE": 16 << 10},
}


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """Make everything small and quick enough for thousands of runs."""
    for module, constants in SMALL.items():
        for name, value in constants.items():
            monkeypatch.setattr(module, name, value)
    return monkeypatch


worlds = st.builds(
    World,
    seed=st.integers(0, 1 << 30),
    size=st.sampled_from([0, 1, 5000, 40_000]) | st.integers(20_000, 100_000),
    keeps_size=st.booleans(),
    has_ranges=st.booleans() | st.just(value=True),
    has_etags=st.booleans() | st.just(value=True),
    tells_size=st.booleans() | st.just(value=True),
    trouble=st.sampled_from([0.0, 0.1, 0.3, 0.6]),
    kills=st.sampled_from([0.0, 0.1, 0.3]),
    corrupts=st.booleans(),
)


@settings(
    deadline=None, max_examples=400, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(world=worlds, knows=st.sampled_from(["sha256", "nothing"]), lives=st.integers(1, 6))
def test_the_right_file_or_an_error(
    small: pytest.MonkeyPatch,
    tmp_path_factory: pytest.TempPathFactory,
    world: World,
    knows: str,
    lives: int,
) -> None:
    if knows == "nothing":
        world.corrupts = False  # nobody could tell
    path = tmp_path_factory.mktemp("file") / "f"
    small.setattr(partial, "_sync", lambda _: setattr(world, "synced", _content(path)))
    keep = Partial.keep
    small.setattr(Partial, "keep", lambda *args: None if world.is_dead else keep(*args))
    for _ in range(lives):
        wanted = world.versions[world.version]
        sha256 = hashlib.sha256(wanted).hexdigest() if knows == "sha256" else None
        arrived = _live(world, path, sha256)
        assert arrived == path.exists()
        if arrived:
            got = path.read_bytes()
            assert got in ([wanted] if sha256 else world.versions)
            path.unlink()
        elif world.is_dead:
            world.is_dead = False
            _after_a_power_failure(world, path)
    world.trouble = world.kills = 0
    wanted = world.versions[world.version]
    assert _live(world, path, hashlib.sha256(wanted).hexdigest() if knows == "sha256" else None)
    assert path.read_bytes() == wanted
    assert [file.name for file in path.parent.iterdir()] == ["f"]


def _live(world: World, path: Path, sha256: str | None) -> bool:
    """Run one transfer to its end or the process's; gives whether it said that all is there."""
    web: Any = world
    fetching = Transfer(Remote(URL, sha256=sha256), path, web)
    try:
        fetching.run()
    except (TransferError, KilledError):
        return False
    assert fetching.done == fetching.total
    return True


def _content(path: Path) -> bytes:
    return partial_of(path).read_bytes()


def _after_a_power_failure(world: World, path: Path) -> None:
    """Leave of the disk what was synced, and of what came later a part; tear the record at times.

    In half of the cases the process alone has ended, and all is there.
    """
    if world.random.random() < 0.3 or not partial_of(path).exists():
        return
    now, synced = bytearray(_content(path)), world.synced
    for at in range(0, len(now), 4096):
        if world.random.random() < 0.5:
            old = synced[at : at + 4096]
            now[at : at + len(old)] = old
            now[at + len(old) : at + 4096] = bytes(len(now[at + len(old) : at + 4096]))
    inode = partial_of(path).stat().st_ino
    partial_of(path).write_bytes(bytes(now))
    assert partial_of(path).stat().st_ino == inode
    record = record_of(path)
    if record.exists() and world.random.random() < 0.5:
        written = bytearray(record.read_bytes())
        at = world.random.randrange(len(written))
        if world.random.random() < 0.5:
            del written[at:]
        else:
            written[at] ^= 1 << world.random.randrange(8)
        record.write_bytes(bytes(written))


def test_a_finished_file_has_nothing_beside_it(tmp_path: Path) -> None:
    path = tmp_path / "folder" / "file"
    with Partial.create(path) as partial:
        draft = record_of(path).with_suffix(".json.new")
        draft.touch()  # left by a process that was killed as it wrote
        partial.finish()
    assert list(path.parent.iterdir()) == [path]


def test_a_torn_record_says_what_was_written_or_nothing() -> None:
    written = Record(
        url=URL,
        size=10**12,
        validator='"abc"',
        sha256="0" * 64,
        revision="main",
        inode=7,
        spans=[(0, 4096), (10**9, 10**10)],
    )
    whole = written.encode()
    assert Record.decode(whole) == written
    for at in range(len(whole)):
        assert Record.decode(whole[:at]) is None
        assert Record.decode(whole[:at] + bytes(len(whole) - at)) is None
        for bit in range(8):
            torn = bytearray(whole)
            torn[at] ^= 1 << bit
            assert Record.decode(bytes(torn)) in (None, written)


def test_a_record_of_nonsense_is_no_record() -> None:
    for written in (b"", b"null", b"[]", b"{}", b"[" * 100_000, b'{"record": 3, "checksum": "x"}'):
        assert Record.decode(written) is None


def test_bytes_that_come_twice_are_hashed_as_they_lie_on_disk(tmp_path: Path) -> None:
    state = Shared(Origin(Remote(URL), has_ranges=True), Plan(8), Ramp(1), lambda: False)
    hashing = Digest(state)

    def bring(start: int, content: bytes) -> None:
        with kept.open_at(start) as file:
            file.write(content)
        state.arrived(Ask(start, start + len(content), 0.0), len(content))

    with Partial.create(tmp_path / "f") as kept:
        state.partial = kept
        bring(0, b"12345678")
        hashing.run()
        assert hashing.finish() == hashlib.sha256(b"12345678").hexdigest()
        bring(2, b"xy")
        assert hashing.finish() == hashlib.sha256(b"12xy5678").hexdigest()


def test_after_a_failed_sync_nothing_is_put_on_record(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def told(stop: int) -> Record:
        return Record(URL, 9, '"1"', None, None, kept.inode, [(0, stop)])

    def refuse(_: int) -> None:
        raise OSError(5, "Input/output error")

    with Partial.create(tmp_path / "f") as kept:
        kept.keep(told(1))
        with monkeypatch.context() as once:
            once.setattr(partial, "_sync", refuse)
            with pytest.raises(OSError, match="Input/output"):
                kept.keep(told(2))
        kept.keep(told(3))  # the disk says that all is well now
    assert load(record_of(tmp_path / "f")) == told(1)
