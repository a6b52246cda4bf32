"""What a panel of narration tells a page, and how much at a time."""

from __future__ import annotations

import asyncio
from itertools import pairwise
from typing import Any

import pytest

from rbee_widgets import DownloadError, NarrationPanel, Tracker
from rbee_widgets.widgets import log_publisher
from tests.support.downloads import until
from tests.support.hub import Hub
from tests.support.page import say
from tests.support.stage import Stage

pytestmark = pytest.mark.anyio

MODEL = "org/repo:file.gguf"


class Recorded(NarrationPanel):
    """A panel that keeps what it sends."""

    def __init__(self, tracker: Tracker) -> None:
        self.sent: list[dict[str, Any]] = []
        super().__init__(tracker)

    def send(self, content: Any, buffers: Any = None) -> None:
        self.sent.append(content)
        super().send(content, buffers)

    def texts(self) -> list[str]:
        """Give what a page has been told, as it holds it: the last of each number."""
        told = [message for message in self.sent if message["kind"] == "lines"]
        held = {line["n"]: line["text"] for message in told for line in message["lines"]}
        return list(held.values())


def look(panel: NarrationPanel, rev: int = -1, page: str = "a page") -> None:
    say(panel, kind="shown", page=page, rev=rev)


@pytest.fixture
async def stage() -> Stage:
    return Stage()


async def test_a_real_hive_s_words_arrive_as_they_are(hub: Hub, tracker: Tracker) -> None:
    hub.add("org/repo", "file.gguf", size=1000)
    panel = Recorded(tracker)
    look(panel)
    download = await tracker.download(MODEL)
    await until(lambda: panel.texts() == download.narration)
    (line, *_) = [one for message in panel.sent for one in message.get("lines", [])]
    assert (line["d"], line["level"]) == (download.id, "info")
    assert panel.sent[-1]["jobs"][download.id] == {
        "name": MODEL,
        "hive": download.hive,
        "job_id": download.job_id,
    }
    await until(lambda: panel.told["count"] == len(download.narration), 4)


async def test_each_message_goes_on_from_the_last(stage: Stage) -> None:
    panel = Recorded(stage)
    look(panel)
    download = stage.enter(MODEL)
    for i in range(12):
        stage.hear(download, f"line {i}")
        await asyncio.sleep(0.1)
    await until(lambda: len(panel.texts()) == 12)
    told = [message for message in panel.sent if message["kind"] == "lines"]
    assert 3 <= len(told) <= 7
    assert all(after["since"] == before["rev"] for before, after in pairwise(told))


async def test_a_page_that_comes_back_is_told_what_it_missed(stage: Stage) -> None:
    panel = Recorded(stage)
    download = stage.enter(MODEL, "one", "two")
    look(panel)
    assert panel.texts() == ["one", "two"]
    assert panel.sent[-1]["end"]
    stage.hear(download, "three")
    await until(lambda: len(panel.texts()) == 3)
    say(panel, kind="hidden", page="a page")
    told, held = len(panel.sent), panel.told
    stage.hear(download, "four")
    await asyncio.sleep(2.5)
    assert (len(panel.sent), panel.told) == (told, held)
    look(panel, rev=panel.sent[-1]["rev"])
    assert panel.texts() == ["one", "two", "three", "four"]
    look(panel, rev=panel.sent[-1]["rev"])
    assert panel.sent[-1]["kind"] == "beat"


async def test_a_page_asks_for_what_is_older(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log_publisher, "MOST", 10)
    panel = Recorded(stage)
    stage.enter(MODEL, *(str(i) for i in range(25)))
    look(panel)
    (newest,) = panel.sent
    assert (newest["since"], newest["page"], newest["end"]) == (-1, "a page", False)
    assert panel.texts() == [str(i) for i in range(15, 25)]
    before = newest["lines"][0]["rev"]
    for begin, end in ((5, False), (0, True)):
        told = len(panel.sent)
        for _ in range(3):  # a page that asks on
            say(panel, kind="older", page="a page", before=before)
        assert len(panel.sent) == told, "it is sent in turn"
        await until(lambda told=told: len(panel.sent) > told)  # type: ignore[misc]
        older = panel.sent[-1]
        assert [line["text"] for line in older["lines"]] == [
            str(i) for i in range(begin, begin + 10)
        ][: before - 1]
        assert (older["before"], older["end"]) == (before, end)
        before = older["lines"][0]["rev"]


async def test_a_page_that_missed_too_much_begins_anew(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log_publisher, "MOST", 10)
    panel = Recorded(stage)
    stage.enter(MODEL, *(str(i) for i in range(25)))
    for rev in (3, 1000):
        look(panel, rev=rev)
        assert (panel.sent[-1]["since"], len(panel.sent[-1]["lines"])) == (-1, 10)


async def test_a_flood_comes_in_pieces_of_bounded_size(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log_publisher, "MOST", 10)
    panel = Recorded(stage)
    look(panel)
    panel.sent.clear()
    stage.enter(MODEL, *(str(i) for i in range(25)))
    await until(lambda: len(panel.texts()) == 25)
    assert [len(message["lines"]) for message in panel.sent if message["kind"] == "lines"] == [
        10,
        10,
        5,
    ]


async def test_a_failure_is_a_line_too(stage: Stage) -> None:
    panel = Recorded(stage)
    download = stage.enter(MODEL, "hello", "[ERROR] no such file")
    look(panel)
    with pytest.raises(DownloadError):
        await download
    assert panel.sent[0]["lines"][-1] | {"at": 0} == {
        "n": 2,
        "rev": 2,
        "at": 0,
        "d": download.id,
        "level": "error",
        "action": "failed",
        "text": "no such file",
    }


async def test_it_reads_as_text_where_no_widget_is_shown(stage: Stage) -> None:
    panel = Recorded(stage)
    stage.enter(MODEL, *(f"line {i}" for i in range(30)))
    bundle = panel._repr_mimebundle_()
    assert bundle is not None
    words = bundle[0]["text/plain"].splitlines()
    assert words[0] == "(10 lines before)"
    assert words[-1].endswith("  org/repo:file.gguf  line 29")
    assert "line 29" not in str(panel.get_state())
    assert repr(panel) == "<NarrationPanel of 30 lines>"
    panel.close()
