"""A hive on a disk that refuses, or takes its time: what no small file system can be made to do.

    HiveProcess(..., wrapped=refusing(flag, "fsync", "model.gguf.part", errno.ENOSPC))

While the file `flag` exists, the call fails for files of that name; it takes `seconds` before. As a
process: ``python -m tests.support.disk FLAG CALL NAME ERRNO SECONDS python -m rbee_widgets ...``.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any


def refusing(flag: Path, call: str, name: str, error: int, seconds: float = 0.0) -> tuple[str, ...]:
    """Give the command that runs a hive so; `call` is `fsync` or `rename`, `error` 0 for none."""
    return (
        *(sys.executable, "-m", "tests.support.disk"),
        *(str(flag), call, name, str(error), str(seconds)),
    )


def main() -> None:
    """Run a hive so."""
    flag, call, name, error, seconds, *command = sys.argv[1:]

    def refuse(path: str) -> None:
        if Path(path).name == name and Path(flag).exists():
            time.sleep(float(seconds))
            if int(error):
                raise OSError(int(error), os.strerror(int(error)), path)

    def refused(true: Callable[..., Any], where: Callable[..., str]) -> Callable[..., Any]:
        def instead(*args: Any) -> Any:
            refuse(where(*args))
            return true(*args)

        return instead

    if call == "rename":
        Path.replace = refused(Path.replace, lambda _, target: str(target))  # type: ignore[method-assign]
    else:
        for each in ("fsync", "fdatasync"):
            setattr(os, each, refused(getattr(os, each), _path))
    sys.argv = command[2:]

    from rbee_widgets.__main__ import main as run  # noqa: PLC0415 (it looks at `os` when imported)

    sys.exit(run())


def _path(descriptor: int) -> str:
    return str(Path(f"/proc/self/fd/{descriptor}").readlink())


if __name__ == "__main__":
    main()
