/** The rows of one model, shared by all its views in a page, and what its users asked for. */

import { createLink } from "./link.js";
import { closed, EMPTY, ends, isActive, opened, reduce } from "./rows.js";
import { recorded } from "./sparkline.js";

/** @typedef {import("./rows.js").Snapshot} Snapshot */
/** @typedef {import("./rows.js").Message} Message */
/** @typedef {import("./rows.js").Row} Row */
/** @typedef {import("./rows.js").End} End */
/** @typedef {import("./sparkline.js").Point} Point */

/**
 * The traits of `rbee_widgets.DownloadPanel` that the front end reads; Python alone sets them.
 * @typedef {object} Traits
 * @property {Snapshot} snapshot     the whole state, for new views, reload and saving
 * @property {boolean} show_header   false for the single row that a cell shows
 */

/** @typedef {import("@anywidget/types").AnyModel<Traits>} Model */

/** What a user may ask for. @typedef {"cancel" | "retry" | "clear"} Action */

/**
 * @typedef {import("./link.js").View<any> & {
 *   isOpen: (id: string) => boolean,
 * }} View   `isOpen`: whether it shows the narration of a row
 */

/** Milliseconds that a pressed button waits for its effect before it may be pressed again. */
const PENDING_MS = 10_000;

/** Ids in one message. */
const MOST_IDS = 5000;

/**
 * @param {object} [more]
 * @param {string[]} [more.traits]   further ones whose change repaints
 * @param {(model: import("@anywidget/types").AnyModel<any>) => void} [more.restored]  takes over what the further traits hold
 * @param {Record<string, (message: any) => void>} [more.kinds]  takes messages of further kinds
 * @param {() => object} [more.held]   what a `shown` tells beside the rows held
 * @param {(ended: End[]) => void} [more.applied]  after each change and once a second, in sight or not
 */
export function createStore({ traits = [], restored, kinds = {}, held, applied } = {}) {
	let state = EMPTY;
	/** Whether lines were missed since the last question. */
	let torn = false;
	/** @type {End[]} */
	let news = [];
	/** @type {Set<View>} */
	const views = new Set();
	/** @type {Map<string, { action: Action, status: Row["status"], until: number }>} */
	const pressed = new Map();
	/** @type {Map<string, Point[]>} */
	const speeds = new Map();

	const link = createLink({
		traits: ["snapshot", ...traits],
		restore(model) {
			const snapshot = model.get("snapshot");
			if (snapshot?.rows) apply({ kind: "snapshot", ...snapshot });
			restored?.(model);
			if (traits.length > 0) link.changed();
		},
		receive(message) {
			const take = kinds[message.kind] ?? apply;
			take(message);
		},
		held() {
			const open = Object.fromEntries(
				[...state.lines].map(([id, lines]) => [id, torn ? -1 : (lines.at(-1)?.n ?? -1)]),
			);
			torn = false;
			return { seq: state.seq, open, ...held?.() };
		},
		isWorking() {
			const first = state.rows.get(state.order[0] ?? "");
			return first !== undefined && isActive(first);
		},
		tick() {
			giveUp();
			applied?.([]);
		},
	});

	/** @param {Message} message */
	function apply(message) {
		const before = state;
		state = reduce(before, message);
		if (state.gap || (message.kind === "snapshot" && state.seq !== before.seq)) {
			torn = true; // no snapshot brings lines
			if (state.gap || state.lines.size > 0) link.ask();
		}
		if (state.rows === before.rows && state.lines === before.lines) return;
		const ended = ends(before, state);
		news.push(...ended);
		record(before);
		applied?.(ended);
		link.changed();
	}

	/** Notes the speeds that came, and drops what is over. @param {typeof state} before */
	function record(before) {
		for (const [id, row] of state.rows) {
			if (row === before.rows.get(id)) continue;
			const speed = row.retry || row.stalled_for !== null ? 0 : row.speed;
			if (row.status !== "downloading") speeds.delete(id);
			else if (speed !== null) speeds.set(id, recorded(speeds.get(id) ?? [], [state.at, speed]));
			if (pressed.get(id)?.status !== row.status) pressed.delete(id);
		}
		for (const map of [speeds, pressed]) {
			for (const id of map.keys()) if (!state.rows.has(id)) map.delete(id);
		}
	}

	/** What was pressed long ago without effect may be pressed again. */
	function giveUp() {
		const now = performance.now();
		for (const [id, { until }] of pressed) {
			if (until > now) continue;
			pressed.delete(id);
			link.changed();
		}
	}

	/** @param {Action} action @param {string[]} ids */
	function act(action, ids) {
		const until = performance.now() + PENDING_MS;
		for (let from = 0; from < ids.length; from += MOST_IDS) {
			const some = ids.slice(from, from + MOST_IDS);
			if (!link.send({ kind: action, ids: some })) break;
			for (const id of some) {
				const row = state.rows.get(id);
				if (row) pressed.set(id, { action, status: row.status, until });
			}
		}
		link.changed();
	}

	/**
	 * @param {View} view
	 * @returns {() => void} ends it
	 */
	function join(view) {
		views.add(view);
		const leave = link.join(view);
		return () => {
			views.delete(view);
			leave();
		};
	}

	/** From now on a row's narration is kept, and asked for. @param {string} id */
	function open(id) {
		if (state.lines.has(id)) return;
		state = opened(state, id);
		link.renew();
	}

	/** @param {string} id */
	function close(id) {
		for (const view of views) if (view.isOpen(id)) return;
		state = closed(state, id);
	}

	/** The ends that no view has announced yet: each is told once, however many views there are. */
	function takeNews() {
		const taken = news;
		news = [];
		return taken;
	}

	return {
		link,
		join,
		act,
		open,
		close,
		takeNews,
		/** What was asked of a row and has shown no effect yet. @param {string} id */
		pending: (id) => pressed.get(id)?.action ?? null,
		/** The speeds of the last minute of a row that is downloading. @param {string} id */
		speeds: (id) => speeds.get(id) ?? [],
		get state() {
			return state;
		},
	};
}

/** @typedef {ReturnType<typeof createStore>} Store */
