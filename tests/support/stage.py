"""A tracker whose downloads hear what they are told to: every state and any number of rows.

Narration is read, judged and published as ever; what is missing is a hive that would say it.
"""

from __future__ import annotations

from rbee_widgets.attempt import Change
from rbee_widgets.client import Hive
from rbee_widgets.handle import Download
from rbee_widgets.links import read_target
from rbee_widgets.narration import read
from rbee_widgets.state import Type
from rbee_widgets.tracker import Tracker

MB = 1_000_000


def progress(done: float, total: float) -> str:
    """Say as the embedded hive does how many bytes of how many are there."""
    return f"📊 Progress: {100 * done / total:.2f}% ({done / MB:.3f} MB / {total / MB:.3f} MB)"


class Stage(Tracker):
    """A tracker that starts nothing by itself; its public calls and its buttons work as ever."""

    def enter(self, name: str, *said: str, hive: str = "local", worker: bool = False) -> Download:
        """Have a download come, of which a hive has said so much."""
        target = read_target(name, Type.WORKER if worker else Type.MODEL)
        download = Download(self, target, Hive("http://127.0.0.1:1", id=hive))
        self._downloads.insert(0, download)
        self.changed(download, Change.LIST)
        if self._ticking is None or self._ticking.done():
            self._ticking = self._background.start(self._tick(), "tick")
        self.hear(download, *said)
        return download

    def hear(self, download: Download, *said: str) -> None:
        """Have a download hear what its hive says, in the words of the wire; on the loop."""
        attempt = download.attempt
        for words in said:
            attempt._observe(read(words))
        if attempt.state.status.is_final and not attempt.is_over:
            attempt._over = True
            self.changed(download, Change.STATUS)

    def cancel(self, download: Download) -> None:
        """Have a download cancelled, as a hive would within half a second."""
        download.attempt.state.cancelling()
        self.changed(download, Change.STATUS)
        self.loop.call_later(0.5, self.hear, download, "[CANCELLED]")

    def retry(self, download: Download) -> None:
        """Put a fresh attempt in the place of one that is over; nothing is submitted."""
        download.begin_again()
        self.changed(download, Change.LIST)
