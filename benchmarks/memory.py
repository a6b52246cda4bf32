"""How much memory a hive takes for downloads: its process under load, less than when idle."""

from __future__ import annotations

import http.client
import json
import sys
import time
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import psutil

from benchmarks.child import ChildError, environment, serving
from benchmarks.origin import HOST, REPO, File, is_whole

SAMPLE_S: Final = 0.02
SETTLE_S: Final = 1.0
TIMEOUT_S: Final = 180.0


@dataclass(frozen=True, slots=True)
class Memory:
    """Bytes resident when nothing was asked yet, and at the peak; seconds that the jobs took."""

    idle: int
    peak: int
    wall: float

    @property
    def growth(self) -> int:
        """Bytes that the downloads took."""
        return self.peak - self.idle


def measure(hub: str, files: Sequence[File], folder: Path) -> Memory:
    """Have a hive download all files at once; their content is the same.

    Raises
    ------
    ChildError
        A job failed, or a file did not arrive whole.

    """
    models = folder / "models"
    at_once = ("--transfers", str(len(files)))
    command = ("hive", "--port", "0", "--no-token", "--models-dir", str(models), *at_once)
    environ = environment(folder, HF_ENDPOINT=hub, PYTHONUNBUFFERED="1")
    with serving([sys.executable, "-m", "rbee_widgets", *command], environ) as hive:
        _ask(hive.port, "GET", "/health", None)
        time.sleep(SETTLE_S)
        process = psutil.Process(hive.pid)
        idle = process.memory_info().rss
        begun = time.perf_counter()
        with ThreadPoolExecutor(len(files)) as threads:
            jobs = [threads.submit(_download, hive.port, file) for file in files]
            peak = _peak(process, jobs)
            for job in jobs:
                job.result()
        wall = time.perf_counter() - begun
    _check(models, files)
    return Memory(idle, peak, wall)


def _peak(process: psutil.Process, jobs: Sequence[Future[None]]) -> int:
    peak = 0
    while not all(job.done() for job in jobs):
        try:
            peak = max(peak, process.memory_info().rss)
        except psutil.NoSuchProcess as error:
            raise ChildError("the hive ended before its jobs") from error
        time.sleep(SAMPLE_S)
    return peak


def _download(port: int, file: File) -> None:
    asked = {"operation": "model_download", "hive_id": "bench", "model": f"{REPO}:{file.name}"}
    job = json.loads(_ask(port, "POST", "/v1/jobs", json.dumps(asked)))
    told = _ask(port, "GET", job["sse_url"], None)
    if "[DONE]" not in told:
        raise ChildError(f"{file.name}: the hive says {told.strip()[-200:]!r}")


def _ask(port: int, method: str, path: str, body: str | None) -> str:
    """Ask the hive, and read all of its answer; a stream ends with its job."""
    headers = {"Content-Type": "application/json"} if body is not None else {}
    with closing(http.client.HTTPConnection(HOST, port, timeout=TIMEOUT_S)) as connection:
        connection.request(method, path, body, headers)
        return connection.getresponse().read().decode()


def _check(models: Path, files: Sequence[File]) -> None:
    """See that as many whole files have arrived; the catalog calls each of them the same."""
    arrived = [path for path in models.rglob("*.gguf") if path.is_file()]
    whole = [path for path in arrived if is_whole(path, files[0], thoroughly=True)]
    if len(whole) != len(files):
        raise ChildError(f"the hive says that {len(files)} files are there: {len(whole)} are whole")
