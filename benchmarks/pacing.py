"""Whether the origin is what it is taken for: its cap, its distance, and all that it can carry.

A cap that short ranges escape, or a proxy slower than the cap, would judge the engines wrongly.
"""

from __future__ import annotations

import http.client
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from typing import Final

import psutil

from benchmarks.child import ChildError, Server
from benchmarks.origin import CAP, HOST, File

TIMEOUT_S: Final = 60.0
_STREAM: Final = 60_000_000
_RANGE: Final = 4 << 20
_RANGES: Final = 12
_BLOCK: Final = 1 << 20
_TOLERANCE: Final = 0.1


def describe_cap(port: int, file: File) -> str:
    """Measure what one connection to the capped origin gets.

    Raises
    ------
    ChildError
        It is not the cap.

    """
    stream = _rate(port, file, _STREAM, 1)
    ranges = _rate(port, file, _RANGE, _RANGES)
    for rate in (stream, ranges):
        if abs(rate / CAP - 1) > _TOLERANCE:
            raise ChildError(f"a cap of {CAP / 1e6:.0f} MB/s lets {rate / 1e6:.1f} MB/s through")
    return (
        f"capped at {CAP / 1e6:.0f} MB/s: one stream gets {stream / 1e6:.1f} MB/s, "
        f"ranges of 4 MiB on one connection {ranges / 1e6:.1f} MB/s"
    )


def describe_distance(proxy: Server, file: File, connections: int) -> str:
    """Measure how far the far origin is, and how much its proxy carries."""
    first, later = _first_bytes(proxy.port, file)
    process = psutil.Process(proxy.pid)
    before = process.cpu_times()
    begun = time.perf_counter()
    with ThreadPoolExecutor(connections) as threads:
        size = sum(threads.map(lambda _: _drain(proxy.port, file), range(connections)))
    wall = time.perf_counter() - begun
    after = process.cpu_times()
    cpu = after.user + after.system - before.user - before.system
    return (
        f"40 ms away: a first byte takes {first * 1e3:.0f} ms, on an open connection "
        f"{later * 1e3:.0f} ms; {connections} connections without a cap get "
        f"{size / wall / 1e6:.0f} MB/s, at {cpu / size * 1e9:.2f} CPU s/GB of the proxy"
    )


@contextmanager
def _connected(port: int) -> Iterator[http.client.HTTPConnection]:
    with closing(http.client.HTTPConnection(HOST, port, timeout=TIMEOUT_S)) as connection:
        yield connection


def _rate(port: int, file: File, size: int, count: int) -> float:
    """Fetch ranges one after the other; bytes per second."""
    with _connected(port) as connection:
        begun = time.perf_counter()
        for index in range(count):
            begin = index * size
            _ask(connection, file, begin, begin + size)
        return size * count / (time.perf_counter() - begun)


def _first_bytes(port: int, file: File) -> tuple[float, float]:
    """Give the seconds to the first byte, of a new connection and of one that is open."""
    with _connected(port) as connection:
        begun = time.perf_counter()
        _ask(connection, file, 0, 1)
        between = time.perf_counter()
        _ask(connection, file, 0, 1)
        return between - begun, time.perf_counter() - between


def _drain(port: int, file: File) -> int:
    with _connected(port) as connection:
        return _ask(connection, file, 0, file.size)


def _ask(connection: http.client.HTTPConnection, file: File, begin: int, end: int) -> int:
    """Fetch a range, and give how many bytes came."""
    connection.request("GET", file.path, headers={"Range": f"bytes={begin}-{end - 1}"})
    response = connection.getresponse()
    buffer = bytearray(_BLOCK)
    size = 0
    while count := response.readinto(buffer):
        size += count
    return size
