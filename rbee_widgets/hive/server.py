"""The process of an embedded hive: its socket, its life and its end."""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
import signal
import socket
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import uvicorn
from starlette.types import ASGIApp, Receive, Scope, Send

from rbee_widgets.hive import launch
from rbee_widgets.hive.guard import Guard
from rbee_widgets.hive.jobs import Jobs
from rbee_widgets.hive.operations import Operations
from rbee_widgets.hive.routes import Routes
from rbee_widgets.hive.settings import Settings

HOST: Final = "127.0.0.1"
IDLE_EXIT_S: Final = 30 * 60.0
"""Seconds without a request or a running job after which a detached hive ends by itself."""

IDLE_CHECK_S: Final = 5.0
SHUTDOWN_GRACE_S: Final = 2
_ENDS: Final = (signal.SIGINT, signal.SIGTERM)


@dataclass(frozen=True, slots=True)
class Options:
    """How a hive is run.

    `port` 0: a free one; `token` None: whoever reaches loopback may speak; `show_token`: say it,
    since nobody chose it; `detached`: tell the address to this user's clients, end when idle.
    """

    settings: Settings
    port: int
    token: str | None
    detached: bool = False
    show_token: bool = False


def new_token() -> str:
    """Make a bearer token."""
    return secrets.token_urlsafe(32)


def serve(options: Options) -> None:
    """Run a hive until it is told to end, or, detached, until it is idle.

    Raises
    ------
    OSError
        The port can't be had.

    """
    with contextlib.closing(_listen(options.port)) as listener:
        asyncio.run(_serve(options, listener))


def _listen(port: int) -> socket.socket:
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    if os.name == "posix":  # elsewhere it would let two hives share a port
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((HOST, port))
    except OSError:
        listener.close()
        raise
    return listener


async def _serve(options: Options, listener: socket.socket) -> None:
    port = listener.getsockname()[1]
    address = launch.Address(url=f"http://{HOST}:{port}", token=options.token, pid=os.getpid())
    jobs = Jobs()
    routes = Routes(jobs, Operations(options.settings).run, options.settings.models_dir)
    watched = _Watched(Guard(routes.app(), port=port, token=options.token))
    server = _Server(watched)
    async with asyncio.TaskGroup() as group:
        serving = group.create_task(server.serve(sockets=[listener]))
        await server.answers.wait()
        _greet(options, address)
        with _announced(options, address):
            watcher = group.create_task(_end_when_idle(options, server, watched, jobs))
            await asyncio.wait([serving])
            watcher.cancel()
    await jobs.aclose()


def _greet(options: Options, address: launch.Address) -> None:
    print(f"listening on {address.url}", flush=True)  # noqa: T201 (a promise of the command)
    if options.show_token:
        _say(f"token: {options.token}")
    if options.token is None:
        _say("no token is asked for: every program of this machine may use this hive")


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)  # noqa: T201


def _announced(
    options: Options, address: launch.Address
) -> contextlib.AbstractContextManager[None]:
    if not options.detached:
        return contextlib.nullcontext()
    return launch.announced(launch.address_file(options.settings), address)


async def _end_when_idle(
    options: Options, server: uvicorn.Server, watched: _Watched, jobs: Jobs
) -> None:
    while not options.detached or watched.idle < IDLE_EXIT_S or jobs.any_running:  # noqa: ASYNC110
        await asyncio.sleep(IDLE_CHECK_S)
    server.should_exit = True


class _Server(uvicorn.Server):
    """A server that tells when it answers, and leaves the end of the process to its caller."""

    def __init__(self, app: ASGIApp) -> None:
        super().__init__(
            uvicorn.Config(
                app,
                http="h11",
                ws="none",
                lifespan="off",
                log_level="warning",
                access_log=False,
                server_header=False,
                timeout_graceful_shutdown=SHUTDOWN_GRACE_S,
            )
        )
        self.answers = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.answers.set()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """End well on SIGINT and SIGTERM; the base would raise them again, and skip our end."""
        before = {number: signal.signal(number, self.handle_exit) for number in _ENDS}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


class _Watched:
    """Notes when requests come and whether one is being answered."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._open = 0
        self._last = time.monotonic()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self._open += 1
        try:
            await self._app(scope, receive, send)
        finally:
            self._open -= 1
            self._last = time.monotonic()

    @property
    def idle(self) -> float:
        """Seconds since the last request, 0 while there is one."""
        return 0.0 if self._open else time.monotonic() - self._last
