"""Who looks at a widget, and for how long that is believed."""

from __future__ import annotations

from rbee_widgets.widgets.audience import LEASE_S, MAX_PAGES, Audience


class Clock:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_a_page_counts_until_it_says_otherwise_or_nothing_for_long() -> None:
    clock = Clock()
    audience = Audience(clock)
    audience.shown("one", {"download-1": 3})
    audience.shown("two", {"download-2": -1})
    assert audience.is_there
    assert audience.opened == {"download-1", "download-2"}
    audience.hidden("one")
    assert audience.opened == {"download-2"}
    clock.now += LEASE_S - 1
    audience.shown("two", {})
    clock.now += LEASE_S - 1
    assert audience.is_there
    assert audience.opened == set()
    clock.now += 2
    assert not audience.is_there


def test_a_page_that_was_never_there_may_go() -> None:
    audience = Audience()
    audience.hidden("nobody")
    assert not audience.is_there


def test_no_page_is_late_while_a_cell_runs() -> None:
    clock = Clock()
    audience = Audience(clock)
    audience.shown("one", {})
    audience._cells.is_running = True  # as in a kernel that hears no page meanwhile
    try:
        clock.now += 1000
        assert audience.is_there
    finally:
        audience._cells.is_running = False
    assert not audience.is_there


def test_pages_are_bounded() -> None:
    audience = Audience()
    for i in range(MAX_PAGES * 2):
        audience.shown(str(i), {str(i): 0})
    assert len(audience.opened) == MAX_PAGES
    assert str(MAX_PAGES * 2 - 1) in audience.opened
