/** One button for a model or a worker: `rbee_widgets.InstallButton` in the browser. */

import { h } from "./dom.js";
import { oneLine } from "./format.js";
import { newest } from "./install.js";
import { createInstallView } from "./install_view.js";
import { keepKeys } from "./keys.js";
import { createOffers } from "./offers.js";
import { createStore } from "./store.js";

/** @typedef {import("./install.js").Offer} Offer */
/** @typedef {import("./rows.js").Snapshot} Snapshot */

/**
 * The traits of `rbee_widgets.InstallButton` that the front end reads; Python alone sets them.
 * @typedef {object} Traits
 * @property {Snapshot} snapshot  the downloads of it, most often one or none
 * @property {Offer} offer
 */

/** @typedef {import("@anywidget/types").AnyModel<Traits>} Model */

/** What all views of one model share. */
function createButton() {
	/** @type {Model | null} */
	let model = null;
	/** @type {ReturnType<typeof createOffers<Offer>>} */
	const offers = createOffers();

	const newestRow = () => newest(store.state.rows.values());

	const store = createStore({
		traits: ["offer"],
		applied(ended) {
			const offer = model?.get("offer");
			if (offer && ended.some(({ row }) => row.status === "complete")) offers.outdate(offer);
			if (offers.settle(newestRow)) store.link.changed();
		},
	});

	return {
		store,
		/** @param {Model} one  the first that speaks for the widget */
		use(one) {
			model ??= one;
		},
		/** @param {Offer} offer */
		install(offer) {
			if (!store.link.send({ kind: "install" })) return;
			offers.ask("", newestRow(), offer);
			store.link.changed();
		},
		/** @param {Offer} offer @returns {import("./install_view.js").Shown} */
		now(offer) {
			const row = newestRow();
			const { live, silence } = store.link;
			return {
				offer,
				row,
				pending: offers.isAsked("", offer) ? "install" : row ? store.pending(row.id) : null,
				isFresh: offers.isOutdated(offer),
				live,
				silence,
				at: store.state.at,
			};
		},
	};
}

/**
 * @param {ReturnType<typeof createButton>} shared
 * @param {Model} model  as this view has it
 * @param {HTMLElement} el
 * @returns {() => void} takes the view down
 */
function show(shared, model, el) {
	const { store } = shared;
	shared.use(model);
	const announcer = h("div", {
		className: "rbee-announcer",
		role: "status",
		"aria-live": "polite",
	});
	const view = createInstallView(
		{
			now: () => shared.now(model.get("offer")),
			install: () => shared.install(model.get("offer")),
			act: (action, id) => store.act(action, [id]),
		},
		{ announcer },
	);
	let frame = 0;

	function paint() {
		cancelAnimationFrame(frame);
		frame = 0;
		view.paint();
		announce();
	}

	function announce() {
		for (const { row, words: end } of store.takeNews()) {
			const told = row.status === "complete" ? "is installed" : end;
			announcer.replaceChildren(h("p", {}, `${oneLine(row.name)} ${told}.`));
		}
	}

	function schedule() {
		if (frame === 0) frame = requestAnimationFrame(paint);
	}

	keepKeys(view.node);
	paint();
	el.append(view.node);
	const leave = store.join({ model, node: view.node, changed: schedule, isOpen: () => false });
	return () => {
		leave();
		cancelAnimationFrame(frame);
		view.node.remove();
	};
}

/**
 * Called once a model, so that all its views share one download.
 * @returns {{
 *   initialize: import("@anywidget/types").Initialize<Traits>,
 *   render: import("@anywidget/types").Render<Traits>,
 * }}
 */
export default function installButton() {
	const shared = createButton();
	return {
		initialize({ model }) {
			shared.use(model);
			return shared.store.link.connect(model);
		},
		render: ({ model, el }) => show(shared, model, el),
	};
}
