import axe from "axe-core";
import { expect, test, vi } from "vitest";
import marketplace from "../src/marketplace.js";
import { fakeModel, fakePage, row as rowOf } from "./model.js";

/** @typedef {import("../src/market.js").Message} Message */
/** @typedef {import("../src/market.js").Model} Model */
/** @typedef {import("../src/market.js").File} File */

const page = fakePage();

const AT = 1_700_000_000;
const GB = 1e9;
const GIB = 2 ** 30;

const painted = () => vi.advanceTimersByTimeAsync(20);

/** @param {string} name @param {Partial<Model>} [changes] @returns {Model} */
const modelOf = (name, changes) => ({
	id: `org/${name}`,
	author: "org",
	title: null,
	downloads: 1_234_567,
	likes: 345,
	parameters: 8_030_000_000,
	task: "text-generation",
	license: "llama3.1",
	created_at: AT,
	updated_at: AT,
	gate: null,
	url: `https://hub.example/org/${name}`,
	...changes,
});

/** @param {string} quantisation @param {Partial<File>} [changes] @returns {File} */
const fileOf = (quantisation, changes) => ({
	id: `org/a:${quantisation}.gguf`,
	path: `${quantisation}.gguf`,
	size: 4.9 * GB,
	quantisation,
	parts: 1,
	installed: false,
	place: null,
	sha256: null,
	cannot: null,
	fit: {
		verdicts: ["gpu", "offload", "no"],
		why: null,
		weights: 5 * GIB,
		host: 0,
		kv: [1 * GIB, 2 * GIB, 4 * GIB],
		compute: [0.25 * GIB, 0.25 * GIB, 0.25 * GIB],
		overhead: 0.375 * GIB,
		trained: null,
	},
	...changes,
});

/** @param {File[]} files @param {object} [changes] @returns {any} */
const there = (files, changes) => ({
	state: "there",
	files,
	more: 0,
	license: null,
	gate: null,
	...changes,
});

const QUERY = {
	n: 0,
	text: "llama",
	source: "huggingface",
	order: "trending",
	format: "gguf",
	task: null,
	library: null,
	language: null,
	license: null,
	least: null,
	most: null,
};

const SET = {
	query: QUERY,
	asked: 0,
	searching: false,
	more: false,
	trouble: null,
	sources: [
		{
			name: "huggingface",
			title: "Hugging Face",
			filters: ["format", "task", "library", "language", "license", "least", "most"],
			orders: ["trending", "downloads"],
		},
	],
	hives: [{ id: "local" }],
	hive: {
		id: "local",
		error: null,
		gpu: 24 * GIB,
		ram: 62 * GIB,
		devices: [{ name: "RTX 4090", type: "gpu", memory: 24 * GIB }],
		free: 120 * GB,
		promised: 0,
		speed: 11e6,
	},
	contexts: [4096, 8192, 16384],
	context: 0,
	at: AT,
};

/**
 * A marketplace in the page, live unless told otherwise.
 * @param {{ set?: object, models?: Model[], live?: boolean, market?: object, files?: any, cards?: any }} [options]
 */
async function marketOf({
	set = {},
	models = [modelOf("a"), modelOf("b"), modelOf("c")],
	live = true,
	market = {},
	files = {},
	cards = {},
} = {}) {
	const model = fakeModel(/** @type {any} */ ({ snapshot: { seq: 1, at: AT, rows: [] }, market }));
	/** @type {any} */
	const widget = marketplace();
	page.endings.push(widget.initialize({ model: model.proxy() }));

	async function view() {
		const el = document.createElement("div");
		document.body.append(el);
		const close = widget.render({ model: model.proxy(), el });
		page.endings.unshift(close);
		await painted();
		return { el, close };
	}

	let rev = 10;
	/** @param {Partial<Message>} message */
	async function tell(message) {
		rev += 1;
		model.receive({ kind: "market", rev, since: rev - 1, ...message });
		await painted();
	}

	let seq = 1;
	/** @param {Partial<import("../src/rows.js").Row>} changes */
	async function tick(changes) {
		seq += 1;
		const rows = [rowOf("d", { hive: "local", ...changes })];
		model.receive({ kind: "delta", since: seq - 1, seq, at: AT + seq, rows });
		await painted();
	}

	const { el, close } = await view();
	if (live) {
		model.receive({ kind: "snapshot", seq: 1, at: AT, rows: [] });
		model.receive({
			kind: "market",
			rev,
			since: -1,
			set: { ...SET, ...set },
			append: models,
			files,
			cards,
		});
		await painted();
	}
	const get = (/** @type {string} */ selector) => /** @type {any} */ (el.querySelector(selector));
	const all = (/** @type {string} */ selector) =>
		/** @type {any[]} */ (Array.from(el.querySelectorAll(selector)));
	/** @param {string} key @param {any} [on] */
	const press = (key, on = document.activeElement) => {
		const event = new KeyboardEvent("keydown", { key, bubbles: true, cancelable: true });
		on.dispatchEvent(event);
		return event;
	};
	/** @param {string} text */
	const type = (text) => {
		const box = get("input[type=search]");
		box.focus();
		box.value = text;
		box.dispatchEvent(new Event("input", { bubbles: true }));
	};
	/** What was asked of Python since the last look, without the lease. */
	const asked = () => model.sent.splice(0).filter(({ kind }) => kind !== "shown");
	asked();
	return { model, view, tell, tick, el, close, get, all, press, type, asked, rev: () => rev };
}

