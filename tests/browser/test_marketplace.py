"""The marketplace in a real JupyterLab, before a real hub, with two real hives."""

from __future__ import annotations

import hashlib
import json
import re
import time
from collections.abc import Callable, Iterator
from typing import Any, get_args

import httpx
import pytest
from playwright.sync_api import Locator, expect

from tests.browser.conftest import Open, grave
from tests.browser.looks import look, prepare
from tests.browser.market_page import MarketPage, setup
from tests.browser.notebook import LIMIT_S, Notebook
from tests.support import market
from tests.support.cards import driver
from tests.support.hive import HiveProcess
from tests.support.hub import Hub, Slow, too_many
from tests.support.lab import Lab, Theme

pytestmark = pytest.mark.alone

STATE = "application/vnd.jupyter.widget-state+json"
SAVES_STATE = {"@jupyter-widgets/jupyterlab-manager:plugin": {"saveState": True}}

LARGE = "bartowski/Llama-3.3-70B-Instruct-GGUF"
"""Fits the workstation, not all of it at a long context, and nothing of it the laptop."""

MIDDLE = "bartowski/Llama-3.1-8B-Instruct-GGUF"
"""Of its files some fit the laptop's GPU, and some don't."""

API = "/api/models"


@pytest.fixture(scope="module")
def hub() -> Iterator[Hub]:
    with Hub() as hub:
        market.fill(hub)
        yield hub


@pytest.fixture(scope="module")
def lab(hub: Hub) -> Iterator[Lab]:
    with Lab(settings=SAVES_STATE, env={"HF_ENDPOINT": hub.url}) as lab:
        yield lab


@pytest.fixture(scope="module")
def hives(hub: Hub, tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[HiveProcess]]:
    """Give a workstation and a laptop."""
    folder = tmp_path_factory.mktemp("hives")
    big = driver(folder / "big", "0, NVIDIA A100-SXM4-80GB, 81920, 8.0")
    small = driver(folder / "small", "0, NVIDIA GeForce RTX 3050, 6144, 8.6")
    with (
        HiveProcess(folder / "workstation", hub.url, environ=big) as workstation,
        HiveProcess(folder / "laptop", hub.url, environ=small) as laptop,
    ):
        yield [workstation, laptop]


@pytest.fixture
def open_market(open_notebook: Open, hives: list[HiveProcess]) -> Callable[..., MarketPage]:
    def open_one(query: str = "", *further: str) -> MarketPage:
        market_page = MarketPage(open_notebook(setup(hives, query), *further))
        market_page.show()
        return market_page

    return open_one


OpenMarket = Callable[..., MarketPage]


# -- By keyboard ----------------------------------------------------------------------------------


def test_the_keyboard_alone_searches_filters_and_pages(open_market: OpenMarket) -> None:
    page = open_market("llama")
    page.wait_found()
    before = page.ids()
    keys = page.enter()
    page.type_anew("qwen coder")
    expect(page.models.first).to_have_attribute("data-id", re.compile("Qwen.*Coder"))
    page.wait_found()
    assert not set(before) & set(page.ids())
    assert all("coder" in one.lower() for one in page.ids())

    keys.press("Escape")
    expect(page.box).to_have_value("")
    page.wait_found(50)
    keys.go("Licence")
    page.notebook.page.keyboard.type("mit")
    licences = page.panel.locator(".rbee-license")
    expect(licences.filter(has_not_text=re.compile("^mit$"))).to_have_count(0)
    page.wait_found()
    assert licences.count() == page.models.count() > 0
    assert keys.place == "Licence"
    keys.press("Home")
    page.wait_found(50)

    keys.go("Search models", "Shift+Tab")
    keys.press("ArrowDown")
    expect(page.model(page.ids()[0]).get_by_role("button").first).to_be_focused()
    while page.models.count() < 150:
        count = page.models.count()
        keys.press("End")
        expect(page.models).not_to_have_count(count)
        last = page.ids()[count - 1]
        expect(page.model(last).get_by_role("button").first).to_be_in_viewport()
    assert len(set(page.ids())) == page.models.count()
    keys.press("Home", "ArrowUp")
    expect(page.box).to_be_focused()


