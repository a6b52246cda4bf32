"""The panel in a real JupyterLab: a real kernel, a real embedded hive, real bytes from a hub."""

from __future__ import annotations

import asyncio
import hashlib
import json
import math
import os
import re
import signal
import threading
import time
from bisect import bisect_left
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Self

import pytest
from playwright.sync_api import Locator, expect

from tests.browser.conftest import CLOSED_PAGE, COMPLAINTS, Open
from tests.browser.notebook import LIMIT_S, Notebook, Sample, amount
from tests.support.hub import Flip, Hub, Request, Status
from tests.support.lab import Lab, Theme
from tests.support.replay import Read, ReplayHive, Transcript, transcript

pytestmark = pytest.mark.alone

MB = 1_000_000

TRIES_S = 40.0
"""Seconds within which all tries of what nobody answers are over."""

LATE_S = 0.15
"""Seconds that a figure may be old when it is painted: a tick of the hive and one of the panel."""


def sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def transfers(hub: Hub, repo: str, file: str) -> list[Request]:
    """Give the requests for a file's bytes."""
    digest = hub.sha256(f"org/{repo}", file)
    return [request for request in hub.requests if request.path.startswith(f"/cdn/{digest}")]


def is_right(models: Path, hub: Hub, repo: str, file: str) -> bool:
    """Whether the file is there, whole, with nothing left beside it."""
    folder = models / f"{repo.replace('/', '-')}-{file}"
    return {path.name for path in folder.iterdir()} == {"model.gguf", "metadata.json"} and sha256(
        folder / "model.gguf"
    ) == hub.sha256(repo, file)


@contextmanager
def replayed(recording: Transcript, *, speed: float) -> Iterator[ReplayHive]:
    """Run a hive that replays a recording, on a loop in a thread of its own."""
    hive = ReplayHive(recording, speed=speed)
    started = threading.Event()
    loop = asyncio.new_event_loop()
    over = asyncio.Event()

    async def serve() -> None:
        async with hive:
            started.set()
            await over.wait()

    def run() -> None:
        with asyncio.Runner(loop_factory=lambda: loop) as runner:
            runner.run(serve())

    thread = threading.Thread(target=run, name="replay")
    thread.start()
    try:
        assert started.wait(5)
        yield hive
    finally:
        loop.call_soon_threadsafe(over.set)
        thread.join()


