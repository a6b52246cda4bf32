"""What one marketplace shows: what was found, what was unfolded, and the hive that it is for.

Lives on its tracker's loop. Sources and headers are asked in threads of its own; of several
searches the newest alone counts, and what an older one still finds is dropped.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field, replace
from enum import Enum, auto
from functools import partial
from itertools import islice
from typing import Any, Final, TypeVar

from rbee_widgets import text
from rbee_widgets.client import Hive
from rbee_widgets.contract import Capabilities, Model
from rbee_widgets.errors import RbeeError
from rbee_widgets.links import Target
from rbee_widgets.market import card
from rbee_widgets.market.fit import Machine, Need, need_of
from rbee_widgets.market.header import HeaderReader
from rbee_widgets.market.shape import Shape
from rbee_widgets.market.source import Details, ModelFile, ModelInfo, Query, Source, SourceError
from rbee_widgets.market.sources import source_of
from rbee_widgets.tracker import Tracker

PAGE: Final = 50
"""Models that are asked for at once."""

MOST_MODELS: Final = 5000
MOST_UNFOLDED: Final = 100
"""Models whose files, or cards, are remembered."""

MOST_FAMILIES: Final = 8
"""Headers of one model that are read: a model's quantisations share theirs."""

CONTEXTS: Final = tuple(2048 << power for power in range(8))
"""Tokens: what a fit is told for, from 2 Ki to 256 Ki."""

CPU: Final = "cpu"
"""The type of the device whose memory is the RAM."""

THREADS: Final = 8
"""Sources that are slow hold one each until they have answered, also those not wanted any more."""

LIMIT_S: Final = 60.0
"""Seconds that an answer may take: a head that trickles in evades all limits of the clients."""

_T = TypeVar("_T")


class Part(Enum):
    """What has changed of a market."""

    STATE = auto()
    """The search, or what is told of the hive."""
    FIT = auto()
    """The hive, or what is installed there: all files are told of anew."""
    RESULTS = auto()
    """All results."""
    MORE = auto()
    """There are more results than before."""
    FILES = auto()
    CARD = auto()


@dataclass(frozen=True, slots=True)
class Fit:
    """What a file takes at each of `CONTEXTS`, at the longest what it was trained for."""

    needs: tuple[Need, ...]
    trained: int | None


@dataclass(slots=True)
class Unfolded:
    """What is known of a model's files; neither details nor error: nothing yet."""

    details: Details | None = None
    error: SourceError | None = None
    fits: dict[str, Fit | SourceError] = field(default_factory=dict)
    """Of each file, by its id, what it takes, or why that can't be known; absent: not yet known."""


@dataclass(slots=True)
class Card:
    """A model card as HTML that is safe to show; neither: not there yet."""

    html: str | None = None
    error: SourceError | None = None


@dataclass(frozen=True, slots=True)
class Site:
    """The hive that models would be installed on, as far as it has told."""

    hive: Hive | None = None
    capabilities: Capabilities | None = None
    installed: dict[str, Model] | None = None
    """Its catalog by ids."""
    had: dict[str, int] = field(default_factory=dict)
    """Of each download, by its id, the bytes that were there when the hive told its free disk."""
    error: RbeeError | None = None

    @property
    def machine(self) -> Machine | None:
        """Its memory; None: not told."""
        if self.capabilities is None:
            return None
        told = self.capabilities.devices
        memories = [(one.device_type == CPU, one.least_memory) for one in told]
        return Machine(
            gpus=tuple(memory for is_cpu, memory in memories if not is_cpu),
            ram=next((memory for is_cpu, memory in memories if is_cpu), None),
        )


@dataclass(frozen=True, slots=True)
class _Page:
    """A page of results that is asked for; `begin` is called before it is taken."""

    coming: Future[list[ModelInfo]]
    begin: Callable[[], None]


