/** What the log of all narration has beside a row's own: more filters, Export, and a count. */

import { copyText, saveText } from "./clipboard.js";
import { button, h, setText } from "./dom.js";
import { counted, oneLine, shorten } from "./format.js";
import { asJson, LEVELS } from "./lines.js";
import { createLog } from "./log.js";
import { createLongList } from "./long_list.js";
import { createSieve } from "./sieve.js";

/** @typedef {import("./entries.js").Entry} Entry */
/** @typedef {import("./lines.js").Level} Level */

/** Choices of a filter; nobody reads through more. */
const MOST_CHOICES = 500;

/** @type {Record<Level, string>} */
const LEVEL_CHOICES = {
	debug: "All levels",
	info: "Info and up",
	warn: "Warnings and errors",
	error: "Errors",
};

/**
 * @param {string} id  of the element; unique in the page
 * @param {ReturnType<typeof import("./entries.js").createHistory>} history
 */
export function createFullLog(id, { entries, jobs }) {
	const sieve = createSieve(entries);
	const job = choice("Job", "All jobs");
	const actor = choice("Actor", "All actors");
	const level = choice("Level");
	level.append(...[...LEVELS].reverse().map((l) => h("option", { value: l }, LEVEL_CHOICES[l])));
	const save = button("rbee-export", "Export");
	save.title = "Save the lines that the filter shows as JSON Lines, oldest first";
	const count = h("span", { className: "rbee-log-count" });
	/** @type {Set<string>} */
	const jobsKnown = new Set();
	/** @type {Set<string>} */
	const actorsKnown = new Set();
	let isComplete = true;

	learn(entries.slice());
	const list = createLongList(`${id}-line`, sieve, jobs, (wanted) => {
		if (wanted === "paint") log.paint();
		else log.setPaused(false);
	});
	const log = createLog(id, sieve, list, {
		jobs,
		filters: () => [jobsKnown.size > 1 && job, actorsKnown.size > 1 && actor, level],
		actions: [save],
		foot: count,
		paint,
	});

	for (const select of [job, actor, level]) {
		select.onchange = () => {
			sieve.filter.job = job.value || null;
			sieve.filter.actor = actor.value || null;
			sieve.filter.level = /** @type {Level} */ (level.value);
			log.refilter(sieve.begin);
		};
	}

	save.onclick = async () => {
		const { amount, text } = log.asWhole(asJson);
		const name = `narration-${new Date().toISOString().slice(0, 19).replaceAll(":", "")}.jsonl`;
		if (saveText(`${text}\n`, name, "application/jsonl", log.node)) {
			log.tell(`Exported ${amount} to ${name}`);
			return;
		}
		const done = await copyText(text, log.node);
		log.tell(
			done
				? `This page may not save files: copied ${amount} of JSON`
				: "This page may neither save files nor use the clipboard",
		);
	};

	/** @param {Entry[]} added */
	function learn(added) {
		for (const { actor: who, d } of added) {
			if (who && isNew(actorsKnown, who)) offer(actor, who, shorten(oneLine(who), 40));
			const about = jobs.get(d ?? "");
			if (!d || !about || !isNew(jobsKnown, d)) continue;
			const name = shorten(oneLine(about.name), 60);
			const isTaken = Array.from(job.options).some((option) => option.text === name);
			offer(job, d, isTaken ? `${name} (${oneLine(about.job_id ?? d)})` : name);
		}
	}

	/** @param {import("./log.js").Log} log */
	function paint(log) {
		log.node.toggleAttribute("data-jobs", jobsKnown.size > 1);
		const all = sieve.all();
		const { size } = sieve.shown;
		const kept = `${all >= entries.most ? "the latest " : ""}${counted(all, "line")}`;
		const asides = [
			...(log.isPaused() ? [`paused, ${sieve.waiting().toLocaleString("en")} waiting`] : []),
			...(!isComplete ? ["fetching older ones…"] : sieve.isDone() ? [] : ["looking further…"]),
		];
		const words = size === all ? kept : `${size.toLocaleString("en")} of ${kept}`;
		setText(count, all > 0 ? [words, ...asides].join(" · ") : "");
		if (!sieve.isDone()) log.changed();
	}

	return {
		node: log.node,
		label: log.label,
		close() {
			log.close();
			list.close();
		},
		/** Tells of entries that are new or replaced. @param {Entry[]} changes */
		changed(changes) {
			if (changes.length === 0) return;
			learn(changes);
			sieve.take(changes);
			log.changed();
		},
		/** @param {boolean} isLive  whether lines may come @param {boolean} isWhole  whether no older ones may */
		setState(isLive, isWhole) {
			isComplete = isWhole;
			log.setLive(isLive);
		},
	};
}

/** @param {string} name @param {string} [all] */
function choice(name, all) {
	const select = h("select", { className: "rbee-field", "aria-label": name });
	if (all) select.append(h("option", { value: "" }, all));
	return select;
}

/** @param {Set<string>} known @param {string} value */
function isNew(known, value) {
	return !known.has(value) && known.size < MOST_CHOICES && known.add(value);
}

/** Adds a choice where the alphabet has it. @param {HTMLSelectElement} select @param {string} value @param {string} words */
function offer(select, value, words) {
	const [, ...others] = Array.from(select.options);
	const next = others.find((other) => other.text.localeCompare(words) > 0) ?? null;
	select.insertBefore(h("option", { value }, words), next);
}
