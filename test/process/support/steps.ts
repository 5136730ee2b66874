/**
 * Sequences of steps for `programs/steps.mjs`, each with what it makes of the sessions: so that a run that was
 * interrupted anywhere is known to have left the state after the steps that it said were done, or after one more.
 */
import { existsSync } from "node:fs";
import { openDirectoryStore, type OpenOptions } from "../../../src/index.js";
import type { Message } from "./child.js";
import { untidiness } from "./tidy-store.js";

type Entry = Readonly<Record<string, unknown>>;
type State = Readonly<Record<string, Entry>>;

export interface Step {
  readonly kind: "update" | "patch" | "delete" | "transact" | "flush" | "checkpoint";
  readonly sets?: readonly (readonly [key: string, entry: Entry])[];
  readonly deletes?: readonly string[];
  readonly key?: string;
  readonly fields?: Entry;
}

export interface Scenario {
  readonly name: string;
  /** Whether there is a store, which the program has opened before it says that it is ready. */
  readonly prepared: boolean;
  readonly steps: readonly Step[];
}

/** Big enough to be stored aside. */
const BIG = "big".repeat(2000);

const UPDATES: readonly Step[] = [
  { kind: "update", sets: [["a", { updatedAt: 2, text: "new" }]] },
  { kind: "patch", key: "b", fields: { updatedAt: 3, more: true } },
  {
    kind: "transact",
    sets: [
      ["a", { updatedAt: 4 }],
      ["d", { updatedAt: 4 }],
    ],
    deletes: ["c"],
  },
  { kind: "update", sets: [["e", { updatedAt: 5, big: { text: BIG } }]] },
  { kind: "delete", deletes: ["b"] },
];

export const SCENARIOS: readonly Scenario[] = [
  {
    name: "the first open of a store",
    prepared: false,
    steps: [{ kind: "update", sets: [["a", { updatedAt: 1 }]] }],
  },
  { name: "updates", prepared: true, steps: UPDATES },
  {
    name: "flush and checkpoint",
    prepared: true,
    steps: [
      ...UPDATES.slice(2),
      { kind: "flush" },
      { kind: "checkpoint" },
      { kind: "update", sets: [["a", { updatedAt: 6, big: { text: `${BIG}!` } }]] },
      { kind: "checkpoint" },
    ],
  },
];

export const OPTIONS: OpenOptions<Entry> = { durability: "disk", flushDelayMs: 2 ** 30 };

const PREPARED: State = {
  a: { updatedAt: 1, text: "old" },
  b: { updatedAt: 1 },
  c: { updatedAt: 1, big: { text: BIG } },
};

export async function prepare(path: string, { prepared }: Scenario): Promise<void> {
  if (!prepared) return;
  const store = await openDirectoryStore<Entry>(path, OPTIONS);
  for (const [key, entry] of Object.entries(PREPARED)) await store.put(key, entry);
  await store.checkpoint();
  await store.put("b", { updatedAt: 1 });
  await store.close();
}

/** What docs/durability.md expects. */
const AFTER_POWER_CUT = /^(log_gap|segment_garbage):/;

/** Errors after which a write may count or not. */
function mayCount({ code, written }: Message): boolean {
  return code === "commit_unknown" || (code === "durability_unknown" && written === true);
}

/** What is wrong after an interrupted run, in words. Tidies up, and looks whether that is possible. */
export async function wrongAfter(
  path: string,
  scenario: Scenario,
  messages: readonly Message[],
  powerCut: boolean,
): Promise<string[]> {
  const states: State[] = [scenario.prepared ? PREPARED : {}];
  for (const step of scenario.steps) states.push(apply(states.at(-1) ?? {}, step));
  const done = messages.filter(({ event }) => event === "done").length;
  const refused = messages.find(({ event }) => event === "refused");
  const possible = [states[done]];
  if (refused === undefined || mayCount(refused)) possible.push(states[done + 1]);
  const wrong: string[] = [];
  if (refused !== undefined && typeof refused["code"] !== "string") {
    wrong.push(`an error without a code: ${String(refused["message"])}`);
  }
  if (!existsSync(path) && done === 0) return wrong;
  const warnings: string[] = [];
  const store = await openDirectoryStore<Entry>(path, {
    ...OPTIONS,
    onWarning: ({ code, message }) => warnings.push(`${code}: ${message}`),
  });
  const before = await stateOf(store.list());
  if (!possible.some((state) => state !== undefined && sorted(state) === before)) {
    wrong.push(`after ${done} steps: ${before.slice(0, 500)}`);
  }
  await store.flush();
  // What belongs to the active segment goes with the checkpoint after the next, and an empty segment has none.
  for (let checkpoint = 0; checkpoint < 2; checkpoint++) {
    await store.put("passing", { checkpoint });
    await store.delete("passing");
    await store.checkpoint();
  }
  const list = store.list();
  if ((await stateOf(list)) !== before) wrong.push("tidying up changed the sessions");
  wrong.push(...untidiness(path, (await list).sessions));
  await store.close();
  // A kill leaves nothing to warn of: a write that was cut short is told from damage.
  return [...wrong, ...warnings.filter((warning) => !powerCut || !AFTER_POWER_CUT.test(warning))];
}

function apply(state: State, { sets = [], deletes = [], key, fields }: Step): State {
  const next = new Map(Object.entries(state));
  for (const [key, entry] of sets) next.set(key, entry);
  for (const key of deletes) next.delete(key);
  if (key !== undefined) next.set(key, { ...next.get(key), ...fields });
  return Object.fromEntries(next);
}

async function stateOf(
  list: Promise<{ sessions: readonly { readonly key: string; readonly entry: Entry }[] }>,
): Promise<string> {
  const { sessions } = await list;
  return sorted(Object.fromEntries(sessions.map(({ key, entry }) => [key, entry])));
}

function sorted(state: State): string {
  return JSON.stringify(Object.entries(state).sort(([a], [b]) => (a < b ? -1 : 1)));
}
