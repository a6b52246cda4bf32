"""GGUF headers for tests: true ones by the `gguf` package, false ones byte by byte."""

from __future__ import annotations

import struct
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from gguf import GGMLQuantizationType, GGUFEndian, GGUFWriter

LLAMA = {
    "block_count": 32,
    "context_length": 131072,
    "embedding_length": 4096,
    "feed_forward_length": 14336,
    "attention.head_count": 32,
    "attention.head_count_kv": 8,
    "attention.key_length": 128,
    "attention.value_length": 128,
}
"""Keys of Llama 3.1 8B."""

Value = int | float | bool | str | Sequence[int] | Sequence[bool] | Sequence[str]


def header(
    architecture: str = "llama",
    keys: Mapping[str, Value] = LLAMA,
    *,
    tokens: int = 128_256,
    general: Mapping[str, Value] | None = None,
    tensors: Mapping[str, tuple[Sequence[int], GGMLQuantizationType]] | None = None,
    is_big_endian: bool = False,
    has_tokens_first: bool = False,
) -> bytes:
    """Write a header as converters do: the general, the architecture's, the tokenizer's.

    A tensor is told by shape (rows first, as in numpy) and type.
    """
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "header.gguf")
        endian = GGUFEndian.BIG if is_big_endian else GGUFEndian.LITTLE
        writer = GGUFWriter(path, architecture, endianess=endian)
        for key, value in (general or {}).items():
            _add(writer, key, value)
        if has_tokens_first:
            _add_tokenizer(writer, tokens)
        for key, value in keys.items():
            _add(writer, f"{architecture}.{key}", value)
        if not has_tokens_first:
            _add_tokenizer(writer, tokens)
        for name, (shape, kind) in (tensors or {}).items():
            writer.add_tensor_info(name, shape, np.dtype(np.float32), 0, kind)
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_ti_data_to_file()
        writer.close()
        return path.read_bytes()


def _add(writer: GGUFWriter, key: str, value: Value) -> None:
    match value:
        case bool():
            writer.add_bool(key, value)
        case int():
            writer.add_uint32(key, value)
        case float():
            writer.add_float32(key, value)
        case str():
            writer.add_string(key, value)
        case _:
            writer.add_array(key, value)


def _add_tokenizer(writer: GGUFWriter, tokens: int) -> None:
    if tokens:
        writer.add_tokenizer_model("gpt2")
        writer.add_token_list([f"token{number}" for number in range(tokens)])
        writer.add_token_types([1] * tokens)


# -- byte by byte -------------------------------------------------------------------------------


def text(words: str | bytes) -> bytes:
    """Pack a text as GGUF does."""
    data = words.encode() if isinstance(words, str) else words
    return struct.pack("<Q", len(data)) + data


def string(key: str, words: str) -> bytes:
    """Pack a key whose value is a text."""
    return text(key) + struct.pack("<I", 8) + text(words)


def figure(key: str, value: int) -> bytes:
    """Pack a key whose value is a whole number of 64 bits."""
    return text(key) + struct.pack("<IQ", 10, value)


def array(key: str, kind: int, count: int, data: bytes = b"") -> bytes:
    """Pack a key whose value tells to be an array."""
    return text(key) + struct.pack("<IIQ", 9, kind, count) + data


def file(*keys: bytes, version: int = 3, tensors: int = 0, count: int | None = None) -> bytes:
    """Pack a header of these keys, and `count` as their number."""
    number = len(keys) if count is None else count
    return b"GGUF" + struct.pack("<IQQ", version, tensors, number) + b"".join(keys)
