"""Pools of connections: direct ones, which lead to no forbidden address, and those of proxies."""

from __future__ import annotations

import socket
import threading
import urllib.request
from contextlib import suppress
from typing import Any, Final
from urllib.parse import urlsplit

import urllib3
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.connection import HTTPConnection, HTTPSConnection

from rbee_widgets.hive.engine.addresses import Reach, reach_of
from rbee_widgets.hive.engine.errors import RefusedError
from rbee_widgets.hive.engine.remote import Location, origin_of

CONNECT_S: Final = 10.0
SILENCE_S: Final = 12.0
"""Seconds without a byte after which a connection is given up and its ask made anew."""


class Pools:
    """The pools of a client, with up to `size` connections to one host kept open.

    A direct connection is given up, before a byte is sent, where it leads to a forbidden address;
    that raises `RefusedError`. Where the environment names a proxy, it is that which connects.
    """

    def __init__(self, size: int) -> None:
        self._size = size
        self._managers: dict[tuple[bool, str | None, Reach], urllib3.PoolManager] = {}
        self._proxies: dict[tuple[str, str, int | None], str | None] = {}
        self._lock = threading.Lock()

    def of(self, location: Location) -> urllib3.PoolManager:
        """Give the connections by which a place is asked."""
        origin = origin_of(location.url)
        with self._lock:
            if origin not in self._proxies:  # to look for it takes a while
                self._proxies[origin] = _proxy(location.url)
            key = origin[0] == "https", self._proxies[origin], location.within
            if key not in self._managers:
                self._managers[key] = self._made(*key)
            return self._managers[key]

    def _made(self, is_tls: bool, proxy: str | None, within: Reach) -> urllib3.PoolManager:
        options: dict[str, Any] = {
            "num_pools": 32,
            "maxsize": self._size,
            "timeout": urllib3.Timeout(connect=CONNECT_S, read=SILENCE_S),
        }
        if is_tls:
            # The same trust as in all else that a hive fetches; it takes a while to load.
            from httpx import create_ssl_context  # noqa: PLC0415

            options["ssl_context"] = create_ssl_context()
        if proxy is not None:
            return urllib3.ProxyManager(proxy, **options)
        manager = urllib3.PoolManager(**options)
        manager.pool_classes_by_scheme = _pools_within(within)
        return manager

    def clear(self) -> None:
        """Close those that nobody uses."""
        for manager in self._managers.values():
            manager.clear()


def _proxy(url: str) -> str | None:
    parts = urlsplit(url)
    if urllib.request.proxy_bypass(parts.hostname or ""):
        return None
    proxies = urllib.request.getproxies()
    return proxies.get(parts.scheme) or proxies.get("all")


def _pools_within(limit: Reach) -> dict[str, type[HTTPConnectionPool]]:
    """Give the pools, by scheme, whose connections lead to nothing more private than `limit`.

    Each connection tells in `reach` how private its address is.
    """

    class Plain(HTTPConnection):
        reach: Reach

        def _new_conn(self) -> socket.socket:
            with suppress(ValueError):  # most hosts have a name
                _reach(self.host, self.host, limit)
            opened = super()._new_conn()
            try:
                self.reach = _reach(self.host, opened.getpeername()[0], limit)
            except BaseException:
                opened.close()
                raise
            return opened

    class Tls(Plain, HTTPSConnection):
        pass

    class PlainPool(HTTPConnectionPool):
        ConnectionCls = Plain

    class TlsPool(HTTPSConnectionPool):
        ConnectionCls = Tls

    return {"http": PlainPool, "https": TlsPool}


def _reach(host: str, address: str, limit: Reach) -> Reach:
    reach = reach_of(address)
    at = host if host == address else f"{host} ({address})"
    if reach is None:
        raise RefusedError(f"{at} is an address that nothing is fetched from", 0)
    if reach > limit:
        kind = reach.name.lower()
        raise RefusedError(
            f"{at} is a {kind} address, which no {limit.name.lower()} one leads to", 0
        )
    return reach
