import { afterEach, beforeEach, expect, vi } from "vitest";

/**
 * A model as anywidget hands it out: Backbone's order of events ("change:name" for each trait, then
 * "change"), and a proxy of its own for `initialize` and for each view.
 * @param {import("../src/store.js").Traits} traits
 */
export function fakeModel(traits) {
	const attributes = { ...traits };
	/** @type {{ event: string, callback: (...args: any[]) => void, context: unknown }[]} */
	let listeners = [];
	/** @type {any[]} */
	const sent = [];
	let connected = true;
	let failing = false;

	/** @param {string} event @param {any[]} args */
	function trigger(event, ...args) {
		for (const listener of listeners) if (listener.event === event) listener.callback(...args);
	}

	return {
		sent,
		trigger,
		/** @returns {any} */
		proxy(context = {}) {
			return {
				/** @param {keyof typeof attributes} name */
				get: (name) => attributes[name],
				set() {},
				save_changes() {},
				/** @param {any} content */
				send(content) {
					if (!connected) throw new Error("Cannot send");
					sent.push(content);
					return failing ? Promise.reject(new Error("Forbidden")) : undefined;
				},
				/** @param {string} event @param {(...args: any[]) => void} callback */
				on(event, callback) {
					listeners.push({ event, callback, context });
				},
				/** @param {string} event @param {(...args: any[]) => void} callback */
				off(event, callback) {
					listeners = listeners.filter(
						(l) => !(l.event === event && l.callback === callback && l.context === context),
					);
				},
			};
		},
		/** A custom message from Python. @param {any} message */
		receive: (message) => trigger("msg:custom", message, []),
		/** Python set traits. @param {Partial<typeof attributes>} changes */
		update(changes) {
			Object.assign(attributes, changes);
			for (const name of Object.keys(changes)) trigger(`change:${name}`);
			trigger("change");
		},
		/** From now on nobody takes a message, as in marimo. */
		fail() {
			failing = true;
		},
		disconnect() {
			connected = false;
			trigger("comm_live_update");
		},
		listening: () => listeners.length,
	};
}

/**
 * For each test of a file a page of its own, with a clock and a sight that are set by hand; at its
 * end, what was opened is closed, and no timer may be left.
 */
export function fakePage() {
	const page = {
		sight: /** @type {ReturnType<typeof fakeSight>} */ (/** @type {unknown} */ (null)),
		endings: /** @type {(() => void)[]} */ ([]),
	};
	beforeEach(() => {
		vi.useFakeTimers();
		page.sight = fakeSight();
	});
	afterEach(() => {
		for (const end of page.endings.splice(0)) end();
		expect(vi.getTimerCount()).toBe(0); // no timer outlives the last view
		vi.useRealTimers();
		vi.restoreAllMocks();
		vi.unstubAllGlobals();
		document.body.replaceChildren();
	});
	return page;
}

/**
 * Stands in for IntersectionObserver, which happy-dom has in name alone. What is observed is in sight
 * until told otherwise.
 */
export function fakeSight() {
	/** @type {Set<{ node: Element, tell: (isIntersecting: boolean) => void }>} */
	const observed = new Set();

	class FakeObserver {
		/** @param {(entries: { isIntersecting: boolean }[]) => void} callback */
		constructor(callback) {
			this.callback = callback;
		}

		/** @param {Element} node */
		observe(node) {
			this.entry = {
				node,
				tell: (/** @type {boolean} */ isIntersecting) => this.callback([{ isIntersecting }]),
			};
			observed.add(this.entry);
			queueMicrotask(() => this.entry && observed.has(this.entry) && this.entry.tell(true));
		}

		disconnect() {
			if (this.entry) observed.delete(this.entry);
		}
	}

	vi.stubGlobal("IntersectionObserver", FakeObserver);
	return {
		/** Scrolls everything observed below `root` into sight or out of it. @param {Element} root @param {boolean} inSight */
		scroll(root, inSight) {
			for (const { node, tell } of observed) if (root.contains(node)) tell(inSight);
		},
		/** Hides or shows the tab. @param {boolean} hidden */
		hide(hidden) {
			vi.spyOn(document, "visibilityState", "get").mockReturnValue(hidden ? "hidden" : "visible");
			document.dispatchEvent(new Event("visibilitychange"));
		},
		observing: () => observed.size,
	};
}

/**
 * A row, downloading unless told otherwise.
 * @param {string} id
 * @param {Partial<import("../src/rows.js").Row>} [changes]
 * @returns {import("../src/rows.js").Row}
 */
export function row(id, changes = {}) {
	return {
		id,
		job_id: `job-${id}`,
		name: `org/${id}:file.gguf`,
		type: "model",
		hive: "localhost",
		status: "downloading",
		bytes_downloaded: 135_600_000,
		total_size: 300_000_000,
		percentage: 45.2,
		speed: 12_300_000,
		eta: 150,
		eta_range: null,
		stalled_for: null,
		retry: null,
		error: null,
		hint: null,
		note: null,
		remark: null,
		path: null,
		created_at: 1000,
		...changes,
	};
}

/**
 * A line of narration.
 * @param {number} n
 * @param {string} [text]
 * @returns {import("../src/rows.js").Line}
 */
export function line(n, text = `line ${n}`) {
	return { n, at: 1_700_000_000 + n, action: "download", text, level: "info" };
}
