"""Frames of a page: how many a second, and how many come late."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import fmean, median, quantiles
from typing import Final

FRAME_MS: Final = 1e3 / 60

LATE_MS: Final = 20.0
"""Milliseconds between two frames that are more than the sixtieth of a second and its jitter."""

PACED: Final = """
    const paced = (milliseconds, each) => new Promise(told => {
        const frames = [];
        const frame = at => {
            frames.push(at);
            each?.();
            if (at - frames[0] < milliseconds) requestAnimationFrame(frame);
            else told(frames);
        };
        requestAnimationFrame(frame);
    });
"""
"""JavaScript: `paced` gives the times of frames, in milliseconds."""

SCROLL: Final = f"""
    ([selector, milliseconds, pixels]) => {{
        {PACED}
        const box = document.querySelector(selector);
        let step = pixels;
        return paced(milliseconds, () => {{
            const before = box.scrollTop;
            box.scrollTop += step;
            if (box.scrollTop === before) step = -step;
        }});
    }}
"""
"""JavaScript: scrolls a box down and up so many pixels a frame, and gives the times of frames."""


@dataclass(frozen=True, slots=True)
class Pace:
    """Frames of a page: how many a second, milliseconds between two, the part that is late."""

    rate: float
    p50: float
    p95: float
    worst: float
    late: float
    dropped: int
    """Frames that a screen of 60 a second would have shown and this page did not."""


def pace_of(frames: Sequence[float]) -> Pace:
    """Make figures of the times of frames."""
    intervals = [after - before for before, after in pairwise(frames)]
    return Pace(
        rate=1e3 / fmean(intervals),
        p50=median(intervals),
        p95=p95_of(intervals),
        worst=max(intervals),
        late=sum(interval > LATE_MS for interval in intervals) / len(intervals),
        dropped=sum(max(0, round(interval / FRAME_MS) - 1) for interval in intervals),
    )


def p95_of(values: Sequence[float]) -> float:
    """Give what one value in twenty is more than."""
    return quantiles(values, n=20, method="inclusive")[-1]
