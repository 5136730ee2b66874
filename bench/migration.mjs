// @ts-check
/**
 * `node bench/migration.mjs [--sessions N]`: what a migration costs, beside one JSON.parse + JSON.stringify of the same
 * `sessions.json`. Default: 650 sessions, nearly 90 MB; 3700 make 500 MB.
 *
 * Each measurement is a process of its own, by turns, three times; medians. Memory is the highest resident size of
 * the process; the longest block is that of the event loop. The migration is checked by its report: every session
 * kept, none refused (it has compared every field itself by then).
 */
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { monitorEventLoopDelay, performance } from "node:perf_hooks";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { writeLegacyFile } from "./data/legacy-file.mjs";
import { describeMachine } from "./runner/machine.mjs";

const ROUNDS = 3;

const { values } = parseArgs({
  options: {
    sessions: { type: "string", default: "650" },
    run: { type: "string" },
    file: { type: "string" },
  },
});

/** @param {string} file */
async function migrate(file) {
  const { migrateLegacyStore } = await import("../dist/legacy/index.js");
  const delay = monitorEventLoopDelay({ resolution: 1 });
  delay.enable();
  const start = performance.now();
  const report = await migrateLegacyStore(file);
  const ms = performance.now() - start;
  delay.disable();
  if (report.outcome !== "migrated") throw new Error(JSON.stringify(report));
  return { ms, blockMs: delay.max / 1e6, kept: report.entries.kept, bytesAfter: report.bytesAfter };
}

/** @param {string} file */
function parseAndStringify(file) {
  const start = performance.now();
  const length = JSON.stringify(JSON.parse(readFileSync(file, "utf8")), null, 2).length;
  return { ms: performance.now() - start, length };
}

/** What an import into SQLite is at its simplest: nothing inspected, nothing read back. @param {string} file */
async function insertIntoSqlite(file) {
  const { plain } = await import("./peers/better-sqlite3.mjs");
  const start = performance.now();
  const entries = Object.entries(JSON.parse(readFileSync(file, "utf8")));
  await plain.fill(join(dirname(file), "sqlite"), entries);
  return { ms: performance.now() - start, length: entries.length };
}

const RUNS = { migrate, parse: parseAndStringify, sqlite: insertIntoSqlite };

/**
 * @param {keyof typeof RUNS} run
 * @param {string} file
 */
function inProcess(run, file) {
  const program = fileURLToPath(import.meta.url);
  const child = spawnSync(process.execPath, [program, "--run", run, "--file", file], { encoding: "utf8" });
  if (child.status !== 0) throw new Error(child.stderr);
  return JSON.parse(child.stdout);
}

/** @param {number[]} numbers */
function median(numbers) {
  return numbers.toSorted((a, b) => a - b)[numbers.length >> 1] ?? Number.NaN;
}

if (values.run !== undefined && values.file !== undefined) {
  const result = await RUNS[/** @type {keyof typeof RUNS} */ (values.run)](values.file);
  console.log(JSON.stringify({ ...result, rssMb: process.resourceUsage().maxRSS / 1024 }));
} else {
  const count = Number(values.sessions);
  const folder = mkdtempSync(join(tmpdir(), "sessiondir-migration-"));
  try {
    const file = join(folder, "sessions.json");
    /** @type {Record<string, number>[]} */
    const migrations = [];
    /** @type {Record<string, number>[]} */
    const parses = [];
    let bytes = 0;
    for (let round = 0; round < ROUNDS; round++) {
      rmSync(join(folder, "sessions.d"), { recursive: true, force: true });
      await writeLegacyFile(file, count);
      bytes = statSync(file).size;
      // A string of V8 has at most 512 MiB, so a file near that cannot be parsed in one piece.
      if (bytes < 400e6) parses.push(inProcess("parse", file));
      const migrated = inProcess("migrate", file);
      if (migrated.kept !== count) throw new Error(`${migrated.kept} of ${count} sessions were kept`);
      migrations.push(migrated);
    }
    /** @param {Record<string, number>[]} results @param {string} name */
    const of = (results, name) => median(results.map((result) => result[name] ?? Number.NaN));
    console.log(Object.values(describeMachine(folder)).join(", "));
    console.log(`file            ${(bytes / 1e6).toFixed(1)} MB, ${count} sessions`);
    if (parses.length > 0) {
      console.log(`parse+stringify ${of(parses, "ms").toFixed(0)} ms, ${of(parses, "rssMb").toFixed(0)} MB`);
      console.log(`ratio           ${(of(migrations, "ms") / of(parses, "ms")).toFixed(2)}`);
    }
    console.log(
      `migration       ${of(migrations, "ms").toFixed(0)} ms, ${of(migrations, "rssMb").toFixed(0)} MB`,
    );
    console.log(`longest block   ${of(migrations, "blockMs").toFixed(0)} ms`);
    console.log(`store           ${(of(migrations, "bytesAfter") / 1e6).toFixed(2)} MB in files`);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
