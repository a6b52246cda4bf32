import { expect, test } from "vitest";
import {
	bytes,
	compact,
	duration,
	memory,
	moment,
	percent,
	roughly,
	shorten,
	since,
	span,
	speed,
	spokenDuration,
	visible,
} from "../src/format.js";

test.each([
	[0, "0 B"],
	[999, "999 B"],
	[1000, "1.00 kB"],
	[12_345, "12.3 kB"],
	[135_600_000, "136 MB"],
	[300_000_000, "300 MB"],
	[999_600_000, "1.00 GB"],
	[5_536_000_000, "5.54 GB"],
	[2.5e18, "2500 PB"],
])("%d bytes read %s", (amount, text) => expect(bytes(amount)).toBe(text));

test.each([
	[0, "0 B"],
	[1023, "1023 B"],
	[2 ** 20, "1 MiB"],
	[85_899_345_920, "80 GiB"],
	[5.49 * 2 ** 30, "5.49 GiB"],
	[1023.7 * 2 ** 30, "1 TiB"],
	[3000 * 2 ** 40, "3000 TiB"],
])("%d bytes of memory read %s", (amount, text) => expect(memory(amount)).toBe(text));

test("a speed may be told more coarsely", () => {
	expect(speed(12_300_000)).toBe("12.3 MB/s");
	expect(speed(62_100_000, 2)).toBe("62 MB/s");
	expect(speed(145_000_000, 2)).toBe("145 MB/s");
});

test.each([
	[0, "0.0%"],
	[8.2, "8.2%"],
	[45.2, "45.2%"],
	[99.97, "99.9%"],
	[100, "100%"],
])("%d percent read %s", (value, text) => expect(percent(value)).toBe(text));

test.each([
	[0.2, "5s"],
	[13, "15s"],
	[58, "1m"],
	[92, "1m 30s"],
	[150, "2m 30s"],
	[599, "10m"],
	[700, "12m"],
	[3590, "1h"],
	[5000, "1h 25m"],
	[100_000, "1d 3h"],
])("%d seconds are about %s", (seconds, text) => expect(duration(seconds)).toBe(text));

test("a duration can be spoken", () => {
	expect(spokenDuration(120)).toBe("2 minutes");
	expect(spokenDuration(62)).toBe("1 minute");
	expect(spokenDuration(3600 + 25 * 60)).toBe("1 hour 25 minutes");
});

test.each([
	[[190, 350], "3–6m", "3 to 6 minutes"],
	[[44, 118], "40s–2m", "40 seconds to 2 minutes"],
	[[20 * 60, 52 * 60], "20–50m", "20 to 50 minutes"],
	[[50 * 60, 100 * 60], "50m–2h", "50 minutes to 2 hours"],
	[[55, 62 * 60], "1m–1h", "1 minute to 1 hour"],
	[[3 * 3600, 50 * 3600], "3h–2d", "3 hours to 2 days"],
	[[0, 61], "10s–1m", "10 seconds to 1 minute"],
])("a wide range %j reads %s", (range, text, spoken) =>
	expect(span(/** @type {[number, number]} */ (range), false)).toEqual({ text, spoken }),
);

/** @type {[string, [number, number] | null | undefined][]} */
const PLAIN = [
	["is narrow", [200, 280]],
	["is nearly over", [10, 50]],
	["reads the same at both ends", [5500, 8900]],
	["isn't known", null],
	["was saved before there were any", undefined],
];

test.each(PLAIN)("of a range that %s the middle says as much", (_, range) =>
	expect(span(range, false)).toBe(null),
);

test("a range that is shown stays until it is clearly narrow", () => {
	expect(span([200, 280], true)?.text).toBe("3–5m");
	expect(span([200, 250], true)).toBe(null);
});

test("a moment names its day unless it is today's", () => {
	const at = new Date(2025, 4, 6, 14, 2).getTime() / 1000;
	expect(moment(at, new Date(2025, 4, 6, 23))).toBe("14:02");
	expect(moment(at, new Date(2025, 4, 7, 1))).toMatch(/2025/);
});

test("a long text is cut in its middle, and no character in half", () => {
	expect(shorten("abcdefghij", 5)).toBe("ab…ij");
	expect(shorten("abc", 5)).toBe("abc");
	expect(shorten("🐝🐝🐝🐝🐝🐝", 5)).toBe("🐝🐝…🐝🐝");
});

test("controls that turn text around are shown", () => {
	expect(visible("\u202Egpj.exe")).toBe("⟨U+202E⟩gpj.exe");
	expect(visible("a\u200Eb\u061Cc\u2069")).toBe("a⟨U+200E⟩b⟨U+061C⟩c⟨U+2069⟩");
});

test.each([
	[42, "40 s"],
	[429, "7 min"],
	[4 * 3600, "4 h"],
	[3 * 86400, "3 d"],
])("%d s are roughly %s", (seconds, words) => expect(roughly(seconds)).toBe(words));

test.each([
	[-5, "just now", "just now"],
	[90, "1 min ago", "1 minute ago"],
	[3 * 3600, "3 h ago", "3 hours ago"],
	[5.5 * 86400, "5 d ago", "5 days ago"],
	[100 * 86400, "3 mo ago", "3 months ago"],
	[800 * 86400, "2 y ago", "2 years ago"],
])("%d s since read %s", (seconds, text, spoken) =>
	expect(since(seconds)).toEqual({ text, spoken }),
);

test.each([
	[0, 10, "0"],
	[999, 10, "999"],
	[1234, 10, "1.2k"],
	[9960, 10, "10k"],
	[45_600, 10, "46k"],
	[999_999, 10, "1.0M"],
	[1_234_567, 10, "1.2M"],
	[8_030_000_000, 100, "8.0B"],
	[70_600_000_000, 100, "70.6B"],
	[405_000_000_000, 100, "405B"],
	[494_000_000, 100, "494M"],
	[1_040_000_000_000, 100, "1.0T"],
])("a count of %d, a decimal below %d, reads %s", (count, below, text) =>
	expect(compact(count, below)).toBe(text),
);
