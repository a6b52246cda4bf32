import { afterEach, expect, test, vi } from "vitest";
import downloadPanel from "../src/download_panel.js";
import { fakeModel, line, row } from "./model.js";

/** @typedef {import("../src/rows.js").Row} Row */

/** @type {(() => unknown)[]} */
const cleanups = [];

afterEach(() => {
	for (const cleanup of cleanups.splice(0)) cleanup();
	document.body.replaceChildren();
});

const painted = () => new Promise((resolve) => requestAnimationFrame(() => setTimeout(resolve)));

/**
 * A panel in the page, live unless told otherwise.
 * @param {Row[]} rows
 * @param {{ live?: boolean, header?: boolean, initialize?: boolean }} [options]
 */
async function panelOf(rows, { live = true, header = true, initialize = true } = {}) {
	const model = fakeModel({ snapshot: { seq: 1, at: 1_700_000_000, rows }, show_header: header });
	/** @type {any} */
	const widget = downloadPanel();
	const end = initialize ? widget.initialize({ model: model.proxy() }) : undefined;

	async function view() {
		const el = document.createElement("div");
		document.body.append(el);
		const close = await widget.render({ model: model.proxy(), el });
		cleanups.push(close);
		const get = (/** @type {string} */ selector) =>
			/** @type {HTMLElement} */ (el.querySelector(selector));
		const all = (/** @type {string} */ selector) =>
			/** @type {HTMLElement[]} */ (Array.from(el.querySelectorAll(selector)));
		return { el, close, get, all };
	}

	let seq = 1;
	/** @param {Row[]} changed @param {Record<string, any[]>} [lines] */
	async function tick(changed, lines) {
		seq += 1;
		model.receive({ kind: "delta", seq, at: 1_700_000_000 + seq, rows: changed, lines });
		await painted();
	}

	const first = await view();
	if (live) {
		model.receive({ kind: "snapshot", seq: 1, at: 1_700_000_000, rows });
		await painted();
	}
	return { model, view, tick, end, ...first };
}

/** @param {HTMLElement | undefined} element */
const text = (element) => element?.textContent;

test("a row tells what a download is at", async () => {
	const { get } = await panelOf([row("a")]);
	expect(text(get(".rbee-name"))).toBe("org/a:file.gguf");
	expect(text(get(".rbee-state"))).toBe("Downloading");
	expect(text(get(".rbee-bytes"))).toBe("136 MB of 300 MB");
	expect(text(get(".rbee-percent"))).toBe("45.2%");
	expect(text(get(".rbee-speed"))).toBe("12.3 MB/s");
	expect(text(get(".rbee-eta"))).toBe("2m 30s left");
	expect(get(".rbee-row").dataset).toMatchObject({ id: "a", status: "downloading" });
	expect(text(get(".rbee-summary"))).toBe("1 active · 12 MB/s · 2m 30s left");
});

test("a progress bar has its name and values", async () => {
	const { get, tick } = await panelOf([row("a", { eta: 120 })]);
	const bar = get('[role="progressbar"]');
	expect(bar.getAttribute("aria-label")).toBe("org/a:file.gguf");
	expect(bar.getAttribute("aria-valuemin")).toBe("0");
	expect(bar.getAttribute("aria-valuemax")).toBe("100");
	expect(bar.getAttribute("aria-valuenow")).toBe("45.2");
	expect(bar.getAttribute("aria-valuetext")).toBe("45.2 percent, 2 minutes left");
	await tick([row("a", { percentage: null, eta: null, total_size: null })]);
	expect(bar.hasAttribute("aria-valuenow")).toBe(false);
	expect(get(".rbee-row").dataset.progress).toBe("unknown");
	expect(text(get(".rbee-bytes"))).toBe("136 MB");
});

test("a wide range stands in the place of one time, for ears too", async () => {
	const { get, tick } = await panelOf([row("a", { eta: 240, eta_range: [185, 360] })]);
	const said = () => get('[role="progressbar"]').getAttribute("aria-valuetext");
	expect(text(get(".rbee-eta"))).toBe("3–6m left");
	expect(said()).toBe("45.2 percent, 3 to 6 minutes left");
	await tick([row("a", { eta: 240, eta_range: [200, 280] })]);
	expect(text(get(".rbee-eta"))).toBe("3–5m left"); // it doesn't come and go
	await tick([row("a", { eta: 240, eta_range: [220, 260] })]);
	expect(text(get(".rbee-eta"))).toBe("4m left");
	expect(said()).toBe("45.2 percent, 4 minutes left");
	await tick([row("a", { eta: null, eta_range: null, stalled_for: 12 })]);
	expect(text(get(".rbee-eta"))).toBe("");
});

