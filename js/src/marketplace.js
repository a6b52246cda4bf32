/** The marketplace: `rbee_widgets.Marketplace` in the browser. */

import { arrange, button, h, setAttribute, setText } from "./dom.js";
import { ago, counted, moment, oneLine, prose } from "./format.js";
import { keepKeys } from "./keys.js";
import { createMachine } from "./machine.js";
import { createMarketStore } from "./market_store.js";
import { createResults } from "./results.js";
import { createSearchForm } from "./search_form.js";
import { createTrouble } from "./trouble.js";

/** @typedef {import("./market.js").Market} Market */
/** @typedef {import("./market.js").Message} Message */
/** @typedef {import("./rows.js").Snapshot} Snapshot */
/** @typedef {import("./market_store.js").MarketStore} MarketStore */

/**
 * The traits of `rbee_widgets.Marketplace` that the front end reads; Python alone sets them.
 * @typedef {object} Traits
 * @property {Snapshot} snapshot  the downloads of models
 * @property {Message} market     the last state, bounded, for a page without a kernel
 */

/** @typedef {import("@anywidget/types").AnyModel<Traits>} Model */

/** Ends of downloads that are told at once. */
const MOST_NEWS = 3;

/**
 * @param {MarketStore} market
 * @param {Model} model  as this view has it
 * @param {HTMLElement} el
 * @returns {() => void} takes the view down
 */
function show(market, model, el) {
	const { store } = market;
	const { link } = store;
	// Ids must differ between all widgets of a page, and each may have its own copy of this module.
	const domId = `rbee-${Math.random().toString(36).slice(2)}`;

	const form = createSearchForm(`${domId}-filters`, {
		search: market.search,
		leave: () => results.focusFirst(),
	});
	const machine = createMachine(`${domId}-machine`, market);
	const results = createResults(domId, {
		ask: market.askFor,
		more: market.more,
		leave: () => form.box.focus(),
		changed: schedule,
	});
	const status = h("span", { className: "rbee-found", role: "status" });
	const asOf = h("time", "rbee-as-of");
	const busy = h("span", "rbee-busy");
	const unfilter = button("rbee-unfilter", "Clear filters");
	unfilter.onclick = () => {
		form.clear();
		form.box.focus();
	};
	const line = h("div", "rbee-market-line", status);
	const trouble = createTrouble(again);
	const announcer = h("div", {
		className: "rbee-announcer",
		role: "status",
		"aria-live": "polite",
	});
	const panel = h("div", { className: "rbee-market", tabIndex: -1, "data-live": "no" });
	let frame = 0;
	/** The failure that ears were told of. @type {object | null} */
	let told = null;

	/** Asks again for what failed. */
	function again() {
		const { models, more, asked, query } = market.state;
		if (models.length > 0 && more && asked === query?.n) market.moreAgain();
		else form.submit();
		form.box.focus();
	}

	function paint() {
		cancelAnimationFrame(frame);
		frame = 0;
		const { state } = market;
		const { live, silence } = link;
		const focus = holdFocus();
		setAttribute(panel, "data-live", live ? "yes" : "no");
		panel.toggleAttribute("data-busy", silence !== null);
		if (live) form.paint(state, market.isAhead);
		machine.paint(live);
		const isUnbuilt = results.paint(state, live, contextFor);
		if (isUnbuilt) schedule();
		paintLine();
		const failure = market.awaited === "search" ? null : state.trouble;
		if (failure) trouble.paint(failure, failure.text, live);
		if (failure && failure !== told) announcer.replaceChildren(h("p", {}, prose(failure.text)));
		told = failure;
		arrange(panel, [
			live && form.node,
			machine.node.childElementCount > 0 && machine.node,
			line,
			failure && trouble.node,
			state.models.length > 0 && results.node,
			announcer,
		]);
		announce();
		focus.restore();
		if (live && !isUnbuilt) results.lookAhead();
	}

	/** What the files of a model are painted by. @param {string} id  the model's @returns {import("./files.js").Context} */
	function contextFor(id) {
		const { hive, contexts } = market.state;
		return {
			hive,
			contexts,
			stop: market.stop,
			live: link.live,
			license: null,
			now: market.now,
			fetch: (file) => market.fetch(id, file),
			act: (action, row) => store.act(action, [row]),
		};
	}

	function paintLine() {
		const { state, awaited } = market;
		const { live, silence } = link;
		if (live) setText(status, foundWords(state, awaited, form.isFiltered()));
		else setText(status, state.query ? heldWords(state) : "");
		if (silence !== null) setText(busy, `Kernel busy, last heard ${ago(silence)} ago`);
		if (!live && state.at > 0) {
			setText(asOf, `as of ${moment(state.at)}`);
			asOf.dateTime = new Date(state.at * 1000).toISOString();
		}
		const isNothing = awaited === null && !state.trouble && state.models.length === 0;
		arrange(line, [
			status,
			live && isNothing && state.query && form.isFiltered() && unfilter,
			!live && state.at > 0 && asOf,
			silence !== null && busy,
		]);
		panel.toggleAttribute("data-searching", live && awaited === "search");
	}

	function announce() {
		const news = store.takeNews();
		if (news.length === 0) return;
		const ended = news.slice(0, MOST_NEWS).map(({ row, words }) => {
			const end = row.status === "complete" ? "is installed" : words;
			return h("p", {}, `${oneLine(row.name)} ${end}.`);
		});
		const rest = news.length - ended.length;
		announcer.replaceChildren(...ended, rest > 0 ? `and ${counted(rest, "more download")}.` : "");
	}

	/** Gives the focus back when what had it is gone. */
	function holdFocus() {
		const root = /** @type {Document | ShadowRoot} */ (panel.getRootNode());
		const focused = root.activeElement;
		const had = focused !== null && panel.contains(focused);
		return {
			restore() {
				if (!had || panel.contains(root.activeElement)) return;
				if (link.live && results.focus()) return;
				const next = form.node.isConnected ? form.box : panel;
				next.focus({ preventScroll: true });
			},
		};
	}

	function schedule() {
		if (frame === 0) frame = requestAnimationFrame(paint);
	}

	keepKeys(panel);
	paint();
	el.append(panel);
	const leave = store.join({
		model,
		node: panel,
		changed: schedule,
		appeared: results.appeared,
		isOpen: () => false,
	});
	return () => {
		leave();
		form.close();
		cancelAnimationFrame(frame);
		panel.remove();
	};
}

