"""The log of a tracker: numbered, bounded, told from any revision on."""

from __future__ import annotations

import pytest

from rbee_widgets import log
from rbee_widgets.contract import frame
from rbee_widgets.log import Line, Log, Source
from rbee_widgets.narration import Failed, Narration, read

ONE = Source("download-1", "org/repo:file.gguf", "local", "job-1")
OTHER = Source("download-2", "org/repo:other.gguf", "local", "job-2")


def hear(told: Log, text: str, source: Source = ONE, last: Line | None = None) -> Line:
    said = read(text)
    assert isinstance(said, Narration | Failed)
    return told.hear(source, said, 1000.0, last=last)


def texts(lines: list[Line]) -> list[str]:
    return [line.text for line in lines]


def test_what_is_said_is_told_from_a_revision_on() -> None:
    told = Log()
    first = hear(told, "one")
    hear(told, "two", OTHER)
    assert texts(told.since(0)) == ["one", "two"]
    assert texts(told.since(first.revision)) == ["two"]
    assert told.since(told.revision) == []


def test_older_lines_come_in_pieces() -> None:
    told = Log()
    for i in range(10):
        hear(told, str(i))
    newest = told.before(told.revision + 1, 4)
    assert texts(newest) == ["6", "7", "8", "9"]
    assert texts(told.before(newest[0].revision, 4)) == ["2", "3", "4", "5"]
    assert texts(told.before(3, 4)) == ["0", "1"]


def test_a_figure_takes_the_place_of_its_own_figure_alone() -> None:
    told = Log()
    before = hear(told, "Progress: 10%")
    other = hear(told, "Progress: 50%", OTHER)
    after = hear(told, "Progress: 11%", last=before)
    assert (after.n, len(told)) == (before.n, 2)
    assert texts(told.since(other.revision)) == ["Progress: 11%"]
    line = hear(told, "Verifying", last=after)
    assert line.n not in (before.n, other.n)
    assert hear(told, "Progress: 12%", last=line).n > line.n


def test_the_newest_lines_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log, "MAX_LINES", 3)
    told = Log()
    for i in range(5):
        hear(told, str(i))
    assert texts(told.since(0)) == ["2", "3", "4"]


def test_no_more_than_so_many_characters_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log, "MAX_CHARACTERS", 250)
    told = Log()
    for i in range(5):
        hear(told, str(i) * 100)
    assert texts(told.since(0)) == ["3" * 100, "4" * 100]
    hear(told, "x" * 5000)
    assert len(told) == 0  # MAX_LINE alone is more


@pytest.mark.parametrize(
    ("text", "level", "actor"),
    [
        ("hello", "info", None),
        ("❌ it broke", "error", None),
        ("⚠️ no checksum", "warn", None),
        ("[ERROR] it broke", "error", None),
        ("📊 Progress: 10%", "debug", None),
        (frame("rbee_hive::jobs::run", "route_job", "Executing"), "info", "rbee_hive"),
        (frame("<crate::Type as other::Trait>::run", "a", "b"), "info", "crate"),
        (frame("f", "failed", "no"), "error", "f"),
        (frame("f", "download_retry", "🔁 Retry 2 of 6 in 2.0 s: reset"), "warn", "f"),
        (frame("f", "build_output", "❌ Compiling"), "debug", "f"),
        ('{"type":"narration","actor":"queen","action":"a","human":"hello"}', "info", "queen"),
    ],
)
def test_each_line_has_a_level_and_perhaps_an_actor(
    text: str, level: str, actor: str | None
) -> None:
    line = hear(Log(), text)
    assert (line.level, line.actor) == (level, actor)