class DiskRecord:
    """What is there of a growing, sparse file, looked at every few milliseconds."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._times: list[float] = []
        self._sizes: list[int] = []
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._look, name="disk")

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _look(self) -> None:
        while not self._over.wait(0.004):
            for name in ("model.gguf.part", "model.gguf"):
                try:
                    size = (self._folder / name).stat().st_blocks * 512
                except FileNotFoundError:
                    continue
                self._times.append(time.time())
                self._sizes.append(size)
                break

    def between(self, begin: float, end: float) -> tuple[int, int]:
        """Give the sizes at two Unix times, or at the looks just before and just after."""
        first = max(0, bisect_left(self._times, begin) - 1)
        last = min(len(self._times) - 1, bisect_left(self._times, end))
        return self._sizes[first], self._sizes[last]


def moves(samples: list[Sample]) -> list[float]:
    """Tell when the bar moved on, in Unix seconds."""
    return [
        after.at
        for before, after in pairwise(samples)
        if after.percentage is not None and after.percentage > (before.percentage or 0)
    ]


def gaps(times: list[float]) -> list[float]:
    return [after - before for before, after in pairwise(times)]


# -- The figures ----------------------------------------------------------------------------------


def test_a_row_tells_the_bytes_on_disk_as_they_come(
    lab: Lab, hub: Hub, models: Path, open_notebook: Open
) -> None:
    hub.rate = 60e6
    hub.add("org/large", "file.gguf", size=300 * MB, seed=1)
    notebook = open_notebook("%download org/large:file.gguf")
    notebook.record()
    with DiskRecord(models / "org-large-file.gguf") as disk:
        notebook.begin(0)
        notebook.shows(0, "complete", 30)
    flowing = [one for one in notebook.samples if one.status == "downloading" and one.percentage]

    steps = gaps(moves(flowing))
    off_bytes, off_disk, off_disk_now = [], [], []
    for one in flowing:
        percentage = one.percentage or 0.0
        done, total = (amount(words) for words in one.bytes.split(" of "))
        assert (total, one.percent) == (300e6, f"{percentage:.1f}%")
        off_bytes.append(abs(done / total - percentage / 100))
        least, most = disk.between(one.at - LATE_S, one.at)
        off_disk.append(max(least - done, done - most, 0) / total)
        off_disk_now.append(abs(most - done) / total)
    off_speed = [abs(amount(one.speed) / 60e6 - 1) for one in flowing if one.at - flowing[0].at > 3]
    print(
        f"\n{len(steps) / sum(steps):.1f} moves/s, longest gap {max(steps) * 1000:.0f} ms, "
        f"percent off bytes {max(off_bytes):.2%}, off disk {max(off_disk):.2%} "
        f"(at the paint {median(off_disk_now):.2%} as a rule, {max(off_disk_now):.2%} at most), "
        f"speed off {max(off_speed):.2%}"
    )
    assert max(steps) <= 0.5
    assert max(off_bytes) <= 0.01
    assert max(off_disk) <= 0.01
    assert max(off_speed) <= 0.10
    assert any("rbee_widgets" in process.cmdline() for process in lab.processes()), "no own hive"
    assert notebook.samples[-1].bytes == "300 MB"
    assert is_right(models, hub, "org/large", "file.gguf")


def test_a_row_names_its_download_and_no_figure_is_told_twice(
    hub: Hub, open_notebook: Open
) -> None:
    hub.rate = 20e6
    hub.add("org/named", "file.gguf", size=20 * MB)
    notebook = open_notebook("%download org/named:file.gguf")
    notebook.begin(0)
    row = notebook.row(0)
    bar = row.get_by_role("progressbar", name="org/named:file.gguf")
    expect(row.locator(".rbee-name")).to_have_text("org/named:file.gguf")
    expect(bar).to_have_attribute("aria-valuetext", re.compile(r"^[0-9.]+ percent"))
    notebook.shows(0, "complete")
    expect(bar).to_have_attribute("aria-valuenow", "100")
    expect(notebook.panel(0).get_by_role("status")).to_have_text("org/named:file.gguf is complete.")
    expect(notebook.cell(0).locator(".jp-OutputArea-child")).to_have_count(1)


# -- Cancel, Retry, Clear -------------------------------------------------------------------------


def test_cancel_stops_the_bytes_and_retry_goes_on_from_them(
    hub: Hub, models: Path, open_notebook: Open
) -> None:
    hub.rate = 20e6
    hub.add("org/cancel", "file.gguf", size=60 * MB, seed=2)
    partial = models / "org-cancel-file.gguf" / "model.gguf.part"
    notebook = open_notebook("%download org/cancel:file.gguf")
    notebook.record()
    notebook.begin(0)
    notebook.shows_percentage(notebook.row(0), 10)
    notebook.button(0, "Cancel").click()
    notebook.shows(0, "cancelled")
    took = cancelled_after(notebook)
    print(f"\ncancelled {took * 1000:.0f} ms after the click")
    assert took < 1
    notebook.until(lambda: hub.open_transfers == 0, 1)
    kept = partial.stat().st_blocks * 512
    assert kept >= 6 * MB
    sent = hub.sent
    expect(notebook.row(0).get_by_role("button", name=re.compile("^Cancel"))).to_have_count(0)
    notebook.shoot("cancelled")

    notebook.button(0, "Retry").click()
    notebook.shows(0, "downloading")
    notebook.shows(0, "complete")
    assert hub.sent - sent < 61 * MB - kept
    assert is_right(models, hub, "org/cancel", "file.gguf")


def test_clear_removes_the_row_and_what_is_left_of_the_file(
    hub: Hub, models: Path, open_notebook: Open
) -> None:
    hub.rate = 20e6
    hub.add("org/clear", "file.gguf", size=60 * MB)
    folder = models / "org-clear-file.gguf"
    notebook = open_notebook("%download org/clear:file.gguf", "%download")
    notebook.run(0, 1)
    notebook.shows_percentage(notebook.row(0), 10)
    box = notebook.button(0, "Cancel").bounding_box()
    assert box is not None
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    notebook.page.mouse.click(x, y)
    notebook.shows(0, "cancelled")
    # Clear is there by now: the second half of a double click changes nothing.
    notebook.page.mouse.click(x, y)
    expect(notebook.button(0, "Clear")).to_be_enabled()
    notebook.shows(0, "cancelled")
    assert (folder / "model.gguf.part").stat().st_size > 0
    notebook.button(0, "Clear").click()
    expect(notebook.page.locator(".rbee-row")).to_have_count(0)
    expect(notebook.panel(1)).to_contain_text("No downloads yet")
    notebook.until(lambda: not folder.exists(), 5)


@pytest.mark.parametrize(
    ("fault", "reason", "way_out"),
    [
        (Flip(5 * MB), "sha256 mismatch", "Retry fetches it anew"),
        (Status(403), "status code 403", "accept its licence at"),
    ],
    ids=["a bit that is always flipped", "a refusal"],
)
def test_retry_after_a_failure_completes(
    hub: Hub, models: Path, open_notebook: Open, fault: Status | Flip, reason: str, way_out: str
) -> None:
    repo = f"org/{type(fault).__name__.lower()}"
    hub.add(repo, "file.gguf", size=10 * MB, seed=3)
    hub.fail(fault, times=math.inf)
    notebook = open_notebook(f"%download {repo}:file.gguf")
    notebook.begin(0)
    notebook.shows(0, "failed")
    expect(notebook.row(0).locator(".rbee-error-text")).to_contain_text(reason)
    expect(notebook.row(0).locator(".rbee-hint")).to_contain_text(way_out)
    notebook.shoot(f"failed-{type(fault).__name__.lower()}")
    hub.heal()
    notebook.button(0, "Retry").click()
    notebook.shows(0, "complete")
    expect(notebook.row(0).locator(".rbee-error")).to_have_count(0)
    assert is_right(models, hub, repo, "file.gguf")


def test_the_keyboard_alone_cancels_retries_and_unfolds(
    hub: Hub, models: Path, open_notebook: Open
) -> None:
    hub.rate = 20e6
    hub.add("org/keys", "file.gguf", size=60 * MB, seed=4)
    notebook = open_notebook("%download org/keys:file.gguf")
    page = notebook.page
    notebook.record()
    notebook.begin(0)
    notebook.shows_percentage(notebook.row(0), 10)
    notebook.row(0).get_by_role("button", name=re.compile("^Narration")).focus()
    page.keyboard.press("Space")
    expect(notebook.row(0).locator(".rbee-narration")).to_be_visible()
    page.keyboard.press("Tab")
    expect(notebook.button(0, "Cancel")).to_be_focused()
    page.keyboard.press("Enter")
    notebook.shows(0, "cancelled")
    assert cancelled_after(notebook) < 1
    expect(notebook.button(0, "Retry")).to_be_focused()
    page.keyboard.press("Enter")
    notebook.shows(0, "complete")
    expect(notebook.button(0, "Clear")).to_be_focused()
    assert is_right(models, hub, "org/keys", "file.gguf")
    assert page.locator(".jp-Notebook.jp-mod-editMode").count() == 0, "the notebook took a key"
    page.keyboard.press("Enter")
    expect(page.locator(".rbee-row")).to_have_count(0)


def cancelled_after(notebook: Notebook) -> float:
    """Give the seconds from the user's click to the row that says so."""
    at = next(sample.at for sample in notebook.samples if sample.status == "cancelled")
    return at - notebook.clicked_at


