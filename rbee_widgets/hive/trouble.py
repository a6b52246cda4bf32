"""What keeps a model from coming: the errors, in the words of a hive, with the way out."""

from __future__ import annotations

import errno
import shutil
from pathlib import Path
from typing import Final

from rbee_widgets.hive.engine import (
    ChangedError,
    CorruptError,
    RefusedError,
    Transfer,
    TransferError,
)
from rbee_widgets.hive.engine.patience import may_pass, may_wait
from rbee_widgets.hive.engine.remote import host_of
from rbee_widgets.hive.engine.trouble import has_not_connected, os_error_below, reason
from rbee_widgets.hive.engine.web import NetworkError

FAILED: Final = "HuggingFace download failed: "
_FULL: Final = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class ProvisionError(Exception):
    """Raised when a model can't be had; the text goes out as the job's error.

    `hint` is the way out, told as narration before the end.
    """

    def __init__(self, text: str, hint: str | None = None) -> None:
        super().__init__(text)
        self.hint = hint


class AwayError(ProvisionError):
    """Raised when the hub can't be asked now, but perhaps the next time.

    `reason` says why in a few words, `wait_s` are the seconds that it asked us to wait.
    """

    def __init__(
        self, text: str, hint: str | None, *, reason: str, wait_s: float | None = None
    ) -> None:
        super().__init__(text, hint)
        self.reason = reason
        self.wait_s = wait_s


def unreachable(url: str, error: NetworkError) -> AwayError:
    """Tell a failure below HTTP."""
    host = host_of(url)
    if has_not_connected(error):
        below = os_error_below(error)
        told = str(error) if below is None else os_error_text(below)
        detail = f"Connection Failed: Connect error: {told}"
        hint = f"Nothing answers at {host}: is the hub up, and this machine online?"
    else:
        detail = f"Network Error: {error or type(error).__name__}"
        hint = f"The connection to {host} broke off; Retry goes on from where it stopped"
    text = f"{FAILED}request error: {url}: {detail}"
    return AwayError(text, hint, reason=reason(error, url))


def busy(url: str, status: int, wait_s: float | None) -> AwayError:
    """Tell a refusal that may pass."""
    return AwayError(
        _refusal(url, status, wait_s),
        f"{host_of(url)} is busy or out of order; Retry asks it again",
        reason=reason(RefusedError("", status), url),
        wait_s=wait_s,
    )


def refused(error: RefusedError, url: str, why: str | None) -> ProvisionError:
    """Tell a refusal; `why` is what the hub knows of it."""
    if error.status < 400:
        return ProvisionError(f"{FAILED}request error: {error}")
    goes_on = "Retry goes on from where it stopped" if may_pass(error.status) else None
    return ProvisionError(_refusal(url, error.status, error.wait_s), why or goes_on)


def _refusal(url: str, status: int, wait_s: float | None) -> str:
    asked = "" if may_wait(wait_s) else f"; Retry-After asks for {wait_s:.0f} s"
    return f"{FAILED}request error: {url}: status code {status}{asked}"


def broken(error: TransferError, url: str) -> ProvisionError:
    """Tell what else ended a transfer."""
    match error:
        case CorruptError():
            return ProvisionError(
                f"{FAILED}{error}",
                "The file arrived damaged twice and was removed; Retry fetches it anew",
            )
        case ChangedError():
            return ProvisionError(
                f"{FAILED}{error}", "The file changes at its origin; Retry fetches it anew"
            )
    below = error.__cause__
    return unreachable(url, below if isinstance(below, NetworkError) else NetworkError(str(error)))


def no_space(needed: int, root: Path, *, promised: int = 0) -> ProvisionError:
    """Tell that a file does not fit; `promised` of what is free is needed by other downloads."""
    others = f", of which other downloads need {megabytes(promised)}" if promised else ""
    return ProvisionError(
        f"{FAILED}I/O error No space left on device (os error 28)",
        _make_room(needed, root, others),
    )


def unwritable(error: OSError, folder: Path, transfer: Transfer | None) -> ProvisionError:
    """Tell what a disk did to a model's folder."""
    root = folder.parent
    if error.errno in _FULL and transfer is not None and transfer.total is not None:
        hint = _make_room(transfer.total - transfer.done, root)
    else:
        place = error.filename or folder
        hint = f"{place} can't be written ({error.strerror}); see to it, then Retry"
    return ProvisionError(f"{FAILED}I/O error {os_error_text(error)}", hint)


def _make_room(needed: int, root: Path, others: str = "") -> str:
    free = shutil.disk_usage(root).free
    return (
        f"{megabytes(needed)} are still to come and {megabytes(free)} are free in {root}{others}; "
        "make room, then Retry"
    )


def os_error_text(error: OSError) -> str:
    """Word an operating system's error as rbee does, such as `... (os error 28)`."""
    return f"{error.strerror} (os error {error.errno})"


def megabytes(size: int) -> str:
    """Give a size for people."""
    return f"{size / 1e6:.2f} MB"
