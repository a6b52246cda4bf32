/** The view of one offer: a button that becomes its own progress. What it is about, it is handed. */

import { arrange, button, h, setAttribute, setText } from "./dom.js";
import { ago, moment, oneLine, percent } from "./format.js";
import { icon } from "./icons.js";
import { face } from "./install.js";
import { rbeeLink } from "./row.js";

/** @typedef {import("./install.js").Face} Face */
/** @typedef {import("./rows.js").Row} Row */

/**
 * What it shows.
 * @typedef {Omit<import("./install.js").Moment, "isRanged"> & {
 *   silence: number | null,
 *   at: number,
 * }} Shown   `silence`: seconds since a busy kernel was heard; `at`: unix seconds, when all that was so
 */

/**
 * @typedef {object} Subject
 * @property {() => Shown} now    as it is at this moment: a second click may come before it is painted
 * @property {() => void} install
 * @property {(action: "cancel" | "retry", id: string) => void} act   on a download
 */

/** Milliseconds that a button rests which came up under the focus: no second press is meant. */
const REST_MS = 600;

/** Characters at the end of a long name that stay when there is no room for all of it. */
const TAIL = 14;

/**
 * @param {Subject} subject
 * @param {{ announcer?: Element, describedBy?: string }} [about]  `announcer`: stands at its end;
 *   `describedBy`: ids of what describes the button, the bar and the words that stand for it
 */
