"""Measure the marketplace beside other lists of two thousand, in a real JupyterLab.

    python -m benchmarks.marketplace                everything; ends with 1 if a goal is missed
    python -m benchmarks.marketplace --rounds 1
    python -m benchmarks.marketplace --only-ours    for tuning

Each display has a notebook and a kernel of its own, in an order that is shuffled anew each round.
The hub is the tests' own, on loopback.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from playwright.sync_api import Error, Page

from benchmarks.market_arms import BUTTONS, OURS, PEERS, PLAIN, SELECT
from benchmarks.market_page import (
    ALL,
    FILES,
    LIST,
    MANY,
    TYPED,
    WORDS,
    Shop,
    scrolled,
    shown,
    typed,
)
from benchmarks.market_report import Figures, judge, tables
from benchmarks.market_script import SENDS
from benchmarks.notebooks import Notebooks, setting
from benchmarks.report import Verdict
from tests.support import market
from tests.support.cards import driver
from tests.support.hive import HiveProcess
from tests.support.hub import Hub
from tests.support.lab import Lab

SEARCHES: Final = 10
"""Of each kind in a round, and keys:"""

KEYS: Final = 2 * len(TYPED)
UNFOLDED: Final = 4
QUICK_MS: Final = (60, 150)
"""Between two keys: too quick for a search,"""

UNEVEN_MS: Final = (80, 700)
"""and so that searches begin, are overtaken and are answered between keys."""

SHOWN_S: Final = 60.0
SETTLES_MS: Final = 2000
CARD: Final = "0, NVIDIA GeForce RTX 3050, 6144, 8.6"
PACKAGES: Final = ("jupyterlab", "ipykernel", "ipywidgets", "anywidget", "huggingface_hub")

_SELECTORS: Final = {
    PLAIN: (".bench-box", ".bench-line"),
    BUTTONS: (".bench-box", ".bench-box > .widget-button"),
    SELECT: (".widget-select select", ".widget-select option"),
}
"""What scrolls, and what is a line."""


@dataclass(frozen=True, slots=True)
class Options:
    """What the command line asks for; `seed` makes the order of the displays repeatable."""

    rounds: int
    only_ours: bool
    seed: int


class Bench:
    """All runs, and the lab, hub and hive that they are made with."""

    def __init__(self, lab: Lab, hub: Hub, hive: HiveProcess, chance: random.Random) -> None:
        self.figures = Figures()
        self._lab = lab
        self._hub = hub
        self._hive = hive
        self._chance = chance
        self._notebooks = Notebooks(lab)
        self._notebooks.context.add_init_script(SENDS)
        self._lines = lab.folder / "lines.json"
        self._count = 0

    def round(self, peers: Sequence[str]) -> None:
        """Show each once; ours first in the first round, as the others show its lines."""
        arms = [OURS, *peers]
        if self._lines.exists():
            self._chance.shuffle(arms)
        for arm in arms:
            self._notebooks.renew()
            self._count += 1
            _log(f"display {self._count}: {arm}")
            with self._notebooks.open(f"run-{self._count}.ipynb", self._cell(arm)) as page:
                try:
                    if arm == OURS:
                        self._use(page)
                    else:
                        self._look_at(arm, page)
                except Error as error:
                    self.figures.faults.append(f"{arm}: {error.message.splitlines()[0]}")
                    _log(f"{self.figures.faults[-1]} {self._lab.errors(page)}")
                finally:
                    self._hub.heal()

    def _cell(self, arm: str) -> str:
        if arm != OURS:
            return f"from benchmarks.market_arms import show\n\nshow({arm!r}, {str(self._lines)!r})"
        hive = f"rbee.Hive({self._hive.url!r}, 'workstation', {self._hive.token!r})"
        return (
            "import rbee_widgets as rbee\n\n"
            f"rbee.Marketplace({ALL!r}, tracker=rbee.Tracker([{hive}]))"
        )

    def _look_at(self, arm: str, page: Page) -> None:
        box, line = _SELECTORS[arm]
        self.figures.shown[arm].append(shown(page, line, MANY, SHOWN_S))
        if page.locator(box).count() > 0:
            page.wait_for_timeout(SETTLES_MS)
            self.figures.scrolled[arm].append(scrolled(page, box))
        if arm == PLAIN:
            keys = typed(page, ".bench-field", self._pauses(QUICK_MS))
            self.figures.plain.append(keys)

    def _pauses(self, span: tuple[float, float]) -> list[float]:
        return [self._chance.uniform(*span) for _ in range(KEYS)]

    def _use(self, page: Page) -> None:
        """Do all that is measured of ours."""
        figures = self.figures
        figures.shown[OURS].append(shown(page, ".rbee-model", 1, SHOWN_S))
        page.wait_for_timeout(SETTLES_MS)
        shop = Shop(page, self._hub, self._chance)
        figures.quick += shop.searches(SEARCHES)
        with shop.slow():
            figures.slow += shop.searches(SEARCHES)
            figures.searching.append(shop.type(self._pauses(UNEVEN_MS)))
            page.wait_for_timeout(SETTLES_MS)  # the last answer
        shop.search(FILES)
        places = self._chance.sample(range(12), UNFOLDED)
        figures.unfolded += [shop.unfold(place) for place in places]
        shop.search(ALL)
        figures.loading.append(shop.load())
        page.wait_for_timeout(SETTLES_MS)
        figures.scrolled[OURS].append(scrolled(page, LIST))
        if not self._lines.exists():
            self._lines.write_text(json.dumps(shop.lines()[:MANY]))
        figures.replaced.append(shop.search(WORDS[0]))
        shop.search(ALL)
        figures.loading.append(shop.load())
        page.wait_for_timeout(SETTLES_MS)
        figures.standing.append(shop.type(self._pauses(QUICK_MS)))


def run(options: Options, folder: Path) -> tuple[Figures, list[Verdict]]:
    """Measure; gives what was seen, and what the goals came to."""
    chance = random.Random(options.seed)  # noqa: S311 (an order, not a secret)
    peers = [] if options.only_ours else list(PEERS)
    with Hub() as hub:
        market.fill(hub, light=MANY)
        card = driver(folder / "driver", CARD)
        with (
            HiveProcess(folder / "models", hub.url, environ=card) as hive,
            Lab(env={"HF_ENDPOINT": hub.url}) as lab,
        ):
            print(f"- {setting(lab, PACKAGES)}\n- `{_command(options)}`\n", flush=True)
            bench = Bench(lab, hub, hive, chance)
            for number in range(options.rounds):
                _log(f"round {number + 1}")
                bench.round(peers)
            for message in lab.console_errors:
                _log(f"a page said: {message.text}")
    return bench.figures, judge(bench.figures)


def _command(options: Options) -> str:
    ours = " --only-ours" if options.only_ours else ""
    return f"python -m benchmarks.marketplace --rounds {options.rounds} --seed {options.seed}{ours}"


def _log(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _options(arguments: Sequence[str] | None) -> Options:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.marketplace", description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only-ours", action="store_true", help="for tuning")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 32))
    options = parser.parse_args(arguments)
    return Options(options.rounds, options.only_ours, options.seed)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmark; gives the exit status."""
    options = _options(arguments)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that all that runs is ended
    before, *_ = os.getloadavg()
    with tempfile.TemporaryDirectory(prefix="market-") as folder:
        figures, verdicts = run(options, Path(folder))
    print(f"- processes that wanted a core before the run: {before:.1f} of a minute's mean\n")
    print(tables(figures), "### Goals", "", *verdicts, sep="\n")
    return 0 if all(verdict.is_held for verdict in verdicts) else 1


if __name__ == "__main__":
    sys.exit(main())
