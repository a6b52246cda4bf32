"""What is installed on a hive, listed and deleted: with a real process, and a real hive's words."""

from __future__ import annotations

import asyncio
import io
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

import rbee_widgets as rbee
from rbee_widgets import Download, Hive, Tracker
from rbee_widgets import tracker as trackers
from rbee_widgets.errors import HiveUnreachableError, NotDeletedError, UnknownHiveError
from rbee_widgets.installed import InstalledModel
from tests.support.hive import TOKEN, HiveProcess
from tests.support.hostile import CATALOG_JOB, Bytes, HostileHive, stream
from tests.support.hub import Hub
from tests.support.kernel import CellError, Kernel
from tests.support.replay import CAPABILITIES, ReplayHive, transcript

MODEL = "org/repo:file.Q4_K_M.gguf"
FOLDER = "org-repo-file.Q4_K_M.gguf"


@pytest.fixture(autouse=True)
def default_trackers() -> Iterator[None]:
    """End the default trackers that a test has made."""
    yield
    for tracker in trackers.default_trackers():
        asyncio.run(tracker.aclose())
    trackers._defaults.clear()


@pytest.fixture
def answers(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], list[str]]:
    """Answer whatever is asked; gives the questions."""

    def answer(said: str) -> list[str]:
        asked: list[str] = []

        def ask(question: str) -> str:
            asked.append(question)
            return said

        monkeypatch.setattr("builtins.input", ask)
        return asked

    return answer


def fetched(hive: HiveProcess, hub: Hub, model: str = MODEL, size: int = 1_500_000) -> None:
    """Have a hive fetch a model."""
    repo, _, file = model.partition(":")
    hub.add(repo, file, size=size)
    rbee.download(model, hive.handle()).wait(20)


def installed(hive: HiveProcess, hub: Hub) -> InstalledModel:
    """Give a model that a hive has."""
    fetched(hive, hub)
    return rbee.models(hive.handle())[0]


# -- The list -------------------------------------------------------------------------------------


def test_what_is_installed_is_listed(hive: HiveProcess, hub: Hub) -> None:
    begin = datetime.now(UTC)
    fetched(hive, hub)
    fetched(hive, hub, "abc/other:other.gguf", 2_500_000)
    models = rbee.models(hive.handle())
    assert [model.id for model in models] == ["abc/other:other.gguf", MODEL]
    assert models.size == 4_000_000
    model = models[1]
    assert (model.name, model.size, model.quantisation) == ("repo", 1_500_000, "Q4_K_M")
    assert model.path == str(hive.models / FOLDER / "model.gguf")
    assert model.hive == "test"
    assert model.added_at is not None
    assert begin <= model.added_at <= datetime.now(UTC)
    assert "2 models on test, 4.00 MB in all" in repr(models)


def test_a_look_changes_nothing(hive: HiveProcess, hub: Hub) -> None:
    fetched(hive, hub)
    metadata = hive.models / FOLDER / "metadata.json"
    before = metadata.read_bytes(), metadata.stat().st_mtime_ns
    rbee.models(hive.handle())
    assert (metadata.read_bytes(), metadata.stat().st_mtime_ns) == before


def test_a_hive_without_models_is_an_empty_list(hive: HiveProcess) -> None:
    models = rbee.models(hive.handle())
    assert models == []
    assert "No models on test" in repr(models)


def test_a_hive_that_cannot_be_asked_is_one_line() -> None:
    with pytest.raises(HiveUnreachableError) as raised:
        rbee.models("http://127.0.0.1:9")
    (line,) = raised.value._render_traceback_()
    assert line.startswith("HiveUnreachableError: no rbee hive answers at http://127.0.0.1:9")
    with pytest.raises(UnknownHiveError, match="no hive is called 'nobody'"):
        rbee.models("nobody")