test("a stall shows no speed and no time", async () => {
	const { get } = await panelOf([row("a", { stalled_for: 37.4 })]);
	expect(text(get(".rbee-state"))).toBe("Stalled 37 s");
	expect(text(get(".rbee-speed"))).toBe("0 B/s");
	expect(text(get(".rbee-eta"))).toBe("");
});

test("a wait tells which try comes, when, and why", async () => {
	const retry = { number: 2, of: 6, in: 7.2 };
	const note = "connection refused by hub:443";
	const { get, all, tick } = await panelOf([row("a", { retry, note })]);
	expect(text(get(".rbee-state"))).toBe("Retry 2 of 6 in 8 s");
	expect(text(get(".rbee-note"))).toBe(note);
	expect(text(get(".rbee-eta"))).toBe("");
	expect(get('[role="progressbar"]').getAttribute("aria-valuetext")).toBe(
		"45.2 percent, retry 2 of 6 in 8 s",
	);
	await tick([row("a", { retry: { ...retry, in: 0 }, note })]);
	expect(text(get(".rbee-state"))).toBe("Retry 2 of 6");
	const error = "the stream broke off";
	await tick([row("a", { status: "interrupted", retry, note, error })]);
	expect(text(get(".rbee-error"))).toBe(error);
	expect(all(".rbee-note")).toHaveLength(0);
	await tick([row("a", { note })]);
	expect(text(get(".rbee-state"))).toBe("Downloading");
});

test("what a download has been through is told to its end", async () => {
	const remark = "local ended in the middle; the next one goes on";
	const { get, tick } = await panelOf([row("a", { remark })]);
	expect(text(get(".rbee-note"))).toBe(remark);
	await tick([row("a", { status: "complete", remark })]);
	expect(text(get(".rbee-note"))).toBe(remark);
});

test("a failure tells the error, then the way out", async () => {
	const { get } = await panelOf([
		row("a", { status: "failed", error: "disk full", hint: "Free some." }),
	]);
	expect(text(get(".rbee-error"))).toBe("disk fullFree some.");
	expect(text(get(".rbee-hint"))).toBe("Free some.");
});

test("a row without a percentage shows what goes on", async () => {
	const note = "Compiling (3 of 9)";
	const { all, get } = await panelOf([
		row("w", { type: "worker", percentage: null, note, created_at: 2 }),
		row("m", { note }),
		row("k", { status: "complete", note: "already on this hive" }),
	]);
	expect(all(".rbee-note").map(text)).toEqual([note, "already on this hive"]);
	expect(text(get(".rbee-type"))).toBe("worker");
});

test("markup in what a server says stays text", async () => {
	const evil = '<img src=x onerror="alert(1)"><b>bold</b>';
	const { el, get, tick, model } = await panelOf([
		row("a", { status: "failed", name: evil, error: evil, hint: evil, hive: evil }),
		row("b", { percentage: null, note: evil }),
	]);
	get(".rbee-disclosure").click();
	model.receive({ kind: "narration", id: "b", lines: [line(1, evil)] });
	await tick([row("b", { percentage: null, note: evil, speed: 1 })]);
	expect(el.querySelectorAll("img, b")).toHaveLength(0);
	expect(el.textContent.split(evil)).toHaveLength(7);
});

test("a name that turns text around or goes on for ever is shown as it is, bounded", async () => {
	const { get } = await panelOf([row("a", { name: `\u202E${"x".repeat(1000)}end` })]);
	expect(text(get(".rbee-name"))).toMatch(/^⟨RLO⟩x+…x+end$/);
	expect(text(get(".rbee-name"))).toHaveLength(300);
});

test("until a kernel speaks it is a snapshot: the time, and no button at all", async () => {
	const rows = ["a", "b", "c", "d", "e"].map((id) => row(id, { status: "complete" }));
	const { model, get, all } = await panelOf([row("x"), ...rows], { live: false });
	expect(get(".rbee-panel").dataset.live).toBe("no");
	expect(text(get(".rbee-header"))).toMatch(/^DownloadsSnapshot from .*2023/);
	expect(all("button")).toHaveLength(0);
	expect(all(".rbee-row")).toHaveLength(6);
	expect([".rbee-speed", ".rbee-eta"].map((figure) => text(get(figure)))).toEqual(["", ""]);
	expect(get("a").getAttribute("href")).toBe("rbee://model/org/x:file.gguf");

	model.update({ snapshot: { seq: 2, at: 1_700_000_001, rows } });
	await painted();
	expect(get(".rbee-panel").dataset.live).toBe("no");

	model.receive({ kind: "snapshot", seq: 2, at: 1_700_000_002, rows });
	await painted();
	expect(get(".rbee-panel").dataset.live).toBe("yes");
	expect(all(".rbee-clear")).toHaveLength(3);
	expect(get(".rbee-as-of")).toBe(null);
});

