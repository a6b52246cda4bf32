"""Ids and names that would lead elsewhere: of models, of a repository's files, of jobs."""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from rbee_widgets import Hive, Tracker
from rbee_widgets.contract import ModelDelete, ModelDownload, ModelGet, Operation
from rbee_widgets.errors import HiveRefusedError
from rbee_widgets.links import MAX_NAME, read_target
from rbee_widgets.narration import Failed
from rbee_widgets.state import Status
from tests.faults.cases import fault
from tests.faults.conftest import Seen
from tests.support.downloads import ended, sha256
from tests.support.hive import HiveProcess
from tests.support.hostile import MODEL, TOKEN, HostileHive, answer, followed, job, stream
from tests.support.hub import Hub

pytestmark = pytest.mark.anyio


# -- Models ---------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Hub, HiveProcess]]:
    """Give a hive whose models folder lies beside another one, and its hub."""
    root = tmp_path_factory.mktemp("place")
    beside = root / "beside"
    beside.mkdir()
    (beside / "metadata.json").write_text("{}")
    with Hub() as hub, HiveProcess(root / "models", hub.url, environ={"HOME": str(root)}) as hive:
        yield hub, hive


def files(root: Path) -> list[str]:
    """List all that lies below a folder, but for locks."""
    return sorted(str(path) for path in root.rglob("*") if ".locks" not in path.parts)


@fault(15, "a model id that would leave the models folder", "refused before any network or disk")
@pytest.mark.parametrize(
    "name",
    [
        pytest.param("..", id="dots"),
        pytest.param(".", id="a dot"),
        pytest.param("", id="nothing"),
        pytest.param("../beside", id="a folder beside"),
        pytest.param("../../etc/passwd", id="up and down"),
        pytest.param("/etc/passwd", id="absolute"),
        pytest.param("a/../../beside", id="dots within"),
        pytest.param("org/repo:../../../beside/f.gguf", id="dots in a file's name"),
        pytest.param("org/repo:/etc/passwd", id="an absolute file"),
        pytest.param("C:\\Windows\\x", id="a drive"),
        pytest.param("..\\..\\beside", id="backslashes"),
        pytest.param("org/repo:a\0b.gguf", id="NUL"),
        pytest.param("org/repo:" + "x" * 300, id="300 bytes"),
        pytest.param("file:///etc/passwd", id="a file URL"),
        pytest.param("CON", id="a device of Windows"),
    ],
)
async def test_no_id_leaves_the_models_folder(
    place: tuple[Hub, HiveProcess], name: str, seen: Seen
) -> None:
    hub, process = place
    before = files(process.models.parent)
    asked = len(hub.requests)
    hive = process.handle()
    operations: list[Operation] = [
        ModelDownload(hive_id="h", model=name),
        ModelGet(hive_id="h", id=name),
        ModelDelete(hive_id="h", id=name),
        ModelDelete(hive_id="h", id=name, partial=True),
    ]
    for operation in operations:
        said = [event async for event in hive.run(operation)]
        # To remove what is not there is no failure.
        assert isinstance(said[-1], Failed) or getattr(operation, "partial", False)
        assert files(process.models.parent) == before
    await hive.aclose()
    assert len(hub.requests) == asked
    seen("neither fetched, told nor deleted; no file came or went")


@fault(15, "a repository that lists a file outside of itself", "not offered, not fetched")
@pytest.mark.parametrize(
    "name", ["../../evil.gguf", "/evil.gguf", "a/../../evil.gguf", "a\\..\\evil.gguf", "a\rb.gguf"]
)
async def test_a_listing_leads_nowhere(
    place: tuple[Hub, HiveProcess], name: str, seen: Seen
) -> None:
    hub, process = place
    hub._repos.pop("org/listed", None)
    hub.add("org/listed", name, size=1000)
    tracker = Tracker([process.handle()])
    before = files(process.models.parent)
    download = await ended(tracker.download("org/listed"))
    await tracker.aclose()
    assert download.status is Status.FAILED
    assert files(process.models.parent) == before
    assert not any("resolve" in request.path for request in hub.requests)
    seen(f"{download.error}"[:60])


@fault(15, "a name that no user could have meant", "refused where it is typed")
@pytest.mark.parametrize(
    "name",
    [
        pytest.param("org/repo:a\0.gguf", id="NUL"),
        pytest.param("org/repo\r\nX-Evil: 1", id="a line break"),
        pytest.param("org/repo:\x1b[2J", id="an escape"),
        pytest.param("x" * (MAX_NAME + 1), id="too long"),
        pytest.param("rbee://model/org%2Frepo%0D%0AX", id="a line break in a link"),
        pytest.param("rbee://[", id="a link with half a bracket"),
        pytest.param("org/repo:a\ud800.gguf", id="half a surrogate"),
    ],
)
async def test_what_is_no_name_is_refused_where_it_is_typed(name: str, seen: Seen) -> None:
    with pytest.raises(ValueError, match="expected a") as raised:
        read_target(name)
    assert str(raised.value).isprintable()
    assert len(str(raised.value)) < 300
    seen(str(raised.value)[:60])


# -- Characters -----------------------------------------------------------------------------------


