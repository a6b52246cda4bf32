"""Cards that no machine of the tests has: a driver's `nvidia-smi` that tells of them."""

from __future__ import annotations

import os
from pathlib import Path


def driver(folder: Path, *cards: str, status: int = 0) -> dict[str, str]:
    """Put an `nvidia-smi` into a folder that tells of cards; give the environment that finds it.

    A card is a line as the real one prints it: `0, NVIDIA RTX A2000, 6138, 8.6`.
    """
    folder.mkdir(parents=True, exist_ok=True)
    told = folder / "cards.csv"
    told.write_text("".join(f"{card}\n" for card in cards))
    program = folder / "nvidia-smi"
    program.write_text(f"#!/bin/sh\ncat '{told}'\nexit {status}\n")
    program.chmod(0o755)
    return {"PATH": f"{folder}{os.pathsep}{os.environ['PATH']}"}
