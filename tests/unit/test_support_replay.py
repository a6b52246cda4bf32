"""The replaying hive says what the transcripts hold, however the bytes are cut."""

from __future__ import annotations

import time
from itertools import repeat
from typing import TYPE_CHECKING, Any

import anyio
import httpx
import pytest

from tests.support.replay import ReplayHive, Transcript, names, transcript

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

pytestmark = pytest.mark.anyio

RECORDED = [name for name in names() if transcript(name).post]
SMALL = transcript("download_small")
CANCELLED = transcript("download_cancel_12s")


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
async def client() -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(trust_env=False) as client:
        yield client


async def submit(client: httpx.AsyncClient, hive: ReplayHive, recorded: Transcript) -> str:
    """POST the recorded operation; give the URL of its stream."""
    answer = await client.post(f"{hive.url}/v1/jobs", json=recorded.post)
    url: str = hive.url + answer.json()["sse_url"]
    return url


async def read(client: httpx.AsyncClient, url: str) -> tuple[list[bytes], bool]:
    """Give the body of a stream, in the pieces in which it came, and whether it ended in order."""
    pieces: list[bytes] = []
    async with client.stream("GET", url) as answer:
        assert answer.headers["content-type"] == "text/event-stream"
        try:
            async for piece in answer.aiter_raw():
                pieces.append(piece)  # noqa: PERF401 - what came before a cut counts
        except httpx.RemoteProtocolError:
            return pieces, False
    return pieces, True


@pytest.mark.parametrize("name", RECORDED)
async def test_a_replay_is_the_recording(client: httpx.AsyncClient, name: str) -> None:
    recorded = transcript(name)
    async with ReplayHive(recorded) as hive:
        url = await submit(client, hive, recorded)
        assert recorded.answer is not None
        assert url == hive.url + recorded.answer["sse_url"]
        pieces, in_order = await read(client, url)
    assert b"".join(pieces) == recorded.body
    assert in_order == recorded.is_complete


@pytest.mark.parametrize("sizes", [[1], [5, 1, 900], repeat(7), repeat(1)])
async def test_a_body_cut_anew_is_the_same_body(client: httpx.AsyncClient, sizes: Any) -> None:
    async with ReplayHive(SMALL, chunks=sizes) as hive:
        pieces, in_order = await read(client, await submit(client, hive, SMALL))
    assert b"".join(pieces) == SMALL.body
    assert in_order


async def test_pieces_arrive_in_the_sizes_that_were_asked_for(client: httpx.AsyncClient) -> None:
    async with ReplayHive(SMALL, chunks=[5, 1, 900]) as hive:
        pieces, _ = await read(client, await submit(client, hive, SMALL))
    assert [len(piece) for piece in pieces] == [5, 1, 900, len(SMALL.body) - 906]


@pytest.mark.parametrize("cut_at", [0, 1, 700, len(SMALL.body) - 1, len(SMALL.body)])
@pytest.mark.parametrize("chunks", [None, repeat(3)])
async def test_a_cut_comes_after_so_many_bytes(
    client: httpx.AsyncClient, cut_at: int, chunks: Any
) -> None:
    async with ReplayHive(SMALL, cut_at=cut_at, chunks=chunks) as hive:
        pieces, in_order = await read(client, await submit(client, hive, SMALL))
        assert b"".join(pieces) == SMALL.body[:cut_at]
        assert not in_order
        again, in_order = await read(client, await submit(client, hive, SMALL))
        assert len(b"".join(again)) == len(SMALL.body)
        assert in_order


async def test_a_second_get_tells_that_the_channel_is_gone(client: httpx.AsyncClient) -> None:
    async with ReplayHive(SMALL) as hive:
        url = await submit(client, hive, SMALL)
        await read(client, url)
        for spent in (url, f"{hive.url}/v1/jobs/job-unknown/stream"):
            pieces, _ = await read(client, spent)
            assert b"".join(pieces) == transcript("second_get").body


async def test_a_head_spends_the_stream(client: httpx.AsyncClient) -> None:
    async with ReplayHive(SMALL) as hive:
        url = await submit(client, hive, SMALL)
        await client.head(url)
        pieces, _ = await read(client, url)
    assert b"".join(pieces) == transcript("second_get").body


