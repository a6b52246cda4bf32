from __future__ import annotations

import time
from collections.abc import Iterator
from html.parser import HTMLParser
from typing import Any

import pytest

from rbee_widgets.tables import MAX_ROWS, MAX_WORDS
from rbee_widgets.text import printable
from rbee_widgets.widgets.snapshot_html import html

AT = 1_795_701_720.0
"""2026-11-26 14:02 UTC."""

HOSTILE = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "' onmouseover='alert(1)",
    "javascript:alert(1)",
    "&lt;b&gt;",
    "</td></tr></table></div><h1>",
    "<!--",
    "a\nb\r\nc\td",
    "\u202egpj.exe\u2069",
    "\ud800",
    "{{7*7}}${7*7}<%= 7*7 %>",
    "x" * 100_000,
    "<" * 2048,
]


@pytest.fixture(autouse=True)
def utc(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


class Page(HTMLParser):
    """A page as a reader without styles has it: the words of each cell, and all that is marked."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.lines: list[list[str]] = []
        self.words: list[str] = []
        self._open: list[str] = []
        self.feed(text)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag == "br":
            self.words.append("\n")
            self.lines[-1][-1] += "\n"
            return
        self._open.append(tag)
        if tag == "tr":
            self.lines.append([])
        elif tag in {"td", "th"}:
            self.lines[-1].append("")

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.words.append(data)
        if {"td", "th"} & set(self._open):
            self.lines[-1][-1] += data

    @property
    def links(self) -> list[str | None]:
        return [attributes["href"] for tag, attributes in self.tags if tag == "a"]


def row(**fields: Any) -> dict[str, Any]:
    """Give a row as the publisher does: fields that are None are left out."""
    return {
        "id": "download-1",
        "name": "org/repo:file.gguf",
        "type": "model",
        "hive": "local",
        "status": "downloading",
        "bytes_downloaded": 0,
        "created_at": AT - 3600,
    } | fields


def cells(**fields: Any) -> dict[str, str]:
    """Give what is read of one row, by the heads of its columns."""
    heads, line = Page(html([row(**fields)], AT)).lines
    return dict(zip(heads, line, strict=True))


def test_it_says_what_is_shown_and_of_when() -> None:
    page = Page(html([row()], AT))
    assert page.words[0] == "Downloads, as of 2026-11-26 14:02 UTC"
    assert page.lines[0] == ["Name", "State", "Started"]


def test_a_time_carries_its_zone(monkeypatch: pytest.MonkeyPatch) -> None:
    for zone, told in {
        "Europe/Berlin": "2026-11-26 15:02 UTC+01:00",
        "America/St_Johns": "2026-11-26 10:32 UTC-03:30",
    }.items():
        monkeypatch.setenv("TZ", zone)
        time.tzset()
        assert Page(html([], AT)).words[0] == f"Downloads, as of {told}"


def test_nothing_but_a_snapshot_says_so() -> None:
    for rows in ([], [row()]):
        tag, attributes = Page(html(rows, AT)).tags[0]
        assert (tag, attributes) == ("div", {"data-live": "no"})


def test_no_downloads_are_told_in_words() -> None:
    assert Page(html([], AT)).words[1:] == ["No downloads."]


@pytest.mark.parametrize(
    ("fields", "state", "amount"),
    [
        ({"status": "queued"}, "Queued", ""),
        (
            {"percentage": 45.19, "bytes_downloaded": 2_502_310_000, "total_size": 5_536_000_000},
            "Downloading",
            "45.2% of 5.54 GB",
        ),
        ({"percentage": 36.5}, "Downloading", "36.5%"),
        ({"bytes_downloaded": 1_500_000}, "Downloading", "1.50 MB"),
        (
            {"status": "complete", "percentage": 100.0, "total_size": 300_000_000},
            "Complete",
            "300 MB",
        ),
        ({"status": "complete", "percentage": 100.0, "bytes_downloaded": 12}, "Complete", "12 B"),
        ({"status": "complete", "percentage": 100.0}, "Complete", ""),
        ({"status": "failed", "error": "status code 404"}, "Failed: status code 404", ""),
        ({"status": "failed", "error": "no", "hint": "try b"}, "Failed: no\ntry b", ""),
        ({"status": "cancelled", "percentage": 14.3}, "Cancelled", "14.3%"),
    ],
)
def test_state_and_amount_are_words(fields: dict[str, Any], state: str, amount: str) -> None:
    told = cells(**fields)
    assert (told["State"], told.get("Size", "")) == (state, amount)


def test_when_it_began_and_where_it_lies_are_told() -> None:
    told = cells(status="complete", path="/home/me/models/a b/model.gguf")
    assert told["Started"] == "2026-11-26 13:02"
    assert told["Path"] == "/home/me/models/a b/model.gguf"


def test_a_column_that_would_tell_nothing_is_left_out() -> None:
    heads, *_ = Page(html([row(), row(path="/a", percentage=3.0)], AT)).lines
    assert heads == ["Name", "State", "Size", "Started", "Path"]
    heads, *_ = Page(html([row()], AT)).lines
    assert heads == ["Name", "State", "Started"]


def test_a_model_links_to_rbee_and_nothing_else_does() -> None:
    assert Page(html([row()], AT)).links == ["rbee://model/org/repo:file.gguf"]
    assert Page(html([row(name="org/ä b?#%\"':f.gguf")], AT)).links == [
        "rbee://model/org/%C3%A4%20b%3F%23%25%22%27:f.gguf"
    ]
    assert Page(html([row(type="worker")], AT)).links == []
    assert Page(html([row(name="https://example.org/f.gguf")], AT)).links == []


def test_the_hive_is_named_where_there_is_more_than_one() -> None:
    heads, *lines = Page(html([row(), row(hive="gaming-pc")], AT)).lines
    assert [line[heads.index("Hive")] for line in lines] == ["local", "gaming-pc"]
    unknown = row(hive="")
    assert "Hive" not in Page(html([row(), unknown], AT)).lines[0]


def test_what_goes_on_comes_first_and_what_is_there_last() -> None:
    statuses = ["complete", "failed", "downloading", "cancelled", "interrupted", "queued"]
    rows = [row(status=status, created_at=AT + i) for i, status in enumerate(statuses)]
    _, *lines = Page(html(rows, AT)).lines
    assert [line[1] for line in lines] == [
        *("Queued", "Downloading"),
        *("Interrupted", "Cancelled", "Failed"),
        "Complete",
    ]


def test_it_is_bounded() -> None:
    page = Page(html([row(name=f"org/{i}") for i in range(MAX_ROWS + 23)], AT))
    assert len(page.lines) == 1 + MAX_ROWS
    assert page.words[-1] == "and 23 more"
    assert "more" not in Page(html([row()] * MAX_ROWS, AT)).words[-1]


@pytest.mark.parametrize("words", HOSTILE, ids=lambda words: repr(words[:20]))
@pytest.mark.parametrize("field", ["name", "hive", "error", "hint", "path"])
def test_hostile_words_stay_words_of_one_line(field: str, words: str) -> None:
    text = html([row(status="failed", **{field: words}), row(hive="other")], AT)
    page = Page(text)
    assert {tag for tag, _ in page.tags} <= {*"pa", "div", "strong", "code", "br", "span"} | {
        *("table", "thead", "tbody", "tr", "th", "td")
    }
    assert {name for _, attributes in page.tags for name in attributes} <= {
        *("data-live", "style", "href")
    }
    assert all(link is not None and link.startswith("rbee://model/") for link in page.links)
    assert all(len(cell) <= 2 * MAX_WORDS + 20 for line in page.lines for cell in line)
    assert "\u202e" not in text
    text.encode()
    told = " ".join(cell for line in page.lines for cell in line)
    assert printable(words)[:100] in told
    assert not set("\r\t") & set(told)


def test_a_long_name_keeps_its_ends() -> None:
    name = cells(name=f"org/{'x' * 1000}-Q4_K_M.gguf")["Name"]
    assert name.startswith("org/")
    assert name.endswith("-Q4_K_M.gguf")
    assert "…" in name
