/**
 * Goal: no update is lost when others commit between any two system calls of a commit or a read (invariants I2, I3, I4).
 * Method: commits are synchronous, so another process runs its whole commit inside the hook of each single call of A, one
 * call after the other.
 */
import { describe, expect, it } from "vitest";
import { SimulatedDisk } from "../../../../src/testing/simulated/disk.js";
import { LogWitness } from "../../../support/log-witness.js";
import { openOn, boot, settled, start, type Entry, type Process } from "../../../support/processes.js";
import { expectAnswers } from "../../../support/store-checks.js";

const BULK: Entry = Object.fromEntries(
  Array.from({ length: 50 }, (_, index) => [`f${index}`, "x".repeat(100)]),
);
const plusOne = (entry: Entry | undefined): Entry => ({
  ...entry,
  n: ((entry?.["n"] as number | undefined) ?? 0) + 1,
});

function transfer({ store }: Process, amount: number): Promise<void> {
  return store.transact(async (tx) => {
    const [from, to] = [await tx.get("from"), await tx.get("to")];
    await tx.put("from", { tokens: (from?.["tokens"] as number) - amount });
    await tx.put("to", { tokens: (to?.["tokens"] as number) + amount });
  });
}

/** What A does; `n` of the counter and the sum of the tokens tell afterwards whether everything counted. */
const MINE: Record<string, (process: Process) => Promise<unknown>> = {
  "an update of a session in the log": ({ store }) => store.update("hot", plusOne),
  "an update of a session in its file": ({ store }) => store.update("cold", plusOne),
  "an update that makes a session": ({ store }) => store.update("none", plusOne),
  "a patch": ({ store }) => store.patch("hot", { patched: true }),
  "a transaction": (process) => transfer(process, 5),
  "an update that fills the segment": ({ store }) =>
    store.update("hot", (entry) => ({ ...BULK, ...plusOne(entry) })),
};

/** What others do in the middle of it. The first part of each is synchronous. */
const OTHERS: Record<string, (process: Process) => Promise<unknown>> = {
  "update the same sessions": ({ store }) =>
    Promise.all([store.update("hot", plusOne), store.update("cold", plusOne), store.update("none", plusOne)]),
  "delete and recreate them": async ({ store }) => {
    const deleted = [store.delete("hot"), store.delete("cold"), store.delete("none")];
    await Promise.all([...deleted, store.put("hot", { n: 100 }), store.put("cold", { n: 100 })]);
  },
  "move tokens": (process) => transfer(process, 3),
  "update another session": ({ store }) => store.update("other", plusOne),
  "fill the segment": ({ store }) => Promise.all([store.put("bulk", BULK), store.update("hot", plusOne)]),
};

describe.each(Object.entries(MINE))("%s, while others", (_mine, mine) => {
  it.each(Object.entries(OTHERS))("%s", async (_others, others) => {
    for (let at = 1, reached = true; reached; at++) {
      const disk = new SimulatedDisk();
      const b = await start(disk, "B", { durability: "os", segmentBytes: 4096 });
      await b.store.put("cold", { n: 0 });
      for (const key of ["from", "to"]) await b.store.put(key, { tokens: 50 });
      await b.store.checkpoint();
      await b.store.put("hot", { n: 0 });
      const a = await openOn(boot(disk, "A"), { durability: "os", segmentBytes: 4096 });
      const witness = new LogWitness(disk);
      const cold = { revision: 1, stored: { n: 0 } };
      let seen = 0;
      let theirs: Promise<unknown> | undefined;
      let before = 0;
      a.fs.onCall = () => {
        if (++seen !== at) return;
        witness.look();
        before = witness.revision;
        theirs = others(b);
      };
      await settled(mine(a), a, b);
      reached = theirs !== undefined;
      await settled(Promise.resolve(theirs), a, b);
      a.fs.onCall = undefined;
      witness.look();
      // Every conditional commit was computed from what the log had just before it: replayed, they give the same.
      expectCounted(witness, cold);
      const where = `at call ${at}, behind revision ${before}`;
      const c = await start(disk, "C");
      const tokens = [await c.store.get("from"), await c.store.get("to")].map(
        (entry) => entry?.["tokens"] as number,
      );
      expect(tokens[0]! + tokens[1]!, where).toBe(100);
      for (const process of [a, b, c]) await expectAnswers(process, await stateOf(c), ["none"]);
    }
  });
});

async function stateOf({ store }: Process): Promise<LogWitness["state"]> {
  const { sessions } = await store.list();
  return new Map(sessions.map(({ key, revision, entry }) => [key, { revision, stored: entry as never }]));
}

/** `n` of every session goes up by one with every commit of it, or the session was made anew. */
function expectCounted(witness: LogWitness, cold: { revision: number; stored: object }): void {
  for (const [index, { after, revision }] of witness.commits.entries()) {
    const previous =
      witness.commits[index - 1]?.after ?? new Map<string, { revision: number; stored: object }>();
    for (const [key, state] of after) {
      const { n } = state.stored as { n?: number };
      if (state.revision !== revision || n === undefined || n === 100 || n === 0) continue;
      const seed =
        key === "cold" &&
        !witness.commits.some(({ after: known, revision: r }) => r < revision && known.has("cold"));
      const was = (previous.get(key) ?? (seed ? cold : undefined))?.stored as { n?: number } | undefined;
      const patched = (state.stored as { patched?: boolean }).patched === true && was?.n === n;
      if (!patched) expect(n, `${key} at revision ${revision}`).toBe((was?.n ?? 0) + 1);
    }
  }
}
