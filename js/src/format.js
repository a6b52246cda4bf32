/** Numbers, times and names as people read them. Pure; every module of the front end words things here. */

const UNITS = ["B", "kB", "MB", "GB", "TB", "PB"];

/**
 * An amount in powers of 1000, as rbee's narration has it. Zeros are kept ("1.50 GB"), so that a
 * figure that moves keeps its width.
 * @param {number} amount  bytes
 * @param {number} digits  significant ones; a whole part is never cut
 */
export function bytes(amount, digits = 3) {
	let value = Math.max(0, amount);
	let unit = 0;
	while (unit < UNITS.length - 1 && Number(value.toFixed(decimals(value, digits))) >= 1000) {
		value /= 1000;
		unit += 1;
	}
	return `${value.toFixed(unit === 0 ? 0 : decimals(value, digits))} ${UNITS[unit]}`;
}

const BINARY_UNITS = ["B", "KiB", "MiB", "GiB", "TiB"];

/** An amount of memory in powers of 1024, without zeros at its end: "80 GiB", "4.92 GiB". @param {number} amount  bytes */
export function memory(amount) {
	let value = Math.max(0, amount);
	let unit = 0;
	while (unit < BINARY_UNITS.length - 1 && Math.round(value) >= 1024) {
		value /= 1024;
		unit += 1;
	}
	return `${Number(value.toFixed(unit === 0 ? 0 : decimals(value, 3)))} ${BINARY_UNITS[unit]}`;
}

/** @param {number} value @param {number} digits */
function decimals(value, digits) {
	const whole = value < 10 ? 1 : value < 100 ? 2 : 3;
	return Math.max(0, digits - whole);
}

/** @param {number} rate  bytes per second @param {number} [digits] */
export function speed(rate, digits) {
	return `${bytes(rate, digits)}/s`;
}

/**
 * Cut, not rounded: what isn't whole never reads as 100.
 * @param {number} percentage  0 to 100
 */
export function percent(percentage) {
	if (percentage >= 100) return "100%";
	// 45.2 * 10 may come out a hair below 452.
	return `${(Math.floor(percentage * 10 + 1e-6) / 10).toFixed(1)}%`;
}

const MINUTE = 60;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

/**
 * An estimate, as fine as it deserves: a countdown that jumps by the second tells nobody more.
 * @param {number} seconds
 */
function quantised(seconds) {
	const step =
		seconds < MINUTE ? 5 : seconds < 10 * MINUTE ? 30 : seconds < HOUR ? MINUTE : 5 * MINUTE;
	return Math.max(5, Math.round(seconds / step) * step);
}

/** @param {number} seconds @returns {[number, "day" | "hour" | "minute" | "second"][]} */
function parts(seconds) {
	const left = quantised(seconds);
	const days = Math.floor(left / DAY);
	const hours = Math.floor((left % DAY) / HOUR);
	const minutes = Math.floor((left % HOUR) / MINUTE);
	/** @type {[number, "day" | "hour" | "minute" | "second"][]} */
	const all = [
		[days, "day"],
		[hours, "hour"],
		[days ? 0 : minutes, "minute"],
		[hours || days ? 0 : left % MINUTE, "second"],
	];
	return all.filter(([count]) => count > 0);
}

/** "2m 30s". @param {number} seconds */
export function duration(seconds) {
	return parts(seconds)
		.map(([count, unit]) => `${count}${unit[0]}`)
		.join(" ");
}

/** "2 minutes 30 seconds", for ears. @param {number} seconds */
export function spokenDuration(seconds) {
	return parts(seconds)
		.map(([count, unit]) => counted(count, unit))
		.join(" ");
}

/** Times its low end that the high end of a range is, for the range to say more than its middle. */
const WIDE = 1.5;

/** The same for a range that is shown already: it doesn't come and go. */
const STILL_WIDE = 1.3;

/**
 * The ends of a range in words, or null where a plain duration says as much.
 * @param {[number, number] | null | undefined} range  seconds at best and at worst
 * @param {boolean} shown  whether it is a range that stands there now
 * @returns {{ text: string, spoken: string } | null}
 */
export function span(range, shown) {
	if (!range) return null;
	const [low, high] = range;
	if (high < MINUTE || high < low * (shown ? STILL_WIDE : WIDE)) return null;
	const [from, fromUnit] = coarse(low);
	const [to, toUnit] = coarse(high);
	if (from === to && fromUnit === toUnit) return null;
	const alike = fromUnit === toUnit;
	return {
		text: `${from}${alike ? "" : fromUnit[0]}–${to}${toUnit[0]}`,
		spoken: `${alike ? from : counted(from, fromUnit)} to ${counted(to, toUnit)}`,
	};
}

/**
 * What is below so many seconds is told in steps of so many, in a unit of so many.
 * @type {[number, number, number, string][]}
 */
