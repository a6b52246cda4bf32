import { afterEach, beforeEach, expect, test, vi } from "vitest";
import downloadPanel from "../src/download_panel.js";
import { fakeModel, fakeSight, line, row } from "./model.js";

/** @typedef {import("../src/rows.js").SentRow} SentRow */

/** @type {(() => unknown)[]} */
const cleanups = [];
/** @type {ReturnType<typeof fakeSight>} */
let sight;

beforeEach(() => {
	sight = fakeSight();
});

afterEach(() => {
	for (const cleanup of cleanups.splice(0)) cleanup();
	document.body.replaceChildren();
	document.title = "";
	vi.useRealTimers();
	vi.unstubAllGlobals();
	localStorage.clear();
	vi.restoreAllMocks();
});

const painting = () => new Promise((resolve) => requestAnimationFrame(resolve));

const painted = () => new Promise((resolve) => requestAnimationFrame(() => setTimeout(resolve)));

/**
 * A panel in the page, live unless told otherwise.
 * @param {SentRow[]} rows
 * @param {{ live?: boolean, header?: boolean, initialize?: boolean }} [options]
 */
async function panelOf(rows, { live = true, header = true, initialize = true } = {}) {
	const at = 1_700_000_000;
	const model = fakeModel({ snapshot: { seq: 1, at, rows }, show_header: header });
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
	/** @param {SentRow[]} changed @param {Record<string, any>} [more] */
	async function tick(changed, more) {
		seq += 1;
		model.receive({ kind: "delta", since: seq - 1, seq, at: at + seq, rows: changed, ...more });
		await painted();
	}

	/** What was asked of Python since the last look, without the lease. */
	const asked = () => model.sent.splice(0).filter(({ kind }) => kind !== "shown");

	const first = await view();
	await painted();
	if (live) {
		model.receive({ kind: "snapshot", seq: 1, at, rows });
		await painted();
	}
	return { model, view, tick, end, asked, ...first };
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
	const { el, get, tick } = await panelOf([
		row("a", { status: "failed", name: evil, error: evil, hint: evil, hive: evil }),
		row("b", { percentage: null, note: evil }),
	]);
	get(".rbee-disclosure").click();
	await tick([row("b", { percentage: null, note: evil, speed: 1 })], {
		lines: { b: [line(1, evil)] },
	});
	await vi.waitFor(() => expect(el.textContent.split(evil)).toHaveLength(7));
	expect(el.querySelectorAll("img, b")).toHaveLength(0);
});

test("a name that turns text around or goes on for ever is shown as it is, bounded", async () => {
	const { get } = await panelOf([row("a", { name: `\u202E${"x".repeat(1000)}end` })]);
	expect(text(get(".rbee-name"))).toMatch(/^⟨U\+202E⟩x+…x+end$/);
	expect(text(get(".rbee-name"))).toHaveLength(300);
});

test("a name is there once for ears, and cut for eyes where it doesn't fit", async () => {
	const { get } = await panelOf([row("a", { name: "org/some-long-name-GGUF:some-Q4_K_M.gguf" })]);
	expect(text(get(".rbee-name"))).toBe("org/some-long-name-GGUF:some-Q4_K_M.gguf");
	expect(get(".rbee-name").title).toBe("org/some-long-name-GGUF:some-Q4_K_M.gguf");
	const cut = get(".rbee-name-cut");
	expect(cut.getAttribute("aria-hidden")).toBe("true");
	expect(cut.dataset).toMatchObject({
		head: "org/some-long-name-GGUF:some",
		tail: "-Q4_K_M.gguf",
	});
});

test("an error that may have to be scrolled is reached by keyboard", async () => {
	const { get, tick } = await panelOf([row("a", { status: "failed", error: "disk full" })]);
	expect(get(".rbee-error-text").hasAttribute("tabindex")).toBe(false);
	await tick([row("a", { status: "failed", error: "no room on this disk. ".repeat(20) })]);
	expect(get(".rbee-error-text").tabIndex).toBe(0);
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
	const { asked, get, all } = await panelOf([
		row("a", { created_at: 3 }),
		row("b", { status: "failed", created_at: 2 }),
		row("c", { status: "failed", created_at: 1 }),
	]);
	const named = (/** @type {string} */ selector) => get(selector).getAttribute("aria-label");
	expect(named(".rbee-cancel")).toBe("Cancel download of org/a:file.gguf");
	expect(named(".rbee-retry")).toBe("Retry download of org/b:file.gguf");
	expect(named(".rbee-clear")).toBe("Clear org/b:file.gguf from the list");
	const [, cleared] = all(".rbee-clear");
	asked();
	for (const button of [get(".rbee-cancel"), get(".rbee-retry"), cleared]) button?.click();
	expect(asked()).toEqual([
		{ kind: "cancel", ids: ["a"] },
		{ kind: "retry", ids: ["b"] },
		{ kind: "clear", ids: ["c"] },
	]);
});

