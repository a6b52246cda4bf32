"""What of a model's architecture decides the memory that it takes. Pure.

Made of the keys of a GGUF header, as llama.cpp reads them: `src/llama-arch.cpp` has their names,
`src/models/*.cpp` what an architecture assumes where a key is missing (state of August 2026).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final, TypeAlias

Figure: TypeAlias = int | tuple[int, ...]
"""The value of a key: one for all layers, or one for each."""

MAX_LAYERS: Final = 2048
"""llama.cpp itself takes 512."""

MAX_FIGURE: Final = 2**31 - 1
"""No width, count or context is larger."""

BLOCKS: Final = {
    "F32": (1, 4),
    "F16": (1, 2),
    "Q4_0": (32, 18),
    "Q4_1": (32, 20),
    "Q5_0": (32, 22),
    "Q5_1": (32, 24),
    "Q8_0": (32, 34),
    "Q2_K": (256, 84),
    "Q3_K": (256, 110),
    "Q4_K": (256, 144),
    "Q5_K": (256, 176),
    "Q6_K": (256, 210),
    "IQ2_XXS": (256, 66),
    "IQ2_XS": (256, 74),
    "IQ3_XXS": (256, 98),
    "IQ1_S": (256, 50),
    "IQ4_NL": (32, 18),
    "IQ3_S": (256, 110),
    "IQ2_S": (256, 82),
    "IQ4_XS": (256, 136),
    "IQ1_M": (256, 56),
    "BF16": (1, 2),
    "TQ1_0": (256, 54),
    "TQ2_0": (256, 66),
    "MXFP4": (32, 17),
    "NVFP4": (64, 36),
}
"""Types of tensors and caches: the elements of a block, and its bytes (`ggml/src/ggml.c`)."""


class ShapeError(ValueError):
    """Raised when a header's figures make no model; the text says which."""


class MissingError(ShapeError):
    """Raised when one isn't told: it may come later."""


@dataclass(frozen=True, slots=True)
class _Window:
    """How an architecture's layers take turns where the header doesn't say."""

    period: int
    is_full_first: bool = False
    """Whether the first of a period sees the whole context; else it is the last."""
    size: int = 0
    """Its window where there is no key; 0: then it has none."""


# An architecture that is not here has windows only where its header tells the pattern: llama.cpp
# reads over the bare window of others (Phi 3, Mistral), and keeping everything is the safe side.
_WINDOWS: Final = {
    "afmoe": _Window(4),
    "cohere2": _Window(4),
    "cohere2moe": _Window(4),
    "exaone-moe": _Window(4),
    "exaone4": _Window(4),
    "gemma2": _Window(2, size=4096),
    "gemma3": _Window(6),
    "gemma3n": _Window(5),
    "gpt-oss": _Window(2),
    "laguna": _Window(4, is_full_first=True),
    "llama4": _Window(4, size=8192),
    "olmo2": _Window(4),
    "plamo3": _Window(8),
    "smallthinker": _Window(4, is_full_first=True),
}
_LAST: Final = _Window(1)

_OTHER_CACHES: Final = frozenset({"deepseek4"})
"""Architectures whose cache isn't one of keys and values for each cell."""

_INTERVALS: Final = {"qwen3next": 4, "qwen35": 4, "qwen35moe": 4}
"""Every how many layers one attends, the others being recurrent, where no key says so."""

_OWN_CACHES: Final = {"gemma3n": 20}
"""Layers that keep a cache of their own where no key says how many share another's."""

_WITHOUT_WINDOW: Final = frozenset({"phi3"})
"""Whose key is told, and not heeded (llama.cpp pull request 13676)."""


@dataclass(frozen=True, slots=True)
class Layer:
    """What one layer keeps for each cell of the context, in elements."""

    keys: int
    values: int
    is_windowed: bool = False


@dataclass(frozen=True, slots=True)
class Shape:
    """The figures that memory follows from; widths are in elements."""

    architecture: str
    embedding: int
    vocabulary: int
    heads: int
    """Heads of the widest layer; 0: none attends."""
    query: int
    """Width of all queries of the widest layer."""
    feed_forward: int
    """The widest network of a layer; of experts, those that work at once."""
    layers: tuple[Layer, ...]
    """Those that keep keys and values, first to last."""
    depth: int
    """All layers."""
    window: int = 0
    recurrent: int = 0
    """Elements of state that the recurrent layers keep for each sequence, in all."""
    block_parameters: int | None = None
    """Parameters of the layers' matrices; None: they don't follow from the header."""
    per_layer_embedding: int = 0
    """Width of the embeddings that each layer has of its own (Gemma 3n and 4), in all."""
    context: int | None = None
    """What it was trained for, in tokens."""
    parameters: int | None = None
    name: str | None = None
    quantisation: str | None = None
    """Of the file whose header it is, such as `Q4_K_M`."""
    parts: int = 1
    is_tied: bool | None = None
    """Whether one matrix serves as input and output embedding, where the tensors were seen."""
    embedding_bytes: int | None = None
    """Of the input embedding of the file whose header it is, where the tensors were seen."""
    per_layer_bytes: int | None = None
    """The same, of the embeddings of the layers."""

    def of_family(self) -> Shape:
        """Give what holds for other quantisations of the same model too."""
        return replace(
            self, name=None, quantisation=None, parts=1, embedding_bytes=None, per_layer_bytes=None
        )


