/**
 * Bundles each widget's script and style into the Python package.
 *   node build.js           writes them
 *   node build.js --watch   and again at each change
 *   node build.js --check   fails where what is there isn't what this would write
 */

import { readFile, watch, writeFile } from "node:fs/promises";
import { gzipSync } from "node:zlib";
import { build } from "esbuild";
import { rolldown } from "rolldown";

const WIDGETS = ["download_panel", "narration_panel", "install_button", "marketplace"];

const SCRIPTS = ["loader", ...WIDGETS];

const STATIC = new URL("../rbee_widgets/static/", import.meta.url);

/**
 * Bytes of a gzipped script: it travels with every widget, and once more in a saved notebook.
 * @type {Record<string, number>}
 */
const MOST = {
	loader: 1_000,
	download_panel: 12_000,
	narration_panel: 8_000,
	install_button: 8_000,
	marketplace: 20_000,
};

/** A twentieth smaller than what esbuild makes of the same. @param {string} name */
async function script(name) {
	const bundle = await rolldown({ input: `src/${name}.js`, transform: { target: "es2022" } });
	const { output } = await bundle.generate({ format: "esm", minify: true });
	return output[0].code.replaceAll("/* @__PURE__ */ ", "");
}

/** @param {string} name */
async function style(name) {
	const { outputFiles } = await build({
		entryPoints: [`src/${name}.css`],
		bundle: true,
		minify: true,
		charset: "utf8",
		write: false,
	});
	return outputFiles[0].text;
}

async function* files() {
	for (const name of SCRIPTS) yield [`${name}.js`, await script(name)];
	for (const name of WIDGETS) yield [`${name}.css`, await style(name)];
}

async function write() {
	for await (const [name, text] of files()) await writeFile(new URL(name, STATIC), text);
}

async function check() {
	for await (const [name, text] of files()) {
		const size = gzipSync(text, { level: 9 }).length;
		console.log(`${name.padEnd(24)} ${String(size).padStart(6)} B gzipped`);
		const most = name.endsWith(".js") ? MOST[name.slice(0, -3)] : undefined;
		if (size > most) fail(`${name} is over ${most} B gzipped`);
		const there = await readFile(new URL(name, STATIC), "utf8").catch(() => null);
		if (there !== text) fail(`${name} is not what js/ builds: npm run build`);
	}
}

/** @param {string} why */
function fail(why) {
	console.error(why);
	process.exitCode = 1;
}

if (process.argv.includes("--check")) await check();
else await write();
if (process.argv.includes("--watch")) for await (const _ of watch("src")) await write();
