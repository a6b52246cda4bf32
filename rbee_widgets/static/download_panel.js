// src/dom.js
function h(tag, props = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(props)) {
    if (name.includes("-") || name === "role") element.setAttribute(name, String(value));
    else Reflect.set(element, name, value);
  }
  element.append(...children);
  return element;
}
function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}
function setAttribute(element, name, value) {
  if (element.getAttribute(name) === value) return;
  if (value === null) element.removeAttribute(name);
  else element.setAttribute(name, value);
}
function arrange(parent, wanted) {
  const kept2 = new Set(wanted);
  for (const child of Array.from(parent.children)) if (!kept2.has(child)) child.remove();
  let next = null;
  for (const child of [...wanted].reverse()) {
    if (child.parentNode !== parent || child.nextElementSibling !== next) move(parent, child, next);
    next = child;
  }
}
function move(parent, child, next) {
  if ("moveBefore" in parent && child.parentNode === parent && parent.isConnected) {
    parent.moveBefore(child, next);
  } else {
    parent.insertBefore(child, next);
  }
}

// src/format.js
var UNITS = ["B", "kB", "MB", "GB", "TB", "PB"];
function bytes(amount2, digits = 3) {
  let value = Math.max(0, amount2);
  let unit = 0;
  while (unit < UNITS.length - 1 && Number(value.toFixed(decimals(value, digits))) >= 1e3) {
    value /= 1e3;
    unit += 1;
  }
  return `${value.toFixed(unit === 0 ? 0 : decimals(value, digits))} ${UNITS[unit]}`;
}
function decimals(value, digits) {
  const whole = value < 10 ? 1 : value < 100 ? 2 : 3;
  return Math.max(0, digits - whole);
}
function speed(rate, digits) {
  return `${bytes(rate, digits)}/s`;
}
function percent(percentage) {
  if (percentage >= 100) return "100%";
  return `${(Math.floor(percentage * 10 + 1e-6) / 10).toFixed(1)}%`;
}
var MINUTE = 60;
var HOUR = 60 * MINUTE;
var DAY = 24 * HOUR;
function quantised(seconds) {
  const step = seconds < MINUTE ? 5 : seconds < 10 * MINUTE ? 30 : seconds < HOUR ? MINUTE : 5 * MINUTE;
  return Math.max(5, Math.round(seconds / step) * step);
}
function parts(seconds) {
  const left = quantised(seconds);
  const days = Math.floor(left / DAY);
  const hours = Math.floor(left % DAY / HOUR);
  const minutes = Math.floor(left % HOUR / MINUTE);
  const all = [
    [days, "day"],
    [hours, "hour"],
    [days ? 0 : minutes, "minute"],
    [hours || days ? 0 : left % MINUTE, "second"]
  ];
  return all.filter(([count]) => count > 0);
}
function duration(seconds) {
  return parts(seconds).map(([count, unit]) => `${count}${unit[0]}`).join(" ");
}
function spokenDuration(seconds) {
  return parts(seconds).map(([count, unit]) => counted(count, unit)).join(" ");
}
var WIDE = 1.5;
var STILL_WIDE = 1.3;
function span(range, shown) {
  if (!range) return null;
  const [low, high] = range;
  if (high < MINUTE || high < low * (shown ? STILL_WIDE : WIDE)) return null;
  const [from, fromUnit] = coarse(low);
  const [to, toUnit] = coarse(high);
  if (from === to && fromUnit === toUnit) return null;
  const alike = fromUnit === toUnit;
  return {
    text: `${from}${alike ? "" : fromUnit[0]}–${to}${toUnit[0]}`,
    spoken: `${alike ? from : counted(from, fromUnit)} to ${counted(to, toUnit)}`
  };
}
var COARSE = [
  [55, 10, 1, "second"],
  [9.5 * MINUTE, MINUTE, MINUTE, "minute"],
  [57.5 * MINUTE, 5 * MINUTE, MINUTE, "minute"],
  [23.5 * HOUR, HOUR, HOUR, "hour"],
  [Number.POSITIVE_INFINITY, DAY, DAY, "day"]
];
function coarse(seconds) {
  const [, step, size, unit] = COARSE.find(([below]) => seconds < below) ?? [0, 1, 1, "second"];
  return [Math.max(1, Math.round(seconds / step)) * step / size, unit];
}
function counted(count, unit) {
  return `${count} ${unit}${count === 1 ? "" : "s"}`;
}
function clock(at) {
  const date = new Date(at * 1e3);
  return [date.getHours(), date.getMinutes(), date.getSeconds()].map((part) => String(part).padStart(2, "0")).join(":");
}
function moment(at, now = /* @__PURE__ */ new Date()) {
  const date = new Date(at * 1e3);
  if (date.toDateString() === now.toDateString()) return clock(at).slice(0, 5);
  return date.toLocaleString([], { dateStyle: "medium", timeStyle: "short" });
}
var BIDI = /* @__PURE__ */ new Map([
  ["؜", "ALM"],
  ["‎", "LRM"],
  ["‏", "RLM"],
  ["‪", "LRE"],
  ["‫", "RLE"],
  ["‬", "PDF"],
  ["‭", "LRO"],
  ["‮", "RLO"],
  ["⁦", "LRI"],
  ["⁧", "RLI"],
  ["⁨", "FSI"],
  ["⁩", "PDI"]
]);
function visible(text) {
  return text.replace(
    /[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/g,
    (control) => `⟨${BIDI.get(control)}⟩`
  );
}
function shorten(text, most) {
  const characters = Array.from(text);
  if (characters.length <= most) return text;
  const tail = Math.floor((most - 1) / 2);
  const head = most - 1 - tail;
  return `${characters.slice(0, head).join("")}…${characters.slice(-tail).join("")}`;
}
function oneLine(text) {
  return shorten(visible(text.replace(/\s+/g, " ").trim()), 300);
}
function prose(text) {
  return shorten(visible(text), 2e3);
}

// src/icons.js
var RING = "M8 2.5a5.5 5.5 0 1 0 0 11a5.5 5.5 0 1 0 0-11";
var OPEN_RING = "M8 2.5a5.5 5.5 0 1 1-5.5 5.5";
var PATHS = {
  queued: `${RING}M8 5v3l2 1.5`,
  downloading: "M8 2.5v8M4.5 7.2L8 10.7l3.5-3.5M3 13.5h10",
  stalled: "M6 4v8M10 4v8",
  finishing: `${OPEN_RING}M5.5 8.2l2 2l3.2-4`,
  cancelling: `${OPEN_RING}M6.2 6.2l3.6 3.6M9.8 6.2l-3.6 3.6`,
  complete: "M3 8.5l3.5 3.5L13 4.5",
  cancelled: `${RING}M4.2 11.8l7.6-7.6`,
  failed: "M8 2.5L14 13H2zM8 6.5v3M8 11.2v.1",
  interrupted: "M2 8h4M10 8h4M6 5v6M10 5v6",
  chevron: "M6 4l4 4l-4 4"
};
var SVG = "http://www.w3.org/2000/svg";
function icon(className, first) {
  const node = document.createElementNS(SVG, "svg");
  const path = document.createElementNS(SVG, "path");
  for (const [name, value] of Object.entries({
    class: className,
    viewBox: "0 0 16 16",
    "aria-hidden": "true",
    focusable: "false"
  })) {
    node.setAttribute(name, value);
  }
  node.append(path);
  let shown = "";
  function show2(name) {
    if (name === shown) return;
    shown = name;
    path.setAttribute("d", PATHS[name]);
  }
  show2(first);
  return { node, show: show2 };
}

// src/narration.js
var NEAR = 8;
function createNarration(id) {
  const empty = h("li", { className: "rbee-line rbee-line-empty" }, "No narration yet");
  const node = h("ol", { id, className: "rbee-narration", tabIndex: 0 }, empty);
  const painted = /* @__PURE__ */ new Map();
  let last;
  let atEnd = true;
  node.onscroll = () => {
    atEnd = node.scrollHeight - node.scrollTop - node.clientHeight < NEAR;
  };
  function paint(lines) {
    if (lines === last) return;
    last = lines;
    const kept2 = new Set(lines.map((line) => line.n));
    for (const [n, { node: old }] of painted) {
      if (kept2.has(n)) continue;
      old.remove();
      painted.delete(n);
    }
    let previous = null;
    for (const line of lines) {
      const old = painted.get(line.n);
      const current = old?.line === line ? old.node : lineNode(line);
      if (old && old.node !== current) old.node.replaceWith(current);
      else if (!old && previous) previous.after(current);
      else if (!old) node.prepend(current);
      painted.set(line.n, { node: current, line });
      previous = current;
    }
    if (lines.length > 0) empty.remove();
    else node.append(empty);
    if (atEnd) toEnd();
  }
  function toEnd() {
    atEnd = true;
    node.scrollTop = node.scrollHeight;
  }
  function label(name) {
    node.setAttribute("aria-label", `Narration of ${name}`);
  }
  return { node, paint, toEnd, label };
}
function lineNode({ at, action, text }) {
  const words = h("span", { className: "rbee-line-text" });
  setText(words, prose(text));
  return h(
    "li",
    { className: "rbee-line" },
    h("span", { className: "rbee-line-time" }, clock(at)),
    " ",
    ...action ? [h("span", { className: "rbee-line-action" }, prose(action)), " "] : [],
    words
  );
}

// src/rows.js
var MOST_LINES = 1e3;
var PATIENCE = 2;
var EMPTY = { seq: -1, at: 0, rows: /* @__PURE__ */ new Map(), order: [], lines: /* @__PURE__ */ new Map(), gap: null };
var GROUP = {
  queued: 0,
  downloading: 0,
  finishing: 0,
  cancelling: 0,
  failed: 1,
  cancelled: 1,
  interrupted: 1,
  complete: 2
};
var BUTTONS = {
  queued: ["cancel"],
  downloading: ["cancel"],
  finishing: ["cancel"],
  cancelling: ["cancelling"],
  complete: ["clear"],
  cancelled: ["retry", "clear"],
  failed: ["retry", "clear"],
  interrupted: ["retry", "clear"]
};
function isActive(row) {
  return GROUP[row.status] === 0;
}
function buttons(row) {
  return BUTTONS[row.status];
}
function shownPercentage(row) {
  if (row.status === "complete") return 100;
  if (row.percentage === null) return null;
  return Math.min(99.9, Math.max(0, row.percentage));
}
function reduce(state, message) {
  if (message.kind === "snapshot") return withSnapshot(state, message);
  if (message.kind === "delta") return withDelta(state, message);
  if (message.kind === "narration" && state.lines.has(message.id)) {
    return { ...state, lines: new Map(state.lines).set(message.id, merged([], message.lines)) };
  }
  return state;
}
function withSnapshot(state, { seq, at, rows }) {
  if (seq < state.seq) return state;
  return ordered(state, {
    ...state,
    seq,
    at,
    rows: new Map(rows.map((row) => [row.id, kept(state.rows.get(row.id), row)])),
    gap: null
  });
}
function withDelta(state, { seq, at, rows, lines = {} }) {
  if (seq <= state.seq) {
    const kept2 = withLines(state.lines, lines);
    return kept2 === state.lines ? state : { ...state, lines: kept2 };
  }
  if (seq !== state.seq + 1) {
    const asked = state.gap !== null && at - state.gap < PATIENCE;
    return asked ? state : { ...state, gap: at };
  }
  const after = new Map(state.rows);
  for (const row of rows) after.set(row.id, kept(after.get(row.id), row));
  return ordered(state, { ...state, seq, at, rows: after, lines: withLines(state.lines, lines) });
}
function kept(before, after) {
  if (!before) return after;
  const names = (
    /** @type {(keyof Row)[]} */
    Object.keys(after)
  );
  return names.every((name) => isSame(before[name], after[name])) ? before : after;
}
function isSame(a, b) {
  if (!Array.isArray(a) || !Array.isArray(b)) return a === b;
  return a[0] === b[0] && a[1] === b[1];
}
function ordered(before, after) {
  if (before.rows.size === after.rows.size && keepsOrder(before.rows, after.rows)) return after;
  const rows = [...after.rows.values()];
  rows.sort(
    (a, b) => GROUP[a.status] - GROUP[b.status] || b.created_at - a.created_at || (a.id < b.id ? 1 : a.id > b.id ? -1 : 0)
  );
  return { ...after, order: rows.map((row) => row.id) };
}
function keepsOrder(before, after) {
  for (const [id, row] of after) {
    const old = before.get(id);
    if (old === row) continue;
    if (!old || GROUP[old.status] !== GROUP[row.status] || old.created_at !== row.created_at) {
      return false;
    }
  }
  return true;
}
function withLines(before, added) {
  const opened2 = Object.entries(added).filter(([id]) => before.has(id));
  if (opened2.length === 0) return before;
  const after = new Map(before);
  for (const [id, lines] of opened2) after.set(id, merged(before.get(id) ?? [], lines));
  return after;
}
function merged(before, added) {
  const lines = new Map(before.map((line) => [line.n, line]));
  for (const line of added) lines.set(line.n, line);
  return [...lines.values()].sort((a, b) => a.n - b.n).slice(-MOST_LINES);
}
function opened(state, id) {
  if (state.lines.has(id)) return state;
  return { ...state, lines: new Map(state.lines).set(id, []) };
}
function closed(state, id) {
  const lines = new Map(state.lines);
  lines.delete(id);
  return { ...state, lines };
}
function summary(state) {
  let active = 0;
  let speed2 = null;
  let eta = null;
  for (const id of state.order) {
    const row = state.rows.get(id);
    if (!row || !isActive(row)) break;
    active += 1;
    if (row.retry || row.stalled_for !== null) continue;
    if (row.speed !== null) speed2 = (speed2 ?? 0) + row.speed;
    if (row.eta !== null) eta = Math.max(eta ?? 0, row.eta);
  }
  return { active, speed: speed2, eta };
}
function hasManyHives(state) {
  let first = null;
  for (const { hive } of state.rows.values()) {
    if (first === null) first = hive;
    else if (hive !== first) return true;
  }
  return false;
}
var ENDS = { complete: "is complete", failed: "failed", cancelled: "was cancelled" };
function ends(before, after) {
  const found = [];
  for (const [id, row] of after.rows) {
    const old = before.rows.get(id);
    const end = ENDS[row.status];
    if (old && old !== row && old.status !== row.status && end) found.push({ name: row.name, end });
  }
  return found;
}

// src/row.js
var WORDS = {
  queued: "Queued",
  downloading: "Downloading",
  finishing: "Finishing",
  cancelling: "Cancelling",
  complete: "Complete",
  cancelled: "Cancelled",
  failed: "Failed",
  interrupted: "Interrupted"
};
var GUARD_MS = 600;
var TAIL = 12;
var SHORT = 24;
function createRow(id, domId, actions) {
  const stateIcon = icon("rbee-icon", "queued");
  const nameHead = h("span", { className: "rbee-name-head" });
  const nameTail = h("span", { className: "rbee-name-tail" });
  const name = h("span", { className: "rbee-name", dir: "ltr" }, nameHead, nameTail);
  const type = h("span", { className: "rbee-type" }, "worker");
  const hive = h("span", { className: "rbee-hive" });
  const link = h("a", { className: "rbee-link" }, "Open in rbee");
  const title = h("div", { className: "rbee-title" }, name);
  const state = h("span", { className: "rbee-state" });
  const actionList = h("div", { className: "rbee-actions" });
  const fill = h("div", { className: "rbee-fill" });
  const bar = h(
    "div",
    { className: "rbee-bar", role: "progressbar", "aria-valuemin": 0, "aria-valuemax": 100 },
    fill
  );
  const percentText = h("span", { className: "rbee-percent" });
  const bytesText = h("span", { className: "rbee-bytes" });
  const speedText = h("span", { className: "rbee-speed" });
  const etaText = h("span", { className: "rbee-eta" });
  const meter = h(
    "div",
    { className: "rbee-meter" },
    bar,
    percentText,
    bytesText,
    speedText,
    etaText
  );
  const note = h("div", { className: "rbee-note" });
  const errorText = h("span", { className: "rbee-error-text" });
  const hint = h("span", { className: "rbee-hint" });
  const error = h("div", { className: "rbee-error" }, errorText, hint);
  const narration = createNarration(domId);
  const disclosure = h(
    "button",
    {
      type: "button",
      className: "rbee-disclosure",
      "aria-expanded": "false",
      "aria-controls": domId,
      onclick: () => toggle(!open)
    },
    icon("rbee-chevron", "chevron").node
  );
  const cancel = actionButton("cancel", "Cancel");
  const retry = actionButton("retry", "Retry");
  const clear = actionButton("clear", "Clear");
  const BUTTONS2 = { cancel, cancelling: cancel, retry, clear };
  const node = h("li", { className: "rbee-row", "data-id": id });
  let open = false;
  let fraction = 0;
  let guard = 0;
  let ranged = false;
  let last;
  let lastContext;
  function actionButton(kind, word) {
    const button = h("button", { type: "button", className: `rbee-button rbee-${kind}` }, word);
    button.onclick = ({ detail }) => {
      const byKey = kind === "clear" && detail === 0;
      if (byKey || button.getAttribute("aria-disabled") !== "true") actions.send(kind);
    };
    return button;
  }
  function toggle(wanted) {
    open = wanted;
    setAttribute(disclosure, "aria-expanded", String(open));
    if (open) node.append(narration.node);
    else narration.node.remove();
    actions.toggled(open);
    if (open) narration.toEnd();
  }
  function paint(row, lines, context) {
    if (open && lines) narration.paint(lines);
    if (row === last && same(context, lastContext)) return;
    if (row.name !== last?.name) paintName(oneLine(row.name));
    last = row;
    lastContext = context;
    const halted = Boolean(row.retry) || row.status === "downloading" && row.stalled_for !== null;
    setAttribute(node, "data-status", row.status);
    node.toggleAttribute("data-stalled", halted);
    stateIcon.show(halted ? "stalled" : row.status);
    setText(state, halted ? haltWords(row) : WORDS[row.status]);
    paintMeter(row, context.live, halted);
    paintWords(row, context);
    paintActions(row, context.live);
    arrange(node, [
      ...context.live ? [disclosure] : [],
      stateIcon.node,
      title,
      state,
      actionList,
      meter,
      ...note.textContent ? [note] : [],
      ...row.error || row.hint ? [error] : [],
      ...open ? [narration.node] : []
    ]);
  }
  function paintName(shown) {
    const characters = Array.from(shown);
    const cut = characters.length > SHORT ? characters.length - TAIL : characters.length;
    setText(nameHead, characters.slice(0, cut).join(""));
    setText(nameTail, characters.slice(cut).join(""));
    name.title = shown;
    setAttribute(bar, "aria-label", shown);
    setAttribute(disclosure, "aria-label", `Narration of ${shown}`);
    setAttribute(cancel, "aria-label", `Cancel download of ${shown}`);
    setAttribute(retry, "aria-label", `Retry download of ${shown}`);
    setAttribute(clear, "aria-label", `Clear ${shown} from the list`);
    narration.label(shown);
  }
  function paintMeter(row, live, halted) {
    const value = shownPercentage(row);
    const moving = live && row.status === "downloading";
    const eta = moving && !halted ? row.eta : null;
    const busy = live && !halted && (moving || row.status === "finishing");
    setAttribute(
      node,
      "data-progress",
      value !== null ? "known" : busy ? "unknown" : isActive(row) ? "waiting" : "none"
    );
    paintFill((value ?? 0) / 100);
    setText(percentText, value === null ? "" : percent(value));
    setText(bytesText, amount(row));
    setText(
      speedText,
      !moving ? "" : halted ? speed(0) : row.speed === null ? "" : speed(row.speed)
    );
    const range = eta === null ? null : span(row.eta_range, ranged);
    ranged = range !== null;
    setText(etaText, eta === null ? "" : `${range?.text ?? duration(eta)} left`);
    setAttribute(bar, "aria-valuenow", value === null ? null : percent(value).slice(0, -1));
    const spoken = [
      value === null ? WORDS[row.status].toLowerCase() : `${percent(value).slice(0, -1)} percent`,
      ...halted ? [haltWords(row).toLowerCase()] : [],
      ...eta === null ? [] : [`${range?.spoken ?? spokenDuration(eta)} left`]
    ];
    setAttribute(bar, "aria-valuetext", spoken.join(", "));
  }
  function paintFill(to) {
    if (to === fraction) return;
    fill.style.transition = to < fraction ? "none" : "";
    fill.style.transform = `translateX(${(100 * to - 100).toFixed(2)}%)`;
    fraction = to;
  }
  function paintWords(row, { manyHives }) {
    setText(hive, prose(row.hive));
    arrange(title, [name, ...row.type === "worker" ? [type] : [], ...manyHives ? [hive] : []]);
    setText(note, prose((showsNote(row) ? row.note : null) ?? row.remark ?? ""));
    setText(errorText, prose(row.error ?? ""));
    setText(hint, prose(row.hint ?? ""));
  }
  function paintActions(row, live) {
    const cancelling = row.status === "cancelling";
    setText(cancel, cancelling ? "Cancelling…" : "Cancel");
    setAttribute(cancel, "aria-disabled", cancelling ? "true" : null);
    const linked = !live && row.type === "model" && !row.name.includes("://");
    if (linked) link.href = rbeeLink(row.name);
    clear.title = row.status === "complete" ? "Remove this row; the file stays" : "Remove this row, and what has arrived of the file";
    if (cancel.isConnected && !buttons(row).includes("cancel")) guardClear();
    arrange(actionList, live ? buttons(row).map((kind) => BUTTONS2[kind]) : linked ? [link] : []);
  }
  function guardClear() {
    clearTimeout(guard);
    setAttribute(clear, "aria-disabled", "true");
    guard = window.setTimeout(() => setAttribute(clear, "aria-disabled", null), GUARD_MS);
  }
  return {
    node,
    paint,
    isOpen: () => open,
    close: () => clearTimeout(guard),
    /** The button that takes the focus when the one that had it is gone. */
    nextButton: () => actionList.querySelector("button") ?? (disclosure.isConnected ? disclosure : null)
  };
}
function same(a, b) {
  return a.live === b?.live && a.manyHives === b.manyHives;
}
function haltWords({ retry, stalled_for: idle }) {
  if (!retry) return `Stalled ${Math.round(idle ?? 0)} s`;
  const when = retry.in > 0 ? ` in ${Math.ceil(retry.in)} s` : "";
  return `Retry ${retry.number} of ${retry.of}${when}`;
}
function amount({ status, bytes_downloaded: done, total_size: total }) {
  if (status === "complete") return total || done ? bytes(total ?? done) : "";
  if (total !== null) return `${bytes(done)} of ${bytes(total)}`;
  return done > 0 ? bytes(done) : "";
}
function showsNote({ status, percentage, retry }) {
  if (status === "complete" || retry && status !== "interrupted") return true;
  return percentage === null && status !== "failed" && status !== "cancelled";
}
function rbeeLink(name) {
  return `rbee://model/${encodeURIComponent(name).replaceAll("%2F", "/").replaceAll("%3A", ":")}`;
}

// src/store.js
function createStore() {
  let state = EMPTY;
  let live = false;
  let asked = false;
  let news = [];
  const views = /* @__PURE__ */ new Set();
  let link = null;
  function changed() {
    for (const view of views) view.changed();
  }
  function setLive(now) {
    if (live === now) return;
    live = now;
    changed();
  }
  function apply(message) {
    const before = state;
    state = reduce(before, message);
    if (state === before) return;
    news.push(...ends(before, state));
    if (state.gap !== null && state.gap !== before.gap) ask();
    const missed = message.kind === "snapshot" && state.seq !== before.seq;
    if (missed) for (const id of state.lines.keys()) send({ kind: "narration", id });
    changed();
  }
  function send(content) {
    try {
      link?.model.send(content);
    } catch {
      setLive(false);
    }
  }
  function ask() {
    send({ kind: "snapshot" });
  }
  function connect(model) {
    const receive = (message) => {
      setLive(true);
      apply(message);
    };
    const restore = () => {
      const snapshot = model.get("snapshot");
      if (snapshot?.rows) apply({ kind: "snapshot", ...snapshot });
    };
    const doubt = () => {
      setLive(false);
      ask();
    };
    const handlers = [
      ["msg:custom", receive],
      ["change:snapshot", restore],
      ["comm_live_update", doubt]
    ];
    const release = () => {
      for (const [event, handler] of handlers) model.off(event, handler);
      if (link?.model === model) link = null;
    };
    link = { model, release };
    for (const [event, handler] of handlers) model.on(event, handler);
    restore();
    ask();
    asked = true;
    return release;
  }
  function join(view) {
    views.add(view);
    if (!link) connect(view.model);
    else if (!live && !asked) ask();
    asked = false;
    return () => {
      views.delete(view);
      if (link?.model !== view.model) return;
      link.release();
      const [next] = views;
      if (next) connect(next.model);
    };
  }
  function open(id) {
    if (state.lines.has(id)) return;
    state = opened(state, id);
    send({ kind: "narration", id });
  }
  function close(id) {
    for (const view of views) if (view.isOpen(id)) return;
    state = closed(state, id);
  }
  function takeNews() {
    const taken = news;
    news = [];
    return taken;
  }
  return {
    connect,
    join,
    send,
    open,
    close,
    takeNews,
    get state() {
      return state;
    },
    get live() {
      return live;
    }
  };
}

// src/download_panel.js
var UNFOLDED = 3;
function show(store, model, el) {
  const count = h("span", { className: "rbee-summary" });
  const asOf = h("time", { className: "rbee-as-of" });
  const heading = h("span", { className: "rbee-heading" }, "Downloads");
  const header = h("div", { className: "rbee-header" }, heading, count);
  const empty = h(
    "p",
    { className: "rbee-empty" },
    "No downloads yet. Start one with ",
    h("code", {}, "%download org/repo:file.gguf")
  );
  const list = h("ul", { className: "rbee-list", role: "list", "aria-label": "Downloads" });
  const more = h("button", { type: "button", className: "rbee-button rbee-more" });
  const announcer = h("div", {
    className: "rbee-announcer",
    role: "status",
    "aria-live": "polite"
  });
  const panel = h("div", { className: "rbee-panel", tabIndex: -1, "data-live": "no" });
  const rows = /* @__PURE__ */ new Map();
  const domId = `rbee-${Math.random().toString(36).slice(2)}`;
  let made = 0;
  let frame = 0;
  let unfolded = false;
  let stale = false;
  more.onclick = () => {
    unfolded = !unfolded;
    paint();
  };
  function rowFor(id) {
    const known = rows.get(id);
    if (known) return known;
    made += 1;
    const row = createRow(id, `${domId}-${made}`, {
      send: (kind) => store.send({ kind, id }),
      toggled: (open) => {
        if (open) store.open(id);
        else store.close(id);
        paint();
      }
    });
    rows.set(id, row);
    return row;
  }
  function visibleIds() {
    const { order, rows: all } = store.state;
    const firstComplete = order.findIndex((id) => all.get(id)?.status === "complete");
    const most = firstComplete < 0 ? order.length : firstComplete + UNFOLDED;
    const folded = Math.max(0, order.length - most);
    const ids = unfolded || !store.live ? order : order.slice(0, most);
    return { ids, folded };
  }
  function paint() {
    cancelAnimationFrame(frame);
    frame = 0;
    stale = false;
    const { state, live } = store;
    const focus = holdFocus();
    const { ids, folded } = visibleIds();
    const context = { live, manyHives: hasManyHives(state) };
    for (const id of ids) {
      const row = state.rows.get(id);
      if (row) rowFor(id).paint(row, state.lines.get(id), context);
    }
    for (const id of rows.keys()) if (!state.rows.has(id)) forget(id);
    arrange(
      list,
      ids.map((id) => rowFor(id).node)
    );
    setAttribute(panel, "data-live", live ? "yes" : "no");
    const withHeader = model.get("show_header") !== false;
    if (withHeader) paintHeader();
    setText(more, unfolded ? "Show fewer" : `Show ${folded} more`);
    setAttribute(more, "aria-expanded", String(unfolded));
    if (!live) paintAsOf();
    arrange(panel, [
      ...withHeader ? [header] : live || ids.length === 0 ? [] : [asOf],
      ...ids.length > 0 ? [list] : withHeader ? [empty] : [],
      ...live && folded > 0 ? [more] : [],
      announcer
    ]);
    announce();
    focus.restore();
  }
  function paintHeader() {
    const { active, speed: rate, eta } = summary(store.state);
    setText(
      count,
      [
        ...active > 0 ? [`${active} active`] : [],
        ...active > 0 && rate !== null ? [speed(rate, 2)] : [],
        ...eta !== null ? [`${duration(eta)} left`] : []
      ].join(" · ")
    );
    arrange(header, [heading, store.live || store.state.at === 0 ? count : asOf]);
  }
  function paintAsOf() {
    const { at } = store.state;
    setText(asOf, `Snapshot from ${moment(at)}`);
    asOf.dateTime = new Date(at * 1e3).toISOString();
  }
  function announce() {
    const news = store.takeNews();
    if (news.length === 0) return;
    const words = news.map(({ name, end }) => `${oneLine(name)} ${end}.`).join(" ");
    announcer.replaceChildren(h("p", {}, words));
  }
  function forget(id) {
    rows.get(id)?.close();
    rows.delete(id);
    store.close(id);
  }
  function holdFocus() {
    const root = (
      /** @type {Document | ShadowRoot} */
      panel.getRootNode()
    );
    const focused = root.activeElement;
    if (!(focused instanceof HTMLElement) || !panel.contains(focused)) return { restore() {
    } };
    const node = focused.closest(".rbee-row");
    const place = node ? Array.from(list.children).indexOf(node) : -1;
    return {
      restore() {
        if (root.activeElement === focused && panel.contains(focused)) return;
        const row = node && rows.get(node.getAttribute("data-id") ?? "");
        const neighbour = list.children[Math.min(place, list.children.length - 1)];
        const successor = neighbour && rows.get(neighbour.getAttribute("data-id") ?? "");
        const next = panel.contains(focused) ? focused : row?.nextButton() ?? successor?.nextButton() ?? panel;
        next.focus({ preventScroll: true });
      }
    };
  }
  function schedule() {
    if (frame === 0) frame = requestAnimationFrame(paintIfShown);
  }
  function paintIfShown() {
    frame = 0;
    stale = panel.checkVisibility?.() === false;
    if (!stale) paint();
  }
  const observer = new IntersectionObserver(() => {
    if (stale) schedule();
  });
  function keepKeys({ target }) {
    const byKeyboard = target instanceof Element && target.matches(":focus-visible");
    panel.toggleAttribute("data-lm-suppress-shortcuts", byKeyboard);
  }
  panel.addEventListener("focusin", keepKeys);
  const leave = store.join({
    model,
    changed: schedule,
    isOpen: (id) => rows.get(id)?.isOpen() ?? false
  });
  paint();
  el.append(panel);
  observer.observe(panel);
  return () => {
    leave();
    for (const id of [...rows.keys()]) forget(id);
    cancelAnimationFrame(frame);
    observer.disconnect();
    panel.removeEventListener("focusin", keepKeys);
    panel.remove();
  };
}
function downloadPanel() {
  const store = createStore();
  return {
    initialize: ({ model }) => store.connect(model),
    render: ({ model, el }) => show(store, model, el)
  };
}
export {
  downloadPanel as default
};
