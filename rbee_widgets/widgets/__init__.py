"""Widgets over a tracker: thin, with no logic of their own."""

from rbee_widgets.widgets.download_panel import DownloadPanel

__all__ = ["DownloadPanel"]
