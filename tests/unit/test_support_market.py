"""The market that other tests look around in is what it says it is."""

from __future__ import annotations

import hashlib
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest
from gguf import GGUFReader
from huggingface_hub import HfApi, ModelCard
from huggingface_hub.errors import GatedRepoError

from tests.support import civitai, gguf_models, market
from tests.support.civitai import Civitai, fill_civitai
from tests.support.gguf_models import Base
from tests.support.hub import Hub
from tests.support.market_bases import BASES, TINY


@pytest.fixture(scope="module")
def hub() -> Iterator[Hub]:
    with Hub(tokens=["right"]) as hub:
        market.fill(hub)
        fill_civitai(Civitai(hub))
        yield hub


@pytest.fixture(scope="module")
def api(hub: Hub) -> Any:  # all that its answers tell is optional by its types
    return HfApi(endpoint=hub.url, token=False)


def base(name: str) -> Base:
    return next(base for base in BASES if base.name == name)


def test_the_market_is_of_the_size_that_was_asked_for(api: Any) -> None:
    assert len(list(api.list_models())) == 300


def test_a_seed_gives_the_same_market_again(api: Any) -> None:
    with Hub() as other:
        market.fill(other)
        again: Any = HfApi(endpoint=other.url, token=False)
        assert list(again.list_models(full=True)) == list(api.list_models(full=True))
        market.fill(other, seed=2, models=100)


