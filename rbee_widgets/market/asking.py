"""A question to a source over HTTP: bounded in time, bytes and redirects, and never repeated.

A person waits for the answer, and can ask again: a retry on its own would only hide a limit that
is better told. Every failure becomes a `SourceError`.
"""

from __future__ import annotations

import json
import re
import time
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Any, Final

from rbee_widgets import text
from rbee_widgets.errors import quoted
from rbee_widgets.market.source import SourceError

TIMEOUT_S: Final = 10.0
CONNECT_S: Final = 5.0
MAX_REDIRECTS: Final = 5
MAX_ANSWER: Final = 8 * 2**20
"""Bytes of an answer; a page of 50 models takes 0.1 to 1 MB, most of it chat templates."""

MAX_WAIT_S: Final = 86_400.0


@dataclass(frozen=True, slots=True)
class Answer:
    """What came; `body` decoded, `headers` by any case of their names."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    following: str | None
    """The URL of the next page, where `Link` tells one."""

    def json(self, who: str) -> Any:
        """Read the body.

        Raises
        ------
        SourceError
            It is no JSON.

        """
        try:
            return json.loads(self.body)
        except (ValueError, RecursionError) as error:
            raise rubbish(who, self.headers.get("content-type", "")) from error


@dataclass(frozen=True, slots=True)
class Asker:
    """Who is asked, and by what client."""

    client: Any
    """An `httpx.Client`, or huggingface_hub's own, which is of `httpx2` and does the same."""
    who: str
    """The host, as the words of an error name it."""
    slow: type[Exception]
    """What the client raises when time is up."""
    broken: tuple[type[Exception], ...]
    """What else it raises when nothing comes back."""
    advice: str
    """The way out when nobody is there."""

    def ask(
        self,
        url: str,
        *,
        method: str = "GET",
        params: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
        limit: int = MAX_ANSWER,
        is_cut: bool = False,
    ) -> Answer:
        """Ask once, and read at most `limit` bytes: of more, the rest is cut off or an error.

        Raises
        ------
        SourceError
            Nothing came in time, or too much. A status is the caller's to judge.

        """
        end = time.monotonic() + TIMEOUT_S
        try:
            request = self.client.build_request(
                method,
                url,
                params=params,
                headers={"Accept-Encoding": "gzip", **(headers or {})},
                timeout=(CONNECT_S, TIMEOUT_S, TIMEOUT_S, CONNECT_S),
            )
            for _ in range(MAX_REDIRECTS + 1):
                answer = self.client.send(request, stream=True, follow_redirects=False)
                try:
                    if answer.next_request is None:
                        body = b"" if method == "HEAD" else self._read(answer, end, limit, is_cut)
                        following = answer.links.get("next", {}).get("url")
                        return Answer(answer.status_code, answer.headers, body, following)
                finally:
                    answer.close()
                request = answer.next_request
                self._hurry(end)
        except self.slow as error:
            raise self._late() from error
        except self.broken as error:
            raise self._unreachable(error) from error
        except UnicodeError as error:  # a name that no host can have
            raise self._unreachable(error) from error
        raise SourceError(f"{self.who} redirects without end; {self.advice}")

    def _read(self, answer: Any, end: float, limit: int, is_cut: bool) -> bytes:
        kept = bytearray()
        for chunk in _decoded(answer, self.who, limit):
            kept += chunk
            if len(kept) > limit:
                if is_cut:
                    break
                raise SourceError(
                    f"{self.who} answers with more than {text.size(limit)}, which is no list of "
                    "models that one can look through; ask for something narrower"
                )
            self._hurry(end)
        return bytes(kept[:limit])

    def _hurry(self, end: float) -> None:
        if time.monotonic() > end:
            raise self._late()

    def _unreachable(self, error: Exception) -> SourceError:
        reason = quoted(str(error)) or type(error).__name__
        return SourceError(f"{self.who} can't be reached: {reason}; {self.advice}")

    def _late(self) -> SourceError:
        return SourceError(
            f"{self.who} has not answered within {text.duration(TIMEOUT_S)}; try again, or "
            f"{self.advice}"
        )


def _decoded(answer: Any, who: str, limit: int) -> Iterable[bytes]:
    """Give the body as it comes, never much more than `limit` of it at once."""
    match answer.headers.get("content-encoding", "identity").lower():
        case "identity":
            yield from answer.iter_raw()
        case "gzip":
            # The client's own decoder makes of a chunk whatever a bomb wants it to.
            decoder = zlib.decompressobj(wbits=31)
            for chunk in answer.iter_raw():
                try:
                    yield decoder.decompress(chunk, limit + 1)
                except zlib.error as error:
                    raise rubbish(who, "broken gzip") from error
        case other:
            raise rubbish(who, other)


def rubbish(who: str, kind: str) -> SourceError:
    """Tell that an answer is none; `kind` is what came instead."""
    instead = f" ({quoted(kind)[:60]})" if kind else ""
    return SourceError(
        f"{who} answers with something else than models{instead}; a proxy or a login page may "
        "stand in between: open it in a browser, and see whether it is meant"
    )


def raise_for_trouble(answer: Answer, who: str, reset: float | None = None) -> None:
    """Raise for what any server may answer: too many requests, or a fault of its own.

    `reset` is the wait in seconds that its own headers tell, where it has any.

    Raises
    ------
    SourceError
        With the wait, where one is told.

    """
    if answer.status == 429:
        wait = reset if reset is not None else retry_after(answer.headers)
        when = "in a few minutes" if wait is None else f"in {text.duration(wait)}"
        raise SourceError(f"{who} has been asked too often (429); ask again {when}", wait)
    if answer.status >= 500:
        wait = retry_after(answer.headers)
        when = "a little later" if wait is None else f"in {text.duration(wait)}"
        raise SourceError(f"{who} has trouble ({_status(answer.status)}); ask again {when}", wait)


def raise_for_status(answer: Answer, who: str) -> None:
    """Raise for whatever else is no answer.

    Raises
    ------
    SourceError
        The status is not 200.

    """
    raise_for_trouble(answer, who)
    if answer.status != 200:
        raise SourceError(
            f"{who} answers {_status(answer.status)}; see whether it is what is meant"
        )


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Read `Retry-After`, seconds or a date, as seconds from now."""
    told = headers.get("retry-after", "").strip()
    if re.fullmatch("[0-9]{1,9}", told):
        return min(float(told), MAX_WAIT_S)
    try:
        at = parsedate_to_datetime(told)
    except (ValueError, OverflowError):
        return None
    if at.tzinfo is None:
        at = at.replace(tzinfo=UTC)
    return min(max((at - datetime.now(UTC)).total_seconds(), 0.0), MAX_WAIT_S)


def _status(code: int) -> str:
    try:
        return f"{code} {HTTPStatus(code).phrase}"
    except ValueError:
        return str(code)
