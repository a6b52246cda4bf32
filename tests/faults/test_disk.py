"""What a disk does: full at any moment, read-only, not ours; and how a download tells it."""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest

from rbee_widgets import Download, Tracker
from rbee_widgets.state import Status
from tests.faults.cases import fault
from tests.faults.conftest import Seen
from tests.support.disk import refusing
from tests.support.downloads import failure, sha256, until
from tests.support.hive import HiveProcess
from tests.support.hub import Hub

pytestmark = pytest.mark.anyio

MODEL = "org/repo:file.gguf"
FOLDER = "org-repo-file.gguf"
MB = 1_000_000


@contextmanager
def mounted(models: Path, hub: Hub, options: str) -> Iterator[HiveProcess]:
    """Run a hive whose models lie on a file system of their own, which only it sees."""
    models.mkdir()
    mount = f'mount -t tmpfs -o {options} tmpfs {models} && exec "$@"'
    user = [] if os.geteuid() == 0 else ["--map-root-user"]
    wrapped = ["unshare", "--mount", *user, "sh", "-c", mount, "sh"]
    with HiveProcess(models, hub.url, wrapped=wrapped) as hive:
        yield hive


@pytest.fixture
def small_disk(tmp_path: Path, hub: Hub) -> Iterator[HiveProcess]:
    with mounted(tmp_path / "models", hub, "size=20m") as hive:
        yield hive


def inside(hive: HiveProcess) -> Path:
    """Give the models folder as the hive sees it."""
    return Path(f"/proc/{hive.pid}/root{hive.models}")


def got(hub: Hub) -> bool:
    return any(request.method == "GET" for request in hub.requests)


def was_not_tried_again(download: Download) -> bool:
    return not any("🔁" in line for line in download.narration)


@fault(13, "file larger than the disk's free space", "refused before its first byte, with figures")
async def test_a_file_that_does_not_fit_is_refused_before_its_first_byte(
    small_disk: HiveProcess, hub: Hub, seen: Seen
) -> None:
    hub.add("org/repo", "file.gguf", size=30 * MB)
    tracker = Tracker([small_disk.handle()])
    failed = await failure(tracker.download(MODEL))
    assert "No space left on device (os error 28)" in str(failed.error)
    assert "30.00 MB are still to come and 20." in str(failed.hint)
    assert "make room, then Retry" in str(failed.hint)
    assert not got(hub)
    await tracker.aclose()
    seen(f"refused: {str(failed.hint).partition(' in /')[0]}")


@fault(13, "space that other downloads need", "refused, as it is not free")
async def test_what_running_ones_need_is_not_free(
    small_disk: HiveProcess, hub: Hub, seen: Seen
) -> None:
    hub.rate = 6e6
    for name in ("a", "b"):
        hub.add("org/repo", f"{name}.gguf", size=12 * MB)
    tracker = Tracker([small_disk.handle()])
    first = tracker.download("org/repo:a.gguf")
    await until(lambda: first.bytes_downloaded > 2 * MB)
    failed = await failure(tracker.download("org/repo:b.gguf"))
    assert "No space left on device" in str(failed.error)
    assert "of which other downloads need" in str(failed.hint)
    assert (await first).status is Status.COMPLETE
    await tracker.aclose()
    seen("refused; the other one complete")


@fault(13, "ENOSPC at write, in the middle", "that one fails at once, with figures; Retry goes on")
async def test_a_disk_that_fills_up_in_the_middle_fails_that_download_alone(
    small_disk: HiveProcess, hub: Hub, seen: Seen
) -> None:
    hub.rate = 15e6
    hub.add("org/repo", "file.gguf", size=15 * MB)
    hub.add("org/repo", "small.gguf", size=1000)
    tracker = Tracker([small_disk.handle()])
    download = tracker.download(MODEL)
    await until(lambda: download.bytes_downloaded > MB)
    filler = inside(small_disk) / "filler"
    filler.write_bytes(b"x" * 10 * MB)
    failed = await failure(download)
    assert "No space left on device (os error 28)" in str(failed.error)
    told = re.match(r"([0-9.]+) MB are still to come and 0\.[0-9]+ MB are free", str(failed.hint))
    assert told is not None
    assert 3 < float(told[1]) <= 15 - download.bytes_downloaded / MB + 0.01
    assert was_not_tried_again(download)
    assert not (inside(small_disk) / FOLDER / "model.gguf").exists()
    assert (inside(small_disk) / FOLDER / "model.gguf.part").exists()
    filler.unlink()
    await tracker.download("org/repo:small.gguf")
    before, kept = hub.sent, download.bytes_downloaded
    download.retry()
    await download
    assert sha256(inside(small_disk) / FOLDER / "model.gguf") == hub.sha256("org/repo", "file.gguf")
    assert hub.sent - before < 15 * MB
    await tracker.aclose()
    seen(
        f"failed: {str(failed.hint).partition(' in /')[0]}; "
        f"Retry fetched {(hub.sent - before) / MB:.1f} MB, {kept / MB:.1f} MB were there"
    )


