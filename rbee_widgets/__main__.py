"""`python -m rbee_widgets`: the hive in the foreground, and a download from a shell."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; gives the exit status."""
    options = _parser().parse_args(arguments)
    if options.command == "hive":
        return _hive(options)
    from rbee_widgets import shell  # noqa: PLC0415 (the hive needs none of it)

    try:
        return shell.download(options.model, options.hive, options.sha256)
    except KeyboardInterrupt:  # a second Ctrl-C, while the first was being obeyed
        return shell.INTERRUPTED


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m rbee_widgets", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)

    download = commands.add_parser("download", help="fetch a model, and wait for it")
    download.add_argument(
        "model", metavar="MODEL", help="org/repo, org/repo:file.gguf, an rbee:// link or a URL"
    )
    download.add_argument("--hive", metavar="URL", help="the hive to use; else one is found")
    download.add_argument(
        "--sha256", metavar="HEX", help="what the file must hash to; a hub states it itself"
    )

    hive = commands.add_parser("hive", help="run a hive in the foreground")
    hive.add_argument("--port", type=_port, default=0, metavar="P", help="default: a free one")
    hive.add_argument("--models-dir", type=Path, metavar="D", help="where models are kept")
    hive.add_argument(
        "--transfers", type=_count, default=3, metavar="N", help="files at once; default: 3"
    )
    hive.add_argument(
        "--connections", type=_count, default=16, metavar="N", help="to one host; default: 16"
    )
    who = hive.add_mutually_exclusive_group()
    who.add_argument("--token", metavar="T", help="what clients must send; default: a random one")
    who.add_argument(
        "--no-token", action="store_true", help="ask for none, as rbee's own clients send none"
    )
    who.add_argument("--detached", action="store_true", help=argparse.SUPPRESS)
    return parser


def _port(text: str) -> int:
    port = int(text)
    if not 0 <= port <= 65535:
        raise ValueError(text)
    return port


def _count(text: str) -> int:
    count = int(text)
    if count < 1:
        raise ValueError(text)
    return count


def _hive(options: argparse.Namespace) -> int:
    from rbee_widgets.hive.server import Options, new_token, serve  # noqa: PLC0415 (as above)
    from rbee_widgets.hive.settings import Settings  # noqa: PLC0415

    token = None if options.no_token else options.token or new_token()
    settings = Settings.from_environ(
        models_dir=options.models_dir,
        transfers=options.transfers,
        connections=options.connections,
    )
    chosen = options.token is not None or options.no_token or options.detached
    try:
        serve(
            Options(settings, options.port, token, detached=options.detached, show_token=not chosen)
        )
    except OSError as error:
        print(f"port {options.port} can't be had: {error.strerror}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
