"""HTTP of the embedded hive: the contract's routes, their statuses and their bodies."""

from __future__ import annotations

import asyncio
import json
import re
import shutil
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from pathlib import Path
from typing import Any, Final

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

from rbee_widgets import contract
from rbee_widgets.contract import Capabilities, JobResponse
from rbee_widgets.hive.devices import devices
from rbee_widgets.hive.jobs import Job, Jobs

MAX_BODY: Final = 2 << 20
"""Bytes of a submitted job that are taken, as axum does."""

SIGN_OF_LIFE_S: Final = 10.0
"""Seconds between two comments on a stream whose reader can tell them from narration."""

_ID: Final = re.compile(r"[0-9]{1,18}")


class Routes:
    """The routes over one hive's jobs, and over the machine that keeps its models."""

    def __init__(
        self, jobs: Jobs, operate: Callable[[Job], Awaitable[None]], models_dir: Path
    ) -> None:
        self._jobs = jobs
        self._operate = operate
        self._models_dir = models_dir

    def app(self) -> Starlette:
        """Make the application."""
        routes = [
            Route("/health", self._health, methods=["GET"]),
            Route("/v1/capabilities", self._capabilities, methods=["GET"]),
            Route("/v1/jobs", self._submit, methods=["POST"]),
            Route("/v1/jobs", self._list, methods=["GET"]),
            Route("/v1/jobs/{job_id}", self._cancel, methods=["DELETE"]),
            Route("/v1/jobs/{job_id}/stream", self._stream, methods=["GET"]),
        ]
        empty: dict[Any, Any] = {405: _empty}
        return Starlette(routes=routes, exception_handlers=empty)

    async def _health(self, _: Request) -> Response:
        return PlainTextResponse("ok")

    async def _capabilities(self, _: Request) -> Response:
        told = Capabilities(
            devices=list(await asyncio.to_thread(devices)), disk_free=_disk_free(self._models_dir)
        )
        return JSONResponse(told.model_dump())

    async def _submit(self, request: Request) -> Response:
        kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind != "application/json" and not kind.endswith("+json"):
            return PlainTextResponse("Expected request with `Content-Type: application/json`", 415)
        body = bytearray()
        async for chunk in request.stream():
            body += chunk
            if len(body) > MAX_BODY:
                return PlainTextResponse(
                    "Failed to buffer the request body: length limit exceeded", 413
                )
        try:
            value = json.loads(bytes(body))
            json.dumps(value, ensure_ascii=False).encode()  # half a surrogate can't be told again
        except (ValueError, RecursionError) as error:
            return PlainTextResponse(f"Failed to parse the request body as JSON: {error}", 400)
        job = self._jobs.submit(value)
        answer = JobResponse(job_id=job.id, sse_url=f"/v1/jobs/{job.id}/stream")
        return JSONResponse(answer.model_dump())

    async def _list(self, _: Request) -> Response:
        jobs = [job.summary() for job in self._jobs.newest_first()]
        return JSONResponse(contract.JobList(jobs=jobs).model_dump(mode="json"))

    async def _cancel(self, request: Request) -> Response:
        job_id = request.path_params["job_id"]
        job = self._jobs.get(job_id)
        if job is None or not job.cancel():
            return PlainTextResponse(f"Job {job_id} not found or cannot be cancelled", 404)
        return JSONResponse({"job_id": job_id, "status": "cancelled"})

    async def _stream(self, request: Request) -> Response:
        job = self._jobs.get(request.path_params["job_id"])
        headers = {"Content-Type": "text/event-stream", "Cache-Control": "no-cache"}
        if request.method == "HEAD":  # a look must not start a job
            return Response(headers=headers)
        body = _lost() if job is None else self._told(job, request.headers.get("last-event-id"))
        return StreamingResponse(body, headers=headers)

    async def _told(self, job: Job, last_event_id: str | None) -> AsyncGenerator[bytes, None]:
        """Start a job if need be and tell it; ids and comments to those who ask for ids alone."""
        job.start(self._operate)
        with_ids = last_event_id is not None
        after = int(last_event_id) if last_event_id and _ID.fullmatch(last_event_id) else 0
        beat = SIGN_OF_LIFE_S if with_ids else None
        async with aclosing(job.follow(after, beat)) as events:
            async for event in events:
                if event is None:
                    yield b": still here\n\n"
                else:
                    event_id = event.id if with_ids else None
                    yield contract.sse(event.text, event=event.name, event_id=event_id)


async def _lost() -> AsyncGenerator[bytes, None]:
    yield contract.sse(contract.CHANNEL_LOST)
    yield contract.sse(contract.DONE)


async def _empty(_: Request, error: Exception) -> Response:
    return Response(status_code=getattr(error, "status_code", 405))


def _disk_free(folder: Path) -> int | None:
    """Give the bytes that can be written below a folder, which need not be there yet."""
    try:
        there = next(place for place in (folder, *folder.parents) if place.exists())
        return shutil.disk_usage(there).free
    except OSError:
        return None
