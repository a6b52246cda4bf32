"""Every recorded stream of a real hive, over a real socket, ends in the state that it tells."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from itertools import repeat
from typing import Literal

import httpx
import pytest

from rbee_widgets import Download, DownloadError, Hive, Tracker
from rbee_widgets.narration import Data, Progressed
from rbee_widgets.state import Status
from tests.support.hub import Hub
from tests.support.replay import ReplayHive, Transcript, names, transcript

pytestmark = pytest.mark.anyio

HOME_MODELS = "/home/user/.cache/rbee/models"

# name: status, error (its beginning), percentage, exact size told by the catalog
DOWNLOADS: dict[str, tuple[Status, str | None]] = {
    "download_small": (Status.COMPLETE, None),
    "download_30s": (Status.COMPLETE, None),
    "download_guess": (Status.COMPLETE, None),
    "download_resumed": (Status.COMPLETE, None),
    "download_exists": (Status.COMPLETE, None),
    "hub_corrupt": (Status.COMPLETE, None),  # not noticed by that hive
    "worker_install": (Status.COMPLETE, None),
    "download_missing_file": (Status.FAILED, "HuggingFace download failed: request error: "),
    "download_no_gguf": (Status.FAILED, "Could not find GGUF file in repository 'org/big'. "),
    "download_bad_id": (
        Status.FAILED,
        "Model ID 'tinyllama' is not supported by HuggingFace vendor",
    ),
    "download_retry_locked": (
        Status.FAILED,
        "HuggingFace download failed: Lock acquisition failed: ",
    ),
    "hub_down": (Status.FAILED, "HuggingFace download failed: request error: "),
    "hub_503": (Status.FAILED, "HuggingFace download failed: request error: "),
    "hub_cut": (
        Status.FAILED,
        "HuggingFace download failed: I/O error response body closed before all bytes were read",
    ),
    "hub_no_range": (
        Status.FAILED,
        "HuggingFace download failed: Header Content-Range is missing",
    ),
    "worker_install_catalog_down": (Status.FAILED, "Failed to fetch worker metadata"),
    "download_cancel_12s": (Status.CANCELLED, None),
    "cancel_bare": (Status.CANCELLED, None),
    "cancel_one_line": (Status.CANCELLED, None),
    "cancel_two_lines": (Status.CANCELLED, None),
    "hive_killed": (Status.INTERRUPTED, "the stream from "),
    "hive_shutdown": (Status.INTERRUPTED, "the stream from "),
}
OTHERS = {
    "bad_op": "error",
    "cancelled_before_get": "cancelled",
    "cancelled_before_get_done": "done",
    "hive_check": "done",
    "missing_field": "error",
    "model_delete_again": "error",
    "model_delete_dir": "done",
    "model_delete_listed_id": "done",
    "model_get": "done",
    "model_list_empty": "done",
    "model_list_three": "done",
    "second_get": "done",
    "worker_catalog_down": "error",
    "worker_catalog_get": "done",
    "worker_catalog_list": "done",
    "worker_installed_get": "done",
    "worker_list_installed": "done",
}
CATALOG = transcript("model_list_three")


def test_no_recording_is_left_out() -> None:
    assert sorted([*DOWNLOADS, *OTHERS]) == sorted(names())


async def followed(
    script: Transcript, *, cut_at: int | None = None, chunks: Iterable[int] | None = None
) -> Download:
    """Download what the recording did, and wait for the end; cancel where it was cancelled."""
    hold: Literal["delete"] | None = None
    if cut_at is None and script.name.startswith(("cancel_", "download_cancel")):
        hold = "delete"
    catalog = None if script.name in ("hive_killed", "hive_shutdown") else CATALOG
    async with ReplayHive(script, cut_at=cut_at, chunks=chunks, catalog=catalog, hold=hold) as hive:
        tracker = Tracker([Hive(hive.url, "localhost")])
        assert script.post is not None
        if script.post["operation"] == "worker_install":
            download = tracker.install_worker(script.post["worker_id"])
        else:
            download = tracker.download(script.post["model"])
        if hold:
            tracker.subscribe(lambda one, _: one.cancel() if "file:" in (one.note or "") else None)
        with suppress(DownloadError):
            await download
        await tracker.aclose()
    return download


@pytest.mark.parametrize("name", DOWNLOADS)
async def test_a_download_ends_as_its_stream_tells(name: str) -> None:
    status, error = DOWNLOADS[name]
    download = await followed(transcript(name))
    assert download.status is status
    assert (download.error or "").startswith(error or "")
    assert (download.error is None) == (error is None)
    assert (download.percentage == 100) == (status is Status.COMPLETE)


async def test_the_figures_are_those_that_it_tells() -> None:
    script = transcript("download_30s")
    told = []
    async with ReplayHive(script, catalog=CATALOG) as hive:
        tracker = Tracker([Hive(hive.url)])
        download = tracker.download("org/big:big.Q8_0.gguf")
        tracker.subscribe(lambda one, _: told.append(one.percentage))
        await download
        await tracker.aclose()
    assert [figure for figure in dict.fromkeys(told) if figure] == [33.0, 66.3, 99.7, 100.0]
    # A real hive tells no exact size; its catalog does.
    assert (download.bytes_downloaded, download.total_size) == (120_000_000, 120_000_000)
    assert download.path == f"{HOME_MODELS}/org-big-big.Q8_0.gguf/model.gguf"


async def test_what_exists_is_complete_and_says_so() -> None:
    download = await followed(transcript("download_exists"))
    assert download.note == "already on this hive"
    assert download.path == f"{HOME_MODELS}/org-tiny-other.gguf/model.gguf"


@pytest.mark.parametrize("name", DOWNLOADS)
async def test_the_cut_of_the_pieces_changes_nothing(name: str) -> None:
    script = transcript(name)
    whole = await followed(script)
    for sizes in ((1,), (7,), (3, 1, 4, 1, 5, 9, 2, 6)):
        recut = await followed(script, chunks=_for_ever(sizes))
        assert (recut.status, recut.narration, recut.percentage) == (
            whole.status,
            whole.narration,
            whole.percentage,
        )
        if whole.status is Status.FAILED:
            assert recut.error == whole.error


def _for_ever(sizes: tuple[int, ...]) -> Iterable[int]:
    for once in repeat(sizes):
        yield from once


def places(script: Transcript) -> dict[str, int]:
    """Where to cut: at every kind of place, none of them behind the marker's last byte."""
    body = script.body
    marker = body.rindex(b"data: [") if b"data: [" in body else len(body)
    wide = next(i for i, byte in enumerate(body) if byte >= 0x80)
    return {
        "before the first byte": 0,
        "in a line": 20,
        "in a UTF-8 sequence": wide + 1,
        "between the lines of an event": body.index(b"\n") + 1,
        "between two events": body.index(b"\n\n") + 2,
        "in an event's closing blank line": body.index(b"\n\n") + 1,
        "before the marker": marker,
        "in the marker": min(marker + 8, len(body)),
        "before the marker's closing blank line": len(body) - 1,
    }


