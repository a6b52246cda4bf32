"""Record real downloads for `benchmarks/eta.py`: HTTP over loopback, through a shaper of our own.

    python -m benchmarks.record_traces [tuning.jsonl] [judging.jsonl]

All downloads run at once, in one process, at a few kilobytes a second each: what an estimator
sees of a download is its shape, not its size. Takes about four minutes, and replaces the traces.
How they are written down is told in `traces/README.md`.
"""

from __future__ import annotations

import asyncio
import json
import math
import random
import re
import sys
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass, field
from itertools import accumulate
from pathlib import Path
from typing import Final

import httpx

TRACES: Final = Path(__file__).parent / "traces"

SEEDS: Final = {"tuning.jsonl": range(1, 7), "judging.jsonl": range(31, 42)}
"""By file: what constants are tuned on, and what the estimator is judged on."""

TICK_S: Final = 0.1
"""Seconds between two writes of the shaper."""

LINE_S: Final = 0.25
"""Least seconds between two samples: a hive tells of bytes several times a second."""

RATE: Final = 3000.0
"""Bytes per second of a download in its best time, about."""

Rates = list[float]
"""Bytes per second in each tick."""


@dataclass(slots=True)
class Trace:
    """One recorded download. Times in hundredths of a second since its request was sent."""

    kind: str
    seed: int
    total: int
    """Bytes of the whole file."""
    start: int
    """Bytes that were there before."""
    at: list[int] = field(default_factory=list)
    """Hundredths since the sample before."""
    got: list[int] = field(default_factory=list)
    """Bytes since the sample before."""

    @property
    def samples(self) -> list[tuple[float, int]]:
        """Seconds and bytes that are there, oldest first."""
        times = (at / 100 for at in accumulate(self.at))
        return list(zip(times, accumulate(self.got, initial=self.start), strict=False))


def load(name: str) -> list[Trace]:
    """Read the traces of a file."""
    lines = (TRACES / name).read_text().splitlines()
    return [Trace(**json.loads(line)) for line in lines]


# -- Shapes ---------------------------------------------------------------------------------------


def noisy(rng: random.Random, seconds: float) -> Rates:
    """Give a rate that wanders: a slow swell, and what differs from tick to tick."""
    memory = math.exp(-TICK_S / rng.uniform(2, 20))
    swell, fine = rng.uniform(0.05, 0.3), rng.uniform(0.05, 0.4)
    level, rates = 0.0, []
    for _ in range(int(seconds / TICK_S)):
        level = memory * level + math.sqrt(1 - memory**2) * rng.gauss(0, swell)
        rates.append(RATE * math.exp(level + rng.gauss(0, fine)))
    return rates


def steady(rng: random.Random, rates: Rates) -> Rates:
    """One level."""
    del rng
    return rates


def slow_start(rng: random.Random, rates: Rates) -> Rates:
    """Grow from a fraction of the rate to all of it."""
    low, grown = rng.uniform(0.05, 0.25), rng.uniform(10, 40)
    return [rate * low ** max(0.0, 1 - tick * TICK_S / grown) for tick, rate in enumerate(rates)]


def steps(rng: random.Random, rates: Rates) -> Rates:
    """Go to another level now and then."""
    shaped, level, until = [], 1.0, rng.uniform(15, 60)
    for tick, rate in enumerate(rates):
        if tick * TICK_S >= until:
            level = math.exp(rng.uniform(-1.2, 0.4))
            until += rng.uniform(15, 60)
        shaped.append(rate * level)
    return shaped


def bursts(rng: random.Random, rates: Rates) -> Rates:
    """Flow and rest in turns of a few seconds."""
    shaped, flows, until = [], True, 0.0
    flow, rest = rng.uniform(1, 5), rng.uniform(1, 5)
    for tick, rate in enumerate(rates):
        if tick * TICK_S >= until:
            flows = not flows
            until += (flow if flows else rest) * rng.uniform(0.5, 1.5)
        shaped.append(rate if flows else 0.0)
    return shaped