/** @param {Market} state @param {"search" | "more" | null} awaited @param {boolean} isFiltered */
function foundWords({ query, models, more, trouble }, awaited, isFiltered) {
	if (awaited === "search") return "Searching…";
	if (!query || (trouble && models.length === 0)) return "";
	const found = counted(models.length, "model");
	if (models.length === 0) {
		const what = query.text ? ` for “${oneLine(query.text)}”` : "";
		const ways = [query.text && "fewer words", query.format && "Any format"].filter(Boolean);
		const rest = ways.length > 0 ? ways.join(" or ") : isFiltered ? "fewer filters" : "";
		return `Nothing found${what}${rest ? `: try ${rest}` : ""}`;
	}
	if (awaited === "more") return `${found}, fetching more…`;
	return more && !trouble ? `${found}, more as you scroll` : found;
}

/** What a page without a kernel holds. @param {Market} state */
function heldWords({ query, models, trouble }) {
	const what = query?.text ? ` for “${oneLine(query.text)}”` : "";
	if (trouble && models.length === 0) return "";
	return `${models.length > 0 ? counted(models.length, "model") : "Nothing found"}${what}`;
}

/**
 * Called once a model, so that all its views share one search.
 * @returns {{
 *   initialize: import("@anywidget/types").Initialize<Traits>,
 *   render: import("@anywidget/types").Render<Traits>,
 * }}
 */
export default function marketplace() {
	const market = createMarketStore();
	return {
		initialize: ({ model }) => market.store.link.connect(model),
		render: ({ model, el }) => show(market, model, el),
	};
}
