"""An origin on loopback that answers with raw bytes, for what no honest server says."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from rbee_widgets.hive.engine import Remote, Transfer, TransferError, Web

Reply = Callable[[str, dict[str, str]], bytes]
"""Gives the answer to a request of this path and these headers; its method is under `method`."""


@asynccontextmanager
async def origin(reply: Reply) -> AsyncIterator[str]:
    """Serve what `reply` gives, on loopback; gives the URL."""
    async with serving(reply, "127.0.0.1", 0) as port:
        yield f"http://127.0.0.1:{port}"


@asynccontextmanager
async def serving(reply: Reply, host: str, port: int) -> AsyncIterator[int]:
    """Serve what `reply` gives; a connection is closed after an answer that says so."""
    tasks, writers = list[asyncio.Task[None] | None](), list[asyncio.StreamWriter]()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        tasks.append(asyncio.current_task())
        writers.append(writer)
        with suppress(ConnectionError, asyncio.IncompleteReadError):
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
                method, path, _ = head[0].split()
                fields = (line.split(": ", 1) for line in head[1:] if line)
                headers = {name.lower(): value for name, value in fields}
                answer = reply(path, {**headers, "method": method})
                if method == "HEAD" and answer:
                    answer = answer.partition(b"\r\n\r\n")[0] + b"\r\n\r\n"
                writer.write(answer)
                await writer.drain()
                if b"\r\nConnection: close" in answer:
                    break
        writer.close()

    server = await asyncio.start_server(serve, host, port)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for writer in writers:
            writer.transport.abort()
        await asyncio.gather(*(task for task in tasks if task), return_exceptions=True)


def said(status: str, body: bytes = b"", **headers: str) -> bytes:
    """Give an answer of this status, body and headers (`_` stands for `-` in their names)."""
    fields = {"Content-Length": str(len(body))}
    fields |= {name.replace("_", "-"): value for name, value in headers.items()}
    lines = [f"HTTP/1.1 {status}", *(f"{name}: {value}" for name, value in fields.items() if value)]
    return "\r\n".join([*lines, "", ""]).encode() + body


def asked(content: bytes, headers: dict[str, str]) -> tuple[int, int] | None:
    """Give the first offset asked for and the one after the last; None: the whole."""
    told = re.fullmatch("bytes=([0-9]+)-([0-9]+)", headers.get("range", ""))
    return (int(told[1]), min(int(told[2]) + 1, len(content))) if told else None


def ranged(content: bytes, headers: dict[str, str], **more: str) -> bytes:
    """Give the answer of an honest server to a request for a file of this content."""
    span = asked(content, headers)
    if span is None:
        return said("200 OK", content, **more)
    told = f"bytes {span[0]}-{span[1] - 1}/{len(content)}"
    return said("206 Partial Content", content[slice(*span)], Content_Range=told, **more)


async def fetched(remote: Remote, path: Path, content: bytes) -> str:
    """Fetch with the engine; gives what it raised, or nothing where the right file is there."""
    with Web(8) as web:
        try:
            await asyncio.to_thread(Transfer(remote, path, web).run)
        except TransferError as error:
            assert not path.exists()
            return f"{type(error).__name__}: {error}"
    assert path.read_bytes() == content
    return ""
