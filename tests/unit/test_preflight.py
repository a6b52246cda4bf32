"""What running and finished downloads tell of the next one."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from rbee_widgets.market.preflight import Figures, Traffic, traffic
from rbee_widgets.state import Status
from tests.support.stage import Stage, progress

GB = 10**9


@dataclass(frozen=True)
class Told:
    status: Status
    bytes_downloaded: int = 0
    total_size: int | None = None
    speed: float | None = None
    usual_speed: float | None = None
    hive: str = "local"


def over(size: int, speed: float | None, status: Status = Status.COMPLETE) -> Told:
    return Told(status, size, size, usual_speed=speed)


def test_of_no_download_nothing_is_known() -> None:
    assert traffic([], "local") == Traffic(promised=0, speed=None)


def test_what_still_comes_is_promised() -> None:
    downloads = [
        Told(Status.QUEUED, 0, 3 * GB),
        Told(Status.DOWNLOADING, 2 * GB, 5 * GB, speed=20e6),
        Told(Status.DOWNLOADING, GB, None, speed=10e6),
        Told(Status.FINISHING, GB, GB),
    ]
    assert traffic(downloads, "local") == Traffic(promised=6 * GB, speed=30e6)


@pytest.mark.parametrize("status", [one for one in Status if not one.is_active or "cell" in one])
def test_what_comes_no_more_is_promised_nothing(status: Status) -> None:
    assert traffic([Told(status, GB, 5 * GB)], "local").promised == 0


def test_a_total_that_was_too_small_takes_nothing_off() -> None:
    downloads = [Told(Status.DOWNLOADING, 3 * GB, 2 * GB), Told(Status.QUEUED, 0, GB)]
    assert traffic(downloads, "local").promised == GB


def test_another_hive_is_another_matter() -> None:
    downloads = [
        Told(Status.DOWNLOADING, 0, GB, speed=5e6, hive="gaming-pc"),
        Told(Status.DOWNLOADING, 0, 2 * GB, speed=7e6),
    ]
    assert traffic(downloads, "gaming-pc") == Traffic(promised=GB, speed=5e6)
    assert traffic(downloads, "elsewhere") == Traffic(promised=0, speed=None)


@pytest.mark.parametrize("speed", [None, 0.0])
def test_where_nothing_flows_the_newest_that_are_over_tell(speed: float | None) -> None:
    downloads: list[Figures] = [
        Told(Status.DOWNLOADING, GB, 2 * GB, speed=speed, usual_speed=1e6),
        over(GB, 10e6),
        over(0, None),
        over(GB, None),
        over(GB, 40e6, Status.CANCELLED),
        over(4 * GB, 40e6, Status.FAILED),
        over(9 * GB, 900e6),
    ]
    # 6 GB in 100 + 25 + 100 s; the fourth is too long ago.
    assert traffic(downloads, "local").speed == pytest.approx(6 * GB / 225)


def test_a_tiny_file_weighs_little() -> None:
    speed = traffic([over(1000, 1000.0), over(10 * GB, 50e6)], "local").speed
    assert speed == pytest.approx(50e6, rel=0.01)


@pytest.mark.anyio
async def test_a_download_tells_what_is_asked_of_it() -> None:
    now = 0.0
    stage = Stage(clock=lambda: now)
    first = stage.enter("org/repo:f.gguf")
    second = stage.enter("org/repo:g.gguf")
    for second_by_second in range(6):
        now = float(second_by_second)
        stage.hear(first, progress(now * 10e6, 50e6))
        stage.hear(second, progress(now * 20e6, 200e6))
    now = 5.0
    running = traffic(stage.downloads, "local")
    assert running.promised == 100_000_000
    assert running.speed == pytest.approx(20e6, rel=0.05)
    stage.hear(first, "[DONE]")
    stage.hear(second, "[CANCELLED]")
    assert traffic(stage.downloads, "local").promised == 0
    assert traffic(stage.downloads, "local").speed == pytest.approx(150e6 / 10, rel=0.05)
    await stage.aclose()
