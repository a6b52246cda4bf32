/** All narration of a tracker: `rbee_widgets.NarrationPanel` in the browser. */

import { arrange, h, setAttribute, setText } from "./dom.js";
import { createHistory } from "./entries.js";
import { ago, moment } from "./format.js";
import { keepKeys } from "./keys.js";
import { createLink } from "./link.js";
import { createFullLog } from "./log_tools.js";

/** @typedef {import("./entries.js").Message} Message */

/**
 * The traits of `rbee_widgets.NarrationPanel` that the front end reads; Python alone sets them.
 * @typedef {object} Traits
 * @property {{ count: number, at: number }} told  lines there were, and when (unix seconds)
 */

/** @typedef {import("@anywidget/types").AnyModel<Traits>} Model */

/** Milliseconds until a question for older lines that nothing answered is asked again. */
const PATIENCE_MS = 5000;

/** What all views of one model share. */
function createStore() {
	const history = createHistory();
	/** @type {Set<ReturnType<typeof createFullLog>>} */
	const logs = new Set();
	let told = { count: 0, at: 0 };
	let asked = -1;
	let askedAt = 0;

	/** Asks on until all lines are here, so that a filter finds what is long past. */
	function askOlder() {
		const { before } = history;
		if (before === null || !link.shown) return;
		if (before === asked && performance.now() - askedAt < PATIENCE_MS) return;
		asked = before;
		askedAt = performance.now();
		link.send({ kind: "older", page: link.page, before });
	}

	/** @type {import("./link.js").Widget<Traits>} */
	const widget = {
		traits: ["told"],
		restore(model) {
			told = model.get("told") ?? told;
			link.changed();
		},
		receive(/** @type {Message} */ message) {
			const { changed, missed } = history.receive(message);
			for (const log of logs) log.changed(changed);
			if (missed) link.ask();
			askOlder();
			link.changed();
		},
		held: () => ({ rev: history.rev }),
		isWorking: () => false, // a tracker that does nothing tells nothing
		tick: askOlder,
	};
	const link = createLink(widget);

	return {
		link,
		history,
		logs,
		get told() {
			return told;
		},
	};
}

/**
 * @param {ReturnType<typeof createStore>} store
 * @param {Model} model  as this view has it
 * @param {HTMLElement} el
 * @returns {() => void} takes the view down
 */
function show(store, model, el) {
	const { link, history, logs } = store;
	const heading = h("span", { className: "rbee-heading" }, "Narration");
	const state = h("span", { className: "rbee-as-of" });
	const header = h("div", { className: "rbee-header" }, heading, state);
	const past = h("p", { className: "rbee-as-of rbee-past" });
	const id = `rbee-${Math.random().toString(36).slice(2)}`;
	const log = createFullLog(id, history);
	log.label("Narration");
	const panel = h("div", { className: "rbee-log", tabIndex: -1, "data-live": "no" });

	function paint() {
		const { live, silence } = link;
		setAttribute(panel, "data-live", live ? "yes" : "no");
		panel.toggleAttribute("data-busy", silence !== null);
		log.setState(live, !live || history.before === null);
		setText(state, silence === null ? "" : `Kernel busy, last heard ${ago(silence)} ago`);
		const hasLog = live || history.entries.size > 0;
		if (!live) setText(hasLog ? state : past, pastWords());
		arrange(panel, [header, hasLog ? log.node : past]);
	}

	function pastWords() {
		if (history.entries.size > 0) return `No kernel: told until ${moment(history.at)}`;
		const { count, at } = store.told;
		const lost = "narration isn’t saved with a notebook";
		if (count === 0) return `No kernel; ${lost}.`;
		const lines = count === 1 ? "1 line was" : `${count.toLocaleString("en")} lines were`;
		return `${lines} told until ${moment(at)}; ${lost}.`;
	}

	keepKeys(panel);
	paint();
	el.append(panel);
	logs.add(log);
	const leave = link.join({ model, node: panel, changed: paint });
	return () => {
		leave();
		logs.delete(log);
		log.close();
		panel.remove();
	};
}

/**
 * Called once a model, so that all its views share what was told.
 * @returns {{
 *   initialize: import("@anywidget/types").Initialize<Traits>,
 *   render: import("@anywidget/types").Render<Traits>,
 * }}
 */
export default function narrationPanel() {
	const store = createStore();
	return {
		initialize: ({ model }) => store.link.connect(model),
		render: ({ model, el }) => show(store, model, el),
	};
}
