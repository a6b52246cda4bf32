/**
 * A model card: a stranger's markup, of which only what is named here gets into the page. Python has
 * cleaned it already; this asks nothing of that.
 */

import { h } from "./dom.js";
import { visible } from "./format.js";

/** What is copied, without its attributes. */
const COPIED = new Set(
	(
		"p br hr ul ol li dl dt dd blockquote pre code kbd samp em strong b i u s del ins sub sup " +
		"table thead tbody tfoot tr th td caption"
	).split(" "),
);

/** What is left out with all that is in it; of anything else the text is kept. */
const DROPPED = new Set(
	(
		"script style template noscript iframe frame frameset object embed applet svg math form input " +
		"button select textarea option audio video canvas head title link meta base img picture"
	).split(" "),
);

/** Elements of one card: as many as the longest known has, several times over. */
const MOST_NODES = 8000;

/** Elements in elements: a deeper one is flattened to its text. */
const MOST_DEPTH = 30;

/** The level of the highest heading: the first is the page's, and none is left out after that. */
const TOP = 2;

/**
 * @param {string} html
 * @returns {DocumentFragment}
 */
export function cleaned(html) {
	// Nothing of a document that DOMParser makes is loaded or run.
	const { body } = new DOMParser().parseFromString(html, "text/html");
	const to = document.createDocumentFragment();
	let left = MOST_NODES;
	let level = TOP - 1;

	/** @param {Node} from @param {Node} into @param {number} depth */
	function copyInside(from, into, depth) {
		for (const child of from.childNodes) {
			if (left <= 0) return;
			if (child.nodeType === Node.TEXT_NODE) {
				into.appendChild(document.createTextNode(visible(child.nodeValue ?? "")));
			} else if (child.nodeType === Node.ELEMENT_NODE) {
				copy(/** @type {Element} */ (child), into, depth);
			}
		}
	}

	/** @param {Element} from @param {Node} into @param {number} depth */
	function copy(from, into, depth) {
		const tag = from.localName;
		if (DROPPED.has(tag) || from.namespaceURI !== HTML) return;
		left -= 1;
		if (depth >= MOST_DEPTH) {
			into.appendChild(document.createTextNode(visible(from.textContent ?? "")));
			return;
		}
		const made = copyOf(from, tag);
		if (made) into.appendChild(made.outer);
		copyInside(from, made?.inner ?? into, depth + 1);
	}

	/** An empty one of its kind, or null where only what is in it counts. @param {Element} from @param {string} tag */
	function copyOf(from, tag) {
		if (/^h[1-6]$/.test(tag)) {
			// No level is left out, whatever the author did.
			level = Math.min(6, level + 1, TOP - 1 + Number(tag[1]));
			return alone(h(/** @type {"h2"} */ (`h${level}`)));
		}
		if (tag === "a") {
			const href = webAddress(from.getAttribute("href"));
			if (!href) return null;
			return alone(h("a", { href, target: "_blank", rel: "noopener noreferrer nofollow" }));
		}
		if (!COPIED.has(tag)) return null;
		const made = document.createElement(tag);
		if (tag === "td" || tag === "th") spans(from, made);
		if (tag !== "table") return alone(made);
		// What may have to be scrolled must be reached by keyboard.
		return { outer: h("div", { className: "rbee-card-table", tabIndex: 0 }, made), inner: made };
	}

	copyInside(body, to, 0);
	return to;
}

const HTML = "http://www.w3.org/1999/xhtml";

/** @param {HTMLElement} made */
function alone(made) {
	return { outer: made, inner: made };
}

/** @param {Element} from @param {HTMLElement} to */
function spans(from, to) {
	for (const name of ["colspan", "rowspan"]) {
		const count = Number(from.getAttribute(name));
		if (Number.isInteger(count) && count > 1 && count <= 100) to.setAttribute(name, String(count));
	}
}

/**
 * An address that may be a link: a whole one, of the web.
 * @param {string | null} text
 * @returns {string | null}
 */
export function webAddress(text) {
	if (!text || !URL.canParse(text)) return null;
	const url = new URL(text);
	return url.protocol === "https:" || url.protocol === "http:" ? url.href : null;
}
