"""The size of a model's file, asked of its hub: what a real hive does not tell until the end."""

from __future__ import annotations

import os
import re
from typing import Final
from urllib.parse import quote

import httpx

PUBLIC_HUB: Final = "https://huggingface.co"
TIMEOUT_S: Final = 10.0
MAX_REDIRECTS: Final = 5
_REPO: Final = re.compile(r"[\w.-]+/[\w.-]+", re.ASCII)
_TRUE: Final = frozenset({"1", "on", "yes", "true"})


async def size_on_hub(repo: str, file: str) -> int | None:
    """Give the bytes of a repository's file; None where the hub does not say, or can't be asked.

    `HF_ENDPOINT`, `HF_TOKEN` and `HF_HUB_OFFLINE` are honoured.
    """
    is_offline = os.environ.get("HF_HUB_OFFLINE", "").lower() in _TRUE
    if is_offline or not _REPO.fullmatch(repo) or ".." in f"{repo}/{file}".split("/"):
        return None
    endpoint = os.environ.get("HF_ENDPOINT", "").rstrip("/") or PUBLIC_HUB
    token = os.environ.get("HF_TOKEN")
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    url = f"{endpoint}/{repo}/resolve/main/{quote(file)}"
    try:
        async with httpx.AsyncClient(timeout=TIMEOUT_S) as http:
            answer = await http.head(url, headers=headers)
            for _ in range(MAX_REDIRECTS):
                if answer.next_request is None or "x-linked-size" in answer.headers:
                    break
                answer = await http.send(answer.next_request)
    except (httpx.HTTPError, httpx.InvalidURL):
        return None
    told = answer.headers.get("x-linked-size")
    if told is None and answer.status_code == 200:
        told = answer.headers.get("content-length")
    return int(told) if told and re.fullmatch("[0-9]{1,18}", told) else None
