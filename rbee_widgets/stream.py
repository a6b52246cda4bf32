"""The body of a stream, from bytes to events: bounded, and read to its marker."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, suppress
from typing import Final

import httpx
import httpx_sse

from rbee_widgets.narration import Cancelled, Done, Event, Failed, read

MAX_LINE: Final = 1 << 20
"""Bytes of a stream without a newline that are taken before it is given up."""

DRAIN_S: Final = 1.0
"""Seconds that a stream may stay open after its marker."""


async def events(response: httpx.Response) -> AsyncGenerator[tuple[str, Event], None]:
    """Give each event with its id (empty where there are none), to the marker or the end.

    Raises
    ------
    httpx_sse.SSEError
        It is no stream of events.
    httpx.HTTPError
        It broke off.

    """
    response.stream = _BoundedLines(response.stream)
    async with aclosing(httpx_sse.EventSource(response).aiter_sse()) as sent:
        async for sse in sent:
            if not sse.data:  # blank lines after an id make phantom events
                continue
            event = read(sse.data, sse.event)
            yield sse.id, event
            if isinstance(event, Done | Failed | Cancelled):
                await _drain(sent)
                return


async def _drain(events: AsyncIterator[object]) -> None:
    """Let a stream end by itself after its marker, which leaves nothing open behind it."""
    with suppress(TimeoutError):
        async with asyncio.timeout(DRAIN_S):
            async for _ in events:
                pass


class _BoundedLines(httpx.AsyncByteStream):
    """A body that may be endless, but no line of it; the decoder behind keeps whole lines."""

    def __init__(self, body: httpx.AsyncByteStream | httpx.SyncByteStream) -> None:
        assert isinstance(body, httpx.AsyncByteStream)  # noqa: S101 (an async client's)
        self._body = body

    async def __aiter__(self) -> AsyncIterator[bytes]:
        pending = 0
        async for chunk in self._body:
            newline = chunk.rfind(b"\n")
            pending = pending + len(chunk) if newline < 0 else len(chunk) - newline - 1
            if pending > MAX_LINE:
                raise httpx.ReadError(f"a line of more than {MAX_LINE} bytes")
            yield chunk

    async def aclose(self) -> None:
        await self._body.aclose()
