"""How many connections pay, on lines of several kinds."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from rbee_widgets.hive.engine.ramp import FEW, Ramp

TICK = 0.025


def on(
    line: Callable[[int], float], seconds: float, limit: int = 16, first_byte_s: float = 0.001
) -> list[int]:
    """Run a ramp on a line that brings `line(connections)` bytes per second."""
    ramp, done, wanted = Ramp(limit), 0.0, []
    ramp.answered(first_byte_s)
    for tick in range(int(seconds / TICK)):
        wanted.append(ramp.observe(tick * TICK, int(done), ramp.wanted))
        done += line(wanted[-1]) * TICK
    return wanted


def test_it_begins_with_one() -> None:
    assert on(lambda n: n * 1e6, 1)[0] == 1


def test_an_origin_that_caps_each_connection_gets_as_many_as_are_allowed() -> None:
    wanted = on(lambda n: n * 20e6, 2)
    assert wanted[-1] == 16
    assert wanted == sorted(wanted)
    assert max(on(lambda n: n * 20e6, 2, limit=8)) == 8


def test_a_full_line_keeps_its_few() -> None:
    wanted = on(lambda n: min(n * 10e6, 12e6), 5)
    assert wanted[-1] == FEW
    assert sum(count > FEW for count in wanted) < 1 / TICK, "more were given back within a second"


def test_a_line_that_is_full_at_ten_gets_about_ten() -> None:
    wanted = on(lambda n: min(n, 10) * 5e6, 120)
    assert 6 <= wanted[-1] <= 13


def test_a_far_origin_gets_a_few_at_once() -> None:
    assert on(lambda n: n * 1e6, 1, first_byte_s=0.05)[0] == FEW


def test_where_the_machine_is_the_limit_one_is_enough() -> None:
    assert max(on(lambda _: 800e6, 5)) == 1
    assert max(on(lambda _: 800e6, 30)) == 2, "it is looked at again, and given back"


def test_more_are_tried_again_after_a_while() -> None:
    wanted = on(lambda n: min(n * 10e6, 12e6), 30)
    tries = [at * TICK for at, count in enumerate(wanted) if count > FEW]
    assert any(at > 10 for at in tries)


@pytest.mark.parametrize("limit", [1, 2, 5])
def test_the_limit_is_kept(limit: int) -> None:
    assert max(on(lambda n: n * 20e6, 5, limit)) == limit


def test_a_refused_connection_is_given_back() -> None:
    ramp = Ramp(16)
    for tick in range(40):
        ramp.observe(tick * TICK, tick * 10**6, ramp.wanted)
    assert ramp.wanted > 3
    ramp.refused(1.0, 3)
    assert ramp.observe(1.1, 10**8, 3) == 3


def test_an_outage_is_no_matter_of_their_number() -> None:
    ramp = Ramp(16)
    for tick in range(80):
        ramp.observe(tick * TICK, tick * 10**6 * ramp.wanted, ramp.wanted)
    assert ramp.wanted == 16
    for left in (15, 12, 1):
        ramp.refused(2.0, left)
    ramp.gone()
    assert ramp.observe(2.1, 10**9, 0) == 16


def test_an_outage_while_a_number_is_held_leaves_that_number() -> None:
    ramp, at, done = Ramp(16), 0.0, 0
    while ramp.observe(at, done, ramp.wanted) <= FEW:
        at, done = at + TICK, done + int(min(ramp.wanted * 10e6, 12e6) * TICK)
    while ramp.observe(at, done, ramp.wanted) > FEW:
        at, done = at + TICK, done + int(12e6 * TICK)
    for left in (7, 3, 1):
        ramp.refused(at, left)
    ramp.gone()
    assert ramp.observe(at + TICK, done, 0) == FEW
