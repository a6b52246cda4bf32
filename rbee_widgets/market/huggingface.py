"""Hugging Face, or any hub that speaks its API, as a source of models.

It asks through huggingface_hub's own session, so that a user's proxies, certificates and offline
mode hold, and sends what `HfApi.list_models` sends. That method itself is of no use to somebody
who waits: without a limit of time, it repeats what fails five times, and sleeps through a rate
limit, which may be minutes, where the words for it should be shown.

Nothing of huggingface_hub is imported before the first question: it takes a second.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import parse_qsl, quote, urlsplit

from rbee_widgets.errors import quoted
from rbee_widgets.links import Target
from rbee_widgets.market.asking import (
    MAX_WAIT_S,
    Answer,
    Asker,
    raise_for_status,
    raise_for_trouble,
    rubbish,
)
from rbee_widgets.market.card import MAX_CARD, without_front_matter
from rbee_widgets.market.files import Listed, model_files
from rbee_widgets.market.source import (
    FORMATS,
    Details,
    ModelFile,
    ModelInfo,
    Order,
    Query,
    SourceError,
)
from rbee_widgets.market.told import count, digest, items, mapping, moment, words
from rbee_widgets.state import Type

PUBLIC_HUB: Final = "https://huggingface.co"
PAGE: Final = 50
MAX_FILES: Final = 200
"""Files of a model that are listed; the largest repositories of GGUF hold about a hundred."""

MAX_LISTED: Final = 10_000
"""Entries of a repository that are looked at."""

MAX_BARREN: Final = 10
"""Pages in a row without a model of the wanted size, before a search is given up."""

_SORTS: Final = {
    Order.TRENDING: "trendingScore",
    Order.DOWNLOADS: "downloads",
    Order.LIKES: "likes",
    Order.UPDATED: "lastModified",
    Order.NEWEST: "createdAt",
}
_FIELDS: Final = (
    *("author", "createdAt", "disabled", "downloads", "gated", "gguf", "lastModified"),
    *("likes", "pipeline_tag", "safetensors", "tags"),
)
_REPO: Final = re.compile(r"[\w.-]{1,96}/[\w.-]{1,96}", re.ASCII)
_PAGE: Final = re.compile(
    r"https?://(?P<host>[^/\s]+)/(?P<repo>[^/\s]+/[^/\s?#]+)(?P<rest>[/?#]\S*)?", re.IGNORECASE
)
_PUBLIC_HOSTS: Final = ("huggingface.co", "hf.co")
_FORMATS: Final = tuple(f".{ending}" for ending in FORMATS)
_BILLIONS: Final = re.compile(r"(\d{1,6}(?:\.\d{1,6})?)b(?![a-z])")
"""rbee's own guess of a size, but that `4bit` is none."""

_TRUE: Final = frozenset({"1", "on", "yes", "true"})


class HuggingFace:
    """The hub of `HF_ENDPOINT`, looked up at each question as `HF_TOKEN` and the others are."""

    name = "huggingface"
    title = "Hugging Face"
    filters = frozenset({"format", "task", "library", "language", "license", "least", "most"})
    orders = tuple(Order)

    def has_page(self, url: str) -> bool:
        """Whether a URL is the page of a model, or of one of its files, and not a file itself."""
        page = _PAGE.fullmatch(url.strip())
        hosts = {_host(os.environ.get("HF_ENDPOINT", "")), *_PUBLIC_HOSTS}
        return page is not None and page["host"].lower() in hosts and not _is_file(page)

    def search(self, query: Query) -> Iterator[ModelInfo]:
        """Give what is found, page by page as it is asked for; a repository's very name first.

        Raises
        ------
        SourceError
            The hub can't be asked, or answers nonsense; also while iterating.

        """
        seen = set()
        for model in self._found(query):
            if model.id not in seen:  # the pages of a hub shift while one reads them
                seen.add(model.id)
                yield model

    def details(self, model: str) -> Details:
        """Tell a model's files.

        Raises
        ------
        SourceError
            As above, or the hub knows no such model.

        """
        hub = _Hub.now()
        about = mapping(hub.json(f"/api/models/{_repo(model)}", {"blobs": "true"}, model))
        if not isinstance(about.get("siblings"), list):
            raise rubbish(hub.who, "a model without files")
        siblings = [mapping(entry) for entry in items(about["siblings"], MAX_LISTED)]
        files = model_files(hub.listed(model, entry) for entry in siblings)
        gate = hub.gate(model, about.get("gated"))
        return Details(
            files=tuple(files[:MAX_FILES]),
            license=_license(about),
            gate=None if gate and hub.lets_in(model) else gate,
            more=max(len(files) - MAX_FILES, 0),
        )

    def card(self, model: str) -> str:
        """Give the model card as Markdown, without its front matter; empty where there is none.

        Raises
        ------
        SourceError
            As above.

        """
        hub = _Hub.now()
        answer = hub.ask(f"/{_repo(model)}/resolve/main/README.md", limit=MAX_CARD, is_cut=True)
        if answer.status == 404 and answer.headers.get("x-error-code") != "RepoNotFound":
            return ""
        hub.judge(answer, model)
        return without_front_matter(answer.body.decode(errors="replace"))

    def headers(self, file: ModelFile) -> dict[str, str]:
        """Give the token, to the hub alone."""
        hub = _Hub.now()
        return hub.headers if (file.header_url or "").startswith(f"{hub.endpoint}/") else {}

    def _found(self, query: Query) -> Iterator[ModelInfo]:
        text = _repo_in(query.text)
        if _REPO.fullmatch(text):
            hub = _Hub.now()
            answer = hub.ask(f"/api/models/{text}", {"expand": list(_FIELDS)})
            raise_for_trouble(answer, hub.who, hub.reset(answer))
            if answer.status == 200 and (model := hub.model(answer.json(hub.who))):
                yield model
        params: dict[str, Any] | None = _params(query, text)
        barren = 0
        while params is not None and barren < MAX_BARREN:
            hub = _Hub.now()
            answer = hub.ask("/api/models", params)
            hub.judge(answer, None)
            page = answer.json(hub.who)
            if not isinstance(page, list):
                raise rubbish(hub.who, "no list")
            models = [hub.model(entry) for entry in items(page, PAGE)]
            fit = [model for model in models if model and _is_of_size(model, query)]
            yield from fit
            barren = 0 if fit else barren + 1
            params = _following(answer) if page else None


