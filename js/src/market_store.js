/** The marketplace of one model, shared by all its views in a page, and what its users asked for. */

import { newest } from "./install.js";
import { EMPTY, reduce, restored } from "./market.js";
import { createOffers } from "./offers.js";
import { createStore } from "./store.js";

/** @typedef {import("./install.js").Offer} Offer */
/** @typedef {import("./market.js").File} File */
/** @typedef {import("./market.js").Message} Message */
/** @typedef {import("./rows.js").Row} Row */
/** @typedef {import("./search_form.js").Draft} Draft */

/** Milliseconds after which what was asked for, and hasn't come, is asked for again. */
const PATIENCE_MS = 10_000;

export function createMarketStore() {
	let state = EMPTY;
	/** The number of the newest search of this page. */
	let searched = 0;
	/** The stop of the context's slider that was chosen. @type {number | null} */
	let stop = null;
	/** What was asked for and hasn't come, until when. @type {Map<string, number>} */
	const waiting = new Map();
	/** One object for each file as long as what it says is the same. @type {Map<string, Offer>} */
	const offered = new Map();
	/** @type {ReturnType<typeof createOffers<Offer>>} */
	const offers = createOffers();
	/** The newest download of each file on the chosen hive. */
	let byName = { of: /** @type {object | null} */ (null), hive: "", rows: new Map() };

	const store = createStore({
		traits: ["market"],
		restored(model) {
			const held = model.get("market");
			if (state.rev < 0 && held?.set) state = restored(held);
		},
		kinds: { market: take },
		held: () => ({ rev: state.rev }),
		applied(ended) {
			for (const { row } of ended) {
				const offer = offered.get(row.name);
				if (row.status === "complete" && offer) offers.outdate(offer);
			}
			if (offers.settle(rowOf) || isCounting()) store.link.changed();
		},
	});

	/** @param {Message} message */
	function take(message) {
		const before = state;
		state = reduce(before, message);
		if (state.gap) store.link.ask();
		if (state === before) return;
		if (state.models !== before.models || state.trouble !== before.trouble) waiting.delete("more");
		for (const id of Object.keys(message.files ?? {})) waiting.delete(`files ${id}`);
		for (const id of Object.keys(message.cards ?? {})) waiting.delete(`card ${id}`);
		store.link.changed();
	}

	/** Whether something that is shown counts seconds. */
	function isCounting() {
		const isFailed = (/** @type {{ state: string }} */ files) => files.state === "error";
		return state.trouble !== null || [...state.files.values()].some(isFailed);
	}

	/** @param {string} name @returns {Row | null} */
	function rowOf(name) {
		const { rows } = store.state;
		const hive = state.hive?.id ?? "";
		if (byName.of !== rows || byName.hive !== hive) {
			/** @type {Map<string, Row>} */
			const found = new Map();
			for (const row of rows.values()) {
				// A download that has just begun may not know its hive.
				if (hive && row.hive && row.hive !== hive) continue;
				found.set(row.name, newest([row, found.get(row.name) ?? row]) ?? row);
			}
			byName = { of: rows, hive, rows: found };
		}
		return byName.rows.get(name) ?? null;
	}

	/** @param {File} file @returns {Offer} */
	function offerOf({ id, installed, place, error = null }) {
		const hive = state.hive?.id ?? "";
		const known = offered.get(id);
		const isSame =
			known?.installed === installed &&
			known.path === place &&
			known.error === error &&
			known.hive === hive;
		if (known && isSame) return known;
		/** @type {Offer} */
		const offer = { name: id, type: "model", hive, installed, path: place, error };
		offered.set(id, offer);
		return offer;
	}

	/** Asks for something, but not twice while it may be under way. @param {string} key @param {object} content */
	function ask(key, content) {
		const now = performance.now();
		if (now < (waiting.get(key) ?? 0)) return;
		if (store.link.send(content)) waiting.set(key, now + PATIENCE_MS);
	}

	return {
		store,
		get state() {
			return state;
		},
		/** What is waited for: the answer to a search, or a further page of it. */
		get awaited() {
			const { asked, searching, query, trouble, models } = state;
			const isAnswered = asked === query?.n;
			if (searched > asked || (!isAnswered && (searching || !trouble))) return "search";
			if (!searching) return null;
			return models.length > 0 ? "more" : "search";
		},
		/** Whether what is looked for is newer than what the results answer. */
		get isAhead() {
			return searched > (state.query?.n ?? 0);
		},
		get stop() {
			return Math.max(0, Math.min(stop ?? state.context, state.contexts.length - 1));
		},
		/** @param {number} to  an index of the stops: nobody need be asked what fits there */
		slide(to) {
			stop = to;
			store.link.changed();
		},
		/** @param {Draft} draft */
		search(draft) {
			// Above every number that any page has given.
			const n = Math.max(searched, state.asked, state.query?.n ?? 0) + 1;
			if (store.link.send({ kind: "search", page: store.link.page, n, ...draft })) searched = n;
			store.link.changed();
		},
		more() {
			const { query, more, searching, trouble } = state;
			if (!query || !more || searching || trouble || searched > query.n) return;
			ask("more", { kind: "more", page: store.link.page, n: query.n });
		},
		/** Asks for a further page again. */
		moreAgain() {
			waiting.delete("more");
			ask("more", { kind: "more", page: store.link.page, n: state.query?.n ?? 0 });
		},
		/** @param {"files" | "card"} kind @param {string} model */
		askFor(kind, model) {
			ask(`${kind} ${model}`, { kind, page: store.link.page, model });
		},
		/** @param {string} hive */
		choose(hive) {
			store.link.send({ kind: "hive", page: store.link.page, hive });
		},
		/** @param {string} model @param {File} file */
		fetch(model, file) {
			const content = { kind: "fetch", page: store.link.page, model, file: file.id };
			if (!store.link.send(content)) return;
			offers.ask(file.id, rowOf(file.id), offerOf(file));
			store.link.changed();
		},
		/** @param {File} file @returns {import("./install_view.js").Shown} */
		now(file) {
			const offer = offerOf(file);
			const row = rowOf(file.id);
			const { live, silence } = store.link;
			return {
				offer,
				row,
				pending: offers.isAsked(file.id, offer) ? "install" : row ? store.pending(row.id) : null,
				isFresh: offers.isOutdated(offer),
				live,
				silence,
				at: 0, // of when it is, is told once for all
			};
		},
	};
}

/** @typedef {ReturnType<typeof createMarketStore>} MarketStore */
