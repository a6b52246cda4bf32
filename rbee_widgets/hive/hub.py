"""Where models come from: a Hugging Face compatible hub, or a plain http(s) URL.

Turns a model's id into a `Source`: what to fetch, how large it is and what it must hash to. The
protocol of the hub is its public one: `resolve` answers `X-Linked-Size` and, for large files, the
sha256 as `X-Linked-Etag`.
"""

from __future__ import annotations

import re
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Final
from urllib.parse import quote, urlsplit

import httpx
import urllib3
from pydantic import BaseModel, ValidationError

from rbee_widgets.hive.engine import Remote
from rbee_widgets.hive.settings import Settings, hub_token

TIMEOUT: Final = httpx.Timeout(30.0, connect=10.0)
MAX_REDIRECTS: Final = 10
NEAR: Final = 8
"""How many of a repository's files a hint names."""

_QUANTISATIONS: Final = ("Q4_K_M", "Q5_K_M", "Q4_0", "Q5_0", "Q8_0", "F16")
"""What a hive looks for where no file is named, in its order."""

_REPO: Final = re.compile(r"[A-Za-z0-9][\w.-]{0,95}/[A-Za-z0-9][\w.-]{0,95}", re.ASCII)
_FORBIDDEN: Final = re.compile(r"[\x00-\x1f\x7f\\?#:]")
_NO_HEAD: Final = (403, 405, 501)
"""How a server of plain files says that it tells nothing beforehand (signed URLs: 403)."""

_NO_CONNECTION: Final = (
    httpx.ConnectError,
    urllib3.exceptions.NewConnectionError,
    urllib3.exceptions.ConnectTimeoutError,
)
_SHA256: Final = re.compile(r"[0-9a-f]{64}")


class ProvisionError(Exception):
    """Raised when a model can't be had; the text goes out as the job's error.

    `hint` is the way out, told as narration before the end.
    """

    def __init__(self, text: str, hint: str | None = None) -> None:
        super().__init__(text)
        self.hint = hint


@dataclass(frozen=True, slots=True)
class Source:
    """A file to fetch, by its name in its repository or URL."""

    file: str
    remote: Remote


@dataclass(frozen=True, slots=True)
class ModelId:
    """A model's id, taken apart: a file of a repository, or a URL."""

    text: str
    repo: str | None
    file: str | None

    @staticmethod
    def parse(text: str) -> ModelId:
        """Read `org/repo`, `org/repo:file` or an http(s) URL.

        Raises
        ------
        ProvisionError
            It is none of them, or would name a place outside the repository.

        """
        if "://" in text:
            with suppress(ValueError):  # such as a bracket too few
                parts = urlsplit(text)
                if parts.scheme in ("http", "https") and parts.hostname and not parts.username:
                    return ModelId(text, None, parts.path.rpartition("/")[2] or parts.hostname)
        else:
            repo, _, file = text.partition(":")
            if _REPO.fullmatch(repo) and ".." not in repo and (file == "" or _is_inside(file)):
                return ModelId(text, repo, file or None)
        raise ProvisionError(
            f"Model ID '{text}' is not supported by HuggingFace vendor",
            "Give a model as org/repo, org/repo:file.gguf or an http(s) URL",
        )


def _is_inside(path: str) -> bool:
    parts = path.split("/")
    return not _FORBIDDEN.search(path) and all(part not in ("", ".", "..") for part in parts)


class _Sibling(BaseModel):
    rfilename: str


class _Repo(BaseModel):
    siblings: list[_Sibling] = []


