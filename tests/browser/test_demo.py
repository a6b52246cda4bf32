"""The demo of the README, without a head."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.alone


def test_the_demo_reaches_complete_and_leaves_pictures() -> None:
    root = Path(__file__).parents[2]
    pictures = [root / "artifacts" / f"demo-{when}.png" for when in ("middle", "end")]
    for picture in pictures:
        picture.unlink(missing_ok=True)
    run = subprocess.run(
        [sys.executable, "-m", "notebooks.demo", "--headless"],
        env={**os.environ, "HF_HUB_OFFLINE": "1"},
        cwd=root,
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
    )
    assert run.returncode == 0, run.stdout + run.stderr
    for picture in pictures:
        assert picture.read_bytes().startswith(b"\x89PNG")
