"""Draw what each estimator said of three recorded downloads: `python -m benchmarks.eta_picture`.

Writes `docs/eta.svg`: no fonts, no metadata, and colours that are readable on light and on dark.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

from benchmarks.eta import ESTIMATORS, Answer, Input, answers, as_bytes, ranges
from benchmarks.record_traces import SEEDS, load

PICTURE: Final = Path(__file__).parents[1] / "docs" / "eta.svg"

KINDS: Final = ("steps", "stalls", "slow tail")
"""What is drawn: of each kind the first download that is judged."""

WIDTH: Final = 280
HEIGHT: Final = 210
GAP: Final = 48
TOP: Final = 56

COLOURS: Final = {"aria2": "#b8860b", "tqdm": "#c2549d", "rich": "#2a9d8f", "rbee": "#3b82f6"}
"""Of each estimator, those drawn last on top."""

STYLE: Final = """
text{font:12px sans-serif;fill:#7d7d7d}
.title{font-weight:bold}
.axis{stroke:#888;stroke-width:1;fill:none}
.grid{stroke:#888;stroke-opacity:.25}
.line{fill:none;stroke-width:1.3;stroke-linejoin:round}
.rbee{stroke-width:2.4}
.true{stroke:#7d7d7d;stroke-width:1.5;stroke-dasharray:5 4;fill:none}
.range{fill:#3b82f6;fill-opacity:.16}
"""


class _Panel:
    """One download, with time to the right and the seconds left upwards."""

    def __init__(self, given: Input, left: int) -> None:
        self._given = given
        self._left = left
        self._most = 1.5 * given.ends_at

    def at(self, now: float, seconds: float) -> str:
        x = self._left + WIDTH * now / self._given.ends_at
        y = TOP + HEIGHT * (1 - min(seconds, self._most) / self._most)
        return f"{x:.0f} {y:.1f}"

    def path(self, points: Iterable[tuple[float, float]]) -> str:
        return "M" + "L".join(self.at(*point) for point in points)

    def draw(self) -> Iterator[str]:
        ends_at = self._given.ends_at
        yield f'<text class="title" x="{self._left}" y="{TOP - 12}">{self._given.trace.kind}</text>'
        for seconds in range(0, int(self._most), 60):
            x, y = self.at(0, seconds).split()
            yield f'<path class="grid" d="M{x} {y}h{WIDTH}"/>'
            place = f'x="{int(x) - 5}" y="{float(y) + 4:.1f}" text-anchor="end"'
            yield f"<text {place}>{seconds // 60}</text>"
        for seconds in range(0, int(ends_at), 60):
            x, _ = self.at(seconds, 0).split()
            place = f'x="{x}" y="{TOP + HEIGHT + 16}" text-anchor="middle"'
            yield f"<text {place}>{seconds // 60}</text>"
        spans = [(now, *span) for now, span in ranges(self._given) if span]
        around = [(now, high) for now, _, high in spans]
        around += [(now, low) for now, low, _ in reversed(spans)]
        yield f'<path class="range" d="{self.path(around)}Z"/>'
        yield f'<path class="true" d="{self.path([(0, ends_at), (ends_at, 0)])}"/>'
        for name, colour in COLOURS.items():
            told = answers(self._given, ESTIMATORS[name](self._given))
            line = "".join(self.path(stretch) for stretch in _stretches(told))
            yield f'<path class="line {name}" stroke="{colour}" d="{line}"/>'


def _stretches(told: list[Answer]) -> Iterator[list[tuple[float, float]]]:
    for is_silent, stretch in itertools.groupby(told, lambda one: one.eta is None):
        if not is_silent:
            yield [(one.now, one.eta or 0.0) for one in stretch]


def picture() -> str:
    """Give the SVG."""
    traces = load("judging.jsonl")
    first = SEEDS["judging.jsonl"][0]
    parts = [f"<style>{STYLE}</style>"]
    for number, kind in enumerate(KINDS):
        trace = next(one for one in traces if (one.kind, one.seed) == (kind, first))
        parts += _Panel(as_bytes(trace), GAP + number * (WIDTH + GAP)).draw()
    width = GAP + len(KINDS) * (WIDTH + GAP) - GAP // 2
    x = GAP
    legend = {"true": "#7d7d7d", **dict(reversed(COLOURS.items()))}
    for name, colour in legend.items():
        kind = "true" if name == "true" else f"line {name}"
        parts.append(f'<path class="{kind}" stroke="{colour}" d="M{x} 16h26"/>')
        parts.append(f'<text x="{x + 32}" y="20">{name}</text>')
        x += 92
    parts.append(f'<path class="range" d="M{x} 9h26v14h-26z"/>')
    parts.append(f'<text x="{x + 32}" y="20">rbee, 10th to 90th percentile</text>')
    foot = "minutes since the beginning; upwards, minutes left by each estimator, told of bytes"
    parts.append(f'<text x="{GAP}" y="{TOP + HEIGHT + 40}">{foot}</text>')
    size = f'width="{width}" height="{TOP + HEIGHT + 52}"'
    box = f'viewBox="0 0 {width} {TOP + HEIGHT + 52}"'
    label = "Time left by four estimators over three downloads, beside the true one"
    head = f'<svg xmlns="http://www.w3.org/2000/svg" {size} {box} role="img" aria-label="{label}">'
    return "\n".join([head, *parts, "</svg>"]) + "\n"


if __name__ == "__main__":
    PICTURE.write_text(picture())
