"""Download models into your own LLM cloud from a notebook, and watch them arrive."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rbee_widgets.api import download, downloads, install_worker
    from rbee_widgets.client import Hive
    from rbee_widgets.errors import DownloadError, RbeeError
    from rbee_widgets.handle import Download
    from rbee_widgets.installed import models
    from rbee_widgets.magics import load_ipython_extension, unload_ipython_extension
    from rbee_widgets.tracker import Tracker
    from rbee_widgets.widgets import (
        DownloadPanel,
        InstallButton,
        Marketplace,
        NarrationPanel,
    )

__version__ = "0.1.0"

__all__ = [
    "Download",
    "DownloadError",
    "DownloadPanel",
    "Hive",
    "InstallButton",
    "Marketplace",
    "NarrationPanel",
    "RbeeError",
    "Tracker",
    "download",
    "downloads",
    "install_worker",
    "load_ipython_extension",
    "models",
    "unload_ipython_extension",
]

# Loaded on first use: a notebook that imports this package waits for nothing that it doesn't use.
_HOMES = {
    "Download": "handle",
    "DownloadError": "errors",
    "DownloadPanel": "widgets",
    "Hive": "client",
    "InstallButton": "widgets",
    "Marketplace": "widgets",
    "NarrationPanel": "widgets",
    "RbeeError": "errors",
    "Tracker": "tracker",
    "download": "api",
    "downloads": "api",
    "install_worker": "api",
    "load_ipython_extension": "magics",
    "models": "installed",
    "unload_ipython_extension": "magics",
}


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
    if name == "narration":
        return importlib.import_module(f"{__name__}.narration")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__, "narration"])
