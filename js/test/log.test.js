import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { createEntries, createHistory } from "../src/entries.js";
import { asJson, asText, searcher, wordsOf } from "../src/lines.js";
import { createFullLog } from "../src/log_tools.js";
import { createNarration } from "../src/narration.js";
import { createSieve } from "../src/sieve.js";

/** @typedef {import("../src/lines.js").Line} Line */

/** @param {number} n @param {Partial<Line>} [changes] @returns {Line} */
const line = (n, changes = {}) => ({ n, at: 1_700_000_000 + n, text: `line ${n}`, ...changes });

/** @param {number} n @param {Partial<Line>} [changes] */
const entry = (n, changes) => ({ ...line(n, changes), words: wordsOf(line(n, changes)) });

/** @param {number} from @param {number} to  not included */
const range = (from, to) => Array.from({ length: to - from }, (_, i) => from + i);

/** @param {{ slice: () => Line[] }} entries */
const numbers = (entries) => entries.slice().map(({ n }) => n);

describe("entries", () => {
	test("stand in the order of their numbers, however they come", () => {
		const entries = createEntries();
		entries.add([4, 2, 9].map((n) => entry(n)));
		entries.add([3, 1, 12, 7].map((n) => entry(n)));
		expect(numbers(entries)).toEqual([1, 2, 3, 4, 7, 9, 12]);
		expect([0, 1, 4, 5, 99].map(entries.rank)).toEqual([0, 0, 3, 4, 7]);
	});

	test("a later line of a number replaces the earlier, an older revision doesn't", () => {
		const entries = createEntries();
		entries.add([entry(1), entry(2, { text: "10%", rev: 5 })]);
		const changed = entries.add([entry(2, { text: "20%", rev: 7 }), entry(3)]);
		expect(changed.map(({ n }) => n)).toEqual([2, 3]);
		expect(entries.add([entry(2, { text: "15%", rev: 6 })])).toEqual([]);
		expect(entries.get(2)?.text).toBe("20%");
	});

	test("the oldest go beyond the bound, and room is made by the way", () => {
		const entries = createEntries(100);
		for (const n of range(0, 10_000)) entries.add([entry(n)]);
		expect(numbers(entries)).toEqual(range(9900, 10_000));
		entries.add([entry(3)]);
		expect(entries.size).toBe(100);
		expect(entries.get(3)).toBe(undefined);
		entries.dropBelow(9990);
		expect(numbers(entries)).toEqual(range(9990, 10_000));
		entries.remove(9995);
		expect(entries.size).toBe(9);
	});
});

