"""The cases: what each test provokes, what must come of it, and the table of what was seen."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeVar

import pytest

import tests.faults

TABLE: Final = Path(__file__).parents[2] / "docs" / "reliability.md"
BEGIN: Final = "<!-- cases: written by a run of tests/faults -->"
END: Final = "<!-- end of cases -->"
ROWS: Final = 38
"""Kinds of fault that are covered by one case at least."""

_Test = TypeVar("_Test", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True)
class Case:
    """One case: `kind` groups those of one kind of fault (1 to `ROWS`; 0: beyond them)."""

    kind: int
    fault: str
    expected: str
    test: str

    def line(self, seen: str) -> str:
        """Give its line of the table."""
        cells = (str(self.kind or "—"), self.fault, self.expected, seen, f"`{self.test}`")
        return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def fault(kind: int, fault: str, expected: str) -> Callable[[_Test], _Test]:
    """Mark a test as that of a case; parametrised tests are one case for each parameter set."""
    return pytest.mark.fault(kind, fault, expected)


def declared() -> Iterator[tuple[str, int, str]]:
    """Give the name of each test that is marked, the kind, and what is expected."""
    for found in pkgutil.iter_modules(tests.faults.__path__):
        if not found.name.startswith("test_"):
            continue
        module = importlib.import_module(f"tests.faults.{found.name}")
        for name, function in vars(module).items():
            for mark in getattr(function, "pytestmark", ()):
                if mark.name == "fault":
                    kind, _, expected = mark.args
                    yield name, kind, expected


def write(seen: dict[Case, str]) -> None:
    """Put the cases of a whole run into the table."""
    head, _, rest = TABLE.read_text().partition(BEGIN)
    _, _, tail = rest.partition(END)
    lines = [
        "| kind | fault | expected | seen | test |",
        "|---|---|---|---|---|",
        *(case.line(text) for case, text in sorted(seen.items(), key=lambda one: _order(one[0]))),
    ]
    TABLE.write_text(head + BEGIN + "\n" + "\n".join(lines) + "\n" + END + tail)


def _order(case: Case) -> tuple[int, str]:
    return (case.kind or ROWS + 1, case.test)
