"""`Marketplace`: find a model that fits, and install it, in a cell."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from typing import Any, Final

import traitlets

from rbee_widgets.attempt import Change
from rbee_widgets.client import Hive
from rbee_widgets.handle import Download
from rbee_widgets.market.market import Market, Part
from rbee_widgets.market.source import Query, Source
from rbee_widgets.market.sources import DEFAULT_SOURCES, read_sources
from rbee_widgets.state import Type
from rbee_widgets.tracker import Tracker, restored_tracker
from rbee_widgets.widgets import market_tables
from rbee_widgets.widgets.asked import Asked, Choose, Fetch, Hidden, More, Search, Shown, Unfold
from rbee_widgets.widgets.live import STATIC, LiveWidget
from rbee_widgets.widgets.market_publisher import MarketPublisher
from rbee_widgets.widgets.publisher import Publisher

HURRY_S: Final = 2.0
"""Seconds that a cell waits for results, so that what a notebook keeps of it can hold them."""


class Marketplace(LiveWidget):
    """Search for models, see which of their files a hive can run, and install them.

    Any number of views show one search, and one hive.

    Parameters
    ----------
    query
        What is looked for at first: words, `org/repo`, or the URL of a file.
    hive
        The hive that models are for, or its id or URL; else one is found.
    tracker
        Who downloads; the default tracker where none is given.
    sources
        Where models are looked for, the first one at first: `huggingface`, `civitai`.

    Raises
    ------
    ValueError
        `sources` names one that there isn't, or none at all.
    UnknownHiveError
        `hive` names none.

    """

    _publisher: Publisher
    _esm = STATIC / "marketplace.js"
    _css = STATIC / "marketplace.css"

    # Python alone writes these, so no front end need echo them.
    snapshot = traitlets.Dict().tag(sync=True, echo_update=False)
    market = traitlets.Dict().tag(sync=True, echo_update=False)

    def __init__(
        self,
        query: str = "",
        hive: Hive | str | None = None,
        *,
        tracker: Tracker | None = None,
        sources: Sequence[str | Source] = DEFAULT_SOURCES,
    ) -> None:
        owner = tracker or restored_tracker()
        self._market = Market(owner, read_sources(sources), owner.chosen(hive))
        self._owner = owner
        self._unsubscribe: Callable[[], None] = lambda: None
        self._sizes: dict[str, int | None] = {}
        """Of each download, by its id, the size that was told."""
        self._shelf = MarketPublisher(
            owner, self._market, send=self._post, hold=partial(self._keep, "market")
        )
        publisher = Publisher(
            owner,
            lambda one: one.type is Type.MODEL,
            send=self._post,
            hold=partial(self._keep, "snapshot"),
        )
        super().__init__(owner, publisher, snapshot=publisher.snapshot(), market=self._shelf.held())
        owner.request(self._begin, query.strip())

    def _begin(self, query: str) -> None:
        self._unsubscribe = self._owner.subscribe(self._on_change)
        self._market.changed = self._shelf.changed
        self._market.search(1, self._market.source.name, Query(query))
        self._market.visit()

    def _end(self) -> None:
        self._unsubscribe()
        self._market.close()
        self._shelf.close()

    def close(self) -> None:
        """End the marketplace, not the downloads."""
        if hasattr(self, "_owner"):  # ipywidgets also closes what the constructor refused
            with suppress(RuntimeError):  # the tracker's loop is closed
                self._owner.request(self._end)
        super().close()

    def __repr__(self) -> str:
        return f"<Marketplace of {len(self._market.models)} models>"

    def _repr_mimebundle_(self, **kwargs: Any) -> tuple[dict[str, Any], dict[str, Any]] | None:
        bundle = super()._repr_mimebundle_(**kwargs)
        if bundle is not None:
            if self._owner.is_here:
                self._market.hurry(HURRY_S)
            bundle[0]["text/html"] = market_tables.html(self._shelf.held())
            bundle[0]["text/plain"] = market_tables.text(self._market.models.values())
            self._shelf.is_displayed = True
        return bundle

    def at_rest(self, tell: Callable[[], None]) -> None:
        """Have something called when what is kept of it changes while nobody looks."""
        self._shelf.at_rest.append(tell)

    @property
    def _downloads(self) -> list[Download]:
        return self._publisher.downloads

    def _on_change(self, download: Download, change: Change) -> None:
        if download.type is not Type.MODEL:
            return
        is_sized = self._sizes.get(download.id) != download.total_size
        self._sizes[download.id] = download.total_size
        if change is Change.STATUS and download.status.is_final:
            self._market.visit()
        elif is_sized or change is not Change.FIGURES:
            self._shelf.changed(Part.STATE)  # other downloads promise the disk's room otherwise

    # -- What a page says -------------------------------------------------------------------------

    def _do(self, asked: Asked) -> None:
        market = self._market
        match asked:
            case Shown(page=page, seq=seq, rev=revision, open=opened):
                self._owner.restore()  # another kernel may have begun some
                self._publisher.shown(page, seq, opened)
                self._shelf.shown(page, revision)
                market.revisit()
            case Hidden(page=page):
                self._publisher.hidden(page)
                self._shelf.hidden(page)
            case Search():
                market.search(asked.n, asked.source, asked.query)
            case More(n=number):
                market.more(number)
            case Unfold(kind="files", model=model):
                market.unfold(model)
            case Unfold(model=model):
                market.read_card(model)
            case Choose(hive=hive):
                market.choose(hive)
            case Fetch(model=model, file=name):
                file = market.file(model, name)
                if file is not None and file.parts == 1:
                    market.fetch(file.target)
            case _:
                super()._do(asked)
