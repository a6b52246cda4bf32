"""`Hive`: an async handle on one job server, real or embedded. All HTTP of a client is here.

A hive is the user's own machine: no proxy lies between, redirects are never followed, and a token
goes to the hive's own origin alone. Reading a stream *starts* its job, and a real hive gives a
stream only once: nothing here opens one to see whether it is there.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Final, NamedTuple, TypeVar
from urllib.parse import quote, urlsplit
from weakref import WeakKeyDictionary

import httpx
import httpx_sse
from pydantic import BaseModel, TypeAdapter, ValidationError

from rbee_widgets.contract import (
    Capabilities,
    JobList,
    JobResponse,
    JobSummary,
    Model,
    ModelDelete,
    ModelList,
    Operation,
    Worker,
    WorkerList,
    WorkerListInstalled,
    folder_of,
)
from rbee_widgets.errors import (
    HiveRefusedError,
    HiveUnreachableError,
    HiveUrlError,
    LocalHiveError,
    NotDeletedError,
    RbeeError,
    StreamCutError,
)
from rbee_widgets.hive import launch
from rbee_widgets.narration import Data, Event, Failed, Narration
from rbee_widgets.stream import Bounded, EndlessError, events

CONNECT_TIMEOUT_S: Final = 5.0
CONNECTIONS: Final = 8
"""Connections that a hive is asked over, streams aside."""

ANSWER_TIMEOUT_S: Final = 20.0
"""Seconds for any answer but a stream, which may rightly be silent for minutes."""

_BOUNDED: Final = "an answer within bounds"
_NO_ANSWER: Final = f"no answer within {ANSWER_TIMEOUT_S:.0f} s"

MAX_ANSWER: Final = 16 << 20
"""Bytes of an answer that are taken: a list of ten thousand jobs fits."""

MAX_REFUSAL: Final = 64 << 10
"""Characters of an answer that an error message may be made from."""

PROBE_TIMEOUT_S: Final = 5.0
"""Seconds that a hive may take to show that it is there."""

CATALOG_TIMEOUT_S: Final = 5.0
"""Seconds that a listing of the catalog may take."""

DELETE_TIMEOUT_S: Final = 60.0
"""Seconds that a deletion may take: a disk takes some for a hundred gigabytes."""

_Answer = TypeVar("_Answer", bound=BaseModel)
_MODELS: Final = TypeAdapter(list[Model])


class _Http(NamedTuple):
    """Connections to one hive.

    Two pools: with the streams among them, each question would look through hundreds.
    """

    asks: httpx.AsyncClient
    streams: httpx.AsyncClient


_Clients = WeakKeyDictionary[asyncio.AbstractEventLoop, _Http]
"""A connection belongs to the loop that it was opened on."""


class Hive:
    """A job server at `url`.

    Parameters
    ----------
    url
        Its origin, such as `http://10.0.0.7:7835`.
    id
        The name it goes by in panels and magics; host and port where none is given.
    token
        The bearer token of an embedded hive; a real one takes none.

    Raises
    ------
    HiveUrlError
        `url` is no http(s) origin; a `ValueError` too.

    """

    def __init__(self, url: str, id: str | None = None, token: str | None = None) -> None:  # noqa: A002 (the wire's name)
        self._url: str | None = _origin(url)
        self.id = id or urlsplit(self._url).netloc
        self._token = token
        self._clients = _Clients()

    @classmethod
    def local(cls) -> Hive:
        """Give this user's own hive on this machine; it is started on first use."""
        return _LocalHive()

    def __repr__(self) -> str:
        return f"Hive({self._url!r}, id={self.id!r})"

    @property
    def is_local(self) -> bool:
        """Whether it is this user's own hive on this machine."""
        return False

    @property
    def url(self) -> str:
        """The hive's origin."""
        assert self._url is not None  # noqa: S101 (a local hive overrides this)
        return self._url

    def is_same_as(self, other: Hive) -> bool:
        """Whether both are handles on one hive, with one token."""
        if self.is_local or other.is_local:
            return self.is_local and other.is_local
        return (self.url, self._token) == (other.url, other._token)

    # -- Jobs -------------------------------------------------------------------------------------

    async def submit(self, operation: Operation) -> JobResponse:
        """Submit a job; nothing runs before its stream is read.

        Raises
        ------
        HiveUnreachableError, HiveRefusedError
            Nobody, or nobody that speaks the contract, answers.

        """
        await self._ready()
        content = operation.model_dump_json(exclude_none=True)
        response = await self._request(
            "POST", "/v1/jobs", content=content, headers={"Content-Type": "application/json"}
        )
        return self._parsed(response, JobResponse)

    async def stream(
        self, job_id: str, last_event_id: str = "0"
    ) -> AsyncGenerator[tuple[str, Event], None]:
        """Start or follow a job: gives each event with its id, to the marker or the stream's end.

        An embedded hive goes on after `last_event_id`; a real one knows no ids (they are empty).
        Read it to its end, or close it (`aclosing`).

        Raises
        ------
        HiveUnreachableError, HiveRefusedError
            There is no stream.
        StreamCutError
            It broke off; whether the job goes on is not known.

        """
        response = await self._open_stream(job_id, last_event_id)
        try:
            async with aclosing(events(response)) as told:
                async for event_id, event in told:
                    yield event_id, event
        except httpx_sse.SSEError as error:
            got = response.headers.get("content-type", "no content type")
            raise HiveRefusedError(self.url, "a text/event-stream", got) from error
        except EndlessError as error:
            raise HiveRefusedError(self.url, _BOUNDED, str(error)) from error
        except httpx.HTTPError as error:
            raise StreamCutError(self.url, _reason(error)) from error
        finally:
            await response.aclose()

    async def _open_stream(self, job_id: str, last_event_id: str) -> httpx.Response:
        request = self._http.streams.build_request(
            "GET",
            f"/v1/jobs/{quote(job_id, safe='')}/stream",
            headers={
                "Accept": "text/event-stream",
                "Cache-Control": "no-store",
                "Last-Event-ID": last_event_id,
            },
            timeout=httpx.Timeout(ANSWER_TIMEOUT_S, connect=CONNECT_TIMEOUT_S, read=None),
        )
        try:
            async with asyncio.timeout(ANSWER_TIMEOUT_S):
                response = await self._http.streams.send(request, stream=True)
                try:
                    await self._check(response)
                except BaseException:
                    await response.aclose()
                    raise
        except TimeoutError as error:
            raise HiveUnreachableError(self.url, _NO_ANSWER) from error
        except httpx.HTTPError as error:
            raise HiveUnreachableError(self.url, _reason(error)) from error
        return response

    async def cancel(self, job_id: str) -> bool:
        """Cancel a job; False where the hive knows none that could be cancelled."""
        path = f"/v1/jobs/{quote(job_id, safe='')}"
        response = await self._request("DELETE", path, allow=(404,))
        return response.status_code != 404

    async def jobs(self) -> list[JobSummary] | None:
        """List the jobs, newest first; None from a real hive, which tells no jobs."""
        response = await self._request("GET", "/v1/jobs", allow=(405,))
        return None if response.status_code == 405 else self._parsed(response, JobList).jobs

    async def answer(self) -> list[JobSummary] | None:
        """See that the hive answers, having started this user's own where none runs; as `jobs`."""
        await self._ready()
        try:
            async with asyncio.timeout(PROBE_TIMEOUT_S):
                return await self.jobs()
        except TimeoutError as error:
            silent = f"no answer within {PROBE_TIMEOUT_S:.0f} s"
            raise HiveUnreachableError(self.url, silent) from error

    async def is_embedded(self) -> bool:
        """Whether this is a hive of ours, with what it adds to a real one."""
        return await self.jobs() is not None

    async def has_ended(self) -> bool:
        """Whether this is the user's own hive, and does not run: nothing can be asked of it."""
        return False

    # -- The machine ------------------------------------------------------------------------------

    async def healthy(self) -> bool:
        """Whether a hive answers here that takes our jobs; never raises."""
        try:
            await self._ready()
            health = await self._request("GET", "/health")
            if not health.headers.get("content-type", "").startswith("text/plain"):
                return False  # a foreign service, or a hive's own web page
            await self.capabilities()
        except RbeeError:
            return False
        return health.text.strip() == "ok"

    async def capabilities(self) -> Capabilities:
        """Tell the hive's devices."""
        return self._parsed(await self._request("GET", "/v1/capabilities"), Capabilities)

    async def models(self) -> list[Model]:
        """List the catalog, by a job of its own.

        Raises
        ------
        HiveRefusedError
            The job failed, or told no models.
        TimeoutError
            It took too long.

        """
        told: object = "none"
        async with asyncio.timeout(CATALOG_TIMEOUT_S):
            async for event in self.run(ModelList(hive_id=self.id)):
                match event:
                    case Data("model_list", {"models": models}):
                        told = models
                    case Failed(error):
                        told = error
        try:
            models = _MODELS.validate_python(told)
        except ValidationError as error:
            raise HiveRefusedError(self.url, "a list of models", str(told)) from error
        # A path is used as it is or not at all; none of ours has a newline or an escape in it.
        return [model for model in models if model.path.isprintable()]

    async def workers(self) -> list[Worker]:
        """List the installed workers, by a job of its own.

        Raises
        ------
        HiveRefusedError
            The job failed, or told no workers.
        TimeoutError
            It took too long.

        """
        told = "none"
        async with asyncio.timeout(CATALOG_TIMEOUT_S):
            async for event in self.run(WorkerListInstalled(hive_id=self.id)):
                match event:
                    case Narration(action="worker_list_installed_json", human=text):
                        told = text
                    case Failed(error):
                        told = error
        try:
            workers = WorkerList.model_validate_json(told).workers
        except ValidationError as error:
            raise HiveRefusedError(self.url, "a list of workers", told[:MAX_REFUSAL]) from error
        return [worker for worker in workers if worker.path.isprintable()]

    async def discard(self, model: str) -> None:
        """Remove what an unfinished download of `model` left.

        Only an embedded hive keeps that for us; a real one is left alone.
        """
        await self._ready()
        if not await self.is_embedded():
            return
        operation = ModelDelete(hive_id=self.id, id=model, partial=True)
        async with asyncio.timeout(CATALOG_TIMEOUT_S):
            async for _ in self.run(operation):
                pass

    async def delete(self, model: Model) -> None:
        """Delete a model of the catalog, and list what is left: a hive's word alone is not enough.

        Raises
        ------
        NotDeletedError
            The hive says why it can't, or says that it did and still lists the model.
        TimeoutError
            It took too long.

        """
        await self._ready()
        # By a listed id a real hive deletes nothing, and says that it did.
        name = model.id if await self.is_embedded() else _kept_in(model)
        failed: Failed | None = None
        async with asyncio.timeout(DELETE_TIMEOUT_S):
            async for event in self.run(ModelDelete(hive_id=self.id, id=name)):
                if isinstance(event, Failed):
                    failed = event
        if failed is not None:
            raise NotDeletedError(model.id, failed.error or "the hive gave no reason")
        if any(one.id == model.id for one in await self.models()):
            raise NotDeletedError(model.id, f"{self.id} still lists it")

    async def run(self, operation: Operation) -> AsyncGenerator[Event, None]:
        """Submit a job and give its events, to be read to their end."""
        job = await self.submit(operation)
        async with aclosing(self.stream(job.job_id)) as told:
            async for _, event in told:
                yield event

    async def aclose(self) -> None:
        """Close the connections of the running loop; the handle can be used again."""
        http = self._clients.pop(asyncio.get_running_loop(), None)
        if http is not None:
            await http.asks.aclose()
            await http.streams.aclose()

    # -- HTTP -------------------------------------------------------------------------------------

    async def _ready(self) -> None:
        """Make sure that there is a hive to speak to."""

    @property
    def _http(self) -> _Http:
        loop = asyncio.get_running_loop()
        if loop not in self._clients:
            url = self.url  # a local hive has a token once it has an address
            headers = {"Accept-Encoding": "identity"}
            if self._token:
                headers["Authorization"] = f"Bearer {self._token}"

            def client(limits: httpx.Limits) -> httpx.AsyncClient:
                return httpx.AsyncClient(
                    base_url=url,
                    headers=headers,
                    timeout=httpx.Timeout(ANSWER_TIMEOUT_S, connect=CONNECT_TIMEOUT_S, pool=None),
                    limits=limits,
                    trust_env=False,
                    follow_redirects=False,
                )

            self._clients[loop] = _Http(
                client(httpx.Limits(max_connections=CONNECTIONS)),
                client(httpx.Limits(max_connections=None, max_keepalive_connections=0)),
            )
        return self._clients[loop]

    async def _request(
        self,
        method: str,
        path: str,
        *,
        content: str | None = None,
        headers: dict[str, str] | None = None,
        allow: tuple[int, ...] = (),
    ) -> httpx.Response:
        try:
            async with (
                asyncio.timeout(ANSWER_TIMEOUT_S),
                self._http.asks.stream(method, path, content=content, headers=headers) as response,
            ):
                if response.status_code not in allow:
                    await self._check(response)
                    response.stream = Bounded(response.stream, most=MAX_ANSWER)
                    await response.aread()
                return response
        except TimeoutError as error:
            raise HiveUnreachableError(self.url, _NO_ANSWER) from error
        except EndlessError as error:
            raise HiveRefusedError(self.url, _BOUNDED, str(error)) from error
        except httpx.HTTPError as error:
            raise HiveUnreachableError(self.url, _reason(error)) from error

    async def _check(self, response: httpx.Response) -> None:
        response.encoding = "utf-8"  # whatever its head says
        coding = response.headers.get("content-encoding", "identity").lower()
        if coding != "identity":  # a few bytes could become any number
            raise HiveRefusedError(self.url, "an answer that is not compressed", coding)
        if response.status_code == 200:
            return
        hint, is_guarded = "", response.status_code == 401
        if is_guarded:
            hint = "this hive wants a token: Hive(url, token=…), or RBEE_HIVE_TOKEN"
        text = ""
        async for chunk in response.aiter_text():
            text += chunk
            if len(text) > MAX_REFUSAL:
                break
        got = f"{response.status_code} {text.strip()}".strip()
        raise HiveRefusedError(self.url, "an answer of 200", got, hint, wants_token=is_guarded)

    def _parsed(self, response: httpx.Response, shape: type[_Answer]) -> _Answer:
        try:
            return shape.model_validate_json(response.content)
        except ValidationError as error:
            raise HiveRefusedError(
                self.url, f"a {shape.__name__}", repr(response.text[:80]), "is this a hive?"
            ) from error


