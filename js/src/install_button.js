/** One button for a model or a worker: `rbee_widgets.InstallButton` in the browser. */

import { arrange, button, h, setAttribute, setText } from "./dom.js";
import { ago, moment, oneLine, percent } from "./format.js";
import { icon } from "./icons.js";
import { face, newest } from "./install.js";
import { keepKeys } from "./keys.js";
import { rbeeLink } from "./row.js";
import { createStore } from "./store.js";

/** @typedef {import("./install.js").Offer} Offer */
/** @typedef {import("./install.js").Face} Face */
/** @typedef {import("./rows.js").Snapshot} Snapshot */

/**
 * The traits of `rbee_widgets.InstallButton` that the front end reads; Python alone sets them.
 * @typedef {object} Traits
 * @property {Snapshot} snapshot  the downloads of it, most often one or none
 * @property {Offer} offer
 */

/** @typedef {import("@anywidget/types").AnyModel<Traits>} Model */

/** Milliseconds that a pressed button waits for its effect before it may be pressed again. */
const PENDING_MS = 10_000;

/** Milliseconds that a button rests which came up under the focus: no second press is meant. */
const REST_MS = 600;

/** Characters at the end of a long name that stay when there is no room for all of it. */
const TAIL = 14;

/** What all views of one model share. */
function createButton() {
	/** @type {Model | null} */
	let model = null;
	/**
	 * What stood when Download was pressed, until something of it changes.
	 * @type {{ rows: object, offer: Offer, until: number } | null}
	 */
	let asked = null;
	/** The offer that stood when the download was seen to complete: it is out of date. @type {Offer | null} */
	let outdated = null;

	const store = createStore({
		traits: ["offer"],
		applied(ended) {
			if (ended.some(({ row }) => row.status === "complete"))
				outdated = model?.get("offer") ?? null;
			if (!asked || (asked.rows === store.state.rows && performance.now() < asked.until)) return;
			asked = null;
			store.link.changed();
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
			asked = { rows: store.state.rows, offer, until: performance.now() + PENDING_MS };
			store.link.changed();
		},
		/** @param {Offer} offer */
		isAsked: (offer) => asked?.offer === offer,
		/** @param {Offer} offer */
		isOutdated: (offer) => offer === outdated,
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
	const { link } = store;
	shared.use(model);

	const sign = icon("rbee-icon", "downloading");
	const verb = h("span", { className: "rbee-install-verb" });
	const figures = h("span", { className: "rbee-install-figures" });
	const head = h("span", { className: "rbee-name-head" });
	const tail = h("span", { className: "rbee-name-tail" });
	// Cut for eyes; ears get it whole, and once.
	const name = h(
		"span",
		{ className: "rbee-name", dir: "auto", "aria-hidden": "true" },
		head,
		tail,
	);
	const whole = h("span", { className: "rbee-announcer" });
	const words = h("span", { className: "rbee-install-words" }, verb, " ", figures, whole);
	const inside = h("span", { className: "rbee-install-inside" }, sign.node, words, name);

	const go = h("button", { type: "button", className: "rbee-install-main rbee-install-go" });
	const fill = h("div", { className: "rbee-fill" });
	const bar = h(
		"div",
		{
			className: "rbee-install-main rbee-install-bar",
			role: "progressbar",
			tabIndex: -1,
			"aria-valuemin": 0,
			"aria-valuemax": 100,
		},
		fill,
	);
	const told = h("div", { className: "rbee-install-main rbee-install-told", tabIndex: -1 });
	const MAINS = { go, progress: bar, told };

	const cancel = button("rbee-cancel");
	const away = h("a", { className: "rbee-link" }, "Open in rbee");
	const box = h("div", { className: "rbee-install-box" });
	const error = h("span", { className: "rbee-error-text" });
	const hint = h("span", { className: "rbee-hint" });
	const trouble = h("div", { className: "rbee-error", tabIndex: 0 }, error, hint);
	const announcer = h("div", {
		className: "rbee-announcer",
		role: "status",
		"aria-live": "polite",
	});
	const panel = h("div", { className: "rbee-install", "data-live": "no", "data-new": "" });

	let frame = 0;
	let fraction = 0;
	let restUntil = 0;
	let isRanged = false;

	/** @returns {import("./install.js").Moment} */
	function now() {
		const offer = model.get("offer");
		const row = newest(store.state.rows.values());
		const pending = shared.isAsked(offer) ? "install" : row ? store.pending(row.id) : null;
		const isFresh = shared.isOutdated(offer);
		return { offer, row, pending, isFresh, isRanged, live: link.live };
	}

	function paint() {
		cancelAnimationFrame(frame);
		frame = 0;
		const { live, silence } = link;
		const state = now();
		const { offer, row, pending } = state;
		const looks = face(state);
		isRanged = looks.isRanged;
		const focus = holdFocus();
		if (live) panel.removeAttribute("data-new");
		setAttribute(panel, "data-live", live ? "yes" : "no");
		setAttribute(panel, "data-status", looks.status);
		panel.toggleAttribute("data-busy", silence !== null);
		panel.toggleAttribute("data-stalled", looks.icon === "stalled");
		sign.show(looks.icon);
		setText(verb, looks.verb);
		paintFigures(looks);
		paintName(oneLine(offer.name));
		paintBar(looks);

		const main = MAINS[looks.kind];
		if (inside.parentNode !== main) main.append(inside);
		told.title = looks.path;
		setAttribute(go, "aria-disabled", looks.kind === "go" && pending ? "true" : null);
		const isCancelling = row?.status === "cancelling" || pending === "cancel";
		setText(cancel, isCancelling ? "Cancelling…" : "Cancel");
		setAttribute(cancel, "aria-disabled", isCancelling ? "true" : null);
		setAttribute(
			cancel,
			"aria-label",
			`${isCancelling ? "Cancelling" : "Cancel"} download of ${name.title}`,
		);
		const isLinked = !live && offer.type === "model" && !offer.name.includes("://");
		if (isLinked) away.href = rbeeLink(offer.name);
		arrange(box, [main, looks.kind === "progress" ? cancel : isLinked && away]);
		setText(error, looks.error);
		setText(hint, looks.hint);
		arrange(panel, [box, trouble.textContent && trouble, announcer]);
		announce();
		focus.restore(main);
	}

	/** @param {Face} looks */
	function paintFigures(looks) {
		const { live, silence } = link;
		const { at } = store.state;
		const shown =
			silence !== null
				? ["kernel busy", `last heard ${ago(silence)} ago`]
				: live || at === 0
					? looks.figures
					: [`as of ${moment(at)}`, ...looks.figures];
		if (figures.children.length !== shown.length) {
			figures.replaceChildren(...shown.flatMap(() => [h("span"), " "]));
		}
		shown.forEach((figure, i) => {
			setText(/** @type {Element} */ (figures.children[i]), figure);
		});
	}

	/** @param {string} shown */
	function paintName(shown) {
		if (name.title === shown) return;
		const characters = Array.from(shown);
		const cut = characters.length > 2 * TAIL ? characters.length - TAIL : characters.length;
		setText(head, characters.slice(0, cut).join(""));
		setText(tail, characters.slice(cut).join(""));
		setText(whole, shown);
		name.title = shown;
		setAttribute(bar, "aria-label", shown);
	}

	/** @param {Face} looks */
	function paintBar({ kind, status, value, spoken }) {
		const isKnown = value !== null;
		const isBusy = !isKnown && (status === "downloading" || status === "finishing");
		bar.toggleAttribute("data-unknown", isBusy);
		setAttribute(bar, "aria-valuenow", isKnown ? percent(value).slice(0, -1) : null);
		setAttribute(bar, "aria-valuetext", spoken);
		const to = kind === "progress" ? (value ?? 0) / 100 : 0;
		if (to === fraction) return;
		// A retry starts over: the bar is there at once, instead of running backwards.
		fill.style.transition = to < fraction ? "none" : "";
		fill.style.transform = `scaleX(${to.toFixed(4)})`;
		fraction = to;
	}

	function announce() {
		for (const { row, words: end } of store.takeNews()) {
			const told = row.status === "complete" ? "is installed" : end;
			announcer.replaceChildren(h("p", {}, `${oneLine(row.name)} ${told}.`));
		}
	}

	/** Gives the focus back when what had it is gone. */
	function holdFocus() {
		const root = /** @type {Document | ShadowRoot} */ (panel.getRootNode());
		const focused = root.activeElement;
		const had = focused !== null && panel.contains(focused);
		return {
			restore(/** @type {HTMLElement} */ main) {
				if (!had || panel.contains(root.activeElement)) return;
				main.focus({ preventScroll: true });
				restUntil = performance.now() + REST_MS;
			},
		};
	}

	/** @param {"cancel" | "retry"} action */
	function press(action) {
		const { row, pending } = now();
		if (row && !pending && performance.now() > restUntil) store.act(action, [row.id]);
	}

	go.onclick = () => {
		const state = now();
		if (state.pending || performance.now() < restUntil) return;
		if (face(state).verb === "Retry") press("retry");
		else shared.install(state.offer);
	};
	cancel.onclick = () => press("cancel");

	function schedule() {
		if (frame === 0) frame = requestAnimationFrame(paint);
	}

	keepKeys(panel);
	paint();
	el.append(panel);
	const leave = store.join({ model, node: panel, changed: schedule, isOpen: () => false });
	return () => {
		leave();
		cancelAnimationFrame(frame);
		panel.remove();
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
