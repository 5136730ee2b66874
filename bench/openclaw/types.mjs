// @ts-check
/**
 * `node bench/openclaw/types.mjs [--verbose]`: do the types of `sessiondir/openclaw` fit a gateway that is written against OpenClaw's own
 * declarations? Compares the built declarations with those of the openclaw package 2026.4.24, which is installed when needed.
 *
 * A function fits when it can stand where OpenClaw's stands: all that a gateway passes is accepted, all that it expects comes back. A
 * type fits when it can be assigned both ways; for the entry the fields that cannot are named one by one. Strict, as a user's
 * compiler would be. Exit code 1 if anything does not fit, 2 if nothing could be compared. `--verbose` prints what the compiler says.
 */
import { existsSync } from "node:fs";
import { join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import ts from "typescript";
import { installOpenclaw, openclawFolder } from "../install.mjs";

const { values } = parseArgs({ options: { verbose: { type: "boolean", default: false } } });

const here = fileURLToPath(new URL(".", import.meta.url));
const root = fileURLToPath(new URL("../..", import.meta.url));
const OURS = join(root, "dist/openclaw/index.d.ts");
/** What the modules of a gateway import from; the first that has a name counts. */
const THEIR_MODULES = ["config/sessions.d.ts", "utils/delivery-context.d.ts", "routing/session-key.d.ts"];
const SESSION_ENTRY = "SessionEntry";
/** Beside the module, so that relative names and node's types are found. In memory only. */
const PROBE = join(here, "types.probe.ts");

/** What a gateway writes once, see src/openclaw/entry/registration.ts; one line. */
const REGISTRATION = `declare module "../../dist/openclaw/index.js" { interface Register { entry: import("./${relative(
  here,
  join(openclawFolder("JSON"), "node_modules/openclaw/dist/plugin-sdk/src/config/sessions.js"),
)}").SessionEntry } }`;

/** @type {ts.CompilerOptions} */
const OPTIONS = {
  strict: true,
  noEmit: true,
  module: ts.ModuleKind.NodeNext,
  target: ts.ScriptTarget.ES2023,
  lib: ["lib.es2023.d.ts", "lib.dom.d.ts", "lib.esnext.disposable.d.ts"],
  types: ["node"],
  // Their declarations name modules that are not installed with them; what we compare is checked all the same.
  skipLibCheck: true,
};

/** @typedef {{ name: string, kind: "function" | "type" | "field", problem: string | undefined }} Verdict */

function main() {
  const missing = installOpenclaw("JSON");
  const theirs = join(openclawFolder("JSON"), "node_modules/openclaw/dist/plugin-sdk/src");
  const modules = THEIR_MODULES.map((module) => join(theirs, module)).filter((path) => existsSync(path));
  if (missing !== undefined || modules.length === 0 || !existsSync(OURS)) {
    console.error(
      `nothing to compare: ${missing ?? (existsSync(OURS) ? `no declarations in ${theirs}` : "npm run build")}`,
    );
    return 2;
  }
  const names = commonNames(modules);
  const verdicts = judge(names);
  const wrong = verdicts.filter(({ problem }) => problem !== undefined);
  for (const { kind, name, problem } of verdicts) {
    if (kind === "field" && problem === undefined) continue; // some hundred
    console.log(`${problem === undefined ? "fits         " : "does not fit "} ${kind.padEnd(8)} ${name}`);
    if (values.verbose && problem !== undefined) console.log(problem.replaceAll(/^/gm, "    "));
  }
  console.log(`${verdicts.length} compared, ${wrong.length} do not fit`);
  if (verdicts.length > 0) return wrong.length === 0 ? 0 : 1;
  console.error("nothing was compared: no name is in both");
  return 2;
}

/** Names that both have, with what they are there. @param {readonly string[]} modules */
function commonNames(modules) {
  const program = ts.createProgram([OURS, ...modules], OPTIONS);
  const checker = program.getTypeChecker();
  /** @param {string} path @returns {Map<string, ts.Symbol>} */
  const exportsOf = (path) => {
    const file = program.getSourceFile(path);
    const symbol = file && checker.getSymbolAtLocation(file);
    const found = symbol === undefined ? [] : checker.getExportsOfModule(symbol);
    return new Map(found.map((one) => [one.name, resolved(checker, one)]));
  };
  const own = exportsOf(OURS);
  /** @type {{ name: string, module: string, value: boolean, fields: string[] }[]} */
  const common = [];
  for (const module of modules)
    for (const [name, symbol] of exportsOf(module)) {
      const ours = own.get(name);
      if (ours === undefined || common.some((one) => one.name === name)) continue;
      const value =
        Boolean(symbol.flags & ts.SymbolFlags.Value) && Boolean(ours.flags & ts.SymbolFlags.Value);
      const fields = name === SESSION_ENTRY ? fieldsOf(checker, symbol, ours) : [];
      common.push({ name, module, value, fields });
    }
  return common;
}

/** @param {ts.TypeChecker} checker @param {ts.Symbol} symbol */
function resolved(checker, symbol) {
  return symbol.flags & ts.SymbolFlags.Alias ? checker.getAliasedSymbol(symbol) : symbol;
}

/** @param {ts.TypeChecker} checker @param {ts.Symbol} theirs @param {ts.Symbol} ours */
function fieldsOf(checker, theirs, ours) {
  const [a, b] = [theirs, ours].map((symbol) => checker.getDeclaredTypeOfSymbol(symbol).getProperties());
  const declared = new Set(b?.map(({ name }) => name));
  return (a ?? []).map(({ name }) => name).filter((name) => declared.has(name));
}

/** @param {ReturnType<typeof commonNames>} names @returns {Verdict[]} */
function judge(names) {
  /** @type {{ name: string, kind: Verdict["kind"], lines: string[] }[]} */
  const probes = names.flatMap(({ name, module, value, fields }) => {
    const from = `import("./${relative(here, module).replace(/\.d\.ts$/, ".js")}")`;
    const ours = 'import("../../dist/openclaw/index.js")';
    if (value)
      return [
        {
          name,
          kind: /** @type {const} */ ("function"),
          lines: [`(f: typeof ${ours}.${name}): typeof ${from}.${name} => f`],
        },
      ];
    const both = (/** @type {string} */ part) => [
      `(x: ${ours}.${name}${part}): ${from}.${name}${part} => x`,
      `(x: ${from}.${name}${part}): ${ours}.${name}${part} => x`,
    ];
    return [
      { name, kind: /** @type {const} */ ("type"), lines: both("") },
      ...fields.map((field) => ({
        name: `${name}.${field}`,
        kind: /** @type {const} */ ("field"),
        lines: both(`[${JSON.stringify(field)}]`),
      })),
    ];
  });
  const lines = [REGISTRATION, ...probes.flatMap(({ lines }) => lines.map((line) => `void (${line});`))];
  const problems = compile(lines.join("\n"));
  if (problems.has(0)) throw new Error(problems.get(0)?.join("\n"));
  let next = 1;
  return probes.map(({ name, kind, lines }) => {
    const found = lines.flatMap(() => problems.get(next++) ?? []);
    return { name, kind, problem: found.length === 0 ? undefined : found.join("\n") };
  });
}

/** @param {string} text @returns {Map<number, string[]>} Complaints by line, from 0. */
function compile(text) {
  const host = ts.createCompilerHost(OPTIONS);
  const fileExists = host.fileExists.bind(host);
  const readFile = host.readFile.bind(host);
  const getSourceFile = host.getSourceFile.bind(host);
  host.fileExists = (path) => path === PROBE || fileExists(path);
  host.readFile = (path) => (path === PROBE ? text : readFile(path));
  host.getSourceFile = (path, version) =>
    path === PROBE ? ts.createSourceFile(path, text, version) : getSourceFile(path, version);
  const program = ts.createProgram([PROBE], OPTIONS, host);
  const file = program.getSourceFile(PROBE);
  /** @type {Map<number, string[]>} */
  const problems = new Map();
  for (const { messageText, start = 0 } of [
    ...program.getSyntacticDiagnostics(file),
    ...program.getSemanticDiagnostics(file),
  ]) {
    const line = text.slice(0, start).split("\n").length - 1;
    problems.set(line, [...(problems.get(line) ?? []), ts.flattenDiagnosticMessageText(messageText, "\n")]);
  }
  return problems;
}

process.exitCode = main();
