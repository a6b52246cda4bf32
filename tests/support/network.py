"""A network of its own for one process: public, private and link-local addresses, all on loopback.

    unshare --net --map-root-user python -m tests.support.network URL TARGET PATH

Serves on port 80 of all of them, fetches URL to PATH with the engine, and prints what came of it
and which paths were asked for. `/r` leads to TARGET; anything else is the file.
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path
from typing import Final

from rbee_widgets.hive.engine import Remote, Transfer, TransferError, Web
from tests.support.origin import ranged, said, serving

ADDRESSES: Final = ("8.8.8.8", "8.8.4.4", "10.0.0.1", "10.0.0.2", "169.254.169.254")
CONTENT: Final = b"GGUF" * 1000


async def main() -> None:
    """Serve, fetch, and tell."""
    url, target, path = sys.argv[1:]
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)  # noqa: S607
    for address in ADDRESSES:
        subprocess.run(["ip", "address", "add", f"{address}/32", "dev", "lo"], check=True)  # noqa: S607
    paths: list[str] = []

    def reply(asked: str, headers: dict[str, str]) -> bytes:
        paths.append(asked)
        if asked == "/r":
            return said("302 Found", Location=target)
        return ranged(CONTENT, headers, ETag='"1"')

    async with serving(reply, "0.0.0.0", 80):  # noqa: S104 (nobody else is in this network)
        with Web(4) as web:
            try:
                await asyncio.to_thread(Transfer(Remote(url), Path(path), web).run)
            except TransferError as error:
                print(f"{type(error).__name__}: {error}")
            else:
                print("right" if Path(path).read_bytes() == CONTENT else "wrong")
    print(*paths)


if __name__ == "__main__":
    asyncio.run(main())
