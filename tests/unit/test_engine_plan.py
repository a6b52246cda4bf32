"""The plan of one file: whatever happens in whatever order, it ends in all of its bytes, once."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from rbee_widgets.hive.engine.plan import MAX_ASK, MIN_SPLIT, PIECE, Ask, Plan, Spans

MiB = 1 << 20
spans = st.lists(st.tuples(st.integers(0, 60), st.integers(0, 60)).map(sorted).map(tuple))


@given(spans)
def test_spans_are_a_set_of_offsets(added: list[tuple[int, int]]) -> None:
    ours, model = Spans(), set[int]()
    for start, stop in added:
        fresh = set(range(start, stop)) - model
        assert ours.add(start, stop) == len(fresh)
        model |= fresh
    assert [offset for span in ours for offset in range(*span)] == sorted(model)
    gone = {offset for span in ours.gaps(70) for offset in range(*span)}
    assert gone == set(range(70)) - model
    assert all(before[1] < after[0] for before, after in pairwise(ours))


class Fetching(RuleBasedStateMachine):
    """Asks, arrivals, cuts and restarts in any order."""

    def __init__(self) -> None:
        super().__init__()
        self.size = 0
        self.plan = Plan(0)
        self.asks: list[Ask] = []

    @rule(size=st.integers(1, 100 * MiB))
    @precondition(lambda self: self.size == 0)
    def begins(self, size: int) -> None:
        self.size = size
        self.plan = Plan(size)

    @rule(connections=st.integers(1, 16))
    def asks_for_more(self, connections: int) -> None:
        ask = self.plan.take(connections, 0.0)
        if ask is not None:
            assert ask.stop is not None
            assert 0 <= ask.at < ask.stop <= self.size
            assert ask.rest <= max(MAX_ASK, PIECE)
            self.asks.append(ask)

    @rule(data=st.data(), share=st.floats(0.01, 1))
    @precondition(lambda self: any(ask.rest for ask in self.asks))
    def bytes_arrive(self, data: st.DataObject, share: float) -> None:
        ask = data.draw(st.sampled_from([ask for ask in self.asks if ask.rest]))
        before = self.plan.done
        count = max(1, int(ask.rest * share))
        assert self.plan.arrived(ask, count) == count, "no byte is asked for twice"
        assert self.plan.done == before + count

    @rule(data=st.data())
    @precondition(lambda self: self.asks)
    def a_connection_ends(self, data: st.DataObject) -> None:
        ask = data.draw(st.sampled_from(self.asks))
        self.asks.remove(ask)
        self.plan.release(ask)

    @rule()
    def the_process_ends(self) -> None:
        self.plan = Plan(self.size, self.plan.spans)
        self.asks = []

    @invariant()
    def adds_up(self) -> None:
        assert self.plan.done == sum(stop - start for start, stop in self.plan.spans)
        held = [(ask.at, ask.at + ask.rest) for ask in self.asks if ask.rest]
        both = sorted([*self.plan.spans, *held])
        assert all(a[1] <= b[0] for a, b in pairwise(both)), "asked twice"

    def teardown(self) -> None:
        """Whatever has happened, the rest can be fetched, and then it is whole."""
        for ask in self.asks:
            self.plan.release(ask)
        while (last := self.plan.take(3, 0.0)) is not None:
            self.plan.arrived(last, last.rest)
            self.plan.release(last)
        assert self.plan.is_whole
        assert self.plan.frontier == self.size


TestFetching = Fetching.TestCase


def test_the_queue_is_in_order_and_asks_shorten_towards_the_end() -> None:
    plan = Plan(200 * MiB)
    starts, lengths = [0], list[int]()
    while (ask := plan.take(4, 0.0)) is not None and ask.start == starts[-1]:
        assert ask.stop is not None
        starts.append(ask.stop)
        lengths.append(ask.rest)
    assert lengths[0] == MAX_ASK
    assert lengths[-1] <= PIECE
    assert lengths == sorted(lengths, reverse=True)
    assert all(start % PIECE == 0 for start in starts[:-1])


def test_an_idle_connection_takes_half_of_the_longest_ask() -> None:
    plan = Plan(PIECE)
    slow = plan.take(2, 0.0)
    assert slow is not None
    plan.arrived(slow, MiB)
    half = plan.take(2, 0.0)
    assert half is not None
    assert (slow.rest, half.rest) == (7 * MiB // 2, 7 * MiB // 2)
    assert slow.stop == half.start
    plan.arrived(half, half.rest)
    plan.release(half)
    plan.arrived(slow, slow.rest - MIN_SPLIT + 1)
    assert plan.take(2, 0.0) is None


def test_what_a_connection_did_not_bring_is_asked_for_again() -> None:
    plan = Plan(3 * PIECE)
    first = plan.take(1, 0.0)
    assert first is not None
    plan.arrived(first, 1000)
    plan.release(first)
    again = plan.take(1, 0.0)
    assert again is not None
    assert again.start == 1000


def test_a_file_of_unknown_size_is_asked_for_by_one() -> None:
    plan = Plan(None)
    ask = plan.take(4, 0.0)
    assert ask is not None
    assert plan.take(4, 0.0) is None
    plan.learn(10)
    assert ask.stop == 10


@pytest.mark.parametrize("size", [0, 1, PIECE, PIECE + 1, 3 * PIECE])
def test_sizes_on_an_edge(size: int) -> None:
    plan = Plan(size)
    while (ask := plan.take(2, 0.0)) is not None:
        plan.arrived(ask, ask.rest)
        plan.release(ask)
    assert plan.is_whole
    assert plan.done == size