/** One whose first model is unfolded. @param {File[]} files @param {any} [options] @param {object} [changes] */
async function unfolded(files, options, changes) {
	const one = await marketOf({ files: { "org/a": there(files, changes) }, ...options });
	one.get(".rbee-model-head").click();
	await painted();
	one.asked();
	return one;
}

test("a result tells what it is, to eyes and to ears", async () => {
	const updated_at = Date.now() / 1000 - 3.5 * 86400;
	const models = [modelOf("a", { updated_at }), modelOf("b"), modelOf("c")];
	const { get, all } = await marketOf({ models });
	expect(get(".rbee-market").dataset.live).toBe("yes");
	expect(all(".rbee-model").map((node) => node.dataset.id)).toEqual(["org/a", "org/b", "org/c"]);
	const head = get(".rbee-model-head");
	expect(head.querySelector("[aria-hidden] + .rbee-unseen").textContent).toBe(
		"org/a, 8.0B parameters, Text generation, licence llama3.1, 1.2M downloads, 345 likes, " +
			"updated 3 days ago",
	);
	expect(head.getAttribute("aria-expanded")).toBe("false");
	expect(get(".rbee-parameters").textContent).toBe("8.0B");
	expect(get(".rbee-updated").textContent).toBe("3 d ago");
	expect(get(".rbee-author").textContent).toBe("org/");
	expect(get(".rbee-found").textContent).toBe("3 models");
});

test("typing searches once it rests, and Enter at once", async () => {
	const { type, asked, press, get } = await marketOf();
	type("mis");
	await vi.advanceTimersByTimeAsync(150);
	type("mistral");
	await vi.advanceTimersByTimeAsync(150);
	expect(asked()).toEqual([]);
	await vi.advanceTimersByTimeAsync(60);
	expect(asked()).toEqual([
		{ ...QUERY, kind: "search", page: expect.any(String), n: 1, text: "mistral" },
	]);
	expect(get(".rbee-found").textContent).toBe("Searching…");
	type("qwen");
	expect(press("Enter").defaultPrevented).toBe(true);
	expect(asked()).toMatchObject([{ kind: "search", n: 2, text: "qwen" }]);
	await vi.advanceTimersByTimeAsync(300);
	expect(asked()).toEqual([]);
});

test("text that is being composed is no search yet", async () => {
	const { get, asked } = await marketOf();
	const box = get("input[type=search]");
	box.focus();
	const event = new Event("input", { bubbles: true });
	Object.defineProperty(event, "isComposing", { value: true });
	box.value = "に";
	box.dispatchEvent(event);
	await vi.advanceTimersByTimeAsync(300);
	expect(asked()).toEqual([]);
	box.dispatchEvent(new Event("compositionend", { bubbles: true }));
	await vi.advanceTimersByTimeAsync(300);
	expect(asked()).toMatchObject([{ kind: "search", text: "に" }]);
});

test("what is typed is never overwritten by what comes", async () => {
	const { type, tell, get } = await marketOf();
	type("llama 3");
	await vi.advanceTimersByTimeAsync(220);
	type("llama 3.1 70b");
	await tell({ set: { asked: 1, query: { ...QUERY, n: 1, text: "llama 3" }, models: [] } });
	expect(get("input[type=search]").value).toBe("llama 3.1 70b");
	await vi.advanceTimersByTimeAsync(220);
	await tell({ set: { query: { ...QUERY, n: 1, text: "llama 3" } } });
	expect(get("input[type=search]").value).toBe("llama 3.1 70b");
	// Not even by a search that is newer, of another page, as long as one is at it.
	await tell({ set: { asked: 9, query: { ...QUERY, n: 9, text: "elsewhere" } } });
	expect(get("input[type=search]").value).toBe("llama 3.1 70b");
	get("input[type=search]").blur();
	await tell({ set: { asked: 10, query: { ...QUERY, n: 10, text: "and again" } } });
	expect(get("input[type=search]").value).toBe("and again");
});