# -- More than one view ---------------------------------------------------------------------------


def test_a_reloaded_page_shows_the_download_as_it_goes_on(
    hub: Hub, lab: Lab, models: Path, open_notebook: Open
) -> None:
    hub.rate = 10e6
    hub.add("org/reload", "file.gguf", size=80 * MB, seed=5)
    notebook = open_notebook("%download org/reload:file.gguf")
    notebook.run(0)
    notebook.shows_percentage(notebook.row(0), 5)
    ids = notebook.ids(0)
    lab.save(notebook.page)
    lab.reload(notebook.page)
    expect(notebook.panel(0)).to_have_attribute("data-live", "yes", timeout=LIMIT_S * 1000)
    assert notebook.ids(0) == ids
    notebook.shows(0, "downloading")
    notebook.record()
    notebook.shoot("reloaded")
    hub.rate = None
    notebook.shows(0, "complete")
    assert len(moves(notebook.samples)) > 1
    assert is_right(models, hub, "org/reload", "file.gguf")


def test_every_cell_shows_the_same_downloads(hub: Hub, open_notebook: Open) -> None:
    hub.rate = 10e6
    for name in ("a.gguf", "b.gguf"):
        hub.add("org/many", name, size=40 * MB)
    notebook = open_notebook(
        "%download org/many:a.gguf", "%download org/many:b.gguf", "%download", "%download"
    )
    notebook.run(0, 1, 2)
    expect(notebook.row(2)).to_have_count(2)
    assert set(notebook.ids(2)) == {*notebook.ids(0), *notebook.ids(1)}
    notebook.run(3)
    expect(notebook.row(3)).to_have_count(2)
    assert notebook.ids(3) == notebook.ids(2)
    notebook.record()
    for row in notebook.row(3).all():
        notebook.shows_percentage(row, 1)
    notebook.shoot("many")
    for index in (0, 1):
        notebook.shows(index, "complete")
    for index in (2, 3):
        expect(notebook.cell(index).locator("[data-status=complete]")).to_have_count(2)
    for panel, rows in enumerate((1, 1, 2, 2)):
        samples = [sample for sample in notebook.samples if sample.panel == panel]
        ids = {sample.id for sample in samples}
        assert len(ids) == rows
        for id_ in ids:
            times = moves([sample for sample in samples if sample.id == id_])
            assert len(times) > 5
            assert max(gaps(times)) <= 0.5


