"""Fetches one file over HTTP: fast, verified, able to go on. Useful without the rest.

::

    with Web(per_host=16) as web:
        Transfer(Remote(url, sha256=...), Path("model.gguf"), web).run()

Several connections where that pays, found by trying; the sha256 checked before the file gets its
name; after any end of the process it goes on from what is there.
"""

from __future__ import annotations

from rbee_widgets.hive.engine.errors import (
    CancelledTransferError,
    ChangedError,
    CorruptError,
    RefusedError,
    TransferError,
    UnreachableError,
)
from rbee_widgets.hive.engine.partial import discard
from rbee_widgets.hive.engine.patience import Wait
from rbee_widgets.hive.engine.remote import Remote
from rbee_widgets.hive.engine.transfer import Transfer
from rbee_widgets.hive.engine.web import Web

__all__ = [
    "CancelledTransferError",
    "ChangedError",
    "CorruptError",
    "RefusedError",
    "Remote",
    "Transfer",
    "TransferError",
    "UnreachableError",
    "Wait",
    "Web",
    "discard",
]
