"""Bring a loopback server further away: a proxy for TCP whose bytes take their time.

    python -m benchmarks.far --to PORT [--delay S] [--reset-after BYTES]

Bytes of either direction arrive `--delay` seconds after they were sent, and the first ones of a
connection after another round trip, which its handshake would have taken. An end of one direction
and a reset are passed on, as late as bytes are. `--reset-after` resets each connection once its
client has got that many bytes. Losses, slow start and a narrow line are not imitated.

Says `listening on http://127.0.0.1:P` when it is ready; ends on SIGTERM.
"""

from __future__ import annotations

import argparse
import array
import asyncio
import fcntl
import socket
import struct
import termios
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, cast

HOST: Final = "127.0.0.1"

WINDOW: Final = 4 << 20
"""Bytes of one direction that are under way at most: 200 MB/s of a connection at 20 ms."""

DRAIN_CHECK_S: Final = 0.001
_RESET: Final = struct.pack("ii", 1, 0)
"""A linger of no time: closing sends RST."""


@dataclass(frozen=True, slots=True)
class Line:
    """What lies between clients and the server on `port`.

    `delay`: seconds one way; `reset_after`: bytes to a client, None: never reset.
    """

    port: int
    delay: float
    reset_after: int | None


class Side(asyncio.Protocol):
    """One end of a carried connection: what arrives here leaves at `other`, later.

    `opens_at`: no byte sets out before; `budget`: bytes that leave here before a reset, None: any.
    """

    other: Side
    transport: asyncio.Transport

    def __init__(
        self,
        delay: float,
        budget: int | None = None,
        connected: Callable[[Side], None] | None = None,
    ) -> None:
        self.opens_at = 0.0
        self._delay = delay
        self._budget = budget
        self._connected = connected
        self._loop = asyncio.get_running_loop()
        self._parcels: deque[bytes | None] = deque()
        """On their way, oldest first; None: the end of this direction."""
        self._under_way = 0
        self._other_is_full = False
        self._has_read_all = False
        self._has_sent_all = False
        self._is_lost = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the socket."""
        self.transport = cast("asyncio.Transport", transport)
        if self._connected is not None:
            self._connected(self)

    # -- What arrives here ------------------------------------------------------------------------

    def data_received(self, data: bytes) -> None:
        """Send bytes on their way."""
        self._under_way += len(data)
        self._dispatch(data)
        self._throttle()

    def eof_received(self) -> bool:
        """Send the end on its way; the other direction stays open."""
        self._has_read_all = True
        self._dispatch(None)
        return not self._has_sent_all

    def connection_lost(self, exc: Exception | None) -> None:
        """Pass a reset on; an end of both directions has been passed on already."""
        self._is_lost = True
        if exc is not None:
            self._loop.call_later(self._delay, self.other.reset)

    def _dispatch(self, parcel: bytes | None) -> None:
        self._parcels.append(parcel)
        due = max(self._loop.time(), self.opens_at) + self._delay
        # Timers that are due at once run in any order: each delivers whatever is the oldest.
        self._loop.call_at(due, self._deliver)

    def _deliver(self) -> None:
        parcel = self._parcels.popleft()
        if parcel is None:
            self.other.end()
            return
        self._under_way -= len(parcel)
        self.other.send(parcel)
        self._throttle()

    def _throttle(self) -> None:
        if self._is_lost or self._has_read_all:
            return
        if self._other_is_full or self._under_way > WINDOW:
            self.transport.pause_reading()
        else:
            self.transport.resume_reading()

    # -- What leaves here -------------------------------------------------------------------------

    def send(self, data: bytes) -> None:
        """Let bytes out, as far as the budget goes."""
        if self._is_lost or self._budget == 0:
            return
        if self._budget is not None:
            data = data[: self._budget]
            self._budget -= len(data)
        self.transport.write(data)
        if self._budget == 0:
            self._reset_when_drained()

    def end(self) -> None:
        """End this direction, and with the second one the connection."""
        self._has_sent_all = True
        if self._is_lost or self._budget == 0:
            return
        if self._has_read_all:
            self.transport.close()
        else:
            self.transport.write_eof()

    def reset(self) -> None:
        """Break off, as a server that crashes does."""
        if not self._is_lost:
            _socket_of(self).setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
            self.transport.abort()

    def _reset_when_drained(self) -> None:
        # A reset throws away what the kernel still holds: the client would get any fewer bytes.
        if self._is_lost:
            return
        if self.transport.get_write_buffer_size() or _unsent(self):
            self._loop.call_later(DRAIN_CHECK_S, self._reset_when_drained)
        else:
            self.other.reset()
            self.reset()

    # -- Pace -------------------------------------------------------------------------------------

    def pause_writing(self) -> None:
        """Read no more at the other end: who reads at this one is slower."""
        self.other.fill(is_full=True)

    def resume_writing(self) -> None:
        """Read on at the other end."""
        self.other.fill(is_full=False)

    def fill(self, *, is_full: bool) -> None:
        """Take note whether the other end takes bytes."""
        self._other_is_full = is_full
        self._throttle()


def _socket_of(side: Side) -> socket.socket:
    return cast("socket.socket", side.transport.get_extra_info("socket"))


def _unsent(side: Side) -> int:
    """Count the bytes that the peer has not acknowledged."""
    count = array.array("i", [0])
    fcntl.ioctl(_socket_of(side).fileno(), termios.TIOCOUTQ, count)
    return count[0]


class Proxy:
    """Carries connections over one line."""

    def __init__(self, line: Line) -> None:
        self._line = line
        self._dialling: set[asyncio.Task[None]] = set()

    async def serve(self) -> None:
        """Accept and carry connections, until ended from outside."""
        loop = asyncio.get_running_loop()
        server = await loop.create_server(self._client, HOST, 0)
        print(f"listening on http://{HOST}:{server.sockets[0].getsockname()[1]}", flush=True)
        async with server:
            await server.serve_forever()

    def _client(self) -> Side:
        return Side(self._line.delay, self._line.reset_after, self._accepted)

    def _accepted(self, client: Side) -> None:
        loop = asyncio.get_running_loop()
        client.opens_at = loop.time() + 2 * self._line.delay
        client.transport.pause_reading()
        task = loop.create_task(self._dial(client))
        self._dialling.add(task)
        task.add_done_callback(self._dialling.discard)

    async def _dial(self, client: Side) -> None:
        server = Side(self._line.delay)
        server.other, client.other = client, server
        try:
            await asyncio.get_running_loop().create_connection(
                lambda: server, HOST, self._line.port
            )
        except OSError:
            client.reset()
        else:
            client.transport.resume_reading()


def main() -> None:
    """Run the proxy in the foreground."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--to", type=int, required=True, metavar="PORT")
    parser.add_argument("--delay", type=float, default=0.02, metavar="S")
    parser.add_argument("--reset-after", type=int, metavar="BYTES")
    options = parser.parse_args()
    line = Line(options.to, options.delay, options.reset_after)
    asyncio.run(Proxy(line).serve())


if __name__ == "__main__":
    main()