@dataclass(frozen=True, slots=True)
class _Hub:
    """The hub as the environment names it now, and a way to ask it."""

    endpoint: str
    token: str | None
    asker: Asker

    @staticmethod
    def now() -> _Hub:
        """Read the environment.

        Raises
        ------
        SourceError
            It says that no hub must be asked.

        """
        endpoint = os.environ.get("HF_ENDPOINT", "").rstrip("/") or PUBLIC_HUB
        who = _host(endpoint) or endpoint
        offline = SourceError(
            f"HF_HUB_OFFLINE is set, so {who} is not asked; unset it, restart the kernel, and "
            "search again"
        )
        if os.environ.get("HF_HUB_OFFLINE", "").lower() in _TRUE:
            raise offline
        import httpx2  # noqa: PLC0415 (as the module says)
        from huggingface_hub import (  # noqa: PLC0415
            get_session,
            get_token,
            is_offline_mode,
        )

        if is_offline_mode():  # which was read when huggingface_hub was imported
            raise offline
        asker = Asker(
            client=get_session(),
            who=who,
            slow=httpx2.TimeoutException,
            # RuntimeError: another thread's failure has closed the session that all share.
            broken=(httpx2.HTTPError, httpx2.InvalidURL, OSError, RuntimeError),
            advice="see whether the network is up"
            + (" and HF_ENDPOINT is right" if endpoint != PUBLIC_HUB else ""),
        )
        return _Hub(endpoint, get_token(), asker)

    @property
    def who(self) -> str:
        return self.asker.who

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token}"} if self.token else {}

    def ask(self, path: str, params: Mapping[str, Any] | None = None, **options: Any) -> Answer:
        url = f"{self.endpoint}{path}"
        return self.asker.ask(url, params=params, headers=self.headers, **options)

    def json(self, path: str, params: Mapping[str, Any], model: str) -> Any:
        answer = self.ask(path, params)
        self.judge(answer, model)
        return answer.json(self.who)

    def judge(self, answer: Answer, model: str | None) -> None:
        """Raise for a refusal; `model` is what was asked for, None: a search."""
        raise_for_trouble(answer, self.who, self.reset(answer))
        page = f"{self.endpoint}/{model}"
        match answer.status:
            case 401 if self.token:
                # Of a repository that there isn't the hub says the same as of a private one.
                no_model = f", or there is no {model}" if model else ""
                raise SourceError(
                    f"{self.who} refuses your token (401){no_model}; see whether HF_TOKEN is still "
                    f"valid at {self.endpoint}/settings/tokens"
                )
            case 401 if model:
                raise SourceError(
                    f"There is no {model} at {self.who}, or it is private or gated: accept its "
                    f"licence at {page}, then set HF_TOKEN to a token that may read it"
                )
            case 401:
                raise SourceError(f"{self.who} lets nobody search without a token; set HF_TOKEN")
            case 403 if model:
                raise SourceError(
                    f"{model} is closed to your token (403): accept its licence at {page}"
                )
            case 404 if model:
                raise SourceError(
                    f"There is no {model} at {self.who}; see whether its name is right"
                )
            case 400:
                told = quoted(answer.headers.get("x-error-message", ""))
                raise SourceError(
                    f"{self.who} does not understand the search (400){': ' if told else ''}{told}; "
                    "leave out a filter, or another order may do"
                )
        raise_for_status(answer, self.who)

    @staticmethod
    def reset(answer: Answer) -> float | None:
        """Give the wait that the hub's own header tells, of a window that is used up."""
        # Public, by its docstring, but not by what a type checker asks for.
        from huggingface_hub.utils import parse_ratelimit_headers  # type: ignore[attr-defined] # noqa: PLC0415

        limit = parse_ratelimit_headers(answer.headers)
        if limit is None or limit.remaining:
            return None
        return min(float(limit.reset_in_seconds), MAX_WAIT_S)

    def model(self, entry: Any) -> ModelInfo | None:
        """Read what the API tells of a model; None: nothing that a hive could fetch."""
        told = mapping(entry)
        name = told.get("id")
        if not isinstance(name, str) or not _is_repo(name) or told.get("disabled") is True:
            return None
        totals = [count(mapping(told.get(kind)).get("total")) for kind in FORMATS]
        return ModelInfo(
            id=name,
            author=words(told.get("author")) or name.partition("/")[0],
            downloads=count(told.get("downloads")),
            likes=count(told.get("likes")),
            parameters=next(filter(None, totals), None),
            task=words(told.get("pipeline_tag")),
            license=_license(told),
            created_at=moment(told.get("createdAt")),
            updated_at=moment(told.get("lastModified")),
            gate=self.gate(name, told.get("gated")),
            url=f"{self.endpoint}/{name}",
        )

    def gate(self, model: str, told: Any) -> str | None:
        """Word what to do about a gate: `auto`, or `manual` where a person decides."""
        if not told:
            return None
        page = f"{self.endpoint}/{model}"
        first = (
            f"ask its authors at {page}" if told == "manual" else f"accept its licence at {page}"
        )
        if self.token:
            return f"Gated: {first}; your token then opens it"
        return f"Gated: {first}, then set HF_TOKEN to a token that may read it"

    def lets_in(self, model: str) -> bool:
        """Tell whether the token opens a gate; False where the hub doesn't say."""
        if not self.token:
            return False
        with suppress(SourceError):
            return self.ask(f"/api/models/{model}/auth-check").status == 200
        return False

    def listed(self, model: str, entry: Mapping[str, Any]) -> Listed:
        path, lfs = entry.get("rfilename"), mapping(entry.get("lfs"))
        path = path if isinstance(path, str) else ""
        size = count(lfs.get("size"))
        return Listed(
            path=path,
            target=Target(Type.MODEL, f"{model}:{path}"),
            url=f"{self.endpoint}/{model}/resolve/main/{quote(path, errors='replace')}",
            size=count(entry.get("size")) if size is None else size,
            sha256=digest(lfs.get("sha256")),
        )


