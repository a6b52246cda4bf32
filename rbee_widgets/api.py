"""The plain calls: the default tracker's, shown where the user is."""

from __future__ import annotations

from rbee_widgets import display
from rbee_widgets.client import Hive
from rbee_widgets.handle import Download
from rbee_widgets.tracker import default_downloads, default_tracker


def download(model: str, hive: Hive | str | None = None, *, sha256: str | None = None) -> Download:
    """Fetch a model; starts at once, on the running loop.

    See `Tracker.download` for the arguments and errors. As the last value of a cell the download
    shows its row; without a front end it prints its progress.
    """
    return _shown(default_tracker().download(model, hive, sha256=sha256))


def install_worker(worker: str, hive: Hive | str | None = None) -> Download:
    """Build and install a worker on a hive; the same otherwise."""
    return _shown(default_tracker().install_worker(worker, hive))


def downloads() -> list[Download]:
    """List the downloads that were not cleared, those of other kernels too; newest first."""
    return default_downloads()


def _shown(started: Download) -> Download:
    if display.shows_values():
        display.install()
    else:
        display.show(started)
    return started
