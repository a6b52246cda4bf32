"""Which files of a repository are models, and what their names tell."""

from __future__ import annotations

import time

import pytest

from rbee_widgets.links import Target
from rbee_widgets.market.files import Listed, family, model_files, quantisation
from rbee_widgets.state import Type


def listed(path: str, size: int | None = 1, sha256: str | None = None) -> Listed:
    target = Target(Type.MODEL, f"org/repo:{path}")
    return Listed(path, target, f"http://hub/{path}", size, sha256)


def paths(*names: str) -> list[str]:
    return [file.path for file in model_files(map(listed, names))]


@pytest.mark.parametrize(
    ("path", "told", "kin"),
    [
        ("Llama-3.2-3B-Instruct-Q4_K_M.gguf", "Q4_K_M", "Llama-3.2-3B-Instruct"),
        ("llama-2-7b-chat.Q2_K.gguf", "Q2_K", "llama-2-7b-chat"),
        ("mistral_7b_q5_k_s.gguf", "Q5_K_S", "mistral_7b"),
        ("model.i1-IQ2_XXS.gguf", "IQ2_XXS", "model.i1"),
        ("m-IQ4_NL.gguf", "IQ4_NL", "m"),
        ("m-IQ4_XS.gguf", "IQ4_XS", "m"),
        ("m-IQ1_S.gguf", "IQ1_S", "m"),
        ("m-IQ4_KSS.gguf", "IQ4_KSS", "m"),
        ("m-IQ3_K_R4.gguf", "IQ3_K_R4", "m"),
        ("m-Q8_0_R8.gguf", "Q8_0_R8", "m"),
        ("m-Q4_0_4_4.gguf", "Q4_0_4_4", "m"),
        ("m-Q4_0_8_8.gguf", "Q4_0_8_8", "m"),
        ("m-Q3_K_XL.gguf", "Q3_K_XL", "m"),
        ("m-UD-Q4_K_XL.gguf", "UD-Q4_K_XL", "m"),
        ("m-UD-IQ1_M.gguf", "UD-IQ1_M", "m"),
        ("UD-Q2_K_XL/m-UD-Q2_K_XL-00001-of-00002.gguf", "UD-Q2_K_XL", "m"),
        ("Q4_K_M/model-00001-of-00003.gguf", "Q4_K_M", "model"),
        ("BF16/m-BF16-00001-of-00002.gguf", "BF16", "m"),
        ("12B/m-Q6_K.gguf", "Q6_K", "12B/m"),
        ("gpt-oss-20b-mxfp4.gguf", "MXFP4", "gpt-oss-20b"),
        ("gpt-oss-20b-MXFP4_MOE.gguf", "MXFP4_MOE", "gpt-oss-20b"),
        ("bitnet-TQ1_0.gguf", "TQ1_0", "bitnet"),
        ("m-q4-k-m.gguf", "Q4_K_M", "m"),
        ("m-f16.Q5_1.GGUF", "Q5_1", "m-f16"),
        ("model-fp16.gguf", "FP16", "model"),
        ("m-Q4_K_M-imat.gguf", "Q4_K_M", "m-imat"),
        ("Phi-3-mini-4k-instruct-q4.gguf", "Q4", "Phi-3-mini-4k-instruct"),
        ("flux1-dev-fp8_e4m3fn.safetensors", "FP8_E4M3FN", "flux1-dev"),
        ("model.gguf", None, "model"),
        ("Qwen2.5-7B-Instruct.gguf", None, "Qwen2.5-7B-Instruct"),
        ("faq1_0-IQ.gguf", None, "faq1_0-IQ"),
        ("q4-2024.gguf", None, "q4-2024"),
    ],
)
def test_a_name_tells_its_quantisation_and_its_family(
    path: str, told: str | None, kin: str
) -> None:
    assert quantisation(path) == told
    assert family(path) == kin


def test_the_quantisations_of_one_model_are_one_family() -> None:
    names = ["m-Q8_0.gguf", "m-Q4_K_M.gguf", "BF16/m-BF16-00001-of-00001.gguf", "Q2_K/m.gguf"]
    names += [
        "m-Q5_K_M/m-Q5_K_M-00001-of-00001.gguf",
        "UD-Q2_K_XL/m-UD-Q2_K_XL.gguf",
        "m/m-F16.gguf",
    ]
    assert {file.family for file in model_files(map(listed, names))} == {"m"}


