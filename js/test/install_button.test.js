import { expect, test, vi } from "vitest";
import { face, newest } from "../src/install.js";
import installButton from "../src/install_button.js";
import { fakeModel, fakePage, row as rowOf } from "./model.js";

/** @typedef {import("../src/install.js").Offer} Offer */
/** @typedef {import("../src/rows.js").Row} Row */

const page = fakePage();

const NAME = "org/a:file.gguf";

/** @param {Partial<Offer>} [changes] @returns {Offer} */
const offerOf = (changes) => ({
	name: NAME,
	type: "model",
	hive: "local",
	installed: false,
	...changes,
});

/** @param {Partial<Row>} [changes] */
const row = (changes) => rowOf("a", changes);

const painted = () => vi.advanceTimersByTimeAsync(20);

/**
 * A button in the page, live unless told otherwise.
 * @param {Partial<Offer>} offer
 * @param {Row[]} [rows]
 * @param {{ live?: boolean, initialize?: boolean }} [options]
 */
async function buttonOf(offer, rows = [], { live = true, initialize = true } = {}) {
	const at = 1_700_000_000;
	const snapshot = { seq: 1, at, rows };
	const model = fakeModel(/** @type {any} */ ({ snapshot, offer: offerOf(offer) }));
	/** @type {any} */
	const widget = installButton();
	if (initialize) page.endings.push(widget.initialize({ model: model.proxy() }));
	let seq = 1;

	async function view() {
		const el = document.createElement("div");
		document.body.append(el);
		const close = widget.render({ model: model.proxy(), el });
		page.endings.unshift(close);
		await painted();
		const get = (/** @type {string} */ selector) =>
			/** @type {HTMLElement} */ (el.querySelector(selector));
		return { el, close, get };
	}

	/** @param {Partial<Row>} [changes]  of its row; none: it is gone */
	async function tick(changes) {
		seq += 1;
		const news = changes ? { rows: [row(changes)] } : { rows: [], gone: ["a"] };
		model.receive({ kind: "delta", since: seq - 1, seq, at: at + seq, ...news });
		await painted();
	}

	/** @param {Partial<Offer>} now */
	async function offers(now) {
		model.update(/** @type {any} */ ({ offer: offerOf(now) }));
		await painted();
	}

	const first = await view();
	if (live) {
		model.receive({ kind: "snapshot", ...snapshot });
		await painted();
	}
	const { get } = first;
	return {
		model,
		view,
		tick,
		offers,
		...first,
		/** What it shows: its state, what it says in bold, and beside that. */
		said: () => [
			get(".rbee-install").dataset.status,
			get(".rbee-install-verb").textContent,
			get(".rbee-install-figures").textContent.trim(),
		],
		/** What was asked of Python since the last look, without the lease. */
		asked: () => model.sent.splice(0).filter(({ kind }) => kind !== "shown"),
	};
}

/** The name that ears get of a button. @param {HTMLElement} button */
function spoken(button) {
	const copy = /** @type {HTMLElement} */ (button.cloneNode(true));
	for (const hidden of copy.querySelectorAll('[aria-hidden="true"]')) hidden.remove();
	return button.getAttribute("aria-label") ?? copy.textContent.replace(/\s+/g, " ").trim();
}

test("offers what isn't there, by name and size", async () => {
	const { get, said } = await buttonOf({ size: 397_808_192 });
	expect(said()).toEqual(["absent", "Download", "398 MB"]);
	expect(get(".rbee-install").dataset.live).toBe("yes");
	const button = get("button");
	expect(spoken(button)).toBe("Download 398 MB org/a:file.gguf");
	expect(get(".rbee-name").textContent).toBe(NAME);
	expect(get(".rbee-name").title).toBe(NAME);
});

