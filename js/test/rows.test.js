import { expect, test } from "vitest";
import {
	buttons,
	closed,
	EMPTY,
	ends,
	hasManyHives,
	MOST_LINES,
	opened,
	reduce,
	shownPercentage,
	summary,
} from "../src/rows.js";
import { line, row } from "./model.js";

/** @typedef {import("../src/rows.js").Row} Row */

/** @param {number} seq @param {...Row} rows @returns {import("../src/rows.js").Message} */
const snapshot = (seq, ...rows) => ({ kind: "snapshot", seq, at: seq, rows });

/** @param {number} seq @param {Row[]} rows @param {Record<string, any[]>} [lines] */
const delta = (seq, rows, lines) => ({
	kind: /** @type {const} */ ("delta"),
	seq,
	at: seq,
	rows,
	lines,
});

/** @param {...import("../src/rows.js").Message} messages */
const after = (...messages) => messages.reduce(reduce, EMPTY);

test("a delta changes the rows it brings and leaves the others the same objects", () => {
	const before = after(snapshot(1, row("a"), row("b")));
	const now = reduce(before, delta(2, [row("a", { percentage: 50 })]));
	expect(now.rows.get("a")?.percentage).toBe(50);
	expect(now.rows.get("b")).toBe(before.rows.get("b"));
});

test("a snapshot keeps the objects of rows that didn't change", () => {
	/** @param {[number, number]} eta_range */
	const ranged = (...eta_range) => row("c", { eta_range });
	const before = after(snapshot(1, row("a"), row("b"), ranged(2, 3)));
	const now = reduce(before, snapshot(1, row("a"), row("b", { eta: 1 }), ranged(2, 3)));
	expect(now.rows.get("a")).toBe(before.rows.get("a"));
	expect(now.rows.get("b")).not.toBe(before.rows.get("b"));
	expect(now.rows.get("c")).toBe(before.rows.get("c"));
	expect(reduce(now, snapshot(1, ranged(2, 4))).rows.get("c")?.eta_range).toEqual([2, 4]);
});

test("a gap applies nothing and is noted", () => {
	const before = after(snapshot(1, row("a")));
	const now = reduce(before, delta(3, [row("a", { percentage: 60 })]));
	expect(now.gap).toBe(3);
	expect(now.rows).toBe(before.rows);
	expect(reduce(now, snapshot(3, row("a"))).gap).toBe(null);
});

test("a gap is noted again if no snapshot comes", () => {
	const asked = after(snapshot(1, row("a")), { ...delta(5, []), at: 10 });
	expect(reduce(asked, { ...delta(6, []), at: 11 }).gap).toBe(10);
	expect(reduce(asked, { ...delta(7, []), at: 12 }).gap).toBe(12);
});

test("an older snapshot is ignored, a removed row is gone with a newer one", () => {
	const before = after(snapshot(4, row("a"), row("b")));
	expect(reduce(before, snapshot(3, row("a")))).toBe(before);
	expect([...reduce(before, snapshot(4, row("a"))).rows.keys()]).toEqual(["a"]);
});

test("a delta that a snapshot has overtaken brings its lines alone", () => {
	const before = opened(after(snapshot(4, row("a", { percentage: 80 }))), "a");
	const now = reduce(before, delta(4, [row("a", { percentage: 70 })], { a: [line(1)] }));
	expect(now.rows.get("a")?.percentage).toBe(80);
	expect(now.lines.get("a")).toEqual([line(1)]);
	expect(now.gap).toBe(null);
});

test("active rows come first, complete ones last, and the newest first among equals", () => {
	const state = after(
		snapshot(
			1,
			row("done", { status: "complete", created_at: 9 }),
			row("old", { created_at: 1 }),
			row("failed", { status: "failed", created_at: 8 }),
			row("cancelled", { status: "cancelled", created_at: 7 }),
			row("new", { status: "queued", created_at: 2 }),
		),
	);
	expect(state.order).toEqual(["new", "old", "failed", "cancelled", "done"]);
	const retried = reduce(state, delta(2, [row("failed", { status: "queued", created_at: 8 })]));
	expect(retried.order[0]).toBe("failed");
});

test("a tick that moves no row keeps the order's own object", () => {
	const before = after(snapshot(1, row("a"), row("b")));
	expect(reduce(before, delta(2, [row("a", { eta: 3 })])).order).toBe(before.order);
});

test("lines are kept of opened rows alone, and a later one replaces its number", () => {
	const state = opened(after(snapshot(1, row("a"), row("b"))), "a");
	const now = [
		delta(2, [], { a: [line(1), line(2)], b: [line(1)] }),
		delta(3, [], { a: [line(2, "45%")] }),
	].reduce(reduce, state);
	expect(now.lines.get("a")?.map(({ text }) => text)).toEqual(["line 1", "45%"]);
	expect(now.lines.has("b")).toBe(false);
	expect(closed(now, "a").lines.has("a")).toBe(false);
});

test("narration is bounded to its newest lines", () => {
	const state = opened(after(snapshot(1, row("a"))), "a");
	const lines = Array.from({ length: MOST_LINES + 5 }, (_, n) => line(n));
	const kept = reduce(state, { kind: "narration", id: "a", lines }).lines.get("a");
	expect(kept?.length).toBe(MOST_LINES);
	expect(kept?.[0]?.n).toBe(5);
});

test("the header sums the speeds and takes the longest time; what stands still counts for neither", () => {
	const state = after(
		snapshot(
			1,
			row("a", { speed: 12e6, eta: 90 }),
			row("b", { speed: 50e6, eta: 30 }),
			row("c", { speed: 1e6, eta: 9000, stalled_for: 12 }),
			row("d", { speed: 1e6, eta: 9000, retry: { number: 1, of: 6, in: 2 } }),
			row("e", { status: "failed", speed: 7e6, eta: 999 }),
		),
	);
	expect(summary(state)).toEqual({ active: 4, speed: 62e6, eta: 90 });
	expect(summary(EMPTY)).toEqual({ active: 0, speed: null, eta: null });
});

test("hives matter where there is more than one", () => {
	expect(hasManyHives(after(snapshot(1, row("a"), row("b"))))).toBe(false);
	expect(hasManyHives(after(snapshot(1, row("a"), row("b", { hive: "pc" }))))).toBe(true);
});

test.each(
	/** @type {const} */ ([
		["queued", ["cancel"]],
		["downloading", ["cancel"]],
		["finishing", ["cancel"]],
		["cancelling", ["cancelling"]],
		["complete", ["clear"]],
		["cancelled", ["retry", "clear"]],
		["failed", ["retry", "clear"]],
		["interrupted", ["retry", "clear"]],
	]),
)("%s allows %j", (status, allowed) => expect(buttons(row("a", { status }))).toEqual(allowed));

test("100 is for what is complete", () => {
	expect(shownPercentage(row("a", { percentage: 100, status: "finishing" }))).toBe(99.9);
	expect(shownPercentage(row("a", { percentage: null, status: "complete" }))).toBe(100);
	expect(shownPercentage(row("a", { percentage: null }))).toBe(null);
});

test("an end is news once, and none for a row that is over when first seen", () => {
	const before = after(snapshot(1, row("a")));
	const now = reduce(
		before,
		delta(2, [row("a", { status: "complete" }), row("b", { status: "failed" })]),
	);
	expect(ends(before, now)).toEqual([{ name: "org/a:file.gguf", end: "is complete" }]);
	expect(ends(now, now)).toEqual([]);
});
