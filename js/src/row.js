/** One row: its DOM is built once, and painted by setting what changed. */

import { arrange, h, setAttribute, setText } from "./dom.js";
import { bytes, duration, oneLine, percent, prose, span, speed, spokenDuration } from "./format.js";
import { icon } from "./icons.js";
import { createNarration } from "./narration.js";
import { buttons, isActive, shownPercentage } from "./rows.js";

/** @typedef {import("./rows.js").Row} Row */
/** @typedef {import("./rows.js").Line} Line */

/** What a row's look depends on beside the row itself. @typedef {{ live: boolean, manyHives: boolean }} Context */

/**
 * @typedef {object} Actions
 * @property {(kind: "cancel" | "retry" | "clear") => void} send
 * @property {(open: boolean) => void} toggled   its narration was opened or closed
 */

/** @type {Record<Row["status"], string>} */
const WORDS = {
	queued: "Queued",
	downloading: "Downloading",
	finishing: "Finishing",
	cancelling: "Cancelling",
	complete: "Complete",
	cancelled: "Cancelled",
	failed: "Failed",
	interrupted: "Interrupted",
};

/** Milliseconds that Clear waits where Cancel was: longer than a double click takes. */
const GUARD_MS = 600;

/** Characters at the end of a long name that stay when the row is too narrow for all of it. */
const TAIL = 12;

/** Characters of a name that is short enough to be left whole. */
const SHORT = 24;

/**
 * @param {string} id       the download's
 * @param {string} domId    unique in the page
 * @param {Actions} actions
 */
