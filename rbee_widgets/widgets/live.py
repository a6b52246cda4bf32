"""What all our widgets share: code and styles of their own, and what a page asks for, done."""

from __future__ import annotations

import asyncio
import os
import threading
from contextlib import suppress
from pathlib import Path
from typing import Any, Final, Protocol

import anywidget
import ipywidgets
import traitlets

from rbee_widgets.background import in_kernel, run_elsewhere, unasked
from rbee_widgets.client import Hive
from rbee_widgets.errors import RbeeError
from rbee_widgets.handle import Download, Owner
from rbee_widgets.widgets.asked import Act, Asked, read_asked
from rbee_widgets.widgets.channel import Message

STATIC: Final = Path(__file__).parent.parent / "static"

HELD_S: Final = 0.25
"""Seconds after which the tracker's loop is taken to be held by a cell."""


class _Code(ipywidgets.Widget):  # type: ignore[misc]
    """The code of one kind of widget, kept once in a page and in a saved notebook."""

    kind = traitlets.Unicode().tag(sync=True)
    esm = traitlets.Unicode().tag(sync=True)
    css = traitlets.Unicode().tag(sync=True)

    def set_state(self, _: dict[str, Any]) -> None:
        """Take no code of a page."""


_codes: Final[dict[type, _Code]] = {}


def _code(kind: type[LiveWidget]) -> _Code:
    code = _codes.get(kind)
    if code is None or code.comm is None:  # the user has closed all widgets
        name = f"{kind.__module__}.{kind.__name__}"
        code = _codes[kind] = _Code(kind=name, esm=str(kind._esm), css=str(kind._css))  # noqa: SLF001
    return code


class Publishes(Protocol):
    """What publishes for a widget, on the tracker's loop."""

    def begin(self) -> None:
        """Publish from now on."""

    def close(self) -> None:
        """Publish no more."""


class LiveWidget(anywidget.AnyWidget):
    """A widget over a tracker; each message of a page is handled on the tracker's loop."""

    _publisher: Publishes
    _esm: Any
    _css: Any
    _code = traitlets.Instance(_Code, allow_none=True).tag(
        sync=True, echo_update=False, **ipywidgets.widget_serialization
    )

    def __init__(self, tracker: Owner, publisher: Publishes, **traits: Any) -> None:
        self._tracker = tracker
        self._publisher = publisher
        # Another host may show one model alone, and code that is worked on is loaded by itself.
        if in_kernel() and "ANYWIDGET_HMR" not in os.environ:
            self._esm, self._css = (STATIC / "loader.js").read_text("utf-8"), ""
            traits["_code"] = _code(type(self))
        super().__init__(**traits)
        self.on_msg(self._on_message)
        tracker.request(publisher.begin)

    def close(self) -> None:
        """End the widget, and nothing that it shows."""
        if hasattr(self, "_publisher"):  # ipywidgets also closes what its constructor refused
            with suppress(RuntimeError):  # the tracker's loop is closed
                self._tracker.request(self._publisher.close)
        super().close()

    @property
    def _downloads(self) -> list[Download]:
        """What a page may act on; nothing, unless a widget says so."""
        return []

    def _do(self, asked: Asked) -> None:
        """Do what a page asks for; on the tracker's loop."""
        if not isinstance(asked, Act):
            return
        ids = set(asked.ids)
        for download in self._downloads:
            if download.id in ids:
                getattr(self._tracker, asked.kind)(download)

    def set_state(self, _: dict[str, Any]) -> None:
        """Take no state of a page: all of it, its own code too, is Python's to say."""

    def _post(self, message: Message) -> None:
        """Send a message to all pages, if the host still shows the widget."""
        if not self._is_over():
            self.send(message)

    def _keep(self, trait: str, value: Message) -> None:
        """Set a trait, if the host still shows the widget."""
        if not self._is_over():
            self.set_trait(trait, value)

    def open(self) -> None:
        """Tell the pages of the widget."""
        unasked().run(super().open)

    def _send(self, msg: Message, buffers: Any = None) -> None:
        unasked().run(super()._send, msg, buffers)

    def _is_over(self) -> bool:
        """Whether the host has ended this widget, as marimo does when its cell runs again.

        It tells nobody, and what is still sent is an error in its page.
        """
        if self.comm is not None and self.comm._closed:  # noqa: SLF001 (no comm says so otherwise)
            self.close()
        return self.comm is None

    def _on_message(self, _: Any, content: Any, __: Any) -> None:
        """Take a message of a page; on whichever thread."""
        asked = read_asked(content)
        if asked is None:
            return  # not ours, or not meant well
        taken = threading.Event()

        def take() -> None:
            taken.set()
            self._do(asked)

        with suppress(RuntimeError):  # the tracker's loop is closed
            self._tracker.request(take)
        if not isinstance(asked, Act) or asked.kind != "cancel" or self._tracker.is_here:
            return
        if not taken.wait(HELD_S):
            run_elsewhere(self._cancel(set(asked.ids)))

    async def _cancel(self, ids: set[str]) -> None:
        """Tell the hives while a cell holds the tracker's loop, for hours perhaps.

        The loop learns of it as of any end, by the jobs' streams.
        """
        jobs = [
            (one.attempt.hive, one.job_id)
            for one in self._downloads
            if one.id in ids and one.attempt.hive and one.job_id and one.status.is_active
        ]

        async def cancel(hive: Hive, job: str) -> None:
            with suppress(RbeeError):  # which the loop meets again, and tells
                await hive.cancel(job)

        await asyncio.gather(*(cancel(hive, job) for hive, job in jobs))
        for hive in {hive for hive, _ in jobs}:
            await hive.aclose()