def test_a_split_file_is_one_with_the_size_of_all_its_parts() -> None:
    parts = [listed(f"Q8_0/m-0000{n}-of-00003.gguf", 10**n, "ab" * 32) for n in (3, 1, 2)]
    [file] = model_files(parts)
    assert (file.parts, file.size, file.path) == (3, 1110, "Q8_0/m-00001-of-00003.gguf")
    assert file.sha256 is None
    assert file.target == Target(Type.MODEL, "org/repo:Q8_0/m-00001-of-00003.gguf")
    assert file.header_url == "http://hub/Q8_0/m-00001-of-00003.gguf"


def test_a_part_of_unknown_size_makes_the_size_unknown() -> None:
    [file] = model_files([listed("m-00001-of-00002.gguf"), listed("m-00002-of-00002.gguf", None)])
    assert file.size is None


@pytest.mark.parametrize(
    "names",
    [
        ["m-00002-of-00002.gguf"],
        ["m-00001-of-00002.gguf"],
        ["m-00001-of-00002.gguf", "m-00003-of-00002.gguf"],
        ["m-00001-of-00002.gguf", "sub/m-00002-of-00002.gguf"],
        ["m-00001-of-00003.gguf", "m-00002-of-00002.gguf"],
        ["m-00000-of-00000.gguf"],
    ],
)
def test_a_set_that_lacks_a_part_is_not_offered(names: list[str]) -> None:
    assert paths("whole.gguf", *names) == ["whole.gguf"]


@pytest.mark.parametrize(
    "name",
    [
        "README.md",
        "config.json",
        "pytorch_model.bin",
        "mmproj-m-f16.gguf",
        "m-mmproj.gguf",
        "imatrix.gguf",
        "m.imatrix-Q4.gguf",
        "MTP/mtp-m-Q8_0.gguf",
        "ggml-vocab-llama.gguf",
        "m-lora-f16.gguf",
        "adapter_model.safetensors",
        "m.Q4_K_M.gguf.part1of2",
        "../m.gguf",
        "/m.gguf",
        "a//m.gguf",
        "a\u202eb.gguf",
        "a\nb.gguf",
        "",
        "x" * 3000 + ".gguf",
    ],
)
def test_what_is_no_model_is_not_offered(name: str) -> None:
    assert paths(name, "m-Q4_0.gguf") == ["m-Q4_0.gguf"]


@pytest.mark.parametrize("name", ["alora-7b.gguf", "m-lora-merged-Q4_0.gguf", "adapted.gguf"])
def test_a_name_that_only_resembles_is_offered(name: str) -> None:
    assert paths(name) == [name]


def test_files_are_ordered_by_size_and_gguf_comes_first() -> None:
    files = [
        listed("model.safetensors", 1),
        listed("m-Q8_0.gguf", 80),
        listed("m.gguf", None),
        listed("m-Q2_K.gguf", 20),
    ]
    assert [file.path for file in model_files(files)] == [
        "m-Q2_K.gguf",
        "m-Q8_0.gguf",
        "m.gguf",
        "model.safetensors",
    ]


def test_a_single_file_tells_its_hash_and_one_of_tensors_has_no_gguf_header() -> None:
    [file] = model_files([listed("model.safetensors", 5, "ab" * 32)])
    assert file.sha256 == "ab" * 32
    assert file.header_url is None


def test_the_shards_of_tensors_are_one_that_says_its_parts() -> None:
    shards = [f"model-0000{n}-of-00002.safetensors" for n in (1, 2)]
    [file] = model_files(map(listed, shards))
    assert file.parts == 2


def test_the_parts_of_a_pipeline_are_not_offered() -> None:
    names = ["model_index.json", "sdxl.safetensors", "unet/model.safetensors"]
    assert paths(*names) == ["sdxl.safetensors"]


def test_many_hostile_names_cost_little() -> None:
    names = [f"{'q4_' * 600}{n}.gguf" for n in range(500)]
    began = time.perf_counter()
    assert len(paths(*names)) == 500
    assert time.perf_counter() - began < 3
