"""The body of a stream, from bytes to events: bounded, and read to its marker."""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable
from contextlib import aclosing, suppress
from typing import Final

import httpx
import httpx_sse

from rbee_widgets.narration import Cancelled, Done, Event, Failed, read

MAX_LINE: Final = 1 << 20
"""Bytes of a stream without a newline that are taken before it is given up."""

SILENCE_S: Final = 35.0
"""Seconds without a byte after which a stream is lost that should give a sign of life every 10."""

GRACE_S: Final = 0.5
"""Seconds beyond `SILENCE_S` for what has come, and was not taken because the loop was kept."""

SLICE_S: Final = 0.005
"""Seconds that a flood of events may keep the loop before others have their turn."""

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
    body = Bounded(response.stream, most_of_a_line=MAX_LINE)
    response.stream = body
    loop = asyncio.get_running_loop()
    turn = loop.time()
    async with aclosing(httpx_sse.EventSource(response).aiter_sse()) as sent:
        async for sse in sent:
            if loop.time() - turn > SLICE_S:
                await asyncio.sleep(0)
                turn = loop.time()
            if sse.id:
                body.patience = SILENCE_S  # who numbers events also gives signs of life
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


class Bounded(httpx.AsyncByteStream):
    """A body that is read no further than it should be.

    `most` bytes in all, `most_of_a_line` without a newline (the decoder behind keeps whole lines),
    and `patience` seconds without any; None: no limit.
    """

    def __init__(
        self,
        body: httpx.AsyncByteStream | httpx.SyncByteStream,
        *,
        most: int | None = None,
        most_of_a_line: int | None = None,
    ) -> None:
        assert isinstance(body, httpx.AsyncByteStream)  # noqa: S101 (an async client's)
        self.patience: float | None = None
        self._body = body
        self._most = math.inf if most is None else most
        self._most_of_a_line = math.inf if most_of_a_line is None else most_of_a_line

    async def __aiter__(self) -> AsyncIterator[bytes]:
        read = line = 0
        chunks = aiter(self._body)
        while True:
            try:
                chunk = await self._patiently(anext(chunks))
            except StopAsyncIteration:
                return
            read += len(chunk)
            newline = chunk.rfind(b"\n")
            line = line + len(chunk) if newline < 0 else len(chunk) - newline - 1
            if read > self._most or line > self._most_of_a_line:
                raise httpx.ReadError(f"an answer or a line that does not end ({read} bytes)")
            yield chunk

    async def _patiently(self, reading: Awaitable[bytes]) -> bytes:
        if self.patience is None:
            return await reading
        chunk = asyncio.ensure_future(reading)
        try:
            # Twice: after a cell that kept the loop, time is up before what came is looked at.
            for patience in (self.patience, GRACE_S):
                await asyncio.wait({chunk}, timeout=patience)
                if chunk.done():
                    return chunk.result()
            raise httpx.ReadTimeout(f"nothing came for {self.patience:.0f} s")
        finally:
            chunk.cancel()
            await asyncio.gather(chunk, return_exceptions=True)

    async def aclose(self) -> None:
        """Close the body behind."""
        await self._body.aclose()
