/**
 * What a widget carries in a notebook of Jupyter's: it takes the code from one model that all
 * widgets of its kind share, so that a page and a saved notebook hold the code once. Other hosts
 * are given the code itself.
 */

/** @typedef {import("@anywidget/types").AnyModel<{ _code: string }>} Model */
/** @typedef {{ default: () => { render: (props: any) => any } }} Module */

const REFERENCE = "IPY_MODEL_";

/** Of each shared model its module; one map for all loaders of the page, each a module of its own. */
const KEY = Symbol.for("rbee_widgets");
const page = /** @type {Record<symbol, WeakMap<object, Promise<Module>>>} */ (
	/** @type {unknown} */ (globalThis)
);
page[KEY] ??= new WeakMap();
const modules = page[KEY];

/** @param {Model} model */
async function load(model) {
	const id = model.get("_code").replace(REFERENCE, "");
	const shared = await model.widget_manager.get_model(id);
	const module = modules.get(shared) ?? imported(shared);
	modules.set(shared, module);
	return module;
}

/** @param {{ get: (name: string) => string }} shared @returns {Promise<Module>} */
async function imported(shared) {
	style(shared.get("kind"), shared.get("css"));
	const url = URL.createObjectURL(new Blob([shared.get("esm")], { type: "text/javascript" }));
	try {
		return await import(url);
	} finally {
		URL.revokeObjectURL(url);
	}
}

/** @param {string} id @param {string} css */
function style(id, css) {
	const there = document.getElementById(id);
	if (there) there.textContent = css;
	else
		document.head.append(Object.assign(document.createElement("style"), { id, textContent: css }));
}

export default function loader() {
	/** @type {Promise<ReturnType<Module["default"]>> | undefined} */
	let widget;
	return {
		// Not in `initialize`: anywidget gives a model up that takes longer than two seconds there.
		/** @param {{ model: Model, el: HTMLElement }} props */
		async render(props) {
			widget ??= load(props.model).then((module) => module.default());
			return (await widget).render(props);
		},
	};
}
