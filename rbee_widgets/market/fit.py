"""How much memory a model takes, and whether a machine has it. Pure.

    need = need_of(shape, size, quantisation="Q4_K_M", context=8192)
    judge(need, Machine(gpus=(24 << 30,), ram=64 << 30))

All amounts are bytes. What is computed are the buffers that llama.cpp prints at load; how near that
comes to published logs, and what is kept for what no log prints, is told in `docs/fit.md`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from rbee_widgets.market.shape import BLOCKS, Shape

MIB: Final = 1 << 20

OVERHEAD: Final = 512 * MIB
"""What a driver takes for a process on each GPU, outside of every buffer.

Measured by others: 320 MiB on consumer cards (unslothai/unsloth,
`studio/backend/core/inference/llama_cpp.py`), 749 MiB on an RTX PRO 6000 of 96 GB
(ggml-org/llama.cpp issue 27953). On cards that large the margin covers the rest.
"""

MARGIN: Final = 0.02
"""The part of each GPU's memory that is left free: the formula was up to 1.5 % too low."""

RAM_KEPT: Final = 2 << 30
"""What is left of the RAM to the system and to the hive."""

PADDING: Final = 256
"""Cells of a cache come in multiples of it (`llama_context`, `llama_kv_cache_iswa`)."""

COPIES: Final = 4
"""Times that inputs are kept where several GPUs work in turn (`GGML_SCHED_MAX_COPIES`)."""

_FLOAT: Final = 4
_HALF: Final = 2

_EMBEDDINGS: Final = {
    "IQ1_M": "Q2_K",
    "IQ1_S": "Q2_K",
    "IQ2_M": "IQ3_S",
    "IQ2_S": "IQ3_S",
    "IQ2_XS": "Q2_K",
    "IQ2_XXS": "Q2_K",
    "IQ3_M": "IQ3_S",
    "IQ3_XS": "IQ3_S",
    "IQ3_XXS": "IQ3_S",
    "MXFP4": "Q8_0",
    "MXFP4_MOE": "Q8_0",
    "Q2_K_S": "Q4_K",
    "TQ1_0": "Q4_K",
    "TQ2_0": "Q4_K",
}
"""The type of the input embedding where it isn't the one that the file is named for."""


class Verdict(StrEnum):
    """Whether a model fits a machine."""

    GPU = "gpu"
    OFFLOAD = "offload"
    """Not all of it fits the GPUs; with what the RAM takes, it does."""
    NO = "no"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Run:
    """How a model is loaded: llama.cpp's own settings, as they are where nobody sets them."""

    batch: int = 512
    """Tokens that are computed at once (`--ubatch-size`)."""
    slots: int = 1
    """Sequences at a time; they share the cells of one cache."""
    keys: str = "F16"
    values: str = "F16"
    """Types of the cache."""
    is_flash: bool = True
    """Whether attention is computed without keeping its scores."""
    is_window_full: bool = False
    """Whether windowed layers keep the whole context, as in forks and before June 2025."""


_USUAL: Final = Run()


@dataclass(frozen=True, slots=True)
class Need:
    """The memory that a file takes at a context. Bytes."""

    size: int
    """Of the file, all parts."""
    weights: int
    """What of it lies on the GPU."""
    host: int
    """What lies in host memory all the same; a tied embedding lies in both."""
    kv: int
    """Keys and values, and the states of recurrent layers."""
    compute: int
    """What computing takes, on each device that computes."""
    copies: int
    """What it takes besides on each of several GPUs."""
    piece: int
    """The largest part that can't be divided between GPUs."""
    overhead: int = field(default=OVERHEAD, init=False)
    """What the driver takes, on each GPU."""

    def buffers(self, *, is_shared: bool = False) -> int:
        """Give what one GPU allocates; one whose memory is the host's maps the whole file."""
        return (self.size if is_shared else self.weights) + self.kv + self.compute

    @property
    def total(self) -> int:
        """What one GPU of its own memory must have, but for the margin."""
        return self.buffers() + self.overhead


@dataclass(frozen=True, slots=True)
class Machine:
    """What a model may use. Bytes; None: not known."""

    gpus: tuple[int | None, ...]
    """Of each."""
    ram: int | None
    is_shared: bool = False
    """Whether the GPU's memory is part of the RAM, as Apple's is."""


