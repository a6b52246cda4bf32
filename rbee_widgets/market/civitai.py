"""CivitAI as a source of image models: checkpoints and LoRAs.

rbee's own marketplace asks for the base models that its image worker runs as well; which those
are no document of ours lists, so none are asked for here, and a result may be one that it can't
run. What the site marks as not for everybody's eyes is left out.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final
from urllib.parse import urlsplit

from rbee_widgets.errors import quoted
from rbee_widgets.links import Target
from rbee_widgets.market.asking import Asker, raise_for_status, rubbish
from rbee_widgets.market.card import MAX_CARD
from rbee_widgets.market.files import family, quantisation
from rbee_widgets.market.source import Details, ModelFile, ModelInfo, Order, Query, SourceError
from rbee_widgets.market.told import count, digest, items, mapping, moment, words
from rbee_widgets.state import Type

ENDPOINT: Final = "https://civitai.com"
PAGE: Final = 50
MAX_FILES: Final = 200
_TYPES: Final = ("Checkpoint", "LORA")
_SORTS: Final = {
    Order.TRENDING: {"sort": "Most Downloaded", "period": "Week"},
    Order.DOWNLOADS: {"sort": "Most Downloaded", "period": "AllTime"},
    Order.LIKES: {"sort": "Highest Rated", "period": "AllTime"},
    Order.NEWEST: {"sort": "Newest", "period": "AllTime"},
}


class CivitAI:
    """The site, or another that speaks its API at `endpoint`; an id is the model's number."""

    name = "civitai"
    title = "CivitAI"
    filters: frozenset[str] = frozenset()
    orders = tuple(_SORTS)

    def __init__(self, endpoint: str = ENDPOINT) -> None:
        self._endpoint = endpoint.rstrip("/")
        self._who = urlsplit(endpoint).netloc

    def has_page(self, url: str) -> bool:  # noqa: ARG002 (the same for all)
        """Tell that none is: they are found by words alone."""
        return False

    def search(self, query: Query) -> Iterator[ModelInfo]:
        """Give what is found, page by page.

        Raises
        ------
        SourceError
            The site can't be asked, or answers nonsense; also while iterating.

        """
        params: dict[str, Any] = {
            "types": list(_TYPES),
            "nsfw": "false",
            "limit": PAGE,
            **({"query": text} if (text := query.text.strip()) else {}),
            **_SORTS.get(query.order, _SORTS[Order.TRENDING]),
        }
        while True:
            page = mapping(self._ask("/api/v1/models", params))
            if not isinstance(page.get("items"), list):
                raise rubbish(self._who, "no list")
            for entry in items(page["items"], PAGE):
                if model := self._model(mapping(entry)):
                    yield model
            cursor = mapping(page.get("metadata")).get("nextCursor")
            if not isinstance(cursor, str | int) or cursor == params.get("cursor"):
                return
            params = {**params, "cursor": str(cursor)[:1000]}

    def details(self, model: str) -> Details:
        """Tell the files of all versions, the newest version's first.

        Raises
        ------
        SourceError
            As above, or the site knows no such model.

        """
        told = self._one(model)
        versions = [mapping(entry) for entry in items(told.get("modelVersions"), MAX_FILES)]
        files = [
            found
            for version in versions
            for entry in items(version.get("files"), MAX_FILES)
            if (found := self._file(version, mapping(entry)))
        ]
        is_early = any(version.get("availability") == "EarlyAccess" for version in versions)
        return Details(
            files=tuple(files[:MAX_FILES]),
            gate=self._gate(model) if is_early else None,
            more=max(len(files) - MAX_FILES, 0),
        )

    def card(self, model: str) -> str:
        """Give the model's description; it is HTML, which Markdown may hold.

        Raises
        ------
        SourceError
            As above.

        """
        description = self._one(model).get("description")
        return description[:MAX_CARD] if isinstance(description, str) else ""

    def headers(self, file: ModelFile) -> dict[str, str]:  # noqa: ARG002 (the same for all)
        """Give nothing: its files have no GGUF header."""
        return {}

    def _one(self, model: str) -> Mapping[str, Any]:
        if not re.fullmatch("[0-9]{1,15}", model):
            raise SourceError(f"Expected the number of a model, got {quoted(model)[:80]!r}")
        told = mapping(self._ask(f"/api/v1/models/{model}", {}, model))
        if not isinstance(told.get("modelVersions"), list):
            raise rubbish(self._who, "a model without versions")
        return told

    def _ask(self, path: str, params: Mapping[str, Any], model: str | None = None) -> Any:
        import httpx  # noqa: PLC0415 (half a second, for whoever switches this source on)

        key = os.environ.get("CIVITAI_API_KEY")
        with httpx.Client() as client:
            answer = Asker(
                client,
                self._who,
                httpx.TimeoutException,
                (httpx.HTTPError, httpx.InvalidURL, OSError),
                "see whether the network is up",
            ).ask(
                f"{self._endpoint}{path}",
                params=params,
                headers={"Authorization": f"Bearer {key}"} if key else {},
            )
        if answer.status in {401, 403}:
            way = "see whether CIVITAI_API_KEY is valid" if key else "set CIVITAI_API_KEY"
            raise SourceError(f"{self._who} refuses the question ({answer.status}); {way}")
        if answer.status == 404 and model:
            raise SourceError(f"There is no model {model} at {self._who}")
        raise_for_status(answer, self._who)
        return answer.json(self._who)

    def _model(self, told: Mapping[str, Any]) -> ModelInfo | None:
        number = count(told.get("id"))
        if number is None or told.get("nsfw") is True or told.get("type") not in _TYPES:
            return None
        stats = mapping(told.get("stats"))
        versions = [mapping(entry) for entry in items(told.get("modelVersions"), MAX_FILES)]
        moments = [at for entry in versions if (at := moment(entry.get("publishedAt")))]
        is_early = bool(versions) and versions[0].get("availability") == "EarlyAccess"
        return ModelInfo(
            id=str(number),
            author=words(mapping(told.get("creator")).get("username")) or "",
            title=words(told.get("name")),
            downloads=count(stats.get("downloadCount")),
            likes=count(stats.get("thumbsUpCount")),
            task=words(told.get("type")),
            created_at=min(moments, default=None),
            updated_at=max(moments, default=None),
            gate=self._gate(str(number)) if is_early else None,
            url=f"{self._endpoint}/models/{number}",
        )

    def _gate(self, model: str) -> str:
        page = f"{self._endpoint}/models/{model}"
        return f"Early access: its author lets only some fetch the newest version yet, see {page}"

    def _file(self, version: Mapping[str, Any], told: Mapping[str, Any]) -> ModelFile | None:
        url, name = told.get("downloadUrl"), words(told.get("name"))
        if not name or not isinstance(url, str) or not self._is_ours(url):
            return None
        if told.get("type") not in {"Model", "Pruned Model"}:
            return None
        sha256 = digest(mapping(told.get("hashes")).get("SHA256"))
        kilobytes: Any = told.get("sizeKB")
        is_size = isinstance(kilobytes, int | float) and 0 <= kilobytes <= 10**12
        path = f"{words(version.get('name')) or version.get('id')}/{name}"
        return ModelFile(
            target=Target(Type.MODEL, url, sha256),
            path=path,
            size=round(kilobytes * 1024) if is_size else None,
            quantisation=quantisation(name),
            family=family(path),
            sha256=sha256,
        )

    def _is_ours(self, url: str) -> bool:
        return url.startswith(f"{self._endpoint}/") and url.isprintable() and len(url) < 2048
