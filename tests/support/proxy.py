"""A proxy on loopback that cuts, stalls, trickles and corrupts what passes through it."""

from __future__ import annotations

import asyncio
import socket
import struct
from contextlib import suppress
from typing import Self
from urllib.parse import urlsplit

STEP_S = 0.02


class Proxy:
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
        self._connections: set[asyncio.Task[None]] = set()
        self._writers: set[asyncio.StreamWriter] = set()
        self._server: asyncio.Server

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._pass, "127.0.0.1", 0)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for connection in self._connections:
            connection.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)
        await self._server.wait_closed()

    @property
    def _here(self) -> str:
        return f"127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    @property
    def url(self) -> str:
        """The address to use in the place of the real one."""
        return f"http://{self._here}"

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

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.asked += 1
        if self.is_down:
            writer.close()
            return
        task = asyncio.current_task()
        assert task is not None
        self._connections.add(task)
        self._writers.add(writer)
        host, _, port = self._there.partition(":")
        to_there: asyncio.StreamWriter | None = None
        try:
            there, to_there = await asyncio.open_connection(host, int(port))
            # The one behind checks its Host.
            names = self._here.encode(), self._there.encode()
            asking = asyncio.create_task(self._ask(reader, to_there, names))
            try:
                await self._answer(there, writer)
            finally:
                asking.cancel()
                await asyncio.gather(asking, return_exceptions=True)
        except (ConnectionError, asyncio.CancelledError):
            pass  # either side left, or we end; of a cancelled connection asyncio would log
        finally:
            self._connections.discard(task)
            self._writers.discard(writer)
            for end in (writer, to_there):
                if end is not None:
                    end.close()
                    with suppress(ConnectionError):
                        await end.wait_closed()

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
