"""What is read of a GGUF header, and what is refused."""

from __future__ import annotations

import struct
import time
import tracemalloc

import gguf
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rbee_widgets.market import gguf as reader
from rbee_widgets.market.gguf import FIRST, MOST, GgufError, read
from rbee_widgets.market.shape import BLOCKS, Layer, Shape
from tests.support.gguf_header import LLAMA, Value, array, figure, file, header, string, text

Q4_K = gguf.GGMLQuantizationType.Q4_K
Q6_K = gguf.GGMLQuantizationType.Q6_K
HUGE = 1 << 60
ARCHITECTURE = string("general.architecture", "llama")
DENSE = [
    figure("llama.block_count", 2),
    figure("llama.embedding_length", 64),
    figure("llama.attention.head_count", 4),
]
TOKENS = array("tokenizer.ggml.tokens", 8, 100, bytes(800))


def shape_of(data: bytes) -> Shape:
    found = read(data, "model.gguf", is_whole=True)
    assert isinstance(found, Shape)
    return found


def refusal(data: bytes, *, is_whole: bool = True) -> str:
    with pytest.raises(GgufError, match=r"the GGUF header of model\.gguf can't be read: ") as error:
        read(data, "model.gguf", is_whole=is_whole)
    return error.value.reason


# -- what is read ---------------------------------------------------------------------------------


def test_a_real_header_is_read_from_its_first_bytes() -> None:
    data = header(general={"general.name": "Llama 3.1 8B", "general.file_type": 15})
    assert len(data) > MOST, "the tokens alone take more than is ever fetched"
    shape = shape_of(data[:4096])
    assert (shape.architecture, shape.name, shape.quantisation) == (
        "llama",
        "Llama 3.1 8B",
        "Q4_K_M",
    )
    assert (shape.vocabulary, shape.embedding, shape.feed_forward) == (128_256, 4096, 14336)
    assert (shape.heads, shape.query, shape.context) == (32, 4096, 131072)
    assert shape.layers == (Layer(1024, 1024),) * 32
    assert (shape.is_tied, shape.embedding_bytes) == (None, None)


def test_bytes_that_are_too_few_say_how_many_it_takes() -> None:
    data = header(tokens=1000)
    for end in range(200):
        wanted = read(data[:end], "model.gguf")
        assert isinstance(wanted, int)
        assert end < wanted <= MOST


def test_a_writer_that_begins_with_the_tokenizer_is_read_on() -> None:
    data = header(tokens=20_000, has_tokens_first=True)
    wanted, asked = FIRST, []
    while isinstance(found := read(data[:wanted], "model.gguf"), int):
        wanted = found
        asked.append(wanted)
    assert found.vocabulary == 20_000
    assert len(asked) <= 3


@pytest.mark.parametrize("has_output", [True, False])
def test_tensors_that_are_seen_tell_the_embedding(has_output: bool) -> None:
    tensors = {"token_embd.weight": ((1000, 4096), Q4_K)}
    output = {"output.weight": ((1000, 4096), Q6_K)} if has_output else {}
    shape = shape_of(header(tokens=1000, tensors=tensors | output))
    assert shape.is_tied is not has_output
    assert shape.embedding_bytes == 1000 * 4096 // 256 * 144


def test_the_first_of_several_parts_does_not_tell_whether_it_is_tied() -> None:
    tensors = {"token_embd.weight": ((1000, 4096), Q4_K)}
    data = header(tokens=1000, tensors=tensors, general={"split.count": 3})
    shape = shape_of(data)
    assert (shape.parts, shape.is_tied) == (3, None)
    assert shape.embedding_bytes is not None


def test_figures_may_be_told_for_each_layer() -> None:
    keys: dict[str, Value] = {
        **LLAMA,
        "block_count": 4,
        "feed_forward_length": [100, 200, 300, 0],
        "attention.head_count": [32, 32, 16, 0],
        "attention.head_count_kv": [8, 4, 2, 0],
        "ssm.inner_size": 512,
        "ssm.state_size": 16,
        "ssm.conv_kernel": 4,
    }
    shape = shape_of(header("jamba", keys, tokens=10))
    assert [layer.keys for layer in shape.layers] == [1024, 512, 256]
    assert shape.recurrent == 3 * 512 + 16 * 512, "the layer without heads keeps a state"
    assert (shape.heads, shape.feed_forward) == (32, 300)