describe("the history of all narration", () => {
	/** @param {number[]} revs */
	const told = (revs) => revs.map((rev) => line(rev, { rev, d: "a" }));

	test("begins with the newest, and asks for older ones until there are none", () => {
		const { receive, entries, ...history } = createHistory();
		expect(history).toMatchObject({ rev: -1, before: null });
		const all = createHistory();
		all.receive({ kind: "lines", since: -1, rev: 29, at: 1, lines: told(range(20, 30)) });
		expect(all).toMatchObject({ rev: 29, before: 20, at: 1 });
		all.receive({ kind: "older", before: 20, lines: told(range(10, 20)), end: false });
		expect(all.before).toBe(10);
		all.receive({ kind: "older", before: 10, lines: told(range(5, 10)), end: true });
		expect(all.before).toBe(null);
		expect(numbers(all.entries)).toEqual(range(5, 30));
		const few = createHistory();
		few.receive({ kind: "lines", since: -1, rev: 3, at: 1, lines: told(range(1, 4)), end: true });
		expect(few.before).toBe(null);
	});

	test("is told of what it missed by a message that doesn't follow, and by a beat", () => {
		const history = createHistory();
		history.receive({ kind: "lines", since: -1, rev: 3, at: 1, lines: told([0, 1, 2, 3]) });
		const late = /** @type {const} */ ({ kind: "lines", since: 5, rev: 6, at: 2 });
		expect(history.receive({ ...late, lines: told([6]) })).toEqual({ changed: [], missed: true });
		expect(history.rev).toBe(3);
		expect(history.receive({ kind: "beat", rev: 6, at: 3 }).missed).toBe(true);
		const { changed, missed } = history.receive({ ...late, since: 3, lines: told([4, 5, 6]) });
		expect([changed.length, missed, history.rev]).toEqual([3, false, 6]);
		expect(history.receive({ kind: "beat", rev: 6, at: 9 }).missed).toBe(false);
		expect(history.at).toBe(9);
	});

	test("the newest alone after a long absence leave a hole, which is asked for", () => {
		const history = createHistory();
		history.receive({ kind: "lines", since: -1, rev: 9, at: 1, lines: told(range(0, 10)) });
		history.receive({ kind: "older", before: 0, lines: [], end: true });
		history.receive({ kind: "lines", since: -1, rev: 99, at: 2, lines: told(range(90, 100)) });
		expect(history.before).toBe(90);
		history.receive({ kind: "older", before: 90, lines: told(range(5, 90)), end: false });
		history.receive({ kind: "older", before: 5, lines: told(range(0, 5)), end: true });
		expect(numbers(history.entries)).toEqual(range(0, 100));
		expect(history.before).toBe(null);
	});

	test("what another page asked for doesn't make it ask anew, or leave a hole", () => {
		const history = createHistory();
		history.receive({ kind: "lines", since: -1, rev: 99, at: 1, lines: told(range(50, 100)) });
		history.receive({ kind: "lines", since: -1, rev: 99, at: 2, lines: told(range(90, 100)) });
		expect(history.before).toBe(50);
		history.receive({ kind: "older", before: 20, lines: told(range(10, 20)), end: true });
		expect(history.before).toBe(50);
		expect(numbers(history.entries)).toEqual(range(50, 100));
	});

	test("asks no further than it keeps", () => {
		const history = createHistory(10);
		history.receive({ kind: "lines", since: -1, rev: 99, at: 1, lines: told(range(90, 100)) });
		expect(history.before).toBe(null);
	});
});

describe("a search", () => {
	test.each([
		["", true],
		["reset PEER", true],
		["  peer   reset ", true],
		["reset nobody", false],
		["tiny", true],
		["hf_download", true],
		["peeror", false],
	])("for %j", (text, found) => {
		const about = { name: "org/Tiny:f.gguf", job_id: "j", hive: "local" };
		const told = line(1, { text: "Reset by PEER", actor: "or", action: "hf_download_file" });
		expect(searcher(text)(wordsOf(told, about))).toBe(found);
	});
});

describe("a sieve", () => {
	const many = 6000;

	function sifted() {
		const entries = createEntries();
		entries.add(range(0, many).map((n) => entry(n, { text: n % 2 ? "odd" : "even" })));
		return { entries, sieve: createSieve(entries) };
	}

	afterEach(() => {
		vi.restoreAllMocks();
	});

	test("begins with the newest, takes no longer than it may, and gets to the end", () => {
		let now = 0;
		vi.spyOn(performance, "now").mockImplementation(() => {
			now += 2;
			return now;
		});
		const { sieve } = sifted();
		expect(sieve.isDone()).toBe(false);
		expect(sieve.shown.at(sieve.shown.size - 1)?.n).toBe(many - 1);
		const first = sieve.shown.size;
		expect(first).toBeGreaterThan(0);
		expect(first).toBeLessThan(many / 2);
		while (!sieve.isDone()) sieve.go();
		expect(sieve.shown.size).toBe(many);
		sieve.search("odd", 17);
		expect(sieve.shown.at(0)?.n).toBeLessThanOrEqual(17);
		sieve.go(Number.NEGATIVE_INFINITY);
		expect(sieve.shown.size).toBe(many / 2);
	});

	test("lines that come while it isn't through are taken once, in their place", () => {
		let now = 0;
		vi.spyOn(performance, "now").mockImplementation(() => {
			now += 4;
			return now;
		});
		const { entries, sieve } = sifted();
		sieve.take(entries.add([entry(many), entry(-1), entry(5, { text: "replaced", rev: 1 })]));
		sieve.go(Number.NEGATIVE_INFINITY);
		expect(numbers(sieve.shown)).toEqual(range(-1, many + 1));
		expect(sieve.shown.get(5)?.text).toBe("replaced");
	});

	test("a page of older lines is put below at once, not line by line", () => {
		const entries = createEntries();
		entries.add(range(many, many + 20_000).map((n) => entry(n)));
		const sieve = createSieve(entries);
		sieve.go(Number.NEGATIVE_INFINITY);
		const older = range(0, many).map((n) => entry(n));
		const start = performance.now();
		sieve.take(entries.add(older));
		const once = performance.now() - start;
		expect(sieve.shown.size).toBe(many + 20_000);
		// Line by line the list would be copied six thousand times.
		expect(once).toBeLessThan(2000);
	});

	test("a replaced line leaves or comes as the filter has it", () => {
		const { entries, sieve } = sifted();
		sieve.search("odd", Number.NEGATIVE_INFINITY);
		sieve.take(entries.add([entry(1, { text: "even now" }), entry(2, { text: "odd now" })]));
		expect(numbers(sieve.shown).slice(0, 2)).toEqual([2, 3]);
	});
});

