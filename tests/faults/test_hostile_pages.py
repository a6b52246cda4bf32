"""Web pages, and other users of the machine, that would drive the local hive."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import stat
import subprocess
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import platformdirs
import psutil
import pytest
from ipywidgets import embed

from rbee_widgets import DownloadPanel, Hive, Tracker
from rbee_widgets.hive import launch
from rbee_widgets.hive.settings import Settings
from tests.faults.cases import fault
from tests.faults.conftest import Seen
from tests.support.hive import TOKEN, HiveProcess
from tests.support.hostile import HostileHive
from tests.support.hub import Hub

JOB: Final = json.dumps({"operation": "model_list", "hive_id": "h"})


# -- Requests -------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HiveProcess]:
    """Give a hive that asks for its token."""
    root = tmp_path_factory.mktemp("guarded")
    with HiveProcess(root / "models", "http://127.0.0.1:9", environ={"HOME": str(root)}) as hive:
        yield hive


@pytest.fixture(scope="module")
def unguarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HiveProcess]:
    """Give a hive without a token, as rbee's own clients need it."""
    root = tmp_path_factory.mktemp("unguarded")
    environ = {"HOME": str(root)}
    with HiveProcess(root / "models", "http://127.0.0.1:9", token=None, environ=environ) as hive:
        yield hive


@dataclass(frozen=True, slots=True)
class Said:
    """What came back."""

    status: int
    headers: str
    body: str


def ask(
    hive: HiveProcess,
    *more: str,
    request: str = "GET /v1/jobs",
    host: str = "{here}",
    body: str = "",
) -> Said:
    """Send a request as no HTTP library would; `{here}` is the hive's host and port."""
    here = hive.url.removeprefix("http://")
    lines = [f"{request} HTTP/1.1", f"Host: {host}", "Connection: close", *more]
    if hive.token is not None and not any(line.startswith("Authorization") for line in more):
        lines.append(f"Authorization: Bearer {hive.token}")
    if body:
        lines.append(f"Content-Length: {len(body)}")
    head = "\r\n".join(lines).replace("{here}", here).replace("{port}", here.partition(":")[2])
    name, _, port = here.partition(":")
    with socket.create_connection((name, int(port)), timeout=10) as connection:
        connection.sendall(f"{head}\r\n\r\n{body}".encode("latin-1"))
        answer = b"".join(iter(lambda: connection.recv(65536), b"")).decode("latin-1")
    head, _, told = answer.partition("\r\n\r\n")
    return Said(int(head.split(" ")[1]), head.lower(), told)


@fault(
    33, "a name that was pointed at loopback (DNS rebinding)", "refused by its Host, token or not"
)
@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "evil.example:{port}",
        "localhost.evil.example:{port}",
        "127.0.0.1",
        "127.0.0.1:1",
        "127.0.0.1:{port}.evil.example",
        "127.1:{port}",
        "0.0.0.0:{port}",
        "[::1]:{port}",
        "user@{here}",
        pytest.param("", id="nothing"),
        pytest.param("{here}\r\nHost: evil.example", id="two of them"),
    ],
)
def test_a_host_of_another_name_is_refused(
    host: str, guarded: HiveProcess, unguarded: HiveProcess, seen: Seen
) -> None:
    told = [ask(hive, host=host) for hive in (guarded, unguarded)]
    assert all(said.status in (400, 403) for said in told)
    assert all("jobs" not in said.body for said in told)
    seen(f"{told[0].status} {told[0].body}")


@fault(33, "the hive's own names", "answered")
@pytest.mark.parametrize("host", ["127.0.0.1:{port}", "localhost:{port}"])
def test_its_own_names_are_answered(host: str, guarded: HiveProcess, seen: Seen) -> None:
    assert ask(guarded, host=host).status == 200
    assert ask(guarded, f"Origin: http://{host}", host=host).status == 200
    seen("200")


