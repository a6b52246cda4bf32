import { expect, test, vi } from "vitest";
import { createLink } from "../src/link.js";
import { fakeModel, fakePage } from "./model.js";

const page = fakePage();

/** Lets the observers tell. */
const looked = () => vi.advanceTimersByTimeAsync(0);

/**
 * A link with one view in sight, of a widget that holds a number.
 * @param {{ working?: boolean, views?: number, initialize?: boolean }} [options]
 */
async function linkOf({ working = false, views = 1, initialize = true } = {}) {
	const model = fakeModel({ snapshot: { seq: 1, at: 1, rows: [] }, show_header: true });
	const widget = {
		traits: /** @type {["snapshot"]} */ (["snapshot"]),
		restore: vi.fn(),
		receive: vi.fn(),
		held: () => ({ rev: 7 }),
		isWorking: () => working,
		tick: vi.fn(),
	};
	const link = createLink(widget);
	if (initialize) page.endings.push(link.connect(model.proxy()));

	async function view() {
		const node = document.createElement("div");
		document.body.append(node);
		const changed = vi.fn();
		const leave = link.join({ model: model.proxy(), node, changed });
		page.endings.unshift(leave);
		await looked();
		return { node, changed, leave };
	}

	/** @type {Awaited<ReturnType<typeof view>>[]} */
	const all = [];
	for (let n = 0; n < views; n += 1) all.push(await view());
	/** What was sent since the last look. */
	const sent = () => model.sent.splice(0).map(({ kind }) => kind);
	return { model, widget, link, view, views: all, sent, first: /** @type {any} */ (all[0]) };
}

const BEAT = { kind: "beat", seq: 1, at: 1 };

test("nothing is told to Python before a view is in sight, then the page and what it holds", async () => {
	const { model, view } = await linkOf({ views: 0 });
	await vi.advanceTimersByTimeAsync(20_000);
	expect(model.sent).toEqual([]);
	await view();
	expect(model.sent).toEqual([{ kind: "shown", page: expect.stringMatching(/^\w{5,}$/), rev: 7 }]);
});

test("no message carries a key that ipykernel takes for its own", async () => {
	const { model, first } = await linkOf();
	first.leave();
	expect(model.sent.length).toBe(2);
	for (const content of model.sent) expect(content).not.toHaveProperty("id");
});

test("the lease is renewed every five seconds while a view is in sight", async () => {
	const { model, sent, first } = await linkOf();
	model.receive(BEAT);
	sent();
	await vi.advanceTimersByTimeAsync(4000);
	expect(sent()).toEqual([]);
	await vi.advanceTimersByTimeAsync(11_000);
	expect(sent()).toEqual(["shown", "shown", "shown"]);
	page.sight.scroll(first.node, false);
	expect(model.sent).toEqual([{ kind: "hidden", page: expect.any(String) }]);
	sent();
	await vi.advanceTimersByTimeAsync(60_000);
	expect(sent()).toEqual([]);
	expect(vi.getTimerCount()).toBe(0);
	page.sight.scroll(first.node, true);
	expect(sent()).toEqual(["shown"]);
});

test("a first question that a kernel leaves unanswered is asked once more after a second", async () => {
	const { sent } = await linkOf();
	expect(sent()).toEqual(["shown"]);
	await vi.advanceTimersByTimeAsync(1100);
	expect(sent()).toEqual(["shown"]);
	await vi.advanceTimersByTimeAsync(4000);
	expect(sent()).toEqual([]);
});

test("messages renew it too, since the timers of a hidden tab sleep", async () => {
	const { model, sent } = await linkOf();
	sent();
	vi.spyOn(performance, "now").mockReturnValue(performance.now() + 4000);
	model.receive(BEAT);
	expect(sent()).toEqual([]);
	vi.spyOn(performance, "now").mockReturnValue(performance.now() + 1500);
	model.receive(BEAT);
	model.receive(BEAT);
	expect(sent()).toEqual(["shown"]);
});

