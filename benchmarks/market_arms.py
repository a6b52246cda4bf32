"""What runs inside the kernel: the marketplace, and what else shows two thousand lines.

from benchmarks.market_arms import show
show("Select", "lines.json")
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from html import escape
from pathlib import Path
from typing import Final

from IPython.display import HTML, display

OURS: Final = "rbee_widgets"
PLAIN: Final = "plain text"
BUTTONS: Final = "ipywidgets.VBox of Button"
SELECT: Final = "ipywidgets.Select"

HEIGHT: Final = "494px"
"""Of the box that each scrolls in: as high as the marketplace's list."""


def _plain(lines: Sequence[str]) -> None:
    """Show lines that are nothing but text, and a field: what a page can do at best."""
    rows = "".join(f'<div class="bench-line">{escape(line)}</div>' for line in lines)
    style = f"line-height: 31px; overflow: auto; max-height: {HEIGHT}"
    field = '<input class="bench-field">'
    display(HTML(f'{field}<div class="bench-box" style="{style}">{rows}</div>'))


def _buttons(lines: Sequence[str]) -> None:
    import ipywidgets  # noqa: PLC0415 (an arm loads its own)

    layout = ipywidgets.Layout(max_height=HEIGHT, overflow="auto", display="block")
    box = ipywidgets.VBox([ipywidgets.Button(description=line) for line in lines], layout=layout)
    box.add_class("bench-box")
    display(box)


def _select(lines: Sequence[str]) -> None:
    import ipywidgets  # noqa: PLC0415

    display(ipywidgets.Select(options=lines, rows=24))


PEERS: Final[dict[str, Callable[[Sequence[str]], None]]] = {
    PLAIN: _plain,
    BUTTONS: _buttons,
    SELECT: _select,
}


def show(name: str, path: str) -> None:
    """Show the lines of a JSON file."""
    PEERS[name](json.loads(Path(path).read_text()))