@fault(33, "a request of a foreign page", "refused by its Origin, token or not")
@pytest.mark.parametrize(
    "origin",
    [
        "null",
        "https://evil.example",
        "http://evil.example:{port}",
        "http://localhost.evil.example:{port}",
        "http://127.0.0.1.evil.example",
        "http://127.0.0.1",
        "http://127.0.0.1:1",
        "http://localhost:8888",
        "https://{here}",
        "HTTP://{here}/",
        "file://",
        pytest.param("", id="nothing"),
        pytest.param("http://{here}\r\nOrigin: https://evil.example", id="two of them"),
    ],
)
def test_a_foreign_origin_is_refused(
    origin: str, guarded: HiveProcess, unguarded: HiveProcess, seen: Seen
) -> None:
    for hive in (guarded, unguarded):
        for request in ("GET /v1/jobs", "POST /v1/jobs", "OPTIONS /v1/jobs", "GET /health"):
            said = ask(hive, f"Origin: {origin}", request=request)
            assert said.status == 403
            assert "access-control" not in said.headers
    seen(f"{said.status} {said.body}")


@fault(33, "what a browser says of where a request comes from", "another site's is refused")
@pytest.mark.parametrize(
    ("site", "status"),
    [("cross-site", 403), ("same-site", 403), ("?", 403), ("none", 200), ("same-origin", 200)],
)
def test_the_browser_is_believed(
    site: str, status: int, unguarded: HiveProcess, seen: Seen
) -> None:
    assert ask(unguarded, f"Sec-Fetch-Site: {site}").status == status
    seen(f"{status}")


@fault(33, "a form that a page posts without a preflight", "refused, no job is taken")
@pytest.mark.parametrize(
    "kind",
    ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"],
)
def test_a_form_submits_no_job(kind: str, unguarded: HiveProcess, seen: Seen) -> None:
    before = ask(unguarded).body
    content = f"Content-Type: {kind}"
    page = ask(unguarded, content, "Origin: null", request="POST /v1/jobs", body=JOB)
    # Even where a browser said nothing of the page.
    silent = ask(unguarded, content, request="POST /v1/jobs", body=JOB)
    assert (page.status, silent.status) == (403, 415)
    assert ask(unguarded).body == before
    seen("403 as a page's, 415 by its type")


@fault(33, "an image or a link of a page that would start a job", "refused, the job waits")
@pytest.mark.parametrize("method", ["GET", "HEAD", "DELETE"])
def test_a_page_starts_and_ends_no_job(method: str, unguarded: HiveProcess, seen: Seen) -> None:
    content = "Content-Type: application/json"
    job_id = json.loads(ask(unguarded, content, request="POST /v1/jobs", body=JOB).body)["job_id"]
    end = "" if method == "DELETE" else "/stream"
    target = f"{method} /v1/jobs/{job_id}{end}"
    assert ask(unguarded, "Sec-Fetch-Site: cross-site", request=target).status == 403
    jobs = json.loads(ask(unguarded).body)["jobs"]
    assert [job["state"] for job in jobs if job["job_id"] == job_id] == ["queued"]
    seen("403, the job is still queued")


@fault(33, "a look for an answer that a page could read", "no answer has a header of CORS")
def test_no_answer_can_be_read_by_a_page(
    guarded: HiveProcess, unguarded: HiveProcess, seen: Seen
) -> None:
    told = [
        ask(hive, f"Origin: {origin}", request=f"{method} {path}")
        for hive in (guarded, unguarded)
        for origin in ("http://{here}", "https://evil.example", "null")
        for method in ("GET", "POST", "OPTIONS", "DELETE")
        for path in ("/health", "/v1/jobs", "/v1/capabilities", "/v1/jobs/x/stream", "/nowhere")
    ]
    assert not any("access-control-" in said.headers for said in told)
    seen(f"{len(told)} answers, none")


@fault(33, "a WebSocket", "not opened")
@pytest.mark.parametrize("origin", ["https://evil.example", "http://{here}"])
def test_no_socket_is_opened(origin: str, guarded: HiveProcess, seen: Seen) -> None:
    upgrade = (
        "Connection: Upgrade",
        "Upgrade: websocket",
        "Sec-WebSocket-Version: 13",
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
    )
    said = ask(guarded, *upgrade, f"Origin: {origin}", request="GET /v1/capabilities")
    assert said.status == (200 if "{here}" in origin else 403)
    assert "upgrade: websocket" not in said.headers
    seen(f"{said.status}, no upgrade")