@pytest.mark.anyio
async def test_a_hive_that_falls_silent_is_one_line_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rbee_widgets.client.CATALOG_TIMEOUT_S", 0.3)
    stuck: dict[str, Bytes] = {f"GET /v1/jobs/{CATALOG_JOB}/stream": stream([None])}
    async with HostileHive(otherwise=stuck) as hive:
        with pytest.raises(HiveUnreachableError, match="no catalog in time"):
            await asyncio.to_thread(rbee.models, Hive(hive.url))


# -- Deleting -------------------------------------------------------------------------------------


@pytest.mark.parametrize("said", ["y", "Y", "yes", " YES "])
def test_a_yes_deletes(
    said: str, hive: HiveProcess, hub: Hub, answers: Callable[[str], list[str]]
) -> None:
    model = installed(hive, hub)
    asked = answers(said)
    assert model.delete()
    assert asked == [f"Delete {MODEL}, 1.50 MB, from test? [y/N] "]
    assert not (hive.models / FOLDER).exists()
    assert rbee.models(hive.handle()) == []


def test_whatever_is_no_yes_deletes_nothing(
    hive: HiveProcess, hub: Hub, answers: Callable[[str], list[str]]
) -> None:
    model = installed(hive, hub)
    for said in ("", "n", "N", "no", "yess", "yeah", "1", "delete"):
        answers(said)
        assert not model.delete()
    assert len(rbee.models(hive.handle())) == 1