def test_the_same_download_again_is_the_same_row(hub: Hub, open_notebook: Open) -> None:
    hub.rate = 10e6
    hub.add("org/again", "file.gguf", size=40 * MB, seed=6)
    notebook = open_notebook("%download org/again:file.gguf", "%download org/again:file.gguf")
    notebook.run(0, 1)
    expect(notebook.row(1)).to_have_count(1)
    assert notebook.ids(1) == notebook.ids(0)
    hub.rate = 40e6
    notebook.shows(0, "complete")
    notebook.shows(1, "complete")
    requests = transfers(hub, "again", "file.gguf")
    assert sum(request.sent for request in requests) < 60 * MB
    asked = [request.range or "" for request in requests]
    assert sum(each.startswith("bytes=0-") for each in asked) == 1, "it was not fetched twice"


def test_what_waits_says_how_long_the_line_is(hub: Hub, open_notebook: Open) -> None:
    hub.rate = 4e6
    for i in range(5):
        hub.add("org/line", f"{i}.gguf", size=20 * MB, seed=i)
    notebook = open_notebook(*(f"%download org/line:{i}.gguf" for i in range(5)))
    notebook.run(0, 1, 2, 3, 4)
    waiting = notebook.page.locator('.rbee-row[data-status="queued"]')
    expect(waiting.filter(has_text="Queued, 1 before it")).to_have_count(1)
    expect(waiting.filter(has_text="Queued, next in line")).to_have_count(1)
    notebook.shoot("queued")
    hub.rate = None
    for i in range(5):
        notebook.shows(i, "complete")


