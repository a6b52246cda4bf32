"""The devices of this machine, as a hive tells them: its NVIDIA cards, then its CPU.

Cards are asked of the driver's own `nvidia-smi`; a machine without it, or whose driver does not
answer, has none that could be used either.
"""

from __future__ import annotations

import csv
import subprocess
from contextlib import suppress
from functools import cache
from typing import Final

import psutil

from rbee_widgets.contract import Device

ASK: Final = (
    "nvidia-smi",
    "--query-gpu=index,name,memory.total,compute_cap",
    "--format=csv,noheader,nounits",
)
ANSWER_TIMEOUT_S: Final = 10.0
"""Seconds that a driver may take: one that has to wake its cards takes two or three."""


@cache
def devices() -> tuple[Device, ...]:
    """Tell the devices; asks the driver once, and blocks until it has answered."""
    return (*_cards(), _cpu())


def _cards() -> list[Device]:
    try:
        answer = subprocess.run(  # noqa: S603 (a fixed command)
            ASK, capture_output=True, text=True, timeout=ANSWER_TIMEOUT_S, check=True
        ).stdout
    except (OSError, UnicodeDecodeError, subprocess.SubprocessError):
        return []
    cards = []
    for told in csv.reader(answer.splitlines(), skipinitialspace=True):
        with suppress(ValueError):  # what a driver says that can't tell: "[N/A]"
            index, name, memory, capability = told
            card = _device(f"GPU-{int(index)}", name, "gpu", int(memory) << 20)
            cards.append(card.model_copy(update={"compute_capability": capability}))
    return cards


def _cpu() -> Device:
    name = f"CPU ({psutil.cpu_count() or 1} cores)"
    return _device("CPU-0", name, "cpu", psutil.virtual_memory().total)


def _device(id: str, name: str, kind: str, memory: int) -> Device:  # noqa: A002 (the wire's name)
    return Device(
        id=id,
        name=name,
        device_type=kind,
        vram_gb=memory >> 30,
        compute_capability=None,
        memory=memory,
    )
