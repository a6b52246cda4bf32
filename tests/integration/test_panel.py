"""What a panel sends, how often, and what it takes."""

from __future__ import annotations

import asyncio
import math
import time
from itertools import pairwise
from typing import Any

import pytest

from rbee_widgets import DownloadError, DownloadPanel, Tracker
from rbee_widgets.state import Status
from rbee_widgets.tracker import TICK_MOST
from rbee_widgets.widgets import audience
from tests.support.downloads import until
from tests.support.hive import HiveProcess
from tests.support.hub import Hub, Stall
from tests.support.page import look, say, turn_away
from tests.support.stage import Stage

pytestmark = pytest.mark.anyio

MODEL = "org/repo:file.gguf"


class Recorded(DownloadPanel):
    """A panel that keeps what it sends, with the time."""

    sent: list[tuple[float, dict[str, Any]]]

    def send(self, content: Any, buffers: Any = None) -> None:
        self.sent.append((time.monotonic(), content))
        super().send(content, buffers)

    def of(self, kind: str) -> list[dict[str, Any]]:
        return [message for _, message in self.sent if message["kind"] == kind]


@pytest.fixture
async def panel(tracker: Tracker) -> Recorded:
    panel = Recorded(tracker)
    panel.sent = []
    return panel


@pytest.fixture(autouse=True)
def slow(hub: Hub) -> None:
    hub.rate = 10e6
    hub.add("org/repo", "file.gguf", size=11_000_000)