class Market:
    """A marketplace over a tracker's hives.

    Parameters
    ----------
    tracker
        Who downloads.
    sources
        Where models are looked for; the first is chosen at the beginning.
    hive
        The hive that they are for; None: the tracker's.

    """

    def __init__(
        self,
        tracker: Tracker,
        sources: Sequence[Source],
        hive: Hive | None,
    ) -> None:
        self._tracker = tracker
        self.changed: Callable[[Part, str | None], None] = lambda _, __: None
        """Called with what has changed, and of which model where it is one's."""
        self._chosen = hive
        self._headers = HeaderReader()
        self._threads = ThreadPoolExecutor(THREADS, "rbee_widgets market")
        self._tasks: set[asyncio.Task[None]] = set()
        self._page: _Page | None = None
        """The page of results that is asked for,"""
        self._search: asyncio.Task[None] | None = None
        """and what waits for it."""
        self._visit: asyncio.Task[None] | None = None
        self._found: Iterator[ModelInfo] = iter(())
        self._asked_of: Source = sources[0]
        """Whom the results are from: the source chosen, or the web where a URL was looked for."""
        self.sources: Final = tuple(sources)
        self.source = sources[0]
        self.query = Query()
        self.number = 0
        """That of the search whose results are shown,"""
        self.asked = 0
        """and of the newest that was asked for."""
        self.models: dict[str, ModelInfo] = {}
        """By ids, in order."""
        self.has_more = False
        self.trouble: SourceError | None = None
        self.unfolded: dict[str, Unfolded] = {}
        self.cards: dict[str, Card] = {}
        self.site = Site(hive)

    @property
    def is_searching(self) -> bool:
        """Whether results are being asked for."""
        return self._page is not None

    @property
    def hives(self) -> list[str]:
        """The ids of the hives that can be chosen."""
        ids = [hive.id for hive in self._tracker.hives]
        here = self.site.hive
        return ids if here is None or here.id in ids else [*ids, here.id]

    @property
    def disk_free(self) -> int | None:
        """Bytes that are free on the hive's disk: what it told, less what has come since."""
        site = self.site
        if site.hive is None or site.capabilities is None or site.capabilities.disk_free is None:
            return None
        come = sum(
            max(0, one.bytes_downloaded - site.had.get(one.id, 0))
            for one in self._tracker.downloads
            if one.hive == site.hive.id and one.status.is_active
        )
        return max(0, site.capabilities.disk_free - come)

    def close(self) -> None:
        """Ask nobody any more, and tell of nothing; on the loop."""
        self.changed = lambda _, __: None  # tasks that are cancelled have a last word
        for task in self._tasks:
            task.cancel()
        self._threads.shutdown(wait=False, cancel_futures=True)
        self._headers.close()

    # -- Results ----------------------------------------------------------------------------------

    def search(self, number: int, source: str, query: Query) -> None:
        """Begin a search, in the place of any other."""
        if self._search is not None:
            self._search.cancel()
        named = next((one for one in self.sources if one.name == source), self.source)
        self.source = named
        asked_of = source_of(query.text, named)
        self._found = asked_of.search(query)
        self.asked = number
        self._turn_page(partial(self._first, number, query, asked_of))

    def more(self, number: int) -> None:
        """Ask for the next page of a search."""
        if number != self.number or self.is_searching or not self.has_more:
            return
        if self.trouble is not None:  # what broke off gives no more
            self._found = islice(self._asked_of.search(self.query), len(self.models), None)
        self._turn_page(lambda: None)

    def _turn_page(self, begin: Callable[[], None]) -> None:
        found = self._found
        coming = self._threads.submit(lambda: list(islice(found, PAGE)))
        self._page = _Page(coming, begin)
        self._search = self._start(self._await_page(self._page), "search")
        self.changed(Part.STATE, None)

    async def _await_page(self, page: _Page) -> None:
        try:
            found = await self._answer(page.coming)
        except SourceError as error:
            self._take_page(page, error)
        else:
            self._take_page(page, found)

    def hurry(self, seconds: float) -> None:
        """Wait so long for the first results there are; the loop waits too."""
        page = self._page
        if self.number > 0 or page is None or not wait([page.coming], seconds).done:
            return
        try:
            self._take_page(page, page.coming.result())
        except SourceError as error:
            self._take_page(page, error)

    def _take_page(self, page: _Page, found: list[ModelInfo] | SourceError) -> None:
        """Take what was found, unless that was done, or is not wanted any more."""
        if page is not self._page:
            return
        self._page = None
        page.begin()
        if isinstance(found, SourceError):
            self.trouble = found
            self.has_more = bool(self.models)
        else:
            self.trouble = None
            room = MOST_MODELS - len(self.models)
            # A hub whose order changes meanwhile tells some twice.
            self.models |= {one.id: one for one in found[:room] if one.id not in self.models}
            self.has_more = len(found) == PAGE < room
        self.changed(Part.MORE, None)

    def _first(self, number: int, query: Query, asked_of: Source) -> None:
        self.number, self.query = number, query
        if asked_of is not self._asked_of:  # an id means something else there
            self._forget(0)
        self._asked_of = asked_of
        self.models = {}
        self.has_more = True
        self.changed(Part.RESULTS, None)

    # -- One model --------------------------------------------------------------------------------

    def unfold(self, model: str) -> None:
        """Ask for a model's files, and what their headers tell."""
        if model not in self.models:
            return
        known = self.unfolded.get(model)
        if known is not None and known.error is None:
            self.changed(Part.FILES, model)  # a page that asks was not told, or has forgotten
            return
        self.unfolded[model] = Unfolded()
        self._forget(MOST_UNFOLDED)
        self.changed(Part.FILES, model)
        found = self.models[model]
        self._start(self._look_into(self._asked_of, found, self.unfolded[model]), "files")

    async def _look_into(self, source: Source, found: ModelInfo, unfolded: Unfolded) -> None:
        model = found.id
        try:
            unfolded.details = await self._ask(source.details, model)
        except SourceError as error:
            unfolded.error = error
            return
        finally:
            self.changed(Part.FILES, model)
        families: dict[str, list[ModelFile]] = {}
        for file in unfolded.details.files:
            families.setdefault(file.family if file.header_url else "", []).append(file)
        parameters = found.parameters if len(families) == 1 else None
        for number, (family, files) in enumerate(families.items()):
            if not family or number >= MOST_FAMILIES:
                unfolded.fits |= dict.fromkeys((file.target.id for file in files), _UNREAD)
            else:
                try:
                    unfolded.fits |= await self._ask(self._fits, source, files, parameters)
                except SourceError as error:
                    unfolded.fits |= dict.fromkeys((file.target.id for file in files), error)
            self.changed(Part.FILES, model)

    def _fits(
        self, source: Source, files: Sequence[ModelFile], parameters: int | None
    ) -> dict[str, Fit | SourceError]:
        """Tell what the files of one family take; the head of one tells of all. Blocks."""
        first = files[0]  # the smallest; the first part of a split one tells as much as a whole
        try:
            shape = self._headers.read(first.header_url or "", source.headers(first)).of_family()
        except SourceError as error:
            return dict.fromkeys((file.target.id for file in files), error)
        return {file.target.id: _fit(file, shape, parameters) for file in files}

    def read_card(self, model: str) -> None:
        """Ask for a model's card."""
        if model not in self.models:
            return
        known = self.cards.get(model)
        if known is not None and known.error is None:
            self.changed(Part.CARD, model)
            return
        self.cards[model] = Card()
        self._forget(MOST_UNFOLDED)
        self.changed(Part.CARD, model)
        found = self.models[model]
        self._start(self._read_card(self._asked_of, found, self.cards[model]), "card")

    async def _read_card(self, source: Source, found: ModelInfo, read: Card) -> None:
        def safe() -> str:
            return card.to_html(source.card(found.id), found.url or "")

        try:
            read.html = await self._ask(safe)
        except SourceError as error:
            read.error = error
        self.changed(Part.CARD, found.id)

    def _forget(self, most: int) -> None:
        """Forget the files, and the cards, of all but so many models."""
        remembered: tuple[tuple[dict[str, Any], Part], ...] = (
            (self.unfolded, Part.FILES),
            (self.cards, Part.CARD),
        )
        for known, part in remembered:
            while len(known) > most:
                model = next(iter(known))
                del known[model]
                self.changed(part, model)

    def file(self, model: str, id: str) -> ModelFile | None:  # noqa: A002 (the wire's name)
        """Give one of the files of a model that was unfolded."""
        unfolded = self.unfolded.get(model)
        files = unfolded.details.files if unfolded and unfolded.details else ()
        return next((file for file in files if file.target.id == id), None)

    def fetch(self, target: Target) -> None:
        """Have a target fetched by the hive that is chosen."""
        self._tracker.fetch(target, self.site.hive or self._chosen)

    # -- The hive ---------------------------------------------------------------------------------

    def choose(self, hive: str) -> None:
        """Choose another hive, by its id."""
        known = next((one for one in self._tracker.hives if one.id == hive), None)
        if known is not None:
            self._chosen = known
            self.site = Site(known)
            self.changed(Part.FIT, None)
            self.visit()

    def revisit(self) -> None:
        """Ask a hive again that did not answer."""
        if self.site.error is not None and (self._visit is None or self._visit.done()):
            self.visit()

    def visit(self) -> None:
        """Ask the hive what it has, and what it can carry."""
        if self._visit is not None:
            self._visit.cancel()
        self._visit = self._start(self._look_around(self._chosen), "visit")

    async def _look_around(self, chosen: Hive | None) -> None:
        try:
            hive = await self._tracker.found(chosen)
            self.site = replace(self.site, hive=hive, error=None)
            catalog = await self._tracker.catalog(hive)
            self.site = replace(self.site, installed={model.id: model for model in catalog})
            capabilities = await hive.capabilities()
            had = {one.id: one.bytes_downloaded for one in self._tracker.downloads}
            self.site = replace(self.site, capabilities=capabilities, had=had)
        except RbeeError as error:
            self.site = replace(self.site, error=error)
        self.changed(Part.FIT, None)

    # -- Tasks ------------------------------------------------------------------------------------

    def _start(self, work: Coroutine[Any, Any, None], name: str) -> asyncio.Task[None]:
        task = self._tracker.start(work, f"marketplace: {name}")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _ask(self, function: Callable[..., _T], *arguments: Any) -> _T:
        """Call a function that blocks."""
        return await self._answer(self._threads.submit(function, *arguments))

    async def _answer(self, coming: Future[_T]) -> _T:
        try:
            async with asyncio.timeout(LIMIT_S):
                return await asyncio.wrap_future(coming)
        except TimeoutError as error:
            raise SourceError(
                f"There was no whole answer within {text.duration(LIMIT_S)}; try again, or see "
                "whether it is the right server"
            ) from error


_UNREAD: Final = SourceError("only the head of a GGUF file tells what it takes")
_UNSIZED: Final = SourceError("the source doesn't tell its size")


def _fit(file: ModelFile, shape: Shape, parameters: int | None) -> Fit | SourceError:
    if file.size is None:
        return _UNSIZED
    needs = (
        need_of(
            shape,
            file.size,
            context=context,
            quantisation=file.quantisation,
            parameters=parameters,
        )
        for context in CONTEXTS
    )
    return Fit(tuple(needs), shape.context)
