// @ts-check
/**
 * `npm run check:layers`: the folders of src/ are layers, and imports only go down (`layers.mjs` has the order).
 *
 * Rules (each finding is one line: file, line, rule, what to do):
 *  - layer        an import goes up, or from one engine into another; or a file is in no layer
 *  - private-top  something imports `testing/` or `cli/`, which stand on everything and carry nothing
 *  - only-fs      `node:fs` anywhere but in `src/fs/`
 *  - third-party  a module that is neither relative nor `node:`, but for what LAZY allows
 *  - specifier    a path without `.js`, to a file that is not there, out of src/, or computed at run time
 *  - cycle        modules that import each other, type imports included
 *  - file-size    more than 500 lines
 *  - wing         a wing has more rooms, floors or arrows between its rooms than WINGS in `layers.mjs` allows
 */
import { existsSync, readdirSync, readFileSync, realpathSync } from "node:fs";
import { isBuiltin } from "node:module";
import { join, posix, relative, sep } from "node:path";
import { fileURLToPath } from "node:url";
import ts from "typescript";
import { PRIVATE_TOPS, roomOf, ROOMS, WINGS } from "./layers.mjs";

/** A newcomer does not read longer files. */
const LINES_MAX = 500;

/**
 * Packages that a wing may load when it needs them, by `import("…")` in a function: whoever does not need them never
 * pays for them; `import type` is free and may stand anywhere in it. json5 reads legacy files that somebody
 * edited by hand; the engine over PostgreSQL stands on its driver; the command line has its arguments and colours from packages, the library has none.
 * @type {ReadonlyMap<string, ReadonlySet<string>>}
 */
const LAZY = new Map([
  ["engine", new Set(["pg"])],
  ["postgres", new Set(["pg"])],
  ["legacy", new Set(["json5"])],
  ["cli", new Set(["commander", "picocolors"])],
]);

/** @typedef {{ file: string, line: number, rule: string, message: string }} Finding */
/** @typedef {{ specifier: string | undefined, line: number, lazy: boolean }} Import `lazy`: costs nothing at start */

/** `engine/memory/x.ts` -> `memory`; engines are strangers to each other. @param {string} file */
const engineOf = (file) => /^engine\/([^/]+)\//.exec(file)?.[1];
/** @param {number} room */
const roomName = (room) => ROOMS[room]?.name ?? "?";
/** `legacy/back/mirror.ts` -> `legacy`. @param {string} file */
const wingOf = (file) => file.split("/")[0] ?? "";

/**
 * Every import, re-export, dynamic import, import type and require of a module.
 * @param {string} file
 * @param {string} text
 * @returns {Import[]}
 */
export function importsOf(file, text) {
  const source = ts.createSourceFile(file, text, ts.ScriptTarget.Latest, true);
  /** @type {Import[]} */
  const imports = [];
  /** @param {ts.Node} node @param {ts.Node | undefined} specifier @param {boolean} [lazy] */
  const add = (node, specifier, lazy = false) =>
    imports.push({
      lazy,
      specifier: specifier !== undefined && ts.isStringLiteralLike(specifier) ? specifier.text : undefined,
      line: source.getLineAndCharacterOfPosition(node.getStart(source)).line + 1,
    });
  /** @param {ts.Node} node */
  const visit = (node) => {
    if (ts.isImportDeclaration(node))
      add(node, node.moduleSpecifier, node.importClause?.phaseModifier === ts.SyntaxKind.TypeKeyword);
    else if (ts.isExportDeclaration(node) && node.moduleSpecifier) add(node, node.moduleSpecifier);
    else if (ts.isExternalModuleReference(node)) add(node, node.expression);
    else if (ts.isImportTypeNode(node))
      add(node, ts.isLiteralTypeNode(node.argument) ? node.argument.literal : undefined);
    else if (ts.isCallExpression(node) && isLoad(node.expression))
      add(node, node.arguments[0], node.expression.kind === ts.SyntaxKind.ImportKeyword);
    ts.forEachChild(node, visit);
  };
  visit(source);
  return imports;
}

/** Whether calling this loads a module: `import(…)`, `require(…)`, `process.getBuiltinModule(…)`. @param {ts.Expression} callee */
function isLoad(callee) {
  if (callee.kind === ts.SyntaxKind.ImportKeyword) return true;
  if (ts.isIdentifier(callee)) return callee.text === "require";
  return ts.isPropertyAccessExpression(callee) && callee.name.text === "getBuiltinModule";
}

