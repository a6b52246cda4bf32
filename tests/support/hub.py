"""A Hugging Face compatible hub on loopback: a real HTTP server, made for tests.

It speaks as much of the public hub's HTTP as a downloader and a marketplace see (resolve,
redirect to a CDN, ranges, gating, the model API with its search) and nothing else. Files are not
stored: their bytes follow from seed and size, so a file of many gigabytes costs no disk and any
range of it is made at once.
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
import itertools
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
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, TypeAlias
from urllib.parse import quote

import uvicorn
from starlette.responses import JSONResponse, PlainTextResponse, RedirectResponse, Response
from starlette.routing import Route, Router
from uvicorn.protocols.http.h11_impl import H11Protocol

from tests.support import hub_api
from tests.support.hub_repo import MAGIC, Content, File, Metadata, Repo

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from types import UnionType
    from typing import Self

    from starlette.requests import Request as HttpRequest
    from starlette.routing import BaseRoute
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

_log = logging.getLogger(__name__)

CHUNK = 262_144
"""Most bytes handed to the socket at once."""

STEP_S = 0.005
"""Seconds that one paced chunk lasts: fine enough to look smooth at ten ticks a second."""

POLL_S = 0.02
"""Longest sleep inside a transfer, in seconds: a gone client and a new rate are seen this soon."""

BURST_S = 0.25
"""Seconds of unused rate that a transfer may catch up on, so that a busy loop costs no accuracy."""


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


@dataclass(frozen=True, slots=True)
class Slow:
    """Wait for `seconds` before the answer, whatever it is; also of redirects and the API."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Rubbish:
    """Answer with this body instead, `repeat` times over; also of redirects and the API."""

    body: bytes = b"<!doctype html><title>Log in</title><h1>Log in to this network</h1>"
    type: str = "text/html; charset=utf-8"
    repeat: int = 1
    code: int = 200


Fault: TypeAlias = Status | Reset | Cut | Short | Stall | Flip | IgnoreRange | Slow | Rubbish


def too_many(seconds: int) -> Status:
    """Give the public hub's refusal of one who asks too often, to come back after `seconds`."""
    headers = {"Retry-After": str(seconds), **_rate_limit(0, seconds)}
    return Status(429, headers, everywhere=True)


def _rate_limit(remaining: int, seconds: int) -> dict[str, str]:
    """Give the headers by which the public hub tells what is left of its window of 5 minutes."""
    return {
        "RateLimit": f'"api";r={remaining};t={seconds}',
        "RateLimit-Policy": f'"fixed window";"api";q={_REQUESTS_A_WINDOW};w=300',
    }


_REQUESTS_A_WINDOW = 500

_OPEN = {"README.md", "LICENSE", "LICENSE.txt", ".gitattributes"}
"""What a gated repo shows to everybody: without it nobody could tell what to agree to."""


@dataclass(slots=True)
class _Armed:
    fault: Fault
    path: str
    times: float

    def strikes(self, path: str, span: range | None) -> bool:
        """Tell whether it would be seen in an answer; `span`: the offsets of a file in it."""
        if self.path not in path or self.times <= 0:
            return False
        everywhere = isinstance(self.fault, Slow | Rubbish) or (
            isinstance(self.fault, Status) and self.fault.everywhere
        )
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
            if callable(self.content.head):  # others go on meanwhile
                await asyncio.to_thread(self.content.start)
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


