/**
 * Goal: memory of an import does not grow with all that was changed: the store is told now and then to put away what it keeps of sessions
 * until a checkpoint, and nothing is changed while it does. Method: a store in memory that counts checkpoints, and commits beside them.
 */
import { expect, it } from "vitest";
import { importSessions } from "../../../src/moving/index.js";
import { memoryStore, piecesOf } from "./support/stores.js";

const SESSIONS = 10_500;

it(
  "checkpoints every few thousand sessions, with no commit under way, and not in a dry run",
  { timeout: 60_000 },
  async () => {
    const lines = ['{"type":"header","format":"sessiondir-export","version":1}'];
    for (let n = 0; n < SESSIONS; n++) lines.push(`{"type":"session","key":"k${n}","entry":{"n":${n}}}`);
    lines.push('{"type":"end"}', "");
    const inner = await memoryStore();
    let running = 0;
    const at: number[] = [];
    const store = Object.assign(Object.create(inner) as typeof inner, {
      async transact(...args: Parameters<typeof inner.transact>) {
        running++;
        try {
          return await inner.transact(...args);
        } finally {
          running--;
        }
      },
      async checkpoint() {
        expect(running).toBe(0);
        at.push(await inner.count());
      },
      read: inner.read.bind(inner),
      transcripts: inner.transcripts.bind(inner),
    });
    await importSessions(store, piecesOf(lines.join("\n"), 65_536), { dryRun: true });
    expect(at).toEqual([]);
    expect(await importSessions(store, piecesOf(lines.join("\n"), 65_536))).toMatchObject({
      created: SESSIONS,
    });
    expect(at).toEqual([5000, 10_000]);
    await inner.close();
  },
);