/**
 * What is wrong with one import; undefined when it is fine.
 * @param {string} file
 * @param {Import} found
 * @param {ReadonlySet<string>} files
 * @returns {{ rule: string, message: string } | { target: string } | undefined}
 */
function judge(file, { specifier, lazy }, files) {
  if (specifier === undefined)
    return { rule: "specifier", message: "the module is computed; name it with a string literal" };
  if (!specifier.startsWith(".")) return judgePackage(file, specifier, lazy);

  const target = posix.normalize(posix.join(posix.dirname(file), specifier)).replace(/\.js$/, ".ts");
  if (!specifier.endsWith(".js"))
    return { rule: "specifier", message: `"${specifier}" needs its extension; write "./name.js"` };
  if (target.startsWith(".."))
    return { rule: "specifier", message: `"${specifier}" leaves src/; move what it needs into src/` };
  if (!files.has(target))
    return {
      rule: "specifier",
      message: `"${specifier}" is not there; create src/${target} or fix the path`,
    };

  const from = roomOf(file);
  const to = roomOf(target);
  const top = wingOf(target);
  if (PRIVATE_TOPS.includes(top) && wingOf(file) !== top)
    return {
      rule: "private-top",
      message: `imports ${target}; nothing may, move what is shared to a lower layer`,
    };
  if (to > from && from >= 0)
    return {
      rule: "layer",
      message: `${roomName(from)} imports ${target} of the higher layer ${roomName(to)}; move the shared part down or pass it in`,
    };
  const [ownEngine, otherEngine] = [engineOf(file), engineOf(target)];
  if (otherEngine !== undefined && from === to && ownEngine !== otherEngine)
    return {
      rule: "layer",
      message: `imports ${target} of another engine; move the shared part to src/engine/`,
    };
  return { target };
}

/**
 * @param {string} file
 * @param {string} specifier
 * @param {boolean} lazy
 */
function judgePackage(file, specifier, lazy) {
  const name = specifier.replace(/^node:/, "");
  if (lazy && LAZY.get(wingOf(file))?.has(specifier)) return undefined;
  if (!isBuiltin(specifier))
    return {
      rule: "third-party",
      message: `imports "${specifier}"; src/ has no dependencies, write it or pass it in`,
    };
  if ((name === "fs" || name.startsWith("fs/")) && !file.startsWith("fs/"))
    return {
      rule: "only-fs",
      message: `imports "${specifier}"; use the FileSystem port of src/fs/file-system.ts`,
    };
  if (!specifier.startsWith("node:"))
    return { rule: "third-party", message: `imports "${specifier}"; write "node:${specifier}"` };
  return undefined;
}

/**
 * Every cycle that a walk in path order meets, as the paths on it.
 * @param {ReadonlyMap<string, ReadonlyMap<string, number>>} graph file -> imported file -> line
 * @returns {Finding[]}
 */
function cyclesOf(graph) {
  /** @type {Finding[]} */
  const findings = [];
  const done = new Set();
  /** @type {string[]} */
  const path = [];
  /** @param {string} file */
  const walk = (file) => {
    path.push(file);
    for (const [target, line] of graph.get(file) ?? []) {
      const start = path.indexOf(target);
      if (start >= 0) {
        const round = [...path.slice(start), target].join(" -> ");
        findings.push({
          file,
          line,
          rule: "cycle",
          message: `${round}; move what both need to a third file`,
        });
      } else if (!done.has(target)) walk(target);
    }
    path.pop();
    done.add(file);
  };
  for (const file of graph.keys()) if (!done.has(file)) walk(file);
  return findings;
}

/**
 * What a stranger has to walk through: the rooms of a wing, as its root shows them.
 * @param {string} wing Folder in src/.
 * @param {ReadonlyMap<string, ReadonlyMap<string, number>>} graph file -> imported file -> line
 * @returns {import("./layers.mjs").Walk}
 */