test("a kernel that goes away leaves a snapshot", async () => {
	const { model, get, all } = await panelOf([row("a")]);
	model.disconnect();
	await painted();
	expect(get(".rbee-panel").dataset.live).toBe("no");
	expect(all("button")).toHaveLength(0);
});

test("a panel without header still says that it is a snapshot", async () => {
	const { get } = await panelOf([row("a")], { live: false, header: false });
	expect(get(".rbee-header")).toBe(null);
	expect(text(get(".rbee-as-of"))).toMatch(/^Snapshot from/);
});

test("an empty panel says what to do", async () => {
	const { get } = await panelOf([]);
	expect(text(get(".rbee-empty"))).toBe(
		"No downloads yet. Start one with %download org/repo:file.gguf",
	);
});

test("buttons send what they say, and are named after their download", async () => {
	const { model, get } = await panelOf([
		row("a", { created_at: 2 }),
		row("b", { status: "failed" }),
	]);
	model.sent.length = 0;
	for (const kind of ["cancel", "retry", "clear"]) get(`.rbee-${kind}`).click();
	expect(model.sent).toEqual([
		{ kind: "cancel", id: "a" },
		{ kind: "retry", id: "b" },
		{ kind: "clear", id: "b" },
	]);
	expect(get(".rbee-cancel").getAttribute("aria-label")).toBe("Cancel download of org/a:file.gguf");
	expect(get(".rbee-retry").getAttribute("aria-label")).toBe("Retry download of org/b:file.gguf");
	expect(get(".rbee-clear").getAttribute("aria-label")).toMatch(/^Clear org\/b:file.gguf/);
});

test("a second click where Cancel was does not clear the row", async () => {
	const { model, get, tick } = await panelOf([row("a")]);
	get(".rbee-cancel").click();
	await tick([row("a", { status: "cancelled" })]);
	model.sent.length = 0;
	const pointed = () => new MouseEvent("click", { detail: 1, bubbles: true });
	get(".rbee-clear").dispatchEvent(pointed());
	expect(model.sent).toEqual([]);
	await vi.waitFor(() => expect(get(".rbee-clear").getAttribute("aria-disabled")).toBe(null));
	get(".rbee-clear").dispatchEvent(pointed());
	expect(model.sent).toEqual([{ kind: "clear", id: "a" }]);
});

test("what Clear does is said", async () => {
	const { all } = await panelOf([
		row("a", { status: "complete", created_at: 1 }),
		row("b", { status: "failed", created_at: 2 }),
	]);
	expect(all(".rbee-clear").map((button) => button.title)).toEqual([
		"Remove this row, and what has arrived of the file",
		"Remove this row; the file stays",
	]);
});

test("a cancel that is under way can't be asked for again, and keeps the focus", async () => {
	const { model, get, tick } = await panelOf([row("a")]);
	const cancel = get(".rbee-cancel");
	cancel.focus();
	await tick([row("a", { status: "cancelling" })]);
	model.sent.length = 0;
	cancel.click();
	expect(model.sent).toEqual([]);
	expect(text(cancel)).toBe("Cancelling…");
	expect(cancel.getAttribute("aria-disabled")).toBe("true");
	expect(document.activeElement).toBe(cancel);
	await tick([row("a", { status: "cancelled" })]);
	expect(document.activeElement).toBe(get(".rbee-retry"));
});

test("the focus stays when rows move, and goes to a neighbour when its row is cleared", async () => {
	const rows = [
		row("a", { created_at: 3 }),
		row("b", { created_at: 2 }),
		row("c", { created_at: 1 }),
	];
	const { model, all, tick } = await panelOf(rows);
	const [first] = all(".rbee-disclosure");
	first?.focus();
	await tick([row("a", { status: "failed", created_at: 3 })]);
	expect(all(".rbee-row").map((r) => r.dataset.id)).toEqual(["b", "c", "a"]);
	expect(document.activeElement).toBe(first);
	model.receive({ kind: "snapshot", seq: 3, at: 3, rows: rows.slice(1) });
	await painted();
	expect(document.activeElement).toBe(all(".rbee-cancel")[1]);
});

