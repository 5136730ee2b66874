/** A simulated machine with a store of which some sessions are old, for the tests of this folder. */
import { expect } from "vitest";
import {
  applyRetentionOn,
  type ApplyOptions,
  type RetentionReport,
} from "../../../../src/care/retention/apply.js";
import { planRetentionOn } from "../../../../src/care/retention/plan.js";
import type { RetentionPolicy } from "../../../../src/care/retention/policy-types.js";
import { listArchivedOn, restoreSessionOn } from "../../../../src/care/retention/restore.js";
import type { LegacyHost } from "../../../../src/legacy/base/host.js";
import { openDirectoryStoreOn } from "../../../../src/store/open.js";
import { DIRECTORY, LegacyMachine } from "../../../legacy/legacy-machine.js";
import type { Content, Entry, Store } from "../../moving/support/stores.js";

export const ARCHIVE = "/home/sessions/sessions.archive";
export const DAY = 24 * 3600 * 1000;

export const open = (host: LegacyHost): Promise<Store> =>
  openDirectoryStoreOn<Entry>(host.fs, host.runtime, DIRECTORY, {
    segmentBytes: 16 * 1024,
    onWarning: () => {},
  });

export async function on<Host extends LegacyHost, R>(
  host: Host,
  work: (store: Store, host: Host) => Promise<R>,
): Promise<R> {
  const store = await open(host);
  try {
    return await work(store, host);
  } finally {
    await store.close();
  }
}

export async function machineWith(
  work: (store: Store, host: LegacyHost) => Promise<unknown>,
): Promise<LegacyMachine> {
  const machine = new LegacyMachine();
  await on(machine.process(), work);
  return machine;
}

/** Three old sessions of every kind, and three that are not old. */
export async function fill(store: Store, { runtime }: LegacyHost): Promise<void> {
  const prompt = "skill ".repeat(1000);
  const old = runtime.now() - 10 * DAY;
  for (let n = 0; n < 3; n++) {
    await store.put(`old:${n}`, { n, updatedAt: old + n, prompt, ["__proto__"]: { $odd: n } });
    await store.append(`old:${n}`, [{ text: "hi" }, "ho", null], { ids: [`a${n}`, undefined, "c"] });
    await store.put(`new:${n}`, { n, updatedAt: runtime.now() - n, prompt });
  }
  await store.append("old:0", [{ n: 1 }], { transcript: "side" });
}

/** Removes what is older than a week. */
export const WEEK: RetentionPolicy = {
  version: 1,
  mode: "enforce",
  rules: [{ name: "old", olderThan: "7d" }],
  maxShare: 0.5,
};

export async function prune(
  host: LegacyHost,
  store: Store,
  policy: RetentionPolicy = WEEK,
  options: ApplyOptions = {},
): Promise<RetentionReport> {
  return applyRetentionOn(host, store, await planRetentionOn(host, store, policy), {
    onWarning: () => {},
    ...options,
  });
}

/** Brings every archived session back; then the store has what it had. */
export async function restoreAll(host: LegacyHost, store: Store): Promise<string[]> {
  const keys = new Set<string>();
  for await (const { key } of listArchivedOn(host, store, {
    onWarning: ({ message }) => expect(message).toBe(""),
  }))
    keys.add(key);
  for (const key of keys) await restoreSessionOn(host, store, key);
  return [...keys].sort();
}

/** Byte for byte: the order of fields counts. */
export const bytesOf = (content: Content): string[] =>
  Object.entries(content)
    .map(([key, value]) => `${key} ${JSON.stringify(value)}`)
    .sort();

/** Keys that the archive has, with each state once more, and codes of warnings. */
export const archived = async (
  host: LegacyHost,
  store: Store,
): Promise<{ readonly keys: string[]; readonly warnings: string[] }> => {
  const keys: string[] = [];
  const warnings: string[] = [];
  const onWarning = ({ code }: { code: string }): void => void warnings.push(code);
  for await (const { key } of listArchivedOn(host, store, { onWarning })) keys.push(key);
  return { keys, warnings };
};
