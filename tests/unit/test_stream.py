"""The body of a stream, from bytes to events, however it is cut."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Iterable
from itertools import pairwise

import httpx
import httpx_sse
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from rbee_widgets.contract import frame
from rbee_widgets.narration import Cancelled, Done, Event, Failed, Narration
from rbee_widgets.stream import Bounded, EndlessError, events

Told = list[tuple[str, Event]]


class Body(httpx.AsyncByteStream):
    """A body in given pieces."""

    def __init__(self, pieces: Iterable[bytes]) -> None:
        self._pieces = pieces

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for piece in self._pieces:
            yield piece


def told(pieces: Iterable[bytes], kind: str = "text/event-stream") -> Told:
    """Read a body in a loop of its own."""

    async def read() -> Told:
        response = httpx.Response(200, headers={"Content-Type": kind}, stream=Body(pieces))
        return [one async for one in events(response)]

    return asyncio.run(read())


def cut(body: bytes, places: Iterable[int]) -> list[bytes]:
    """Cut a body at offsets, those beyond its end aside."""
    ends = sorted({0, len(body), *(place for place in places if place < len(body))})
    return [body[begin:end] for begin, end in pairwise(ends)]


texts = st.one_of(
    st.sampled_from(
        [
            "",
            " ",
            "[DONE]",
            "[CANCELLED]",
            "[ERROR] no",
            "a\nb",
            "\ufeff",
            "€ 🐝",
            frame("f", "a", "one\ntwo"),
            '{"action": "model_list", "payload": []}',
        ]
    ),
    st.text(max_size=20),
)
fields = st.sampled_from(["data", "event", "id", "retry", "", "datas", "\ufeffdata"])
lines = st.one_of(
    st.builds("{}:{}{}".format, fields, st.sampled_from(["", " "]), texts),
    st.just(""),
    texts,
)
bodies = st.one_of(
    st.binary(max_size=200),
    st.builds(
        lambda mark, said, newline: mark + newline.join(said).encode() + newline.encode() * 2,
        st.sampled_from([b"", b"\xef\xbb\xbf"]),
        st.lists(lines, max_size=12),
        st.sampled_from(["\n", "\r\n", "\r"]),
    ),
)


@settings(deadline=None)  # a busy machine is no failure
@given(body=bodies, places=st.lists(st.integers(1, 400), max_size=10))
@example(body=b"data: a\r\n\r\ndata: b\r\r", places=[8, 9, 10, 18])
@example(body=b"\xef\xbb\xbfdata: a\n\n", places=[1, 2])
@example(body="data: €\n\n".encode(), places=[7, 8])
def test_the_cut_changes_nothing(body: bytes, places: list[int]) -> None:
    whole = told([body])
    assert told(cut(body, places)) == whole
    assert told(cut(body, range(len(body)))) == whole


@settings(deadline=None)
@given(body=bodies)
def test_what_is_told_ends_with_the_first_marker_and_can_be_shown(body: bytes) -> None:
    said = told([body])
    ends = [isinstance(event, Done | Failed | Cancelled) for _, event in said]
    assert not any(ends[:-1])
    for event_id, event in said:
        assert event_id == "" or (event_id.isascii() and event_id.isdecimal())
        if isinstance(event, Narration):
            event.human.encode()


def test_half_an_event_is_none() -> None:
    assert told([b"data: a\n\ndata: [DONE]\n"]) == [("", Narration("a"))]


@pytest.mark.parametrize(
    "charset", ["zlib", "bz2", "hex", "idna", "undefined", "utf-16", "punycode", "nonsense"]
)
def test_a_stream_is_utf_8_whatever_its_head_says(charset: str) -> None:
    said = told(["data: €\n\n".encode()], f"text/event-stream; charset={charset}")
    assert said == [("", Narration("€"))]


@pytest.mark.parametrize("kind", ["", "text/html", "application/json", "text/plain"])
def test_what_is_no_stream_of_events_is_refused(kind: str) -> None:
    with pytest.raises(httpx_sse.SSEError):
        told([b"data: a\n\n"], kind)


@pytest.mark.parametrize("event_id", ["7", "ü", "a b", "1" * 19, "-1", "\x01", "١"])
def test_an_id_is_a_number_or_none(event_id: str) -> None:
    expected = "7" if event_id == "7" else ""
    assert told([f"id: {event_id}\ndata: a\n\n".encode()]) == [(expected, Narration("a"))]


@settings(deadline=None)
@example(pieces=[b"\n", b"\r\n", b"\r\n"], line=1, event=1)
@given(
    pieces=st.lists(st.sampled_from([b"x", b"xx\n", b"\n", b"\r", b"\r\n", b"\n\n", b"x" * 9])),
    line=st.integers(1, 12),
    event=st.integers(1, 20),
)
def test_no_line_and_no_event_goes_on_beyond_its_bound(
    pieces: list[bytes], line: int, event: int
) -> None:
    """The bounds hold at the end of each piece, which a transport bounds itself."""

    async def read() -> None:
        body = Bounded(Body(pieces), most_of_a_line=line, most_of_an_event=event)
        async for _ in body:
            pass

    whole, beyond = b"", False
    for piece in pieces:
        whole += piece
        last_event = re.split(rb"(?<=\n)\r?\n", whole)[-1]
        last_line = whole.rpartition(b"\n")[2]
        beyond |= len(last_line) > line or len(last_event) > event
    if not beyond:
        asyncio.run(read())
        return
    with pytest.raises(EndlessError):
        asyncio.run(read())
