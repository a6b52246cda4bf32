"""The memory that models take, held against what published logs of llama.cpp printed."""

from __future__ import annotations

import statistics
from dataclasses import dataclass, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks import fit as benchmark
from benchmarks.child import ROOT
from benchmarks.fit import Case, Row, case_of, quantisation_in, read_rows, shape_in
from rbee_widgets.market.fit import (
    MARGIN,
    MIB,
    OVERHEAD,
    RAM_KEPT,
    Machine,
    Need,
    Run,
    Verdict,
    compute_bytes,
    judge,
    kv_bytes,
    need_of,
    tied,
)
from rbee_widgets.market.gguf import read
from rbee_widgets.market.shape import Figure, Shape, shape_of
from tests.support.gguf_header import LLAMA, header

GIB = 1 << 30
CASES = [case_of(row) for row in read_rows()]
ON_ONE_GPU = [case for case in CASES if case.is_on_one_gpu]
each_log = pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
each_on_one_gpu = pytest.mark.parametrize("case", ON_ONE_GPU, ids=lambda case: case.id)

LLAMA_8B = shape_of("llama", 128_256, LLAMA)
SIZE = 4_920_734_272
"""Of Llama 3.1 8B as Q4_K_M."""


def need(context: int = 8192, **changes: object) -> Need:
    asked = need_of(
        LLAMA_8B, SIZE, context=context, quantisation="Q4_K_M", parameters=8_030_261_248
    )
    return replace(asked, **changes)  # type: ignore[arg-type]


# -- accuracy -------------------------------------------------------------------------------------


def test_all_logs_of_one_gpu_are_there() -> None:
    assert (len(CASES), len(ON_ONE_GPU)) == (20, 13)


def test_the_median_of_the_totals_is_within_2_percent() -> None:
    assert statistics.median(abs(case.error) for case in ON_ONE_GPU) <= 0.02


@each_on_one_gpu
def test_no_total_is_more_than_10_percent_off(case: Case) -> None:
    assert abs(case.error) <= 0.10


@each_on_one_gpu
def test_the_margin_covers_what_is_missing(case: Case) -> None:
    """Else the constant's own words are wrong."""
    assert case.error > -MARGIN


@each_log
def test_the_cache_is_the_printed_one(case: Case) -> None:
    assert case.is_kv_exact


@each_on_one_gpu
@pytest.mark.parametrize("missing", [1, 100 * MIB])
def test_what_is_larger_than_a_gpu_never_fits_it(case: Case, missing: int) -> None:
    machine = Machine((case.printed - missing,), 1 << 40, is_shared=case.is_shared)
    assert judge(case.need, machine) is not Verdict.GPU


@each_on_one_gpu
def test_a_gpu_that_has_room_enough_is_not_refused(case: Case) -> None:
    memory = int(case.printed * 1.05) + GIB
    machine = Machine((memory,), 1 << 40, is_shared=case.is_shared)
    assert judge(case.need, machine) is Verdict.GPU


def test_a_formula_without_the_cache_would_be_found_out() -> None:
    """The gates can fail: with a term less the worst is beyond, by the rule of thumb the median."""
    worst = max(abs((case.predicted - case.need.kv) / case.printed - 1) for case in ON_ONE_GPU)
    rule = [abs(case.rule_error) for case in ON_ONE_GPU]
    assert worst > 0.10
    assert statistics.median(rule) > 0.02


@pytest.mark.parametrize("row", read_rows(), ids=lambda row: row["id"])
def test_a_header_with_a_log_s_figures_gives_the_same_shape(row: Row) -> None:
    keys = {key: row[name] or 0 for key, name in benchmark._KEYS.items()}
    architecture = str(row["arch"])
    data = header(architecture, keys, tokens=1000)
    tokens = data.index(b"tokenizer.ggml.tokens") + len("tokenizer.ggml.tokens")
    found = read(data[: tokens + 4 + 4 + 8], "model.gguf")  # their type and number, and no token
    assert isinstance(found, Shape)
    assert found == replace(shape_in(row), vocabulary=1000)


