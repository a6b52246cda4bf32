"""Reads the head of a GGUF file, as far as a model's memory follows from it. Pure.

    found = read(data, name)    # a Shape, or how many bytes of the file's start it takes

The format: `docs/gguf.md` of ggml, and `ggml/src/gguf.cpp` for what is refused. Everything in a
header is a stranger's claim: it is held against what can be before anything is made of it. What is
kept is bounded by the bytes that were given, and time by their number.
"""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass, replace
from typing import Final

from rbee_widgets.errors import RbeeError, quoted
from rbee_widgets.market.shape import (
    BLOCKS,
    MAX_FIGURE,
    MAX_LAYERS,
    Figure,
    MissingError,
    Shape,
    ShapeError,
    shape_of,
)
from rbee_widgets.untrusted import label

FIRST: Final = 64 << 10
"""Bytes to begin with: what is wanted of most files lies in the first 8 KiB."""

MOST: Final = 2 << 20
"""Bytes of a file that are ever looked at."""

MAX_KEYS: Final = 1 << 16
MAX_TENSORS: Final = 1 << 17
"""Kimi K2 has some 1,100 in a file; nobody needs more than this."""

MAX_KEY: Final = (1 << 16) - 1
"""Bytes of a key, by the format."""

MAX_NAME: Final = 1 << 10
"""Bytes of a text that is kept, and of a tensor's name; ggml's own limit is 64."""

MAX_DIMENSIONS: Final = 4

_STRING, _ARRAY = 8, 9
_SCALARS: Final = dict(zip((0, 1, 2, 3, 4, 5, 6, 7, 10, 11, 12), "BbHhIif?Qqd", strict=True))
_WHOLE: Final = frozenset({0, 1, 2, 3, 4, 5, 7, 10, 11})
"""Types of whole numbers, truth among them."""

_ARCHITECTURE: Final = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")

_FIGURES: Final = frozenset(
    {
        "attention.head_count",
        "attention.head_count_kv",
        "attention.indexer.key_length",
        "attention.key_length",
        "attention.key_length_mla",
        "attention.key_length_swa",
        "attention.shared_kv_layers",
        "attention.sliding_window",
        "attention.sliding_window_pattern",
        "attention.value_length",
        "attention.value_length_mla",
        "attention.value_length_swa",
        "block_count",
        "context_length",
        "embedding_length",
        "embedding_length_per_layer_input",
        "expert_count",
        "expert_feed_forward_length",
        "expert_shared_count",
        "expert_shared_feed_forward_length",
        "expert_used_count",
        "feed_forward_length",
        "full_attention_interval",
        "leading_dense_block_count",
        "nextn_predict_layers",
        "shortconv.l_cache",
        "ssm.conv_kernel",
        "ssm.group_count",
        "ssm.inner_size",
        "ssm.state_size",
        "vocab_size",
    }
)
"""Keys of the architecture that are kept."""

_GENERAL: Final = frozenset({"general.file_type", "general.parameter_count", "split.count"})
_TEXTS: Final = frozenset({"general.architecture", "general.name"})
_TOKENS: Final = "tokenizer.ggml.tokens"

_FILE_TYPES: Final = {
    0: "F32",
    1: "F16",
    2: "Q4_0",
    3: "Q4_1",
    7: "Q8_0",
    8: "Q5_0",
    9: "Q5_1",
    10: "Q2_K",
    11: "Q3_K_S",
    12: "Q3_K_M",
    13: "Q3_K_L",
    14: "Q4_K_S",
    15: "Q4_K_M",
    16: "Q5_K_S",
    17: "Q5_K_M",
    18: "Q6_K",
    19: "IQ2_XXS",
    20: "IQ2_XS",
    21: "Q2_K_S",
    22: "IQ3_XS",
    23: "IQ3_XXS",
    24: "IQ1_S",
    25: "IQ4_NL",
    26: "IQ3_S",
    27: "IQ3_M",
    28: "IQ2_S",
    29: "IQ2_M",
    30: "IQ4_XS",
    31: "IQ1_M",
    32: "BF16",
    36: "TQ1_0",
    37: "TQ2_0",
    38: "MXFP4_MOE",
}
"""`llama_ftype` of `include/llama.h`, as names of files have it."""

_TENSOR_TYPES: Final = {
    0: "F32",
    1: "F16",
    2: "Q4_0",
    3: "Q4_1",
    6: "Q5_0",
    7: "Q5_1",
    8: "Q8_0",
    10: "Q2_K",
    11: "Q3_K",
    12: "Q4_K",
    13: "Q5_K",
    14: "Q6_K",
    16: "IQ2_XXS",
    17: "IQ2_XS",
    18: "IQ3_XXS",
    19: "IQ1_S",
    20: "IQ4_NL",
    21: "IQ3_S",
    22: "IQ2_S",
    23: "IQ4_XS",
    29: "IQ1_M",
    30: "BF16",
    34: "TQ1_0",
    35: "TQ2_0",
    39: "MXFP4",
    40: "NVFP4",
}
"""`ggml_type` of `ggml/include/ggml.h`: those that an embedding may have."""