test("a stale answer never replaces a newer one", async () => {
	const { type, tell, all, get } = await marketOf();
	type("new");
	await vi.advanceTimersByTimeAsync(220);
	await tell({
		set: { asked: 1, query: { ...QUERY, n: 1, text: "new" }, models: [] },
		append: [modelOf("new")],
	});
	await tell({ set: { query: { ...QUERY, n: 0 }, models: [] }, append: [modelOf("old")] });
	expect(all(".rbee-model").map((node) => node.dataset.id)).toEqual(["org/new"]);
	expect(get(".rbee-found").textContent).toBe("1 model");
});

test("a search is numbered above those of other pages", async () => {
	const { type, tell, asked } = await marketOf();
	await tell({ set: { asked: 41 } });
	type("x");
	await vi.advanceTimersByTimeAsync(220);
	expect(asked()).toMatchObject([{ n: 42 }]);
});

test("a gap asks for what was missed, telling what is held", async () => {
	const { model, all, rev } = await marketOf();
	await vi.advanceTimersByTimeAsync(1100);
	model.sent.length = 0;
	model.receive({ kind: "market", rev: rev() + 5, since: rev() + 4, append: [modelOf("z")] });
	await painted();
	expect(model.sent).toMatchObject([{ kind: "shown", rev: 10, seq: 1 }]);
	expect(all(".rbee-model")).toHaveLength(3);
});

test("only what the source heeds is offered, and what it heeds is sent", async () => {
	const sources = [
		...SET.sources,
		{ name: "civitai", title: "CivitAI", filters: ["most"], orders: ["downloads"] },
	];
	const { get, all, asked } = await marketOf({ set: { sources } });
	expect(all(".rbee-filters select").map((node) => node.getAttribute("aria-label"))).toEqual([
		"Format",
		"Task",
		"Library",
		"Language",
		"Licence",
		"Parameters, at least",
		"Parameters, at most",
	]);
	const choose = (/** @type {string} */ selector, /** @type {string} */ value) => {
		get(selector).value = value;
		get(selector).dispatchEvent(new Event("change", { bubbles: true }));
	};
	choose(".rbee-filter-least", "8");
	choose(".rbee-order", "downloads");
	expect(asked()).toMatchObject([
		{ least: 8, order: "trending" },
		{ least: 8, order: "downloads", format: "gguf", most: null },
	]);
	choose(".rbee-source", "civitai");
	expect(asked()).toMatchObject([
		{ source: "civitai", least: null, format: null, order: "downloads" },
	]);
	expect(all(".rbee-filters select").map((node) => node.className)).toEqual([
		"rbee-field rbee-filter-most",
	]);
	expect(get(".rbee-order")).toBe(null);
});

test("a single source and a single hive leave nothing to choose", async () => {
	const { get } = await marketOf();
	expect(get(".rbee-source")).toBe(null);
	expect(get(".rbee-hive-choice")).toBe(null);
	expect(get(".rbee-machine-hive").textContent).toBe(
		"localRTX 4090, 24 GiB · 62 GiB RAM · 120 GB disk free",
	);
});

test("of several hives one is chosen", async () => {
	const { get, asked } = await marketOf({ set: { hives: [{ id: "local" }, { id: "attic" }] } });
	const select = get(".rbee-hive-choice");
	expect(select.value).toBe("local");
	select.value = "attic";
	select.dispatchEvent(new Event("change"));
	expect(asked()).toEqual([{ kind: "hive", page: expect.any(String), hive: "attic" }]);
});

test("what a query holds beside the choices can be seen", async () => {
	const query = { ...QUERY, license: "my-own", least: 2.5, language: "not a code" };
	const { get } = await marketOf({ set: { query } });
	expect(get(".rbee-filter-license").value).toBe("my-own");
	expect(get(".rbee-filter-least").selectedOptions[0].textContent).toBe("From 2.5B");
	expect(get(".rbee-filter-language").value).toBe("not a code");
});

