/**
 * A log of narration, newest line first, with what one does with it: filter, pause, copy. A row's
 * own, and with more tools and a list for fifty thousand lines the NarrationPanel's.
 */

import { copyText } from "./clipboard.js";
import { arrange, button, h, setAttribute, setText } from "./dom.js";
import { counted } from "./format.js";
import { asText, levelOf } from "./lines.js";

/** @typedef {import("./lines.js").Job} Job */
/** @typedef {import("./lines.js").Level} Level */
/** @typedef {import("./lines.js").Line} Line */
/** @typedef {ReturnType<typeof createLog>} Log */

/**
 * Decides what is shown.
 * @typedef {object} Sieve
 * @property {() => number} all       of how many lines
 * @property {() => number} waiting   how many wait for the end of a pause
 * @property {() => Line[]} found     all that is shown, oldest first
 * @property {(text: string, until?: number) => void} search  at once up to the line of a number
 * @property {(wanted: boolean, until?: number) => void} pause
 */

/**
 * Shows it.
 * @typedef {object} View
 * @property {HTMLElement} list               takes the focus
 * @property {HTMLElement[]} nodes            the box that it is in, and what goes with that
 * @property {() => number} paint             tells how many lines are shown
 * @property {() => number} [kept]            number of the line that is to stay where it is
 * @property {(search: (until?: number) => void) => void} [refilter]
 */

/**
 * What the log of all narration has beside a row's own.
 * @typedef {object} More
 * @property {Map<string, Job>} jobs     what the lines are about
 * @property {() => (Element | false)[]} filters   beside the one by text
 * @property {Element[]} actions         beside Pause and Copy
 * @property {Element} foot
 * @property {(log: Log) => void} paint
 */

/** Lines of a row's narration that need no filter. */
const FEW = 10;

/** Milliseconds that the outcome of Copy stands there. */
const NOTICE_MS = 6000;

/** @type {Record<Level, string>} */
export const LEVEL_WORDS = { error: "Error", warn: "Warning", info: "Info", debug: "Debug" };

/**
 * @param {string} id      of the element; unique in the page
 * @param {Sieve} sieve
 * @param {View} view
 * @param {More} [more]
 */
export function createLog(id, sieve, view, more) {
	const { list } = view;
	const empty = h("p", { className: "rbee-lines-empty" });
	const search = h("input", {
		type: "search",
		className: "rbee-field rbee-search",
		placeholder: "Filter",
		autocomplete: "off",
		spellcheck: false,
		"aria-label": "Filter lines by text",
	});
	const pause = button("rbee-pause");
	const copy = button("rbee-copy-lines", "Copy");
	copy.title = "Copy the lines that the filter shows, oldest first";
	const tools = h("div", { className: "rbee-log-tools" });
	const notice = h("span", { role: "status" });
	const foot = h("div", { className: "rbee-log-foot" }, ...(more ? [more.foot] : []), notice);
	const node = h(
		"div",
		{ id, className: "rbee-narration", role: "group" },
		tools,
		...view.nodes,
		foot,
	);
	list.after(empty);
	// JupyterLab would move between cells.
	list.setAttribute("data-lm-suppress-shortcuts", "");
	list.tabIndex = 0;

	let frame = 0;
	let timer = 0;
	let isPaused = false;
	let isLive = true;

	function schedule() {
		if (frame === 0) frame = requestAnimationFrame(paint);
	}

	function paint() {
		cancelAnimationFrame(frame);
		frame = 0;
		const shown = view.paint();
		const all = sieve.all();
		const waiting = sieve.waiting();
		list.hidden = shown === 0;
		empty.hidden = shown > 0;
		node.toggleAttribute("data-empty", all === 0);
		setText(empty, all > 0 ? "No line matches the filter" : "No narration yet");
		setText(pause, !isPaused ? "Pause" : more || !waiting ? "Resume" : `Resume (${waiting} new)`);
		arrange(tools, [
			(more || all > FEW) && search,
			...(more?.filters() ?? []),
			isLive && pause,
			copy,
			...(more?.actions ?? []),
		]);
		tools.hidden = all === 0;
		more?.paint(log);
	}

	/** @param {boolean} wanted */
	function setPaused(wanted) {
		if (wanted === isPaused) return;
		isPaused = wanted;
		sieve.pause(wanted, view.kept?.());
		paint();
	}

	/** @param {(until?: number) => void} change  of what is looked for */
	function refilter(change) {
		if (view.refilter) view.refilter(change);
		else change();
		schedule();
	}

	/** @param {string} words */
	function tell(words) {
		clearTimeout(timer);
		setText(notice, words);
		timer = window.setTimeout(() => setText(notice, ""), NOTICE_MS);
	}

	/** The lines shown as text, oldest first, as logs are read. @param {typeof asText} format */
	function asWhole(format) {
		const all = sieve.found().map((line) => format(line, more?.jobs.get(line.d ?? "")));
		return { amount: counted(all.length, "line"), text: all.join("\n") };
	}

	copy.onclick = async () => {
		const { amount, text } = asWhole(asText);
		const done = await copyText(text, node);
		tell(done ? `Copied ${amount}` : "This page may not use the clipboard");
	};
	pause.onclick = () => setPaused(!isPaused);
	search.oninput = () => refilter((until) => sieve.search(search.value, until));

	const log = {
		node,
		/** Paints soon: what is shown has changed. */
		changed: schedule,
		paint,
		refilter,
		setPaused,
		asWhole,
		tell,
		isPaused: () => isPaused,
		/** @param {string} name */
		label: (name) => setAttribute(node, "aria-label", name),
		/** @param {boolean} now  whether lines may come */
		setLive(now) {
			isLive = now;
			if (!now && pause.matches(":focus")) list.focus({ preventScroll: true });
			if (!now) setPaused(false);
			schedule();
		},
		close() {
			cancelAnimationFrame(frame);
			clearTimeout(timer);
		},
	};
	paint();
	return log;
}

/** Who does what. @param {Line} line */
export function doingOf({ actor, action }) {
	return [actor, action].filter(Boolean).join(" · ");
}

/**
 * A line as running text, which costs the least and is copied as it reads.
 * @param {"option" | "listitem"} role
 * @param {(line: Line) => Record<string, string>} partsOf  its text by the parts that it consists of
 */
export function createLine(role, partsOf) {
	const node = h("div", { className: "rbee-line", role });
	/** @type {Line | undefined} */
	let last;

	/** @param {Line} line */
	function paint(line) {
		if (line === last) return;
		last = line;
		setAttribute(node, "data-level", levelOf(line));
		Object.entries(partsOf(line)).forEach(([part, text], i) => {
			const span =
				node.children[i] ?? node.appendChild(h("span", { className: `rbee-line-${part}` }));
			setText(span, text);
		});
	}

	return { node, paint };
}
