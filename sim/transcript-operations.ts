/**
 * What simulated processes do with transcripts, and what must be true of the answers: the same as for sessions
 * (`operations.ts`), and
 *
 *   I9  an item that was acknowledged is in the transcript exactly once, in the order that the log says, with no gap
 *   I10 a change of a transcript counts together with the record that is changed in the same commit, or not at all
 */
import type { Appended, TranscriptInfo } from "../src/store/transcript-types.js";
import { acknowledge, assertExplained, keep, now, promise, type Running } from "./operation.js";
import { TURNS, type Commit, type Fields, type Oracle } from "./oracle.js";
import { lengthOf, placeOf } from "./transcript-model.js";
import { FILLER, listed, listsSince, type Listed } from "./transcript-reads.js";
import { Violation } from "./violation.js";

/** An id of these is likely to be there. */
const IDS = 5;

function itemsOf({ token, variant }: Running): Fields[] {
  return Array.from({ length: 1 + (variant % 3) }, (_, index) => ({
    token: index === 0 ? token : `${token}.${index}`,
    ...((variant + index) % 4 === 0 && { filler: FILLER }),
  }));
}

export async function append(running: Running): Promise<void> {
  const { store, key, variant, token, name } = listed(running);
  const items = itemsOf(running);
  const options: Record<string, unknown> = { transcript: name };
  if (variant % 4 === 1) options["ids"] = items.map((_, index) => `i${(variant + index) % IDS}`);
  if (variant % 4 === 2) options["ids"] = items.map((_, index) => `${token}.${index}`);
  if (variant % 7 === 0) options["maxLength"] = 1 + (variant % 4);
  if (variant % 5 === 0) options["ifLast"] = (await store.transcript(key, name))?.last ?? 0;
  await appended({ ...running, name }, () => store.append(key, items, options));
}

/** Together with a field of the record that counts what is in the transcript. */
export async function addTurn(running: Running): Promise<void> {
  const { store, key, token } = running;
  await acknowledge(running, () =>
    store.transact(async (tx) => {
      const { length } = await tx.append(key, [{ token }], { transcript: TURNS });
      const entry = await tx.get(key);
      const fields = { ...keep(entry), token: `${token}'`, prev: entry?.["token"] ?? null, updatedAt: 1 };
      await tx.put(key, { ...fields, [TURNS]: length });
    }),
  );
}

/** The same once more: a caller that crashed before it had the answer would not know better. */
export async function repeat(running: Running): Promise<void> {
  const { scene, process, store, key, token, name } = listed(running);
  const operation = { id: token, content: key };
  const attempt = async (): Promise<{ readonly repeated: boolean; readonly revision?: number }> =>
    store.transact((tx) => tx.append(key, [{ token }], { transcript: name }), { operation });
  await acknowledge(running, attempt);
  if (process.dead) return;
  const again = await attempt().catch((error: unknown) => assertExplained(scene, process, error, token));
  if (process.dead || again === undefined) return;
  const { repeated, revision } = again;
  if (!repeated || revision !== scene.oracle.tokens.get(token))
    throw new Violation(`${token} was done before, and a repetition says ${String(repeated)}, ${revision}`);
}

export async function replaceSuffix(running: Running): Promise<void> {
  const { store, key, variant, name } = listed(running);
  const { items } = await store.readItems<Fields>(key, { transcript: name, backwards: true, limit: 2 });
  const expected = items.toReversed();
  const from = expected[0]?.seq;
  if (from === undefined) return;
  const given = { from, items: expected.map(({ item }) => item) };
  const options = { transcript: name, ...(variant % 7 === 0 && { maxLength: 1 + (variant % 4) }) };
  await appended({ ...running, name }, () => store.replaceSuffix(key, given, itemsOf(running), options));
}

