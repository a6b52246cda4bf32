"""What can go wrong with a transfer. Errors of the disk stay `OSError`.

::

    TransferError
    ├── CancelledTransferError   its cancel was asked for
    ├── UnreachableError         the origin can't be reached, or goes silent; tried several times
    ├── RefusedError             the origin answers, but not with the file
    ├── ChangedError             it is another file than the one that was announced
    └── CorruptError             all bytes are there and their sha256 is wrong
"""

from __future__ import annotations


class TransferError(Exception):
    """Raised when a file could not be fetched."""


class CancelledTransferError(TransferError):
    """Raised by a transfer whose cancel was asked for; what has arrived is kept."""


class UnreachableError(TransferError):
    """Raised when the network failed too often in a row; its cause is the last failure."""


class RefusedError(TransferError):
    """Raised when the origin does not send the file.

    `status` is its HTTP status, 0 where none was asked for; `wait_s` the seconds that it asked us
    to wait.
    """

    def __init__(self, text: str, status: int, wait_s: float | None = None) -> None:
        super().__init__(text)
        self.status = status
        self.wait_s = wait_s


class ChangedError(TransferError):
    """Raised when the origin's file is not, or no longer, the one that was announced."""


class CorruptError(TransferError):
    """Raised when a whole file does not hash to what was announced."""

    def __init__(self, expected: str, got: str) -> None:
        super().__init__(f"sha256 mismatch: expected {expected}, got {got}")


class BeginAgainError(Exception):
    """Raised when an attempt can't go on from what is there, but a new one may do better.

    Parameters
    ----------
    why
        What was found.
    has_ranges
        Whether the new one may ask for ranges.
    trouble
        What broke the one stream of an origin without ranges; None: nothing is broken.
    reason
        The same in a few words.

    """

    def __init__(
        self,
        why: str,
        *,
        has_ranges: bool = True,
        trouble: TransferError | None = None,
        reason: str = "",
    ) -> None:
        super().__init__(why)
        self.has_ranges = has_ranges
        self.trouble = trouble
        self.reason = reason
