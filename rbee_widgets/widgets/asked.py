"""What a page asks of a widget: its messages, checked. A page is as untrusted as any stranger."""

from __future__ import annotations

from dataclasses import fields
from typing import Annotated, Any, Final, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from rbee_widgets.links import MAX_NAME
from rbee_widgets.market.source import Order, Query

_Id: TypeAlias = Annotated[str, Field(max_length=64)]
_Name: TypeAlias = Annotated[str, Field(max_length=MAX_NAME)]
_Word: TypeAlias = Annotated[str, Field(max_length=100)]
_Filter: TypeAlias = Annotated[str, Field(min_length=1, max_length=100)] | None
_Billions: TypeAlias = Annotated[float, Field(ge=0, le=1e6)] | None
_Number: TypeAlias = Annotated[int, Field(ge=0, lt=1 << 53)]


class _Asked(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class Shown(_Asked):
    """A page shows the widget; `seq` (of the rows) or `rev` (of the log) is what it has."""

    kind: Literal["shown"]
    page: _Id
    seq: int = -1
    rev: int = -1
    open: Annotated[dict[_Id, int], Field(max_length=1000)] = {}


class Hidden(_Asked):
    """A page shows it no longer."""

    kind: Literal["hidden"]
    page: _Id


class Older(_Asked):
    """A page asks for the lines before a revision."""

    kind: Literal["older"]
    page: _Id
    before: int


class Act(_Asked):
    """The user asks for something to be done with some rows."""

    kind: Literal["cancel", "retry", "clear"]
    ids: Annotated[list[_Id], Field(max_length=5000)]


class Install(_Asked):
    """The user asks for what the button offers."""

    kind: Literal["install"]


class Search(_Asked):
    """A page asks a source for models; `n` numbers its searches."""

    kind: Literal["search"]
    page: _Id
    n: _Number
    source: _Word
    text: Annotated[str, Field(max_length=MAX_NAME)]
    order: Annotated[Order, Field(strict=False)]
    format: _Filter = None
    task: _Filter = None
    library: _Filter = None
    language: _Filter = None
    license: _Filter = None
    least: _Billions = None
    most: _Billions = None

    @property
    def query(self) -> Query:
        """What it is that is looked for."""
        told = self.model_dump(include={field.name for field in fields(Query)})
        return Query(**told | {"text": self.text.strip()})


class More(_Asked):
    """A page asks for more of what search `n` finds."""

    kind: Literal["more"]
    page: _Id
    n: _Number


class Unfold(_Asked):
    """A page asks for a model's files, or its card."""

    kind: Literal["files", "card"]
    page: _Id
    model: _Name


class Choose(_Asked):
    """A page chooses the hive that models are for."""

    kind: Literal["hive"]
    page: _Id
    hive: _Name


class Fetch(_Asked):
    """The user asks for a file of a model."""

    kind: Literal["fetch"]
    page: _Id
    model: _Name
    file: _Name


Asked: TypeAlias = Shown | Hidden | Older | Act | Install | Search | More | Unfold | Choose | Fetch
_ASKED: Final[TypeAdapter[Asked]] = TypeAdapter(Annotated[Asked, Field(discriminator="kind")])


def read_asked(content: Any) -> Asked | None:
    """Read a message of a page; None: it is none that a page of ours would send."""
    try:
        return _ASKED.validate_python(content)
    except ValidationError:
        return None