def test_a_restarted_kernel_leaves_a_snapshot_without_dead_buttons(
    hub: Hub, open_notebook: Open
) -> None:
    hub.rate = 10e6
    hub.add("org/restart", "file.gguf", size=80 * MB)
    notebook = open_notebook("%download org/restart:file.gguf", "%download")
    page = notebook.page
    notebook.run(0, 1)
    notebook.shows_percentage(notebook.row(0), 5)
    notebook.lab.command(page, "notebook:restart-kernel", wait=False)
    page.get_by_role("button", name="Confirm Kernel Restart").click()
    for index in (0, 1):
        expect(notebook.panel(index)).to_have_attribute("data-live", "no", timeout=LIMIT_S * 1000)
    notebook.lab.wait_ready(page)
    for index in (0, 1):
        panel = notebook.panel(index)
        expect(panel).to_have_attribute("data-live", "no")
        expect(panel.get_by_role("button")).to_have_count(0)
        expect(panel.locator(".rbee-name")).to_have_text("org/restart:file.gguf")
        expect(panel.locator("time")).to_contain_text("Snapshot from")
        link = panel.get_by_role("link")
        expect(link).to_have_attribute("href", "rbee://model/org/restart:file.gguf")
    notebook.shoot("snapshot")


def test_a_restarted_kernels_panel_shows_the_download_as_it_goes_on(
    hub: Hub, models: Path, open_notebook: Open
) -> None:
    hub.rate = 10e6
    hub.add("org/outlives", "file.gguf", size=80 * MB)
    import_and_show = "import rbee_widgets\nrbee_widgets.DownloadPanel()"
    notebook = open_notebook("%download org/outlives:file.gguf", import_and_show)
    page = notebook.page
    notebook.run(0)
    notebook.shows_percentage(notebook.row(0), 10)
    notebook.lab.command(page, "notebook:restart-kernel", wait=False)
    page.get_by_role("button", name="Confirm Kernel Restart").click()
    expect(notebook.panel(0)).to_have_attribute("data-live", "no", timeout=LIMIT_S * 1000)
    notebook.lab.wait_ready(page)
    notebook.run(1)
    row = notebook.row(1)
    expect(row.locator(".rbee-name")).to_have_text("org/outlives:file.gguf")
    expect(row).to_have_attribute("data-status", "downloading")
    notebook.shows_percentage(row, 15)
    notebook.shoot("after-a-restart")
    expect(row).to_have_attribute("data-status", "complete", timeout=LIMIT_S * 1000)
    assert is_right(models, hub, "org/outlives", "file.gguf")


def test_a_wait_is_told_in_the_row_and_the_download_goes_on(
    hub: Hub, models: Path, open_notebook: Open
) -> None:
    hub.rate = 10e6
    hub.add("org/waits", "file.gguf", size=60 * MB)
    notebook = open_notebook("%download org/waits:file.gguf", "%download")
    notebook.run(0, 1)
    notebook.shows_percentage(notebook.row(1), 10)
    hub.stop()
    try:
        state = notebook.row(1).locator(".rbee-state")
        expect(state).to_contain_text(re.compile(r"Retry \d of 6 in \d s"), timeout=LIMIT_S * 1000)
        expect(notebook.row(1).locator(".rbee-note")).to_contain_text("127.0.0.1")
        notebook.shoot("waits")
    finally:
        hub.start()
    notebook.shows(1, "complete")
    assert is_right(models, hub, "org/waits", "file.gguf")


