"""A stand-in for CivitAI's public API, beside the test hub's own on the same server.

    with Hub() as hub:
        fill_civitai(Civitai(hub))
        ... search at f"{hub.url}/api/v1/models" ...

Faults, delays, rate and records are the hub's.
"""

from __future__ import annotations

import base64
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from tests.support.hub import Hub
from tests.support.hub_repo import Content

MOST_A_PAGE: Final = 100
DEEPEST: Final = 1000
"""Page times limit, beyond which the public API wants cursors."""

TYPES: Final = ("Checkpoint", "LORA", "TextualInversion", "VAE", "Controlnet", "Upscaler")
BASE_MODELS: Final = ("SD 1.5", "SDXL 1.0", "Flux.1 D", "Pony", "Illustrious")


@dataclass(frozen=True, slots=True)
class Release:
    """A version of a model; `size` is that of its one file, in bytes."""

    id: int
    name: str
    base_model: str
    size: int
    file: str
    at: float
    early_access: bool = False


@dataclass(frozen=True, slots=True)
class Model:
    id: int
    name: str
    creator: str
    type: str
    releases: tuple[Release, ...]
    """The newest first, as the API has them."""
    nsfw: bool = False
    downloads: int = 0
    likes: int = 0
    tags: tuple[str, ...] = ()
    description: str = "<p>A model.</p>"


_SORTS: Final[Mapping[str, Callable[[Model], float]]] = {
    "Highest Rated": lambda model: model.likes,
    "Most Downloaded": lambda model: model.downloads,
    "Newest": lambda model: model.releases[0].at,
}


