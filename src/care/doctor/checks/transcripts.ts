/**
 * Files of transcripts: by default the first line of each and the last item; every line only when every byte is read. What the log has as
 * well is no loss: the store itself is asked before anything is called lost.
 */
import { isTranscriptDamaged, SessionStoreError } from "../../../errors.js";
import { ChunkFile, damagedTranscript } from "../../../entries/chunk-file.js";
import { chunksIn } from "../../../engine/directory/transcripts/transcript-files.js";
import { isMissing } from "../../../fs/missing.js";
import { folderNameForKey } from "../../../format/session-key.js";
import type { ChunkId } from "../../../format/transcript-head.js";
import type { Patient } from "../patient.js";
import type { Finding } from "../types.js";
import type { Check } from "./check.js";

export const checkTranscripts: Check = {
  name: "transcripts",
  level: "default",
  needsLog: true,
  async look(patient) {
    const findings: Finding[] = [];
    const { all } = await patient.entries();
    const keys = new Set<string>();
    for (const { ownKey, state } of all) {
      const key = state.kind === "whole" ? state.key : ownKey;
      if (key !== undefined) keys.add(key);
    }
    for (const name of patient.log?.transcripts ?? []) keys.add(name.slice(0, name.indexOf("\0")));
    for (const key of keys) {
      await patient.runtime.yieldToEventLoop();
      patient.signal?.throwIfAborted();
      if (!patient.isSampled(folderNameForKey(key))) continue;
      findings.push(...(await ofSession(patient, key)));
    }
    return findings;
  },
};

async function ofSession(patient: Patient, key: string): Promise<Finding[]> {
  const { fs, layout } = patient;
  let chunks: Map<string, ChunkId[]>;
  try {
    chunks = chunksIn(fs, layout, key);
  } catch (error) {
    if (error instanceof SessionStoreError) return []; // the check of entries tells
    throw error;
  }
  const findings: Finding[] = [];
  for (const [encoded, ids] of chunks) {
    const damage = damageIn(patient, key, encoded, ids);
    if (damage !== undefined) findings.push(await asFinding(patient, key, encoded, damage));
  }
  return findings;
}

/** What is wrong with the files of one transcript; undefined if nothing is, or it vanished while it was read. */
function damageIn(
  patient: Patient,
  key: string,
  encoded: string,
  ids: readonly ChunkId[],
): SessionStoreError | undefined {
  const { fs, layout } = patient;
  const deep = patient.includes("deep");
  /** Of chunks that begin with the same item, the one that was born last counts. */
  const counting = ids.filter(({ first }, index) => ids[index + 1]?.first !== first);
  let position: number | undefined;
  for (const id of counting) {
    const path = layout.chunkOf(key, encoded, id);
    try {
      const chunk = ChunkFile.open(fs, path);
      try {
        const { header, transcript } = chunk;
        if (chunk.key !== key || folderNameForKey(transcript) !== encoded || header.first !== id.first)
          return chunk.damage(
            0,
            `it is a file of transcript ${JSON.stringify(transcript)} of session ${JSON.stringify(chunk.key)}`,
          );
        if (position === undefined ? header.before > goneOf(chunk, header.gone) : header.before !== position)
          return chunk.damage(0, "the file in front of it is missing");
        position = deep ? positionBehind(chunk) : (chunk.last()?.position ?? header.before);
      } finally {
        chunk.close();
      }
    } catch (error) {
      if (isTranscriptDamaged(error)) return error;
      if (isMissing(error)) return undefined;
      if (error instanceof SessionStoreError) return damagedTranscript(path, 0, error.message);
      throw error;
    }
  }
  return undefined;
}

/** Items up to this position are trimmed away, as far as this file knows. */
function goneOf(chunk: ChunkFile, gone: number): number {
  return Math.max(gone, chunk.last()?.gone ?? 0);
}

function positionBehind(chunk: ChunkFile): number {
  let position = chunk.header.before;
  for (const line of chunk.forwards(chunk.body)) {
    const item = chunk.parse(line);
    if (item.position !== position + 1) throw chunk.damage(line.at, "a line is missing there");
    position = item.position;
  }
  return position;
}

async function asFinding(
  patient: Patient,
  key: string,
  encoded: string,
  { data }: SessionStoreError,
): Promise<Finding> {
  const transcript = nameOf(patient, key, encoded);
  const place = {
    code: "transcript_damaged" as const,
    path: String(data["path"]),
    offset: Number(data["offset"] ?? 0),
    key,
    ...(transcript !== undefined && { transcript }),
  };
  const reason = String(data["reason"]);
  if (transcript !== undefined && (await isReadable(patient, key, transcript)))
    return patient.finding({
      ...place,
      severity: "repairable",
      cause: `${reason}; the log has what stood there`,
      next: patient.fix("live"),
      repair: "live",
    });
  return patient.finding({
    ...place,
    severity: "lost",
    cause: `${reason}, and the log does not have what stood there`,
    next: `${patient.command("doctor", "--fix", "--backup", "PATH")} takes what is lost from a backup, as far as it has that; without one, ${patient.fix("live")} keeps the items that can be read`,
    repair: "live",
  });
}

/** The transcript's own name: of a short one its file's name tells, of a long one some file's first line, or the log. */
export function nameOf({ fs, layout, log }: Patient, key: string, encoded: string): string | undefined {
  for (const name of log?.transcripts ?? []) {
    const [of, transcript = ""] = name.split("\0");
    if (of === key && folderNameForKey(transcript) === encoded) return transcript;
  }
  for (const id of chunksIn(fs, layout, key).get(encoded) ?? []) {
    try {
      const chunk = ChunkFile.open(fs, layout.chunkOf(key, encoded, id));
      try {
        if (folderNameForKey(chunk.transcript) === encoded) return chunk.transcript;
      } finally {
        chunk.close();
      }
    } catch {
      continue; // another file may tell
    }
  }
  try {
    const name = decodeURIComponent(encoded);
    return folderNameForKey(name) === encoded ? name : undefined;
  } catch {
    return undefined;
  }
}

/** Whether the store itself can read all of it. */
async function isReadable(patient: Patient, key: string, transcript: string): Promise<boolean> {
  if (patient.log?.transcripts.has(`${key}\0${transcript}`) !== true) return false;
  const opened = await patient.opened();
  if ("error" in opened) return false;
  try {
    for await (const item of opened.store.iterateItems(key, { transcript })) void item;
    return true;
  } catch (error) {
    if (error instanceof SessionStoreError) return false;
    throw error;
  }
}