@dataclass(frozen=True, slots=True)
class _Nonsense:
    """The answer that is rubbish; an ASGI application."""

    rubbish: Rubbish

    async def __call__(self, scope: Scope, _receive: Receive, send: Send) -> None:
        body, transport = self.rubbish.body, scope["state"]["transport"]
        length = str(len(body) * self.rubbish.repeat)
        headers = [
            (b"content-type", self.rubbish.type.encode()),
            (b"content-length", length.encode()),
        ]
        await send({"type": "http.response.start", "status": self.rubbish.code, "headers": headers})
        for _ in range(self.rubbish.repeat if scope["method"] == "GET" else 0):
            if transport.is_closing():
                return
            await send({"type": "http.response.body", "body": body, "more_body": True})
        await send({"type": "http.response.body", "body": b""})


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
        self.page_length = hub_api.MODELS_A_PAGE
        """Most models that a page of a search holds; may be set at any time."""
        self._sending = 0
        self.tokens = set(tokens)
        self._ports = [port, 0] if cdn else [port]
        self._repos: dict[str, Repo] = {}
        self._blobs: dict[str, Content] = {}
        self._plain: dict[str, Content] = {}
        self._armed: list[_Armed] = []
        self._records: list[_Record] = []
        self._numbers = itertools.count(1)
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop
        self._server: uvicorn.Server
        self._serving: asyncio.Future[None]
        self._router = Router(
            [
                Route("/api/models", self._models),
                Route("/api/models/{org}/{repo}", self._model),
                Route("/api/models/{org}/{repo}/revision/{revision}", self._model),
                Route("/api/models/{org}/{repo}/tree/{revision}", self._tree),
                Route("/api/models/{org}/{repo}/tree/{revision}/{path:path}", self._tree),
                Route("/cdn/{sha256}/{path:path}", self._cdn),
                Route("/files/{path:path}", self._file),
                Route("/{org}/{repo}/resolve/{revision}/{path:path}", self._resolve),
                Route("/{org}/{repo}/raw/{revision}/{path:path}", self._raw),
            ]
        )

    def mount(self, routes: Iterable[BaseRoute]) -> None:
        """Answer these as well: another site's API, with the hub's faults, rate and records."""
        self._router.routes.extend(routes)

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

    def add_repo(self, repo: str, metadata: Metadata, *, readme: str | None = None) -> None:
        """Set what the API tells of a repo, and its model card; its files stay."""
        self._repos.setdefault(repo, Repo()).metadata = metadata
        if readme is not None:
            self.add(repo, "README.md", head=readme.encode(), lfs=False)

    def add(
        self,
        repo: str,
        path: str,
        *,
        size: int | None = None,
        seed: int = 0,
        head: bytes | Callable[[], bytes] = MAGIC,
        lfs: bool = True,
        gated: bool = False,
        sha256: str | None = None,
    ) -> Content:
        """Put a file into a repo, or another content in its place.

        `size` is that of `head` where it isn't given, so `head` alone makes a literal file. A
        function as `head` is called when the file's start is first read. Hashes a file of LFS
        before it returns (about a second for a gigabyte), unless a `sha256` is given to be told
        in the true one's place: for files that nobody downloads whole. Each needs its own.
        """
        content = Content(_size(size, head), seed, head, sha256)
        entry = self._repos.setdefault(repo, Repo())
        if gated:
            entry.metadata = replace(entry.metadata, gated="auto")
        entry.files[path] = File(content, lfs)
        if lfs:
            self._blobs[content.sha256] = content
        return content

    def add_file(
        self, name: str, *, size: int | None = None, seed: int = 0, head: bytes = MAGIC
    ) -> str:
        """Put a file outside of any repo; give its URL."""
        self._plain[name] = Content(_size(size, head), seed, head)
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

        `times` may be `math.inf`. A fault that strikes the API as well (`Status` everywhere,
        `Slow`, `Rubbish`) looks for `path` in path and query, as they were sent. Faults are used
        up in the order in which they were given, one for an answer (and a `Slow` before it), and
        only by an answer in which they show: one that holds the byte that a `Flip` inverts, or
        more bytes than a `Cut`, a `Short` or a `Stall` lets through.
        """
        self._armed.append(_Armed(fault, path, times))

    def heal(self) -> None:
        """Forget all faults that haven't struck yet."""
        self._armed.clear()

    def _next_fault(
        self, path: str, span: range | None, kind: type | UnionType = object
    ) -> Fault | None:
        """Give what is to go wrong with an answer, and use it up; of this kind alone."""
        for armed in self._armed:
            if isinstance(armed.fault, kind) and armed.strikes(path, span):
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
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], *self._told(scope, message)]
            await send(message)
            if message["type"] == "http.response.start":
                record.status = message["status"]
            elif scope["method"] != "HEAD":
                record.sent += len(message.get("body", b""))

        try:
            app = await self._app(scope)
            try:
                await app(scope, receive, recorded)
            except _RefusedError as refused:
                await refused.response(scope, receive, recorded)
            except hub_api.BadQueryError as error:
                await JSONResponse({"error": str(error)}, 400)(scope, receive, recorded)
        except Exception:
            _log.exception("the hub has a bug: %s %s", scope["method"], scope["path"])
            raise
        finally:
            record.ended = time.monotonic()

    def _told(self, scope: Scope, start: Message) -> Iterator[tuple[bytes, bytes]]:
        """Give the headers that the public hub's front adds to its answers."""
        number = next(self._numbers)
        yield b"x-request-id", f"Root=1-{number:08x}-{number:024x}".encode()
        if scope["path"].startswith("/api/") and start["status"] != 429:
            left = _REQUESTS_A_WINDOW - 1 - number % _REQUESTS_A_WINDOW
            for name, value in _rate_limit(left, 300).items():
                yield name.lower().encode(), value.encode()

    async def _app(self, scope: Scope) -> ASGIApp:
        """Choose what answers, once a delay that was asked for is over."""
        target = scope["path"]
        if scope["query_string"]:
            target += f"?{scope['query_string'].decode()}"
        slow = self._next_fault(target, None, Slow)
        if isinstance(slow, Slow):
            await asyncio.sleep(slow.seconds)
        match self._next_fault(target, None, Status | Rubbish):
            case Status(code, headers):
                return Response(status_code=code, headers=dict(headers))
            case Rubbish() as rubbish:
                return _Nonsense(rubbish)
        return self._router

    async def _models(self, request: HttpRequest) -> Response:
        pairs = request.query_params.multi_items()
        return self._page(request, hub_api.models(self._repos, pairs, self.page_length))

    async def _model(self, request: HttpRequest) -> Response:
        name, repo = self._asked(request)
        return _json(hub_api.model(name, repo, request.query_params.multi_items()))

    async def _tree(self, request: HttpRequest) -> Response:
        _, repo = self._asked(request)
        folder = request.path_params.get("path", "")
        page = hub_api.tree(repo, folder, request.query_params.multi_items())
        if page is None:
            raise _RefusedError(404, "EntryNotFound", f"{folder} does not exist")
        return self._page(request, page)

    def _page(self, request: HttpRequest, page: hub_api.Page) -> Response:
        """Give a page, and the way to the next in the header that GitHub made known."""
        if page.following is None:
            return _json(page.items)
        further = f"{self.url}{quote(request.url.path)}?{page.following}"
        return _json(page.items, {"Link": f'<{further}>; rel="next"'})

    async def _resolve(self, request: HttpRequest) -> ASGIApp:
        repo, file = self._asked_file(request)
        headers = {"X-Repo-Commit": repo.commit}
        if not file.lfs:
            return _Transfer(self, request, file.content, file.content.git_sha1, headers)
        sha256 = file.content.sha256
        headers |= {
            "ETag": f'"{sha256}"',
            "X-Linked-Etag": f'"{sha256}"',
            "X-Linked-Size": str(file.content.size),
        }
        path = quote(request.path_params["path"])
        return RedirectResponse(f"{self.cdn_url}/cdn/{sha256}/{path}", 302, headers)

    async def _raw(self, request: HttpRequest) -> ASGIApp:
        """Answer with what lies in git: for a file of LFS, the text that points to it."""
        repo, file = self._asked_file(request)
        content = hub_api.pointer(file) if file.lfs else file.content
        headers = {"X-Repo-Commit": repo.commit, "Content-Type": "text/plain; charset=utf-8"}
        return _Transfer(self, request, content, content.git_sha1, headers)

    def _asked(self, request: HttpRequest) -> tuple[str, Repo]:
        name = "{org}/{repo}".format(**request.path_params)
        repo = self._repos.get(name)
        if repo is None:
            raise _RefusedError(404, "RepoNotFound", "Repository not found")
        revision = request.path_params.get("revision", "main")
        if revision not in {"main", repo.commit}:
            raise _RefusedError(404, "RevisionNotFound", f"Invalid rev id: {revision}")
        return name, repo

    def _asked_file(self, request: HttpRequest) -> tuple[Repo, File]:
        name, repo = self._asked(request)
        path = request.path_params["path"]
        if repo.metadata.gated and path not in _OPEN:
            self._gate(name, request)
        file = repo.files.get(path)
        if file is None:
            raise _RefusedError(404, "EntryNotFound", "Entry not found")
        return repo, file

    def _gate(self, name: str, request: HttpRequest) -> None:
        """Refuse whom a gated repo doesn't know."""
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer":
            text = f"Access to model {name} is restricted. You must be authenticated to access it."
            raise _RefusedError(401, "GatedRepo", text)
        if token not in self.tokens:
            text = f"Access to model {name} is restricted and you are not in the authorized list."
            raise _RefusedError(403, "GatedRepo", text)

    async def _cdn(self, request: HttpRequest) -> ASGIApp:
        content = self._blobs.get(request.path_params["sha256"])
        if content is None:
            raise _RefusedError(404, "EntryNotFound", "Entry not found")
        # As on the real CDN the ETag is not the sha256: a client must not take it for one.
        return _Transfer(self, request, content, f"{content.sha256[:32]}-1", {})

    async def _file(self, request: HttpRequest) -> ASGIApp:
        content = self._plain.get(request.path_params["path"])
        if content is None:
            return PlainTextResponse("Not Found", 404)
        return _Transfer(self, request, content, f"{content.seed:x}-{content.size:x}", {})


class _RefusedError(Exception):
    """What was asked for is not to be had; carries the answer."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        headers = {"X-Error-Code": code, "X-Error-Message": message}
        self.response = JSONResponse({"error": message}, status, headers)


def _size(size: int | None, head: bytes | Callable[[], bytes]) -> int:
    if size is not None:
        return size
    if not isinstance(head, bytes):
        raise TypeError("A head that is made later needs the file's size")
    return len(head)


def _json(data: object, headers: Mapping[str, str] | None = None) -> Response:
    """Give an answer of the API, with a weak ETag such as the public hub's front makes."""
    answer = JSONResponse(data, headers=headers)
    digest = hashlib.sha1(answer.body, usedforsecurity=False).hexdigest()
    answer.headers["ETag"] = f'W/"{len(answer.body):x}-{digest}"'
    return answer


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
