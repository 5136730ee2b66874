// @ts-check
/**
 * `npm run demo`: the whole job on a store as real gateways have it, in well under a minute.
 *
 * Makes a `sessions.json` of 650 sessions and nearly 90 MB, migrates it, and shows what reading, updating and listing cost
 * before and after. Then lets four processes update the store at once, kills one of them in the middle, and counts
 * whether everything that was acknowledged is there. Exits with 1 if the migration left anything out, or if anything is
 * missing or was counted twice.
 *
 *   --sessions N   how many sessions (default 650)
 *   --seed N       other sessions (default 1)
 *   --seconds N    how long the processes work, for each of the two levels of durability (default 4)
 *   --keep         leave the folder and say where it is
 */
import { mkdtempSync, realpathSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { parseArgs } from "node:util";
import { openDirectoryStore } from "sessiondir";
import { migrateLegacyStore } from "sessiondir/legacy";
import { measureFile, measureStore, writeSessionsJson } from "./before-after.mjs";
import { diskUsage } from "./disk-usage.mjs";
import { runGateways } from "./gateways.mjs";
import { showFolders } from "./look.mjs";
import { bold, count, duration, green, heading, quantile, red, say, size, table } from "./report.mjs";
import { makeSessions } from "./sessions.mjs";
import { verify } from "./verify.mjs";

/**
 * @param {string | undefined} text
 * @param {string} name
 * @param {number} fallback
 * @param {number} min
 * @param {number} max
 */
function integer(text, name, fallback, min, max) {
  if (text === undefined) return fallback;
  const value = Number(text);
  if (Number.isSafeInteger(value) && value >= min && value <= max) return value;
  console.error(`--${name} must be a whole number from ${min} to ${max}, not ${text}`);
  process.exit(2);
}

const { values } = parseArgs({
  options: {
    sessions: { type: "string" },
    seed: { type: "string" },
    seconds: { type: "string" },
    keep: { type: "boolean", default: false },
  },
});
const options = {
  // More would not fit into one string of a sessions.json, where the demo begins.
  sessions: integer(values.sessions, "sessions", 650, 2, 3_000),
  seed: integer(values.seed, "seed", 1, 0, 2 ** 32 - 1),
  seconds: integer(values.seconds, "seconds", 4, 1, 60),
};

const folder = realpathSync(mkdtempSync(join(tmpdir(), "sessiondir-demo-")));
const cleanUp = () => {
  if (!values.keep) rmSync(folder, { recursive: true, force: true, maxRetries: 5 });
};
for (const signal of /** @type {const} */ (["SIGINT", "SIGTERM"])) {
  process.once(signal, () => process.exit(130));
}
process.once("exit", cleanUp);
process.exitCode = (await demo()) ? 0 : 1;

/** @returns Whether everything that was migrated or acknowledged is there, once. */
async function demo() {
  const path = join(folder, "sessions.d");
  const sessions = makeSessions(options.sessions, options.seed);

  say(bold("sessiondir: a directory per session, many processes, no lock"));
  say(`${count(sessions.length)} sessions, seed ${options.seed}, Node ${process.version}, in ${folder}`);

  heading("1. A sessions.json is migrated");
  if (!(await migrate(join(folder, "sessions.json"), path, sessions))) return false;

  heading("2. Four processes update it at once; one is killed with SIGKILL and started again");
  const rounds = [];
  for (const durability of /** @type {const} */ (["disk", "os"])) {
    const { killed, ...round } = await runGateways({ ...options, path, folder, durability, sessions });
    rounds.push(round);
    say(
      `  ${`"${durability}"`.padEnd(6)}  ${killed.name} was killed after ${duration(killed.afterUs)} with ` +
        `${killed.unacknowledged} of its updates under way; a new one had the store open in ${duration(killed.openedUs)}.`,
    );
  }

  const store = await openDirectoryStore(path);
  const { sessions: records } = await store.list();
  const findings = verify(
    sessions,
    records,
    rounds.map((round) => round.journals),
  );
  say();
  table([
    ["durability", ...rounds.map(({ durability }) => `"${durability}"`)],
    ["survives", "a power cut", "a killed process"],
    ["updates", ...rounds.map(({ microseconds }) => count(microseconds.length))],
    ["updates/s", ...rounds.map(({ microseconds }) => count(microseconds.length / options.seconds))],
    ["p50 per update", ...rounds.map(({ microseconds }) => duration(quantile(microseconds, 0.5)))],
    ["p99 per update", ...rounds.map(({ microseconds }) => duration(quantile(microseconds, 0.99)))],
    ["worst update", ...rounds.map(({ microseconds }) => duration(microseconds.at(-1) ?? 0))],
    ["lost updates", ...findings.rounds.map(({ lost }) => count(lost))],
    ["counted twice", ...findings.rounds.map(({ extra }) => count(extra))],
  ]);
  for (const problem of findings.problems.slice(0, 10)) say(red(`  ${problem}`));
  const good = findings.problems.length === 0;
  say();
  say(
    good
      ? green(
          "  Every acknowledged update is in the store, once; transactions are whole; big values are intact.",
        )
      : red(`  ${count(findings.problems.length)} problems: updates were lost or data is damaged.`),
  );

  await store.checkpoint();
  await store.close();

  heading("3. What people see");
  showFolders(path, records);

  say();
  say(values.keep ? `The folder is kept: ${folder}` : "The folder is removed; --keep leaves it.");
  return good;
}

/**
 * @param {string} file
 * @param {string} path
 * @param {readonly import("./sessions.mjs").KeyedSession[]} sessions
 * @returns Whether every session is in the store.
 */
async function migrate(file, path, sessions) {
  const keys = sessions.map(({ key }) => key);
  await writeSessionsJson(file, sessions);
  const before = { ...(await measureFile(file, keys)), ...diskUsage(file) };

  const { outcome, entries, refusals, backups, error, durationMs } = await migrateLegacyStore(file);
  if (outcome !== "migrated" || entries.kept !== sessions.length || entries.refused > 0) {
    say(
      red(`  ${outcome}: ${error?.message ?? ""} ${entries.kept} of ${sessions.length} sessions were kept.`),
    );
    for (const { message } of refusals.slice(0, 10)) say(red(`  ${message}`));
    return false;
  }
  say(
    `  ${size(before.apparent)}: migrated, read back and compared field by field in ${duration(durationMs * 1000)}.`,
  );
  say(
    `  All ${count(entries.kept)} sessions are in sessions.d. The file is now ${basename(backups[0] ?? "")}.`,
  );
  const after = { ...(await measureStore(path, keys)), ...diskUsage(path) };

  const row = (/** @type {string} */ name, /** @type {"readUs" | "updateUs" | "listUs"} */ cost) => [
    name,
    duration(before[cost]),
    duration(after[cost]),
    `${count(before[cost] / after[cost])} ×`,
  ];
  const less = count(before.allocated / after.allocated);
  say();
  table([
    ["", "sessions.json", "sessions.d", "less"],
    row("read one", "readUs"),
    row("update one, durably", "updateUs"),
    row("list all", "listUs"),
    ["bytes on disk", size(before.allocated), size(after.allocated), `${less} ×`],
    ["bytes in files", size(before.apparent), size(after.apparent), ""],
    ["files", count(before.files), count(after.files), ""],
  ]);
  say();
  say("  sessions.json: read and parse it all; an update writes it all, syncs it and renames it.");
  say(
    "  sessions.d: nothing is in memory; big values are read when touched; listing includes opening. Medians.",
  );
  return true;
}
