"""What a job does: each operation's narration, in a hive's own words, and its work.

The texts and the functions they name are those of a real hive, so that every client of one reads
them; the `_hint` lines are additions.
"""

from __future__ import annotations

import json
from typing import Any, Final

from rbee_widgets.contract import (
    HiveCheck,
    ModelDelete,
    ModelDownload,
    ModelGet,
    ModelList,
    OperationError,
    UnsupportedOperationError,
    parse_operation,
)
from rbee_widgets.hive.catalog import Catalog, CatalogError, Entry
from rbee_widgets.hive.check import hive_check
from rbee_widgets.hive.jobs import Job, JobError
from rbee_widgets.hive.provision import Provisioner
from rbee_widgets.hive.settings import Settings

_ROUTER: Final = "rbee_hive::job_router::route_operation"
_MODEL: Final = "rbee_hive::operations::model::handle_"


class Operations:
    """The operations of one hive."""

    def __init__(self, settings: Settings) -> None:
        self._catalog = Catalog(settings.models_dir)
        self._provisioner = Provisioner(settings, self._catalog)

    async def run(self, job: Job) -> None:
        """Do what a job asks.

        Raises
        ------
        JobError, JobCancelledError
            How it ended, if not well.

        """
        try:
            operation = parse_operation(job.request)
        except OperationError as error:
            raise JobError(f"Failed to parse operation: {error}") from error
        except UnsupportedOperationError as error:
            await self._route(job, str(error))
            raise JobError(_unsupported(str(error))) from error
        await self._route(job, operation.operation)
        try:
            match operation:
                case ModelDownload():
                    await self._model_download(job, operation)
                case ModelList():
                    await self._model_list(job, operation)
                case ModelGet():
                    await self._model_get(job, operation)
                case ModelDelete():
                    await self._model_delete(job, operation)
                case HiveCheck():
                    await hive_check(job)
                case _:
                    raise JobError(_unsupported(operation.operation))
        except CatalogError as error:
            raise JobError(str(error)) from error

    async def _route(self, job: Job, tag: str) -> None:
        await job.narrate(_ROUTER, "route_job", f"Executing operation: {tag}")

    # -- The catalog ------------------------------------------------------------------------------

    async def _model_list(self, job: Job, asked: ModelList) -> None:
        function = f"{_MODEL}model_list"
        await job.narrate(
            function, "model_list_start", f"📋 Listing models on hive '{asked.hive_id}'"
        )
        entries = self._catalog.entries()
        await job.narrate(function, "model_list_result", f"Found {len(entries)} model(s)")
        models = [_listed(entry) for entry in entries]
        if models:
            await job.narrate(function, "model_list_table", _table(models))
        else:
            await job.narrate(
                function,
                "model_list_empty",
                "No models found. Download a model with: ./rbee model download <model-id>",
            )
        dated = [
            model | {"added_at": entry.added_at}
            for model, entry in zip(models, entries, strict=True)
        ]
        answer = {"action": "model_list", "payload": {"models": dated}}
        await job.tell(json.dumps(answer, separators=(",", ":"), ensure_ascii=False))
        await job.narrate(function, "model_list_complete", "✅ Model list operation complete")

    async def _model_get(self, job: Job, asked: ModelGet) -> None:
        function = f"{_MODEL}model_get"
        await job.narrate(
            function, "model_get_start", f"🔍 Getting model '{asked.id}' on hive '{asked.hive_id}'"
        )
        entry = self._catalog.get(asked.id)
        model = entry.artifact
        await job.narrate(
            function,
            "model_get_found",
            f"✅ Model: {model.id} | Name: {model.name} | Path: {model.path}",
        )
        details = model.model_dump_json(indent=2, by_alias=True)
        await job.narrate(function, "model_get_details", details)
        self._catalog.touch(entry)

    async def _model_delete(self, job: Job, asked: ModelDelete) -> None:
        function = f"{_MODEL}model_delete"
        await job.narrate(
            function,
            "model_delete_start",
            f"🗑️  Deleting model '{asked.id}' on hive '{asked.hive_id}'",
        )
        try:
            place = self._catalog.place(asked.id)
            if self._provisioner.is_busy(place):
                raise CatalogError(f"Model '{asked.id}' is being downloaded")
            if asked.partial:
                place.discard_partial()
            else:
                self._catalog.delete(asked.id)
        except CatalogError as error:
            await job.narrate(
                function,
                "model_delete_error",
                f"❌ Failed to delete model '{asked.id}': {error}",
            )
            raise
        await job.narrate(
            function, "model_delete_complete", f"✅ Model '{asked.id}' deleted successfully"
        )

    # -- Downloads --------------------------------------------------------------------------------

    async def _model_download(self, job: Job, asked: ModelDownload) -> None:
        function = f"{_MODEL}model_download"
        model = asked.model
        await job.narrate(
            function,
            "model_download_start",
            f"📥 Downloading model '{model}' on hive '{asked.hive_id}'",
        )
        if self._exists(model):
            await job.narrate(
                function,
                "model_download_exists",
                f"⚠️  Model '{model}' already exists in catalog",
            )
            raise JobError(f"Model '{model}' already exists")
        await self._provisioner.provision(job, model, asked.sha256)
        await job.narrate(
            function,
            "model_download_complete",
            f"✅ Model '{model}' downloaded and added to catalog",
        )

    def _exists(self, model: str) -> bool:
        try:
            return self._catalog.has(model)
        except CatalogError:
            return False  # an id unfit for a folder is told of as unfit


def _unsupported(tag: str) -> str:
    if tag == "infer":
        return "Infer operation should NOT be routed to hive! It belongs to queen-rbee"
    return f"Operation '{tag}' is not supported by rbee-hive (should be handled by queen-rbee)"


def _listed(entry: Entry) -> dict[str, Any]:
    model = entry.artifact
    return {
        "id": model.id,
        "loaded": False,
        "name": model.name,
        "path": model.path,
        "size": model.size,
    }


def _table(rows: list[dict[str, Any]]) -> str:
    """Draw rows as a hive does: padded columns, a rule below the head, a newline at the end."""
    names = list(rows[0])
    cells = [[_cell(row[name]) for name in names] for row in rows]
    widths = [max(len(text) for text in column) for column in zip(names, *cells, strict=True)]
    lines = [
        " │ ".join(text.ljust(width) for text, width in zip(line, widths, strict=True))
        for line in (names, *cells)
    ]
    rule = "─┼─".join("─" * width for width in widths)
    return "\n".join([lines[0], rule, *lines[1:]]) + "\n"


def _cell(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
