"""Real architectures, and the GGUF headers of their files as llama.cpp's own writer makes them.

Keys, shapes and types follow published models; the words of the vocabularies are made up. A
file's size is that of its header and tensors, so it is known without a header being written: that
is done when somebody reads one.
"""

from __future__ import annotations

import itertools
import struct
import tempfile
from dataclasses import dataclass
from functools import cache, lru_cache
from math import prod
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
from gguf import (
    GGML_QUANT_SIZES,
    GGMLQuantizationType,
    GGUFValueType,
    GGUFWriter,
    LlamaFileType,
    TokenType,
)

Q = GGMLQuantizationType
F = LlamaFileType

ALIGNMENT: Final = 32
PART: Final = 40 * 10**9
"""Bytes from which on a file is split: a little below what the public hub takes in one."""


@dataclass(frozen=True, slots=True)
class Base:
    """A published model: its shape, as its configuration has it."""

    name: str
    org: str
    license: str
    arch: str
    layers: int
    embed: int
    heads: int
    kv_heads: int
    ff: int
    vocab: int
    context: int
    head_dim: int | None = None
    tied: bool = False
    window: int | None = None
    experts: int = 0
    used: int = 0
    expert_ff: int = 0
    shared: int = 0
    dense: int = 0
    """Layers at the front that have no experts."""
    kv_lora: int = 0
    q_lora: int = 0
    languages: tuple[str, ...] = ("en",)
    task: str = "text-generation"
    gated: bool = False

    @property
    def head(self) -> int:
        return self.head_dim or self.embed // self.heads


class Tensor(NamedTuple):
    name: str
    shape: tuple[int, ...]
    """Slowest first, as numpy has it; the file has it the other way round."""
    layer: int


class Mix(NamedTuple):
    """Which types a quantisation gives to which tensors."""

    ftype: LlamaFileType
    most: GGMLQuantizationType
    better: GGMLQuantizationType
    """Of the values and of what leaves the feed-forward, in the layers that matter most."""
    output: GGMLQuantizationType


QUANTISATIONS: Final = {
    "IQ2_XXS": Mix(F.MOSTLY_IQ2_XXS, Q.IQ2_XXS, Q.Q2_K, Q.Q5_K),
    "IQ2_M": Mix(F.MOSTLY_IQ2_M, Q.IQ2_S, Q.IQ3_S, Q.Q5_K),
    "IQ3_XXS": Mix(F.MOSTLY_IQ3_XXS, Q.IQ3_XXS, Q.Q3_K, Q.Q5_K),
    "IQ3_M": Mix(F.MOSTLY_IQ3_M, Q.IQ3_S, Q.Q4_K, Q.Q6_K),
    "IQ4_XS": Mix(F.MOSTLY_IQ4_XS, Q.IQ4_XS, Q.Q5_K, Q.Q6_K),
    "Q2_K": Mix(F.MOSTLY_Q2_K, Q.Q2_K, Q.Q3_K, Q.Q6_K),
    "Q3_K_S": Mix(F.MOSTLY_Q3_K_S, Q.Q3_K, Q.Q3_K, Q.Q6_K),
    "Q3_K_M": Mix(F.MOSTLY_Q3_K_M, Q.Q3_K, Q.Q5_K, Q.Q6_K),
    "Q4_0": Mix(F.MOSTLY_Q4_0, Q.Q4_0, Q.Q4_0, Q.Q6_K),
    "Q4_K_S": Mix(F.MOSTLY_Q4_K_S, Q.Q4_K, Q.Q5_K, Q.Q6_K),
    "Q4_K_M": Mix(F.MOSTLY_Q4_K_M, Q.Q4_K, Q.Q6_K, Q.Q6_K),
    "Q5_K_S": Mix(F.MOSTLY_Q5_K_S, Q.Q5_K, Q.Q5_K, Q.Q6_K),
    "Q5_K_M": Mix(F.MOSTLY_Q5_K_M, Q.Q5_K, Q.Q6_K, Q.Q6_K),
    "Q6_K": Mix(F.MOSTLY_Q6_K, Q.Q6_K, Q.Q6_K, Q.Q6_K),
    "Q8_0": Mix(F.MOSTLY_Q8_0, Q.Q8_0, Q.Q8_0, Q.Q8_0),
    "BF16": Mix(F.MOSTLY_BF16, Q.BF16, Q.BF16, Q.BF16),
}


