"""A hive that means no good: a server on loopback that sends whatever it is given, byte for byte.

A server library would refuse to say most of it.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from rbee_widgets import Download, Hive, Tracker
from rbee_widgets.contract import DONE, sse
from rbee_widgets.handle import Subscriber
from tests.support.downloads import ended
from tests.support.replay import CAPABILITIES
from tests.support.server import Server

MODEL: Final = "org/repo:file.gguf"
TOKEN: Final = "a-token-that-no-other-server-may-see"
JOB: Final = "job-1"
CATALOG_JOB: Final = "job-2"

Bytes = bytes | Iterable[bytes | None]
"""An answer, head and all; of an iterable, as much as the client takes, and None: no more comes."""


@dataclass(frozen=True, slots=True)
class Asked:
    """One request, as it came."""

    method: str
    target: str
    headers: dict[str, str]
    body: Any = field(default=None, compare=False)


def answer(
    body: Bytes = b"",
    kind: str = "application/json",
    status: str = "200 OK",
    **headers: str,
) -> Iterator[bytes | None]:
    """Write an answer that ends with its connection."""
    lines = {"content-type": kind, "connection": "close"}
    lines |= {name.replace("_", "-"): value for name, value in headers.items()}
    head = "".join(f"{name}: {value}\r\n" for name, value in lines.items() if value)
    yield f"HTTP/1.1 {status}\r\n{head}\r\n".encode("latin-1")
    yield from [body] if isinstance(body, bytes) else body


def job(job_id: object = JOB, sse_url: object = f"/v1/jobs/{JOB}/stream") -> Iterator[bytes | None]:
    """Answer a submission."""
    return answer(json.dumps({"job_id": job_id, "sse_url": sse_url}).encode())


def stream(body: Bytes, **headers: str) -> Iterator[bytes | None]:
    """Answer with a stream of events."""
    return answer(body, "text/event-stream", **headers)


def says(*texts: str, end: str = DONE) -> Iterator[bytes | None]:
    """Answer with a stream that says these texts, each an event, and ends."""
    return stream(b"".join(sse(text) for text in (*texts, end)))


class HostileHive(Server):
    """A hive whose answers to a download are given; an async context manager.

    Each answer is given once; the rest is what a decent hive says.

    Parameters
    ----------
    submitted
        The answer to its submission.
    streamed
        The answer to the GET of its stream.
    models
        What the catalog is said to hold, as `model_list` tells it.
    otherwise
        Answers to other requests, by method and path, such as `GET /health`.

    """

    def __init__(
        self,
        *,
        submitted: Bytes | None = None,
        streamed: Bytes | None = None,
        models: object = (),
        otherwise: dict[str, Bytes] | None = None,
    ) -> None:
        super().__init__()
        self.asked: list[Asked] = []
        listed = {"action": "model_list", "payload": {"models": models}}
        self._answers: dict[str, Bytes] = {
            f"GET /v1/jobs/{JOB}/stream": says() if streamed is None else streamed,
            f"GET /v1/jobs/{CATALOG_JOB}/stream": stream(
                sse(json.dumps(listed), event="data") + sse(DONE)
            ),
            "GET /v1/jobs": answer(status="405 Method Not Allowed"),
            "GET /v1/capabilities": answer(json.dumps(CAPABILITIES).encode()),
            "GET /health": answer(b"ok", "text/plain"),
        } | (otherwise or {})
        self._submitted = job() if submitted is None else submitted

    @property
    def targets(self) -> list[str]:
        """Which paths were asked for, with their methods, in order."""
        return [f"{asked.method} {asked.target}" for asked in self.asked]

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer one request."""
        for piece in self._answer(await _read(reader)):
            if piece is None:
                await asyncio.Event().wait()
                return
            writer.write(piece)
            await writer.drain()

    def _answer(self, asked: Asked) -> Iterable[bytes | None]:
        self.asked.append(asked)
        name = f"{asked.method} {asked.target}"
        if name == "POST /v1/jobs":
            if asked.body["operation"] == "model_list":
                return job(CATALOG_JOB)
            given = self._submitted
        elif name in self._answers:
            given = self._answers[name]
        else:
            given = answer(b"<!doctype html><title>rbee</title>", "text/html")
        return [given] if isinstance(given, bytes) else given


async def _read(reader: asyncio.StreamReader) -> Asked:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    line, *fields = head.rstrip().split("\r\n")
    method, target, _ = line.split(" ")
    named = (one.partition(":") for one in fields)
    headers = {name.lower(): value.strip() for name, _, value in named}
    body = await reader.readexactly(int(headers.get("content-length", 0)))
    return Asked(method, target, headers, json.loads(body) if body else None)


async def followed(hive: HostileHive, *, watch: Subscriber | None = None) -> Download:
    """Have a hive fetch `MODEL`, and wait for the end, whatever it is."""
    tracker = Tracker([Hive(hive.url, "hostile", TOKEN)])
    if watch is not None:
        tracker.subscribe(watch)
    download = await ended(tracker.download(MODEL))
    await tracker.aclose()
    return download
