"""Fetch with `hf_hub_download`, as a process of its own, and tell what the transfer alone took.

    python -m benchmarks.hub_fetch REPO CACHE FILE... [--threads N]

The hub is `HF_ENDPOINT`, as for every user of huggingface_hub.
"""

from __future__ import annotations

import argparse
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from huggingface_hub import hf_hub_download

from benchmarks.telling import telling


def main() -> None:
    """Fetch what the arguments name."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("repo")
    parser.add_argument("cache", type=Path)
    parser.add_argument("files", nargs="+")
    parser.add_argument("--threads", type=int, default=1, metavar="N")
    options = parser.parse_args()

    def fetch(name: str) -> None:
        hf_hub_download(options.repo, name, cache_dir=options.cache)

    with telling():
        if len(options.files) == 1:
            fetch(options.files[0])
            return
        with ThreadPoolExecutor(options.threads) as threads:
            for done in [threads.submit(fetch, name) for name in options.files]:
                done.result()


if __name__ == "__main__":
    main()
