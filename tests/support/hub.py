"""A Hugging Face compatible hub on loopback: a real HTTP server, made for tests.

It speaks as much of the public hub's HTTP as a downloader sees (resolve, redirect to a CDN,
ranges, the model API, gating) and nothing else. Files are not stored: their bytes follow from
seed and size, so a file of many gigabytes costs no disk and any range of it is made at once.
Transfers are paced, counted, and broken on demand; what the hub does can be changed while it
answers.

    with Hub(rate=60e6) as hub:
        hub.add("org/repo", "file.gguf", size=300_000_000, seed=1)
        hub.fail(Cut(after=1_000_000), path="file.gguf")
        ... download from hub.url ...
        assert hub.open_transfers == 0

As a process of its own: ``python -m tests.support.hub --port 8900 --file org/repo:f.gguf=3e8``.
Linux alone; the thread and the process alike listen on 127.0.0.1 alone.
"""

from __future__ import annotations

import argparse
import asyncio
import fcntl
import hashlib
import logging
import math
import re
import signal
import socket
import struct
import termios
import threading
import time
from contextlib import suppress
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, TypeAlias
from urllib.parse import quote

import uvicorn
from starlette.responses import JSONResponse, PlainTextResponse, RedirectResponse, Response
from starlette.routing import Route, Router
from uvicorn.protocols.http.h11_impl import H11Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import Self

    from starlette.requests import Request as HttpRequest
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

_log = logging.getLogger(__name__)

BLOCK = 65_536
"""Bytes of one block of content: small enough for short ranges, large enough to join fast."""

CHUNK = 262_144
"""Most bytes handed to the socket at once."""

STEP_S = 0.005
"""Seconds that one paced chunk lasts: fine enough to look smooth at ten ticks a second."""

POLL_S = 0.02
"""Longest sleep inside a transfer, in seconds: a gone client and a new rate are seen this soon."""

BURST_S = 0.25
"""Seconds of unused rate that a transfer may catch up on, so that a busy loop costs no accuracy."""

MAGIC = b"GGUF"


# -- content ------------------------------------------------------------------------------------


@lru_cache(maxsize=64)
def _tail(seed: int, size: int) -> bytes:
    """Give the pseudo-random part of each block, after the block's counter of 8 bytes."""
    return hashlib.shake_256(f"{seed}:{size}".encode()).digest(BLOCK - 8)


@lru_cache(maxsize=256)
def _sha256(content: Content) -> str:
    digest = hashlib.sha256()
    for start in range(0, content.size, 1 << 20):
        digest.update(content.read(start, start + (1 << 20)))
    return digest.hexdigest()


@dataclass(frozen=True, slots=True)
class Content:
    """The bytes of a file, as they follow from `seed` and `size`; `head` lies over their start."""

    size: int
    seed: int = 0
    head: bytes = MAGIC

    def read(self, start: int, stop: int) -> bytes:
        """Give the bytes from `start` up to `stop`, cut off at the file's end."""
        stop = min(stop, self.size)
        if start >= stop:
            return b""
        tail = _tail(self.seed, self.size)
        first, last = start // BLOCK, -(-stop // BLOCK)
        counters = (number.to_bytes(8, "little") for number in range(first, last))
        blocks = b"".join(part for counter in counters for part in (counter, tail))
        offset = first * BLOCK
        head = self.head[start:stop]
        return head + blocks[start - offset + len(head) : stop - offset]

    @property
    def sha256(self) -> str:
        """Hex digest of the whole; computed once for each content and process."""
        return _sha256(self)

    @property
    def git_sha1(self) -> str:
        """Hex digest that git gives to the file: the hub's ETag of files outside of LFS."""
        header = b"blob %d\0" % self.size
        return hashlib.sha1(header + self.read(0, self.size), usedforsecurity=False).hexdigest()


@dataclass(frozen=True, slots=True)
class _File:
    content: Content
    lfs: bool


@dataclass(slots=True)
class _Repo:
    gated: bool = False
    files: dict[str, _File] = field(default_factory=dict)

    @property
    def commit(self) -> str:
        """The revision's 40 hex digits: it changes when any file does."""
        state = repr(sorted((path, file.content) for path, file in self.files.items()))
        return hashlib.sha1(state.encode(), usedforsecurity=False).hexdigest()


