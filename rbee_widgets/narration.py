"""What one event of a stream says. Pure: text in, one value out; no I/O, no clock, no state.

A hive writes narration as text in a frame of its own, a queen as JSON; both end in markers. No
emoji and no word in a narration ever ends a job: a hive prints `✅` long before it is done.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from typing import Any, ClassVar, Final, Literal, TypeAlias

from pydantic import ValidationError

from rbee_widgets.contract import (
    CANCELLED,
    CHANNEL_LOST,
    DONE,
    ERROR,
    FRAME,
    DataEvent,
    JsonNarration,
)
from rbee_widgets.untrusted import clean, label

MAX_PROGRESS_LINE: Final = 4096
"""Characters within which a progress line is looked for: file names end at 255 bytes."""


@dataclass(frozen=True, slots=True)
class Narration:
    """A line for people; `human` may hold newlines and is free of terminal control."""

    kind: ClassVar[str] = "narration"

    human: str
    action: str | None = None
    function: str | None = None
    actor: str | None = None
    """The crate that speaks; told by JSON narration (a queen's) alone."""


@dataclass(frozen=True, slots=True)
class Progressed(Narration):
    """A line that tells progress, or at least that the download lives; None: not told.

    Figures are what the text says: percent 0-100, sizes in bytes. A `*_step` is what the last
    written digit of its figure is worth, so that a reader can choose the finer of two.
    """

    kind: ClassVar[str] = "progress"

    percentage: float | None = None
    percentage_step: float | None = None
    bytes_downloaded: int | None = None
    bytes_step: float | None = None
    total_size: int | None = None


@dataclass(frozen=True, slots=True)
class Retrying(Narration):
    """A line that tells of a wait before try `number` of `of`, `seconds` from now, and why."""

    kind: ClassVar[str] = "retry"

    number: int = 0
    of: int = 0
    seconds: float = 0.0
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Done:
    """The job has completed, says the stream."""

    kind: ClassVar[str] = "done"


@dataclass(frozen=True, slots=True)
class Failed:
    """The job has failed; `error` is the hive's text, perhaps of several lines, perhaps empty."""

    kind: ClassVar[str] = "error"

    error: str


@dataclass(frozen=True, slots=True)
class Cancelled:
    """The job was cancelled."""

    kind: ClassVar[str] = "cancelled"


@dataclass(frozen=True, slots=True)
class Lost:
    """The stream can't be had (again); the `[DONE]` that follows is no success."""

    kind: ClassVar[str] = "lost"


@dataclass(frozen=True, slots=True)
class Data:
    """Structured data for programs."""

    kind: ClassVar[str] = "data"

    action: str
    payload: Any


Event: TypeAlias = Narration | Progressed | Retrying | Done | Failed | Cancelled | Lost | Data


Level: TypeAlias = Literal["error", "warn", "info", "debug"]
"""How loud a line is. The wire tells none, so it is for filters alone: nothing is decided by it."""

_LOUD: Final[tuple[tuple[str, Level], ...]] = (("❌", "error"), ("⚠", "warn"))


def level(said: Narration | Failed) -> Level:
    """Tell how loud a line is: figures are for debugging, what stands in the way is not."""
    if isinstance(said, Failed) or said.action == "failed":
        return "error"
    if isinstance(said, Retrying):
        return "warn"
    if isinstance(said, Progressed) or said.action == "build_output":
        return "debug"
    return next((level for sign, level in _LOUD if said.human.startswith(sign)), "info")


def actor(said: Narration | Failed) -> str | None:
    """Tell the crate that speaks, of a hive's own narration by the function that it names."""
    if isinstance(said, Failed):
        return None
    # A method of a trait stands as "<crate::Type as other::Trait>::method".
    return said.actor or (said.function or "").lstrip("<").partition("::")[0] or None


def read(data: str, event: str = "message") -> Event:
    """Read one decoded Server-Sent Event; never raises."""
    if event == "data":
        return _data(data) or Narration(clean(data))
    match data.strip():
        case marker if marker == DONE:
            return Done()
        case marker if marker == CANCELLED:
            return Cancelled()
        case marker if marker.startswith(ERROR):
            return Failed(clean(marker.removeprefix(ERROR).strip()))
        case marker if marker == CHANNEL_LOST:
            return Lost()
        case marker if marker.startswith("{"):
            return _json(marker) or _framed(data)
    return _framed(data)


def _data(text: str) -> Data | None:
    try:
        event = DataEvent.model_validate_json(text)
    except ValidationError:
        return None
    return Data(label(event.action), event.payload)


def _json(text: str) -> Event | None:
    """Narration or data in a queen's dialect, None where the text is neither."""
    try:
        said = JsonNarration.model_validate_json(text)
    except ValidationError:
        return _data(text)
    return _spoken(
        said.human,
        action=said.action and label(said.action),
        actor=said.actor and label(said.actor),
    )


def _framed(text: str) -> Narration:
    """Narration of a hive: framed where it is, else all message."""
    framed = FRAME.fullmatch(text)
    if framed is None:
        return _spoken(text)
    function, action, message = framed.groups()
    return _spoken(message or "", action=clean(action).rstrip(), function=clean(function).rstrip())


def _spoken(
    text: str, *, action: str | None = None, function: str | None = None, actor: str | None = None
) -> Narration:
    human = clean(text.removesuffix("\n"))
    if action == RETRY and (wait := _RETRY.match(human)):
        number, of, seconds, reason = wait.groups()
        return Retrying(
            human, action, function, actor, int(number), int(of), float(seconds), reason
        )
    told = None if action == "build_output" else _progress(human)
    if told is None:
        return Narration(human, action, function, actor)
    percentage, step, sizes = told
    done = done_step = total = None
    if sizes is not None:
        (done, done_step), (total, _) = sizes
    return Progressed(
        human,
        action,
        function,
        actor,
        percentage=percentage,
        percentage_step=step,
        bytes_downloaded=None if done is None else round(done),
        bytes_step=done_step,
        total_size=None if total is None else round(total),
    )


RETRY: Final = "download_retry"
_RETRY: Final = re.compile(
    r"\W{0,8}Retry ([0-9]{1,3}) of ([0-9]{1,3}) in ([0-9]{1,5}(?:\.[0-9])?) s: (.*)",
    re.ASCII | re.DOTALL,
)


# -- Progress -------------------------------------------------------------------------------------

_NUMBER: Final = r"([0-9]{1,15}(?:\.[0-9]{1,9})?)"
_SIZE: Final = rf"{_NUMBER} ?([KMGTP]?i?B)"
# Bounded repeats and one fixed start: the time does not grow with a hostile line's length.
_PROGRESS: Final = re.compile(
    rf"\W{{0,8}}Progress: {_NUMBER}%(?:[^()\n]{{0,200}}\({_SIZE} ?/ ?{_SIZE}\))?",
    re.ASCII | re.IGNORECASE,
)
_HEARTBEAT: Final = "⏳ Still downloading "
_HEARTBEAT_PERCENT: Final = re.compile(rf"\({_NUMBER}% complete\)\.\.\.\Z", re.ASCII)
_PREFIXES: Final = {"": 0, "K": 1, "M": 2, "G": 3, "T": 4, "P": 5}
ROUNDING: Final = 1.01
"""How far rounded sizes may lie over their total and still be meant seriously."""


_Size: TypeAlias = tuple[float, float]
"""Bytes, and the step in which they were told."""


def _size(number: str, unit: str) -> _Size:
    scale = _scale(unit)
    return float(number) * scale, scale * _step(number)


@cache
def _scale(unit: str) -> float:
    base = 1024 if "i" in unit.lower() else 1000
    return float(base ** _PREFIXES[unit.upper().rstrip("B").rstrip("I")])


def _step(number: str) -> float:
    return _STEPS[len(number.partition(".")[2])]


_STEPS: Final = tuple(10.0**-decimals for decimals in range(10))
"""By decimals, of which a number that is read has nine at most."""


def _progress(
    human: str,
) -> tuple[float | None, float | None, tuple[_Size, _Size] | None] | None:
    """Percent, its step and the sizes (done, total) of a progress line; None for any other."""
    if len(human) > MAX_PROGRESS_LINE:
        return None
    if human.startswith(_HEARTBEAT) and human.endswith("..."):
        # The last bracket counts: a file may be called "50% (9.9% complete) x.gguf".
        told = _HEARTBEAT_PERCENT.search(human, max(0, len(human) - 48))
        if told is None:
            return None, None, None
        percentage = float(told[1])
        return (percentage, _step(told[1]), None) if percentage <= 100 else None
    told = _PROGRESS.match(human)
    if told is None:
        return None
    percent, done, done_unit, total, total_unit = told.groups()
    percentage = float(percent)
    if percentage > 100:
        return None
    sizes = None
    if done:
        sizes = _size(done, done_unit), _size(total, total_unit)
        if sizes[0][0] > sizes[1][0] * ROUNDING:
            return None
    return percentage, _step(percent), sizes
