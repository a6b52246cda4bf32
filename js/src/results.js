/** The list of results: built a few a frame, walked by keyboard, fetched on as it is scrolled. */

import { h } from "./dom.js";
import { createGroups } from "./groups.js";
import { createModel } from "./model.js";

/** @typedef {import("./market.js").Market} Market */
/** @typedef {import("./market.js").Model} Model */
/** @typedef {import("./files.js").Context} Context */

/** Results built in the first frame of an answer: a few more than are in sight, */
const FIRST = 20;

/** and in each one after it. */
const BUILT = 50;

/** Results that PageUp and PageDown pass over. */
const PAGE = 10;

/** Pixels from the end of the list at which a further page is asked for, */
const NEAR_PX = 800;

/** and results from it, where the focus goes. */
const NEAR = 8;

/**
 * @param {string} domId   unique in the page
 * @param {object} actions
 * @param {(kind: "files" | "card", model: string) => void} actions.ask
 * @param {() => void} actions.more      the end is near
 * @param {() => void} actions.leave     upwards, to the search box
 * @param {() => void} actions.changed   repaints
 */
export function createResults(domId, { ask, more, leave, changed }) {
	const list = h("div", {
		className: "rbee-list rbee-models",
		role: "list",
		"aria-label": "Models",
	});
	const groups = createGroups(list, () => {});
	/** @type {Map<string, ReturnType<typeof createModel>>} */
	const entries = new Map();
	/** What of them is painted. @type {WeakMap<ReturnType<typeof createModel>, Model>} */
	const painted = new WeakMap();
	/** The ids as they stand. @type {string[]} */
	let ids = [];
	/** The one that Tab reaches. */
	let current = "";
	let made = 0;
	let wasLive = false;
	let answered = -1;
	let scrolled = 0;
	/** @type {Market["models"] | null} */
	let last = null;

	list.onscroll = () => {
		scrolled = list.scrollTop;
		lookAhead();
	};

	function lookAhead() {
		const { scrollTop, clientHeight, scrollHeight } = list;
		if (clientHeight > 0 && scrollTop + clientHeight > scrollHeight - NEAR_PX) more();
	}

	/** @param {string} id */
	function entryFor(id) {
		const known = entries.get(id);
		if (known) return known;
		made += 1;
		const entry = createModel(id, `${domId}-${made}`, {
			toggled: () => {
				setCurrent(id);
				changed();
			},
			changed,
			ask: (kind) => ask(kind, id),
		});
		entries.set(id, entry);
		return entry;
	}

	/** @param {string} id */
	function setCurrent(id) {
		if (id === current) return;
		const before = entries.get(current);
		if (before) before.head.tabIndex = -1;
		current = id;
		const after = entries.get(current);
		if (after) after.head.tabIndex = 0;
	}

	/**
	 * @param {Market} state
	 * @param {boolean} live
	 * @param {(id: string) => Context} contextFor  of a model
	 * @returns {boolean} whether some results are yet to be built
	 */
	function paint(state, live, contextFor) {
		const n = state.query?.n ?? -1;
		const isAnew = n !== answered;
		if (isAnew) {
			answered = n;
			// Before anything changes: later it would have the page laid out once more.
			if (scrolled > 0) list.scrollTop = scrolled = 0;
		}
		const isAll = last === state.models && wasLive === live && ids.length === state.models.length;
		if (!isAll) paintList(state.models, live, isAnew ? FIRST : BUILT);
		for (const model of state.models) {
			const files = state.files.get(model.id);
			const entry = entries.get(model.id);
			if (!entry || !(entry.isOpen() || (!live && files))) continue;
			entry.paintDetails(model, files, state.cards.get(model.id), contextFor(model.id));
		}
		return ids.length < state.models.length;
	}

	/** @param {Model[]} models @param {boolean} live @param {number} left  to be built at most */
	function paintList(models, live, left) {
		const at = Date.now() / 1000;
		let count = 0;
		const built = models.filter(({ id }) => entries.has(id) || count++ < left);
		const nodes = built.map((model) => {
			const entry = entryFor(model.id);
			if (painted.get(entry) !== model || wasLive !== live) {
				painted.set(entry, model);
				entry.paint(model, live, at);
			}
			return entry.node;
		});
		last = models;
		wasLive = live;
		ids = built.map(({ id }) => id);
		const kept = new Set(ids);
		for (const id of entries.keys()) if (!kept.has(id)) entries.delete(id);
		groups.arrange(nodes);
		if (!kept.has(current)) setCurrent(ids[0] ?? "");
	}

	/** @param {string} id  of a result; its last stop if `isLast` @param {boolean} isLast */
	function focusOn(id, isLast = false) {
		const entry = entries.get(id);
		if (!entry) return;
		setCurrent(id);
		const stop = isLast ? entry.stops().at(-1) : entry.head;
		stop?.focus();
		if (ids.indexOf(id) >= ids.length - NEAR) more();
	}

	/** @param {number} place  cut to what there is */
	function focusAt(place) {
		focusOn(ids[Math.max(0, Math.min(place, ids.length - 1))] ?? "");
	}

	/** @param {string} id @param {Node} from @param {1 | -1} by */
	function step(id, from, by) {
		const entry = entries.get(id);
		const stops = entry?.stops() ?? [];
		const wanted = by > 0 ? Node.DOCUMENT_POSITION_FOLLOWING : Node.DOCUMENT_POSITION_PRECEDING;
		const beyond = stops.filter(
			(stop) => !stop.contains(from) && from.compareDocumentPosition(stop) & wanted,
		);
		const next = by > 0 ? beyond[0] : beyond.at(-1);
		if (next) {
			next.focus();
			return;
		}
		const place = ids.indexOf(id) + by;
		if (place < 0) leave();
		else focusOn(ids[Math.min(place, ids.length - 1)] ?? "", by < 0);
	}

	list.onkeydown = (event) => {
		const { key, target } = event;
		if (!(target instanceof HTMLElement) || event.ctrlKey || event.metaKey || event.altKey) return;
		const id = target.closest(".rbee-model")?.getAttribute("data-id") ?? "";
		const entry = entries.get(id);
		if (!entry) return;
		const place = ids.indexOf(id);
		// A card is scrolled by these keys, and a table in it.
		const isReading = target.closest(".rbee-card") !== null;
		if (key === "Escape") {
			if (!entry.isOpen()) leave();
			else {
				entry.toggle(false);
				entry.head.focus();
			}
		} else if (isReading) return;
		else if (key === "ArrowDown") step(id, target, 1);
		else if (key === "ArrowUp") step(id, target, -1);
		else if (key === "Home") focusAt(0);
		else if (key === "End") focusAt(ids.length - 1);
		else if (key === "PageDown") focusAt(place + PAGE);
		else if (key === "PageUp") focusAt(place - PAGE);
		else return;
		event.preventDefault();
		event.stopPropagation(); // the notebook has a use for these too
	};

	list.addEventListener("focusin", ({ target }) => {
		const model = target instanceof Element ? target.closest(".rbee-model") : null;
		if (model) setCurrent(model.getAttribute("data-id") ?? "");
	});

	return {
		node: list,
		paint,
		lookAhead,
		/** Gives the focus to the result that has it in turn. @returns {boolean} whether there is one */
		focus() {
			const entry = entries.get(current);
			entry?.head.focus();
			return entry !== undefined;
		},
		focusFirst: () => focusAt(0),
		/** A notebook takes out what is scrolled away, and a list that comes back is at its top. */
		appeared() {
			list.scrollTop = scrolled;
		},
	};
}
