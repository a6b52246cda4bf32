/** Small line icons, drawn in the colour of the text around them; words beside them say the same. */

import { drawing } from "./dom.js";

const RING = "M8 2.5a5.5 5.5 0 1 0 0 11a5.5 5.5 0 1 0 0-11";
const OPEN_RING = "M8 2.5a5.5 5.5 0 1 1-5.5 5.5";

const PATHS = {
	queued: `${RING}M8 5v3l2 1.5`,
	downloading: "M8 2.5v8M4.5 7.2L8 10.7l3.5-3.5M3 13.5h10",
	stalled: "M6 4v8M10 4v8",
	finishing: `${OPEN_RING}M5.5 8.2l2 2l3.2-4`,
	cancelling: `${OPEN_RING}M6.2 6.2l3.6 3.6M9.8 6.2l-3.6 3.6`,
	complete: "M3 8.5l3.5 3.5L13 4.5",
	cancelled: `${RING}M4.2 11.8l7.6-7.6`,
	failed: "M8 2.5L14 13H2zM8 6.5v3M8 11.2v.1",
	interrupted: "M2 8h4M10 8h4M6 5v6M10 5v6",
	chevron: "M6 4l4 4l-4 4",
	options: "M3.5 8h.01M8 8h.01M12.5 8h.01",
};

/** @typedef {keyof typeof PATHS} Icon */

/**
 * @param {string} className
 * @param {Icon} first
 */
export function icon(className, first) {
	const { node, path } = drawing(className, "0 0 16 16");
	let shown = "";

	/** @param {Icon} name */
	function show(name) {
		if (name === shown) return;
		shown = name;
		path.setAttribute("d", PATHS[name]);
	}

	show(first);
	return { node, show };
}