def stalls(rng: random.Random, rates: Rates) -> Rates:
    """Stand still one to three times, once for long."""
    shaped = list(rates)
    for number in range(rng.randint(1, 3)):
        begin = rng.randrange(len(rates) // 10, len(rates) * 9 // 10)
        lasts = int(rng.uniform(*((14, 30) if number == 0 else (3, 14))) / TICK_S)
        shaped[begin:begin] = [0.0] * lasts
    return shaped


def slow_tail(rng: random.Random, rates: Rates) -> Rates:
    """Bring the last few percent at a fraction of the rate."""
    share, slow = rng.uniform(0.04, 0.12), rng.uniform(0.15, 0.4)
    turn = (1 - share) / (1 - share + share / slow)
    return [rate * (1 if tick < turn * len(rates) else slow) for tick, rate in enumerate(rates)]


SHAPES: Final[dict[str, Callable[[random.Random, Rates], Rates]]] = {
    "steady": steady,
    "slow start": slow_start,
    "steps": steps,
    "bursts": bursts,
    "stalls": stalls,
    "slow tail": slow_tail,
    "resume": steady,
}


@dataclass(frozen=True, slots=True)
class Shape:
    """What the shaper does to one download."""

    start: int
    due: Sequence[float]
    """Bytes sent by the end of each tick."""

    @property
    def total(self) -> int:
        """Bytes of the whole file."""
        return self.start + int(self.due[-1])


def shape(kind: str, seed: int) -> Shape:
    """Draw a shape; 60 to 200 s, longer by its stalls."""
    rng = random.Random(f"{kind} {seed}")  # noqa: S311 (noise, no secret)
    rates = SHAPES[kind](rng, noisy(rng, rng.uniform(60, 200)))
    due = [amount * TICK_S for amount in accumulate(rates)]
    there = rng.uniform(0.4, 0.85) if kind == "resume" else 0.0
    return Shape(int(due[-1] * there / (1 - there)), due)


# -- Server and client ----------------------------------------------------------------------------


@asynccontextmanager
async def shaper(shapes: dict[str, Shape]) -> AsyncIterator[str]:
    """Serve each shape under its name; gives the address."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        wanted = shapes[head.split()[1].removeprefix("/")]
        ranged = re.search(r"(?i)^range: bytes=(\d+)-", head, re.MULTILINE)
        start = int(ranged[1]) if ranged else 0
        span = f"Content-Range: bytes {start}-{wanted.total - 1}/{wanted.total}\r\n"
        writer.write(
            f"HTTP/1.1 {'206 Partial Content' if start else '200 OK'}\r\n{span if start else ''}"
            f"Content-Length: {wanted.total - start}\r\nConnection: close\r\n\r\n".encode()
        )
        began, sent = time.monotonic(), 0
        while sent < wanted.total - start:
            await asyncio.sleep(TICK_S)
            tick = min(int((time.monotonic() - began) / TICK_S), len(wanted.due) - 1)
            due = int(wanted.due[tick])
            writer.write(bytes(due - sent))
            sent = due
            await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"


async def record(client: httpx.AsyncClient, kind: str, seed: int, wanted: Shape) -> Trace:
    """Download, and note what a hive would tell."""
    trace = Trace(kind, seed, wanted.total, wanted.start)
    headers = {"Range": f"bytes={wanted.start}-"} if wanted.start else {}
    began, noted, there, told = time.monotonic(), 0, wanted.start, wanted.start
    async with client.stream("GET", f"/{kind.replace(' ', '-')}/{seed}", headers=headers) as answer:
        answer.raise_for_status()
        there = told = wanted.total - int(answer.headers["Content-Length"])
        trace.at.append(noted := round((time.monotonic() - began) * 100))
        async for data in answer.aiter_raw():
            there += len(data)
            now = round((time.monotonic() - began) * 100)
            if now - noted >= LINE_S * 100 or there == wanted.total:
                trace.at.append(now - noted)
                trace.got.append(there - told)
                noted, told = now, there
    return trace


async def main(names: Sequence[str]) -> None:
    """Record the traces of some files, and write them down."""
    wanted = {
        (kind, seed): shape(kind, seed) for kind in SHAPES for name in names for seed in SEEDS[name]
    }
    served = {f"{kind.replace(' ', '-')}/{seed}": one for (kind, seed), one in wanted.items()}
    limits = httpx.Limits(max_connections=None)
    async with (
        shaper(served) as url,
        httpx.AsyncClient(base_url=url, limits=limits, timeout=90, trust_env=False) as client,
    ):
        jobs = [record(client, *name, one) for name, one in wanted.items()]
        traces = await asyncio.gather(*jobs)
    for name in names:
        lines = (
            json.dumps(asdict(trace), separators=(",", ":"))
            for trace in traces
            if trace.seed in SEEDS[name]
        )
        (TRACES / name).write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1:] or list(SEEDS)))
