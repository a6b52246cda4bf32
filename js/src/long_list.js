/**
 * A list of fifty thousand lines that scrolls like one of fifty: only the lines in sight are in the
 * DOM, each of one height. The whole text of one unfolds below the list.
 */

import { arrange, button, h, setAttribute, setText } from "./dom.js";
import { clock, counted, oneLine, prose, shorten } from "./format.js";
import { levelOf } from "./lines.js";
import { createLine, doingOf, LEVEL_WORDS } from "./log.js";

/** @typedef {import("./entries.js").Entry} Entry */
/** @typedef {import("./lines.js").Job} Job */
/** @typedef {import("./lines.js").Line} Line */
/** @typedef {ReturnType<typeof import("./sieve.js").createSieve>} Sieve */

/** Lines beyond each edge of the view that are in the DOM too, for the scroll to run into. */
const OVERSCAN = 10;

/** A line's height as a multiple of the font's size, in whole pixels. */
const LINE = 1.7;

/** Characters of a name, and of who does what. */
const NAME_COLUMN = 26;
const ACTION_COLUMN = 28;

/**
 * @param {string} id                unique in the page
 * @param {Sieve} sieve
 * @param {Map<string, Job>} jobs    what the lines are about
 * @param {(wanted: "paint" | "resume") => void} ask  of the log that this is the list of
 */
