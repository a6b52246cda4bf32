"""The origin: files of random bytes behind nginx, which plays the hub too.

Every engine asks for the same URLs, those of a hub's `resolve`; nginx answers them with the
headers that a hub describes a file by, and with its bytes.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from benchmarks.child import ChildError, environment, running, wait_for

REPO: Final = "bench/files"
COMMIT: Final = "0123456789abcdef0123456789abcdef01234567"
HOST: Final = "127.0.0.1"

CAP: Final = 20_000_000
"""Bytes per second of one connection to the capped origin."""

_PACE: Final = "256k"
"""What the capped origin sends at a time. nginx waits after each time as long as it should have
taken, so this bounds by how much a short range is faster than the cap."""

_BLOCK: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class File:
    """A file of the origin, and what it must arrive as."""

    name: str
    size: int
    sha256: str

    @property
    def path(self) -> str:
        """Where it is below the origin's URL."""
        return f"/{REPO}/resolve/main/{self.name}"


def make_file(root: Path, name: str, size: int) -> File:
    """Write a file of random bytes; it is in the page cache, and on the disk, afterwards."""
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    digest = hashlib.sha256()
    with path.open("wb") as file:
        for begin in range(0, size, _BLOCK):
            block = os.urandom(min(_BLOCK, size - begin))
            digest.update(block)
            file.write(block)
        file.flush()
        os.fsync(file.fileno())
    return File(name, size, digest.hexdigest())


def alias(root: Path, file: File, name: str) -> File:
    """Offer a file under another name, at no cost of disk or memory."""
    os.link(root / file.name, root / name)
    return File(name, file.size, file.sha256)


def is_whole(path: Path, file: File, *, thoroughly: bool) -> bool:
    """Tell whether a file has arrived: its size, and where asked for its sha256."""
    if not path.is_file() or path.stat().st_size != file.size:
        return False
    return not thoroughly or _sha256(path) == file.sha256


def warm(root: Path, files: Sequence[File]) -> None:
    """Have the origin's files in the page cache."""
    for file in files:
        _sha256(root / file.name)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@dataclass(frozen=True, slots=True)
class Origin:
    """Two ports of one nginx: as fast as it can, and capped per connection."""

    fast: int
    capped: int


@contextmanager
def serving_files(folder: Path, root: Path, files: Sequence[File]) -> Iterator[Origin]:
    """Run nginx over `root`, with its own files in `folder`."""
    origin = Origin(_free_port(), _free_port())
    nginx = shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")
    if nginx is None:
        raise ChildError("nginx is not installed")
    log = folder / "error.log"
    config = folder / "nginx.conf"
    config.write_text(_config(folder, root, files, origin))
    command = [nginx, "-p", str(folder), "-e", str(log), "-c", str(config)]
    with running(command, environment(folder)) as child:
        wait_for(lambda: _answers(origin.capped), child, log.read_text)
        yield origin


def _config(folder: Path, root: Path, files: Sequence[File], origin: Origin) -> str:
    digests = "\n".join(f'        "{file.name}" {file.sha256};' for file in files)
    sizes = "\n".join(f'        "{file.name}" {file.size};' for file in files)
    temporary = "\n".join(
        f"    {kind}_temp_path {folder}/{kind};"
        for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    # Without a master there is one process, whose end is the end of all.
    return f"""
daemon off;
master_process off;
worker_processes 1;
pid {folder}/nginx.pid;
events {{ worker_connections 1024; }}
http {{
    access_log off;
    sendfile on;
    keepalive_requests 1000000;
{temporary}
    map_hash_bucket_size 256;
    map $file $sha256 {{
{digests}
    }}
    map $file $size {{
{sizes}
    }}
    server {{
        listen {HOST}:{origin.fast};
{_location(root)}
    }}
    server {{
        listen {HOST}:{origin.capped};
        limit_rate {CAP};
        sendfile_max_chunk {_PACE};
{_location(root)}
    }}
}}
"""


def _location(root: Path) -> str:
    return f"""
        location ~ ^/{REPO}/resolve/[^/]+/(?<file>.+)$ {{
            alias {root}/$file;
            add_header X-Repo-Commit {COMMIT};
            add_header X-Linked-Size $size;
            add_header X-Linked-Etag '"$sha256"';
        }}"""


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


def _answers(port: int) -> str | None:
    try:
        with socket.create_connection((HOST, port), timeout=1):
            return str(port)
    except OSError:
        return None