class _LocalHive(Hive):
    """The embedded hive: its address is known once it runs, and asked for again at each job."""

    def __init__(self) -> None:
        self._url = None
        self.id = "local"
        self._token = None
        self._clients = _Clients()

    @property
    def url(self) -> str:
        return self._url or self._move(_launched()).url

    @property
    def is_local(self) -> bool:
        return True

    def __repr__(self) -> str:
        return "Hive.local()"

    async def _ready(self) -> None:
        await self._found(await asyncio.to_thread(_launched))

    async def _found(self, address: launch.Address) -> None:
        if address.url != self._url:
            self._move(address)
            await self.aclose()  # whatever it was connected to is gone

    async def has_ended(self) -> bool:
        address = await asyncio.to_thread(launch.running)
        if address is not None:
            await self._found(address)
        return address is None

    def _move(self, address: launch.Address) -> launch.Address:
        self._url, self._token = address.url, address.token
        return address


def _launched() -> launch.Address:
    try:
        return launch.ensure()
    except launch.LaunchError as error:
        raise LocalHiveError(str(error)) from error


def _kept_in(model: Model) -> str:
    """Give the folder of a model of a real hive, which deletes whatever it is told to.

    Raises
    ------
    NotDeletedError
        The path that the hive tells is in another one: by its name, something else might go.

    """
    folder = folder_of(model.id)
    if re.split(r"[/\\]", model.path)[-2:-1] != [folder] or folder in ("", ".", ".."):
        raise NotDeletedError(
            model.id, f"its hive keeps it in another folder than {folder!r}: {model.path}"
        )
    return folder


def _origin(url: str) -> str:
    try:
        parts = urlsplit(url)
        more = "@" in parts.netloc or parts.path.strip("/") or parts.query or parts.fragment
        usable = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
        httpx.URL(url)
    except (ValueError, httpx.InvalidURL) as error:  # a port that is none, a bracket too few
        raise HiveUrlError(url) from error
    if more or not usable:
        raise HiveUrlError(url)
    return f"{parts.scheme}://{parts.netloc}"


def _reason(error: httpx.HTTPError) -> str:
    return str(error) or type(error).__name__
