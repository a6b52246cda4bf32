/** One row: its DOM is built once, and painted by setting what changed. */

import { copyText } from "./clipboard.js";
import { arrange, button, h, setAttribute, setText } from "./dom.js";
import { bytes, duration, oneLine, percent, prose, span, speed, spokenDuration } from "./format.js";
import { icon } from "./icons.js";
import { createNarration } from "./narration.js";
import { buttons, isActive, shownPercentage } from "./rows.js";
import { sparkline } from "./sparkline.js";

/** @typedef {import("./rows.js").Row} Row */
/** @typedef {import("./rows.js").Line} Line */
/** @typedef {import("./sparkline.js").Point} Point */

/** @typedef {import("./store.js").Action} Action */

/**
 * What a row's look depends on beside the row itself.
 * @typedef {object} Context
 * @property {boolean} live
 * @property {boolean} manyHives
 * @property {Action | null} pending   what was asked of it and has shown no effect yet
 */

/**
 * @typedef {object} Actions
 * @property {(action: Action) => void} send
 * @property {(open: boolean) => void} toggled   its narration was opened or closed
 * @property {(words: string) => void} say       for ears
 */

/** @type {Record<Row["status"], string>} */
export const WORDS = {
	queued: "Queued",
	downloading: "Downloading",
	finishing: "Finishing",
	cancelling: "Cancelling",
	complete: "Complete",
	cancelled: "Cancelled",
	failed: "Failed",
	interrupted: "Interrupted",
};

/** What a button says, and what while it waits for its effect. @type {Record<Action, [string, string]>} */
const VERBS = {
	cancel: ["Cancel", "Cancelling"],
	retry: ["Retry", "Retrying"],
	clear: ["Clear", "Clearing"],
};

/** Characters of an error that are shown whole at any width. */
const LONG = 150;

/** Milliseconds that Clear waits where Cancel was: longer than a double click takes. */
const GUARD_MS = 600;

/** Milliseconds that a button says "Copied". */
const COPIED_MS = 2000;

/** Characters at the end of a long name that stay when the row is too narrow for all of it. */
const TAIL = 12;

/**
 * @param {string} id       the download's
 * @param {string} domId    unique in the page
 * @param {Actions} actions
 */
