"""What a panel sends, how often, and what it takes."""

from __future__ import annotations

import asyncio
import math
import time
from typing import Any

import pytest

from rbee_widgets import DownloadError, DownloadPanel, Tracker
from tests.support.downloads import until
from tests.support.hive import HiveProcess
from tests.support.hub import Hub, Stall

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


async def test_changes_are_gathered_to_ten_messages_a_second(
    tracker: Tracker, panel: Recorded
) -> None:
    await tracker.download(MODEL)
    times = [at for at, message in panel.sent if message["kind"] == "delta"]
    numbers = [message["seq"] for message in panel.of("delta")]
    assert numbers == list(range(1, len(numbers) + 1))
    assert len(times) >= 5
    for i, begin in enumerate(times):
        assert sum(at < begin + 1 for at in times[i:]) <= 11


async def test_the_last_word_is_said_twice(tracker: Tracker, panel: Recorded) -> None:
    download = await tracker.download(MODEL)
    async with asyncio.timeout(2):
        while panel.snapshot["rows"][0]["status"] != "complete":
            await asyncio.sleep(0.01)
    last = panel.of("delta")[-1]["rows"][0]
    held = panel.snapshot["rows"][0]
    for row in (last, held):
        assert (row["id"], row["status"], row["percentage"]) == (download.id, "complete", 100)
        assert row["bytes_downloaded"] == row["total_size"] == 11_000_000


async def test_a_delta_holds_the_rows_that_changed_alone(
    hub: Hub, tracker: Tracker, panel: Recorded
) -> None:
    hub.add("org/repo", "done.gguf", size=1000)
    done = await tracker.download("org/repo:done.gguf")
    panel.sent.clear()
    download = await tracker.download(MODEL)
    moving = panel.of("delta")[3:-2]
    assert moving
    for message in moving:
        assert [row["id"] for row in message["rows"]] == [download.id]
    assert {row["id"] for row in panel.snapshot["rows"]} == {done.id, download.id}


async def test_what_the_user_asks_for_is_done(tracker: Tracker, panel: Recorded) -> None:
    download = tracker.download(MODEL)
    panel._on_message(panel, {"kind": "cancel", "id": download.id}, [])
    with pytest.raises(DownloadError):
        await download
    panel._on_message(panel, {"kind": "retry", "id": download.id}, [])
    await download
    panel._on_message(panel, {"kind": "clear", "id": download.id}, [])
    assert tracker.downloads == []
    panel._on_message(panel, {"kind": "snapshot"}, [])
    assert panel.of("snapshot")[-1]["rows"] == []


async def test_an_opened_row_is_told_line_by_line(tracker: Tracker, panel: Recorded) -> None:
    download = tracker.download(MODEL)
    panel._on_message(panel, {"kind": "narration", "id": download.id}, [])
    await download
    lines: dict[int, str] = {}
    async with asyncio.timeout(2):
        while list(lines.values()) != download.narration:
            await asyncio.sleep(0.01)
            told = [line for message in panel.of("narration") for line in message["lines"]]
            for message in panel.of("delta"):
                told += message["lines"].get(download.id, [])
            lines = {line["n"]: line["text"] for line in told}


async def test_a_panel_of_one_download_shows_that_one(tracker: Tracker, hub: Hub) -> None:
    hub.add("org/repo", "other.gguf", size=1000)
    download = tracker.download(MODEL)
    panel = Recorded(tracker, download=download)
    panel.sent = []
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


async def test_a_panel_where_nothing_moves_says_nothing(
    hub: Hub, tracker: Tracker, panel: Recorded
) -> None:
    hub.fail(Stall(0), times=math.inf)
    download = tracker.download(MODEL)
    await until(lambda: hub.open_transfers == 1)
    await asyncio.sleep(1)  # what was said until then is sent
    held = panel.snapshot
    panel.sent.clear()
    await asyncio.sleep(3)
    assert panel.sent == []
    assert panel.snapshot is held
    download.cancel()
    with pytest.raises(DownloadError):
        await download


def test_an_unknown_argument_is_refused() -> None:
    with pytest.raises(TypeError, match="colour"):
        DownloadPanel(colour="red")  # type: ignore[call-arg]
