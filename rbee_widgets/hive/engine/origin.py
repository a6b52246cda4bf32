"""What is known of an origin, and what its answers mean. Pure."""

from __future__ import annotations

from rbee_widgets.hive.engine import answers
from rbee_widgets.hive.engine.answers import Answer
from rbee_widgets.hive.engine.errors import BeginAgainError, ChangedError, RefusedError
from rbee_widgets.hive.engine.plan import Ask, Plan
from rbee_widgets.hive.engine.remote import Location, Remote, origin_of


class Origin:
    """Where a file comes from, as one attempt has come to know it.

    `validator` tells the version that is being fetched from any other (None: nothing does yet),
    `location` is where it is asked for: its own URL, or the place that this has led to.
    """

    def __init__(self, remote: Remote, *, has_ranges: bool) -> None:
        self.remote = remote
        self.has_ranges = has_ranges
        self.validator = remote.etag
        self.location = Location(remote.url)

    # -- Asking -----------------------------------------------------------------------------------

    def headers(self, ask: Ask) -> dict[str, str]:
        """Give the headers that an ask is made with."""
        if not self.has_ranges or ask.stop is None:
            return {}
        headers = {"Range": f"bytes={ask.at}-{ask.stop - 1}"}
        if self.validator is not None:
            headers["If-Range"] = self.validator
        return headers

    def token(self, location: Location) -> str | None:
        """Give the token that may be sent to a place."""
        is_own = origin_of(location.url) == origin_of(self.remote.url)
        return self.remote.token if is_own else None

    def leave(self, location: Location) -> bool:
        """Ask at the file's own URL again, if a place that it led to gave trouble."""
        if self.location == location:
            self.location = Location(self.remote.url)
        return location.url != self.remote.url

    # -- Answers ----------------------------------------------------------------------------------

    def accept(self, answer: Answer, ask: Ask, plan: Plan, *, is_alone: bool) -> None:
        """See that an answer brings what was asked for, and learn from it.

        Parameters
        ----------
        answer
            Its status and headers.
        ask
            What was asked for; its end moves where the answer has another.
        plan
            Learns the size.
        is_alone
            Whether nothing else is being asked for.

        Raises
        ------
        RefusedError
            It does not bring the file.
        ChangedError
            It brings another file than the one that was announced.
        BeginAgainError
            It does not go with what has come before.

        """
        is_encoded = answer.headers.get("content-encoding", "identity") != "identity"
        if is_encoded and answer.status in (200, 206):
            raise RefusedError(f"{answer.location.url} sends an encoded file", answer.status)
        match answer.status:
            case 206:
                self._accept_range(answer, ask, plan)
            case 200:
                self._accept_whole(answer, ask, plan, is_alone=is_alone)
            case 416 if answer.headers.get("content-range") == "bytes */0":
                self._learn(0, plan)
            case 416 if plan.done:
                raise BeginAgainError("the origin's file has become smaller")
            case status:
                wait_s = answers.retry_after(answer.headers)
                raise RefusedError(f"{answer.location.url}: status {status}", status, wait_s)
        self.location = answer.location

    def _accept_range(self, answer: Answer, ask: Ask, plan: Plan) -> None:
        told = answers.content_range(answer.headers)
        if told is None:
            raise BeginAgainError("the origin does not say which range it sends", has_ranges=False)
        start, _, size = told
        self._check_version(answer)
        if start != ask.at:
            raise BeginAgainError("the origin sends another range than asked for", has_ranges=False)
        self._learn(size, plan)

    def _accept_whole(self, answer: Answer, ask: Ask, plan: Plan, *, is_alone: bool) -> None:
        self._check_version(answer)
        if plan.done or not is_alone:
            raise BeginAgainError("the origin has no ranges", has_ranges=False)
        self.has_ranges = False
        announced = answers.content_length(answer.headers)
        if announced is not None:
            self._learn(announced, plan)
        ask.stop = plan.size

    def _check_version(self, answer: Answer) -> None:
        """See that all comes from one version of the file."""
        validator = answers.validator(answer.headers)
        is_known = self.remote.sha256 is not None
        if validator is None:
            if self.has_ranges and answer.status == 206 and not is_known:
                raise BeginAgainError("the origin tells no version", has_ranges=False)
        elif self.validator is None:
            self.validator = validator
        elif self.validator != validator and not is_known:
            raise BeginAgainError("the origin's file has changed")

    def _learn(self, size: int, plan: Plan) -> None:
        if self.remote.size not in (None, size):
            raise ChangedError(f"the origin's file has {size} bytes, not {self.remote.size}")
        if plan.size not in (None, size):
            raise BeginAgainError("the origin's file has another size")
        plan.learn(size)
