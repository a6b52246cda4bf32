/** What a user looks for: the words, the filters, the order, the source. */

import { arrange, h, setAttribute, setText } from "./dom.js";
import { oneLine } from "./format.js";
import { FILTERS, sourceOf } from "./market.js";

/** @typedef {import("./market.js").Filter} Filter */
/** @typedef {import("./market.js").Market} Market */
/** @typedef {import("./market.js").Query} Query */

/** A query before it has a number. @typedef {Omit<Query, "n">} Draft */

/** Milliseconds after the last key in which a user may still be typing. */
const TYPING_MS = 200;

/** @type {Record<string, string>} */
const ORDERS = {
	trending: "Trending",
	downloads: "Most downloads",
	likes: "Most likes",
	updated: "Recently updated",
	newest: "Newest",
};

/** Billions of parameters to choose from. */
const SIZES = [1, 3, 4, 8, 14, 24, 32, 72, 120];

const TASKS =
	"text-generation image-text-to-text feature-extraction sentence-similarity text-ranking " +
	"text-to-image image-to-image text-to-video automatic-speech-recognition text-to-speech " +
	"translation summarization text-classification token-classification question-answering " +
	"fill-mask image-classification object-detection any-to-any";

const LIBRARIES =
	"transformers gguf mlx diffusers sentence-transformers onnx peft timm keras safetensors";

const LANGUAGES = "en zh es fr de pt it ja ko ru ar hi nl pl tr vi id th uk sv cs";

const LICENSES =
	"apache-2.0 mit llama3 llama3.1 llama3.2 llama3.3 llama4 gemma openrail " +
	"creativeml-openrail-m cc-by-4.0 cc-by-sa-4.0 cc-by-nc-4.0 bsd-3-clause gpl-3.0 agpl-3.0 other";

/**
 * Of each filter: its name, what stands there while it isn't set, what there is to choose, and how a
 * choice is worded. What a query holds beside is added to the choices.
 * @type {Record<Filter, { label: string, any: string, values: string[], words: (value: string) => string }>}
 */
const CHOICES = {
	format: {
		label: "Format",
		any: "Any format",
		values: ["gguf", "safetensors"],
		words: (value) => (value === "gguf" ? "GGUF" : capitalised(value)),
	},
	task: { label: "Task", any: "Any task", values: TASKS.split(" "), words: taskWords },
	library: {
		label: "Library",
		any: "Any library",
		values: LIBRARIES.split(" "),
		words: (value) => value,
	},
	language: {
		label: "Language",
		any: "Any language",
		values: LANGUAGES.split(" "),
		words: languageWords,
	},
	license: {
		label: "Licence",
		any: "Any licence",
		values: LICENSES.split(" "),
		words: (value) => value,
	},
	least: {
		label: "Parameters, at least",
		any: "From any size",
		values: SIZES.map(String),
		words: (value) => `From ${value}B`,
	},
	most: {
		label: "Parameters, at most",
		any: "To any size",
		values: SIZES.map(String),
		words: (value) => `To ${value}B`,
	},
};

/** @param {string} text */
function capitalised(text) {
	return text.charAt(0).toUpperCase() + text.slice(1);
}

/** "Text generation". @param {string} task */
export function taskWords(task) {
	return capitalised(task.replaceAll("-", " "));
}

/** @param {string} code */
function languageWords(code) {
	try {
		return new Intl.DisplayNames("en", { type: "language" }).of(code) ?? code;
	} catch {
		return code; // no code at all
	}
}

/**
 * @param {string} domId   unique in the page
 * @param {object} actions
 * @param {(draft: Draft) => void} actions.search
 * @param {() => void} actions.leave   by ArrowDown, to the results
 */
