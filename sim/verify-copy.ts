/**
 * What comes out when a store is copied with `cp -r` while it is in use may miss commits. But it is a store: it opens, says
 * nothing that never was, says the same to every process, and goes on from there.
 */
import { SessionStoreError } from "../src/errors.js";
import type { SessionRecord } from "../src/store/types.js";
import type { Copy } from "./copy.js";
import { finished } from "./finish.js";
import { assertContent } from "./operations.js";
import type { Fields } from "./oracle.js";
import type { SimulatedProcess, Store } from "./process.js";
import type { World } from "./world.js";
import { Violation } from "./violation.js";

/** Everything that a copy promises, by two processes one after the other. */
export async function verifyCopy(world: World, copy: Copy): Promise<void> {
  copy.finish();
  const { torn, hasZeros } = copy;
  const first = await bootOn(world, copy, { soleProcess: hasZeros });
  // A last line without its newline is decided by the next write; until then it is undecided.
  if (torn) await finished(world, first.process, first.store.put("first", { token: world.nextToken() }));
  const found = await sameTwice(world, first);
  // Behind what a power cut left there may be records that never counted; who mends says which of them it took for the latest state.
  const guesses = new Map(
    first.process.warnings
      .filter(({ code }) => code === "session_guessed")
      .map(({ data }) => [data["key"], data["revision"]]),
  );
  if (!torn)
    for (const record of found.values())
      if (!guesses.has(record.key)) expectVersion(first.process, copy, record);
      else if (guesses.get(record.key) !== record.revision)
        throw new Violation(`${first.process.name} has another ${record.key} than it named as guessed`);
  await finished(world, first.process, first.store.checkpoint());
  expectSame(found, await listed(world, first), "after a checkpoint");
  for (const { key, entry } of found.values()) {
    const token = world.nextToken();
    await finished(
      world,
      first.process,
      first.store.update(key, (now) => {
        if (now?.["token"] !== entry["token"])
          throw new Violation(`${first.process.name} updates another ${key}`);
        return { token };
      }),
    );
  }
  const updated = await listed(world, first);
  for (const { key, revision } of found.values()) {
    const later = updated.get(key)?.revision;
    if (later === undefined || later <= revision)
      throw new Violation(`${key}@${revision} of the copy was updated, and is @${later}`);
  }
  await finished(world, first.process, first.store.close());
  first.process.fs.kill();
  const second = await bootOn(world, copy);
  expectSame(updated, await sameTwice(world, second), "in the next process");
  second.process.fs.kill();
}

interface Booted {
  readonly process: SimulatedProcess;
  readonly store: Store;
}

async function bootOn(world: World, copy: Copy, options: { soleProcess?: boolean } = {}): Promise<Booted> {
  const process = world.bootOutside(copy.disk, options);
  return { process, store: await finished(world, process, process.open()) };
}

type Listed = ReadonlyMap<string, SessionRecord<Fields>>;

async function listed(world: World, { process, store }: Booted): Promise<Listed> {
  const { sessions } = await finished(world, process, store.list());
  return new Map(sessions.map((record) => [record.key, record]));
}

/** A session that is read is what it is listed as. */
async function sameTwice(world: World, booted: Booted): Promise<Listed> {
  const { process, store } = booted;
  const found = await listed(world, booted);
  for (const record of found.values()) {
    const again = await finished(world, process, store.read(record.key));
    if (again?.revision !== record.revision)
      throw new Violation(
        `${process.name} lists ${record.key}@${record.revision}, and reads @${again?.revision}`,
      );
  }
  return found;
}

function expectVersion(process: SimulatedProcess, copy: Copy, record: SessionRecord<Fields>): void {
  const { key, revision } = record;
  const version = copy.version(key, revision);
  if (version === undefined) throw new Violation(`${process.name} has ${key}@${revision}, which never was`);
  try {
    assertContent(process, record, version);
  } catch (error) {
    // The copy may have come too late, or too early, for a shared value.
    if (!(error instanceof SessionStoreError) || error.code !== "blob_missing") throw error;
  }
}

function expectSame(before: Listed, after: Listed, when: string): void {
  const text = (sessions: Listed): string =>
    [...sessions.values()].map(({ key, revision }) => `${key}@${revision}`).join(" ");
  if (text(before) !== text(after))
    throw new Violation(`a copy has ${text(after)} ${when}; it had ${text(before)}`);
}