def test_a_hive_that_dies_is_replaced_and_the_row_tells_it(
    hub: Hub, models: Path, open_notebook: Open, lab: Lab
) -> None:
    hub.rate = 10e6
    hub.add("org/dies", "file.gguf", size=60 * MB)
    notebook = open_notebook("%download org/dies:file.gguf", "%download")
    notebook.run(0, 1)
    notebook.shows_percentage(notebook.row(1), 20)
    (told,) = lab.runtime.rglob("hive-*.json")
    os.kill(json.loads(told.read_text())["pid"], signal.SIGKILL)
    expect(notebook.row(1).locator(".rbee-note")).to_contain_text("the next one goes on")
    notebook.shoot("hive-died")
    notebook.shows(1, "complete")
    assert is_right(models, hub, "org/dies", "file.gguf")


# -- What goes wrong ------------------------------------------------------------------------------


def test_failures_are_told_in_a_sentence_and_without_a_traceback(
    hub: Hub, open_notebook: Open
) -> None:
    hub.add("org/fails", "there.gguf", size=1000)
    cases = {
        "tinyllama": "'tinyllama' is not supported",
        "org/none:file.gguf": "status code 404",
        "org/fails:none.gguf": "status code 404",
        "org/fails:there.gguf --hive http://127.0.0.1:9": "no rbee hive answers",
        "org/fails:later.gguf": "Connection refused",
    }
    cells = [cell for model in cases for cell in (f"d = %download {model}", "await d")]
    notebook = open_notebook(*cells)
    notebook.page.set_viewport_size({"width": 1280, "height": 1500})
    try:
        for index, reason in enumerate(cases.values()):
            shown, awaited = 2 * index, 2 * index + 1
            if reason == "Connection refused":
                hub.stop()
            notebook.run(shown)
            notebook.shows(shown, "failed", TRIES_S)
            error = notebook.row(shown).locator(".rbee-error-text").inner_text()
            assert reason in error
            assert len(error.splitlines()) == 1
            notebook.run(awaited)
            said = notebook.text(awaited)
            assert said.startswith("DownloadError: ")
            assert error in said
            assert len(said.splitlines()) <= 2
            assert not any(word in said for word in ("Traceback", "rbee_widgets", ".py"))
        notebook.shoot("failures")
        with notebook.worn("dark"):
            notebook.shoot("failures", "dark")
    finally:
        hub.stop()
        hub.start()


def test_a_typo_is_told_in_a_line(open_notebook: Open) -> None:
    cells = {
        "%download org/repo:file.gguf --hvie local": "--hvie",
        "%download org/repo:file.gguf --hive nowhere": "no hive is called 'nowhere'",
        "%download --worker": "--worker ID",
        "%download rbee://nothing": "expected a link such as rbee://model/",
        "%download org/repo:file.gguf --hive ftp://example.org": "expected the URL of a hive",
    }
    notebook = open_notebook(*cells)
    for index, reason in enumerate(cells.values()):
        notebook.run(index)
        (output,) = notebook.outputs(index)
        assert output["output_type"] == "stream"
        (line,) = output["text"].splitlines()
        assert line.startswith("UsageError: ")
        assert reason in line
    expect(notebook.page.locator(".rbee-panel")).to_have_count(0)


# -- Narration ------------------------------------------------------------------------------------


def test_an_unfolded_row_tells_its_narration_live(hub: Hub, open_notebook: Open) -> None:
    hub.rate = 10e6
    hub.add("org/unfold", "file.gguf", size=40 * MB)
    notebook = open_notebook("%download org/unfold:file.gguf")
    notebook.run(0)
    notebook.shows_percentage(notebook.row(0), 10)
    expect(notebook.row(0).locator(".rbee-narration")).to_have_count(0)
    notebook.button(0, "Narration").click()
    lines = notebook.row(0).locator(".rbee-narration .rbee-line")
    figure = lines.filter(has_text="Progress:")
    expect(lines.last).to_contain_text("Executing job")
    expect(figure).to_have_count(1)
    before, count = figure.inner_text(), lines.count()
    expect(figure).not_to_have_text(before)
    notebook.shoot("narration")
    hub.rate = None
    notebook.shows(0, "complete")
    expect(lines.first).to_contain_text("downloaded and added to catalog")
    assert lines.count() > count
    notebook.button(0, "Narration").click()
    expect(lines).to_have_count(0)


