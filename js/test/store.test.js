import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { createStore } from "../src/store.js";
import { fakeModel, fakeSight, row } from "./model.js";

beforeEach(() => {
	fakeSight();
});

afterEach(() => {
	vi.unstubAllGlobals();
});

/** @param {Parameters<typeof createStore>[0]} [more] @param {import("../src/rows.js").Row[]} rows */
function storeOf(rows, more) {
	const model = fakeModel({ snapshot: { seq: 1, at: 1, rows }, show_header: true });
	const store = createStore(more);
	store.link.connect(model.proxy());
	return { model, store };
}

test("more ids than a message takes go in several", () => {
	const { model, store } = storeOf([]);
	store.act(
		"cancel",
		Array.from({ length: 5001 }, (_, n) => `${n}`),
	);
	expect(model.sent.map(({ kind, ids }) => [kind, ids.length])).toEqual([
		["cancel", 5000],
		["cancel", 1],
	]);
});

test("what can't be sent isn't waited for", () => {
	const { model, store } = storeOf([row("a"), row("b")]);
	store.act("cancel", ["a"]);
	expect(store.pending("a")).toBe("cancel");
	model.disconnect();
	store.act("cancel", ["b"]);
	expect(store.pending("b")).toBe(null);
});

test("a row that is gone is waited for no longer, and leaves no speeds", () => {
	const { model, store } = storeOf([row("a")]);
	store.act("clear", ["a"]);
	expect(store.speeds("a")).toHaveLength(1);
	model.receive({ kind: "delta", since: 1, seq: 2, at: 2, rows: [], gone: ["a"] });
	expect(store.pending("a")).toBe(null);
	expect(store.speeds("a")).toHaveLength(0);
});

test("ends and states are told of also while no view is in sight", () => {
	const applied = vi.fn();
	const { model } = storeOf([row("a")], { applied });
	applied.mockClear();
	const over = [row("a", { status: "failed" })];
	model.receive({ kind: "delta", since: 1, seq: 2, at: 2, rows: over });
	expect(applied.mock.calls).toEqual([[[{ row: over[0], words: "failed" }]]]);
	model.receive({ kind: "beat", seq: 2, at: 3 });
	expect(applied).toHaveBeenCalledTimes(1);
});

test("a trait of the widget's own repaints", async () => {
	const { model, store } = storeOf([], { traits: ["offer"] });
	const node = document.createElement("div");
	const changed = vi.fn();
	store.join({ model: model.proxy(), node, changed, isOpen: () => false });
	await Promise.resolve();
	changed.mockClear();
	model.trigger("change:offer");
	expect(changed).toHaveBeenCalledTimes(1);
});