class Civitai:
    """The API; its models are put with `add`."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub
        self._models: dict[int, Model] = {}
        self._contents: dict[int, Content] = {}
        hub.mount(
            [
                Route("/api/v1/models", self._list),
                Route("/api/v1/models/{id:int}", self._one),
                Route("/api/v1/model-versions/{id:int}", self._version),
                Route("/api/download/models/{id:int}", self._download),
            ]
        )

    def add(self, model: Model) -> None:
        """Put a model; small files have true hashes, those from 16 MB on stated ones."""
        self._models[model.id] = model
        for release in model.releases:
            head = (2).to_bytes(8, "little") + b"{}"
            stated = None if release.size < 16e6 else f"{release.id:064x}"
            self._contents[release.id] = Content(release.size, release.id, head, stated)
            self._hub.add_file(self._name(release), size=release.size, seed=release.id, head=head)

    @staticmethod
    def _name(release: Release) -> str:
        return f"civitai/{release.id}/{release.file}"

    # Answers

    async def _list(self, request: Request) -> Response:
        asked = request.query_params
        sort, limit = asked.get("sort", "Highest Rated"), asked.get("limit", str(MOST_A_PAGE))
        if sort not in _SORTS or not limit.isdecimal() or not 1 <= int(limit) <= MOST_A_PAGE:
            return _refused(400, "Invalid query parameters")
        if "page" in asked and "query" in asked:
            return _refused(
                400, "Cannot use page param with query search. Use cursor-based pagination."
            )
        found = sorted(filter(self._sieve(request), self._models.values()), key=_SORTS[sort])[::-1]
        length = int(limit)
        if "page" in asked:
            page = int(asked["page"])
            if page * length > DEEPEST:
                text = "You've requested too many pages, please use cursors instead"
                return _refused(429, text)
            start = (page - 1) * length
        else:
            start = _place(asked.get("cursor"))
        items = [self._told(model) for model in found[start : start + length]]
        metadata = self._metadata(request, start + length, len(found))
        return JSONResponse({"items": items, "metadata": metadata})

    def _sieve(self, request: Request) -> Callable[[Model], bool]:
        asked = request.query_params
        words = asked.get("query", "").lower().split()
        types, bases = _all(request, "types"), _all(request, "baseModels")
        adult = asked.get("nsfw", "false") == "true"

        def fits(model: Model) -> bool:
            text = " ".join((model.name, *model.tags)).lower()
            return (
                all(word in text for word in words)
                and (not types or model.type in types)
                and (not bases or any(release.base_model in bases for release in model.releases))
                and (adult or not model.nsfw)
                and asked.get("username", model.creator).lower() == model.creator.lower()
            )

        return fits

    def _metadata(self, request: Request, following: int, total: int) -> dict[str, object]:
        if following >= total:
            return {}
        pairs = [pair for pair in request.query_params.multi_items() if pair[0] != "cursor"]
        if "page" in request.query_params:
            page = int(request.query_params["page"])
            pairs = [pair for pair in pairs if pair[0] != "page"]
            query = urlencode([*pairs, ("page", page + 1)])
            told: dict[str, object] = {"currentPage": page, "totalItems": total}
        else:
            cursor = base64.urlsafe_b64encode(str(following).encode()).decode()
            query = urlencode([*pairs, ("cursor", cursor)])
            told = {"nextCursor": cursor}
        return told | {"nextPage": f"{self._hub.url}/api/v1/models?{query}"}

    async def _one(self, request: Request) -> Response:
        model = self._models.get(request.path_params["id"])
        if model is None:
            return _refused(404, f"No model with id {request.path_params['id']}")
        return JSONResponse(self._told(model))

    async def _version(self, request: Request) -> Response:
        for model in self._models.values():
            for release in model.releases:
                if release.id == request.path_params["id"]:
                    about = {"name": model.name, "type": model.type, "nsfw": model.nsfw}
                    told = self._told_release(release)
                    return JSONResponse({**told, "modelId": model.id, "model": about})
        return _refused(404, f"No model version with id {request.path_params['id']}")

    async def _download(self, request: Request) -> Response:
        """Redirect to where the bytes are, as the public site does to its signed addresses."""
        for model in self._models.values():
            for release in model.releases:
                if release.id == request.path_params["id"]:
                    if release.early_access and not self._knows(request):
                        return _refused(
                            401, "The creator of this asset requires you to be logged in"
                        )
                    return RedirectResponse(f"{self._hub.url}/files/{self._name(release)}", 307)
        return _refused(404, "File not found")

    def _knows(self, request: Request) -> bool:
        header = request.headers.get("authorization", "").removeprefix("Bearer ")
        return bool({header, request.query_params.get("token", "")} & self._hub.tokens)

    def _told(self, model: Model) -> dict[str, object]:
        return {
            "id": model.id,
            "name": model.name,
            "description": model.description,
            "allowNoCredit": True,
            "allowCommercialUse": ["Image"],
            "allowDerivatives": True,
            "allowDifferentLicense": False,
            "type": model.type,
            "minor": False,
            "poi": False,
            "nsfw": model.nsfw,
            "nsfwLevel": 31 if model.nsfw else 1,
            "stats": {
                "downloadCount": model.downloads,
                "thumbsUpCount": model.likes,
                "thumbsDownCount": model.likes // 100,
                "commentCount": 0,
                "tippedAmountCount": 0,
            },
            "creator": {"username": model.creator, "image": None},
            "tags": model.tags,
            "modelVersions": [
                {"index": index, **self._told_release(release)}
                for index, release in enumerate(model.releases)
            ],
        }

    def _told_release(self, release: Release) -> dict[str, object]:
        address = f"{self._hub.url}/api/download/models/{release.id}"
        at = datetime.fromtimestamp(release.at, UTC).isoformat(timespec="milliseconds")
        sha256 = self._contents[release.id].sha256.upper()
        file = {
            "id": release.id * 10,
            "sizeKB": release.size / 1024,
            "name": release.file,
            "type": "Model",
            "pickleScanResult": "Success",
            "virusScanResult": "Success",
            "metadata": {"format": "SafeTensor", "size": "pruned", "fp": "fp16"},
            "hashes": {"AutoV2": sha256[:10], "SHA256": sha256, "CRC32": sha256[-8:]},
            "downloadUrl": address,
            "primary": True,
        }
        return {
            "id": release.id,
            "name": release.name,
            "baseModel": release.base_model,
            "baseModelType": "Standard",
            "createdAt": at,
            "publishedAt": at,
            "updatedAt": at,
            "status": "Published",
            "availability": "EarlyAccess" if release.early_access else "Public",
            "nsfwLevel": 1,
            "description": None,
            "trainedWords": [],
            "stats": {"downloadCount": 0, "thumbsUpCount": 0},
            "files": [file],
            "images": [],
            "downloadUrl": address,
        }


def _all(request: Request, name: str) -> set[str]:
    """Give the values of a parameter, repeated or joined by commas."""
    texts = request.query_params.getlist(name)
    return {part.strip() for text in texts for part in text.split(",") if part.strip()}


def _place(cursor: str | None) -> int:
    return int(base64.urlsafe_b64decode(cursor)) if cursor else 0


def _refused(status: int, text: str) -> Response:
    return JSONResponse({"error": text}, status)


# -- its models ---------------------------------------------------------------------------------

TINY: Final = 900_001
"""The model with a file of 300 kB, so that installing it is quick; the hash is true."""
EARLY: Final = 900_002
"""The one whose file takes a token."""
HOSTILE: Final = 900_003

_MONDAY: Final = 1_763_900_000


def fill_civitai(civitai: Civitai, *, models: int = 120, seed: int = 1) -> None:
    """Put models of all kinds, the special ones among them; always the same for a seed."""
    chance = random.Random(seed)
    tiny = Release(1_900_001, "v1.0", "SD 1.5", 300_000, "tiny-style.safetensors", _MONDAY)
    early = Release(
        1_900_002, "v2", "Flux.1 D", 400_000, "early.safetensors", _MONDAY, early_access=True
    )
    script = "<script>globalThis.pwned='civitai'</script>"
    bad = Release(1_900_003, script, script, 1000, "<img src=x onerror=pwned=1>.safetensors", 0)
    civitai.add(Model(TINY, "Tiny Style", "rbee", "LORA", (tiny,), downloads=10**6, likes=10**5))
    civitai.add(Model(EARLY, "Early Bird", "rbee", "Checkpoint", (early,)))
    civitai.add(Model(HOSTILE, f"Evil {script}\u202e", script, "LORA", (bad,), description=script))
    for number in range(models - 3):
        civitai.add(_model(chance, number))


def _model(chance: random.Random, number: int) -> Model:
    kind = chance.choice(TYPES[:3])
    subject = chance.choice(("Realistic", "Anime", "Landscape", "Portrait", "Pixel", "Ink", "Neon"))
    name = f"{subject} {chance.choice(('Mix', 'Vision', 'Style', 'Dream', 'Diffusion'))} {number}"
    downloads = min(int(chance.paretovariate(0.6) * 50), 3_000_000)
    releases = []
    for version in range(chance.randint(1, 4), 0, -1):
        base = chance.choice(BASE_MODELS)
        large = 2_132_650_403 if base == "SD 1.5" else 6_938_040_682
        size = large if kind == "Checkpoint" else chance.randint(18_000_000, 230_000_000)
        file = f"{name.replace(' ', '')}_v{version}.safetensors"
        at = _MONDAY - (5 - version) * 3_000_000 - chance.randint(0, 2_000_000)
        releases.append(Release(number * 10 + version, f"v{version}.0", base, size, file, at))
    return Model(
        id=1000 + number,
        name=name,
        creator=chance.choice(("Merjic", "Lykon", "epinikion", "Zovya", "WAI0731")),
        type=kind,
        releases=tuple(releases),
        nsfw=chance.random() < 0.2,
        downloads=downloads,
        likes=downloads // chance.randint(8, 40),
        tags=(subject.lower(), "style", kind.lower()),
    )