@fault(17, "names of any script", "the folder has the very bytes of the name")
@pytest.mark.parametrize(
    "file",
    [
        pytest.param(unicodedata.normalize("NFC", "modèle.gguf"), id="composed"),
        pytest.param(unicodedata.normalize("NFD", "modèle.gguf"), id="decomposed"),
        pytest.param("模型-🐝.gguf", id="emoji"),
        pytest.param("a b%20c+d&e.gguf", id="what a URL would change"),
        pytest.param("-rf $(id) `id`;'\".gguf", id="what a shell would run"),
    ],
)
async def test_a_name_is_kept_byte_for_byte(
    place: tuple[Hub, HiveProcess], file: str, seen: Seen
) -> None:
    hub, process = place
    content = hub.add("org/script", file, size=1000, seed=len(file))
    tracker = Tracker([process.handle()])
    download = await tracker.download(f"org/script:{file}")
    await tracker.aclose()
    folder = process.models / f"org-script-{file}"
    assert folder.name.encode() in {path.name.encode() for path in process.models.iterdir()}
    assert download.path == str(folder / "model.gguf")
    assert sha256(download.path) == content.sha256
    seen(f"{len(folder.name.encode())} bytes of name, kept")


@fault(17, "names that differ in case alone", "two models")
async def test_case_tells_two_models_apart(place: tuple[Hub, HiveProcess], seen: Seen) -> None:
    hub, process = place
    for seed, file in enumerate(("case.gguf", "CASE.gguf")):
        hub.add("org/cases", file, size=1000, seed=seed)
    tracker = Tracker([process.handle()])
    paths = [
        (await tracker.download(f"org/cases:{file}")).path for file in ("case.gguf", "CASE.gguf")
    ]
    await tracker.aclose()
    assert [sha256(path) for path in paths] == [
        hub.sha256("org/cases", file) for file in ("case.gguf", "CASE.gguf")
    ]
    seen("both fetched, each its own bytes")


@fault(17, "a name that turns the direction of reading", "refused, and shown escaped")
@pytest.mark.parametrize("char", ["\u202e", "\u2066", "\u200f"])
async def test_a_turned_name_is_refused(char: str, seen: Seen) -> None:
    with pytest.raises(ValueError, match="expected a model") as raised:
        read_target(f"org/repo:{char}gnp.gguf")
    assert f"\\u{ord(char):04x}" in str(raised.value)
    seen(str(raised.value)[-40:])


# -- Jobs -----------------------------------------------------------------------------------------

_NO_JOB: Final = [
    pytest.param("a/b", id="a slash"),
    pytest.param("..", id="dots"),
    pytest.param(".", id="a dot"),
    pytest.param("", id="nothing"),
    pytest.param("../../v1/shutdown", id="another path"),
    pytest.param("a?b=c", id="a query"),
    pytest.param("a#b", id="a fragment"),
    pytest.param("a%2fb", id="a coded slash"),
    pytest.param("a\r\nX-Evil: 1", id="a line break"),
    pytest.param("x" * 10_000, id="10 kB"),
    pytest.param("x" * 1_000_000, id="1 MB"),
    pytest.param("jöb", id="no ASCII"),
    pytest.param(7, id="a number"),
    pytest.param(None, id="null"),
    pytest.param(["job-1"], id="a list"),
]


@fault(31, "a job id that is no part of a path", "refused, nothing more is asked")
@pytest.mark.parametrize("job_id", _NO_JOB)
async def test_no_job_id_leads_elsewhere(job_id: object, seen: Seen) -> None:
    async with HostileHive(submitted=job(job_id)) as hostile:
        hive = Hive(hostile.url, "hostile", TOKEN)
        with pytest.raises(HiveRefusedError) as raised:
            await hive.submit(ModelDownload(hive_id="h", model=MODEL))
        await hive.aclose()
    assert hostile.targets == ["POST /v1/jobs"]
    assert len(str(raised.value)) < 400
    assert str(raised.value).isprintable()
    seen(str(raised.value).partition(": ")[2][:60])


@fault(31, "jobs of other ids in a list of jobs", "the list is refused")
async def test_no_listed_job_leads_elsewhere(seen: Seen) -> None:
    listed = {
        "job_id": "../../v1/shutdown",
        "operation": "model_download",
        "model": MODEL,
        "state": "running",
        "bytes_downloaded": 0,
        "total_size": None,
        "percentage": None,
        "error": None,
        "created_at": 0.0,
    }
    body = json.dumps({"jobs": [listed]}).encode()
    async with HostileHive(otherwise={"GET /v1/jobs": answer(body)}) as hostile:
        hive = Hive(hostile.url)
        with pytest.raises(HiveRefusedError):
            await hive.jobs()
        await hive.aclose()
    seen("refused")


@fault(31, "the ids of events", "a number goes back to the hive, anything else is none")
@pytest.mark.parametrize(
    "event_id", ["ü", "x" * 100_000, "1\x01", "9" * 100], ids=["no ASCII", "long", "control", "big"]
)
async def test_no_event_id_goes_back_but_a_number(event_id: str, seen: Seen) -> None:
    body = f"id: {event_id}\ndata: hello\n\n".encode()
    async with HostileHive(streamed=stream(body)) as hive:
        download = await followed(hive)
    assert download.status is Status.INTERRUPTED
    sent = [asked.headers["last-event-id"] for asked in hive.asked if "stream" in asked.target]
    assert set(sent) == {"0"}
    seen(f"{download.status}; {len(sent)} streams asked for, each with id 0")