test("a pressed button says so until its effect comes, in every view", async () => {
	const { asked, get, view, tick } = await panelOf([row("a"), row("b", { status: "failed" })]);
	const second = await view();
	await painted();
	get(".rbee-cancel").click();
	get(".rbee-retry").click();
	await painted();
	for (const { get: seen, all } of [{ get, all: second.all }, second]) {
		expect(text(seen(".rbee-cancel"))).toBe("Cancelling…");
		expect(seen(".rbee-cancel").getAttribute("aria-label")).toMatch(/^Cancelling download/);
		expect(text(seen(".rbee-retry"))).toBe("Retrying…");
		expect(all(".rbee-clear")).toHaveLength(0);
	}
	asked();
	get(".rbee-cancel").click();
	expect(asked()).toEqual([]);
	await tick([row("a", { percentage: 46 })]); // a figure that was under way is no answer
	expect(text(get(".rbee-cancel"))).toBe("Cancelling…");
	await tick([row("a", { status: "complete" }), row("b", { status: "queued" })]);
	expect(text(get(".rbee-clear"))).toBe("Clear");
	expect(text(get(".rbee-cancel"))).toBe("Cancel");
});

test("a button without effect may be pressed again after ten seconds", async () => {
	const { asked, get } = await panelOf([row("a")]);
	vi.useFakeTimers();
	sight.scroll(document.body, false);
	sight.scroll(document.body, true); // the ticker is a fake one now
	get(".rbee-cancel").click();
	await vi.advanceTimersByTimeAsync(9000);
	expect(text(get(".rbee-cancel"))).toBe("Cancelling…");
	await vi.advanceTimersByTimeAsync(2100);
	expect(text(get(".rbee-cancel"))).toBe("Cancel");
	asked();
	get(".rbee-cancel").click();
	expect(asked()).toEqual([{ kind: "cancel", ids: ["a"] }]);
});

test("a second click where Cancel was does not clear the row", async () => {
	const { asked, get, tick } = await panelOf([row("a")]);
	get(".rbee-cancel").click();
	await tick([row("a", { status: "cancelled" })]);
	await tick([row("a", { status: "cancelled", note: "cancelled by you" })]);
	asked();
	const pointed = () => new MouseEvent("click", { detail: 1, bubbles: true });
	get(".rbee-clear").dispatchEvent(pointed());
	expect(asked()).toEqual([]);
	await vi.waitFor(() => expect(get(".rbee-clear").getAttribute("aria-disabled")).toBe(null));
	get(".rbee-clear").dispatchEvent(pointed());
	expect(asked()).toEqual([{ kind: "clear", ids: ["a"] }]);
});

test("a key that clears is meant, also where Cancel was", async () => {
	const { asked, get, tick } = await panelOf([row("a")]);
	await tick([row("a", { status: "cancelled" })]);
	asked();
	get(".rbee-clear").click(); // as a key does: it counts no clicks
	expect(asked()).toEqual([{ kind: "clear", ids: ["a"] }]);
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
	const { asked, get, tick } = await panelOf([row("a")]);
	const cancel = get(".rbee-cancel");
	cancel.focus();
	await tick([row("a", { status: "cancelling" })]);
	asked();
	cancel.click();
	expect(asked()).toEqual([]);
	expect(text(cancel)).toBe("Cancelling…");
	expect(cancel.getAttribute("aria-disabled")).toBe("true");
	expect(document.activeElement).toBe(cancel);
	await tick([row("a", { status: "cancelled" })]);
	expect(document.activeElement).toBe(get(".rbee-retry"));
});

test.each([null, "/models/a.gguf"])(
	"where Cancel was, Clear has the focus (path: %s)",
	async (path) => {
		const { get, tick } = await panelOf([row("a")]);
		get(".rbee-cancel").focus();
		await tick([row("a", { status: "complete", path })]);
		expect(document.activeElement).toBe(get(".rbee-clear"));
		await tick([row("a", { status: "complete", path: "/models/a.gguf" })]);
		expect(document.activeElement).toBe(get(".rbee-clear"));
	},
);

