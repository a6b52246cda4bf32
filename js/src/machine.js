/** The hive that files are to fit, and the context that they are to fit with. */

import { arrange, h, setAttribute, setText } from "./dom.js";
import { devices, tokens } from "./fit.js";
import { oneLine, prose } from "./format.js";

/** @typedef {import("./market_store.js").MarketStore} MarketStore */

/**
 * @param {string} domId   unique in the page
 * @param {MarketStore} market
 */
export function createMachine(domId, market) {
	const select = h("select", { className: "rbee-field rbee-hive-choice", "aria-label": "Hive" });
	const name = h("span", "rbee-hive-name");
	const words = h("span", "rbee-devices");
	const slider = h("input", {
		type: "range",
		id: domId,
		className: "rbee-slider",
		min: "0",
		step: "1",
	});
	const label = h("label", { htmlFor: domId }, "Context");
	const told = h("span", "rbee-context-words");
	const still = h("span");
	const context = h("div", "rbee-context");
	const hive = h("div", "rbee-machine-hive");
	const node = h("div", "rbee-machine");
	/** @type {object | null} */
	let chosen = null;
	let offered = "";

	select.onchange = () => market.choose(select.value);
	slider.oninput = () => market.slide(Number(slider.value));

	/** @param {boolean} live */
	function paint(live) {
		const { hives, hive: now, contexts } = market.state;
		const ids = hives.map(({ id }) => id);
		const key = JSON.stringify(ids);
		if (key !== offered || now !== chosen) {
			if (key !== offered) {
				select.replaceChildren(
					...ids.map((id) => h("option", { value: id }, oneLine(id) || "hive")),
				);
			}
			offered = key;
			chosen = now;
			if (now) select.value = now.id;
		}
		setText(name, oneLine(now?.id ?? ""));
		setText(words, now ? (now.error ? prose(now.error) : devices(now)) : "");
		words.toggleAttribute("data-error", Boolean(now?.error));
		slider.max = String(Math.max(0, contexts.length - 1));
		if (slider.value !== String(market.stop)) slider.value = String(market.stop);
		const size = contexts[market.stop];
		const said = size === undefined ? "" : tokens(size);
		setAttribute(slider, "aria-valuetext", said);
		setText(told, said);
		setText(still, `Context ${said}`);
		arrange(context, live ? [label, slider, told] : [still]);
		arrange(hive, [
			live && hives.length > 1 ? select : name.textContent && name,
			words.textContent && words,
		]);
		arrange(node, [
			hive.childElementCount > 0 && hive,
			(live ? contexts.length > 1 : said) && context,
		]);
	}

	return { node, paint };
}
