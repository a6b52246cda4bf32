"""A tracker whose downloads hear what they are told to: every state and any number of rows.

Narration is read, judged and published as ever; what is missing is a hive that would say it.
`Gallery` knows a scene for each state, with figures that are the same in every run.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Final

from rbee_widgets.attempt import Change
from rbee_widgets.client import Hive
from rbee_widgets.contract import CANCELLED, DONE, ERROR, Model, frame
from rbee_widgets.errors import HiveUnreachableError, RbeeError
from rbee_widgets.handle import Download
from rbee_widgets.hive.fetch import TRACKER, VENDOR
from rbee_widgets.links import Target
from rbee_widgets.narration import read
from rbee_widgets.state import DownloadState, Status, Type
from rbee_widgets.tracker import Found, Tracker

MB: Final = 1_000_000


def progress(done: float, total: float) -> str:
    """Say as the embedded hive does how many bytes of how many are there."""
    return f"📊 Progress: {100 * done / total:.2f}% ({done / MB:.3f} MB / {total / MB:.3f} MB)"


class Stage(Tracker):
    """A tracker that starts nothing by itself; its public calls and its buttons work as ever."""

    def enter(self, name: str, *said: str, hive: str = "local", worker: bool = False) -> Download:
        """Have a download come, of which a hive has said so much."""
        # Not as a user's word: a record of another kernel may hold a name that none would type.
        target = Target(Type.WORKER if worker else Type.MODEL, name)
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
        self.loop.call_later(0.5, self.hear, download, CANCELLED)

    def retry(self, download: Download) -> None:
        """Put a fresh attempt in the place of one that is over; nothing is submitted."""
        download.begin_again()
        self.changed(download, Change.LIST)

    def clear_all(self) -> None:
        """Have all of them gone."""
        for download in self.downloads:
            self._downloads.remove(download)
            self.changed(download, Change.LIST)


# -- Scenes ---------------------------------------------------------------------------------------

Said = tuple[float, str, str]
"""A line of narration: how many seconds ago it came, its action, its text."""


@dataclass(frozen=True, slots=True)
class Scene:
    """A download in one state: what its hive has said, oldest first, and how the stream ended.

    `then` does what no hive says.
    """

    name: str
    said: Sequence[Said] = ()
    end: str | None = None
    then: Callable[[DownloadState], None] | None = None
    hive: str = "local"
    worker: bool = False


def _begun(name: str) -> tuple[Said, ...]:
    return (
        (60.0, "execute", "Executing job job-1"),
        (60.0, "route_job", "Executing operation: model_download"),
        (60.0, "hf_download_start", f"📥 Downloading model '{name}' from HuggingFace"),
        (60.0, "hf_download_file", f"📥 Downloading file: {name.rpartition(':')[2]}"),
    )


def _flow(total: float, share: float, rate: float, *, until: float = 0.0) -> tuple[Said, ...]:
    """Tell twice a second, for half a minute up to `until` seconds ago, of a stream that sways."""
    times = [step / 2 for step in range(60, -1, -1)]
    amounts = [share * total - rate * (ago + math.sin(ago)) for ago in times]
    return tuple(
        (until + ago, "download_progress", progress(max(amount, 0.0), total))
        for ago, amount in zip(times, amounts, strict=True)
    )


def _interrupted(state: DownloadState) -> None:
    state.interrupt("no answer from the hive at http://10.0.0.7:7835: Connection refused")


_MISTRAL: Final = "TheBloke/Mistral-7B-Instruct-v0.2-GGUF:mistral-7b-instruct-v0.2.Q4_K_M.gguf"
_GEMMA: Final = "google/gemma-3-27b-it-qat-q4_0-gguf:gemma-3-27b-it-q4_0.gguf"
_STORIES: Final = "ggml-org/tinyllamas:stories15M-q4_0.gguf"
_LLAMA: Final = "meta-llama/Llama-3.1-8B-Instruct:model-00001-of-00004.safetensors"
_HUB: Final = "https://huggingface.co/meta-llama/Llama-3.1-8B-Instruct"
_BUILD: Final = (
    (30.0, "worker_install_start", "📦 Installing worker 'llm-worker-rbee-cpu' on hive 'local'"),
    (1.0, "build_output", "   Compiling candle-core v0.9.1"),
)
_LONG: Final = (
    "an-organisation-with-a-name-that-goes-on-and-on/"
    "A-Model-Named-By-Committee-With-Every-Word-That-Anybody-Thought-Of-70B-Instruct-GGUF:"
    "a-model-named-by-committee-with-every-word-that-anybody-thought-of-70b.IQ2_XXS.gguf"
)

SCENES: Final = {
    "queued": Scene("microsoft/phi-4-gguf:phi-4-q4.gguf"),
    "behind others": Scene(
        _GEMMA, (*_begun(_GEMMA), (5.0, "download_queued", "⏳ Queued, 2 before it"))
    ),
    "downloading": Scene(_MISTRAL, (*_begun(_MISTRAL), *_flow(4.37e9, 0.452, 11.6e6))),
    "percent alone": Scene(
        "mistralai/Mistral-7B-Instruct-v0.3",
        [
            (
                ago,
                "download_progress",
                f"⏳ Still downloading model ({38 - ago / 4:.1f}% complete)...",
            )
            for ago in (60.0, 50.0, 40.0, 30.0, 20.0, 10.0, 0.0)
        ],
    ),
    "no figures": Scene(
        "org/no-figures:model.gguf",
        [(2.0, "download_connecting", "🔌 Connecting to huggingface.co")],
    ),
    "stalled": Scene(
        "bartowski/Llama-3.2-3B-Instruct-GGUF:Llama-3.2-3B-Instruct-Q8_0.gguf",
        _flow(3.42e9, 0.718, 4.2e6, until=37.0),
    ),
    "retrying": Scene(
        "unsloth/DeepSeek-R1-Distill-Qwen-14B-GGUF:DeepSeek-R1-Distill-Qwen-14B-Q5_K_M.gguf",
        (
            *_flow(10.5e9, 0.233, 22e6, until=6.0),
            (4.0, "download_retry", "🔁 Retry 2 of 6 in 12.0 s: huggingface.co sent no byte"),
        ),
    ),
    "finishing": Scene(
        "Qwen/Qwen2.5-0.5B-Instruct-GGUF:qwen2.5-0.5b-instruct-q4_k_m.gguf",
        (
            *_flow(398e6, 1.0, 30e6, until=3.0),
            (3.0, "hf_download_cached", "✅ File downloaded and cached at: /models/model.gguf"),
        ),
    ),
    "cancelling": Scene(
        "org/changed-my-mind:model.Q6_K.gguf",
        _flow(6.1e9, 0.12, 9e6),
        then=DownloadState.cancelling,
    ),
    "complete": Scene(
        "ggml-org/gemma-3-1b-it-GGUF:gemma-3-1b-it-Q4_K_M.gguf", _flow(806e6, 1.0, 25e6), end=DONE
    ),
    "already there": Scene(_STORIES, end=f"{ERROR} Model '{_STORIES}' already exists"),
    "cancelled": Scene("org/not-that-one:model.Q4_0.gguf", _flow(2.2e9, 0.31, 8e6), end=CANCELLED),
    "failed": Scene(
        _LLAMA,
        (
            *_begun(_LLAMA),
            (1.0, "hf_download_hint", f"💡 The model is gated: accept its licence at {_HUB}"),
        ),
        end=f"{ERROR} HuggingFace download failed: request error: {_HUB}/resolve/main/"
        "model-00001-of-00004.safetensors: status code 403",
    ),
    "interrupted": Scene(
        "nomic-ai/nomic-embed-text-v1.5-GGUF:nomic-embed-text-v1.5.f16.gguf",
        _flow(274e6, 0.64, 3e6),
        then=_interrupted,
    ),
    "worker": Scene("llm-worker-rbee-cpu", _BUILD, worker=True),
    "long name": Scene(_LONG, _flow(25e9, 0.055, 31e6)),
    "right to left": Scene(
        "מודל-שפה/דגם-גדול-מאוד:קובץ-משקלים-ארוך.Q4_K_M.gguf", _flow(1.9e9, 0.83, 14e6)
    ),
    "hostile": Scene(
        f"org/<img src=x onerror=alert(1)>\u202efugg.exe\u202c:{'w' * 120}.gguf",
        _flow(1e9, 0.5, 10e6),
        end=f"{ERROR} <script>alert(1)</script> \u202eetelpmoc\u202c\n{'e' * 300}",
    ),
}
"""A download in each state, and with each kind of name."""

_CROWD: Final = (
    "downloading", "queued", "complete", "behind others", "stalled", "complete", "failed",
    "downloading", "retrying", "complete", "finishing", "cancelled", "downloading", "interrupted",
    "complete", "worker", "long name", "percent alone", "already there", "right to left",
)  # fmt: skip

_SPEAKERS: Final = {
    "execute": "job_server::execution::execute_and_stream",
    "route_job": "rbee_hive::job_router::route_operation",
    "worker_install_start": "rbee_hive::operations::worker::handle_worker_install",
    "build_output": "rbee_hive::worker_install::handle_worker_install",
    "download_progress": TRACKER,
}
"""The functions of a hive that speak, by action; of any other it is the vendor's."""