# -- tensors ------------------------------------------------------------------------------------


@cache
def tensors(base: Base) -> tuple[Tensor, ...]:
    """Give a model's tensors, in the order of a file."""
    found = [Tensor("token_embd.weight", (base.vocab, base.embed), -1)]
    for layer in range(base.layers):
        attention = _latent(base) if base.kv_lora else _attention(base)
        for name, shape in [*attention, *_feed_forward(base, layer)]:
            found.append(Tensor(f"blk.{layer}.{name}", shape, layer))
    found.append(Tensor("output_norm.weight", (base.embed,), -1))
    if not base.tied:
        found.append(Tensor("output.weight", (base.vocab, base.embed), -1))
    return tuple(found)


Shapes = list[tuple[str, tuple[int, ...]]]


def _attention(base: Base) -> Shapes:
    query, value = base.heads * base.head, base.kv_heads * base.head
    shapes: Shapes = [("attn_norm.weight", (base.embed,))]
    if base.arch == "phi3":
        shapes += [("attn_qkv.weight", (query + 2 * value, base.embed))]
    else:
        shapes += [
            ("attn_q.weight", (query, base.embed)),
            ("attn_k.weight", (value, base.embed)),
            ("attn_v.weight", (value, base.embed)),
        ]
    shapes += [("attn_output.weight", (base.embed, query))]
    if base.arch in {"qwen2", "gpt-oss"}:
        biased = {"attn_q.bias": query, "attn_k.bias": value, "attn_v.bias": value}
        shapes += [(name, (length,)) for name, length in biased.items()]
    if base.arch == "gpt-oss":
        shapes += [("attn_output.bias", (base.embed,)), ("attn_sinks.weight", (base.heads,))]
    if base.arch in {"qwen3", "qwen3moe", "gemma3"}:
        shapes += [("attn_q_norm.weight", (base.head,)), ("attn_k_norm.weight", (base.head,))]
    return shapes


ROPE: Final = 64
"""Numbers of a head that carry the position, where attention is latent."""
HEAD: Final = 128
"""Numbers of a head that don't, and of a value."""


def _latent(base: Base) -> Shapes:
    query = base.heads * (HEAD + ROPE)
    shapes: Shapes = [
        ("attn_norm.weight", (base.embed,)),
        ("attn_kv_a_mqa.weight", (base.kv_lora + ROPE, base.embed)),
        ("attn_kv_a_norm.weight", (base.kv_lora,)),
        ("attn_k_b.weight", (base.heads, base.kv_lora, HEAD)),
        ("attn_v_b.weight", (base.heads, HEAD, base.kv_lora)),
        ("attn_output.weight", (base.embed, base.heads * HEAD)),
    ]
    if not base.q_lora:
        return [*shapes, ("attn_q.weight", (query, base.embed))]
    return [
        *shapes,
        ("attn_q_a.weight", (base.q_lora, base.embed)),
        ("attn_q_a_norm.weight", (base.q_lora,)),
        ("attn_q_b.weight", (query, base.q_lora)),
    ]


