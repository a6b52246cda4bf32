/** The narration of one opened row: a log of at most a thousand lines, each shown whole. */

import { arrange, h } from "./dom.js";
import { clock, oneLine, prose } from "./format.js";
import { levelOf, searcher, wordsOf } from "./lines.js";
import { createLine, createLog, doingOf, LEVEL_WORDS } from "./log.js";

/** @typedef {import("./lines.js").Line} Line */

/** @param {string} id  of the element, for `aria-controls` */
export function createNarration(id) {
	const list = h("div", {
		className: "rbee-lines-view",
		role: "list",
		"aria-label": "Newest first",
	});
	const box = h("div", { className: "rbee-lines" }, list);
	/** @type {Map<number, ReturnType<typeof createLine>>} */
	const painted = new Map();
	/** @type {Line[]} */
	let lines = [];
	/** @type {Line[]} */
	let shown = [];
	let text = "";
	let isFound = searcher(text);
	/** Number of the last line before a pause. */
	let last = Number.POSITIVE_INFINITY;

	const isPaused = () => last < Number.POSITIVE_INFINITY;
	const found = () => (text ? lines.filter((line) => isFound(wordsOf(line))) : lines);

	function sift() {
		shown = found().filter(({ n }) => n <= last);
	}

	function paintList() {
		const nodes = shown.map((line) => {
			const { n } = line;
			const item = painted.get(n) ?? createLine("listitem", partsOf);
			painted.set(n, item);
			item.paint(line);
			return item.node;
		});
		arrange(list, nodes.reverse());
		for (const n of painted.keys()) if (n < (lines[0]?.n ?? 0)) painted.delete(n);
		return nodes.length;
	}

	const sieve = {
		all: () => lines.length,
		waiting: () => (isPaused() ? found().filter(({ n }) => n > last).length : 0),
		found: () => shown,
		/** @param {string} now */
		search(now) {
			text = now.trim();
			isFound = searcher(text);
			sift();
		},
		/** @param {boolean} wanted */
		pause(wanted) {
			last = wanted ? (lines.at(-1)?.n ?? 0) : Number.POSITIVE_INFINITY;
			if (!wanted) sift();
		},
	};
	const log = createLog(id, sieve, { list, nodes: [box], paint: paintList });

	/** @param {Line[]} now  oldest first */
	function paint(now) {
		if (now === lines) return;
		lines = now;
		if (!isPaused()) sift();
		log.changed();
	}

	/** @param {string} name  of the download */
	function label(name) {
		log.label(`Narration of ${name}`);
	}

	return { node: log.node, paint, label, close: log.close };
}

/** @param {Line} line */
function partsOf(line) {
	return {
		time: `${clock(line.at)} `,
		level: `${LEVEL_WORDS[levelOf(line)]} `,
		action: `${oneLine(doingOf(line))} `,
		text: prose(line.text),
	};
}
