/** All narration, kept in the order of its numbers. Pure: no DOM, no clock. */

import { wordsOf } from "./lines.js";

/** @typedef {import("./lines.js").Job} Job */
/** @typedef {import("./lines.js").Line} Line */

/** A line, and what a filter looks for words in. @typedef {Line & { words: string }} Entry */

/** @typedef {ReturnType<typeof createEntries>} Entries */

/** Lines kept of all narration. */
export const MOST = 50_000;

/** Entries at the front that may be dead before they are cut off: each cut copies the list. */
const SLACK = 4096;

/**
 * The latest so many entries, oldest first. What a change costs grows with what changed: only lines
 * that belong below or between those held (older ones that are fetched) have the list built anew.
 */
export function createEntries(most = MOST) {
	/** @type {Entry[]} */
	let list = [];
	let start = 0; // what lies before it is dropped

	/** @param {number} i */
	const at = (i) => list[start + i];

	const size = () => list.length - start;

	/** How many have a lower number. @param {number} n */
	function rank(n) {
		let low = start;
		let high = list.length;
		while (low < high) {
			const middle = (low + high) >> 1;
			if (/** @type {Entry} */ (list[middle]).n < n) low = middle + 1;
			else high = middle;
		}
		return low - start;
	}

	/** @param {number} n */
	function get(n) {
		const entry = at(rank(n));
		return entry?.n === n ? entry : undefined;
	}

	/**
	 * @param {Iterable<Entry>} added
	 * @returns {Entry[]} those that are new here, or other than before
	 */
	function add(added) {
		/** @type {Entry[]} */
		const changed = [];
		/** @type {Map<number, Entry>} */
		const strays = new Map();
		for (const entry of added) {
			const { n } = entry;
			const place = rank(n);
			const held = at(place);
			if (!held) list.push(entry);
			else if (held.n !== n) strays.set(n, entry);
			else if (isNewer(entry, held)) list[start + place] = entry;
			else continue;
			changed.push(entry);
		}
		if (strays.size > 0) insert([...strays.values()].sort(byNumber));
		dropFirst(size() - most);
		return changed;
	}

	/** @param {Entry[]} run  in order, of numbers that aren't held */
	function insert(run) {
		if (run.length === 0) return;
		const isBelow = (run.at(-1)?.n ?? 0) < (at(0)?.n ?? Number.POSITIVE_INFINITY);
		list = [...run, ...list.slice(start)];
		start = 0;
		if (!isBelow) list.sort(byNumber); // two runs in order, which it does little more than join
	}

	/** @param {number} n */
	function remove(n) {
		const place = rank(n);
		if (at(place)?.n === n) list.splice(start + place, 1);
	}

	/** @param {number} count */
	function dropFirst(count) {
		if (count <= 0) return;
		start += Math.min(count, size());
		if (start < SLACK) return;
		list = list.slice(start);
		start = 0;
	}

	/** Those from one place to before another, counted from the oldest. @param {number} [from] @param {number} [to] */
	const slice = (from = 0, to = size()) => list.slice(start + from, start + to);

	return {
		at,
		rank,
		get,
		add,
		remove,
		slice,
		insert,
		/** Drops those whose number is lower. @param {number} n */
		dropBelow: (n) => dropFirst(rank(n)),
		get size() {
			return size();
		},
		most,
	};
}

/**
 * @typedef {{ kind: "lines", since: number, rev: number, at: number, lines: Line[], jobs?: Record<string, Job>, end?: boolean }} Lines
 *   those of revisions above `since`; since -1: the newest there are; end: and no others
 * @typedef {{ kind: "older", before: number, lines: Line[], jobs?: Record<string, Job>, end: boolean }} Older
 *   the newest below a revision; end: nothing older is kept
 * @typedef {{ kind: "beat", rev: number, at: number }} Beat
 * @typedef {Lines | Older | Beat} Message
 */

/** All narration as Python tells it, piece by piece. @param {number} [most] */
export function createHistory(most = MOST) {
	const entries = createEntries(most);
	/** @type {Map<string, Job>} */
	const jobs = new Map();
	let rev = -1;
	let at = 0;
	/** From this revision up to `rev` nothing is missing. */
	let oldest = 0;
	let ended = false;

	/** @param {Line[]} lines @param {Record<string, Job>} [about] */
	function take(lines, about = {}) {
		for (const [d, job] of Object.entries(about)) jobs.set(d, job);
		return entries.add(
			lines.map((line) => ({ ...line, words: wordsOf(line, jobs.get(line.d ?? "")) })),
		);
	}

	/** @param {Line[]} lines @param {number} above  where there are none */
	function lowest(lines, above) {
		return lines.reduce((low, line) => Math.min(low, line.rev ?? low), above);
	}

	/** @param {Lines} message */
	function takeLines({ since, rev: last, lines, jobs: about, end = false }) {
		const first = lowest(lines, last + 1);
		if (since > rev) return [];
		if (since < 0 && first > rev + 1) {
			// More was told meanwhile than comes at once: from here on downwards it is asked for anew.
			oldest = first;
			ended = end || lines.length === 0;
		}
		rev = Math.max(rev, last);
		return take(lines, about);
	}

	/** @param {Older} message */
	function takeOlder({ before, lines, jobs: about, end }) {
		if (before < oldest) return []; // to another page, which is further; between would be a hole
		oldest = lowest(lines, oldest);
		ended ||= end || lines.length === 0;
		return take(lines, about);
	}

	/**
	 * @param {Message} message
	 * @returns {{ changed: Entry[], missed: boolean }} the entries that are new or replaced, and
	 *   whether something before them is missing
	 */
	function receive(message) {
		if ("at" in message) at = Math.max(at, message.at);
		if (message.kind === "beat") return { changed: [], missed: message.rev > rev };
		if (message.kind === "older") return { changed: takeOlder(message), missed: false };
		return { missed: message.since > rev, changed: takeLines(message) };
	}

	return {
		entries,
		jobs,
		receive,
		get rev() {
			return rev;
		},
		/** When it was so, in unix seconds. */
		get at() {
			return at;
		},
		/** Below which revision there is more to ask for; null: nothing. */
		get before() {
			return rev < 0 || ended || entries.size >= most ? null : oldest;
		},
	};
}

/** @param {Entry} a @param {Entry} b */
function byNumber(a, b) {
	return a.n - b.n;
}

/** @param {Line} line @param {Line} held  of the same number */
function isNewer(line, held) {
	if (line === held) return false;
	return line.rev === undefined || held.rev === undefined || line.rev > held.rev;
}
