/** The state of the downloads, reduced from what Python sends. Pure: no DOM, no model, no clock. */

/**
 * @typedef {"queued" | "downloading" | "finishing" | "cancelling" | "complete" | "cancelled" | "failed" | "interrupted"} Status
 */

/**
 * One download, as Python describes it. Null is: not known, or doesn't apply.
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
 * @property {[number, number] | null} [eta_range]  seconds at best and at worst, in eight of ten cases
 * @property {number | null} stalled_for  seconds without a byte; set only when it is a stall
 * @property {{ number: number, of: number, in: number } | null} [retry]  the coming try, and in how many seconds
 * @property {string | null} error
 * @property {string | null} hint         the way out, a sentence
 * @property {string | null} note         the latest line of narration
 * @property {string | null} [remark]     what it has been through
 * @property {string | null} path
 * @property {number} created_at          unix seconds
 */

/**
 * One line of a row's narration. A later line with the same `n` replaces it.
 * @typedef {{ n: number, at: number, action: string | null, text: string }} Line
 */

/** @typedef {{ seq: number, at: number, rows: Row[] }} Snapshot */

/**
 * @typedef {{ kind: "snapshot" } & Snapshot
 *   | { kind: "delta", seq: number, at: number, rows: Row[], lines?: Record<string, Line[]> }
 *   | { kind: "narration", id: string, lines: Line[] }} Message
 */

/**
 * @typedef {object} State
 * @property {number} seq                  of the last delta that is in it
 * @property {number} at                   unix seconds: when it was so
 * @property {Map<string, Row>} rows       an unchanged row stays the same object
 * @property {string[]} order              ids, top row first
 * @property {Map<string, Line[]>} lines   narration of the opened rows; no entry: not opened
 * @property {number | null} gap           `at` of the delta at which a snapshot is to be asked for
 */

/** Lines kept of one row's narration. */
export const MOST_LINES = 1000;

/** Seconds until a snapshot that was asked for and never came is asked for again. */
const PATIENCE = 2;

/** @type {State} */
export const EMPTY = { seq: -1, at: 0, rows: new Map(), order: [], lines: new Map(), gap: null };

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
 * The state after a message. A message that changes nothing gives back the same state.
 * @param {State} state
 * @param {Message} message
 * @returns {State}
 */
export function reduce(state, message) {
	if (message.kind === "snapshot") return withSnapshot(state, message);
	if (message.kind === "delta") return withDelta(state, message);
	if (message.kind === "narration" && state.lines.has(message.id)) {
		return { ...state, lines: new Map(state.lines).set(message.id, merged([], message.lines)) };
	}
	return state;
}

/** @param {State} state @param {Snapshot} snapshot @returns {State} */
export function withSnapshot(state, { seq, at, rows }) {
	if (seq < state.seq) return state;
	return ordered(state, {
		...state,
		seq,
		at,
		rows: new Map(rows.map((row) => [row.id, kept(state.rows.get(row.id), row)])),
		gap: null,
	});
}

/** @param {State} state @param {Extract<Message, { kind: "delta" }>} delta @returns {State} */
function withDelta(state, { seq, at, rows, lines = {} }) {
	if (seq <= state.seq) {
		// A snapshot has overtaken it, but a snapshot holds no narration.
		const kept = withLines(state.lines, lines);
		return kept === state.lines ? state : { ...state, lines: kept };
	}
	if (seq !== state.seq + 1) {
		const asked = state.gap !== null && at - state.gap < PATIENCE;
		return asked ? state : { ...state, gap: at };
	}
	const after = new Map(state.rows);
	for (const row of rows) after.set(row.id, kept(after.get(row.id), row));
	return ordered(state, { ...state, seq, at, rows: after, lines: withLines(state.lines, lines) });
}

/**
 * The row before, if nothing in it changed: then nobody needs to look at it again.
 * @param {Row | undefined} before
 * @param {Row} after
 */
function kept(before, after) {
	if (!before) return after;
	const names = /** @type {(keyof Row)[]} */ (Object.keys(after));
	return names.every((name) => isSame(before[name], after[name])) ? before : after;
}

/** @param {Row[keyof Row]} a @param {Row[keyof Row]} b */
function isSame(a, b) {
	if (!Array.isArray(a) || !Array.isArray(b)) return a === b;
	return a[0] === b[0] && a[1] === b[1];
}

/** @param {State} before @param {State} after @returns {State} */
function ordered(before, after) {
	if (before.rows.size === after.rows.size && keepsOrder(before.rows, after.rows)) return after;
	const rows = [...after.rows.values()];
	rows.sort(
		(a, b) =>
			GROUP[a.status] - GROUP[b.status] ||
			b.created_at - a.created_at ||
			(a.id < b.id ? 1 : a.id > b.id ? -1 : 0),
	);
	return { ...after, order: rows.map((row) => row.id) };
}

/** @param {Map<string, Row>} before @param {Map<string, Row>} after */
function keepsOrder(before, after) {
	for (const [id, row] of after) {
		const old = before.get(id);
		if (old === row) continue;
		if (!old || GROUP[old.status] !== GROUP[row.status] || old.created_at !== row.created_at) {
			return false;
		}
	}
	return true;
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
 * What the header says. The time left is that of the row that takes longest.
 * @param {State} state
 * @returns {{ active: number, speed: number | null, eta: number | null }}
 */
export function summary(state) {
	let active = 0;
	/** @type {number | null} */
	let speed = null;
	/** @type {number | null} */
	let eta = null;
	for (const id of state.order) {
		const row = state.rows.get(id);
		if (!row || !isActive(row)) break; // the active rows come first
		active += 1;
		if (row.retry || row.stalled_for !== null) continue;
		if (row.speed !== null) speed = (speed ?? 0) + row.speed;
		if (row.eta !== null) eta = Math.max(eta ?? 0, row.eta);
	}
	return { active, speed, eta };
}

/** Whether a row must say which hive it is on. @param {State} state */
export function hasManyHives(state) {
	let first = null;
	for (const { hive } of state.rows.values()) {
		if (first === null) first = hive;
		else if (hive !== first) return true;
	}
	return false;
}

/** @type {Partial<Record<Status, string>>} */
const ENDS = { complete: "is complete", failed: "failed", cancelled: "was cancelled" };

/**
 * What to tell somebody who doesn't look: the downloads that ended between two states, in words.
 * A row that is over when it is first seen is old news.
 * @param {State} before
 * @param {State} after
 * @returns {{ name: string, end: string }[]}
 */
export function ends(before, after) {
	const found = [];
	for (const [id, row] of after.rows) {
		const old = before.rows.get(id);
		const end = ENDS[row.status];
		if (old && old !== row && old.status !== row.status && end) found.push({ name: row.name, end });
	}
	return found;
}
