"""What goes wrong, and the words for it.

::

    RbeeError
    ├── DownloadError            a download did not end in *complete*
    ├── HiveUnreachableError     nothing answers there
    ├── HiveUrlError             what was given is no hive's URL
    ├── HiveRefusedError         a hive answered, and not with what was asked
    ├── StreamCutError           a stream ended without a marker
    ├── LocalHiveError           the embedded hive could not be started
    ├── NotDeletedError          a model is still there
    └── UnknownHiveError         no hive of that name is known

Each message names the input, the reason and the way out. In a notebook they show as one line:
their cause is never in the user's code.
"""

from __future__ import annotations

from typing import Final

from rbee_widgets.untrusted import clean

QUOTED: Final = 200
"""Characters of a foreign text that a message repeats."""


def quoted(text: str) -> str:
    """Give what a message repeats of a foreign text."""
    return clean(text)[:QUOTED]


class RbeeError(Exception):
    """Raised when rbee can't do what was asked; the base of all errors of this package."""

    def _render_traceback_(self) -> list[str]:
        """Show IPython one line instead of a traceback."""
        return [f"{type(self).__name__}: {self}"]


class DownloadError(RbeeError):
    """Raised by `await download` when it failed, was cancelled or was interrupted for good.

    `error` holds the hive's own words, `hint` the way out where one is known.
    """

    def __init__(self, name: str, status: str, error: str | None, hint: str | None) -> None:
        reason = f"{name} {status}: {error}" if error else f"{name} was {status}"
        super().__init__(f"{reason}\n{hint}" if hint else reason)
        self.name = name
        self.status = status
        self.error = error
        self.hint = hint


class HiveUrlError(RbeeError, ValueError):
    """Raised when what was given can't be the URL of a hive."""

    def __init__(self, url: str) -> None:
        super().__init__(
            f"expected the URL of a hive such as http://10.0.0.7:7835, got {url[:QUOTED]!r}"
        )


class HiveUnreachableError(RbeeError):
    """Raised when no hive answers at `url`."""

    def __init__(self, url: str, reason: str) -> None:
        super().__init__(f"no rbee hive answers at {url} ({quoted(reason)}); is it running?")
        self.url = url


class HiveRefusedError(RbeeError):
    """Raised when what answers at `url` does not answer as a hive, or refuses us."""

    def __init__(
        self, url: str, expected: str, got: str, hint: str = "", *, wants_token: bool = False
    ) -> None:
        way_out = f"; {hint}" if hint else ""
        super().__init__(f"{url}: expected {expected}, got {quoted(got)}{way_out}")
        self.url = url
        self.wants_token = wants_token
        """Whether asking again without another token is in vain."""


class StreamCutError(RbeeError):
    """Raised when the stream of a job broke off; the job may go on."""

    def __init__(self, url: str, reason: str) -> None:
        super().__init__(f"the stream from {url} broke off: {quoted(reason)}")
        self.url = url


class LocalHiveError(RbeeError):
    """Raised when this machine's own hive does not start."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"the local hive did not start: {reason}")


class NotDeletedError(RbeeError):
    """Raised when a model of a hive's catalog was not deleted, or may not have been."""

    def __init__(self, model: str, reason: str) -> None:
        super().__init__(f"{quoted(model)} was not deleted: {quoted(reason)}")
        self.model = model


class UnknownHiveError(RbeeError):
    """Raised when a hive is named that nobody has added."""

    def __init__(self, name: str, known: list[str]) -> None:
        hives = ", ".join(dict.fromkeys(known)) or "none"
        super().__init__(
            f"no hive is called {name!r} (known: {hives}); "
            f"give its URL, or add it with: %hive add {name} http://HOST:7835"
        )
