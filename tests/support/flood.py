"""A hive, in a process of its own, that says very much: ``python -m tests.support.flood RATE N``.

Its first job says N narrations, RATE a second (0: as fast as they are taken), a progress line
every hundred of them, and `[DONE]`. A DELETE ends it with `[CANCELLED]`. Other jobs fail.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import count

from rbee_widgets.contract import CANCELLED, DONE, frame, sse

BURST_S = 0.01
STREAM = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n"


def line(n: int, of: int) -> bytes:
    """Give the narration of number `n`."""
    if n % 100:
        return sse(frame("flood::speak", "build_output", f"   Compiling crate-{n} v0.1.{n % 50}"))
    done, total = n * 1000, of * 1000
    percent = done / total * 100
    return sse(frame("flood::speak", "x", f"📊 Progress: {percent:.1f}% ({done} B / {total} B)"))


class Flood:
    """The server."""

    def __init__(self, rate: float, lines: int) -> None:
        self._rate = rate
        self._lines = lines
        self._cancelled = asyncio.Event()
        self._jobs = count()

    async def serve(self) -> None:
        """Listen, say where, and answer for ever."""
        server = await asyncio.start_server(self._answer, "127.0.0.1", 0)
        print(server.sockets[0].getsockname()[1], flush=True)
        await server.serve_forever()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode()
                method, path, _ = head.split(" ", 2)
                lower = head.lower()
                if "content-length: " in lower:
                    await reader.readexactly(int(lower.split("content-length: ")[1].split("\r")[0]))
                if path == "/v1/jobs/job-0/stream":
                    await self._stream(writer)
                    break
                if path.endswith("/stream"):
                    writer.write(STREAM + sse("[ERROR] no"))
                    break
                status, body = self._said(method, path)
                writer.write(
                    f"HTTP/1.1 {status} x\r\nContent-Type: application/json\r\n"
                    f"Content-Length: {len(body)}\r\n\r\n{body}".encode()
                )
                await writer.drain()
        writer.close()

    def _said(self, method: str, path: str) -> tuple[int, str]:
        if method == "POST":
            job = f"job-{next(self._jobs)}"
            return 200, json.dumps({"job_id": job, "sse_url": f"/v1/jobs/{job}/stream"})
        if method == "DELETE":
            self._cancelled.set()
            return 200, json.dumps({"job_id": path.rpartition("/")[2], "status": "cancelled"})
        return 405, ""

    async def _stream(self, writer: asyncio.StreamWriter) -> None:
        writer.write(STREAM)
        loop = asyncio.get_running_loop()
        begin, said = loop.time(), 0
        while said < self._lines and not self._cancelled.is_set():
            due = self._lines
            if self._rate:
                due = min(due, int((loop.time() - begin) * self._rate))
            for n in range(said, min(due, said + 1000)):
                writer.write(line(n, self._lines))
            said = min(due, said + 1000)
            await writer.drain()
            if said >= due:
                await asyncio.sleep(BURST_S)
        writer.write(sse(CANCELLED if self._cancelled.is_set() else DONE))
        await writer.drain()


@asynccontextmanager
async def flooding(rate: float, lines: int) -> AsyncIterator[str]:
    """Run one; gives its URL."""
    command = [sys.executable, "-m", "tests.support.flood", str(rate), str(lines)]
    process = await asyncio.create_subprocess_exec(*command, stdout=subprocess.PIPE)
    assert process.stdout is not None
    port = int(await process.stdout.readline())
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        process.kill()
        await process.wait()


if __name__ == "__main__":
    asyncio.run(Flood(float(sys.argv[1]), int(sys.argv[2])).serve())
