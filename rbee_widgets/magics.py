"""`%download`, `%marketplace` and `%hive`."""

from __future__ import annotations

import argparse
import asyncio
import os
import re
import shlex
from typing import Any, Final

from IPython.core.error import UsageError
from IPython.core.interactiveshell import InteractiveShell
from IPython.core.magic import Magics, line_magic, magics_class
from IPython.core.magic_arguments import argument, magic_arguments

from rbee_widgets import display
from rbee_widgets.background import run_elsewhere
from rbee_widgets.client import Hive
from rbee_widgets.errors import RbeeError
from rbee_widgets.handle import Download
from rbee_widgets.market.sources import SOURCES
from rbee_widgets.tracker import default_tracker, default_trackers

_WAITING: Final = re.compile(
    r"(\s*(?:[\w.]+\s*=\s*)?)(get_ipython\(\)\.run_line_magic\('download', .*)\B--wait\b(.*\))\s*"
)
"""A `%download … --wait`, as IPython has made a call of it."""


@magics_class
class RbeeMagics(Magics):
    """The magics of rbee_widgets."""

    @magic_arguments()
    @argument(
        "model",
        nargs="?",
        help="org/repo, org/repo:file.gguf, an rbee:// link, or a URL; none: show all downloads",
    )
    @argument("--hive", metavar="ID|URL", help="the hive that fetches it; else one is found")
    @argument("--sha256", metavar="HEX", help="what the file must hash to; a hub states it itself")
    @argument("--worker", action="store_true", help="MODEL is a worker's id; install it")
    @argument("--background", action="store_true", help="stay live while cells hold the kernel")
    @argument("--wait", action="store_true", help="keep the cell busy until it has arrived")
    @argument("--awaited", action="store_true", help=argparse.SUPPRESS)
    @argument("--help", action="store_true", help="show this help")
    @line_magic
    def download(self, line: str) -> Download | None:
        """Fetch a model and watch it arrive.

        Shows its row and gives the download: `d = %download MODEL`, and `await d` when it is
        needed. Without MODEL it shows the panel of all downloads.
        """
        options = self._options(self.download, line)
        if options is None:
            return None
        if options.model is None:
            if options.worker or options.wait or options.awaited:
                raise UsageError("expected what to fetch: %download MODEL, or --worker ID")
            display.show_panel(background=options.background)
            return None
        if options.wait:  # nobody has made an await of it
            raise UsageError("--wait works in the cells after the one with %load_ext rbee_widgets")
        tracker = default_tracker(background=options.background)
        try:
            if options.worker:
                started = tracker.install_worker(options.model, options.hive)
            else:
                started = tracker.download(options.model, options.hive, sha256=options.sha256)
        except (ValueError, RbeeError) as error:
            raise UsageError(str(error)) from error
        display.show(started)
        return started

    @magic_arguments()
    @argument("query", nargs="*", help="words, org/repo, or the URL of a file; none: what is new")
    @argument("--hive", metavar="ID|URL", help="the hive that models are for; else one is found")
    @argument(
        "--source", action="append", metavar="NAME", help="where to look: huggingface, civitai"
    )
    @argument("--help", action="store_true", help="show this help")
    @line_magic
    def marketplace(self, line: str) -> None:
        """Find a model that fits a hive, and install it."""
        options = self._options(self.marketplace, line)
        if options is None:
            return
        try:
            display.show_marketplace(" ".join(options.query), options.hive, options.source)
        except (ValueError, RbeeError) as error:
            raise UsageError(str(error)) from error

    @magic_arguments()
    @argument("command", nargs="?", choices=["add"], help="add: make a hive known")
    @argument("id", nargs="?", help="the name that it goes by")
    @argument("url", nargs="?", help="its URL, such as http://10.0.0.7:7835")
    @argument("--token", help="its bearer token, where it is an embedded hive")
    @argument("--help", action="store_true", help="show this help")
    @line_magic
    def hive(self, line: str) -> None:
        """List the hives that are known and whether they answer, or add one."""
        options = self._options(self.hive, line)
        if options is None:
            return
        tracker = default_tracker()
        if options.command is None:
            print(_health(tracker.hives) or "No hive was used yet; one is found on first use.")  # noqa: T201
            return
        if not options.id or not options.url:
            raise UsageError("expected a name and a URL: %hive add ID http://HOST:7835")
        try:
            hive = Hive(options.url, options.id, options.token)
        except ValueError as error:
            raise UsageError(str(error)) from error
        for known in default_trackers():
            known.add(hive)

    @staticmethod
    def _options(magic: Any, line: str) -> Any | None:
        if "--help" in line.split():
            print(magic.parser.format_help())  # noqa: T201 (what was asked for)
            return None
        try:
            words = shlex.split(line, posix=os.name == "posix")
        except ValueError as error:  # a quote that is not closed
            raise UsageError(str(error)) from error
        return magic.parser.parse_args(words)


def _health(hives: list[Hive]) -> str:
    """Ask hives for their health, on a loop of its own: a magic can't wait on the kernel's."""
    lines: list[str] = []

    async def ask() -> None:
        answers = await asyncio.gather(*(hive.healthy() for hive in hives))
        for hive, healthy in zip(hives, answers, strict=True):
            lines.append(f"{hive.id:<16} {hive.url:<32} {'ready' if healthy else 'no answer'}")
            await hive.aclose()

    run_elsewhere(ask())
    return "\n".join(lines)


# -- Loading --------------------------------------------------------------------------------------


def awaits(lines: list[str]) -> list[str]:
    """Make `%download … --wait` await what it starts; a magic itself can't."""
    return [_WAITING.sub(r"\1await \2--awaited\3\n", line) for line in lines]


def _complete(_: Any, event: Any) -> list[str]:
    """Complete the arguments of `%download`: options, known hives, known models."""
    if _before(event) == "--hive":
        return _hives()
    names = {download.name for download in default_tracker().downloads}
    options = ["--hive", "--sha256", "--worker", "--background", "--wait", "--help"]
    return [*options, *sorted(names)]


def _complete_marketplace(_: Any, event: Any) -> list[str]:
    """Complete the options of `%marketplace`, known hives, and sources."""
    match _before(event):
        case "--hive":
            return _hives()
        case "--source":
            return list(SOURCES)
    return ["--hive", "--source", "--help"]


def _before(event: Any) -> str:
    """Give the word before the one that is typed."""
    words = event.line.split()
    if event.line.endswith(" "):
        return str(words[-1])
    return str(words[-2]) if len(words) > 1 else ""


def _hives() -> list[str]:
    return ["local", *(hive.id for hive in default_tracker().hives)]


def load_ipython_extension(ipython: InteractiveShell) -> None:
    """Add the magics; `%load_ext rbee_widgets`."""
    ipython.register_magics(RbeeMagics)
    ipython.input_transformers_post.append(awaits)
    ipython.set_hook("complete_command", _complete, str_key="%download")
    ipython.set_hook("complete_command", _complete_marketplace, str_key="%marketplace")
    display.install()


def unload_ipython_extension(ipython: InteractiveShell) -> None:
    """Take the magics away."""
    for name in ("download", "marketplace", "hive"):
        ipython.magics_manager.magics["line"].pop(name, None)
    if awaits in ipython.input_transformers_post:
        ipython.input_transformers_post.remove(awaits)