describe("a log", () => {
	/** @type {(() => void)[]} */
	const cleanups = [];

	beforeEach(() => {
		vi.stubGlobal("navigator", { ...navigator, clipboard: undefined });
	});

	afterEach(() => {
		for (const cleanup of cleanups.splice(0)) cleanup();
		document.body.replaceChildren();
		vi.unstubAllGlobals();
		vi.restoreAllMocks();
	});

	const painted = () => new Promise((resolve) => requestAnimationFrame(() => setTimeout(resolve)));
	const JOBS = {
		a: { name: "org/a:f.gguf", job_id: "job-a", hive: "local" },
		b: { name: "org/b:f.gguf", job_id: "job-b", hive: "local" },
	};

	/** @param {HTMLElement} node */
	function looked(node) {
		document.body.append(node);
		const get = (/** @type {string} */ selector) =>
			/** @type {HTMLElement} */ (node.querySelector(selector));
		const all = (/** @type {string} */ selector) =>
			/** @type {HTMLElement[]} */ (Array.from(node.querySelectorAll(selector)));
		const list = get(".rbee-lines-view");
		return {
			get,
			all,
			list,
			texts: () => all(".rbee-line-text").map((element) => element.textContent),
			/** @param {number} to */
			async scroll(to) {
				list.scrollTop = to;
				list.dispatchEvent(new Event("scroll"));
				await painted();
			},
			/** @param {string} key */
			async press(key) {
				const event = new KeyboardEvent("keydown", { key, bubbles: true, cancelable: true });
				list.dispatchEvent(event);
				await painted();
				return event.defaultPrevented;
			},
			/** @param {string} selector @param {string} value */
			async choose(selector, value) {
				const field = /** @type {HTMLInputElement} */ (get(selector));
				field.value = value;
				field.dispatchEvent(new Event(selector.startsWith("select") ? "change" : "input"));
				await painted();
			},
			active: () => {
				const id = list.getAttribute("aria-activedescendant");
				return id
					? document.getElementById(id)?.querySelector(".rbee-line-text")?.textContent
					: null;
			},
		};
	}

	/** @param {Line[]} lines */
	async function fullLog(lines) {
		const history = createHistory();
		let rev = -1;
		/** @param {Line[]} told */
		const receive = (told) => {
			const since = rev;
			const revised = told.map((one) => ({ ...one, rev: ++rev }));
			return history.receive({ kind: "lines", since, rev, at: 1, lines: revised, jobs: JOBS });
		};
		receive(lines);
		const log = createFullLog("log", history);
		cleanups.push(log.close);
		const page = looked(log.node);
		await painted();
		return {
			...page,
			log,
			/** @param {Line[]} told */
			async tell(told) {
				log.changed(receive(told).changed);
				await painted();
			},
		};
	}

	const LINE = 22;

	test("has the newest on top, and no more in the DOM than is in sight", async () => {
		const { all, texts, list, get } = await fullLog(range(0, 5000).map((n) => line(n)));
		expect(texts().slice(0, 3)).toEqual(["line 4999", "line 4998", "line 4997"]);
		expect(all(".rbee-line").length).toBeLessThan(60);
		expect(get(".rbee-lines-canvas").style.blockSize).toBe(`${5000 * LINE}px`);
		const [first] = all('[role="option"]');
		expect(first?.getAttribute("aria-setsize")).toBe("5000");
		expect(first?.getAttribute("aria-posinset")).toBe("1");
		expect(list.getAttribute("role")).toBe("listbox");
		expect(list.tabIndex).toBe(0);
		expect(get(".rbee-log-count").textContent).toBe("5,000 lines");
	});

	test("shows what is scrolled to", async () => {
		const { all, scroll, texts } = await fullLog(range(0, 5000).map((n) => line(n)));
		await scroll(1000 * LINE);
		expect(texts()).toContain("line 3999");
		expect(all(".rbee-line")[0]?.getAttribute("aria-posinset")).toBe("991");
		expect(all(".rbee-line").length).toBeLessThan(60);
	});

	test("a line tells when, how grave, what about, who does what, and what", async () => {
		const told = line(1, { level: "error", actor: "hub", action: "fetch", text: "gone", d: "a" });
		const { get, all } = await fullLog([line(0, { d: "b" }), told]);
		expect(all(".rbee-line")[0]?.textContent).toMatch(
			/^\d\d:\d\d:\d\d Error {3}org\/a:f.gguf +hub · fetch +gone$/,
		);
		expect(get(".rbee-line").dataset.level).toBe("error");
		expect(document.querySelector(".rbee-narration")?.hasAttribute("data-jobs")).toBe(true);
	});

	test("new lines push nothing away that is read, and are counted", async () => {
		const { scroll, tell, list, get, texts } = await fullLog(range(0, 500).map((n) => line(n)));
		const newer = get(".rbee-newer");
		await tell([line(500)]);
		expect(texts()[0]).toBe("line 500");
		expect(newer.hidden).toBe(true);
		await scroll(100 * LINE + 5);
		await tell(range(501, 513).map((n) => line(n)));
		expect(list.scrollTop).toBe(112 * LINE + 5);
		expect(newer.hidden).toBe(false);
		expect(newer.textContent).toBe("↑ 12 new lines");
		newer.click();
		expect(list.scrollTop).toBe(0);
		expect(texts()[0]).toBe("line 512");
		expect(newer.hidden).toBe(true);
		expect(document.activeElement).toBe(list);
	});

	test("a replaced line is the same node with other words", async () => {
		const { all, tell, texts } = await fullLog([line(1), line(2, { text: "10%" }), line(3)]);
		const before = all(".rbee-line");
		await tell([line(2, { text: "20%" })]);
		expect(texts()).toEqual(["line 3", "20%", "line 1"]);
		expect(all(".rbee-line").every((node, i) => node === before[i])).toBe(true);
	});

	test("while paused nothing moves, and what waits is told", async () => {
		const { get, tell, texts, choose } = await fullLog([line(1), line(2, { text: "10%" })]);
		get(".rbee-pause").click();
		expect(get(".rbee-pause").textContent).toBe("Resume");
		await tell([line(2, { text: "20%" }), line(3), line(4, { text: "other" })]);
		expect(texts()).toEqual(["10%", "line 1"]);
		expect(get(".rbee-log-count").textContent).toBe("2 lines · paused, 2 waiting");
		await choose(".rbee-search", "line");
		expect(texts()).toEqual(["line 1"]);
		expect(get(".rbee-newer").textContent).toBe("↑ 1 new line");
		get(".rbee-pause").click();
		expect(texts()).toEqual(["line 3", "line 1"]);
		await choose(".rbee-search", "");
		expect(texts()).toEqual(["other", "line 3", "20%", "line 1"]);
	});

	test("a pause that ends leaves what is read where it is", async () => {
		const { get, tell, scroll, list } = await fullLog(range(0, 500).map((n) => line(n)));
		await scroll(50 * LINE);
		get(".rbee-pause").click();
		await tell(range(500, 510).map((n) => line(n)));
		expect(list.scrollTop).toBe(50 * LINE);
		get(".rbee-pause").click();
		expect(list.scrollTop).toBe(60 * LINE);
	});

	test("filters by text, job, actor and level, all at once", async () => {
		const { choose, texts, get } = await fullLog([
			line(1, { d: "a", actor: "hub", level: "error", text: "reset by peer" }),
			line(2, { d: "b", actor: "hub", level: "error", text: "reset by peer" }),
			line(3, { d: "a", actor: "disk", level: "error", text: "reset by peer" }),
			line(4, { d: "a", actor: "hub", level: "warn", text: "reset by hand" }),
			line(5, { d: "a", actor: "hub", text: "peer" }),
		]);
		const shown = async (/** @type {[string, string][]} */ ...choices) => {
			for (const choice of choices) await choose(...choice);
			return texts().length;
		};
		expect(await shown([".rbee-search", "PEER reset"])).toBe(3);
		expect(get(".rbee-log-count").textContent).toBe("3 of 5 lines");
		expect(await shown(['select[aria-label="Job"]', "a"])).toBe(2);
		expect(await shown(['select[aria-label="Actor"]', "hub"])).toBe(1);
		expect(await shown([".rbee-search", ""], ['select[aria-label="Level"]', "warn"])).toBe(2);
		expect(await shown(['select[aria-label="Level"]', "info"])).toBe(3);
		expect(await shown([".rbee-search", "nobody"])).toBe(0);
		expect(get(".rbee-lines-empty").textContent).toBe("No line matches the filter");
		expect(get(".rbee-lines-empty").hidden).toBe(false);
		expect(get(".rbee-lines-view").hidden).toBe(true);
	});

	test("choices come with the lines, by the alphabet, and only where there are several", async () => {
		const { get, tell } = await fullLog([line(1, { d: "b", actor: "hub" })]);
		expect(get('select[aria-label="Job"]')).toBe(null);
		expect(get('select[aria-label="Actor"]')).toBe(null);
		await tell([line(2, { d: "a", actor: "disk" })]);
		const options = (/** @type {string} */ name) =>
			Array.from(get(`select[aria-label="${name}"]`).querySelectorAll("option")).map(
				(option) => option.textContent,
			);
		expect(options("Job")).toEqual(["All jobs", "org/a:f.gguf", "org/b:f.gguf"]);
		expect(options("Actor")).toEqual(["All actors", "disk", "hub"]);
	});

	test("what a filter found is looked at among its neighbours without it", async () => {
		const lines = range(0, 1000).map((n) => line(n, { level: n === 300 ? "error" : "info" }));
		const { choose, press, active, texts, list } = await fullLog(lines);
		await choose('select[aria-label="Level"]', "error");
		await press("ArrowDown");
		expect(active()).toBe("line 300");
		await choose('select[aria-label="Level"]', "debug");
		expect(active()).toBe("line 300");
		expect(texts()).toContain("line 299");
		expect(list.scrollTop).toBe(699 * LINE - 220);
	});

	test("the keys move along the lines, unfold one, and go back to the newest", async () => {
		const { press, active, get, all, list } = await fullLog(
			range(0, 1000).map((n) => line(n, { text: `line ${n}\nurl` })),
		);
		expect(active()).toBe(null);
		await press("ArrowDown");
		await press("ArrowDown");
		expect(active()).toBe("line 998 url");
		await press("PageDown");
		expect(active()).toBe("line 979 url");
		await press("End");
		expect(active()).toBe("line 0 url");
		expect(list.scrollTop).toBe(980 * LINE);
		await press("ArrowUp");
		expect(active()).toBe("line 1 url");
		expect(all('[aria-selected="true"]')).toHaveLength(1);
		await press("Enter");
		expect(get(".rbee-detail-text").textContent).toBe("line 1\nurl");
		await press("ArrowUp");
		expect(get(".rbee-detail-text").textContent).toBe("line 2\nurl");
		expect(await press("Escape")).toBe(true);
		expect(get(".rbee-detail-text")).toBe(null);
		expect(await press("Escape")).toBe(false); // the notebook's
		await press("Home");
		expect(active()).toBe(null);
		expect(list.scrollTop).toBe(0);
	});

	test("a line that the keys are at stays where it is when others come", async () => {
		const { press, tell, list, active } = await fullLog(range(0, 100).map((n) => line(n)));
		await press("ArrowDown");
		await tell([line(100), line(101)]);
		expect(active()).toBe("line 99");
		expect(list.scrollTop).toBe(2 * LINE);
	});

	test("a click unfolds a line and folds it again, a selection of its text doesn't", async () => {
		const { all, get } = await fullLog([line(1), line(2)]);
		all(".rbee-line")[1]?.click();
		expect(get(".rbee-detail-text").textContent).toBe("line 1");
		expect(get(".rbee-detail").getAttribute("aria-live")).toBe("polite");
		all(".rbee-line")[1]?.click();
		expect(get(".rbee-detail-text")).toBe(null);
		vi.spyOn(document, "getSelection").mockReturnValue(/** @type {any} */ ({ isCollapsed: false }));
		all(".rbee-line")[1]?.click();
		expect(get(".rbee-detail-text")).toBe(null);
	});

	test("Copy takes what the filter shows, oldest first, and says how much", async () => {
		const writeText = vi.fn(() => Promise.resolve());
		vi.stubGlobal("navigator", { clipboard: { writeText } });
		const { get, choose } = await fullLog([
			line(1, { text: "one of two", d: "a", level: "warn" }),
			line(2),
			line(3, { text: "two of two\nhttp://x" }),
		]);
		await choose(".rbee-search", "of two");
		get(".rbee-copy-lines").click();
		await painted();
		expect(writeText).toHaveBeenCalledWith(
			"2023-11-14T22:13:21.000Z  warn  org/a:f.gguf  one of two\n" +
				"2023-11-14T22:13:23.000Z  info  two of two\nhttp://x",
		);
		expect(get('[role="status"]').textContent).toBe("Copied 2 lines");
	});

	test("where there is no clipboard a selection is copied, and a refusal is said", async () => {
		const { get } = await fullLog([line(1)]);
		get(".rbee-copy-lines").focus();
		/** @type {string[]} */
		const copied = [];
		document.execCommand = () => {
			const field = document.querySelector("textarea");
			if (field) copied.push(field.value);
			return copied.length === 1;
		};
		get(".rbee-copy-lines").click();
		await painted();
		expect(copied).toEqual(["2023-11-14T22:13:21.000Z  info  line 1"]);
		expect(get('[role="status"]').textContent).toBe("Copied 1 line");
		expect(document.activeElement).toBe(get(".rbee-copy-lines"));
		expect(get("textarea")).toBe(null);
		get(".rbee-copy-lines").click();
		await painted();
		expect(get('[role="status"]').textContent).toBe("This page may not use the clipboard");
	});

	test("Export saves JSON Lines of what the filter shows", async () => {
		/** @type {Blob[]} */
		const blobs = [];
		vi.spyOn(URL, "createObjectURL").mockImplementation((blob) => {
			blobs.push(/** @type {Blob} */ (blob));
			return "blob:x";
		});
		/** @type {string[]} */
		const saved = [];
		const clicked = (/** @type {Event} */ { target }) => {
			if (target instanceof HTMLAnchorElement) saved.push(target.download); // so it is in the page
		};
		document.addEventListener("click", clicked);
		cleanups.push(() => document.removeEventListener("click", clicked));
		const { get, choose } = await fullLog([
			line(1, { d: "a", actor: "hub", action: "fetch", level: "error", text: "a\nb" }),
			line(2),
		]);
		await choose('select[aria-label="Level"]', "error");
		get(".rbee-export").click();
		await painted();
		const text = (await blobs[0]?.text()) ?? "";
		expect(text.split("\n")).toHaveLength(2);
		expect(JSON.parse(text)).toEqual({
			time: "2023-11-14T22:13:21.000Z",
			level: "error",
			job_id: "job-a",
			name: "org/a:f.gguf",
			hive: "local",
			actor: "hub",
			action: "fetch",
			text: "a\nb",
		});
		expect(saved[0]).toMatch(/^narration-[\dT-]+\.jsonl$/);
		expect(get('[role="status"]').textContent).toBe(`Exported 1 line to ${saved[0]}`);
	});

	test("a page that may not save files has the JSON copied", async () => {
		const writeText = vi.fn(() => Promise.resolve());
		vi.stubGlobal("navigator", { clipboard: { writeText } });
		vi.spyOn(URL, "createObjectURL").mockImplementation(() => {
			throw new Error("refused");
		});
		const { get } = await fullLog([line(1)]);
		get(".rbee-export").click();
		await painted();
		expect(writeText).toHaveBeenCalledWith(asJson(line(1)));
		expect(get('[role="status"]').textContent).toMatch(/may not save files: copied 1 line of JSON/);
	});

	test("text of a server stays text, shows what turns it around, and is bounded", async () => {
		const evil = '<img src=x onerror="alert(1)"><b>bold</b>';
		const told = line(1, { text: evil, action: evil, actor: evil, d: "a" });
		const { all, get } = await fullLog([
			told,
			line(2, { text: `\u202E${"x".repeat(5000)}`, d: "b" }),
		]);
		all(".rbee-line")[1]?.click();
		expect(all("img, b")).toHaveLength(0);
		expect(get(".rbee-detail-text").textContent).toBe(evil);
		const [turned] = all(".rbee-line-text");
		expect(turned?.textContent).toMatch(/^⟨U\+202E⟩x+…x+$/);
		expect(turned?.textContent).toHaveLength(300);
		turned?.dispatchEvent(new Event("mouseover", { bubbles: true }));
		expect(all(".rbee-line")[0]?.title).toHaveLength(2000);
	});

	test("a time that is none breaks nothing", () => {
		expect(asText(line(1, { at: Number.NaN }))).toBe("info  line 1");
		expect(JSON.parse(asJson(line(1, { at: 1e20 }))).time).toBe("");
	});

	test("with no kernel there is no Pause, and what waited is there", async () => {
		const { get, tell, log, texts } = await fullLog([line(1)]);
		get(".rbee-pause").focus();
		get(".rbee-pause").click();
		await tell([line(2)]);
		log.setState(false, true);
		await painted();
		expect(get(".rbee-pause")).toBe(null);
		expect(document.activeElement).toBe(get(".rbee-lines-view"));
		expect(texts()).toEqual(["line 2", "line 1"]);
	});

	test("a log that is closed paints no more and leaves no timer", async () => {
		const { get, log, tell, texts } = await fullLog([line(1)]);
		get(".rbee-copy-lines").click();
		await painted();
		const cleared = vi.spyOn(globalThis, "clearTimeout");
		log.close();
		expect(cleared).toHaveBeenCalledWith(expect.anything());
		expect(texts()).toEqual(["line 1"]);
		await tell([]);
		expect(texts()).toEqual(["line 1"]);
	});

	describe("of one row", () => {
		/** @param {Line[]} lines */
		async function rowLog(lines) {
			const narration = createNarration("row");
			cleanups.push(narration.close);
			const page = looked(narration.node);
			/** @param {Line[]} now */
			async function paint(now) {
				narration.paint(/** @type {any} */ (now));
				await painted();
			}
			await paint(lines);
			return { ...page, paint, node: narration.node, label: narration.label };
		}

		test("has few tools, and a filter only where there is much", async () => {
			const lines = range(0, 10).map((n) => line(n));
			const { all, get, paint, choose, texts, label, node } = await rowLog(lines);
			label("org/a");
			expect(node.getAttribute("aria-label")).toBe("Narration of org/a");
			expect(all("button").map((button) => button.textContent)).toContain("Pause");
			expect(all("select, .rbee-export")).toHaveLength(0);
			expect(get(".rbee-search")).toBe(null);
			await paint([...lines, line(10)]);
			await choose(".rbee-search", "line 3");
			expect(texts()).toEqual(["line 3"]);
		});

		test("follows, pauses and resumes as the log of all does", async () => {
			const { get, paint, texts } = await rowLog([line(1), line(2, { text: "10%" })]);
			expect(texts()).toEqual(["10%", "line 1"]);
			get(".rbee-pause").click();
			await paint([line(1), line(2, { text: "20%" }), line(3)]);
			expect(texts()).toEqual(["10%", "line 1"]);
			expect(get(".rbee-pause").textContent).toBe("Resume (1 new)");
			get(".rbee-pause").click();
			expect(texts()).toEqual(["line 3", "20%", "line 1"]);
			expect(get(".rbee-pause").textContent).toBe("Pause");
		});

		test("says when there is nothing yet, with no tools for it", async () => {
			const { get, paint } = await rowLog([]);
			expect(get(".rbee-lines-empty").textContent).toBe("No narration yet");
			expect(get(".rbee-lines-empty").hidden).toBe(false);
			expect(get(".rbee-log-tools").hidden).toBe(true);
			await paint([line(1)]);
			expect(get(".rbee-lines-empty").hidden).toBe(true);
		});
	});
});
