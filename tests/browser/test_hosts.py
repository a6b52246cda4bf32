"""The panel in other hosts than JupyterLab: marimo, Notebook 7, and pages marked as others' are."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.browser.notebook import ARTIFACTS, LIMIT_S
from tests.support.hosts import Marimo, Notebook7
from tests.support.hub import Hub
from tests.support.lab import REPOSITORY, Host

pytestmark = pytest.mark.alone

MB = 1_000_000

NOT_OURS = ("preload", "reading 'schema'", "Comm not found")
"""What these hosts' consoles say without any widget."""

DEAD_S = 20.0
"""Seconds within which a page has noticed that its kernel is gone."""

IMPORTS = """
import time
from pathlib import Path
import marimo as mo
import rbee_widgets as rbee
"""

BUSY = """
if busy.value:
    Path("busy").touch()
    time.sleep(3)
    Path("busy").unlink()
"""


@pytest.fixture(scope="module")
def hub() -> Iterator[Hub]:
    with Hub(rate=5e6) as hub:
        for host in ("edited", "app", "notebook7"):
            hub.add(f"org/{host}", "file.gguf", size=60 * MB)
        yield hub


@pytest.fixture(autouse=True)
def pace(hub: Hub) -> None:
    hub.rate = 5e6


@pytest.fixture(scope="module")
def edited(hub: Hub) -> Iterator[Marimo]:
    """A marimo notebook: a panel, a download as a cell's value, the panel again, a busy cell."""
    cells = [
        IMPORTS,
        "panel = mo.ui.anywidget(rbee.DownloadPanel())\npanel",
        'download = rbee.download("org/edited:file.gguf")\ndownload',
        "panel",
        'busy = mo.ui.run_button(label="Be busy")\nbusy',
        BUSY,
    ]
    with Marimo(*cells, env={"HF_ENDPOINT": hub.url}) as marimo:
        yield marimo


@pytest.fixture(scope="module")
def notebook(edited: Marimo) -> Page:
    page = edited.open()
    expect(rows(page)).to_have_count(3, timeout=30_000)
    return page


def rows(page: Page) -> Locator:
    return page.locator(".rbee-row")


def show(page: Page, status: str) -> None:
    """Wait until every row shows a status."""
    there = rows(page).count()
    shown = page.locator(f'.rbee-row[data-status="{status}"]')
    expect(shown).to_have_count(there, timeout=LIMIT_S * 1000)


def percentage(row: Locator) -> float:
    return float(row.get_by_role("progressbar").get_attribute("aria-valuenow") or 0)


def reach(row: Locator, least: float) -> None:
    """Wait until a row has come to a percentage."""
    end = time.monotonic() + LIMIT_S
    while percentage(row) < least:
        assert time.monotonic() < end, f"no {least} % within {LIMIT_S} s"
        row.page.wait_for_timeout(20)


def errors(host: Host) -> list[str]:
    said = [message.text for message in host.console_errors]
    return [text for text in said if not any(words in text for words in NOT_OURS)]


def shoot(page: Page, host: str, theme: str) -> None:
    page.screenshot(path=ARTIFACTS / f"hosts-{host}-{theme}.png")


# -- Looks ----------------------------------------------------------------------------------------