# -- faults -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Status:
    """Answer with this status instead; `everywhere` means redirects, the API and HEAD as well."""

    code: int = 503
    headers: Mapping[str, str] = field(default_factory=dict)
    everywhere: bool = False


@dataclass(frozen=True, slots=True)
class Reset:
    """Reset the connection before anything is answered."""


@dataclass(frozen=True, slots=True)
class Cut:
    """Reset the connection after `after` bytes of the body, as a crashed server does."""

    after: int


@dataclass(frozen=True, slots=True)
class Short:
    """Close the connection in good order after `after` bytes, before Content-Length is reached."""

    after: int


@dataclass(frozen=True, slots=True)
class Stall:
    """Send nothing for `seconds` after `after` bytes, then go on; for ever by default."""

    after: int
    seconds: float = math.inf


@dataclass(frozen=True, slots=True)
class Flip:
    """Invert the byte at offset `at` of the file."""

    at: int


@dataclass(frozen=True, slots=True)
class IgnoreRange:
    """Answer 200 with the whole file, whatever range was asked for."""


Fault: TypeAlias = Status | Reset | Cut | Short | Stall | Flip | IgnoreRange


@dataclass(slots=True)
class _Armed:
    fault: Fault
    path: str
    times: float

    def strikes(self, path: str, span: range | None) -> bool:
        """Tell whether it would be seen in an answer; `span`: the offsets of a file in it."""
        if self.path not in path or self.times <= 0:
            return False
        everywhere = isinstance(self.fault, Status) and self.fault.everywhere
        if span is None:
            return everywhere
        match self.fault:
            case Flip(at):
                return at in span
            case Cut(after) | Short(after) | Stall(after):
                return after < len(span)
        return not everywhere


# -- records ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Request:
    """What one request was and what became of it, at the moment of looking."""

    method: str
    path: str
    port: int
    headers: Mapping[str, str]
    """All headers; names in lower case."""
    at: float
    """Monotonic time of arrival, in seconds."""
    status: int | None
    """None until the answer began."""
    sent: int
    """Bytes of the body handed to the socket so far."""
    ended: float | None
    """Monotonic time of the end, in seconds; None while the answer is being sent."""

    @property
    def range(self) -> str | None:
        """The Range header, None where the whole was asked for."""
        return self.headers.get("range")

    @property
    def authorization(self) -> str | None:
        """The Authorization header, None where the client sent no token."""
        return self.headers.get("authorization")


@dataclass(slots=True)
class _Record:
    scope: Scope
    at: float
    status: int | None = None
    sent: int = 0
    ended: float | None = None
    is_body: bool = False

    def snapshot(self) -> Request:
        return Request(
            method=self.scope["method"],
            path=self.scope["path"],
            port=self.scope["server"][1],
            headers={name.decode(): value.decode() for name, value in self.scope["headers"]},
            at=self.at,
            status=self.status,
            sent=self.sent,
            ended=self.ended,
        )


# -- transfer -----------------------------------------------------------------------------------


class _GoneError(Exception):
    """The client left."""


class _Pace:
    """Token bucket of one transfer; the rate is asked for anew at every step."""

    def __init__(self, rate: Callable[[], float | None]) -> None:
        self._rate = rate
        self._credit = 0.0
        self._at = time.monotonic()

    async def grant(self) -> int:
        """Wait for at most `POLL_S` and give the bytes that may be sent now, 0 for none yet."""
        rate = self._rate()
        if rate is None:
            await asyncio.sleep(0)  # a fast client must not starve the other connections
            return CHUNK
        want = min(max(rate * STEP_S, 1.0), CHUNK)
        self._earn(rate, want)
        if self._credit < want:
            await asyncio.sleep(min((want - self._credit) / rate, POLL_S) if rate else POLL_S)
            self._earn(rate, want)
        granted = int(want) if self._credit >= want else 0
        self._credit -= granted
        return granted

    def _earn(self, rate: float, want: float) -> None:
        now = time.monotonic()
        most = max(rate * BURST_S, want)
        self._credit = min(self._credit + (now - self._at) * rate, most)
        self._at = now