export function createRow(id, domId, actions) {
	const stateIcon = icon("rbee-icon", "queued");
	const wholeName = h("span", "rbee-name-whole");
	const cutName = h("span", { className: "rbee-name-cut", "aria-hidden": "true" });
	const name = h("span", { className: "rbee-name", dir: "auto" }, wholeName, cutName);
	const type = h("span", "rbee-type", "worker");
	const hive = h("span", "rbee-hive");
	const link = h("a", "rbee-link", "Open in rbee");
	const title = h("div", "rbee-title", name);
	const state = h("span", "rbee-state");
	const actionList = h("div", "rbee-actions");

	const fill = h("div", "rbee-fill");
	const bar = h(
		"div",
		{ className: "rbee-bar", role: "progressbar", "aria-valuemin": 0, "aria-valuemax": 100 },
		fill,
	);
	const percentText = h("span", "rbee-percent");
	const bytesText = h("span", "rbee-bytes");
	const speeds = sparkline();
	const speedText = h("span", "rbee-speed");
	const etaText = h("span", "rbee-eta");
	const meter = h(
		"div",
		"rbee-meter",
		bar,
		percentText,
		bytesText,
		speeds.node,
		speedText,
		etaText,
	);

	const note = h("div", "rbee-note");
	const errorText = h("span", "rbee-error-text");
	const hint = h("span", "rbee-hint");
	const error = h("div", "rbee-error", errorText, hint);
	const path = h("code", { className: "rbee-path", dir: "ltr" });
	/** Made when it is first opened. @type {ReturnType<typeof createNarration> | null} */
	let narration = null;

	const disclosure = h(
		"button",
		{
			type: "button",
			className: "rbee-disclosure",
			"aria-expanded": "false",
			"aria-controls": domId,
			onclick: () => toggle(!open),
		},
		icon("rbee-chevron", "chevron").node,
	);
	const cancel = actionButton("cancel");
	const retry = actionButton("retry");
	const clear = actionButton("clear");
	const copy = button("rbee-copy", "Copy path");
	copy.onclick = copyPath;
	const BUTTONS = { cancel, cancelling: cancel, retry, clear };

	const node = h("div", { className: "rbee-row", role: "listitem", "data-id": id });

	let open = false;
	let fraction = 0;
	let guard = 0;
	let copied = 0;
	let pathShown = false;
	/** What was asked for and shows no effect yet. @type {Action | null} */
	let waiting = null;
	let ranged = false;
	/** @type {Row | undefined} */
	let last;
	/** @type {Context | undefined} */
	let lastContext;

	/** @param {Action} action */
	function actionButton(action) {
		const node = button(`rbee-${action}`);
		node.onclick = ({ detail }) => {
			// aria-disabled, since a button that is really disabled drops the focus. The guard of Clear
			// is against the pointer's second click; a key (which counts no clicks) is meant.
			const isSecond = action === "clear" && guard > 0 && detail > 0;
			if (action !== waiting && !isSecond) actions.send(action);
		};
		return node;
	}

	async function copyPath() {
		if (!last?.path) return;
		if (!(await copyText(last.path, node))) {
			pathShown = true;
			paintParts();
			getSelection()?.selectAllChildren(path);
			actions.say("Path selected");
			return;
		}
		setText(copy, "Copied");
		actions.say("Path copied");
		clearTimeout(copied);
		copied = window.setTimeout(() => setText(copy, "Copy path"), COPIED_MS);
	}

	/** @param {boolean} wanted */
	function toggle(wanted) {
		open = wanted;
		setAttribute(disclosure, "aria-expanded", String(open));
		narration ??= createNarration(domId);
		narration.label(name.title);
		if (open) node.append(narration.node);
		else narration.node.remove();
		actions.toggled(open);
	}

	/**
	 * @param {Row} row
	 * @param {Line[] | undefined} lines  of its narration, if it is opened
	 * @param {Point[]} points            its speeds of the last minute
	 * @param {Context} context
	 * @param {boolean} due               whether its figures must be right
	 */
	function paint(row, lines, points, context, due) {
		if (open && lines) narration?.paint(lines);
		const isSame = same(context, lastContext);
		if (isSame && (row === last || (!due && row.status === last?.status))) return;
		if (row.name !== last?.name) paintName(oneLine(row.name));
		if (row.status !== last?.status) pathShown = false;
		last = row;
		lastContext = context;

		const halted = isHalted(row);
		setAttribute(node, "data-status", row.status);
		node.toggleAttribute("data-stalled", halted);
		stateIcon.show(halted ? "stalled" : row.status);
		setText(state, stateWords(row));
		paintMeter(row, context.live, halted);
		speeds.paint(points);
		paintWords(row, context);
		paintActions(row, context);
		paintParts();
	}

	function paintParts() {
		arrange(node, [
			lastContext?.live && disclosure,
			stateIcon.node,
			title,
			state,
			actionList,
			meter,
			note.textContent && note,
			error.textContent && error,
			pathShown && path,
			open && narration?.node,
		]);
	}

	/** @param {string} shown */
	function paintName(shown) {
		const characters = Array.from(shown);
		setText(wholeName, shown);
		// What the style shows instead where the whole doesn't fit: no second text for ears.
		setAttribute(cutName, "data-head", characters.slice(0, -TAIL).join(""));
		setAttribute(cutName, "data-tail", characters.slice(-TAIL).join(""));
		name.title = shown;
		setAttribute(bar, "aria-label", shown);
		setAttribute(disclosure, "aria-label", `Narration of ${shown}`);
		setAttribute(copy, "aria-label", `Copy path of ${shown}`);
	}

	/** @param {Row} row @param {boolean} live @param {boolean} halted */
	function paintMeter(row, live, halted) {
		const value = shownPercentage(row);
		const moving = live && row.status === "downloading";
		const eta = moving && !halted ? row.eta : null;

		const busy = live && !halted && (moving || row.status === "finishing");
		setAttribute(
			node,
			"data-progress",
			value !== null ? "known" : busy ? "unknown" : isActive(row) ? "waiting" : "none",
		);
		paintFill((value ?? 0) / 100);

		setText(percentText, value === null ? "" : percent(value));
		setText(bytesText, amount(row));
		setText(
			speedText,
			!moving ? "" : halted ? speed(0) : row.speed === null ? "" : speed(row.speed),
		);
		const range = eta === null ? null : span(row.eta_range, ranged);
		ranged = range !== null;
		setText(etaText, eta === null ? "" : `${range?.text ?? duration(eta)} left`);

		// A bar says 100 for what is complete alone, to ears too.
		setAttribute(bar, "aria-valuenow", value === null ? null : percent(value).slice(0, -1));
		const spoken = [
			value === null ? WORDS[row.status].toLowerCase() : `${percent(value).slice(0, -1)} percent`,
			halted && haltWords(row).toLowerCase(),
			eta !== null && `${range?.spoken ?? spokenDuration(eta)} left`,
		];
		setAttribute(bar, "aria-valuetext", spoken.filter(Boolean).join(", "));
	}

	/** @param {number} to  0 to 1 */
	function paintFill(to) {
		if (to === fraction) return;
		// A retry starts over: the bar is there at once, instead of running backwards.
		fill.style.transition = to < fraction ? "none" : "";
		fill.style.transform = `scaleX(${to.toFixed(4)})`;
		fraction = to;
	}

	/** @param {Row} row @param {Context} context */
	function paintWords(row, { manyHives }) {
		setText(hive, prose(row.hive));
		arrange(title, [name, row.type === "worker" && type, manyHives && hive]);
		setText(note, prose((showsNote(row) ? row.note : null) ?? row.remark ?? ""));
		setText(errorText, prose(row.error ?? ""));
		// What may have to be scrolled must be reached by keyboard.
		setAttribute(errorText, "tabindex", (row.error?.length ?? 0) > LONG ? "0" : null);
		setText(hint, prose(row.hint ?? ""));
		setText(path, row.path ?? "");
		copy.title = row.path ?? "";
	}

	/** What may be done with the row; with no kernel that is to open it elsewhere. @param {Row} row @param {Context} context */
	function paintActions(row, { live, pending }) {
		waiting = row.status === "cancelling" ? "cancel" : pending;
		if (cancel.isConnected && !buttons(row).includes("cancel")) guardClear();
		paintButton(cancel, "cancel");
		paintButton(retry, "retry");
		paintButton(clear, "clear");
		const linked = !live && row.type === "model" && !row.name.includes("://");
		if (linked) link.href = rbeeLink(row.name);
		clear.title =
			row.status === "complete"
				? "Remove this row; the file stays"
				: "Remove this row, and what has arrived of the file";
		const allowed = (pending ? [pending] : buttons(row)).map((kind) => BUTTONS[kind]);
		const hasPath = row.status === "complete" && row.path && !pending;
		arrange(actionList, live ? [hasPath && copy, ...allowed] : [linked && link]);
	}

	/** @param {HTMLElement} node @param {Action} action */
	function paintButton(node, action) {
		const isWaiting = waiting === action;
		const verb = VERBS[action][isWaiting ? 1 : 0];
		const object = action === "clear" ? `${name.title} from the list` : `download of ${name.title}`;
		setText(node, isWaiting ? `${verb}…` : verb);
		setAttribute(node, "aria-label", `${verb} ${object}`);
		const isGuarded = action === "clear" && guard > 0;
		setAttribute(node, "aria-disabled", isWaiting || isGuarded ? "true" : null);
	}

	/** Clear comes up where Cancel was: the second click of a double click must not reach it. */
	function guardClear() {
		clearTimeout(guard);
		guard = window.setTimeout(() => {
			guard = 0;
			if (last && lastContext) paintActions(last, lastContext);
		}, GUARD_MS);
	}

	return {
		node,
		paint,
		isOpen: () => open,
		close() {
			clearTimeout(guard);
			clearTimeout(copied);
			narration?.close();
		},
		/** What takes the focus when the button that had it is gone; not Copy path, which comes late. */
		nextButton: () =>
			[retry, cancel, clear, disclosure].find(({ isConnected }) => isConnected) ?? null,
	};
}