_SEEN = """
    panel => {
        // "rgba(0, 0, 0, 0.54)", or "color(srgb 0.6 0.1 0.1)" as color-mix() gives it
        const read = colour => {
            const most = colour.startsWith('color(srgb') ? 1 : 255;
            const [r, g, b, alpha = 1] = colour.match(/[0-9.]+/g).map(Number);
            return { parts: [r / most, g / most, b / most], alpha };
        };
        const over = ({ parts, alpha }, below) =>
            parts.map((part, i) => alpha * part + (1 - alpha) * below[i]);
        const linear = part => part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
        const luminance = ([r, g, b]) =>
            0.2126 * linear(r) + 0.7152 * linear(g) + 0.0722 * linear(b);
        const surface = element => {
            if (!element) return [1, 1, 1];
            const below = surface(element.parentElement ?? element.getRootNode().host);
            return over(read(getComputedStyle(element).backgroundColor), below);
        };
        const unreadable = {};
        for (const element of panel.querySelectorAll('*')) {
            const texts = [...element.childNodes].filter(node => node.nodeType === 3);
            const words = texts.map(node => node.data).join('').trim();
            if (!words || !element.checkVisibility()) continue;
            const below = surface(element);
            const ink = over(read(getComputedStyle(element).color), below);
            const [low, high] = [luminance(ink), luminance(below)].sort((a, b) => a - b);
            const contrast = (high + 0.05) / (low + 0.05);
            if (contrast < 4.5) unreadable[words] = contrast;
        }
        return {
            unreadable,
            around: luminance(surface(panel.parentElement)),
            panel: luminance(surface(panel)),
        };
    }
"""


def fits(page: Page) -> bool:
    """Whether the panels are as dark or light as what is around, and every word can be read."""
    panels = page.locator(".rbee-panel").all()
    assert panels
    for panel in panels:
        seen = panel.evaluate(_SEEN)
        assert seen["unreadable"] == {}
        assert abs(seen["around"] - seen["panel"]) < 0.05
    return True


# -- marimo ---------------------------------------------------------------------------------------


def test_marimo_shows_a_download_live_in_each_view_and_takes_clicks(
    edited: Marimo, notebook: Page
) -> None:
    for row in rows(notebook).all():
        reach(row, 5)
        assert row.evaluate("row => getComputedStyle(row).display") == "grid", "no styles in there"
    headers = notebook.locator(".rbee-header")
    expect(headers.filter(visible=True)).to_have_count(2)
    assert fits(notebook)
    shoot(notebook, "marimo", "light")
    rows(notebook).nth(1).get_by_role("button", name=re.compile("^Cancel download")).click()
    show(notebook, "cancelled")
    rows(notebook).nth(0).get_by_role("button", name=re.compile("^Retry")).click()
    show(notebook, "downloading")
    assert errors(edited) == []


def test_a_marimo_page_is_light_whatever_the_system_is(notebook: Page) -> None:
    notebook.emulate_media(color_scheme="dark")
    assert fits(notebook)
    notebook.emulate_media(color_scheme="light")


def test_marimo_shows_what_goes_on_while_a_cell_runs(edited: Marimo, notebook: Page) -> None:
    busy = edited.root / "busy"
    notebook.get_by_role("button", name="Be busy").click()
    while not busy.exists():
        notebook.wait_for_timeout(20)
    row = rows(notebook).nth(1)
    before = percentage(row)
    reach(row, before + 5)
    assert busy.exists(), "only once the cell was over"
    while busy.exists():
        notebook.wait_for_timeout(20)


def test_a_marimo_cell_that_runs_again_leaves_nothing_behind(
    edited: Marimo, notebook: Page
) -> None:
    notebook.locator(".rbee-panel").evaluate_all("all => all.forEach(one => one.dataset.old = '')")
    for cell in (1, 2):
        notebook.locator(".cm-content").nth(cell).click()
        notebook.keyboard.press("Control+Enter")
    expect(notebook.locator(".rbee-panel:not([data-old])")).to_have_count(3, timeout=15_000)
    row = rows(notebook).nth(1)
    expect(row).to_have_attribute("data-status", re.compile("downloading|complete"))
    # The hive tells of progress four times a second: had the old widgets gone on, so had errors.
    reach(row, min(100.0, percentage(row) + 5))
    assert errors(edited) == []


def test_a_reloaded_marimo_page_shows_the_same(edited: Marimo, notebook: Page, hub: Hub) -> None:
    hub.rate = None
    show(notebook, "complete")
    assert len(list(edited.folder.rglob("org-edited-file.gguf/model.gguf"))) == 1
    notebook.reload(wait_until="domcontentloaded")
    expect(rows(notebook)).to_have_count(3, timeout=30_000)
    show(notebook, "complete")
    panels = notebook.locator(".rbee-panel")
    expect(panels.and_(notebook.locator('[data-live="yes"]'))).to_have_count(3)
    assert errors(edited) == []


