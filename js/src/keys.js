/** Whose the keys are. */

/** Those that step through what there is to choose, beside letters. */
const STEPS = new Set(
	"ArrowUp ArrowDown ArrowLeft ArrowRight Home End PageUp PageDown Enter".split(" "),
);

/**
 * Keeps JupyterLab from taking Enter and Space from a button that was reached by keyboard. After a
 * click it may have its keys: Shift+Enter shall run the cell, as everywhere in the notebook.
 *
 * A list of choices and a slider keep theirs in any case: a letter, which would choose there, else
 * makes the cell one of Markdown, or cuts it.
 * @param {HTMLElement} node
 */
export function keepKeys(node) {
	node.addEventListener("focusin", ({ target }) => {
		const byKeyboard = target instanceof Element && target.matches(":focus-visible");
		node.toggleAttribute("data-lm-suppress-shortcuts", byKeyboard);
	});
	node.addEventListener("keydown", (event) => {
		const { target, key } = event;
		if (!(target instanceof Element) || !target.matches("select, [type=range]")) return;
		if (event.ctrlKey || event.metaKey || event.altKey) return;
		const isChoice = key.length === 1 || (STEPS.has(key) && !event.shiftKey);
		if (isChoice) event.stopPropagation();
	});
}
