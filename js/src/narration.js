/** The narration of one opened row: a list of lines, newest at the bottom. */

import { h, setText } from "./dom.js";
import { clock, prose } from "./format.js";

/** @typedef {import("./rows.js").Line} Line */

/** Pixels from the end that still count as being there. */
const NEAR = 8;

/** @param {string} id  of the element, for `aria-controls` */
export function createNarration(id) {
	const empty = h("li", { className: "rbee-line rbee-line-empty" }, "No narration yet");
	const node = h("ol", { id, className: "rbee-narration", tabIndex: 0 }, empty);
	/** @type {Map<number, { node: HTMLElement, line: Line }>} */
	const painted = new Map();
	/** @type {Line[] | undefined} */
	let last;
	// Kept from scroll events, so that a paint needn't measure.
	let atEnd = true;

	node.onscroll = () => {
		atEnd = node.scrollHeight - node.scrollTop - node.clientHeight < NEAR;
	};

	/** @param {Line[]} lines */
	function paint(lines) {
		if (lines === last) return;
		last = lines;
		const kept = new Set(lines.map((line) => line.n));
		for (const [n, { node: old }] of painted) {
			if (kept.has(n)) continue;
			old.remove();
			painted.delete(n);
		}
		/** @type {Element | null} */
		let previous = null;
		for (const line of lines) {
			const old = painted.get(line.n);
			const current = old?.line === line ? old.node : lineNode(line);
			if (old && old.node !== current) old.node.replaceWith(current);
			else if (!old && previous) previous.after(current);
			else if (!old) node.prepend(current);
			painted.set(line.n, { node: current, line });
			previous = current;
		}
		if (lines.length > 0) empty.remove();
		else node.append(empty);
		if (atEnd) toEnd();
	}

	function toEnd() {
		atEnd = true;
		node.scrollTop = node.scrollHeight;
	}

	/** @param {string} name  of the download */
	function label(name) {
		node.setAttribute("aria-label", `Narration of ${name}`);
	}

	return { node, paint, toEnd, label };
}

/** @param {Line} line */
function lineNode({ at, action, text }) {
	const words = h("span", { className: "rbee-line-text" });
	setText(words, prose(text));
	return h(
		"li",
		{ className: "rbee-line" },
		h("span", { className: "rbee-line-time" }, clock(at)),
		" ",
		...(action ? [h("span", { className: "rbee-line-action" }, prose(action)), " "] : []),
		words,
	);
}
