"""HTTP for transfers: pooled connections, bounded for each host; one small interface over urllib3.

Why urllib3. Measured: 256 MiB from a server on loopback to disk, seconds of CPU for each GiB,
medians of 5 on a machine of two cores: httpx's `iter_raw` 1.9; urllib3's `read1` 1.1 in pieces of
64 KiB, 0.8 of 256 KiB, 1.4 of 1 MiB (most of which is given back each time); its `read`, which
waits until all of it is there, 0.4 of 1 MiB; the standard library's own client read into one
buffer 0.5, with pool, proxies and TLS left to us. So: urllib3, by `read1` of 256 KiB, and by
`read` of 512 KiB while that takes no longer than a blink: of 1 MiB it was slower once the rest of a
transfer runs beside it, as memory was given back and taken anew.
"""

from __future__ import annotations

import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Final, Self
from urllib.parse import urljoin, urlsplit

import urllib3
from urllib3.exceptions import HTTPError

from rbee_widgets.hive.engine.addresses import Reach
from rbee_widgets.hive.engine.connections import Pools
from rbee_widgets.hive.engine.errors import CancelledTransferError, RefusedError
from rbee_widgets.hive.engine.remote import Location, origin_of

CHUNK: Final = 256 << 10
"""What is read at once from a line that takes its time, in bytes."""

BULK: Final = 512 << 10
"""What is read at once from a fast one."""

BULK_S: Final = 0.04
"""Seconds that a bulk may take to come: longer ones are read as they trickle in."""

MAX_REDIRECTS: Final = 10
_POLL_S: Final = 0.1

NetworkError = HTTPError
"""Raised by what a connection does: it can't be had, breaks, or falls silent."""


class Body:
    """An answer, whose bytes are read as they come."""

    def __init__(
        self, location: Location, response: urllib3.BaseHTTPResponse, free: Callable[[], None]
    ) -> None:
        self.location = location
        """Where it came from, redirects followed."""
        # Of a proxy it isn't known where it connects to: its answers may not lead inside.
        self.reach: Reach = getattr(response.connection, "reach", Reach.PUBLIC)
        """How private the place is."""
        self.status = response.status
        self.headers: Mapping[str, str] = response.headers
        self._response = response
        self._free = free
        self._is_fast = False

    def read(self) -> bytes:
        """Give the next bytes, as soon as there are any; none at the end.

        Raises
        ------
        NetworkError
            The connection broke, or fell silent.

        """
        begin = time.monotonic()
        if self._is_fast:
            data = self._response.read(BULK, decode_content=False)
        else:
            data = self._response.read1(CHUNK, decode_content=False) or b""
        took = time.monotonic() - begin
        self._is_fast = len(data) >= CHUNK and took < BULK_S * len(data) / BULK
        return data

    def shut(self) -> None:
        """Wake a `read` that waits, from another thread; it then fails, or gives nothing."""
        with suppress(OSError, RuntimeError, ValueError):  # it has ended meanwhile
            self._response.shutdown()

    def close(self) -> None:
        """Give the connection back: to the pool where all was read, else to the system."""
        try:
            self._response.close()
        finally:
            self._free()


class Web:
    """Connections to origins, for any number of transfers; a context manager.

    A redirect leads no further inside than where it comes from: from a public address to no private
    one, from a private one to none of loopback. Nothing is ever fetched from a link-local address.
    Both are seen by the address that was really connected to, before a byte is sent; where the
    environment names a proxy, that connects, and it is the proxy's business.

    Parameters
    ----------
    per_host
        The most connections to one host at once, whatever the number of transfers.

    """

    def __init__(self, per_host: int) -> None:
        self.per_host = per_host
        self._pools = Pools(per_host)
        self._permits: dict[tuple[str, str, int | None], threading.Semaphore] = defaultdict(
            lambda: threading.Semaphore(per_host)
        )
        self._sharing: dict[tuple[str, str, int | None], list[object]] = defaultdict(list)
        self._lock = threading.Lock()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections that nobody uses."""
        self._pools.clear()

    # -- Sharing a host ---------------------------------------------------------------------------

    @contextmanager
    def sharing(self, url: str) -> Iterator[Callable[[], int]]:
        """Take part in a host's use; gives what tells one's fair share, at least one."""
        token = object()
        with self._lock:
            sharers = self._sharing[origin_of(url)]
            sharers.append(token)

        def share() -> int:
            with self._lock:
                each, over = divmod(self.per_host, len(sharers))
                return max(1, each + (sharers.index(token) < over))

        try:
            yield share
        finally:
            with self._lock:
                sharers.remove(token)

    # -- Asking -----------------------------------------------------------------------------------

    def get(
        self,
        location: Location,
        headers: Mapping[str, str],
        token: str | None,
        is_over: Callable[[], bool],
    ) -> Body:
        """Ask for a file, following redirects; the token is sent to its own origin alone.

        Raises
        ------
        NetworkError
            No answer.
        RefusedError
            It leads nowhere, from https to http, or to a place that is not connected to.
        CancelledTransferError
            `is_over` became true while it waited for a connection.

        """
        return self.ask("GET", location, headers, token, is_over)

    def ask(
        self,
        method: str,
        location: Location,
        headers: Mapping[str, str],
        token: str | None,
        is_over: Callable[[], bool],
        *,
        is_enough: Callable[[Body], bool] = lambda _: False,
    ) -> Body:
        """Ask as `get` does, by any method; a redirect that `is_enough` is the answer."""
        at = location
        for _ in range(MAX_REDIRECTS + 1):
            own = origin_of(at.url) == origin_of(location.url)
            secret = {"Authorization": f"Bearer {token}"} if token and own else {}
            body = self._ask(method, at, {**headers, **secret}, is_over)
            target = body.headers.get("location")
            if not 300 <= body.status < 400 or target is None or is_enough(body):
                return body
            body.close()
            at = _led(body, target)
        raise RefusedError(f"{location.url} leads on and on", 310)

    def _ask(
        self,
        method: str,
        location: Location,
        headers: Mapping[str, str],
        is_over: Callable[[], bool],
    ) -> Body:
        with self._lock:
            permit = self._permits[origin_of(location.url)]
        while not permit.acquire(timeout=_POLL_S):
            if is_over():
                raise CancelledTransferError
        free = _once(permit.release)
        try:
            response = self._pools.of(location).request(
                method,
                location.url,
                headers={"Accept-Encoding": "identity", **headers},
                preload_content=False,
                redirect=False,
                retries=False,
            )
        except BaseException:
            free()
            raise
        return Body(location, response, free)


def _led(body: Body, target: str) -> Location:
    """Give the place that a redirect leads to.

    Raises
    ------
    RefusedError
        It is no http(s) URL, or http where the file was asked for by https.

    """
    before = body.location.url
    try:
        at = urljoin(before, target)
        is_allowed = origin_of(at)[0] in _allowed_after(before)
    except ValueError:  # no URL at all
        is_allowed = False
    if not is_allowed:
        raise RefusedError(f"{before} leads to a place that is not followed", body.status)
    return Location(at, min(body.location.within, body.reach))


def _allowed_after(url: str) -> tuple[str, ...]:
    return ("https",) if urlsplit(url).scheme == "https" else ("http", "https")


def _once(action: Callable[[], None]) -> Callable[[], None]:
    pending = [action]

    def act() -> None:
        with suppress(IndexError):
            pending.pop()()

    return act
