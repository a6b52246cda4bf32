"""What a page says to a widget: no more than a front end could."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from rbee_widgets.widgets.live import LiveWidget

PAGE = "a page"


def say(widget: LiveWidget, **content: Any) -> None:
    """Give a widget a message as a kernel does."""
    data = {"method": "custom", "buffer_paths": [], "content": content}
    widget._handle_msg({"content": {"data": data}, "buffers": []})


def look(
    widget: LiveWidget, seq: int = -1, *, page: str = PAGE, opened: dict[str, int] | None = None
) -> None:
    """Show a widget whose rows are known up to a number, and the lines of those that are opened."""
    say(widget, kind="shown", page=page, seq=seq, open=opened or {})


@asynccontextmanager
async def looking(widget: LiveWidget) -> AsyncIterator[None]:
    """Show a widget, and say so again as often as a page does."""

    async def again() -> None:
        while True:
            look(widget, seq=0)
            await asyncio.sleep(5)

    task = asyncio.create_task(again())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait({task})


def turn_away(widget: LiveWidget, page: str = PAGE) -> None:
    """Show a widget no longer."""
    say(widget, kind="hidden", page=page)
