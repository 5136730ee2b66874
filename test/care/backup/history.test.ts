/**
 * Goal: whatever a store goes through while it is copied (deletes, cuts and trims of transcripts, removals, shared values that come
 * and go, checkpoints), the copy shows exactly the state that the store had at the copy's revision, before and after a checkpoint.
 * Method: a seeded random history on the simulated disk; after each step the living store is dumped, by revision. Each backup that
 * was made beside it is restored, and compared with the dump of its revision.
 */
import { describe, expect, it } from "vitest";
import { createBackupOn } from "../../../src/care/backup/create.js";
import { pruneBackupsOn } from "../../../src/care/backup/prune.js";
import { restoreBackupOn } from "../../../src/care/backup/restore.js";
import { seededRandom } from "../../../src/testing/seeded-random.js";
import { many } from "../../support/thoroughness.js";
import { BACKUPS, BackupMachine, RESTORED, STORE, type Store } from "./backup-machine.js";

const KEYS = ["agent:main:a", "agent:main:b", "c", "__proto__"];
const NAMES = ["main", "tools"];

async function dump(store: Store): Promise<string> {
  const { sessions } = await store.list();
  const transcripts: unknown[] = [];
  for (const key of KEYS) {
    for (const name of await store.transcripts(key)) {
      const items: unknown[] = [];
      for await (const { seq, item } of store.iterateItems(key, { transcript: name }))
        items.push([seq, item]);
      transcripts.push([key, name, items]);
    }
  }
  return JSON.stringify([sessions.map(({ key, revision, entry }) => [key, revision, entry]), transcripts]);
}

async function step(store: Store, random: () => number, n: number): Promise<void> {
  const pick = <T>(from: readonly T[]): T => from[Math.floor(random() * from.length)]!;
  const key = pick(KEYS);
  const transcript = pick(NAMES);
  const info = await store.transcript(key, transcript);
  const kind = random();
  if (kind < 0.25) await store.put(key, { n, shared: `${"v".repeat(300)}${Math.floor(random() * 6)}` });
  else if (kind < 0.35) await store.update(key, (entry) => ({ ...entry, n, again: true }));
  else if (kind < 0.42) await store.delete(key);
  else if (kind < 0.75)
    await store.append(
      key,
      Array.from({ length: 1 + Math.floor(random() * 4) }, (_, i) => ({
        n,
        i,
        text: "y".repeat(random() * 300),
      })),
      { transcript },
    );
  else if (kind < 0.82 && info !== undefined)
    await store.truncate(key, { length: Math.floor(info.length * random()) }, { transcript });
  else if (kind < 0.88 && info !== undefined)
    await store.trim(key, { length: Math.ceil(info.length * random()) }, { transcript });
  else if (kind < 0.91) await store.removeTranscript(key, { transcript });
  else if (kind < 0.97) await store.checkpoint();
  else await store.flush();
}

describe("a random history", () => {
  it.each(Array.from({ length: many(30, 5) }, (_, index) => index + 1))(
    "with seed %d",
    { timeout: 120_000 },
    async (seed) => {
      const random = seededRandom(seed);
      const machine = new BackupMachine();
      const store = await machine.open();
      const states = new Map<number, string>([[(await store.stats()).revision, await dump(store)]]);
      let stop = false;
      const writing = (async () => {
        for (let n = 0; !stop; n++) {
          await step(store, random, n);
          states.set((await store.stats()).revision, await dump(store));
          await new Promise(setImmediate);
        }
      })();
      const revisions = new Map<string, number>();
      try {
        for (let round = 0; round < 12; round++) {
          const { name, revision } = await createBackupOn(machine.process("ticking"), STORE, BACKUPS);
          revisions.set(name, revision);
          if (round === 6) await pruneBackupsOn(machine.process("ticking"), BACKUPS, { last: 20 });
        }
      } finally {
        stop = true;
      }
      await writing;
      for (const [name, revision] of revisions) {
        const to = `${RESTORED}-${name}`;
        await restoreBackupOn(machine.process(), BACKUPS, to, { name });
        const restored = await machine.open(machine.process(), to);
        expect(states.has(revision), `${name} at ${revision}`).toBe(true);
        expect(await dump(restored), name).toBe(states.get(revision));
        await restored.checkpoint();
        expect(await dump(restored), `${name} after a checkpoint`).toBe(states.get(revision));
        await restored.close();
        const again = await machine.open(machine.process(), to);
        expect(await dump(again), `${name} opened again`).toBe(states.get(revision));
        await again.close();
      }
      expect(new Set(revisions.values()).size).toBeGreaterThan(6);
    },
  );
});