def applied(messages: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Give the rows that a page has after some messages; each must go on from where it is."""
    rows: dict[str, dict[str, Any]] = {}
    seq = -1
    for message in messages:
        match message["kind"]:
            case "snapshot":
                rows = {}
            case "delta":
                assert message["since"] <= seq < message["seq"]
                rows = {id: one for id, one in rows.items() if id not in message["gone"]}  # noqa: A001
            case "beat":
                assert message["seq"] <= seq
        rows |= {one["id"]: one for one in message.get("rows", [])}
        seq = max(seq, message["seq"])
    return rows


# -- Pace -----------------------------------------------------------------------------------------


async def test_time_alone_changes_few_downloads_in_one_go_and_all_of_them_in_turn() -> None:
    stage = Stage()
    rows = [stage.enter(f"org/repo:{n}.gguf") for n in range(120)]
    goes: list[tuple[float, str]] = []
    stage.subscribe(lambda download, _: goes.append((time.monotonic(), download.id)))
    await until(lambda: len(goes) >= 2 * len(rows), 4)
    assert {id for _, id in goes[:120]} == {one.id for one in rows}  # noqa: A001
    pauses = [0, *(n for n in range(1, 240) if goes[n][0] - goes[n - 1][0] > 0.1), 240]
    assert max(after - before for before, after in pairwise(pauses)) <= TICK_MOST
    assert 0.8 <= goes[120][0] - goes[0][0] <= 2


async def test_figures_are_gathered_to_four_messages_a_second(
    hub: Hub, tracker: Tracker, panel: Recorded
) -> None:
    hub.rate = 3e6
    look(panel)
    download = tracker.download(MODEL)
    await until(lambda: download.percentage)
    panel.sent.clear()
    await asyncio.sleep(2)
    assert download.status is Status.DOWNLOADING
    deltas = panel.of("delta")
    assert 6 <= len(deltas) <= 9
    assert len(panel.sent) <= 10
    download.cancel()
    with pytest.raises(DownloadError):
        await download


async def test_changes_are_gathered_to_ten_messages_a_second(
    hub: Hub, tracker: Tracker, panel: Recorded
) -> None:
    hub.rate = None
    for i in range(30):
        hub.add("org/many", f"{i}.gguf", size=1000)
    look(panel)
    for i in range(30):
        await tracker.download(f"org/many:{i}.gguf")
        await asyncio.sleep(0.05)
    times = [at for at, _ in panel.sent]
    assert len(times) > 10
    for i, begin in enumerate(times):
        assert sum(at < begin + 1 for at in times[i:]) <= 11


async def test_the_last_word_is_said_twice(tracker: Tracker, panel: Recorded) -> None:
    look(panel)
    download = await tracker.download(MODEL)
    await until(lambda: panel.snapshot["rows"][0]["status"] == "complete", 4)
    await until(lambda: panel.sent[-1][1]["kind"] == "beat")
    told = applied([message for _, message in panel.sent])
    assert panel.sent[-1][1]["seq"] == panel.of("delta")[-1]["seq"]
    for row in (told[download.id], panel.snapshot["rows"][0]):
        assert (row["id"], row["status"], row["percentage"]) == (download.id, "complete", 100)
        assert row["bytes_downloaded"] == row["total_size"] == 11_000_000
        assert "eta" not in row


async def test_signs_of_life_come_while_something_is_under_way(
    hub: Hub, tracker: Tracker, panel: Recorded
) -> None:
    hub.fail(Stall(0), times=math.inf)
    look(panel)
    download = tracker.download(MODEL)
    await until(lambda: hub.open_transfers == 1)
    await asyncio.sleep(1)  # what was said until then is sent
    panel.sent.clear()
    await asyncio.sleep(4.5)
    assert [message["kind"] for _, message in panel.sent] == ["beat"] * 2
    download.cancel()
    with pytest.raises(DownloadError):
        await download
    await asyncio.sleep(2.5)
    panel.sent.clear()
    await asyncio.sleep(2.5)
    assert panel.sent == []


# -- Who looks ------------------------------------------------------------------------------------


async def test_nothing_is_sent_to_nobody(tracker: Tracker, panel: Recorded) -> None:
    held = panel.snapshot
    await tracker.download(MODEL)
    assert panel.sent == []
    assert panel.snapshot is held
    look(panel, seq=0)
    (row,) = applied([{"kind": "snapshot", **held}, *panel.of("delta")]).values()
    assert row["status"] == "complete"


async def test_a_page_that_turns_away_is_told_later_what_it_missed(
    hub: Hub, tracker: Tracker, panel: Recorded
) -> None:
    hub.add("org/repo", "done.gguf", size=1000)
    done = await tracker.download("org/repo:done.gguf")
    look(panel)
    download = tracker.download(MODEL)
    await until(lambda: panel.of("delta"))
    turn_away(panel)
    known = [message for _, message in panel.sent]
    panel.sent.clear()
    done.clear()
    await download
    assert panel.sent == []
    look(panel, seq=known[-1]["seq"])
    (missed,) = panel.of("delta")
    assert (missed["gone"], [row["id"] for row in missed["rows"]]) == ([done.id], [download.id])
    assert applied([*known, missed])[download.id]["status"] == "complete"


async def test_a_page_that_is_not_heard_of_any_more_is_forgotten(
    tracker: Tracker, panel: Recorded, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(audience, "LEASE_S", 0.5)
    look(panel)
    download = tracker.download(MODEL)
    await until(lambda: panel.of("delta"))
    await asyncio.sleep(0.6)
    panel.sent.clear()
    await download
    assert panel.sent == []


async def test_two_pages_are_told_the_same(tracker: Tracker, panel: Recorded) -> None:
    look(panel)
    download = tracker.download(MODEL)
    await until(lambda: len(panel.of("delta")) > 3)
    begin = len(panel.sent)
    look(panel, page="another page")
    turn_away(panel)
    await download
    await until(lambda: panel.sent[-1][1]["kind"] == "beat")
    assert applied([message for _, message in panel.sent[begin:]])[download.id]["percentage"] == 100


async def test_where_a_notebook_runs_without_a_browser_the_end_is_kept(
    tracker: Tracker, panel: Recorded
) -> None:
    panel._repr_mimebundle_()
    await tracker.download(MODEL)
    await until(
        lambda: panel.snapshot["rows"] and panel.snapshot["rows"][0].get("percentage") == 100, 4
    )
    assert panel.sent == []


# -- What is told ---------------------------------------------------------------------------------


async def test_a_delta_holds_the_rows_that_changed_alone(
    hub: Hub, tracker: Tracker, panel: Recorded
) -> None:
    hub.add("org/repo", "done.gguf", size=1000)
    done = await tracker.download("org/repo:done.gguf")
    look(panel)
    panel.sent.clear()
    download = await tracker.download(MODEL)
    assert panel.of("delta")
    for message in panel.of("delta"):
        assert [row["id"] for row in message["rows"]] == [download.id]
    await until(lambda: len(panel.snapshot["rows"]) == 2, 4)
    assert {row["id"] for row in panel.snapshot["rows"]} == {done.id, download.id}


async def test_what_the_user_asks_for_is_done(hub: Hub, tracker: Tracker, panel: Recorded) -> None:
    hub.add("org/repo", "other.gguf", size=11_000_000)
    look(panel)
    downloads = [tracker.download(MODEL), tracker.download("org/repo:other.gguf")]
    ids = [download.id for download in downloads]
    say(panel, kind="cancel", ids=ids)
    for download in downloads:
        with pytest.raises(DownloadError):
            await download
    say(panel, kind="retry", ids=ids)
    for download in downloads:
        await download
    say(panel, kind="clear", ids=ids)
    assert tracker.downloads == []
    await until(lambda: applied([message for _, message in panel.sent]) == {})


async def test_an_opened_row_is_told_line_by_line(tracker: Tracker, panel: Recorded) -> None:
    download = tracker.download(MODEL)

    def heard() -> list[dict[str, Any]]:
        return [line for one in panel.of("delta") for line in one["lines"].get(download.id, [])]

    look(panel, opened={download.id: -1})
    await until(heard)
    turn_away(panel)
    told = heard()
    panel.sent.clear()
    await download
    look(panel, seq=0, opened={download.id: told[-1]["n"]})
    told += heard()
    assert list({line["n"]: line["text"] for line in told}.values()) == download.narration
    look(panel, seq=0)
    assert panel.of("delta")[-1]["lines"] == {}


async def test_a_panel_of_one_download_shows_that_one(tracker: Tracker, hub: Hub) -> None:
    hub.add("org/repo", "other.gguf", size=1000)
    download = tracker.download(MODEL)
    panel = Recorded(tracker, download=download)
    panel.sent = []
    look(panel)
    await tracker.download("org/repo:other.gguf")
    await download
    assert not panel.show_header
    assert {row["id"] for message in panel.of("delta") for row in message["rows"]} == {download.id}


async def test_a_panel_reads_as_text_where_no_widget_is_shown(
    tracker: Tracker, panel: Recorded
) -> None:
    await tracker.download(MODEL)
    bundle = panel._repr_mimebundle_()
    assert bundle is not None
    assert bundle[0]["text/plain"].startswith(f"{MODEL}  complete  11.0 MB")
    assert repr(panel) == "<DownloadPanel of 1>"


async def test_a_closed_panel_says_no_more(
    hive: HiveProcess, tracker: Tracker, panel: Recorded
) -> None:
    assert hive.url
    look(panel)
    download = tracker.download(MODEL)
    panel.close()
    panel.sent.clear()
    await download
    assert panel.sent == []


async def test_a_panel_may_be_closed_at_any_time(tracker: Tracker, panel: Recorded) -> None:
    panel.close()
    panel.close()
    await tracker.aclose()
    DownloadPanel(tracker).close()


async def test_a_download_brings_its_own_tracker(tracker: Tracker) -> None:
    download = tracker.download(MODEL)
    assert [row["id"] for row in DownloadPanel(download=download).snapshot["rows"]] == [download.id]
    await download


def test_an_unknown_argument_is_refused() -> None:
    with pytest.raises(TypeError, match="colour"):
        DownloadPanel(colour="red")  # type: ignore[call-arg]


# -- What a notebook keeps ------------------------------------------------------------------------


async def test_what_a_notebook_keeps_tells_the_end_once_nobody_looks(
    hub: Hub, tracker: Tracker, panel: Recorded
) -> None:
    hub.rate = None
    told: list[str] = []

    def tell() -> None:
        bundle, _ = panel._repr_mimebundle_() or ({}, {})
        told.append(bundle["text/html"])

    panel._repr_mimebundle_()  # a cell shows it
    panel.at_rest(tell)
    look(panel)
    await tracker.download(MODEL)
    await asyncio.sleep(2.5)
    assert told == [], "a view that is looked at is left alone"
    turn_away(panel)
    await until(lambda: told)
    assert len(told) == 1
    assert ">Complete<" in told[0]
    assert [one["status"] for one in panel.snapshot["rows"]] == ["complete"]
