"""The sources that a user may name."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import islice
from typing import Final

from rbee_widgets.market.civitai import CivitAI
from rbee_widgets.market.huggingface import HuggingFace
from rbee_widgets.market.source import ModelInfo, Query, Source
from rbee_widgets.market.web import Web, is_url

SOURCES: Final[dict[str, Callable[[], Source]]] = {"huggingface": HuggingFace, "civitai": CivitAI}

_NAMES: Final = " or ".join(SOURCES)

DEFAULT_SOURCES: Final = ("huggingface",)
"""CivitAI must be asked for: what it has are models that make images."""

WEB: Final = Web()

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


def source_of(text: str, chosen: Source) -> Source:
    """Give whom to ask for what was typed: a URL that is no model's page stands for itself."""
    return WEB if is_url(text) and not chosen.has_page(text) else chosen


def first_of(source: Source, text: str) -> list[ModelInfo]:
    """Search a source, or the web for a URL, for the first few models; wait for them.

    Raises
    ------
    SourceError
        The source can't tell.

    """
    query = Query(text.strip())
    return list(islice(source_of(query.text, source).search(query), FIRST))
