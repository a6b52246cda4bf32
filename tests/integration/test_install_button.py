"""The button: what it knows from the start, what it follows, what it does."""

from __future__ import annotations

from typing import Any

import pytest

from rbee_widgets import Hive, InstallButton, Tracker
from rbee_widgets.errors import UnknownHiveError
from rbee_widgets.state import Status
from tests.support.downloads import until
from tests.support.hive import HiveProcess
from tests.support.hub import Hub
from tests.support.page import look, say
from tests.support.replay import ReplayHive, transcript

pytestmark = pytest.mark.anyio

MODEL = "org/repo:file.gguf"


class Recorded(InstallButton):
    """A button that keeps what it sends."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        self.sent: list[dict[str, Any]] = []
        super().__init__(*arguments, **named)

    def send(self, content: Any, buffers: Any = None) -> None:
        self.sent.append(content)
        super().send(content, buffers)

    def statuses(self) -> list[str]:
        return [row["status"] for message in self.sent for row in message.get("rows", [])]


async def test_it_installs_what_it_offers(hub: Hub, tracker: Tracker) -> None:
    hub.add("org/repo", "file.gguf", size=5000)
    button = Recorded(MODEL, tracker=tracker)
    assert button.offer["installed"] is None
    look(button)
    await until(lambda: button.offer["installed"] is False)
    say(button, kind="install")
    await until(lambda: button.offer["installed"])
    download = await tracker.downloads[0]
    await until(lambda: button.statuses()[-1:] == ["complete"])
    assert (button.offer["size"], button.offer["path"]) == (5000, download.path)
    bundle = button._repr_mimebundle_()
    assert bundle is not None
    assert bundle[0]["text/plain"] == f"{MODEL}  installed"
    button.close()


async def test_it_knows_what_is_there_already(
    hub: Hub, hive: HiveProcess, tracker: Tracker
) -> None:
    hub.add("org/repo", "file.gguf", size=5000)
    await tracker.download(MODEL)
    other = Tracker([hive.handle()])
    button = Recorded(MODEL, tracker=other)
    look(button)
    await until(lambda: button.offer["installed"])
    assert (button.offer["size"], button.offer["hive"]) == (5000, hive.handle().id)
    assert button.statuses() == []
    button.close()
    await other.aclose()


async def test_it_follows_what_was_started_elsewhere(hub: Hub, tracker: Tracker) -> None:
    hub.rate = 5e6
    hub.add("org/repo", "file.gguf", size=5_000_000)
    hub.add("org/repo", "other.gguf", size=1000)
    button = Recorded(MODEL, tracker=tracker)
    look(button)
    await tracker.download("org/repo:other.gguf")
    download = tracker.download(MODEL)
    await until(lambda: "downloading" in button.statuses())
    say(button, kind="cancel", ids=[download.id])
    await until(lambda: button.statuses()[-1] == "cancelled")
    say(button, kind="retry", ids=[download.id])
    await download
    await until(lambda: button.offer["installed"])
    assert {row["name"] for message in button.sent for row in message.get("rows", [])} == {MODEL}
    button.close()


async def test_a_second_press_starts_no_second_download(hub: Hub, tracker: Tracker) -> None:
    hub.rate = 5e6
    hub.add("org/repo", "file.gguf", size=5_000_000)
    button = Recorded(MODEL, tracker=tracker)
    for _ in range(2):
        say(button, kind="install")
    (download,) = tracker.downloads
    await download
    button.close()


async def test_a_worker_is_known_by_its_longer_id() -> None:
    async with ReplayHive(transcript("worker_list_installed")) as replay:
        tracker = Tracker([Hive(replay.url, "real")])
        button = Recorded("tiny-worker-rbee-cpu", tracker=tracker)
        look(button)
        await until(lambda: button.offer["installed"])
        assert button.offer["type"] == "worker"
        assert button.offer["path"] == "/usr/local/bin/tiny-worker-rbee-cpu"
        button.close()
        await tracker.aclose()


async def test_a_hive_that_cannot_be_asked_is_told_of(tracker: Tracker) -> None:
    button = Recorded(MODEL, Hive("http://127.0.0.1:1", "gone"), tracker=tracker)
    look(button)
    await until(lambda: button.offer["error"])
    assert "127.0.0.1:1" in button.offer["error"]
    say(button, kind="install")
    (download,) = tracker.downloads
    assert download.hive == "gone"
    assert download.status is Status.QUEUED
    download.cancel()
    button.close()


@pytest.mark.parametrize("name", ["", "rbee://nothing", "a\nb/c"])
def test_what_names_nothing_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="expected a"):
        InstallButton(name, tracker=Tracker(background=True))


async def test_an_unknown_hive_is_refused(tracker: Tracker) -> None:
    with pytest.raises(UnknownHiveError, match="moon"):
        InstallButton(MODEL, "moon", tracker=tracker)
