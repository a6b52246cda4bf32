"""A proxy on loopback that cuts, stalls, trickles and corrupts what passes through it."""

from __future__ import annotations

import asyncio
import socket
import struct
from contextlib import suppress
from urllib.parse import urlsplit

from tests.support.server import Server

STEP_S = 0.02


class Proxy(Server):
    """Passes on what goes to and from `url`; an async context manager.

    What it does can be changed while it runs.

    Parameters
    ----------
    url
        Where it leads to.
    cut_after
        The first answer longer than so many bytes is cut there.
    with_reset
        Cut by a TCP reset and not in good order.
    rate
        Bytes a second of each answer; None: as they come.

    """

    def __init__(
        self,
        url: str,
        *,
        cut_after: int | None = None,
        with_reset: bool = False,
        rate: float | None = None,
    ) -> None:
        super().__init__()
        self.is_down = False
        """Whether connections are closed as soon as they are made."""
        self.is_stalled = False
        """Whether nothing passes."""
        self.rate = rate
        self.corrupt: tuple[bytes, bytes] | None = None
        """What is replaced in answers by something of the same length."""
        self.asked = 0
        """Connections that were made."""
        self.has_cut = False
        self._there = urlsplit(url).netloc
        self._cut_after = cut_after
        self._with_reset = with_reset
        self._writers: set[asyncio.StreamWriter] = set()

    def cut(self) -> None:
        """Cut all that is open."""
        for writer in tuple(self._writers):
            self._close(writer)

    def _close(self, writer: asyncio.StreamWriter) -> None:
        if self._with_reset:
            peer = writer.get_extra_info("socket")
            peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            writer.transport.abort()
        else:
            writer.close()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Pass on one connection."""
        self.asked += 1
        if self.is_down:
            return
        self._writers.add(writer)
        host, _, port = self._there.partition(":")
        there, to_there = await asyncio.open_connection(host, int(port))
        # The one behind checks its Host.
        names = self.address.encode(), self._there.encode()
        asking = asyncio.create_task(self._ask(reader, to_there, names))
        try:
            await self._answer(there, writer)
        finally:
            self._writers.discard(writer)
            asking.cancel()
            await asyncio.gather(asking, return_exceptions=True)
            to_there.close()
            with suppress(ConnectionError):
                await to_there.wait_closed()

    async def _ask(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, names: tuple[bytes, bytes]
    ) -> None:
        while data := await reader.read(65536):
            await self._flow()
            writer.write(data.replace(*names))
            await writer.drain()

    async def _answer(self, there: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        passed = 0
        while data := await there.read(65536 if self.rate is None else self._step):
            await self._flow()
            if self.rate is not None:
                await asyncio.sleep(len(data) / self.rate)
            if self.corrupt is not None:
                data = data.replace(*self.corrupt)
            if self._cut_after is not None and not self.has_cut:
                data = data[: self._cut_after - passed]
            writer.write(data)
            await writer.drain()
            passed += len(data)
            if passed == self._cut_after and not self.has_cut:
                self.has_cut = True
                self._close(writer)
                return

    @property
    def _step(self) -> int:
        return max(1, int((self.rate or 0) * STEP_S))

    async def _flow(self) -> None:
        while self.is_stalled:
            await asyncio.sleep(STEP_S)
