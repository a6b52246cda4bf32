/** What was asked for by a press of Download, and which offers a download has overtaken. */

/** @typedef {import("./rows.js").Row} Row */

/** Milliseconds that a pressed button waits for its effect before it may be pressed again. */
const PENDING_MS = 10_000;

/**
 * Offers are told apart by a key, and a changed one is another object.
 * @template {object} T
 */
export function createOffers() {
	/**
	 * What stood when Download was pressed, until something of it changes.
	 * @type {Map<string, { row: Row | null, offer: T, until: number }>}
	 */
	const asked = new Map();
	/** The offers that stood when a download of them was seen to complete. @type {WeakSet<T>} */
	const outdated = new WeakSet();

	return {
		/** @param {string} key @param {Row | null} row  the newest download of it @param {T} offer */
		ask(key, row, offer) {
			asked.set(key, { row, offer, until: performance.now() + PENDING_MS });
		},
		/** @param {string} key @param {T} offer */
		isAsked: (key, offer) => asked.get(key)?.offer === offer,
		/** Its download is complete, and what it says of that is old. @param {T} offer */
		outdate: (offer) => outdated.add(offer),
		/** @param {T} offer */
		isOutdated: (offer) => outdated.has(offer),
		/**
		 * Forgets what had its effect, or had none for too long.
		 * @param {(key: string) => Row | null} rowOf
		 * @returns {boolean} whether anything was forgotten
		 */
		settle(rowOf) {
			const before = asked.size;
			for (const [key, { row, until }] of asked) {
				if (rowOf(key) !== row || performance.now() >= until) asked.delete(key);
			}
			return asked.size < before;
		},
	};
}