def test_the_page_has_the_tables_that_are_computed(capsys: pytest.CaptureFixture[str]) -> None:
    benchmark.main()
    page = (ROOT / "docs" / "fit.md").read_text()
    for table in capsys.readouterr().out.strip().split("\n\n"):
        assert table in page, "paste what python -m benchmarks.fit prints into docs/fit.md"


# -- caches of other logs, found after the formula was written ------------------------------------


def layered(architecture: str, layers: int, **keys: Figure) -> Shape:
    told = {key.replace("__", "."): value for key, value in keys.items()}
    sized = {"block_count": layers, "embedding_length": 4096, "attention.head_count": 32} | told
    return shape_of(architecture, 100_000, sized)


def mib(amount: float) -> float:
    return round(amount / MIB, 2)


def test_latent_attention_keeps_one_vector_for_keys_and_values() -> None:
    """DeepSeek R1 with 32,768 cells of Q8_0: ikawrakow/ik_llama.cpp pull request 259."""
    r1 = layered(
        "deepseek2",
        61,
        attention__head_count_kv=1,
        attention__key_length=512 + 64,
        attention__value_length=512,
        attention__key_length_mla=192,
        attention__value_length_mla=128,
    )
    assert mib(kv_bytes(r1, 32768, Run(keys="Q8_0"))) == 1166.62


def test_without_the_lengths_of_its_heads_latent_attention_keeps_everything() -> None:
    """DeepSeek R1 as converted before April 2025: 61 x (24,576 + 16,384) elements a cell."""
    r1 = layered(
        "deepseek2",
        61,
        attention__head_count=128,
        attention__head_count_kv=128,
        attention__key_length=192,
        attention__value_length=128,
    )
    assert kv_bytes(r1, 1024) == 1024 * 61 * (24_576 + 16_384) * 2


def test_windows_keep_what_gpt_oss_prints_with_a_batch_of_2048() -> None:
    """Notes of a run on an Apple M5: 3072 and 54 MiB, and 1672.08 MiB to compute."""
    (row,) = (row for row in read_rows() if row["arch"] == "gpt-oss")
    run = Run(batch=2048)
    assert mib(kv_bytes(shape_in(row), 131072, run)) == 3072 + 54
    assert compute_bytes(shape_in(row), 131072, run) == pytest.approx(1672.08 * MIB, rel=1e-3)


def test_windows_of_laguna_begin_after_a_full_layer() -> None:
    """A million cells of Q4_0: 13824 MiB in 12 layers, 40.5 in 36 of 1024 cells."""
    laguna = layered(
        "laguna",
        48,
        attention__head_count_kv=8,
        attention__key_length=128,
        attention__value_length=128,
        attention__sliding_window=512,
    )
    run = Run(keys="Q4_0", values="Q4_0")
    assert mib(kv_bytes(laguna, 1 << 20, run)) == 13824 + 40.5


def test_slots_share_cells_but_each_has_a_window() -> None:
    """Gemma 4 12B, 8192 cells of Q8_0, 4 slots: 68 MiB in 8 layers, 765 in 40 of 4608."""
    pattern = tuple(int(index % 6 != 5) for index in range(48))
    gemma = layered(
        "gemma4",
        48,
        attention__head_count_kv=tuple(8 if windowed else 1 for windowed in pattern),
        attention__key_length=512,
        attention__value_length=512,
        attention__key_length_swa=256,
        attention__value_length_swa=256,
        attention__sliding_window=1024,
        attention__sliding_window_pattern=pattern,
    )
    assert mib(kv_bytes(gemma, 8192, Run(slots=4, keys="Q8_0", values="Q8_0"))) == 68 + 765


