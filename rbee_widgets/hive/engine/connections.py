"""Connections that are given up, before a byte is sent, where they lead to a forbidden address."""

from __future__ import annotations

import socket
from contextlib import suppress

from urllib3 import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.connection import HTTPConnection, HTTPSConnection

from rbee_widgets.hive.engine.addresses import Reach, reach_of
from rbee_widgets.hive.engine.errors import RefusedError


def pools_within(limit: Reach) -> dict[str, type[HTTPConnectionPool]]:
    """Give the pools, by scheme, whose connections lead to nothing more private than `limit`.

    Each connection tells in `reach` how private its address is. A forbidden one raises
    `RefusedError`.
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
