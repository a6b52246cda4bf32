/** What a filter lets through of all narration, a slice at a time. Pure but for a look at the clock. */

import { createEntries } from "./entries.js";
import { LEVELS, levelOf, searcher } from "./lines.js";

/** @typedef {import("./entries.js").Entry} Entry */
/** @typedef {import("./entries.js").Entries} Entries */

/** Milliseconds that it takes at a time, of the sixteen that a frame has. */
const TURN_MS = 5;

/** Lines that are looked at between two looks at the clock. */
const AT_ONCE = 500;

/** @param {Entries} entries  kept by the caller, who tells of every change */
export function createSieve(entries) {
	/** Null: all. @type {{ job: string | null, actor: string | null, level: import("./lines.js").Level }} */
	const filter = { job: null, actor: null, level: "debug" };
	let isFound = searcher("");
	let shown = createEntries();
	/** Number of the last line before the pause. @type {number | null} */
	let paused = null;
	/** Number below which no line was looked at yet. */
	let unsifted = Number.POSITIVE_INFINITY;

	/** @param {Entry} entry */
	function matches(entry) {
		const { job, actor, level } = filter;
		if (job !== null && entry.d !== job) return false;
		if (actor !== null && entry.actor !== actor) return false;
		if (LEVELS.indexOf(levelOf(entry)) > LEVELS.indexOf(level)) return false;
		return isFound(entry.words);
	}

	const isDone = () => unsifted === Number.NEGATIVE_INFINITY;

	/** @param {number} [until]  number of a line to get to at once */
	function begin(until) {
		shown = createEntries();
		unsifted = (paused ?? Number.POSITIVE_INFINITY) + 1;
		go(until);
	}

	/**
	 * Goes on from the newest lines down, for as long as no key press or frame would be late.
	 * @param {number} [until]  number of a line that it gets to in any case
	 */
	function go(until = Number.POSITIVE_INFINITY) {
		const end = performance.now() + TURN_MS;
		while (!isDone() && (unsifted > until || performance.now() < end)) {
			const to = entries.rank(unsifted);
			const from = Math.max(0, to - AT_ONCE);
			shown.insert(entries.slice(from, to).filter(matches));
			unsifted = from > 0 ? (entries.at(from)?.n ?? 0) : Number.NEGATIVE_INFINITY;
		}
	}

	begin();

	return {
		filter,
		begin,
		go,
		isDone,
		/** Takes lines that are new or replaced. @param {Entry[]} changes */
		take(changes) {
			if (paused !== null) return;
			const due = changes.filter(({ n }) => n >= unsifted); // the turn of others comes
			shown.add(due.filter(matches));
			for (const entry of due) if (!matches(entry)) shown.remove(entry.n);
			shown.dropBelow(entries.at(0)?.n ?? 0);
		},
		/** @param {string} text @param {number} [until]  number of a line to get to at once */
		search(text, until) {
			isFound = searcher(text);
			begin(until);
		},
		/** Nothing moves from here on, or again. @param {boolean} wanted @param {number} [until] */
		pause(wanted, until) {
			paused = wanted ? (entries.at(entries.size - 1)?.n ?? 0) : null;
			if (!wanted) begin(until);
		},
		/** How many lines wait for the end of the pause. */
		waiting() {
			if (paused === null) return 0;
			return entries.slice(entries.rank(paused + 1)).filter(matches).length;
		},
		/** All that it lets through, oldest first. */
		found() {
			go(Number.NEGATIVE_INFINITY);
			return shown.slice();
		},
		/** Of how many lines. */
		all() {
			if (paused === null) return entries.size;
			return Math.max(shown.size, entries.rank(paused + 1)); // what is dropped still stands there
		},
		get shown() {
			return shown;
		},
	};
}
