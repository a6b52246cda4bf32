import { describe, expect, test } from "vitest";
import { amount, devices, figures, preflight, sentence, tokens, verdict } from "../src/fit.js";

const GB = 1e9;
const GIB = 2 ** 30;

/** @param {Partial<import("../src/market.js").Hive>} [changes] @returns {import("../src/market.js").Hive} */
const hive = (changes) => ({
	id: "local",
	error: null,
	gpu: 24 * GIB,
	ram: 62 * GIB,
	devices: [
		{ name: "RTX 4090", type: "gpu", memory: 24 * GIB },
		{ name: "CPU (16 cores)", type: "cpu", memory: 62 * GIB },
	],
	free: 120 * GB,
	promised: 0,
	speed: 11 * 1e6,
	...changes,
});

/** @param {Partial<import("../src/market.js").Fit>} [changes] @returns {import("../src/market.js").Fit} */
const fitOf = (changes) => ({
	verdicts: ["gpu", "offload", "no", "unknown"],
	why: null,
	weights: 5 * GIB,
	host: 0.5 * GIB,
	kv: [1 * GIB, 2 * GIB, 4 * GIB, 8 * GIB],
	compute: [0.25 * GIB, 0.25 * GIB, 0.25 * GIB, 0.25 * GIB],
	overhead: 0.375 * GIB,
	trained: 8192,
	...changes,
});

/** @param {Partial<import("../src/market.js").File>} [changes] @returns {import("../src/market.js").File} */
const file = (changes) => ({
	id: "org/a:f.gguf",
	path: "f.gguf",
	size: 4.9 * GB,
	quantisation: "Q4_K_M",
	parts: 1,
	installed: false,
	place: null,
	sha256: null,
	cannot: null,
	fit: fitOf(),
	...changes,
});

const contexts = [4096, 8192, 16384, 32768];

/** @param {number} stop @param {Partial<import("../src/market.js").Hive>} [changes] */
const place = (stop, changes) => ({ hive: hive(changes), contexts, stop, live: true });

test.each([
	[0, {}, "gpu", "Fits the GPU"],
	[1, {}, "offload", "Fits with CPU offload"],
	[1, { gpu: null }, "offload", "Runs on the CPU"],
	[2, {}, "no", "Does not fit"],
	[3, {}, "unknown", "Fit unknown"],
	[9, {}, "unknown", "Fit unknown"],
])("at stop %d of a hive with %j: %s, %s", (stop, changes, is, words) => {
	expect(verdict(file(), place(stop, changes))).toEqual({ fit: is, words });
});

test("a fit that isn't known yet is being checked, unless nobody can", () => {
	expect(verdict(file({ fit: null }), place(0)).words).toBe("Checking fit…");
	expect(verdict(file({ fit: null }), { ...place(0), live: false }).words).toBe("Fit unknown");
	expect(verdict(file({ fit: null }), place(0, { error: "gone" })).words).toBe("Fit unknown");
	expect(verdict(file({ fit: null }), { ...place(0), hive: null }).words).toBe("Fit unknown");
});

describe("the figures", () => {
	test("of the GPU leave out what lies in RAM, and add up", () => {
		expect(figures(file(), place(0))).toEqual([
			["Total", "6.63 GiB of 24 GiB GPU memory"],
			["Weights", "5 GiB"],
			["Weights in RAM", "512 MiB"],
			["KV cache at 4k tokens", "1 GiB"],
			["Compute buffer", "256 MiB"],
			["Overhead", "384 MiB"],
			["Trained for", "8k tokens"],
		]);
	});

	test("of both memories are of all there is, and tell where the context was cut", () => {
		const said = sentence(figures(file(), place(2)));
		expect(said).toContain("Total: 10.1 GiB of 24 GiB GPU memory and 62 GiB RAM");
		expect(said).toContain("Trained for: 8k tokens; computed at that");
	});

	test("of what is unknown say why, without numbers that nobody has", () => {
		const unknown = fitOf({ verdicts: ["unknown"], why: "its header lies", kv: [], compute: [] });
		expect(figures(file({ fit: unknown }), place(0))).toEqual([["Unknown", "its header lies"]]);
		expect(figures(file({ fit: null }), place(0, { error: "no hive answered" }))).toEqual([
			["Unknown", "no hive answered"],
		]);
		expect(figures(file({ fit: null }), place(0))).toEqual([]);
	});
});

test.each([
	[
		{},
		{},
		"llama3.1",
		"4.9 GB of 120 GB disk free · about 7 min at 11 MB/s · licence llama3.1",
		false,
	],
	[
		{ size: 42 * GB },
		{ free: 20 * GB, promised: 8 * GB },
		null,
		"needs 42 GB, 12 GB disk free after running downloads · licence not told",
		true,
	],
	[{ size: 42 * GB }, { free: 12 * GB }, "mit", "needs 42 GB, 12 GB disk free · licence mit", true],
	[
		{},
		{ promised: 20 * GB, speed: null },
		"mit",
		"4.9 GB of 100 GB disk free after running downloads · licence mit",
		false,
	],
	[{}, { free: null, speed: null }, "mit", "4.9 GB · licence mit", false],
	[{ size: null }, {}, "mit", "size unknown · licence mit", false],
	[
		{ size: 1 },
		{ free: 1, promised: 9 },
		"mit",
		"needs 1 B, 0 B disk free after running downloads · licence mit",
		true,
	],
])("before the first byte of %j on %j", (changes, on, license, words, isShort) => {
	expect(preflight(file(changes), hive(on), license)).toEqual({ words, isShort });
});

test("exactly as much room as is needed is enough", () => {
	expect(preflight(file({ size: 12 * GB }), hive({ free: 12 * GB }), null).isShort).toBe(false);
});

test.each([
	[{}, "RTX 4090, 24 GiB · 62 GiB RAM · 120 GB disk free"],
	[{ gpu: null, devices: [] }, "no GPU · 62 GiB RAM · 120 GB disk free"],
	[{ gpu: null, devices: [], ram: null, free: null }, ""],
	[
		{ devices: [1, 2].map(() => ({ name: "A100", type: "gpu", memory: 80 * GIB })) },
		"2 × A100, 80 GiB · 62 GiB RAM · 120 GB disk free",
	],
])("a hive with %j has %s", (changes, words) => expect(devices(hive(changes))).toBe(words));

test.each([
	[2048, "2k tokens"],
	[131072, "128k tokens"],
	[512, "512 tokens"],
])("%d reads %s", (count, words) => expect(tokens(count)).toBe(words));

test.each([
	[5e9, "5 GB"],
	[4.9e9, "4.9 GB"],
	[4.92e9, "4.92 GB"],
	[120e9, "120 GB"],
	[10.0e9, "10 GB"],
	[100, "100 B"],
])("%d bytes that don't move read %s", (size, words) => expect(amount(size)).toBe(words));
