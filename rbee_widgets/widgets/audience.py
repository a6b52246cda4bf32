"""The pages that show a widget: each says so again every few seconds, or when it no longer does."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Final

from rbee_widgets.background import in_kernel, in_marimo

LEASE_S: Final = 15.0
"""Seconds that a page counts after it last said that it shows the widget; it does every 5."""

MAX_PAGES: Final = 50


@dataclass
class _Page:
    until: float
    open: dict[str, int] = field(default_factory=dict)


class Audience:
    """Who is looking at one widget."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._pages: dict[str, _Page] = {}
        self._cells = _cells()

    def shown(self, page: str, opened: dict[str, int]) -> None:
        """Take note that a page shows the widget, and which rows are open in it."""
        self._pages.pop(page, None)
        while len(self._pages) >= MAX_PAGES:
            del self._pages[next(iter(self._pages))]
        self._pages[page] = _Page(self._clock() + LEASE_S, opened)

    def hidden(self, page: str) -> None:
        """Take note that a page shows it no longer."""
        self._pages.pop(page, None)

    @property
    def is_there(self) -> bool:
        """Whether anybody looks."""
        # Some kernels hear no page while a cell runs, however long: no page is late then.
        if not self._cells.is_running:
            now = self._clock()
            for name in [name for name, page in self._pages.items() if page.until < now]:
                del self._pages[name]
        return bool(self._pages)

    @property
    def opened(self) -> set[str]:
        """The ids of the rows whose narration is shown somewhere."""
        return {id for page in self._pages.values() for id in page.open}  # noqa: A001


class _Cells:
    """Whether a cell runs."""

    def __init__(self) -> None:
        self.is_running = False
        if in_kernel():
            from IPython import get_ipython  # noqa: PLC0415 (not needed where there is none)

            events = get_ipython().events
            events.register("pre_execute", self._begin)
            events.register("post_execute", self._end)
            self.is_running = True  # it is a cell that has made the first widget
        elif in_marimo():
            self.is_running = True  # for all that can be known: it tells nobody

    def _begin(self, *_: Any) -> None:
        self.is_running = True

    def _end(self, *_: Any) -> None:
        self.is_running = False


@cache
def _cells() -> _Cells:
    return _Cells()
