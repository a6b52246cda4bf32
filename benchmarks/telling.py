"""What a child tells of its own work, so that the start of Python can be told apart from it."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

_LABEL = "transfer "


@dataclass(frozen=True, slots=True)
class Span:
    """Seconds that passed, and seconds that all threads computed."""

    wall: float
    cpu: float


@contextmanager
def telling() -> Iterator[None]:
    """Tell on standard output what the body took."""
    wall, cpu = time.perf_counter(), time.process_time()
    yield
    span = {"wall": time.perf_counter() - wall, "cpu": time.process_time() - cpu}
    print(f"{_LABEL}{json.dumps(span)}", flush=True)


def told(output: str) -> Span | None:
    """Find it in what a child wrote; None: it told nothing."""
    for line in output.splitlines():
        if line.startswith(_LABEL):
            return Span(**json.loads(line.removeprefix(_LABEL)))
    return None