def test_the_keyboard_alone_finds_what_fits_where(open_market: OpenMarket) -> None:
    page = open_market()
    keys = page.enter()
    page.type_anew(LARGE)
    page.wait_found(1)
    keys.press("ArrowDown", "Enter")
    fits = page.wait_fits(LARGE)
    assert set(fits) == {"gpu"}
    assert page.panel.locator(".rbee-devices").inner_text().startswith("NVIDIA A100-SXM4-80GB")

    badge = page.file(LARGE, "Q5_K_M").locator("button.rbee-fit")
    expect(badge).to_have_text("Fits the GPU")
    page.step_to("Tab", badge)
    keys.press("Enter")
    figures = page.file(LARGE, "Q5_K_M").locator(".rbee-figures")
    expect(figures).to_contain_text("KV cache at 8k tokens")
    keys.go("Context", "Shift+Tab")
    told = [fits]
    for _ in range(5):
        keys.press("ArrowRight")
        page.next_frame()
        told.append(page.verdicts(LARGE))
    most = told[-1].count("gpu")
    assert 0 < most < len(fits), told
    assert told[-1][:most] == ["gpu"] * most, "a larger file fits"
    assert set(told[-1][most:]) <= {"offload", "no"}
    expect(badge).not_to_have_text("Fits the GPU")
    expect(figures).to_contain_text("KV cache at 256k tokens")
    for _ in range(5):
        keys.press("ArrowLeft")
    page.next_frame()
    assert page.verdicts(LARGE) == fits

    keys.go("Hive", "Shift+Tab")
    keys.press("ArrowDown")
    expect(page.panel.locator(".rbee-devices")).to_contain_text("RTX 3050", timeout=LIMIT_S * 1000)
    on_laptop = page.wait_fits(LARGE)
    assert "gpu" not in on_laptop
    assert all(fit in {"no", "offload"} for fit in on_laptop)
    keys.press("ArrowUp")
    expect(page.panel.locator(".rbee-devices")).to_contain_text("A100", timeout=LIMIT_S * 1000)
    assert page.wait_fits(LARGE) == fits


def test_the_keyboard_alone_installs(
    open_market: OpenMarket, hub: Hub, hives: list[HiveProcess]
) -> None:
    workstation, laptop = hives
    page = open_market()
    keys = page.enter()
    keys.go("Hive")
    keys.press("ArrowDown")
    keys.go("Search models", "Shift+Tab")
    page.type_anew("tiny-llama")
    page.wait_found(1)
    keys.press("ArrowDown", "Enter")
    file = page.file(market.TINY, "Q6_K")
    download = file.get_by_role("button", name=re.compile("^Download"))
    expect(download).to_be_visible()
    page.wait_fits(market.TINY)
    expect(file.locator(".rbee-before")).to_contain_text(re.compile(r"free · .*licence mit"))
    page.step_to("ArrowDown", download)
    hub.rate = 1e6
    keys.press("Enter")
    bar = file.get_by_role("progressbar")
    expect(bar).to_have_attribute("aria-valuenow", re.compile(r"^[1-9]"), timeout=LIMIT_S * 1000)
    expect(bar).to_be_focused()
    hub.rate = None
    expect(file.locator(".rbee-install")).to_have_attribute(
        "data-status", "installed", timeout=LIMIT_S * 1000
    )
    expect(file).to_contain_text("Installed")
    expect(file.locator(".rbee-before")).to_have_count(0)
    assert page.keys.is_in(file), "the focus is lost"
    others = page.model(market.TINY).locator(".rbee-install:not([data-status=installed])")
    expect(others).to_have_count(page.model(market.TINY).locator(".rbee-file").count() - 1)

    (there,) = laptop.models.rglob("model.gguf")
    told = httpx.head(f"{hub.url}/{market.TINY}/resolve/main/tiny-llama-Q6_K.gguf")
    assert hashlib.sha256(there.read_bytes()).hexdigest() == told.headers["x-linked-etag"].strip(
        '"'
    )
    assert list(workstation.models.rglob("model.gguf")) == []
    # It is the laptop's alone,
    keys.go("Hive", "Shift+Tab")
    keys.press("ArrowUp")
    expect(download).to_be_visible()
    # and so it is told to who comes later.
    keys.press("ArrowDown")
    expect(file.locator("[data-status=installed]")).to_be_visible()


_DANGERS = """
    card => [...card.querySelectorAll('*')].flatMap(one => [
        ...(/^(script|img|svg|iframe|form|input|style|button)$/.test(one.localName)
            ? [one.localName] : []),
        ...one.getAttributeNames().filter(name => /^on|style/.test(name)),
        ...(/^(javascript|data|vbscript):/i.test(one.href ?? '') ? [one.href] : []),
    ])
"""