test("is usable while the catalog is asked", async () => {
	const { get, said, asked, offers } = await buttonOf({ installed: null });
	expect(said()).toEqual(["checking", "Download", "checking…"]);
	get("button").click();
	expect(asked()).toEqual([{ kind: "install" }]);
	await offers({ installed: true });
	expect(said()).toEqual(["installed", "Installed", ""]);
});

test("says Install of a worker", async () => {
	const { get } = await buttonOf({ name: "llm-worker-rbee-cpu", type: "worker" });
	expect(spoken(get("button"))).toMatch(/^Install +llm-worker-rbee-cpu$/);
});

test("what the catalog couldn't tell is said, and the button works", async () => {
	const { get, said, asked } = await buttonOf({
		installed: null,
		error: "no hive answered",
	});
	expect(said()).toEqual(["unknown", "Download", ""]);
	expect(get(".rbee-error").textContent).toBe("no hive answered");
	get("button").click();
	expect(asked()).toEqual([{ kind: "install" }]);
});

test("knows from the start what is there, with its path", async () => {
	const { el, get, said } = await buttonOf({ installed: true, size: 5e9, path: "/m/file.gguf" });
	expect(said()).toEqual(["installed", "Installed", "5.00 GB"]);
	expect(get(".rbee-install-told").title).toBe("/m/file.gguf");
	expect(el.querySelectorAll("button")).toHaveLength(0);
});

test("a press asks once, and becomes the progress that follows", async () => {
	const { get, said, asked, tick } = await buttonOf({});
	get("button").focus();
	get("button").click();
	get("button").click();
	await painted();
	expect(asked()).toEqual([{ kind: "install" }]);
	expect(said()).toEqual(["absent", "Download", "starting…"]);
	expect(get("button").getAttribute("aria-disabled")).toBe("true");
	await tick({});
	expect(said()).toEqual(["downloading", "45.2%", "2m 30s left 12.3 MB/s 136 MB of 300 MB"]);
	const bar = get('[role="progressbar"]');
	expect(bar.getAttribute("aria-label")).toBe(NAME);
	expect(bar.getAttribute("aria-valuenow")).toBe("45.2");
	expect(bar.getAttribute("aria-valuetext")).toBe("45.2 percent, 2 minutes 30 seconds left");
	expect(get(".rbee-fill").style.transform).toBe("scaleX(0.4520)");
	expect(document.activeElement).toBe(bar);
	expect(get(".rbee-install-go")).toBe(null);
});

test("a press without effect may be pressed again, and so may one that an offer answers", async () => {
	const { get, asked, offers } = await buttonOf({});
	get("button").click();
	await vi.advanceTimersByTimeAsync(11_500);
	get("button").click();
	expect(asked()).toHaveLength(2);
	await offers({ error: "refused" });
	expect(get("button").getAttribute("aria-disabled")).toBe(null);
	expect(get(".rbee-error").textContent).toBe("refused");
});

test("follows what was started elsewhere, and can be cancelled", async () => {
	const { get, said, asked, tick } = await buttonOf({});
	await tick({});
	expect(said()[0]).toBe("downloading");
	const cancel = get(".rbee-cancel");
	expect(spoken(cancel)).toBe("Cancel download of org/a:file.gguf");
	cancel.click();
	cancel.click();
	await painted();
	expect(asked()).toEqual([{ kind: "cancel", ids: ["a"] }]);
	expect(said()[1]).toBe("Cancelling");
	expect(cancel.textContent).toBe("Cancelling…");
	expect(cancel.getAttribute("aria-disabled")).toBe("true");
	await tick({ status: "cancelled" });
	expect(said()).toEqual(["cancelled", "Retry", "cancelled at 45.2%"]);
	expect(get(".rbee-cancel")).toBe(null);
});

