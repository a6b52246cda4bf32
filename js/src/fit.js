/** Whether a file fits a hive, in words, with the figures behind them. Pure. */

import { bytes, memory, oneLine, prose, roughly } from "./format.js";

/** @typedef {import("./market.js").File} File */
/** @typedef {import("./market.js").Fit} Fit */
/** @typedef {import("./market.js").Hive} Hive */
/** @typedef {import("./market.js").Verdict} Verdict */

/**
 * What the words depend on beside the file.
 * @typedef {object} Place
 * @property {Hive | null} hive
 * @property {number[]} contexts   tokens
 * @property {number} stop         the index of the chosen one
 * @property {boolean} live        whether what isn't known is being found out
 */

/** @type {Record<Verdict, string>} */
const WORDS = {
	gpu: "Fits the GPU",
	offload: "Fits with CPU offload",
	no: "Does not fit",
	unknown: "Fit unknown",
};

/** @param {File} file @param {Place} place @returns {{ fit: Verdict, words: string }} */
export function verdict({ fit }, { hive, stop, live }) {
	const isChecking = live && hive !== null && !hive.error;
	if (!fit) return { fit: "unknown", words: isChecking ? "Checking fit…" : WORDS.unknown };
	const is = fit.verdicts[stop] ?? "unknown";
	return { fit: is, words: is === "offload" && !hive?.gpu ? "Runs on the CPU" : WORDS[is] };
}

/**
 * What a verdict rests on, weightiest first: pairs of what it is and how much.
 * @param {File} file
 * @param {Place} place
 * @returns {[string, string][]}
 */
export function figures({ fit }, { hive, contexts, stop }) {
	const why = fit?.why ?? (fit ? null : hive ? hive.error : "no hive to fit it on");
	/** @type {[string, string][]} */
	const unknown = why ? [["Unknown", prose(why)]] : [];
	const kv = fit?.kv[stop];
	const compute = fit?.compute[stop];
	if (!fit || kv === undefined || compute === undefined) return unknown;
	const context = contexts[stop] ?? 0;
	const isOnGpu = fit.verdicts[stop] === "gpu";
	const total = fit.weights + (isOnGpu ? 0 : fit.host) + kv + compute + fit.overhead;
	return [
		...unknown,
		["Total", [memory(total), room(hive, isOnGpu)].filter(Boolean).join(" of ")],
		["Weights", memory(fit.weights)],
		...(fit.host ? [/** @type {[string, string]} */ (["Weights in RAM", memory(fit.host)])] : []),
		[`KV cache at ${tokens(context)}`, memory(kv)],
		["Compute buffer", memory(compute)],
		["Overhead", memory(fit.overhead)],
		...trained(fit, context),
	];
}

/** @param {Fit} fit @param {number} context @returns {[string, string][]} */
function trained(fit, context) {
	if (!fit.trained) return [];
	const words = tokens(fit.trained);
	return [["Trained for", context > fit.trained ? `${words}; computed at that` : words]];
}

/** The figures as one sentence, for a tooltip and for ears. @param {[string, string][]} pairs */
export function sentence(pairs) {
	return pairs.map(([what, how]) => `${what}: ${how}`).join(" · ");
}

/** What there is to fit in: "24 GiB GPU memory and 62 GiB RAM". @param {Hive | null} hive @param {boolean} isOnGpu */
function room(hive, isOnGpu) {
	return [
		hive?.gpu ? `${memory(hive.gpu)} GPU memory` : "",
		hive?.ram && !isOnGpu ? `${memory(hive.ram)} RAM` : "",
	]
		.filter(Boolean)
		.join(" and ");
}

/**
 * What a hive has: "RTX 4090, 24 GiB · 62 GiB RAM · 120 GB disk free". Memory is told by 1024, as
 * cards are sold, and disks by 1000, as files are.
 * @param {Hive} hive
 */
export function devices({ gpu, ram, devices: all, free }) {
	/** @type {Map<string, number>} */
	const counts = new Map();
	for (const { name, type, memory: size } of all) {
		if (type === "cpu") continue;
		const words = oneLine(name) + (size ? `, ${memory(size)}` : "");
		counts.set(words, (counts.get(words) ?? 0) + 1);
	}
	return [
		...[...counts].map(([words, count]) => (count > 1 ? `${count} × ${words}` : words)),
		counts.size > 0 ? "" : gpu ? `GPU, ${memory(gpu)}` : ram !== null ? "no GPU" : "",
		ram === null ? "" : `${memory(ram)} RAM`,
		free === null ? "" : `${amount(free)} disk free`,
	]
		.filter(Boolean)
		.join(" · ");
}

/**
 * What there is to know before the first byte, and whether there is too little room.
 * @param {File} file
 * @param {Hive | null} hive
 * @param {string | null} license
 * @returns {{ words: string, isShort: boolean }}
 */
export function preflight({ size }, hive, license) {
	const free = hive?.free ?? null;
	const promised = hive?.promised ?? 0;
	const left = free === null ? null : Math.max(0, free - promised);
	const after = promised > 0 ? " after running downloads" : "";
	const isShort = size !== null && left !== null && left < size;
	const speed = hive?.speed;
	return {
		isShort,
		words: [
			size === null
				? "size unknown"
				: left === null
					? amount(size)
					: isShort
						? `needs ${amount(size)}, ${amount(left)} disk free${after}`
						: `${amount(size)} of ${amount(left)} disk free${after}`,
			size && speed && !isShort ? `about ${roughly(size / speed)} at ${bytes(speed, 2)}/s` : "",
			license ? `licence ${oneLine(license)}` : "licence not told",
		]
			.filter(Boolean)
			.join(" · "),
	};
}

/** "8k tokens": by 1024, as contexts are. @param {number} count */
export function tokens(count) {
	return count >= 1024 ? `${Number((count / 1024).toFixed(1))}k tokens` : `${count} tokens`;
}

/** An amount that doesn't move: no zeros that would keep its width. @param {number} size */
export function amount(size) {
	return bytes(size).replace(/\.0+ |(\.\d*?)0+ /, "$1 ");
}