test("the focus stays when rows move, and goes to a neighbour when its row is cleared", async () => {
	const rows = [
		row("a", { created_at: 3 }),
		row("b", { created_at: 2 }),
		row("c", { created_at: 1 }),
	];
	const { all, tick } = await panelOf(rows);
	const [first] = all(".rbee-disclosure");
	first?.focus();
	await tick([row("a", { status: "failed", created_at: 3 })]);
	expect(all(".rbee-row").map((r) => r.dataset.id)).toEqual(["b", "c", "a"]);
	expect(document.activeElement).toBe(first);
	await tick([], { gone: ["a"] });
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
		const rows = [row("a", { percentage: seq })];
		model.receive({ kind: "delta", since: seq - 1, seq, at: seq, rows });
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

test("a gap asks once for what was missed, with what is held", async () => {
	const { model, get } = await panelOf([row("a")]);
	await new Promise((resolve) => setTimeout(resolve, 1000)); // so long after the first question
	model.sent.length = 0;
	const missed = { kind: "delta", since: 6, seq: 7, at: 7, rows: [row("a", { percentage: 90 })] };
	model.receive(missed);
	model.receive({ ...missed, since: 7, seq: 8 });
	await painted();
	expect(model.sent).toEqual([{ kind: "shown", page: expect.any(String), seq: 1, open: {} }]);
	expect(text(get(".rbee-percent"))).toBe("45.2%");
	model.receive({ ...missed, since: 1, seq: 8 });
	await painted();
	expect(text(get(".rbee-percent"))).toBe("90.0%");
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
	expect(model.sent).toMatchObject([{ kind: "shown", seq: 1, open: { a: -1 } }]);
	expect(disclosure.getAttribute("aria-expanded")).toBe("true");
	expect(disclosure.getAttribute("aria-controls")).toBe(get(".rbee-narration").id);

	await tick([], { lines: { a: [line(1), line(2)] } });
	await tick([], { lines: { a: [line(2, "45%"), line(3)] } });
	await vi.waitFor(() => {
		expect(all(".rbee-line-text").map(text)).toEqual(["line 3", "45%", "line 1"]);
	});

	disclosure.click();
	expect(get(".rbee-narration")).toBe(null);
});

/** What each question of a page told of the rows that are open. @param {any[]} sent */
const opens = (sent) => sent.filter(({ kind }) => kind === "shown").map(({ open }) => open);

test("the lease tells which rows are open, and how far their narration is held", async () => {
	const { model, get, tick } = await panelOf([row("a"), row("b")]);
	get('[data-id="a"] .rbee-disclosure').click();
	await tick([], { lines: { a: [line(4), line(9)], b: [line(7)] } });
	model.sent.length = 0;
	sight.scroll(document.body, false);
	sight.scroll(document.body, true);
	get('[data-id="a"] .rbee-disclosure').click();
	sight.scroll(document.body, false);
	sight.scroll(document.body, true);
	expect(opens(model.sent)).toEqual([{ a: 9 }, {}]);
});

test.each([
	["a gap", { kind: "delta", since: 4, seq: 5, at: 5, rows: [] }],
	["a snapshot that came first", { kind: "snapshot", seq: 5, at: 5, rows: [row("a")] }],
])("lines that were missed by %s are asked for again, once", async (_, message) => {
	const { model, get, tick } = await panelOf([row("a")]);
	get(".rbee-disclosure").click();
	await tick([], { lines: { a: [line(9)] } });
	model.sent.length = 0;
	model.receive(message);
	sight.scroll(document.body, false);
	sight.scroll(document.body, true);
	sight.scroll(document.body, false);
	sight.scroll(document.body, true);
	expect(opens(model.sent)).toEqual([{ a: -1 }, { a: 9 }]);
});

test("many ends at once are told in few words", async () => {
	const { get, tick } = await panelOf(many(5));
	await tick(many(5, { status: "complete" }));
	expect(text(get('[role="status"]'))).toBe(
		"org/r0:file.gguf is complete. org/r1:file.gguf is complete. org/r2:file.gguf is complete. 2 more ended.",
	);
});

test("an end is announced once, in one view alone", async () => {
	const { view, get, tick } = await panelOf([row("a"), row("b")]);
	const second = await view();
	await painted();
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

test("a closed view and model leave nothing behind", async () => {
	vi.useFakeTimers({ toFake: ["setTimeout", "setInterval", "clearTimeout", "clearInterval"] });
	const rows = many(12);
	const model = fakeModel({ snapshot: { seq: 1, at: 1, rows }, show_header: true });
	/** @type {any} */
	const widget = downloadPanel();
	const end = widget.initialize({ model: model.proxy() });
	const el = document.createElement("div");
	document.body.append(el);
	const close = widget.render({ model: model.proxy(), el });
	await vi.advanceTimersByTimeAsync(100);
	model.receive({ kind: "beat", seq: 1, at: 1 });
	await painting();
	const press = (/** @type {string} */ selector) =>
		/** @type {HTMLElement} */ (el.querySelector(selector)).click();
	press(".rbee-cancel-all");
	const ended = { status: "cancelled" };
	model.receive({ kind: "delta", since: 1, seq: 2, at: 2, rows: [{ ...rows[0], ...ended }] });
	el.querySelector(".rbee-filter")?.dispatchEvent(new InputEvent("input"));
	expect(vi.getTimerCount()).toBe(4); // the lease, the typing, and two guards against a second click
	close();
	end();
	expect(vi.getTimerCount()).toBe(0);
	expect(sight.observing()).toBe(0);
	expect(model.listening()).toBe(0);
	expect(model.sent.at(-1)).toMatchObject({ kind: "hidden" });
	model.receive({ kind: "delta", since: 2, seq: 3, at: 3, rows: [row("a")] });
	expect(el.childNodes).toHaveLength(0);
});

test("a view that is closed with a paint due never paints", async () => {
	const { model, close } = await panelOf([row("a")]);
	const delta = (/** @type {number} */ seq) => ({
		kind: "delta",
		since: seq - 1,
		seq,
		at: seq,
		rows: [row("a", { percentage: seq })],
	});
	model.receive(delta(2));
	const request = vi.spyOn(globalThis, "requestAnimationFrame");
	const cancel = vi.spyOn(globalThis, "cancelAnimationFrame");
	close();
	expect(cancel.mock.calls.some(([frame]) => Boolean(frame))).toBe(true);
	model.receive(delta(3));
	expect(request).not.toHaveBeenCalled();
});

test("out of sight nothing is painted, until it is back", async () => {
	const { get, tick } = await panelOf([row("a")]);
	sight.scroll(document.body, false);
	await tick([row("a", { percentage: 60 })]);
	expect(text(get(".rbee-percent"))).toBe("45.2%");
	sight.scroll(document.body, true);
	await painted();
	expect(text(get(".rbee-percent"))).toBe("60.0%");
});

test("a list that the host took out and put back is where it was scrolled to", async () => {
	const { get } = await panelOf(many(30));
	const list = get(".rbee-list");
	list.scrollTop = 240;
	list.dispatchEvent(new Event("scroll"));
	sight.scroll(document.body, false);
	list.scrollTop = 0; // what the browser does to what is taken out
	sight.scroll(document.body, true);
	expect(list.scrollTop).toBe(240);
});

test("without initialize the views share what the first one hears, and the next takes over", async () => {
	const { model, view, close, tick } = await panelOf([row("a")], { initialize: false });
	const second = await view();
	await painted();
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
	await painted();
	model.receive({ kind: "snapshot", seq: 1, at: 1, rows });
	await painted();
	/** @type {HTMLElement | null} */ (root.querySelector(".rbee-cancel"))?.focus();
	const failed = [row("a", { status: "failed" })];
	model.receive({ kind: "delta", since: 1, seq: 2, at: 2, rows: failed });
	await painted();
	expect(root.activeElement).toBe(root.querySelector(".rbee-retry"));
});

/** @param {number} count @param {Partial<import("../src/rows.js").Row>} [changes] */
const many = (count, changes) =>
	Array.from({ length: count }, (_, n) => row(`r${n}`, { created_at: count - n, ...changes }));

/** @param {HTMLElement} field @param {string} words */
async function type(field, words) {
	/** @type {HTMLInputElement} */ (field).value = words;
	field.dispatchEvent(new InputEvent("input", { bubbles: true }));
	await painted();
}

test("beyond ten rows there is a search box", async () => {
	const { get, tick } = await panelOf(many(10));
	expect(get(".rbee-filter")).toBe(null);
	await tick([row("one more")]);
	expect(get(".rbee-filter").getAttribute("type")).toBe("search");
	expect(get(".rbee-filter").getAttribute("aria-label")).toBe("Filter downloads");
});

test.each([
	["R1:", ["r1"]],
	["pc", ["r2", "r3"]],
	["stalled", ["r3"]],
	["FAILED", ["r4"]],
	["pc org/r2", ["r2"]],
	["  ", null],
])("the filter %j looks at name, hive and state", async (words, ids) => {
	const rows = many(12);
	rows[2] = row("r2", { hive: "gaming-pc", created_at: 10 });
	rows[3] = row("r3", { hive: "gaming-pc", stalled_for: 12, created_at: 9 });
	rows[4] = row("r4", { status: "failed", created_at: 8 });
	const { get, all } = await panelOf(rows);
	await type(get(".rbee-filter"), words);
	const shown = all(".rbee-row").map(({ dataset }) => dataset.id);
	if (ids) expect(shown).toEqual(ids);
	else expect(shown).toHaveLength(12);
	expect(text(get(".rbee-matches"))).toBe(ids ? `${ids.length} of 12` : "");
});

test("a search finds what is folded away, and follows what changes", async () => {
	const { get, all, tick } = await panelOf(many(12, { status: "complete" }));
	expect(all(".rbee-row")).toHaveLength(3);
	await type(get(".rbee-filter"), "complete");
	expect(all(".rbee-row")).toHaveLength(12);
	expect(get(".rbee-more")).toBe(null);
	await tick([], { gone: ["r0", "r1", "r2"] });
	expect(all(".rbee-row")).toHaveLength(9);
	expect(get(".rbee-filter")).not.toBe(null); // nine rows need none, but it is in use
});

test("how many were found is told once the typing rests", async () => {
	const { get } = await panelOf(many(12));
	vi.useFakeTimers();
	const field = /** @type {HTMLInputElement} */ (get(".rbee-filter"));
	for (const words of ["r", "r1", "r11"]) {
		field.value = words;
		field.dispatchEvent(new InputEvent("input"));
		vi.advanceTimersByTime(400);
		expect(text(get('[role="status"]'))).toBe("");
	}
	vi.advanceTimersByTime(200);
	expect(text(get('[role="status"]'))).toBe("1 of 12 downloads");
});

test("Escape empties the filter, and is the notebook's where there is nothing to empty", async () => {
	const { el, get, all } = await panelOf(many(12));
	const heard = vi.fn();
	el.addEventListener("keydown", heard);
	const field = /** @type {HTMLInputElement} */ (get(".rbee-filter"));
	field.focus();
	await type(field, "r1");
	const press = () => new KeyboardEvent("keydown", { key: "Escape", bubbles: true });
	field.dispatchEvent(press());
	expect(field.value).toBe("");
	expect(all(".rbee-row")).toHaveLength(12);
	expect(document.activeElement).toBe(field);
	expect(heard).not.toHaveBeenCalled();
	field.dispatchEvent(press());
	expect(heard).toHaveBeenCalledTimes(1);
});

test("where nothing is found there is a way back", async () => {
	const { get, all } = await panelOf(many(12));
	await type(get(".rbee-filter"), "<b>nonesuch</b>");
	expect(all(".rbee-row")).toHaveLength(0);
	expect(text(get(".rbee-unmatched"))).toBe("No download matches “<b>nonesuch</b>”.");
	get(".rbee-empty button").click();
	await painted();
	expect(all(".rbee-row")).toHaveLength(12);
	expect(document.activeElement).toBe(get(".rbee-filter"));
});

const ROWS = [
	row("a", { created_at: 9 }),
	row("b", { status: "queued", created_at: 8 }),
	row("c", { status: "cancelling", created_at: 7 }),
	row("f", { status: "failed", created_at: 6 }),
	...[5, 4, 3, 2, 1].map((n) => row(`k${n}`, { status: "complete", created_at: n })),
];

test("the header cancels all that can be, and clears all that is complete, folded or not", async () => {
	const { asked, get } = await panelOf(ROWS);
	asked();
	expect(text(get(".rbee-cancel-all"))).toBe("Cancel all");
	expect(text(get(".rbee-clear-finished"))).toBe("Clear finished");
	expect(get(".rbee-clear-finished").title).toBe("Remove 5 complete rows; the files stay");
	get(".rbee-clear-finished").click();
	expect(asked()).toEqual([{ kind: "clear", ids: ["k5", "k4", "k3", "k2", "k1"] }]);
	get(".rbee-cancel-all").click();
	expect(asked()).toEqual([{ kind: "cancel", ids: ["a", "b"] }]);
	await painted();
	expect(text(get('[data-id="b"] .rbee-cancel'))).toBe("Cancelling…");
});

test("what was asked for already is not asked for again by the header", async () => {
	const { asked, get } = await panelOf([row("a"), row("b"), row("c")]);
	get('[data-id="b"] .rbee-cancel').click();
	await painted();
	asked();
	get(".rbee-cancel-all").click();
	expect(asked()).toMatchObject([{ kind: "cancel", ids: ["c", "a"] }]);
});

test("with a filter the header's buttons concern what it shows, and say so", async () => {
	const { asked, get } = await panelOf([
		...ROWS,
		...[1, 2, 3].map((n) => row(`x${n}`, { created_at: n })),
		...[4, 5].map((n) => row(`x${n}`, { created_at: n, status: "complete" })),
	]);
	await type(get(".rbee-filter"), "x");
	asked();
	expect(text(get(".rbee-cancel-all"))).toBe("Cancel 3 shown");
	expect(text(get(".rbee-clear-finished"))).toBe("Clear 2 shown");
	get(".rbee-cancel-all").click();
	expect(asked()).toEqual([{ kind: "cancel", ids: ["x3", "x2", "x1"] }]);
});

test("a pressed button of the header stays, so that a double click meets no other", async () => {
	const { asked, get, tick } = await panelOf(ROWS);
	asked();
	const cancelAll = get(".rbee-cancel-all");
	cancelAll.click();
	await tick([row("a", { status: "cancelled" }), row("b", { status: "cancelled" })]);
	expect(get(".rbee-cancel-all")).toBe(cancelAll);
	expect(cancelAll.getAttribute("aria-disabled")).toBe("true");
	cancelAll.click();
	expect(asked()).toEqual([{ kind: "cancel", ids: ["a", "b"] }]);
	get(".rbee-clear-finished").click(); // meant, as it stands elsewhere
	expect(asked()).toHaveLength(1);
	await vi.waitFor(() => expect(get(".rbee-cancel-all")).toBe(null));
});

test("the focus of a button of the header that goes is its neighbour's", async () => {
	const { get, tick } = await panelOf([row("a"), row("b")]);
	get(".rbee-cancel-all").focus();
	await tick([row("a", { status: "failed" })]);
	expect(document.activeElement).toBe(get(".rbee-more-options"));
});

test("a single row has its own button, and the header none for it", async () => {
	const { all, tick } = await panelOf([row("a"), row("b", { status: "complete" })]);
	expect(all(".rbee-cancel-all, .rbee-clear-finished")).toHaveLength(0);
	await tick([row("c"), row("d", { status: "complete" })]);
	expect(all(".rbee-cancel-all, .rbee-clear-finished")).toHaveLength(2);
});

test("with no kernel the filter works, and there is no button", async () => {
	const { get, all } = await panelOf(many(12, { status: "complete", path: "/m" }), { live: false });
	expect(all(".rbee-row")).toHaveLength(12);
	await type(get(".rbee-filter"), "r11");
	expect(all(".rbee-row")).toHaveLength(1);
	expect(all("button")).toHaveLength(0);
});

test("a busy kernel is told as such, and its buttons stay", async () => {
	const { model, asked, get, all } = await panelOf([row("a")]);
	vi.useFakeTimers();
	sight.scroll(document.body, false);
	sight.scroll(document.body, true); // the ticker is a fake one now
	model.receive({ kind: "beat", seq: 1, at: 1 });
	await vi.advanceTimersByTimeAsync(7050);
	expect(get(".rbee-panel").hasAttribute("data-busy")).toBe(true);
	expect(text(get(".rbee-header .rbee-busy"))).toBe("Kernel busy, last heard 7 s ago");
	expect(text(get('[role="status"]'))).toBe("Kernel busy");
	expect(get(".rbee-summary")).toBe(null);
	const announced = get('[role="status"]').firstChild;
	await vi.advanceTimersByTimeAsync(5000);
	expect(text(get(".rbee-busy"))).toBe("Kernel busy, last heard 12 s ago");
	expect(get('[role="status"]').firstChild).toBe(announced); // told once, not each second
	asked();
	get(".rbee-cancel").click();
	expect(asked()).toEqual([{ kind: "cancel", ids: ["a"] }]);
	model.receive({ kind: "beat", seq: 1, at: 1 });
	await vi.advanceTimersByTimeAsync(50);
	expect(get(".rbee-panel").hasAttribute("data-busy")).toBe(false);
	expect(all(".rbee-busy")).toHaveLength(0);
});

test("a panel without header says too that the kernel is busy, or that it lives", async () => {
	const { model, get, all } = await panelOf([row("a")], { header: false });
	expect(all(".rbee-busy, .rbee-as-of")).toHaveLength(0);
	vi.useFakeTimers();
	sight.scroll(document.body, false);
	sight.scroll(document.body, true);
	model.receive({ kind: "beat", seq: 1, at: 1 });
	await vi.advanceTimersByTimeAsync(7050);
	expect(text(get(".rbee-panel > .rbee-busy"))).toBe("Kernel busy, last heard 7 s ago");
});

test("the speed of the last minute is drawn, of what is downloading alone", async () => {
	const { get, tick } = await panelOf([row("a"), row("b", { status: "failed" })]);
	const drawn = (/** @type {string} */ id) =>
		get(`[data-id="${id}"] .rbee-sparkline path`).getAttribute("d");
	expect(get(".rbee-sparkline").getAttribute("aria-hidden")).toBe("true");
	await tick([row("a", { speed: 6_150_000 })]);
	await tick([row("a", { speed: null })]); // not known: no point
	await tick([row("a", { stalled_for: 11 })]); // told as standing still
	expect(drawn("a")).toBe("M56.0 1.0L58.0 7.0L60.0 13.0");
	expect(drawn("b")).toBe(null);
	await tick([row("a", { status: "finishing" })]);
	expect(drawn("a")).toBe("");
});

test("a complete row gives its path", async () => {
	const writeText = vi.fn(async () => {});
	vi.stubGlobal("navigator", { clipboard: { writeText } });
	const { get, all } = await panelOf([
		row("a", { status: "complete", path: "/models/a.gguf", created_at: 2 }),
		row("b", { status: "complete" }),
		row("c", { path: "/half" }),
	]);
	expect(all(".rbee-copy")).toHaveLength(1);
	const copy = get(".rbee-copy");
	expect(copy.getAttribute("aria-label")).toBe("Copy path of org/a:file.gguf");
	expect(copy.title).toBe("/models/a.gguf");
	vi.useFakeTimers();
	copy.click();
	await vi.advanceTimersByTimeAsync(1900);
	expect(text(copy)).toBe("Copied");
	expect(writeText).toHaveBeenCalledWith("/models/a.gguf");
	expect(text(get('[role="status"]'))).toBe("Path copied");
	await vi.advanceTimersByTimeAsync(200);
	expect(text(copy)).toBe("Copy path");
	expect(get(".rbee-path")).toBe(null);
});

test("where the page may not copy, the path is there, selected", async () => {
	vi.stubGlobal("navigator", {});
	const path = "/models/<b>a</b>.gguf";
	const { get, tick } = await panelOf([row("a", { status: "complete", path })]);
	get(".rbee-copy").click();
	await vi.waitFor(() => expect(text(get(".rbee-path"))).toBe(path));
	expect(String(getSelection())).toBe(path);
	expect(text(get('[role="status"]'))).toBe("Path selected");
	expect(text(get(".rbee-copy"))).toBe("Copy path");
	await tick([row("a", { status: "queued" })]);
	expect(get(".rbee-path")).toBe(null);
});

/** @param {Awaited<ReturnType<typeof panelOf>>} panel @param {number} place */
async function switchOption({ get, all }, place) {
	if (!get(".rbee-options")) get(".rbee-more-options").click();
	await painted();
	all(".rbee-check")[place]?.click();
	await painted();
}

test("the options open and close by keyboard, and a panel of one row has none", async () => {
	const { el, get } = await panelOf([row("a")]);
	const heard = vi.fn();
	el.addEventListener("keydown", heard);
	const button = get(".rbee-more-options");
	expect(button.getAttribute("aria-label")).toBe("Options");
	expect(button.getAttribute("aria-expanded")).toBe("false");
	button.click();
	await painted();
	expect(button.getAttribute("aria-expanded")).toBe("true");
	expect(get(".rbee-options").id).toBe(button.getAttribute("aria-controls"));
	expect(text(get(".rbee-options"))).toBe("Progress in the tab's titleNotify when a download ends");
	get(".rbee-check").dispatchEvent(
		new KeyboardEvent("keydown", { key: "Escape", bubbles: true, cancelable: true }),
	);
	await painted();
	expect(get(".rbee-options")).toBe(null);
	expect(document.activeElement).toBe(button);
	expect(heard).not.toHaveBeenCalled(); // the notebook has a use for Escape too
	const single = await panelOf([row("a")], { header: false });
	expect(single.get(".rbee-more-options")).toBe(null);
});

test("the tab's title tells how far all is, once switched on, and no longer than there is a panel", async () => {
	document.title = "Untitled.ipynb";
	const panel = await panelOf([row("a", { percentage: 45.9 })]);
	await panel.tick([row("a", { percentage: 46.7 })]);
	expect(document.title).toBe("Untitled.ipynb");
	await switchOption(panel, 0);
	await panel.tick([row("a", { percentage: 47.9 })]);
	expect(document.title).toBe("47 % · Untitled.ipynb");
	document.title = "Renamed.ipynb"; // by the host
	await panel.tick([row("a", { percentage: 47.95 })]);
	expect(document.title).toBe("47 % · Renamed.ipynb");
	await panel.tick([row("a", { status: "complete" })]);
	expect(document.title).toBe("Renamed.ipynb");
	await panel.tick([row("b", { percentage: 1 })]);
	expect(document.title).toBe("1 % · Renamed.ipynb");
	panel.close();
	expect(document.title).toBe("Renamed.ipynb");
});

test("the title's figure goes when it is switched off", async () => {
	document.title = "Untitled.ipynb";
	const panel = await panelOf([row("a")]);
	await switchOption(panel, 0);
	await panel.tick([row("a", { percentage: 50 })]);
	await switchOption(panel, 0);
	expect(document.title).toBe("Untitled.ipynb");
	await panel.tick([row("a", { percentage: 51 })]);
	expect(document.title).toBe("Untitled.ipynb");
});

test("the title's figure goes with the kernel", async () => {
	document.title = "Untitled.ipynb";
	const panel = await panelOf([row("a")]);
	await switchOption(panel, 0);
	await panel.tick([row("a", { percentage: 50 })]);
	expect(document.title).toBe("50 % · Untitled.ipynb");
	panel.model.disconnect();
	await vi.waitFor(() => expect(document.title).toBe("Untitled.ipynb"), { timeout: 3000 });
});

test("of two panels the last to write the title wins, and its own title comes back", async () => {
	document.title = "Untitled.ipynb";
	const a = await panelOf([row("a", { percentage: 10 })]);
	await switchOption(a, 0);
	const b = await panelOf([row("b", { percentage: 70 })]); // it remembers
	await a.tick([row("a", { percentage: 11 })]);
	await b.tick([row("b", { percentage: 71 })]);
	expect(document.title).toBe("71 % · Untitled.ipynb");
	await a.tick([row("a", { percentage: 11.5 })]); // nothing new to write
	expect(document.title).toBe("71 % · Untitled.ipynb");
	await a.tick([row("a", { percentage: 12 })]);
	expect(document.title).toBe("12 % · Untitled.ipynb");
	b.close();
	expect(document.title).toBe("12 % · Untitled.ipynb");
	a.close();
	expect(document.title).toBe("Untitled.ipynb");
});

test("while the title is to tell, the page counts as shown in a hidden tab", async () => {
	const panel = await panelOf([row("a")]);
	await switchOption(panel, 0);
	panel.model.sent.length = 0;
	sight.hide(true);
	expect(panel.model.sent).toEqual([]);
	await switchOption(panel, 0);
	expect(panel.model.sent).toMatchObject([{ kind: "hidden" }]);
});

/** @param {string} answer  to the question whether the page may notify */
function fakeNotification(answer) {
	/** @type {{ title: string, body: string, tag: string }[]} */
	const shown = [];
	class Notification {
		static permission = answer;
		static requestPermission = vi.fn(async () => answer);
		/** @param {string} title @param {{ body: string, tag: string }} options */
		constructor(title, options) {
			shown.push({ title, ...options });
		}
	}
	vi.stubGlobal("Notification", Notification);
	return { shown, asked: Notification.requestPermission };
}

test("an end is notified of once it was switched on, whatever tab is looked at", async () => {
	const { shown, asked } = fakeNotification("granted");
	const panel = await panelOf([row("a"), row("b"), row("c"), row("d"), row("e")]);
	await panel.tick([row("a", { status: "complete" })]);
	expect(asked).not.toHaveBeenCalled();
	await switchOption(panel, 1);
	expect(asked).toHaveBeenCalledTimes(1);
	expect(shown).toEqual([]);
	sight.hide(true);
	await panel.tick([row("b", { status: "failed", error: "disk full" })]);
	await panel.tick([row("c", { status: "cancelled" })]); // somebody's own wish
	await panel.tick([row("d", { status: "complete" }), row("e", { status: "complete" })]);
	expect(shown).toEqual([
		{ title: "org/b:file.gguf failed.", body: "disk full", tag: "rbee-b" },
		{
			title: "org/d:file.gguf is complete. org/e:file.gguf is complete.",
			body: "",
			tag: "rbee-d",
		},
	]);
});

test.each(["denied", null])("a refusal (%s) is told, and the option stays off", async (answer) => {
	const words = "This browser lets this page show no notifications.";
	if (answer) fakeNotification(answer);
	else Reflect.deleteProperty(globalThis, "Notification");
	const panel = await panelOf([row("a")]);
	await switchOption(panel, 1);
	expect(text(panel.get(".rbee-refusal"))).toBe(words);
	expect(text(panel.get('[role="status"]'))).toBe(words);
	const [, notify] = panel.all(".rbee-check");
	expect(/** @type {HTMLInputElement} */ (notify).checked).toBe(false);
	sight.hide(true);
	expect(panel.model.sent.at(-1)).toMatchObject({ kind: "hidden" });
});

test("what was switched on is on in the next panel too", async () => {
	const { shown, asked } = fakeNotification("granted");
	const first = await panelOf([row("a")]);
	await switchOption(first, 0);
	await switchOption(first, 1);
	first.close();
	const second = await panelOf([row("b", { percentage: 30 })]);
	await second.tick([row("b", { percentage: 31 })]);
	expect(document.title).toBe("31 % ·");
	await second.tick([row("b", { status: "complete" })]);
	expect(shown).toHaveLength(1);
	expect(asked).toHaveBeenCalledTimes(1);
	second.get(".rbee-more-options").click();
	await painted();
	const boxes = /** @type {HTMLInputElement[]} */ (second.all(".rbee-check"));
	expect(boxes.map(({ checked }) => checked)).toEqual([true, true]);
});

test("without storage or a permission that still holds an option is off", async () => {
	localStorage.setItem("rbee-notify", "on");
	const { shown } = fakeNotification("default");
	const asked = await panelOf([row("a")]);
	await asked.tick([row("a", { status: "complete" })]);
	expect(shown).toEqual([]);
	vi.stubGlobal("localStorage", {
		getItem() {
			throw new Error("SecurityError");
		},
		setItem() {
			throw new Error("SecurityError");
		},
	});
	const panel = await panelOf([row("a")]);
	await switchOption(panel, 0);
	await panel.tick([row("a", { percentage: 12 })]);
	expect(document.title).toBe("12 % ·");
});

test("many rows are built a few a frame, in their order", async () => {
	const { view } = await panelOf(many(120));
	const { all } = await view();
	expect(all(".rbee-row")).toHaveLength(50); // before any frame
	await vi.waitFor(() => expect(all(".rbee-row")).toHaveLength(120), { timeout: 4000 });
	expect(all(".rbee-row").map(({ dataset }) => dataset.id)).toEqual(many(120).map(({ id }) => id));
	expect(all(".rbee-list")[0]?.tabIndex).toBe(0);
});

test("while the page scrolls, what has changed waits for a moment", async () => {
	const { get, tick } = await panelOf([row("a")]);
	const percent = () => text(get(".rbee-percent"));
	document.body.dispatchEvent(new Event("scroll"));
	await tick([row("a", { percentage: 60 })]);
	expect(percent()).toBe("45.2%");
	await vi.waitFor(() => expect(percent()).toBe("60.0%"), { timeout: 800 });
	const other = document.body.appendChild(document.createElement("div"));
	other.dispatchEvent(new Event("scroll", { bubbles: true })); // moves no row
	await tick([row("a", { percentage: 61 })]);
	expect(percent()).toBe("61.0%");
	other.remove();
});

test("a panel that is scrolled into sight shows at once what it missed", async () => {
	const { get, tick } = await panelOf([row("a")]);
	sight.scroll(document.body, false);
	document.body.dispatchEvent(new Event("scroll"));
	sight.scroll(document.body, true);
	await tick([row("a", { percentage: 60 })]);
	expect(text(get(".rbee-percent"))).toBe("60.0%");
});

test("rows stand in groups of ten, also after some have moved or gone", async () => {
	const { all, tick } = await panelOf(many(25));
	const sizes = () => all(".rbee-group").map(({ children }) => children.length);
	const order = () => all(".rbee-row").map(({ dataset }) => dataset.id);
	const ids = many(25).map(({ id }) => id);
	expect(sizes()).toEqual([10, 10, 5]);
	const kept = all(".rbee-row")[10];
	await tick([row("r0", { status: "complete" })]);
	expect(sizes()).toEqual([10, 10, 5]);
	expect(order()).toEqual([...ids.slice(1), "r0"]);
	expect(all(".rbee-row")[9]).toBe(kept);
	await tick([], { gone: ids.slice(0, 17) });
	expect(sizes()).toEqual([8]);
	expect(order()).toEqual(ids.slice(17));
});

test("a row that the browser leaves out gets its figures later, and its state at once", async () => {
	const { get, tick } = await panelOf(many(60));
	const last = () => get('[data-id="r59"]');
	await vi.waitFor(() => expect(last()).not.toBe(null));
	const percent = () => text(get('[data-id="r59"] .rbee-percent'));
	const leaveOut = (/** @type {boolean} */ skipped) =>
		last().parentElement?.dispatchEvent(
			Object.assign(new Event("contentvisibilityautostatechange"), { skipped }),
		);
	leaveOut(true);
	/** @type {(string | null | undefined)[]} */
	const seen = [];
	for (const percentage of [50, 51, 52, 53]) {
		await tick([row("r59", { percentage, created_at: 1 })]);
		seen.push(percent());
	}
	const stale = seen.filter((shown, i) => shown !== `${50 + i}.0%`);
	expect(stale.length).toBeGreaterThan(0);
	expect(stale.length).toBeLessThan(4); // its turn comes
	await tick([row("r59", { percentage: 54, status: "failed", created_at: 1 })]);
	expect(percent()).toBe("54.0%");
	leaveOut(false);
	await tick([row("r59", { percentage: 55, status: "failed", created_at: 1 })]);
	leaveOut(true);
	await tick([row("r59", { percentage: 56, status: "failed", created_at: 1 })]);
	leaveOut(false);
	await painted();
	expect(percent()).toBe("56.0%");
});