export async function truncate(running: Running): Promise<void> {
  const { store, key, variant, name } = listed(running);
  const info = await store.transcript(key, name);
  const { length = 0, last = 0 } = info ?? {};
  const by = (variant * 7) % 1000;
  const part = (of: number): number => Math.floor((of * by) / 1000);
  const keeping = variant % 2 === 0 ? { length: part(length) } : { afterSeq: part(last) };
  await changed({ ...running, name }, () => store.truncate(key, keeping, { transcript: name }));
}

export async function trim(running: Running): Promise<void> {
  const { store, key, variant, name } = listed(running);
  const info = await store.transcript(key, name);
  const { length = 0, last = 0 } = info ?? {};
  const part = (of: number): number => Math.floor((of * (1000 - variant)) / 1000);
  const keeping = variant % 2 === 0 ? { length: part(length) } : { beforeSeq: 1 + part(last) };
  await changed({ ...running, name }, () => store.trim(key, keeping, { transcript: name }));
}

export async function removeTranscript(running: Running): Promise<void> {
  const { scene, process, store, key, name } = listed(running);
  const since = scene.oracle.history.length;
  const { writer } = process.runtime;
  const removed = await store.removeTranscript(key, { transcript: name });
  if (!removed || process.dead) return;
  scene.oracle.readOn();
  const mine = ownCommits(scene.oracle, since, writer).find(
    (commit) => isTold(commit, key, name) && !commit.transcripts.has(placeOf(key, name)),
  );
  if (mine === undefined && scene.logDamaged) return;
  if (mine === undefined)
    throw new Violation(`${name} of ${key} was removed, says ${process.name}, and the log does not`);
  scene.committed();
  promise(running, mine.revision);
}

async function appended(running: Listed, work: () => Promise<Appended>): Promise<void> {
  const { scene, process, key, name, token } = running;
  const since = now(running);
  const answer = await work();
  if (process.dead) return;
  scene.oracle.readOn();
  if (answer.first === 0) {
    // All of it was there.
    if (scene.oracle.tokens.has(token)) throw new Violation(`${token} counts, and nothing was appended`);
    const lists = listsSince(scene.oracle, since, key, name);
    if (!scene.damaged.has(key) && !lists.some((list) => lengthOf(list) === answer.length))
      throw new Violation(`${name} of ${key} never had ${answer.length} items`);
    return;
  }
  const commit = scene.oracle.history.findLast(({ revision }) => revision === answer.revision);
  if (commit === undefined && scene.logDamaged) return;
  const told = commit?.lists.find(({ key: of, change }) => of === key && change.name === name)?.change;
  if (told?.first !== answer.first || told.last !== answer.last || told.length !== answer.length)
    throw new Violation(
      `${token} was acknowledged as ${JSON.stringify(answer)}, and the log has ${JSON.stringify(told)}`,
    );
  scene.committed();
  promise(running, answer.revision);
}

async function changed(running: Listed, work: () => Promise<TranscriptInfo | undefined>): Promise<void> {
  const { scene, process, key, name } = running;
  const since = now(running);
  const answer = await work();
  if (process.dead) return;
  scene.oracle.readOn();
  if (scene.damaged.has(key)) return;
  const fits = ({ transcripts }: Commit): boolean => {
    const list = transcripts.get(placeOf(key, name));
    return (
      list?.last === answer?.last && lengthOf(list) === (answer?.length ?? 0) && list?.cut === answer?.cut
    );
  };
  const { writer } = process.runtime;
  const mine = ownCommits(scene.oracle, since + 1, writer).find(
    (commit) => isTold(commit, key, name) && fits(commit),
  );
  if (mine !== undefined) {
    scene.committed();
    return promise(running, mine.revision);
  }
  if (!scene.oracle.history.slice(since).some(fits) && !scene.logDamaged)
    throw new Violation(`${name} of ${key} is ${JSON.stringify(answer)}, says ${process.name}; it never was`);
}

function ownCommits({ history }: Oracle, since: number, writer: string): Commit[] {
  return history.slice(since).filter((commit) => commit.writer === writer);
}

function isTold({ lists }: Commit, key: string, name: string): boolean {
  return lists.some((list) => list.key === key && list.change.name === name);
}
