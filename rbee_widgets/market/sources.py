"""The sources that a user may name."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import islice
from typing import Final

from rbee_widgets.market.civitai import CivitAI
from rbee_widgets.market.huggingface import HuggingFace
from rbee_widgets.market.source import ModelInfo, Query, Source

SOURCES: Final[dict[str, Callable[[], Source]]] = {"huggingface": HuggingFace, "civitai": CivitAI}

_NAMES: Final = " or ".join(SOURCES)

DEFAULT_SOURCES: Final = ("huggingface",)
"""CivitAI must be asked for: what it has are models that make images."""

FIRST: Final = 20
"""Models that are told where none can be scrolled to."""


def read_source(source: str | Source) -> Source:
    """Give the source that is meant: itself, or by its name.

    Raises
    ------
    ValueError
        There is none of that name.

    """
    if not isinstance(source, str):
        return source
    if source not in SOURCES:
        raise ValueError(f"expected a source of models, {_NAMES}, got {source[:80]!r}")
    return SOURCES[source]()


def read_sources(sources: Sequence[str | Source]) -> list[Source]:
    """Give the sources that are meant.

    Raises
    ------
    ValueError
        There is none of a name, or none is named.

    """
    if not sources:
        raise ValueError(f"expected a source of models, {_NAMES}, got none")
    return [read_source(one) for one in sources]


def first_of(source: Source, text: str) -> list[ModelInfo]:
    """Search for the first few models, and wait for them.

    Raises
    ------
    SourceError
        The source can't tell.

    """
    return list(islice(source.search(Query(text.strip())), FIRST))
