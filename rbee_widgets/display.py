"""How a download shows itself: as a live row where there is a front end, else as a line of text."""

from __future__ import annotations

from typing import Any, Final

from rbee_widgets import shell, text
from rbee_widgets.background import in_kernel
from rbee_widgets.handle import Download
from rbee_widgets.tracker import Tracker, restored_tracker
from rbee_widgets.widgets import DownloadPanel

_panels: Final[dict[Tracker, DownloadPanel]] = {}
_rows: Final[dict[Download, DownloadPanel]] = {}
_shown_in: Final[dict[Download, int]] = {}
"""The cell, by its number, that last showed a download."""


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
    from IPython.display import display  # noqa: PLC0415 (as above)

    if _shown_in.get(download) == ipython.execution_count:
        return
    _shown_in[download] = ipython.execution_count
    if download not in _rows:
        _rows[download] = DownloadPanel(download=download)
    display(_rows[download])


def show_panel() -> None:
    """Show the panel of all downloads: each cell gets a view of the same one."""
    if front_end() is None:
        print(text.table(restored_tracker().downloads))  # noqa: T201 (what was asked for)
        return
    from IPython.display import display  # noqa: PLC0415

    tracker = restored_tracker()
    if tracker not in _panels:
        _panels[tracker] = DownloadPanel(tracker)
    display(_panels[tracker])


def install() -> None:
    """Have a download that is a cell's last value show its row."""
    ipython = front_end()
    if ipython is not None:
        ipython.display_formatter.ipython_display_formatter.for_type(Download, show)
