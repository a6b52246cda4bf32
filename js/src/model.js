/** One result: a line that says what it is, which unfolds to its files and its card. */

import { cleaned, webAddress } from "./card.js";
import { arrange, button, drawing, h, setAttribute, setText } from "./dom.js";
import { createFile } from "./files.js";
import { compact, counted, oneLine, prose, since } from "./format.js";
import { icon } from "./icons.js";
import { rbeeLink } from "./row.js";
import { taskWords } from "./search_form.js";
import { createTrouble } from "./trouble.js";

/** @typedef {import("./market.js").Card} Card */
/** @typedef {import("./market.js").Files} Files */
/** @typedef {import("./market.js").Model} Model */
/** @typedef {import("./files.js").Context} Context */

const LOCK = "M4 7.5h8v6H4zM5.5 7.5V5a2.5 2.5 0 0 1 5 0v2.5";

/** Characters at the end of a long name that stay when there is no room for all of it. */
const TAIL = 12;

/**
 * @typedef {object} Actions
 * @property {(open: boolean) => void} toggled
 * @property {() => void} changed              repaints it
 * @property {(kind: "files" | "card") => void} ask   for what isn't there
 */

/**
 * @param {string} id      the model's
 * @param {string} domId   unique in the page
 * @param {Actions} actions
 */
export function createModel(id, domId, actions) {
	const line = h("span", { className: "rbee-model-line", "aria-hidden": "true" });
	const spoken = h("span", "rbee-unseen");
	const head = h(
		"button",
		{
			type: "button",
			className: "rbee-model-head",
			tabIndex: -1,
			"aria-expanded": "false",
			"aria-controls": domId,
			onclick: () => toggle(!isOpen),
		},
		icon("rbee-chevron", "chevron").node,
	);
	/** What stands in its place with no kernel. @type {HTMLElement | null} */
	let plain = null;
	/** @type {HTMLAnchorElement | null} */
	let away = null;
	const node = h("div", { className: "rbee-model", role: "listitem", "data-id": id });
	/** Made when it is first unfolded. @type {ReturnType<typeof createDetails> | null} */
	let details = null;
	let isOpen = false;

	/** @param {boolean} wanted */
	function toggle(wanted) {
		if (isOpen === wanted) return;
		isOpen = wanted;
		setAttribute(head, "aria-expanded", String(isOpen));
		if (!isOpen) details?.node.remove();
		actions.toggled(isOpen);
	}

	/** @param {Model} model @param {boolean} live @param {number} at  unix seconds: now */
	function paint(model, live, at) {
		const facts = factsOf(model, at);
		setText(spoken, facts.map((fact) => fact.spoken).join(", "));
		line.replaceChildren(...facts.map((fact) => fact.node));
		if (live) {
			head.append(line, spoken);
			arrange(node, [head, isOpen && details?.node]);
			return;
		}
		plain ??= h("div", "rbee-model-head rbee-model-plain");
		away ??= h("a", { className: "rbee-link", href: rbeeLink(id) }, "Open in rbee");
		setAttribute(away, "aria-label", `Open in rbee: ${oneLine(id)}`);
		arrange(plain, [line, spoken, !id.includes("://") && away]);
		arrange(node, [plain, details?.node.parentNode === node && details.node]);
	}

	/**
	 * What it unfolds to; with no kernel what was there.
	 * @param {Model} model
	 * @param {Files | undefined} files
	 * @param {Card | undefined} card
	 * @param {Context} context
	 */
	function paintDetails(model, files, card, context) {
		const isShown = context.live ? isOpen : files?.state === "there";
		if (!isShown) {
			details?.node.remove();
			return;
		}
		details ??= createDetails(id, domId, actions);
		details.paint(model, files, card, context);
		if (details.node.parentNode !== node) node.append(details.node);
	}

	return {
		node,
		head,
		paint,
		paintDetails,
		toggle,
		isOpen: () => isOpen,
		/** Where the arrow keys lead, from the top. */
		stops: () => [head, ...(isOpen ? (details?.stops() ?? []) : [])],
	};
}

