"""Where models come from: a Hugging Face compatible hub, or a plain http(s) URL.

Turns a model's id into a `Source`: what to fetch, how large it is and what it must hash to. The
protocol of the hub is its public one: `resolve` answers `X-Linked-Size` and, for large files, the
sha256 as `X-Linked-Etag`.
"""

from __future__ import annotations

import difflib
import re
from contextlib import closing, suppress
from dataclasses import dataclass, replace
from typing import Final
from urllib.parse import quote, urlsplit

from pydantic import BaseModel, ValidationError

from rbee_widgets.hive.engine import RefusedError, Remote, Web
from rbee_widgets.hive.engine.answers import content_length, retry_after
from rbee_widgets.hive.engine.patience import may_pass
from rbee_widgets.hive.engine.remote import Location, host_of
from rbee_widgets.hive.engine.web import Body, NetworkError
from rbee_widgets.hive.settings import Settings, hub_token
from rbee_widgets.hive.trouble import FAILED, ProvisionError, busy, unreachable

NEAR: Final = 8
"""How many of a repository's files a hint names."""

MAX_LIST: Final = 32 << 20
"""The longest list of a repository's files that is read, in bytes."""

_QUANTISATIONS: Final = ("Q4_K_M", "Q5_K_M", "Q4_0", "Q5_0", "Q8_0", "F16")
"""What a hive looks for where no file is named, in its order."""

_REPO: Final = re.compile(r"[A-Za-z0-9][\w.-]{0,95}/[A-Za-z0-9][\w.-]{0,95}", re.ASCII)
_FORBIDDEN: Final = re.compile(r"[\x00-\x1f\x7f\\?#:]")
_NO_HEAD: Final = (403, 405, 501)
"""How a server of plain files says that it tells nothing beforehand (signed URLs: 403)."""