test("the page is hidden when the last of its views is out of sight, or the tab is", async () => {
	const { sent, views } = await linkOf({ views: 2 });
	const [a, b] = /** @type {[any, any]} */ (views);
	sent();
	page.sight.scroll(a.node, false);
	expect(sent()).toEqual([]);
	page.sight.scroll(b.node, false);
	expect(sent()).toEqual(["hidden"]);
	page.sight.scroll(a.node, true);
	page.sight.hide(true);
	page.sight.hide(false);
	expect(sent()).toEqual(["shown", "hidden", "shown"]);
	b.leave();
	expect(sent()).toEqual([]);
	a.leave();
	expect(sent()).toEqual(["hidden"]);
});

test("a page that is kept counts as shown in a hidden tab, but not without a view", async () => {
	const { sent, link, first } = await linkOf();
	sent();
	link.keep(true);
	page.sight.hide(true);
	page.sight.scroll(first.node, false);
	expect(sent()).toEqual([]);
	link.keep(false);
	expect(sent()).toEqual(["hidden"]);
	link.keep(true);
	expect(sent()).toEqual(["shown"]);
	first.leave();
	expect(sent()).toEqual(["hidden"]);
});

test("what was missed is asked for at once, and at most once a second", async () => {
	const { model, sent, link } = await linkOf();
	model.receive(BEAT);
	await vi.advanceTimersByTimeAsync(1500);
	sent();
	link.ask();
	expect(sent()).toEqual(["shown"]);
	link.ask();
	link.ask();
	await vi.advanceTimersByTimeAsync(900);
	expect(sent()).toEqual([]);
	await vi.advanceTimersByTimeAsync(1000);
	expect(sent()).toEqual(["shown"]);
	await vi.advanceTimersByTimeAsync(2000);
	expect(sent()).toEqual([]);
});

test("a view is painted only in sight, and once for all that came meanwhile", async () => {
	const { model, link, first } = await linkOf();
	model.receive(BEAT); // it lives
	expect(first.changed).toHaveBeenCalledTimes(1);
	page.sight.scroll(first.node, false);
	link.changed();
	link.changed();
	expect(first.changed).toHaveBeenCalledTimes(1);
	page.sight.scroll(first.node, true);
	expect(first.changed).toHaveBeenCalledTimes(2);
	page.sight.scroll(first.node, false);
	page.sight.scroll(first.node, true);
	expect(first.changed).toHaveBeenCalledTimes(2);
});

test("a message tells that the kernel lives; a lost comm, or one that may be, that it may not", async () => {
	const { model, link, sent, first } = await linkOf();
	expect(link.live).toBe(false);
	model.receive(BEAT);
	expect(link.live).toBe(true);
	sent();
	model.trigger("comm_live_update");
	expect(link.live).toBe(false);
	expect(sent()).toEqual(["shown"]);
	model.receive(BEAT);
	expect(link.live).toBe(true);
	model.disconnect();
	model.receive(BEAT); // the last that was under way
	first.changed.mockClear();
	expect(link.send({ kind: "cancel", ids: ["a"] })).toBe(false);
	expect(link.live).toBe(false);
	expect(first.changed).toHaveBeenCalled();
});

test("a kernel that has something to say and is silent is busy", async () => {
	const { model, link, first } = await linkOf({ working: true });
	model.receive(BEAT);
	await vi.advanceTimersByTimeAsync(5000);
	expect(link.silence).toBe(null);
	first.changed.mockClear();
	await vi.advanceTimersByTimeAsync(3000);
	expect(link.silence).toBe(8);
	expect(first.changed).toHaveBeenCalledTimes(3); // once a second: it counts
	model.receive(BEAT);
	expect(link.silence).toBe(null);
	expect(first.changed).toHaveBeenCalledTimes(4);
});

