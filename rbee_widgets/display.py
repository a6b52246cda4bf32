"""How a download shows itself: as a live row where there is a front end, else as a line of text."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any, Final

from rbee_widgets import shell, text
from rbee_widgets.background import in_kernel, in_marimo
from rbee_widgets.handle import Download
from rbee_widgets.market.sources import DEFAULT_SOURCES, first_of, read_source
from rbee_widgets.tracker import (
    Tracker,
    default_downloads,
    default_tracker,
    default_trackers,
    restored_tracker,
)
from rbee_widgets.widgets import DownloadPanel, Marketplace, market_tables

_panels: Final[dict[Tracker, DownloadPanel]] = {}
_rows: Final[dict[Download, DownloadPanel]] = {}
_shown_in: Final[dict[Download, int]] = {}
"""The cell, by its number, that last showed a download."""


def shows_values() -> bool:
    """Whether a download shows its row as a cell's last value; else its progress is printed."""
    return in_marimo() or front_end() is not None


def front_end() -> Any | None:
    """Give the IPython shell that has a front end for widgets, None where there is none."""
    if not in_kernel():
        return None
    from IPython import get_ipython  # noqa: PLC0415 (not needed where there is none)

    return get_ipython()


def show(download: Download) -> None:
    """Show a download where the user is; once for each cell that runs."""
    ipython = front_end()
    if ipython is None:
        shell.show(download)
        return
    if _shown_in.get(download) == ipython.execution_count:
        return
    _shown_in[download] = ipython.execution_count
    if download not in _rows:
        _rows[download] = DownloadPanel(download=download)
    _display(_rows[download])


def _display(panel: DownloadPanel | Marketplace) -> None:
    """Show a view; at the end its table and words, which a notebook keeps, tell of that end."""
    from IPython.display import display  # noqa: PLC0415 (not needed where there is no IPython)

    handle = display(panel, display_id=True)
    panel.at_rest(partial(handle.update, panel))


def view(download: Download) -> DownloadPanel:
    """Give a download's row to a host that shows what it is given.

    A new one each time: marimo ends the widgets of a cell when the cell runs again.
    """
    return DownloadPanel(download=download)


def show_panel(*, background: bool) -> None:
    """Show the panel of all downloads: each cell gets a view of the same one.

    Those that are followed in the background have a panel of their own, which lives on while a
    cell holds the kernel; `background` leaves it at that one.
    """
    if front_end() is None:
        print(text.table(default_downloads()))  # noqa: T201 (what was asked for)
        return
    tracker = restored_tracker(background=background)
    beside = [] if background else [one for one in default_trackers() if one is not tracker]
    for shown in [tracker, *(one for one in beside if one.downloads)]:
        if shown not in _panels:
            _panels[shown] = DownloadPanel(shown)
        _display(_panels[shown])


def show_marketplace(query: str, hive: str | None, sources: Sequence[str] | None) -> None:
    """Show a marketplace; where no widget can be shown, print the first results.

    Raises
    ------
    ValueError, RbeeError
        What is named isn't there.

    """
    named = sources or DEFAULT_SOURCES
    if front_end() is None:
        if hive is not None:  # a table tells nothing of it, but that there is none
            default_tracker().chosen(hive)
        print(market_tables.text(first_of(read_source(named[0]), query)))  # noqa: T201 (what was asked for)
        return
    _display(Marketplace(query, hive, sources=named))


def install() -> None:
    """Have a download that is a cell's last value show its row."""
    ipython = front_end()
    if ipython is not None:
        ipython.display_formatter.ipython_display_formatter.for_type(Download, show)
