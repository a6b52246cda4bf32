"""A server on loopback whose answer has no end."""

from __future__ import annotations

import asyncio

from tests.support.server import Server


class Drip(Server):
    """Answers with `begun` at once, and then with one drop after another."""

    def __init__(self, begun: bytes, drop: bytes) -> None:
        super().__init__()
        self._begun = begun
        self._drop = drop

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer one connection, until it is closed."""
        await reader.readuntil(b"\r\n\r\n")
        writer.write(self._begun)
        while True:
            writer.write(self._drop)
            await writer.drain()
            await asyncio.sleep(0.1)