def test_a_card_and_names_of_strangers_run_nothing(open_market: OpenMarket, hub: Hub) -> None:
    listed = httpx.get(f"{hub.url}{API}", params={"search": "evil/"}).json()
    assert {one["id"] for one in listed} == set(market.HOSTILE)
    page = open_market()
    keys = page.enter()
    page.type_anew("evil/")
    page.wait_found(1)  # the others' names are no names
    assert page.ids() == [market.HOSTILE_CARD]
    keys.press("ArrowDown", "Enter")
    model = page.model(market.HOSTILE_CARD)
    expect(model.locator(".rbee-file", has_text="<img src=x onerror=")).to_be_visible()
    keys.go("Model card of")
    keys.press("Enter")
    card = model.get_by_role("region", name=re.compile("^Model card of"))
    expect(card).to_contain_text("over everything")
    assert card.evaluate(_DANGERS) == []
    assert page.panel.locator("img, script, iframe").count() == 0

    page.step_to("Shift+Tab", page.box)
    page.type_anew(market.TINY)
    expect(page.model(market.TINY)).to_be_visible()
    keys.press("ArrowDown", "Enter")
    expect(page.model(market.TINY).locator(".rbee-file")).not_to_have_count(0)
    keys.go("Model card of")
    keys.press("Enter")
    card = page.model(market.TINY).get_by_role("region", name=re.compile("^Model card of"))
    expect(card.get_by_role("table")).to_contain_text("tiny-llama-Q4_K_M.gguf")
    assert card.evaluate(_DANGERS) == []
    assert page.notebook.page.evaluate("() => window.pwned") is None


# -- Answers that are late, and none --------------------------------------------------------------


def test_a_late_answer_never_replaces_a_newer_one(open_market: OpenMarket, hub: Hub) -> None:
    page = open_market("qwen")
    page.enter()
    page.record()
    hub.fail(Slow(2), path="search=lla")
    asked = len(hub.requests)
    page.type_anew("lla")
    page.notebook.until(lambda: _searches(hub, asked))
    page.keys.press("Control+a")
    page.notebook.page.keyboard.type("gemma 27b", delay=60)
    expect(page.models.first).to_have_attribute("data-id", re.compile("gemma"))
    assert next(one.ended for one in _searches(hub, asked)) is None, "it is not late"
    page.notebook.until(lambda: all(one.ended for one in _searches(hub, asked)))
    # Answers come in their order: once this one is there, no other is under way.
    page.keys.press("Control+a")
    page.notebook.page.keyboard.type("phi", delay=60)
    expect(page.models.first).to_have_attribute("data-id", re.compile("phi", re.IGNORECASE))
    typed = [text for text, _ in page.seen]
    whole = ["qwen", *_prefixes("lla"), *_prefixes("gemma 27b"), *_prefixes("phi")]
    assert [text for text in dict.fromkeys(typed) if text] == list(dict.fromkeys(whole))
    firsts = [re.search("(?i)qwen|gemma|phi|$", ids[0]) for _, ids in page.seen if ids]
    names = [found[0].lower() if found else "" for found in firsts]
    assert list(dict.fromkeys(names)) == ["qwen", "gemma", "phi"]
    assert names == sorted(names, key=["qwen", "gemma", "phi"].index)


def _prefixes(text: str) -> list[str]:
    return [text[: end + 1] for end in range(len(text))]


def _searches(hub: Hub, since: int) -> list[Any]:
    return [one for one in hub.requests[since:] if one.path == API]


def test_a_hub_that_is_down_is_told_of_and_asked_again(open_market: OpenMarket, hub: Hub) -> None:
    page = open_market("llama")
    keys = page.enter()
    hub.stop()
    try:
        page.type_anew("gemma")
        trouble = page.panel.locator(".rbee-error")
        expect(trouble).to_contain_text("can’t be reached".replace("’", "'"), timeout=30_000)
        expect(trouble).to_contain_text("HF_ENDPOINT")
        assert page.box.input_value() == "gemma"
        expect(page.box).to_be_focused()
    finally:
        hub.start()
    keys.go("Try again")
    keys.press("Enter")
    expect(page.models.first).to_have_attribute("data-id", re.compile("gemma"))
    expect(trouble).to_have_count(0)
    expect(page.box).to_be_focused()