@pytest.mark.parametrize(
    ("architecture", "keys", "windowed"),
    [
        ("gpt-oss", {}, "w.w.w.w."),
        ("gemma3", {}, "wwwww.ww"),
        ("gemma3", {"attention.sliding_window_pattern": 2}, "w.w.w.w."),
        ("gemma4", {"attention.sliding_window_pattern": [True, False] * 4}, "w.w.w.w."),
        ("step35", {"attention.sliding_window_pattern": [0, 1, 1, 1]}, ".www.www"),
        ("laguna", {}, ".www.www"),
        ("unheard-of", {}, "........"),
        ("unheard-of", {"attention.sliding_window_pattern": 4}, "www.www."),
        ("unheard-of", {"attention.sliding_window_pattern": 0}, "wwwwwwww"),
        ("unheard-of", {"attention.sliding_window_pattern": 1}, "........"),
        ("phi3", {"attention.sliding_window_pattern": 2}, "........"),
        ("gemma3", {"attention.sliding_window": 0}, "........"),
    ],
)
def test_windows_take_turns_as_the_architecture_has_it(
    architecture: str, keys: dict[str, int | list[bool]], windowed: str
) -> None:
    told = LLAMA | {"block_count": 8, "attention.sliding_window": 1024} | keys
    shape = shape_of(header(architecture, told, tokens=10))
    assert "".join("w" if layer.is_windowed else "." for layer in shape.layers) == windowed


def test_gemma_2_and_llama_4_have_windows_without_a_key() -> None:
    windows = [shape_of(header(name, LLAMA, tokens=10)).window for name in ("gemma2", "llama4")]
    assert windows == [4096, 8192]


def test_without_a_tokenizer_the_vocabulary_has_a_key() -> None:
    assert shape_of(header(keys={**LLAMA, "vocab_size": 555}, tokens=0)).vocabulary == 555


def test_the_tables_are_those_of_the_format() -> None:
    for number, name in reader._TENSOR_TYPES.items():
        kind = gguf.GGMLQuantizationType(number)
        assert kind.name == name
        assert gguf.GGML_QUANT_SIZES[kind] == BLOCKS[name]
    for number, name in reader._FILE_TYPES.items():
        assert gguf.LlamaFileType(number).name.removeprefix("MOSTLY_").removeprefix("ALL_") == name


def test_a_name_is_cleaned_and_short() -> None:
    name = "\x1b[2J<script>" + "x" * 900
    shape = shape_of(file(ARCHITECTURE, string("general.name", name), *DENSE, TOKENS))
    assert shape.name is not None
    assert "\x1b" not in shape.name
    assert len(shape.name) <= 400


# -- what is refused ------------------------------------------------------------------------------

NAN = struct.pack("<d", float("nan"))

LIES = {
    "nothing": (b"", "ends after 0 bytes"),
    "html": (b"<!doctype html><html></html>", "begins with b'<!do'"),
    "version 1": (file(version=1), "version 1"),
    "version 4": (file(version=4), "version 4"),
    "version 2^32 - 1": (file(version=(1 << 32) - 1), "version 4294967295"),
    "2^60 keys": (file(count=HUGE), "1152921504606846976 keys"),
    "2^60 tensors": (file(tensors=HUGE), "1152921504606846976 tensors"),
    "a key of 2^60": (file(struct.pack("<Q", HUGE)), "a key of 1152921504606846976 bytes"),
    "a text of 2^60": (
        file(text("x") + struct.pack("<IQ", 8, HUGE), count=2),
        "the value of x reaches beyond",
    ),
    "a name of 2^60": (
        file(text("general.name") + struct.pack("<IQ", 8, HUGE)),
        "of 1152921504606846976 bytes, and at most 1024",
    ),
    "an array of 2^60 texts": (file(array("x", 8, HUGE)), "the array x reaches beyond"),
    "an array of 2^60 numbers": (file(array("x", 10, HUGE)), "the array x reaches beyond"),
    "2^60 layers' heads": (
        file(array("llama.attention.head_count", 10, HUGE)),
        "1152921504606846976 values, and at most 2048",
    ),
    "2^60 tokens": (file(array("tokenizer.ggml.tokens", 8, HUGE)), "1152921504606846976 tokens"),
    "no tokens": (file(array("tokenizer.ggml.tokens", 8, 0)), "0 tokens"),
    "arrays in an array": (file(array("x", 9, 1)), "values of the type 9"),
    "an array of type 99": (file(array("x", 99, 1)), "values of the type 99"),
    "type 99": (file(text("x") + struct.pack("<I", 99)), "unknown type 99"),
    "a key twice": (file(figure("x", 1), figure("x", 1)), "the key 'x' twice"),
    "NaN layers": (
        file(text("llama.block_count") + struct.pack("<I", 12) + NAN),
        "a fraction, where a whole number",
    ),
    "NaN heads": (file(array("llama.attention.head_count", 12, 1, NAN)), "no whole numbers"),
    "layers in words": (file(string("llama.block_count", "two")), "a text, where a whole number"),
    "no architecture": (file(*DENSE, TOKENS), "no general.architecture"),
    "a bad architecture": (
        file(string("general.architecture", "<b>"), *DENSE, TOKENS),
        "general.architecture is '<b>'",
    ),
    "no layers": (file(ARCHITECTURE, *DENSE[1:], TOKENS), "no block_count"),
    "0 layers": (
        file(ARCHITECTURE, figure("llama.block_count", 0), *DENSE[1:], TOKENS),
        "block_count is 0",
    ),
    "2^60 layers": (
        file(ARCHITECTURE, figure("llama.block_count", HUGE), *DENSE[1:], TOKENS),
        "block_count of 1152921504606846976",
    ),
    "9,999 layers": (
        file(ARCHITECTURE, figure("llama.block_count", 9999), *DENSE[1:], TOKENS),
        "9999 layers",
    ),
    "no heads": (file(ARCHITECTURE, *DENSE[:2], TOKENS), "neither heads"),
    "an array for one figure": (
        file(ARCHITECTURE, array("llama.block_count", 4, 1, b"\1\0\0\0"), TOKENS),
        "1 values of block_count, where one",
    ),
    "heads of three layers": (
        file(
            ARCHITECTURE,
            *DENSE[:2],
            array("llama.attention.head_count", 4, 3, bytes(12)),
            TOKENS,
        ),
        "2 layers, and 3 values of attention.head_count",
    ),
    "fewer than no heads": (
        file(
            ARCHITECTURE,
            *DENSE[:2],
            array("llama.attention.head_count", 5, 2, b"\xff" * 8),
            TOKENS,
        ),
        "attention.head_count holds -1 to -1",
    ),
    "all layers share a cache": (
        file(ARCHITECTURE, *DENSE, figure("llama.attention.shared_kv_layers", 2), TOKENS),
        "none with a cache of its own",
    ),
    "an empty pattern": (
        file(
            ARCHITECTURE,
            *DENSE,
            figure("llama.attention.sliding_window", 8),
            array("llama.attention.sliding_window_pattern", 7, 0),
            TOKENS,
        ),
        "sliding_window_pattern is empty",
    ),
    "no parts": (file(ARCHITECTURE, *DENSE, figure("split.count", 0), TOKENS), "split.count is 0"),
    "no vocabulary": (file(ARCHITECTURE, *DENSE), "a vocabulary of 0"),
    "a tensor of 9 dimensions": (
        file(ARCHITECTURE, *DENSE, tensors=1) + text("x") + struct.pack("<I", 9),
        "9 dimensions",
    ),
    "a tensor of 2^120": (
        file(ARCHITECTURE, *DENSE, tensors=1) + text("x") + struct.pack("<IQQ", 2, HUGE, HUGE),
        "elements",
    ),
}


