/** The files of a model: what each takes, whether it fits, and the button that fetches it. */

import { arrange, drawing, h, setAttribute, setText } from "./dom.js";
import { figures, preflight, sentence, verdict } from "./fit.js";
import { bytes, oneLine, prose } from "./format.js";
import { createInstallView } from "./install_view.js";

/** @typedef {import("./market.js").File} File */
/** @typedef {import("./market.js").Verdict} Verdict */

/** Whether it fits, for eyes; the words beside say the same. @type {Record<Verdict, string>} */
const SIGNS = {
	gpu: "M3 8.5l3.5 3.5L13 4.5",
	offload: "M2.5 6.5h9M8.5 3.5l3 3l-3 3M13.5 12.5h-9",
	no: "M4 4l8 8M12 4l-8 8",
	unknown: "M5.6 6a2.4 2.4 0 1 1 3.6 2c-.8.5-1.2.9-1.2 1.8M8 12.4v.1",
};

/**
 * What the rows of files depend on, and whom they ask.
 * @typedef {import("./fit.js").Place & {
 *   license: string | null,
 *   now: (file: File) => import("./install_view.js").Shown,
 *   fetch: (file: File) => void,
 *   act: (action: "cancel" | "retry", id: string) => void,
 * }} Context
 */

/** @param {string} domId  unique in the page */
export function createFile(domId) {
	const quantisation = h("span", { className: "rbee-quantisation", dir: "auto" });
	const path = h("span", { className: "rbee-path", dir: "auto" });
	const parts = h("span", "rbee-parts");
	const size = h("span", "rbee-size");
	const sign = drawing("rbee-icon", "0 0 16 16");
	const words = h("span", { id: `${domId}-fit`, className: "rbee-fit-words" });
	const badge = h("button", {
		type: "button",
		className: "rbee-fit",
		"aria-controls": `${domId}-figures`,
		onclick: () => {
			isOpen = !isOpen;
			paintFigures();
		},
	});
	// With no kernel there is no button, not even one that needs none.
	const told = h("span", "rbee-fit");
	const before = h("div", { id: `${domId}-before`, className: "rbee-before" });
	const cannot = h("div", { className: "rbee-cannot", tabIndex: -1 });
	const terms = h("dl", { id: `${domId}-figures`, className: "rbee-figures" });
	const node = h("div", { className: "rbee-file", role: "listitem" });
	const name = h("div", "rbee-file-name", path, parts);
	let isOpen = false;
	/** @type {[string, string][]} */
	let pairs = [];
	/** @type {File | null} */
	let file = null;
	/** @type {Context | null} */
	let context = null;

	const view = createInstallView(
		{
			now: () => /** @type {Context} */ (context).now(/** @type {File} */ (file)),
			install: () => file && context?.fetch(file),
			act: (action, id) => context?.act(action, id),
		},
		{ describedBy: `${domId}-fit ${domId}-before` },
	);

	/** @param {File} now @param {Context} of */
	function paint(now, of) {
		file = now;
		context = of;
		setAttribute(node, "data-id", now.id);
		setText(quantisation, oneLine(now.quantisation ?? ""));
		setText(path, oneLine(now.path));
		path.title = oneLine(now.path);
		setText(parts, now.parts > 1 ? `${now.parts} parts` : "");
		setText(size, now.size === null ? "" : bytes(now.size));
		paintFit(now, of);
		paintBefore(now, of);
		setText(cannot, now.cannot ? `Can’t be installed: ${prose(now.cannot)}` : "");
		if (!now.cannot) view.paint();
		arrange(node, [
			quantisation,
			name,
			size,
			of.live ? badge : told,
			now.cannot ? cannot : view.node,
			before.textContent && before,
			isOpen && of.live && pairs.length > 0 && terms,
		]);
	}

	/** @param {File} now @param {Context} of */
	function paintFit(now, of) {
		const { fit, words: said } = verdict(now, of);
		setAttribute(node, "data-fit", fit);
		setAttribute(sign.path, "d", SIGNS[fit]);
		setText(words, said);
		pairs = figures(now, of);
		const holder = of.live ? badge : told;
		if (words.parentNode !== holder) holder.append(sign.node, words);
		holder.title = sentence(pairs);
		setAttribute(badge, "aria-disabled", pairs.length > 0 ? null : "true");
		paintFigures();
	}

	function paintFigures() {
		const isShown = isOpen && pairs.length > 0;
		setAttribute(badge, "aria-expanded", String(isShown));
		if (!isShown) {
			terms.remove();
			return;
		}
		if (terms.children.length !== pairs.length) {
			terms.replaceChildren(...pairs.map(() => h("div", {}, h("dt"), h("dd"))));
		}
		pairs.forEach(([what, how], i) => {
			const [term, figure] = /** @type {Element} */ (terms.children[i]).children;
			if (term) setText(term, what);
			if (figure) setText(figure, how);
		});
		node.append(terms);
	}

	/** What to know before the first byte; then the download's own figures tell. @param {File} now @param {Context} of */
	function paintBefore(now, of) {
		const { row, isFresh } = of.now(now);
		const isThere =
			now.installed || (row?.status === "complete" && (isFresh || now.installed !== false));
		const isUnderWay = row !== null && row.status !== "complete" && row.status !== "cancelled";
		const { words: said, isShort } = preflight(now, of.hive, of.license);
		const isShown = of.live && !now.cannot && !isThere && !isUnderWay;
		setText(before, isShown ? said : "");
		before.toggleAttribute("data-short", isShort);
	}

	return {
		node,
		paint,
		/** Where the arrow keys lead. */
		stop: () => (file?.cannot ? cannot : view.focusable()),
	};
}