test("a tick keeps the nodes of all rows and writes to the changed one alone", async () => {
	const { get, all, tick } = await panelOf([row("a"), row("b")], { header: false });
	const before = all(".rbee-row");
	/** @type {MutationRecord[]} */
	const records = [];
	const observer = new MutationObserver((found) => records.push(...found));
	observer.observe(get(".rbee-panel"), {
		subtree: true,
		childList: true,
		attributes: true,
		characterData: true,
	});
	await tick([row("a", { percentage: 46, bytes_downloaded: 138e6 })]);
	observer.disconnect();
	const [changed] = all('[data-id="a"]');
	expect(all(".rbee-row")).toEqual(before);
	expect(all(".rbee-row").every((node, i) => node === before[i])).toBe(true);
	expect(records.length).toBeGreaterThan(0);
	expect(records.every(({ target }) => changed?.contains(target))).toBe(true);
});

test("however many messages arrive, one frame paints", async () => {
	const { model, get } = await panelOf([row("a")]);
	const request = vi.spyOn(globalThis, "requestAnimationFrame");
	for (let seq = 2; seq < 50; seq += 1) {
		model.receive({ kind: "delta", seq, at: seq, rows: [row("a", { percentage: seq })] });
	}
	expect(request).toHaveBeenCalledTimes(1);
	request.mockRestore();
	await painted();
	expect(text(get(".rbee-percent"))).toBe("49.0%");
});

test("a bar doesn't run backwards on a retry", async () => {
	const { get, tick } = await panelOf([row("a", { percentage: 80 })]);
	const fill = get(".rbee-fill");
	await tick([row("a", { percentage: 2 })]);
	expect(fill.style.transition).toBe("none");
	await tick([row("a", { percentage: 3 })]);
	expect(fill.style.transition).toBe("");
});

test("a gap asks for a snapshot, once", async () => {
	const { model, get } = await panelOf([row("a")]);
	model.sent.length = 0;
	model.receive({ kind: "delta", seq: 7, at: 7, rows: [row("a", { percentage: 90 })] });
	model.receive({ kind: "delta", seq: 8, at: 7.1, rows: [row("a", { percentage: 91 })] });
	await painted();
	expect(model.sent).toEqual([{ kind: "snapshot" }]);
	expect(text(get(".rbee-percent"))).toBe("45.2%");
});

test("complete rows beyond three fold away", async () => {
	const rows = [1, 2, 3, 4, 5].map((n) => row(`k${n}`, { status: "complete", created_at: n }));
	const { all, get } = await panelOf([row("a"), ...rows]);
	expect(all(".rbee-row").map((r) => r.dataset.id)).toEqual(["a", "k5", "k4", "k3"]);
	const more = get(".rbee-more");
	more.focus();
	expect(text(more)).toBe("Show 2 more");
	more.click();
	expect(all(".rbee-row")).toHaveLength(6);
	expect(text(more)).toBe("Show fewer");
	expect(document.activeElement).toBe(more);
});

test("a row opens to its narration, which its button controls", async () => {
	const { model, get, all, tick } = await panelOf([row("a")]);
	const disclosure = get(".rbee-disclosure");
	expect(disclosure.getAttribute("aria-label")).toBe("Narration of org/a:file.gguf");
	model.sent.length = 0;
	disclosure.click();
	expect(model.sent).toEqual([{ kind: "narration", id: "a" }]);
	expect(disclosure.getAttribute("aria-expanded")).toBe("true");
	expect(disclosure.getAttribute("aria-controls")).toBe(get(".rbee-narration").id);

	model.receive({ kind: "narration", id: "a", lines: [line(1), line(2)] });
	await painted();
	const [first] = all(".rbee-line");
	await tick([], { a: [line(2, "45%"), line(3)] });
	expect(all(".rbee-line-text").map(text)).toEqual(["line 1", "45%", "line 3"]);
	expect(all(".rbee-line")[0]).toBe(first);

	disclosure.click();
	expect(get(".rbee-narration")).toBe(null);
});

test("narration stays at its end unless somebody scrolled up", async () => {
	const { get, tick } = await panelOf([row("a")]);
	get(".rbee-disclosure").click();
	const list = get(".rbee-narration");
	Object.defineProperties(list, { scrollHeight: { value: 500 }, clientHeight: { value: 100 } });
	await tick([], { a: [line(1)] });
	expect(list.scrollTop).toBe(500);
	list.scrollTop = 20;
	list.dispatchEvent(new Event("scroll"));
	await tick([], { a: [line(2)] });
	expect(list.scrollTop).toBe(20);
});

