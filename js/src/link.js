/**
 * The connection of one model to its kernel, shared by all its views in a page: the one
 * subscription, whether the kernel lives and answers, and the lease by which Python sends only what
 * somebody looks at. anywidget hands `initialize` and each `render` a proxy of their own, so a model
 * can't be told by identity; a link is made once a model instead.
 */

/** Milliseconds after which a lease is renewed; Python lets it lapse after three times as many. */
const RENEW_MS = 5000;

/** Milliseconds between two questions for what was missed. */
const PATIENCE_MS = 1000;

/** Milliseconds of silence after which a kernel that has something to say counts as busy. */
const SILENCE_MS = 5000;

const TICK_MS = 1000;

/**
 * What a kind of widget brings to its link.
 * @template {Record<string, any>} Traits
 * @typedef {object} Widget
 * @property {(keyof Traits & string)[]} traits   those that `restore` reads
 * @property {(model: Model<Traits>) => void} restore   takes over what the traits hold
 * @property {(message: any) => void} receive   takes a message of the kernel
 * @property {() => object} held   what a `shown` tells of the state held: `{ seq, open }`, `{ rev }`
 * @property {() => boolean} isWorking   whether the kernel would speak by itself: then silence is telling
 * @property {() => void} [tick]   once a second while shown
 */

/**
 * @template {Record<string, any>} Traits
 * @typedef {import("@anywidget/types").AnyModel<Traits>} Model
 */

/**
 * @template {Record<string, any>} Traits
 * @typedef {object} View
 * @property {Model<Traits>} model   as this view has it
 * @property {Element} node          looked at, or scrolled out of sight
 * @property {() => void} changed    paints; called only in sight, once for all that came meanwhile
 * @property {() => void} [appeared]  it came into sight, perhaps from outside the page
 */

/**
 * @template {Record<string, any>} Traits
 * @param {Widget<Traits>} widget
 */
