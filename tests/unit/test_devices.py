from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from rbee_widgets.contract import Device
from rbee_widgets.hive.devices import devices
from tests.support.cards import driver

RTX = Device(
    id="GPU-0",
    name="NVIDIA GeForce RTX 4090",
    device_type="gpu",
    vram_gb=23,
    compute_capability="8.9",
    memory=24564 << 20,
)


@pytest.fixture(autouse=True)
def asked_anew() -> Iterator[None]:
    devices.cache_clear()
    yield
    devices.cache_clear()


def told(monkeypatch: pytest.MonkeyPatch, folder: Path, *cards: str, status: int = 0) -> list[str]:
    monkeypatch.setenv("PATH", driver(folder, *cards, status=status)["PATH"])
    return [device.id for device in devices()]


def test_cards_come_first_with_their_memory_in_whole_gib(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    line = "0, NVIDIA GeForce RTX 4090, 24564, 8.9"
    assert told(monkeypatch, tmp_path, line, "1, NVIDIA RTX A2000, 6138, 8.6") == [
        "GPU-0",
        "GPU-1",
        "CPU-0",
    ]
    assert devices()[0] == RTX


def test_the_cpu_tells_the_memory_of_the_machine() -> None:
    cpu = devices()[-1]
    total = psutil.virtual_memory().total
    assert (cpu.device_type, cpu.vram_gb, cpu.memory) == ("cpu", total >> 30, total)


@pytest.mark.parametrize(
    "line",
    [
        "",
        "No devices were found",
        "0, NVIDIA GeForce RTX 4090, [N/A], 8.9",
        "one, two",
        "NVIDIA-SMI has failed because it couldn't communicate with the NVIDIA driver.",
    ],
)
def test_what_tells_no_card_is_none(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, line: str
) -> None:
    assert told(monkeypatch, tmp_path, line) == ["CPU-0"]


def test_a_driver_that_fails_has_no_cards(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert told(monkeypatch, tmp_path, "0, A card, 24564, 8.9", status=9) == ["CPU-0"]


def test_a_machine_without_a_driver_has_no_cards(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert [device.id for device in devices()] == ["CPU-0"]
