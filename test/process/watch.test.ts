/**
 * Goal: a watcher in another process sees every change, in log order and without a gap, from any revision that the log
 * still has, across any number of segments; where the log no longer has it, it is told so. A watcher with
 * nothing to see does nothing.
 * Method: writers in several processes change sessions in batches smaller than a segment, and the next batch comes
 * when every watcher has seen the last: then no segment that a watcher still needs can have been checkpointed. What
 * they saw is compared with each other, with the revisions there must be, and with the sessions in the end.
 */
import { readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { openDirectoryStore, type DirectorySessionStore } from "../../src/index.js";
import { start, type Child, type Message } from "./support/child.js";
import { canTrace, trace, traced } from "./support/strace.js";
import { temporaryFolder } from "./support/temporary-folder.js";
import { segmentsOf } from "./support/tidy-store.js";

const BATCHES = 50;
const WRITERS = 3;
/** With 3 writers about half of a segment of 16 KiB, the first mention of each session included. */
const COMMITS = 12;
const OPTIONS = { durability: "os", segmentBytes: 16 * 1024, flushDelayMs: 5 } as const;

interface Change {
  readonly key: string;
  readonly revision: number;
  readonly kind: "put" | "delete";
  readonly entry?: object;
}

it("every process sees every change in the same order, across segments, from any revision", async () => {
  const path = join(temporaryFolder(), "sessions.d");
  const own = await openDirectoryStore<object>(path, OPTIONS);
  const watchers = [watch(path, 0), watch(path, 0)];
  const late: { readonly since: number; readonly watcher: Child }[] = [];
  const writers = Array.from({ length: WRITERS }, (_, index) =>
    start("batches", { path, name: `writer${index}`, seed: 7 + index, options: OPTIONS }),
  );
  await Promise.all(writers.map((writer) => writer.next("open")));
  await Promise.all(watchers.map((watcher) => watcher.next("watching")));
  for (let batch = 0; batch < BATCHES; batch++) {
    for (const writer of writers) writer.say({ event: "write", commits: COMMITS });
    await Promise.all(writers.map((writer) => writer.next("written")));
    const revision = await own.revision();
    await Promise.all(watchers.map((watcher) => seen(watcher, revision)));
    if (batch % 10 !== 9) continue;
    // Another one comes in the middle, and begins with changes from before it came that the log surely has.
    const since = await makeRoom(path, own, watchers);
    for (const writer of writers) writer.say({ event: "write", commits: 2 });
    await Promise.all(writers.map((writer) => writer.next("written")));
    const watcher = watch(path, since);
    await watcher.next("watching");
    await seen(watcher, await own.revision());
    await Promise.all(watchers.map(async (earlier) => seen(earlier, await own.revision())));
    late.push({ since, watcher });
    watchers.push(watcher);
  }
  const revision = await own.revision();
  const { sessions } = await own.list();
  await own.close();
  for (const child of [...writers, ...watchers]) child.say({ event: "stop" });
  await Promise.all([...writers, ...watchers].map((child) => child.finished()));

  const [all = [], again = []] = watchers.map(changesOf);
  const segments = segmentsOf(path).at(-1) ?? 0;
  console.log("watched", JSON.stringify({ changes: all.length, revision, segments }));
  expect(segments).toBeGreaterThan(5); // a full one waits until checkpoints keep up
  expect(all.at(-1)?.revision).toBe(revision);
  expect(all.map((change) => change.revision)).toEqual(
    all.map((change) => change.revision).toSorted((a, b) => a - b),
  );
  expect(again).toEqual(all);
  for (const { since, watcher } of late) {
    expect(changesOf(watcher)).toEqual(all.filter((change) => change.revision > since));
  }
  expect(replayed(all)).toEqual(sessions.map(({ key, entry }) => [key, entry]));
  expect(watchers.flatMap(({ messages }) => messages.filter(({ event }) => event === "warning"))).toEqual([]);
});

it("a watcher is told when the log no longer has what it asks for", async () => {
  const path = join(temporaryFolder(), "sessions.d");
  const own = await openDirectoryStore<object>(path, OPTIONS);
  for (let step = 1; step <= 9; step++) await own.put(`session:${step % 3}`, { step });
  const before = await own.revision();
  const { revision: last } = await own.put("session:1", { step: 10 });
  await own.checkpoint();
  const { revision } = await own.put("session:0", { step: 11 });
  const tooLate = watch(path, before);
  expect(await tooLate.next("failed")).toMatchObject({
    code: "revision_too_old",
    data: { since: before, revision },
  });
  await tooLate.next("done");
  const justInTime = watch(path, last);
  expect(await justInTime.next("change")).toMatchObject({
    key: "session:0",
    revision,
    entry: { step: 11 },
  });
  await own.delete("session:0");
  expect(await justInTime.next("change")).toMatchObject({ key: "session:0", kind: "delete" });
  await own.close();
});

it("a watcher that was stopped until the log had moved on is told so, and never skips in silence", async () => {
  const path = join(temporaryFolder(), "sessions.d");
  const own = await openDirectoryStore<object>(path, { ...OPTIONS, durability: "os" });
  const watcher = watch(path, undefined);
  await watcher.next("watching");
  const { revision: first } = await own.put("a", { step: 1 });
  await seen(watcher, first);
  watcher.signal("SIGSTOP");
  const revisions = [first];
  for (let step = 2; step <= 4; step++) {
    revisions.push((await own.put("a", { step })).revision);
    await own.checkpoint();
  }
  watcher.signal("SIGCONT");
  expect(await watcher.next("failed")).toMatchObject({
    code: "revision_too_old",
    data: { revision: revisions.at(-1) },
  });
  const told = changesOf(watcher).map(({ revision }) => revision);
  expect(told).toEqual(revisions.slice(0, told.length));
  await own.close();
});

it.runIf(canTrace)(
  traced(
    "an idle watcher makes two system calls a second: it looks whether the log is still there, and ends as it was read",
  ),
  async () => {
    const folder = temporaryFolder();
    const path = join(folder, "sessions.d");
    const calls = await trace(
      folder,
      "watching",
      { path, options: OPTIONS },
      {
        during: async (watcher) => {
          await watcher.next("watching");
          const own = await openDirectoryStore<object>(path, OPTIONS);
          const { revision } = await own.put("a", { step: 1 });
          await seen(watcher, revision);
          await own.close();
          watcher.say({ event: "idle", ms: 2000 }); // as long as anything that polls would take to show itself
          await watcher.next("rested");
          watcher.say({ event: "stop" });
        },
      },
    );
    const [idle = []] = calls.regions("idle");
    console.log("an idle watcher calls", JSON.stringify([...new Set(idle.map(({ name }) => name))]));
    const waiting = new Set(["epoll_wait", "epoll_pwait", "epoll_ctl", "restart_syscall"]);
    const looks = idle.filter(({ name }) => !waiting.has(name));
    expect(new Set(looks.map(({ name }) => name)).size).toBeLessThanOrEqual(2);
    expect(looks.length).toBeLessThanOrEqual(6);
    expect(idle.length).toBeGreaterThan(0);
  },
);

function watch(path: string, since: number | undefined): Child {
  return start("watching", { path, since, options: OPTIONS });
}

/**
 * Changes a session until the active segment is so empty that the next few commits do not seal it: then the log
 * keeps them. @returns The revision by then.
 */
async function makeRoom(
  path: string,
  own: DirectorySessionStore<object>,
  watchers: readonly Child[],
): Promise<number> {
  const log = join(path, ".store/log");
  const activeBytes = (): number => statSync(join(log, readdirSync(log).sort().at(-1) ?? "")).size;
  while (activeBytes() > OPTIONS.segmentBytes / 2) {
    const { revision } = await own.put("tick", { text: "x".repeat(500) });
    await Promise.all(watchers.map((watcher) => seen(watcher, revision)));
  }
  return own.revision();
}

/** Waits until a watcher told of a revision. */
async function seen(watcher: Child, revision: number): Promise<void> {
  if (changesOf(watcher).some((change) => change.revision >= revision)) return;
  while (Number((await watcher.next("change"))["revision"]) < revision);
}

function changesOf(watcher: Child): Change[] {
  return watcher.messages.filter(({ event }) => event === "change").map(withoutEvent);
}

function withoutEvent({ event: _event, ...change }: Message): Change {
  return change as unknown as Change;
}

/** The sessions that are there after all changes, ordered by key. */
function replayed(changes: readonly Change[]): [string, object | undefined][] {
  const sessions = new Map<string, object | undefined>();
  for (const { key, kind, entry } of changes) {
    if (kind === "put") sessions.set(key, entry);
    else sessions.delete(key);
  }
  return [...sessions].sort(([a], [b]) => (a < b ? -1 : 1));
}