/** @param {Context} a @param {Context | undefined} b */
function same(a, b) {
	return a.live === b?.live && a.manyHives === b.manyHives && a.pending === b.pending;
}

/** Whether nothing flows though it should. @param {Row} row */
export function isHalted({ status, retry, stalled_for: idle }) {
	return retry !== null || (status === "downloading" && idle !== null);
}

/** What a row is at: "Downloading", "Stalled 37 s". @param {Row} row */
export function stateWords(row) {
	return isHalted(row) ? haltWords(row) : WORDS[row.status];
}

/** Why nothing flows: "Retry 2 of 6 in 8 s", "Stalled 37 s". @param {Row} row */
function haltWords({ retry, stalled_for: idle }) {
	if (!retry) return `Stalled ${Math.round(idle ?? 0)} s`;
	const when = retry.in > 0 ? ` in ${Math.ceil(retry.in)} s` : "";
	return `Retry ${retry.number} of ${retry.of}${when}`;
}

/** "136 MB of 300 MB". @param {Row} row */
export function amount({ status, bytes_downloaded: done, total_size: total }) {
	if (status === "complete") return total || done ? bytes(total ?? done) : "";
	if (total !== null) return `${bytes(done)} of ${bytes(total)}`;
	return done > 0 ? bytes(done) : "";
}

/** Beside a percentage the latest line tells nothing more, unless it tells what is waited for. @param {Row} row */
function showsNote({ status, percentage, retry }) {
	if (status === "complete" || (retry && status !== "interrupted")) return true;
	return percentage === null && status !== "failed" && status !== "cancelled";
}

/** Also for the line of a magic, where a quote would begin a word. @param {string} name  "org/repo:file.gguf" */
export function rbeeLink(name) {
	const safe = encodeURIComponent(name).replaceAll("'", "%27");
	return `rbee://model/${safe.replaceAll("%2F", "/").replaceAll("%3A", ":")}`;
}
