"""Text from elsewhere, made fit to be kept and shown. Pure."""

from __future__ import annotations

import re
from typing import Final

MAX_TEXT: Final = 20_000
"""Characters of one text that are kept: a table of models fits, a runaway line doesn't."""

_ESCAPES: Final = re.compile(
    r"\x1b(?:\[[0-?]{0,64}[ -/]{0,8}[@-~]"  # CSI: colours, cursor, clear screen
    r"|[\]PX^_][^\x07\x1b]{0,4096}(?:\x07|\x1b\\)"  # OSC, DCS and kin: titles, links, clipboard
    r"|[ -/]{0,8}[0-~])"  # the rest
)
_UNPRINTABLE: Final = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")


def clean(text: str) -> str:
    """Strip terminal control, replace what can't be printed, and bound the length.

    Newlines and tabs stay; so do bidi controls, which the view makes visible.
    """
    if len(text) > MAX_TEXT:
        text = text[:MAX_TEXT] + "…"
    return _UNPRINTABLE.sub("\ufffd", _ESCAPES.sub("", text))