def test_hostile_words_stay_words(open_notebook: Open) -> None:
    hostile = "<img src=x onerror=window.__pwned=1>"
    with replayed(saying(f"{hostile}<script>window.__pwned=1</script>"), speed=0) as hive:
        notebook = open_notebook(
            f"%download 'org/{hostile}:f.gguf'", f"%download org/repo:f.gguf --hive {hive.url}"
        )
        for index in (0, 1):
            notebook.run(index)
            notebook.shows(index, "failed")
            notebook.button(index, "Narration").click()
            narration = notebook.row(index).locator(".rbee-narration")
            expect(narration).to_contain_text(hostile)
            expect(notebook.row(index).locator(".rbee-error")).to_contain_text(hostile)
            expect(notebook.panel(index).locator("img, script")).to_have_count(0)
    expect(notebook.row(0).locator(".rbee-name")).to_contain_text(f"org/{hostile}:f.gguf")
    notebook.shoot("hostile")
    # An image of our own, later than any other, fails: so would those before it have.
    notebook.page.evaluate(
        "() => new Promise(told => Object.assign(new Image(), {src: 'data:,', onerror: told}))"
    )
    assert notebook.page.evaluate("() => window.__pwned") is None


def saying(words: str) -> Transcript:
    """Give the recording of a failed download in whose mouth `words` are put."""
    recorded = transcript("download_missing_file")
    return replace(
        recorded,
        records=tuple(
            replace(one, body=one.body.replace(b"HuggingFace", words.encode()))
            if isinstance(one, Read)
            else one
            for one in recorded.records
        ),
    )


def test_a_worker_tells_what_is_being_built(open_notebook: Open) -> None:
    with replayed(transcript("worker_install"), speed=2) as hive:
        notebook = open_notebook(f"%download --worker tiny-worker-rbee-cpu --hive {hive.url}")
        notebook.record()
        notebook.begin(0)
        row = notebook.row(0)
        expect(row.locator(".rbee-note")).to_contain_text("Compiling")
        expect(row.locator(".rbee-type")).to_have_text("worker")
        notebook.shoot("worker")
        notebook.shows(0, "complete")
    building = [sample for sample in notebook.samples if sample.status != "complete"]
    assert {sample.valuenow for sample in building} == {None}
    compiled = [one.note for one in building if "Compiling" in one.note]
    assert len(set(compiled)) >= 4, "a crate at a time"
    assert hive.requests[0].json["operation"] == "worker_install"


# -- Cells that wait ------------------------------------------------------------------------------


def test_a_download_can_be_awaited_and_used_in_later_cells(
    hub: Hub, models: Path, open_notebook: Open
) -> None:
    hub.rate = 10e6
    hub.add("org/await", "file.gguf", size=20 * MB)
    notebook = open_notebook("d = %download org/await:file.gguf", "await d", "print(d.path)")
    notebook.run(0)
    notebook.shows(0, "downloading")
    notebook.begin(1)
    expect(prompt(notebook, 1)).to_have_text("[*]:")
    notebook.shows(0, "complete")
    notebook.wait_run(1)
    notebook.shows(1, "complete")
    assert notebook.ids(1) == notebook.ids(0)
    notebook.run(2)
    assert notebook.text(2) == str(models / "org-await-file.gguf" / "model.gguf")


