"""What all tests share: a home of their own, a hub on loopback, a hive process."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from rbee_widgets import Tracker
from tests.support.hive import HiveProcess, end_local_hives
from tests.support.hub import Hub


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Keep a test away from the user's own files, hives and hub."""
    home = tmp_path / "home"
    runtime = home / "runtime"
    runtime.mkdir(mode=0o700, parents=True)
    for name in ("CACHE", "CONFIG", "DATA", "STATE"):
        monkeypatch.setenv(f"XDG_{name}_HOME", str(home / name.lower()))
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(runtime))
    monkeypatch.setenv("HOME", str(home))
    for name in ("HF_TOKEN", "HF_HOME", "RBEE_HIVE_URL", "RBEE_HIVE_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")  # nobody answers there
    return home


@pytest.fixture(autouse=True)
def no_widget_stays() -> Iterator[None]:
    """Close the widgets of a test: ipywidgets keeps them all, and saves them with any other."""
    yield
    if ipywidgets := sys.modules.get("ipywidgets"):
        ipywidgets.Widget.close_all()


@pytest.fixture
def hub() -> Iterator[Hub]:
    with Hub() as hub:
        yield hub


@pytest.fixture
def hive(tmp_path: Path, hub: Hub) -> Iterator[HiveProcess]:
    with HiveProcess(tmp_path / "models", hub.url) as hive:
        yield hive


@pytest.fixture
def local_hives(home: Path, hub: Hub, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let this user's own hives fetch from the hub, and end those that a test has started."""
    monkeypatch.setenv("HF_ENDPOINT", hub.url)
    yield
    end_local_hives(home / "runtime")


@pytest.fixture
async def tracker(hive: HiveProcess) -> AsyncIterator[Tracker]:
    tracker = Tracker([hive.handle()])
    yield tracker
    await tracker.aclose()