export function createRow(id, domId, actions) {
	const stateIcon = icon("rbee-icon", "queued");
	const nameHead = h("span", { className: "rbee-name-head" });
	const nameTail = h("span", { className: "rbee-name-tail" });
	const name = h("span", { className: "rbee-name", dir: "ltr" }, nameHead, nameTail);
	const type = h("span", { className: "rbee-type" }, "worker");
	const hive = h("span", { className: "rbee-hive" });
	const link = h("a", { className: "rbee-link" }, "Open in rbee");
	const title = h("div", { className: "rbee-title" }, name);
	const state = h("span", { className: "rbee-state" });
	const actionList = h("div", { className: "rbee-actions" });

	const fill = h("div", { className: "rbee-fill" });
	const bar = h(
		"div",
		{ className: "rbee-bar", role: "progressbar", "aria-valuemin": 0, "aria-valuemax": 100 },
		fill,
	);
	const percentText = h("span", { className: "rbee-percent" });
	const bytesText = h("span", { className: "rbee-bytes" });
	const speedText = h("span", { className: "rbee-speed" });
	const etaText = h("span", { className: "rbee-eta" });
	const meter = h(
		"div",
		{ className: "rbee-meter" },
		bar,
		percentText,
		bytesText,
		speedText,
		etaText,
	);

	const note = h("div", { className: "rbee-note" });
	const errorText = h("span", { className: "rbee-error-text" });
	const hint = h("span", { className: "rbee-hint" });
	const error = h("div", { className: "rbee-error" }, errorText, hint);
	const narration = createNarration(domId);

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
	const cancel = actionButton("cancel", "Cancel");
	const retry = actionButton("retry", "Retry");
	const clear = actionButton("clear", "Clear");
	const BUTTONS = { cancel, cancelling: cancel, retry, clear };

	const node = h("li", { className: "rbee-row", "data-id": id });

	let open = false;
	let fraction = 0;
	let guard = 0;
	let ranged = false;
	/** @type {Row | undefined} */
	let last;
	/** @type {Context | undefined} */
	let lastContext;

	/** @param {"cancel" | "retry" | "clear"} kind @param {string} word */
	function actionButton(kind, word) {
		const button = h("button", { type: "button", className: `rbee-button rbee-${kind}` }, word);
		button.onclick = ({ detail }) => {
			// aria-disabled, since a button that is really disabled drops the focus. The guard of Clear
			// is against the pointer's second click; a key (which counts no clicks) is meant.
			const byKey = kind === "clear" && detail === 0;
			if (byKey || button.getAttribute("aria-disabled") !== "true") actions.send(kind);
		};
		return button;
	}

	/** @param {boolean} wanted */
	function toggle(wanted) {
		open = wanted;
		setAttribute(disclosure, "aria-expanded", String(open));
		if (open) node.append(narration.node);
		else narration.node.remove();
		actions.toggled(open);
		if (open) narration.toEnd();
	}

	/**
	 * @param {Row} row
	 * @param {Line[] | undefined} lines  of its narration, if it is opened
	 * @param {Context} context
	 */
	function paint(row, lines, context) {
		if (open && lines) narration.paint(lines);
		if (row === last && same(context, lastContext)) return;
		if (row.name !== last?.name) paintName(oneLine(row.name));
		last = row;
		lastContext = context;

		const halted = Boolean(row.retry) || (row.status === "downloading" && row.stalled_for !== null);
		setAttribute(node, "data-status", row.status);
		node.toggleAttribute("data-stalled", halted);
		stateIcon.show(halted ? "stalled" : row.status);
		setText(state, halted ? haltWords(row) : WORDS[row.status]);
		paintMeter(row, context.live, halted);
		paintWords(row, context);
		paintActions(row, context.live);
		arrange(node, [
			...(context.live ? [disclosure] : []),
			stateIcon.node,
			title,
			state,
			actionList,
			meter,
			...(note.textContent ? [note] : []),
			...(row.error || row.hint ? [error] : []),
			...(open ? [narration.node] : []),
		]);
	}

	/** @param {string} shown */
	function paintName(shown) {
		const characters = Array.from(shown);
		const cut = characters.length > SHORT ? characters.length - TAIL : characters.length;
		setText(nameHead, characters.slice(0, cut).join(""));
		setText(nameTail, characters.slice(cut).join(""));
		name.title = shown;
		setAttribute(bar, "aria-label", shown);
		setAttribute(disclosure, "aria-label", `Narration of ${shown}`);
		setAttribute(cancel, "aria-label", `Cancel download of ${shown}`);
		setAttribute(retry, "aria-label", `Retry download of ${shown}`);
		setAttribute(clear, "aria-label", `Clear ${shown} from the list`);
		narration.label(shown);
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
			...(halted ? [haltWords(row).toLowerCase()] : []),
			...(eta === null ? [] : [`${range?.spoken ?? spokenDuration(eta)} left`]),
		];
		setAttribute(bar, "aria-valuetext", spoken.join(", "));
	}

	/** @param {number} to  0 to 1 */
	function paintFill(to) {
		if (to === fraction) return;
		// A retry starts over: the bar is there at once, instead of running backwards.
		fill.style.transition = to < fraction ? "none" : "";
		fill.style.transform = `translateX(${(100 * to - 100).toFixed(2)}%)`;
		fraction = to;
	}

	/** @param {Row} row @param {Context} context */
	function paintWords(row, { manyHives }) {
		setText(hive, prose(row.hive));
		arrange(title, [name, ...(row.type === "worker" ? [type] : []), ...(manyHives ? [hive] : [])]);
		setText(note, prose((showsNote(row) ? row.note : null) ?? row.remark ?? ""));
		setText(errorText, prose(row.error ?? ""));
		setText(hint, prose(row.hint ?? ""));
	}

	/** What may be done with the row; with no kernel that is to open it elsewhere. @param {Row} row @param {boolean} live */
	function paintActions(row, live) {
		const cancelling = row.status === "cancelling";
		setText(cancel, cancelling ? "Cancelling…" : "Cancel");
		setAttribute(cancel, "aria-disabled", cancelling ? "true" : null);
		const linked = !live && row.type === "model" && !row.name.includes("://");
		if (linked) link.href = rbeeLink(row.name);
		clear.title =
			row.status === "complete"
				? "Remove this row; the file stays"
				: "Remove this row, and what has arrived of the file";
		if (cancel.isConnected && !buttons(row).includes("cancel")) guardClear();
		arrange(actionList, live ? buttons(row).map((kind) => BUTTONS[kind]) : linked ? [link] : []);
	}

	/** Clear comes up where Cancel was: the second click of a double click must not reach it. */
	function guardClear() {
		clearTimeout(guard);
		setAttribute(clear, "aria-disabled", "true");
		guard = window.setTimeout(() => setAttribute(clear, "aria-disabled", null), GUARD_MS);
	}

	return {
		node,
		paint,
		isOpen: () => open,
		close: () => clearTimeout(guard),
		/** The button that takes the focus when the one that had it is gone. */
		nextButton: () =>
			actionList.querySelector("button") ?? (disclosure.isConnected ? disclosure : null),
	};
}

/** @param {Context} a @param {Context | undefined} b */
function same(a, b) {
	return a.live === b?.live && a.manyHives === b.manyHives;
}

/** Why nothing flows: "Retry 2 of 6 in 8 s", "Stalled 37 s". @param {Row} row */
function haltWords({ retry, stalled_for: idle }) {
	if (!retry) return `Stalled ${Math.round(idle ?? 0)} s`;
	const when = retry.in > 0 ? ` in ${Math.ceil(retry.in)} s` : "";
	return `Retry ${retry.number} of ${retry.of}${when}`;
}

/** "136 MB of 300 MB". @param {Row} row */
function amount({ status, bytes_downloaded: done, total_size: total }) {
	if (status === "complete") return total || done ? bytes(total ?? done) : "";
	if (total !== null) return `${bytes(done)} of ${bytes(total)}`;
	return done > 0 ? bytes(done) : "";
}

/** Beside a percentage the latest line tells nothing more, unless it tells what is waited for. @param {Row} row */
function showsNote({ status, percentage, retry }) {
	if (status === "complete" || (retry && status !== "interrupted")) return true;
	return percentage === null && status !== "failed" && status !== "cancelled";
}

/** @param {string} name  "org/repo:file.gguf" */
function rbeeLink(name) {
	return `rbee://model/${encodeURIComponent(name).replaceAll("%2F", "/").replaceAll("%3A", ":")}`;
}
