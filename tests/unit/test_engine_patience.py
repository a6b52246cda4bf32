"""How long is waited before another try, and what an origin's own wish counts."""

from __future__ import annotations

from email.utils import formatdate

import pytest

from rbee_widgets.hive.engine.answers import retry_after
from rbee_widgets.hive.engine.patience import may_pass, wait_after

DATE = 1_800_000_000.0


@pytest.mark.parametrize(("failures", "most"), [(1, 0.5), (2, 1.0), (3, 2.0), (4, 4.0), (5, 8.0)])
def test_each_wait_is_at_most_twice_the_one_before(failures: int, most: float) -> None:
    waits = [wait_after(failures, "why", None) for _ in range(100)]
    assert all(wait is not None and most / 2 <= wait.seconds <= most for wait in waits)
    assert len({wait.seconds for wait in waits if wait}) > 50, "not all come back at once"
    assert {(wait.number, wait.of, wait.reason) for wait in waits if wait} == {
        (failures + 1, 6, "why")
    }


def test_six_failures_are_enough() -> None:
    assert wait_after(6, "why", None) is None


@pytest.mark.parametrize(("asked_s", "waits"), [(0.0, 0.5), (7.0, 7.0), (60.0, 60.0)])
def test_a_wait_is_at_least_what_is_asked_for(asked_s: float, waits: float) -> None:
    wait = wait_after(1, "why", asked_s)
    assert wait is not None
    assert min(asked_s, 0.25) <= wait.seconds <= waits


def test_a_wait_beyond_a_minute_is_none() -> None:
    assert wait_after(1, "why", 60.5) is None


def test_some_refusals_may_pass() -> None:
    passing = [status for status in range(100, 600) if may_pass(status)]
    assert passing == [408, 429, *range(500, 600)]


@pytest.mark.parametrize(
    ("told", "seconds"),
    [
        ("120", 120.0),
        ("0", 0.0),
        ("1000000000", 1e9),
        (formatdate(DATE + 90, usegmt=True), 90.0),
        (formatdate(DATE - 90, usegmt=True), 0.0),
        ("-5", None),
        ("1.5", None),
        ("soon", None),
        ("", None),
        ("9" * 400, None),
    ],
)
def test_what_is_asked_for_is_read_by_the_origins_own_clock(
    told: str, seconds: float | None
) -> None:
    assert retry_after({"retry-after": told, "date": formatdate(DATE, usegmt=True)}) == seconds
