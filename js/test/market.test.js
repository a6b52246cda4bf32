import { expect, test } from "vitest";
import { EMPTY, reduce, restored } from "../src/market.js";

/** @typedef {import("../src/market.js").Message} Message */

/** @param {string} id @returns {any} */
const model = (id) => ({ id, author: "org" });

/** @param {number} n @returns {any} */
const query = (n) => ({ n, text: `search ${n}` });

/** @param {...Partial<Message> & { rev: number }} messages */
const after = (...messages) =>
	messages.reduce((state, message) => reduce(state, { since: message.rev - 1, ...message }), EMPTY);

/** @param {import("../src/market.js").Market} state */
const ids = ({ models }) => models.map(({ id }) => id);

test("the whole state replaces what was, also an older revision after a restart", () => {
	const state = after(
		{ rev: 9, since: -1, set: { query: query(5) }, append: [model("a")], files: { a: null } },
		{ rev: 2, since: -1, set: { query: query(0) }, append: [model("b")] },
	);
	expect(state.rev).toBe(2);
	expect(state.query?.n).toBe(0);
	expect(ids(state)).toEqual(["b"]);
	expect(state.files.size).toBe(0);
});

test("a page is appended, an empty list begins anew, and what comes twice stands once", () => {
	const first = after({ rev: 1, since: -1, append: [model("a"), model("b")] });
	const second = reduce(first, { rev: 2, since: 1, append: [model("b"), model("c"), model("c")] });
	expect(ids(second)).toEqual(["a", "b", "c"]);
	expect(second.models[0]).toBe(first.models[0]);
	expect(
		ids(reduce(second, { rev: 3, since: 2, set: { models: [] }, append: [model("d")] })),
	).toEqual(["d"]);
});

test("what is missing is a gap, and what is known already is nothing new", () => {
	const state = after({ rev: 3, since: -1, append: [model("a")] });
	const torn = reduce(state, { rev: 5, since: 4, append: [model("z")] });
	expect(torn.gap).toBe(true);
	expect(ids(torn)).toEqual(["a"]);
	expect(torn.rev).toBe(3);
	expect(reduce(state, { rev: 3, since: 2, append: [model("z")] })).toBe(state);
	expect(reduce(torn, { rev: 6, since: -1 }).gap).toBe(false);
});

test("a stale answer never replaces a newer one, and loses no revision", () => {
	const state = after(
		{ rev: 1, since: -1, set: { query: query(7), more: false }, append: [model("new")] },
		{
			rev: 2,
			set: { query: query(6), models: [], more: true, searching: true },
			append: [model("old")],
		},
	);
	expect(ids(state)).toEqual(["new"]);
	expect(state.query?.n).toBe(7);
	expect(state.more).toBe(false);
	expect(state.searching).toBe(true);
	expect(state.rev).toBe(2);
});

test("files and cards go by model, and null takes them away", () => {
	/** @type {any} */
	const loading = { state: "loading" };
	const state = after({
		rev: 1,
		since: -1,
		files: { a: loading, b: loading },
		cards: { a: loading },
	});
	const next = reduce(state, { rev: 2, since: 1, files: { a: null } });
	expect([...next.files.keys()]).toEqual(["b"]);
	expect(next.cards).toBe(state.cards);
});

test("what a saved page holds counts for no revision", () => {
	const state = restored({ rev: 12, since: -1, set: { at: 5 }, append: [model("a")] });
	expect(state.rev).toBe(-1);
	expect(ids(state)).toEqual(["a"]);
	expect(state.at).toBe(5);
});
