"""The wire: what a client and a hive say to each other, and nothing else.

A *job* is submitted with `POST /v1/jobs` (one flat JSON object, tagged by `operation`), started and
followed with `GET /v1/jobs/{job_id}/stream` (Server-Sent Events) and cancelled with
`DELETE /v1/jobs/{job_id}`. The stream carries *narration* for people, data events for programs, and
ends with one of three markers. Both sides of the wire import this module; it imports neither.

Source of every name and text here: rbee's hive, `operations-contract`, `job-server` and
`narration-core`, checked against transcripts of a hive that ran.
"""

from __future__ import annotations

import re
from enum import StrEnum
from typing import Annotated, Any, Final, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

DEFAULT_PORTS: Final = (7835, 7834)
"""Where a hive listens unless told otherwise: the port of its callers, then that of its docs."""

DONE: Final = "[DONE]"
ERROR: Final = "[ERROR]"
CANCELLED: Final = "[CANCELLED]"
CHANNEL_LOST: Final = (
    "ERROR: Job channel not found. This may indicate a race condition or job creation failure."
)
"""What a stream that can't be had (again) says before a `[DONE]` that is no success."""

_ESC: Final = "\x1b"


class JobState(StrEnum):
    """The states of a job in a hive."""

    QUEUED = "queued"
    RUNNING = "running"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def is_final(self) -> bool:
        """Whether the job has ended."""
        return self not in (JobState.QUEUED, JobState.RUNNING)


class _Wire(BaseModel):
    """A JSON object of the wire: unknown keys are ignored, types are not coerced."""

    model_config = ConfigDict(frozen=True, extra="ignore", strict=True)


# -- Operations -----------------------------------------------------------------------------------


class ModelDownload(_Wire):
    """Fetch a model; `model` is `org/repo`, `org/repo:file` or, embedded hive alone, a URL."""

    operation: Literal["model_download"] = "model_download"
    hive_id: str
    model: str
    sha256: str | None = None
    """What the whole must hash to, in hex: an addition of the embedded hive, which says so."""


class ModelList(_Wire):
    """List the catalog; the answer is a data event."""

    operation: Literal["model_list"] = "model_list"
    hive_id: str


class ModelGet(_Wire):
    """Tell one entry of the catalog."""

    operation: Literal["model_get"] = "model_get"
    hive_id: str
    id: str


class ModelDelete(_Wire):
    """Delete one entry of the catalog, or what an unfinished download of it left.

    `partial` is an addition of the embedded hive: a real one ignores the key and would look for
    the whole model, so it is sent to embedded hives alone.
    """

    operation: Literal["model_delete"] = "model_delete"
    hive_id: str
    id: str
    partial: bool = False


class WorkerInstall(_Wire):
    """Build and install a worker of the worker catalog."""

    operation: Literal["worker_install"] = "worker_install"
    hive_id: str
    worker_id: str


class WorkerListInstalled(_Wire):
    """List the installed workers; the answer is a line of narration that holds JSON."""

    operation: Literal["worker_list_installed"] = "worker_list_installed"
    hive_id: str


class HiveCheck(_Wire):
    """Let the hive narrate for a second or two, to see that streaming works."""

    operation: Literal["hive_check"] = "hive_check"
    alias: str = "localhost"


Operation: TypeAlias = Annotated[
    ModelDownload
    | ModelList
    | ModelGet
    | ModelDelete
    | WorkerInstall
    | WorkerListInstalled
    | HiveCheck,
    Field(discriminator="operation"),
]

OPERATIONS: Final = (
    "status",
    "infer",
    "image_generation",
    "image_transform",
    "image_inpaint",
    "rhai_script_save",
    "rhai_script_test",
    "rhai_script_get",
    "rhai_script_list",
    "rhai_script_delete",
    "worker_catalog_list",
    "worker_catalog_get",
    "worker_list_installed",
    "worker_installed_get",
    "worker_install",
    "worker_remove",
    "worker_spawn",
    "worker_process_list",
    "worker_process_get",
    "worker_process_delete",
    "model_download",
    "model_list",
    "model_get",
    "model_delete",
    "model_load",
    "model_unload",
    "queen_check",
    "hive_check",
)
"""Every tag that a hive's parser knows, in the order of its error text."""


class OperationError(ValueError):
    """Raised when a submitted value is no operation; the text is the one that serde gives."""


class UnsupportedOperationError(ValueError):
    """Raised for an operation that the contract knows and this package does not model."""


_OPERATION: Final[TypeAdapter[Operation]] = TypeAdapter(Operation)


def parse_operation(value: Any) -> Operation:
    """Read a submitted JSON value as an operation.

    Raises
    ------
    OperationError
        The value is no operation of the contract.
    UnsupportedOperationError
        It is one, but none of those modelled here; its argument is the tag.

    """
    if not isinstance(value, dict):
        raise OperationError(
            f"invalid type: {_serde_type(value)}, expected internally tagged enum Operation"
        )
    tag = value.get("operation")
    if "operation" not in value:
        raise OperationError("missing field `operation`")
    if tag not in OPERATIONS:
        expected = ", ".join(f"`{name}`" for name in OPERATIONS)
        name = tag if isinstance(tag, str) else _serde_type(tag)
        raise OperationError(f"unknown variant `{name}`, expected one of {expected}")
    try:
        return _OPERATION.validate_python(value)
    except ValidationError as error:
        first = error.errors()[0]
        if first["type"] == "union_tag_invalid":
            raise UnsupportedOperationError(tag) from None
        field = first["loc"][-1]
        if first["type"] == "missing":
            raise OperationError(f"missing field `{field}`") from None
        raise OperationError(
            f"invalid type: {_serde_type(first['input'])}, expected a string"
        ) from None


