/** What a marketplace shows, reduced from what Python sends. Pure: no DOM, no model, no clock. */

/**
 * What is looked for, and the number that the page gave it. Null: whatever it be.
 * @typedef {object} Query
 * @property {number} n
 * @property {string} text
 * @property {string} source
 * @property {string} order
 * @property {string | null} format
 * @property {string | null} task
 * @property {string | null} library
 * @property {string | null} language
 * @property {string | null} license
 * @property {number | null} least   billions of parameters
 * @property {number | null} most
 */

/**
 * Null: not told.
 * @typedef {object} Model
 * @property {string} id
 * @property {string} author
 * @property {string | null} title        what people call it, where that isn't its id
 * @property {number | null} downloads
 * @property {number | null} likes
 * @property {number | null} parameters
 * @property {string | null} task
 * @property {string | null} license
 * @property {number | null} created_at   unix seconds
 * @property {number | null} updated_at
 * @property {string | null} gate         why not everybody may fetch it, and what to do
 * @property {string | null} url          its page for people
 */

/**
 * Why something failed, and in how many seconds it may be asked again, where that is told.
 * @typedef {{ text: string, retry: number | null }} Trouble
 */

/** @typedef {"gpu" | "offload" | "no" | "unknown"} Verdict */

/**
 * What a file takes of a hive's memory, in bytes; lists go by the stops of the context.
 * @typedef {object} Fit
 * @property {Verdict[]} verdicts
 * @property {string | null} why      it is unknown
 * @property {number} weights         in the GPU's memory, where it fits there
 * @property {number} host            beside these, what lies in the host's memory all the same
 * @property {number[]} kv
 * @property {number[]} compute
 * @property {number} overhead
 * @property {number | null} trained  the longest context it was trained for
 */

/**
 * Null: not known.
 * @typedef {object} File
 * @property {string} id              what is installed: "org/repo:path", or an address
 * @property {string} path
 * @property {number | null} size     bytes, of all parts
 * @property {string | null} quantisation
 * @property {number} parts
 * @property {boolean | null} installed
 * @property {string | null} place    where it is installed
 * @property {string | null} sha256
 * @property {string | null} cannot   why it can't be installed
 * @property {Fit | null} fit         null: not known yet
 * @property {string | null} [error]  why it wasn't installed, or isn't known
 */

/**
 * @typedef {{ state: "loading" }
 *   | { state: "error", error: string, retry: number | null }
 *   | { state: "there", files: File[], more: number, license: string | null, gate: string | null }} Files
 */

/**
 * @typedef {{ state: "loading" }
 *   | { state: "error", error: string }
 *   | { state: "there", html: string }} Card
 */

/** @typedef {{ name: string, title: string, filters: string[], orders: string[] }} Source */

/**
 * @typedef {object} Hive
 * @property {string} id
 * @property {string | null} error   why it tells nothing
 * @property {number | null} gpu     bytes of memory, of all its GPUs
 * @property {number | null} ram
 * @property {{ name: string, type: string, memory: number }[]} devices
 * @property {number | null} free    bytes of its disk
 * @property {number} promised       of these, what running downloads will take
 * @property {number | null} speed   bytes per second, of late
 */

/**
 * @typedef {object} Told
 * @property {Query | null} query    what the models answer
 * @property {number} asked          the newest search that Python has taken
 * @property {boolean} searching     or fetching a further page
 * @property {boolean} more          there may be more models
 * @property {Trouble | null} trouble
 * @property {Source[]} sources
 * @property {{ id: string }[]} hives
 * @property {Hive | null} hive      the chosen one
 * @property {number[]} contexts     tokens: the stops of the slider
 * @property {number} context        the index of its first
 * @property {number} at             unix seconds
 */

/**
 * @typedef {Told & {
 *   rev: number,
 *   gap: boolean,
 *   models: Model[],
 *   files: Map<string, Files>,
 *   cards: Map<string, Card>,
 * }} Market   `gap`: changes are known to be missing
 */

/**
 * What Python sends: the changes since a revision, or since -1 all there is.
 * @typedef {object} Message
 * @property {number} rev
 * @property {number} since
 * @property {Partial<Told> & { models?: Model[] }} [set]   `models`: the list begins anew with these
 * @property {Model[]} [append]
 * @property {Record<string, Files | null>} [files]   null: no longer
 * @property {Record<string, Card | null>} [cards]
 */

/** @type {Market} */
export const EMPTY = {
	rev: -1,
	gap: false,
	query: null,
	asked: 0,
	searching: false,
	more: false,
	trouble: null,
	sources: [],
	hives: [],
	hive: null,
	contexts: [],
	context: 0,
	at: 0,
	models: [],
	files: new Map(),
	cards: new Map(),
};

/**
 * The state after a message. What doesn't change stays the same object.
 * @param {Market} state
 * @param {Message} message
 * @returns {Market}
 */
export function reduce(state, message) {
	const { rev, since } = message;
	if (since === -1) return { ...applied(EMPTY, message), rev };
	if (rev <= state.rev) return state;
	if (since !== state.rev) return { ...state, gap: true };
	return { ...applied(state, message), rev };
}

/**
 * What a page without a kernel holds. It is bounded, so it counts for no revision: a kernel that
 * comes back is asked for the whole.
 * @param {Message} held
 * @returns {Market}
 */
export function restored(held) {
	return { ...applied(EMPTY, held), rev: -1 };
}

/** @param {Market} state @param {Message} message @returns {Market} */
function applied(state, { set = {}, append = [], files = {}, cards = {} }) {
	const { models: anew, query, more, ...rest } = set;
	const merged = {
		...state,
		...rest,
		files: withEntries(state.files, files),
		cards: withEntries(state.cards, cards),
	};
	// The answer to an older search than the one whose answer stands there.
	if (query && state.query && query.n < state.query.n) return merged;
	return {
		...merged,
		query: query ?? state.query,
		more: more ?? state.more,
		models: withModels(anew ?? state.models, append),
	};
}

/** @param {Model[]} before @param {Model[]} added */
function withModels(before, added) {
	if (added.length === 0) return before;
	// Of results that shift while they are paged through, some come twice.
	const known = new Set(before.map(({ id }) => id));
	const fresh = added.filter(({ id }) => !known.has(id) && known.add(id));
	return [...before, ...fresh];
}

/**
 * @template T
 * @param {Map<string, T>} before
 * @param {Record<string, T | null>} changes
 */
function withEntries(before, changes) {
	const changed = Object.entries(changes);
	if (changed.length === 0) return before;
	const after = new Map(before);
	for (const [id, value] of changed) {
		if (value === null) after.delete(id);
		else after.set(id, value);
	}
	return after;
}

/** The source that was searched. @param {Market} state @returns {Source | null} */
export function sourceOf({ sources, query }) {
	return sources.find(({ name }) => name === query?.source) ?? sources[0] ?? null;
}

/** The filters that a query sets, the text aside. */
export const FILTERS = /** @type {const} */ ([
	"format",
	"task",
	"library",
	"language",
	"license",
	"least",
	"most",
]);

/** @typedef {typeof FILTERS[number]} Filter */