/** @param {string} id @param {string} domId @param {Actions} actions */
function createDetails(id, domId, actions) {
	const label = oneLine(id);
	const node = h("div", { id: domId, className: "rbee-details" });
	const gateWords = h("span");
	const page = h("a", {
		className: "rbee-page",
		target: "_blank",
		rel: "noopener noreferrer",
	});
	const gateLink = h(
		"a",
		{ className: "rbee-page", target: "_blank", rel: "noopener noreferrer" },
		"Open its page",
	);
	const gate = h("div", "rbee-gate", lock(), h("div", {}, gateWords, " ", gateLink));
	const list = h("div", {
		className: "rbee-files",
		role: "list",
		"aria-label": `Files of ${label}`,
	});
	const state = h("div", "rbee-details-state");
	const trouble = createTrouble(() => actions.ask("files"));
	const cardTrouble = createTrouble(() => actions.ask("card"));
	const cardState = h("div", "rbee-details-state");
	const body = h("div", {
		id: `${domId}-card`,
		className: "rbee-card",
		role: "region",
		"aria-label": `Model card of ${label}`,
		tabIndex: 0,
		dir: "auto",
	});
	const show = button("rbee-card-toggle", "Model card");
	setAttribute(show, "aria-controls", body.id);
	show.onclick = () => {
		isShown = !isShown;
		actions.changed();
	};
	const tools = h("div", "rbee-details-tools");
	/** @type {Map<string, ReturnType<typeof createFile>>} */
	const rows = new Map();
	let made = 0;
	let isShown = false;
	/** @type {Card | null} */
	let painted = null;

	/** @param {Model} model @param {Files | undefined} files @param {Card | undefined} card @param {Context} context */
	function paint(model, files, card, context) {
		const { live } = context;
		const found = files?.state === "there" ? files : null;
		const why = found?.gate ?? model.gate;
		const address = webAddress(model.url);
		setText(gateWords, prose(why ?? ""));
		if (address) page.href = gateLink.href = address;
		gateLink.hidden = !address;
		setText(page, address ? `Page on ${new URL(address).host}` : "");
		paintFiles(found?.files ?? [], { ...context, license: found?.license ?? model.license });
		if (live && !files) actions.ask("files");
		setText(state, stateWords(files));
		if (files?.state === "error") trouble.paint(files, files.error, live);
		setAttribute(show, "aria-expanded", String(isShown));
		setAttribute(show, "aria-label", `Model card of ${label}`);
		const cardNode = live && isShown && paintCard(card);
		arrange(tools, [live && show, address && page]);
		arrange(node, [
			why && gate,
			list.firstElementChild && list,
			state.textContent && state,
			files?.state === "error" && trouble.node,
			tools.firstElementChild && tools,
			cardNode,
		]);
	}

	/** @param {import("./market.js").File[]} files @param {Context} context */
	function paintFiles(files, context) {
		const wanted = new Set(files.map((file) => file.id));
		for (const key of rows.keys()) if (!wanted.has(key)) rows.delete(key);
		for (const file of files) {
			let row = rows.get(file.id);
			if (!row) {
				made += 1;
				row = createFile(`${domId}-${made}`);
				rows.set(file.id, row);
			}
			row.paint(file, context);
		}
		arrange(
			list,
			files.map((file) => rows.get(file.id)?.node),
		);
	}

	/** @param {Card | undefined} card */
	function paintCard(card) {
		if (!card) actions.ask("card");
		if (!card || card.state === "loading") {
			setText(cardState, "Fetching the model card…");
			return cardState;
		}
		if (card.state === "error") {
			cardTrouble.paint(card, card.error, true);
			return cardTrouble.node;
		}
		if (card !== painted) {
			painted = card;
			body.replaceChildren(cleaned(card.html));
			if (!body.textContent) body.append("This model has no card.");
		}
		return body;
	}

	return {
		node,
		paint,
		stops: () =>
			[...list.children].flatMap(
				(child) => rows.get(child.getAttribute("data-id") ?? "")?.stop() ?? [],
			),
	};
}

/** What to say of the files beside them. @param {Files | undefined} files */
function stateWords(files) {
	if (!files || files.state === "loading") return "Reading the files…";
	if (files.state === "error") return "";
	if (files.files.length === 0) return "No file here that can be installed.";
	return files.more > 0 ? `and ${counted(files.more, "more file")}` : "";
}

function lock() {
	const { node, path } = drawing("rbee-icon", "0 0 16 16");
	path.setAttribute("d", LOCK);
	return node;
}

/**
 * What its line says, each for eyes and for ears.
 * @param {Model} model
 * @param {number} at  unix seconds: now
 * @returns {{ node: HTMLElement, spoken: string }[]}
 */
function factsOf(model, at) {
	const facts = [{ node: nameOf(model), spoken: oneLine(model.title ?? model.id) }];

	/** @param {string} name @param {string} text @param {string} spoken */
	function add(name, text, spoken) {
		facts.push({ node: h("span", `rbee-${name}`, text), spoken });
	}

	const { parameters, downloads, likes, license, task, updated_at: updated } = model;
	if (parameters !== null) {
		const text = compact(parameters, 100);
		add("parameters", text, `${text} parameters`);
	}
	if (model.gate !== null) {
		const gated = h("span", "rbee-gated", lock(), "gated");
		facts.push({ node: gated, spoken: "gated" });
	}
	if (task) add("task", taskWords(oneLine(task)), taskWords(oneLine(task)));
	if (license) add("license", oneLine(license), `licence ${oneLine(license)}`);
	if (downloads !== null) add("downloads", compact(downloads), `${compact(downloads)} downloads`);
	if (likes !== null) add("likes", compact(likes), `${compact(likes)} likes`);
	if (updated !== null) {
		const { text, spoken } = since(at - updated);
		add("updated", text, `updated ${spoken}`);
	}
	return facts;
}

/** The author dimmed, and the end of a long name kept. @param {Model} model */
function nameOf({ id, title, author }) {
	const prefix = `${oneLine(author)}/`;
	const called = oneLine(title ?? id);
	const isPrefixed = author !== "" && (title !== null || called.startsWith(prefix));
	const own = called.startsWith(prefix) ? called.slice(prefix.length) : called;
	const whole = isPrefixed ? `${prefix}${own}` : own;
	const characters = Array.from(own);
	const cut = characters.length > 2 * TAIL ? characters.length - TAIL : characters.length;
	return h(
		"span",
		{ className: "rbee-name", dir: "auto", title: whole },
		...(isPrefixed ? [h("span", "rbee-author", prefix)] : []),
		h("span", "rbee-name-head", characters.slice(0, cut).join("")),
		...(cut < characters.length
			? [h("span", "rbee-name-tail", characters.slice(cut).join(""))]
			: []),
	);
}