class GgufError(RbeeError):
    """Raised when a file's head can't be read, or lies; the text names file and reason."""

    def __init__(self, name: str, reason: str) -> None:
        super().__init__(f"the GGUF header of {quoted(name)} can't be read: {reason}")
        self.reason = reason


class _Fault(Exception):  # noqa: N818 (it becomes a GgufError as soon as the file's name is known)
    """Raised at what can't be in a header."""


class _Short(Exception):  # noqa: N818 (no error: it asks for more)
    """Raised where the bytes end; `wanted`: of the file's start, to go on."""

    def __init__(self, wanted: int, what: str) -> None:
        super().__init__(what)
        self.wanted = wanted


def read(data: bytes, name: str, *, is_whole: bool = False) -> Shape | int:
    """Read a header from the first bytes of a file.

    What decides is all there once the tokens begin: those are counted, never read. Further keys,
    and the tensors, are heeded where `data` happens to hold them all.

    Parameters
    ----------
    data
        The file's first bytes.
    name
        What to call it in errors.
    is_whole
        Whether there are no more bytes to be had.

    Returns
    -------
    Shape | int
        The figures, or how many of the file's first bytes it takes to go on: more than `data`
        has, and at most `MOST`.

    Raises
    ------
    GgufError
        It is no GGUF file, lies, holds no language model, or isn't done by `MOST`.

    """
    header = _Header()
    try:
        header.read(_Cursor(data))
        return header.shape()
    except _Short as short:
        wanted, missing = short.wanted, str(short)
    except (_Fault, ShapeError) as fault:
        raise GgufError(name, str(fault)) from None
    if header.vocabulary is not None:
        try:
            return header.shape()
        except MissingError:
            pass  # a writer that begins with the tokenizer
        except (_Fault, ShapeError) as fault:
            raise GgufError(name, str(fault)) from None
    if wanted > MOST:
        raise GgufError(name, f"{missing} reaches beyond its first {MOST} bytes")
    if is_whole:
        raise GgufError(name, f"the file ends after {len(data)} bytes, within {missing}")
    # Asking for a little more each time would take many requests.
    return min(MOST, max(wanted, 4 * len(data), FIRST))


class _Cursor:
    """A place in the bytes that are there."""

    def __init__(self, data: bytes) -> None:
        self._data = memoryview(data)
        self.at = 0

    def take(self, count: int, what: str) -> memoryview:
        end = self.at + count
        if end > len(self._data):
            raise _Short(end, what)
        self.at, begin = end, self.at
        return self._data[begin:end]

    def number(self, form: str, what: str) -> int | float | bool:
        found: int | float | bool
        (found,) = struct.unpack(f"<{form}", self.take(struct.calcsize(f"<{form}"), what))
        return found

    def whole(self, form: str, what: str) -> int:
        return int(self.number(form, what))

    def text(self, most: int, what: str) -> str:
        length = self.whole("Q", what)
        if length > most:
            raise _Fault(f"{what} of {length} bytes, and at most {most} can be")
        return str(self.take(length, what), "utf-8", "replace")

    def skip(self, count: int, what: str) -> None:
        """Leave out bytes, whether they are there or not."""
        self.at += count
        if self.at > MOST:
            raise _Short(self.at, what)


@dataclass(slots=True)
class _Tensor:
    elements: int
    type: int

    def size(self) -> int | None:
        """Give its bytes; None: of a type that isn't known."""
        name = _TENSOR_TYPES.get(self.type)
        if name is None:
            return None
        block, size = BLOCKS[name]
        return self.elements // block * size