test("nothing found says what to try, and can drop the filters", async () => {
	const { get, asked } = await marketOf({ models: [] });
	expect(get(".rbee-found").textContent).toBe(
		"Nothing found for “llama”: try fewer words or Any format",
	);
	get(".rbee-unfilter").click();
	expect(asked()).toMatchObject([{ kind: "search", format: null, text: "llama" }]);
});

test("a further page is asked for near the end, once, and appended without a touch", async () => {
	const models = Array.from({ length: 50 }, (_, i) => modelOf(`m${i}`));
	const { get, all, asked, tell } = await marketOf({ set: { more: true }, models });
	expect(get(".rbee-found").textContent).toBe("50 models, more as you scroll");
	expect(asked()).toEqual([]);
	const list = get(".rbee-models");
	Object.defineProperties(list, {
		clientHeight: { value: 500, configurable: true },
		scrollHeight: { value: 3000, configurable: true },
	});
	list.scrollTop = 100;
	list.dispatchEvent(new Event("scroll"));
	expect(asked()).toEqual([]);
	list.scrollTop = 2400;
	list.dispatchEvent(new Event("scroll"));
	list.dispatchEvent(new Event("scroll"));
	expect(asked()).toEqual([{ kind: "more", page: expect.any(String), n: 0 }]);
	await tell({ set: { searching: true } });
	expect(get(".rbee-found").textContent).toBe("50 models, fetching more…");
	const before = all(".rbee-model");
	const touched = vi.fn();
	const observer = new MutationObserver(touched);
	for (const node of before)
		observer.observe(node, { subtree: true, attributes: true, childList: true });
	await tell({
		set: { searching: false, more: false },
		append: [modelOf("m50"), modelOf("m49")],
	});
	observer.disconnect();
	expect(touched).not.toHaveBeenCalled();
	expect(all(".rbee-model").slice(0, 50)).toEqual(before);
	expect(get(".rbee-found").textContent).toBe("51 models");
	list.dispatchEvent(new Event("scroll"));
	expect(asked()).toEqual([]); // there is no more
});

test("a further page is asked for by keyboard too", async () => {
	const models = Array.from({ length: 20 }, (_, i) => modelOf(`m${i}`));
	const { get, asked, press } = await marketOf({ set: { more: true }, models });
	get("input[type=search]").focus();
	press("ArrowDown");
	expect(asked()).toEqual([]);
	press("End");
	expect(asked()).toMatchObject([{ kind: "more" }]);
});

test("many results are built a few a frame, and a tick of a download builds none", async () => {
	const models = Array.from({ length: 400 }, (_, i) => modelOf(`m${i}`));
	const { all, tick } = await marketOf({ models });
	expect(all(".rbee-model").length).toBeLessThan(150);
	await vi.advanceTimersByTimeAsync(200);
	expect(all(".rbee-model")).toHaveLength(400);
	expect(all(".rbee-models > .rbee-group")).toHaveLength(40);
	const touched = vi.fn();
	const observer = new MutationObserver(touched);
	observer.observe(all(".rbee-models")[0], { subtree: true, childList: true, attributes: true });
	await tick({ name: "org/zz:f.gguf" });
	observer.disconnect();
	expect(touched).not.toHaveBeenCalled();
});

test("the keys walk through results and files, and back to the search box", async () => {
	const { get, all, press } = await unfolded([fileOf("Q4_K_M"), fileOf("Q8_0")]);
	const box = get("input[type=search]");
	const [a, b, c] = all(".rbee-model-head");
	const [q4, q8] = all(".rbee-install-go");
	box.focus();
	/** @param {string} key */
	const after = (key) => {
		expect(press(key).defaultPrevented).toBe(true);
		return document.activeElement;
	};
	expect(after("ArrowDown")).toBe(a);
	expect(after("ArrowDown")).toBe(q4);
	expect(after("ArrowDown")).toBe(q8);
	expect(after("ArrowDown")).toBe(b);
	expect([a, b, c].map((head) => head.tabIndex)).toEqual([-1, 0, -1]);
	expect(after("ArrowUp")).toBe(q8);
	expect(after("End")).toBe(c);
	expect(after("ArrowDown")).toBe(c);
	expect(after("PageUp")).toBe(a);
	expect(after("PageDown")).toBe(c);
	expect(after("Home")).toBe(a);
	q8.focus();
	expect(after("Escape")).toBe(a);
	expect(a.getAttribute("aria-expanded")).toBe("false");
	expect(after("Escape")).toBe(box);
	expect(after("Escape")).toBe(box); // empties it
	expect(box.value).toBe("");
	expect(press("Escape").defaultPrevented).toBe(false); // then it is the notebook's
	expect(after("ArrowDown")).toBe(a);
	expect(after("ArrowUp")).toBe(box);
});

