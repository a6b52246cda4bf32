"""What a marketplace asks of a source of models, and what it is told. Pure.

A source blocks: it is called in a thread. All that it tells is a stranger's text: cleaned, of
bounded length, and never markup.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Protocol

from rbee_widgets.errors import RbeeError
from rbee_widgets.links import Target

FORMATS: Final = ("gguf", "safetensors")


class Order(StrEnum):
    """How results are ordered; the first is that of a new marketplace."""

    TRENDING = "trending"
    DOWNLOADS = "downloads"
    LIKES = "likes"
    UPDATED = "updated"
    NEWEST = "newest"


@dataclass(frozen=True, slots=True)
class Query:
    """What is looked for. None: whatever it be.

    `least` and `most` bound the parameters, in billions; what tells none is kept.
    """

    text: str = ""
    order: Order = Order.TRENDING
    format: str | None = "gguf"
    task: str | None = None
    library: str | None = None
    language: str | None = None
    license: str | None = None
    least: float | None = None
    most: float | None = None


@dataclass(frozen=True, slots=True)
class ModelInfo:
    """A model as a search tells it; times in Unix seconds. None: not told."""

    id: str
    author: str
    title: str | None = None
    """What people call it, where its id doesn't tell; None: the id."""
    downloads: int | None = None
    likes: int | None = None
    parameters: int | None = None
    task: str | None = None
    license: str | None = None
    created_at: float | None = None
    updated_at: float | None = None
    gate: str | None = None
    """Why not everybody may fetch it and what to do about it, in words; None: everybody may."""
    url: str | None = None
    """Its page for people."""


@dataclass(frozen=True, slots=True)
class ModelFile:
    """A file that can be installed; split ones are one. `size` in bytes, of all parts."""

    target: Target
    """What is given to a hive: the first part's name, where there are several."""
    path: str
    """Its name within the model."""
    size: int | None
    quantisation: str | None = None
    """As the file's name has it: `Q4_K_M`, `IQ2_XXS`, `BF16`."""
    parts: int = 1
    family: str = ""
    """The path without its quantisation: files of one family have one architecture."""
    header_url: str | None = None
    """Where its GGUF header can be read; None: it has none."""
    sha256: str | None = None
    """In hex, as the source states it; None where it doesn't, or there are several parts.

    It is in `target` too only where the hive can't learn it: a hive that checks none refuses it.
    """


@dataclass(frozen=True, slots=True)
class Details:
    """What a model holds, and what its author says of it."""

    files: tuple[ModelFile, ...]
    license: str | None = None
    gate: str | None = None
    more: int = 0
    """Files beyond those listed, where there are too many."""


class SourceError(RbeeError):
    """Raised when a source can't tell; the text is for people: who, why, and the way out.

    `retry_after` is in seconds, where the source says so.
    """

    def __init__(self, text: str, retry_after: float | None = None) -> None:
        super().__init__(text)
        self.retry_after = retry_after


class Source(Protocol):
    """A place where models are found."""

    name: str
    """As it is chosen by: `huggingface`."""
    title: str
    """As people know it: `Hugging Face`."""
    filters: frozenset[str]
    """The fields of `Query` that it heeds, `text` aside."""
    orders: tuple[Order, ...]

    def has_page(self, url: str) -> bool:
        """Whether a URL is the page of one of its models, which `search` then finds."""

    def search(self, query: Query) -> Iterator[ModelInfo]:
        """Give what is found, page by page as it is asked for.

        Raises
        ------
        SourceError
            It can't be asked, or answers nonsense; also while iterating.

        """

    def details(self, model: str) -> Details:
        """Tell a model's files.

        Raises
        ------
        SourceError
            As above, or it knows no such model.

        """

    def card(self, model: str) -> str:
        """Give the model card as Markdown, of bounded length; empty where there is none.

        Raises
        ------
        SourceError
            As above.

        """

    def headers(self, file: ModelFile) -> dict[str, str]:
        """Give the HTTP headers that reading a file's header takes, such as a token's."""
