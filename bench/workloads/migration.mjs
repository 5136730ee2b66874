// @ts-check
import { spawnSync } from "node:child_process";
import { mkdirSync, rmSync, statSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { writeLegacyFile } from "../data/legacy-file.mjs";
import { takeTurns } from "../runner/turns.mjs";

export const title = "migration";
export const note =
  "A sessions.json of 650 sessions, nearly 90 MB, into a store; each in a process of its own. sessiondir inspects every " +
  "session, writes the store aside, reads it back and compares every field. Beside it the least that anybody must do " +
  "(parse the file and print it again), and a bare insert into SQLite that checks nothing.";

const PROGRAM = fileURLToPath(new URL("../migration.mjs", import.meta.url));
const SESSIONS = 650;
const RUNS = /** @type {const} */ ([
  ["sessiondir", "migrate"],
  ["JSON.parse + JSON.stringify", "parse"],
  ["better-sqlite3", "sqlite"],
]);

/** @param {import("../runner/turns.mjs").Context} context */
export async function run({ sheet, stores, peers, quick }) {
  const ids = ["migration", "migration, memory", "migration, block"];
  sheet.define("migration", "time", "time");
  sheet.define("migration, memory", "highest memory", "bytes");
  sheet.define("migration, block", "longest block of the event loop", "time");
  const folder = join(stores.folder, "migration");
  const file = join(folder, "sessions.json");
  const contenders = RUNS.filter(
    ([name]) => name.startsWith("JSON") || peers.some((peer) => peer.name === name),
  ).map(([peer, kind]) => ({
    peer,
    turn: async () => {
      rmSync(folder, { recursive: true, force: true });
      mkdirSync(folder);
      await writeLegacyFile(file, SESSIONS);
      const bytes = statSync(file).size;
      const child = spawnSync(process.execPath, [PROGRAM, "--run", kind, "--file", file], {
        encoding: "utf8",
      });
      if (child.status !== 0) throw new Error(child.stderr);
      const { ms, rssMb, blockMs, kept, length } = JSON.parse(child.stdout);
      const done =
        kind === "migrate" ? kept === SESSIONS : kind === "sqlite" ? length === SESSIONS : length > bytes / 2;
      if (!done) throw new Error(`not verified: ${child.stdout}`);
      return {
        migration: ms * 1000,
        "migration, memory": rssMb * 2 ** 20,
        ...(blockMs !== undefined && { "migration, block": blockMs * 1000 }),
      };
    },
  }));
  await takeTurns(sheet, { part: title, ids, rounds: quick ? 1 : 3, warmUp: 0 }, contenders);
}