def need_of(
    shape: Shape,
    size: int,
    *,
    context: int,
    quantisation: str | None = None,
    parameters: int | None = None,
    run: Run = _USUAL,
) -> Need:
    """Tell what a file needs; beyond the context that it was trained for, what that needs.

    Parameters
    ----------
    shape
        The header's figures.
    size
        Of the file, all parts, in bytes.
    context
        In tokens.
    quantisation
        As the file's name has it; None: the header's.
    parameters
        As the source tells them; None: the header's.
    run
        How it is loaded.

    """
    context = min(context, shape.context or context)
    parameters = parameters or shape.parameters
    quantisation = quantisation or shape.quantisation
    is_tied = tied(shape, parameters) is not False  # the safe side
    embedding, layered = _embeddings(shape, size, quantisation, parameters, is_tied=is_tied)
    weights = size - layered - (0 if is_tied else embedding)
    kv = kv_bytes(shape, context, run)
    return Need(
        size=size,
        weights=weights,
        host=embedding + layered,
        kv=kv,
        compute=compute_bytes(shape, context, run),
        copies=_copies(shape, context, run),
        piece=max((weights + kv) // shape.depth, embedding),
    )


def tied(shape: Shape, parameters: int | None) -> bool | None:
    """Tell whether one matrix serves as input and output embedding; None: it can't be told.

    By the tensors, where the header was read that far; else by what the layers leave of the
    parameters, which is once or twice vocabulary x width.
    """
    if shape.is_tied is not None or parameters is None or shape.block_parameters is None:
        return shape.is_tied
    matrices = (parameters - shape.block_parameters) / (shape.vocabulary * shape.embedding)
    for count in (1, 2):
        if abs(matrices - count) < 0.25:
            return count == 1
    return None


def _embeddings(
    shape: Shape, size: int, quantisation: str | None, parameters: int | None, *, is_tied: bool
) -> tuple[int, int]:
    """Give the bytes of the input embedding, and of those that the layers have.

    Both are looked up by token, so llama.cpp keeps them in host memory (`llama_model::load_tensors`
    puts the input layer on the CPU). Their size is that of the tensors where those were seen; else
    elements x bytes of the type that `llama_tensor_get_type` of `src/llama-quant.cpp` chooses, and
    where the name of the file says nothing, of the file's mean.
    """
    kind = _type_named(quantisation)
    mean = (parameters, size) if parameters else (1, 0)
    elements, amount = mean if kind is None else BLOCKS[kind]
    one = shape.vocabulary * shape.embedding * amount // elements
    each = shape.vocabulary * shape.per_layer_embedding * amount // elements
    if is_tied:  # then it has the type of the output, which is no coarser
        least, finest = BLOCKS["Q6_K"]
        one = max(one, shape.vocabulary * shape.embedding * finest // least)
    one = one if shape.embedding_bytes is None else shape.embedding_bytes
    each = each if shape.per_layer_bytes is None else shape.per_layer_bytes
    return min(one, size // 2), min(each, size // 2)


def _type_named(quantisation: str | None) -> str | None:
    """Give the type of the input embedding in files named so; None: it isn't known."""
    name = (quantisation or "").upper().removeprefix("UD-")
    name = _EMBEDDINGS.get(name, name)
    if name in BLOCKS:
        return name
    mixture, _, _ = name.rpartition("_")  # Q4_K_M is of Q4_K for the most part
    return mixture if mixture in BLOCKS else None


def _padded(cells: int) -> int:
    return -(-cells // PADDING) * PADDING


def _cells(shape: Shape, context: int, run: Run) -> tuple[int, int]:
    """Give the cells of a layer that sees everything, and of a windowed one.

    The latter keeps the window of each slot and one batch, rounded up, and no more than the former
    (`llama_kv_cache_iswa`).
    """
    whole = _padded(context)
    if run.is_window_full:
        return whole, whole
    return whole, _padded(min(whole, shape.window * run.slots + run.batch))


def kv_bytes(shape: Shape, context: int, run: Run = _USUAL) -> int:
    """Give the bytes of the cache: for each layer cells x (keys + values).

    Source: `llama_kv_cache`, whose rows are whole blocks of the cache's type: 34 bytes for 32
    elements of Q8_0, 18 of Q4_0. What layers with latent attention, hybrids and others keep is in
    `Shape.layers`. A recurrent layer keeps its state in 32-bit floats, for each slot, whatever the
    context (`llama_memory_recurrent`).
    """
    whole, windowed = _cells(shape, context, run)
    row = sum(
        (windowed if layer.is_windowed else whole)
        * (_row(layer.keys, run.keys) + _row(layer.values, run.values))
        for layer in shape.layers
    )
    return row + _FLOAT * shape.recurrent * run.slots


def _row(elements: int, kind: str) -> int:
    block, size = BLOCKS[kind]
    return -(-elements // block) * size


def compute_bytes(shape: Shape, context: int, run: Run = _USUAL) -> int:
    """Give the bytes of a device's compute buffer.

    A graph's tensors share it, so it is as large as those that live at one moment. With u tokens
    in a batch, 4 bytes each, the moments are:

    - the output: logits and what they are made of, u x (vocabulary + width);
    - attention: queries, the attention's result, the layer's input and its norm,
      u x (2 x queries + 2 x width), the masks, u x cells, once for all layers that see everything
      and once for windowed ones, and the scores, u x cells x heads; with flash attention no scores,
      and of each mask a copy of 2 bytes;
    - the feed-forward network: u x (3 x its width + 4 x width), and the masks, of which with flash
      attention only the copies are left.

    Layers with embeddings of their own have all of them made at the start, from two parts.

    Source: `ggml_gallocr`, and the graphs of `src/models/*.cpp`; the output's term is that of
    Ollama's `GraphSize` (`fs/ggml/ggml.go`, 2025). Builds since about mid 2026 reserve logits for
    the rows alone that are put out: there it is too much by up to the first term.
    """
    batch = min(run.batch, context)
    whole, windowed = _cells(shape, context, run)
    has_windows = any(layer.is_windowed for layer in shape.layers)
    masks = whole * bool(shape.layers) + windowed * has_windows
    output = _FLOAT * (shape.vocabulary + shape.embedding)
    attention = _FLOAT * (2 * shape.query + 2 * shape.embedding + masks)
    network = _FLOAT * (3 * shape.feed_forward + 4 * shape.embedding)
    if run.is_flash:
        attention += _HALF * masks
        network += _HALF * masks
    else:
        attention += _FLOAT * whole * shape.heads
        network += _FLOAT * masks
    layered = _FLOAT * 2 * shape.per_layer_embedding
    return batch * (layered + max(output, attention, network))


def _copies(shape: Shape, context: int, run: Run) -> int:
    """Give what each of several GPUs holds besides: `COPIES` of the mask and of the layer's input.

    Source: `ggml_backend_sched_split_graph`; with flash attention the mask is of 2 bytes.
    """
    batch = min(run.batch, context)
    whole, _ = _cells(shape, context, run)
    mask = whole * (_HALF if run.is_flash else _FLOAT)
    return COPIES * batch * (mask + _FLOAT * shape.embedding)


def judge(need: Need, machine: Machine) -> Verdict:
    """Tell whether a model fits. A machine without a GPU can do no better than `OFFLOAD`."""
    known = [memory for memory in machine.gpus if memory is not None]
    if _fits_gpus(need, known, is_shared=machine.is_shared):
        return Verdict.GPU
    if len(known) < len(machine.gpus) or machine.ram is None:
        return Verdict.UNKNOWN
    ram = machine.ram - RAM_KEPT
    room = 0 if machine.is_shared else sum(_rooms(need, known))
    if room == 0:
        is_enough = ram >= need.buffers(is_shared=True)
    else:
        rest = max(need.weights + need.kv - room, 0)
        is_enough = ram >= rest + need.host + need.compute
    return Verdict.OFFLOAD if is_enough else Verdict.NO


def _fits_gpus(need: Need, gpus: list[int], *, is_shared: bool) -> bool:
    held = need.buffers(is_shared=is_shared) + need.overhead
    if any(held <= _usable(memory) for memory in gpus):
        return True
    rooms = _rooms(need, gpus)
    if is_shared or len(rooms) < 2:
        return False
    # Whole layers are dealt out: on each GPU but the last, as much as a piece may stay unused.
    return need.weights + need.kv <= sum(rooms) - need.piece * (len(rooms) - 1)


def _usable(memory: int) -> int:
    return int(memory * (1 - MARGIN))


def _rooms(need: Need, gpus: list[int]) -> list[int]:
    """Give what each GPU has for layers, those left out that have none."""
    fixed = need.compute + need.overhead + (need.copies if len(gpus) > 1 else 0)
    rooms = [_usable(memory) - fixed for memory in gpus]
    return [room for room in rooms if room > 0]