def test_layers_that_share_a_cache_have_none() -> None:
    """Gemma 4 E4B, 32,768 cells: 512 MiB in 4 layers; 1280 in 20 that keep all, or a window.

    ggml-org/llama.cpp issue 21730 has 131,072 cells, and windows of 1024.
    """
    pattern = tuple(int(index % 6 != 5) for index in range(42))
    gemma = layered(
        "gemma4",
        42,
        attention__head_count_kv=2,
        attention__key_length=512,
        attention__value_length=512,
        attention__key_length_swa=256,
        attention__value_length_swa=256,
        attention__sliding_window=512,
        attention__sliding_window_pattern=pattern,
        attention__shared_kv_layers=18,
    )
    assert mib(kv_bytes(gemma, 32768, Run(is_window_full=True))) == 512 + 1280
    assert mib(kv_bytes(gemma, 131072)) == 2048 + 40


@pytest.mark.parametrize(("kind", "cache"), [("F16", 384), ("Q8_0", 204), ("Q4_0", 108)])
def test_hybrids_keep_a_state_and_few_caches(kind: str, cache: int) -> None:
    """A small Qwen 3.5, 32,768 cells in 6 of 24 layers, and 19.27 MiB of state."""
    hybrid = layered(
        "qwen35",
        24,
        attention__head_count_kv=2,
        attention__key_length=256,
        attention__value_length=256,
        full_attention_interval=4,
        ssm__conv_kernel=4,
        ssm__inner_size=2048,
        ssm__state_size=128,
        ssm__group_count=16,
    )
    assert mib(kv_bytes(hybrid, 32768, Run(keys=kind, values=kind))) == round(cache + 19.27, 2)


def test_the_embedding_of_a_file_is_the_printed_one() -> None:
    """DeepSeek R1's distillate into Qwen 32B: ggml-org/llama.cpp issue 11861."""
    qwen = layered(
        "qwen2",
        64,
        embedding_length=5120,
        feed_forward_length=27648,
        attention__head_count=40,
        attention__head_count_kv=8,
    )
    size = int((18508.35 + 417.66) * MIB)
    found = need_of(
        replace(qwen, vocabulary=152_064),
        size,
        context=16384,
        quantisation="Q4_K_M",
        parameters=32_763_876_352,
    )
    assert mib(found.host) == 417.66
    assert mib(found.weights) == 18508.35
    assert mib(found.kv) == 4096


@dataclass(frozen=True, slots=True)
class Printed:
    """A compute buffer, and what it was for."""

    mib: float
    shape: Shape
    context: int
    run: Run


def dense(
    layers: int, heads: int, cached: int, head: int, width: int, network: int, vocabulary: int
) -> Shape:
    return shape_of(
        "llama",
        vocabulary,
        {
            "block_count": layers,
            "embedding_length": width,
            "feed_forward_length": network,
            "attention.head_count": heads,
            "attention.head_count_kv": cached,
            "attention.key_length": head,
            "attention.value_length": head,
        },
    )


SCORED = Run(is_flash=False)
QWEN_4B = dense(36, 32, 8, 128, 2560, 9728, 151_936)
PRINTED = {
    "Llama 3.2 3B": Printed(408.01, dense(28, 24, 8, 128, 3072, 8192, 128_256), 131_072, Run()),
    "Qwen 3 0.6B": Printed(298.75, dense(28, 16, 8, 128, 1024, 3072, 151_936), 4096, SCORED),
    "Phi 3 mini": Printed(
        150.00, dense(32, 32, 32, 96, 3072, 8192, 32_064), 4096, Run(batch=256, is_flash=False)
    ),
    "Gemma 2 2B": Printed(
        252.25, dense(26, 8, 4, 256, 2304, 9216, 256_000), 8192, Run(batch=256, is_flash=False)
    ),
}
NEW = {
    "Qwen 3 4B": Printed(85.01, QWEN_4B, 8192, Run()),
    "Qwen 3.8 27B": Printed(314.02, dense(64, 24, 4, 256, 5120, 17408, 248_320), 196_608, Run()),
}
"""Of October 2026: neither are logits reserved for a whole batch, nor masks kept twice."""


@pytest.mark.parametrize("log", PRINTED.values(), ids=PRINTED)
def test_compute_buffers_of_other_logs_are_met(log: Printed) -> None:
    computed = compute_bytes(log.shape, log.context, log.run) / MIB
    assert computed == pytest.approx(log.mib, rel=0.05)


