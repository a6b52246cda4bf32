"""Replays a recorded transcript of a real hive over a real socket.

The transcripts in ``tests/data/transcripts`` hold what a real hive said, read by read. `ReplayHive`
says it again: by default as it was recorded but without the waiting, on demand at its own pace,
cut off anywhere, or in other pieces. It is a bare HTTP/1.1 server on asyncio streams, because a
server library would not cut a body in the middle.

    async with ReplayHive(transcript("download_small"), chunks=repeat(7)) as hive:
        ... POST to hive.url + "/v1/jobs", GET the stream ...
"""

from __future__ import annotations

import asyncio
import json
from bisect import bisect_left
from dataclasses import dataclass, field
from functools import cached_property
from itertools import accumulate
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypeAlias
from uuid import uuid4

from tests.support.server import Server

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

TRANSCRIPTS = Path(__file__).parents[1] / "data" / "transcripts"

CAPABILITIES = {
    "devices": [
        {
            "id": "CPU-0",
            "name": "CPU (16 cores)",
            "device_type": "cpu",
            "vram_gb": 62,
            "compute_capability": None,
        }
    ]
}

CANCEL_SIGNS = (b"\x1b[2mcancelled ", b"\x1b[2mdownload_cancelled ", b"[CANCELLED]")
"""What a stream says for a cancel: its two narrations, either of which may lack, and its marker."""


# -- transcripts --------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Read:
    """One read of the stream's body, `at` seconds after the GET."""

    at: float
    body: bytes


@dataclass(frozen=True, slots=True)
class Delete:
    """The answer to a DELETE, `at` seconds after the GET."""

    at: float
    status: int
    body: str


@dataclass(frozen=True, slots=True)
class End:
    """The stream's orderly end, `at` seconds after the GET."""

    at: float


Record: TypeAlias = Read | Delete | End


@dataclass(frozen=True)
class Transcript:
    """One recorded job: what was sent, what was answered, and the stream."""

    name: str
    post: Mapping[str, Any] | None
    """The operation; None where no job was submitted (`second_get`)."""
    answer: Mapping[str, str] | None
    """The answer of POST /v1/jobs: `job_id` and `sse_url`."""
    status: int
    headers: Mapping[str, str]
    records: tuple[Record, ...]
    """In the order of the recording; without an `End` the connection was cut."""

    @cached_property
    def reads(self) -> tuple[Read, ...]:
        """The body's reads, in order."""
        return tuple(record for record in self.records if isinstance(record, Read))

    @cached_property
    def body(self) -> bytes:
        """The whole body of the stream, without its chunked coding."""
        return b"".join(read.body for read in self.reads)

    @property
    def events(self) -> int:
        """Number of whole SSE events in the body."""
        return self.body.count(b"\n\n")

    @property
    def delete(self) -> Delete | None:
        """The recorded answer to a DELETE, None where there was none before the end."""
        return next((record for record in self.records if isinstance(record, Delete)), None)

    @property
    def is_complete(self) -> bool:
        """Whether the stream came to its orderly end."""
        return any(isinstance(record, End) for record in self.records)

    @property
    def cancelled_at(self) -> int:
        """Offset in the body from which on it tells of a cancel; its length if it never does."""
        offset = 0
        for record in self.records:
            match record:
                case Delete():
                    return offset
                case Read(body=body) if any(sign in body for sign in CANCEL_SIGNS):
                    return offset
                case Read(body=body):
                    offset += len(body)
        return offset


def names() -> list[str]:
    """Give the names of all transcripts, sorted."""
    return sorted(path.stem for path in TRANSCRIPTS.glob("*.jsonl"))


def transcript(name: str) -> Transcript:
    """Load ``tests/data/transcripts/{name}.jsonl``."""
    text = (TRANSCRIPTS / f"{name}.jsonl").read_text("utf-8")
    # Not splitlines: it also splits at U+2028, which JSON may hold.
    head, *records = (json.loads(line) for line in text.split("\n") if line)
    return Transcript(name=name, **head, records=tuple(map(_record, records)))


def _record(line: Mapping[str, Any]) -> Record:
    match line:
        case {"t": at, "body": body}:
            return Read(at, body.encode())
        case {"t": at, "delete": {"status": status, "body": body}}:
            return Delete(at, status, body)
        case {"t": at, "eof": True}:
            return End(at)
        case _:
            raise ValueError(f"expected a record of a transcript, got {str(line)[:80]!r}")


