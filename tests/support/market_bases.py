"""Published models by their configurations: what the test hub's market is made of."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from tests.support.gguf_models import Base

# Above: who published them, the licence, the languages, whether gated, the task if not text.
# Columns: name, architecture, layers, embedding, heads, heads of keys, feed-forward, vocabulary,
# context. Then: h, numbers of a head; t, output and embedding are one; w, a window; e, experts,
# those used, their feed-forward, those shared by all, layers without; l, ranks of latent attention.
_TABLE: Final = """
# HuggingFaceTB apache-2.0 en
SmolLM2-135M-Instruct           llama     30  576   9   3  1536  49152   8192 t
SmolLM2-360M-Instruct           llama     32  960  15   5  2560  49152   8192 t
SmolLM2-1.7B-Instruct           llama     24 2048  32  32  8192  49152   8192 t
# TinyLlama apache-2.0 en
TinyLlama-1.1B-Chat-v1.0        llama     22 2048  32   4  5632  32000   2048
# meta-llama llama3.2 en,de,fr,es,it,pt,ja,zh gated
Llama-3.2-1B-Instruct           llama     16 2048  32   8  8192 128256 131072 t
Llama-3.2-3B-Instruct           llama     28 3072  24   8  8192 128256 131072 t
# meta-llama llama3.1 en,de,fr,es,it,pt,ja,zh gated
Llama-3.1-8B-Instruct           llama     32 4096  32   8 14336 128256 131072
# meta-llama llama3.3 en,de,fr,es,it,pt,ja,zh gated
Llama-3.3-70B-Instruct          llama     80 8192  64   8 28672 128256 131072
# mistralai apache-2.0 en
Mistral-7B-Instruct-v0.3        llama     32 4096  32   8 14336  32768  32768
# mistralai apache-2.0 en,de,fr,es,it,pt,ja,zh
Mistral-Nemo-Instruct-2407      llama     40 5120  32   8 14336 131072 131072 h128
Mistral-Small-24B-Instruct-2501 llama     40 5120  32   8 32768 131072  32768 h128
# mistralai apache-2.0 en,fr,de,es,it
Mixtral-8x7B-Instruct-v0.1      llama     32 4096  32   8 14336  32000  32768 e8/2
# Qwen apache-2.0 en
Qwen2.5-0.5B-Instruct           qwen2     24  896  14   2  4864 151936  32768 t
Qwen2.5-1.5B-Instruct           qwen2     28 1536  12   2  8960 151936  32768 t
# Qwen other en
Qwen2.5-3B-Instruct             qwen2     36 2048  16   2 11008 151936  32768 t
# Qwen apache-2.0 en
Qwen2.5-7B-Instruct             qwen2     28 3584  28   4 18944 152064  32768
Qwen2.5-14B-Instruct            qwen2     48 5120  40   8 13824 152064  32768
Qwen2.5-32B-Instruct            qwen2     64 5120  40   8 27648 152064  32768
# Qwen other en
Qwen2.5-72B-Instruct            qwen2     80 8192  64   8 29568 152064  32768
# Qwen apache-2.0 en
Qwen2.5-Coder-7B-Instruct       qwen2     28 3584  28   4 18944 152064  32768
# Qwen apache-2.0 en,zh
Qwen3-0.6B                      qwen3     28 1024  16   8  3072 151936  40960 h128 t
Qwen3-1.7B                      qwen3     28 2048  16   8  6144 151936  40960 h128 t
Qwen3-4B                        qwen3     36 2560  32   8  9728 151936  40960 h128 t
Qwen3-8B                        qwen3     36 4096  32   8 12288 151936  40960 h128
Qwen3-14B                       qwen3     40 5120  40   8 17408 151936  40960 h128
Qwen3-32B                       qwen3     64 5120  64   8 25600 151936  40960 h128
Qwen3-30B-A3B                   qwen3moe  48 2048  32   4  6144 151936  40960 h128 e128/8/768
Qwen3-235B-A22B                 qwen3moe  94 4096  64   4 12288 151936  40960 h128 e128/8/1536
# google gemma en gated
gemma-2-2b-it                   gemma2    26 2304   8   4  9216 256000   8192 h256 t w4096
gemma-2-9b-it                   gemma2    42 3584  16   8 14336 256000   8192 h256 t w4096
gemma-3-1b-it                   gemma3    26 1152   4   1  6912 262144  32768 h256 t w512
# google gemma en gated image-text-to-text
gemma-3-4b-it                   gemma3    34 2560   8   4 10240 262208 131072 h256 t w1024
gemma-3-12b-it                  gemma3    48 3840  16   8 15360 262208 131072 h256 t w1024
gemma-3-27b-it                  gemma3    62 5376  32  16 21504 262208 131072 h128 t w1024
# microsoft mit en
Phi-3.5-mini-instruct           phi3      32 3072  32  32  8192  32064 131072
phi-4                           phi3      40 5120  40  10 17920 100352  16384
# deepseek-ai other en,zh
DeepSeek-V2-Lite-Chat           deepseek2 27 2048  16  16 10944 102400 163840 e64/6/1408/2/1 l512
# deepseek-ai mit en,zh
DeepSeek-R1  deepseek2 61 7168 128 128 18432 129280 163840 e256/8/2048/1/3 l512/1536
# deepseek-ai mit en
DeepSeek-R1-Distill-Llama-8B    llama     32 4096  32   8 14336 128256 131072
DeepSeek-R1-Distill-Qwen-14B    qwen2     48 5120  40   8 13824 152064 131072
# openai apache-2.0 en
gpt-oss-20b                     gpt-oss   24 2880  64   8  2880 201088 131072 h64 w128 e32/4/2880
gpt-oss-120b                    gpt-oss   36 2880  64   8  2880 201088 131072 h64 w128 e128/4/2880
# ibm-granite apache-2.0 en,de,fr,es,it,pt,ja,zh
granite-3.3-2b-instruct         granite   40 2048  32   8  8192  49159 131072 t
granite-3.3-8b-instruct         granite   40 4096  32   8 12800  49159 131072 t
# allenai apache-2.0 en
OLMo-2-1124-7B-Instruct         olmo2     32 4096  32  32 11008 100352   4096
# tiiuae other en,fr,es,pt
Falcon3-7B-Instruct             llama     28 3072  12   4 23040 131072  32768 h256
"""


def _bases() -> Iterator[Base]:
    publisher: list[str] = []
    for line in _TABLE.strip().splitlines():
        if line.startswith("#"):
            publisher = line.removeprefix("#").split()
            continue
        name, arch, *cells = line.split()
        org, license_id, languages, *rest = publisher
        layers, embed, heads, kv_heads, ff, vocab, context = map(int, cells[:7])
        extras = {cell[0]: cell[1:] for cell in cells[7:]}
        experts, used, expert_ff, shared, dense = _numbers(extras.get("e"), 5)
        kv_lora, q_lora = _numbers(extras.get("l"), 2)
        yield Base(
            name,
            org,
            license_id,
            arch,
            layers,
            embed,
            heads,
            kv_heads,
            ff,
            vocab,
            context,
            head_dim=int(extras.get("h", 0)) or None,
            tied="t" in extras,
            window=int(extras.get("w", 0)) or None,
            experts=experts,
            used=used,
            expert_ff=expert_ff,
            shared=shared,
            dense=dense,
            kv_lora=kv_lora,
            q_lora=q_lora,
            languages=tuple(languages.split(",")),
            gated="gated" in rest,
            task=next((word for word in rest if word != "gated"), "text-generation"),
        )


def _numbers(told: str | None, count: int) -> list[int]:
    """Read `128/8/768`; what isn't told is 0."""
    numbers = [int(part) for part in told.split("/")] if told else []
    return numbers + [0] * (count - len(numbers))


BASES: Final = tuple(_bases())

TINY: Final = Base("tiny-llama", "rbee", "mit", "llama", 2, 256, 4, 2, 512, 512, 2048)
"""Whole files of it are a megabyte or so."""
