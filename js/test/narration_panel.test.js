import { expect, test, vi } from "vitest";
import narrationPanel from "../src/narration_panel.js";
import { fakeModel, fakePage } from "./model.js";

/** @typedef {import("../src/lines.js").Line} Line */

const page = fakePage();

/** Lets the observers tell, and a frame be painted. */
const painted = () => vi.advanceTimersByTimeAsync(20);

/** @param {number} rev @param {Partial<Line>} [changes] @returns {Line} */
const told = (rev, changes) => ({ n: rev, rev, d: "a", at: rev, text: `line ${rev}`, ...changes });

/** @param {number} from @param {number} to  not included */
const lines = (from, to) => Array.from({ length: to - from }, (_, i) => told(from + i));

const JOBS = { a: { name: "org/a:f.gguf", job_id: "job-a", hive: "local" } };

/** @param {{ told?: object, initialize?: boolean }} [options] */
async function panelOf({ told: last = { count: 0, at: 0 }, initialize = true } = {}) {
	const model = fakeModel(/** @type {any} */ ({ told: last }));
	/** @type {any} */
	const widget = narrationPanel();
	if (initialize) page.endings.push(widget.initialize({ model: model.proxy() }));

	async function view() {
		const el = document.createElement("div");
		document.body.append(el);
		const close = widget.render({ model: model.proxy(), el });
		page.endings.unshift(close);
		await painted();
		const get = (/** @type {string} */ selector) =>
			/** @type {HTMLElement} */ (el.querySelector(selector));
		const texts = () =>
			Array.from(el.querySelectorAll(".rbee-line-text")).map(({ textContent }) => textContent);
		return { el, close, get, texts };
	}

	/** @param {object} message */
	async function receive(message) {
		model.receive({ at: 1, jobs: JOBS, ...message });
		await painted();
	}

	/** What was sent since the last look. */
	const sent = () => model.sent.splice(0);
	return { model, view, receive, sent, ...(await view()) };
}

test("tells what it holds, shows what comes, and asks on until there is no more", async () => {
	const { receive, sent, texts, get } = await panelOf();
	const [{ page, ...shown }] = sent();
	expect(shown).toEqual({ kind: "shown", rev: -1 });
	await receive({ kind: "lines", since: -1, rev: 9, lines: lines(6, 10) });
	expect(get(".rbee-log").dataset.live).toBe("yes");
	expect(texts()).toEqual(["line 9", "line 8", "line 7", "line 6"]);
	expect(get(".rbee-log-count").textContent).toBe("4 lines · fetching older ones…");
	expect(sent()).toEqual([{ kind: "older", page, before: 6 }]);
	await receive({ kind: "lines", since: 9, rev: 10, lines: lines(10, 11) });
	expect(sent()).toEqual([]); // one question at a time
	await receive({ kind: "older", page, before: 6, lines: lines(3, 6), end: false });
	expect(sent()).toEqual([{ kind: "older", page, before: 3 }]);
	await receive({ kind: "older", page, before: 3, lines: lines(0, 3), end: true });
	expect(sent()).toEqual([]);
	expect(texts()).toHaveLength(11);
	expect(get(".rbee-log-count").textContent).toBe("11 lines");
});

test("a question for older lines that nothing answers is asked again", async () => {
	const { receive, sent } = await panelOf();
	await receive({ kind: "lines", since: -1, rev: 9, lines: lines(6, 10) });
	const [, question] = sent();
	await vi.advanceTimersByTimeAsync(3000);
	expect(sent()).toEqual([]);
	await vi.advanceTimersByTimeAsync(3000);
	expect(sent()).toContainEqual(question);
});

test("a panel out of sight asks for nothing", async () => {
	const { el, receive, sent } = await panelOf();
	sent();
	page.sight.scroll(el, false);
	expect(sent()).toEqual([{ kind: "hidden", page: expect.any(String) }]);
	await receive({ kind: "lines", since: -1, rev: 9, lines: lines(6, 10) });
	expect(sent()).toEqual([]);
});

