"""The note beside a partial file: what it is a part of, and which of its bytes are there.

Checksummed, replaced as a whole, and written only once the bytes that it names are on disk, so
that what it says is so, or it says nothing.
"""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path

from rbee_widgets.hive.engine.plan import Span
from rbee_widgets.hive.engine.remote import Remote


@dataclass(frozen=True, slots=True)
class Record:
    """What is known of a partial file."""

    url: str
    size: int
    """Bytes of the whole."""
    validator: str | None
    """What tells their version at the server that sent the bytes: its ETag, or a date."""
    sha256: str | None
    """Hex digest of the whole."""
    revision: str | None
    """The commit that the file belongs to, where the origin keeps such."""
    inode: int
    """The partial file's own: a record says nothing of another file of the same name."""
    spans: list[Span]
    """What is there, in order."""

    def goes_on(self, remote: Remote) -> bool:
        """Tell whether the bytes are of what is now to be fetched; no wherever that is doubtful."""
        if remote.size not in (None, self.size):
            return False
        if remote.sha256 or self.sha256:
            return remote.sha256 == self.sha256
        if remote.url != self.url:
            return False
        return self.validator is not None and remote.etag in (None, self.validator)

    def encode(self) -> bytes:
        """Write it down."""
        record = asdict(self)
        return json.dumps({"record": record, "checksum": _checksum(record)}, indent=1).encode()

    @classmethod
    def decode(cls, written: bytes) -> Record | None:
        """Read what `encode` wrote; None where a bit of it may be wrong."""
        try:
            told = json.loads(written)
            if told["checksum"] != _checksum(told["record"]):
                return None
            spans = [(start, stop) for start, stop in told["record"]["spans"]]
            record = cls(**{**told["record"], "spans": spans})
            offsets = [0, *(offset for span in spans for offset in span), record.size]
            return record if offsets == sorted(offsets) else None
        except (ValueError, KeyError, TypeError, RecursionError):
            return None


def _checksum(record: object) -> str:
    return hashlib.sha256(json.dumps(record, sort_keys=True).encode()).hexdigest()


def save(record: Record, path: Path) -> None:
    """Put a record in the place of the one before, as a whole."""
    draft = path.with_name(f"{path.name}.new")
    draft.unlink(missing_ok=True)
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL  # and so through no link
    with os.fdopen(os.open(draft, flags, 0o644), "wb") as file:
        file.write(record.encode())
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)


def load(path: Path) -> Record | None:
    """Read a record; None where there is none that can be believed."""
    try:
        return Record.decode(path.read_bytes())
    except OSError:
        return None
