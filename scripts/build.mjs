// @ts-check
/**
 * `npm run build`: src/ to dist/. The compiler checks the sources and makes declarations, one a module, in build/types; rolldown
 * bundles the programs, rollup the declarations. What many modules deep is a folder tree is a handful of files in a package, because a
 * process that opens a store pays for each file that it loads.
 *
 * dist/ is never emptied first, so that a process that runs from it keeps working during a build: what an earlier build left is
 * removed at the end.
 */
import { spawnSync } from "node:child_process";
import { chmodSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join, relative, sep } from "node:path";
import { fileURLToPath } from "node:url";
import { rolldown } from "rolldown";
import { rollup } from "rollup";
import { dts } from "rollup-plugin-dts";

const root = fileURLToPath(new URL("..", import.meta.url));
const dist = join(root, "dist");
const types = join(root, "build/types");
const MAIN = "cli/main";

/** @type {{ exports: Record<string, unknown>, dependencies: Record<string, string>, peerDependencies: Record<string, string> }} */
const manifest = JSON.parse(readFileSync(join(root, "package.json"), "utf8"));
/** As in `index` and `legacy/index`. */
const ENTRIES = Object.keys(manifest.exports)
  .filter((path) => !path.endsWith(".json"))
  .map((path) => join(path, "index"));
const external = [/^node:/, ...Object.keys(manifest.dependencies), ...Object.keys(manifest.peerDependencies)];

const PROGRAM = join(root, "src/cli/program.ts");

/**
 * The file of a module: what is loaded together is together. The command line loads what a command needs when it needs it, so what
 * its beginning imports is apart from the rest: "command", and in "base" what that stands on. A module without a file here is used by
 * one entry point only, and stands in its file.
 * @param {string} id
 * @param {{ getModuleInfo: (id: string) => { importedIds: readonly string[] } | null }} graph
 */
function chunkOf(id, graph) {
  const path = relative(join(root, "src"), id);
  if (path.startsWith("..") || [...ENTRIES, MAIN].includes(path.replace(/\.ts$/, ""))) return undefined;
  beginning ??= closureOf(PROGRAM, graph);
  if (path.startsWith("cli/")) {
    if (path === "cli/version.ts") return undefined;
    return beginning.has(id) ? "command" : "work";
  }
  if (path.startsWith("engine/postgres/")) return undefined;
  if (beginning.has(id) || /^(?:[^/]*$|format\/|fs\/)/.test(path)) return "base";
  if (/^(?:engine|entries|log|store)\//.test(path)) return "store";
  // Gateways judge ages with the one that stands on nothing, and need not load the rest.
  if (path === "care/retention/age.ts") return "base";
  const [, part] = /^care\/([^/]+)\//.exec(path) ?? [];
  if (part !== undefined) return part;
  return path.startsWith("legacy/") ? "legacy" : undefined;
}

/** @type {Set<string> | undefined} Modules that the program imports before it knows the command. */
let beginning;

/** @param {string} id @param {Parameters<typeof chunkOf>[1]} graph */
function closureOf(id, graph) {
  const found = new Set([id]);
  for (const module of found)
    for (const imported of graph.getModuleInfo(module)?.importedIds ?? []) found.add(imported);
  return found;
}

/** @type {Set<string>} Paths in dist/. */
const written = new Set();

compile();
await Promise.all([bundlePrograms(), bundleTypes()]);
for (const name of ENTRIES) writeForCommonJs(name);
chmodSync(join(dist, `${MAIN}.js`), 0o755);
writeManPage();
removeOthers();

function compile() {
  const tsc = join(root, "node_modules/typescript/bin/tsc");
  const args = [tsc, "-p", "tsconfig.build.json"];
  const { status } = spawnSync(process.execPath, args, { cwd: root, stdio: "inherit" });
  if (status !== 0) process.exit(status ?? 1);
}

async function bundlePrograms() {
  const bundle = await rolldown({
    cwd: root,
    input: Object.fromEntries([...ENTRIES, MAIN].map((name) => [name, `src/${name}.ts`])),
    platform: "node",
    preserveEntrySignatures: "allow-extension",
    tsconfig: "tsconfig.build.json",
    transform: { target: "node20.19" },
    external,
    onLog(level, log, handler) {
      // The commands load what they need when they need it; that some of it is in one file is what is wanted here.
      if (log.code !== "INEFFECTIVE_DYNAMIC_IMPORT") handler(level, log);
    },
  });
  const { output } = await bundle.write({
    dir: dist,
    format: "esm",
    entryFileNames: "[name].js",
    chunkFileNames: "chunks/[name].js",
    codeSplitting: {
      groups: [{ name: chunkOf, debugName: "chunkOf" }],
      includeDependenciesRecursively: false,
    },
    comments: false,
  });
  await bundle.close();
  for (const { fileName } of output) written.add(fileName);
}

async function bundleTypes() {
  const bundle = await rollup({
    input: Object.fromEntries(ENTRIES.map((name) => [name, join(types, `${name}.d.ts`)])),
    external,
    plugins: [dts()],
  });
  const { output } = await bundle.write({
    dir: dist,
    format: "es",
    entryFileNames: "[name].d.ts",
    chunkFileNames: "types/[name].ts",
  });
  await bundle.close();
  for (const { fileName } of output) written.add(fileName);
}

/** `require` gives the ES modules themselves, so that a process has everything once. */
function writeForCommonJs(/** @type {string} */ name) {
  write(`${name}.cjs`, `"use strict";\nmodule.exports = require("./index.js");\n`);
  write(`${name}.d.cts`, `import everything = require("./index.js");\nexport = everything;\n`);
}

function writeManPage() {
  const page = spawnSync(process.execPath, [join(dist, `${MAIN}.js`), "man"], { encoding: "utf8" });
  if (page.status !== 0) {
    process.stderr.write(page.stderr);
    process.exit(1);
  }
  write("man/sessiondir.1", page.stdout);
}

function write(/** @type {string} */ name, /** @type {string} */ text) {
  const path = join(dist, name);
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, text);
  written.add(name);
}

function removeOthers() {
  const wanted = new Set([...written].map((name) => join(dist, name)));
  for (const entry of readdirSync(dist, { recursive: true, withFileTypes: true })) {
    const path = join(entry.parentPath, entry.name);
    const isWanted = entry.isFile()
      ? wanted.has(path)
      : [...wanted].some((file) => file.startsWith(path + sep));
    if (!isWanted) rmSync(path, { recursive: true, force: true });
  }
}