test("a kernel that has nothing to say is busy only if it leaves a question unanswered", async () => {
	const { model, link } = await linkOf();
	model.receive(BEAT);
	await vi.advanceTimersByTimeAsync(4900);
	expect(link.silence).toBe(null);
	await vi.advanceTimersByTimeAsync(4000); // the lease was renewed four seconds ago
	expect(link.silence).toBe(null);
	await vi.advanceTimersByTimeAsync(3000);
	expect(link.silence).toBe(11);
});

test("a kernel that answers each renewal is never busy", async () => {
	const { model, link } = await linkOf();
	model.receive(BEAT);
	for (let second = 0; second < 30; second += 1) {
		model.sent.length = 0;
		await vi.advanceTimersByTimeAsync(1000);
		expect(link.silence).toBe(null);
		if (model.sent.length > 0) {
			await vi.advanceTimersByTimeAsync(30);
			model.receive(BEAT);
		}
	}
});

test("time that nobody looked is no silence, though it is told how long ago the kernel was heard", async () => {
	const { model, link, first } = await linkOf({ working: true });
	model.receive(BEAT);
	page.sight.scroll(first.node, false);
	await vi.advanceTimersByTimeAsync(60_000);
	page.sight.scroll(first.node, true);
	await vi.advanceTimersByTimeAsync(4000);
	expect(link.silence).toBe(null);
	await vi.advanceTimersByTimeAsync(3000);
	expect(link.silence).toBe(67);
});

test("a dead kernel is not called busy", async () => {
	const { model, link } = await linkOf({ working: true });
	await vi.advanceTimersByTimeAsync(10_000);
	expect(link.silence).toBe(null);
	model.receive(BEAT);
	await vi.advanceTimersByTimeAsync(6000);
	expect(link.silence).toBe(6);
	model.disconnect();
	await vi.advanceTimersByTimeAsync(1000);
	expect(link.silence).toBe(null);
});

test("traits are taken over at the start and at each change", async () => {
	const { model, widget } = await linkOf();
	expect(widget.restore).toHaveBeenCalledTimes(1);
	model.update({ snapshot: { seq: 2, at: 2, rows: [] } });
	expect(widget.restore).toHaveBeenCalledTimes(2);
	model.update({ show_header: false });
	expect(widget.restore).toHaveBeenCalledTimes(2);
});

test("without initialize the first view's proxy listens for all, and the next takes over", async () => {
	const { model, link, views, widget, sent } = await linkOf({ views: 2, initialize: false });
	const [a, b] = /** @type {[any, any]} */ (views);
	expect(model.listening()).toBe(3);
	sent();
	a.leave();
	expect(model.listening()).toBe(3);
	expect(sent()).toEqual([]); // the lease goes on
	model.receive(BEAT);
	expect(widget.receive).toHaveBeenCalledTimes(1);
	expect(link.send({ kind: "install" })).toBe(true);
	sent();
	b.leave();
	expect(sent()).toEqual(["hidden"]);
	expect(model.listening()).toBe(0);
	expect(page.sight.observing()).toBe(0);
	expect(link.send({ kind: "install" })).toBe(false);
});

test("no listener of the document stays", async () => {
	const added = vi.spyOn(document, "addEventListener");
	const removed = vi.spyOn(document, "removeEventListener");
	const { views } = await linkOf({ views: 2 });
	expect(added).toHaveBeenCalledTimes(1);
	for (const { leave } of views) leave();
	expect(removed.mock.calls).toEqual(added.mock.calls);
});

test("without initialize the first view paints what is restored as it joins", async () => {
	const { first, view } = await linkOf({ initialize: false });
	expect(first.changed).toHaveBeenCalledTimes(1);
	const second = await view();
	expect(second.changed).not.toHaveBeenCalled();
});

test("a promise of the host's that fails tells as much as a throw", async () => {
	const { link, model } = await linkOf();
	model.receive(BEAT);
	expect(link.live).toBe(true);
	model.fail();
	link.renew();
	await looked();
	expect(link.live).toBe(false);
});