export function createInstallView(subject, { announcer, describedBy } = {}) {
	const sign = icon("rbee-icon", "downloading");
	const verb = h("span", { className: "rbee-install-verb" });
	const figures = h("span", { className: "rbee-install-figures" });
	const head = h("span", { className: "rbee-name-head" });
	const tail = h("span", { className: "rbee-name-tail" });
	// Cut for eyes; ears get it whole, and once.
	const name = h(
		"span",
		{ className: "rbee-name", dir: "auto", "aria-hidden": "true" },
		head,
		tail,
	);
	const whole = h("span", { className: "rbee-announcer" });
	const words = h("span", { className: "rbee-install-words" }, verb, " ", figures, whole);
	const inside = h("span", { className: "rbee-install-inside" }, sign.node, words, name);

	const go = h("button", { type: "button", className: "rbee-install-main rbee-install-go" });
	const fill = h("div", { className: "rbee-fill" });
	const bar = h(
		"div",
		{
			className: "rbee-install-main rbee-install-bar",
			role: "progressbar",
			tabIndex: -1,
			"aria-valuemin": 0,
			"aria-valuemax": 100,
		},
		fill,
	);
	const told = h("div", { className: "rbee-install-main rbee-install-told", tabIndex: -1 });
	const MAINS = { go, progress: bar, told };

	const cancel = button("rbee-cancel");
	const away = h("a", { className: "rbee-link" }, "Open in rbee");
	const box = h("div", { className: "rbee-install-box" });
	const error = h("span", { className: "rbee-error-text" });
	const hint = h("span", { className: "rbee-hint" });
	const trouble = h("div", { className: "rbee-error", tabIndex: 0 }, error, hint);
	const panel = h("div", { className: "rbee-install", "data-live": "no", "data-new": "" });

	let fraction = 0;
	let restUntil = 0;
	let isRanged = false;
	/** Where the focus belongs: the button, the bar, or the words. @type {HTMLElement} */
	let main = go;

	if (describedBy) {
		for (const node of Object.values(MAINS)) node.setAttribute("aria-describedby", describedBy);
	}

	function paint() {
		const shown = subject.now();
		const { offer, row, pending, live, silence } = shown;
		const looks = face({ ...shown, isRanged });
		isRanged = looks.isRanged;
		const focus = holdFocus();
		if (live) panel.removeAttribute("data-new");
		setAttribute(panel, "data-live", live ? "yes" : "no");
		setAttribute(panel, "data-status", looks.status);
		panel.toggleAttribute("data-busy", silence !== null);
		panel.toggleAttribute("data-stalled", looks.icon === "stalled");
		sign.show(looks.icon);
		setText(verb, looks.verb);
		paintFigures(looks, shown);
		paintName(oneLine(offer.name));
		paintBar(looks);

		main = MAINS[looks.kind];
		if (inside.parentNode !== main) main.append(inside);
		told.title = looks.path;
		setAttribute(go, "aria-disabled", looks.kind === "go" && pending ? "true" : null);
		const isCancelling = row?.status === "cancelling" || pending === "cancel";
		setText(cancel, isCancelling ? "Cancelling…" : "Cancel");
		setAttribute(cancel, "aria-disabled", isCancelling ? "true" : null);
		setAttribute(
			cancel,
			"aria-label",
			`${isCancelling ? "Cancelling" : "Cancel"} download of ${name.title}`,
		);
		const isLinked = !live && offer.type === "model" && !offer.name.includes("://");
		if (isLinked) away.href = rbeeLink(offer.name);
		arrange(box, [main, looks.kind === "progress" ? cancel : isLinked && away]);
		setText(error, looks.error);
		setText(hint, looks.hint);
		arrange(panel, [box, trouble.textContent && trouble, announcer]);
		focus.restore();
	}

	/** @param {Face} looks @param {Shown} shown */
	function paintFigures(looks, { live, silence, at }) {
		const words =
			silence !== null
				? ["kernel busy", `last heard ${ago(silence)} ago`]
				: live || at === 0
					? looks.figures
					: [`as of ${moment(at)}`, ...looks.figures];
		if (figures.children.length !== words.length) {
			figures.replaceChildren(...words.flatMap(() => [h("span"), " "]));
		}
		words.forEach((figure, i) => {
			setText(/** @type {Element} */ (figures.children[i]), figure);
		});
	}

	/** @param {string} shown */
	function paintName(shown) {
		if (name.title === shown) return;
		const characters = Array.from(shown);
		const cut = characters.length > 2 * TAIL ? characters.length - TAIL : characters.length;
		setText(head, characters.slice(0, cut).join(""));
		setText(tail, characters.slice(cut).join(""));
		setText(whole, shown);
		name.title = shown;
		setAttribute(bar, "aria-label", shown);
	}

	/** @param {Face} looks */
	function paintBar({ kind, status, value, spoken }) {
		const isKnown = value !== null;
		const isBusy = !isKnown && (status === "downloading" || status === "finishing");
		bar.toggleAttribute("data-unknown", isBusy);
		setAttribute(bar, "aria-valuenow", isKnown ? percent(value).slice(0, -1) : null);
		setAttribute(bar, "aria-valuetext", spoken);
		const to = kind === "progress" ? (value ?? 0) / 100 : 0;
		if (to === fraction) return;
		// A retry starts over: the bar is there at once, instead of running backwards.
		fill.style.transition = to < fraction ? "none" : "";
		fill.style.transform = `scaleX(${to.toFixed(4)})`;
		fraction = to;
	}

	/** Gives the focus back when what had it is gone. */
	function holdFocus() {
		const root = /** @type {Document | ShadowRoot} */ (panel.getRootNode());
		const focused = root.activeElement;
		const had = focused !== null && panel.contains(focused);
		return {
			restore() {
				if (!had || panel.contains(root.activeElement)) return;
				main.focus({ preventScroll: true });
				restUntil = performance.now() + REST_MS;
			},
		};
	}

	/** @param {"cancel" | "retry"} action */
	function press(action) {
		const { row, pending } = subject.now();
		if (row && !pending && performance.now() > restUntil) subject.act(action, row.id);
	}

	go.onclick = () => {
		const shown = subject.now();
		if (shown.pending || performance.now() < restUntil) return;
		if (face({ ...shown, isRanged }).verb === "Retry") press("retry");
		else subject.install();
	};
	cancel.onclick = () => press("cancel");

	return { node: panel, paint, focusable: () => main };
}
