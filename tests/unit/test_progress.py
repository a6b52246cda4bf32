"""Figures that don't lie."""

from __future__ import annotations

import pytest

from rbee_widgets.progress import Progress


def steady(rate: float, seconds: float, *, step: float = 0.2, total: int = 10**9) -> Progress:
    progress = Progress()
    for i in range(int(seconds / step) + 1):
        progress.observe(i * step, bytes_downloaded=int(i * step * rate), total_size=total)
    return progress


def percent_only(points: list[tuple[float, float]]) -> Progress:
    progress = Progress()
    for at, percentage in points:
        progress.observe(at, percentage=percentage)
    return progress


def test_nothing_is_known_at_first() -> None:
    progress = Progress()
    assert progress.percentage is None
    assert progress.speed(1) is None
    assert progress.eta(1) is None
    assert progress.stalled_for(100) is None


def test_a_steady_rate_is_told_as_it_is() -> None:
    progress = steady(60e6, 3)
    assert progress.speed(3) == pytest.approx(60e6, rel=0.02)
    assert progress.eta(3) == pytest.approx((10**9 - 180e6) / 60e6, rel=0.05)


def test_a_resumed_part_is_no_speed() -> None:
    progress = Progress()
    progress.observe(0, bytes_downloaded=900_000_000, total_size=10**9)
    progress.observe(1, bytes_downloaded=901_000_000, total_size=10**9)
    assert progress.speed(1) == pytest.approx(1e6)


def test_an_eta_waits_until_it_means_something() -> None:
    progress = steady(1e6, 1)
    assert progress.speed(1) is not None
    assert progress.eta(1) is None


def test_a_stall_brings_the_speed_down_to_zero_and_takes_the_eta_away() -> None:
    progress = steady(60e6, 5)
    speeds = [progress.speed(now) for now in (5.0, 7.0, 9.0, 14.9, 15.1)]
    assert speeds == sorted(speeds, key=lambda speed: -(speed or 0.0))
    assert speeds[-1] == 0
    assert progress.eta(15.1) is None
    assert progress.stalled_for(14) is None
    assert progress.stalled_for(20) == pytest.approx(15)


def test_a_heartbeat_every_ten_seconds_is_no_stall() -> None:
    progress = percent_only([(0, 10.0), (10, 20.0), (20, 30.0), (30, 40.0)])
    assert progress.stalled_for(49) is None
    assert progress.stalled_for(61) is not None
    assert progress.eta(30) == pytest.approx(60, rel=0.1)
    assert progress.speed(30) is None  # bytes are not known


def test_a_total_learnt_late_turns_percent_into_bytes() -> None:
    progress = percent_only([(0, 10.0), (10, 20.0), (20, 30.0)])
    progress.observe(30, percentage=40.0, total_size=1000)
    assert progress.bytes_downloaded == 400
    assert progress.speed(30) == pytest.approx(10, rel=0.05)


def test_the_finer_of_two_figures_wins() -> None:
    coarse_bytes = Progress()
    coarse_bytes.observe(
        0,
        percentage=25.3,
        percentage_step=0.1,
        bytes_downloaded=1_200_000_000,
        bytes_step=1e8,
        total_size=4_700_000_000,
    )
    assert coarse_bytes.bytes_downloaded == round(0.253 * 4_700_000_000)
    fine_bytes = Progress()
    fine_bytes.observe(
        0,
        percentage=45.2,
        percentage_step=0.1,
        bytes_downloaded=2_502_310_000,
        bytes_step=1e4,
        total_size=5_536_000_000,
    )
    assert fine_bytes.bytes_downloaded == 2_502_310_000


def test_progress_never_goes_back_and_never_beyond_all() -> None:
    progress = Progress()
    told = []
    for at, done in enumerate((10, 50, 30, 90, 20, 101)):
        progress.observe(at, bytes_downloaded=done, total_size=100)
        told.append(progress.bytes_downloaded)
    assert told == [10, 50, 50, 90, 90, 100]


def test_an_empty_file_divides_nothing_by_zero() -> None:
    progress = Progress()
    progress.observe(0, percentage=0.0, bytes_downloaded=0, total_size=0)
    assert progress.percentage == 0.0
    assert progress.speed(1) is None
    assert progress.is_whole


def test_samples_that_come_in_one_burst_count_for_the_time_they_took() -> None:
    progress = Progress()
    progress.observe(0, bytes_downloaded=0, total_size=10**9)
    for i in range(1, 241):  # a cell kept the loop for a minute
        progress.observe(60 + i * 1e-6, bytes_downloaded=i * 250_000, total_size=10**9)
    assert progress.speed(60.001) == pytest.approx(1e6, rel=0.05)
