"""The public names, and what importing them costs."""

from __future__ import annotations

import subprocess
import sys

import rbee_widgets


def test_every_public_name_is_there() -> None:
    assert rbee_widgets.__all__ == sorted(rbee_widgets.__all__)
    for name in rbee_widgets.__all__:
        assert getattr(rbee_widgets, name) is not None
    assert rbee_widgets.narration.read("[DONE]").kind == "done"


def test_importing_the_package_imports_nothing_that_waits() -> None:
    script = "import sys, rbee_widgets; print(*sys.modules)"
    loaded = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    ).stdout.split()
    heavy = {"anywidget", "httpx", "pydantic", "starlette", "uvicorn", "IPython"}
    assert heavy.isdisjoint(loaded)