@pytest.mark.parametrize("log", NEW.values(), ids=NEW)
def test_compute_buffers_of_new_builds_are_no_larger(log: Printed) -> None:
    assert compute_bytes(log.shape, log.context, log.run) >= log.mib * MIB


def test_where_there_are_no_logits_the_network_decides() -> None:
    shape = replace(QWEN_4B, vocabulary=1)
    assert compute_bytes(shape, 8192) == pytest.approx(85.01 * MIB, rel=1e-3)


# -- weights --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("parameters", "expected"),
    [(8_030_261_248, False), (8_030_261_248 - 4096 * 128_256, True), (7_000_000_000, None)],
)
def test_a_parameter_count_tells_whether_the_embedding_is_tied(
    parameters: int, expected: bool | None
) -> None:
    assert tied(LLAMA_8B, parameters) is expected


def test_tensors_that_were_seen_tell_better() -> None:
    seen = replace(LLAMA_8B, is_tied=True, embedding_bytes=1000, per_layer_bytes=10)
    found = need_of(seen, SIZE, context=512, quantisation="F16", parameters=8_030_261_248)
    assert (found.weights, found.host) == (SIZE - 10, 1010)


def test_another_file_of_the_family_has_its_own_embedding() -> None:
    seen = replace(LLAMA_8B, is_tied=True, embedding_bytes=1000, quantisation="Q4_K_M", name="x")
    assert seen.of_family() == replace(LLAMA_8B, is_tied=True)


def test_what_cannot_be_told_is_on_the_safe_side() -> None:
    found = need_of(LLAMA_8B, SIZE, context=512)
    assert found.weights == SIZE


def test_experts_count_where_the_header_tells_their_width() -> None:
    """Qwen 3 30B A3B has an output of its own."""
    keys: dict[str, Figure] = {
        "block_count": 48,
        "embedding_length": 2048,
        "feed_forward_length": 6144,
        "attention.head_count": 32,
        "attention.head_count_kv": 4,
        "attention.key_length": 128,
        "attention.value_length": 128,
        "expert_count": 128,
    }
    parameters = 30_532_122_624
    assert tied(shape_of("qwen3moe", 151_936, keys), parameters) is None
    keys["expert_feed_forward_length"] = 768
    assert tied(shape_of("qwen3moe", 151_936, keys), parameters) is False
    keys |= {"expert_used_count": 16, "expert_shared_count": 1}
    assert shape_of("qwen3moe", 151_936, keys).feed_forward == 17 * 768


@pytest.mark.parametrize(
    ("name", "bits"),
    [
        ("Q4_K_M", 4.5),
        ("UD-Q4_K_XL", 4.5),
        ("Q3_K_L", 3.4375),
        ("Q2_K_S", 4.5),
        ("IQ2_XXS", 2.625),
        ("IQ3_M", 3.4375),
        ("IQ4_XS", 4.25),
        ("q8_0", 8.5),
        ("BF16", 16),
        ("MXFP4_MOE", 8.5),
    ],
)
def test_the_embedding_has_the_type_that_llama_cpp_chooses(name: str, bits: float) -> None:
    size = 20_000_000_000
    found = need_of(LLAMA_8B, size, context=512, quantisation=name, parameters=8_030_261_248)
    assert found.host == 128_256 * 4096 * bits / 8
    assert found.weights == size - found.host


def test_a_name_that_says_nothing_stands_for_the_mean() -> None:
    found = need_of(LLAMA_8B, SIZE, context=512, quantisation="IQ4_K", parameters=8_030_261_248)
    assert found.host == 128_256 * 4096 * SIZE // 8_030_261_248


def test_names_of_logs_become_those_of_files() -> None:
    names = {quantisation_in(row) for row in read_rows()}
    assert names >= {"Q4_K_M", "Q5_K_M", "Q6_K", "IQ4_XS", "MXFP4_MOE", "F16", "Q8_0", "Q4_0"}


def test_beyond_its_training_nothing_is_added() -> None:
    assert need(131072) == need(1 << 20)
    assert need(131072).kv > need(65536).kv