def test_a_marimo_page_notices_that_its_kernel_is_gone(edited: Marimo, notebook: Page) -> None:
    edited.kill_kernel()
    dead = notebook.locator('.rbee-panel[data-live="no"]')
    expect(dead).to_have_count(3, timeout=DEAD_S * 1000)
    expect(dead.first.locator("time")).to_contain_text("Snapshot from")
    expect(dead.get_by_role("button")).to_have_count(0)
    expect(dead.get_by_role("link", name="Open in rbee")).to_have_count(3)


def test_a_dark_marimo_app_has_a_dark_panel_whatever_the_system_is(
    hub: Hub, edited: Marimo
) -> None:
    cells = [
        IMPORTS,
        'rbee.download("org/app:file.gguf")\nrbee.download("org/app:none.gguf")',
        "rbee.DownloadPanel()",
    ]
    env = {"HF_ENDPOINT": hub.url}
    with Marimo(*cells, mode="run", theme="dark", env=env, shared=edited.browser) as app:
        page = app.open()
        expect(rows(page)).to_have_count(3, timeout=30_000)
        failed = page.locator('.rbee-row[data-status="failed"]')
        expect(failed).to_have_count(2, timeout=LIMIT_S * 1000)
        reach(page.locator('.rbee-row[data-status="downloading"]'), 2)
        assert fits(page)
        shoot(page, "marimo", "dark")
        page.emulate_media(color_scheme="dark")
        assert fits(page)
        assert errors(app) == []


# -- Notebook 7 -----------------------------------------------------------------------------------


def test_notebook_7_shows_a_download_and_takes_clicks(hub: Hub, edited: Marimo) -> None:
    cells = ["%load_ext rbee_widgets", "%download org/notebook7:file.gguf", "%download"]
    with Notebook7(env={"HF_ENDPOINT": hub.url}, shared=edited.browser) as host:
        page = host.open("a.ipynb", cells)
        host.run_all(page)
        host.wait_idle(page)
        expect(rows(page)).to_have_count(2)
        for row in rows(page).all():
            reach(row, 3)
        assert fits(page)
        shoot(page, "notebook7", "light")
        rows(page).nth(1).get_by_role("button", name=re.compile("^Cancel download")).click()
        show(page, "cancelled")
        rows(page).nth(0).get_by_role("button", name=re.compile("^Retry")).click()
        show(page, "downloading")
        host.save(page)
        host.reload(page)
        expect(rows(page)).to_have_count(2, timeout=LIMIT_S * 1000)
        expect(page.locator('.rbee-panel[data-live="yes"]')).to_have_count(2)
        host.command(page, "apputils:change-theme", {"theme": "JupyterLab Dark"})
        page.wait_for_function("() => document.body.dataset.jpThemeLight === 'false'")
        assert fits(page)
        shoot(page, "notebook7", "dark")
        hub.rate = None
        show(page, "complete")
        assert errors(host) == []


# -- Pages as those of hosts that can't be had here -----------------------------------------------

# Of VS Code's two modern themes, which name neither a border of panels nor the hover of a toolbar.
_VSCODE = {
    "dark": {
        "--vscode-foreground": "#cccccc",
        "--vscode-descriptionForeground": "#9d9d9d",
        "--vscode-editor-background": "#1f1f1f",
        "--vscode-progressBar-background": "#0078d4",
        "--vscode-textLink-foreground": "#4daafc",
        "--vscode-errorForeground": "#f85149",
        "--vscode-font-family": "system-ui",
    },
    "light": {
        "--vscode-foreground": "#3b3b3b",
        "--vscode-descriptionForeground": "#3b3b3b",
        "--vscode-editor-background": "#ffffff",
        "--vscode-progressBar-background": "#005fb8",
        "--vscode-textLink-foreground": "#005fb8",
        "--vscode-errorForeground": "#f85149",
        "--vscode-font-family": "system-ui",
    },
}

