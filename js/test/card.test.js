import { expect, test } from "vitest";
import { cleaned, webAddress } from "../src/card.js";

/** @param {string} html */
function card(html) {
	const box = document.createElement("div");
	box.append(cleaned(html));
	return box;
}

/** What runs, loads or reaches out, in as many disguises as are known. */
const HOSTILE = [
	"<script>alert(1)</script>",
	"<SCRIPT SRC=https://evil.example/x.js></SCRIPT>",
	"<img src=x onerror=alert(1)>",
	"<svg onload=alert(1)><script>alert(1)</script></svg>",
	"<svg><a xlink:href='javascript:alert(1)'><text>x</text></a></svg>",
	"<math><mtext><table><mglyph><style><img src=x onerror=alert(1)></style></mglyph></table></mtext></math>",
	"<iframe srcdoc='<script>alert(1)</script>'></iframe>",
	"<object data='javascript:alert(1)'></object><embed src='javascript:alert(1)'>",
	"<a href='javascript:alert(1)'>x</a>",
	"<a href=' java\nscript:alert(1)'>x</a>",
	"<a href='data:text/html,<script>alert(1)</script>'>x</a>",
	"<a href='vbscript:x'>x</a><a href='file:///etc/passwd'>y</a>",
	"<a href='//evil.example'>x</a><a href='/lab?reset'>y</a><a href='#x'>z</a>",
	"<p onclick=alert(1) onmouseover=alert(1) style='position:fixed;inset:0' class=jp-Cell id=main>x</p>",
	"<form action=https://evil.example><input name=password><button>Log in</button></form>",
	"<style>*{display:none}</style>",
	"<base href=https://evil.example/><meta http-equiv=refresh content='0;url=https://evil.example'>",
	"<template><script>alert(1)</script></template><noscript><p title='</noscript><img src=x onerror=alert(1)>'></noscript>",
	"<video src=x onerror=alert(1)></video><audio src=x></audio><picture><source srcset=x></picture>",
	"<details open ontoggle=alert(1)><summary>x</summary></details>",
	"<td background='javascript:alert(1)'>x</td><table background=x><tr><td>y</td></tr></table>",
	"<x-evil is=y onfocus=alert(1) tabindex=1 autofocus>x</x-evil>",
];

const ALLOWED = new Set(
	(
		"P BR HR UL OL LI DL DT DD BLOCKQUOTE PRE CODE KBD SAMP EM STRONG B I U S DEL INS SUB SUP TABLE " +
		"THEAD TBODY TFOOT TR TH TD CAPTION H2 H3 H4 H5 H6 A DIV"
	).split(" "),
);

const ATTRIBUTES = new Set(["href", "target", "rel", "colspan", "rowspan", "class", "tabindex"]);

test.each(HOSTILE)("nothing of %s runs or loads", (html) => {
	const box = card(`before ${html} after`);
	for (const element of box.querySelectorAll("*")) {
		expect(ALLOWED).toContain(element.tagName);
		for (const { name, value } of element.attributes) {
			expect(ATTRIBUTES).toContain(name);
			if (name === "href") expect(value).toMatch(/^https?:\/\//);
			if (name === "class") expect(value).toBe("rbee-card-table");
		}
	}
	expect(box.textContent).not.toContain("alert(1)");
	expect(box.textContent).toMatch(/^before/);
});

test("what an author writes stays", () => {
	const html =
		"<h1>Llama</h1><p>Built with <strong>care</strong> and <em>love</em>: <code>x</code></p>" +
		"<ul><li>one</li></ul><table><tbody><tr><td colspan='2'>Q4</td></tr></tbody></table>";
	expect(card(html).innerHTML).toBe(
		"<h2>Llama</h2><p>Built with <strong>care</strong> and <em>love</em>: <code>x</code></p>" +
			'<ul><li>one</li></ul><div class="rbee-card-table" tabindex="0"><table><tbody><tr>' +
			'<td colspan="2">Q4</td></tr></tbody></table></div>',
	);
});

test("a link leads to the web, in a page of its own that knows nothing of this one", () => {
	const link = card("<a href='https://example.org/x' ping=y onclick=z>paper</a>").querySelector(
		"a",
	);
	expect(link?.getAttribute("href")).toBe("https://example.org/x");
	expect(link?.target).toBe("_blank");
	expect(link?.rel).toBe("noopener noreferrer nofollow");
	expect(card("<a href='javascript:x'><b>words</b></a>").innerHTML).toBe("<b>words</b>");
});

test("no level of headings is left out", () => {
	const levels = [...card("<h3>a</h3><h1>b</h1><h6>c</h6><h2>d</h2>").children].map(
		({ tagName }) => tagName,
	);
	expect(levels).toEqual(["H2", "H2", "H3", "H3"]);
});

test("a card is bounded, however deep and long", () => {
	const deep = card(`${"<blockquote>".repeat(3000)}end`);
	expect(deep.querySelectorAll("*").length).toBeLessThan(40);
	expect(deep.textContent).toBe("end");
	expect(card("<b>x</b>".repeat(20_000)).querySelectorAll("*").length).toBeLessThanOrEqual(8000);
});

test("controls that turn text around are shown", () => {
	expect(card("<p>evil\u202egpj.exe</p>").textContent).toBe("evil⟨U+202E⟩gpj.exe");
});

test.each([
	["https://huggingface.co/x", "https://huggingface.co/x"],
	["http://127.0.0.1/x", "http://127.0.0.1/x"],
	["javascript:alert(1)", null],
	["x/y", null],
	["", null],
	[null, null],
])("%s leads to %s", (text, address) => expect(webAddress(text)).toBe(address));
