"""One marketplace in a notebook of its own, used as a person would, and what was seen of it."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import cycle, islice
from typing import Final

from playwright.sync_api import Page

from benchmarks import market_script
from benchmarks.frames import SCROLL, Pace, pace_of
from tests.support.hub import Hub, Request, Slow

MANY: Final = 2000
ALL: Final = "community"
"""Finds `MANY` results, and no more."""

FILES: Final = "bartowski"
"""Finds models of many files."""

WORDS: Final = ("qwen", "llama", "gemma", "mistral", "phi", "smollm", "granite", "falcon", "olmo")
"""What is searched for in turn: each finds another first than the one before it."""

SLOW_S: Final = 0.3
LIMIT_MS: Final = 60_000
SCROLL_S: Final = 5.0
STEPS: Final = (40, 200)
"""Pixels that are scrolled a frame: a turning wheel, and a hand on the scroll bar."""

BETWEEN_KEYS_MS: Final = 40
"""Within a word, which so is searched for once."""

TYPED: Final = (*"qwen", *["Backspace"] * 4, *"llama", *["Backspace"] * 5)
"""Keys that leave the box empty in the end."""

BOX: Final = ".rbee-query"
LIST: Final = ".rbee-models"


@dataclass(frozen=True, slots=True)
class Found:
    """One search, in milliseconds."""

    hub: float
    """From the request's coming to the hub to the end of its answer."""
    sent: float
    """From the page's sending the search to the painted result."""
    typed: float
    """The same from the last key."""
    there: float
    """From the page's sending to the request's coming to the hub,"""
    back: float
    """from the end of the answer to the change of the page,"""
    frame: float
    """and from there to the frame after."""

    @property
    def more(self) -> float:
        """What is not the hub's."""
        return self.sent - self.hub


@dataclass(frozen=True, slots=True)
class Key:
    """One keystroke, in milliseconds."""

    handled: float
    painted: float


@dataclass(frozen=True, slots=True)
class Keys:
    """Keystrokes, and how many searches they sent meanwhile."""

    keys: Sequence[Key]
    searches: int


@dataclass(frozen=True, slots=True)
class Unfolded:
    """A model whose first verdict was waited for."""

    seconds: float
    requests: int
    """For headers, redirects left aside."""
    fetched: int
    """Bytes of headers."""


class Shop:
    """A marketplace that is shown, and its hub."""

    def __init__(self, page: Page, hub: Hub, chance: random.Random) -> None:
        self._page = page
        self._hub = hub
        self._chance = chance
        self._box = page.locator(BOX)
        self._words = cycle(WORDS)

    def search(self, word: str) -> Found:
        """Type a word in the place of what stands there, and wait for its results."""
        self._box.focus()
        self._page.evaluate(market_script.SEARCH, word)
        before = len(self._hub.requests)
        self._box.press("Control+a")
        self._page.keyboard.type(word, delay=BETWEEN_KEYS_MS)
        seen = self._page.evaluate(market_script.FOUND, LIMIT_MS)
        asked = next(one for one in self._hub.requests[before:] if one.path == "/api/models")
        assert asked.ended is not None  # noqa: S101 (its results were seen)
        [sent] = seen["sent"]  # one word, one search
        monotonic = (time.time() - time.monotonic()) * 1e3
        came = asked.at * 1e3 + monotonic - seen["epoch"]
        ended = asked.ended * 1e3 + monotonic - seen["epoch"]
        return Found(
            hub=ended - came,
            sent=seen["painted"] - sent,
            typed=seen["painted"] - seen["key"],
            there=came - sent,
            back=seen["changed"] - ended,
            frame=seen["painted"] - seen["changed"],
        )

    def searches(self, count: int) -> list[Found]:
        """Search for one word after the other, in no hurry."""
        found = []
        for word in islice(self._words, count):
            found.append(self.search(word))
            self._page.wait_for_timeout(self._chance.uniform(300, 700))
        return found

    def load(self, count: int = MANY) -> float:
        """Scroll until all results are there; gives the seconds."""
        return float(self._page.evaluate(market_script.LOAD, [count, LIMIT_MS]))

    def lines(self) -> list[str]:
        """Give what the results say, a line each."""
        lines: list[str] = self._page.evaluate(market_script.LINES)
        return lines

    def type(self, pauses: Sequence[float]) -> Keys:
        """Press keys in the search box, as `typed` does."""
        return typed(self._page, BOX, pauses)

    def unfold(self, place: int) -> Unfolded:
        """Unfold a result and wait for its first verdict."""
        before = len(self._hub.requests)
        seconds = float(self._page.evaluate(market_script.UNFOLD, [place, LIMIT_MS]))
        parts = [one for one in self._hub.requests[before:] if _is_header(one)]
        return Unfolded(seconds, len(parts), sum(one.sent for one in parts))

    @contextmanager
    def slow(self, seconds: float = SLOW_S) -> Iterator[None]:
        """Have the hub take its time over each search."""
        self._hub.fail(Slow(seconds), path="search=", times=float("inf"))
        yield
        self._hub.heal()


def _is_header(request: Request) -> bool:
    return request.range is not None and request.status == 206


@dataclass(frozen=True, slots=True)
class Shown:
    """How a display came, in seconds from its cell's start; None: it did not."""

    first: float | None
    """To its first line,"""
    all: float | None
    """and to the last of `MANY`."""


def typed(page: Page, box: str, pauses: Sequence[float]) -> Keys:
    """Press keys, each with a pause of milliseconds after it: words that grow and shrink again."""
    page.locator(box).fill("")
    page.evaluate(market_script.KEYS, box)
    for key, pause in zip(cycle(TYPED), pauses, strict=False):
        page.keyboard.press(key)
        page.wait_for_timeout(pause)
    seen = page.evaluate("benchKeysEnd()")
    keys = [Key(one["handled"], one["painted"]) for one in seen["keys"]]
    return Keys(keys, seen["searches"])


def shown(page: Page, selector: str, count: int, limit: float) -> Shown:
    """Run a cell and watch its lines come; a limit in seconds."""
    found = page.evaluate(market_script.SHOW, [selector, count, limit * 1e3])
    return Shown(found["first"], found["all"])


def scrolled(page: Page, selector: str) -> dict[int, Pace]:
    """Scroll a box at each speed, from its top."""
    paces = {}
    for step in STEPS:
        page.evaluate("box => { document.querySelector(box).scrollTop = 0; }", selector)
        page.wait_for_timeout(500)
        paces[step] = pace_of(page.evaluate(SCROLL, [selector, SCROLL_S * 1e3, step]))
    return paces
