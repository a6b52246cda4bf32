"""Measure the download engine beside its peers, all in one run, on loopback.

    python -m benchmarks.engine                          everything; ends with 1 if a goal is missed
    python -m benchmarks.engine --cases capped,small --rounds 7
    python -m benchmarks.engine --only-ours --connections 16 --cases capped

Each engine is a process of its own, in an order that is shuffled anew each round. It fetches from
nginx to a disk, which is at rest when it begins. Ratios are of medians.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import platform
import random
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from benchmarks import memory, pacing
from benchmarks.cases import CASES, DELAY_S, MIB, Case, Place, far, make_files, reached, url_of
from benchmarks.child import ROOT, ChildError, environment, run
from benchmarks.engines import CONNECTIONS, OURS, Engine, Task, versions
from benchmarks.origin import File, Origin, alias, is_whole, make_file, serving_files, warm
from benchmarks.report import GOALS, Runs, Verdict, judge, judge_memory, table

MEMORY: Final = "memory"
"""The case that is of a hive, not of engines."""

MEMORY_FILES: Final = 8
MEMORY_SIZE: Final = 256 * MIB
PACE_SIZE: Final = 64 * MIB
HASHED: Final = 256
"""MiB that are hashed to tell how fast a core does that."""

SPARE: Final = 2 << 30
"""Bytes of disk that are left to others."""


@dataclass(frozen=True, slots=True)
class Options:
    """What the command line asks for; `seed` makes the order of the engines repeatable."""

    cases: tuple[str, ...]
    rounds: int
    only_ours: bool
    connections: int
    folder: Path
    seed: int


class Bench:
    """One run of the benchmark: its files, its origin and its figures."""

    def __init__(self, options: Options, folder: Path) -> None:
        self._options = options
        self._folder = folder
        self._root = _made(folder / "origin")
        self._random = random.Random(options.seed)  # noqa: S311 (an order, not a secret)
        self._cases = [case for case in CASES if case.name in options.cases]
        _check_disk(folder, self._cases, has_memory=MEMORY in options.cases)

    def run(self) -> list[Verdict]:
        """Measure and tell; gives what the goals came to."""
        _log("making the files")
        files = make_files(self._root, self._cases)
        pace = make_file(self._root, "pace.bin", PACE_SIZE)
        models = self._models() if MEMORY in self._options.cases else []
        offered = [*files.values(), *models, pace]
        verdicts = []
        with serving_files(_made(self._folder / "nginx"), self._root, offered) as origin:
            if any(case.place in (Place.FAR, Place.CAPPED) for case in self._cases):
                _describe(origin, pace)
            for case in self._cases:
                verdicts += self._case(case, [files[name] for name in case.file_names()], origin)
            if models:
                verdicts.append(self._memory(models, origin))
        return verdicts

    def _models(self) -> list[File]:
        one = make_file(self._root, "model.bin", MEMORY_SIZE)
        return [alias(self._root, one, f"f{index}.gguf") for index in range(MEMORY_FILES)]

    def _case(self, case: Case, files: list[File], origin: Origin) -> list[Verdict]:
        engines = [engine for engine in case.engines if self._takes_part(engine)]
        figures = {engine.name: Runs() for engine in engines}
        warm(self._root, files)
        with reached(case.place, origin) as url:
            for number in range(self._options.rounds):
                for engine in self._random.sample(engines, len(engines)):
                    _log(f"{case.name}, round {number + 1}: {engine.name}")
                    with _fresh(self._folder / "run") as folder:
                        task = self._task(case, url, files, folder)
                        _measure(engine, task, case.timeout, figures[engine.name])
        print(table(case, figures), flush=True)
        if self._options.only_ours:
            return []
        return [judge(goal, figures) for goal in GOALS if goal.case == case.name]

    def _takes_part(self, engine: Engine) -> bool:
        return engine.name == OURS or not self._options.only_ours

    def _task(self, case: Case, url: str, files: list[File], folder: Path) -> Task:
        breaks_off = case.place is Place.BREAKING
        return Task(url, tuple(files), folder, self._options.connections, breaks_off)

    def _memory(self, models: Sequence[File], origin: Origin) -> Verdict:
        _log("memory of a hive")
        warm(self._root, models[:1])
        with _fresh(self._folder / "run") as folder:
            try:
                measured = memory.measure(url_of(origin.fast), models, folder)
            except (ChildError, OSError) as error:
                return Verdict(f"memory of a hive: {error}", is_held=False)
        return judge_memory(measured, len(models))


def _measure(engine: Engine, task: Task, timeout: float, runs: Runs) -> None:
    """Run an engine once; the first time its files are read through."""
    is_first = not runs.costs
    home = _made(task.folder / "home")
    environ = environment(
        home,
        HF_HOME=str(home),
        HF_ENDPOINT=task.origin,
        HF_HUB_DISABLE_XET="1",
        HF_HUB_DISABLE_TELEMETRY="1",
        HF_HUB_DISABLE_PROGRESS_BARS="1",
    )
    try:
        cost = run(engine.command(task), environ, timeout)
    except (ChildError, FileNotFoundError) as error:
        runs.faults.append(str(error).replace(str(task.folder), "").replace("|", "/"))
        return
    for file in task.files:
        if not is_whole(engine.arrival(task, file), file, thoroughly=is_first):
            runs.faults.append(f"{file.name} is not what the origin has")
            return
    runs.costs.append(cost)


def _describe(origin: Origin, file: File) -> None:
    """Tell what the origin is like from afar."""
    print(f"- {pacing.describe_cap(origin.capped, file)}", flush=True)
    with far(origin.fast, DELAY_S) as proxy:
        print(f"- {pacing.describe_distance(proxy, file, CONNECTIONS)}", flush=True)


@contextmanager
def _fresh(folder: Path) -> Iterator[Path]:
    """Give an empty folder; afterwards it is gone, and the disk at rest for who comes next."""
    folder.mkdir()
    try:
        yield folder
    finally:
        shutil.rmtree(folder)
        os.sync()


def _made(folder: Path) -> Path:
    folder.mkdir(parents=True)
    return folder


def _check_disk(folder: Path, cases: Sequence[Case], *, has_memory: bool) -> None:
    """Refuse a folder that is in memory, or has too little room."""
    kind = _file_system(folder)
    if kind in ("tmpfs", "ramfs"):
        raise ChildError(f"{folder} is a {kind}, not a disk; choose another with --dir")
    sizes = {case.size * case.count for case in cases}
    need = sum(sizes) + max(sizes, default=0) + SPARE
    need += (MEMORY_FILES + 1) * MEMORY_SIZE if has_memory else 0
    free = shutil.disk_usage(folder).free
    if free < need:
        raise ChildError(f"{folder} has {free / 1e9:.1f} GB free; {need / 1e9:.1f} GB are needed")


def _file_system(folder: Path) -> str:
    """Name the kind of file system that a folder is on, by the innermost mount."""
    kind, depth = "unknown", -1
    for line in Path("/proc/self/mounts").read_text().splitlines():
        _, place, its_kind, *_ = line.split()
        if folder.is_relative_to(place) and len(Path(place).parts) >= depth:
            kind, depth = its_kind, len(Path(place).parts)
    return kind


def _machine() -> str:
    return (
        f"{os.cpu_count()} cores, sha256 {_sha256_rate() / 1e6:.0f} MB/s on one of them, "
        f"Linux {platform.release()}, Python {platform.python_version()}"
    )


def _sha256_rate() -> float:
    """Give the bytes per second that one core hashes, which bounds an engine that verifies."""
    block, digest = bytes(MIB), hashlib.sha256()
    begun = time.perf_counter()
    for _ in range(HASHED):
        digest.update(block)
    return HASHED * MIB / (time.perf_counter() - begun)


def _command(options: Options) -> str:
    """Give the command that measures the same, in the same order."""
    ours = f" --only-ours --connections {options.connections}" if options.only_ours else ""
    cases = ",".join(options.cases)
    return (
        f"python -m benchmarks.engine --cases {cases} --rounds {options.rounds} "
        f"--seed {options.seed}{ours}"
    )


def _log(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _options(arguments: Sequence[str] | None) -> Options:
    names = [*(case.name for case in CASES), MEMORY]
    parser = argparse.ArgumentParser(prog="python -m benchmarks.engine", description=__doc__)
    parser.add_argument("--cases", default=",".join(names), help="default: %(default)s")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only-ours", action="store_true", help="for tuning; judges memory alone")
    parser.add_argument(
        "--connections", type=int, default=CONNECTIONS, metavar="N", help="needs --only-ours"
    )
    parser.add_argument(
        "--dir", type=Path, default=ROOT.parent, help="on a disk; default: beside the repository"
    )
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 32))
    options = parser.parse_args(arguments)
    cases = tuple(options.cases.split(","))
    if unknown := set(cases) - set(names):
        parser.error(f"no such case: {', '.join(sorted(unknown))}; there are {', '.join(names)}")
    if options.connections != CONNECTIONS and not options.only_ours:
        parser.error(f"peers have {CONNECTIONS} connections: --connections needs --only-ours")
    return Options(
        cases, options.rounds, options.only_ours, options.connections, options.dir, options.seed
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmark; gives the exit status."""
    options = _options(arguments)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that children are ended
    print(f"- {_machine()}; {versions()}")
    print(f"- `{_command(options)}`")
    try:
        with tempfile.TemporaryDirectory(prefix=".bench-", dir=options.folder) as folder:
            verdicts = Bench(options, Path(folder).resolve()).run()
    except ChildError as error:
        print(error, file=sys.stderr)
        return 2
    print("## Goals", "", *verdicts, sep="\n")
    return 0 if all(verdict.is_held for verdict in verdicts) else 1


if __name__ == "__main__":
    sys.exit(main())
