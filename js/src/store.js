/**
 * What all views of one model share: the state, whether the kernel is alive, and the one
 * subscription. anywidget hands `initialize` and each `render` a proxy of their own, so a model
 * can't be told by identity; a store is made once a model instead (see download_panel.js).
 */

import { closed, EMPTY, ends, opened, reduce } from "./rows.js";

/** @typedef {import("./rows.js").Snapshot} Snapshot */
/** @typedef {import("./rows.js").Message} Message */

/**
 * The traits of `rbee_widgets.DownloadPanel` that the front end reads; Python alone sets them.
 * @typedef {object} Traits
 * @property {Snapshot} snapshot     the whole state, for new views, reload and saving
 * @property {boolean} show_header   false for the single row that a cell shows
 */

/** @typedef {import("@anywidget/types").AnyModel<Traits>} Model */

/**
 * @typedef {object} View
 * @property {Model} model
 * @property {() => void} changed
 * @property {(id: string) => boolean} isOpen   whether it shows the narration of a row
 */

export function createStore() {
	let state = EMPTY;
	let live = false;
	/** Whether the first view can rely on the question that `connect` asked. */
	let asked = false;
	/** @type {ReturnType<typeof ends>} */
	let news = [];
	/** @type {Set<View>} */
	const views = new Set();
	/** @type {{ model: Model, release: () => void } | null} */
	let link = null;

	function changed() {
		for (const view of views) view.changed();
	}

	/** @param {boolean} now */
	function setLive(now) {
		if (live === now) return;
		live = now;
		changed();
	}

	/** @param {Message} message */
	function apply(message) {
		const before = state;
		state = reduce(before, message);
		if (state === before) return;
		news.push(...ends(before, state));
		if (state.gap !== null && state.gap !== before.gap) ask();
		// Deltas were missed, and with them lines that no snapshot brings.
		const missed = message.kind === "snapshot" && state.seq !== before.seq;
		if (missed) for (const id of state.lines.keys()) send({ kind: "narration", id });
		changed();
	}

	/** @param {{ kind: "snapshot" | "cancel" | "retry" | "clear" | "narration", id?: string }} content */
	function send(content) {
		try {
			link?.model.send(content);
		} catch {
			setLive(false); // the comm is gone, and the kernel with it
		}
	}

	function ask() {
		send({ kind: "snapshot" });
	}

	/**
	 * Listens to a model and asks for its state.
	 * @param {Model} model
	 * @returns {() => void} stops listening
	 */
	function connect(model) {
		/** @param {Message} message */
		const receive = (message) => {
			setLive(true);
			apply(message);
		};
		const restore = () => {
			const snapshot = model.get("snapshot");
			if (snapshot?.rows) apply({ kind: "snapshot", ...snapshot });
		};
		// ipywidgets tells so of a kernel that went away or came back: only an answer shows which.
		const doubt = () => {
			setLive(false);
			ask();
		};
		/** @type {[string, (message: any) => void][]} */
		const handlers = [
			["msg:custom", receive],
			["change:snapshot", restore],
			["comm_live_update", doubt],
		];
		const release = () => {
			for (const [event, handler] of handlers) model.off(event, handler);
			if (link?.model === model) link = null;
		};
		link = { model, release };
		for (const [event, handler] of handlers) model.on(event, handler);
		restore();
		ask();
		asked = true;
		return release;
	}

	/**
	 * @param {View} view
	 * @returns {() => void} ends it
	 */
	function join(view) {
		views.add(view);
		if (!link) connect(view.model);
		else if (!live && !asked) ask();
		asked = false;
		return () => {
			views.delete(view);
			if (link?.model !== view.model) return;
			// The host knows no `initialize`, and we listened through this view's proxy.
			link.release();
			const [next] = views;
			if (next) connect(next.model);
		};
	}

	/** @param {string} id */
	function open(id) {
		if (state.lines.has(id)) return;
		state = opened(state, id);
		send({ kind: "narration", id });
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
		connect,
		join,
		send,
		open,
		close,
		takeNews,
		get state() {
			return state;
		},
		get live() {
			return live;
		},
	};
}

/** @typedef {ReturnType<typeof createStore>} Store */
