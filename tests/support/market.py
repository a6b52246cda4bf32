"""A few hundred models of realistic metadata on the test hub, always the same for a seed.

    with Hub() as hub:
        fill(hub)
        ... search at hub.url ...

Names, shapes, licences and sizes are those of published models; who likes them and when they came
are made up. Files of many gigabytes cost nothing: their hashes are stated, and their GGUF headers
are written when they are read. Those of `TINY` are whole, and their hashes true.

As a process of its own: ``python -m tests.support.market --port 8900``.
"""

from __future__ import annotations

import argparse
import hashlib
import itertools
import random
import signal
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from typing import Final

from tests.support import gguf_models, market_cards
from tests.support.civitai import Civitai, fill_civitai
from tests.support.gguf_models import QUANTISATIONS, Base
from tests.support.hub import Hub
from tests.support.hub_repo import Metadata
from tests.support.market_bases import BASES
from tests.support.market_bases import TINY as TINY_BASE

TINY: Final = "rbee/tiny-llama-GGUF"
"""Its files are whole, of up to 4 MB: installing one is quick, and its hash holds."""

SMALL: Final = "bartowski/Llama-3.2-1B-Instruct-GGUF"
"""Fits nearly everywhere."""

SPLIT: Final = "bartowski/DeepSeek-R1-GGUF"
"""671 billion parameters, latent attention, files in up to 18 parts: fits nowhere."""

GATED: Final = "meta-llama/Llama-3.1-8B-Instruct-GGUF"
"""Its authors let people in by hand; `GATED_AUTO` lets in who agrees."""

GATED_AUTO: Final = "google/gemma-3-4b-it-GGUF"

SAFETENSORS: Final = "Qwen/Qwen3-8B"
"""Has no GGUF file."""

EMPTY: Final = "nobody/nothing-here"
"""Has no file, no card, no date worth the name and no tag."""

LIAR: Final = "liar/Llama-3.1-8B-Lies-GGUF"
"""The header of each of its files lies; see `lies`."""

HOSTILE_CARD: Final = "evil/hostile-card-GGUF"
"""A sound name; its card, its files' names, its licence and its task are hostile."""

HOSTILE: Final = (
    "evil/<script>globalThis.pwned='id'<script>GGUF",
    "evil/<img src=x onerror=globalThis.pwned='id'>-GGUF",
    "evil/\u202egpj.FUGG-b7\u202c-GGUF",
    f"evil/{'A-very-long-name-' * 40}GGUF",
    HOSTILE_CARD,
)

NOW: Final = 1_763_900_000
"""When the market was last looked at, in Unix seconds; nothing on it is newer."""

_DAY: Final = 86_400
_QUANTISERS: Final = (
    *("unsloth", "lmstudio-community", "mradermacher", "MaziyarPanahi", "QuantFactory"),
    *("ggml-org", "second-state", "tensorblock", "DevQuasar"),
)
_TUNERS: Final = {
    "NousResearch": "Hermes-3-{}",
    "cognitivecomputations": "Dolphin3.0-{}",
    "huihui-ai": "{}-abliterated",
    "TheDrummer": "Rocinante-{}-v1.1",
    "prithivMLmods": "{}-Reasoner",
    "Sao10K": "{}-Stheno-v3.2",
    "VAGOsolutions": "SauerkrautLM-{}",
    "LeoLM": "leo-{}-german",
}
_FEW: Final = ("Q3_K_M", "Q4_K_S", "Q4_K_M", "Q5_K_M", "Q6_K", "Q8_0")


def fill(hub: Hub, *, models: int = 300, light: int = 0, seed: int = 1) -> None:
    """Put `models` models on a hub, the special ones among them, and `light` with but one file."""
    chance = random.Random(seed)
    for repo in itertools.islice(_repos(chance), models - _add_specials(hub, chance)):
        repo.put(hub, chance)
    for number in range(light):
        base = BASES[number % len(BASES)]
        name = f"community/{base.name}-mix-{number:04}-GGUF"
        repo = _Repo(name, base, base.name, f"{base.org}/{base.name}", ("Q4_K_M",))
        repo.put(hub, chance, light=True)


