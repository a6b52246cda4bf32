"""The embedded hive speaks as a real one did, byte for byte where the texts are the same."""

from __future__ import annotations

import json
import re
import threading
import time
from itertools import pairwise
from pathlib import Path
from shutil import disk_usage
from typing import Any

import httpx
import pytest

from rbee_widgets.contract import Capabilities
from tests.support.hive import HiveProcess
from tests.support.hub import Hub
from tests.support.replay import Transcript, transcript

JSON = {"Content-Type": "application/json"}


def submit(http: httpx.Client, operation: Any) -> str:
    answer = http.post("/v1/jobs", json=operation)
    assert answer.status_code == 200
    job_id = str(answer.json()["job_id"])
    assert answer.json() == {"job_id": job_id, "sse_url": f"/v1/jobs/{job_id}/stream"}
    return job_id


def told(http: httpx.Client, job_id: str) -> str:
    with http.stream("GET", f"/v1/jobs/{job_id}/stream") as response:
        assert response.status_code == 200
        return b"".join(response.iter_bytes()).decode()


def run(http: httpx.Client, operation: Any) -> str:
    return told(http, submit(http, operation))


def normal(text: str, hive: HiveProcess, hub: Hub) -> str:
    """Put the recording's ids, folders and addresses in the place of this run's."""
    text = re.sub(r"job-[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", "job-ID", text)
    text = text.replace(str(hive.models), "/home/user/.cache/rbee/models")
    text = text.replace(hub.url, "http://127.0.0.1:8900")
    text = re.sub(r',"added_at":"[^"]*"', "", text)  # an addition
    return re.sub(r'("addedAt": )"[^"]*"', r'\1"TIME"', text)


def recorded(text: str | Transcript) -> str:
    text = text if isinstance(text, str) else text.body.decode()
    text = re.sub(r"job-[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", "job-ID", text)
    return re.sub(r'("addedAt": )"[^"]*"', r'\1"TIME"', text)


def lines_of(text: str) -> list[str]:
    return text.split("\n\n")


@pytest.mark.parametrize(
    "name",
    [
        "bad_op",
        "missing_field",
        "model_list_empty",
        "download_bad_id",
        "download_missing_file",
        "download_no_gguf",
        "hive_check",
    ],
)
def test_a_job_is_told_as_it_was_recorded(name: str, hive: HiveProcess, hub: Hub) -> None:
    script = transcript(name)
    hub.add("org/tiny", "other.gguf", size=1000)
    hub.add("org/big", "README.md", size=10, lfs=False)
    with hive.http() as http:
        said = lines_of(normal(run(http, script.post), hive, hub))
    # Our hints, which say the way out, are an addition.
    assert [line for line in said if "_hint" not in line] == lines_of(recorded(script))


def test_a_download_is_told_as_it_was_recorded_but_for_its_progress(
    hive: HiveProcess, hub: Hub
) -> None:
    script = transcript("download_small")
    hub.add("org/tiny", "other.gguf", size=2_000_000)
    with hive.http() as http:
        said = normal(run(http, script.post), hive, hub)
    ours = [line for line in lines_of(said) if "download_progress" not in line]
    theirs = [line for line in lines_of(recorded(script)) if "hf_copy_start" not in line]
    cached = "hf_download_cached"  # tells where: a hub's cache there, the model's place here
    assert [x for x in ours if cached not in x] == [x for x in theirs if cached not in x]
    assert "/models/org-tiny-other.gguf/model.gguf" in said
    assert "📊 Progress: 100.0% (2000000 B / 2000000 B)" in said


def test_the_catalog_is_told_as_it_was_recorded(hive: HiveProcess, hub: Hub) -> None:
    hub.add("org/tiny", "tiny-Q4_K_M.gguf", size=3_000_000)
    hub.add("org/tiny", "other.gguf", size=2_000_000)
    hub.add("org/big", "big.Q8_0.gguf", size=120_000_000)
    with hive.http() as http:
        for model in ("org/tiny", "org/tiny:other.gguf", "org/big:big.Q8_0.gguf"):
            operation = {"operation": "model_download", "hive_id": "localhost", "model": model}
            assert run(http, operation).endswith("data: [DONE]\n\n")
        for name in ("model_list_three", "model_get", "download_exists"):
            script = transcript(name)
            said = normal(run(http, script.post), hive, hub)
            # The recording's folder was renamed after its table had been drawn.
            assert squeezed(said) == squeezed(recorded(script))


def squeezed(text: str) -> str:
    return re.sub(r"[ ─]+", " ", text)


def test_a_model_is_deleted_by_its_id_and_by_its_folder(hive: HiveProcess, hub: Hub) -> None:
    hub.add("org/big", "big.Q8_0.gguf", size=1000)
    wanted = {"operation": "model_download", "hive_id": "h", "model": "org/big:big.Q8_0.gguf"}
    again, by_folder = transcript("model_delete_again"), transcript("model_delete_dir")
    with hive.http() as http:
        run(http, wanted)
        assert "[DONE]" in run(http, again.post)
        assert [place.name for place in hive.models.iterdir()] == [".locks"]
        assert normal(run(http, again.post), hive, hub) == recorded(again)
        run(http, wanted)
        assert normal(run(http, by_folder.post), hive, hub) == recorded(by_folder)
        assert [place.name for place in hive.models.iterdir()] == [".locks"]