SILENT: Final = "org/silent:model.gguf"
UNREACHABLE: Final = "org/unreachable:model.gguf"
"""What the catalog of a gallery never answers of, and what it can't be asked of."""


def _entry(download: Download) -> Model:
    name = download.name
    path = f"/home/me/.cache/rbee/models/{name.replace('/', '-')}/model.gguf"
    return Model(id=name, name=name, path=path, size=download.total_size or 19 * MB)


class Gallery(Stage):
    """A stage whose clock stands still, so that what it shows is the same as long as one looks."""

    def __init__(self) -> None:
        self._now = 1000.0
        super().__init__(clock=lambda: self._now)

    def scene(self, name: str, *, hive: str = "local") -> Download:
        """Have a download come in the state of that name."""
        return self.play(replace(SCENES[name], hive=hive))

    def play(self, scene: Scene) -> Download:
        """Have a download come that has been through a scene."""
        download = self.enter(scene.name, hive=scene.hive, worker=scene.worker)
        present = self._now
        for ago, action, text in scene.said:
            self._now = present - ago
            self.hear(download, frame(_SPEAKERS.get(action, VENDOR), action, text))
        self._now = present
        state = download.attempt.state
        if scene.then is not None:
            scene.then(state)
            self.changed(download, Change.STATUS)
        if scene.end is not None:
            self.hear(download, scene.end)
        if state.status is Status.COMPLETE:
            download.attempt.settle([_entry(download)])
        return download

    def look_up(
        self, target: Target, hive: Hive | None, then: Callable[[Found | RbeeError], None]
    ) -> None:
        """Answer as a catalog that knows what is complete here; of one it never tells."""
        hive = hive or Hive("http://127.0.0.1:1", id="local")
        if target.id == SILENT:
            return
        if target.id == UNREACHABLE:
            then(HiveUnreachableError(hive.url, "Connection refused"))
            return
        complete = [one for one in self.downloads if one.status is Status.COMPLETE]
        entries = [_entry(one) for one in complete if one.target == target]
        then(Found(hive, entries[0] if entries else None))

    def crowd(self, count: int) -> list[Download]:
        """Have many downloads come, in all kinds of states, each with a name of its own."""
        scenes = [SCENES[_CROWD[i % len(_CROWD)]] for i in range(count)]
        return [
            self.play(replace(scene, name=f"{scene.name.removesuffix('.gguf')}-{i}.gguf"))
            for i, scene in enumerate(scenes, start=1)
        ]
