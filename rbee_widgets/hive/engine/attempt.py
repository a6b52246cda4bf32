"""One attempt at a file: threads around a plan.

Workers take asks from the plan, each over a connection of its own, and write what comes at its
offset; a hasher follows the frontier; the thread that runs the attempt steers: it adds and takes
away workers, and has the record kept. What goes wrong in a connection is tried again, what goes
wrong with the file ends the attempt.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path
from typing import IO, Final

from rbee_widgets.hive.engine import answers
from rbee_widgets.hive.engine.digest import BLOCK, Digest
from rbee_widgets.hive.engine.errors import (
    CancelledTransferError,
    ChangedError,
    CorruptError,
    RefusedError,
    TransferError,
    UnreachableError,
)
from rbee_widgets.hive.engine.partial import Partial
from rbee_widgets.hive.engine.plan import Ask, Plan
from rbee_widgets.hive.engine.ramp import Ramp
from rbee_widgets.hive.engine.record import Record
from rbee_widgets.hive.engine.remote import Remote
from rbee_widgets.hive.engine.web import Body, NetworkError, Web, origin_of

TRIES: Final = 6
"""Failures in a row, without a byte between them, that are taken as the end."""

PAUSE_S: Final = 0.5
"""Seconds before the second try; each further one waits twice as long."""

MAX_PAUSE_S: Final = 8.0
MAX_WAIT_S: Final = 60.0
"""The longest `Retry-After` that is waited for, in seconds."""

KEEP_BYTES: Final = 4 << 20
"""What may arrive before the record is kept again."""

MAX_UNKEPT: Final = 12 << 20
"""What may arrive beyond the record: the most that the end of the process can cost, with what is
under way in the sockets."""

KEEP_S: Final = 1.0
"""Seconds after which the record is kept again, however little has arrived."""

TICK_S: Final = 0.025
PROGRESS: Final = 64 << 10
"""Bytes that an ask must bring for its failure not to count."""

HASH_BESIDE: Final = 4 << 20
"""Smaller files are hashed when they are there: a thread costs more."""

OTHERS_S: Final = 0.25
"""Seconds within which other connections bring a byte, unless they are in trouble too."""


class BeginAgainError(Exception):
    """Raised when what is there can't be gone on from.

    `ranges` tells whether the origin has them, `trouble` what broke the one stream that it has.
    """

    def __init__(
        self, why: str, *, ranges: bool = True, trouble: NetworkError | RefusedError | None = None
    ) -> None:
        super().__init__(why)
        self.ranges = ranges
        self.trouble = trouble

    @property
    def instead(self) -> TransferError:
        """What to raise when it has happened too often."""
        if isinstance(self.trouble, RefusedError):
            return self.trouble
        return ChangedError(str(self)) if self.trouble is None else UnreachableError(str(self))


class Attempt:
    """One attempt, up to an end or a new beginning."""

    def __init__(
        self,
        remote: Remote,
        path: Path,
        web: Web,
        share: Callable[[], int],
        is_cancelled: Callable[[], bool],
        *,
        ranges: bool,
    ) -> None:
        self.plan = Plan(remote.size)
        self.active = 0
        self._remote = remote
        self._path = path
        self._web = web
        self._share = share
        self._is_cancelled = is_cancelled
        self._ranges = ranges
        self._ramp = Ramp(web.per_host if ranges else 1)
        self._wanted = 1
        self._validator = remote.etag
        self._location = remote.url
        self._partial: Partial | None = None
        self._digest = Digest()
        self._failures = 0
        self._arrived_at = 0.0
        self._unkept = 0
        self._kept_at = time.monotonic()
        self._error: BaseException | None = None
        self._over = False
        self._bodies: set[Body] = set()
        self._waiting: set[threading.Thread] = set()
        self._threads: list[threading.Thread] = []
        lock = threading.RLock()  # guards all of the above
        self._news = threading.Condition(lock)
        self._arrivals = threading.Condition(lock)

    # -- Steering ---------------------------------------------------------------------------------

    def run(self) -> None:
        """Do it all; raises what ended it."""
        try:
            self._reopen()
            self._fetch()
            self._verify()
        except BaseException as error:
            self._end()
            if not isinstance(error, (BeginAgainError, CorruptError)):
                with suppress(OSError):  # its disk may be full
                    self._keep()
            raise
        finally:
            self._end()
            if self._partial is not None:
                self._partial.close()

    def wake(self) -> None:
        """Have a cancel noticed at once."""
        with self._news:
            for body in self._bodies:
                body.shut()
            self._news.notify_all()
            self._arrivals.notify_all()

    def _reopen(self) -> None:
        """Go on from what is there, where that can be believed."""
        kept = Partial.reopen(self._path, self._remote) if self._ranges else None
        if kept is None:
            return
        self._partial, record = kept
        self._validator = record.validator
        self.plan = Plan(record.size, record.spans)
        self._begin_hashing()

    def _fetch(self) -> None:
        while True:
            with self._news:
                self._check_end()
                if self._has_ended:
                    return
                self._steer()
                self._news.wait_for(self._is_awaited, TICK_S)
                due = self._is_keeping_due()
            if due:
                self._keep()

    def _is_awaited(self) -> bool:
        flows = bool(self._bodies) and self._partial is not None
        has_begun = flows and not self._ramp.has_begun
        return self._is_over or self._has_ended or has_begun or self._unkept >= KEEP_BYTES

    @property
    def _has_ended(self) -> bool:
        return self._is_whole and self.active == 0

    @property
    def _is_over(self) -> bool:
        return self._over or self._error is not None or self._is_cancelled()

    @property
    def _is_whole(self) -> bool:
        return self.plan.is_whole and (self._partial is not None or self.plan.size == 0)

    def _steer(self) -> None:
        """Use as many connections as pay, within the fair share of the host's."""
        flowing = len(self._bodies) if self._partial else 0
        wanted = self._ramp.observe(time.monotonic(), self.plan.done, flowing)
        self._wanted = min(wanted, self._share())
        while self.active < self._wanted and not (self._failures and self.active):
            ask = self.plan.take(self._wanted, time.monotonic())
            if ask is None:
                break
            self.active += 1
            self._start(lambda ask=ask: self._work(ask))  # type: ignore[misc]

    def _start(self, target: Callable[[], None]) -> None:
        thread = threading.Thread(target=target, name=f"fetch {self._path.name}", daemon=True)
        self._threads = [thread for thread in self._threads if thread.is_alive()]
        self._threads.append(thread)
        thread.start()

    def _end(self) -> None:
        """Stop what runs; who waits for an answer is left alone, and will write nothing."""
        with self._news:
            self._over = True
        self.wake()
        for thread in self._threads:
            while thread.is_alive() and thread not in self._waiting:
                thread.join(TICK_S)

    # -- The record -------------------------------------------------------------------------------

    def _is_keeping_due(self) -> bool:
        late = time.monotonic() - self._kept_at >= KEEP_S
        return self._unkept >= KEEP_BYTES or (late and self._unkept > 0)

    def _keep(self) -> None:
        """Have what is there outlive this process, where a later one could tell what it is."""
        with self._news:
            unkept, self._kept_at = self._unkept, time.monotonic()
            record, partial = self._record(), self._partial
        if record is not None and partial is not None:
            partial.keep(record)
        with self._news:
            self._unkept -= unkept
            self._news.notify_all()

    def _record(self) -> Record | None:
        """Say what is there; None where no later process could tell what it is of."""
        size, partial = self.plan.size, self._partial
        if size is None or partial is None or not self._ranges:
            return None
        if not (self._remote.sha256 or self._validator):
            return None
        return Record(
            url=self._remote.url,
            size=size,
            validator=self._validator,
            sha256=self._remote.sha256,
            revision=self._remote.revision,
            inode=partial.inode,
            spans=self.plan.spans,
        )

    # -- Workers ----------------------------------------------------------------------------------

    def _work(self, ask: Ask) -> None:
        """Serve asks until there are none, or too many are at it."""
        try:
            while self._serve(ask):
                with self._news:
                    following = (
                        None if self._is_over else self.plan.take(self._wanted, time.monotonic())
                    )
                    if following is None:
                        self._leave()
                        return
                ask = following
        except BaseException as error:  # noqa: BLE001 (raised again by the one who steers)
            with self._news:
                self._error = self._error or error
                self._leave()

    def _leave(self) -> None:
        self.active -= 1
        self._news.notify_all()
        self._arrivals.notify_all()

    def _serve(self, ask: Ask) -> bool:
        """Serve one ask, as far as its connection carries; False: its worker has left."""
        begin, location = ask.at, self._location
        try:
            return self._bring(ask, location)
        except (NetworkError, RefusedError) as error:
            trouble = error
        finally:
            with self._news:
                self.plan.release(ask)
        if self._is_over:
            return True
        if self._has_left(location) and isinstance(trouble, RefusedError):
            return True
        if isinstance(trouble, RefusedError) and not self._may_pass(trouble):
            raise trouble
        if not self._ranges:
            raise BeginAgainError(str(trouble), ranges=False, trouble=trouble) from trouble
        return ask.at - begin >= PROGRESS or self._pause(trouble)

    def _has_left(self, location: str) -> bool:
        """Go back to the origin itself, if it was a redirect's target that gave trouble."""
        with self._news:
            if self._location == location:
                self._location = self._remote.url
        return location != self._remote.url

    def _may_pass(self, refusal: RefusedError) -> bool:
        """Tell whether a refusal may be another answer the next time."""
        one_too_many = refusal.status in (401, 403) and self._others_go_on()
        return one_too_many or refusal.status in (408, 429) or refusal.status >= 500

    def _others_go_on(self) -> bool:
        """Wait for a byte of another connection; False: none has come, or there is none."""
        with self._news:
            since = self._arrived_at
            if self.active > 1:
                self._news.wait_for(lambda: self._is_over, OTHERS_S)
            return self._arrived_at > since

    def _pause(self, trouble: NetworkError | RefusedError) -> bool:
        """Wait before the next try; False: there is none, the worker has left."""
        with self._news:
            if self._others_go_on():  # one connection fewer is the answer
                self._ramp.refused(time.monotonic(), self.active - 1)
            if self.active > 1:
                self._leave()
                return False
            self._failures += 1
            if self._failures >= TRIES:
                if isinstance(trouble, RefusedError):
                    raise trouble
                raise UnreachableError(str(trouble)) from trouble
            pause = min(MAX_PAUSE_S, PAUSE_S * 2 ** (self._failures - 1))
            pause *= random.uniform(0.5, 1.0)  # noqa: S311 (so that many don't come back at once)
            told = trouble.wait_s if isinstance(trouble, RefusedError) else None
            if told is not None:
                if told > MAX_WAIT_S:
                    raise trouble
                pause = max(pause, told)
            self._news.wait_for(lambda: self._is_over, pause)
            return True

    def _bring(self, ask: Ask, location: str) -> bool:
        with closing(self._open(ask, location)) as body:
            try:
                partial = self._accept(ask, body)
                if partial is None:
                    return True
                self._location = body.url
                with partial.open_at(ask.at) as file:
                    return self._pour(ask, body, file)
            finally:
                with self._news:
                    self._bodies.discard(body)

    def _open(self, ask: Ask, location: str) -> Body:
        """Ask the origin, or the place that it has sent us to."""
        headers = {}
        if self._ranges and ask.stop is not None:
            headers["Range"] = f"bytes={ask.at}-{ask.stop - 1}"
            if self._validator is not None:
                headers["If-Range"] = self._validator
        is_own = origin_of(location) == origin_of(self._remote.url)
        token = self._remote.token if is_own else None
        begin = time.monotonic()
        here = threading.current_thread()
        with self._news:
            self._waiting.add(here)
        try:
            body = self._web.get(location, headers, token, lambda: self._is_over)
            with self._news:
                self._bodies.add(body)
                self._ramp.answered(time.monotonic() - begin)
        finally:
            with self._news:
                self._waiting.discard(here)
        return body

    def _pour(self, ask: Ask, body: Body, file: IO[bytes]) -> bool:
        """Write what comes, until the ask is served; its end may be moved meanwhile.

        False: its worker has left, being one too many.
        """
        begin = ask.at
        while ask.stop is None or ask.at < ask.stop:
            chunk = memoryview(body.read())
            if not chunk:
                break
            if ask.stop is not None:
                if not self._ranges and len(chunk) > ask.rest:
                    raise ChangedError(f"the origin's file has more than {ask.stop} bytes")
                chunk = chunk[: ask.rest]
            _write(file, chunk)
            if self._is_over:
                return True
            if not self._note(ask, len(chunk)):
                return False
        if not self._is_over:
            self._check_body(ask, body, begin)
        return True

    def _note(self, ask: Ask, count: int) -> bool:
        """Note what has arrived; False: its worker has left, being one too many."""
        with self._news:
            self._unkept += self.plan.arrived(ask, count)
            self._failures, self._arrived_at = 0, time.monotonic()
            self._arrivals.notify()
            if self._unkept >= KEEP_BYTES:
                self._news.notify_all()
            # A disk that is slower than the line sets the pace.
            self._news.wait_for(lambda: self._unkept < MAX_UNKEPT or self._is_over)
            is_surplus = self.active > self._wanted
            if is_surplus:
                self._leave()
            return not is_surplus

    def _check_body(self, ask: Ask, body: Body, begin: int) -> None:
        """See that a body that has ended, or is not wanted any more, was what was announced."""
        if ask.stop is None:
            with self._news:
                self.plan.learn(ask.at)
        elif ask.at == begin and ask.rest:
            raise NetworkError("the origin closed the connection at once")
        elif not self._ranges and not ask.rest and body.read():
            raise ChangedError(f"the origin's file has more than {ask.stop} bytes")

    # -- What an answer means ---------------------------------------------------------------------

    def _accept(self, ask: Ask, body: Body) -> Partial | None:
        """Check that an answer is what was asked for; gives where it goes, None: nowhere."""
        is_encoded = body.headers.get("content-encoding", "identity") != "identity"
        if is_encoded and body.status in (200, 206):
            raise RefusedError(f"{body.url} sends an encoded file", body.status)
        with self._news:
            if self._is_over:
                return None
            match body.status:
                case 206:
                    self._accept_range(ask, body)
                case 200:
                    self._accept_whole(ask, body)
                case 416 if body.headers.get("content-range") == "bytes */0":
                    self._learn(0)
                case 416 if self.plan.done:
                    raise BeginAgainError("the origin's file has become smaller")
                case status:
                    raise RefusedError(
                        f"{body.url}: status {status}", status, answers.retry_after(body.headers)
                    )
            if self._partial is None:
                self._partial = Partial.create(self._path)
                self._begin_hashing()
            if self._ramp.wanted == 1:
                self._news.notify_all()  # who steers need not wait for a tick
            return self._partial

    def _accept_range(self, ask: Ask, body: Body) -> None:
        told = answers.content_range(body.headers)
        if told is None:
            raise BeginAgainError("the origin does not say which range it sends", ranges=False)
        start, _, size = told
        self._check_version(body)
        if start != ask.at:
            raise BeginAgainError("the origin sends another range than asked for", ranges=False)
        self._learn(size)

    def _accept_whole(self, ask: Ask, body: Body) -> None:
        self._check_version(body)
        if self.plan.done or self.active > 1:
            raise BeginAgainError("the origin has no ranges", ranges=False)
        self._ranges = False
        self._ramp.limit = 1
        announced = answers.content_length(body.headers)
        if announced is not None:
            self._learn(announced)
        ask.stop = self.plan.size

    def _check_version(self, body: Body) -> None:
        """See that all comes from one version of the file."""
        validator = answers.validator(body.headers)
        if validator is None:
            if self._ranges and body.status == 206 and self._remote.sha256 is None:
                raise BeginAgainError("the origin tells no version", ranges=False)
        elif self._validator is None:
            self._validator = validator
        elif self._validator != validator and self._remote.sha256 is None:
            raise BeginAgainError("the origin's file has changed")

    def _learn(self, size: int) -> None:
        if self._remote.size not in (None, size):
            raise ChangedError(f"the origin's file has {size} bytes, not {self._remote.size}")
        if self.plan.size not in (None, size):
            raise BeginAgainError("the origin's file has another size")
        self.plan.learn(size)

    # -- Verifying --------------------------------------------------------------------------------

    def _begin_hashing(self) -> None:
        size = self.plan.size
        if self._remote.sha256 is not None and (size is None or size >= HASH_BESIDE):
            self._start(self._hash_along)

    def _hash_along(self) -> None:
        """Hash what is there, as far as it reaches without a gap, until all of it is."""
        try:
            while self._hash_to_frontier():
                with self._news:
                    self._arrivals.wait_for(self._has_more_to_hash)
        except BaseException as error:  # noqa: BLE001 (raised again by the one who steers)
            with self._news:
                self._error = self._error or error
                self._news.notify_all()

    def _has_more_to_hash(self) -> bool:
        ahead = self.plan.frontier - self._digest.hashed
        return self._is_over or self._is_whole or ahead >= BLOCK

    def _hash_to_frontier(self) -> bool:
        """Hash up to the frontier; gives whether there is more to come."""
        with self._news:
            partial, stop, is_whole = self._partial, self.plan.frontier, self._is_whole
        if partial is not None:
            self._digest.follow(partial, stop, lambda: self._is_over)
        return not (is_whole or self._is_over)

    def _verify(self) -> None:
        for thread in self._threads:
            thread.join()
        if self._partial is None:  # an empty file that nobody had to ask for
            self._partial = Partial.create(self._path)
        if self._remote.sha256 is not None:
            self._hash_to_frontier()
            self._check_end()
            digest = self._digest.hexdigest()
            if digest != self._remote.sha256:
                raise CorruptError(self._remote.sha256, digest)
        self._partial.finish(self.plan.done)

    def _check_end(self) -> None:
        """Raise what has ended the attempt, if anything has."""
        if self._is_cancelled():
            raise CancelledTransferError
        if self._error is not None:
            raise self._error


def _write(file: IO[bytes], data: memoryview) -> None:
    """Write to an unbuffered file, which may take a part at a time and raises when it's full."""
    while data:
        data = data[file.write(data) :]