@dataclass(frozen=True, slots=True)
class _Transfer:
    """The answer that carries bytes of `content`; an ASGI application."""

    hub: Hub
    request: HttpRequest
    content: Content
    etag: str
    headers: Mapping[str, str]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        is_get = self.request.method == "GET"
        size, asked = self.content.size, self._range()
        span = range(size) if asked is None else asked
        fault = self.hub._next_fault(self.request.url.path, span) if is_get else None
        if isinstance(fault, Status):
            refusal = Response(status_code=fault.code, headers=dict(fault.headers))
            return await refusal(scope, receive, send)
        if isinstance(fault, Reset):
            return _reset(self._transport)

        ranged = None if isinstance(fault, IgnoreRange) else asked
        if ranged is not None and not ranged:
            unfit = Response(status_code=416, headers={"Content-Range": f"bytes */{size}"})
            return await unfit(scope, receive, send)

        span = range(size) if ranged is None else ranged
        headers = {
            "Content-Type": "application/octet-stream",
            "Accept-Ranges": "bytes",
            "ETag": f'"{self.etag}"',
            "Content-Length": str(len(span)),
            **self.headers,
        }
        if ranged is not None:
            headers["Content-Range"] = f"bytes {span.start}-{span.stop - 1}/{size}"
        await send(
            {
                "type": "http.response.start",
                "status": 200 if ranged is None else 206,
                "headers": [(k.lower().encode(), v.encode()) for k, v in headers.items()],
            }
        )
        if is_get:
            self.request.state.record.is_body = True
            self.hub._sending += 1
            try:
                if not await self._body(span, fault, send):
                    return None  # the server closes a connection whose answer isn't whole
            except _GoneError:
                return None
            finally:
                self.hub._sending -= 1
        await send({"type": "http.response.body", "body": b""})
        return None

    def _range(self) -> range | None:
        """Give the offsets asked for: None for the whole file, empty if they lie beyond it."""
        asked = re.fullmatch(r"bytes=(\d*)-(\d*)", self.request.headers.get("range", ""))
        if asked is None or not any(asked.groups()):
            return None
        if self.request.headers.get("if-range", f'"{self.etag}"') != f'"{self.etag}"':
            return None
        first, last = asked.groups()
        size = self.content.size
        if not first:
            return range(max(size - int(last), 0), size)
        return range(int(first), min(int(last) + 1, size) if last else size)

    async def _body(self, span: range, fault: Fault | None, send: Send) -> bool:
        """Send the bytes of `span`, as far as the fault lets them; tell whether all went out."""
        pace = _Pace(self.hub._share)
        flip = fault.at if isinstance(fault, Flip) else None
        match fault:
            case Cut(after) | Short(after) | Stall(after):
                halt = min(span.start + after, span.stop)
            case _:
                halt = span.stop

        await self._pour(range(span.start, halt), pace, flip, send)
        if halt == span.stop:
            return True
        match fault:
            case Stall(seconds=seconds):
                await self._idle(seconds)
                await self._pour(range(halt, span.stop), pace, flip, send)
                return True
            case Cut():
                while not self._is_gone and _undelivered(self._transport):  # it would be lost
                    await self._idle(POLL_S)
                _reset(self._transport)
        return False

    async def _pour(self, span: range, pace: _Pace, flip: int | None, send: Send) -> None:
        at = span.start
        while at < span.stop:
            granted = await pace.grant()
            if self._is_gone:
                raise _GoneError
            data = self.content.read(at, min(at + granted, span.stop))
            if flip is not None and at <= flip < at + len(data):
                changed = bytearray(data)
                changed[flip - at] ^= 0xFF
                data = bytes(changed)
            if data:
                await send({"type": "http.response.body", "body": data, "more_body": True})
            at += len(data)

    async def _idle(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            if self._is_gone:
                raise _GoneError
            await asyncio.sleep(min(left, POLL_S))

    @property
    def _transport(self) -> asyncio.Transport:
        transport: asyncio.Transport = self.request.state.transport
        return transport

    @property
    def _is_gone(self) -> bool:
        return self._transport.is_closing()


class _Protocol(H11Protocol):
    """Hands the connection's transport to the application, which has to break it at times."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self.app_state = {**self.app_state, "transport": transport}


def _undelivered(transport: asyncio.Transport) -> int:
    """Number of bytes that the other end's kernel hasn't acknowledged yet."""
    sock = transport.get_extra_info("socket")
    (queued,) = struct.unpack("i", fcntl.ioctl(sock, termios.TIOCOUTQ, bytes(4)))
    return int(queued) + transport.get_write_buffer_size()


def _reset(transport: asyncio.Transport) -> None:
    """Close at once with a TCP reset; what is still unsent is dropped."""
    linger_for_no_time = struct.pack("ii", 1, 0)
    with suppress(OSError):  # the hub's own end has closed it
        transport.get_extra_info("socket").setsockopt(
            socket.SOL_SOCKET, socket.SO_LINGER, linger_for_no_time
        )
    transport.abort()


# -- the hub ------------------------------------------------------------------------------------


class Hub:
    """The server, in a thread of this process; a context manager.

    Parameters
    ----------
    rate
        Bytes per second of all connections, which share it evenly; None for as fast as it goes.
        May be set at any time.
    cap
        Bytes per second of each connection, at most.
    cdn
        Serve the files of LFS from a second port, so from another origin than the hub's.
    tokens
        Bearer tokens that open gated repos.
    port
        0 takes a free one. It is kept over `stop` and `start`.
    """

    def __init__(
        self,
        *,
        rate: float | None = None,
        cap: float | None = None,
        cdn: bool = False,
        tokens: Sequence[str] = (),
        port: int = 0,
    ) -> None:
        self.rate = rate
        self.cap = cap
        self._sending = 0
        self.tokens = set(tokens)
        self._ports = [port, 0] if cdn else [port]
        self._repos: dict[str, _Repo] = {}
        self._blobs: dict[str, Content] = {}
        self._plain: dict[str, Content] = {}
        self._armed: list[_Armed] = []
        self._records: list[_Record] = []
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop
        self._server: uvicorn.Server
        self._serving: asyncio.Future[None]
        self._router = Router(
            [
                Route("/api/models/{org}/{repo}", self._model),
                Route("/api/models/{org}/{repo}/revision/{revision}", self._model),
                Route("/cdn/{sha256}/{path:path}", self._cdn),
                Route("/files/{path:path}", self._file),
                Route("/{org}/{repo}/resolve/{revision}/{path:path}", self._resolve),
            ]
        )

    # Life

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        """Open the port and answer; after a `stop` it is the same port again."""
        sockets = [socket.create_server(("127.0.0.1", port)) for port in self._ports]
        self._ports = [listening.getsockname()[1] for listening in sockets]
        config = uvicorn.Config(
            self._answer,
            interface="asgi3",
            http=_Protocol,
            ws="none",
            proxy_headers=False,
            lifespan="off",
            log_config=None,
            log_level=100,  # broken answers are meant to be broken
            access_log=False,
        )
        self._server = uvicorn.Server(config)

        async def serve() -> None:
            self._loop = asyncio.get_running_loop()
            self._serving = asyncio.ensure_future(self._server.serve(sockets))
            with suppress(asyncio.CancelledError):
                await self._serving
            for listening in sockets:
                self._loop.remove_reader(listening)
            for _ in range(3):  # those that had been accepted, and not yet been told of
                for connection in list(self._server.server_state.connections):
                    _reset(connection.transport)
                await asyncio.sleep(0.005)
            for server in self._server.servers:
                server.close()

        self._thread = threading.Thread(target=asyncio.run, args=[serve()], name="hub", daemon=True)
        self._thread.start()
        while not self._server.started:
            if not self._thread.is_alive():
                raise RuntimeError("the hub's server ended before it answered")
            time.sleep(0.002)

    def stop(self) -> None:
        """Close the port and reset every connection, also in mid-transfer; returns when done."""
        if self._thread is None:
            return
        # Its own way out takes two tenths of a second.
        self._loop.call_soon_threadsafe(self._serving.cancel)
        self._thread.join()
        self._thread = None

    # Files

    @property
    def url(self) -> str:
        """The hub's address, without a slash at its end: what HF_ENDPOINT takes."""
        return f"http://127.0.0.1:{self._ports[0]}"

    @property
    def cdn_url(self) -> str:
        """The address that a resolve redirects to; the hub's own but for `cdn=True`."""
        return f"http://127.0.0.1:{self._ports[-1]}"

    def add(
        self,
        repo: str,
        path: str,
        *,
        size: int | None = None,
        seed: int = 0,
        head: bytes = MAGIC,
        lfs: bool = True,
        gated: bool = False,
    ) -> Content:
        """Put a file into a repo, or another content in its place.

        `size` is that of `head` where it isn't given, so `head` alone makes a literal file.
        Hashes a file of LFS before it returns (about a second for a gigabyte).
        """
        content = Content(len(head) if size is None else size, seed, head)
        entry = self._repos.setdefault(repo, _Repo())
        entry.gated |= gated
        entry.files[path] = _File(content, lfs)
        if lfs:
            self._blobs[content.sha256] = content
        return content

    def add_file(
        self, name: str, *, size: int | None = None, seed: int = 0, head: bytes = MAGIC
    ) -> str:
        """Put a file outside of any repo; give its URL."""
        self._plain[name] = Content(len(head) if size is None else size, seed, head)
        return f"{self.url}/files/{quote(name)}"

    def content(self, repo: str, path: str) -> Content:
        """Give the present content of a repo's file."""
        return self._repos[repo].files[path].content

    def sha256(self, repo: str, path: str) -> str:
        """Give the hex digest of a repo's file."""
        return self.content(repo, path).sha256

    # Faults

    def fail(self, fault: Fault, *, path: str = "", times: float = 1) -> None:
        """Let the next `times` answers fail that carry a file and have `path` in their URL's path.

        `times` may be `math.inf`. Faults are used up in the order in which they were given, one
        for an answer, and only by an answer in which they show: one that holds the byte that a
        `Flip` inverts, or more bytes than a `Cut`, a `Short` or a `Stall` lets through.
        """
        self._armed.append(_Armed(fault, path, times))

    def heal(self) -> None:
        """Forget all faults that haven't struck yet."""
        self._armed.clear()

    def _next_fault(self, path: str, span: range | None) -> Fault | None:
        """Give what is to go wrong with an answer, and use it up."""
        for armed in self._armed:
            if armed.strikes(path, span):
                armed.times -= 1
                return armed.fault
        return None

    # Records

    @property
    def requests(self) -> list[Request]:
        """All requests, oldest first."""
        return [record.snapshot() for record in self._counted()]

    @property
    def sent(self) -> int:
        """Bytes of all bodies handed to sockets so far; not less than any client has seen."""
        return sum(record.sent for record in self._counted())

    @property
    def open_transfers(self) -> int:
        """Number of files that are being sent now."""
        return sum(record.is_body and record.ended is None for record in self._counted())

    def _counted(self) -> list[_Record]:
        """Give the records once the hub's thread, which sends and then counts, has had its turn."""
        if self._thread is not None:
            turn = threading.Event()
            with suppress(RuntimeError):  # it has just ended
                self._loop.call_soon_threadsafe(turn.set)
                turn.wait(1)
        return list(self._records)

    def _share(self) -> float | None:
        """Give the rate of one connection for now."""
        even = None if self.rate is None else self.rate / max(1, self._sending)
        limits = [limit for limit in (even, self.cap) if limit is not None]
        return min(limits, default=None)

    # Answers

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        record = _Record(scope, time.monotonic())
        self._records.append(record)
        scope["state"]["record"] = record

        async def recorded(message: Message) -> None:
            await send(message)
            if message["type"] == "http.response.start":
                record.status = message["status"]
            elif scope["method"] != "HEAD":
                record.sent += len(message.get("body", b""))

        try:
            fault = self._next_fault(scope["path"], None)
            app: ASGIApp = (
                Response(status_code=fault.code, headers=dict(fault.headers))
                if isinstance(fault, Status)
                else self._router
            )
            await app(scope, receive, recorded)
        except Exception:
            _log.exception("the hub has a bug: %s %s", scope["method"], scope["path"])
            raise
        finally:
            record.ended = time.monotonic()

    async def _model(self, request: HttpRequest) -> Response:
        name = "{org}/{repo}".format(**request.path_params)
        repo = self._repos.get(name)
        if repo is None:
            return _refusal(404, "RepoNotFound", "Repository not found")
        blobs = request.query_params.get("blobs") in {"true", "1"}
        return JSONResponse(
            {
                "id": name,
                "modelId": name,
                "sha": repo.commit,
                "private": False,
                "gated": "auto" if repo.gated else False,
                "siblings": [
                    {"rfilename": path, **(_blob(file) if blobs else {})}
                    for path, file in sorted(repo.files.items())
                ],
            }
        )

    async def _resolve(self, request: HttpRequest) -> ASGIApp:
        name = "{org}/{repo}".format(**request.path_params)
        path, revision = request.path_params["path"], request.path_params["revision"]
        repo = self._repos.get(name)
        if repo is None:
            return _refusal(404, "RepoNotFound", "Repository not found")
        if revision not in {"main", repo.commit}:
            return _refusal(404, "RevisionNotFound", f"Invalid rev id: {revision}")
        if repo.gated and (refused := self._gate(name, request)):
            return refused
        file = repo.files.get(path)
        if file is None:
            return _refusal(404, "EntryNotFound", "Entry not found")

        headers = {"X-Repo-Commit": repo.commit}
        if not file.lfs:
            return _Transfer(self, request, file.content, file.content.git_sha1, headers)
        sha256 = file.content.sha256
        headers |= {
            "ETag": f'"{sha256}"',
            "X-Linked-Etag": f'"{sha256}"',
            "X-Linked-Size": str(file.content.size),
        }
        return RedirectResponse(f"{self.cdn_url}/cdn/{sha256}/{quote(path)}", 302, headers)

    def _gate(self, name: str, request: HttpRequest) -> Response | None:
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer":
            text = f"Access to model {name} is restricted. You must be authenticated to access it."
            return _refusal(401, "GatedRepo", text)
        if token not in self.tokens:
            text = f"Access to model {name} is restricted and you are not in the authorized list."
            return _refusal(403, "GatedRepo", text)
        return None

    async def _cdn(self, request: HttpRequest) -> ASGIApp:
        content = self._blobs.get(request.path_params["sha256"])
        if content is None:
            return _refusal(404, "EntryNotFound", "Entry not found")
        # As on the real CDN the ETag is not the sha256: a client must not take it for one.
        return _Transfer(self, request, content, f"{content.sha256[:32]}-1", {})

    async def _file(self, request: HttpRequest) -> ASGIApp:
        content = self._plain.get(request.path_params["path"])
        if content is None:
            return PlainTextResponse("Not Found", 404)
        return _Transfer(self, request, content, f"{content.seed:x}-{content.size:x}", {})


def _refusal(status: int, code: str, message: str) -> Response:
    headers = {"X-Error-Code": code, "X-Error-Message": message}
    return JSONResponse({"error": message}, status, headers)


def _blob(file: _File) -> dict[str, object]:
    """Give what `?blobs=true` adds to a file of the model API."""
    size = file.content.size
    if not file.lfs:
        return {"size": size, "blobId": file.content.git_sha1}
    return {
        "size": size,
        "blobId": file.content.sha256[:40],
        "lfs": {"sha256": file.content.sha256, "size": size, "pointerSize": 134},
    }


# -- a process of its own -----------------------------------------------------------------------


def _add(hub: Hub, spec: str) -> None:
    """Add what `--file` says: `org/repo:path=SIZE[,gated]`, or `name=SIZE` for a plain file."""
    name, _, amount = spec.rpartition("=")
    size, *flags = amount.split(",")
    repo, colon, path = name.partition(":")
    if colon:
        hub.add(repo, path, size=int(float(size)), gated="gated" in flags)
    else:
        hub.add_file(name, size=int(float(size)))


def main() -> None:
    """Serve until SIGTERM or SIGINT."""
    parser = argparse.ArgumentParser(prog="python -m tests.support.hub")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--rate", type=float, metavar="BYTES_PER_S", help="of the whole line")
    parser.add_argument("--cdn", action="store_true", help="files come from a second port")
    parser.add_argument("--token", action="append", default=[], help="opens gated repos")
    parser.add_argument("--file", action="append", default=[], metavar="ORG/REPO:FILE=SIZE[,gated]")
    options = parser.parse_args()

    ends = {signal.SIGTERM, signal.SIGINT}
    signal.pthread_sigmask(signal.SIG_BLOCK, ends)  # before the thread starts: it inherits the mask
    hub = Hub(rate=options.rate, cdn=options.cdn, tokens=options.token, port=options.port)
    for spec in options.file:
        _add(hub, spec)
    with hub:
        print(f"listening on {hub.url}", flush=True)
        signal.sigwait(ends)


if __name__ == "__main__":
    main()
