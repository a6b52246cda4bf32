"""A model card, from a stranger's Markdown to HTML in which nothing happens. Pure.

Three steps, each of which the next one checks::

    Markdown ─ markdown-it-py ─▶ HTML, the author's own included
             ─ _Shape ─▶ balanced, of bounded depth, without pictures, headings lowered
             ─ nh3 ─▶ parsed as a browser would and written anew, of allowed tags alone

nh3 has the last word: what it makes is safe whatever the steps before it did. `_Shape` stands in
between for its sake and the reader's: a few thousand unclosed tags, which an HTML5 parser opens
again in each paragraph, would make gigabytes of a small card. Pictures are replaced by their
words: they would be fetched from hosts that the author chose, and tell those who looks.
"""

from __future__ import annotations

import html
import re
from functools import cache
from typing import TYPE_CHECKING, Final
from urllib.parse import urljoin

if TYPE_CHECKING:
    from markdown_it import MarkdownIt

MAX_CARD: Final = 128 * 1024
"""Bytes of a card that are read, and characters that are shown.

What costs markdown-it-py most, brackets alone, takes it some 25 µs each.
"""

MAX_HTML: Final = 1024 * 1024
"""Characters of HTML before its links are completed; what comes after them is left out."""

MAX_DEPTH: Final = 24
"""Of elements in each other; lists in lists take two a level."""

LOWERED: Final = 3
"""Levels by which headings sink: a card stands below a result's own heading."""

TAGS: Final = frozenset(
    {
        *("h4", "h5", "h6", "p", "div", "br", "hr", "blockquote", "pre", "details", "summary"),
        *("ul", "ol", "li", "dl", "dt", "dd", "table", "thead", "tbody", "tr", "th", "td"),
        *("a", "b", "i", "s", "em", "strong", "del", "sub", "sup", "code", "kbd"),
    }
)
_EMPTY: Final = frozenset({"br", "hr"})
_UNSEEN: Final = frozenset(
    {
        *("script", "style", "template", "noscript", "head", "title", "svg", "math", "canvas"),
        *("iframe", "frame", "frameset", "noframes", "object", "embed", "noembed", "applet"),
        *("audio", "video", "select", "textarea", "xmp", "plaintext"),
    }
)
"""What is dropped with all that is in it; of other tags the text stays."""

_TAG: Final = re.compile(
    r"<(/?)([a-z][a-z0-9]{0,15})((?:[\s/][^<>]*)?)>|<!--|<[!?][^<>]*>", re.IGNORECASE
)
_ATTRIBUTE: Final = re.compile(
    r"""(?<![^\s"'/])(href|alt)\s*=\s*(?:"([^"]*)"|'([^']*)'|([^\s"'>]+))""", re.IGNORECASE
)
_FRONT_MATTER: Final = re.compile(r"\ufeff?\s{0,99}---[ \t]*\r?\n")
_FRONT_MATTER_END: Final = re.compile(r"^---[ \t]*(?:\r?\n|\Z)", re.MULTILINE)


def without_front_matter(card: str) -> str:
    """Give a card without the YAML that it begins with."""
    start = _FRONT_MATTER.match(card)
    end = start and _FRONT_MATTER_END.search(card, start.end())
    return card[end.end() :] if end else card


def to_html(markdown: str, page: str) -> str:
    """Give a card as HTML; relative links lead to the files of the repository at `page`.

    Links open in a page of their own; there are no pictures, styles, classes or ids.
    """
    import nh3  # noqa: PLC0415 (only where a card is opened)

    shape = _Shape(page)
    shape.feed(_parser().render(markdown[:MAX_CARD].replace("\0", "")))
    return nh3.clean(
        shape.close(),
        tags=set(TAGS),
        clean_content_tags={"script", "style"},
        attributes={"a": {"href"}},
        set_tag_attribute_values={"a": {"target": "_blank"}},
        link_rel="noopener noreferrer nofollow",
        url_schemes={"http", "https"},
    )


@cache
def _parser() -> MarkdownIt:
    from markdown_it import MarkdownIt  # noqa: PLC0415 (only where a card is opened)

    return MarkdownIt("commonmark").enable(["table", "strikethrough"])


class _Shape:
    """HTML of any shape in, balanced HTML out; in time that grows with the length alone."""

    def __init__(self, page: str) -> None:
        self._page = page
        self._out: list[str] = []
        self._size = 0
        self._open: list[str] = []

    def feed(self, source: str) -> None:
        """Take a whole text."""
        at = 0
        while self._size < MAX_HTML and (tag := _TAG.search(source, at)):
            self._text(source[at : tag.start()])
            at = tag.end()
            name = (tag[2] or "").lower()
            if tag[0] == "<!--":
                at = _after(source, "-->", at)
            elif name in _UNSEEN and not tag[1]:
                at = _after_element(source, name, at)
            elif tag[1]:
                self._end(_lowered(name))
            elif name:
                self._start(_lowered(name), tag[3])
        if self._size < MAX_HTML:
            self._text(source[at:])

    def close(self) -> str:
        """Close what is open, and give all."""
        while self._open:
            self._pop()
        return "".join(self._out)

    def _put(self, text: str) -> None:
        self._out.append(text)
        self._size += len(text)

    def _text(self, text: str) -> None:
        if text:
            self._put(html.escape(html.unescape(text), quote=False))

    def _start(self, name: str, attributes: str) -> None:
        if name == "img":
            self._text(_attribute(attributes, "alt"))
        elif name in _EMPTY:
            self._put(f"<{name}>")
        elif name in TAGS and len(self._open) < MAX_DEPTH:
            href = self._absolute(_attribute(attributes, "href")) if name == "a" else ""
            self._put(f'<a href="{html.escape(href)}">' if href else f"<{name}>")
            self._open.append(name)

    def _absolute(self, url: str) -> str:
        """Give where a link leads; empty where that is no page of the web."""
        base = self._page if url.startswith("#") else f"{self._page}/blob/main/"
        try:
            found = urljoin(base, url)
        except ValueError:  # a bracket too few
            return ""
        return found if url and found.lower().startswith(("https://", "http://")) else ""

    def _end(self, name: str) -> None:
        if name in self._open:
            while self._pop() != name:
                pass

    def _pop(self) -> str:
        name = self._open.pop()
        if name == "a" and self._out[-1].startswith("<a"):
            self._out.pop()  # a badge without words: nothing that could be read or followed
        else:
            self._put(f"</{name}>")
        return name


def _lowered(name: str) -> str:
    if len(name) == 2 and name[0] == "h" and name[1] in "123456":
        return f"h{min(int(name[1]) + LOWERED, 6)}"
    return name


def _attribute(source: str, wanted: str) -> str:
    for name, *values in _ATTRIBUTE.findall(source):
        if name.lower() == wanted:
            return html.unescape("".join(values)).strip()
    return ""


def _after(source: str, end: str, at: int) -> int:
    found = source.find(end, at)
    return len(source) if found < 0 else found + len(end)


def _after_element(source: str, name: str, at: int) -> int:
    end = re.compile(rf"</{name}(?=[\s/>])[^<>]*>?", re.IGNORECASE).search(source, at)
    return end.end() if end else len(source)
