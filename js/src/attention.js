/**
 * What reaches somebody who looks elsewhere, each switched on in the panel and remembered for the
 * site: how far the downloads are in the tab's title, and a notification when one ends.
 */

import { oneLine } from "./format.js";
import { summary } from "./rows.js";

/** @typedef {import("./rows.js").End} End */
/** @typedef {import("./rows.js").State} State */

/** @typedef {"title" | "notify"} Option */

const PREFIX = /^\d+ % ·\s*/;

/** Names that are told at once. */
const MOST_NAMES = 3;

/**
 * @param {(on: boolean) => void} keep  whether Python is to send though the tab is hidden
 */
export function createAttention(keep) {
	const on = { title: recalled("title"), notify: recalled("notify") && permission() === "granted" };
	let views = 0;
	/** What we put before the title. */
	let prefix = "";

	/** A panel came into the page, or left it. @param {1 | -1} change */
	function count(change) {
		views += change;
		settle();
	}

	function settle() {
		keep(views > 0 && (on.title || on.notify));
		if (views === 0 || !on.title) write("");
	}

	/**
	 * @param {Option} option
	 * @param {boolean} wanted
	 * @returns {Promise<string>} why it can't be had, if it can't
	 */
	async function set(option, wanted) {
		if (option === "notify" && wanted) {
			await globalThis.Notification?.requestPermission();
			if (permission() !== "granted") return "This browser lets this page show no notifications.";
		}
		on[option] = wanted;
		remember(option, wanted);
		settle();
		return "";
	}

	/** Tells of a new state. @param {State} state @param {End[]} ended @param {boolean} live */
	function update(state, ended, live) {
		if (views === 0) return;
		if (on.title) {
			const { percentage } = summary(state);
			write(live && percentage !== null ? `${Math.floor(percentage)} % ·` : "");
		}
		if (on.notify) notify(ended.filter(({ row }) => row.status !== "cancelled"));
	}

	/**
	 * Puts something before the title. Of several panels the last to write wins, without a fight
	 * over what stays the same, and each takes away no more than it wrote.
	 * @param {string} wanted
	 */
	function write(wanted) {
		const { title } = document;
		const taken = PREFIX.test(title);
		if (wanted ? wanted !== prefix || !taken : prefix && title.startsWith(prefix)) {
			document.title = `${wanted} ${title.replace(PREFIX, "")}`.trim();
		}
		prefix = wanted;
	}

	return { on, count, set, update };
}

/** @typedef {ReturnType<typeof createAttention>} Attention */

/** How downloads ended, in words. @param {End[]} ended */
export function endWords(ended) {
	const words = ended
		.slice(0, MOST_NAMES)
		.map(({ row, words: end }) => `${oneLine(row.name)} ${end}.`);
	const others = ended.length - words.length;
	return words.join(" ") + (others > 0 ? ` ${others} more ended.` : "");
}

/** @param {End[]} ended */
function notify(ended) {
	const [first] = ended;
	if (!first) return;
	try {
		// One tag, one notification, however many panels of the page tell of the same end.
		new Notification(endWords(ended), {
			body: oneLine(first.row.error ?? ""),
			tag: `rbee-${first.row.id}`,
		});
	} catch {
		// Some phones have the class and refuse it to pages: a matter of their own.
	}
}

function permission() {
	return "Notification" in globalThis ? Notification.permission : "denied";
}

/** @param {Option} option */
function recalled(option) {
	return stored((storage) => storage.getItem(`rbee-${option}`)) === "on";
}

/** @param {Option} option @param {boolean} wanted */
function remember(option, wanted) {
	stored((storage) => storage.setItem(`rbee-${option}`, wanted ? "on" : "off"));
}

/**
 * @template T
 * @param {(storage: Storage) => T} use
 */
function stored(use) {
	try {
		return use(localStorage);
	} catch {
		return null; // a page without storage forgets
	}
}
