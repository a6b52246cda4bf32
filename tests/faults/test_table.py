"""The suite is whole, and `docs/reliability.md` tells of all of it."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from tests.faults.cases import BEGIN, END, ROWS, TABLE, declared


def test_every_kind_has_a_case() -> None:
    kinds = Counter(kind for _, kind, _ in declared())
    assert [kind for kind in range(1, ROWS + 1) if not kinds[kind]] == []


def test_the_table_holds_every_case_and_no_other() -> None:
    _, _, rest = TABLE.read_text().partition(BEGIN)
    lines = [line for line in rest.partition(END)[0].splitlines() if line.startswith("|")][2:]
    cells = [line.strip("| ").split(" | ") for line in lines]
    told = {(test.strip("`"), expected) for _, _, expected, _, test in cells}
    assert told == {(name, expected) for name, _, expected in declared()}
    assert len(lines) >= 60


def test_no_case_is_skipped() -> None:
    for path in Path(__file__).parent.glob("test_*.py"):
        if path != Path(__file__):
            assert "skip" not in path.read_text(), path.name