export function createSearchForm(domId, { search, leave }) {
	const box = h("input", {
		type: "search",
		role: "searchbox",
		className: "rbee-field rbee-query",
		placeholder: "Search models",
		"aria-label": "Search models",
		spellcheck: false,
		autocomplete: "off",
		maxLength: 200,
	});
	const source = choice("Source", "rbee-source", () => {
		draft.source = source.node.value;
	});
	const order = choice("Order", "rbee-order", () => {
		draft.order = order.node.value;
	});
	const filters = FILTERS.map((name) => {
		const { label } = CHOICES[name];
		const made = choice(label, `rbee-filter-${name}`, () => {
			const { value } = made.node;
			const chosen = name === "least" || name === "most" ? Number(value) : value;
			Object.assign(draft, { [name]: value ? chosen : null });
		});
		return { name, ...made };
	});
	const all = h("div", {
		id: domId,
		className: "rbee-filters",
		role: "group",
		"aria-label": "Filters",
	});
	const toggle = h("button", {
		type: "button",
		className: "rbee-button rbee-filters-toggle",
		"aria-expanded": "false",
		"aria-controls": domId,
		onclick: () => {
			const isOpen = all.toggleAttribute("data-open");
			setAttribute(toggle, "aria-expanded", String(isOpen));
		},
	});
	const line = h("div", "rbee-search-line", box);
	const node = h("div", { className: "rbee-search", role: "search", "aria-label": "Models" }, line);

	/** @type {Draft} */
	const draft = {
		text: "",
		source: "",
		order: "",
		format: null,
		task: null,
		library: null,
		language: null,
		license: null,
		least: null,
		most: null,
	};
	let typing = 0;
	/** @type {Market | null} */
	let last = null;

	/** @param {string} label @param {string} className @param {() => void} take */
	function choice(label, className, take) {
		const select = h("select", { className: `rbee-field ${className}`, "aria-label": label });
		let offered = "";
		select.onchange = () => {
			take();
			submit();
		};

		/** @param {[value: string, words: string][]} options @param {string} value */
		function paint(options, value) {
			const known = options.some(([one]) => one === value);
			const wanted = known
				? options
				: [...options, /** @type {[string, string]} */ ([value, value])];
			const key = JSON.stringify(wanted);
			if (key !== offered) {
				offered = key;
				select.replaceChildren(
					...wanted.map(([one, words]) => h("option", { value: one }, oneLine(words))),
				);
			}
			if (select.value !== value) select.value = value;
		}

		return { node: select, paint };
	}

	/** Searches now. */
	function submit() {
		clearTimeout(typing);
		typing = 0;
		draft.text = box.value.trim();
		fitSource();
		search({ ...draft });
		if (last) paintChoices(last);
	}

	/** Leaves out what the chosen source doesn't heed. */
	function fitSource() {
		const chosen = last?.sources.find(({ name }) => name === draft.source);
		if (!chosen) return;
		for (const name of FILTERS)
			if (!chosen.filters.includes(name)) Object.assign(draft, { [name]: null });
		if (!chosen.orders.includes(draft.order)) draft.order = chosen.orders[0] ?? "";
	}

	box.oninput = (event) => {
		if (/** @type {InputEvent} */ (event).isComposing) return;
		clearTimeout(typing);
		typing = window.setTimeout(submit, TYPING_MS);
	};
	box.addEventListener("compositionend", () => {
		clearTimeout(typing);
		typing = window.setTimeout(submit, TYPING_MS);
	});
	box.onkeydown = (event) => {
		if (event.isComposing) return;
		if (event.key === "Enter" && !event.shiftKey && !event.ctrlKey && !event.metaKey) submit();
		else if (event.key === "ArrowDown") leave();
		else if (event.key === "Escape" && box.value) {
			box.value = "";
			submit();
		} else return;
		event.preventDefault();
		event.stopPropagation(); // the notebook has a use for these too
	};

	/**
	 * @param {Market} state
	 * @param {boolean} isOwn   whether what is looked for here is newer than what `state` answers
	 */
	function paint(state, isOwn) {
		const { query } = state;
		if (query && query !== last?.query && !isOwn && typing === 0) adopt(query);
		last = state;
		if (!draft.source) draft.source = sourceOf(state)?.name ?? "";
		paintChoices(state);
	}

	/** Takes over what was searched, perhaps in another view. @param {Query} query */
	function adopt({ n: _, ...query }) {
		const root = /** @type {Document | ShadowRoot} */ (node.getRootNode());
		Object.assign(draft, query);
		if (root.activeElement !== box && box.value.trim() !== query.text) box.value = query.text;
	}

	/** @param {Market} state */
	function paintChoices({ sources }) {
		const chosen = sources.find(({ name }) => name === draft.source);
		source.paint(
			sources.map(({ name, title }) => [name, title]),
			draft.source,
		);
		order.paint(
			(chosen?.orders ?? []).map((name) => [name, ORDERS[name] ?? name]),
			draft.order,
		);
		const heeded = filters.filter(({ name }) => chosen?.filters.includes(name));
		for (const { name, node: select, paint: paintOne } of heeded) {
			const { any, values, words } = CHOICES[name];
			const value = draft[name] === null ? "" : String(draft[name]);
			const offered = value === "" || values.includes(value) ? values : [...values, value];
			paintOne(
				[["", any], ...offered.map((one) => /** @type {[string, string]} */ ([one, words(one)]))],
				value,
			);
			select.toggleAttribute("data-set", value !== "");
		}
		const set = heeded.filter(({ name }) => draft[name] !== null).length;
		setText(toggle, set > 0 ? `Filters (${set})` : "Filters");
		arrange(
			all,
			heeded.map(({ node: select }) => select),
		);
		arrange(line, [
			box,
			sources.length > 1 && source.node,
			(chosen?.orders.length ?? 0) > 1 && order.node,
			heeded.length > 0 && toggle,
		]);
		arrange(node, [line, heeded.length > 0 && all]);
	}

	return {
		node,
		box,
		paint,
		submit,
		/** Searches with no filter. */
		clear() {
			for (const name of FILTERS) Object.assign(draft, { [name]: null });
			submit();
		},
		/** Whether a filter is set. */
		isFiltered: () => FILTERS.some((name) => draft[name] !== null),
		close: () => clearTimeout(typing),
	};
}
