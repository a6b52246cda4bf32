"""One attempt at a file: threads around a plan.

Readers take asks from the plan and write what comes at its offset; a digest follows the frontier;
the thread that runs the attempt steers: it adds readers, has the record kept, and verifies.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial as bound
from pathlib import Path
from typing import Final

from rbee_widgets.hive.engine.digest import Digest
from rbee_widgets.hive.engine.errors import BeginAgainError, CorruptError
from rbee_widgets.hive.engine.origin import Origin
from rbee_widgets.hive.engine.partial import Partial
from rbee_widgets.hive.engine.patience import Wait
from rbee_widgets.hive.engine.plan import Plan
from rbee_widgets.hive.engine.ramp import Ramp
from rbee_widgets.hive.engine.reader import Reader
from rbee_widgets.hive.engine.record import Record
from rbee_widgets.hive.engine.remote import Remote
from rbee_widgets.hive.engine.shared import KEEP_BYTES, Shared
from rbee_widgets.hive.engine.web import Web

KEEP_S: Final = 1.0
"""Seconds after which the record is kept again, however little has arrived."""

TICK_S: Final = 0.025

HASH_BESIDE: Final = 4 << 20
"""Smaller files are hashed when they are there: a thread costs more."""


class Attempt:
    """One attempt, up to an end or a new beginning.

    Parameters
    ----------
    remote, path, web
        What is fetched, to where, over which connections.
    is_cancelled
        Tells whether an end was asked for.
    has_ranges
        Whether the origin may be asked for ranges.

    """

    def __init__(
        self,
        remote: Remote,
        path: Path,
        web: Web,
        is_cancelled: Callable[[], bool],
        *,
        has_ranges: bool,
    ) -> None:
        self._remote = remote
        self._path = path
        self._web = web
        origin = Origin(remote, has_ranges=has_ranges)
        self._shared = Shared(origin, Plan(remote.size), Ramp(web.per_host), is_cancelled)
        self._digest = Digest(self._shared)
        self._kept_at = time.monotonic()
        self._threads: list[threading.Thread] = []

    @property
    def done(self) -> int:
        """Bytes that are there."""
        return self._shared.plan.done

    @property
    def total(self) -> int | None:
        """Bytes of the whole; None: not known yet."""
        return self._shared.plan.size

    @property
    def readers(self) -> int:
        """How many are at work."""
        return self._shared.active

    @property
    def wait(self) -> Wait | None:
        """What it waits for, or waited for last; None: bytes have come since."""
        return self._shared.wait

    def wake(self) -> None:
        """Have a cancel noticed at once."""
        self._shared.wake()

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
            if self._shared.partial is not None:
                self._shared.partial.close()

    def _end(self) -> None:
        """Stop what runs; who waits for an answer is left alone, and will write nothing."""
        self._shared.close()
        for thread in self._threads:
            while thread.is_alive() and thread not in self._shared.waiting:
                thread.join(TICK_S)

    # -- Beginning --------------------------------------------------------------------------------

    def _reopen(self) -> None:
        """Go on from what is there, where that can be believed."""
        shared = self._shared
        kept = Partial.reopen(self._path, self._remote) if shared.origin.has_ranges else None
        if kept is not None:
            shared.partial, record = kept
            shared.origin.validator = record.validator
            shared.plan = Plan(record.size, record.spans)
            self._begin_hashing()

    def _begin(self) -> Partial:
        partial = Partial.create(self._path)
        self._begin_hashing()
        return partial

    def _begin_hashing(self) -> None:
        size = self._shared.plan.size
        if self._remote.sha256 is not None and (size is None or size >= HASH_BESIDE):
            self._start(self._digest.run)

    def _start(self, target: Callable[[], None]) -> None:
        thread = threading.Thread(target=target, name=f"fetch {self._path.name}", daemon=True)
        self._threads = [thread for thread in self._threads if thread.is_alive()]
        self._threads.append(thread)
        thread.start()

    # -- Steering ---------------------------------------------------------------------------------

    def _fetch(self) -> None:
        shared = self._shared
        with self._web.sharing(self._remote.url) as share:
            while True:
                with shared.news:
                    shared.check_end()
                    if shared.has_ended:
                        return
                    self._steer(share())
                    shared.news.wait_for(self._is_awaited, TICK_S)
                    due = self._is_keeping_due()
                if due:
                    self._keep()

    def _is_awaited(self) -> bool:
        shared = self._shared
        has_begun = self._flowing > 0 and not shared.ramp.has_begun
        return shared.is_over or shared.has_ended or has_begun or shared.unkept >= KEEP_BYTES

    @property
    def _flowing(self) -> int:
        """How many readers bring bytes."""
        return len(self._shared.bodies) if self._shared.partial else 0

    def _steer(self, share: int) -> None:
        """Use as many readers as pay, within the fair share of the host's connections."""
        shared = self._shared
        wanted = shared.ramp.observe(time.monotonic(), shared.plan.done, self._flowing)
        shared.wanted = min(wanted, share) if shared.origin.has_ranges else 1
        while shared.active < shared.wanted and not (shared.is_cut_off and shared.active):
            ask = shared.take()
            if ask is None:
                break
            shared.active += 1
            reader = Reader(shared, self._web, self._begin)
            self._start(bound(reader.run, ask))

    # -- The record -------------------------------------------------------------------------------

    def _is_keeping_due(self) -> bool:
        late = time.monotonic() - self._kept_at >= KEEP_S
        return self._shared.unkept >= KEEP_BYTES or (late and self._shared.unkept > 0)

    def _keep(self) -> None:
        """Have what is there outlive this process, where a later one could tell what it is."""
        shared = self._shared
        with shared.news:
            unkept, self._kept_at = shared.unkept, time.monotonic()
            record, partial = self._record(), shared.partial
        if record is not None and partial is not None:
            partial.keep(record)
        with shared.news:
            shared.unkept -= unkept
            shared.news.notify_all()

    def _record(self) -> Record | None:
        """Say what is there; None where no later process could tell what it is of."""
        origin, plan, partial = self._shared.origin, self._shared.plan, self._shared.partial
        if plan.size is None or partial is None or not origin.has_ranges:
            return None
        if not (self._remote.sha256 or origin.validator):
            return None
        return Record(
            url=self._remote.url,
            size=plan.size,
            validator=origin.validator,
            sha256=self._remote.sha256,
            revision=self._remote.revision,
            inode=partial.inode,
            spans=plan.spans,
        )

    # -- Verifying --------------------------------------------------------------------------------

    def _verify(self) -> None:
        """See that it is the right file, and give it its name."""
        shared = self._shared
        for thread in self._threads:
            thread.join()
        if shared.partial is None:  # an empty file that nobody had to ask for
            shared.partial = Partial.create(self._path)
        if self._remote.sha256 is not None:
            digest = self._digest.finish()
            shared.check_end()
            if digest != self._remote.sha256:
                raise CorruptError(self._remote.sha256, digest)
        shared.partial.settle(shared.plan.done)
        shared.check_end()
        shared.partial.finish()
