"""What is measured: which files from which origin, by which engines."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Final

from benchmarks.child import Server, environment, serving
from benchmarks.engines import ARIA2_FILES, ARIA2_MANY, ARIA2_ONE, FOR_MANY, FOR_ONE, Engine
from benchmarks.origin import HOST, File, Origin, make_file

MIB: Final = 1 << 20
DELAY_S: Final = 0.02
RESET_AFTER: Final = 20 * MIB


class Place(StrEnum):
    """Where an origin is, and how it behaves."""

    NEAR = "loopback"
    FAR = "40 ms away"
    CAPPED = "40 ms away, 20 MB/s per connection"
    BREAKING = "loopback, connections reset after 20 MiB"


@dataclass(frozen=True, slots=True)
class Case:
    """Files to fetch; `reference`: the engine whose speed is 1; `timeout`: seconds of one run."""

    name: str
    title: str
    place: Place
    count: int
    size: int
    engines: Sequence[Engine]
    reference: str
    timeout: float

    def file_names(self) -> list[str]:
        """Name the files; cases of the same size share one."""
        if self.count == 1:
            return [f"{self.size // MIB}MiB.bin"]
        return [f"{self.size}-{index:03}.bin" for index in range(self.count)]


CASES: Final = (
    Case("256MiB", "256 MiB", Place.NEAR, 1, 256 * MIB, FOR_ONE, ARIA2_ONE, 60),
    Case("2GiB", "2 GiB", Place.NEAR, 1, 2048 * MIB, FOR_ONE, ARIA2_ONE, 300),
    Case("capped", "256 MiB", Place.CAPPED, 1, 256 * MIB, FOR_ONE, ARIA2_MANY, 60),
    Case("small", "200 files of 64 KiB", Place.FAR, 200, 64 << 10, FOR_MANY, ARIA2_FILES, 120),
    Case("resets", "256 MiB", Place.BREAKING, 1, 256 * MIB, FOR_ONE, ARIA2_MANY, 120),
)


def make_files(root: Path, cases: Sequence[Case]) -> dict[str, File]:
    """Make the files of all cases, by name."""
    sizes = {name: case.size for case in cases for name in case.file_names()}
    return {name: make_file(root, name, size) for name, size in sizes.items()}


@contextmanager
def reached(place: Place, origin: Origin) -> Iterator[str]:
    """Put in place what lies between, and give the URL to ask."""
    match place:
        case Place.NEAR:
            yield url_of(origin.fast)
        case Place.FAR:
            with far(origin.fast, DELAY_S) as proxy:
                yield proxy.url
        case Place.CAPPED:
            with far(origin.capped, DELAY_S) as proxy:
                yield proxy.url
        case Place.BREAKING:
            with far(origin.fast, 0.0, "--reset-after", str(RESET_AFTER)) as proxy:
                yield proxy.url


def url_of(port: int) -> str:
    """Give the URL of a port that nothing lies before."""
    return f"http://{HOST}:{port}"


@contextmanager
def far(port: int, delay: float, *more: str) -> Iterator[Server]:
    """Run the proxy that makes a port far."""
    command = [sys.executable, "-m", "benchmarks.far", "--to", str(port), "--delay", str(delay)]
    with serving([*command, *more], environment(Path.home())) as proxy:
        yield proxy