@pytest.mark.parametrize("catalog", [None, "model_list_three"])
async def test_a_model_list_gives_the_catalog(
    client: httpx.AsyncClient, catalog: str | None
) -> None:
    listed = transcript(catalog or "model_list_empty")
    async with ReplayHive(SMALL, catalog=transcript(catalog) if catalog else None) as hive:
        bodies = [
            b"".join((await read(client, await submit(client, hive, listed)))[0]) for _ in range(2)
        ]
    assert bodies[0] == listed.body
    assert bodies[1] != bodies[0]  # an id of its own
    assert len(bodies[1]) == len(bodies[0])


async def test_an_operation_that_was_not_recorded_is_an_error(client: httpx.AsyncClient) -> None:
    other = transcript("worker_install")
    async with ReplayHive(SMALL) as hive:
        pieces, _ = await read(client, await submit(client, hive, other))
    assert pieces == [b"data: [ERROR] the transcript holds no operation 'worker_install'\n\n"]


@pytest.mark.parametrize("name", ["download_cancel_12s", "cancel_bare", "cancel_one_line"])
async def test_a_held_cancel_waits_for_the_delete(client: httpx.AsyncClient, name: str) -> None:
    recorded = transcript(name)
    received = b""
    async with ReplayHive(recorded, hold="delete") as hive:
        url = await submit(client, hive, recorded)
        async with client.stream("GET", url) as answer:
            with anyio.move_on_after(0.1) as waiting:
                body = answer.aiter_raw()
                async for piece in body:
                    received += piece
                    if received == recorded.body[: recorded.cancelled_at]:
                        break
            assert not waiting.cancelled_caught
            rest = anext(body)
            cancelled = await client.delete(url.removesuffix("/stream"))
            assert cancelled.json()["status"] == "cancelled"
            received += await rest
            async for piece in body:
                received += piece
        late = await client.delete(url.removesuffix("/stream"))
    assert received == recorded.body
    assert b"[CANCELLED]" not in recorded.body[: recorded.cancelled_at]
    assert late.status_code == 404
    assert late.text.endswith("not found or cannot be cancelled")


async def test_the_recorded_pace_is_kept(client: httpx.AsyncClient) -> None:
    async with ReplayHive(SMALL, speed=0.5) as hive:
        began = time.monotonic()
        await read(client, await submit(client, hive, SMALL))
    assert time.monotonic() - began == pytest.approx(0.25, abs=0.1)


async def test_a_job_goes_on_without_its_reader(client: httpx.AsyncClient) -> None:
    async with ReplayHive(SMALL, speed=1) as hive:
        url = await submit(client, hive, SMALL)
        async with client.stream("GET", url) as answer:
            await anext(answer.aiter_raw())
        assert (await client.delete(url.removesuffix("/stream"))).status_code == 200
        await anyio.sleep(0.6)
        assert (await client.delete(url.removesuffix("/stream"))).status_code == 404


async def test_the_plain_routes_answer_as_a_hive_does(client: httpx.AsyncClient) -> None:
    async with ReplayHive(SMALL) as hive:
        health = await client.get(f"{hive.url}/health")
        jobs = await client.get(f"{hive.url}/v1/jobs")
        devices = (await client.get(f"{hive.url}/v1/capabilities")).json()["devices"]
        elsewhere = await client.get(f"{hive.url}/nowhere")
        nonsense = await client.post(f"{hive.url}/v1/jobs", content=b"{}")
        paths = [(request.method, request.path, request.json) for request in hive.requests]
    assert (health.text, health.headers["content-type"]) == ("ok", "text/plain; charset=utf-8")
    assert (jobs.status_code, jobs.content) == (405, b"")
    assert devices[-1]["device_type"] == "cpu"
    assert (elsewhere.status_code, elsewhere.headers["content-type"]) == (200, "text/html")
    assert nonsense.status_code == 415
    assert paths[0] == ("GET", "/health", None)
    assert paths[-1] == ("POST", "/v1/jobs", {})


def test_a_transcript_counts_its_events() -> None:
    assert SMALL.events == 12
    assert all(transcript(name).body.endswith(b"\n\n") for name in names())