def test_a_hub_that_is_asked_too_often_says_when_to_come_back(
    open_market: OpenMarket, hub: Hub
) -> None:
    page = open_market("llama")
    keys = page.enter()
    hub.fail(too_many(4), path=API)
    page.type_anew("gemma")
    trouble = page.panel.locator(".rbee-error")
    again = trouble.get_by_role("button")
    expect(trouble).to_contain_text("has been asked too often (429)")
    expect(again).to_have_text("Try again in 3 seconds")
    keys.go("Try again")
    asked = len(hub.requests)
    keys.press("Enter")  # too early
    expect(again).to_have_text("Try again in 2 seconds")
    assert _searches(hub, asked) == []
    hub.heal()
    expect(again).to_have_text("Try again")
    keys.press("Enter")
    expect(page.models.first).to_have_attribute("data-id", re.compile("gemma"))
    expect(trouble).to_have_count(0)


# -- Without a kernel -----------------------------------------------------------------------------


DEAD = "button, input, select, [role=searchbox], [role=slider], [role=progressbar]"


def test_without_a_kernel_the_last_results_stay(open_market: OpenMarket) -> None:
    page = open_market("tiny-llama", "shop")
    page.open_files(market.TINY)
    lab, notebook = page.notebook.lab, page.notebook
    notebook.run(1)  # what no widget can be shown of is as it was when it was shown
    saved = _saved(notebook)
    for name, change in {"left-trusted": {}, "left-untrusted": {"tags": ["changed"]}}.items():
        copy = {**saved, "metadata": {**saved["metadata"], **change}}
        (lab.root / f"{name}.ipynb").write_text(json.dumps(copy, indent=1) + "\n", "utf-8")
    trusted = lab.open("left-trusted.ipynb", wait_kernel=False)
    panel = trusted.locator(".rbee-market").last
    expect(panel).to_have_attribute("data-live", "no", timeout=LIMIT_S * 1000)
    expect(panel.locator(".rbee-found")).to_have_text("1 model for “tiny-llama”")
    expect(panel.locator("time")).to_have_text(re.compile(r"^as of .*\d\d:\d\d"))
    expect(panel.locator(".rbee-machine")).to_contain_text("NVIDIA A100-SXM4-80GB, 80 GiB")
    expect(panel.locator(".rbee-file").first).to_contain_text("Fits the GPU")
    assert panel.locator(DEAD).count() == 0
    assert _targets(panel)[0] == f"rbee://model/{market.TINY}"
    assert f"rbee://model/{market.TINY}:tiny-llama-Q8_0.gguf" in _targets(panel)
    trusted.close()

    untrusted = lab.open("left-untrusted.ipynb", wait_kernel=False)
    output = untrusted.locator(".jp-OutputArea-output").last
    expect(output.get_by_text("Models, as of 20")).to_be_visible(timeout=LIMIT_S * 1000)
    expect(output.get_by_role("row").filter(has_text=market.TINY).first).to_be_visible()
    expect(untrusted.locator(".rbee-market")).to_have_count(0)
    assert output.locator(DEAD).count() == 0
    untrusted.close()
    # JupyterLab takes the links out of what it doesn't trust; other viewers needn't.
    html = "".join(saved["cells"][-1]["outputs"][0]["data"]["text/html"])
    assert f'href="rbee://model/{market.TINY}:tiny-llama-Q8_0.gguf"' in html


def _saved(notebook: Notebook) -> dict[str, Any]:
    """Save the notebook, once its widget holds what is shown: that may take two seconds."""
    end = time.monotonic() + LIMIT_S
    while True:
        notebook.lab.save(notebook.page)
        name: str = notebook.page.evaluate("() => jupyterapp.shell.currentWidget.context.path")
        saved: dict[str, Any] = json.loads((notebook.lab.root / name).read_text("utf-8"))
        if '"verdicts"' in json.dumps(saved["metadata"].get("widgets", {})):
            return saved
        assert time.monotonic() < end
        notebook.page.wait_for_timeout(200)


def _targets(within: Locator) -> list[str | None]:
    links = within.locator("a[href^='rbee:']")
    return [link.get_attribute("href") for link in links.all()]