# -- the server ---------------------------------------------------------------------------------


class Request(NamedTuple):
    """One request; `json` is None where its body held none."""

    method: str
    path: str
    json: Any


@dataclass(slots=True)
class _Job:
    id: str
    recording: Transcript
    is_main: bool = False
    is_opened: bool = False
    has_ended: bool = False
    cancelled: asyncio.Event = field(default_factory=asyncio.Event)


@dataclass(frozen=True, slots=True)
class _Answer:
    status: int
    body: bytes = b""
    content_type: str = "text/plain; charset=utf-8"


def _json(value: object) -> _Answer:
    return _Answer(200, json.dumps(value).encode(), "application/json")


class ReplayHive(Server):
    """A hive that knows one job; an async context manager.

    A POST of the recorded operation gets the recorded job; the same again gets a new id and the
    same stream. Any `model_list` besides gets `catalog`, any other operation an `[ERROR]`. The
    first GET of a stream replays it, every later one tells that the channel is gone, as a real
    hive does. A client that disconnects doesn't stop the job.

    Parameters
    ----------
    recorded
        The transcript to replay.
    speed
        Factor on the recorded times: 1 as recorded, 0.1 ten times as fast, 0 at once.
    cut_at
        Close the connection, with no end of the chunked coding, after so many bytes of the body.
        Only the recording's first stream is cut, so that a retry sees it whole.
    chunks
        Sizes in bytes into which the body is cut anew; what they leave over is one piece more.
        Give `itertools.repeat(1)` for single bytes. Only the recording's first stream is.
    catalog
        The stream of a `model_list`; an empty list by default.
    hold
        "delete": what the recording says from its cancel on waits for a DELETE.
    """

    def __init__(
        self,
        recorded: Transcript,
        *,
        speed: float = 0,
        cut_at: int | None = None,
        chunks: Iterable[int] | None = None,
        catalog: Transcript | None = None,
        hold: Literal["delete"] | None = None,
    ) -> None:
        super().__init__()
        self.requests: list[Request] = []
        self._recorded = recorded
        self._speed = speed
        self._cut_at = cut_at
        self._chunks = chunks
        self._catalog = catalog or transcript("model_list_empty")
        self._hold = hold
        self._gone = transcript("second_get")
        self._jobs: dict[str, _Job] = {}

    # One connection

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer requests until the stream, or the client, ends."""
        while await self._exchange(reader, writer):
            pass

    async def _exchange(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """Answer one request; tell whether the connection stays open."""
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        line, *fields = head.rstrip().split("\r\n")
        method, path, _ = line.split(" ")
        headers = {
            name.lower(): value.strip() for name, _, value in (f.partition(":") for f in fields)
        }
        body = await reader.readexactly(int(headers.get("content-length", 0)))
        try:
            value = json.loads(body) if body else None
        except ValueError:
            value = None
        self.requests.append(Request(method, path, value))

        if method in {"GET", "HEAD"} and path.startswith("/v1/jobs/") and path.endswith("/stream"):
            job = self._jobs.get(path.split("/")[3])
            return await self._stream(writer, job, with_body=method == "GET")
        answer = self._answer(method, path, value, headers.get("content-type", ""))
        lines = {"content-type": answer.content_type, "content-length": str(len(answer.body))}
        _write_head(writer, answer.status, lines)
        writer.write(answer.body if method != "HEAD" else b"")
        await writer.drain()
        return True

    def _answer(self, method: str, path: str, value: Any, content_type: str) -> _Answer:
        match method, path.partition("?")[0].strip("/").split("/"):
            case "POST", ["v1", "jobs"]:
                if not content_type.startswith("application/json"):
                    return _Answer(415, b"Expected request with `Content-Type: application/json`")
                if value is None:
                    return _Answer(400, b"Failed to parse the request body as JSON")
                job = self._submit(value)
                return _json({"job_id": job.id, "sse_url": f"/v1/jobs/{job.id}/stream"})
            case "DELETE", ["v1", "jobs", job_id]:
                return self._cancel(job_id)
            case "GET" | "HEAD", ["health"]:
                return _Answer(200, b"ok")
            case "GET" | "HEAD", ["v1", "capabilities"]:
                return _json(CAPABILITIES)
            case _, ["health"] | ["v1", "capabilities"] | ["v1", "jobs"] | ["v1", "jobs", _]:
                return _Answer(405)
            case _:
                return _Answer(200, b"<!doctype html><title>rbee</title>", "text/html")

    # Jobs

    def _submit(self, value: Any) -> _Job:
        operation = value.get("operation") if isinstance(value, dict) else None
        is_first = not any(job.is_main for job in self._jobs.values())
        is_recorded = self._recorded.post is not None and (
            operation == self._recorded.post["operation"]
        )
        if is_recorded and (is_first or operation != "model_list"):
            recording = self._recorded
        elif operation == "model_list":
            recording = self._catalog
        else:
            text = f"data: [ERROR] the transcript holds no operation '{operation}'\n\n"
            recording = _stream_of(text, like=self._gone)
        job_id = (recording.answer or {}).get("job_id")
        if job_id is None or job_id in self._jobs:
            job_id = f"job-{uuid4()}"
        job = _Job(job_id, recording, is_main=recording is self._recorded and is_first)
        self._jobs[job_id] = job
        return job

    def _cancel(self, job_id: str) -> _Answer:
        job = self._jobs.get(job_id)
        if job is None or job.has_ended:
            return _Answer(404, f"Job {job_id} not found or cannot be cancelled".encode())
        job.cancelled.set()
        if (recorded := job.recording.delete) and recorded.status != 200:
            return _Answer(recorded.status, recorded.body.encode())
        return _json({"job_id": job_id, "status": "cancelled"})

    # The stream

    async def _stream(
        self, writer: asyncio.StreamWriter, job: _Job | None, *, with_body: bool
    ) -> bool:
        """Send a job's stream, or what stands for one that is spent or unknown."""
        if job is None or job.is_opened:
            job = _Job("", self._gone)
        job.is_opened = True
        _write_head(writer, job.recording.status, job.recording.headers)
        if not with_body:
            return True

        began = asyncio.get_running_loop().time()
        for at, piece in self._pieces(job):
            if at is None:
                await job.cancelled.wait()
                continue
            wait = began + at * self._speed - asyncio.get_running_loop().time()
            if wait > 0:
                await writer.drain()
                await asyncio.sleep(wait)
            if not writer.is_closing():  # the job goes on without its reader
                writer.write(b"%x\r\n%b\r\n" % (len(piece), piece))
        is_whole = job.recording.is_complete and not (job.is_main and self._cut_at is not None)
        job.has_ended = job.recording.is_complete
        if is_whole:
            writer.write(b"0\r\n\r\n")
        await writer.drain()
        return is_whole

    def _pieces(self, job: _Job) -> Iterator[tuple[float | None, bytes]]:
        """Give the pieces of a job's body and their times in seconds; a time of None: hold here."""
        recording = job.recording
        recorded_id = (recording.answer or {}).get("job_id", job.id).encode()
        body = recording.body.replace(recorded_id, job.id.encode())
        ends = list(accumulate(len(read.body) for read in recording.reads))
        stop, held = len(body), None
        cuts = set(ends)
        if job.is_main:
            stop = len(body) if self._cut_at is None else min(self._cut_at, len(body))
            cuts = set(ends) if self._chunks is None else _cuts(self._chunks, stop)
        if self._hold == "delete" and recording is self._recorded:
            held = recording.cancelled_at
            cuts.add(held)

        start = 0
        for end in sorted({cut for cut in cuts if 0 < cut < stop} | {stop}):
            if start == held:
                yield None, b""
            if start < end:
                yield recording.reads[bisect_left(ends, end)].at, body[start:end]
            start = end


def _cuts(sizes: Iterable[int], stop: int) -> set[int]:
    """Give the offsets below `stop` at which pieces of these sizes end."""
    cuts: set[int] = set()
    for end in accumulate(sizes):
        if end >= stop:
            break
        cuts.add(end)
    return cuts


def _stream_of(text: str, *, like: Transcript) -> Transcript:
    """Give a transcript whose stream says `text` at once."""
    return Transcript(
        name="made",
        post=None,
        answer=None,
        status=like.status,
        headers=like.headers,
        records=(Read(0, text.encode()), End(0)),
    )


def _write_head(writer: asyncio.StreamWriter, status: int, headers: Mapping[str, str]) -> None:
    lines = [f"HTTP/1.1 {status} ", *(f"{name}: {value}" for name, value in headers.items())]
    writer.write("".join(f"{line}\r\n" for line in [*lines, ""]).encode("latin-1"))
