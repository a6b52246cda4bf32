"""The marketplace without its page: in a terminal, as what a notebook keeps, and by its links."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import quote

import pytest

from rbee_widgets import Hive, Tracker
from rbee_widgets.links import read_target
from tests.support import market
from tests.support.hive import TOKEN, HiveProcess
from tests.support.hub import Hub, Slow
from tests.support.kernel import CellError, Kernel
from tests.support.shelf import Shelf

IPYTHON = [sys.executable, "-m", "IPython", "--simple-prompt", "--colors=NoColor", "--quick"]

NAMES = (
    "plain-Q4_K_M.gguf",
    "sub/folder/a name (1)-Q8_0.gguf",
    "100%25 + more #1?x=y&z-Q8_0.gguf",
    "100%25 & more-Q8_0.gguf",
    "größe-{x}-$HOME-Q8_0.gguf",
    'it\'s "quoted"-Q8_0.gguf',
)
"""Names of files that a link has to quote."""


@pytest.fixture
def hub(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> Hub:
    """Put a few models on the hub."""
    market.fill(hub, models=15)
    monkeypatch.setenv("HF_ENDPOINT", hub.url)
    return hub


def cells(*lines: str, **environ: str) -> str:
    """Run cells in IPython in a terminal; give what is said."""
    done = subprocess.run(
        [*IPYTHON, "-c", "\n".join(f"get_ipython().run_cell({line!r})" for line in lines)],
        env={**os.environ, **environ},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert "Traceback" not in done.stdout + done.stderr
    return done.stdout + done.stderr


# -- A terminal -----------------------------------------------------------------------------------


def test_a_terminal_prints_a_table(hub: Hub) -> None:
    hub.add_file("one-Q4_K_M.gguf", size=5000)
    said = cells(
        "%load_ext rbee_widgets",
        f"%marketplace {market.TINY}",
        "%marketplace no-such-model",
        f"%marketplace {hub.url}/files/one-Q4_K_M.gguf",
        "%marketplace llama --source ollama",
        "%marketplace 'llama",
        "%marketplace --hive",
        "%marketplace llama --hive moon",
        "%marketplace --help",
        "print(get_ipython().complete('', '%marketplace ', 13)[1])",
        "print(get_ipython().complete('', '%marketplace x --source ', 24)[1])",
        "print(get_ipython().complete('c', '%marketplace x --source c', 25)[1])",
        "print(get_ipython().complete('', '%marketplace x --hive ', 22)[1])",
    )
    assert re.search(r"MODEL +PARAMETERS +DOWNLOADS +LICENCE", said)
    assert re.search(rf"{market.TINY} +1M +4\.32k +mit", said)
    assert "No models." in said
    assert f"{hub.url}/files/one-Q4_K_M.gguf" in said
    assert "UsageError: expected a source of models, huggingface or civitai, got 'ollama'" in said
    assert "UsageError: No closing quotation" in said
    assert "expected one argument" in said
    assert "UsageError: no hive is called 'moon'" in said
    assert "words, org/repo, or the URL of a file" in said
    assert "['--hive', '--source', '--help']" in said
    assert "['huggingface', 'civitai']" in said
    assert "['civitai']" in said
    assert "['local']" in said


def test_a_terminal_tells_trouble_in_one_line() -> None:
    said = cells("%load_ext rbee_widgets", "%marketplace x", HF_ENDPOINT="http://127.0.0.1:9")
    assert "UsageError: 127.0.0.1:9 can't be reached" in said


def test_plain_python_prints_a_table_by_the_display_that_it_has(hub: Hub) -> None:
    assert hub.url
    script = (
        f"from rbee_widgets import display; display.show_marketplace('{market.TINY}', None, None)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=True
    )
    assert market.TINY in done.stdout
    assert done.stderr == ""


# -- Links ----------------------------------------------------------------------------------------


def links() -> Iterator[tuple[str, str]]:
    """Give names of models and their links, as Python's tables and as a page write them."""
    for name in NAMES:
        model = f"org/repo:{name}"
        yield model, f"rbee://model/{quote(model, safe='/:')}"
        yield model, f"rbee://model/{quote(model, safe='/:!()*~')}"


@pytest.mark.parametrize(("model", "link"), list(links()))
def test_a_link_is_read_as_the_model_that_it_was_made_of(model: str, link: str) -> None:
    assert read_target(link).id == model


def test_links_are_fetched_by_the_magic(hive: HiveProcess, hub: Hub) -> None:
    names = [name for name in NAMES if "?" not in name]  # which no hive takes
    for name in names:
        hub.add("org/repo", name, size=3000)
    said = cells(
        "%load_ext rbee_widgets",
        *(f"%download {link} --wait" for model, link in links() if "?" not in model),
        "import rbee_widgets as rbee",
        "print(sorted({d.name for d in rbee.downloads() if d.status == 'complete'}))",
        RBEE_HIVE_URL=hive.url,
        RBEE_HIVE_TOKEN=TOKEN,
    )
    assert repr(sorted(f"org/repo:{name}" for name in names)) in said
    assert len(list(hive.models.rglob("model.gguf"))) == len(names)


# -- What a notebook keeps ------------------------------------------------------------------------