class Hub:
    """A client of one hub, for the length of one job. Blocks: use it in a thread."""

    def __init__(self, settings: Settings) -> None:
        self._endpoint = settings.endpoint
        self._offline = settings.offline
        self._token = hub_token()
        self._http = httpx.Client(
            timeout=TIMEOUT,
            follow_redirects=True,
            max_redirects=MAX_REDIRECTS,
            headers={"Accept-Encoding": "identity"},
        )

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def choose_file(self, model: ModelId) -> str:
        """Choose the file of a repository that is named without one.

        Raises
        ------
        ProvisionError
            The hub can't be asked, or the choice is the user's.

        """
        files = self._gguf_files(model)
        wholes = [file for file in files if "-of-" not in file]
        for quantisation in _QUANTISATIONS:
            for file in wholes:
                if file.lower().endswith(f"{quantisation.lower()}.gguf"):
                    return file
        if len(wholes) == 1:
            return wholes[0]
        raise ProvisionError(
            f"Could not find GGUF file in repository '{model.repo}'. Please specify the exact "
            "filename (e.g., 'repo/model:file-Q4_K_M.gguf')",
            _there_are(model, files),
        )

    def source(self, model: ModelId, file: str, sha256: str | None = None) -> Source:
        """Ask the origin what a file is; `sha256` is what the user knows of it.

        Raises
        ------
        ProvisionError
            It does not answer, has no such file for us, or has another one than the user wants.

        """
        if sha256 is not None and not _SHA256.fullmatch(sha256):
            raise ProvisionError(
                f"'{sha256}' is no sha256", "Give the 64 hexadecimal digits of the file's sha256"
            )
        if model.repo is None:
            remote = self._ask(model, model.text, file, None)
        else:
            url = f"{self._endpoint}/{model.repo}/resolve/main/{quote(file)}"
            remote = self._ask(model, url, file, self._token)
        if sha256 is not None and remote.sha256 not in (None, sha256):
            raise ProvisionError(
                f"sha256 mismatch: expected {sha256}, the hub states {remote.sha256}",
                "It is another file than the one that you know",
            )
        return Source(file, replace(remote, sha256=remote.sha256 or sha256))

    def _ask(self, model: ModelId, url: str, file: str, token: str | None) -> Remote:
        if self._offline and model.repo is not None:
            raise ProvisionError(
                f"HuggingFace download failed: request error: {url}: the hub is switched off",
                "HF_HUB_OFFLINE is set for this hive; unset it to download",
            )
        try:
            answer = self._head(url, token)
        except httpx.HTTPError as error:
            raise unreachable(url, error) from error
        if model.repo is None and answer.status_code in _NO_HEAD:
            return Remote(url)
        if answer.status_code != 200 and not _is_linked(answer):
            raise ProvisionError(
                f"HuggingFace download failed: request error: {url}: "
                f"status code {answer.status_code}",
                self._why(model, file, answer.status_code),
            )
        size = answer.headers.get("x-linked-size") or answer.headers.get("content-length", "")
        digest = answer.headers.get("x-linked-etag", "").strip('"').lower()
        sha256 = digest if _SHA256.fullmatch(digest) else None
        etag = answer.headers.get("etag")
        # A hub's own ETag of a large file is not that of the server of its bytes.
        strong = etag if etag and not etag.startswith("W/") and sha256 is None else None
        return Remote(
            url=url,
            # None of a GET's bytes are told by a HEAD that says 0, as some servers do.
            size=int(size) or None if re.fullmatch(r"[0-9]{1,18}", size) else None,
            sha256=sha256,
            etag=strong,
            revision=answer.headers.get("x-repo-commit"),
            token=token,
        )

    def _head(self, url: str, token: str | None) -> httpx.Response:
        """Ask for a file's headers, up to the answer that describes it.

        A hub describes a large file in its redirect, whose target may be signed for GET alone.
        """
        request = self._http.build_request("HEAD", url, headers=_authorization(token))
        answer = self._http.send(request, follow_redirects=False)
        for _ in range(MAX_REDIRECTS):
            if answer.next_request is None or _is_linked(answer):
                break
            answer = self._http.send(answer.next_request, follow_redirects=False)
        return answer

    def _gguf_files(self, model: ModelId) -> list[str]:
        """List a repository's GGUF files; empty where the hub does not tell them."""
        if self._offline:
            return []
        url = f"{self._endpoint}/api/models/{model.repo}"
        try:
            response = self._http.get(url, headers=_authorization(self._token))
            if response.status_code != 200:
                return []
            siblings = _Repo.model_validate_json(response.content).siblings
        except (httpx.HTTPError, ValidationError):
            return []
        names = (sibling.rfilename for sibling in siblings)
        return [name for name in names if name.lower().endswith(".gguf") and _is_inside(name)]

    def _why(self, model: ModelId, file: str, status: int) -> str | None:
        where = urlsplit(self._endpoint).netloc
        match status:
            case 401:
                # A hub answers 401 for a repository that does not exist, too.
                return (
                    f"There is no repository '{model.repo}' on {where}, or it is private or gated: "
                    "set HF_TOKEN to a token that may read it"
                )
            case 403:
                return (
                    f"'{model.repo}' is gated: accept its licence at {self._endpoint}/{model.repo} "
                    "and set HF_TOKEN to your token"
                )
            case 404 if model.repo is None:
                return "There is nothing at this URL"
            case 404:
                files = self._gguf_files(model)
                if files:
                    return (
                        f"There is no file '{file}' in '{model.repo}'. {_there_are(model, files)}"
                    )
                return f"There is no file '{file}' in a repository '{model.repo}' on {where}"
        return None


def _is_linked(answer: httpx.Response) -> bool:
    return answer.is_redirect and "x-linked-size" in answer.headers


def _authorization(token: str | None) -> dict[str, str]:
    """Give the header that carries a token; httpx takes it away from a redirect elsewhere."""
    return {"Authorization": f"Bearer {token}"} if token else {}


def unreachable(url: str, error: Exception) -> ProvisionError:
    """Tell a failure below HTTP in the words of a hive."""
    host = urlsplit(url).netloc
    if isinstance(error, _NO_CONNECTION):
        detail = "Connection Failed: Connect error: " + _os_text(error)
        hint = f"Nothing answers at {host}: is the hub up, and this machine online?"
    else:
        detail = f"Network Error: {error or type(error).__name__}"
        hint = f"The connection to {host} broke off; Retry goes on from where it stopped"
    return ProvisionError(f"HuggingFace download failed: request error: {url}: {detail}", hint)


def _os_text(error: BaseException) -> str:
    """Give an operating system's error as rbee words it, where there is one below."""
    below: BaseException | None = error
    while below is not None:
        if isinstance(below, OSError) and below.errno is not None and below.strerror:
            return os_error_text(below)
        below = below.__cause__ or below.__context__
    return str(error)


def os_error_text(error: OSError) -> str:
    """Word an operating system's error as rbee does, such as `... (os error 28)`."""
    return f"{error.strerror} (os error {error.errno})"


def _there_are(model: ModelId, files: list[str]) -> str:
    if not files:
        return f"The hub lists no GGUF file in '{model.repo}'"
    more = f" and {len(files) - NEAR} more" if len(files) > NEAR else ""
    return f"It has: {', '.join(files[:NEAR])}{more}"