def _feed_forward(base: Base, layer: int) -> Shapes:
    norm: Shapes = [("ffn_norm.weight", (base.embed,))]
    if base.arch in {"gemma2", "gemma3"}:
        norm += [
            ("post_attention_norm.weight", (base.embed,)),
            ("post_ffw_norm.weight", (base.embed,)),
        ]
    if not base.experts or layer < base.dense:
        if base.arch == "phi3":
            up: Shapes = [("ffn_up.weight", (2 * base.ff, base.embed))]
        else:
            up = [
                ("ffn_gate.weight", (base.ff, base.embed)),
                ("ffn_up.weight", (base.ff, base.embed)),
            ]
        return [*norm, *up, ("ffn_down.weight", (base.embed, base.ff))]
    width = base.expert_ff or base.ff
    experts: Shapes = [
        ("ffn_gate_inp.weight", (base.experts, base.embed)),
        ("ffn_gate_exps.weight", (base.experts, width, base.embed)),
        ("ffn_up_exps.weight", (base.experts, width, base.embed)),
        ("ffn_down_exps.weight", (base.experts, base.embed, width)),
    ]
    if base.shared:
        wide = base.shared * width
        experts += [
            ("ffn_gate_shexp.weight", (wide, base.embed)),
            ("ffn_up_shexp.weight", (wide, base.embed)),
            ("ffn_down_shexp.weight", (base.embed, wide)),
        ]
    return [*norm, *experts]


@cache
def parameters(base: Base) -> int:
    return sum(prod(tensor.shape) for tensor in tensors(base))


_FALLBACK: Final = {
    Q.Q6_K: Q.Q8_0,
    Q.Q5_K: Q.Q5_1,
    Q.Q4_K: Q.Q5_0,
    **dict.fromkeys((Q.Q3_K, Q.Q2_K, Q.IQ4_XS), Q.IQ4_NL),
    **dict.fromkeys((Q.IQ2_XXS, Q.IQ2_S, Q.IQ3_XXS, Q.IQ3_S), Q.IQ4_NL),
}
"""What takes the place of a type in blocks of 256 where a row isn't a multiple of them."""


def _type(base: Base, mix: Mix, tensor: Tensor) -> GGMLQuantizationType:
    if len(tensor.shape) == 1 or "ffn_gate_inp" in tensor.name:
        return Q.F32
    if base.arch == "gpt-oss" and "_exps" in tensor.name:
        return Q.MXFP4  # as it was trained
    wanted = mix.most
    if tensor.name == "output.weight" or (base.tied and tensor.name == "token_embd.weight"):
        wanted = mix.output
    elif "attn_v" in tensor.name or "ffn_down" in tensor.name:
        edge = base.layers // 8
        matters = tensor.layer < edge or tensor.layer >= base.layers - edge
        if matters or (tensor.layer - edge) % 3 == 2:
            wanted = mix.better
    while tensor.shape[-1] % GGML_QUANT_SIZES[wanted][0]:
        wanted = _FALLBACK.get(wanted, Q.F16)
    return wanted


def _bytes(shape: tuple[int, ...], kind: GGMLQuantizationType) -> int:
    block, size = GGML_QUANT_SIZES[kind]
    return prod(shape) // block * size