@fault(13, "EFBIG: a file may not be so large", "fails at once, no part taken for the whole")
async def test_a_write_that_takes_a_part_is_no_whole_file(
    tmp_path: Path, hub: Hub, seen: Seen
) -> None:
    hub.add("org/repo", "file.gguf", size=3 * MB)
    limit = ["prlimit", "--fsize=2999900"]
    with HiveProcess(tmp_path / "models", hub.url, wrapped=limit) as hive:
        tracker = Tracker([hive.handle()])
        download = tracker.download(MODEL)
        failed = await failure(download)
        assert "File too large (os error 27)" in str(failed.error)
        assert "are still to come" in str(failed.hint)
        assert was_not_tried_again(download)
        assert not (hive.models / FOLDER / "model.gguf").exists()
        await tracker.aclose()
    seen(f"failed: {str(failed.error).partition('I/O error ')[2]}")


@fault(
    13, "disk refuses at", "fails at once; Retry completes, what is doubtful alone fetched again"
)
@pytest.mark.parametrize(
    ("call", "name", "error", "is_doubtful"),
    [
        pytest.param("fsync", "model.gguf.part", errno.ENOSPC, True, id="fsync, ENOSPC"),
        pytest.param("fsync", "model.gguf.part", errno.EDQUOT, True, id="fsync, EDQUOT"),
        pytest.param("fsync", "model.gguf.part", errno.EIO, True, id="fsync, EIO"),
        pytest.param("rename", "model.gguf", errno.ENOSPC, False, id="rename, ENOSPC"),
        pytest.param("rename", "model.gguf", errno.EACCES, False, id="rename, EACCES"),
        pytest.param("rename", "model.gguf.part.json", errno.ENOSPC, True, id="its record, ENOSPC"),
        pytest.param(
            "rename", "metadata.json", errno.ENOSPC, False, id="the catalog's entry, ENOSPC"
        ),
    ],
)
async def test_a_disk_that_refuses_late_fails_that_download_alone(
    tmp_path: Path, hub: Hub, call: str, name: str, error: int, is_doubtful: bool, seen: Seen
) -> None:
    hub.add("org/repo", "file.gguf", size=6 * MB)
    hub.add("org/repo", "small.gguf", size=1000)
    flag = tmp_path / "refuses"
    flag.touch()
    wrapped = refusing(flag, call, name, error)
    with HiveProcess(tmp_path / "models", hub.url, wrapped=wrapped) as hive:
        tracker = Tracker([hive.handle()])
        download = tracker.download(MODEL)
        failed = await failure(download)
        assert f"{os.strerror(error)} (os error {error})" in str(failed.error)
        assert "then Retry" in str(failed.hint)
        assert was_not_tried_again(download)
        place = hive.models / FOLDER
        assert not (place / "metadata.json").exists()
        assert (place / "model.gguf").exists() == (name == "metadata.json")
        flag.unlink()
        before = hub.sent
        await tracker.download("org/repo:small.gguf")
        download.retry()
        await download
        again = hub.sent - before - 1000
        assert sha256(download.path) == hub.sha256("org/repo", "file.gguf")
        assert {file.name for file in place.iterdir()} == {"model.gguf", "metadata.json"}
        assert again == (6 * MB if is_doubtful else 0)
        await tracker.aclose()
    seen(f"failed: {os.strerror(error)}; Retry fetched {again / MB:.1f} MB of 6")


@fault(14, "models folder that can't be written", "fails before the first byte, naming the place")
@pytest.mark.parametrize("how", ["is a file", "read-only file system", "not ours"])
async def test_a_folder_that_cannot_be_written_is_told_before_the_first_byte(
    tmp_path: Path, hub: Hub, how: str, seen: Seen
) -> None:
    hub.add("org/repo", "file.gguf", size=MB)
    models = tmp_path / "models"
    running: AbstractContextManager[HiveProcess]
    match how:
        case "is a file":
            models.touch()
            told, running = "Not a directory", HiveProcess(models, hub.url)
        case "read-only file system":
            told, running = "Read-only file system", mounted(models, hub, "ro")
        case _:
            models.mkdir(mode=0o500)
            # As root, permissions hold for those alone who gave up passing over them.
            plain = ["setpriv", "--bounding-set", "-dac_override,-dac_read_search"]
            wrapped = plain if os.geteuid() == 0 else []
            told, running = "Permission denied", HiveProcess(models, hub.url, wrapped=wrapped)
    with running as hive:
        tracker = Tracker([hive.handle()])
        download = tracker.download(MODEL)
        failed = await failure(download)
        await tracker.aclose()
    assert told in str(failed.error)
    assert str(models) in str(failed.hint)
    assert was_not_tried_again(download)
    assert not got(hub)
    seen(f"failed: {str(failed.error).partition('I/O error ')[2]}")


@fault(14, "folder in the place of the file", "fails before the first byte, naming it")
async def test_a_folder_of_the_files_name_is_told(
    hive: HiveProcess, hub: Hub, tracker: Tracker, seen: Seen
) -> None:
    hub.add("org/repo", "file.gguf", size=MB)
    (hive.models / FOLDER / "model.gguf").mkdir(parents=True)
    failed = await failure(tracker.download(MODEL))
    assert "A folder has the file's name" in str(failed.error)
    assert f"{hive.models / FOLDER / 'model.gguf'} can't be written" in str(failed.hint)
    assert not got(hub)
    seen(f"failed: {str(failed.error).partition('I/O error ')[2]}")