_SHA256: Final = re.compile(r"[0-9a-f]{64}")


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

    def __init__(self, settings: Settings, web: Web) -> None:
        self._endpoint = settings.endpoint
        self._offline = settings.offline
        self._token = hub_token()
        self._web = web

    def host(self, model: ModelId) -> str:
        """Give the host and port of whom is asked about a model."""
        return host_of(model.text if model.repo is None else self._endpoint)

    def choose_file(self, model: ModelId) -> str:
        """Choose the file of a repository that is named without one.

        Raises
        ------
        AwayError
            The hub can't be asked now.
        ProvisionError
            It has no such repository for us, or the choice is the user's.

        """
        status, files = self._gguf_files(model)
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
            self.why(model, status) or _there_are(model, files),
        )

    def source(self, model: ModelId, file: str, sha256: str | None = None) -> Source:
        """Ask the origin what a file is; `sha256` is what the user knows of it.

        Raises
        ------
        AwayError
            It can't be asked now.
        ProvisionError
            It has no such file for us, or has another one than the user wants.

        """
        if sha256 is not None and not _SHA256.fullmatch(sha256):
            raise ProvisionError(
                f"'{sha256}' is no sha256", "Give the 64 hexadecimal digits of the file's sha256"
            )
        if model.repo is None:
            remote = self._remote(model, model.text, file, None)
        else:
            url = f"{self._endpoint}/{model.repo}/resolve/main/{quote(file)}"
            remote = self._remote(model, url, file, self._token)
        if sha256 is not None and remote.sha256 not in (None, sha256):
            raise ProvisionError(
                f"sha256 mismatch: expected {sha256}, the hub states {remote.sha256}",
                "It is another file than the one that you know",
            )
        return Source(file, replace(remote, sha256=remote.sha256 or sha256))

    def _remote(self, model: ModelId, url: str, file: str, token: str | None) -> Remote:
        # A hub describes a large file in its redirect, whose target may be signed for GET alone.
        answer = self._ask("HEAD", model, url, token)
        answer.close()
        if model.repo is None and answer.status in _NO_HEAD:
            return Remote(url)
        if answer.status != 200 and not _is_linked(answer):
            raise ProvisionError(
                f"{FAILED}request error: {url}: status code {answer.status}",
                self.why(model, answer.status, file),
            )
        linked = answer.headers.get("x-linked-size", "")
        digest = answer.headers.get("x-linked-etag", "").strip('"').lower()
        sha256 = digest if _SHA256.fullmatch(digest) else None
        etag = answer.headers.get("etag")
        # A hub's own ETag of a large file is not that of the server of its bytes.
        strong = etag if etag and not etag.startswith("W/") and sha256 is None else None
        size = content_length({"content-length": linked} if linked else answer.headers)
        return Remote(
            url=url,
            size=size or None,  # some servers' HEAD says 0 whatever a GET brings
            sha256=sha256,
            etag=strong,
            revision=answer.headers.get("x-repo-commit"),
            token=token,
        )

    def _ask(self, method: str, model: ModelId, url: str, token: str | None) -> Body:
        """Ask once; gives an answer that will be the same the next time."""
        if self._offline and model.repo is not None:
            raise ProvisionError(
                f"{FAILED}request error: {url}: the hub is switched off",
                "HF_HUB_OFFLINE is set for this hive; unset it to download",
            )
        try:
            answer = self._web.ask(
                method, Location(url), {}, token, lambda: False, is_enough=_is_linked
            )
        except NetworkError as error:
            raise unreachable(url, error) from error
        except RefusedError as error:
            raise ProvisionError(f"{FAILED}request error: {error}") from error
        status = answer.status
        if may_pass(status) and not (model.repo is None and status in _NO_HEAD):
            answer.close()
            raise busy(url, status, retry_after(answer.headers))
        return answer

    def _gguf_files(self, model: ModelId) -> tuple[int, list[str]]:
        """Ask for a repository's GGUF files; gives the answer's status, and what it tells."""
        url = f"{self._endpoint}/api/models/{model.repo}"
        listed = bytearray()
        with closing(self._ask("GET", model, url, self._token)) as answer:
            try:
                while answer.status == 200 and (data := answer.read()) and len(listed) <= MAX_LIST:
                    listed += data
            except NetworkError as error:
                raise unreachable(url, error) from error
        with suppress(ValidationError):
            names = [told.rfilename for told in _Repo.model_validate_json(bytes(listed)).siblings]
            files = [one for one in names if one.lower().endswith(".gguf") and _is_inside(one)]
            return answer.status, files
        return answer.status, []

    def _near(self, model: ModelId, file: str) -> list[str]:
        """List a repository's files, the likest one first; none where the hub doesn't tell them."""
        try:
            _, files = self._gguf_files(model)
        except ProvisionError:
            return []
        likeness = difflib.SequenceMatcher(b=file.lower(), autojunk=False)

        def unlikeness(name: str) -> float:
            likeness.set_seq1(name.lower())
            return -likeness.ratio()

        return sorted(files, key=unlikeness)

    def why(self, model: ModelId, status: int, file: str | None = None) -> str | None:
        """Tell what to do about a refusal; `file` is what was asked for, None: the repository."""
        where = self.host(model)
        match status:
            case 401 | 403 if model.repo is None:
                return "Its server asks who we are; a token is sent to the hub alone"
            case 401:
                # A hub answers 401 for a repository that does not exist, too.
                return (
                    f"There is no repository '{model.repo}' on {where}, or it is private or gated: "
                    f"accept its licence at {self._endpoint}/{model.repo} and set HF_TOKEN to a "
                    "token that may read it"
                )
            case 403:
                return (
                    f"'{model.repo}' is gated: accept its licence at {self._endpoint}/{model.repo} "
                    "and set HF_TOKEN to your token"
                )
            case 404 if model.repo is None:
                return "There is nothing at this URL"
            case 404:
                return self._missing(model, file)
            case 410 | 451:
                return f"{where} has taken it down"
        return None

    def _missing(self, model: ModelId, file: str | None) -> str:
        where = self.host(model)
        if file is None:
            return f"There is no repository '{model.repo}' on {where}"
        near = self._near(model, file)
        if near:
            return f"There is no file '{file}' in '{model.repo}'. {_there_are(model, near)}"
        return f"There is no file '{file}' in a repository '{model.repo}' on {where}"


def _is_linked(answer: Body) -> bool:
    return 300 <= answer.status < 400 and "x-linked-size" in answer.headers


def _there_are(model: ModelId, files: list[str]) -> str:
    if not files:
        return f"The hub lists no GGUF file in '{model.repo}'"
    more = f" and {len(files) - NEAR} more" if len(files) > NEAR else ""
    return f"It has: {', '.join(files[:NEAR])}{more}"
