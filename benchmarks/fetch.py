"""Fetch with our engine, as a process of its own, and tell what the transfer alone took.

    python -m benchmarks.fetch URL OUT [--sha256 HEX] [--connections N]
    python -m benchmarks.fetch --list LIST [--connections N]

A line of LIST is a URL, a path and a sha256, between tabs. A few more files than there are
connections are under way at a time, so that the disk's work on some falls into others' round trips.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

from benchmarks.telling import telling
from rbee_widgets.hive.engine import Remote, Transfer, Web

AHEAD: Final = 4
"""Files under way beyond the number of connections."""


def main() -> None:
    """Fetch what the arguments name."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("url", nargs="?")
    parser.add_argument("out", nargs="?", type=Path)
    parser.add_argument("--list", type=Path, metavar="LIST")
    parser.add_argument("--sha256", metavar="HEX")
    parser.add_argument("--connections", type=int, default=8, metavar="N")
    options = parser.parse_args()
    if options.list is None and options.out is None:
        parser.error("a URL and a path, or a list")
    wanted = [(Remote(url=options.url, sha256=options.sha256), options.out)]
    if options.list is not None:
        wanted = list(_listed(options.list))
    with telling(), Web(per_host=options.connections) as web:
        if len(wanted) == 1:
            Transfer(*wanted[0], web).run()
            return
        with ThreadPoolExecutor(options.connections + AHEAD) as threads:
            transfers = [Transfer(remote, out, web) for remote, out in wanted]
            for done in [threads.submit(transfer.run) for transfer in transfers]:
                done.result()


def _listed(path: Path) -> Iterator[tuple[Remote, Path]]:
    for line in path.read_text().splitlines():
        url, out, sha256 = line.split("\t")
        yield Remote(url=url, sha256=sha256), Path(out)


if __name__ == "__main__":
    main()