def test_wait_keeps_the_cell_busy_until_the_end(hub: Hub, open_notebook: Open) -> None:
    hub.rate = 10e6
    hub.add("org/wait", "file.gguf", size=20 * MB)
    notebook = open_notebook("d = %download org/wait:file.gguf --wait", "print(d.status)")
    notebook.begin(0)
    notebook.begin(1)
    notebook.shows_percentage(notebook.row(0), 50)
    expect(prompt(notebook, 0)).to_have_text("[*]:")
    notebook.wait_run(1)
    assert notebook.text(1) == "complete"


def prompt(notebook: Notebook, index: int) -> Locator:
    return notebook.cell(index).locator(".jp-InputPrompt")


# -- Looks ----------------------------------------------------------------------------------------


def test_every_word_is_readable_in_light_and_dark(hub: Hub, open_notebook: Open) -> None:
    hub.rate = 5e6
    hub.add("org/looks", "Some-Model-7B-Instruct.Q4_K_M.gguf", size=40 * MB)
    hub.add("org/looks", "small.gguf", size=2 * MB)
    notebook = open_notebook(
        "%download org/looks:small.gguf",
        "%download org/looks:none.gguf",
        "%download org/looks:Some-Model-7B-Instruct.Q4_K_M.gguf",
        "%download",
    )
    notebook.run(0, 1, 2, 3)
    notebook.shows(0, "complete")
    notebook.shows(1, "failed")
    notebook.shows_percentage(notebook.row(2), 10)
    themes: tuple[Theme, Theme] = ("light", "dark")
    for theme in themes:
        with notebook.worn(theme):
            notebook.shoot("downloading", theme)
            assert unreadable(notebook) == {}
    hub.rate = None
    notebook.shows(2, "complete")
    for theme in themes:
        with notebook.worn(theme):
            notebook.shoot("complete", theme)


def unreadable(notebook: Notebook) -> dict[str, float]:
    """Give the words of the panels whose contrast is below 4.5, with it."""
    found: dict[str, float] = notebook.page.evaluate(_UNREADABLE)
    return found


_UNREADABLE = """
    () => {
        // "rgba(0, 0, 0, 0.54)", or "color(srgb 0.6 0.1 0.1)" as color-mix() gives it
        const read = colour => {
            const most = colour.startsWith('color(srgb') ? 1 : 255;
            const [r, g, b, alpha = 1] = colour.match(/[0-9.]+/g).map(Number);
            return { parts: [r / most, g / most, b / most], alpha };
        };
        const linear = part => part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
        const luminance = ([r, g, b]) =>
            0.2126 * linear(r) + 0.7152 * linear(g) + 0.0722 * linear(b);
        const found = {};
        for (const panel of document.querySelectorAll('.rbee-panel')) {
            const surface = read(getComputedStyle(panel).backgroundColor).parts;
            for (const element of panel.querySelectorAll('*')) {
                const texts = [...element.childNodes].filter(node => node.nodeType === 3);
                const words = texts.map(node => node.data).join('').trim();
                if (!words || !element.checkVisibility()) continue;
                const { parts, alpha } = read(getComputedStyle(element).color);
                const ink = parts.map((part, i) => alpha * part + (1 - alpha) * surface[i]);
                const [low, high] = [luminance(ink), luminance(surface)].sort((a, b) => a - b);
                const contrast = (high + 0.05) / (low + 0.05);
                if (contrast < 4.5) found[words] = contrast;
            }
        }
        return found;
    }
"""


# -- Afterwards -----------------------------------------------------------------------------------


def test_no_log_holds_a_traceback_after_all_of_this(lab: Lab) -> None:
    logs = [
        CLOSED_PAGE.sub("", lab.log),
        *(path.read_text() for path in lab.folder.rglob("hive.log")),
    ]
    assert len(logs) == 2
    for log in logs:
        lines = log.splitlines()
        grave = [n for n, line in enumerate(lines) if any(word in line for word in COMPLAINTS)]
        assert not grave, "\n".join(lines[grave[0] : grave[0] + 60])
