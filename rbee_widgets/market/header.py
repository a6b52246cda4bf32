"""Reads the GGUF header of a file on the web: a few ranged requests, 2 MiB at most, and once.

Called in threads. The client is a plain one: it sends the Authorization header to the host that it
was given for, and to no other; it follows redirects to http(s) alone, and never from https to http.
"""

from __future__ import annotations

import re
import threading
import time
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final, NoReturn

import httpx

from rbee_widgets.errors import quoted
from rbee_widgets.market.gguf import FIRST, MOST, GgufError, read
from rbee_widgets.market.shape import Shape
from rbee_widgets.market.source import SourceError

MAX_REQUESTS: Final = 6
"""Of one header, redirects among them: a hub's resolve, its CDN, and three further ranges."""

CACHED: Final = 512
"""Headers that are kept: about 10 kB each."""

TIMEOUT_S: Final = 10.0
"""Seconds that a connection, or its next bytes, may take."""

LIMIT_S: Final = 30.0
"""Seconds that a header may take, for those who send it byte by byte."""

_CHUNK: Final = 64 << 10
_PRIVATE: Final = frozenset({"authorization", "cookie"})
_SECONDS: Final = re.compile(r"[0-9]{1,6}")
_REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})


class HeaderReader:
    """Reads headers, and remembers them by their URL; threads may share one."""

    def __init__(self) -> None:
        self._client = httpx.Client(timeout=TIMEOUT_S, follow_redirects=False)
        self._kept: OrderedDict[str, Shape] = OrderedDict()
        self._lock = threading.Lock()

    def close(self) -> None:
        """Close its connections."""
        self._client.close()

    def read(self, url: str, headers: Mapping[str, str]) -> Shape:
        """Give the figures of the file at `url`; `headers` are for its host alone.

        Raises
        ------
        SourceError
            It can't be had, or isn't what it should be.

        """
        with self._lock:
            known = self._kept.get(url)
            if known is not None:
                self._kept.move_to_end(url)
                return known
        try:
            shape = _Fetch(self._client, url, headers).shape()
        except GgufError as error:
            raise SourceError(str(error)) from error
        with self._lock:
            self._kept[url] = shape
            if len(self._kept) > CACHED:
                self._kept.popitem(last=False)
        return shape


