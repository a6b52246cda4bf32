"""The body of a stream, from bytes to events: bounded, and read to its marker."""

from __future__ import annotations

import asyncio
import math
import re
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable
from contextlib import aclosing, suppress
from typing import Final

import httpx
import httpx_sse

from rbee_widgets.narration import Cancelled, Done, Event, Failed, read

MAX_LINE: Final = 1 << 20
"""Bytes of a stream without a newline that are taken before it is given up."""

MAX_EVENT: Final = 4 << 20
"""The same without a blank line, which ends an event: a table of ten thousand models fits."""

_ID: Final = re.compile(r"[0-9]{1,18}")
"""An id that an embedded hive gives; it goes back to the hive in a header."""

SILENCE_S: Final = 35.0
"""Seconds without a byte after which a stream is lost that should give a sign of life every 10."""

GRACE_S: Final = 0.5
"""Seconds beyond `SILENCE_S` for what has come, and was not taken because the loop was kept."""

SLICE_S: Final = 0.005
"""Seconds that a flood of events may keep the loop before others have their turn."""

DRAIN_S: Final = 1.0
"""Seconds that a stream may stay open after its marker."""


class EndlessError(Exception):
    """Raised for a body that goes on beyond what is taken of it; tells what went on."""


async def events(response: httpx.Response) -> AsyncGenerator[tuple[str, Event], None]:
    """Give each event with its id (empty where there are none), to the marker or the end.

    Raises
    ------
    httpx_sse.SSEError
        It is no stream of events.
    httpx.HTTPError
        It broke off.
    EndlessError
        A line or an event of it does not end.

    """
    body = Bounded(response.stream, most_of_a_line=MAX_LINE, most_of_an_event=MAX_EVENT)
    response.stream = body
    response.encoding = "utf-8-sig"  # whatever its head says: such a stream has no other
    loop = asyncio.get_running_loop()
    turn = loop.time()
    async with aclosing(httpx_sse.EventSource(response).aiter_sse()) as sent:
        async for sse in sent:
            if loop.time() - turn > SLICE_S:
                await asyncio.sleep(0)
                turn = loop.time()
            event_id = sse.id if _ID.fullmatch(sse.id) else ""
            if event_id:
                body.patience = SILENCE_S  # who numbers events also gives signs of life
            if not sse.data:  # blank lines after an id make phantom events
                continue
            event = read(sse.data, sse.event)
            yield event_id, event
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

    `most` bytes in all, `most_of_a_line` without a newline and `most_of_an_event` without a blank
    line (the decoder behind keeps both whole), and `patience` seconds without any; None: no limit.
    """

    def __init__(
        self,
        body: httpx.AsyncByteStream | httpx.SyncByteStream,
        *,
        most: int | None = None,
        most_of_a_line: int | None = None,
        most_of_an_event: int | None = None,
    ) -> None:
        assert isinstance(body, httpx.AsyncByteStream)  # noqa: S101 (an async client's)
        self.patience: float | None = None
        self._body = body
        self._runs = (
            _Run("an answer", (), most),
            _Run("a line", (b"\n",), most_of_a_line),
            _Run("an event", (b"\n\n", b"\n\r\n"), most_of_an_event),
        )

    async def __aiter__(self) -> AsyncIterator[bytes]:
        chunks = aiter(self._body)
        while True:
            try:
                chunk = await self._patiently(anext(chunks))
            except StopAsyncIteration:
                return
            for run in self._runs:
                run.take(chunk)
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


class _Run:
    """Counts the bytes since the last of some marks, which may come in pieces."""

    def __init__(self, name: str, marks: tuple[bytes, ...], most: int | None) -> None:
        self._name = name
        self._marks = marks
        self._most = math.inf if most is None else most
        self._kept = max(map(len, marks), default=1) - 1
        self._before = b""
        self._size = 0

    def take(self, chunk: bytes) -> None:
        """Count a piece.

        Raises
        ------
        EndlessError
            There are too many.

        """
        text = self._before + chunk
        ends = [at + len(mark) for mark in self._marks if (at := text.rfind(mark)) >= 0]
        self._size = len(text) - max(ends) if ends else self._size + len(chunk)
        self._before = text[len(text) - self._kept :]
        if self._size > self._most:
            raise EndlessError(f"{self._name} of more than {self._most} bytes")
