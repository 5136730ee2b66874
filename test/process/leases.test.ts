/**
 * Goal: of processes that are killed, stopped for longer than a lease lasts, and live with clocks that jump, never two have a lease
 * so that the writes of both count.
 * Method: six processes count in one session by turns, and say with which token; then the list of who counted is read. The same without
 * fencing shows what fencing is for.
 */
import { fork, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, expect, it } from "vitest";
import { openDirectoryStore } from "../../src/store/open.js";
import { seededRandom } from "../../src/testing/seeded-random.js";
import { many } from "../support/thoroughness.js";

const PROGRAM = fileURLToPath(new URL("programs/leases.mjs", import.meta.url));
const PROCESSES = 6;
const SECTIONS = Number(process.env["SESSIONDIR_SECTIONS"] ?? many(5000, 1500));
const TTL_MS = 300;

interface Work {
  readonly n: number;
  readonly token: number;
  readonly owner: string;
}

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "leases-"));
});
afterEach(() => rmSync(folder, { recursive: true }));

const run = (options: object): ChildProcess =>
  fork(PROGRAM, [JSON.stringify({ path: join(folder, "sessions.d"), ttlMs: TTL_MS, ...options })]);

async function workDone(): Promise<{ counted: number; work: Work[] }> {
  const store = await openDirectoryStore<{ n: number }>(join(folder, "sessions.d"));
  const work: Work[] = [];
  for await (const { item } of store.iterateItems<Work>("counter", { transcript: "work" })) work.push(item);
  const counted = (await store.get("counter"))?.n ?? 0;
  await store.close();
  return { counted, work };
}

/** Sections that counted although somebody with a later token had counted before, or of one token with two owners. */
function wrong(work: readonly Work[]): Work[] {
  const owners = new Map<number, string>();
  let latest = 0;
  return work.filter(({ token, owner }) => {
    const isLate = token < latest || (owners.get(token) ?? owner) !== owner;
    owners.set(token, owner);
    latest = Math.max(latest, token);
    return isLate;
  });
}

it(`${SECTIONS} sections, processes killed, stopped and out of time (SESSIONDIR_SECTIONS=N)`, async () => {
  const random = seededRandom(Number(process.env["SESSIONDIR_SEED"] ?? 1));
  const figures = { killed: 0, stopped: 0, started: 0 };
  const slots: (ChildProcess | undefined)[] = Array.from({ length: PROCESSES }, () => undefined);
  let running = true;
  const ended: Promise<unknown>[] = [];
  const start = (slot: number): void => {
    const owner = `p${++figures.started}`;
    const seed = Math.trunc(random() * 2 ** 31);
    const child = run({ owner, seed, sections: SECTIONS, fenced: true });
    slots[slot] = child;
    const end = once(child, "exit").then(([code, signal]) => {
      if (signal === "SIGKILL" && running) start(slot);
      else if (signal !== "SIGKILL") {
        expect(code).toBe(0);
        running = false;
      }
    });
    ended.push(end);
  };
  for (let slot = 0; slot < PROCESSES; slot++) start(slot);
  while (running) {
    await new Promise((resolve) => setTimeout(resolve, 50 + random() * 250));
    const child = slots[Math.trunc(random() * PROCESSES)];
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) continue;
    if (random() < 0.5) {
      figures.killed += child.kill("SIGKILL") ? 1 : 0;
    } else if (child.kill("SIGSTOP")) {
      figures.stopped++;
      setTimeout(() => child.kill("SIGCONT"), TTL_MS * (1 + 2 * random()));
    }
  }
  for (const child of slots) child?.kill("SIGCONT");
  for (let waited = 0; waited < ended.length; waited++) await ended[waited];
  const { counted, work } = await workDone();
  expect(wrong(work)).toEqual([]);
  expect(counted).toBeGreaterThanOrEqual(SECTIONS);
  expect(work.map(({ n }) => n)).toEqual(Array.from({ length: counted }, (_, index) => index + 1));
  expect(new Set(work.map(({ token }) => token)).size).toBeGreaterThan(SECTIONS / 200);
  expect(figures.killed + figures.stopped).toBeGreaterThan(0);
}, 600_000);

it.each([
  [true, 0],
  [false, 1],
])(
  "a holder that stood still goes on: fenced %s, %i of his writes count too late",
  async (fenced, late) => {
    const sleeper = run({ owner: "sleeper", seed: 1, sections: 30, fenced, stops: true });
    await new Promise((resolve) => setTimeout(resolve, 1000)); // it has the lease by now, and stands still
    const other = run({ owner: "other", seed: 2, sections: 5, fenced });
    await once(other, "exit");
    sleeper.kill("SIGCONT");
    await once(sleeper, "exit");
    const { work } = await workDone();
    expect(work.some(({ owner }) => owner === "other")).toBe(true);
    expect(wrong(work).length > 0 ? 1 : 0).toBe(late);
  },
  60_000,
);