test("what steps through choices stays with them, and with the slider; the rest is the notebook's", async () => {
	const { get } = await marketOf();
	/** @type {string[]} */
	const heard = [];
	const listen = (/** @type {KeyboardEvent} */ event) => heard.push(event.key);
	document.addEventListener("keydown", listen);
	for (const target of [get(".rbee-filter-license"), get("input[type=range]")]) {
		for (const key of ["m", "x", " ", "ArrowDown", "Home", "Enter"]) {
			target.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true }));
		}
		expect(heard).toEqual([]);
	}
	const ways = [{ key: "Enter", shiftKey: true }, { key: "s", ctrlKey: true }, { key: "Escape" }];
	for (const way of ways) {
		get(".rbee-filter-license").dispatchEvent(
			new KeyboardEvent("keydown", { ...way, bubbles: true }),
		);
	}
	document.removeEventListener("keydown", listen);
	expect(heard).toEqual(["Enter", "s", "Escape"]);
});

test("unfolding asks for the files once, and folding takes them away", async () => {
	const { get, all, asked, tell } = await marketOf();
	get(".rbee-model-head").click();
	await painted();
	await tell({ set: { at: AT + 1 } });
	expect(asked()).toEqual([{ kind: "files", page: expect.any(String), model: "org/a" }]);
	expect(get(".rbee-details").textContent).toContain("Reading the files…");
	await tell({ files: { "org/a": there([fileOf("Q4_K_M")], { more: 12 }) } });
	expect(all(".rbee-file")).toHaveLength(1);
	expect(get(".rbee-details").textContent).toContain("and 12 more files");
	get(".rbee-model-head").click();
	await painted();
	expect(all(".rbee-file")).toHaveLength(0);
	get(".rbee-model-head").click();
	await painted();
	expect(all(".rbee-file")).toHaveLength(1);
	expect(asked()).toEqual([]);
});

test("a file tells its quantisation, size and parts, and whether it fits with the figures", async () => {
	const { get } = await unfolded([fileOf("Q4_K_M", { parts: 3 })]);
	expect(get(".rbee-quantisation").textContent).toBe("Q4_K_M");
	expect(get(".rbee-parts").textContent).toBe("3 parts");
	expect(get(".rbee-size").textContent).toBe("4.90 GB");
	const badge = get(".rbee-fit");
	expect(badge.textContent).toBe("Fits the GPU");
	expect(badge.title).toContain("Total: 6.63 GiB of 24 GiB GPU memory");
	expect(badge.title).toContain("KV cache at 4k tokens: 1 GiB");
	expect(badge.getAttribute("aria-expanded")).toBe("false");
	badge.click();
	expect(badge.getAttribute("aria-expanded")).toBe("true");
	expect(get(`#${badge.getAttribute("aria-controls")}`).textContent).toContain(
		"Compute buffer256 MiB",
	);
	badge.click();
	expect(get("dl")).toBe(null);
});

test("the slider changes every verdict at once, without a word to Python", async () => {
	const { get, all, asked } = await unfolded([fileOf("Q4_K_M"), fileOf("Q8_0")]);
	const slider = get("input[type=range]");
	expect(get(`label[for="${slider.id}"]`).textContent).toBe("Context");
	expect([slider.max, slider.value, slider.getAttribute("aria-valuetext")]).toEqual([
		"2",
		"0",
		"4k tokens",
	]);
	slider.value = "2";
	slider.dispatchEvent(new Event("input"));
	await painted();
	expect(all(".rbee-file").map((node) => node.dataset.fit)).toEqual(["no", "no"]);
	expect(get(".rbee-fit").textContent).toBe("Does not fit");
	expect(get(".rbee-fit").title).toContain("KV cache at 16k tokens: 4 GiB");
	expect(slider.getAttribute("aria-valuetext")).toBe("16k tokens");
	expect(asked()).toEqual([]);
});