const COARSE = [
	[55, 10, 1, "second"],
	[9.5 * MINUTE, MINUTE, MINUTE, "minute"],
	[57.5 * MINUTE, 5 * MINUTE, MINUTE, "minute"],
	[23.5 * HOUR, HOUR, HOUR, "hour"],
	[Number.POSITIVE_INFINITY, DAY, DAY, "day"],
];

/** One figure and its unit: of two ends nobody reads more. @param {number} seconds @returns {[number, string]} */
function coarse(seconds) {
	const [, step, size, unit] = COARSE.find(([below]) => seconds < below) ?? [0, 1, 1, "second"];
	return [(Math.max(1, Math.round(seconds / step)) * step) / size, unit];
}

/** @type {Record<string, string>} */
const SHORT = { second: "s", minute: "min", hour: "h", day: "d", month: "mo", year: "y" };

/** One figure of a time, in words that need no legend: "7 min". @param {number} seconds */
export function roughly(seconds) {
	const [count, unit] = coarse(seconds);
	return `${count} ${SHORT[unit]}`;
}

/**
 * How long ago something of a public page was, for eyes and for ears.
 * @param {number} seconds
 * @returns {{ text: string, spoken: string }}
 */
export function since(seconds) {
	if (seconds < MINUTE) return { text: "just now", spoken: "just now" };
	/** @type {[number, string][]} */
	const steps = [
		[2 * 365 * DAY, "year"],
		[60 * DAY, "month"],
		[2 * DAY, "day"],
		[HOUR, "hour"],
		[MINUTE, "minute"],
	];
	const sizes = { year: 365 * DAY, month: 30 * DAY, day: DAY, hour: HOUR, minute: MINUTE };
	const unit = /** @type {keyof typeof sizes} */ (
		steps.find(([from]) => seconds >= from)?.[1] ?? "minute"
	);
	const count = Math.floor(seconds / sizes[unit]);
	return { text: `${count} ${SHORT[unit]} ago`, spoken: `${counted(count, unit)} ago` };
}

const SCALES = /** @type {const} */ ([
	[1e12, "T"],
	[1e9, "B"],
	[1e6, "M"],
	[1e3, "k"],
]);

/**
 * A count of many, in few figures: "1.2M", "345k".
 * @param {number} count
 * @param {number} below  of what figures a decimal is told
 */
export function compact(count, below = 10) {
	const [scale, sign] = SCALES.find(([from]) => count >= from * 0.9995) ?? [1, ""];
	const value = count / scale;
	const digits = scale > 1 && value < below * 0.995 ? 1 : 0;
	return `${value.toFixed(digits)}${sign}`;
}

/** "1 new line", "12,345 lines". @param {number} count @param {string} thing */
export function counted(count, thing) {
	// toLocaleString takes a hundred times as long as the rest.
	return `${count < 1000 ? count : count.toLocaleString("en")} ${thing}${count === 1 ? "" : "s"}`;
}

/** How long ago something was: "12 s", "3 min". @param {number} seconds */
export function ago(seconds) {
	if (seconds < MINUTE) return `${Math.round(seconds)} s`;
	if (seconds < HOUR) return `${Math.floor(seconds / MINUTE)} min`;
	return `${Math.floor(seconds / HOUR)} h`;
}

/** The time of day of a line of narration. @param {number} at  unix seconds */
export function clock(at) {
	return new Date(at * 1000).toTimeString().slice(0, 8);
}

/**
 * When a snapshot was taken: the time alone today, the date too on any other day.
 * @param {number} at  unix seconds
 * @param {Date} now
 */
export function moment(at, now = new Date()) {
	const date = new Date(at * 1000);
	if (date.toDateString() === now.toDateString()) return clock(at).slice(0, 5);
	return date.toLocaleString([], { dateStyle: "medium", timeStyle: "short" });
}

/**
 * Text of a server, with the controls shown that could make it read as something else: "⟨U+202E⟩".
 * @param {string} text
 */
export function visible(text) {
	return text.replace(
		/[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/g,
		(control) => `⟨U+${control.charCodeAt(0).toString(16).toUpperCase().padStart(4, "0")}⟩`,
	);
}

/**
 * Cut in the middle: the ends of a model's name say most (who made it, which quantisation).
 * @param {string} text
 * @param {number} most  characters, the ellipsis counted
 */
export function shorten(text, most) {
	const characters = Array.from(text); // by code point, so that no emoji is cut in half
	if (characters.length <= most) return text;
	const tail = Math.floor((most - 1) / 2);
	const head = most - 1 - tail;
	return `${characters.slice(0, head).join("")}…${characters.slice(-tail).join("")}`;
}

/** A name as one bounded line. @param {string} text */
export function oneLine(text) {
	return shorten(visible(text.replace(/\s+/g, " ").trim()), 300);
}

/** Prose of a server, bounded; it may hold newlines. @param {string} text */
export function prose(text) {
	return shorten(visible(text), 2000);
}