@dataclass(slots=True)
class _Fetch:
    """One header on its way."""

    client: httpx.Client
    url: str
    headers: Mapping[str, str]
    data: bytearray = field(default_factory=bytearray)
    is_whole: bool = False
    """Whether there is no more of the file than `data`."""
    requests: int = 0
    deadline: float = field(default_factory=lambda: time.monotonic() + LIMIT_S)

    @property
    def name(self) -> str:
        """What to call the file: the end of its path."""
        return quoted(httpx.URL(self.url).path.rpartition("/")[2] or self.url)

    def shape(self) -> Shape:
        at = self._address(self.url)
        origin, wanted = at, FIRST
        while True:
            with self._answer(at, origin, wanted) as response:
                if response.status_code not in _REDIRECTS:
                    found = self._take(response, wanted)
                    if isinstance(found, Shape):
                        return found
                    wanted = found
                    continue
                at = self._next(at, response.headers.get("location", ""))

    def _address(self, url: str) -> httpx.URL:
        try:
            address = httpx.URL(url)
            is_fit = address.scheme in {"http", "https"} and bool(address.host)
        except (httpx.InvalidURL, TypeError, ValueError):  # also of a name that no host can have
            is_fit = False
        if not is_fit:
            raise SourceError(
                f"expected an http or https address of a GGUF file, got {quoted(url)!r}"
            )
        return address

    def _next(self, at: httpx.URL, location: str) -> httpx.URL:
        """Tell where a redirect leads."""
        try:
            to = at.join(location)
            has_host = bool(to.host)
        except (httpx.InvalidURL, ValueError):
            self._refuse(at, f"it leads to {quoted(location)!r}, which is no address")
        is_safe = to.scheme == "https" or (to.scheme == "http" and at.scheme == "http")
        if not location or not is_safe or not has_host:
            self._refuse(at, f"it leads to {quoted(location)!r}, where rbee doesn't follow")
        return to

    @contextmanager
    def _answer(self, at: httpx.URL, origin: httpx.URL, wanted: int) -> Iterator[httpx.Response]:
        """Ask for what is missing."""
        self.requests += 1
        if self.requests > MAX_REQUESTS:
            self._refuse(at, f"it took more than {MAX_REQUESTS} requests")
        is_home = (at.scheme, at.host, at.port) == (origin.scheme, origin.host, origin.port)
        headers = {
            name: value
            for name, value in self.headers.items()
            if is_home or name.lower() not in _PRIVATE
        }
        # Compressed bytes are no part of the file.
        headers |= {
            "Range": f"bytes={len(self.data)}-{wanted - 1}",
            "Accept-Encoding": "identity",
        }
        try:
            with self.client.stream("GET", at, headers=headers) as response:
                yield response
        # UnicodeError: a name that no host can have
        except (httpx.HTTPError, httpx.InvalidURL, UnicodeError) as error:
            self._refuse(at, str(error) or type(error).__name__)

    def _take(self, response: httpx.Response, wanted: int) -> Shape | int:
        """Read an answer; give the figures, or how many of the file's bytes they take."""
        at = response.request.url
        encoding = response.headers.get("content-encoding", "identity")
        if response.status_code not in {200, 206}:
            self._check(response)
        elif encoding != "identity":
            self._refuse(at, f"it sends the file compressed ({quoted(encoding)}), unasked")
        elif response.status_code == 200:  # all of it, from its start, whatever was asked for
            return self._take_whole(response, wanted)
        else:
            start = len(self.data)
            told = response.headers.get("content-range", "")
            if not told.startswith(f"bytes {start}-"):
                self._refuse(at, f"asked for bytes from {start}, it sends {quoted(told)!r}")
            for chunk in self._chunks(response):
                self.data += chunk[: wanted - len(self.data)]
                if len(self.data) >= wanted:
                    break
            self.is_whole = len(self.data) < wanted
        return read(bytes(self.data), self.name, is_whole=self.is_whole)

    def _take_whole(self, response: httpx.Response, wanted: int) -> Shape | int:
        """Read on in the same answer until it is enough."""
        self.data.clear()
        for chunk in self._chunks(response):
            self.data += chunk[: MOST - len(self.data)]
            if len(self.data) < wanted:
                continue
            found = read(bytes(self.data), self.name)
            if isinstance(found, Shape):
                return found
            wanted = found
        self.is_whole = True
        return read(bytes(self.data), self.name, is_whole=True)

    def _chunks(self, response: httpx.Response) -> Iterator[bytes]:
        for chunk in response.iter_raw(_CHUNK):
            if time.monotonic() > self.deadline:
                self._refuse(response.request.url, f"it isn't there after {LIMIT_S:.0f} seconds")
            yield chunk

    def _check(self, response: httpx.Response) -> None:
        """Raise what a refusal means; what lies beyond a file's end is no refusal."""
        at = response.request.url
        match response.status_code:
            case 416:
                self.is_whole = True
            case 401 | 403:
                self._refuse(
                    at,
                    "it wants to know who asks (HTTP "
                    f"{response.status_code}); accept its conditions on its page, and set HF_TOKEN",
                )
            case 404 | 410:
                self._refuse(at, f"there is no such file (HTTP {response.status_code})")
            case 429:
                after = response.headers.get("retry-after", "")
                seconds = float(after) if _SECONDS.fullmatch(after) else None
                self._refuse(at, "it was asked too often (HTTP 429); try again later", seconds)
            case status:
                self._refuse(at, f"it answers HTTP {status}")

    def _refuse(self, at: httpx.URL, reason: str, after: float | None = None) -> NoReturn:
        raise SourceError(
            f"{quoted(at.host)} doesn't give the header of {self.name}: {reason}", after
        )
