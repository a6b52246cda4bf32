"""What the test hub holds: contents that follow from a seed, repos, and what it tells of them."""

from __future__ import annotations

import hashlib
import zlib
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

BLOCK = 65_536
"""Bytes of one block of content: small enough for short ranges, large enough to join fast."""

MAGIC = b"GGUF"


@lru_cache(maxsize=64)
def _tail(seed: int, size: int) -> bytes:
    """Give the pseudo-random part of each block, after the block's counter of 8 bytes."""
    return hashlib.shake_256(f"{seed}:{size}".encode()).digest(BLOCK - 8)


@lru_cache(maxsize=256)
def _sha256(content: Content) -> str:
    digest = hashlib.sha256()
    for start in range(0, content.size, 1 << 20):
        digest.update(content.read(start, start + (1 << 20)))
    return digest.hexdigest()


@dataclass(frozen=True, slots=True)
class Content:
    """The bytes of a file, as they follow from `seed` and `size`; `head` lies over their start."""

    size: int
    seed: int = 0
    head: bytes | Callable[[], bytes] = field(default=MAGIC, repr=False)
    """Or what makes it: called as often as the start is read, so it keeps it."""
    stated: str | None = None
    """The digest that is told instead of the true one: of a file too large to be hashed."""

    def read(self, start: int, stop: int) -> bytes:
        """Give the bytes from `start` up to `stop`, cut off at the file's end."""
        stop = min(stop, self.size)
        if start >= stop:
            return b""
        head = self.start()[start:stop]
        if len(head) == stop - start:
            return head
        tail = _tail(self.seed, self.size)
        first, last = start // BLOCK, -(-stop // BLOCK)
        counters = (number.to_bytes(8, "little") for number in range(first, last))
        blocks = b"".join(part for counter in counters for part in (counter, tail))
        offset = first * BLOCK
        return head + blocks[start - offset + len(head) : stop - offset]

    def start(self) -> bytes:
        """Give `head`; slow where it has to be made first."""
        return self.head if isinstance(self.head, bytes) else self.head()

    @property
    def sha256(self) -> str:
        """Hex digest of the whole; computed once for each content and process."""
        return self.stated or _sha256(self)

    @property
    def git_sha1(self) -> str:
        """Hex digest that git gives to the file: the hub's ETag of files outside of LFS."""
        header = b"blob %d\0" % self.size
        return hashlib.sha1(header + self.read(0, self.size), usedforsecurity=False).hexdigest()


@dataclass(frozen=True, slots=True)
class File:
    """A file of a repo; `lfs`: its bytes lie in the CDN, as those of all large files do."""

    content: Content
    lfs: bool

    @property
    def oid(self) -> str:
        """The git id of what the repo holds: of the pointer, where the file is one of LFS."""
        return self.content.sha256[:40] if self.lfs else self.content.git_sha1


@dataclass(frozen=True, slots=True)
class Metadata:
    """What the API tells of a repo beside its files; times in Unix seconds, None: not told."""

    downloads: int = 0
    likes: int = 0
    trending: int = 0
    tags: tuple[str, ...] = ()
    """All of them: also `license:mit`, languages and the library, as the public hub has them."""
    pipeline_tag: str | None = None
    library_name: str | None = None
    gated: Literal["auto", "manual"] | None = None
    """Who lets people in; None: everybody may fetch the files."""
    created_at: float = 1_700_000_000.0
    last_modified: float = 1_700_000_000.0
    card: Mapping[str, object] | None = None
    """The front matter of README.md: the API's `cardData`."""
    gguf: Mapping[str, object] | None = None
    """What the hub read from a GGUF header: total, architecture, context_length."""
    safetensors: Mapping[str, object] | None = None
    """Parameters by type of number, and their total."""

    @property
    def parameters(self) -> int | None:
        """Number of the model's weights, as the hub filters by."""
        for told in (self.safetensors, self.gguf):
            if told and isinstance(total := told.get("total"), int):
                return total
        return None


@dataclass(slots=True)
class Repo:
    """A repo; `files` by path."""

    metadata: Metadata = Metadata()
    files: dict[str, File] = field(default_factory=dict)

    @property
    def commit(self) -> str:
        """The revision's 40 hex digits: it changes when any file does."""
        state = repr(
            sorted(
                (path, file.content.size, file.content.seed, _mark(file.content))
                for path, file in self.files.items()
            )
        )
        return hashlib.sha1(state.encode(), usedforsecurity=False).hexdigest()


@lru_cache(maxsize=1024)
def _mark(content: Content) -> str:
    """Tell heads apart, without one being made that a stated digest stands for."""
    return content.stated or f"{zlib.crc32(content.start()):08x}"
