// @ts-check
/**
 * Durable updates, one after the other in one process, against the least that anybody can do: append as many bytes to
 * a file and fdatasync it. That in two forms: on the thread pool, as every program must that has other things
 * to do meanwhile (sessiondir does), and blocking the whole process (better-sqlite3 does).
 */
import { closeSync, fdatasync, fdatasyncSync, openSync, writeSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import { Random } from "../../examples/demo/sessions.mjs";
import { nextTurn } from "../entries.mjs";
import { byTurns, countUpdates, verifyCount } from "../measure.mjs";
import { median } from "../statistics.mjs";
import { keysOf } from "../stores.mjs";
import { closeAll, openAll, plainPeers, rowsAgainstPeers } from "../workload.mjs";

/** @typedef {import("../workload.mjs").Context} Context */

const sync = promisify(fdatasync);

export const title = "update, disk";

const SHAPE = { sessions: 650, use: "disk" };
/** Of a typical record. */
const RECORD_BYTES = 300;
const WARMING_BATCHES = 100;
const WARMING_AT_ONCE = 50;
const POOL = "append + fdatasync (thread pool)";
const BLOCKING = "append + fdatasync (blocking)";

/** @param {Context} context */
export async function run(context) {
  const rounds = context.quick ? 5 : 25;
  const warmUp = 2;
  const updates = context.quick ? 40 : 80;
  const peers = plainPeers(context);
  const opened = await openAll(context, "disk", SHAPE, peers);
  const keys = keysOf(SHAPE).small;
  const random = new Random(3);
  const file = openSync(join(context.stores.folder, "bare.log"), "a", 0o600);
  const record = Buffer.alloc(RECORD_BYTES, "x");

  /** @param {() => void | Promise<unknown>} one Median of a round: a disk that stalls now and then says nothing about anybody. */
  const round = (one) => async () => {
    const samples = [];
    for (let index = 0; index < updates; index++) {
      const start = performance.now();
      const done = one();
      if (done !== undefined) await done;
      samples.push((performance.now() - start) * 1000);
    }
    return median(samples);
  };
  /** @type {Record<string, () => Promise<number>>} */
  const contenders = {
    [POOL]: round(() => {
      writeSync(file, record);
      return sync(file);
    }),
    [BLOCKING]: round(() => {
      writeSync(file, record);
      fdatasyncSync(file);
    }),
  };
  for (const [name, store] of opened)
    contenders[name] = round(async () => store.update(random.pick(keys), nextTurn));
  // The engine's compiler needs some thousand calls before it is done; a gateway has them behind it in a minute.
  for (const store of opened.values()) {
    for (let batch = 0; batch < WARMING_BATCHES; batch++) {
      await Promise.all(
        Array.from({ length: WARMING_AT_ONCE }, async () => store.update(random.pick(keys), nextTurn)),
      );
    }
  }
  const samples = await byTurns({ rounds, warmUp }, contenders);
  closeSync(file);
  for (const [name, store] of opened) {
    verifyCount(
      `updates by ${name}`,
      await countUpdates(store),
      (rounds + warmUp) * updates + WARMING_BATCHES * WARMING_AT_ONCE,
    );
  }
  await closeAll(opened);

  const ours = samples[context.ours.name] ?? [];
  const label = "one process, small";
  return [
    { label, unit: "time", ours, against: POOL, theirs: samples[POOL] ?? [], goal: "update disk" },
    { label, unit: "time", ours, against: BLOCKING, theirs: samples[BLOCKING] ?? [] },
    ...rowsAgainstPeers(context, { label, unit: "time" }, samples),
  ];
}
