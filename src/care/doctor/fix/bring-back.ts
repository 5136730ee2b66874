/**
 * Sessions that were given up, because nothing has what was written last, come back in an older state, if a source has one: the newest
 * that there is, by a commit like any other, and said to be older with its time. Transcripts that the store still has stay as they are.
 *
 * A crash leaves some of them to be brought back by the same command: a session is put when its transcripts are there.
 */
import { asStoreError, isTranscriptDamaged, SessionStoreError } from "../../../errors.js";
import { openDirectoryStoreOn } from "../../../store/open.js";
import { TranscriptSync } from "../../moving/transcript-sync.js";
import type { Entry, Patient, Store } from "../patient.js";
import type { Source, Unpacked, Unpacker } from "../unpack.js";
import type { Surgery } from "./surgery.js";

export interface Sources {
  readonly unpacker: Unpacker;
  readonly all: readonly Source[];
  /** What was made of them already, by path and name. */
  readonly unpacked: Map<string, Unpacked>;
}

export async function bringBack(surgery: Surgery, patient: Patient, sources: Sources): Promise<void> {
  const wanted = new Map(surgery.givenUp);
  if (wanted.size === 0) return;
  const { fs, runtime, path, options } = patient;
  const { trust } = options;
  let store: Store | undefined;
  try {
    for await (const from of newestFirst(surgery, sources)) {
      if (wanted.size === 0) return;
      store ??= await openDirectoryStoreOn<Entry>(fs, runtime, path, {
        create: false,
        soleProcess: true,
        onWarning: () => {},
        ...(trust !== undefined && { trust }),
      });
      const to = store;
      await sources.unpacker.reading(from, async (source) => {
        for (const [key, revision] of wanted)
          await surgery.attempt(patient, async () => {
            if (await bringOne(surgery, patient, to, source, from, key, revision)) wanted.delete(key);
          });
      });
    }
    await store?.checkpoint();
  } finally {
    await store?.close();
  }
}

async function* newestFirst(
  surgery: Surgery,
  { all, unpacker, unpacked }: Sources,
): AsyncGenerator<Unpacked, void> {
  const known = async (name: string, make: () => Promise<Unpacked>): Promise<Unpacked | undefined> => {
    try {
      const found = unpacked.get(name) ?? (await make());
      unpacked.set(name, found);
      return found;
    } catch (error) {
      if (asStoreError(error, "read it") instanceof SessionStoreError) surgery.failures.push(error);
      else throw error;
      return undefined;
    }
  };
  for (const source of all) {
    if (source.kind === "copy") yield { path: source.path, label: source.path, isCopy: true };
    if (source.kind === "export") {
      const found = await known(source.path, () => unpacker.export(source));
      if (found !== undefined) yield found;
    }
    for (const name of source.names) {
      const found = await known(`${source.path}/${name}`, () => unpacker.backup(source, name));
      if (found !== undefined) yield found;
    }
  }
}

/** @returns Whether the session is there now. */
async function bringOne(
  surgery: Surgery,
  patient: Patient,
  to: Store,
  from: Store,
  { label, isCopy, times }: Unpacked,
  key: string,
  lost: number | undefined,
): Promise<boolean> {
  if ((await to.read(key)) !== undefined) return true;
  const found = await from.read(key);
  if (found === undefined) return false;
  const entry = JSON.parse(JSON.stringify(found.entry)) as Entry; // a shared value that is missing shows now
  for (const transcript of await from.transcripts(key)) {
    if ((await stateOf(to, key, transcript)) !== "none") continue;
    const sync = new TranscriptSync(to, key, transcript, "continue", false);
    for await (const { item, id } of from.iterateItems(key, { transcript }))
      await sync.add({ item, id, bytes: JSON.stringify(item).length });
    await sync.end();
  }
  await to.put(key, entry);
  const isSame = isCopy && found.revision === lost;
  const done = isSame
    ? `restored from ${label}, revision ${found.revision}`
    : `restored from ${label}: state of ${timeOf(isCopy ? found.modifiedAt : times?.get(key))}, older than what was lost`;
  await surgery.did(patient, { code: "entry_missing", key }, patient.layout.entryFile(key), done, {
    lost: !isSame,
  });
  return true;
}

async function stateOf(store: Store, key: string, transcript: string): Promise<"none" | "there"> {
  try {
    return (await store.transcript(key, transcript)) === undefined ? "none" : "there";
  } catch (error) {
    if (isTranscriptDamaged(error)) return "there";
    throw error;
  }
}

function timeOf(at: number | undefined): string {
  return at !== undefined && Math.abs(at) <= 8.64e15 ? new Date(at).toISOString() : "an unknown time";
}
