import { expect, test } from "vitest";
import { curve, recorded } from "../src/sparkline.js";

/** @typedef {import("../src/sparkline.js").Point} Point */

/** @param {Point[]} points */
const after = (...points) => points.reduce(recorded, /** @type {Point[]} */ ([]));

test("of each second the last figure is kept, and of the last minute alone", () => {
	const points = after([100, 1], [100.25, 2], [100.9, 3], [101, 4]);
	expect(points).toEqual([
		[100.9, 3],
		[101, 4],
	]);
	expect(recorded(points, [160.95, 5])).toEqual([
		[101, 4],
		[160.95, 5],
	]);
});

test("a clock that was set back leaves no figure of the future", () => {
	expect(after([100, 1], [101, 2], [90, 3])).toEqual([[90, 3]]);
});

test("the newest is at the right edge, the fastest at the top, and nothing at the bottom", () => {
	expect(
		curve([
			[970, 0],
			[985, 50],
			[999, 100],
			[1000, 100],
		]),
	).toBe("M30.0 13.0M45.0 7.0M59.0 1.0L60.0 1.0");
});

test("a silence breaks the curve, instead of being bridged", () => {
	const drawn = curve([
		[1, 5],
		[2, 5],
		[20, 5],
		[21, 5],
	]);
	expect(drawn.match(/[ML]/g)?.join("")).toBe("MLML");
});

test("one or two figures are no curve", () => {
	expect(curve([])).toBe("");
	expect(
		curve([
			[1, 5],
			[2, 6],
		]),
	).toBe("");
});

test("standing still is a line at the bottom", () => {
	expect(
		curve([
			[1, 0],
			[2, 0],
			[3, 0],
		]),
	).toBe("M58.0 13.0L59.0 13.0L60.0 13.0");
});