def _pad(size: int) -> int:
    return -(-size // ALIGNMENT) * ALIGNMENT


# -- files --------------------------------------------------------------------------------------


class Piece(NamedTuple):
    """A tensor as a file has it."""

    tensor: Tensor
    kind: GGMLQuantizationType
    size: int


@cache
def _parts(base: Base, quantisation: str) -> tuple[tuple[Piece, ...], ...]:
    """Deal the tensors out to the parts of a file; most are in one."""
    mix = QUANTISATIONS[quantisation]
    parts: list[list[Piece]] = [[]]
    filled = 0
    for tensor in tensors(base):
        kind = _type(base, mix, tensor)
        size = _bytes(tensor.shape, kind)
        if filled + size > PART:
            parts.append([])
            filled = 0
        parts[-1].append(Piece(tensor, kind, size))
        filled += _pad(size)
    return tuple(map(tuple, parts))


@cache
def sizes(base: Base, quantisation: str) -> tuple[int, ...]:
    """Give the bytes of each part of a file."""
    return tuple(
        _pad(_header_size(base, quantisation, part)) + sum(_pad(piece.size) for piece in pieces)
        for part, pieces in enumerate(_parts(base, quantisation))
    )


def _header_size(base: Base, quantisation: str, part: int) -> int:
    parts = _parts(base, quantisation)
    words = 0 if part else _vocabulary_size(base.vocab)
    return _keys_size(base, len(parts) > 1, part > 0) + words + _infos_size(parts[part])


@cache
def _keys_size(base: Base, is_split: bool, is_later: bool) -> int:
    """Tell how long the keys are, magic included: what they say are numbers of one length."""
    return len(_written(_writer(base, "Q8_0", int(is_later), (2 if is_split else 1, 0))))


def _infos_size(pieces: tuple[Piece, ...]) -> int:
    return sum(8 + len(tensor.name) + 4 + 8 * len(tensor.shape) + 4 + 8 for tensor, _, _ in pieces)


@lru_cache(maxsize=8)
def header(base: Base, quantisation: str, part: int = 0) -> bytes:
    """Give all that stands before the tensors' bytes, padding included."""
    plain = _plain(base, quantisation, part)
    if part:
        return _padded(plain)
    words, count = _vocabulary(base.vocab)
    magic, version, infos, keys = struct.unpack_from("<IIQQ", plain)
    head = struct.pack("<IIQQ", magic, version, infos, keys + count)
    cut = len(plain) - _infos_size(_parts(base, quantisation)[part])
    return _padded(head + plain[24:cut] + words + plain[cut:])


def _padded(data: bytes) -> bytes:
    return data + bytes(_pad(len(data)) - len(data))


def _plain(base: Base, quantisation: str, part: int) -> bytes:
    """Write the header of a part, without the vocabulary."""
    parts = _parts(base, quantisation)
    writer = _writer(base, quantisation, part, (len(parts), sum(map(len, parts))))
    for tensor, kind, size in parts[part]:
        writer.add_tensor_info(tensor.name, tensor.shape, np.dtype(np.float32), size, kind)
    return _written(writer)


def _written(writer: GGUFWriter) -> bytes:
    with tempfile.NamedTemporaryFile() as file:
        writer.write_header_to_file(Path(file.name))
        writer.write_kv_data_to_file()
        writer.write_ti_data_to_file()
        writer.close()
        return Path(file.name).read_bytes()


def _writer(base: Base, quantisation: str, part: int, split: tuple[int, int]) -> GGUFWriter:
    """Give what writes a part's keys; `split`: the parts, and the tensors of all."""
    writer = GGUFWriter(None, base.arch)
    if split[0] > 1:
        writer.add_uint16("split.no", part)
        writer.add_uint16("split.count", split[0])
        writer.add_int32("split.tensors.count", split[1])
    if part:
        return writer
    writer.add_type("model")
    writer.add_name(base.name.replace("-", " "))
    writer.add_organization(base.org)
    writer.add_license(base.license)
    writer.add_languages(base.languages)
    writer.add_file_type(QUANTISATIONS[quantisation].ftype)
    writer.add_quantization_version(2)
    writer.add_vocab_size(base.vocab)
    writer.add_context_length(base.context)
    writer.add_embedding_length(base.embed)
    writer.add_block_count(base.layers)
    writer.add_feed_forward_length(base.ff)
    writer.add_head_count(base.heads)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_rope_freq_base(500_000.0)
    if base.kv_lora:
        _add_latent(writer, base)
    else:
        writer.add_head_count_kv(base.kv_heads)
        writer.add_key_length(base.head)
        writer.add_value_length(base.head)
        writer.add_rope_dimension_count(base.head)
    if base.window:
        writer.add_sliding_window(base.window)
    if base.arch == "gemma2":
        writer.add_attn_logit_softcapping(50.0)
        writer.add_final_logit_softcapping(30.0)
    if base.experts:
        _add_experts(writer, base)
    return writer


def _add_latent(writer: GGUFWriter, base: Base) -> None:
    """Add what latent attention is told by: its cache is that of one head of keys."""
    writer.add_head_count_kv(1)
    writer.add_kv_lora_rank(base.kv_lora)
    if base.q_lora:
        writer.add_q_lora_rank(base.q_lora)
    writer.add_key_length(base.kv_lora + ROPE)
    writer.add_value_length(base.kv_lora)
    writer.add_key_length_mla(HEAD + ROPE)
    writer.add_value_length_mla(HEAD)
    writer.add_rope_dimension_count(ROPE)


def _add_experts(writer: GGUFWriter, base: Base) -> None:
    writer.add_expert_count(base.experts)
    writer.add_expert_used_count(base.used)
    if base.expert_ff:
        writer.add_expert_feed_forward_length(base.expert_ff)
    if base.shared:
        writer.add_expert_shared_count(base.shared)
    if base.dense:
        writer.add_leading_dense_block_count(base.dense)


@cache
def projector() -> bytes:
    """Give the header of what makes a model see; its tensors are left out."""
    writer = GGUFWriter(None, "clip")
    writer.add_type("mmproj")
    writer.add_file_type(F.MOSTLY_F16)
    writer.add_clip_has_vision_encoder(value=True)
    writer.add_vision_projection_dim(2560)
    writer.add_vision_block_count(27)
    writer.add_vision_embedding_length(1152)
    return _padded(_written(writer))


# -- vocabularies -------------------------------------------------------------------------------

_SYLLABLES: Final = [
    consonant + vowel for consonant, vowel in itertools.product("bcdfghjklmnprstvwz", "aeiou")
]
_ENDINGS: Final = ("", "s", "ed", "ing", "", "ly", "er", "tion")
_TEMPLATE: Final = "{% for m in messages %}<|{{ m.role }}|>{{ m.content }}<|end|>{% endfor %}"


def _word(number: int) -> bytes:
    syllables = ""
    left = number
    for _ in range(3):
        left, which = divmod(left, len(_SYLLABLES))
        syllables += _SYLLABLES[which]
    return f"Ġ{syllables}{_ENDINGS[number % len(_ENDINGS)]}".encode()


@lru_cache(maxsize=4)
def _vocabulary(words: int) -> tuple[bytes, int]:
    """Give the keys of a vocabulary as they stand in a file, and how many they are.

    The writer packs item by item, which takes a second for a real vocabulary: its two arrays are
    packed here.
    """
    tokens = [_word(number) for number in range(words)]
    texts = b"".join(len(token).to_bytes(8, "little") + token for token in tokens)
    kinds = int(TokenType.NORMAL).to_bytes(4, "little") * words
    scalars, count = _scalars(words)
    arrays = _array("tokens", GGUFValueType.STRING, words) + texts
    return scalars + arrays + _array("token_type", GGUFValueType.INT32, words) + kinds, count + 2


@cache
def _vocabulary_size(words: int) -> int:
    """Tell how long a vocabulary's keys are, without its being made."""
    period = [len(_word(number)) for number in range(len(_ENDINGS))]
    texts = words // len(period) * sum(period) + sum(period[: words % len(period)])
    arrays = [
        _array("tokens", GGUFValueType.STRING, 0),
        _array("token_type", GGUFValueType.INT32, 0),
    ]
    return len(_scalars(words)[0]) + sum(map(len, arrays)) + (8 + 4) * words + texts


def _array(name: str, kind: GGUFValueType, length: int) -> bytes:
    """Give what stands before an array's items."""
    key = f"tokenizer.ggml.{name}".encode()
    return (
        struct.pack("<Q", len(key)) + key + struct.pack("<IIQ", GGUFValueType.ARRAY, kind, length)
    )


def _scalars(words: int) -> tuple[bytes, int]:
    bare = len(_written(GGUFWriter(None, "llama")))
    writer = GGUFWriter(None, "llama")
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("llama-bpe")
    writer.add_bos_token_id(words - 2)
    writer.add_eos_token_id(words - 1)
    writer.add_chat_template(_TEMPLATE)
    return _written(writer)[bare:], len(writer.kv_data[0]) - 1