PAGES = {
    **{
        ("vscode", theme): {
            "html": f'style="{"".join(f"{name}: {value};" for name, value in variables.items())}"',
            "body": f'class="vscode-{theme}"',
            "background": "var(--vscode-editor-background)",
        }
        for theme, variables in _VSCODE.items()
    },
    ("colab", "dark"): {"html": 'theme="dark"', "body": "", "background": "#1e1e1e"},
    ("plain", "light"): {"html": "", "body": "", "background": "#ffffff"},
}
"""How a host and its theme mark a page."""

# A host may restore a widget's state and call `render` without `initialize`.
_RENDER = """
    async ({ code, traits }) => {
        const url = URL.createObjectURL(new Blob([code], { type: 'text/javascript' }));
        const { default: make } = await import(url);
        const handlers = new Map();
        window.sent = [];
        window.receive = message => handlers.get('msg:custom').forEach(handler => handler(message));
        const model = {
            get: name => traits[name],
            set() {},
            save_changes() {},
            send: message => window.sent.push(message),
            on: (name, handler) => handlers.set(name, [...handlers.get(name) ?? [], handler]),
            off() {},
        };
        await (await make()).render({ model, el: document.getElementById('output') });
    }
"""

ROWS: list[dict[str, Any]] = [
    {
        "id": "download-1",
        "name": "org/repo:Some-Model-7B.Q4_K_M.gguf",
        "type": "model",
        "hive": "local",
        "status": "downloading",
        "bytes_downloaded": 30 * MB,
        "total_size": 60 * MB,
        "percentage": 50.0,
        "speed": 5e6,
        "eta": 6.0,
        "created_at": 2.0,
    },
    {
        "id": "download-2",
        "name": "org/repo:none.gguf",
        "type": "model",
        "hive": "local",
        "status": "failed",
        "bytes_downloaded": 0,
        "error": "status code 404",
        "hint": "There is no file 'none.gguf'.",
        "created_at": 1.0,
    },
]


@pytest.mark.parametrize(("host", "theme"), PAGES)
def test_a_page_of_another_host_shows_a_restored_panel_and_wakes_it(
    edited: Marimo, host: str, theme: str
) -> None:
    static = REPOSITORY / "rbee_widgets" / "static"
    marks = PAGES[host, theme]
    html = f"""
        <html {marks["html"]}><head>
        <style>body {{ background: {marks["background"]} }}</style>
        <style>{(static / "download_panel.css").read_text("utf-8")}</style>
        </head><body {marks["body"]}><div id="output"></div></body></html>
    """
    # The system's own scheme is the other one: the page's theme counts.
    other: Any = "light" if theme == "dark" else "dark"
    page = edited.browser.new_page(color_scheme=other, viewport={"width": 800, "height": 300})
    try:
        page.route("http://page.test/", lambda route: route.fulfill(body=html))
        page.goto("http://page.test/")
        snapshot = {"seq": 3, "at": 1_795_701_720.0, "rows": ROWS}
        page.evaluate(
            _RENDER,
            {
                "code": (static / "download_panel.js").read_text("utf-8"),
                "traits": {"snapshot": snapshot, "show_header": True},
            },
        )
        panel = page.locator(".rbee-panel")
        expect(panel).to_have_attribute("data-live", "no")
        expect(rows(page)).to_have_count(2)
        expect(panel.get_by_role("button")).to_have_count(0)
        expect(panel.get_by_role("link", name="Open in rbee")).to_have_count(2)
        expect(panel.locator("time")).to_contain_text("Snapshot from")
        assert fits(page)
        page.evaluate("message => receive(message)", {"kind": "snapshot", **snapshot})
        expect(panel).to_have_attribute("data-live", "yes")
        assert fits(page)
        shoot(page, host, theme)
        rows(page).first.get_by_role("button", name=re.compile("^Cancel download")).click()
        (cancel,) = (m for m in page.evaluate("() => sent") if m["kind"] == "cancel")
        assert "download-1" in json.dumps(cancel)
    finally:
        page.close()