@pytest.mark.parametrize("operation", ["status", "worker_install", "worker_spawn", "queen_check"])
def test_what_this_hive_does_not_do_is_said(hive: HiveProcess, operation: str) -> None:
    with hive.http() as http:
        said = run(http, {"operation": operation, "hive_id": "h", "worker_id": "w"})
    expected = (
        f"[ERROR] Operation '{operation}' is not supported by rbee-hive "
        "(should be handled by queen-rbee)"
    )
    assert expected in said


# -- HTTP -----------------------------------------------------------------------------------------


def test_plain_endpoints_answer_as_in_the_contract(hive: HiveProcess) -> None:
    with hive.http() as http:
        health = http.get("/health")
        assert (health.text, health.headers["content-type"]) == ("ok", "text/plain; charset=utf-8")
        devices = http.get("/v1/capabilities").json()["devices"]
        assert devices[-1]["id"] == "CPU-0"
        assert devices[-1]["vram_gb"] > 0
        wrong = http.put("/v1/jobs")
        assert (wrong.status_code, wrong.content) == (405, b"")


def test_the_disk_that_is_free_is_told_beside_the_devices(hive: HiveProcess) -> None:
    assert not hive.models.exists()  # nothing was fetched yet
    with hive.http() as http:
        told = http.get("/v1/capabilities").json()
    assert told["disk_free"] == pytest.approx(disk_usage(hive.models.parent).free, rel=0.05)
    # What a client of a real hive reads is there as ever.
    assert {"devices", "disk_free"} == set(told)
    assert Capabilities.model_validate({"devices": []}).disk_free is None


def test_the_catalog_tells_when_a_model_came(hive: HiveProcess, hub: Hub) -> None:
    hub.add("org/tiny", "other.gguf", size=1000)
    with hive.http() as http:
        run(http, transcript("download_small").post)
        said = run(http, transcript("model_list_empty").post)
    data = next(line for line in said.split("\n") if line.startswith('data: {"action"'))
    (model,) = json.loads(data.removeprefix("data: "))["payload"]["models"]
    entry = json.loads((hive.models / "org-tiny-other.gguf/metadata.json").read_text())
    assert model["added_at"] == entry["added_at"]


def test_a_stream_has_the_headers_of_a_hive(hive: HiveProcess) -> None:
    script = transcript("model_list_empty")
    with hive.http() as http:
        job_id = submit(http, script.post)
        with http.stream("GET", f"/v1/jobs/{job_id}/stream") as response:
            response.read()
    for name in ("content-type", "cache-control", "transfer-encoding"):
        assert response.headers[name] == script.headers[name]


def test_a_bad_submission_is_refused(hive: HiveProcess) -> None:
    with hive.http() as http:
        assert http.post("/v1/jobs", content="{}").status_code == 415
        assert http.post("/v1/jobs", content="{", headers=JSON).status_code == 400
        assert http.post("/v1/jobs", content='"\\ud800"', headers=JSON).status_code == 400
        large = '"' + "x" * (2 << 20) + '"'
        assert http.post("/v1/jobs", content=large, headers=JSON).status_code == 413


def test_a_stream_of_no_job_tells_that_it_is_lost(hive: HiveProcess) -> None:
    with hive.http() as http:
        assert told(http, "job-nope") == transcript("second_get").body.decode()


def test_a_job_runs_once_its_stream_is_read_and_not_before(hive: HiveProcess, hub: Hub) -> None:
    hub.rate = 2e3  # slow enough for figures that the next ones outdate
    hub.add("org/repo", "f.gguf", size=1000)
    wanted = {"operation": "model_download", "hive_id": "h", "model": "org/repo:f.gguf"}
    with hive.http() as http:
        job_id = submit(http, wanted)
        head = http.head(f"/v1/jobs/{job_id}/stream")
        assert (head.status_code, head.content) == (200, b"")
        assert http.get("/v1/jobs").json()["jobs"][0]["state"] == "queued"
        assert hub.requests == []
        first, second = told(http, job_id), told(http, job_id)
        assert first.count("Progress:") > second.count("Progress:")
        assert without_outdated(first) == second
        assert first.endswith("data: [DONE]\n\n")


def without_outdated(stream: str) -> str:
    """Leave out the figures that the next event outdates, as a later reader is told."""
    events = stream.split("\n\n")
    kept = [
        event
        for event, following in pairwise([*events, ""])
        if "Progress:" not in event or "Progress:" not in following
    ]
    return "\n\n".join(kept)


