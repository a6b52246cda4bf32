"""A real embedded hive in a process of its own, as `python -m rbee_widgets hive` runs it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Self

import httpx
import psutil

from rbee_widgets import Hive

TOKEN = "token-of-the-tests"
STOP_S = 10.0


class HiveProcess:
    """A hive on a free port; a context manager.

    Parameters
    ----------
    models
        Its models folder.
    endpoint
        The hub's URL.
    token
        What it asks for, None: `--no-token`.
    wrapped
        A command that runs it, such as one that gives it a small disk.
    options
        More of the command line.

    """

    def __init__(
        self,
        models: Path,
        endpoint: str,
        *,
        token: str | None = TOKEN,
        port: int = 0,
        environ: dict[str, str] | None = None,
        options: Sequence[str] = (),
        wrapped: Sequence[str] = (),
    ) -> None:
        self.models = models
        self.token = token
        self.url = ""
        self._port = port
        self._endpoint = endpoint
        self._environ = environ or {}
        self._wrapped = wrapped
        self._options = options
        self._process: subprocess.Popen[str]

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def pid(self) -> int:
        """The process's id."""
        return self._process.pid

    def start(self) -> None:
        """Start it and wait for its word; after a stop it takes the same port again."""
        who = ["--no-token"] if self.token is None else ["--token", self.token]
        command = [sys.executable, "-m", "rbee_widgets", "hive", "--port", str(self._port), *who]
        self._process = subprocess.Popen(
            [*self._wrapped, *command, "--models-dir", str(self.models), *self._options],
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "HF_ENDPOINT": self._endpoint, **self._environ},
        )
        assert self._process.stdout is not None
        said = self._process.stdout.readline()
        assert said.startswith("listening on "), said
        self.url = said.removeprefix("listening on ").strip()
        self._port = int(self.url.rpartition(":")[2])

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """End it; gives its exit status."""
        self._process.send_signal(number)
        status = self._process.wait(STOP_S)
        assert self._process.stdout is not None
        self._process.stdout.close()
        return status

    def handle(self, name: str = "test") -> Hive:
        """Give a handle on it."""
        return Hive(self.url, name, self.token)

    def http(self) -> httpx.Client:
        """Give a plain HTTP client of it that sends its token."""
        headers = {"Authorization": f"Bearer {self.token}"} if self.token else {}
        return httpx.Client(base_url=self.url, headers=headers, trust_env=False, timeout=20)


def end_local_hives(runtime: Path) -> None:
    """End, by their ids, the hives that tell their addresses below a runtime folder."""
    for told in runtime.rglob("hive-*.json"):
        with suppress(psutil.NoSuchProcess):
            hive = psutil.Process(json.loads(told.read_text())["pid"])
            hive.terminate()
            hive.wait(STOP_S)
