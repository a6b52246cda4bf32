/** The panel of downloads: `rbee_widgets.DownloadPanel` in the browser. */

import { arrange, h, setAttribute, setText } from "./dom.js";
import { duration, moment, oneLine, speed } from "./format.js";
import { createRow } from "./row.js";
import { hasManyHives, summary } from "./rows.js";
import { createStore } from "./store.js";

/** @typedef {import("./store.js").Traits} Traits */
/** @typedef {import("./store.js").Store} Store */
/** @typedef {import("./store.js").Model} Model */

/** Complete rows shown before the rest folds away. */
const UNFOLDED = 3;

/**
 * @param {Store} store
 * @param {Model} model  as this view has it
 * @param {HTMLElement} el
 * @returns {() => void} takes the view down
 */
function show(store, model, el) {
	const count = h("span", { className: "rbee-summary" });
	const asOf = h("time", { className: "rbee-as-of" });
	const heading = h("span", { className: "rbee-heading" }, "Downloads");
	const header = h("div", { className: "rbee-header" }, heading, count);
	const empty = h(
		"p",
		{ className: "rbee-empty" },
		"No downloads yet. Start one with ",
		h("code", {}, "%download org/repo:file.gguf"),
	);
	const list = h("ul", { className: "rbee-list", role: "list", "aria-label": "Downloads" });
	const more = h("button", { type: "button", className: "rbee-button rbee-more" });
	const announcer = h("div", {
		className: "rbee-announcer",
		role: "status",
		"aria-live": "polite",
	});
	const panel = h("div", { className: "rbee-panel", tabIndex: -1, "data-live": "no" });

	/** @type {Map<string, ReturnType<typeof createRow>>} */
	const rows = new Map();
	// Ids must differ between all panels of a page, and each may have its own copy of this module.
	const domId = `rbee-${Math.random().toString(36).slice(2)}`;
	let made = 0;
	let frame = 0;
	let unfolded = false;
	let stale = false;

	more.onclick = () => {
		unfolded = !unfolded;
		paint();
	};

	/** @param {string} id */
	function rowFor(id) {
		const known = rows.get(id);
		if (known) return known;
		made += 1;
		const row = createRow(id, `${domId}-${made}`, {
			send: (kind) => store.send({ kind, id }),
			toggled: (open) => {
				if (open) store.open(id);
				else store.close(id);
				paint();
			},
		});
		rows.set(id, row);
		return row;
	}

	/** The ids of the rows to show, and how many complete ones stay folded. */
	function visibleIds() {
		const { order, rows: all } = store.state;
		const firstComplete = order.findIndex((id) => all.get(id)?.status === "complete");
		const most = firstComplete < 0 ? order.length : firstComplete + UNFOLDED;
		const folded = Math.max(0, order.length - most);
		// With no kernel there are no buttons, not even one that would unfold.
		const ids = unfolded || !store.live ? order : order.slice(0, most);
		return { ids, folded };
	}

	function paint() {
		cancelAnimationFrame(frame);
		frame = 0;
		stale = false;
		const { state, live } = store;
		const focus = holdFocus();
		const { ids, folded } = visibleIds();
		const context = { live, manyHives: hasManyHives(state) };
		for (const id of ids) {
			const row = state.rows.get(id);
			if (row) rowFor(id).paint(row, state.lines.get(id), context);
		}
		for (const id of rows.keys()) if (!state.rows.has(id)) forget(id);
		arrange(
			list,
			ids.map((id) => rowFor(id).node),
		);

		setAttribute(panel, "data-live", live ? "yes" : "no");
		const withHeader = model.get("show_header") !== false;
		if (withHeader) paintHeader();
		setText(more, unfolded ? "Show fewer" : `Show ${folded} more`);
		setAttribute(more, "aria-expanded", String(unfolded));
		if (!live) paintAsOf();
		arrange(panel, [
			...(withHeader ? [header] : live || ids.length === 0 ? [] : [asOf]),
			...(ids.length > 0 ? [list] : withHeader ? [empty] : []),
			...(live && folded > 0 ? [more] : []),
			announcer,
		]);
		announce();
		focus.restore();
	}

	function paintHeader() {
		const { active, speed: rate, eta } = summary(store.state);
		setText(
			count,
			[
				...(active > 0 ? [`${active} active`] : []),
				...(active > 0 && rate !== null ? [speed(rate, 2)] : []),
				...(eta !== null ? [`${duration(eta)} left`] : []),
			].join(" · "),
		);
		arrange(header, [heading, store.live || store.state.at === 0 ? count : asOf]);
	}

	function paintAsOf() {
		const { at } = store.state;
		setText(asOf, `Snapshot from ${moment(at)}`);
		asOf.dateTime = new Date(at * 1000).toISOString();
	}

	function announce() {
		const news = store.takeNews();
		if (news.length === 0) return;
		const words = news.map(({ name, end }) => `${oneLine(name)} ${end}.`).join(" ");
		announcer.replaceChildren(h("p", {}, words));
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
		const node = focused.closest(".rbee-row");
		const place = node ? Array.from(list.children).indexOf(node) : -1;
		return {
			restore() {
				if (root.activeElement === focused && panel.contains(focused)) return;
				const row = node && rows.get(node.getAttribute("data-id") ?? "");
				const neighbour = list.children[Math.min(place, list.children.length - 1)];
				const successor = neighbour && rows.get(neighbour.getAttribute("data-id") ?? "");
				const next = panel.contains(focused)
					? focused
					: (row?.nextButton() ?? successor?.nextButton() ?? panel);
				next.focus({ preventScroll: true });
			},
		};
	}

	function schedule() {
		if (frame === 0) frame = requestAnimationFrame(paintIfShown);
	}

	function paintIfShown() {
		frame = 0;
		stale = panel.checkVisibility?.() === false;
		if (!stale) paint();
	}

	// A panel in a hidden tab isn't painted; the observer tells when it is back.
	const observer = new IntersectionObserver(() => {
		if (stale) schedule();
	});

	/** @param {FocusEvent} event */
	function keepKeys({ target }) {
		// Without this JupyterLab takes Enter and Space from a button that was reached by keyboard. After
		// a click it may have its keys: Shift+Enter shall run the cell, as everywhere in the notebook.
		const byKeyboard = target instanceof Element && target.matches(":focus-visible");
		panel.toggleAttribute("data-lm-suppress-shortcuts", byKeyboard);
	}

	panel.addEventListener("focusin", keepKeys);
	const leave = store.join({
		model,
		changed: schedule,
		isOpen: (id) => rows.get(id)?.isOpen() ?? false,
	});
	paint();
	el.append(panel);
	observer.observe(panel);

	return () => {
		leave();
		for (const id of [...rows.keys()]) forget(id);
		cancelAnimationFrame(frame);
		observer.disconnect();
		panel.removeEventListener("focusin", keepKeys);
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
	const store = createStore();
	return {
		initialize: ({ model }) => store.connect(model),
		render: ({ model, el }) => show(store, model, el),
	};
}
