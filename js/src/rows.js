/** The state of the downloads, reduced from what Python sends. Pure: no DOM, no model, no clock. */

/**
 * @typedef {"queued" | "downloading" | "finishing" | "cancelling" | "complete" | "cancelled" | "failed" | "interrupted"} Status
 */

/**
 * One download. Null is: not known, or doesn't apply; Python leaves such fields out.
 * @typedef {object} Row
 * @property {string} id
 * @property {string | null} job_id
 * @property {string} name
 * @property {"model" | "worker"} type
 * @property {string} hive
 * @property {Status} status
 * @property {number} bytes_downloaded
 * @property {number | null} total_size
 * @property {number | null} percentage   0 to 100
 * @property {number | null} speed        bytes per second
 * @property {number | null} eta          seconds
 * @property {[number, number] | null} eta_range  seconds at best and at worst, in eight of ten cases
 * @property {number | null} stalled_for  seconds without a byte; set only when it is a stall
 * @property {{ number: number, of: number, in: number } | null} retry  the coming try, and in how many seconds
 * @property {string | null} error
 * @property {string | null} hint         the way out, a sentence
 * @property {string | null} note         the latest line of narration
 * @property {string | null} remark       what it has been through
 * @property {string | null} path
 * @property {number} created_at          unix seconds
 */

/** What Python leaves out of a row. */
const NULLS = {
	job_id: null,
	total_size: null,
	percentage: null,
	speed: null,
	eta: null,
	eta_range: null,
	stalled_for: null,
	retry: null,
	error: null,
	hint: null,
	note: null,
	remark: null,
	path: null,
};

/** @typedef {Omit<Row, keyof typeof NULLS> & Partial<Row>} SentRow */

/**
 * One line of a row's narration. A later line with the same `n` replaces it.
 * @typedef {object} Line
 * @property {number} n
 * @property {number} at      unix seconds
 * @property {string | null} [action]
 * @property {string} text
 * @property {"error" | "warn" | "info" | "debug"} level   passing figures are "debug"
 * @property {string | null} [actor]
 */

/** @typedef {{ seq: number, at: number, rows: SentRow[] }} Snapshot */

/**
 * What Python sends. A delta holds what changed after `since` up to `seq`, its rows whole.
 * @typedef {{ lines?: Record<string, Line[]> } & (
 *   | { kind: "snapshot" } & Snapshot
 *   | { kind: "delta", since: number, seq: number, at: number, rows: SentRow[], gone?: string[] }
 *   | { kind: "beat", seq: number, at: number })} Message
 */

/**
 * @typedef {object} State
 * @property {number} seq                  of the last change that is in it
 * @property {number} at                   unix seconds: when it was so
 * @property {Map<string, Row>} rows       an unchanged row stays the same object
 * @property {string[]} order              ids, top row first
 * @property {Map<string, Line[]>} lines   narration of the opened rows; no entry: not opened
 * @property {boolean} gap                 whether changes are known to be missing
 */

/** Lines kept of one row's narration. */
export const MOST_LINES = 1000;

/** @type {State} */
export const EMPTY = {
	seq: -1,
	at: 0,
	rows: new Map(),
	order: [],
	lines: new Map(),
	gap: false,
};

/** @type {Record<Status, number>} */
const GROUP = {
	queued: 0,
	downloading: 0,
	finishing: 0,
	cancelling: 0,
	failed: 1,
	cancelled: 1,
	interrupted: 1,
	complete: 2,
};

/** @type {Record<Status, ("cancel" | "cancelling" | "retry" | "clear")[]>} */
const BUTTONS = {
	queued: ["cancel"],
	downloading: ["cancel"],
	finishing: ["cancel"],
	cancelling: ["cancelling"],
	complete: ["clear"],
	cancelled: ["retry", "clear"],
	failed: ["retry", "clear"],
	interrupted: ["retry", "clear"],
};

/** Whether the hive still works on it. @param {Row} row */
export function isActive(row) {
	return GROUP[row.status] === 0;
}

/** What a user may do with a row. @param {Row} row */
export function buttons(row) {
	return BUTTONS[row.status];
}

/**
 * How far a row is, as it may be shown: 100 is for what is complete.
 * @param {Row} row
 * @returns {number | null} 0 to 100
 */
export function shownPercentage(row) {
	if (row.status === "complete") return 100;
	if (row.percentage === null) return null;
	return Math.min(99.9, Math.max(0, row.percentage));
}

/**
 * The state after a message. What doesn't change stays the same object.
 * @param {State} state
 * @param {Message} message
 * @returns {State}
 */
export function reduce(state, message) {
	const after = withRows(state, message);
	const lines = withLines(after.lines, message.lines ?? {});
	return lines === after.lines ? after : { ...after, lines };
}

/** @param {State} state @param {Message} message @returns {State} */
function withRows(state, message) {
	const { kind, seq, at } = message;
	if (kind === "beat") {
		if (seq < state.seq) return state;
		return seq === state.seq ? { ...state, at } : { ...state, gap: true };
	}
	if (kind === "snapshot") {
		if (seq < state.seq) return state;
		const sent = message.rows.map((row) => filled(state, row));
		const isSame =
			sent.length === state.rows.size && sent.every((row) => state.rows.get(row.id) === row);
		const rows = isSame ? state.rows : new Map(sent.map((row) => [row.id, row]));
		return ordered({ ...state, seq, at, rows, gap: false });
	}
	if (seq <= state.seq) return state;
	if (state.seq < message.since) return { ...state, gap: true };
	const rows = new Map(state.rows);
	for (const row of message.rows) rows.set(row.id, filled(state, row));
	for (const id of message.gone ?? []) rows.delete(id);
	const after = { ...state, seq, at, rows, gap: false };
	const isInOrder =
		rows.size === state.rows.size && message.rows.every(({ id }) => hasKeptPlace(id, state, after));
	return isInOrder ? after : ordered(after);
}

