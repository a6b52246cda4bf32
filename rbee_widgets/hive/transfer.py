"""One file from an origin to its place on disk: resumable, verified, whole or not there.

Bytes go to a partial file with a note beside it of what it is a part of. A later attempt goes on
from it where the origin still has the same file; anything doubtful begins again. The final name
appears by rename alone, once size and sha256 are right. Runs in a thread and blocks there.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import socket
import threading
from contextlib import suppress
from typing import IO, TYPE_CHECKING, Final

import httpx
from pydantic import BaseModel, ValidationError

from rbee_widgets.hive.catalog import Place
from rbee_widgets.hive.hub import (
    ProvisionError,
    Source,
    authorization,
    os_error_text,
    unreachable,
)

if TYPE_CHECKING:
    from hashlib import _Hash

_CONTENT_RANGE: Final = re.compile(r"bytes ([0-9]+)-[0-9]+/([0-9]+)")
_BLOCK: Final = 1 << 20
_FAILED: Final = "HuggingFace download failed: "
_CUT_SHORT: Final = f"{_FAILED}I/O error response body closed before all bytes were read"
_GOES_ON: Final = "The connection broke off; Retry goes on from where it stopped"


class CancelledTransferError(Exception):
    """Raised in the transfer's thread when its cancel was asked for."""


class _Note(BaseModel):
    """What a partial file is a part of."""

    url: str
    version: str
    size: int


