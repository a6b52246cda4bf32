"""A plain URL as a source of one model with one file."""

from __future__ import annotations

import re
from collections.abc import Iterator
from urllib.parse import unquote, urldefrag, urlsplit

from rbee_widgets.links import MAX_NAME, Target, read_sha256
from rbee_widgets.market.asking import Answer, Asker, raise_for_status
from rbee_widgets.market.files import family, quantisation
from rbee_widgets.market.source import Details, ModelFile, ModelInfo, Order, Query, SourceError
from rbee_widgets.state import Type
from rbee_widgets.untrusted import label


class Web:
    """Any server; a fragment `#sha256=…` says what the file must hash to."""

    name = "web"
    title = "URL"
    filters: frozenset[str] = frozenset()
    orders: tuple[Order, ...] = (Order.TRENDING,)

    def has_page(self, url: str) -> bool:  # noqa: ARG002 (the same for all)
        """Tell that none is: a URL is the file's own."""
        return False

    def search(self, query: Query) -> Iterator[ModelInfo]:
        """Give what a URL names; nothing where the text is none.

        Raises
        ------
        SourceError
            The URL's hash is none.

        """
        text = query.text.strip()
        if is_url(text):
            target = _target(text)
            yield ModelInfo(id=text, author=urlsplit(target.id).netloc, url=target.id)

    def details(self, model: str) -> Details:
        """Tell the one file, its size as the server states it.

        Raises
        ------
        SourceError
            Nobody answers at the URL, or there is nothing.

        """
        target = _target(model)
        answer = _ask(target.id)
        told = answer.headers.get("content-length", "")
        size = int(told) if re.fullmatch("[0-9]{1,18}", told) else None
        path = unquote(urlsplit(target.id).path).rpartition("/")[2]
        name = label(path) or urlsplit(target.id).netloc
        file = ModelFile(
            target=target,
            path=name,
            size=size,
            quantisation=quantisation(name),
            family=family(name),
            header_url=target.id if name.lower().endswith(".gguf") else None,
            sha256=target.sha256,
        )
        return Details(files=(file,))

    def card(self, model: str) -> str:  # noqa: ARG002 (a URL has none)
        """Give nothing: a URL has no card."""
        return ""

    def headers(self, file: ModelFile) -> dict[str, str]:  # noqa: ARG002 (the same for all)
        """Give nothing: a token is for the hub alone."""
        return {}


def is_url(text: str) -> bool:
    """Whether what was typed is a URL, and no words to look for."""
    return re.match("https?://", text.strip(), re.IGNORECASE) is not None


def _target(text: str) -> Target:
    try:
        url, fragment = urldefrag(text.strip())
        parts = urlsplit(url)
        is_url = parts.scheme.lower() in {"http", "https"} and parts.hostname
        if not is_url or parts.username or len(url) > MAX_NAME or not url.isprintable():
            raise ValueError("expected a URL such as https://example.org/model-Q4_K_M.gguf")
        if not fragment.startswith("sha256="):
            return Target(Type.MODEL, url)
        return Target(Type.MODEL, url, read_sha256(fragment.removeprefix("sha256=")))
    except ValueError as error:  # urlsplit's own: a bracket too few
        raise SourceError(f"{text[:80]!r} can't be fetched: {error}") from error


def _ask(url: str) -> Answer:
    import httpx  # noqa: PLC0415 (half a second, for whoever gives a URL)

    who = urlsplit(url).netloc
    with httpx.Client() as client:
        asker = Asker(
            client,
            who,
            httpx.TimeoutException,
            (httpx.HTTPError, httpx.InvalidURL, OSError),
            "see whether the URL is right and the network up",
        )
        # Without it a server may state the size of what it would compress.
        answer = asker.ask(url, method="HEAD", headers={"Accept-Encoding": "identity"})
    if answer.status in {403, 405, 501}:
        # Signed addresses and simple servers know no HEAD: the file may be there all the same.
        return Answer(200, {}, b"", None)
    if answer.status in {404, 410}:
        raise SourceError(f"There is nothing at {url} ({answer.status}); see whether it is right")
    raise_for_status(answer, who)
    return answer
