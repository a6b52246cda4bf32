"""Compare what the marketplace computes with what published logs of llama.cpp printed.

    python -m benchmarks.fit      the tables of docs/fit.md

Of a log's line goes in what a hub and a GGUF header tell before a download, and how it was run;
what it printed of its buffers is what comes out of the formula, and is never put in.
"""

from __future__ import annotations

import json
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from benchmarks.child import ROOT
from rbee_widgets.market.fit import Need, Run, need_of
from rbee_widgets.market.shape import Figure, Shape, shape_of

LOGS: Final = ROOT / "tests" / "data" / "fit.jsonl"
RULE: Final = 1.2
"""The rule of thumb beside it: a file takes so much of its size."""

ROUNDING: Final = 5243
"""Bytes that a size in MiB with two decimals may be off."""

Row: TypeAlias = Mapping[str, Any]

_KEYS: Final = {
    "block_count": "n_layer",
    "embedding_length": "n_embd",
    "feed_forward_length": "n_ff",
    "attention.head_count": "n_head",
    "attention.head_count_kv": "n_head_kv",
    "attention.key_length": "head_dim_k",
    "attention.value_length": "head_dim_v",
    "attention.sliding_window": "n_swa",
    "expert_count": "n_expert",
}
_MIXTURES: Final = {"Small": "_S", "Medium": "_M", "Large": "_L", "MoE": "_MOE"}


@dataclass(frozen=True, slots=True)
class Case:
    """A log's line, and what is computed for it."""

    row: Row
    need: Need
    is_shared: bool
    """Whether the GPU's memory was the host's."""

    @property
    def id(self) -> str:
        """Its name."""
        return str(self.row["id"])

    @property
    def predicted(self) -> int:
        """Bytes of the GPU's buffers, as computed."""
        return self.need.buffers(is_shared=self.is_shared)

    @property
    def printed(self) -> int:
        """The same, as printed."""
        return int(self.row["gpu_total_bytes"])

    @property
    def error(self) -> float:
        """What is computed too much, as a part of what was printed."""
        return self.predicted / self.printed - 1

    @property
    def rule_error(self) -> float:
        """The same of the rule of thumb."""
        return RULE * int(self.row["file_bytes"]) / self.printed - 1

    @property
    def compute(self) -> int:
        """Bytes of each device's compute buffer, as computed; several hold copies as well."""
        return self.need.compute + (self.need.copies if self.row["n_gpu"] > 1 else 0)

    @property
    def is_kv_exact(self) -> bool:
        """Whether the cache is the printed one, to the last digit that was printed."""
        return abs(self.need.kv - int(self.row["kv_bytes"])) <= ROUNDING

    @property
    def is_on_one_gpu(self) -> bool:
        """Whether all of it was on one GPU."""
        return bool(self.row["full_offload"]) and self.row["n_gpu"] == 1


def read_rows() -> list[Row]:
    """Read the logs."""
    return [json.loads(line) for line in LOGS.read_text().splitlines()]


def shape_in(row: Row) -> Shape:
    """Give the figures that the file's header has."""
    keys: dict[str, Figure] = {key: row[field] or 0 for key, field in _KEYS.items()}
    return shape_of(str(row["arch"]), int(row["n_vocab"]), keys)


def quantisation_in(row: Row) -> str:
    """Give the quantisation as files are named for it: `Q4_K_M` of `Q4_K - Medium`."""
    kind, *rest = str(row["quant"]).replace(" - ", " ").split()
    return kind + _MIXTURES.get(rest[0] if rest else "", "")


def run_of(row: Row) -> Run:
    """Give how it was run; what isn't told is as it was before flash attention."""
    return Run(
        batch=row["n_ubatch"] or 512,
        slots=row["n_seq"] or 1,
        keys=row["kv_type_k"].upper(),
        values=row["kv_type_v"].upper(),
        is_flash=bool(row["flash_attn"]),
        is_window_full=row["engine"] == "ik_llama.cpp",
    )


def case_of(row: Row) -> Case:
    """Compute what a log's line tells."""
    need = need_of(
        shape_in(row),
        row["file_bytes"],
        context=row["n_ctx"],
        quantisation=quantisation_in(row),
        parameters=row["params"],
        run=run_of(row),
    )
    return Case(row, need, is_shared=row["backend"] == "metal")


def table(head: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    """Word a table, for Markdown."""
    rule = ["---", *(["---:"] * (len(head) - 1))]
    return "\n".join(f"| {' | '.join(line)} |" for line in (head, rule, *lines))


def _errors(errors: Sequence[float]) -> tuple[str, str]:
    worst = max(errors, key=abs)
    return f"{statistics.median(map(abs, errors)):.2%}", f"{worst:+.1%}"


def totals(cases: Sequence[Case]) -> str:
    """Word the totals of models that were on one GPU."""
    median, worst = _errors([case.error for case in cases])
    rule_median, rule_worst = _errors([case.rule_error for case in cases])
    return table(
        ["log", "computed, MB", "printed, MB", "error", "cache exact", "error of 1.2 x size"],
        [
            *(
                [
                    f"`{case.id}`",
                    f"{case.predicted / 1e6:.0f}",
                    f"{case.printed / 1e6:.0f}",
                    f"{case.error:+.2%}",
                    "yes" if case.is_kv_exact else "no",
                    f"{case.rule_error:+.1%}",
                ]
                for case in cases
            ),
            ["median, without sign", "", "", median, "", rule_median],
            ["worst", "", "", worst, "", rule_worst],
        ],
    )


def others(cases: Sequence[Case]) -> str:
    """Word cache and compute buffer, by device, of the models that were elsewhere."""
    return table(
        ["log", "device", "compute, computed MB", "printed, MB", "error", "cache exact"],
        [
            [
                f"`{case.id}`",
                device,
                f"{case.compute / 1e6:.0f}",
                f"{printed / 1e6:.0f}",
                f"{case.compute / printed - 1:+.1%}",
                "yes" if case.is_kv_exact else "no",
            ]
            for case in cases
            for device, printed in case.row["compute_bytes"].items()
            if not device.endswith("_Host") and (device != "CPU" or case.row["n_gpu"] == 0)
        ],
    )


def main() -> None:
    """Print the tables."""
    cases = [case_of(row) for row in read_rows()]
    print(totals([case for case in cases if case.is_on_one_gpu]))
    print()
    print(others([case for case in cases if not case.is_on_one_gpu]))


if __name__ == "__main__":
    main()
