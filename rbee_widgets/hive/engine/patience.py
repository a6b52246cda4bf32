"""How long to wait before the next try, and when to give up. Pure but for the dice."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Final

TRIES: Final = 6
"""Failures in a row, without a byte between them, that are taken as the end."""

PAUSE_S: Final = 0.5
"""Seconds before the second try; each further one waits twice as long."""

MAX_PAUSE_S: Final = 8.0
MAX_ASKED_S: Final = 60.0
"""The longest `Retry-After` that is waited for, in seconds."""


@dataclass(frozen=True, slots=True)
class Wait:
    """A wait of some seconds before try `number` of `of`, and why, in a few words."""

    number: int
    of: int
    seconds: float
    reason: str


def wait_after(failures: int, reason: str, asked_s: float | None) -> Wait | None:
    """Give the wait after so many failures in a row; None: that is enough.

    `asked_s` is what the origin asked us to wait, in seconds, None where it did not.
    """
    if failures >= TRIES or not may_wait(asked_s):
        return None
    pause = min(MAX_PAUSE_S, PAUSE_S * 2 ** (failures - 1))
    pause *= random.uniform(0.5, 1.0)  # noqa: S311 (so that many don't come back at once)
    return Wait(failures + 1, TRIES, max(pause, asked_s or 0.0), reason)


def may_wait(asked_s: float | None) -> bool:
    """Whether what the origin asks for is waited for."""
    return asked_s is None or asked_s <= MAX_ASKED_S


def may_pass(status: int) -> bool:
    """Whether an HTTP status may be another one the next time."""
    return status in (408, 429) or status >= 500
