"""A bare server on loopback: no library between a test and the bytes, or the cut, that it sends."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from contextlib import suppress
from typing import Self


class Server(ABC):
    """Serves each connection by `serve`; an async context manager, which ends them all."""

    _server: asyncio.Server

    def __init__(self) -> None:
        self._connections: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for connection in self._connections:
            connection.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)
        await self._server.wait_closed()

    @property
    def address(self) -> str:
        """Its host and port."""
        return f"127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    @property
    def url(self) -> str:
        """Its origin, without a slash at its end."""
        return f"http://{self.address}"

    @abstractmethod
    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection; it is closed afterwards."""

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._connections.add(task)
        try:
            # The client left, or we end; of a cancelled connection asyncio would log.
            with suppress(asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
                await self.serve(reader, writer)
        finally:
            self._connections.discard(task)
            writer.close()
