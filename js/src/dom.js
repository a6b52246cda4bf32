/** The little of the DOM that the front end needs. Text becomes text nodes alone, never markup. */

/**
 * An element with its properties set and its children appended. A property with a dash in its name
 * ("aria-label", "data-id") is set as an attribute.
 * @template {keyof HTMLElementTagNameMap} Tag
 * @param {Tag} tag
 * @param {Record<string, unknown> | string} props  or its class alone
 * @param {(Node | string)[]} children
 * @returns {HTMLElementTagNameMap[Tag]}
 */
export function h(tag, props = {}, ...children) {
	const element = document.createElement(tag);
	const all = typeof props === "string" ? { className: props } : props;
	for (const [name, value] of Object.entries(all)) {
		if (name.includes("-") || name === "role") element.setAttribute(name, String(value));
		else Reflect.set(element, name, value);
	}
	element.append(...children);
	return element;
}

/** @param {string} className  beside that of all buttons @param {string} [words] */
export function button(className, words = "") {
	return h("button", { type: "button", className: `rbee-button ${className}` }, words);
}

const SVG = "http://www.w3.org/2000/svg";

/**
 * A drawing of one path, for eyes alone.
 * @param {string} className
 * @param {string} viewBox
 */
export function drawing(className, viewBox) {
	const node = document.createElementNS(SVG, "svg");
	const path = document.createElementNS(SVG, "path");
	node.setAttribute("class", className);
	node.setAttribute("viewBox", viewBox);
	node.setAttribute("aria-hidden", "true");
	node.append(path);
	return { node, path };
}

/** Writes only what differs: an equal write would still wake style and accessibility. @param {Element} element @param {string} text */
export function setText(element, text) {
	if (element.textContent !== text) element.textContent = text;
}

/** @param {Element} element @param {string} name @param {string | null} value  null: without it */
export function setAttribute(element, name, value) {
	if (element.getAttribute(name) === value) return;
	if (value === null) element.removeAttribute(name);
	else element.setAttribute(name, value);
}

/**
 * Makes `wanted` the children of `parent`, and touches only those that aren't where they belong.
 * From the end, since the commonest move is that of a row that is over, down the list.
 * @param {Element} parent
 * @param {(Element | false | null | undefined | "" | 0)[]} wanted  but for what is falsy
 */
export function arrange(parent, wanted) {
	const nodes = wanted.filter((node) => node instanceof Element);
	if (isArranged(parent, nodes)) return; // nearly always
	const kept = new Set(nodes);
	for (const child of Array.from(parent.children)) if (!kept.has(child)) child.remove();
	/** @type {Element | null} */
	let next = null;
	for (const child of nodes.reverse()) {
		if (child.parentNode !== parent || child.nextElementSibling !== next) move(parent, child, next);
		next = child;
	}
}

/** @param {Element} parent @param {Element[]} nodes */
function isArranged(parent, nodes) {
	let child = parent.firstElementChild;
	for (const node of nodes) {
		if (node !== child) return false;
		child = child.nextElementSibling;
	}
	return child === null;
}

/** Puts a child before another, or last. @param {Element} parent @param {Element} child @param {Element | null} next */
export function move(parent, child, next) {
	// Where the browser has it, moveBefore keeps focus, scroll position and running transitions.
	if ("moveBefore" in parent && child.isConnected && parent.isConnected) {
		/** @type {any} */ (parent).moveBefore(child, next);
	} else {
		parent.insertBefore(child, next);
	}
}
