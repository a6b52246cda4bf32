"""What is watched inside the page: JavaScript, whose times are of the page's own clock."""

from __future__ import annotations

from typing import Final

SENDS: Final = """
    globalThis.benchSent = [];
    const send = WebSocket.prototype.send;
    WebSocket.prototype.send = function (data) {
        const text = typeof data === 'string' ? data : new TextDecoder().decode(data);
        if (text.includes('"kind":"search"')) benchSent.push(performance.now());
        return send.call(this, data);
    };
"""
"""From before the page loads: when it sends a search."""

SHOW: Final = """
    ([selector, count, limit]) => new Promise(told => {
        const begun = performance.now();
        const found = { first: null, all: null };
        const seen = (name, needed) => {
            if (found[name] !== null || document.querySelectorAll(selector).length < needed) return;
            found[name] = NaN;
            requestAnimationFrame(() => { found[name] = (performance.now() - begun) / 1e3; });
        };
        const look = () => {
            seen('first', 1);
            seen('all', count);
            const isLate = performance.now() - begun > limit;
            if (isLate || (found.first > 0 && found.all > 0)) told(found);
            else requestAnimationFrame(look);
        };
        requestAnimationFrame(look);
        jupyterapp.commands.execute('notebook:run-cell').catch(() => {});
    })
"""
"""Runs the cell; gives the seconds to the frame after its first line is there, and `count`."""

SEARCH: Final = """
    word => {
        const market = document.querySelector('.rbee-market');
        const first = () => market.querySelector('.rbee-model')?.dataset.id ?? '';
        const before = first();
        let key = 0;
        const press = event => { key = event.timeStamp; };
        addEventListener('keydown', press, true);
        benchSent.length = 0;
        let changed = 0;
        globalThis.benchSearch = new Promise(told => {
            const observer = new MutationObserver(() => {
                const now = first();
                if (now === before || !now.toLowerCase().includes(word)) return;
                observer.disconnect();
                removeEventListener('keydown', press, true);
                changed = performance.now();
            });
            observer.observe(market, { subtree: true, childList: true });
            // In each frame before the page's own callbacks, which paint the next results.
            const frame = () => {
                const painted = performance.now();
                const epoch = performance.timeOrigin;
                if (changed === 0) requestAnimationFrame(frame);
                else told({ epoch, key, sent: benchSent, changed, painted });
            };
            requestAnimationFrame(frame);
        });
    }
"""
"""Watches for the results of a word, which `FOUND` gives. They are painted when the callbacks of
the frame after their coming into the page begin, at the latest."""

FOUND: Final = """
    limit => Promise.race([
        benchSearch,
        new Promise((_, fail) => setTimeout(() => fail(Error('no results came')), limit)),
    ])
"""

LOAD: Final = """
    ([count, limit]) => new Promise((told, fail) => {
        const begun = performance.now();
        const list = document.querySelector('.rbee-models');
        const look = () => {
            if (list.querySelectorAll('.rbee-model').length >= count) {
                list.scrollTop = 0;
                told((performance.now() - begun) / 1e3);
            } else if (performance.now() - begun > limit) {
                fail(Error('no further results came'));
            } else {
                list.scrollTop = list.scrollHeight;
                requestAnimationFrame(look);
            }
        };
        requestAnimationFrame(look);
    })
"""
"""Scrolls to the end until so many results are there; gives the seconds that it took."""

KEYS: Final = """
    selector => {
        const box = document.querySelector(selector);
        globalThis.benchKeys = [];
        benchSent.length = 0;
        let one = null;
        let from = 0;
        const begin = event => {
            from = performance.now();
            if (event.type === 'keydown') one = { at: event.timeStamp, handled: 0 };
        };
        // A timer's callback would wait for others; a message comes once the frame is drawn.
        const afterwards = done => {
            const { port1, port2 } = new MessageChannel();
            port2.onmessage = done;
            port1.postMessage(null);
        };
        const end = event => {
            one.handled += performance.now() - from;
            if (event.type !== 'input') return;
            const mine = one;
            requestAnimationFrame(() => afterwards(() => {
                benchKeys.push({ handled: mine.handled, painted: performance.now() - mine.at });
            }));
        };
        for (const type of ['keydown', 'input']) {
            box.addEventListener(type, begin, true);
            box.addEventListener(type, end);
        }
        globalThis.benchKeysEnd = () => {
            for (const type of ['keydown', 'input']) {
                box.removeEventListener(type, begin, true);
                box.removeEventListener(type, end);
            }
            return { keys: benchKeys, searches: benchSent.length };
        };
        box.focus();
    }
"""
"""Watches the keys of a field until `benchKeysEnd`: milliseconds in its own handlers,
and from the browser's taking the key to the end of the first frame that has its letter."""

UNFOLD: Final = """
    ([place, limit]) => new Promise((told, fail) => {
        const model = document.querySelectorAll('.rbee-model')[place];
        model.scrollIntoView({ block: 'nearest' });
        const begun = performance.now();
        const verdict = ':is([data-fit=gpu], [data-fit=offload], [data-fit=no])';
        const late = setTimeout(() => fail(Error('no verdict came')), limit);
        const observer = new MutationObserver(() => {
            if (model.querySelector(`.rbee-file${verdict}`) === null) return;
            observer.disconnect();
            clearTimeout(late);
            requestAnimationFrame(() => told((performance.now() - begun) / 1e3));
        });
        observer.observe(model, {
            subtree: true, childList: true, attributes: true, attributeFilter: ['data-fit'],
        });
        model.querySelector('button').click();
    })
"""
"""Unfolds a result; gives the seconds to the frame that shows the first verdict."""

LINES: Final = """
    () => [...document.querySelectorAll('.rbee-model-line')].map(
        line => [...line.children].map(fact => fact.textContent).join('  '))
"""
