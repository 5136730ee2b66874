// @ts-check
/**
 * `npm run demo`: the whole job on a store as real gateways have it, in well under a minute.
 *
 * Makes 650 sessions, lets four processes update them at once, kills one of them in the middle, and counts whether
 * everything that was acknowledged is there. Exits with 1 if anything is missing or was counted twice.
 *
 *   --sessions N   how many sessions (default 650)
 *   --seed N       other sessions (default 1)
 *   --seconds N    how long the processes work, for each of the two levels of durability (default 4)
 *   --keep         leave the store and say where it is
 */
import { mkdtempSync, realpathSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { openDirectoryStore } from "sessiondir";
import { diskUsage } from "./disk-usage.mjs";
import { runGateways } from "./gateways.mjs";
import { showFolders } from "./look.mjs";
import { bold, count, duration, green, heading, quantile, red, say, size, table } from "./report.mjs";
import { makeSessions } from "./sessions.mjs";
import { measureSingleFile } from "./single-file.mjs";
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
  // More would not fit into one string of a sessions.json, which is measured as well.
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

/** @returns Whether everything that was acknowledged is there, once. */
async function demo() {
  const path = join(folder, "sessions.d");
  const sessions = makeSessions(options.sessions, options.seed);

  say(bold("sessiondir: a directory per session, many processes, no lock"));
  say(`${count(sessions.length)} sessions, seed ${options.seed}, Node ${process.version}, in ${folder}`);

  heading("1. The store is made");
  const makingAt = performance.now();
  let store = await openDirectoryStore(path);
  await Promise.all(sessions.map(({ key, entry }) => store.put(key, entry, { ifRevision: 0 })));
  await store.checkpoint();
  await store.close();
  const madeUs = (performance.now() - makingAt) * 1000;
  say(`  ${count(sessions.length)} sessions were put and are on the disk after ${duration(madeUs)}.`);

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

  store = await openDirectoryStore(path);
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
  const used = diskUsage(path);

  heading("3. The same data as one sessions.json");
  const single = await measureSingleFile(join(folder, "sessions.json"), records);
  const medianUs = quantile(rounds[0]?.microseconds ?? [], 0.5);
  table([
    ["", "sessions.d", "sessions.json"],
    ["bytes on disk", size(used.allocated), size(single.allocated)],
    ["bytes in files", size(used.apparent), size(single.apparent)],
    ["files", count(used.files), "1"],
    ["one durable update", duration(medianUs), duration(single.rewriteUs)],
  ]);
  say();
  say("  One update of sessions.json is: read it, parse it, change one session, write all of it, rename.");
  say("  It was alone; the updates of sessions.d had three other processes beside them.");
  say(
    `  So sessions.d takes ${count(single.allocated / used.allocated)} times less of the disk, and an update is ` +
      `${count(single.rewriteUs / medianUs)} times faster.`,
  );

  heading("4. What people see");
  showFolders(path, records);

  say();
  say(values.keep ? `The store is kept: ${path}` : "The folder is removed; --keep leaves it.");
  return good;
}