test("before the first byte: room, time and licence, and the button is described by them", async () => {
	const { get, tell } = await unfolded([fileOf("Q4_K_M")]);
	const before = get(".rbee-before");
	expect(before.textContent).toBe(
		"4.9 GB of 120 GB disk free · about 7 min at 11 MB/s · licence llama3.1",
	);
	expect(before.hasAttribute("data-short")).toBe(false);
	const ids = get(".rbee-install-go").getAttribute("aria-describedby").split(" ");
	expect(ids.map((/** @type {string} */ id) => get(`#${id}`).textContent)).toEqual([
		"Fits the GPU",
		before.textContent,
	]);
	await tell({ set: { hive: { ...SET.hive, free: 6 * GB, promised: 4 * GB } } });
	expect(before.textContent).toMatch(/^needs 4\.9 GB, 2 GB disk free after running downloads/);
	expect(before.hasAttribute("data-short")).toBe(true);
});

test("what is gated says so before any click, and what to do before the button", async () => {
	const gate = "Accept the licence on its page, then set HF_TOKEN.";
	const { get } = await unfolded([fileOf("Q4_K_M")], { models: [modelOf("a", { gate })] });
	expect(get(".rbee-gated").textContent).toBe("gated");
	expect(get(".rbee-model-head > .rbee-unseen").textContent).toContain(", gated");
	expect(get(".rbee-gate").textContent).toContain(gate);
	expect(get(".rbee-gate a").getAttribute("href")).toBe("https://hub.example/org/a");
	const order = get(".rbee-gate").compareDocumentPosition(get(".rbee-install-go"));
	expect(order & Node.DOCUMENT_POSITION_FOLLOWING).toBeTruthy();
});

test("a press fetches the file, and its progress shows, to its end", async () => {
	const { get, all, asked, tick } = await unfolded([fileOf("Q4_K_M"), fileOf("Q8_0")]);
	const go = get(".rbee-install-go");
	go.focus();
	go.click();
	go.click();
	await painted();
	expect(asked()).toEqual([
		{ kind: "fetch", page: expect.any(String), model: "org/a", file: "org/a:Q4_K_M.gguf" },
	]);
	expect(go.textContent).toContain("starting…");
	await tick({ name: "org/a:Q4_K_M.gguf" });
	const bar = get('[role="progressbar"]');
	expect(bar.getAttribute("aria-valuenow")).toBe("45.2");
	expect(document.activeElement).toBe(bar);
	expect(all(".rbee-before")).toHaveLength(1); // of the other
	await vi.advanceTimersByTimeAsync(700); // it rests where the focus came up
	get(".rbee-cancel").click();
	expect(asked()).toEqual([{ kind: "cancel", ids: ["d"] }]);
	await tick({ name: "org/a:Q4_K_M.gguf", status: "complete", percentage: 100 });
	expect(get(".rbee-install").dataset.status).toBe("installed");
	expect(get(".rbee-announcer[role=status]").textContent).toBe("org/a:Q4_K_M.gguf is installed.");
	expect(all(".rbee-install")[1].dataset.status).toBe("absent");
});

test("a press survives news of the file's fit, and ends with a refusal", async () => {
	const { get, tell, asked } = await unfolded([fileOf("Q4_K_M", { fit: null })]);
	get(".rbee-install-go").click();
	await tell({ files: { "org/a": there([fileOf("Q4_K_M")]) } });
	expect(get(".rbee-install-go").getAttribute("aria-disabled")).toBe("true");
	await tell({ files: { "org/a": there([fileOf("Q4_K_M", { error: "the hive is full" })]) } });
	expect(get(".rbee-install-go").getAttribute("aria-disabled")).toBe(null);
	expect(asked()).toHaveLength(1);
});

test("a download on another hive is none of this one", async () => {
	const { get, tick } = await unfolded([fileOf("Q4_K_M")]);
	await tick({ name: "org/a:Q4_K_M.gguf", hive: "attic" });
	expect(get(".rbee-install").dataset.status).toBe("absent");
	await tick({ name: "org/a:Q4_K_M.gguf", hive: "local" });
	expect(get(".rbee-install").dataset.status).toBe("downloading");
});

test("what is there is marked, and what can't be had says why", async () => {
	const { get, all } = await unfolded([
		fileOf("Q4_K_M", { installed: true, place: "/m/f.gguf" }),
		fileOf("BF16", { cannot: "it is split into 4 parts" }),
	]);
	expect(get(".rbee-install-verb").textContent).toBe("Installed");
	expect(get(".rbee-install-told").title).toBe("/m/f.gguf");
	expect(get(".rbee-cannot").textContent).toBe("Can’t be installed: it is split into 4 parts");
	expect(all(".rbee-install")).toHaveLength(1);
	expect(all(".rbee-before")).toHaveLength(0);
});