# -- Looks ----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def gallery(lab: Lab, hives: list[HiveProcess]) -> Iterator[MarketPage]:
    """Give a marketplace that is shown in any width; a kernel of its own."""
    context = lab.browser.new_context(viewport={"width": 1700, "height": 2000})
    page = lab.open("gallery.ipynb", ["%load_ext rbee_widgets", setup(hives)], context=context)
    prepare(page)
    lab.run_cell(page, 0, wait=True)
    market_page = MarketPage(Notebook(lab, page))
    market_page.show()
    yield market_page
    assert grave(lab.console) == []


def looked_at(page: MarketPage, scene: str, *, whole: bool = True) -> list[str]:
    """Take pictures of a scene in both themes and all widths; give what axe-core finds."""
    found = []
    page.panel.evaluate(
        "(panel, whole) => panel.parentNode.classList.toggle('whole', whole)", whole
    )
    for theme in get_args(Theme):
        with page.notebook.worn(theme):
            found += [f"{theme}, {line}" for line in look(page.notebook, f"market-{scene}", theme)]
    return found


def test_results_and_files_can_be_read_by_all(gallery: MarketPage) -> None:
    gallery.search("instruct")
    assert looked_at(gallery, "list", whole=False) == []
    gallery.choose("laptop")
    for name, scene in {MIDDLE: "files", LARGE: "parts", market.GATED: "gated"}.items():
        gallery.search(name)
        gallery.open_files(name, unknown=name == market.GATED)
        gallery.model(name).locator("button.rbee-fit").last.click()
        assert looked_at(gallery, scene) == []


def test_a_card_can_be_read_by_all(gallery: MarketPage) -> None:
    gallery.search(market.TINY)
    gallery.open_files(market.TINY)
    gallery.panel.get_by_role("button", name="Model card of").click()
    card = gallery.panel.get_by_role("region", name="Model card of")
    expect(card.get_by_role("table")).to_be_visible()
    assert looked_at(gallery, "card") == []


def test_strangers_can_be_read_by_all(gallery: MarketPage) -> None:
    gallery.search("evil")
    gallery.open_files(market.HOSTILE_CARD, unknown=True)
    gallery.panel.get_by_role("button", name="Model card of").click()
    expect(gallery.panel.get_by_role("region", name="Model card of")).to_be_visible()
    assert looked_at(gallery, "hostile") == []


def test_trouble_and_nothing_can_be_read_by_all(gallery: MarketPage, hub: Hub) -> None:
    gallery.box.fill("no model of that name")
    expect(gallery.status).to_contain_text("Nothing found")
    assert looked_at(gallery, "nothing") == []
    hub.fail(too_many(290), path=API)
    try:
        gallery.box.fill("llama")
        expect(gallery.panel.locator(".rbee-error")).to_contain_text("Try again in 2")
        assert looked_at(gallery, "trouble") == []
    finally:
        hub.heal()


def test_installing_can_be_read_by_all(gallery: MarketPage, hub: Hub) -> None:
    gallery.search(market.TINY)
    gallery.open_files(market.TINY)
    gallery.choose("laptop")
    quick = gallery.file(market.TINY, "Q4_K_S")
    quick.get_by_role("button", name=re.compile("^Download")).click()
    expect(quick.locator("[data-status=installed]")).to_be_visible(timeout=LIMIT_S * 1000)
    hub.rate = 5e4
    try:
        slow = gallery.file(market.TINY, "BF16")
        slow.get_by_role("button", name=re.compile("^Download")).click()
        bar = slow.get_by_role("progressbar")
        expect(bar).to_have_attribute("aria-valuenow", re.compile("^[1-9]"), timeout=30_000)
        assert looked_at(gallery, "installing") == []
        slow.get_by_role("button", name=re.compile("^Cancel")).click()
        expect(slow.locator("[data-status=cancelled]")).to_be_visible(timeout=LIMIT_S * 1000)
        assert looked_at(gallery, "cancelled") == []
    finally:
        hub.rate = None


def test_what_a_kernel_leaves_can_be_read_by_all(gallery: MarketPage) -> None:
    gallery.search("tiny-llama")
    gallery.open_files(market.TINY)
    page = gallery.notebook.page
    page.evaluate("() => jupyterapp.shell.currentWidget.sessionContext.session.kernel.restart()")
    expect(gallery.panel).to_have_attribute("data-live", "no", timeout=LIMIT_S * 1000)
    gallery.notebook.lab.wait_ready(page)
    assert gallery.panel.locator(DEAD).count() == 0
    assert looked_at(gallery, "gone") == []