def _serde_type(value: Any) -> str:
    match value:
        case None:
            return "null"
        case bool():
            return f"boolean `{str(value).lower()}`"
        case int():
            return f"integer `{value}`"
        case float():
            return f"floating point `{value}`"
        case str():
            return f'string "{value}"'
        case list():
            return "sequence"
        case _:
            return "map"


# -- Answers --------------------------------------------------------------------------------------

_JobId = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-][A-Za-z0-9._-]{0,127}$")]
"""A part of a path: none that would lead to another one."""

_Size = Annotated[int, Field(ge=0, lt=1 << 63)]
"""Bytes, as a file system can count them."""


class JobResponse(_Wire):
    """The answer to a submitted job."""

    job_id: _JobId
    sse_url: str


class JobSummary(_Wire):
    """One job as `GET /v1/jobs` of an embedded hive tells it; sizes in bytes, time in Unix s."""

    job_id: _JobId
    operation: str
    model: str | None
    state: JobState
    bytes_downloaded: _Size
    total_size: _Size | None
    percentage: float | None
    error: str | None
    created_at: float


class JobList(_Wire):
    """`GET /v1/jobs`, newest first. A real hive answers 405."""

    jobs: list[JobSummary]


class Device(_Wire):
    """A device of a hive; `vram_gb` in GiB, truncated (a CPU's is its RAM).

    `memory`, the same in bytes, is an addition of the embedded hive: of a card of 8 GB the
    truncated figure leaves out an eighth. None: not told.
    """

    id: str
    name: str
    device_type: str
    vram_gb: Annotated[int, Field(ge=0, lt=1 << 33)]
    compute_capability: str | None
    memory: _Size | None = None

    @property
    def least_memory(self) -> int:
        """Bytes that it has at least."""
        return self.vram_gb << 30 if self.memory is None else self.memory


class Capabilities(_Wire):
    """`GET /v1/capabilities`; the CPU comes last.

    `disk_free`, the bytes that can still be written where models are kept, is an addition of the
    embedded hive; None: not told.
    """

    devices: list[Device]
    disk_free: _Size | None = None


class Model(_Wire):
    """A model of a hive's catalog as `model_list` tells it; `size` in bytes.

    `added_at` (RFC 3339) is an addition of the embedded hive. A real one tells it by `model_get`
    alone, which rewrites the model's metadata and drops what it doesn't know: too much for a look.
    """

    id: str
    name: str
    path: Annotated[str, Field(max_length=4096)]
    size: _Size
    loaded: bool = False
    added_at: str | None = None


def folder_of(model: str) -> str:
    """Give the name of the folder that a hive keeps a model in."""
    return model.replace("/", "-").replace(":", "-")


class Worker(_Wire):
    """An installed worker as `worker_list_installed` tells it; `size` in bytes.

    Its `id` is longer than the one it was installed by: `llm-worker-rbee-cpu-0.1.0-linux`.
    """

    id: str
    version: str = ""
    platform: str = ""
    path: Annotated[str, Field(max_length=4096)]
    size: _Size


class WorkerList(_Wire):
    """The installed workers."""

    workers: list[Worker]


class DataEvent(_Wire):
    """Structured data on a stream: SSE events named `data`."""

    action: str
    payload: Any


class JsonNarration(_Wire):
    """Narration as JSON, as a queen sends it; `human` is the bare text."""

    human: str
    action: str | None = None
    actor: str | None = None


# -- Text frames ----------------------------------------------------------------------------------

FRAME: Final = re.compile(
    rf"{_ESC}\[1m([^{_ESC}\n]{{0,400}}){_ESC}\[0m "
    rf"{_ESC}\[2m([^{_ESC}\n]{{0,100}}){_ESC}\[0m(?:\n(.*))?",
    re.DOTALL,
)
"""A hive's narration: bold function, dim action, both padded; then the message."""


def frame(function: str, action: str, message: str) -> str:
    """Write a narration as a hive does; `message` may hold newlines."""
    return f"{_ESC}[1m{function:<40}{_ESC}[0m {_ESC}[2m{action:<20}{_ESC}[0m\n{message}\n"


def sse(text: str, *, event: str | None = None, event_id: int | None = None) -> bytes:
    """Frame one text as a Server-Sent Event, as axum does: one `data:` line for each line."""
    head = (f"event: {event}\n" if event else "") + (f"id: {event_id}\n" if event_id else "")
    text = text.replace("\r\n", "\n").replace("\r", "\n")  # which would end a line all the same
    return (head + "".join(f"data: {line}\n" for line in text.split("\n")) + "\n").encode()