export function createLink(widget) {
	const page = Math.random().toString(36).slice(2);
	/** @type {Map<View<Traits>, { inSight: boolean, stale: boolean }>} */
	const views = new Map();
	/** @type {{ model: Model<Traits>, release: () => void } | null} */
	let connection = null;
	let live = false;
	/** Whether the page counts as shown though nobody may look at it. */
	let kept = false;
	let shown = false;
	// Moments, in milliseconds of performance.now(), which no set clock turns back.
	let shownAt = 0;
	let heardAt = 0;
	let askedAt = Number.NEGATIVE_INFINITY;
	/** When the first question was sent that no message has followed yet. @type {number | null} */
	let waitingSince = null;
	/** Whether a question is due that came too soon after another. */
	let owed = false;
	/** Seconds since the kernel was heard, while it is busy. @type {number | null} */
	let silence = null;
	let ticker = 0;

	function changed() {
		for (const [view, sight] of views) {
			if (sight.inSight) view.changed();
			else sight.stale = true;
		}
	}

	/** @param {boolean} now */
	function setLive(now) {
		if (live === now) return;
		live = now;
		changed();
	}

	/** @param {number | null} now */
	function setSilence(now) {
		if (silence === now) return;
		silence = now;
		changed();
	}

	function measureSilence() {
		const since = widget.isWorking() ? Math.max(heardAt, shownAt) : waitingSince;
		const now = performance.now();
		const busy = live && shown && since !== null && now - since > SILENCE_MS;
		setSilence(busy ? Math.round((now - heardAt) / 1000) : null);
	}

	/**
	 * @param {object} content  never with a key `id`, which ipykernel takes for its own
	 * @returns {boolean} whether it could be sent
	 */
	function send(content) {
		if (!connection) return false;
		// The comm is gone, and the kernel with it: Jupyter throws, marimo's promise fails.
		const gone = () => setLive(false);
		try {
			Promise.resolve(connection.model.send(content)).catch(gone);
		} catch {
			gone();
			return false;
		}
		waitingSince ??= performance.now();
		return true;
	}

	/** Tells Python at once that this page looks on, and what it holds: an answer brings the rest. */
	function renew() {
		if (!shown) return;
		askedAt = performance.now();
		owed = false;
		send({ kind: "shown", page, ...widget.held() });
	}

	/** Asks for what was missed, but not all the time. */
	function ask() {
		owed = true;
		keepUp();
	}

	function keepUp() {
		const since = performance.now() - askedAt;
		// Half a tick too early rather than a whole one too late.
		if (since > RENEW_MS - TICK_MS / 2 || (owed && since >= PATIENCE_MS)) renew();
	}

	function tick() {
		keepUp();
		widget.tick?.();
		measureSilence();
	}

	/** Begins or ends the lease. */
	function look() {
		const seen = document.visibilityState === "visible" && [...views.values()].some(isInSight);
		const now = views.size > 0 && (kept || seen);
		if (now === shown) return;
		shown = now;
		if (shown) {
			shownAt = performance.now();
			renew();
			// JupyterLab opens a way past a running cell meanwhile: what came first may wait for its end.
			owed = !live;
			ticker = window.setInterval(tick, TICK_MS);
		} else {
			clearInterval(ticker);
			send({ kind: "hidden", page });
			waitingSince = null;
			setSilence(null);
		}
	}

	/**
	 * Listens to a model.
	 * @param {Model<Traits>} model
	 * @returns {() => void} stops listening
	 */
	function connect(model) {
		/** @param {any} message */
		const receive = (message) => {
			heardAt = performance.now();
			waitingSince = null;
			owed &&= live; // the first word answers the first question
			setSilence(null);
			setLive(true);
			widget.receive(message);
			if (shown) keepUp(); // a hidden tab's timers sleep, messages don't
		};
		const restore = () => widget.restore(model);
		// ipywidgets tells so of a kernel that went away or came back: only an answer shows which.
		const doubt = () => {
			setLive(false);
			renew();
		};
		/** @type {[string, (message: any) => void][]} */
		const handlers = [
			["msg:custom", receive],
			...widget.traits.map(
				(name) => /** @type {[string, () => void]} */ ([`change:${name}`, restore]),
			),
			["comm_live_update", doubt],
		];
		const release = () => {
			for (const [event, handler] of handlers) model.off(event, handler);
			if (connection?.model === model) connection = null;
		};
		connection = { model, release };
		for (const [event, handler] of handlers) model.on(event, handler);
		restore();
		return release;
	}

	/**
	 * @param {View<Traits>} view
	 * @returns {() => void} ends it
	 */
	function join(view) {
		// A host that knows no `initialize`: what is restored now, this view hasn't painted.
		const stale = !connection;
		if (stale) connect(view.model);
		const sight = { inSight: false, stale };
		if (views.size === 0) document.addEventListener("visibilitychange", look);
		views.set(view, sight);
		const observer = new IntersectionObserver((entries) => {
			sight.inSight = entries.at(-1)?.isIntersecting ?? false;
			look();
			if (!sight.inSight) return;
			view.appeared?.();
			if (sight.stale) {
				sight.stale = false;
				view.changed();
			}
		});
		observer.observe(view.node);
		look();
		return () => {
			observer.disconnect();
			views.delete(view);
			look();
			if (views.size === 0) document.removeEventListener("visibilitychange", look);
			if (connection?.model !== view.model) return;
			// The host knows no `initialize`, and we listened through this view's proxy.
			connection.release();
			const [next] = views.keys();
			if (next) connect(next.model);
		};
	}

	/** Whether the page counts as shown though its tab is hidden. @param {boolean} on */
	function keep(on) {
		kept = on;
		look();
	}

	return {
		connect,
		join,
		send,
		renew,
		ask,
		keep,
		changed,
		/** What Python tells the pages by that show the widget. */
		page,
		/** Whether a view is looked at, as far as Python was told. */
		get shown() {
			return shown;
		},
		/** Whether a kernel has spoken, and none of its signs of going away came since. */
		get live() {
			return live;
		},
		/** Seconds since the kernel was heard while it is busy, else null. */
		get silence() {
			return silence;
		},
	};
}

/** @param {{ inSight: boolean }} sight */
function isInSight(sight) {
	return sight.inSight;
}