@fault(33, "a request without the token, or nearly with it", "401, nothing is told")
@pytest.mark.parametrize(
    "sent",
    [
        pytest.param("Authorization: ", id="nothing"),
        pytest.param("Authorization: Bearer", id="no token"),
        pytest.param("Authorization: Bearer wrong", id="another token"),
        pytest.param(f"Authorization: {TOKEN}", id="no scheme"),
        pytest.param(f"Authorization: Basic {TOKEN}", id="another scheme"),
        pytest.param(f"Authorization: Bearer {TOKEN[:-1]}", id="a character less"),
        pytest.param(f"Authorization: Bearer {TOKEN}x", id="a character more"),
        pytest.param(f"Authorization: Bearer {TOKEN.upper()}", id="another case"),
        pytest.param("Authorization: Bearer \xff\xfe", id="no ASCII"),
        pytest.param(f"Authorization: x\r\nAuthorization: Bearer {TOKEN}", id="the second of two"),
        pytest.param(f"Authorization: \r\nCookie: token={TOKEN}", id="a cookie"),
    ],
)
def test_the_token_is_asked_for(sent: str, guarded: HiveProcess, seen: Seen) -> None:
    for request in ("GET /v1/jobs", "POST /v1/jobs", f"GET /v1/jobs?token={TOKEN}", "GET /nowhere"):
        said = ask(guarded, sent, request=request)
        assert said.status == 401
        assert TOKEN not in said.headers + said.body
    seen(f"401 {said.body}")


@fault(33, "a request with an id that goes beyond numbers", "answered as from the beginning")
@pytest.mark.parametrize(
    "last",
    ["9" * 5000, "-1", "1e9", "\xb2", ""],
    ids=["5000 digits", "negative", "an exponent", "a raised digit", "nothing"],
)
def test_a_last_event_id_is_a_number(last: str, guarded: HiveProcess, seen: Seen) -> None:
    job_id = json.loads(
        ask(guarded, "Content-Type: application/json", request="POST /v1/jobs", body=JOB).body
    )["job_id"]
    said = ask(guarded, f"Last-Event-ID: {last}", request=f"GET /v1/jobs/{job_id}/stream")
    assert said.status == 200
    assert "[DONE]" in said.body
    seen("200, the whole stream")


@fault(33, "another machine", "the hive listens on loopback alone")
def test_the_hive_listens_on_loopback_alone(guarded: HiveProcess, seen: Seen) -> None:
    listening = psutil.Process(guarded.pid).net_connections(kind="inet")
    assert {connection.laddr.ip for connection in listening} == {"127.0.0.1"}
    seen("127.0.0.1")


# -- The token ------------------------------------------------------------------------------------


@pytest.fixture
async def local(home: Path, hub: Hub, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Tracker]:
    """Give a tracker of this user's own hive, which is ended afterwards."""
    monkeypatch.setenv("HF_ENDPOINT", hub.url)
    tracker = Tracker([Hive.local()])
    yield tracker
    await tracker.aclose()
    end_hives(home)


def end_hives(home: Path) -> None:
    for told in home.rglob("hive-*.json"):
        address = launch._read(told)
        if address is not None:
            os.kill(address.pid, signal.SIGTERM)
            psutil.wait_procs([psutil.Process(address.pid)], timeout=10)


@fault(33, "a look for the token of the local hive", "it is in its file alone, for this user alone")
@pytest.mark.anyio
async def test_the_token_is_in_its_file_alone(
    local: Tracker, home: Path, hub: Hub, seen: Seen
) -> None:
    hub.add("org/repo", "file.gguf", size=1000)
    panel = DownloadPanel(local)
    download = await local.download("org/repo:file.gguf")
    address = launch.ensure()
    token = address.token
    assert token is not None
    assert len(token) >= 43  # 256 bits

    process = psutil.Process(address.pid)
    log = (platformdirs.user_log_path("rbee_widgets") / "hive.log").read_text()
    (hive,) = local.hives
    saved = embed.embed_data([panel], drop_defaults=False)
    shown = {
        "arguments": " ".join(process.cmdline()),
        "environment": " ".join(process.environ().values()),
        "log": log,
        "URL": hive.url,
        "representations": f"{address!r} {hive!r} {download!r} {panel!r} {local!r}",
        "notebook": json.dumps(saved),
        "narration": " ".join(download.narration),
        "models": "".join(
            path.read_text("utf-8", "replace")
            for path in home.rglob("*.json")
            if "hive-" not in path.name
        ),
    }
    for place, text in shown.items():
        assert token not in text, place
    panel.close()

    told = launch.address_file(Settings.from_environ())
    assert token in told.read_text()
    assert stat.S_IMODE(told.stat().st_mode) == 0o600
    assert stat.S_IMODE(told.parent.stat().st_mode) == 0o700
    seen(f"not in {', '.join(shown)}; its file 0600 in 0700")


