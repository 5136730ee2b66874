/**
 * What must be true when everything has come to rest: every process, and one that has just come, knows exactly what the
 * log says; and after a few checkpoints the disk holds that and nothing else (I8).
 */
import { parseEntryDocument } from "../src/format/entry-document.js";
import { folderNameForKey } from "../src/format/session-key.js";
import { SessionStoreError } from "../src/errors.js";
import { LOUD } from "./operation.js";
import { assertContent } from "./operations.js";
import { STORE } from "./oracle.js";
import type { SimulatedProcess } from "./process.js";
import { expectTranscripts } from "./transcript-reads.js";
import { turn } from "./turn.js";
import type { World } from "./world.js";
import { Violation } from "./violation.js";

const TURNS_MAX = 3000;

/** Runs something of one process to its end, everybody else standing still. */
export async function finished<T>(world: World, process: SimulatedProcess, work: Promise<T>): Promise<T> {
  let done = false;
  const end = (): void => void (done = true);
  work.then(end, end);
  for (let turns = 0; turns < TURNS_MAX; turns++) {
    await turn();
    if (done) return work;
    const deferred = process.waiting.shift();
    if (deferred === undefined) process.runtime.runNextTimer();
    else deferred.answer();
    if (world.violation !== undefined) throw world.violation;
  }
  throw new Violation(`${process.name} waits for something that does not come`);
}

/** Every process answers with the state that the log has, and nothing else. */
export async function verify(world: World): Promise<void> {
  world.calmDown();
  const fresh = world.boot(world.processes.length);
  await finished(world, fresh, opened(world, fresh));
  world.readOn();
  for (const process of world.processes) {
    if (process.store === undefined || process.dead || process.busy) continue;
    await finished(world, process, expectState(world, process));
  }
}

async function opened(world: World, process: SimulatedProcess): Promise<void> {
  while (process.busy && world.violation === undefined) await turn();
}

/** A process that is alone mends what no other can, and says what it could not prove. */
export async function mend(world: World): Promise<void> {
  if (!world.logDamaged) return;
  for (const process of world.processes) process.fs.kill();
  const alone = world.boot(world.processes.length, { soleProcess: true });
  await finished(world, alone, opened(world, alone));
  if (alone.store === undefined) return; // both a header and what else says where its segment begins are damaged
  for (const { code, data } of alone.warnings)
    if (code === "session_guessed" || code === "transcript_guessed") world.damaged.add(String(data["key"]));
  world.logDamaged = false;
  world.readOn();
  await finished(world, alone, expectState(world, alone));
}

async function expectState(world: World, process: SimulatedProcess): Promise<void> {
  const { oracle, damaged } = world;
  const store = process.store!;
  if (world.logDamaged) {
    for (const key of new Set([...oracle.state.keys(), "a", "b", "c"])) await expectRead(world, process, key);
    return;
  }
  const { sessions } = await store.list();
  world.readOn();
  const { state } = oracle;
  const found = new Map(sessions.map((record) => [record.key, record]));
  for (const [key, version] of state) {
    const record = found.get(key);
    if (record === undefined || record.revision !== version.revision) {
      if (damaged.has(key)) continue;
      throw new Violation(`${process.name} lists ${key}@${record?.revision}, it is @${version.revision}`);
    }
    assertContent(process, record, version);
  }
  for (const key of found.keys()) {
    if (!state.has(key) && !damaged.has(key))
      throw new Violation(`${process.name} lists ${key}, which is not there`);
  }
  for (const key of new Set([...state.keys(), "a", "b", "c"])) await expectRead(world, process, key);
  if (damaged.size === 0 && (await store.count()) !== state.size)
    throw new Violation(`${process.name} counts wrong`);
}

async function expectRead(world: World, process: SimulatedProcess, key: string): Promise<void> {
  try {
    const record = await process.store!.read(key);
    const version = world.oracle.state.get(key);
    if (record?.revision !== version?.revision && !world.damaged.has(key)) {
      throw new Violation(`${process.name} reads ${key}@${record?.revision}, it is @${version?.revision}`);
    }
    if (record !== undefined && version?.revision === record.revision)
      assertContent(process, record, version);
    if (!world.damaged.has(key)) await expectTranscripts(process, world.oracle, key);
  } catch (error) {
    if (error instanceof SessionStoreError && error.code === "entry_corrupt" && world.damaged.has(key))
      return;
    if (error instanceof SessionStoreError && world.logDamaged && LOUD.has(error.code)) return;
    throw error;
  }
}

