"""`DownloadPanel`: the downloads of a tracker, live, in a cell."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import traitlets

from rbee_widgets import text
from rbee_widgets.handle import Download, Owner
from rbee_widgets.tracker import restored_tracker
from rbee_widgets.widgets import snapshot_html
from rbee_widgets.widgets.asked import Asked, Hidden, Shown
from rbee_widgets.widgets.live import STATIC, LiveWidget
from rbee_widgets.widgets.publisher import Publisher


class DownloadPanel(LiveWidget):
    """A panel of downloads; any number of views show it.

    Parameters
    ----------
    tracker
        Whose downloads; the default tracker's, or the download's own, where none is given.
    download
        The one download to show, without a header.

    """

    _publisher: Publisher
    _esm = STATIC / "download_panel.js"
    _css = STATIC / "download_panel.css"

    # Python alone writes these, so no front end need echo them.
    snapshot = traitlets.Dict().tag(sync=True, echo_update=False)
    show_header = traitlets.Bool(True).tag(sync=True, echo_update=False)

    def __init__(self, tracker: Owner | None = None, *, download: Download | None = None) -> None:
        tracker = tracker or (download.owner if download else restored_tracker())
        publisher = Publisher(
            tracker,
            lambda one: download is None or one is download,
            send=self._post,
            hold=partial(self._keep, "snapshot"),
        )
        super().__init__(
            tracker,
            publisher,
            snapshot=publisher.snapshot(),
            show_header=download is None,
        )

    def __repr__(self) -> str:
        return f"<DownloadPanel of {len(self._downloads)}>"

    def _repr_mimebundle_(self, **kwargs: Any) -> tuple[dict[str, Any], dict[str, Any]] | None:
        bundle = super()._repr_mimebundle_(**kwargs)
        if bundle is not None:
            snapshot = self._publisher.snapshot()
            bundle[0]["text/html"] = snapshot_html.html(snapshot["rows"], snapshot["at"])
            bundle[0]["text/plain"] = text.table(self._downloads)
            self._publisher.is_displayed = True
        return bundle

    def at_rest(self, tell: Callable[[], None]) -> None:
        """Have something called once nothing is under way any more, and nobody looks."""
        self._publisher.at_rest.append(tell)

    @property
    def _downloads(self) -> list[Download]:
        return self._publisher.downloads

    def _do(self, asked: Asked) -> None:
        match asked:
            case Shown(page=page, seq=seq, open=opened):
                if self.show_header:
                    self._tracker.restore()  # another kernel may have begun some
                self._publisher.shown(page, seq, opened)
            case Hidden(page=page):
                self._publisher.hidden(page)
            case _:
                super()._do(asked)