test("missed deltas fetch the narration of opened rows again", async () => {
	const { model, get } = await panelOf([row("a")]);
	get(".rbee-disclosure").click();
	model.sent.length = 0;
	model.receive({ kind: "snapshot", seq: 9, at: 9, rows: [row("a")] });
	expect(model.sent).toEqual([{ kind: "narration", id: "a" }]);
});

test("an end is announced once, in one view alone", async () => {
	const { view, get, tick } = await panelOf([row("a"), row("b")]);
	const second = await view();
	await tick([row("a", { status: "complete" }), row("b", { status: "failed" })]);
	const region = get('[aria-live="polite"]');
	expect(text(region)).toBe("org/a:file.gguf is complete. org/b:file.gguf failed.");
	expect(text(second.get('[aria-live="polite"]'))).toBe("");
	const announced = region.firstChild;
	await tick([row("a", { status: "complete", path: "/m" })]);
	expect(region.firstChild).toBe(announced);
});

test("hives are named where there are several", async () => {
	const { all, tick } = await panelOf([row("a"), row("b")]);
	expect(all(".rbee-hive")).toHaveLength(0);
	await tick([row("c", { hive: "gaming-pc" })]);
	expect(all(".rbee-hive").map(text).sort()).toEqual(["gaming-pc", "localhost", "localhost"]);
});

test("a second view shows the same at once", async () => {
	const { view, tick } = await panelOf([row("a")]);
	await tick([row("a", { percentage: 70 })]);
	const second = await view();
	expect(second.get(".rbee-panel").dataset.live).toBe("yes");
	expect(text(second.get(".rbee-percent"))).toBe("70.0%");
});

test("a model asks for its state, and its cleanup leaves no listener", async () => {
	const { model, close, end, el } = await panelOf([row("a")], { live: false });
	expect(model.sent).toEqual([{ kind: "snapshot" }]);
	const cancelled = vi.spyOn(globalThis, "cancelAnimationFrame");
	close();
	end();
	cancelled.mockRestore();
	expect(model.listening()).toBe(0);
	expect(el.childNodes).toHaveLength(0);
	model.receive({ kind: "delta", seq: 2, at: 2, rows: [row("a")] });
	await painted();
	expect(el.childNodes).toHaveLength(0);
});

test("a view that is closed with a paint due never paints", async () => {
	const { model, close } = await panelOf([row("a")]);
	model.receive({ kind: "delta", seq: 2, at: 2, rows: [row("a", { percentage: 50 })] });
	const request = vi.spyOn(globalThis, "requestAnimationFrame");
	close();
	model.receive({ kind: "delta", seq: 3, at: 3, rows: [row("a", { percentage: 51 })] });
	expect(request).not.toHaveBeenCalled();
	request.mockRestore();
});

test("without initialize the views share what the first one hears, and the next takes over", async () => {
	const { model, view, close, tick } = await panelOf([row("a")], { initialize: false });
	const second = await view();
	expect(model.listening()).toBe(3);
	await tick([row("a", { percentage: 60 })]);
	expect(text(second.get(".rbee-percent"))).toBe("60.0%");
	close();
	expect(model.listening()).toBe(3);
	await tick([row("a", { percentage: 61 })]);
	expect(text(second.get(".rbee-percent"))).toBe("61.0%");
	second.close();
	expect(model.listening()).toBe(0);
});

test("all works inside a shadow root", async () => {
	const host = document.createElement("div");
	document.body.append(host);
	const root = host.attachShadow({ mode: "open" });
	const el = document.createElement("div");
	root.append(el);
	const rows = [row("a")];
	const model = fakeModel({ snapshot: { seq: 1, at: 1, rows }, show_header: true });
	/** @type {any} */
	const widget = downloadPanel();
	cleanups.push(widget.render({ model: model.proxy(), el }));
	model.receive({ kind: "snapshot", seq: 1, at: 1, rows });
	await painted();
	/** @type {HTMLElement | null} */ (root.querySelector(".rbee-cancel"))?.focus();
	model.receive({ kind: "delta", seq: 2, at: 2, rows: [row("a", { status: "failed" })] });
	await painted();
	expect(root.activeElement).toBe(root.querySelector(".rbee-retry"));
});
