/**
 * Goal: damage costs at most what was in the damaged bytes and nowhere else. Whatever happens to one file of a store, every
 * session that its own file, a later whole entry or a living process still has is there in the end, nothing older is
 * given in its place, no change is acknowledged on top of something older, and no newer file is replaced.
 * Method: stores of fifty sessions in use on the simulated disk, half of them with a process that had read everything
 * and lives on. One file is damaged by chance; a newcomer reads, lists and writes everything; then the living
 * process goes on, or the store is opened with `soleProcess`. What evidence was left is found out from the bytes, not from the
 * store. `npm run damages` makes thousands; `SESSIONDIR_DAMAGES` says how many, `SESSIONDIR_SEED` which.
 */
import { describe, expect, it } from "vitest";
import { DamageCase } from "./damage-case.js";
import { damage, HOW, type How, type Where } from "./damaging.js";
import { newFigures, type Figures } from "./figures.js";
import { changesIn } from "./scenes.js";
import { KEYS, usedStore } from "./traffic.js";
import { many } from "../../../support/thoroughness.js";

const SEED = Number(process.env["SESSIONDIR_SEED"] ?? 20261129);
const DAMAGES = Number(process.env["SESSIONDIR_DAMAGES"] ?? many(300, 120));
/** The log is where most of it matters. */
const SHARES: readonly Where[] = [
  "log",
  "entry file",
  "log",
  "catalog",
  "log header",
  "log",
  "entry file",
  "log",
  "shared value",
  "log",
  "durable mark",
  "log",
  "format.json",
];
/** Far more than one takes on a busy machine. */
const DAMAGE_MS_MAX = 2000;

const wrong: string[] = [];
const figures = new Map<string, Figures>();

/** Those of one kind of damage. */
function figuresOf(where: Where, how: How): Figures {
  const name = `${where}, ${how}`;
  const found = figures.get(name) ?? newFigures();
  figures.set(name, found);
  return found;
}

describe(`${DAMAGES} damages with seed ${SEED}`, () => {
  it(
    "cost no session that anything else still has",
    async () => {
      let made = 0;
      for (let seed = SEED; made < DAMAGES; seed++) if (await judged(seed)) made++;
      const table = Object.fromEntries([...figures].sort(([a], [b]) => (a < b ? -1 : 1)));
      console.table(table);
      expect(wrong).toEqual([]);
      const total = [...figures.values()].reduce((sum, { right }) => sum + right, 0);
      if (DAMAGES >= 100) expect(total).toBeGreaterThan(DAMAGES * KEYS.length * 0.7);
    },
    DAMAGES * DAMAGE_MS_MAX,
  );
});

/** Everything follows from the seed, so that one case can be run again. */
async function judged(seed: number): Promise<boolean> {
  const round = Math.trunc(seed / SHARES.length);
  const where = SHARES[seed % SHARES.length] ?? "log";
  const how = HOW[round % HOW.length] ?? "bit flip";
  const hasLive = Math.trunc(round / HOW.length) % 2 === 1;
  const used = await usedStore(seed, hasLive);
  const changes = changesIn(used.disk);
  const done = damage(used.disk, where, how, used.pick);
  if (done !== undefined) {
    const name = `seed ${seed}, ${where}, ${how}, ${hasLive ? "a process lives on" : "nobody lives on"}, ${done.path}`;
    const one = new DamageCase(name, used, done, figuresOf(where, how), changes);
    try {
      await one.run();
    } catch (error) {
      wrong.push(`${name}: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`);
    }
    wrong.push(...one.wrong);
  }
  used.live?.fs.kill();
  return done !== undefined;
}