@fault(33, "a folder for the token that others could enter", "closed, what they put in is not used")
@pytest.mark.parametrize(
    "plant",
    [
        pytest.param(lambda _: None, id="empty"),
        pytest.param(os.mkfifo, id="a pipe in its place"),
        pytest.param(lambda place: place.symlink_to("/etc/passwd"), id="a link in its place"),
        pytest.param(lambda place: place.write_text("{"), id="half a file in its place"),
    ],
)
@pytest.mark.usefixtures("local")
@pytest.mark.anyio
async def test_a_wide_folder_is_closed(plant: Callable[[Path], Any], seen: Seen) -> None:
    place = launch.address_file(Settings.from_environ())
    place.parent.mkdir(mode=0o777, parents=True)
    place.parent.chmod(0o777)
    plant(place)
    address = await asyncio.to_thread(launch.ensure)
    assert stat.S_IMODE(place.parent.stat().st_mode) == 0o700
    assert stat.S_ISREG(place.lstat().st_mode)
    assert stat.S_IMODE(place.stat().st_mode) == 0o600
    assert launch._read(place) == address
    seen("0600 in 0700, the hive's own")


@fault(33, "a folder for the token that is a link or another user's", "refused, with its name")
@pytest.mark.parametrize("kind", ["link", "another user's"])
@pytest.mark.anyio
async def test_a_foreign_folder_is_refused(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seen: Seen
) -> None:
    place = launch.address_file(Settings.from_environ())
    if kind == "link":
        (tmp_path / "elsewhere").mkdir()
        place.parent.symlink_to(tmp_path / "elsewhere")
    else:
        place.parent.mkdir()
        _be_another(monkeypatch, place.parent)
    hive = Hive.local()
    with pytest.raises(Exception, match=r"link or another user's; remove it") as raised:
        await hive._ready()
    assert str(place.parent) in str(raised.value)
    assert not list(tmp_path.rglob("hive-*.json"))
    seen(str(raised.value).replace(str(place.parent), "FOLDER"))


@fault(33, "an address that another user has put in the place of the hive's", "not asked, not used")
@pytest.mark.anyio
async def test_a_foreign_address_is_not_believed(
    monkeypatch: pytest.MonkeyPatch, seen: Seen
) -> None:
    async with HostileHive() as hostile:
        place = launch.address_file(Settings.from_environ())
        place.parent.mkdir(mode=0o700)
        told = launch.Address(url=hostile.url, token=TOKEN, pid=os.getpid())
        place.write_text(told.model_dump_json())
        running = await asyncio.to_thread(launch._running, place)
        assert running == told  # this user's own is believed
        asked = len(hostile.asked)
        _be_another(monkeypatch, place)
        assert await asyncio.to_thread(launch._running, place) is None
        assert len(hostile.asked) == asked
    seen("no request to the address that it names")


def _be_another(monkeypatch: pytest.MonkeyPatch, path: Path) -> None:
    """Have a file belong to another user than this one: only root can give one away."""
    other = path.stat().st_uid + 1
    if os.geteuid() == 0:
        os.chown(path, other, -1)
    else:
        monkeypatch.setattr(os, "geteuid", lambda: other)


@fault(33, "the address of a hive that died", "not asked, not used")
@pytest.mark.parametrize("now", ["nobody", "another user's process"])
@pytest.mark.anyio
async def test_a_dead_hives_address_is_not_used(now: str, seen: Seen) -> None:
    place = launch.address_file(Settings.from_environ())
    place.parent.mkdir(mode=0o700)
    with _somebody() as other:
        async with HostileHive() as hostile:
            pid = 2**22 + 1 if now == "nobody" else other
            told = launch.Address(url=hostile.url, token=TOKEN, pid=pid)
            place.write_text(told.model_dump_json())
            assert await asyncio.to_thread(launch._running, place) is None
            assert hostile.asked == []
    seen("no request to it")


@contextmanager
def _somebody() -> Iterator[int]:
    """Give the id of a process of another user."""
    if os.geteuid() != 0:
        yield 1
        return
    with subprocess.Popen(["/bin/sleep", "30"], user=65534) as process:
        yield process.pid
        process.kill()
