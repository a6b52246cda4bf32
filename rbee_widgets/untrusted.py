"""Text from elsewhere, made fit to be kept and shown. Pure."""

from __future__ import annotations

import re
from typing import Final

MAX_TEXT: Final = 20_000
"""Characters of one text that are kept: a table of models fits, a runaway line doesn't."""

MAX_LABEL: Final = 400
"""Characters of a name within a text that are kept, such as that of the function that speaks."""

_ESCAPES: Final = re.compile(
    r"\x1b(?:\[[0-?]{0,64}[ -/]{0,8}[@-~]"  # CSI: colours, cursor, clear screen
    r"|[\]PX^_][^\x07\x1b]{0,4096}(?:\x07|\x1b\\)"  # OSC, DCS and kin: titles, links, clipboard
    r"|[ -/]{0,8}[0-~])"  # the rest
)
_UNPRINTABLE: Final = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")
_REPLACED: Final = {
    ord(char): "\ufffd" for char in map(chr, range(128)) if _UNPRINTABLE.match(char)
}


def clean(text: str) -> str:
    """Strip terminal control, replace what can't be printed, and bound the length.

    Newlines and tabs stay; so do bidi controls, which the view makes visible.
    """
    kept = text[:MAX_TEXT]
    if not kept.isprintable():  # most of what comes is
        kept = _replaced(_ESCAPES.sub("", kept) if "\x1b" in kept else kept)
    return kept if len(text) <= MAX_TEXT else f"{kept}…"


def _replaced(text: str) -> str:
    # ASCII is translated far faster than searched.
    return text.translate(_REPLACED) if text.isascii() else _UNPRINTABLE.sub("\ufffd", text)


def label(text: str) -> str:
    """Make a name within a text fit: as `clean`, and short."""
    return clean(text)[:MAX_LABEL]
