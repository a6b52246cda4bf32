/**
 * The rows of a list in groups, so that the browser has few things to leave out of what is scrolled
 * out of sight: it looks at each of them in every frame, and at a thousand for 3 ms.
 */

import { arrange, h, move } from "./dom.js";

/** Rows of a group. */
const SIZE = 10;

/**
 * @param {HTMLElement} list
 * @param {() => void} seen  a group came into sight, and may have to be painted
 */
export function createGroups(list, seen) {
	/** @type {{ node: HTMLElement, isAway: boolean, count: number }[]} */
	const groups = [];
	/** @type {HTMLElement[]} */
	let rows = [];

	function add() {
		const group = {
			node: h("div", { className: "rbee-group", role: "presentation" }),
			isAway: false,
			count: 0,
		};
		group.node.addEventListener("contentvisibilityautostatechange", (event) => {
			group.isAway = /** @type {{ skipped?: boolean }} */ (event).skipped === true;
			if (!group.isAway) seen();
		});
		groups.push(group);
		list.append(group.node);
	}

	/** @param {HTMLElement[]} wanted  top row first */
	function arrangeRows(wanted) {
		if (wanted.length === rows.length && wanted.every((row, i) => row === rows[i])) return;
		rows = wanted;
		const count = Math.ceil(rows.length / SIZE);
		while (groups.length < count) add();
		rows.forEach((row, place) => {
			const home = /** @type {HTMLElement} */ (groups[Math.floor(place / SIZE)]?.node);
			if (row.parentNode !== home) move(home, row, null);
		});
		for (const [i, group] of groups.entries()) {
			const own = rows.slice(i * SIZE, (i + 1) * SIZE);
			if (own.length !== group.count) {
				group.count = own.length;
				group.node.style.setProperty("--rbee-rows", String(own.length));
			}
			arrange(group.node, own);
		}
		for (const { node } of groups.splice(count)) node.remove();
	}

	return {
		arrange: arrangeRows,
		/** Whether the browser leaves out what stands at a place. @param {number} place */
		isAway: (place) => groups[Math.floor(place / SIZE)]?.isAway ?? false,
		/** The rows as they stand. */
		get rows() {
			return rows;
		},
	};
}