def _host(url: str) -> str:
    try:
        return urlsplit(url).netloc
    except ValueError:  # a bracket too few
        return ""


def _params(query: Query, text: str) -> dict[str, Any]:
    wanted = [
        *filter(None, (query.format, query.library, query.language)),
        *([f"license:{query.license}"] if query.license else []),
    ]
    params: dict[str, Any] = {
        "filter": wanted,
        "pipeline_tag": query.task,
        "search": text,
        "sort": _SORTS[query.order],
        "limit": PAGE,
        "expand": list(_FIELDS),
    }
    return {key: value for key, value in params.items() if value}


def _following(answer: Answer) -> dict[str, Any] | None:
    """Read the next page's query.

    The rest of its URL is left alone: mirrors give that of the hub that they mirror, and the
    token is for none but the endpoint.
    """
    if answer.following is None:
        return None
    params: dict[str, list[str]] = {}
    with suppress(ValueError):
        for key, value in parse_qsl(urlsplit(answer.following).query, max_num_fields=100):
            params.setdefault(key, []).append(value)
    return params or None


def _is_of_size(model: ModelInfo, query: Query) -> bool:
    if query.least is None and query.most is None:
        return True
    if model.parameters is not None:
        billions = model.parameters / 1e9
    elif guess := _BILLIONS.search(model.id.lower()):
        billions = float(guess[1])
    else:
        return True
    return (query.least or 0) <= billions <= (query.most or float("inf"))


def _license(about: Mapping[str, Any]) -> str | None:
    tags = (tag for tag in items(about.get("tags"), MAX_LISTED) if isinstance(tag, str))
    found = next((tag for tag in tags if tag.startswith("license:")), "")
    return words(found.removeprefix("license:"))


def _repo_in(text: str) -> str:
    """Give what is looked for: of a model's page, the name in its URL."""
    text = " ".join(text.split())
    page = _PAGE.fullmatch(text)
    return page["repo"] if page else text


def _is_file(page: re.Match[str]) -> bool:
    rest = page["rest"] or ""
    is_name = not rest.startswith("/") and page["repo"].lower().endswith(_FORMATS)
    return is_name or rest.startswith("/resolve/")


def _is_repo(name: str) -> bool:
    return _REPO.fullmatch(name) is not None and not any(
        part in {".", ".."} for part in name.split("/")
    )


def _repo(model: str) -> str:
    if not _is_repo(model):
        raise SourceError(f"Expected a model such as org/repo, got {quoted(model)[:80]!r}")
    return model
