/** Whose the keys are. */

/**
 * Keeps JupyterLab from taking Enter and Space from a button that was reached by keyboard. After a
 * click it may have its keys: Shift+Enter shall run the cell, as everywhere in the notebook.
 * @param {HTMLElement} node
 */
export function keepKeys(node) {
	node.addEventListener("focusin", ({ target }) => {
		const byKeyboard = target instanceof Element && target.matches(":focus-visible");
		node.toggleAttribute("data-lm-suppress-shortcuts", byKeyboard);
	});
}
