"""Which hive to use where none is named."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Final

from rbee_widgets.client import Hive
from rbee_widgets.contract import DEFAULT_PORTS

PROBE_S: Final = 2.0
"""Seconds that whatever listens on a default port may take to show that it is a hive."""


async def find() -> Hive:
    """Find the hive to use where none is named.

    In this order: `RBEE_HIVE_URL` (with `RBEE_HIVE_TOKEN`), a healthy hive on a default port of
    this machine, the embedded one.
    """
    if url := os.environ.get("RBEE_HIVE_URL"):
        return Hive(url, token=os.environ.get("RBEE_HIVE_TOKEN"))
    for port in DEFAULT_PORTS:
        async with _closing(Hive(f"http://127.0.0.1:{port}", id="localhost")) as hive:
            with suppress(TimeoutError):
                async with asyncio.timeout(PROBE_S):
                    if await hive.healthy():
                        return hive
    return Hive.local()


@asynccontextmanager
async def _closing(hive: Hive) -> AsyncIterator[Hive]:
    try:
        yield hive
    finally:
        await hive.aclose()
