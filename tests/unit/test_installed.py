"""The list of what is installed: as it reads, and what is taken from a hive's words."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from rbee_widgets import Hive
from rbee_widgets.contract import Model
from rbee_widgets.installed import InstalledModel, InstalledModels
from rbee_widgets.tables import MAX_ROWS
from tests.unit.test_snapshot_html import AT, HOSTILE, Page

HIVE = Hive("http://10.0.0.7:7835", "gaming-pc")
LLAMA = "org/Llama-GGUF:llama.Q4_K_M.gguf"


@pytest.fixture(autouse=True)
def utc(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


def told(**fields: Any) -> Model:
    plain = {"id": LLAMA, "name": "Llama", "path": "/models/a/model.gguf", "size": 10**9}
    return Model.model_validate(plain | fields)


def listed(*models: Model) -> InstalledModels:
    return InstalledModels((InstalledModel(one, HIVE) for one in models), HIVE.id, AT)


THREE = (
    told(size=4_920_739_232, added_at="2026-11-24T08:47:12.644919392Z"),
    told(id="org/tiny", name="tiny", path="/models/org-tiny/model.gguf", size=3_000_000),
    told(id="A/b:b.IQ2_XXS.gguf", name="b", added_at="2026-11-25T00:00:00+02:00"),
)


def test_it_reads_as_a_table_in_text() -> None:
    models = listed(
        told(size=4_920_739_232, added_at="2026-11-24T08:47:12.644919392Z"),
        told(id="org/tiny", path="/models/b/model.gguf", size=3_000_000),
    )
    assert (
        repr(models)
        == f"""\
Model{" " * 29}Size     Quantisation  Added             Path                  Hive
{LLAMA}  4.92 GB  Q4_K_M        2026-11-24 08:47  /models/a/model.gguf  gaming-pc
org/tiny{" " * 26}3.00 MB                                  /models/b/model.gguf  gaming-pc

2 models on gaming-pc, 4.92 GB in all, as of 2026-11-26 14:02 UTC."""
    )


def test_it_reads_as_a_table_in_a_page() -> None:
    page = Page(listed(*THREE)._repr_html_())
    assert page.words[0] == "3 models on gaming-pc, 5.92 GB in all, as of 2026-11-26 14:02 UTC."
    heads, first, *_ = page.lines
    assert dict(zip(heads, first, strict=True)) == {
        "Model": "A/b:b.IQ2_XXS.gguf",
        "Size": "1.00 GB",
        "Quantisation": "IQ2_XXS",
        "Added": "2026-11-24 22:00",
        "Path": "/models/a/model.gguf",
        "Hive": "gaming-pc",
    }
    assert [line[0] for line in page.lines[1:]] == ["A/b:b.IQ2_XXS.gguf", LLAMA, "org/tiny"]


def test_it_is_a_list_of_what_a_program_needs() -> None:
    models = listed(*THREE)
    assert (len(models), models.size) == (3, 4_920_739_232 + 3_000_000 + 10**9)
    model = models[1]
    assert (model.id, model.name, model.size) == (LLAMA, "Llama", 4_920_739_232)
    assert (model.quantisation, model.path) == ("Q4_K_M", "/models/a/model.gguf")
    assert (model.hive, model.added_at) == (
        "gaming-pc",
        datetime(2026, 11, 24, 8, 47, 12, 644919, UTC),
    )
    assert repr(model) == f"<InstalledModel {LLAMA}, 4.92 GB>"


def test_where_nothing_is_it_tells_how_to_fetch_a_model() -> None:
    words = repr(listed())
    assert words.startswith("No models on gaming-pc, as of 2026-11-26 14:02 UTC. Fetch one with ")
    assert "%download org/repo:file.gguf" in words
    assert " ".join(Page(listed()._repr_html_()).words) == words


def test_what_no_hive_tells_has_no_column() -> None:
    models = listed(told(id="org/tiny"))
    assert (models[0].added_at, models[0].quantisation) == (None, None)
    assert Page(models._repr_html_()).lines[0] == ["Model", "Size", "Path", "Hive"]
    assert repr(models).split()[:4] == ["Model", "Size", "Path", "Hive"]


@pytest.mark.parametrize(
    "added_at",
    ["", "yesterday", "2026-13-01", "0001-01-01T00:00:00+23:00", "9999-12-31T23:59:59-23:00"],
)
def test_a_time_that_is_none_is_not_told(added_at: str) -> None:
    (model,) = listed(told(added_at=added_at))
    assert model.added_at is None


@pytest.mark.parametrize(
    ("model", "quantisation"),
    [
        ("org/repo:f-UD-Q4_K_XL-00001-of-00002.gguf", "UD-Q4_K_XL"),
        ("org/repo:BF16/f-00001-of-00002.gguf", "BF16"),
        ("https://example.org/f.IQ2_XXS.gguf?download=true", "IQ2_XXS"),
        ("org/repo-Q4_K_M-GGUF", None),  # which file of it was fetched is not told
        ("org/repo:" + "q4_0" * 1000, None),
    ],
)
def test_a_quantisation_is_that_of_the_files_name(model: str, quantisation: str | None) -> None:
    assert listed(told(id=model))[0].quantisation == quantisation


def test_a_time_without_a_zone_is_in_utc() -> None:
    (model,) = listed(told(added_at="2026-11-24T08:00:00"))
    assert model.added_at == datetime(2026, 11, 24, 8, tzinfo=UTC)


@pytest.mark.parametrize("said", HOSTILE)
def test_hostile_words_stay_words(said: str) -> None:
    models = listed(told(id=said, name=said, path="/p"), told())
    page = Page(models._repr_html_())
    ours = {"div", "p", "strong", "table", "thead", "tbody", "tr", "th", "td", "span", "code"}
    assert {tag for tag, _ in page.tags} <= ours
    assert all(set(attributes) <= {"style"} for _, attributes in page.tags)
    for line in repr(models).splitlines():
        assert line.isprintable()
        assert len(line) < 1000
    assert all(repr(model).isprintable() for model in models)
    assert len(models._repr_html_()) < 10_000


def test_of_very_many_the_first_are_shown() -> None:
    models = listed(*(told(id=f"org/repo:{i:05}.gguf") for i in range(MAX_ROWS + 20)))
    assert "and 20 more" in repr(models).splitlines()
    assert "and 20 more" in Page(models._repr_html_()).words
    assert len(Page(models._repr_html_()).lines) == 1 + MAX_ROWS
    assert "120 models on gaming-pc, 120 GB in all" in repr(models)