test("a second press of a key where the focus went is not taken", async () => {
	const { get, asked, tick } = await buttonOf({}, [row()]);
	get(".rbee-cancel").focus();
	get(".rbee-cancel").click();
	await tick({ status: "cancelled" });
	expect(document.activeElement).toBe(get(".rbee-install-go"));
	asked();
	get(".rbee-install-go").click();
	expect(asked()).toEqual([]);
	await vi.advanceTimersByTimeAsync(700);
	get(".rbee-install-go").click();
	expect(asked()).toEqual([{ kind: "retry", ids: ["a"] }]);
	await painted();
	expect(get(".rbee-install-figures").textContent).toMatch(/^retrying…/);
});

test("a failure tells why, and the way out", async () => {
	const { get, said, asked } = await buttonOf({}, [
		row({ status: "failed", error: "disk full", hint: "Free some." }),
	]);
	expect(said()).toEqual(["failed", "Retry", "failed at 45.2%"]);
	expect(get(".rbee-error-text").textContent).toBe("disk full");
	expect(get(".rbee-hint").textContent).toBe("Free some.");
	expect(spoken(get("button"))).toMatch(/^Retry failed/);
	get("button").click();
	expect(asked()).toEqual([{ kind: "retry", ids: ["a"] }]);
});

test("an end is told politely, once", async () => {
	const { view, get, tick, said } = await buttonOf({}, [row()]);
	const second = await view();
	await tick({ status: "complete" });
	expect(get('[role="status"]').textContent).toBe("org/a:file.gguf is installed.");
	expect(second.get('[role="status"]').textContent).toBe("");
	expect(said()).toEqual(["installed", "Installed", "300 MB"]);
});

test("what has just arrived is there before the catalog says so; what is deleted isn't", async () => {
	const { said, tick, offers } = await buttonOf({}, [row()]);
	await tick({ status: "complete" });
	expect(said()[0]).toBe("installed");
	await offers({ installed: true });
	expect(said()[0]).toBe("installed");
	await offers({ installed: false });
	expect(said()[0]).toBe("absent");
});

test("the catalog is believed of a download that was complete before", async () => {
	const { said } = await buttonOf({ installed: false }, [row({ status: "complete" })]);
	expect(said()[0]).toBe("absent");
});

test("with no kernel: the last state, its time and a link, and no button", async () => {
	const { el, get, said, model } = await buttonOf({}, [row()], { live: false });
	expect(get(".rbee-install").dataset.live).toBe("no");
	expect(said()).toEqual([
		"downloading",
		"Downloading",
		expect.stringMatching(/^as of .*2023.* 45\.2% 136 MB of 300 MB$/),
	]);
	expect(get("a").getAttribute("href")).toBe("rbee://model/org/a:file.gguf");
	expect(el.querySelectorAll("button, [role=progressbar]")).toHaveLength(0);
	model.receive({ kind: "beat", seq: 1, at: 1 });
	await painted();
	expect(get(".rbee-cancel")).not.toBe(null);
	model.disconnect();
	await painted();
	expect(el.querySelectorAll("button")).toHaveLength(0);
});

test.each([
	[{ installed: true }, "Installed"],
	[{ installed: false }, "Not installed"],
	[{ installed: null }, "Not checked"],
])("with no kernel, offered %j: %s", async (offer, verb) => {
	const { said } = await buttonOf(offer, [], { live: false });
	expect(said()[1]).toBe(verb);
});

test("a worker has no link to open, nor has what an address names", async () => {
	const worker = await buttonOf({ name: "w", type: "worker" }, [], { live: false });
	expect(worker.get("a")).toBe(null);
	const address = await buttonOf({ name: "https://x/y.gguf" }, [], { live: false });
	expect(address.get("a")).toBe(null);
});

test("a busy kernel is called so, in the place of figures that are old", async () => {
	const { get, said, tick } = await buttonOf({}, [row()]);
	await vi.advanceTimersByTimeAsync(12_000);
	expect(get(".rbee-install").hasAttribute("data-busy")).toBe(true);
	expect(said()[2]).toMatch(/^kernel busy last heard 1\d s ago$/);
	await tick({});
	expect(get(".rbee-install").hasAttribute("data-busy")).toBe(false);
});

