"""A reader: the thread that serves asks, each over a connection, and writes what they bring.

What goes wrong with a connection is tried again; what goes wrong with the file is raised, and ends
the attempt.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import closing
from typing import IO, Final

from rbee_widgets.hive.engine import trouble as troubles
from rbee_widgets.hive.engine.errors import (
    BeginAgainError,
    ChangedError,
    RefusedError,
    TransferError,
    UnreachableError,
)
from rbee_widgets.hive.engine.partial import Partial
from rbee_widgets.hive.engine.patience import may_pass, wait_after
from rbee_widgets.hive.engine.plan import Ask
from rbee_widgets.hive.engine.remote import Location
from rbee_widgets.hive.engine.shared import Shared
from rbee_widgets.hive.engine.web import Body, NetworkError, Web

PROGRESS: Final = 64 << 10
"""Bytes that an ask must bring for its failure not to count."""

OTHERS_S: Final = 0.25
"""Seconds within which other connections bring a byte, unless they are in trouble too."""


class LeftError(Exception):
    """Raised by a reader that has left, being one too many."""


class Reader:
    """One of an attempt's readers.

    Parameters
    ----------
    shared
        The attempt's state.
    web
        The connections.
    begin
        Makes the partial file, once an answer brings the first bytes.

    """

    def __init__(self, shared: Shared, web: Web, begin: Callable[[], Partial]) -> None:
        self._shared = shared
        self._web = web
        self._begin = begin

    def run(self, ask: Ask) -> None:
        """Serve an ask and those that follow, until there are none, or this is one too many."""
        shared = self._shared
        try:
            while True:
                self._serve(ask)
                with shared.news:
                    following = shared.take()
                    if following is None:
                        shared.leave()
                        return
                ask = following
        except LeftError:
            return
        except BaseException as error:  # noqa: BLE001 (raised again by the one who steers)
            with shared.news:
                shared.fail(error)
                shared.leave()

    def _serve(self, ask: Ask) -> None:
        """Serve one ask, as far as its connection carries."""
        shared = self._shared
        begin, location = ask.at, shared.origin.location
        try:
            self._bring(ask, location)
        except (NetworkError, RefusedError) as error:
            trouble = error
        else:
            return
        finally:
            with shared.news:
                shared.plan.release(ask)
        if not shared.is_over:
            self._bear(trouble, location, ask.at - begin)

    # -- Trouble ----------------------------------------------------------------------------------

    def _bear(self, trouble: NetworkError | RefusedError, location: Location, brought: int) -> None:
        """Take a failure: wait and go on, leave, or raise it."""
        with self._shared.news:
            has_left = self._shared.origin.leave(location)
        refusal = trouble if isinstance(trouble, RefusedError) else None
        if has_left and refusal is not None:
            return
        if refusal is not None and not self._may_pass(refusal):
            raise refusal
        if not self._shared.origin.has_ranges:
            raise BeginAgainError(
                str(trouble),
                has_ranges=False,
                trouble=_told(trouble),
                reason=troubles.reason(trouble, location.url),
            )
        if brought < PROGRESS:
            self._pause(trouble, location)

    def _may_pass(self, refusal: RefusedError) -> bool:
        """Tell whether a refusal may be another answer the next time."""
        is_one_too_many = refusal.status in (401, 403) and self._shared.others_bring(OTHERS_S)
        return is_one_too_many or may_pass(refusal.status)

    def _pause(self, trouble: NetworkError | RefusedError, location: Location) -> None:
        """Wait before the next try, if this is the reader that makes it."""
        shared = self._shared
        with shared.news:
            if shared.others_bring(OTHERS_S):  # one connection fewer is the answer
                shared.ramp.refused(time.monotonic(), shared.active - 1)
            else:
                shared.ramp.gone()
                shared.is_cut_off = True
            if shared.active > 1:
                shared.leave()
                raise LeftError
            shared.failures += 1
            asked_s = trouble.wait_s if isinstance(trouble, RefusedError) else None
            wait = wait_after(shared.failures, troubles.reason(trouble, location.url), asked_s)
            if wait is None:
                raise _told(trouble)
            shared.wait = wait
            shared.news.wait_for(lambda: shared.is_over, wait.seconds)

    # -- Bringing ---------------------------------------------------------------------------------

    def _bring(self, ask: Ask, location: Location) -> None:
        with closing(self._open(ask, location)) as body:
            try:
                partial = self._accept(body, ask)
                if partial is not None:
                    with partial.open_at(ask.at) as file:
                        self._pour(body, ask, file)
            finally:
                with self._shared.news:
                    self._shared.bodies.discard(body)

    def _open(self, ask: Ask, location: Location) -> Body:
        """Ask the origin, or the place that it has led to."""
        shared = self._shared
        begin = time.monotonic()
        here = threading.current_thread()
        with shared.news:
            headers, token = shared.origin.headers(ask), shared.origin.token(location)
            shared.waiting.add(here)
        try:
            body = self._web.get(location, headers, token, lambda: shared.is_over)
            with shared.news:
                shared.bodies.add(body)
                shared.ramp.answered(time.monotonic() - begin)
        finally:
            with shared.news:
                shared.waiting.discard(here)
        return body

    def _accept(self, body: Body, ask: Ask) -> Partial | None:
        """See that an answer is what was asked for; gives where it goes, None: nowhere."""
        shared = self._shared
        with shared.news:
            if shared.is_over:
                return None
            shared.origin.accept(body, ask, shared.plan, is_alone=shared.active == 1)
            shared.partial = shared.partial or self._begin()
            if shared.wanted == 1:
                shared.news.notify_all()  # who steers need not wait for a tick
            return shared.partial

    def _pour(self, body: Body, ask: Ask, file: IO[bytes]) -> None:
        """Write what comes, until the ask is served; its end may be moved meanwhile."""
        shared = self._shared
        begin, is_one_stream = ask.at, not shared.origin.has_ranges
        while ask.stop is None or ask.at < ask.stop:
            chunk = memoryview(body.read())
            if not chunk:
                break
            if ask.stop is not None:
                if is_one_stream and len(chunk) > ask.rest:
                    raise ChangedError(f"the origin's file has more than {ask.stop} bytes")
                chunk = chunk[: ask.rest]
            _write(file, chunk)
            shared.arrived(ask, len(chunk))
            if shared.is_over:
                return
            self._leave_if_surplus()
        if ask.stop is None:
            with shared.news:
                shared.plan.learn(ask.at)
        elif ask.at == begin and ask.rest:
            raise NetworkError("the origin closed the connection at once")
        elif is_one_stream and ask.rest:
            raise NetworkError(f"the origin's answer ends {ask.rest} bytes early")
        elif is_one_stream and body.read():
            raise ChangedError(f"the origin's file has more than {ask.stop} bytes")

    def _leave_if_surplus(self) -> None:
        with self._shared.news:
            if self._shared.active > self._shared.wanted:
                self._shared.leave()
                raise LeftError


def _told(trouble: NetworkError | RefusedError) -> TransferError:
    """Give what the transfer raises where a trouble is its end."""
    if isinstance(trouble, RefusedError):
        return trouble
    error = UnreachableError(str(trouble))
    error.__cause__ = trouble
    return error


def _write(file: IO[bytes], data: memoryview) -> None:
    """Write to an unbuffered file, which may take a part at a time and raises when it's full."""
    while data:
        data = data[file.write(data) :]
