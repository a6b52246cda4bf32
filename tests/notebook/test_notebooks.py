"""Every notebook runs in a real kernel and says what it says."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from notebooks.demo import FILE, REPO, SIZE
from tests.support import market
from tests.support.hub import Hub

NOTEBOOKS = sorted((Path(__file__).parents[2] / "notebooks").glob("*.ipynb"))


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda notebook: notebook.stem)
@pytest.mark.usefixtures("local_hives")
def test_a_notebook_says_what_it_says(notebook: Path, hub: Hub) -> None:
    hub.add(REPO, FILE, size=SIZE)
    market.fill(hub, models=60)
    command = [sys.executable, "-m", "pytest", "--nbval", "--nbval-current-env", str(notebook)]
    plain = ["-o", "filterwarnings=", "-p", "no:cacheprovider", "-q"]
    run = subprocess.run(
        [*command, *plain],
        env={**os.environ, "HF_ENDPOINT": hub.url},
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
    )
    assert run.returncode == 0, run.stdout + run.stderr
    cells = json.loads(notebook.read_text())["cells"]
    assert f"{sum(cell['cell_type'] == 'code' for cell in cells)} passed" in run.stdout
