/** Why something failed, and the way to ask again: at once, or when that is welcome. */

import { arrange, button, h, setAttribute, setText } from "./dom.js";
import { counted, prose } from "./format.js";

/** In how many seconds to ask again, where that is told. @typedef {{ state?: string, retry?: number | null }} Failure */

/** When, in milliseconds of performance.now(), what failed may be asked for again. @type {WeakMap<object, number>} */
const due = new WeakMap();

/** Seconds until it may be asked again. @param {Failure} failure */
function wait(failure) {
	const at = due.get(failure) ?? performance.now() + (failure.retry ?? 0) * 1000;
	due.set(failure, at);
	return Math.max(0, Math.round((at - performance.now()) / 1000));
}

/** @param {() => void} again */
export function createTrouble(again) {
	const words = h("span", "rbee-error-text");
	const retry = button("rbee-again");
	const node = h("div", "rbee-error");
	/** @type {Failure | null} */
	let last = null;

	retry.onclick = () => {
		if (last && wait(last) === 0) again();
	};

	/**
	 * @param {Failure} failure   the same object as long as it is the same failure
	 * @param {string} text
	 * @param {boolean} live
	 */
	function paint(failure, text, live) {
		last = failure;
		const seconds = wait(failure);
		setText(words, prose(text));
		setText(retry, seconds > 0 ? `Try again in ${counted(seconds, "second")}` : "Try again");
		setAttribute(retry, "aria-disabled", seconds > 0 ? "true" : null);
		arrange(node, [words, live && retry]);
	}

	return { node, paint };
}
