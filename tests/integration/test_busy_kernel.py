"""A cell holds the kernel: what goes on meanwhile, and what can still be done."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support.hub import Hub
from tests.support.kernel import Kernel

pytestmark = pytest.mark.usefixtures("local_hives")

MB = 1_000_000


@pytest.fixture
def kernel(tmp_path: Path, hub: Hub) -> Iterator[Kernel]:
    """A kernel beside a hub with two files of 100 MB that come at 15 MB/s."""
    hub.rate = 15e6
    hub.add("org/repo", "file.gguf", size=100 * MB)
    hub.add("org/repo", "other.gguf", size=100 * MB)
    with Kernel(tmp_path) as kernel:
        yield kernel


def until(condition: Callable[[], object], limit: float = 10.0) -> None:
    end = time.monotonic() + limit
    while not condition():
        assert time.monotonic() < end, "it did not become so"
        time.sleep(0.02)


def begin(kernel: Kernel, name: str, line: str) -> None:
    """Begin a download, and wait for its first bytes."""
    kernel.run(f"{name} = get_ipython().run_line_magic('download', '{line}')\nimport time")
    until(lambda: kernel.value(f"{name}.bytes_downloaded"))


def grown(kernel: Kernel, name: str) -> int:
    """Give the bytes that a download's figures move on by while a cell holds the kernel for 2 s."""
    kernel.run(f"before = {name}.bytes_downloaded\ntime.sleep(2)\nafter = {name}.bytes_downloaded")
    bytes_: int = kernel.value("after - before")
    return bytes_


def test_what_is_followed_in_the_background_moves_beside_a_busy_cell(kernel: Kernel) -> None:
    begin(kernel, "d", "org/repo:file.gguf --background")
    begin(kernel, "e", "org/repo:other.gguf")
    assert grown(kernel, "d") > 10 * MB / 2
    assert grown(kernel, "e") == 0
    assert kernel.value("[one.name for one in rbee.downloads()]") == [
        "org/repo:other.gguf",
        "org/repo:file.gguf",
    ]
    kernel.run("for one in rbee.downloads(): one.cancel()")
    until(lambda: set(kernel.value("[one.status for one in rbee.downloads()]")) == {"cancelled"})


def test_another_kernel_has_what_was_in_the_background_in_the_fore(
    kernel: Kernel, tmp_path: Path
) -> None:
    begin(kernel, "d", "org/repo:file.gguf --background")
    begin(kernel, "e", "org/repo:other.gguf")
    kernel.kill()
    with Kernel(tmp_path) as other:
        until(lambda: len(other.value("[one.name for one in rbee.downloads()]")) == 2)
        other.run("get_ipython().run_line_magic('download', '--background')")
        assert len(other.value("[one.name for one in rbee.downloads()]")) == 2
        assert {row["status"] for row in other.rows()} <= {"downloading", "interrupted"}
        other.run("for one in rbee.downloads(): one.cancel()")
        until(lambda: set(other.value("[one.status for one in rbee.downloads()]")) == {"cancelled"})


def test_a_hive_that_is_added_is_known_in_the_background_too(kernel: Kernel) -> None:
    kernel.run("get_ipython().run_line_magic('hive', 'add before http://127.0.0.1:1')")
    begin(kernel, "d", "org/repo:file.gguf --hive local --background")
    kernel.run("get_ipython().run_line_magic('hive', 'add after http://127.0.0.1:1')")
    kernel.run("from rbee_widgets.tracker import default_tracker as default")
    ids = kernel.value("[one.id for one in default(background=True).hives]")
    assert {"before", "after"} <= set(ids)
    kernel.run("d.cancel()")


def test_cancel_reaches_the_hive_from_another_thread_while_a_cell_holds_the_kernel(
    kernel: Kernel, hub: Hub
) -> None:
    """More of them than a hive is asked over connections: none may lose its turn."""
    files = [f"{i}.gguf" for i in range(20)]
    for file in files:
        hub.add("org/many", file, size=100 * MB)
    kernel.run(f"d = [rbee.download(f'org/many:{{file}}') for file in {files}]\nimport time")
    until(lambda: all(kernel.value("[one.job_id for one in d]")) and hub.open_transfers)
    kernel.run("p = rbee.DownloadPanel()")
    press = "p._on_message(p, {'kind': 'cancel', 'ids': [one.id for one in d]}, [])"
    cell = kernel.send(
        f"import threading\nthreading.Thread(target=lambda: {press}).start()\ntime.sleep(4)\n"
        "import httpx\nfrom rbee_widgets.hive import launch\nat = launch.running()\n"
        "head = {'Authorization': f'Bearer {at.token}'}\n"
        "jobs = httpx.get(f'{at.url}/v1/jobs', headers=head).json()['jobs']"
    )
    until(lambda: hub.open_transfers == 0, 3)
    assert kernel.reply(cell) == "ok"
    assert kernel.value("[job['state'] for job in jobs]") == ["cancelled"] * 20
    until(lambda: set(kernel.value("[one.status for one in d]")) == {"cancelled"}, 5)
