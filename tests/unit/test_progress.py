"""Figures that don't lie."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

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


def test_what_is_over_tells_how_fast_it_was() -> None:
    assert Progress().usual_speed is None
    progress = steady(60e6, 5)
    progress.complete(10**9)
    assert progress.usual_speed == pytest.approx(60e6, rel=0.02)
    # A real hive tells percent, and the size at the end alone.
    in_percent = percent_only([(0, 10.0), (10, 20.0), (20, 30.0)])
    assert in_percent.usual_speed is None
    in_percent.complete(1000)
    assert in_percent.usual_speed == pytest.approx(10, rel=0.05)


def test_what_came_at_once_tells_no_speed() -> None:
    progress = Progress()
    progress.observe(0, bytes_downloaded=1000, total_size=1000)
    progress.complete()
    assert progress.usual_speed is None


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


def test_an_eta_runs_down_between_two_lines() -> None:
    progress = percent_only([(0, 10.0), (10, 20.0), (20, 30.0), (30, 40.0)])
    told = [progress.eta(now) for now in (30, 33, 39)]
    assert told == pytest.approx([60, 57, 51])


def test_an_eta_does_not_run_out_before_the_download_does() -> None:
    progress = percent_only([(0, 25.0), (10, 50.0), (20, 75.0), (30, 99.0)])
    last = progress.eta(30)
    assert last is not None
    for now in (39, 59):
        left = progress.eta(now)
        assert left is not None
        assert left >= 0.3 * last


def test_a_slow_start_is_forgotten() -> None:
    progress = Progress()
    done = 0.0
    for i in range(200):  # ten seconds at a tenth of the rate, then thirty at all of it
        done += 0.2 * (1e6 if i < 50 else 1e7)
        progress.observe(i * 0.2, bytes_downloaded=int(done), total_size=10**9)
    assert progress.eta(39.8) == pytest.approx((1e9 - done) / 1e7, rel=0.2)  # by the mean 93 s


def test_a_far_end_does_not_follow_the_moment() -> None:
    progress = steady(1e6, 60)
    before = progress.eta(60)
    for i in range(1, 26):  # five seconds at a third of the rate
        progress.observe(60 + i * 0.2, bytes_downloaded=int(60e6 + i * 66_000), total_size=10**9)
    after = progress.eta(65)
    assert before is not None
    assert after is not None
    assert after < 1.15 * before


def test_a_near_end_follows_the_moment() -> None:
    progress = steady(1e6, 60, total=70_000_000)
    for i in range(1, 51):  # ten seconds at a third of the rate
        progress.observe(
            60 + i * 0.2, bytes_downloaded=int(60e6 + i * 66_000), total_size=70_000_000
        )
    assert progress.eta(70) == pytest.approx(6.7e6 / 3.3e5, rel=0.3)  # by the mean 7 s


def test_a_range_is_wider_where_the_rate_is_unsteady() -> None:
    calm = steady(1e6, 60)
    rough = Progress()
    done = 0.0
    for i in range(301):
        rough.observe(i * 0.2, bytes_downloaded=int(done), total_size=10**9)
        done += 0.2 * (2e6 if i // 25 % 2 else 1e5)
    widths = []
    for progress in (calm, rough):
        told = progress.eta_range(60)
        assert told is not None
        widths.append(math.log(told[1] / told[0]))
    assert widths[0] < math.log(1.5) < widths[1]


def test_where_there_is_no_eta_there_is_no_range() -> None:
    progress = steady(60e6, 5)
    assert Progress().eta_range(1) is None
    assert steady(1e6, 1).eta_range(1) is None
    assert progress.eta_range(5) is not None
    assert progress.eta_range(15.1) is None  # stalled
    progress.complete()
    assert progress.eta_range(5.1) is None


def test_a_stall_is_seen_within_ten_seconds_of_another() -> None:
    progress = steady(1e6, 20)
    progress.observe(60, bytes_downloaded=21_000_000, total_size=10**9)
    assert progress.stalled_for(69.9) is None
    assert progress.speed(70.1) == 0


def flows(*spans: tuple[float, float], step: float = 0.25) -> tuple[Progress, float, int]:
    """A megabyte a second for some seconds, nothing for some, in turns; when and where it ends."""
    progress, now, done = Progress(), 0.0, 0
    for flowing, resting in spans:
        for _ in range(int(flowing / step)):
            progress.observe(now, bytes_downloaded=done, total_size=10**9)
            now += step
            done += int(1e6 * step)
        now += resting
    return progress, now - spans[-1][1], done


def test_after_a_stall_it_goes_on_as_before() -> None:
    progress, now, done = flows((60, 25), (10, 0))
    assert progress.eta(now) == pytest.approx((1e9 - done) / 1e6, rel=0.1)


def test_stalls_that_come_again_and_again_are_reckoned_with() -> None:
    progress, now, done = flows(*[(2, 18)] * 20)
    assert progress.eta(now) == pytest.approx((1e9 - done) / 1e5, rel=0.2)


def test_a_reader_that_was_held_up_tells_the_true_speed() -> None:
    progress, now, done = flows((60, 0))
    for i in range(1, 241):  # a cell kept the loop for a minute
        progress.observe(now + 60 + i * 1e-4, bytes_downloaded=done + i * 250_000)
    assert progress.speed(now + 60.03) == pytest.approx(1e6, rel=0.1)
    assert progress.eta(now + 60.03) == pytest.approx((1e9 - done - 60e6) / 1e6, rel=0.05)


def test_lines_that_come_ever_more_seldom_are_no_stall_for_long() -> None:
    progress = steady(1e6, 5)
    for i in range(1, 31):
        progress.observe(5 + i * 15, bytes_downloaded=5_000_000 + i * 15_000_000)
    assert progress.stalled_for(5 + 31 * 15) is None


def test_a_total_that_grows_takes_no_percentage_back() -> None:
    progress = Progress()
    progress.observe(0, bytes_downloaded=50, total_size=100)
    progress.observe(1, bytes_downloaded=60, total_size=200)
    assert progress.percentage == 50
    progress.observe(2, bytes_downloaded=150)
    assert progress.percentage == 75


LINES = st.lists(
    st.tuples(
        st.floats(0, 100),  # seconds since the line before
        st.none() | st.floats(0, 100).map(lambda told: round(told, 1)),
        st.none() | st.integers(0, 10**13),
        st.none() | st.integers(0, 10**13),
    ),
    max_size=40,
)


@settings(deadline=None)  # a busy machine is no failure
@given(lines=LINES, idle=st.floats(0, 1000))
def test_whatever_comes_the_figures_make_sense(
    lines: list[tuple[float, float | None, int | None, int | None]], idle: float
) -> None:
    progress, now, shown = Progress(), 1e5, 0.0
    for elapsed, percentage, done, total in lines:
        now += elapsed
        progress.observe(
            now,
            percentage=percentage,
            percentage_step=0.1,
            bytes_downloaded=done,
            bytes_step=1.0,
            total_size=total,
        )
        assert shown <= (progress.percentage or 0.0) <= 100
        shown = progress.percentage or 0.0
    now += idle
    speed, eta, span = progress.speed(now), progress.eta(now), progress.eta_range(now)
    assert speed is None or 0 <= speed < math.inf
    assert eta is None or 0 <= eta < math.inf
    if span is not None:
        assert eta is not None
        assert 0 <= span[0] <= eta <= span[1] < math.inf
    if progress.stalled_for(now) is not None:
        assert eta is None
        assert not speed


@settings(deadline=None)
@given(
    rate=st.floats(1e3, 1e10),
    step=st.floats(0.05, 12),
    share=st.floats(0, 0.9),
    minutes=st.floats(1, 600),
)
def test_a_steady_download_is_foretold_exactly(
    rate: float, step: float, share: float, minutes: float
) -> None:
    seconds = 60 * minutes
    total = int(rate * seconds / (1 - share))
    progress = Progress()
    samples = min(300, int(0.8 * seconds / step))
    for i in range(samples):
        done = int(share * total + rate * step * i)
        progress.observe(i * step, bytes_downloaded=done, total_size=total)
    if samples > 50:
        left = (total - progress.bytes_downloaded) / rate
        assert progress.eta((samples - 1) * step) == pytest.approx(left, rel=0.05)
