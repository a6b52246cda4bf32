"""Which hive to use where none is named."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from rbee_widgets.client import Hive
from rbee_widgets.contract import DEFAULT_PORTS


async def find() -> Hive:
    """Find the hive to use where none is named.

    In this order: `RBEE_HIVE_URL` (with `RBEE_HIVE_TOKEN`), a healthy hive on a default port of
    this machine, the embedded one.
    """
    if url := os.environ.get("RBEE_HIVE_URL"):
        return Hive(url, token=os.environ.get("RBEE_HIVE_TOKEN"))
    for port in DEFAULT_PORTS:
        async with _closing(Hive(f"http://127.0.0.1:{port}", id="localhost")) as hive:
            if await hive.healthy():
                return hive
    return Hive.local()


@asynccontextmanager
async def _closing(hive: Hive) -> AsyncIterator[Hive]:
    try:
        yield hive
    finally:
        await hive.aclose()
