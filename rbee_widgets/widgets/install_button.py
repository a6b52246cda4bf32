"""`InstallButton`: one button for a model or a worker, which becomes its own progress."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import traitlets

from rbee_widgets import text
from rbee_widgets.attempt import Change
from rbee_widgets.client import Hive
from rbee_widgets.errors import RbeeError
from rbee_widgets.handle import Download
from rbee_widgets.links import read_target
from rbee_widgets.state import Status, Type
from rbee_widgets.tracker import Found, Tracker, restored_tracker
from rbee_widgets.widgets import snapshot_html
from rbee_widgets.widgets.asked import Asked, Hidden, Install, Shown
from rbee_widgets.widgets.channel import Message
from rbee_widgets.widgets.live import STATIC, LiveWidget
from rbee_widgets.widgets.publisher import MAX_TEXT, Publisher


class InstallButton(LiveWidget):
    """A button that fetches a model or installs a worker; any number of views show it.

    It knows what is there already, and follows what was started elsewhere.

    Parameters
    ----------
    name
        `org/repo`, `org/repo:file.gguf`, an `rbee://` link, a URL; without a slash, a worker's id.
    hive
        A hive, or the id or the URL of one; else one is found.
    tracker
        Who follows it; the default tracker where none is given.

    Raises
    ------
    ValueError
        `name` names nothing that can be fetched.
    UnknownHiveError
        `hive` names none.

    """

    _publisher: Publisher
    _esm = STATIC / "install_button.js"
    _css = STATIC / "install_button.css"

    # Python alone writes these, so no front end need echo them.
    snapshot = traitlets.Dict().tag(sync=True, echo_update=False)
    offer = traitlets.Dict().tag(sync=True, echo_update=False)

    # ipywidgets also closes what the constructor refused.
    _unsubscribe: Callable[[], None] = staticmethod(lambda: None)

    def __init__(
        self, name: str, hive: Hive | str | None = None, *, tracker: Tracker | None = None
    ) -> None:
        self._target = read_target(name, Type.MODEL if "/" in name else Type.WORKER)
        owner = tracker or restored_tracker()
        self._owner = owner
        self._hive = owner.chosen(hive)
        self._is_asked = False
        publisher = Publisher(
            owner, self._shows, send=self._post, hold=partial(self._keep, "snapshot")
        )
        super().__init__(owner, publisher, snapshot=publisher.snapshot(), offer=self._offer())
        owner.request(self._watch)

    def _watch(self) -> None:
        self._unsubscribe = self._owner.subscribe(self._on_change)

    def close(self) -> None:
        """End the button, not the download."""
        self._unsubscribe()
        super().close()

    def __repr__(self) -> str:
        return f"<InstallButton of {self._target.id}>"

    def _repr_mimebundle_(self, **kwargs: Any) -> tuple[dict[str, Any], dict[str, Any]] | None:
        bundle = super()._repr_mimebundle_(**kwargs)
        if bundle is not None:
            is_there = f"{text.printable(self._target.id)}  installed"
            known = text.table(self._downloads[:1]) if self._downloads else self._target.id
            snapshot = self._publisher.snapshot()
            bundle[0]["text/html"] = snapshot_html.html(snapshot["rows"][:1], snapshot["at"])
            bundle[0]["text/plain"] = is_there if self.offer["installed"] else known
            self._publisher.is_displayed = True
        return bundle

    @property
    def _downloads(self) -> list[Download]:
        return self._publisher.downloads

    def _shows(self, download: Download) -> bool:
        is_same = (download.type, download.name) == (self._target.type, self._target.id)
        return is_same and self._hive in (None, download.attempt.hive)

    def _on_change(self, download: Download, change: Change) -> None:
        if change is Change.STATUS and download.status is Status.COMPLETE and self._shows(download):
            self._look_up()

    # -- What a page says -------------------------------------------------------------------------

    def _do(self, asked: Asked) -> None:
        match asked:
            case Shown(page=page, seq=seq, open=opened):
                self._owner.restore()  # another kernel may have started it
                self._publisher.shown(page, seq, opened)
                if not self._is_asked:
                    self._look_up()
            case Hidden(page=page):
                self._publisher.hidden(page)
            case Install():
                self._owner.fetch(self._target, self._hive)
            case _:
                super()._do(asked)

    # -- What is there ----------------------------------------------------------------------------

    def _look_up(self) -> None:
        self._is_asked = True
        self._owner.look_up(self._target, self._hive, self._found)

    def _found(self, found: Found | RbeeError) -> None:
        self._keep("offer", self._offer(found))

    def _offer(self, found: Found | RbeeError | None = None) -> Message:
        """Tell what the button offers; `installed` is None until the catalog has answered."""
        offer: Message = {
            "name": self._target.id,
            "type": self._target.type,
            "hive": self._hive.id if self._hive else "",
            "installed": None,
            "size": None,
            "path": None,
            "error": None,
        }
        if isinstance(found, RbeeError):
            return offer | {"error": str(found)[:MAX_TEXT]}
        if found is None:
            return offer
        entry = found.entry
        there = {"size": entry.size, "path": entry.path} if entry else {}
        return offer | {"hive": found.hive.id, "installed": entry is not None, **there}
