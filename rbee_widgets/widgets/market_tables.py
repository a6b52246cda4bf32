"""Results of a marketplace as static tables: for pages without a kernel, and as text."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from rbee_widgets import tables
from rbee_widgets.market.fit import Verdict
from rbee_widgets.market.source import ModelInfo
from rbee_widgets.text import size

MAX_FILES: Final = 30
"""Files of a model that are worded."""

_BILLION: Final = 1_000_000_000

_WORDS: Final = {
    Verdict.GPU: "fits the GPU",
    Verdict.OFFLOAD: "fits with CPU offload",
    Verdict.NO: "does not fit",
    Verdict.UNKNOWN: "fit unknown",
}

Told = Mapping[str, Any]


def html(told: Told) -> str:
    """Word a market's state, as the front end knows it, as it was at its `at` (Unix seconds)."""
    state = told["set"]
    heading = f"Models, as of {tables.moment(state['at'])} {tables.zone(state['at'])}"
    models = told["append"][: tables.MAX_ROWS]
    if not models:
        return f'<div data-live="no"><p><strong>{heading}</strong></p><p>{_none(state)}</p></div>'
    table = tables.html(
        {
            "Model": [tables.link(model["id"]) for model in models],
            "Parameters": [_parameters(model["parameters"]) for model in models],
            "Downloads": [_count(model["downloads"]) for model in models],
            "Licence": [tables.words(model["license"]) for model in models],
        }
    )
    files = "".join(
        _files(model["id"], told["files"][model["id"]], state)
        for model in models
        if told["files"].get(model["id"], {}).get("state") == "there"
    )
    return f'<div data-live="no"><p><strong>{heading}</strong></p>{table}{files}</div>'


def _none(state: Told) -> str:
    if state["trouble"]:
        return tables.words(state["trouble"]["text"])
    return "No models." if state["asked"] == state["query"]["n"] else "Not searched yet."


def _files(model: str, told: Told, state: Told) -> str:
    files = told["files"][:MAX_FILES]
    tokens = state["contexts"][state["context"]]
    hive = (state["hive"] and state["hive"]["id"]) or "no hive"
    table = tables.html(
        {
            "File": [tables.link(file["id"], file["path"]) for file in files],
            "Size": [tables.whole(size(file["size"])) if file["size"] else "" for file in files],
            f"On {tables.words(hive)}, {tokens // 1024}k tokens": [
                _fit(file, state) for file in files
            ],
        }
    )
    return f"<p><strong>{tables.words(model)}</strong></p>{table}"


def _fit(file: Told, state: Told) -> str:
    fit = file["fit"]
    words = _WORDS[fit["verdicts"][state["context"]]] if fit else ""
    return f"{words}, installed" if file["installed"] and words else words


def text(models: Iterable[ModelInfo]) -> str:
    """Word results as a table of text."""
    shown = list(models)[: tables.MAX_ROWS]
    if not shown:
        return "No models."
    return tables.text(
        {
            "MODEL": [tables.line(model.id) for model in shown],
            "PARAMETERS": [_parameters(model.parameters) for model in shown],
            "DOWNLOADS": [_count(model.downloads) for model in shown],
            "LICENCE": [tables.line(model.license) for model in shown],
        }
    )


def _parameters(number: int | None) -> str:
    """Word a model's size as people name it: `135M`, `7.6B`."""
    if number is None:
        return ""
    return f"{number / 1e9:.1f}B" if number >= _BILLION else f"{number / 1e6:.0f}M"


def _count(number: int | None) -> str:
    """Word how many there are: `950`, `12k`, `3.4M`."""
    if number is None:
        return ""
    for unit, name in ((1_000_000, "M"), (1000, "k")):
        if number >= unit:
            return f"{number / unit:.3g}{name}"
    return str(number)
