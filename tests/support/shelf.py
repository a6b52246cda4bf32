"""A marketplace, and a page that shows it: it hears what is sent, and knows what ours would."""

from __future__ import annotations

import json
import time
from typing import Any

from rbee_widgets import Marketplace
from tests.support.downloads import until
from tests.support.page import PAGE, say

Told = dict[str, Any]


class Shelf(Marketplace):
    """A marketplace that keeps what it sends, and what a page makes of that."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        self.sent: list[Told] = []
        self.sent_at: list[float] = []
        self.rev = self.seq = -1
        self.gaps = 0
        """Messages that went on from what the page doesn't have."""
        self.state: Told = {}
        self.models: dict[str, Told] = {}
        self.files: dict[str, Told] = {}
        self.cards: dict[str, Told] = {}
        self.rows: dict[str, Told] = {}
        super().__init__(*arguments, **named)

    def send(self, content: Any, buffers: Any = None) -> None:
        heard = json.loads(json.dumps(content, allow_nan=False))
        self.sent.append(heard)
        self.sent_at.append(time.monotonic())
        if heard["kind"] == "market":
            self._hear_market(heard)
        elif heard["kind"] in {"snapshot", "delta"}:
            self._hear_rows(heard)
        super().send(content, buffers)

    def _hear_market(self, told: Told) -> None:
        if told["since"] not in {-1, self.rev}:
            self.gaps += 1
            return
        self.rev = told["rev"]
        if "set" not in told:
            return
        if told["since"] == -1:
            self.state, self.models, self.files, self.cards = {}, {}, {}, {}
        if told["set"].pop("models", None) == []:
            self.models = {}
        self.state |= told["set"]
        for model in told["append"]:
            assert model["id"] not in self.models
            self.models[model["id"]] = model
        self.files = _merged(self.files, told["files"])
        self.cards = _merged(self.cards, told["cards"])

    def _hear_rows(self, told: Told) -> None:
        if told["kind"] == "snapshot":
            self.rows = {}
        self.seq = told["seq"]
        self.rows |= {row["id"]: row for row in told["rows"]}
        for id in told.get("gone", ()):  # noqa: A001
            self.rows.pop(id, None)

    # -- What the page does -----------------------------------------------------------------------

    def look(self) -> None:
        """Show it, with what the page has."""
        say(self, kind="shown", page=PAGE, seq=self.seq, rev=self.rev)

    def search(self, number: int, text: str, source: str = "huggingface", **more: Any) -> None:
        asked = {"order": "trending", "format": "gguf"} | more
        say(self, kind="search", page=PAGE, n=number, source=source, text=text, **asked)

    def more(self) -> None:
        say(self, kind="more", page=PAGE, n=self.state["query"]["n"])

    def unfold(self, model: str) -> None:
        say(self, kind="files", page=PAGE, model=model)

    def read(self, model: str) -> None:
        say(self, kind="card", page=PAGE, model=model)

    def choose(self, hive: str) -> None:
        say(self, kind="hive", page=PAGE, hive=hive)

    def fetch(self, model: str, file: str) -> None:
        say(self, kind="fetch", page=PAGE, model=model, file=file)

    # -- What the page sees -----------------------------------------------------------------------

    async def found(self, number: int, limit: float = 15) -> list[str]:
        """Wait for what search `number` finds; give the ids."""
        await until(lambda: self._is_answered(number), limit)
        return list(self.models)

    def _is_answered(self, number: int) -> bool:
        told = self.state.get("query", {}).get("n")
        return told == number and not self.state["searching"]

    async def has(self, count: int) -> None:
        """Wait for so many results."""
        await until(lambda: len(self.models) == count and not self.state["searching"])

    async def visited(self) -> Told:
        """Wait for what the hive tells, or why it doesn't."""

        def has_told() -> bool:
            hive = self.state.get("hive")
            return bool(hive and (hive["devices"] or hive["error"]))

        await until(has_told, 25)  # as long as a hive may take to answer
        hive: Told = self.state["hive"]
        return hive

    async def chosen(self, hive: str) -> Told:
        """Choose a hive, and wait for what it tells."""
        self.choose(hive)
        await until(lambda: self.state["hive"]["id"] == hive)
        return await self.visited()

    async def in_state(self, model: str, state: str) -> Told:
        """Wait for a model's files to be `there`, or for their `error`."""
        await until(lambda: self.files.get(model, {}).get("state") == state)
        return self.files[model]

    async def unfolded(self, model: str, limit: float = 15) -> dict[str, Told]:
        """Wait for all that is to be known of a model's files; give them by their paths."""

        def is_known() -> bool:
            told = self.files.get(model, {"state": "none"})
            assert told["state"] != "error", told
            return told["state"] == "there" and all(file["fit"] for file in told["files"])

        if model not in self.files:
            self.unfold(model)
        await until(is_known, limit)
        return {file["path"]: file for file in self.files[model]["files"]}


def _merged(known: dict[str, Told], news: dict[str, Told]) -> dict[str, Told]:
    return {model: what for model, what in (known | news).items() if what is not None}


def by_quantisation(files: dict[str, Told]) -> dict[str, Told]:
    """Give files by their quantisations."""
    return {file["quantisation"]: file for file in files.values()}
