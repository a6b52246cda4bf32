/** The panel of downloads: `rbee_widgets.DownloadPanel` in the browser. */

import { createAttention, endWords } from "./attention.js";
import { arrange, button, h, setAttribute, setText } from "./dom.js";
import { ago, counted, duration, moment, oneLine, speed } from "./format.js";
import { createGroups } from "./groups.js";
import { keepKeys } from "./keys.js";
import { searcher } from "./lines.js";
import { createOptions } from "./options.js";
import { createRow, stateWords } from "./row.js";
import { buttons, hasManyHives, summary } from "./rows.js";
import { createStore } from "./store.js";

/** @typedef {import("./attention.js").Attention} Attention */
/** @typedef {import("./rows.js").Row} Row */
/** @typedef {import("./store.js").Action} Action */
/** @typedef {import("./store.js").Traits} Traits */
/** @typedef {import("./store.js").Store} Store */
/** @typedef {import("./store.js").Model} Model */

/** Complete rows shown before the rest folds away. */
const UNFOLDED = 3;

/** Rows that need no filter. */
const FEW = 10;

/** Rows built in one frame. */
const BUILT = 50;

/** Rows out of sight whose figures are brought up to date in one frame. */
const DUE = 20;

/** Milliseconds after a page has scrolled in which it counts as scrolling, */
const SCROLLING_MS = 150;

/** and that what has changed waits meanwhile: nobody reads figures that fly past. */
const WAITS_MS = 400;

/** Milliseconds after the last key, until what the filter found is told. */
const TYPING_MS = 500;

/** Milliseconds that a pressed button of the header stays, so that no second click meets another. */
const STAY_MS = 600;

/**
 * @param {Store} store
 * @param {Attention} attention
 * @param {Model} model  as this view has it
 * @param {HTMLElement} el
 * @returns {() => void} takes the view down
 */
