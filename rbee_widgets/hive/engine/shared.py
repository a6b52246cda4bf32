"""What the threads of an attempt share, and what they tell each other."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Final

from rbee_widgets.hive.engine.errors import CancelledTransferError
from rbee_widgets.hive.engine.origin import Origin
from rbee_widgets.hive.engine.partial import Partial
from rbee_widgets.hive.engine.patience import Wait
from rbee_widgets.hive.engine.plan import Ask, Plan
from rbee_widgets.hive.engine.ramp import Ramp
from rbee_widgets.hive.engine.web import Body

KEEP_BYTES: Final = 4 << 20
"""What may arrive before the record is kept again."""

MAX_UNKEPT: Final = 8 << 20
"""What may arrive beyond the record: the most that the end of the process can cost, with what is
under way in the sockets."""


class Shared:
    """The state of an attempt. Whoever reads or changes it holds `news`, which is one lock.

    `news` is for the one who steers and for readers that wait, `arrivals` for the hasher.
    """

    def __init__(
        self, origin: Origin, plan: Plan, ramp: Ramp, is_cancelled: Callable[[], bool]
    ) -> None:
        self.origin = origin
        self.plan = plan
        self.ramp = ramp
        self.is_cancelled = is_cancelled
        self.partial: Partial | None = None
        self.wanted = 1
        """How many readers there should be,"""
        self.active = 0
        """and are."""
        self.bodies: set[Body] = set()
        """What they read from."""
        self.waiting: set[threading.Thread] = set()
        """Those that wait for an answer."""
        self.failures = 0
        """In a row, without a byte between them,"""
        self.wait: Wait | None = None
        """and the last wait that they cost."""
        self.is_cut_off = False
        """Whether no reader brings anything, so that more of them would not help."""
        self.unkept = 0
        """Bytes that have arrived since the record was kept."""
        self.is_overwritten = False
        """Whether bytes have come twice, so that those on disk may not be those that were read."""
        self._arrived_at = 0.0
        self._error: BaseException | None = None
        self._is_closed = False
        lock = threading.RLock()
        self.news = threading.Condition(lock)
        self.arrivals = threading.Condition(lock)

    # -- The end ----------------------------------------------------------------------------------

    @property
    def is_over(self) -> bool:
        """Whether all threads should end."""
        return self._is_closed or self._error is not None or self.is_cancelled()

    @property
    def is_whole(self) -> bool:
        """Whether all of the file is there."""
        return self.plan.is_whole and (self.partial is not None or self.plan.size == 0)

    @property
    def has_ended(self) -> bool:
        """Whether it is there, and nobody reads any more."""
        return self.is_whole and self.active == 0

    def check_end(self) -> None:
        """Raise what has ended the attempt, if anything has."""
        if self.is_cancelled():
            raise CancelledTransferError
        if self._error is not None:
            raise self._error

    def fail(self, error: BaseException) -> None:
        """End the attempt with an error, unless there is one already."""
        with self.news:
            self._error = self._error or error
            self._tell_all()

    def close(self) -> None:
        """Have all threads end."""
        with self.news:
            self._is_closed = True
            self.wake()

    def wake(self) -> None:
        """Have an end noticed at once."""
        with self.news:
            for body in self.bodies:
                body.shut()
            self._tell_all()

    def _tell_all(self) -> None:
        self.news.notify_all()
        self.arrivals.notify_all()

    # -- Readers ----------------------------------------------------------------------------------

    def take(self) -> Ask | None:
        """Give the next ask; None: nothing to ask for, or no time to."""
        return None if self.is_over else self.plan.take(self.wanted, time.monotonic())

    def leave(self) -> None:
        """Note that a reader ends."""
        self.active -= 1
        self._tell_all()

    def arrived(self, ask: Ask, count: int) -> None:
        """Note that the next bytes of an ask are in the file."""
        with self.news:
            fresh = self.plan.arrived(ask, count)
            self.is_overwritten |= fresh < count
            self.unkept += fresh
            self.failures, self.wait, self.is_cut_off = 0, None, False
            self._arrived_at = time.monotonic()
            self.arrivals.notify()
            if self.unkept >= KEEP_BYTES:
                self.news.notify_all()
            # A disk that is slower than the line sets the pace.
            self.news.wait_for(lambda: self.unkept < MAX_UNKEPT or self.is_over)

    def others_bring(self, within: float) -> bool:
        """Wait some seconds for a byte of another reader; False: none came, or there is none."""
        with self.news:
            since = self._arrived_at
            if self.active > 1:
                self.news.wait_for(lambda: self.is_over, within)
            return self._arrived_at > since
