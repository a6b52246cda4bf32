"""What an embedded hive is told by its environment."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import platformdirs
from pydantic import BaseModel, ConfigDict

PUBLIC_HUB: Final = "https://huggingface.co"
TRANSFERS: Final = 3
CONNECTIONS: Final = 16
_TRUE: Final = frozenset({"1", "on", "yes", "true"})


class Settings(BaseModel):
    """Where models go to and come from."""

    model_config = ConfigDict(frozen=True)

    models_dir: Path
    """The root of the catalog: where a real hive of this machine keeps its models."""

    endpoint: str
    """The hub's origin, without a slash at its end."""

    offline: bool
    """Whether the hub must not be asked."""

    transfers: int = TRANSFERS
    """Files that are fetched at once; more wait."""

    connections: int = CONNECTIONS
    """Connections to one host at once, whatever the number of transfers."""

    @classmethod
    def from_environ(
        cls,
        environ: Mapping[str, str] = os.environ,
        models_dir: Path | None = None,
        transfers: int = TRANSFERS,
        connections: int = CONNECTIONS,
    ) -> Settings:
        """Read `HF_ENDPOINT` and `HF_HUB_OFFLINE`; the rest as the user wants it."""
        return cls(
            models_dir=(
                models_dir or platformdirs.user_cache_path() / "rbee" / "models"
            ).absolute(),
            endpoint=environ.get("HF_ENDPOINT", PUBLIC_HUB).rstrip("/") or PUBLIC_HUB,
            transfers=transfers,
            connections=connections,
            offline=environ.get("HF_HUB_OFFLINE", "").lower() in _TRUE,
        )


def hub_token(environ: Mapping[str, str] = os.environ) -> str | None:
    """Give the user's token for the hub: `HF_TOKEN`, else what logging in left on disk.

    Read anew for each download, so that a login is noticed by a running hive.
    """
    if token := environ.get("HF_TOKEN"):
        return token
    home = environ.get("HF_HOME") or platformdirs.user_cache_path() / "huggingface"
    place = Path(environ.get("HF_TOKEN_PATH") or Path(home) / "token").expanduser()
    try:
        return place.read_text().strip() or None
    except OSError:
        return None
