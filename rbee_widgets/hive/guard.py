"""Who may speak to an embedded hive: this user's programs, and no web page.

A page in a browser can reach a loopback port: by a cross-site request, or by a name of its own that
it points at 127.0.0.1. So the `Host` must be this very address, an `Origin` (sent by pages alone)
must be it too, a browser must not say that the request came from elsewhere, and a bearer token that
no page can read is asked for. Nothing here sends CORS headers.
"""

from __future__ import annotations

import hmac
from typing import Final

from starlette.datastructures import Headers
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

_OPEN: Final = frozenset({"/health"})
"""Paths that tell nothing and so need no token."""

_NO_OTHER_SITE: Final = frozenset({"none", "same-origin"})
"""What a browser says of a request that no foreign page caused: the user's own, or ours."""


class Guard:
    """Lets pass what was sent to `port` of this machine by someone who knows `token` (if any)."""

    def __init__(self, app: ASGIApp, *, port: int, token: str | None) -> None:
        self._app = app
        self._token = token
        self._hosts = frozenset({f"127.0.0.1:{port}", f"localhost:{port}"})
        self._origins = frozenset(f"http://{host}" for host in self._hosts)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or refuse it."""
        if scope["type"] == "http" and (refusal := self._refusal(scope)):
            await refusal(scope, receive, send)
            return
        await self._app(scope, receive, send)

    def _refusal(self, scope: Scope) -> PlainTextResponse | None:
        headers = Headers(scope=scope)
        if headers.get("host") not in self._hosts:
            return PlainTextResponse("this hive answers on its own address alone", 403)
        foreign = not self._origins.issuperset(headers.getlist("origin"))
        if foreign or headers.get("sec-fetch-site", "none") not in _NO_OTHER_SITE:
            return PlainTextResponse("this hive does not answer web pages", 403)
        if self._token is None or scope["path"] in _OPEN:
            return None
        sent = headers.get("authorization", "").encode()
        if hmac.compare_digest(sent, f"Bearer {self._token}".encode()):
            return None
        return PlainTextResponse(
            "this hive wants its bearer token", 401, {"WWW-Authenticate": "Bearer"}
        )
