"""What tests do with downloads: wait for them, and look at what came of them."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from rbee_widgets import Download, DownloadError


def sha256(path: str | Path | None) -> str:
    """Hash a file."""
    assert path is not None
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


async def until(condition: Callable[[], object], limit: float = 10.0) -> None:
    """Wait for something to become so."""
    async with asyncio.timeout(limit):
        while not condition():
            await asyncio.sleep(0.01)


async def ended(download: Download) -> Download:
    """Wait for an end, whatever it is."""
    with suppress(DownloadError):
        await download
    return download


async def failure(download: Download) -> DownloadError:
    """Wait for a bad end; it is told as one line."""
    with pytest.raises(DownloadError) as raised:
        await download
    assert raised.value.error == download.error
    assert raised.value._render_traceback_() == [f"DownloadError: {raised.value}"]
    return raised.value
