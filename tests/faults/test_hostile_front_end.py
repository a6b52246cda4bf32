"""Messages of a front end that no panel of ours would send."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from rbee_widgets import DownloadPanel, Hive, Tracker
from rbee_widgets.contract import sse
from rbee_widgets.state import Status
from tests.faults.cases import fault
from tests.faults.conftest import Seen
from tests.support.downloads import until
from tests.support.hostile import JOB, MODEL, HostileHive, stream

pytestmark = pytest.mark.anyio


def nested(depth: int) -> Any:
    value: Any = {}
    for _ in range(depth):
        value = {"kind": value}
    return value


def receive(panel: DownloadPanel, method: str, **content: Any) -> None:
    """Give a panel a message as a kernel does."""
    data = {"method": method, "buffer_paths": [], **content}
    panel._handle_msg({"content": {"data": data}, "buffers": []})


@fault(0, "a message that no panel sends", "nothing is done, nothing raised")
@pytest.mark.parametrize(
    "message",
    [
        pytest.param(None, id="null"),
        pytest.param([], id="a list"),
        pytest.param("cancel", id="a string"),
        pytest.param({"kind": "explode", "ids": ["ID"]}, id="an unknown kind"),
        pytest.param({"kind": ["cancel"], "ids": ["ID"]}, id="a kind in a list"),
        pytest.param({"kind": "Cancel", "ids": ["ID"]}, id="another case"),
        pytest.param({"kind": "cancel"}, id="no id"),
        pytest.param({"kind": "cancel", "ids": 7}, id="a number for an id"),
        pytest.param({"kind": "cancel", "ids": [None]}, id="null for an id"),
        pytest.param({"kind": "cancel", "ids": ["x" * 1_000_000]}, id="1 MB of id"),
        pytest.param({"kind": "cancel", "ids": ["ID "]}, id="an id and a blank"),
        pytest.param({"kind": "cancel", "ids": ["__class__"]}, id="a name of Python's"),
        pytest.param({"kind": "cancel", "ids": ["ID"], "more": 1}, id="a key too many"),
        pytest.param({"kind": "cancel", "ids": ["ID"], "__proto__": {}}, id="a prototype"),
        pytest.param({"kind": "clear", "ids": ["ID"]}, id="clear while it runs"),
        pytest.param({"kind": "retry", "ids": ["ID"]}, id="retry while it runs"),
        pytest.param(nested(500), id="500 levels"),
    ],
)
async def test_what_no_panel_sends_does_nothing(message: Any, seen: Seen) -> None:
    async with HostileHive(streamed=stream([sse("at work"), None])) as hive:
        tracker = Tracker([Hive(hive.url)])
        panel = DownloadPanel(tracker)
        download = tracker.download(MODEL)
        await until(lambda: download.status is Status.DOWNLOADING)
        message = json.loads(json.dumps(message).replace('"ID', f'"{download.id}'))
        receive(panel, "custom", content=message)
        await asyncio.sleep(0.05)
        assert download.status is Status.DOWNLOADING
        assert tracker.downloads == [download]
        assert len(hive.asked) == 2  # the job and its stream
        receive(panel, "custom", content={"kind": "cancel", "ids": [download.id]})
        await until(lambda: f"DELETE /v1/jobs/{JOB}" in hive.targets)
        panel.close()
        await tracker.aclose()
    seen("it goes on, until a message that is meant well")


@fault(0, "a message to the panel of one download about another", "nothing is done")
async def test_a_panel_of_one_download_acts_on_that_one(seen: Seen) -> None:
    async with HostileHive(streamed=stream([sse("at work"), None])) as hive:
        tracker = Tracker([Hive(hive.url)])
        other = tracker.download(MODEL)
        await until(lambda: other.status is Status.DOWNLOADING)
        panel = DownloadPanel(tracker, download=tracker.download("org/repo:other.gguf"))
        receive(panel, "custom", content={"kind": "cancel", "ids": [other.id]})
        await asyncio.sleep(0.05)
        assert other.status is Status.DOWNLOADING
        assert not any(target.startswith("DELETE") for target in hive.targets)
        panel.close()
        await tracker.aclose()
    seen("the other goes on")


@fault(0, "a state that a front end sets, the view's own code in it", "the kernel's stays")
async def test_a_front_end_sets_no_state(seen: Seen) -> None:
    tracker = Tracker()
    panel = DownloadPanel(tracker)
    before = panel.get_state()
    state = {
        "_esm": "export default { render: () => alert(1) }",
        "_css": "body { display: none }",
        "_view_module": "evil",
        "snapshot": {"seq": 1, "at": 0, "rows": [{"name": "<img>"}]},
        "show_header": False,
    }
    receive(panel, "update", state=state)
    assert panel.get_state() == before
    panel.close()
    await tracker.aclose()
    seen(f"{len(state)} traits, none changed")