def test_a_job_goes_on_when_its_reader_leaves(hive: HiveProcess, hub: Hub) -> None:
    hub.rate = 2e6
    hub.add("org/repo", "f.gguf", size=2_000_000)
    wanted = {"operation": "model_download", "hive_id": "h", "model": "org/repo:f.gguf"}
    with hive.http() as http:
        job_id = submit(http, wanted)
        with http.stream("GET", f"/v1/jobs/{job_id}/stream") as response:
            next(response.iter_bytes())
        assert told(http, job_id).endswith("data: [DONE]\n\n")


def test_ids_are_for_those_who_ask_and_let_them_go_on(hive: HiveProcess) -> None:
    with hive.http() as http:
        job_id = submit(http, {"operation": "model_list", "hive_id": "h"})
        path = f"/v1/jobs/{job_id}/stream"
        whole = http.get(path, headers={"Last-Event-ID": "0"}).text
        assert re.findall(r"^id: (\d+)$", whole, re.MULTILINE) == [str(n) for n in range(1, 9)]
        rest = http.get(path, headers={"Last-Event-ID": "6"}).text
        assert rest == whole[whole.index("id: 7") :]
        assert "id:" not in http.get(path).text


def test_a_job_that_was_cancelled_before_it_began_says_so(hive: HiveProcess, hub: Hub) -> None:
    script = transcript("cancelled_before_get")
    with hive.http() as http:
        job_id = submit(http, script.post)
        answer = http.delete(f"/v1/jobs/{job_id}")
        assert (answer.status_code, answer.json()) == (
            200,
            {"job_id": job_id, "status": "cancelled"},
        )
        again = http.delete(f"/v1/jobs/{job_id}")
        assert (again.status_code, again.text) == (
            404,
            f"Job {job_id} not found or cannot be cancelled",
        )
        assert http.get("/v1/jobs").json()["jobs"][0]["state"] == "cancelled"
        assert normal(told(http, job_id), hive, hub) == recorded(script)


def test_jobs_are_listed_newest_first(hive: HiveProcess, hub: Hub) -> None:
    hub.add("org/repo", "f.gguf", size=1000)
    with hive.http() as http:
        for model in ("org/repo:f.gguf", "org/repo:none.gguf"):
            run(http, {"operation": "model_download", "hive_id": "h", "model": model})
        jobs = http.get("/v1/jobs").json()["jobs"]
    assert [(job["model"], job["state"]) for job in jobs] == [
        ("org/repo:none.gguf", "failed"),
        ("org/repo:f.gguf", "completed"),
    ]
    assert jobs[0]["error"].endswith("status code 404")
    assert (jobs[1]["bytes_downloaded"], jobs[1]["total_size"]) == (1000, 1000)
    assert jobs[1]["percentage"] == 100


def test_progress_is_told_at_least_four_times_a_second(hive: HiveProcess, hub: Hub) -> None:
    hub.rate = 10e6
    hub.add("org/repo", "f.gguf", size=20_000_000)
    with hive.http() as http:
        wanted = {"operation": "model_download", "hive_id": "h", "model": "org/repo:f.gguf"}
        job_id = submit(http, wanted)
        with http.stream("GET", f"/v1/jobs/{job_id}/stream") as response:
            times = [
                time.monotonic()
                for line in response.iter_lines()
                if line.startswith("data: 📊 Progress: ")
            ]
    assert len(times) / (times[-1] - times[0]) >= 4


# -- Its life -------------------------------------------------------------------------------------


def test_a_hive_that_is_told_to_end_does(tmp_path: Path, hub: Hub) -> None:
    hub.rate = 1e6
    hub.add("org/repo", "f.gguf", size=50_000_000)
    hive = HiveProcess(tmp_path / "models", hub.url)
    hive.start()
    cut: list[str] = []

    def read() -> None:
        wanted = {"operation": "model_download", "hive_id": "h", "model": "org/repo:f.gguf"}
        with hive.http() as http:
            try:
                cut.append(run(http, wanted))
            except httpx.HTTPError as error:
                cut.append(repr(error))

    reader = threading.Thread(target=read)
    reader.start()
    while not hub.open_transfers:
        time.sleep(0.01)
    assert hive.stop() == 0
    reader.join(10)
    assert "[DONE]" not in cut[0]


def test_the_models_of_an_earlier_life_are_still_there(tmp_path: Path, hub: Hub) -> None:
    hub.add("org/repo", "f.gguf", size=1000)
    wanted = {"operation": "model_download", "hive_id": "h", "model": "org/repo:f.gguf"}
    hive = HiveProcess(tmp_path / "models", hub.url)
    with hive, hive.http() as http:
        run(http, wanted)
    with hive, hive.http() as http:
        listed = run(http, {"operation": "model_list", "hive_id": "h"})
        data = next(line for line in listed.splitlines() if line.startswith("data: {"))
        models = json.loads(data.removeprefix("data: "))["payload"]["models"]
        assert [model["id"] for model in models] == ["org/repo:f.gguf"]
        assert "already exists" in run(http, wanted)
