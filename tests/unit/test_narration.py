"""What an event says."""

from __future__ import annotations

import json
import math
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rbee_widgets.contract import frame
from rbee_widgets.narration import Narration, Progressed, read
from rbee_widgets.untrusted import MAX_LABEL, MAX_TEXT, clean

CASES = [
    json.loads(line)
    for line in (Path(__file__).parents[1] / "data" / "narration.jsonl").read_text().splitlines()
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["why"][:40])
def test_a_line_is_read_exactly(case: dict[str, Any]) -> None:
    said = read(case["data"], case["event"])
    assert {key: getattr(said, key) for key in case["expect"]} == case["expect"]


def test_a_figure_tells_how_fine_it_is() -> None:
    said = read("📊 Progress: 45.2% (1.25 GB / 4.7 GB)")
    assert isinstance(said, Progressed)
    assert said.percentage_step == pytest.approx(0.1)
    assert said.bytes_step == pytest.approx(1e7)


def test_a_frame_is_read_as_it_was_written() -> None:
    said = read(frame("some::function", "an_action", "two\nlines"))
    assert said == Narration("two\nlines", "an_action", "some::function")


@pytest.mark.timeout(20)  # reading one of these in quadratic time takes minutes
@pytest.mark.parametrize(
    "line",
    [
        "Progress: 1%(" * 100_000,
        "Progress: 1" + "1" * 1_000_000,
        "Progress: 1%" + " " * 1_000_000 + "(",
        "\x1b[1m" * 250_000,
        "\x1b]" * 500_000,
        "⏳ Still downloading " + "(1% complete" * 80_000 + "...",
    ],
    ids=lambda line: repr(line[:14]),
)
def test_a_hostile_line_is_read_in_no_time(line: str) -> None:
    assert isinstance(read(line), Narration)


@pytest.mark.parametrize(
    ("data", "event"),
    [("", "message"), ("{" * 100_000, "message"), ("nonsense", "data"), ("\ud800", "message")],
)
def test_reading_never_raises(data: str, event: str) -> None:
    said = read(data, event)
    assert isinstance(said, Narration)
    said.human.encode()


# -- Whatever comes -------------------------------------------------------------------------------

pieces = st.sampled_from(
    [
        "📊 Progress: ",
        "Progress: 45.2%",
        "⏳ Still downloading ",
        " complete)...",
        " (2.5 MB / 5.5 MB)",
        "(",
        ")",
        " / ",
        "%",
        " MB",
        " GiB",
        "NaN",
        "-",
        ",",
        "\n",
        "\x1b[1m",
        "\x1b[0m \x1b[2m",
        "\x1b[0m\n",
        "\x1b]8;;",
        "[DONE]",
        "[ERROR] ",
        '{"action": "',
        '", "human": "',
        '", "payload": ',
        '"}',
    ]
)
anything = st.text(st.characters(exclude_categories=()), max_size=30)  # half surrogates too
numbers = st.one_of(st.integers(-5, 10**20).map(str), st.floats(0, 200).map(str))
lines = st.lists(st.one_of(pieces, numbers, anything), max_size=10).map("".join)


@settings(deadline=None)  # a busy machine is no failure
@given(data=lines, event=st.one_of(st.sampled_from(["message", "data", ""]), anything))
def test_whatever_comes_is_read_and_bounded(data: str, event: str) -> None:
    said = read(data, event)
    if isinstance(said, Narration):
        assert len(said.human) <= MAX_TEXT + 1
        said.human.encode()
        assert "\x1b" not in said.human
        for name in (said.action, said.function, said.actor):
            assert name is None or len(name) <= MAX_LABEL
    if isinstance(said, Progressed):
        assert said.percentage is None or 0 <= said.percentage <= 100
        for size in (said.bytes_downloaded, said.total_size):
            assert size is None or (size >= 0 and math.isfinite(float(size)))


@settings(deadline=None)
@given(data=lines)
def test_cleaning_twice_changes_nothing(data: str) -> None:
    assert clean(clean(data)) == clean(data)


def test_a_long_line_is_read_at_once() -> None:
    line = "Progress: 1%(" * (100_000 // 13)
    took = []
    for _ in range(50):
        began = time.perf_counter()
        read(line)
        took.append(time.perf_counter() - began)
    print(f"{min(took) * 1e6:.0f} µs for 100 kB")
    assert min(took) < 500e-6  # alone on a machine it takes 20 µs; to search all of it takes 800


def test_names_in_json_are_bounded_as_those_of_a_frame_are() -> None:
    long = "x" * 10_000
    said = read(json.dumps({"human": "hello", "action": long, "actor": long}))
    assert isinstance(said, Narration)
    assert said.action == said.actor == "x" * MAX_LABEL


def test_text_is_bounded() -> None:
    assert len(clean("x" * (MAX_TEXT * 2))) == MAX_TEXT + 1