test("a gap is asked for, from what is held on", async () => {
	const { receive, sent, texts } = await panelOf();
	await receive({ kind: "lines", since: -1, rev: 1, lines: lines(0, 2) });
	await vi.advanceTimersByTimeAsync(2000);
	sent();
	await receive({ kind: "lines", since: 4, rev: 5, lines: lines(5, 6) });
	expect(sent()).toEqual([{ kind: "shown", page: expect.any(String), rev: 1 }]);
	await receive({ kind: "lines", since: 1, rev: 5, lines: lines(2, 6) });
	expect(texts()).toHaveLength(6);
});

test("a line that is replaced keeps its place", async () => {
	const { receive, texts } = await panelOf();
	await receive({ kind: "lines", since: -1, rev: 2, lines: lines(0, 3) });
	await receive({ kind: "lines", since: 2, rev: 3, lines: [told(1, { rev: 3, text: "50%" })] });
	expect(texts()).toEqual(["line 2", "50%", "line 0"]);
});

test("a saved panel says how much was told, and has no control", async () => {
	const at = new Date("2024-05-06T14:02:00").getTime() / 1000;
	const { el, get, model } = await panelOf({ told: { count: 1234, at } });
	expect(get(".rbee-log").dataset.live).toBe("no");
	expect(get(".rbee-past").textContent).toMatch(
		/^1,234 lines were told until .*2024.*; narration isn’t saved with a notebook\.$/,
	);
	expect(el.querySelectorAll("button, input, select, [tabindex='0']")).toHaveLength(0);
	model.update(/** @type {any} */ ({ told: { count: 1, at } }));
	await painted();
	expect(get(".rbee-past").textContent).toMatch(/^1 line was told until/);
});

test("a panel that never was told anything says so", async () => {
	const { get } = await panelOf();
	expect(get(".rbee-past").textContent).toBe("No kernel; narration isn’t saved with a notebook.");
});

test("a kernel that goes away leaves the lines, to be filtered and copied", async () => {
	const { model, receive, get, texts } = await panelOf();
	await receive({ kind: "lines", since: -1, rev: 1, at: Date.now() / 1000, lines: lines(0, 2) });
	model.disconnect();
	await painted();
	expect(get(".rbee-log").dataset.live).toBe("no");
	expect(get(".rbee-as-of").textContent).toMatch(/^No kernel: told until \d\d:\d\d$/);
	expect(texts()).toEqual(["line 1", "line 0"]);
	expect(get(".rbee-pause")).toBe(null);
	expect(get(".rbee-search")).not.toBe(null);
	expect(get(".rbee-log-count").textContent).toBe("2 lines");
});

test("a kernel that doesn't answer is called busy, until it speaks", async () => {
	const { receive, get } = await panelOf();
	await receive({ kind: "lines", since: -1, rev: -1, lines: [] });
	await vi.advanceTimersByTimeAsync(12_000);
	expect(get(".rbee-log").hasAttribute("data-busy")).toBe(true);
	expect(get(".rbee-as-of").textContent).toMatch(/^Kernel busy, last heard 1\d s ago$/);
	await receive({ kind: "beat", rev: -1 });
	expect(get(".rbee-log").hasAttribute("data-busy")).toBe(false);
	expect(get(".rbee-as-of").textContent).toBe("");
});

test("a second view shows the same at once, and each has a filter of its own", async () => {
	const { view, receive, texts, get } = await panelOf();
	await receive({ kind: "lines", since: -1, rev: 2, lines: lines(0, 3) });
	const second = await view();
	expect(second.texts()).toEqual(["line 2", "line 1", "line 0"]);
	const search = /** @type {HTMLInputElement} */ (get(".rbee-search"));
	search.value = "1";
	search.dispatchEvent(new Event("input"));
	await receive({ kind: "lines", since: 2, rev: 3, lines: lines(3, 4) });
	expect(texts()).toEqual(["line 1"]);
	expect(second.texts()).toHaveLength(4);
	const ids = Array.from(document.querySelectorAll("[id]")).map(({ id }) => id);
	expect(new Set(ids).size).toBe(ids.length);
});

test("its cleanup leaves no listener, no observer and nothing in the page", async () => {
	const { model, el, close } = await panelOf({ initialize: false });
	expect(model.listening()).toBe(3);
	close();
	expect(model.listening()).toBe(0);
	expect(page.sight.observing()).toBe(0);
	expect(el.childNodes).toHaveLength(0);
});