@pytest.mark.parametrize(("data", "reason"), LIES.values(), ids=LIES)
def test_a_lie_is_told_in_words(data: bytes, reason: str) -> None:
    assert reason in refusal(data)


def test_an_architecture_with_another_cache_is_not_guessed_at() -> None:
    data = header("deepseek4", LLAMA, tokens=10)
    assert "deepseek4" in refusal(data)


def test_big_endian_is_named() -> None:
    assert "big-endian" in refusal(header(tokens=10, is_big_endian=True))


def test_a_header_that_ends_too_soon_is_named_as_such() -> None:
    data = header(tokens=10)
    assert "ends after 40 bytes" in refusal(data[:40])


def test_what_lies_beyond_the_limit_is_not_asked_for() -> None:
    data = file(*(string(f"x{number}", "y" * 300_000) for number in range(9)), ARCHITECTURE)
    wanted, asked = FIRST, []
    while wanted < MOST:
        found = read(data[:wanted], "model.gguf")
        assert isinstance(found, int)
        wanted = found
        asked.append(wanted)
    assert asked == sorted({*asked})
    assert wanted == MOST
    assert f"reaches beyond its first {MOST} bytes" in refusal(data[:MOST], is_whole=False)


def test_many_short_texts_cost_no_more_than_their_bytes() -> None:
    count = (MOST - 100) // 8
    data = file(array("x", 8, count, bytes(8 * count)), ARCHITECTURE, count=9)
    tracemalloc.start()
    begin = time.perf_counter()
    with pytest.raises(GgufError):
        read(data, "model.gguf", is_whole=True)
    took, (_, peak) = time.perf_counter() - begin, tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert took < 10
    assert peak < 4 * MOST


# -- anything -------------------------------------------------------------------------------------

VALID = header(tokens=50, tensors={"token_embd.weight": ((50, 4096), Q4_K)})


def answers(data: bytes) -> None:
    for is_whole in (False, True):
        try:
            found = read(data, "model.gguf", is_whole=is_whole)
        except GgufError as error:
            assert len(str(error)) < 1000  # noqa: PT017 (any outcome but another error is right)
        else:
            assert isinstance(found, Shape) or (not is_whole and len(data) < found <= MOST)


@given(st.binary(max_size=4096))
def test_any_bytes_are_answered(data: bytes) -> None:
    answers(data)
    answers(b"GGUF" + data)
    answers(file(ARCHITECTURE, *DENSE, count=9) + data)


@settings(max_examples=300)
@given(st.data())
def test_a_header_may_be_wrong_anywhere(data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(VALID) - 1))
    wrong = data.draw(st.binary(min_size=1, max_size=16))
    end = data.draw(st.integers(at, len(VALID)))
    answers((VALID[:at] + wrong + VALID[at + len(wrong) :])[:end])


def test_a_header_may_end_anywhere() -> None:
    for end in range(len(VALID)):
        answers(VALID[:end])