function show(store, attention, model, el) {
	const { link } = store;
	const isFull = model.get("show_header") !== false;
	// Ids must differ between all panels of a page, and each may have its own copy of this module.
	const domId = `rbee-${Math.random().toString(36).slice(2)}`;

	const heading = h("span", "rbee-heading", "Downloads");
	const count = h("span", "rbee-summary");
	const asOf = h("time", "rbee-as-of");
	const busy = h("span", "rbee-busy");
	const filter = h("input", {
		type: "search",
		className: "rbee-field rbee-filter",
		placeholder: "Filter",
		"aria-label": "Filter downloads",
		spellcheck: false,
		autocomplete: "off",
	});
	const matches = h("span", "rbee-matches");
	const search = h("div", "rbee-finder", filter, matches);
	const clearAll = button("rbee-clear-finished");
	const cancelAll = button("rbee-cancel-all");
	const announcer = h("div", {
		className: "rbee-announcer",
		role: "status",
		"aria-live": "polite",
	});
	const options = createOptions(`${domId}-options`, attention, link.changed, say);
	const tools = h("div", "rbee-tools");
	const header = h("div", "rbee-header", heading, count, tools);

	const empty = h(
		"p",
		"rbee-empty",
		"No downloads yet. Start one with ",
		h("code", {}, "%download org/repo:file.gguf"),
	);
	const showAll = button("", "Show all");
	const unmatched = h("span", "rbee-unmatched");
	const nothing = h("p", "rbee-empty", unmatched, showAll);
	const list = h("div", { className: "rbee-list", role: "list", "aria-label": "Downloads" });
	const groups = createGroups(list, changed);
	const more = button("rbee-more");
	const panel = h("div", { className: "rbee-panel", tabIndex: -1, "data-live": "no" });

	/** @type {Map<string, ReturnType<typeof createRow>>} */
	const rows = new Map();
	let made = 0;
	let frame = 0;
	let typing = 0;
	let waiting = 0;
	let scrolledAt = Number.NEGATIVE_INFINITY;
	/** The button of the header that was just pressed. @type {HTMLElement | null} */
	let pressed = null;
	let staying = 0;
	/** The ids that the header's buttons are about: what the filter lets through, folded or not. */
	let active = /** @type {string[]} */ ([]);
	let finished = /** @type {string[]} */ ([]);
	/** The place of the row whose figures are due next, if it is out of sight. */
	let turn = 0;
	let unfolded = false;
	let scrolled = 0;

	list.onscroll = () => {
		scrolled = list.scrollTop;
	};
	more.onclick = () => {
		unfolded = !unfolded;
		paint();
	};
	showAll.onclick = () => setFilter("");
	cancelAll.onclick = () => press(cancelAll, "cancel", active);
	clearAll.onclick = () => press(clearAll, "clear", finished);
	filter.oninput = filtered;
	filter.onkeydown = (event) => {
		if (event.key !== "Escape" || !filter.value) return;
		event.preventDefault();
		event.stopPropagation(); // the notebook has a use for Escape too
		setFilter("");
	};

	function filtered() {
		paint();
		clearTimeout(typing);
		typing = window.setTimeout(() => say(foundWords()), TYPING_MS);
	}

	/** @param {string} text */
	function setFilter(text) {
		filter.value = text;
		filter.focus();
		filtered();
	}

	/** @param {string} words  for ears */
	function say(words) {
		announcer.replaceChildren(h("p", {}, words));
	}

	/** @param {string} id */
	function rowFor(id) {
		const known = rows.get(id);
		if (known) return known;
		made += 1;
		const row = createRow(id, `${domId}-${made}`, {
			send: (action) => store.act(action, [id]),
			toggled: (open) => {
				if (open) store.open(id);
				else store.close(id);
				paint();
			},
			say,
		});
		rows.set(id, row);
		return row;
	}

	/** The ids that the filter lets through, top row first. */
	function found() {
		const { order, rows: all } = store.state;
		if (!filter.value.trim()) return order;
		const isFound = searcher(filter.value);
		return order.filter((id) => {
			const row = /** @type {Row} */ (all.get(id));
			return isFound(`${row.name} ${row.hive} ${stateWords(row)}`.toLowerCase());
		});
	}

	function foundWords() {
		const all = store.state.order.length;
		return filter.value.trim() ? `${found().length} of ${all} downloads` : `All ${all} downloads`;
	}

	/** How many of the rows that were found are shown; the rest is folded away. @param {string[]} ids */
	function unfoldedOf(ids) {
		// A search is for the folded too, and with no kernel there are no buttons, not even one that
		// would unfold.
		if (filter.value.trim() || !link.live) return ids.length;
		const first = ids.findIndex((id) => store.state.rows.get(id)?.status === "complete");
		return first < 0 ? ids.length : Math.min(ids.length, first + UNFOLDED);
	}

	/** @param {HTMLElement} node @param {Action} action @param {string[]} ids */
	function press(node, action, ids) {
		pressed = node;
		clearTimeout(staying);
		staying = window.setTimeout(() => {
			pressed = null;
			schedule();
		}, STAY_MS);
		store.act(action, ids);
	}

	function paint() {
		cancelAnimationFrame(frame);
		clearTimeout(waiting);
		frame = waiting = 0;
		const { state } = store;
		const { live, silence } = link;
		const focus = holdFocus();
		const all = found();
		const most = unfoldedOf(all);
		const folded = all.length - most;
		const ids = unfolded ? all : all.slice(0, most);
		paintRows(ids);
		// A list that scrolls must be reached by keyboard, also with no button in it.
		if (ids.length > FEW) list.tabIndex = 0;
		else list.removeAttribute("tabindex");

		setAttribute(panel, "data-live", live ? "yes" : "no");
		const wasBusy = panel.hasAttribute("data-busy");
		panel.toggleAttribute("data-busy", silence !== null);
		if (silence !== null) {
			setText(busy, `Kernel busy, last heard ${ago(silence)} ago`);
			if (!wasBusy) say("Kernel busy");
		}
		if (!live) paintAsOf();
		setText(more, unfolded ? "Show fewer" : `Show ${folded} more`);
		setAttribute(more, "aria-expanded", String(unfolded));
		setText(unmatched, `No download matches “${oneLine(filter.value)}”.`);
		const told = silence !== null ? busy : !live && state.at > 0 && asOf;
		if (isFull) paintHeader(told, all);
		arrange(panel, [
			isFull ? header : told,
			isFull && live && options.isOpen() && options.node,
			ids.length > 0 ? list : state.order.length > 0 ? nothing : isFull && empty,
			folded > 0 && more,
			announcer,
		]);
		announce();
		focus.restore();
	}

	/** @param {string[]} ids */
	function paintRows(ids) {
		const { state } = store;
		const manyHives = hasManyHives(state);
		let left = BUILT;
		const built = ids.filter((id) => rows.has(id) || left-- > 0);
		if (built.length < ids.length) schedule();
		const calm = { live: link.live, manyHives, pending: null };
		const nodes = built.map((id, place) => {
			const row = /** @type {Row} */ (state.rows.get(id));
			const pending = store.pending(id);
			const due = !groups.isAway(place) || (place >= turn && place < turn + DUE);
			const painted = rowFor(id);
			const context = pending ? { ...calm, pending } : calm;
			painted.paint(row, state.lines.get(id), store.speeds(id), context, due);
			return painted.node;
		});
		turn = turn + DUE < built.length ? turn + DUE : 0;
		for (const id of rows.keys()) if (!state.rows.has(id)) forget(id);
		groups.arrange(nodes);
	}

	/** @param {HTMLElement | false} told  what stands in the place of the figures @param {string[]} ids */
	function paintHeader(told, ids) {
		const { active: working, speed: rate, eta } = summary(store.state);
		setText(
			count,
			[
				working > 0 && `${working} active`,
				working > 0 && rate !== null && speed(rate, 2),
				eta !== null && `${duration(eta)} left`,
			]
				.filter(Boolean)
				.join(" · "),
		);
		arrange(header, [heading, told || count, tools]);
		paintTools(ids);
	}

	/** @param {string[]} ids  that the filter lets through */
	function paintTools(ids) {
		const { rows: all, order } = store.state;
		const idle = ids.filter((id) => !store.pending(id));
		finished = idle.filter((id) => all.get(id)?.status === "complete");
		active = idle.filter((id) => buttons(/** @type {Row} */ (all.get(id))).includes("cancel"));
		const isFiltered = filter.value.trim() !== "";
		setText(matches, isFiltered ? `${ids.length} of ${order.length}` : "");
		setText(cancelAll, isFiltered ? `Cancel ${active.length} shown` : "Cancel all");
		setText(clearAll, isFiltered ? `Clear ${finished.length} shown` : "Clear finished");
		clearAll.title = `Remove ${counted(finished.length, "complete row")}; the files stay`;
		setAttribute(cancelAll, "aria-disabled", active.length > 0 ? null : "true");
		setAttribute(clearAll, "aria-disabled", finished.length > 0 ? null : "true");
		options.paint();
		// A single row has its own button.
		const shows = (/** @type {string[]} */ about, /** @type {HTMLElement} */ node) =>
			link.live && (about.length > 1 || pressed === node) && node;
		arrange(tools, [
			(order.length > FEW || filter.value) && search,
			shows(finished, clearAll),
			shows(active, cancelAll),
			link.live && options.button,
		]);
	}

	function paintAsOf() {
		const { at } = store.state;
		setText(asOf, `Snapshot from ${moment(at)}`);
		asOf.dateTime = new Date(at * 1000).toISOString();
	}

	function announce() {
		const news = store.takeNews();
		if (news.length > 0) say(endWords(news));
	}

	/** @param {string} id */
	function forget(id) {
		rows.get(id)?.close();
		rows.delete(id);
		store.close(id);
	}

	/** Remembers what has the focus, and gives it back after rows moved or a button went. */
	function holdFocus() {
		const root = /** @type {Document | ShadowRoot} */ (panel.getRootNode());
		const focused = root.activeElement;
		if (!(focused instanceof HTMLElement) || !panel.contains(focused)) return { restore() {} };
		const node = /** @type {HTMLElement | null} */ (focused.closest(".rbee-row"));
		const place = node ? groups.rows.indexOf(node) : -1;
		return {
			restore() {
				if (root.activeElement === focused && panel.contains(focused)) return;
				const row = node && rows.get(node.getAttribute("data-id") ?? "");
				const neighbour = groups.rows[Math.min(place, groups.rows.length - 1)];
				const successor = neighbour && rows.get(neighbour.getAttribute("data-id") ?? "");
				const own = header.isConnected && !node && options.button;
				const next = panel.contains(focused)
					? focused
					: (row?.nextButton() ?? successor?.nextButton() ?? (own || panel));
				next.focus({ preventScroll: true });
			},
		};
	}

	function schedule() {
		if (frame === 0) frame = requestAnimationFrame(paint);
	}

	function changed() {
		if (performance.now() - scrolledAt > SCROLLING_MS) schedule();
		else waiting ||= window.setTimeout(schedule, WAITS_MS);
	}

	/** @param {Event} event  of whatever scrolls; only what moves the rows counts */
	function noteScroll({ target }) {
		if (target instanceof Node && target.contains(list)) scrolledAt = performance.now();
	}

	keepKeys(panel);
	paint();
	el.append(panel);
	// Around the panel or in it: only on its way down is it heard of.
	const scrolls = { capture: true, passive: true };
	document.addEventListener("scroll", noteScroll, scrolls);
	if (isFull) attention.count(1);
	const leave = store.join({
		model,
		node: panel,
		changed,
		// A notebook takes out what is scrolled away, and a list that comes back is at its top.
		appeared: () => {
			list.scrollTop = scrolled;
			scrolledAt = Number.NEGATIVE_INFINITY; // what was missed out of sight waits no longer
		},
		isOpen: (id) => rows.get(id)?.isOpen() ?? false,
	});

	return () => {
		if (isFull) attention.count(-1);
		leave();
		document.removeEventListener("scroll", noteScroll, scrolls);
		for (const id of [...rows.keys()]) forget(id);
		cancelAnimationFrame(frame);
		clearTimeout(waiting);
		clearTimeout(typing);
		clearTimeout(staying);
		panel.remove();
	};
}

/**
 * Called once a model, so that all its views share one store.
 * @returns {{
 *   initialize: import("@anywidget/types").Initialize<Traits>,
 *   render: import("@anywidget/types").Render<Traits>,
 * }}
 */
export default function downloadPanel() {
	const store = createStore({
		applied: (ended) => attention.update(store.state, ended, store.link.live),
	});
	const attention = createAttention(store.link.keep);
	return {
		initialize: ({ model }) => store.link.connect(model),
		render: ({ model, el }) => show(store, attention, model, el),
	};
}
