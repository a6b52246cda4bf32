"""Figures of the marketplace as tables, and the goals that it is judged by."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Final, TypeVar

from benchmarks.frames import FRAME_MS, Pace, p95_of
from benchmarks.market_arms import OURS, PLAIN
from benchmarks.market_page import MANY, SLOW_S, STEPS, Found, Key, Keys, Shown, Unfolded
from benchmarks.report import Verdict, line

MORE_MS: Final = 100.0
RATE: Final = 59.0
"""Frames a second that are sixty, less what a run of five seconds may lose to its neighbours."""


_T = TypeVar("_T")


def _by_arm() -> defaultdict[str, list[_T]]:
    return defaultdict(list)


@dataclass(slots=True)
class Figures:
    """All that was seen, over all rounds."""

    shown: defaultdict[str, list[Shown]] = field(default_factory=_by_arm)
    scrolled: defaultdict[str, list[dict[int, Pace]]] = field(default_factory=_by_arm)
    quick: list[Found] = field(default_factory=list)
    """Searches of a hub that answers at once,"""
    slow: list[Found] = field(default_factory=list)
    """of one that takes its time,"""
    replaced: list[Found] = field(default_factory=list)
    """and with all results standing."""
    searching: list[Keys] = field(default_factory=list)
    """Keys while searches of a slow hub come and go,"""
    standing: list[Keys] = field(default_factory=list)
    """while all results stand,"""
    plain: list[Keys] = field(default_factory=list)
    """and in a plain field, beside plain text."""
    unfolded: list[Unfolded] = field(default_factory=list)
    loading: list[float] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)


# -- Tables ---------------------------------------------------------------------------------------


def tables(figures: Figures) -> str:
    """Draw all that was seen."""
    parts = [_searches(figures), _lists(figures), _keys(figures), _unfolded(figures)]
    if figures.faults:
        parts.append("\n".join(["Failed:", "", *(f"- {fault}" for fault in figures.faults), ""]))
    return "\n".join(parts)


def _searches(figures: Figures) -> str:
    head = (
        *("hub", "searches", "the hub's own ms: p50", "painted after sending: p50", "p95"),
        *("**more than the hub's**: p50", "p95", "to the hub: p50", "back: p50", "frame: p50"),
        *("painted after the key: p50", "p95"),
    )
    kinds = {
        "answers at once": figures.quick,
        f"takes {SLOW_S} s": figures.slow,
        f"answers at once, {MANY} results stand": figures.replaced,
    }
    lines = [_search(name, found) for name, found in kinds.items() if found]
    return _drawn("### Search to first painted result", head, lines)


def _search(name: str, found: Sequence[Found]) -> list[str]:
    more = [one.more for one in found]
    sent = [one.sent for one in found]
    typed = [one.typed for one in found]
    return [
        name,
        str(len(found)),
        f"{median(one.hub for one in found):.0f}",
        *_spread(sent),
        *_spread(more),
        f"{median(one.there for one in found):.0f}",
        f"{median(one.back for one in found):.0f}",
        f"{median(one.frame for one in found):.0f}",
        *_spread(typed),
    ]


def _lists(figures: Figures) -> str:
    each = ("frames/s", "ms between two: p50", "p95", "dropped")
    head = (
        *("display", "first line after s (min–max)", f"all {MANY} after s"),
        *(f"{step} px a frame: {what}" for step in STEPS for what in each),
    )
    lines = [
        [
            arm,
            *_shown(figures, arm),
            *(cell for step in STEPS for cell in _pace(figures, arm, step)),
        ]
        for arm in figures.shown
    ]
    return _drawn(f"### {MANY} lines, and scrolling through them", head, lines)


def _shown(figures: Figures, arm: str) -> list[str]:
    runs = figures.shown[arm]
    first = [one.first for one in runs if one.first is not None]
    last = [one.all for one in runs if one.all is not None]
    if arm == OURS:
        told = f"{median(figures.loading):.1f}, by scrolling on" if figures.loading else "–"
    elif len(last) < len(runs):
        told = f"never, in {len(runs) - len(last)} of {len(runs)}"
    else:
        told = f"{median(last):.1f}"
    if len(first) < len(runs):
        return [f"never, in {len(runs) - len(first)} of {len(runs)}", told]
    return [f"{median(first):.1f} ({min(first):.1f}–{max(first):.1f})", told]


def _pace(figures: Figures, arm: str, step: int) -> list[str]:
    runs = [run[step] for run in figures.scrolled[arm]]
    if not runs:
        return ["–"] * 4
    return [
        f"{median(one.rate for one in runs):.1f}",
        f"{median(one.p50 for one in runs):.1f}",
        f"{median(one.p95 for one in runs):.1f}",
        f"{median(one.dropped for one in runs):.0f}",
    ]


def _keys(figures: Figures) -> str:
    each = ("p50", "p95", "worst")
    head = (
        *("while", "keys", "searches that they sent"),
        *(f"handlers, ms: {what}" if what == "p50" else what for what in each),
        *(f"key to paint, ms: {what}" if what == "p50" else what for what in each),
    )
    kinds = {
        "searches of a slow hub come and go": figures.searching,
        f"{MANY} results stand": figures.standing,
        f"{MANY} lines of plain text stand, in a plain field": figures.plain,
    }
    lines = []
    for name, runs in kinds.items():
        keys = _all(runs)
        if not keys:
            continue
        handled, painted = [one.handled for one in keys], [one.painted for one in keys]
        lines.append(
            [
                *(name, str(len(keys)), str(sum(run.searches for run in runs))),
                *(f"{value:.2f}" for value in (median(handled), p95_of(handled), max(handled))),
                *(f"{value:.1f}" for value in (median(painted), p95_of(painted), max(painted))),
            ]
        )
    return _drawn("### Keystrokes", head, lines)


def _all(runs: Sequence[Keys]) -> list[Key]:
    return [key for run in runs for key in run.keys]


def _unfolded(figures: Figures) -> str:
    runs = figures.unfolded
    head = ("models unfolded", "first verdict after s: p50", "worst", "requests", "KiB fetched")
    if not runs:
        return ""
    requests, fetched = _range([one.requests for one in runs]), _kib([one.fetched for one in runs])
    seconds = [one.seconds for one in runs]
    cells = [str(len(runs)), f"{median(seconds):.2f}", f"{max(seconds):.2f}", requests, fetched]
    return _drawn("### From unfolding a model to its first verdict", head, [cells])


def _range(values: Sequence[int]) -> str:
    return f"{median(values):.0f} ({min(values)}–{max(values)})"


def _kib(values: Sequence[int]) -> str:
    return _range([value >> 10 for value in values])


def _spread(values: Sequence[float]) -> list[str]:
    return [f"{median(values):.0f}", f"{_p95(values):.0f}"]


def _p95(values: Sequence[float]) -> float:
    return p95_of(values) if len(values) > 1 else values[0]


def _drawn(title: str, head: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    return "\n".join([title, "", line(head), line(["---"] * len(head)), *map(line, lines), ""])


# -- Goals ----------------------------------------------------------------------------------------


def judge(figures: Figures) -> list[Verdict]:
    """Judge what was measured; what failed is missed."""
    return [
        _judge_search("at once", figures.quick),
        _judge_search(f"after {SLOW_S} s", figures.slow),
        *(_judge_scroll(figures, step) for step in STEPS),
        *_judge_keys(figures, "while searches come and go", figures.searching),
        *_judge_keys(figures, f"while {MANY} results stand", figures.standing),
    ]


def _judge_search(when: str, found: Sequence[Found]) -> Verdict:
    wanted = f"first painted result ≤ {MORE_MS:.0f} ms after the hub's answer, that comes {when}"
    if len(found) < 2:
        return Verdict(f"{wanted}: not measured", is_held=False)
    more = [one.more for one in found]
    text = f"{wanted}: p50 {median(more):.0f}, p95 {p95_of(more):.0f} of {len(found)} searches"
    return Verdict(text, p95_of(more) <= MORE_MS)


def _judge_scroll(figures: Figures, step: int) -> Verdict:
    wanted = f"{MANY} results scroll by {step} px a frame at 60 frames a second (≥ {RATE:.0f})"
    ours, plain = (_median(figures.scrolled[arm], step, _rate) for arm in (OURS, PLAIN))
    if ours is None:
        return Verdict(f"{wanted}: not measured", is_held=False)
    beside = "" if plain is None else f"; plain text {plain:.1f}"
    return Verdict(f"{wanted}: {ours:.1f}{beside}", ours >= RATE)


def _rate(pace: Pace) -> float:
    return pace.rate


def _median(
    runs: Sequence[dict[int, Pace]], step: int, of: Callable[[Pace], float]
) -> float | None:
    return median(of(run[step]) for run in runs) if runs else None


def _judge_keys(figures: Figures, when: str, runs: Sequence[Keys]) -> list[Verdict]:
    one = f"a key's handlers each below a frame ({FRAME_MS:.1f} ms), {when}"
    two = f"p95 of key to paint at most a frame more than in a plain field, {when}"
    keys = _all(runs)
    if len(keys) < 2:
        return [Verdict(f"{text}: not measured", is_held=False) for text in (one, two)]
    worst, paint = max(key.handled for key in keys), p95_of([key.painted for key in keys])
    plain = [key.painted for key in _all(figures.plain)]
    if len(plain) < 2:
        late = Verdict(f"{two}: {paint:.1f}, with no plain field beside it", is_held=False)
    else:
        least = p95_of(plain)
        late = Verdict(f"{two}: {paint:.1f}; a plain field {least:.1f}", paint <= least + FRAME_MS)
    return [
        Verdict(f"{one}: worst {worst:.2f} ms of {len(keys)}", worst < FRAME_MS),
        late,
    ]
