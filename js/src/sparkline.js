/** The speed of the last minute as a small curve: what was told, and nothing between. */

import { drawing } from "./dom.js";

/** When, in unix seconds, and bytes per second. @typedef {[number, number]} Point */

/** Seconds that a curve shows. */
const SPAN = 60;

/** Seconds without a figure after which the curve is broken instead of bridged. */
const BREAK = 5;

/** The drawing's own units; the style says how large it is. */
const WIDTH = 60;
const HEIGHT = 14;

/**
 * The points with one more, the last of each second kept alone. Pure.
 * @param {Point[]} points
 * @param {Point} point
 * @returns {Point[]}
 */
export function recorded(points, point) {
	const [at] = point;
	const kept = points.filter(
		([then]) => then > at - SPAN && Math.floor(then) !== Math.floor(at) && then < at,
	);
	return [...kept, point];
}

/**
 * The curve of some points, the newest at the right edge, the fastest at the top.
 * @param {Point[]} points  oldest first
 * @returns {string} the data of an SVG path; empty where there is no curve to draw
 */
export function curve(points) {
	const [last] = points.slice(-1);
	if (!last || points.length < 3) return "";
	const most = Math.max(...points.map(([, speed]) => speed), 1);
	let before = Number.NEGATIVE_INFINITY;
	return points
		.map(([at, speed]) => {
			const x = WIDTH - ((last[0] - at) * WIDTH) / SPAN;
			const y = HEIGHT - 1 - (speed / most) * (HEIGHT - 2);
			const step = at - before > BREAK ? "M" : "L";
			before = at;
			return `${step}${x.toFixed(1)} ${y.toFixed(1)}`;
		})
		.join("");
}

export function sparkline() {
	const { node, path } = drawing("rbee-sparkline", `0 0 ${WIDTH} ${HEIGHT}`);
	node.setAttribute("preserveAspectRatio", "none");
	/** @type {Point[]} */
	let drawn = [];

	/** Draws again once a second, however often it is told. @param {Point[]} points */
	function paint(points) {
		if (points.length === drawn.length && second(points) === second(drawn)) return;
		drawn = points;
		path.setAttribute("d", curve(points));
	}

	return { node, paint };
}

/** @param {Point[]} points */
function second(points) {
	const [last] = points.slice(-1);
	return last && Math.floor(last[0]);
}
