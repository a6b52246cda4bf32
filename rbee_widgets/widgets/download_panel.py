"""`DownloadPanel`: the downloads of a tracker, live, in a cell."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final, Literal

import anywidget
import traitlets
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from rbee_widgets import text
from rbee_widgets.handle import Download, Owner
from rbee_widgets.tracker import restored_tracker
from rbee_widgets.widgets.publisher import Message, Publisher

_STATIC: Final = Path(__file__).parent.parent / "static"


class _Asked(BaseModel):
    """What the front end may ask for."""

    model_config = ConfigDict(extra="forbid")

    kind: Literal["snapshot", "narration", "cancel", "retry", "clear"]
    id: str = Field(default="", max_length=64)


class DownloadPanel(anywidget.AnyWidget):
    """A panel of downloads; any number of views show it.

    Parameters
    ----------
    tracker
        Whose downloads; the default tracker's, or the download's own, where none is given.
    download
        The one download to show, without a header.

    """

    _esm = _STATIC / "download_panel.js"
    _css = _STATIC / "download_panel.css"

    # Python alone writes these, so no front end need echo them.
    snapshot = traitlets.Dict().tag(sync=True, echo_update=False)
    show_header = traitlets.Bool(True).tag(sync=True, echo_update=False)

    def __init__(self, tracker: Owner | None = None, *, download: Download | None = None) -> None:
        self._tracker = tracker or (download.owner if download else restored_tracker())
        self._publisher = Publisher(
            self._tracker,
            lambda one: download is None or one is download,
            send=self.send,
            hold=self._hold,
        )
        super().__init__(snapshot=self._publisher.snapshot(), show_header=download is None)
        self.on_msg(self._on_message)

    def close(self) -> None:
        """End the panel, not the downloads."""
        if hasattr(self, "_publisher"):  # ipywidgets also closes what its constructor refused
            self._publisher.close()
        super().close()

    def __repr__(self) -> str:
        return f"<DownloadPanel of {len(self._publisher.downloads)}>"

    def _repr_mimebundle_(self, **kwargs: Any) -> tuple[dict[str, Any], dict[str, Any]] | None:
        bundle = super()._repr_mimebundle_(**kwargs)
        if bundle is not None:
            bundle[0]["text/plain"] = text.table(self._publisher.downloads)
        return bundle

    def set_state(self, _: dict[str, Any]) -> None:
        """Take no state of a front end: all of it, its own code too, is Python's to say."""

    def _hold(self, snapshot: Message) -> None:
        self.snapshot = snapshot

    def _on_message(self, _: Any, content: Any, __: Any) -> None:
        """Take a message of the front end; on whichever thread."""
        try:
            asked = _Asked.model_validate(content)
        except ValidationError:
            return  # not ours, or not meant well
        self._tracker.request(self._do, asked)

    def _do(self, asked: _Asked) -> None:
        if asked.kind == "snapshot":
            self._publisher.send_snapshot()
            return
        for download in self._publisher.downloads:
            if download.id != asked.id:
                continue
            match asked.kind:
                case "narration":
                    self._publisher.open(download)
                case "cancel":
                    self._tracker.cancel(download)
                case "retry":
                    self._tracker.retry(download)
                case "clear":
                    self._tracker.clear(download)
