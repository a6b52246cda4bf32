/** What an InstallButton shows, from the hive's offer and the newest download of it. Pure. */

import { bytes, duration, percent, prose, span, speed, spokenDuration } from "./format.js";
import { amount, isHalted, stateWords, WORDS } from "./row.js";
import { isActive, shownPercentage } from "./rows.js";

/** @typedef {import("./rows.js").Row} Row */
/** @typedef {import("./icons.js").Icon} Icon */

/**
 * What is to be had, as Python knows it from the hive's catalog. Null: not known.
 * @typedef {object} Offer
 * @property {string} name
 * @property {"model" | "worker"} type
 * @property {string} hive
 * @property {boolean | null} installed
 * @property {number | null} [size]    bytes
 * @property {string | null} [path]
 * @property {string | null} [error]   why it isn't known
 */

/**
 * @typedef {object} Moment
 * @property {Offer} offer
 * @property {Row | null} row       the newest download of it
 * @property {boolean} isFresh      the row is more recent than the offer
 * @property {boolean} live
 * @property {"install" | "cancel" | "retry" | "clear" | null} pending  what was pressed and shows no effect yet
 * @property {boolean} isRanged     the time left stands there as a range
 */

/**
 * @typedef {object} Face
 * @property {Row["status"] | "checking" | "unknown" | "absent" | "installed"} status
 * @property {"go" | "progress" | "told"} kind   a button, a progress bar, or words alone
 * @property {Icon} icon
 * @property {string} verb            what the button does or what it is at, for eyes
 * @property {string[]} figures       beside the verb, the weightiest first
 * @property {number | null} value    0 to 100
 * @property {string} spoken          of the progress, for ears
 * @property {boolean} isRanged      the time left is a range
 * @property {string} error
 * @property {string} hint
 * @property {string} path
 */

/**
 * The newest of the downloads there are.
 * @param {Iterable<Row>} rows
 * @returns {Row | null}
 */
export function newest(rows) {
	let best = null;
	for (const row of rows) if (!best || row.created_at > best.created_at) best = row;
	return best;
}

/** @param {Moment} moment @returns {Face} */
export function face(moment) {
	const { offer, row, isFresh } = moment;
	if (row && isActive(row)) return progress(moment, row);
	const isComplete = row?.status === "complete" && (isFresh || offer.installed !== false);
	if (offer.installed || isComplete) return installed(moment);
	if (!row || row.status === "complete") return offered(moment);
	return halted(moment, row);
}

/** @type {Omit<Face, "status" | "kind" | "icon" | "verb">} */
const PLAIN = {
	figures: [],
	value: null,
	spoken: "",
	isRanged: false,
	error: "",
	hint: "",
	path: "",
};

/** @param {Moment} moment @returns {Face} */
function offered({ offer, live, pending }) {
	const isAsked = pending === "install";
	const verb = offer.type === "worker" ? "Install" : "Download";
	const isUnknown = offer.installed === null;
	const isChecking = isUnknown && !offer.error;
	const waits = isAsked ? "starting…" : live && isChecking ? "checking…" : "";
	return {
		...PLAIN,
		status: isChecking ? "checking" : isUnknown ? "unknown" : "absent",
		kind: live ? "go" : "told",
		icon: "downloading",
		verb: live ? verb : isUnknown ? "Not checked" : "Not installed",
		figures: [waits, offer.size ? bytes(offer.size) : ""].filter(Boolean),
		error: prose(offer.error ?? ""),
	};
}

/** @param {Moment} moment @returns {Face} */
function installed({ offer, row }) {
	const size = offer.size ?? (row?.status === "complete" ? (row.total_size ?? null) : null);
	return {
		...PLAIN,
		status: "installed",
		kind: "told",
		icon: "complete",
		verb: "Installed",
		figures: size ? [bytes(size)] : [],
		path: offer.path ?? row?.path ?? "",
	};
}

/** @param {Moment} moment @param {Row} row @returns {Face} */
function halted({ offer, live, pending }, row) {
	const state = stateWords(row);
	const value = shownPercentage(row);
	const soon = row.retry ? `trying again in ${Math.ceil(row.retry.in)} s` : state.toLowerCase();
	const at = value ? `at ${percent(value)}` : "";
	return {
		...PLAIN,
		status: row.status,
		kind: live ? "go" : "told",
		icon: row.status,
		verb: live ? "Retry" : WORDS[row.status],
		figures: (live ? [pending ? "retrying…" : soon, at] : [amount(row)]).filter(Boolean),
		value,
		error: prose(row.error ?? offer.error ?? ""),
		hint: prose(row.hint ?? ""),
	};
}

/** @param {Moment} moment @param {Row} row @returns {Face} */
function progress({ live, pending, isRanged }, row) {
	const isHeld = isHalted(row);
	const isMoving = live && row.status === "downloading" && !isHeld;
	const value = shownPercentage(row);
	const range = isMoving ? span(row.eta_range, isRanged) : null;
	const eta = isMoving ? row.eta : null;
	const state = pending === "cancel" ? "Cancelling" : stateWords(row);
	// A share says more than the word that it is being downloaded.
	const isPlain = isMoving && value !== null && pending !== "cancel";
	return {
		...PLAIN,
		status: row.status,
		kind: live ? "progress" : "told",
		icon: isHeld ? "stalled" : row.status,
		verb: isPlain ? percent(value) : state,
		figures: [
			!isPlain && value !== null ? percent(value) : "",
			eta === null ? "" : `${range?.text ?? duration(eta)} left`,
			isMoving && row.speed !== null ? speed(row.speed) : "",
			amount(row),
		].filter(Boolean),
		value,
		isRanged: range !== null,
		spoken: [
			value === null ? "" : `${percent(value).slice(0, -1)} percent`,
			isPlain ? "" : state.toLowerCase(),
			eta === null ? "" : `${range?.spoken ?? spokenDuration(eta)} left`,
		]
			.filter(Boolean)
			.join(", "),
		hint: row.retry ? prose(row.note ?? "") : "",
	};
}
