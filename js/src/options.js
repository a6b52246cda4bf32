/** The panel's options, behind a button of its header. */

import { h, setAttribute, setText } from "./dom.js";
import { icon } from "./icons.js";

/** @typedef {import("./attention.js").Attention} Attention */
/** @typedef {import("./attention.js").Option} Option */

/**
 * @param {string} domId            unique in the page
 * @param {Attention} attention
 * @param {() => void} changed      repaints
 * @param {(words: string) => void} say  for ears
 */
export function createOptions(domId, attention, changed, say) {
	const refusal = h("span", "rbee-refusal");
	const title = box("title");
	const notify = box("notify");
	const node = h(
		"div",
		{ id: domId, className: "rbee-options", role: "group", "aria-label": "Options" },
		h("label", "rbee-option", title, "Progress in the tab's title"),
		h("label", "rbee-option", notify, "Notify when a download ends"),
		refusal,
	);
	const button = h(
		"button",
		{
			type: "button",
			className: "rbee-button rbee-more-options",
			title: "Options",
			"aria-label": "Options",
			"aria-controls": domId,
			onclick: () => toggle(!open),
		},
		icon("rbee-icon", "options").node,
	);
	let open = false;

	node.onkeydown = (event) => {
		if (event.key !== "Escape") return;
		event.stopPropagation();
		toggle(false);
		button.focus();
	};

	/** @param {Option} option */
	function box(option) {
		const input = h("input", { type: "checkbox", className: "rbee-check" });
		input.onchange = async () => {
			const why = await attention.set(option, input.checked);
			setText(refusal, why);
			if (why) say(why);
			changed();
		};
		return input;
	}

	/** @param {boolean} wanted */
	function toggle(wanted) {
		open = wanted;
		setText(refusal, "");
		changed();
	}

	function paint() {
		setAttribute(button, "aria-expanded", String(open));
		title.checked = attention.on.title;
		notify.checked = attention.on.notify;
	}

	return { button, node, paint, isOpen: () => open };
}
