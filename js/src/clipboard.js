/** Text for the clipboard and for a file of the user's, as far as the host allows it. */

import { h } from "./dom.js";

/**
 * @param {string} text
 * @param {Element} near  in the page, where a field may stand for a moment
 * @returns {Promise<boolean>} whether it is on the clipboard
 */
export async function copyText(text, near) {
	try {
		await navigator.clipboard.writeText(text);
		return true;
	} catch {
		return copyBySelection(text, near); // no secure context, or a frame that may not
	}
}

/** @param {string} text @param {Element} near */
function copyBySelection(text, near) {
	const root = /** @type {Document | ShadowRoot} */ (near.getRootNode());
	const focused = root.activeElement;
	const field = h("textarea", { value: text, readOnly: true, className: "rbee-unseen" });
	near.append(field);
	try {
		field.select();
		return document.execCommand("copy");
	} catch {
		return false;
	} finally {
		field.remove();
		if (focused instanceof HTMLElement) focused.focus({ preventScroll: true });
	}
}

/** Milliseconds that a browser may take to begin with a file. */
const FETCH_MS = 10_000;

/**
 * @param {string} text
 * @param {string} name  of the file
 * @param {string} type
 * @param {Element} near  VS Code sees clicks in its page alone
 * @returns {boolean} whether the host was asked to save it, as far as it can be told
 */
export function saveText(text, name, type, near) {
	try {
		const url = URL.createObjectURL(new Blob([text], { type }));
		const link = h("a", { href: url, download: name, className: "rbee-unseen" });
		near.append(link);
		link.click();
		link.remove();
		setTimeout(() => URL.revokeObjectURL(url), FETCH_MS);
		return true;
	} catch {
		return false;
	}
}