@given(st.integers(1, 1 << 20), st.integers(1, 1 << 20))
def test_more_context_never_takes_less(one: int, other: int) -> None:
    less, more = need(min(one, other)), need(max(one, other))
    assert less.total <= more.total
    assert less.weights == more.weights


# -- verdicts -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("gpus", "ram", "verdict"),
    [
        ((8 * GIB,), 16 * GIB, Verdict.GPU),
        ((6 * GIB,), 16 * GIB, Verdict.OFFLOAD),
        ((6 * GIB,), 4 * GIB, Verdict.OFFLOAD),
        ((2 * GIB,), 4 * GIB, Verdict.NO),
        ((), 16 * GIB, Verdict.OFFLOAD),
        ((), 7 * GIB, Verdict.NO),
        ((0,), 16 * GIB, Verdict.OFFLOAD),
        ((8 * GIB,), None, Verdict.GPU),
        ((6 * GIB,), None, Verdict.UNKNOWN),
        ((None,), 16 * GIB, Verdict.UNKNOWN),
        ((None, 8 * GIB), None, Verdict.GPU),
        ((), None, Verdict.UNKNOWN),
        ((4 * GIB,), 16 * GIB, Verdict.OFFLOAD),
        ((6 * GIB, 6 * GIB), 4 * GIB, Verdict.GPU),
        ((3 * GIB, 3 * GIB), 5 * GIB, Verdict.OFFLOAD),
    ],
)
def test_a_machine_is_judged(
    gpus: tuple[int | None, ...], ram: int | None, verdict: Verdict
) -> None:
    assert judge(need(), Machine(gpus, ram)) == verdict


def test_a_gpu_must_have_the_total_and_the_margin() -> None:
    asked = need()
    least = int(asked.total / (1 - MARGIN)) + 2
    assert judge(asked, Machine((least,), None)) is Verdict.GPU
    assert judge(asked, Machine((least - 4,), None)) is Verdict.UNKNOWN
    assert asked.total == asked.weights + asked.kv + asked.compute + OVERHEAD


def test_each_of_several_gpus_pays_for_itself() -> None:
    asked = need(weights=20 * GIB, size=20 * GIB)
    held = asked.weights + asked.kv
    fixed = asked.compute + asked.copies + OVERHEAD
    least = int(((held + asked.piece) / 2 + fixed) / (1 - MARGIN)) + 4
    assert judge(asked, Machine((least, least), 0)) is Verdict.GPU
    assert judge(asked, Machine((least - 8, least - 8), 0)) is Verdict.NO
    assert judge(asked, Machine((least, least, fixed // 2), 0)) is Verdict.GPU


def test_memory_that_is_shared_is_counted_once() -> None:
    asked = need()
    apart = Machine((4 * GIB,), 6 * GIB)
    together = replace(apart, is_shared=True)
    assert judge(asked, apart) is Verdict.OFFLOAD
    assert judge(asked, together) is Verdict.NO


def test_a_machine_without_gpu_leaves_ram_to_the_system() -> None:
    asked = need()
    least = asked.size + asked.kv + asked.compute + RAM_KEPT
    assert judge(asked, Machine((), least)) is Verdict.OFFLOAD
    assert judge(asked, Machine((), least - 1)) is Verdict.NO


@given(
    st.lists(st.none() | st.integers(0, 100 * GIB), max_size=4).map(tuple),
    st.none() | st.integers(0, 100 * GIB),
    st.integers(0, 20 * GIB),
    st.integers(1, 1 << 17),
)
def test_more_memory_is_never_worse(
    gpus: tuple[int | None, ...], ram: int | None, more: int, context: int
) -> None:
    ranks = [Verdict.NO, Verdict.OFFLOAD, Verdict.GPU]
    asked = need(context)
    before = judge(asked, Machine(gpus, ram))
    richer = tuple(None if memory is None else memory + more for memory in gpus)
    after = judge(asked, Machine(richer, None if ram is None else ram + more))
    if Verdict.UNKNOWN in {before, after}:
        assert before is Verdict.UNKNOWN
    else:
        assert ranks.index(after) >= ranks.index(before)