class _Header:
    """What has been read so far."""

    def __init__(self) -> None:
        self.vocabulary: int | None = None
        self._figures: dict[str, Figure] = {}
        self._texts: dict[str, str] = {}
        self._tensors: dict[str, _Tensor] | None = None

    def read(self, cursor: _Cursor) -> None:
        """Read to the end, as far as there is something to read."""
        magic = bytes(cursor.take(4, "the magic"))
        if magic != b"GGUF":
            raise _Fault(f"it begins with {magic!r}, not with b'GGUF'")
        version = cursor.whole("I", "the version")
        if version and version & 0xFFFF == 0:
            raise _Fault("it is big-endian, and only little-endian files are read")
        if version not in {2, 3}:
            raise _Fault(f"it is of version {version}, and 2 and 3 are read")
        tensors = cursor.whole("Q", "the number of tensors")
        keys = cursor.whole("Q", "the number of keys")
        if tensors > MAX_TENSORS or keys > MAX_KEYS:
            raise _Fault(f"it tells {tensors} tensors and {keys} keys, more than can be")
        self._read_keys(cursor, keys)
        self._read_tensors(cursor, tensors)

    def _read_keys(self, cursor: _Cursor, count: int) -> None:
        seen: set[str] = set()
        for _ in range(count):
            key = cursor.text(MAX_KEY, "a key")
            if key in seen:
                raise _Fault(f"it has the key {quoted(key)!r} twice")
            seen.add(key)
            self._read_value(cursor, key)

    def _read_value(self, cursor: _Cursor, key: str) -> None:
        what = f"the value of {quoted(key)}"
        kind = cursor.whole("I", what)
        prefix, _, rest = key.partition(".")
        is_figure = key in _GENERAL or (rest in _FIGURES and prefix not in {"general", "split"})
        if kind == _ARRAY:
            self._read_array(cursor, key, is_kept=is_figure)
        elif kind == _STRING:
            if is_figure:
                raise _Fault(f"{what} is a text, where a whole number is expected")
            if key in _TEXTS:
                self._texts[key] = cursor.text(MAX_NAME, what)
            else:
                cursor.skip(cursor.whole("Q", what), what)
        elif kind not in _SCALARS:
            raise _Fault(f"{what} is of the unknown type {kind}")
        elif is_figure:
            if kind not in _WHOLE:
                raise _Fault(f"{what} is a fraction, where a whole number is expected")
            self._figures[key] = cursor.whole(_SCALARS[kind], what)
        else:
            cursor.skip(struct.calcsize(f"<{_SCALARS[kind]}"), what)

    def _read_array(self, cursor: _Cursor, key: str, *, is_kept: bool) -> None:
        what = f"the array {quoted(key)}"
        kind = cursor.whole("I", what)
        count = cursor.whole("Q", what)
        if kind != _STRING and kind not in _SCALARS:
            raise _Fault(f"{what} holds values of the type {kind}, which none can")
        if key == _TOKENS:
            if not 0 < count <= MAX_FIGURE:
                raise _Fault(f"it tells {count} tokens")
            self.vocabulary = count
        if is_kept:
            if kind not in _WHOLE:
                raise _Fault(f"{what} holds no whole numbers")
            if count > MAX_LAYERS:
                raise _Fault(f"{what} has {count} values, and at most {MAX_LAYERS} layers can be")
            self._figures[key] = tuple(cursor.whole(_SCALARS[kind], what) for _ in range(count))
        elif kind == _STRING:
            if cursor.at + 8 * count > MOST:  # each tells at least its length
                raise _Short(cursor.at + 8 * count, what)
            for _ in range(count):
                cursor.skip(cursor.whole("Q", what), what)
        else:
            cursor.skip(count * struct.calcsize(f"<{_SCALARS[kind]}"), what)

    def _read_tensors(self, cursor: _Cursor, count: int) -> None:
        tensors = {}
        for _ in range(count):
            name = cursor.text(MAX_NAME, "the name of a tensor")
            what = f"the tensor {quoted(name)}"
            dimensions = cursor.whole("I", what)
            if not 0 < dimensions <= MAX_DIMENSIONS:
                raise _Fault(f"{what} has {dimensions} dimensions")
            elements = 1
            for _ in range(dimensions):
                elements *= cursor.whole("Q", what)
            if elements >= 1 << 63:
                raise _Fault(f"{what} has {elements} elements")
            tensors[name] = _Tensor(elements, cursor.whole("I", what))
            cursor.take(8, what)  # where it lies
        self._tensors = tensors

    def shape(self) -> Shape:
        """Make sense of it.

        Raises
        ------
        _Fault, ShapeError
            There is none in it.

        """
        architecture = self._texts.get("general.architecture")
        if architecture is None:
            raise MissingError("it tells no general.architecture")
        if not _ARCHITECTURE.fullmatch(architecture):
            raise _Fault(f"its general.architecture is {quoted(architecture)!r}")
        start = f"{architecture}."
        keys = {
            key.removeprefix(start): value
            for key, value in self._figures.items()
            if key.startswith(start)
        }
        vocabulary = self.vocabulary
        if vocabulary is None:  # files without a tokenizer tell it themselves
            told = keys.get("vocab_size", 0)
            vocabulary = told if isinstance(told, int) else 0
        shape = shape_of(architecture, vocabulary, keys)
        name = self._texts.get("general.name")
        file_type = self._general("general.file_type")
        parts = self._general("split.count")
        if parts is not None and not 0 < parts <= MAX_FIGURE:
            raise _Fault(f"its split.count is {parts}")
        return replace(
            shape,
            name=None if name is None else label(name),
            quantisation=None if file_type is None else _FILE_TYPES.get(file_type),
            parts=parts or 1,
            parameters=self._general("general.parameter_count"),
            is_tied=self._is_tied(parts or 1),
            embedding_bytes=self._bytes_of("token_embd.weight"),
            per_layer_bytes=self._bytes_of("per_layer_token_embd.weight"),
        )

    def _general(self, key: str) -> int | None:
        figure = self._figures.get(key)
        return figure if isinstance(figure, int) else None

    def _bytes_of(self, tensor: str) -> int | None:
        found = self._tensors.get(tensor) if self._tensors else None
        return None if found is None else found.size()

    def _is_tied(self, parts: int) -> bool | None:
        """Tell whether there is no matrix for the output alone; None: it may be in another part."""
        if not self._tensors or parts > 1:
            return None
        return "output.weight" not in self._tensors