test("a failed search says why, and counts down to when it may be tried again", async () => {
	const trouble = { text: "hub.example allows no more requests for now", retry: 3 };
	const { get, asked, tell } = await marketOf({ models: [], set: { trouble, query: QUERY } });
	expect(get(".rbee-error-text").textContent).toBe(trouble.text);
	expect(get(".rbee-announcer[role=status]").textContent).toBe(trouble.text);
	const again = get(".rbee-again");
	expect(again.textContent).toBe("Try again in 3 seconds");
	again.click();
	expect(asked()).toEqual([]);
	await vi.advanceTimersByTimeAsync(2100);
	expect(again.textContent).toBe("Try again in 1 second");
	await vi.advanceTimersByTimeAsync(1100);
	expect(again.textContent).toBe("Try again");
	again.click();
	expect(asked()).toMatchObject([{ kind: "search", n: 1, text: "llama" }]);
	await tell({
		set: { asked: 1, trouble: null, query: { ...QUERY, n: 1 } },
		append: [modelOf("a")],
	});
	expect(get(".rbee-error")).toBe(null);
});

test("a failed page keeps what is there, and is tried again alone", async () => {
	const trouble = { text: "it did not answer", retry: null };
	const { get, all, asked } = await marketOf({ set: { trouble, more: true } });
	expect(all(".rbee-model")).toHaveLength(3);
	get(".rbee-again").click();
	expect(asked()).toMatchObject([{ kind: "more", n: 0 }]);
});

test("files that couldn't be read can be asked for again", async () => {
	/** @type {any} */
	const error = { state: "error", error: "no answer", retry: null };
	const { get, asked, tell } = await marketOf({ files: { "org/a": error } });
	get(".rbee-model-head").click();
	await painted();
	expect(get(".rbee-details .rbee-error-text").textContent).toBe("no answer");
	get(".rbee-again").click();
	await tell({ files: { "org/a": { ...error, error: "still none" } } });
	get(".rbee-again").click();
	expect(asked()).toMatchObject([
		{ kind: "files", model: "org/a" },
		{ kind: "files", model: "org/a" },
	]);
});

test("the card is fetched when it is looked at, and gets in without what could run", async () => {
	const { get, el, asked, tell } = await unfolded([fileOf("Q4_K_M")]);
	const toggle = get(".rbee-card-toggle");
	expect(toggle.getAttribute("aria-expanded")).toBe("false");
	toggle.click();
	await painted();
	expect(toggle.getAttribute("aria-expanded")).toBe("true");
	expect(asked()).toEqual([{ kind: "card", page: expect.any(String), model: "org/a" }]);
	const html = '<h1>A</h1><p onclick="x()">text<img src=x onerror=y></p><script>z()</script>';
	await tell({ cards: { "org/a": { state: "there", html } } });
	expect(get(".rbee-card").innerHTML).toBe("<h2>A</h2><p>text</p>");
	expect(el.querySelectorAll("img, script")).toHaveLength(0);
	await tell({ cards: { "org/a": { state: "error", error: "no card" } } });
	expect(get(".rbee-details .rbee-error-text").textContent).toBe("no card");
});

test("names and words of strangers stay text, in bounds", async () => {
	const evil = '<img src=x onerror="alert(1)">';
	const long = `${"a".repeat(5000)}\u202e`;
	const { el, get } = await unfolded(
		[fileOf("Q4", { path: evil, quantisation: evil, cannot: evil }), fileOf("Q8", { path: long })],
		{
			models: [
				modelOf("a", { author: evil, license: evil, task: evil, gate: evil, url: "javascript:x" }),
			],
			set: { trouble: { text: evil, retry: null }, hive: { ...SET.hive, id: evil } },
		},
	);
	expect(el.querySelectorAll("img")).toHaveLength(0);
	expect(get(".rbee-path").textContent).toBe(evil);
	expect([...el.querySelectorAll(".rbee-path")].at(-1)?.textContent).toHaveLength(300);
	for (const link of el.querySelectorAll("a[href]")) {
		expect(link.getAttribute("href")).not.toContain("javascript");
	}
	expect(get(".rbee-gate a").hidden).toBe(true);
});

