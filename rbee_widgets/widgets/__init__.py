"""Widgets over a tracker: thin, with no logic of their own."""

from rbee_widgets.widgets.download_panel import DownloadPanel
from rbee_widgets.widgets.install_button import InstallButton
from rbee_widgets.widgets.marketplace import Marketplace
from rbee_widgets.widgets.narration_panel import NarrationPanel

__all__ = ["DownloadPanel", "InstallButton", "Marketplace", "NarrationPanel"]
