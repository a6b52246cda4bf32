"""`NarrationPanel`: all that a tracker's hives say, live and searchable, in a cell."""

from __future__ import annotations

from functools import partial
from typing import Any

import traitlets

from rbee_widgets import text
from rbee_widgets.handle import Owner
from rbee_widgets.tracker import restored_tracker
from rbee_widgets.widgets.asked import Asked, Hidden, Older, Shown
from rbee_widgets.widgets.live import STATIC, LiveWidget
from rbee_widgets.widgets.log_publisher import LogPublisher


class NarrationPanel(LiveWidget):
    """The log of a tracker; any number of views show it.

    Parameters
    ----------
    tracker
        Whose log; the default tracker's where none is given.

    """

    _publisher: LogPublisher
    _esm = STATIC / "narration_panel.js"
    _css = STATIC / "narration_panel.css"

    # Of the lines themselves nothing is kept: a saved notebook stays small.
    told = traitlets.Dict().tag(sync=True, echo_update=False)

    def __init__(self, tracker: Owner | None = None) -> None:
        tracker = tracker or restored_tracker()
        publisher = LogPublisher(tracker, send=self._post, hold=partial(self._keep, "told"))
        super().__init__(tracker, publisher, told=publisher.summary())

    def __repr__(self) -> str:
        return f"<NarrationPanel of {len(self._tracker.log)} lines>"

    def _repr_mimebundle_(self, **kwargs: Any) -> tuple[dict[str, Any], dict[str, Any]] | None:
        bundle = super()._repr_mimebundle_(**kwargs)
        if bundle is not None:
            bundle[0]["text/plain"] = text.narration(self._tracker.log)
        return bundle

    def _do(self, asked: Asked) -> None:
        match asked:
            case Shown(page=page, rev=revision):
                self._publisher.shown(page, revision)
            case Hidden(page=page):
                self._publisher.hidden(page)
            case Older(page=page, before=revision):
                self._publisher.older(page, revision)