def test_thousands_of_light_models_are_there_in_no_time() -> None:
    began = time.process_time()
    with Hub() as hub:
        market.fill(hub, light=2000)
        assert time.process_time() - began < 5
        hub.page_length = 50
        listed = HfApi(endpoint=hub.url, token=False).list_models(filter="gguf", sort="downloads")
        ids = [model.id for model in listed]
        assert len(set(ids)) == len(ids) > 2200
        assert len(hub.requests) == -(-len(ids) // 50)


def test_the_models_are_as_various_as_the_real_ones(api: Any) -> None:
    models = [model for model in api.list_models(full=True) if not model.id.startswith("evil/")]
    downloads = sorted(model.downloads for model in models)
    assert downloads[-1] > 100 * downloads[len(downloads) // 2] > 0
    assert {model.gated for model in models} == {"auto", "manual", False}
    licences = {tag for model in models for tag in model.tags if tag.startswith("license:")}
    assert len(licences) >= 7
    assert len({model.pipeline_tag for model in models}) == 3
    assert len({model.author for model in models}) >= 20
    newest = max(model.last_modified.timestamp() for model in models)
    assert newest <= market.NOW


@pytest.mark.parametrize(
    ("query", "least"),
    [
        ({"search": "llama gguf"}, 20),
        ({"search": "qwen3 8b", "filter": ["gguf"]}, 2),
        ({"filter": ["gguf", "license:mit", "text-generation"]}, 5),
        ({"filter": "de"}, 20),
        ({"pipeline_tag": "image-text-to-text"}, 8),
        ({"filter": "gguf", "num_parameters": "max:1B"}, 5),
    ],
)
def test_searches_of_all_kinds_find_some(api: Any, query: dict[str, Any], least: int) -> None:
    assert least <= len(list(api.list_models(**query))) < 200


# Files


def test_a_repo_of_quantisations_has_files_by_their_bits(api: Any) -> None:
    info = api.model_info(market.SMALL, files_metadata=True)
    size = {file.rfilename.rsplit("-", 1)[-1]: file.size for file in info.siblings}
    assert size["Q8_0.gguf"] == pytest.approx(1.32e9, rel=0.01)  # as published
    assert size["Q4_K_M.gguf"] == pytest.approx(0.81e9, rel=0.01)
    assert len([name for name in size if name.endswith(".gguf")]) == 12
    assert {"README.md", ".gitattributes"} <= {file.rfilename for file in info.siblings}


def test_parameters_are_those_that_were_published() -> None:
    published = {
        "Llama-3.1-8B-Instruct": 8_030_261_248,
        "Qwen2.5-7B-Instruct": 7_615_616_512,
        "gemma-2-2b-it": 2_614_341_888,
        "Mixtral-8x7B-Instruct-v0.1": 46_702_792_704,
        "Qwen3-30B-A3B": 30_532_122_624,
        "DeepSeek-R1": 671_026_419_200,
        "gpt-oss-20b": 20_914_757_184,
    }
    for name, count in published.items():
        assert gguf_models.parameters(base(name)) == pytest.approx(count, rel=0.002), name


def test_a_large_model_is_split_in_parts(api: Any) -> None:
    files = api.model_info(market.SPLIT, files_metadata=True).siblings
    parts = [file for file in files if "Q4_K_M-" in file.rfilename]
    assert (
        parts[0].rfilename == f"DeepSeek-R1-Q4_K_M/DeepSeek-R1-Q4_K_M-00001-of-{len(parts):05}.gguf"
    )
    assert sum(part.size for part in parts) == pytest.approx(404e9, rel=0.02)  # as published
    assert max(part.size for part in parts) < 50e9


def test_vision_comes_in_a_file_of_its_own(api: Any) -> None:
    names = [file.rfilename for file in api.model_info("bartowski/gemma-3-4b-it-GGUF").siblings]
    assert {"mmproj-F16.gguf", "mmproj-BF16.gguf"} <= set(names)


@pytest.mark.parametrize(
    ("name", "keys"),
    [
        ("Llama-3.1-8B-Instruct", {"llama.attention.head_count_kv": 8}),
        ("Qwen3-8B", {"qwen3.attention.key_length": 128, "qwen3.block_count": 36}),
        ("Qwen2.5-0.5B-Instruct", {"qwen2.attention.head_count_kv": 2}),
        ("Qwen3-30B-A3B", {"qwen3moe.expert_count": 128, "qwen3moe.expert_used_count": 8}),
        ("gemma-3-1b-it", {"gemma3.attention.sliding_window": 512}),
        ("gemma-2-9b-it", {"gemma2.attn_logit_softcapping": 50.0}),
        ("gpt-oss-20b", {"gpt-oss.attention.sliding_window": 128, "gpt-oss.expert_count": 32}),
        ("Phi-3.5-mini-instruct", {"phi3.context_length": 131072}),
        (
            "DeepSeek-V2-Lite-Chat",
            {
                "deepseek2.attention.kv_lora_rank": 512,
                "deepseek2.attention.head_count_kv": 1,
                "deepseek2.attention.key_length": 576,
            },
        ),
    ],
)
def test_a_header_is_read_by_the_real_library(
    tmp_path: Path, name: str, keys: dict[str, float]
) -> None:
    model = replace(base(name), vocab=320)  # the library takes seconds for a real vocabulary
    [size] = gguf_models.sizes(model, "Q4_K_M")
    reader = read(gguf_models.header(model, "Q4_K_M"), size, tmp_path)
    assert {key: reader.fields[key].contents() for key in keys} == keys
    assert len(reader.fields["tokenizer.ggml.tokens"].data) == 320
    elements = sum(int(tensor.n_elements) for tensor in reader.tensors)
    assert elements == gguf_models.parameters(model)
    assert end(reader) == size


def read(header: bytes, size: int, folder: Path) -> GGUFReader:
    """Read a file of that size, of which the header alone takes room."""
    path = folder / "sparse.gguf"
    with path.open("wb") as file:
        file.write(header)
        file.truncate(size)
    return GGUFReader(path)


def end(reader: GGUFReader) -> int:
    last = reader.tensors[-1]
    return gguf_models._pad(int(last.data_offset + last.n_bytes))


@pytest.mark.parametrize("part", [0, 1])
def test_a_part_tells_that_it_is_one(tmp_path: Path, part: int) -> None:
    model = replace(base("DeepSeek-R1"), vocab=320)
    sizes = gguf_models.sizes(model, "Q4_K_M")
    header = gguf_models.header(model, "Q4_K_M", part)
    reader = read(header, sizes[part], tmp_path)
    assert reader.fields["split.no"].contents() == part
    assert reader.fields["split.count"].contents() == len(sizes)
    assert ("deepseek2.block_count" in reader.fields) == (part == 0)
    assert end(reader) == sizes[part]


@pytest.mark.parametrize("name", ["Llama-3.1-8B-Instruct", "Qwen3-8B", "gemma-3-1b-it"])
def test_a_real_vocabulary_is_served_at_its_full_length(api: Any, hub: Hub, name: str) -> None:
    model, repo = base(name), f"bartowski/{name}-GGUF"
    header = gguf_models.header(model, "Q6_K")
    pieces = gguf_models._parts(model, "Q6_K")[0]
    weights = sum(gguf_models._pad(piece.size) for piece in pieces)
    [size] = gguf_models.sizes(model, "Q6_K")
    assert len(header) + weights == size
    assert len(header) > 12 * model.vocab

    listed = api.model_info(repo, files_metadata=True).siblings
    [file] = [file for file in listed if file.rfilename == f"{name}-Q6_K.gguf"]
    url = f"{hub.url}/{repo}/resolve/main/{file.rfilename}"
    ranged = {"Range": f"bytes=0-{len(header) - 1}"}
    answer = httpx.get(url, headers=ranged, follow_redirects=True)
    assert (file.size, answer.content) == (size, header)


def test_the_words_of_a_vocabulary_differ() -> None:
    assert len({gguf_models._word(number) for number in range(262_208)}) == 262_208


def test_a_tiny_model_is_whole_and_its_hashes_hold(api: Any, hub: Hub) -> None:
    files = api.model_info(market.TINY, files_metadata=True).siblings
    weights = [file for file in files if file.rfilename.endswith(".gguf")]
    for file in weights:
        url = f"{hub.url}/{market.TINY}/resolve/main/{file.rfilename}"
        body = httpx.get(url, follow_redirects=True).content
        assert (len(body), hashlib.sha256(body).hexdigest()) == (file.size, file.lfs.sha256)
    assert len(weights) == 7
    assert max(file.size for file in weights) < 4_000_000
    assert gguf_models.parameters(TINY) < 2_000_000


# Special ones


def test_a_model_of_another_format_has_no_gguf(api: Any) -> None:
    info = api.model_info(market.SAFETENSORS)
    names = [file.rfilename for file in info.siblings]
    assert names[-1] == "tokenizer_config.json"
    assert not [name for name in names if name.endswith(".gguf")]
    assert info.safetensors.total == gguf_models.parameters(base("Qwen3-8B"))


@pytest.mark.parametrize(("repo", "gate"), [(market.GATED, "manual"), (market.GATED_AUTO, "auto")])
def test_a_gated_model_says_so_and_keeps_its_files(
    api: Any, tmp_path: Path, repo: str, gate: str
) -> None:
    info = api.model_info(repo)
    assert info.gated == gate
    file = next(file.rfilename for file in info.siblings if file.rfilename.endswith(".gguf"))
    with pytest.raises(GatedRepoError):
        api.hf_hub_download(repo, file, local_dir=tmp_path)


def test_an_empty_repo_tells_next_to_nothing(api: Any) -> None:
    info = api.model_info(market.EMPTY)
    assert (info.siblings, info.card_data, info.pipeline_tag, info.tags) == ([], None, None, [])


def test_hostile_names_are_found_as_they_are(api: Any, hub: Hub) -> None:
    found = {model.id for model in api.list_models(author="evil")}
    assert found == set(market.HOSTILE)
    card = httpx.get(f"{hub.url}/{market.HOSTILE_CARD}/raw/main/README.md").text
    assert "<script>globalThis.pwned" in card
    names = [file.rfilename for file in api.model_info(market.HOSTILE_CARD).siblings]
    assert any("onerror" in name for name in names)
    assert any(name.startswith("..") for name in names)


def test_each_lie_is_told(hub: Hub) -> None:
    for name, head in market.lies().items():
        url = f"{hub.url}/{market.LIAR}/resolve/main/{name}"
        ranged = {"Range": f"bytes=0-{len(head) - 1}"}
        assert httpx.get(url, headers=ranged, follow_redirects=True).content == head
    assert sum((2**60).to_bytes(8, "little") in head for head in market.lies().values()) == 5


def test_a_card_is_what_people_write(hub: Hub) -> None:
    card = ModelCard(httpx.get(f"{hub.url}/{market.SMALL}/raw/main/README.md").text)
    data: Any = card.data
    assert (data.license, data.base_model) == ("llama3.2", "meta-llama/Llama-3.2-1B-Instruct")
    for part in ("| Filename |", "```python", "<img ", "![", "](https://", "<details>"):
        assert part in card.text


# CivitAI


def listed(hub: Hub, **query: str) -> dict[str, Any]:
    answer = httpx.get(f"{hub.url}/api/v1/models", params=query)
    assert answer.status_code == 200, answer.text
    told: dict[str, Any] = answer.json()
    return told


def test_civitai_is_read_on_by_cursors(hub: Hub) -> None:
    first = listed(hub, limit="50", sort="Newest", nsfw="true")
    seen = [item["id"] for item in first["items"]]
    metadata = first["metadata"]
    while further := metadata.get("nextPage"):
        assert "nextCursor" in metadata
        page = httpx.get(further).json()
        seen += [item["id"] for item in page["items"]]
        metadata = page["metadata"]
    assert len(seen) == len(set(seen)) == 120


def test_civitai_heeds_what_is_asked(hub: Hub) -> None:
    found = listed(hub, query="neon", types="LORA", sort="Most Downloaded")["items"]
    assert found
    assert {item["type"] for item in found} == {"LORA"}
    assert all("neon" in item["name"].lower() and not item["nsfw"] for item in found)
    counts = [item["stats"]["downloadCount"] for item in found]
    assert counts == sorted(counts, reverse=True)
    assert len(listed(hub, nsfw="true")["items"]) > len(listed(hub, limit="100")["items"]) - 1
    flux = listed(hub, baseModels="Flux.1 D")["items"]
    assert all(any(v["baseModel"] == "Flux.1 D" for v in item["modelVersions"]) for item in flux)


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ({"query": "neon", "page": "1"}, 400),
        ({"sort": "Best"}, 400),
        ({"limit": "500"}, 400),
        ({"page": "11", "limit": "100"}, 429),
    ],
)
def test_civitai_refuses_what_the_public_one_refuses(
    hub: Hub, query: dict[str, str], status: int
) -> None:
    assert httpx.get(f"{hub.url}/api/v1/models", params=query).status_code == status


