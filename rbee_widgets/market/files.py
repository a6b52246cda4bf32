"""Which files of a repository are models, as their names tell. Pure.

Names are all there is before a header is read. They follow llama.cpp's file types, with what
Unsloth (`UD-Q4_K_XL`), ik_llama.cpp (`IQ4_KSS`, `Q8_0_R8`) and diffusion models (`fp8_e4m3fn`)
added; nobody enforces any of it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from rbee_widgets.links import MAX_NAME, Target
from rbee_widgets.market.source import ModelFile

_QUANTISATION: Final = re.compile(
    r"(?<![a-z0-9])(?:ud[-_])?(?:"
    r"i?q[1-8][-_]k(?:[-_](?:xxs|xs|s|m|l|xl|xxl))?(?:_r[48])?"
    r"|i?q[1-8][-_](?:xxs|xs|s|m|l|nl|kss|ks|kl|kt)(?:_r[48])?"
    r"|q[1-8]_[01](?:_4_4|_4_8|_8_8|_r[48]|_xl)?"
    r"|tq[12]_0"
    r"|mxfp4(?:_moe)?|nvfp4|fp8(?:_e[45]m[23](?:fn)?)?|bf16|fp?16|fp?32"
    r")(?![a-z0-9])",
    re.IGNORECASE,
)
_ROUGH: Final = re.compile(r"(?<![a-z0-9])q[2-8]$", re.IGNORECASE)
"""`-q4` at the end of a name, as in Microsoft's own files: better than nothing."""

_PART: Final = re.compile(r"-(\d{5})-of-(\d{5})$")
_NO_MODEL: Final = re.compile(
    r"mmproj|imatrix"  # a projector beside its model, what a quantisation was weighed with
    r"|^mtp-|^ggml-vocab-"  # the head of speculative decoding, a tokenizer alone
    r"|(?<![a-z0-9])adapters?(?![a-z0-9])"
    r"|(?<![a-z0-9])lora(?![a-z0-9])(?!.*merged)",
    re.IGNORECASE,
)
_FORMATS: Final = (".gguf", ".safetensors")
_PIPELINE: Final = "model_index.json"
"""Its presence says that the files in folders are parts of one pipeline: none runs alone."""


@dataclass(frozen=True, slots=True)
class Listed:
    """A file as a source lists it."""

    path: str
    """Its name within the model, folders included."""
    target: Target
    """What a hive is asked for."""
    url: str
    """Where its bytes are."""
    size: int | None = None
    """In bytes; None: not told."""
    sha256: str | None = None


def quantisation(path: str) -> str | None:
    """Tell the quantisation that a name tells: the last in the file's, else in its folders'."""
    *folders, name = path.split("/")
    stem = _PART.sub("", _stem(name))
    for text in (stem, *reversed(folders)):
        if found := _last(text):
            return found[0].upper().replace("-", "_").replace("UD_", "UD-")
    rough = _ROUGH.search(stem)
    return rough[0].upper() if rough else None


def family(path: str) -> str:
    """Give a name without format, part and quantisation.

    A folder that tells no more than quantisation and name, as those of split files do, is left out.
    """
    *folders, name = path.split("/")
    plain = _without_quantisation(_PART.sub("", _stem(name)))
    kept = [_without_quantisation(folder) for folder in folders]
    return "/".join([*(folder for folder in kept if folder not in {"", plain}), plain])


def _without_quantisation(text: str) -> str:
    found = _last(text) or _ROUGH.search(text)
    if not found:
        return text
    before, after = text[: found.start()], text[found.end() :]
    # What a name says beside it, `-imat` or `_v2`, tells files of one model apart.
    return f"{before.rstrip('-_. ')}{after}"


def model_files(listed: Iterable[Listed]) -> list[ModelFile]:
    """Give what can be installed, GGUF first, the smallest first; of unknown size last.

    The parts of a split file are one, under its first part's name; a set that lacks a part is
    left out: it would not load. So are projectors, importance matrices, adapters, and the files
    of a pipeline.
    """
    files = [file for file in listed if _is_fit(file.path)]
    is_pipeline = any(file.path == _PIPELINE for file in files)
    sets: dict[tuple[str, int], dict[int, Listed]] = {}
    for file in files:
        lowered = file.path.lower()
        if not lowered.endswith(_FORMATS) or _NO_MODEL.search(file.path.rpartition("/")[2]):
            continue
        if is_pipeline and "/" in file.path:
            continue
        stem, ending = _stem(file.path), lowered.rpartition(".")[2]
        part = _PART.search(stem)
        number, total = (int(part[1]), int(part[2])) if part else (1, 1)
        key = (f"{_PART.sub('', stem) if part else stem}.{ending}", total)
        sets.setdefault(key, {})[number] = file
    found = [_model_file(parts) for (_, total), parts in sets.items() if _is_whole(parts, total)]
    return sorted(found, key=_rank)


def _is_fit(path: str) -> bool:
    return (
        0 < len(path) < MAX_NAME
        and path.isprintable()
        and not any(part in {"", ".", ".."} for part in path.split("/"))
    )


def _is_whole(parts: dict[int, Listed], total: int) -> bool:
    return len(parts) == total and min(parts) == 1 and max(parts) == total


def _model_file(parts: dict[int, Listed]) -> ModelFile:
    first = parts[1]
    sizes = [part.size for part in parts.values()]
    known = [size for size in sizes if size is not None]
    return ModelFile(
        target=first.target,
        path=first.path,
        size=sum(known) if len(known) == len(sizes) else None,
        quantisation=quantisation(first.path),
        parts=len(parts),
        family=family(first.path),
        header_url=first.url if first.path.lower().endswith(".gguf") else None,
        sha256=first.sha256 if len(parts) == 1 else None,
    )


def _rank(file: ModelFile) -> tuple[bool, bool, int, str]:
    return (file.header_url is None, file.size is None, file.size or 0, file.path)


def _stem(name: str) -> str:
    return name[: -len(ending)] if (ending := _ending(name)) else name


def _ending(name: str) -> str:
    lowered = name.lower()
    return next((ending for ending in _FORMATS if lowered.endswith(ending)), "")


def _last(text: str) -> re.Match[str] | None:
    last = None
    for last in _QUANTISATION.finditer(text):  # noqa: B007 (what is left is the last)
        pass
    return last
