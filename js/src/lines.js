/** Lines of narration, and what they are searched by. Pure: no DOM, no clock. */

/** @typedef {"error" | "warn" | "info" | "debug"} Level */

/**
 * One line of narration. A later line with the same `n` replaces it.
 * @typedef {object} Line
 * @property {number} n
 * @property {number} at              unix seconds
 * @property {string} text
 * @property {string | null} [action]
 * @property {string | null} [actor]
 * @property {Level | null} [level]
 * @property {string} [d]             id of the download it is about, where there are several
 * @property {number} [rev]           revision: that of a replaced line is higher
 */

/** The download that a line is about. @typedef {{ name: string, job_id: string | null, hive: string }} Job */

/** The gravest first. @type {Level[]} */
export const LEVELS = ["error", "warn", "info", "debug"];

/** @param {Line} line @returns {Level} */
export function levelOf({ level }) {
	return level && LEVELS.includes(level) ? level : "info";
}

/** All that a filter looks for words in. @param {Line} line @param {Job} [job] */
export function wordsOf(line, job) {
	// Words are looked for in each part: a line break is in none of them.
	return [line.text, line.action, line.actor, job?.name, job?.hive].join("\n").toLowerCase();
}

/**
 * Whether all words of a search are in what `wordsOf` gave.
 * @param {string} text
 * @returns {(words: string) => boolean}
 */
export function searcher(text) {
	const wanted = text.toLowerCase().split(/\s+/).filter(Boolean);
	return (words) => {
		for (const word of wanted) if (!words.includes(word)) return false;
		return true;
	};
}

/** When a line was told, to the millisecond. @param {Line} line */
function timeOf({ at }) {
	const date = new Date(at * 1000);
	return Number.isNaN(date.getTime()) ? "" : date.toISOString();
}

/** A line as text, for a clipboard. @param {Line} line @param {Job} [job] */
export function asText(line, job) {
	const parts = [timeOf(line), levelOf(line), job?.name, line.actor, line.action, line.text];
	return parts.filter(Boolean).join("  ");
}

/** A line as one line of JSON. @param {Line} line @param {Job} [job] */
export function asJson(line, job) {
	return JSON.stringify({
		time: timeOf(line),
		level: levelOf(line),
		job_id: job?.job_id,
		name: job?.name,
		hive: job?.hive,
		actor: line.actor ?? undefined,
		action: line.action ?? undefined,
		text: line.text,
	});
}
