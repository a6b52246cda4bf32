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
import urllib.request
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any, Final, Self
from urllib.parse import urljoin, urlsplit

import urllib3
from urllib3.exceptions import HTTPError

from rbee_widgets.hive.engine.errors import CancelledTransferError, RefusedError
from rbee_widgets.hive.engine.remote import origin_of

CHUNK: Final = 256 << 10
"""What is read at once from a line that takes its time, in bytes."""

BULK: Final = 512 << 10
"""What is read at once from a fast one."""

BULK_S: Final = 0.04
"""Seconds that a bulk may take to come: longer ones are read as they trickle in."""

CONNECT_S: Final = 10.0
SILENCE_S: Final = 12.0
"""Seconds without a byte after which a connection is given up and its ask made anew."""

MAX_REDIRECTS: Final = 10
_POLL_S: Final = 0.1

NetworkError = HTTPError
"""Raised by what a connection does: it can't be had, breaks, or falls silent."""


class Body:
    """An answer, whose bytes are read as they come."""

    def __init__(
        self, url: str, response: urllib3.BaseHTTPResponse, free: Callable[[], None]
    ) -> None:
        self.url = url
        """Where it came from, redirects followed."""
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

    Parameters
    ----------
    per_host
        The most connections to one host at once, whatever the number of transfers.

    """

    def __init__(self, per_host: int) -> None:
        self.per_host = per_host
        self._pools = _Pools(per_host)
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
        self, url: str, headers: Mapping[str, str], token: str | None, is_over: Callable[[], bool]
    ) -> Body:
        """Ask for a URL, following redirects; the token is sent to its own origin alone.

        Raises
        ------
        NetworkError
            No answer.
        RefusedError
            It leads nowhere, or from https to http.
        CancelledTransferError
            `is_over` became true while it waited for a connection.

        """
        at = url
        for _ in range(MAX_REDIRECTS + 1):
            own = origin_of(at) == origin_of(url)
            secret = {"Authorization": f"Bearer {token}"} if token and own else {}
            body = self._ask(at, {**headers, **secret}, is_over)
            location = body.headers.get("location")
            if not 300 <= body.status < 400 or location is None:
                return body
            body.close()
            before = at
            try:
                at = urljoin(before, location)
                is_allowed = origin_of(at)[0] in _allowed_after(before)
            except ValueError:  # no URL at all
                is_allowed = False
            if not is_allowed:
                raise RefusedError(f"{before} leads to a place that is not followed", body.status)
        raise RefusedError(f"{url} leads on and on", 310)

    def _ask(self, url: str, headers: Mapping[str, str], is_over: Callable[[], bool]) -> Body:
        with self._lock:
            permit = self._permits[origin_of(url)]
        while not permit.acquire(timeout=_POLL_S):
            if is_over():
                raise CancelledTransferError
        free = _once(permit.release)
        try:
            response = self._pools.of(url).request(
                "GET",
                url,
                headers={"Accept-Encoding": "identity", **headers},
                preload_content=False,
                redirect=False,
                retries=False,
            )
        except BaseException:
            free()
            raise
        return Body(url, response, free)


class _Pools:
    """Pools of connections: a direct one, and one for each proxy that the environment names."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._managers: dict[tuple[bool, str | None], urllib3.PoolManager] = {}
        self._of_origins: dict[tuple[str, str, int | None], urllib3.PoolManager] = {}
        self._lock = threading.Lock()

    def of(self, url: str) -> urllib3.PoolManager:
        origin = origin_of(url)
        with self._lock:
            if origin not in self._of_origins:  # to look for its proxy takes a while
                is_tls, proxy = origin[0] == "https", _proxy(url)
                if (is_tls, proxy) not in self._managers:
                    self._managers[is_tls, proxy] = self._made(proxy, is_tls=is_tls)
                self._of_origins[origin] = self._managers[is_tls, proxy]
            return self._of_origins[origin]

    def _made(self, proxy: str | None, *, is_tls: bool) -> urllib3.PoolManager:
        options: dict[str, Any] = {
            "num_pools": 32,
            "maxsize": self._size,
            "timeout": urllib3.Timeout(connect=CONNECT_S, read=SILENCE_S),
        }
        if is_tls:
            # The same trust as in all else that a hive fetches; it takes a while to load.
            from httpx import create_ssl_context  # noqa: PLC0415

            options["ssl_context"] = create_ssl_context()
        if proxy is None:
            return urllib3.PoolManager(**options)
        return urllib3.ProxyManager(proxy, **options)

    def clear(self) -> None:
        for manager in self._managers.values():
            manager.clear()


def _proxy(url: str) -> str | None:
    parts = urlsplit(url)
    if urllib.request.proxy_bypass(parts.hostname or ""):
        return None
    proxies = urllib.request.getproxies()
    return proxies.get(parts.scheme) or proxies.get("all")


def _allowed_after(url: str) -> tuple[str, ...]:
    return ("https",) if urlsplit(url).scheme == "https" else ("http", "https")


def _once(action: Callable[[], None]) -> Callable[[], None]:
    pending = [action]

    def act() -> None:
        with suppress(IndexError):
            pending.pop()()

    return act