test("a stall is told by the look too", async () => {
	const { get, tick } = await buttonOf({}, [row()]);
	await tick({ stalled_for: 12 });
	expect(get(".rbee-install").hasAttribute("data-stalled")).toBe(true);
	await tick({});
	expect(get(".rbee-install").hasAttribute("data-stalled")).toBe(false);
});

test("text of a server stays text", async () => {
	const evil = '<img src=x onerror="alert(1)"><b>bold</b>';
	const { el, get } = await buttonOf({ name: evil, error: evil, installed: null });
	expect(el.querySelectorAll("img, b")).toHaveLength(0);
	expect(get(".rbee-error-text").textContent).toBe(evil);
	expect(get(".rbee-name").textContent).toBe(evil);
});

test("a bar doesn't run backwards on a retry", async () => {
	const { get, tick } = await buttonOf({}, [row({ percentage: 80 })]);
	const fill = get(".rbee-fill");
	await tick({ percentage: 2 });
	expect(fill.style.transition).toBe("none");
	await tick({ percentage: 3 });
	expect(fill.style.transition).toBe("");
});

test("its cleanup leaves no listener, no observer and nothing in the page", async () => {
	const { model, el, close } = await buttonOf({}, [row()], { initialize: false });
	expect(model.listening()).toBe(4);
	close();
	expect(model.listening()).toBe(0);
	expect(page.sight.observing()).toBe(0);
	expect(el.childNodes).toHaveLength(0);
});

/** @type {import("../src/install.js").Moment} */
const MOMENT = {
	offer: offerOf({}),
	row: null,
	isFresh: false,
	live: true,
	pending: null,
	isRanged: false,
};

test.each(
	/** @type {[Partial<Row>, string, string, string[]][]} */ ([
		[
			{ status: "queued", percentage: null, total_size: null, bytes_downloaded: 0 },
			"progress",
			"Queued",
			[],
		],
		[
			{ percentage: null, total_size: null, speed: null, eta: null },
			"progress",
			"Downloading",
			["136 MB"],
		],
		[{ stalled_for: 37.4 }, "progress", "Stalled 37 s", ["45.2%", "136 MB of 300 MB"]],
		[
			{ retry: { number: 2, of: 6, in: 7.2 } },
			"progress",
			"Retry 2 of 6 in 8 s",
			["45.2%", "136 MB of 300 MB"],
		],
		[
			{ status: "finishing", percentage: 100 },
			"progress",
			"Finishing",
			["99.9%", "136 MB of 300 MB"],
		],
		[{ status: "cancelling" }, "progress", "Cancelling", ["45.2%", "136 MB of 300 MB"]],
		[
			{ eta: 240, eta_range: [185, 360] },
			"progress",
			"45.2%",
			["3–6m left", "12.3 MB/s", "136 MB of 300 MB"],
		],
		[{ status: "interrupted", percentage: null }, "go", "Retry", ["interrupted"]],
		[
			{ status: "interrupted", retry: { number: 2, of: 6, in: 7.2 } },
			"go",
			"Retry",
			["trying again in 8 s", "at 45.2%"],
		],
	]),
)("of a row %j: %s, %s", (changes, kind, verb, figures) => {
	const looks = face({ ...MOMENT, row: row(changes) });
	expect(looks).toMatchObject({ kind, verb, figures });
});

test("the newest download counts, and one that is under way before what the catalog says", () => {
	const old = rowOf("old", { created_at: 1, status: "failed" });
	const now = rowOf("new", { created_at: 2 });
	expect(newest([old, now])).toBe(now);
	expect(newest([])).toBe(null);
	const offer = offerOf({ installed: true });
	expect(face({ ...MOMENT, offer, row: now }).status).toBe("downloading");
	expect(face({ ...MOMENT, offer, row: old }).status).toBe("installed");
});
