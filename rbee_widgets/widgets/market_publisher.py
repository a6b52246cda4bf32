"""What a page is told of a market: what changed since the last message, or all of it.

Each message goes on from a revision; a page that has missed one says which it has, and is told
everything anew. The trait holds the last state, of bounded size, for a page without a kernel.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import asdict
from typing import Final

from rbee_widgets.handle import Owner
from rbee_widgets.market.fit import Verdict, judge
from rbee_widgets.market.market import CONTEXTS, Card, Market, Part, Unfolded
from rbee_widgets.market.preflight import traffic
from rbee_widgets.market.source import ModelFile, ModelInfo, SourceError
from rbee_widgets.untrusted import label
from rbee_widgets.widgets.channel import Channel, Message
from rbee_widgets.widgets.publisher import DELTA_S, HOLD_S, MAX_TEXT

CONTEXT: Final = CONTEXTS.index(8192)
"""The one shown at first."""

MAX_DEVICES: Final = 32

_SPLIT: Final = (
    "in {} parts, and a hive keeps a model in one file; choose a whole file, or join them with "
    "llama.cpp's gguf-split --merge"
)

HELD: Final = 100
"""Models that the trait holds."""


class MarketPublisher:
    """Publishes a market: `send` sends a message, `hold` sets the trait.

    Lives on the tracker's loop.
    """

    def __init__(
        self,
        tracker: Owner,
        market: Market,
        *,
        send: Callable[[Message], None],
        hold: Callable[[Message], None],
    ) -> None:
        self._tracker = tracker
        self._market = market
        self._hold = hold
        self._channel = Channel(
            tracker.loop,
            send,
            # A message that tells nothing, which a page takes that has missed none.
            beat=lambda: {"kind": "market", "since": self._revision, "rev": self._revision},
            is_alive=lambda: market.is_searching,
        )
        self._next_flush = self._channel.alarm(self._flush)
        self._next_hold = self._channel.alarm(self._hold_state)
        self._revision = 0
        self._due = 0.0
        """When the next message is due, were all as far apart as they may be in the long run."""
        self._told = 0
        """How many of the models were told."""
        self._is_anew = False
        """Whether the results are others than those told."""
        self._is_changed = False
        """Whether anything is."""
        self.is_displayed = False
        """Whether a cell shows it, even if no page does yet."""
        self.at_rest: list[Callable[[], None]] = []
        """What is called when the trait has changed and nobody looks."""
        self._files: set[str] = set()
        """The models whose files have changed since,"""
        self._cards: set[str] = set()
        """and those whose cards have."""

    def close(self) -> None:
        """Publish no more; on the loop."""
        self._channel.close()

    def held(self) -> Message:
        """Give what a saved notebook tells: the first results, and their files; no cards."""
        kept = list(self._market.models.values())[:HELD]
        return self._whole(kept) | {"cards": {}}

    # -- What a page says -------------------------------------------------------------------------

    def shown(self, page: str, revision: int) -> None:
        """Take note that a page shows the market as of a revision (-1: nothing)."""
        self._channel.audience.shown(page, {})
        if revision == self._revision:
            self._flush()
        else:
            self._number()
            self._channel.send(self._whole(self._market.models.values()))

    def hidden(self, page: str) -> None:
        """Take note that a page shows it no longer."""
        self._channel.audience.hidden(page)

    # -- What changes -----------------------------------------------------------------------------

    def changed(self, part: Part, model: str | None = None) -> None:
        """Take note of a change; on the loop."""
        self._is_changed = True
        match part:
            case Part.RESULTS:
                self._is_anew, self._told = True, 0
            case Part.FIT:
                self._files |= set(self._market.unfolded)
            case Part.FILES if model is not None:
                self._files.add(model)
            case Part.CARD if model is not None:
                self._cards.add(model)
        # Of two, one need not wait: an answer follows the word that it is being looked for.
        self._next_flush.within(self._due - DELTA_S - time.monotonic())
        self._next_hold.within(HOLD_S)

    def _flush(self) -> None:
        if not self._is_changed:
            return
        since = self._revision
        state = self._state() | ({"models": []} if self._is_anew else {})
        models = list(self._market.models.values())[self._told :]
        files = {id: self._told_files(id) for id in self._files}  # noqa: A001
        cards = {id: _told_card(self._market.cards.get(id)) for id in self._cards}  # noqa: A001
        self._number()
        if self._channel.audience.is_there:
            self._channel.send(self._message(since, state, models, files, cards))

    def _number(self) -> None:
        """Give what has changed a revision: it is told."""
        if self._is_changed:
            self._revision += 1
            self._told = len(self._market.models)
            self._is_changed = self._is_anew = False
            self._files, self._cards = set(), set()
        self._due = max(self._due, time.monotonic()) + DELTA_S

    def _hold_state(self) -> None:
        self._hold(self.held())
        if self.is_displayed and not self._channel.audience.is_there:
            for tell in self.at_rest:
                tell()

    # -- How it is told ---------------------------------------------------------------------------

    def _whole(self, models: Iterable[ModelInfo]) -> Message:
        known = list(models)
        return self._message(
            -1,
            self._state() | {"models": []},
            known,
            {one.id: self._told_files(one.id) for one in known if one.id in self._market.unfolded},
            {
                one.id: _told_card(self._market.cards.get(one.id))
                for one in known
                if one.id in self._market.cards
            },
        )

    def _message(
        self,
        since: int,
        state: Message,
        models: Iterable[ModelInfo],
        files: Message,
        cards: Message,
    ) -> Message:
        return {
            "kind": "market",
            "since": since,
            "rev": self._revision,
            "set": state,
            "append": [asdict(model) for model in models],
            "files": files,
            "cards": cards,
        }

    def _state(self) -> Message:
        market = self._market
        trouble = market.trouble
        return {
            "query": {**asdict(market.query), "n": market.number, "source": market.source.name},
            "asked": market.asked,
            "searching": market.is_searching,
            "more": market.has_more,
            "trouble": trouble and {"text": str(trouble), "retry": trouble.retry_after},
            "sources": [
                {
                    "name": source.name,
                    "title": source.title,
                    "filters": sorted(source.filters),
                    "orders": list(source.orders),
                }
                for source in market.sources
            ],
            "hives": [{"id": id} for id in market.hives],  # noqa: A001
            "hive": self._told_site(),
            "at": time.time(),
            "contexts": list(CONTEXTS),
            "context": CONTEXT,
        }

    def _told_site(self) -> Message | None:
        site = self._market.site
        if site.hive is None and site.error is None:
            return None
        hive = site.hive.id if site.hive else ""  # what was found is no hive
        coming = traffic(self._tracker.downloads, hive)
        machine = site.machine
        devices = site.capabilities.devices if site.capabilities else []
        return {
            "id": hive,
            "error": None if site.error is None else str(site.error)[:MAX_TEXT],
            "devices": [
                {
                    "name": label(one.name),
                    "type": label(one.device_type),
                    "memory": one.least_memory,
                }
                for one in devices[:MAX_DEVICES]
            ],
            "gpu": machine and sum(memory or 0 for memory in machine.gpus),
            "ram": machine and machine.ram,
            "free": self._market.disk_free,
            "promised": coming.promised,
            "speed": coming.speed and round(coming.speed),
        }

    def _told_files(self, model: str) -> Message | None:
        unfolded = self._market.unfolded.get(model)
        if unfolded is None:
            return None
        if unfolded.error is not None:
            return {"state": "error", **_told_error(unfolded.error)}
        details = unfolded.details
        if details is None:
            return {"state": "loading"}
        return {
            "state": "there",
            "files": [self._told_file(file, unfolded) for file in details.files],
            "more": details.more,
            "license": details.license,
            "gate": details.gate,
        }

    def _told_file(self, file: ModelFile, unfolded: Unfolded) -> Message:
        installed = self._market.site.installed
        entry = None if installed is None else installed.get(file.target.id)
        return {
            "id": file.target.id,
            "path": file.path,
            "size": file.size,
            "quantisation": file.quantisation,
            "parts": file.parts,
            "installed": None if installed is None else entry is not None,
            "place": entry and entry.path,
            "sha256": file.target.sha256,
            "cannot": _SPLIT.format(file.parts) if file.parts > 1 else None,
            "fit": self._told_fit(file, unfolded),
        }

    def _told_fit(self, file: ModelFile, unfolded: Unfolded) -> Message | None:
        """Tell what a file needs at each context, and whether the hive has it; None: not yet."""
        fit = unfolded.fits.get(file.target.id)
        if fit is None:
            return None
        machine = self._market.site.machine
        if isinstance(fit, SourceError):
            return _UNKNOWN | {"why": str(fit)[:MAX_TEXT]}
        told = {
            "weights": fit.needs[0].weights,
            "host": fit.needs[0].host,
            "kv": [one.kv for one in fit.needs],
            "compute": [one.compute for one in fit.needs],
            "overhead": fit.needs[0].overhead,
            "trained": fit.trained,
        }
        if machine is None:
            return _UNKNOWN | told | {"why": "the hive has not told its devices"}
        return _UNKNOWN | told | {"verdicts": [judge(one, machine) for one in fit.needs]}


_UNKNOWN: Final[Message] = {
    "verdicts": [Verdict.UNKNOWN] * len(CONTEXTS),
    "why": None,
    "weights": 0,
    "host": 0,
    "kv": [],
    "compute": [],
    "overhead": 0,
    "trained": None,
}


def _told_card(card: Card | None) -> Message | None:
    if card is None:
        return None
    if card.error is not None:
        return {"state": "error", **_told_error(card.error)}
    return {"state": "loading"} if card.html is None else {"state": "there", "html": card.html}


def _told_error(error: SourceError) -> Message:
    return {"error": str(error)[:MAX_TEXT], "retry": error.retry_after}
