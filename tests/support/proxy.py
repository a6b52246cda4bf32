"""A proxy on loopback that cuts what passes through it."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Self
from urllib.parse import urlsplit


class CuttingProxy:
    """Passes on what goes to and from `url`; an async context manager.

    The first answer longer than `cut_after` bytes is cut there; everything else passes whole.
    """

    def __init__(self, url: str, *, cut_after: int) -> None:
        self.has_cut = False
        self._there = urlsplit(url).netloc
        self._cut_after = cut_after
        self._connections: set[asyncio.Task[None]] = set()
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

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._connections.add(task)
        host, _, port = self._there.partition(":")
        there, to_there = await asyncio.open_connection(host, int(port))
        # The one behind checks its Host.
        asking = asyncio.create_task(
            _copy(reader, to_there, self._here.encode(), self._there.encode())
        )
        try:
            await self._answer(there, writer)
        except (ConnectionError, asyncio.CancelledError):
            pass  # either side left, or we end; of a cancelled connection asyncio would log
        finally:
            self._connections.discard(task)
            asking.cancel()
            await asyncio.gather(asking, return_exceptions=True)
            for end in (writer, to_there):
                end.close()
                with suppress(ConnectionError):
                    await end.wait_closed()

    async def _answer(self, there: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        passed = 0
        while data := await there.read(65536):
            writer.write(data)
            await writer.drain()
            passed += len(data)
            if passed > self._cut_after and not self.has_cut:
                self.has_cut = True
                return


async def _copy(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, old: bytes, new: bytes
) -> None:
    while data := await reader.read(65536):
        writer.write(data.replace(old, new))
        await writer.drain()