def shape_of(architecture: str, vocabulary: int, keys: Mapping[str, Figure]) -> Shape:
    """Make sense of a header's keys, which come without the name of the architecture.

    Raises
    ------
    ShapeError
        One is missing or can't be.

    """
    return _Reading(architecture, vocabulary, keys).shape()


class _Reading:
    """One header's keys."""

    def __init__(self, architecture: str, vocabulary: int, keys: Mapping[str, Figure]) -> None:
        self.architecture = architecture
        self.keys = keys
        self.vocabulary = vocabulary
        if architecture in _OTHER_CACHES:
            raise ShapeError(f"how much {architecture} keeps for a context isn't known here")
        self.depth = self.least_one("block_count")
        if self.depth > MAX_LAYERS:
            raise ShapeError(f"it tells {self.depth} layers, and at most {MAX_LAYERS} can be")
        self.embedding = self.least_one("embedding_length")
        if not 0 < vocabulary <= MAX_FIGURE:
            raise ShapeError(f"it tells a vocabulary of {vocabulary} tokens")

    def one(self, key: str, otherwise: int = 0) -> int:
        figure = self.keys.get(key, otherwise)
        if not isinstance(figure, int):
            raise ShapeError(f"it tells {len(figure)} values of {key}, where one is expected")
        if not 0 <= figure <= MAX_FIGURE:
            raise ShapeError(f"its {key} of {figure} can't be")
        return figure

    def least_one(self, key: str) -> int:
        if key not in self.keys:
            raise MissingError(f"it tells no {key}")
        figure = self.one(key)
        if figure == 0:
            raise ShapeError(f"its {key} is 0")
        return figure

    def each(self, key: str, otherwise: int | tuple[int, ...] = 0) -> tuple[int, ...]:
        """Give a figure for each layer."""
        figures = self.keys.get(key, otherwise)
        if isinstance(figures, int):
            figures = (figures,) * self.depth
        if len(figures) != self.depth:
            raise ShapeError(f"it tells {self.depth} layers, and {len(figures)} values of {key}")
        if not all(0 <= figure <= MAX_FIGURE for figure in figures):
            raise ShapeError(f"its {key} holds {min(figures)} to {max(figures)}, which can't be")
        return figures

    def shape(self) -> Shape:
        heads = self.each("attention.head_count")
        kv_heads = self.each("attention.head_count_kv", heads)
        feed_forward = self.each("feed_forward_length")
        widest = max(heads)
        head = self.embedding // widest if widest else 0
        key = self.one("attention.key_length", head)
        value = self.one("attention.value_length", head)
        window, windowed = self._windows()
        attending = self._attending(kv_heads)
        if not any(attending) and not self._state():
            raise MissingError("it tells neither heads that attend nor a recurrent state")

        def layer(index: int) -> Layer:
            is_windowed = windowed[index]
            keys = self.one("attention.key_length_swa", key) if is_windowed else key
            values = self.one("attention.value_length_swa", value) if is_windowed else value
            cached = kv_heads[index]
            extra = self.one("attention.indexer.key_length")
            if self._is_latent():
                return Layer(cached * keys + extra, 0, is_windowed)
            return Layer(cached * keys + extra, cached * values, is_windowed)

        own = range(min(self._own_caches(), self.depth))
        return Shape(
            architecture=self.architecture,
            embedding=self.embedding,
            vocabulary=self.vocabulary,
            heads=widest,
            query=widest * key,
            feed_forward=max(*feed_forward, self._experts(self.one("expert_used_count"))),
            layers=tuple(layer(index) for index in own if attending[index]),
            depth=self.depth,
            window=window,
            recurrent=self._state() * self._recurrent(attending, feed_forward),
            block_parameters=self._block_parameters(heads, kv_heads, feed_forward, (key, value)),
            per_layer_embedding=self.depth * self.one("embedding_length_per_layer_input"),
            context=self.one("context_length") or None,
        )

    def _is_latent(self) -> bool:
        """Tell whether the cache holds what keys and values are made of, and nothing else.

        Then `key_length` is that of the latent vector and the turned part of the key, in one
        "head", and there are no values (`llama_hparams::is_mla`). Files of deepseek2 from before
        April 2025 don't tell the lengths of the real heads; they keep keys and values.
        """
        return bool(self.one("attention.key_length_mla") and self.one("attention.value_length_mla"))

    def _windows(self) -> tuple[int, tuple[bool, ...]]:
        """Give the window, and which layers see no further (`llama_hparams::set_swa_pattern`)."""
        rule = _WINDOWS.get(self.architecture, _LAST)
        size = self.one("attention.sliding_window", rule.size)
        pattern = self.keys.get("attention.sliding_window_pattern", rule.period)
        if size == 0 or self.architecture in _WITHOUT_WINDOW:
            return 0, (False,) * self.depth
        layers = range(self.depth)
        if not isinstance(pattern, int):  # some tell one period, and no more
            if not pattern:
                raise ShapeError("its attention.sliding_window_pattern is empty")
            return size, tuple(bool(pattern[index % len(pattern)]) for index in layers)
        if pattern <= 0:
            return size, (pattern == 0,) * self.depth
        full = 0 if rule.is_full_first else pattern - 1
        return size, tuple(index % pattern != full for index in layers)

    def _attending(self, kv_heads: tuple[int, ...]) -> tuple[bool, ...]:
        """Tell which layers keep keys and values; in hybrids the others are recurrent."""
        interval = self.one("full_attention_interval", _INTERVALS.get(self.architecture, 1))
        return tuple(
            count > 0 and (index + 1) % max(interval, 1) == 0
            for index, count in enumerate(kv_heads)
        )

    def _own_caches(self) -> int:
        """Give how many layers, from the first, have a cache: not those that only foretell."""
        shared = self.one("attention.shared_kv_layers")
        own = self.depth - shared - self.one("nextn_predict_layers")
        if own <= 0:
            raise ShapeError(f"it tells {self.depth} layers, and none with a cache of its own")
        return own if shared else min(own, _OWN_CACHES.get(self.architecture, own))

    def _state(self) -> int:
        """Give the elements of one recurrent layer's state, for one sequence.

        `llama_hparams::n_embd_r` (what the convolution looks back on) and `n_embd_s`.
        """
        short = self.one("shortconv.l_cache")
        if short:
            return self.embedding * (short - 1)
        inner, state = self.one("ssm.inner_size"), self.one("ssm.state_size")
        kernel, groups = self.one("ssm.conv_kernel"), self.one("ssm.group_count")
        return max(kernel - 1, 0) * (inner + 2 * groups * state) + state * inner

    def _recurrent(self, attending: tuple[bool, ...], feed_forward: tuple[int, ...]) -> int:
        """Count the layers that keep a state.

        Those of Falcon H1 all attend and keep one; those of Nemotron H do one thing each, and
        what has a feed-forward network has nothing else.
        """
        if all(attending):
            return self.depth
        does_one = 0 in feed_forward and any(feed_forward)
        return sum(
            not attends and not (does_one and width)
            for attends, width in zip(attending, feed_forward, strict=True)
        )

    def _experts(self, count: int) -> int:
        """Give the width of so many experts, and of those that all tokens share."""
        width = self.one("expert_feed_forward_length")
        shared = self.one("expert_shared_feed_forward_length", width)
        return count * width + self.one("expert_shared_count") * shared

    def _block_parameters(
        self,
        heads: tuple[int, ...],
        kv_heads: tuple[int, ...],
        feed_forward: tuple[int, ...],
        head: tuple[int, int],
    ) -> int | None:
        """Count the elements of the layers' matrices, where they are those of a Llama.

        Four of attention, three of the feed-forward network, each of which is gated; experts
        instead of it from `leading_dense_block_count` on. Norms and biases are too few to matter.
        """
        experts = self.one("expert_count")
        has_width = bool(self.one("expert_feed_forward_length"))
        if self._is_latent() or self._state() or (experts and not has_width):
            return None
        key, value = head
        routed = self._experts(experts)
        dense = self.one("leading_dense_block_count") if experts else self.depth
        attention = sum(
            self.embedding * (count * (key + value) + cached * (key + value))
            for count, cached in zip(heads, kv_heads, strict=True)
        )
        wide = sum(width if index < dense else routed for index, width in enumerate(feed_forward))
        return attention + 3 * self.embedding * wide