@pytest.mark.parametrize("stdin", [None, io.StringIO("")], ids=["none", "at its end"])
def test_where_nobody_can_be_asked_the_way_out_is_told(
    stdin: io.StringIO | None, hive: HiveProcess, hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = installed(hive, hub)
    monkeypatch.setattr("sys.stdin", stdin)
    with pytest.raises(NotDeletedError, match=r"say so beforehand: delete\(confirm=False\)"):
        model.delete()
    assert (hive.models / FOLDER).exists()
    assert model.delete(confirm=False)
    assert not (hive.models / FOLDER).exists()


def test_an_interrupt_instead_of_an_answer_deletes_nothing(
    hive: HiveProcess, hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(_: str) -> str:
        raise KeyboardInterrupt

    model = installed(hive, hub)
    monkeypatch.setattr("builtins.input", interrupt)
    with pytest.raises(KeyboardInterrupt):
        model.delete()
    assert len(rbee.models(hive.handle())) == 1


def test_what_is_gone_already_is_told_in_the_hives_words(hive: HiveProcess, hub: Hub) -> None:
    model = installed(hive, hub)
    model.delete(confirm=False)
    with pytest.raises(NotDeletedError, match="not found in catalog"):
        model.delete(confirm=False)


def coming(hive: HiveProcess, hub: Hub, begin: Callable[..., Download]) -> InstalledModel:
    """Give a model that has gone since, and is being fetched again."""
    model = installed(hive, hub)
    model.delete(confirm=False)
    hub.rate = 1e5
    download = begin(MODEL, hive.handle())
    until(lambda: download.bytes_downloaded > 0)
    return model


def until(condition: Callable[[], object]) -> None:
    end = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < end, "it did not become so"
        time.sleep(0.02)


def test_what_is_being_downloaded_is_not_deleted(
    hive: HiveProcess, hub: Hub, answers: Callable[[str], list[str]]
) -> None:
    model = coming(hive, hub, rbee.download)
    asked = answers("y")
    with pytest.raises(NotDeletedError, match="it is being downloaded; cancel that first"):
        model.delete()
    assert asked == []
    (download, *_) = rbee.downloads()
    download.cancel()
    until(lambda: download.attempt.is_over)


def test_what_another_tracker_downloads_its_hive_keeps(hive: HiveProcess, hub: Hub) -> None:
    other = Tracker(background=True)
    model = coming(hive, hub, other.download)
    with pytest.raises(NotDeletedError, match=f"Model '{MODEL}' is being downloaded"):
        model.delete(confirm=False)
    asyncio.run(other.aclose())


def test_a_hive_that_went_away_is_told(hive: HiveProcess, hub: Hub) -> None:
    model = installed(hive, hub)
    hive.stop()
    with pytest.raises(HiveUnreachableError, match="no rbee hive answers at"):
        model.delete(confirm=False)
    hive.start()
    assert len(rbee.models(hive.handle())) == 1


# -- A real hive ----------------------------------------------------------------------------------


class RealHive(ReplayHive):
    """A real hive by its recordings: only by its folder's name it deletes a model."""

    def __init__(self, *, deletes: bool = True) -> None:
        super().__init__(transcript("model_delete_listed_id"))
        self._catalog = transcript("model_list_three")
        self._deletes = deletes

    def _submit(self, value: Any) -> Any:
        if value["operation"] == "model_delete" and value["id"] == "org-big-big.Q8_0.gguf":
            self._recorded = transcript("model_delete_dir")
            if self._deletes:
                self._catalog = transcript("model_list_empty")
        return super()._submit(value)

    @property
    def operations(self) -> list[tuple[str, str | None]]:
        """What was submitted."""
        asked = [json for method, _, json in self.requests if method == "POST"]
        return [(one["operation"], one.get("id")) for one in asked]


@pytest.mark.anyio
async def test_a_real_hive_deletes_by_the_folders_name() -> None:
    async with RealHive() as hive:
        models = await asyncio.to_thread(rbee.models, Hive(hive.url, "localhost"))
        assert [model.id for model in models] == [
            "org/big:big.Q8_0.gguf",
            "org/tiny",
            "org/tiny:other.gguf",
        ]
        assert [model.added_at for model in models] == [None, None, None]
        assert await asyncio.to_thread(models[0].delete, confirm=False)
        assert hive.operations == [
            ("model_list", None),
            ("model_delete", "org-big-big.Q8_0.gguf"),
            ("model_list", None),
        ]


@pytest.mark.anyio
async def test_a_deletion_that_deletes_nothing_is_told_as_that() -> None:
    async with RealHive(deletes=False) as hive:
        (model, *_) = await asyncio.to_thread(rbee.models, Hive(hive.url, "localhost"))
        with pytest.raises(NotDeletedError, match="was not deleted: localhost still lists it"):
            await asyncio.to_thread(model.delete, confirm=False)


@pytest.mark.anyio
async def test_a_deletion_without_an_end_is_told_as_that(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rbee_widgets.client.DELETE_TIMEOUT_S", 0.3)
    listed = [{"id": "a/b", "name": "b", "path": "/m/a-b/model.gguf", "size": 1}]
    async with HostileHive(models=listed, streamed=stream([None])) as hive:
        (model,) = await asyncio.to_thread(rbee.models, Hive(hive.url, "slow"))
        with pytest.raises(NotDeletedError, match="a/b was not deleted: no end of it from slow"):
            await asyncio.to_thread(model.delete, confirm=False)


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("model", "path"),
    [
        ("..", "/home/user/.cache/rbee/models/../model.gguf"),
        (".", "/home/user/.cache/rbee/models/./model.gguf"),
        ("", "/home/user/.cache/rbee/models//model.gguf"),
        ("a/b", "/home/user/.cache/rbee/models/other/model.gguf"),
        ("a/b", "model.gguf"),
        ("a\\b", "C:\\rbee\\models\\a\\b\\model.gguf"),
    ],
)
async def test_a_real_hive_is_told_to_delete_a_models_own_folder_alone(
    model: str, path: str
) -> None:
    listed = [{"id": model, "name": "x", "path": path, "size": 1, "loaded": False}]
    async with HostileHive(models=listed) as hive:
        (found,) = await asyncio.to_thread(rbee.models, Hive(hive.url))
        before = len(hive.asked)
        with pytest.raises(NotDeletedError, match="its hive keeps it in another folder than"):
            await asyncio.to_thread(found.delete, confirm=False)
        assert hive.targets[before:] == ["GET /v1/jobs"]


@pytest.mark.anyio
async def test_when_a_model_came_is_seen_where_a_real_hive_of_this_machine_keeps_it(
    home: Path, tmp_path: Path
) -> None:
    place = home / "cache/rbee/models" / FOLDER / "model.gguf"
    elsewhere = tmp_path / FOLDER / "model.gguf"
    for file in (place, elsewhere):
        file.parent.mkdir(parents=True)
        file.write_bytes(b"GGUF")
        os.utime(file, (1_790_000_000, 1_790_000_000))
    listed = [
        {"id": MODEL, "name": "repo", "path": str(place), "size": 4, "loaded": False},
        {"id": "z/gone", "name": "gone", "path": str(place), "size": 4, "loaded": False},
        {"id": MODEL + "2", "name": "x", "path": str(elsewhere), "size": 4, "loaded": False},
    ]
    async with HostileHive(models=listed) as hive:
        models = await asyncio.to_thread(rbee.models, Hive(hive.url))
        operations = {one.body["operation"] for one in hive.asked if one.method == "POST"}
    came = datetime.fromtimestamp(1_790_000_000, UTC)
    assert [model.added_at for model in models] == [came, None, None]
    assert operations == {"model_list"}  # model_get rewrites the metadata of a real hive


# -- Where users are ------------------------------------------------------------------------------


@pytest.fixture
def kernel(tmp_path: Path, hub: Hub) -> Iterator[Kernel]:
    hub.add("org/repo", "file.Q4_K_M.gguf", size=1_500_000)
    with Kernel(tmp_path) as kernel:
        kernel.run(f"d = rbee.download('{MODEL}')\n_ = await d")
        yield kernel


@pytest.mark.usefixtures("local_hives")
def test_a_running_kernel_lists_and_asks(kernel: Kernel) -> None:
    kernel.run("models = rbee.models()")
    assert kernel.value("[one.id for one in models]") == [MODEL]
    assert kernel.value(
        "'<table' in get_ipython().display_formatter.format(models)[0]['text/html']"
    )
    question = f"Delete {MODEL}, 1.50 MB, from local? [y/N] "
    assert kernel.run("print(models[0].delete())", answer="n") == f"{question}False\n"
    assert kernel.value("len(rbee.models())") == 1
    assert kernel.run("print(models[0].delete())", answer="y") == f"{question}True\n"
    assert kernel.value("len(rbee.models())") == 0
    assert "No models on local" in kernel.run("print(rbee.models())")


@pytest.mark.usefixtures("local_hives")
def test_a_kernel_whose_user_cannot_be_asked_says_so_in_a_line(kernel: Kernel) -> None:
    with pytest.raises(CellError) as raised:
        kernel.run("rbee.models()[0].delete()")
    assert str(raised.value) == (
        f"NotDeletedError: {MODEL} was not deleted: "
        "nobody can be asked here; say so beforehand: delete(confirm=False)"
    )
    assert kernel.run("print(rbee.models()[0].delete(confirm=False))") == "True\n"


def test_a_script_is_asked_in_its_terminal(hive: HiveProcess, hub: Hub) -> None:
    fetched(hive, hub)
    script = "import rbee_widgets as rbee; print(rbee.models()[0].delete(), rbee.models() == [])"
    done = subprocess.run(
        [sys.executable, "-c", script],
        env={**os.environ, "RBEE_HIVE_URL": hive.url, "RBEE_HIVE_TOKEN": TOKEN},
        input="y\n",
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.endswith("[y/N] True True\n")


# -- The disk -------------------------------------------------------------------------------------


@pytest.mark.anyio
async def test_the_free_disk_is_what_an_embedded_hive_adds(hive: HiveProcess) -> None:
    ours = hive.handle()
    assert (await ours.capabilities()).disk_free
    await ours.aclose()
    async with ReplayHive(transcript("model_list_empty")) as real:
        theirs = Hive(real.url)
        told = await theirs.capabilities()
        await theirs.aclose()
    assert "disk_free" not in CAPABILITIES
    assert told.disk_free is None
