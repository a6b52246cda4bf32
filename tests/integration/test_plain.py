"""Without a front end: plain Python and IPython in a terminal print a line instead of a row."""

from __future__ import annotations

import os
import subprocess
import sys

from tests.support.hive import TOKEN, HiveProcess
from tests.support.hub import Hub

IPYTHON = [sys.executable, "-m", "IPython", "--simple-prompt", "--colors=NoColor", "--quick"]


def run(command: list[str], hive: HiveProcess) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command,
        env={**os.environ, "RBEE_HIVE_URL": hive.url, "RBEE_HIVE_TOKEN": TOKEN},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_a_script_without_a_loop_waits(hive: HiveProcess, hub: Hub) -> None:
    hub.add("org/repo", "file.gguf", size=1_000_000)
    script = """
import rbee_widgets as rbee
d = rbee.download("org/repo:file.gguf")
print(d.wait(30).status, d.total_size, rbee.downloads() == [d])
try:
    rbee.download("org/repo:none.gguf").wait(30)
except rbee.DownloadError as error:
    print(error.status, error.hint)
"""
    done = run([sys.executable, "-c", script], hive)
    assert done.returncode == 0, done.stderr
    first, second = done.stdout.splitlines()
    assert first == "complete 1000000 True"
    assert second.startswith("failed There is no file 'none.gguf' in 'org/repo'")
    assert "org/repo:file.gguf  complete  1.00 MB" in done.stderr
    assert "Traceback" not in done.stderr


def test_ipython_in_a_terminal_has_the_magics(hive: HiveProcess, hub: Hub) -> None:
    hub.add("org/repo", "file.gguf", size=1_000_000)
    hub.add("org/repo", "a name.gguf", size=3_000_000)
    hub.add("org/repo", "later.gguf", size=1_000_000)
    cells = [
        "%load_ext rbee_widgets\n%download org/repo:file.gguf --wait",
        "%download 'org/repo:a name.gguf' --wait",
        "%download 'org/repo",
        "d = %download org/repo:file.gguf",
        "_ = await d",
        "print(d.status)",
        "e = %download org/repo:none.gguf --wait",
        "%download --wait",
        "f = %download org/repo:later.gguf",
        "import time\nwhile f.status == 'queued': time.sleep(0.05)",
        "text = '''\n%download a/b --wait\n'''\nprint(text)",
        "%download",
        "%download org/repo:file.gguf --hive nobody",
        "%download --nonsense",
        "%download --help",
        "%hive",
        "%hive add gaming-pc http://127.0.0.1:9",
        "%hive",
    ]
    done = run(
        [*IPYTHON, "-c", "\n".join(f"get_ipython().run_cell({cell!r})" for cell in cells)],
        hive,
    )
    out = done.stdout
    assert "\n%download a/b --wait\n" in out
    assert "complete\n" in out
    assert "UsageError: --wait works in the cells after" in out + done.stderr
    assert "UsageError: No closing quotation" in out + done.stderr
    assert "org/repo:a name.gguf  complete  3.00 MB" in out
    assert "(known: local, " in out + done.stderr
    assert "DownloadError: org/repo:none.gguf failed: HuggingFace download failed" in out
    assert "org/repo:file.gguf  complete  1.00 MB" in out
    assert "UsageError: no hive is called 'nobody'" in out + done.stderr
    assert "unrecognized arguments: --nonsense" in out + done.stderr
    assert "org/repo:file.gguf, an rbee:// link" in out
    assert f"{hive.url}" in out
    assert "gaming-pc        http://127.0.0.1:9               no answer" in out
    assert "ready" in out
    assert "Traceback" not in out + done.stderr
