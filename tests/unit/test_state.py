"""The state machine of a download."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as some

from rbee_widgets.narration import (
    Cancelled,
    Data,
    Done,
    Event,
    Failed,
    Lost,
    Narration,
    Progressed,
    Retrying,
    read,
)
from rbee_widgets.state import ALREADY_THERE, DownloadState, Retry, Status, Type


def after(*data: str, type: Type = Type.MODEL) -> DownloadState:  # noqa: A002
    state = DownloadState(type)
    for at, text in enumerate(data):
        state.observe(read(text), at)
    return state


PROGRESS = "📊 Progress: 45.2% (2.5 MB / 5.5 MB)"
WHOLE = "📊 Progress: 100.0% (5.5 MB / 5.5 MB)"
LOST = "ERROR: Job channel not found. This may indicate a race condition or job creation failure."


def framed(action: str, text: str) -> str:
    return f"\x1b[1mf\x1b[0m \x1b[2m{action}\x1b[0m\n{text}\n"


def queen(action: str, human: str) -> str:
    return f'{{"type":"narration","actor":"q","action":"{action}","human":"{human}"}}'


@pytest.mark.parametrize(
    ("said", "status"),
    [
        ([], Status.QUEUED),
        ([framed("execute", "Executing job job-1")], Status.QUEUED),
        ([PROGRESS], Status.DOWNLOADING),
        ([framed("hf_download_file", "📥"), framed("download_queued", "⏳")], Status.QUEUED),
        ([framed("download_queued", "⏳ Queued, next in line"), PROGRESS], Status.DOWNLOADING),
        ([PROGRESS, WHOLE], Status.FINISHING),
        ([PROGRESS, framed("hf_copy_start", "📋 Copying…")], Status.FINISHING),
        ([PROGRESS, "✅ Download complete"], Status.DOWNLOADING),
        ([PROGRESS, "❌ Failed. Error. [DONE]"], Status.DOWNLOADING),
        ([PROGRESS, "[DONE]"], Status.COMPLETE),
        ([PROGRESS, "[ERROR] disk full"], Status.FAILED),
        ([PROGRESS, "[CANCELLED]"], Status.CANCELLED),
        (["[ERROR] Model 'org/repo' already exists"], Status.COMPLETE),
        (["[ERROR] Artifact 'x' already exists in catalog"], Status.FAILED),
        ([LOST, "[DONE]"], Status.INTERRUPTED),
        ([queen("route_job", "x"), "[DONE]"], Status.INTERRUPTED),
        ([queen("model_download_complete", "x"), "[DONE]"], Status.COMPLETE),
        ([queen("failed", "Job job-1 failed: no"), "[DONE]"], Status.FAILED),
    ],
)
def test_the_end_of_a_stream_decides(said: list[str], status: Status) -> None:
    assert after(*said).status is status


@pytest.mark.parametrize("end", ["[DONE]", "[ERROR] no", "[CANCELLED]"])
def test_an_end_absorbs_what_comes_later(end: str) -> None:
    state = after(PROGRESS, end)
    ended = state.status, state.error, state.percentage
    for later in (PROGRESS, "[DONE]", "[ERROR] other", "[CANCELLED]", LOST):
        state.observe(read(later), 9)
    state.interrupt("cut")
    state.cancelling()
    assert (state.status, state.error, state.percentage) == ended


def test_a_hundred_percent_is_shown_for_complete_alone() -> None:
    state = after(PROGRESS, WHOLE)
    assert state.percentage == pytest.approx(99.9)
    state.observe(read("[DONE]"), 9)
    assert state.percentage == 100


@pytest.mark.parametrize(
    ("marker", "status"),
    [
        ("[CANCELLED]", Status.CANCELLED),
        ("[ERROR] Copy cancelled by user", Status.CANCELLED),
        ("[DONE]", Status.COMPLETE),
    ],
)
def test_any_marker_may_follow_a_cancel(marker: str, status: Status) -> None:
    state = after(PROGRESS)
    state.cancelling()
    state.observe(read("❌ Download cancelled"), 3)
    assert state.status is Status.CANCELLING
    state.observe(read(marker), 4)
    assert state.status is status


def test_what_is_there_already_says_so() -> None:
    assert after("[ERROR] Model 'org/repo' already exists").note == ALREADY_THERE


def test_a_hint_is_the_way_out_of_an_error() -> None:
    state = after(framed("hf_download_hint", "💡 Set HF_TOKEN"), "[ERROR] status code 401")
    assert (state.error, state.hint) == ("status code 401", "Set HF_TOKEN")


def test_a_reattached_stream_goes_on() -> None:
    state = after(PROGRESS)
    state.interrupt("cut")
    assert (state.status, state.error) == (Status.INTERRUPTED, "cut")
    state.reattach()
    state.observe(read(PROGRESS), 5)
    assert (state.status, state.error) == (Status.DOWNLOADING, None)


def test_a_worker_is_never_there_already() -> None:
    state = after("[ERROR] Model 'w' already exists", type=Type.WORKER)
    assert state.status is Status.FAILED


def test_a_stream_told_again_from_its_beginning_takes_back_nothing() -> None:
    state = DownloadState(Type.MODEL)
    state.recall(
        Status.DOWNLOADING,
        bytes_downloaded=25_000_000,
        total_size=50_000_000,
        percentage=50.0,
        error=None,
        hint=None,
        now=0,
    )
    shown, speeds = [], []
    for at, percent in enumerate([30, 50, 70, 90], start=5):
        told = f"📊 Progress: {percent}.0% ({percent / 2:.2f} MB / 50.00 MB)"
        state.observe(read(told), at)
        shown.append(state.percentage)
        speeds.append(state.progress.speed(at))
    assert shown == [50, 50, 70, 90]
    assert speeds == [None, None, None, 10e6]  # who was away knows no speed of that time


def test_a_wait_is_told_until_something_comes() -> None:
    wait = framed("download_retry", "🔁 Retry 2 of 6 in 8.0 s: refused by hub:443")
    state = after(PROGRESS, wait)
    assert state.retry == Retry(2, 6, 9.0)
    assert (state.note, state.status) == ("refused by hub:443", Status.DOWNLOADING)
    state.observe(read(PROGRESS), 2)
    assert state.retry is not None, "no byte has come"
    state.observe(read("📊 Progress: 50.0% (2.7 MB / 5.5 MB)"), 3)
    assert state.retry is None


@pytest.mark.parametrize("end", ["[DONE]", "[ERROR] no", "[CANCELLED]"])
def test_no_wait_outlasts_an_end(end: str) -> None:
    assert after(framed("download_retry", "🔁 Retry 1 of 6 in 1.0 s: x"), end).retry is None


# -- Any events in any order ----------------------------------------------------------------------

ACTIONS = some.sampled_from(
    ["execute", "download_queued", "hf_copy_start", "model_download_complete", "failed", "x_hint"]
)
FIGURES = some.none() | some.floats(0, 100)
SIZES = some.none() | some.integers(0, 2**62)
EVENTS = some.one_of(
    some.builds(
        Progressed,
        some.text(max_size=5),
        ACTIONS,
        percentage=FIGURES,
        percentage_step=some.none() | some.floats(0, 10),
        bytes_downloaded=SIZES,
        bytes_step=some.none() | some.floats(0, 1e9),
        total_size=SIZES,
    ),
    some.builds(Narration, some.text(max_size=5), ACTIONS, actor=some.none() | some.just("q")),
    some.builds(Retrying, some.text(max_size=5), number=some.integers(0, 9), of=some.just(6)),
    some.just(Data("model_list", {})),
    some.just(Lost()),
    some.just(Done()),
    some.builds(Failed, some.sampled_from(["", "no", "Model 'x' already exists"])),
    some.just(Cancelled()),
)
Act = Callable[[DownloadState], None]
ACTS: list[Act] = [
    lambda state: state.interrupt("cut"),
    lambda state: state.reattach(),
    lambda state: state.cancelling(),
    lambda state: state.cancelled(),
    lambda state: state.wait(Retry(1, 6, 0.0), "refused"),
]


@given(some.sampled_from(Type), some.lists(EVENTS | some.sampled_from(ACTS), max_size=30))
def test_whatever_happens_progress_and_ends_are_kept(
    type: Type,  # noqa: A002
    happens: list[Event | Act],
) -> None:
    state = DownloadState(type)
    shown, end = 0.0, None
    for now, one in enumerate(happens):
        if callable(one):
            one(state)
        else:
            state.observe(one, float(now))
        told = state.percentage
        assert told is None or shown <= told <= 100
        assert (told == 100) == (state.status is Status.COMPLETE)
        shown = told or shown
        assert end in (None, state.status), "an end absorbs"
        end = state.status if state.status.is_final else None
        for figure in (state.progress.speed(now), state.progress.eta(now)):
            assert figure is None or (math.isfinite(figure) and figure >= 0)
        assert state.retry is None or end is None
        assert (state.error is None) == (state.status not in (Status.FAILED, Status.INTERRUPTED))