def test_civitai_gives_a_file_with_the_hash_that_it_told(hub: Hub) -> None:
    model = httpx.get(f"{hub.url}/api/v1/models/{civitai.TINY}").json()
    [file] = model["modelVersions"][0]["files"]
    body = httpx.get(file["downloadUrl"], follow_redirects=True).content
    assert hashlib.sha256(body).hexdigest().upper() == file["hashes"]["SHA256"]
    assert len(body) == file["sizeKB"] * 1024
    assert httpx.get(f"{hub.url}/api/v1/models/1").status_code == 404


def test_civitai_gives_some_files_to_those_it_knows_alone(hub: Hub) -> None:
    model = httpx.get(f"{hub.url}/api/v1/models/{civitai.EARLY}").json()
    url = model["modelVersions"][0]["downloadUrl"]
    assert httpx.get(url).status_code == 401
    headers = {"Authorization": "Bearer right"}
    assert httpx.get(url, headers=headers, follow_redirects=True).status_code == 200


def test_the_market_runs_as_a_process_too() -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "tests.support.market", "--models", "120", "--light", "5"],
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            assert process.stdout is not None
            url = process.stdout.readline().removeprefix("listening on ").strip()
            assert len(httpx.get(f"{url}/api/models").json()) == 125
            assert httpx.get(f"{url}/api/v1/models?limit=1").json()["items"]
        finally:
            process.send_signal(signal.SIGTERM)
    assert process.returncode == 0