class Markup(HTMLParser):
    """What a page would make of it."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: set[str] = set()
        self.links: dict[str, str] = {}
        self.text = ""
        self._href = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}
        self._href = dict(attrs).get("href") or "" if tag == "a" else self._href

    def handle_data(self, data: str) -> None:
        self.text += data
        if self.lasttag == "a":
            self.links.setdefault(self._href, data)


async def kept(shelf: Shelf) -> tuple[Markup, str]:
    bundle = shelf._repr_mimebundle_()
    assert bundle is not None
    assert "application/vnd.jupyter.widget-view+json" in bundle[0]
    return Markup(bundle[0]["text/html"]), bundle[0]["text/plain"]


@pytest.mark.anyio
async def test_a_notebook_keeps_tables_with_links(hive: HiveProcess, hub: Hub) -> None:
    assert hub.url
    tracker = Tracker([hive.handle("gaming-pc")])
    await tracker.download(f"{market.TINY}:tiny-llama-Q4_K_M.gguf")
    shelf = Shelf(market.TINY, tracker=tracker)
    shelf.look()
    await shelf.found(1)
    await shelf.visited()
    await shelf.unfolded(market.TINY)
    page, plain = await kept(shelf)
    assert page.links[f"rbee://model/{market.TINY}"] == market.TINY
    path = "tiny-llama-Q4_K_M.gguf"
    assert page.links[f"rbee://model/{market.TINY}:{path}"] == path
    assert "On gaming-pc, 8k tokens" in page.text
    assert re.search(rf"{path}[\d.]+ [kM]Bfits [^,]*, installed", page.text)
    assert re.search(r"as of 20\d\d-\d\d-\d\d \d\d:\d\d UTC", page.text)
    assert page.tags <= {"div", "p", "strong", "table", "thead", "tbody", "tr", "th", "td", "a"} | {
        "span"
    }
    assert plain.splitlines()[0].split() == ["MODEL", "PARAMETERS", "DOWNLOADS", "LICENCE"]
    assert market.TINY in plain
    shelf.close()
    await tracker.aclose()


@pytest.mark.anyio
async def test_hostile_names_are_kept_as_text(hub: Hub) -> None:
    assert hub.url
    tracker = Tracker([Hive("http://127.0.0.1:1", "<b onclick=x>hive</b>")])
    shelf = Shelf("evil", tracker=tracker)
    shelf.look()
    await shelf.found(1)
    await shelf.unfolded(market.HOSTILE_CARD)
    page, plain = await kept(shelf)
    assert "script" not in page.tags
    assert page.tags.isdisjoint({"img", "b", "iframe", "svg"})
    assert page.attributes <= {"style", "href", "data-live"}
    assert all(link.startswith("rbee://model/") for link in page.links)
    assert all(line.isprintable() for line in plain.splitlines())
    for link in page.links:
        assert read_target(link).id.startswith("evil/")
    shelf.close()
    await tracker.aclose()


@pytest.mark.anyio
async def test_the_first_results_are_kept_by_the_cell_that_shows_them(hub: Hub) -> None:
    hub.fail(Slow(0.5), path="/api/models")
    tracker = Tracker([Hive("http://127.0.0.1:1", "away")])
    shelf = Shelf(market.TINY, tracker=tracker)
    page, plain = await kept(shelf)
    assert page.links[f"rbee://model/{market.TINY}"] == market.TINY
    assert market.TINY in plain
    shelf.look()
    assert list(await shelf.found(1)) == [market.TINY]
    shelf.close()
    await tracker.aclose()


@pytest.mark.anyio
async def test_a_cell_waits_for_no_slow_hub(hub: Hub) -> None:
    hub.fail(Slow(5), path="/api/models")
    tracker = Tracker([Hive("http://127.0.0.1:1", "away")])
    shelf = Shelf(market.TINY, tracker=tracker)
    began = time.monotonic()
    page, _ = await kept(shelf)
    assert time.monotonic() - began < 4
    assert "Not searched yet." in page.text
    shelf.look()
    assert list(await shelf.found(1)) == [market.TINY]
    shelf.close()
    await tracker.aclose()


@pytest.mark.anyio
async def test_why_there_are_no_results_is_kept(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    assert hub.url
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    tracker = Tracker([Hive("http://127.0.0.1:1", "away")])
    shelf = Shelf("llama", tracker=tracker)
    page, _ = await kept(shelf)
    assert "127.0.0.1:9 can't be reached" in page.text
    shelf.close()
    await tracker.aclose()


@pytest.mark.anyio
async def test_nothing_found_is_kept_as_such(hub: Hub) -> None:
    assert hub.url
    tracker = Tracker([Hive("http://127.0.0.1:1", "away")])
    shelf = Shelf("no-such-model", tracker=tracker)
    shelf.look()
    assert await shelf.found(1) == []
    page, plain = await kept(shelf)
    assert "No models." in page.text
    assert plain == "No models."
    shelf.close()
    await tracker.aclose()


# -- A kernel -------------------------------------------------------------------------------------


def test_a_kernel_shows_a_marketplace_or_one_line(
    hub: Hub, hive: HiveProcess, tmp_path: Path
) -> None:
    environ = {"RBEE_HIVE_URL": hive.url, "RBEE_HIVE_TOKEN": TOKEN, "HF_ENDPOINT": hub.url}
    with Kernel(tmp_path, environ) as kernel:
        kernel.run(f"%marketplace {market.TINY}")
        kernel.run("import ipywidgets, asyncio")
        kernel.run(
            "[m] = [w for w in ipywidgets.Widget._active_widgets.values()"
            " if isinstance(w, rbee.Marketplace)]\n"
            "for _ in range(100):\n"
            "    if m.market['append'] and m.market['set']['hive']: break\n"
            "    await asyncio.sleep(0.1)"
        )
        assert kernel.value("m.market['append'][0]['id']") == market.TINY
        assert kernel.value("m.market['set']['hive']['error']") is None
        for line in ("x --source ollama", "x --hive moon", "x --nonsense"):
            with pytest.raises(CellError) as caught:
                kernel.run(f"%marketplace {line}")
            assert len(str(caught.value).strip().splitlines()) == 1
