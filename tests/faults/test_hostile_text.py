"""Lines, words and figures of a hive that means no good."""

from __future__ import annotations

import json
import re
import time
import unicodedata
from collections.abc import Callable, Iterator
from typing import Any, Final

import pytest
from ipywidgets import embed

from rbee_widgets import Download, DownloadPanel, Hive, Tracker, text
from rbee_widgets.contract import DONE, frame, sse
from rbee_widgets.handle import MAX_LINES
from rbee_widgets.log import MAX_LINE
from rbee_widgets.narration import Narration, read
from rbee_widgets.state import Status
from rbee_widgets.untrusted import MAX_LABEL, MAX_TEXT
from rbee_widgets.widgets.live import STATIC
from rbee_widgets.widgets.publisher import row
from tests.faults.cases import fault
from tests.faults.conftest import Seen
from tests.support.downloads import ended
from tests.support.hostile import MODEL, HostileHive, followed, says, stream

pytestmark = pytest.mark.anyio

PIECE: Final = 1 << 16


def endless(piece: bytes, sent: list[int]) -> Iterator[bytes]:
    """Give a piece for ever, and count."""
    while True:
        sent[0] += len(piece)
        yield piece


# -- Lengths --------------------------------------------------------------------------------------


@fault(25, "a body that does not end", "failed, with no more than some MiB read")
@pytest.mark.parametrize(
    "piece",
    [
        pytest.param(b"x" * PIECE, id="one line"),
        pytest.param(b"data: x\n" * (PIECE // 8), id="one event of short lines"),
        pytest.param(b": x\n" * (PIECE // 4), id="comments alone"),
        pytest.param(b"data\r\n" * (PIECE // 6), id="one event of empty lines"),
    ],
)
async def test_what_does_not_end_is_given_up(piece: bytes, seen: Seen) -> None:
    sent = [0]
    async with HostileHive(streamed=stream(endless(piece, sent))) as hive:
        download = await followed(hive)
    assert download.status is Status.FAILED
    assert download.error is not None
    assert "expected an answer within bounds" in download.error
    # What was sent and not yet read lies in the sockets' buffers.
    assert sent[0] < 32 << 20
    seen(f"failed after {sent[0] / 2**20:.1f} MiB, buffers included")


@fault(25, "100,000 lines of a letter", "complete, the newest lines kept")
async def test_many_lines_are_read_and_the_newest_kept(seen: Seen) -> None:
    many = (b"data: x\n\n" * 1000 for _ in range(100))
    async with HostileHive(streamed=stream([*many, sse("last"), sse(DONE)])) as hive:
        began = time.perf_counter()
        download = await followed(hive)
    assert download.status is Status.COMPLETE
    assert len(download.narration) == MAX_LINES
    assert download.narration[-1] == "last"
    seen(f"complete after {time.perf_counter() - began:.1f} s, {MAX_LINES} lines kept")


@fault(25, "long texts wherever a hive may put one", "each cut: what is kept and shown is bounded")
async def test_every_text_is_bounded(seen: Seen) -> None:
    long = "x" * 500_000
    said = (
        long,
        frame("a_function", "an_action", long),
        frame("a_function", "a_hint", long),
        json.dumps({"type": "narration", "actor": long, "action": long, "human": long}),
        json.dumps({"action": long, "payload": long}),
    )
    async with HostileHive(streamed=says(*said, end=f"[ERROR] {long}")) as hive:
        download = await followed(hive)
    assert download.error is not None
    assert len(download.error) <= MAX_TEXT + 1
    assert all(len(line.text) <= MAX_LINE for line in download.lines)
    assert all(len(line.action or "") <= MAX_LABEL for line in download.lines)
    told = len(json.dumps(row(download)))
    shown = len(text.progress_line(download))
    assert told < 10_000
    assert shown < 10_000
    seen(f"of 3.5 MB the row holds {told} bytes, its line of text {shown} characters")


@fault(25, "frames cut at every byte, lines that end in CRLF, a byte order mark", "read as whole")
@pytest.mark.parametrize("newline", [b"\n", b"\r\n"], ids=["LF", "CRLF"])
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"], ids=["bare", "with a mark"])
async def test_the_cut_changes_nothing(newline: bytes, mark: bytes, seen: Seen) -> None:
    body = sse("first") + sse("zwei: 2 €") + sse("[ERROR] no")
    body = mark + body.replace(b"\n", newline)
    pieces = [body[i : i + 1] for i in range(len(body))]
    async with HostileHive(streamed=stream(pieces)) as hive:
        download = await followed(hive)
    assert download.narration == ["first", "zwei: 2 €", "no"]
    assert download.error == "no"
    seen(f"{len(pieces)} pieces, the same lines and end")


# -- Characters -----------------------------------------------------------------------------------

_DRIVES_A_TERMINAL: Final = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")


@fault(26, "text that drives a terminal or is no text", "stripped or replaced wherever it shows")
@pytest.mark.parametrize(
    "said",
    [
        pytest.param(b"a\xff\xfe\xc3(b", id="invalid UTF-8"),
        pytest.param(b"a\xed\xa0\x80b", id="half a surrogate"),
        pytest.param(b"a\x00b", id="NUL"),
        pytest.param("a\u2028b\u2029c".encode(), id="line and paragraph separators"),
        pytest.param(b"a\x1b[31mred\x1b[2J\x1b[Hb", id="colour and clear screen"),
        pytest.param(b"a\x1b]8;;https://evil.example\x07link\x1b]8;;\x07b", id="OSC 8 link"),
        pytest.param(b"a\x1b]52;c;ZXZpbA==\x07b", id="OSC 52 clipboard"),
        pytest.param(b"a\x1b]0;title" + b"x" * 9000, id="a title that does not end"),
        pytest.param(b"a\x1bP+q\x1b\\b\x1b_x\x1b\\", id="DCS and APC"),
        pytest.param(b"a\x1b", id="a bare escape"),
        pytest.param("a\x9b31mb\x9d0;t\x9c".encode(), id="C1 controls"),
        pytest.param(b"a\x08\x08\x08b\x7f", id="backspaces"),
    ],
)
async def test_no_text_drives_a_terminal(said: bytes, seen: Seen) -> None:
    line, end = b"data: " + said + b"\n\n", b"data: [ERROR] " + said + b"\n\n"
    async with HostileHive(streamed=stream(line + end)) as hive:
        tracker = Tracker([Hive(hive.url, "hostile")])
        panel = DownloadPanel(tracker)
        download = await ended(tracker.download(MODEL))
        shown = _everywhere(download, panel)
        panel.close()
        await tracker.aclose()
    assert download.error
    for words in shown:
        assert not _DRIVES_A_TERMINAL.search(words)
        words.encode()
    assert text.progress_line(download).isprintable()
    seen(repr(download.error)[:40])


@fault(26, "words that turn the direction of reading", "kept in the value, made visible as text")
async def test_a_turned_direction_shows(seen: Seen) -> None:
    async with HostileHive(streamed=says(end="[ERROR] \u202egnp.exe")) as hive:
        download = await followed(hive)
    assert download.error == "\u202egnp.exe"
    line = text.progress_line(download)
    assert not any(unicodedata.bidirectional(char) == "RLO" for char in line)
    assert "\\u202egnp.exe" in line
    seen(line[-16:])


def _everywhere(download: Download, panel: DownloadPanel) -> list[str]:
    """Give all texts that a download shows: as values, in the panel's state and as plain text."""
    bundle = panel._repr_mimebundle_()
    assert bundle is not None
    return [
        *download.narration,
        download.error or "",
        repr(download),
        bundle[0]["text/plain"],
        *_strings(row(download)),
        *_strings(panel._publisher.snapshot()),
    ]


def _strings(value: Any) -> Iterator[str]:
    match value:
        case str():
            yield value
        case dict():
            for key, one in value.items():
                yield from (key, *_strings(one))
        case list() | tuple():
            for one in value:
                yield from _strings(one)


# -- Markup ---------------------------------------------------------------------------------------

_MARKUP: Final = "<img src=x onerror=alert(1)><script>alert(1)</script>](javascript:alert(1))"


@fault(27, "markup and script in what a hive says", "words in a saved notebook, nothing that runs")
@pytest.mark.parametrize("where", ["narration", "error", "hint", "action", "name"])
async def test_saved_words_stay_words(where: str, seen: Seen) -> None:
    said = {
        "narration": (_MARKUP, "[ERROR] x"),
        "error": ("x", f"[ERROR] {_MARKUP}"),
        "hint": (frame("f", "a_hint", _MARKUP), "[ERROR] x"),
        "action": (frame("f", _MARKUP, "x"), "[ERROR] x"),
        "name": ("x", "[ERROR] x"),
    }
    line, end = said[where]
    async with HostileHive(streamed=says(line, end=end)) as hive:
        tracker = Tracker([Hive(hive.url, "hostile")])
        panel = DownloadPanel(tracker)
        download = await ended(tracker.download(_MARKUP if where == "name" else MODEL))
        panel._keep("snapshot", panel._publisher.snapshot())
        bundle = panel._repr_mimebundle_()
        saved = embed.embed_data([panel], drop_defaults=False)["manager_state"]["state"]
        panel.close()
        await tracker.aclose()
    assert bundle is not None
    # A host renders the widget, or a table in which all that was said is escaped.
    kinds = {"application/vnd.jupyter.widget-view+json", "text/html", "text/plain"}
    assert set(bundle[0]) == kinds
    assert not re.search("<(img|script)", bundle[0]["text/html"])
    assert not hasattr(download, "_repr_html_")
    assert not hasattr(download, "_repr_markdown_")
    kept = [name for name, one in _traits(saved) if "onerror" in json.dumps(one)]
    assert set(kept) <= {"snapshot"}
    (code,) = [one for name, one in _traits(saved) if name == "_esm"]
    assert code == (STATIC / "download_panel.js").read_text("utf-8")
    seen("the mime bundle's table is escaped" + "; words in the snapshot" * bool(kept))


def _traits(saved: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    for widget in saved.values():
        yield from widget["state"].items()


# -- Figures --------------------------------------------------------------------------------------


def _is_sane(told: dict[str, Any]) -> bool:
    """Whether a row's figures can be shown, and carried as JSON."""
    json.dumps(told, allow_nan=False)
    percentage, total = told.get("percentage"), told.get("total_size")
    return bool(
        (percentage is None or 0 <= percentage <= 100)
        and (total is None or 0 <= told["bytes_downloaded"] <= total)
        and told["bytes_downloaded"] >= 0
        and told.get("eta", 0) >= 0
        and told.get("speed", 0) >= 0
    )


async def rows_of(*lines: str) -> list[dict[str, Any]]:
    """Give a download's row after each change that these lines make."""
    rows: list[dict[str, Any]] = []
    async with HostileHive(streamed=says(*lines, end="[ERROR] x")) as hive:
        await followed(hive, watch=lambda download, _: rows.append(row(download)))
    return rows


@fault(28, "figures that can't be", "ignored or clamped: 0 to 100 % or none, nothing raised")
@pytest.mark.parametrize(
    "figure",
    [
        pytest.param("-5%", id="negative"),
        pytest.param("NaN%", id="NaN"),
        pytest.param("inf%", id="infinite"),
        pytest.param("250%", id="250"),
        pytest.param("1.2.3%", id="two points"),
        pytest.param("9" * 400 + "%", id="400 digits"),
        pytest.param("0." + "1" * 400 + "%", id="400 decimals"),
        pytest.param("١٢%", id="Arabic digits"),
        pytest.param("1e3%", id="an exponent"),
        pytest.param("50% (0 B / 0 B)", id="a total of 0"),
        pytest.param("50% (2 GB / 1 GB)", id="more than the total"),
        pytest.param("50% (999999999999999 PB / 999999999999999 PB)", id="10^30 bytes"),
        pytest.param("50% (-1 B / 2 B)", id="a negative size"),
    ],
)
async def test_figures_that_cannot_be_are_not_told(figure: str, seen: Seen) -> None:
    rows = await rows_of("Progress: 10% (1 GB / 10 GB)", f"📊 Progress: {figure}")
    assert rows
    assert all(_is_sane(told) for told in rows)
    assert rows[-1]["percentage"] >= 10
    last = rows[-1]
    seen(f"{last['percentage']:g} %, {last['bytes_downloaded']:g} of {last['total_size']:g} bytes")


@fault(29, "progress that goes back", "shown figures stay where they were")
async def test_progress_never_goes_back(seen: Seen) -> None:
    figures = [10, 40, 20, 39.9, 0, 41, 100, 3]
    rows = await rows_of(*(f"Progress: {figure}% ({figure} MB / 100 MB)" for figure in figures))
    shown = [told["percentage"] for told in rows if "percentage" in told]
    assert shown == sorted(shown)
    assert all(_is_sane(told) for told in rows)
    seen(f"{shown[0]:g} to {shown[-1]:g} %, never less than before")


@fault(29, "sizes in other units", "each side read by its own unit")
@pytest.mark.parametrize(
    ("sizes", "done", "total"),
    [
        pytest.param("900 MB / 1.2 GB", 900_000_000, 1_200_000_000, id="MB of GB"),
        pytest.param("1 MiB / 2 MB", 1_048_576, 2_000_000, id="MiB of MB"),
        pytest.param("512 B / 1 kb", 512, 1000, id="B of kb"),
        pytest.param("1.5 gb / 3 gib", 1_500_000_000, 3_221_225_472, id="lower case"),
    ],
)
async def test_units_are_read_on_each_side(sizes: str, done: int, total: int, seen: Seen) -> None:
    (*_, last) = await rows_of(f"Progress: {done / total * 100:.4f}% ({sizes})")
    assert last["total_size"] == total
    assert last["bytes_downloaded"] == pytest.approx(done, rel=1e-5)
    seen(f"{last['bytes_downloaded']} of {total} bytes")


@fault(29, "sizes with a comma for a point", "not guessed: the percent alone is told")
async def test_a_comma_is_not_guessed(seen: Seen) -> None:
    (*_, last) = await rows_of("Progress: 45.2% (2,5 MB / 5,5 MB)")
    assert last["percentage"] == 45.2
    assert "total_size" not in last
    seen("45.2 %, no size")


# -- Time -----------------------------------------------------------------------------------------


@fault(30, "100 kB that a pattern may choke on", "read in time that does not grow with it")
@pytest.mark.parametrize(
    "make",
    [
        pytest.param(lambda n: "Progress: 1%(" * (n // 13), id="Progress: 1%("),
        pytest.param(lambda n: "📊 Progress: 1%" + " " * n, id="blanks"),
        pytest.param(lambda n: "⏳ Still downloading " + "(1% " * (n // 4) + "...", id="brackets"),
        pytest.param(lambda n: "\x1b[1m" * (n // 4), id="escapes"),
        pytest.param(lambda n: "\x1b]" * (n // 2), id="titles"),
        pytest.param(lambda n: "\x1b[1m" + "x" * n, id="half a frame"),
        pytest.param(lambda n: '{"a":' * (n // 5), id="half of JSON"),
        pytest.param(lambda n: "[ERROR] Model '" + "' already exist" * (n // 15), id="exists"),
    ],
)
async def test_a_hostile_line_takes_no_time(make: Callable[[int], str], seen: Seen) -> None:
    short, long = _time_of(make(100_000)), _time_of(make(1_000_000))
    # Ten times the text may be looked through for its ends; a choking pattern takes a hundredfold.
    assert long < max(30 * short, 0.02)
    assert long < 0.1
    seen(f"{short * 1e6:.0f} µs for 100 kB, {long * 1e6:.0f} µs for 1 MB")


def _time_of(line: str) -> float:
    """Give the seconds that reading a line takes, at best."""
    took = []
    for _ in range(10):
        began = time.perf_counter()
        said = read(line)
        took.append(time.perf_counter() - began)
        if isinstance(said, Narration):
            assert len(said.human) <= MAX_TEXT + 1
    return min(took)