test("with no kernel: what was found, of when, with links, and no control", async () => {
	const set = { ...SET, context: 1 };
	const models = [modelOf("a", { gate: "ask first" }), modelOf("b")];
	const files = { "org/a": there([fileOf("Q4_K_M")]) };
	const market = { rev: 7, since: -1, set, append: models, files, cards: {} };
	const { el, get, all, model } = await marketOf({ live: false, market });
	expect(get(".rbee-market").dataset.live).toBe("no");
	expect(el.querySelectorAll("button, input, select, [role=searchbox]")).toHaveLength(0);
	expect(get(".rbee-market-line").textContent).toMatch(/^2 models for “llama”as of .*2023/);
	expect(all(".rbee-link").map((link) => link.getAttribute("href"))).toEqual([
		"rbee://model/org/a",
		"rbee://model/org/a:Q4_K_M.gguf",
		"rbee://model/org/b",
	]);
	expect(get(".rbee-file").dataset.fit).toBe("offload");
	expect(get(".rbee-fit").textContent).toBe("Fits with CPU offload");
	expect(get(".rbee-context").textContent).toBe("Context 8k tokens");
	expect(get(".rbee-gated").textContent).toBe("gated");
	// A kernel that comes is asked for the whole: what a page holds is bounded.
	await vi.advanceTimersByTimeAsync(6000);
	expect(model.sent.at(-1)).toMatchObject({ kind: "shown", rev: -1 });
	model.receive({ kind: "market", rev: 3, since: -1, set: SET, append: [modelOf("z")] });
	await painted();
	expect(get("[role=searchbox]").value).toBe("llama");
	expect(all(".rbee-model").map((node) => node.dataset.id)).toEqual(["org/z"]);
	expect(get(".rbee-context").textContent).toBe("Context4k tokens");
	model.disconnect();
	await painted();
	expect(el.querySelectorAll("button, input, select")).toHaveLength(0);
});

test("a trait that comes late doesn't cut what is held", async () => {
	const { model, all } = await marketOf();
	model.update(/** @type {any} */ ({ market: { rev: 99, since: -1, set: SET, append: [] } }));
	await painted();
	expect(all(".rbee-model")).toHaveLength(3);
});

test("all views of a model show the same, and each its own unfolded ones", async () => {
	const { view, get, all } = await unfolded([fileOf("Q4_K_M")]);
	const second = await view();
	expect(second.el.querySelectorAll(".rbee-model")).toHaveLength(3);
	expect(second.el.querySelectorAll(".rbee-file")).toHaveLength(0);
	expect(all(".rbee-file")).toHaveLength(1);
	get("input[type=range]").value = "2";
	get("input[type=range]").dispatchEvent(new Event("input"));
	await painted();
	expect(/** @type {any} */ (second.el.querySelector("input[type=range]")).value).toBe("2");
});

test("its cleanup leaves no listener, no observer and nothing in the page", async () => {
	const model = fakeModel(
		/** @type {any} */ ({ snapshot: { seq: 1, at: AT, rows: [] }, market: {} }),
	);
	const el = document.createElement("div");
	document.body.append(el);
	/** @type {any} */
	const widget = marketplace();
	const close = widget.render({ model: model.proxy(), el });
	model.receive({ kind: "market", rev: 1, since: -1, set: SET, append: [modelOf("a")] });
	await painted();
	/** @type {any} */ (el.querySelector("input")).dispatchEvent(new Event("input"));
	close();
	expect(model.listening()).toBe(0);
	expect(page.sight.observing()).toBe(0);
	expect(el.childNodes).toHaveLength(0);
});

test.each([
	["live", true],
	["with no kernel", false],
])("axe finds nothing, %s", async (_, live) => {
	const files = {
		"org/a": there([
			fileOf("Q4_K_M"),
			fileOf("Q8_0", { installed: true }),
			fileOf("X", { cannot: "x" }),
		]),
	};
	const models = [modelOf("a", { gate: "ask first" }), modelOf("b")];
	const cards = {
		"org/a": { state: "there", html: "<h1>A</h1><table><tr><td>x</td></tr></table>" },
	};
	const market = { rev: 7, since: -1, set: SET, append: models, files, cards };
	const { el, get } = await marketOf({ live, market, models, files, cards });
	if (live) {
		get(".rbee-model-head").click();
		await painted();
		get(".rbee-card-toggle").click();
		get(".rbee-fit").click();
		await painted();
	}
	vi.useRealTimers();
	const { violations } = await axe.run(el, { rules: { region: { enabled: false } } });
	vi.useFakeTimers();
	expect(violations.map(({ id, nodes }) => [id, nodes.map(({ html }) => html)])).toEqual([]);
});
