"""Collects what each case saw; `--write-reliability` puts it into the table."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

import pytest

from tests.faults.cases import Case, write

_SEEN: Final[dict[Case, str]] = {}

Seen = Callable[[str], None]


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--write-reliability", action="store_true", help="write docs/reliability.md")


@pytest.fixture
def seen(request: pytest.FixtureRequest) -> Iterator[Seen]:
    """Take down, in a few words with its figures, what came of the case; each one must."""
    mark = request.node.get_closest_marker("fault")
    assert mark is not None
    kind, fault, expected = mark.args
    name = request.node.originalname
    values = getattr(request.node, "callspec", None)
    if values is not None:
        fault = f"{fault}: {values.id}"
    case = Case(kind, fault, expected, name)
    told: list[str] = []
    yield told.append
    if told:
        print("seen:", "; ".join(told))
        _SEEN[case] = "; ".join(told)


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    if session.config.getoption("--write-reliability") and exitstatus == 0:
        write(_SEEN)