/**
 * A row as it was sent, with what was left out; or the row before, if nothing in it changed: then
 * nobody needs to look at it again.
 * @param {State} state
 * @param {SentRow} sent
 * @returns {Row}
 */
function filled(state, sent) {
	const after = { ...NULLS, ...sent };
	const before = state.rows.get(sent.id);
	if (!before) return after;
	const names = /** @type {(keyof Row)[]} */ (Object.keys(after));
	return names.every((name) => isSame(before[name], after[name])) ? before : after;
}

/** @param {Row[keyof Row]} a @param {Row[keyof Row]} b */
function isSame(a, b) {
	return a === b || (typeof a === "object" && JSON.stringify(a) === JSON.stringify(b));
}

/** @param {string} id @param {State} before @param {State} after */
function hasKeptPlace(id, before, after) {
	const [a, b] = [before.rows.get(id), after.rows.get(id)];
	return a?.status === b?.status && a?.created_at === b?.created_at;
}

/** @param {State} state @returns {State} */
function ordered(state) {
	const rows = [...state.rows.values()].sort(
		(a, b) =>
			GROUP[a.status] - GROUP[b.status] ||
			b.created_at - a.created_at ||
			(a.id < b.id ? 1 : a.id > b.id ? -1 : 0),
	);
	return { ...state, order: rows.map((row) => row.id) };
}

/** @param {Map<string, Line[]>} before @param {Record<string, Line[]>} added */
function withLines(before, added) {
	const opened = Object.entries(added).filter(([id]) => before.has(id));
	if (opened.length === 0) return before;
	const after = new Map(before);
	for (const [id, lines] of opened) after.set(id, merged(before.get(id) ?? [], lines));
	return after;
}

/** @param {Line[]} before @param {Line[]} added @returns {Line[]} the newest, oldest first */
function merged(before, added) {
	const lines = new Map(before.map((line) => [line.n, line]));
	for (const line of added) lines.set(line.n, line);
	return [...lines.values()].sort((a, b) => a.n - b.n).slice(-MOST_LINES);
}

/** From now on the narration of a row is kept. @param {State} state @param {string} id @returns {State} */
export function opened(state, id) {
	if (state.lines.has(id)) return state;
	return { ...state, lines: new Map(state.lines).set(id, []) };
}

/** @param {State} state @param {string} id @returns {State} */
export function closed(state, id) {
	const lines = new Map(state.lines);
	lines.delete(id);
	return { ...state, lines };
}

/**
 * What the header says. The time left is that of the row that takes longest; how far all are
 * together counts by size where every size is known.
 * @param {State} state
 * @returns {{ active: number, speed: number | null, eta: number | null, percentage: number | null }}
 */
export function summary(state) {
	let active = 0;
	/** @type {number | null} */
	let speed = null;
	/** @type {number | null} */
	let eta = null;
	/** @type {[number, number | null][]} */
	const shares = [];
	for (const id of state.order) {
		const row = state.rows.get(id);
		if (!row || !isActive(row)) break; // the active rows come first
		active += 1;
		const percentage = shownPercentage(row);
		if (percentage !== null) shares.push([percentage, row.total_size]);
		if (row.retry || row.stalled_for !== null) continue;
		if (row.speed !== null) speed = (speed ?? 0) + row.speed;
		if (row.eta !== null) eta = Math.max(eta ?? 0, row.eta);
	}
	return { active, speed, eta, percentage: mean(shares) };
}

/** @param {[number, number | null][]} shares  figures and their weights @returns {number | null} */
function mean(shares) {
	const weighted = shares.every(([, weight]) => weight);
	let sum = 0;
	let weights = 0;
	for (const [figure, weight] of shares) {
		const counts = weighted ? (weight ?? 0) : 1;
		sum += counts * figure;
		weights += counts;
	}
	return weights > 0 ? sum / weights : null;
}

/** Whether a row must say which hive it is on. @param {State} state */
export function hasManyHives(state) {
	const hives = new Set([...state.rows.values()].map((row) => row.hive));
	hives.delete(""); // not found yet
	return hives.size > 1;
}

/** @type {Partial<Record<Status, string>>} */
const ENDS = { complete: "is complete", failed: "failed", cancelled: "was cancelled" };

/** @typedef {{ row: Row, words: string }} End   how a download ended */

/**
 * What to tell somebody who doesn't look: the downloads that ended between two states. A row that
 * is over when it is first seen is old news.
 * @param {State} before
 * @param {State} after
 * @returns {End[]}
 */
export function ends(before, after) {
	const found = [];
	for (const [id, row] of after.rows) {
		const old = before.rows.get(id);
		const words = ENDS[row.status];
		if (old && old !== row && old.status !== row.status && words) found.push({ row, words });
	}
	return found;
}