/** Shared values leave in two phases, each behind a checkpoint. */
const ROUNDS = 3;

/** Checkpoints until nothing waits to be removed any more, and then looks at every name on the disk. */
export async function tidy(world: World): Promise<void> {
  if (world.damaged.size > 0 || world.oracle.damaged) return;
  for (const process of world.processes.slice(0, -1)) {
    if (process.store !== undefined && !process.dead) await finished(world, process, process.store.close());
    process.fs.kill();
  }
  const last = world.processes.at(-1)!;
  const store = last.store!;
  await finished(world, last, store.checkpoint());
  for (let round = 0; round < ROUNDS; round++) {
    await finished(world, last, store.put("tidy", { token: world.nextToken(), round }));
    await finished(world, last, store.checkpoint());
  }
  world.readOn();
  expectTidy(world);
  await finished(world, last, store.close());
  const open = last.fs.openPaths;
  if (open.length > 0) throw new Violation(`${last.name} closed, and has ${open.join(", ")} open`);
}

/** What a catalog names. */
interface Named {
  readonly parts: readonly { readonly name: string }[];
}

function expectTidy({ disk, oracle }: World): void {
  const { state, transcripts } = oracle;
  const { segment, stage } = oracle.active!;
  const tree = disk.tree(STORE);
  const catalog = `.store/catalog-${segment - 1}`;
  const named = JSON.parse((tree[`${STORE}/${catalog}`] ?? "").slice(9) || '{"parts":[]}') as Named;
  const expected = new Set([
    ".store/",
    ".store/format.json",
    ".store/log/",
    `.store/log/${String(segment).padStart(8, "0")}.jsonl`,
    ".store/stage/",
    `.store/stage/${stage}/`,
    ".store/blobs/",
    ".store/trash/",
    ".store/quarantine/",
    ".store/reserve",
    catalog,
    ...named.parts.map(({ name }) => `.store/catalog-${name}`),
  ]);
  for (const [key, { fields }] of state) {
    const folder = folderNameForKey(key);
    expected.add(`${folder}/`).add(`${folder}/meta.json`);
    const big = fields["big"] as { readonly $blob?: string } | undefined;
    const hash = big?.$blob?.slice("sha256:".length);
    if (hash !== undefined) expected.add(`.store/blobs/${hash.slice(0, 2)}/${hash}.json`);
  }
  const files = new Map<string, Buffer>();
  for (const [place, { chunks }] of transcripts) {
    const [key = "", name = ""] = place.split("\n");
    const folder = folderNameForKey(key);
    expected.add(`${folder}/`);
    for (const { first, born, content } of chunks) {
      const file = `${folder}/${folderNameForKey(name)}.${String(first).padStart(12, "0")}-${born}.jsonl`;
      expected.add(file);
      files.set(file, content);
    }
  }
  const found = new Set(Object.keys(tree).map((path) => path.slice(STORE.length + 1)));
  for (const name of found) {
    if (!expected.has(name) && !/^\.store\/(?:durable|operations-\d+|blobs\/..\/)$/.test(name))
      throw new Violation(`${name} is left over`);
  }
  for (const name of expected) if (!found.has(name)) throw new Violation(`${name} is missing`);
  for (const [file, content] of files)
    if (!content.equals(disk.readRaw(`${STORE}/${file}`)!))
      throw new Violation(`${file} is not what the log says`);
  for (const [key, { revision, fields }] of state) {
    const parsed = parseEntryDocument(Buffer.from(tree[`${STORE}/${folderNameForKey(key)}/meta.json`]!));
    if (
      !parsed.ok ||
      parsed.revision !== revision ||
      JSON.stringify(parsed.stored) !== JSON.stringify(fields)
    ) {
      throw new Violation(`the file of ${key}@${revision} says something else`);
    }
  }
}