export function createLongList(id, sieve, jobs, ask) {
	const lines = h("div");
	const canvas = h("div", { className: "rbee-lines-canvas" }, lines);
	const list = h(
		"div",
		{ className: "rbee-lines-view", role: "listbox", "aria-label": "Lines, newest first" },
		canvas,
	);
	const newer = button("rbee-newer");
	const box = h("div", { className: "rbee-lines" }, list, newer);
	const about = h("span");
	const whole = h("div", { className: "rbee-detail-text", tabIndex: 0 });
	const close = button("", "Close");
	const head = h("div", { className: "rbee-detail-head" }, about, close);
	const detail = h("div", { className: "rbee-detail", "aria-live": "polite" });

	/** @type {Map<number, ReturnType<typeof createLine>>} */
	const painted = new Map();
	/** Number of the line that the keys are at. @type {number | null} */
	let active = null;
	/** The line whose whole text is shown. @type {Line | undefined} */
	let opened;
	/** Number of the newest line when the top was in sight. */
	let seen = Number.NEGATIVE_INFINITY;
	/** Number of the topmost line in sight, and how many pixels of it are out of sight. */
	let anchor = { n: 0, hidden: 0 };
	let top = 0;
	let lineHeight = 22;
	let viewHeight = 440;

	// Places, counted from the newest line

	/** @param {number} place */
	const lineAt = (place) => sieve.shown.at(sieve.shown.size - 1 - place);

	/** @param {number | null} n @returns {number} -1: it isn't shown */
	function placeOf(n) {
		if (n === null || !sieve.shown.get(n)) return -1;
		return sieve.shown.size - 1 - sieve.shown.rank(n);
	}

	/** Whether new lines may push down those there are: nobody reads any in particular. */
	const follows = () => active === null && top < 1;

	/** @param {number} to  pixels */
	function scrollTo(to) {
		const height = sieve.shown.size * lineHeight;
		const wanted = Math.max(0, Math.round(Math.min(height - viewHeight, to)));
		if (wanted !== top) {
			top = wanted;
			canvas.style.blockSize = `${height}px`; // else it can't go there
			list.scrollTop = top;
		}
		setAnchor();
	}

	function setAnchor() {
		const n = lineAt(Math.floor(top / lineHeight))?.n ?? 0;
		anchor = { n, hidden: top % lineHeight };
	}

	/** @param {number} place */
	function moveTo(place) {
		const to = Math.max(0, Math.min(sieve.shown.size - 1, place));
		const line = lineAt(to);
		if (!line) return;
		active = line.n;
		if (opened) opened = line;
		const above = to * lineHeight;
		scrollTo(Math.max(above + lineHeight - viewHeight, Math.min(above, top)));
		ask("paint");
	}

	/** Back to the top, from where on new lines are followed. */
	function toNewest() {
		active = null;
		scrollTo(0);
		ask("paint");
		focus();
	}

	function focus() {
		list.focus({ preventScroll: true });
	}

	/** Shows the whole text of a line, or no longer. @param {number} place */
	function toggle(place) {
		const line = lineAt(place);
		if (!line) return;
		active = line.n;
		opened = opened?.n === active ? undefined : line;
		setAnchor();
		ask("paint");
	}

	function closeDetail() {
		opened = undefined;
		ask("paint");
		focus();
	}

	/** @param {(until?: number) => void} search */
	function refilter(search) {
		search(active ?? undefined);
		const place = placeOf(active);
		// What was found by a filter is looked at among its neighbours without it.
		if (place < 0) active = null;
		scrollTo(place < 0 ? 0 : place * lineHeight - viewHeight / 2);
	}

	// Painting

	function paint() {
		sieve.go();
		const { shown } = sieve;
		if (viewHeight === 0) return shown.size; // not in sight; the observer tells when it is
		if (follows()) {
			seen = lineAt(0)?.n ?? seen;
		} else {
			const place = Math.max(0, shown.size - 1 - shown.rank(anchor.n));
			const to = place * lineHeight + anchor.hidden;
			if (to !== top) scrollTo(to);
		}
		paintLines();
		paintNewer();
		paintDetail();
		return shown.size;
	}

	function paintLines() {
		const { shown } = sieve;
		const { size } = shown;
		canvas.style.blockSize = `${size * lineHeight}px`;
		const first = Math.max(0, Math.floor(top / lineHeight) - OVERSCAN);
		const end = Math.min(size, Math.ceil((top + viewHeight) / lineHeight) + OVERSCAN);
		const wanted = shown.slice(size - end, size - first).reverse();
		const kept = new Set(wanted.map(({ n }) => n));
		// A line stays where it is, with what is selected of it; those out of sight serve others.
		const free = [...painted].filter(([n]) => !kept.has(n));
		for (const [n] of free) painted.delete(n);
		const nodes = wanted.map((line, i) => {
			const { n } = line;
			const option = painted.get(n) ?? free.pop()?.[1] ?? createLine("option", partsOf);
			painted.set(n, option);
			option.paint(line);
			setAttribute(option.node, "id", `${id}-${n}`);
			setAttribute(option.node, "aria-posinset", `${first + i + 1}`);
			setAttribute(option.node, "aria-setsize", `${size}`);
			setAttribute(option.node, "aria-selected", `${n === active}`);
			if (line.action || line.actor) box.setAttribute("data-actions", "");
			return option.node;
		});
		arrange(lines, nodes);
		lines.style.transform = `translateY(${first * lineHeight}px)`;
		const isThere = active !== null && kept.has(active);
		setAttribute(list, "aria-activedescendant", isThere ? `${id}-${active}` : null);
	}

	function paintNewer() {
		const { shown } = sieve;
		const above = sieve.waiting() + (follows() ? 0 : shown.size - shown.rank(seen + 1));
		if (above === 0 && newer.matches(":focus")) focus();
		newer.hidden = above === 0;
		setText(newer, `↑ ${counted(above, "new line")}`);
	}

	function paintDetail() {
		if (opened) opened = sieve.shown.get(opened.n) ?? opened;
		if (opened) {
			const when = new Date(opened.at * 1000).toLocaleString();
			const parts = [when, LEVEL_WORDS[levelOf(opened)], nameOf(opened), doingOf(opened)];
			setText(about, oneLine(parts.filter(Boolean).join(" · ")));
			setText(whole, prose(opened.text));
		}
		arrange(detail, opened ? [head, whole] : []);
	}

	/** Columns are words filled up with blanks. @param {Line} line */
	function partsOf(line) {
		const level = LEVEL_WORDS[levelOf(line)].padEnd(8);
		return {
			time: `${clock(line.at)} `,
			level: level.slice(0, 1),
			"level-rest": level.slice(1),
			job: column(nameOf(line), NAME_COLUMN),
			action: column(doingOf(line), ACTION_COLUMN),
			text: oneLine(line.text),
		};
	}

	/** @param {Line} line */
	function nameOf({ d = "" }) {
		return jobs.get(d)?.name ?? "";
	}

	// What the user does

	newer.onclick = () => {
		ask("resume");
		toNewest();
	};
	close.onclick = closeDetail;

	list.onscroll = () => {
		if (list.scrollTop === top) return; // our own doing
		top = list.scrollTop;
		setAnchor();
		ask("paint");
	};

	lines.onclick = ({ target }) => {
		if (document.getSelection()?.isCollapsed === false) return; // of text that is to be copied
		const line = /** @type {Element} */ (target).closest(".rbee-line");
		toggle(Number(line?.getAttribute("aria-posinset")) - 1);
	};

	lines.onmouseover = ({ target }) => {
		const line = /** @type {Element} */ (target).closest(".rbee-line");
		const place = Number(line?.getAttribute("aria-posinset")) - 1;
		if (line instanceof HTMLElement) line.title = prose(lineAt(place)?.text ?? "");
	};

	/** @param {KeyboardEvent} event */
	list.onkeydown = (event) => {
		const { key } = event;
		if (event.ctrlKey || event.metaKey || event.altKey || event.shiftKey) return;
		const inView = Math.max(1, Math.floor(viewHeight / lineHeight) - 1);
		const here = placeOf(active);
		const from = here < 0 ? Math.ceil(top / lineHeight) - 1 : here;
		if (key === "End") sieve.go(Number.NEGATIVE_INFINITY);
		/** @type {Record<string, number>} */
		const steps = {
			ArrowDown: from + 1,
			ArrowUp: from - 1,
			PageDown: from + inView,
			PageUp: from - inView,
			End: sieve.shown.size,
		};
		const step = steps[key];
		if (step !== undefined) moveTo(step);
		else if (key === "Home") toNewest();
		else if (key === "Enter" || key === " ") toggle(here);
		else if (key === "Escape" && opened) closeDetail();
		else return;
		event.preventDefault();
		event.stopPropagation();
	};

	detail.onkeydown = (event) => {
		if (event.key !== "Escape") return;
		event.stopPropagation();
		closeDetail();
	};

	const observer = new ResizeObserver(() => {
		viewHeight = box.clientHeight;
		if (viewHeight === 0) return;
		lineHeight = Math.round(Number.parseFloat(getComputedStyle(box).fontSize) * LINE);
		box.style.setProperty("--rbee-line-height", `${lineHeight}px`);
		list.scrollTop = top; // a host that took the node out and put it back has lost it
		ask("paint");
	});
	observer.observe(box);

	return {
		list,
		nodes: [box, detail],
		paint,
		refilter,
		/** Number of the line that is to stay where it is. */
		kept: () => anchor.n,
		close: () => observer.disconnect(),
	};
}

/** @param {string} words @param {number} size */
function column(words, size) {
	return `${shorten(oneLine(words), size).padEnd(size)} `;
}
