"""A real kernel in a process of its own, as a notebook has it."""

from __future__ import annotations

import json
import os
import re
import signal
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

from jupyter_client.blocking.client import BlockingKernelClient
from jupyter_client.manager import KernelManager

LIMIT_S = 30.0
_ANSI = re.compile(r"\x1b\[[0-9;]*m")


class CellError(Exception):
    """Raised for a cell that ended in an error."""


class Kernel:
    """An IPython kernel with `rbee` imported and its magics loaded; a context manager.

    Parameters
    ----------
    environ
        Its environment, where it differs from ours.
    folder
        Where it runs.

    """

    def __init__(self, folder: Path, environ: Mapping[str, str] | None = None) -> None:
        self._manager = KernelManager(kernel_name="python3")
        self._environ = {**os.environ, **(environ or {})}
        self._folder = folder
        self._client: BlockingKernelClient

    def __enter__(self) -> Self:
        self._manager.start_kernel(env=self._environ, cwd=str(self._folder))
        self._client = self._manager.blocking_client()
        self._client.start_channels()
        self._client.wait_for_ready(timeout=LIMIT_S)
        self.run("%load_ext rbee_widgets\nimport json, rbee_widgets as rbee")
        return self

    def __exit__(self, *_: object) -> None:
        self._client.stop_channels()
        self._manager.shutdown_kernel(now=True)

    @property
    def pid(self) -> int:
        """The process's id."""
        pid: int = getattr(self._manager.provisioner, "pid")  # noqa: B009 (of a local one)
        return pid

    def kill(self) -> None:
        """End it at once, as a crash does."""
        self._manager.signal_kernel(signal.SIGKILL)

    def interrupt(self) -> None:
        """Interrupt the running cell."""
        self._manager.interrupt_kernel()

    def send(self, code: str) -> str:
        """Begin a cell and don't wait for it; gives its id."""
        sent: str = self._client.execute(code)
        return sent

    def reply(self, sent: str) -> str:
        """Wait for the end of a cell that was begun; gives how it ended, `ok` or `error`."""
        while True:
            message = self._client.get_shell_msg(timeout=LIMIT_S)
            if message["parent_header"].get("msg_id") == sent:
                status: str = message["content"]["status"]
                return status

    def run(self, code: str, limit: float = LIMIT_S, answer: str | None = None) -> str:
        """Run a cell; gives what it printed and asked.

        `answer` is what it is answered; None: nobody can be asked.

        Raises
        ------
        CellError
            It ended in an error; its text without colours.

        """
        said: list[str] = []

        def hear(message: Mapping[str, Any]) -> None:
            content = message["content"]
            if message["msg_type"] == "stream":
                said.append(content["text"])

        def say(message: Mapping[str, Any]) -> None:
            said.append(message["content"]["prompt"])
            self._client.input(answer or "")

        reply = self._client.execute_interactive(
            code,
            timeout=limit,
            output_hook=hear,
            allow_stdin=answer is not None,
            stdin_hook=say,
        )
        content = reply["content"]
        if content["status"] != "ok":
            told = "\n".join(content.get("traceback", [])) or content.get("ename", "")
            raise CellError(_ANSI.sub("", told))
        return "".join(said)

    def value(self, expression: str) -> Any:
        """Give the value of an expression that JSON can tell."""
        return json.loads(self.run(f"print(json.dumps({expression}))"))

    def rows(self) -> list[dict[str, Any]]:
        """Give the rows of the panel, as its front end gets them."""
        rows: list[dict[str, Any]] = self.value("rbee.DownloadPanel().snapshot['rows']")
        return rows
