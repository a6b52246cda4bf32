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

/**
 * A delta of what came after the change before it.
 * @param {number} seq
 * @param {import("../src/rows.js").SentRow[]} rows
 * @param {{ since?: number, gone?: string[], lines?: Record<string, any[]> }} [more]
 * @returns {import("../src/rows.js").Message}
 */
const delta = (seq, rows, more) => ({
	kind: "delta",
	since: seq - 1,
	seq,
	at: seq,
	rows,
	...more,
});

/** @param {number} seq @returns {import("../src/rows.js").Message} */
const beat = (seq, at = seq) => ({ kind: "beat", seq, at });

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
	expect(reduce(now, snapshot(2, ...now.rows.values())).rows).toBe(now.rows);
	expect(reduce(now, snapshot(1, ranged(2, 4))).rows.get("c")?.eta_range).toEqual([2, 4]);
});

test("what equals the row before doesn't replace it, whatever its fields hold", () => {
	const retry = { number: 1, of: 6, in: 4 };
	const before = after(snapshot(1, row("a", { retry })));
	const now = reduce(before, delta(2, [row("a", { retry: { ...retry } })]));
	expect(now.rows.get("a")).toBe(before.rows.get("a"));
	const waited = reduce(now, delta(3, [row("a", { retry: { ...retry, in: 3 } })]));
	expect(waited.rows.get("a")?.retry?.in).toBe(3);
	expect(reduce(waited, delta(4, [row("a")])).rows.get("a")?.retry).toBe(null);
});

test("a field that is left out is null, also where it was something", () => {
	/** @type {import("../src/rows.js").SentRow} */
	const bare = {
		id: "a",
		name: "org/a",
		type: "model",
		hive: "localhost",
		status: "queued",
		bytes_downloaded: 0,
		created_at: 1,
	};
	const { rows } = after(snapshot(1, row("a", { error: "disk full" })), delta(2, [bare]));
	expect(rows.get("a")).toEqual({
		...bare,
		job_id: null,
		total_size: null,
		percentage: null,
		speed: null,
		eta: null,
		eta_range: null,
		stalled_for: null,
		retry: null,
		error: null,
		hint: null,
		note: null,
		remark: null,
		path: null,
	});
});

test("a gap applies nothing and is noted, until what was missed comes", () => {
	const before = after(snapshot(1, row("a")));
	const now = reduce(before, delta(3, [row("a", { percentage: 60 })]));
	expect(now.gap).toBe(true);
	expect(now.rows).toBe(before.rows);
	expect(reduce(now, snapshot(3, row("a"))).gap).toBe(false);
	const caught = reduce(now, delta(4, [row("a", { percentage: 61 })], { since: 1 }));
	expect(caught).toMatchObject({ gap: false, seq: 4 });
	expect(caught.rows.get("a")?.percentage).toBe(61);
});

test("a delta from before what is held applies all the same, since its rows are whole", () => {
	const now = after(
		snapshot(5, row("a"), row("b")),
		delta(7, [row("a", { percentage: 70 })], { since: 2 }),
	);
	expect(now).toMatchObject({ seq: 7, gap: false });
	expect(now.rows.get("a")?.percentage).toBe(70);
});

test("a beat tells of a gap, or that the state still holds", () => {
	const before = after(snapshot(2, row("a")));
	expect(reduce(before, beat(2, 9))).toMatchObject({ seq: 2, at: 9, gap: false });
	expect(reduce(before, beat(2, 9)).rows).toBe(before.rows);
	expect(reduce(before, beat(3)).gap).toBe(true);
	expect(reduce(before, beat(1))).toBe(before);
});

test("rows that are gone are gone", () => {
	const now = after(snapshot(1, row("a"), row("b")), delta(2, [], { gone: ["a", "unknown"] }));
	expect(now.order).toEqual(["b"]);
	expect([...now.rows.keys()]).toEqual(["b"]);
});

test("an older snapshot is ignored, a removed row is gone with a newer one", () => {
	const before = after(snapshot(4, row("a"), row("b")));
	expect(reduce(before, snapshot(3, row("a")))).toBe(before);
	expect([...reduce(before, snapshot(4, row("a"))).rows.keys()]).toEqual(["a"]);
});

test("a delta that a snapshot has overtaken brings its lines alone", () => {
	const before = opened(after(snapshot(4, row("a", { percentage: 80 }))), "a");
	const now = reduce(before, delta(4, [row("a", { percentage: 70 })], { lines: { a: [line(1)] } }));
	expect(now.rows.get("a")?.percentage).toBe(80);
	expect(now.lines.get("a")).toEqual([line(1)]);
	expect(now.gap).toBe(false);
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

test("lines are kept of opened rows alone, and a later one replaces its number", () => {
	const state = opened(after(snapshot(1, row("a"), row("b"))), "a");
	const now = [
		delta(2, [], { lines: { a: [line(1), line(2)], b: [line(1)] } }),
		delta(3, [], { lines: { a: [line(2, "45%")] } }),
	].reduce(reduce, state);
	expect(now.lines.get("a")?.map(({ text }) => text)).toEqual(["line 1", "45%"]);
	expect(now.lines.has("b")).toBe(false);
	expect(closed(now, "a").lines.has("a")).toBe(false);
});

test("narration is bounded to its newest lines", () => {
	const state = opened(after(snapshot(1, row("a"))), "a");
	const lines = Array.from({ length: MOST_LINES + 5 }, (_, n) => line(n));
	const kept = reduce(state, delta(2, [], { lines: { a: lines } })).lines.get("a");
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
	expect(summary(state)).toMatchObject({ active: 4, speed: 62e6, eta: 90 });
	expect(summary(EMPTY)).toEqual({ active: 0, speed: null, eta: null, percentage: null });
});

test("how far all are counts by size, where every size is known", () => {
	const small = row("a", { percentage: 90, total_size: 100 });
	const large = row("b", { percentage: 10, total_size: 300 });
	const sizeless = row("b", { percentage: 10, total_size: null });
	const over = row("c", { status: "complete" });
	const unknown = row("d", { percentage: null, total_size: null });
	expect(summary(after(snapshot(1, small, large, over, unknown))).percentage).toBe(30);
	expect(summary(after(snapshot(1, small, sizeless))).percentage).toBe(50);
	expect(summary(after(snapshot(1, unknown, over))).percentage).toBe(null);
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
	expect(ends(before, now)).toEqual([{ row: now.rows.get("a"), words: "is complete" }]);
	expect(ends(now, now)).toEqual([]);
});