# -- repos --------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Repo:
    """A repo to be: quantisations of a model, or without any the model itself."""

    name: str
    base: Base
    stem: str
    """How its files begin."""
    original: str
    quantisations: tuple[str, ...] = ()
    gated: bool = False

    def put(self, hub: Hub, chance: random.Random, *, light: bool = False) -> None:
        metadata = self.metadata(chance)
        if light:
            hub.add_repo(self.name, metadata)
            self._add_weights(hub)
            return
        files = self._add_weights(hub)
        data = metadata.card or {}
        if self.quantisations:
            card = market_cards.quantised(self.name, self.original, data, files)
            self._add_company(hub, chance)
        else:
            parameters = gguf_models.parameters(self.base)
            card = market_cards.original(self.name, data, parameters, self.base.context)
        hub.add(self.name, ".gitattributes", head=b"*.gguf filter=lfs -text\n", lfs=False)
        hub.add_repo(self.name, metadata, readme=card)

    def metadata(self, chance: random.Random) -> Metadata:
        base, parameters = self.base, gguf_models.parameters(self.base)
        quantised = bool(self.quantisations)
        downloads = min(int(chance.paretovariate(0.55) * 15), 9_000_000)
        created = NOW - int(chance.betavariate(1, 2) * 1000 * _DAY)
        library = "gguf" if quantised and chance.random() < 0.5 else "transformers"
        card: dict[str, object] = {
            "license": base.license,
            "language": list(base.languages),
            "pipeline_tag": base.task,
            "library_name": library,
            "base_model": self.original,
            "tags": ["conversational"],
        }
        relation = "quantized" if quantised else "finetune"
        tags = (
            library,
            "gguf" if quantised else "safetensors",
            base.arch,
            base.task,
            *base.languages,
            f"base_model:{self.original}",
            f"base_model:{relation}:{self.original}",
            f"license:{base.license}",
            "endpoints_compatible",
            "region:us",
            "conversational",
        )
        return Metadata(
            downloads=downloads,
            likes=int(downloads**0.6 * chance.uniform(0.2, 2)),
            trending=int(chance.paretovariate(0.9)) if chance.random() < 0.3 else 0,
            tags=tuple(dict.fromkeys(tags)),
            pipeline_tag=base.task,
            library_name=library,
            gated=("manual" if self.name == GATED else "auto") if self.gated else None,
            created_at=created,
            last_modified=created + int((NOW - created) * chance.random() ** 3),
            card=card,
            gguf={
                "total": parameters,
                "architecture": base.arch,
                "context_length": base.context,
                "bos_token": "<|begin_of_text|>",
                "eos_token": "<|end_of_text|>",
            }
            if quantised
            else None,
            safetensors=None
            if quantised
            else {"parameters": {"BF16": parameters}, "total": parameters},
        )

    def _add_weights(self, hub: Hub) -> list[tuple[str, str, int]]:
        """Put the files; give their names, quantisations and sizes, parts together."""
        if not self.quantisations:
            return self._add_safetensors(hub)
        files = []
        for quantisation in self.quantisations:
            sizes = gguf_models.sizes(self.base, quantisation)
            stem = f"{self.stem}-{quantisation}"
            for part, size in enumerate(sizes):
                path = f"{stem}.gguf"
                if len(sizes) > 1:
                    path = f"{stem}/{stem}-{part + 1:05}-of-{len(sizes):05}.gguf"
                head = partial(gguf_models.header, self.base, quantisation, part)
                self._add_large(hub, path, size, head)
            files.append((f"{stem}.gguf", quantisation, sum(sizes)))
        return files

    def _add_safetensors(self, hub: Hub) -> list[tuple[str, str, int]]:
        size = gguf_models.parameters(self.base) * 2
        count = -(-size // 5_000_000_000)
        for part in range(count):
            path = (
                f"model-{part + 1:05}-of-{count:05}.safetensors"
                if count > 1
                else "model.safetensors"
            )
            share = size // count
            self._add_large(hub, path, share, _safetensors_head)
        for name, text in {"config.json": b"{}\n", "tokenizer_config.json": b"{}\n"}.items():
            hub.add(self.name, name, head=text, lfs=False)
        return []

    def _add_company(self, hub: Hub, chance: random.Random) -> None:
        """Put what lies beside weights: an importance matrix, what makes a model see."""
        if chance.random() < 0.6:
            self._add_large(hub, f"{self.stem}.imatrix", 4_988_146, lambda: b"")
        if self.base.task == "image-text-to-text":
            for kind in ("F16", "BF16"):
                self._add_large(hub, f"mmproj-{kind}.gguf", 851_251_104, gguf_models.projector)

    def _add_large(self, hub: Hub, path: str, size: int, head: Callable[[], bytes]) -> None:
        stated = _stated(self.name, path)
        hub.add(self.name, path, size=size, seed=size % 97, head=head, sha256=stated)


def _safetensors_head() -> bytes:
    return struct.pack("<Q", 2) + b"{}"


def _repos(chance: random.Random) -> Iterator[_Repo]:
    """Give all repos that there may be: those of every model first, then by chance."""
    for base in BASES:
        original = f"{base.org}/{base.name}"
        yield _Repo(original, base, base.name, original, gated=base.gated)
        usual = _some(chance, base, 12)
        yield _Repo(f"bartowski/{base.name}-GGUF", base, base.name, original, usual)
    taken = set()
    while True:
        base = chance.choice(BASES)
        original = f"{base.org}/{base.name}"
        name = base.name
        quantisations: tuple[str, ...] = _FEW
        if chance.random() < 0.5:
            author = chance.choice(list(_TUNERS))
            name = _TUNERS[author].format(base.name)
            quantiser = chance.choice((author, "mradermacher", "QuantFactory", "bartowski"))
        else:
            quantiser = chance.choice(_QUANTISERS)
            quantisations = _some(chance, base, chance.randint(6, 12))
        repo = _Repo(f"{quantiser}/{name}-GGUF", base, name, original, quantisations)
        if repo.name not in taken:
            taken.add(repo.name)
            yield repo


def _some(chance: random.Random, base: Base, count: int) -> tuple[str, ...]:
    """Choose quantisations, the usual ones always; small models come whole as well."""
    usual = {"Q4_K_M", "Q8_0", "Q6_K", "Q5_K_M"}
    if gguf_models.parameters(base) < 20e9:
        usual.add("BF16")
    others = [name for name in QUANTISATIONS if name not in usual and name != "BF16"]
    chosen = usual | set(chance.sample(others, count - len(usual)))
    return tuple(name for name in QUANTISATIONS if name in chosen)


# -- special ones -------------------------------------------------------------------------------


def _add_specials(hub: Hub, chance: random.Random) -> int:
    """Put those that the constants name and chance doesn't bring; give their number."""
    _add_tiny(hub)
    by_name = {base.name: base for base in BASES}
    for name, base_name in {GATED: "Llama-3.1-8B-Instruct", GATED_AUTO: "gemma-3-4b-it"}.items():
        base = by_name[base_name]
        repo = _Repo(name, base, base.name, f"{base.org}/{base.name}", _FEW, gated=True)
        repo.put(hub, chance)
    hub.add_repo(EMPTY, Metadata(created_at=0, last_modified=0))
    about = Metadata(downloads=666, likes=6, trending=1, tags=("gguf",), library_name="gguf")
    hub.add_repo(LIAR, about, readme="# Trust me\n")
    for path, head in lies().items():
        hub.add(LIAR, path, size=4_920_000_000, head=head, sha256=_stated(LIAR, path))
    _add_hostile(hub, about)
    return 5 + len(HOSTILE)


def _add_tiny(hub: Hub) -> None:
    parameters = gguf_models.parameters(TINY_BASE)
    about = Metadata(
        downloads=4321,
        likes=56,
        trending=7,
        tags=("gguf", "llama", "en", "license:mit", "text-generation", "region:us"),
        pipeline_tag="text-generation",
        library_name="gguf",
        created_at=NOW - 90 * _DAY,
        last_modified=NOW - 3 * _DAY,
        card={"license": "mit", "language": ["en"]},
        gguf={"total": parameters, "architecture": "llama", "context_length": TINY_BASE.context},
    )
    files = []
    for quantisation in (*_FEW, "BF16"):
        path = f"tiny-llama-{quantisation}.gguf"
        [size] = gguf_models.sizes(TINY_BASE, quantisation)
        hub.add(TINY, path, size=size, head=gguf_models.header(TINY_BASE, quantisation))
        files.append((path, quantisation, size))
    readme = market_cards.quantised(TINY, "rbee/tiny-llama", about.card or {}, files)
    hub.add_repo(TINY, about, readme=readme)


def _add_hostile(hub: Hub, about: Metadata) -> None:
    script = "<script>globalThis.pwned='metadata'</script>"
    hostile = replace(
        about,
        downloads=2**53 + 1,
        tags=("gguf", script, f"license:{script}", "javascript:globalThis.pwned=1"),
        pipeline_tag=script,
        library_name=script,
        card={"license": script, "language": [script, "\u202ene"]},
    )
    names = (
        "<img src=x onerror=globalThis.pwned='file'>-Q4_K_M.gguf",
        "../../../../tmp/out-of-bounds-Q4_K_M.gguf",
        "javascript:globalThis.pwned='file'-Q8_0.gguf",
        "\u202efugg.Q4_K_M.gguf",
        "line\nbreak\x1b[31m-Q5_K_M.gguf",
        f"{'long-' * 200}Q6_K.gguf",
        "part-Q4_K_M-00001-of-99999.gguf",
        "part-Q8_0-00007-of-00003.gguf",
    )
    for name in HOSTILE:
        hub.add_repo(name, hostile, readme=market_cards.HOSTILE)
        for path in names:
            hub.add(name, path, size=1_000_000_000, sha256=_stated(name, path))


def _stated(repo: str, path: str) -> str:
    return hashlib.sha256(f"{repo}/{path}".encode()).hexdigest()


def lies() -> dict[str, bytes]:
    """Give the headers that lie, by the name of the file that begins with one."""
    huge, version = 2**60, 3
    start = b"GGUF" + struct.pack("<I", version)
    one_key = start + struct.pack("<QQ", 1, 1)
    key = struct.pack("<Q", 20) + b"general.architecture"
    text, array, number = 8, 9, 4
    nested = struct.pack("<IQ", array, 1) * 5000
    shape = struct.pack("<I4QIQ", 4, *[2**32] * 4, 2, 0)
    return {
        "text-Q4_K_M.gguf": one_key + key + struct.pack("<IQ", text, huge) + b"llama",
        "key-Q4_K_M.gguf": one_key + struct.pack("<Q", huge) + b"general",
        "keys-Q4_K_M.gguf": start + struct.pack("<QQ", 1, huge) + key,
        "tensors-Q4_K_M.gguf": start + struct.pack("<QQ", huge, 0),
        "array-Q4_K_M.gguf": one_key + key + struct.pack("<IIQ", array, number, huge),
        "nested-Q4_K_M.gguf": one_key + key + struct.pack("<I", array) + nested,
        "type-Q4_K_M.gguf": one_key + key + struct.pack("<I", 77),
        "shape-Q4_K_M.gguf": start + struct.pack("<QQ", 1, 0) + struct.pack("<Q", 1) + b"t" + shape,
        "dimensions-Q4_K_M.gguf": start + struct.pack("<QQQ", 1, 0, 1) + b"t" + b"\xff" * 4,
        "old-Q4_K_M.gguf": b"GGUF" + struct.pack("<III", 1, 1, 1),
        "future-Q4_K_M.gguf": b"GGUF" + struct.pack("<IQQ", 4000, 1, 1),
        "big-endian-Q4_K_M.gguf": b"GGUF" + struct.pack(">IQQ", version, 1, 1),
        "page-Q4_K_M.gguf": b"<!doctype html><title>Not a model</title>",
        "layers-Q4_K_M.gguf": _absurd(),
    }


def _absurd() -> bytes:
    """Give a header that is sound as a file and nonsense as a model."""
    texts = {"general.architecture": "llama", "general.name": "<script>pwned=1</script>" * 99}
    numbers = {"block_count": 2**32 - 1, "attention.head_count": 0, "embedding_length": 2**31}
    head = b"GGUF" + struct.pack("<IQQ", 3, 0, len(texts) + len(numbers))
    for key, value in texts.items():
        head += _text(key) + struct.pack("<I", 8) + _text(value)
    for key, number in numbers.items():
        head += _text(f"llama.{key}") + struct.pack("<II", 4, number)
    return head


def _text(text: str) -> bytes:
    return struct.pack("<Q", len(text)) + text.encode()


# -- a process of its own -----------------------------------------------------------------------


def main() -> None:
    """Serve until SIGTERM or SIGINT."""
    parser = argparse.ArgumentParser(prog="python -m tests.support.market")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--models", type=int, default=300)
    parser.add_argument("--light", type=int, default=0, help="models more, of one file each")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--rate", type=float, metavar="BYTES_PER_S", help="of the whole line")
    parser.add_argument("--token", action="append", default=[], help="opens gated repos")
    options = parser.parse_args()

    ends = {signal.SIGTERM, signal.SIGINT}
    signal.pthread_sigmask(signal.SIG_BLOCK, ends)  # before the thread starts: it inherits the mask
    hub = Hub(rate=options.rate, tokens=options.token, port=options.port)
    fill(hub, models=options.models, light=options.light, seed=options.seed)
    fill_civitai(Civitai(hub), seed=options.seed)
    with hub:
        print(f"listening on {hub.url}", flush=True)
        signal.sigwait(ends)


if __name__ == "__main__":
    main()