export function walkThrough(wing, graph) {
  /** @type {Map<string, Set<string>>} */
  const arrows = new Map();
  /** @param {string} file */
  const roomIn = (file) => (wingOf(file) === wing ? file.split("/")[1] : undefined);
  for (const [file, targets] of graph) {
    const room = roomIn(file);
    if (room === undefined) continue;
    const others = arrows.get(room) ?? new Set();
    arrows.set(room, others);
    for (const target of targets.keys()) {
      const other = roomIn(target);
      if (other !== undefined && other !== room) others.add(other);
    }
  }
  /** Rooms that import each other stand on one floor. @param {string} room @param {readonly string[]} above @returns {number} */
  const floorOf = (room, above) =>
    above.includes(room)
      ? 0
      : 1 + Math.max(0, ...[...(arrows.get(room) ?? [])].map((other) => floorOf(other, [...above, room])));
  return {
    rooms: arrows.size,
    floors: Math.max(0, ...[...arrows.keys()].map((room) => floorOf(room, []))),
    arrows: [...arrows.values()].reduce((sum, others) => sum + others.size, 0),
  };
}

/**
 * Wings that have become too much to walk through.
 * @param {ReadonlyMap<string, ReadonlyMap<string, number>>} graph
 * @returns {Finding[]}
 */
function crowdedWings(graph) {
  return [...WINGS].flatMap(([wing, most]) => {
    const walk = walkThrough(wing, graph);
    const names = /** @type {const} */ (["rooms", "floors", "arrows"]);
    return names
      .filter((name) => walk[name] > most[name])
      .map((name) => ({
        file: wing,
        line: 1,
        rule: "wing",
        message: `${walk[name]} ${name}, ${most[name]} are allowed; move what lies too high, or merge rooms that are one idea`,
      }));
  });
}

/**
 * Checks a whole source tree.
 * @param {ReadonlyMap<string, string>} sources path in src/, with `/` -> text
 * @returns {Finding[]} in order of path and line; empty when all is well
 */
export function checkLayers(sources) {
  /** @type {Finding[]} */
  const findings = [];
  /** @type {Map<string, Map<string, number>>} */
  const graph = new Map();
  const files = new Set(sources.keys());

  for (const file of [...files].sort()) {
    const text = sources.get(file) ?? "";
    const lines = text.split("\n").length - (text.endsWith("\n") ? 1 : 0);
    if (lines > LINES_MAX)
      findings.push({
        file,
        line: lines,
        rule: "file-size",
        message: `${lines} lines, ${LINES_MAX} are allowed; split it by noun or verb`,
      });
    if (roomOf(file) < 0)
      findings.push({
        file,
        line: 1,
        rule: "layer",
        message: "is in no layer; move it, or add its folder to ROOMS in scripts/layers.mjs",
      });

    /** @type {Map<string, number>} */
    const targets = new Map();
    graph.set(file, targets);
    for (const found of importsOf(file, text)) {
      const { line } = found;
      const verdict = judge(file, found, files);
      if (verdict === undefined) continue;
      if ("target" in verdict) targets.set(verdict.target, line);
      else findings.push({ file, line, ...verdict });
    }
  }
  findings.push(...cyclesOf(graph), ...crowdedWings(graph));
  return findings.sort((a, b) => (a.file === b.file ? a.line - b.line : a.file < b.file ? -1 : 1));
}

/**
 * Reads every `.ts` file below a folder.
 * @param {string} folder
 * @returns {Map<string, string>}
 */
export function readSources(folder) {
  /** @type {Map<string, string>} */
  const sources = new Map();
  for (const entry of readdirSync(folder, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile() || !/\.[cm]?tsx?$/.test(entry.name)) continue;
    const path = join(entry.parentPath, entry.name);
    sources.set(relative(folder, path).split(sep).join("/"), readFileSync(path, "utf8"));
  }
  return sources;
}

/** @param {Finding} finding */
export const formatFinding = ({ file, line, rule, message }) => `src/${file}:${line} ${rule}: ${message}`;

/** Checks one source folder and prints; returns the exit code. @param {string} folder */
export function main(folder) {
  if (!existsSync(folder)) {
    console.error(`${folder} does not exist`);
    return 2;
  }
  const sources = readSources(folder);
  const findings = checkLayers(sources);
  for (const finding of findings) console.error(formatFinding(finding));
  console.log(`layers: ${sources.size} files, ${findings.length} findings`);
  return sources.size > 0 && findings.length === 0 ? 0 : 1;
}

const self = fileURLToPath(import.meta.url);
if (process.argv[1] !== undefined && realpathSync(process.argv[1]) === self)
  process.exitCode = main(process.argv[2] ?? join(self, "../../src"));
