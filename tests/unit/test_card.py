"""A model card of a stranger becomes HTML in which nothing happens."""

from __future__ import annotations

import time
from html.parser import HTMLParser

import pytest

from rbee_widgets.market.card import (
    MAX_CARD,
    MAX_DEPTH,
    MAX_HTML,
    TAGS,
    to_html,
    without_front_matter,
)

PAGE = "https://hub.test/org/repo"


def shown(markdown: str) -> str:
    return to_html(markdown, PAGE).strip()


class Look(HTMLParser):
    """What a parser finds in a text: tags with their attributes, how deep, and the words."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words = ""
        self.depth = self._now = 0
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self._now += tag not in {"br", "hr"}
        self.depth = max(self.depth, self._now)

    def handle_endtag(self, tag: str) -> None:
        self._now -= tag not in {"br", "hr"}

    def handle_data(self, data: str) -> None:
        self.words += data

    def handle_comment(self, data: str) -> None:
        raise AssertionError(data)

    def handle_decl(self, decl: str) -> None:
        raise AssertionError(decl)

    def handle_pi(self, data: str) -> None:
        raise AssertionError(data)


def assert_harmless(html: str) -> None:
    look = Look(html)
    for tag, attributes in look.tags:
        assert tag in TAGS
        assert attributes.keys() <= ({"href", "rel", "target"} if tag == "a" else set())
        href = attributes.get("href") or "https://"
        assert href.startswith(("https://", "http://"))
        if tag == "a":
            assert attributes["rel"] == "noopener noreferrer nofollow"
            assert attributes["target"] == "_blank"
    assert look.depth <= 2 * MAX_DEPTH  # a parser opens what a table or a paragraph leaves out
    assert look._now == 0


@pytest.mark.parametrize(
    ("markdown", "html"),
    [
        ("**b** *i* ~~s~~ `c`", "<p><strong>b</strong> <em>i</em> <s>s</s> <code>c</code></p>"),
        ("# one", "<h4>one</h4>"),
        ("## two", "<h5>two</h5>"),
        ("###### six", "<h6>six</h6>"),
        ("<h1 align=center>own</h1>", "<h4>own</h4>"),
        ("a ![a *llama*](https://evil.test/p.png) b", "<p>a a llama b</p>"),
        ('<img src="https://evil.test/p.png" alt="own">', "own"),
        ("[![](https://evil.test/badge.svg)](https://ok.test)", "<p></p>"),
        ("1 &lt; 2 & 3 < 4", "<p>1 &lt; 2 &amp; 3 &lt; 4</p>"),
        ("a  \nb\n\n---", "<p>a<br>\nb</p>\n<hr>"),
        ("<details><summary>s</summary>t</details>",) * 2,
        ("x<sup>2</sup>", "<p>x<sup>2</sup></p>"),
        ("<span class=x style='position:fixed'>kept</span>", "<p>kept</p>"),
        ("```python\n<b>&amp;\n```", "<pre><code>&lt;b&gt;&amp;amp;\n</code></pre>"),
        ("- a\n  - b", "<ul>\n<li>a\n<ul>\n<li>b</li>\n</ul>\n</li>\n</ul>"),
    ],
)
def test_what_people_write_is_shown(markdown: str, html: str) -> None:
    assert shown(markdown) == html


def test_a_table_is_shown() -> None:
    tags = [tag for tag, _ in Look(shown("|a|b|\n|:-|-:|\n|1|2|")).tags]
    assert tags == ["table", "thead", "tr", "th", "th", "tbody", "tr", "td", "td"]


@pytest.mark.parametrize(
    ("link", "leads"),
    [
        ("https://ok.test/a?b=c&d#e", "https://ok.test/a?b=c&d#e"),
        ("http://ok.test/", "http://ok.test/"),
        ("LICENSE", "https://hub.test/org/repo/blob/main/LICENSE"),
        ("./a/../b.md", "https://hub.test/org/repo/blob/main/b.md"),
        ("/other/repo", "https://hub.test/other/repo"),
        ("#usage", "https://hub.test/org/repo#usage"),
        ("//ok.test/x", "https://ok.test/x"),
    ],
)
def test_a_link_leads_where_it_would_on_the_hub(link: str, leads: str) -> None:
    for markdown in (f"[t]({link})", f'<a href="{link}">t</a>', f"<a href='{link}' >t</a>"):
        [(_, attributes)] = [tag for tag in Look(shown(markdown)).tags if tag[0] == "a"]
        assert attributes["href"] == leads
        assert_harmless(shown(markdown))


@pytest.mark.parametrize(
    "link",
    [
        "javascript:alert(1)",
        "JaVaScRiPt:alert(1)",
        "java\tscript:alert(1)",
        "&#106;avascript:alert(1)",
        "&#x6A&#x61&#x76&#x61&#x73&#x63&#x72&#x69&#x70&#x74&#x3A&#x61lert(1)",
        "\x01javascript:alert(1)",
        " javascript:alert(1)",
        "vbscript:x",
        "data:text/html,<script>alert(1)</script>",
        "data:text/html;base64,PHNjcmlwdD4=",
        "file:///etc/passwd",
        "blob:https://x/y",
        "mailto:a@b.c",
        "rbee://model/evil/model:f.gguf",
        "http://[",
    ],
)
def test_a_link_to_anything_else_leads_nowhere(link: str) -> None:
    for markdown in (f"[t]({link})", f"[t](<{link}>)", f'<a href="{link}">t</a>', f"<{link}>"):
        html = shown(markdown)
        assert_harmless(html)
        assert not any(
            (attributes.get("href") or PAGE).startswith(("http://[", "mailto", "rbee"))
            for _, attributes in Look(html).tags
        )


XSS = [
    "<script>alert(1)</script>",
    "<SCRIPT SRC=//evil.test/x.js></SCRIPT>",
    "<script>alert(1)",
    "<scr<script>ipt>alert(1)</script>",
    "<<script>script>alert(1)//<</script>",
    "<img src=x onerror=alert(1)>",
    '<img src="x" onerror="alert(1)" alt="<script>alert(1)</script>">',
    "<img alt='\"><script>alert(1)</script>' src=x>",
    '!["><script>alert(1)</script>](x)',
    "![x](javascript:alert(1))",
    "[a](<javascript:alert(1)>)",
    '[a](https://ok.test "onmouseover=alert(1) x=\\"")',
    "<a href=https://ok.test onclick=alert(1) style=position:fixed id=x class=y>t</a>",
    "<a href='https://ok.test\" onclick=\"alert(1)'>t</a>",
    "<a\nhref=javascript:alert(1)\n>t</a>",
    "<a/href=javascript:alert(1)>t</a>",
    "<a xlink:href=javascript:alert(1)>t</a>",
    "<p onclick=alert(1)>t</p>",
    "<b/onclick=alert(1)>t</b>",
    "<svg onload=alert(1)><a xlink:href='javascript:alert(1)'><text>x</text></a></svg>",
    "<svg><style><img src=x onerror=alert(1)></style></svg>",
    "<math><mtext><table><mglyph><style><!--</style><img title='--&gt;&lt;img src=1 onerror=a>'>",
    "<math><a xlink:href=javascript:alert(1)>t</a></math>",
    "<form action=https://evil.test><input name=p><button>Sign in</button></form>",
    "<iframe src=https://evil.test></iframe>",
    "<iframe srcdoc='<script>alert(1)</script>'>",
    "<object data=x></object><embed src=x><applet code=x></applet>",
    "<meta http-equiv=refresh content='0;url=https://evil.test'>",
    "<link rel=stylesheet href=https://evil.test/x.css><base href=https://evil.test/>",
    "<style>*{background:url(https://evil.test)}</style>",
    "<div style='background:url(https://evil.test)'>t</div>",
    "<video src=x onerror=alert(1)><audio src=x><source src=x>",
    "<template><script>alert(1)</script></template>",
    "<noscript><p title='</noscript><img src=x onerror=alert(1)>'>",
    "<textarea><script>alert(1)</script></textarea>",
    "<title><img src=x onerror=alert(1)></title>",
    "<select><option><script>alert(1)</script></select>",
    "<xmp><p title='</xmp><img src=x onerror=alert(1)>'>",
    "<plaintext><img src=x onerror=alert(1)>",
    "<!--><img src=x onerror=alert(1)>-->",
    "<!-- --!><img src=x onerror=alert(1)> -->",
    "<![CDATA[<img src=x onerror=alert(1)>]]>",
    "<?xml <img src=x onerror=alert(1)> ?>",
    "<!DOCTYPE x [<!ENTITY y 'z'>]>",
    "<b><p></b><i><a href=//x><table><td></a><script>alert(1)</script>",
    "</p></div></body></html><script>alert(1)</script>",
    "<custom-element onconnected=alert(1)>t</custom-element>",
    "<details open ontoggle=alert(1)>t</details>",
    "\x00<\x00script>alert(1)</script>",
    "&lt;script&gt;alert(1)&lt;/script&gt;",
    "`<script>alert(1)</script>`",
    "```\n</code></pre><script>alert(1)</script>\n```",
    "```<script>alert(1)</script>\nx\n```",
    "|<script>alert(1)</script>|\n|-|\n|<img src=x onerror=alert(1)>|",
    "[x]: javascript:alert(1)\n\n[x]",
    "<area href=javascript:alert(1)><map name=x>",
    "<marquee onstart=alert(1)>t</marquee>",
    "<body onload=alert(1)>",
    "<dialog open>t</dialog>",
]


@pytest.mark.parametrize("markdown", XSS)
def test_nothing_happens_in_a_card(markdown: str) -> None:
    for card in (markdown, f"text {markdown} text", f"- {markdown}\n\n> {markdown}"):
        assert_harmless(shown(card))


def test_what_is_dropped_is_dropped_with_what_is_in_it() -> None:
    assert shown("<style>p{}</style><svg><text>no</text></svg>yes") == "yes"


@pytest.mark.parametrize(
    "unit",
    [
        *("[", "![", "[a](", "**a_ ", "~~a", "<", "<a href='", "> ", "- ", "<div>", "<!--"),
        *("<table><b>", "<script>", "&#x41;", "# a\n", "<a@b.c>", "\\", "<p><a href=/>"),
    ],
)
def test_a_megabyte_of_anything_costs_little(unit: str) -> None:
    began = time.process_time()
    html = to_html((unit * 1_000_000)[:1_000_000], PAGE)
    assert time.process_time() - began < 12
    assert len(html) <= 2 * MAX_HTML
    assert_harmless(html)


def test_unclosed_tags_are_not_opened_again_in_each_paragraph() -> None:
    tags = "".join(f"<b x={n}>" for n in range(9000))
    html = to_html(f"{tags}{'<p>a' * 40_000}"[:MAX_CARD], PAGE)
    assert len(html) <= MAX_HTML
    assert Look(html).depth <= MAX_DEPTH


def test_a_table_of_many_columns_and_short_rows_stays_bounded() -> None:
    html = to_html("|" + "a|" * 1000 + "\n|" + "-|" * 1000 + "\n" + "|a\n" * 60_000, PAGE)
    assert len(html) <= 2 * MAX_HTML


@pytest.mark.parametrize(
    ("card", "kept"),
    [
        ("---\nlicense: mit\n---\n# Card", "# Card"),
        ("\ufeff---\r\na: b\r\n---\r\nCard", "Card"),
        ("---\na: b\n---", ""),
        ("---\na: |\n  --- x\n----\n---\nCard", "Card"),
        ("Card\n---\nb\n---\n",) * 2,
        ("---\nunclosed: yes",) * 2,
        ("",) * 2,
    ],
)
def test_a_cards_front_matter_is_left_out(card: str, kept: str) -> None:
    assert without_front_matter(card) == kept
