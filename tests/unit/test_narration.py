"""What an event says."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from rbee_widgets.contract import frame
from rbee_widgets.narration import Narration, Progressed, read
from rbee_widgets.untrusted import MAX_TEXT, clean

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


def test_text_is_bounded() -> None:
    assert len(clean("x" * (MAX_TEXT * 2))) == MAX_TEXT + 1
