"""What the panel does for Colab, as far as that can be seen without it."""

from __future__ import annotations

import sys
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from rbee_widgets import DownloadPanel, Tracker

pytestmark = pytest.mark.anyio


async def test_in_colab_a_panel_says_which_widget_manager_shows_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Without that, Colab shows no widgets but its own."""
    asked = []
    colab: Any = ModuleType("google.colab.output")
    colab.enable_custom_widget_manager = lambda: asked.append(True)
    colab._widgets = SimpleNamespace(_installed_url="https://colab.test/manager.js")
    monkeypatch.setitem(sys.modules, colab.__name__, colab)
    tracker = Tracker()
    panel = DownloadPanel(tracker)
    _, metadata = panel._repr_mimebundle_() or ({}, {})
    told = metadata["application/vnd.jupyter.widget-view+json"]["colab"]["custom_widget_manager"]
    assert told == {"url": "https://colab.test/manager.js"}
    assert asked
    panel.close()
    await tracker.aclose()