class Transfer:
    """The fetching of one source into one place.

    `done` and `total` (bytes, None: unknown) may be read from any thread while `run` is at work.
    """

    def __init__(self, http: httpx.Client, source: Source, place: Place) -> None:
        self.done = 0
        self.total = source.size
        self._http = http
        self._source = source
        self._place = place
        self._cancelled = threading.Event()
        self._writing = False
        self._gate = threading.Lock()
        self._socket: socket.socket | None = None
        self._digest: _Hash = hashlib.sha256()

    def cancel(self) -> bool:
        """Ask `run` to stop, from any thread; what has arrived is kept.

        False says that nothing was, nor will be, written: its thread need not be waited for.
        """
        with self._gate:
            self._cancelled.set()
        if self._socket is not None:
            with suppress(OSError):  # closed already
                self._socket.shutdown(socket.SHUT_RDWR)  # wakes a read that waits for bytes
        return self._writing

    def run(self) -> None:
        """Fetch, verify, and give the file its name.

        Raises
        ------
        CancelledTransferError
            `cancel` was called; the partial file stays.
        ProvisionError
            It can't be had; what is good of the partial file stays.

        """
        try:
            self._place.folder.mkdir(parents=True, exist_ok=True)
            self._fetch()
            self._verify()
            self._place.partial.replace(self._place.model)
            self._place.note.unlink(missing_ok=True)
        except OSError as error:
            raise ProvisionError(
                f"{_FAILED}I/O error {os_error_text(error)}", self._about_disk(error)
            ) from error

    # -- Bytes ------------------------------------------------------------------------------------

    def _fetch(self) -> None:
        start = self._kept()
        if start and start == self.total:
            self.done = start
            self._hash_kept(start)
            return
        self._check_space(start)
        headers = authorization(self._source.token)
        if start:
            headers["Range"] = f"bytes={start}-"
        if start and self._source.if_range is not None:
            headers["If-Range"] = self._source.if_range
        try:
            with self._http.stream("GET", self._source.url, headers=headers) as response:
                stream = response.extensions["network_stream"]
                self._socket = stream.get_extra_info("socket")
                self._write(response, self._accepted(response, start))
        except httpx.HTTPError as error:
            if self._cancelled.is_set():
                raise CancelledTransferError from error
            if isinstance(error, httpx.RemoteProtocolError):
                raise ProvisionError(_CUT_SHORT, _GOES_ON) from error
            raise unreachable(self._source.url, error) from error

    def _kept(self) -> int:
        """Tell how many bytes of an earlier attempt are of the same file; 0: begin again."""
        try:
            note = _Note.model_validate_json(self._place.note.read_bytes())
            have = self._place.partial.lstat().st_size
        except (FileNotFoundError, ValidationError):
            return 0
        source = self._source
        same = (note.url, note.version, note.size) == (source.url, source.version, source.size)
        return have if same and have <= note.size else 0

    def _accepted(self, response: httpx.Response, start: int) -> int:
        """Tell where the answer's body begins, having checked that it is what was asked for."""
        match response.status_code:
            case 200:
                announced = response.headers.get("content-length", "")
                if self.total is None and announced.isascii() and announced.isdigit():
                    self.total = int(announced)
                return 0
            case 206:
                told = _CONTENT_RANGE.fullmatch(response.headers.get("content-range", ""))
                if told is None:
                    raise ProvisionError(f"{_FAILED}Header Content-Range is missing")
                if (int(told[1]), int(told[2])) != (start, self.total):
                    raise ProvisionError(f"{_FAILED}the origin sent another range than asked for")
                return start
            case status:
                raise ProvisionError(
                    f"{_FAILED}request error: {self._source.url}: status code {status}",
                    "Retry goes on from where it stopped" if start else None,
                )

    def _write(self, response: httpx.Response, start: int) -> None:
        with self._gate:
            if self._cancelled.is_set():
                raise CancelledTransferError
            self._writing = True
        if start:
            self._hash_kept(start)
        else:
            self._place.discard_partial()
            self._place.folder.mkdir(parents=True, exist_ok=True)
            self._take_note()
        self.done = start
        with self._open(start) as file:
            for chunk in response.iter_raw():
                if self._cancelled.is_set():
                    raise CancelledTransferError
                _write_all(file, chunk)
                self._digest.update(chunk)
                self.done += len(chunk)
                if self.total is not None and self.done > self.total:
                    break  # told below, by the size
            os.fsync(file.fileno())

    def _open(self, start: int) -> IO[bytes]:
        flags = os.O_WRONLY | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)
        file = os.fdopen(os.open(self._place.partial, flags, 0o644), "wb", buffering=0)
        file.seek(start)
        file.truncate()
        return file

    def _take_note(self) -> None:
        """Say what the partial file is a part of, where a later attempt could tell."""
        if self._source.version is not None and self.total is not None:
            note = _Note(url=self._source.url, version=self._source.version, size=self.total)
            self._place.note.write_text(note.model_dump_json())

    def _hash_kept(self, size: int) -> None:
        with self._place.partial.open("rb") as file:
            while size > 0 and (block := file.read(min(size, _BLOCK))):
                if self._cancelled.is_set():
                    raise CancelledTransferError
                self._digest.update(block)
                size -= len(block)

    # -- Checks -----------------------------------------------------------------------------------

    def _check_space(self, start: int) -> None:
        free = shutil.disk_usage(self._place.folder).free
        if self.total is not None and self.total - start > free:
            raise ProvisionError(
                f"{_FAILED}I/O error No space left on device (os error 28)",
                f"{_megabytes(self.total - start)} are still to come and {_megabytes(free)} are "
                f"free in {self._place.folder.parent}; make room, then Retry",
            )

    def _verify(self) -> None:
        if self._cancelled.is_set():
            raise CancelledTransferError
        if self.total is not None and self.done < self.total:
            raise ProvisionError(_CUT_SHORT, _GOES_ON)
        if self.total is not None and self.done > self.total:
            self._place.discard_partial()
            raise ProvisionError(f"{_FAILED}more than the announced {self.total} bytes came")
        on_disk = self._place.partial.stat().st_size
        if on_disk != self.done:
            self._place.discard_partial()
            raise ProvisionError(f"{_FAILED}{on_disk} of {self.done} bytes are on the disk")
        digest = self._digest.hexdigest()
        if self._source.sha256 is not None and digest != self._source.sha256:
            self._place.discard_partial()
            raise ProvisionError(
                f"{_FAILED}sha256 mismatch: expected {self._source.sha256}, got {digest}",
                "The file arrived damaged and was removed; Retry fetches it anew",
            )

    def _about_disk(self, error: OSError) -> str:
        root = self._place.folder.parent
        free = (
            f"; {_megabytes(shutil.disk_usage(root).free)} are free there" if root.is_dir() else ""
        )
        return f"{self._place.folder} can't be written ({error.strerror}){free}"


def _write_all(file: IO[bytes], data: bytes) -> None:
    """Write to an unbuffered file, which may take a part at a time and raises when it's full."""
    rest = memoryview(data)
    while rest:
        rest = rest[file.write(rest) :]


def _megabytes(size: int) -> str:
    return f"{size / 1e6:.2f} MB"