@pytest.mark.parametrize("name", DOWNLOADS)
async def test_a_stream_that_is_cut_anywhere_tells_no_end(name: str) -> None:
    script = transcript(name)
    # Where the catalog has the model, the download is complete whatever the stream had to say.
    post = script.post or {}
    listed = f'"{post.get("model")}"' in CATALOG.body.decode() and "hive_" not in name
    for place, at in places(script).items():
        download = await followed(script, cut_at=at)
        expected = Status.COMPLETE if listed else Status.INTERRUPTED
        assert download.status is expected, place


@pytest.mark.parametrize("name", ["hive_killed", "hive_shutdown"])
async def test_a_hive_that_went_away_never_completes_a_download(name: str) -> None:
    script = transcript(name)
    async with ReplayHive(script) as hive:  # its catalog is empty
        tracker = Tracker([Hive(hive.url)])
        assert script.post is not None
        download = tracker.download(script.post["model"])
        with pytest.raises(DownloadError, match="interrupted"):
            await download
        assert download.status is Status.INTERRUPTED
        await tracker.aclose()


async def test_a_real_hives_stream_is_never_asked_for_twice() -> None:
    script = transcript("hive_killed")
    async with ReplayHive(script) as hive:
        tracker = Tracker([Hive(hive.url)])
        assert script.post is not None
        with pytest.raises(DownloadError):
            await tracker.download(script.post["model"])
        await tracker.aclose()
        streams = [path for method, path, _ in hive.requests if path.endswith("/stream")]
    assert len(streams) == len(set(streams))


@pytest.mark.parametrize("name", OTHERS)
async def test_every_other_stream_is_read_to_its_marker(name: str) -> None:
    script = transcript(name)
    async with ReplayHive(script) as hive:
        async with httpx.AsyncClient(base_url=hive.url, trust_env=False) as http:
            job_id = "job-spent"
            if script.post is not None:
                job_id = (await http.post("/v1/jobs", json=script.post)).json()["job_id"]
        handle = Hive(hive.url)
        events = [event async for _, event in handle.stream(job_id)]
        await handle.aclose()
    assert events[-1].kind == OTHERS[name]
    assert len(events) == script.events
    if name == "model_list_three":
        data = next(event for event in events if isinstance(event, Data))
        assert [model["size"] for model in data.payload["models"]] == [
            3_000_000,
            2_000_000,
            120_000_000,
        ]
    assert not any(isinstance(event, Progressed) for event in events)


async def test_a_total_that_a_real_hive_does_not_tell_is_asked_of_the_hub_once(
    hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_ENDPOINT", hub.url)
    hub.add("org/big", "big.Q8_0.gguf", size=120_000_000)
    seen: set[tuple[int | None, int]] = set()
    async with ReplayHive(transcript("download_30s"), speed=0.1) as hive:
        tracker = Tracker([Hive(hive.url)])
        end = tracker.subscribe(
            lambda one, _: seen.add((one.total_size, one.bytes_downloaded // 1_000_000))
        )
        await tracker.download("org/big:big.Q8_0.gguf")
        end()
        await tracker.aclose()
    assert {(120_000_000, 39), (120_000_000, 79)} <= seen  # 33.0 and 66.3 percent of it
    assert [request.method for request in hub.requests] == ["HEAD"]
