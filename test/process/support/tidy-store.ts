/**
 * Whether a store's folder holds nothing but live data, looked at from outside, file by file.
 */
import { lstatSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import type { SessionRecord } from "../../../src/index.js";

/**
 * What is in the folder of a store that was just flushed and checkpointed, but should not be; and what is not as it
 * should be. Empty for a tidy store.
 * @param sessions All sessions, as the store lists them.
 */
export function untidiness(store: string, sessions: readonly SessionRecord<object>[]): string[] {
  return [...internalFolders(store), ...sessionFolders(store, sessions)];
}

/** Numbers of the log's segments, lowest first. */
export function segmentsOf(store: string): number[] {
  return readdirSync(join(store, ".store/log"))
    .map((name) => Number.parseInt(name, 10))
    .sort((a, b) => a - b);
}

function internalFolders(store: string): string[] {
  const found: string[] = [];
  const room = join(store, ".store");
  const segments = readdirSync(join(room, "log"));
  if (segments.length !== 1) found.push(`log segments ${segments.join(", ")}`);
  const [segment = ""] = segments;
  const [line = ""] = readFileSync(join(room, "log", segment), "utf8").split("\n");
  const header = JSON.parse(line.slice(9)) as { segment: number; stage: string };
  for (const stage of readdirSync(join(room, "stage"))) {
    if (stage !== header.stage) found.push(`staging folder ${stage}`);
    for (const name of readdirSync(join(room, "stage", stage))) found.push(`temp file ${stage}/${name}`);
  }
  const expected = new Set([
    "format.json",
    "log",
    "stage",
    "blobs",
    "trash",
    "quarantine",
    "reserve",
    "durable",
  ]);
  // Of the live segment there may be one: made while others stood in front of it, it goes with the segment.
  expected.add(`hint-${header.segment}`);
  const catalog = `catalog-${header.segment - 1}`;
  expected.add(catalog);
  const { parts } = JSON.parse(readFileSync(join(room, catalog), "utf8").slice(9)) as {
    parts: { name: string }[];
  };
  for (const { name } of parts) expected.add(`catalog-${name}`);
  for (const name of readdirSync(room)) if (!expected.has(name)) found.push(`.store/${name}`);
  return found;
}

function sessionFolders(store: string, sessions: readonly SessionRecord<object>[]): string[] {
  const found: string[] = [];
  const records = new Map(sessions.map((record) => [record.key, record]));
  for (const folder of readdirSync(store)) {
    if (folder === ".store") continue;
    const key = decodeURIComponent(folder);
    const record = records.get(key);
    records.delete(key);
    const names = readdirSync(join(store, folder));
    if (names.join() !== "meta.json") found.push(`${folder} holds ${names.join(", ") || "nothing"}`);
    if (record === undefined) found.push(`${folder} is no session`);
    else if (names.includes("meta.json"))
      found.push(...disagreements(join(store, folder, "meta.json"), record));
  }
  for (const key of records.keys()) found.push(`${key} has no folder`);
  return found;
}

function disagreements(path: string, record: SessionRecord<object>): string[] {
  if (!lstatSync(path).isFile()) return [`${path} is not a file`];
  const { $session, ...entry } = JSON.parse(readFileSync(path, "utf8")) as {
    $session: { key: string; revision: number };
  };
  const wrong: string[] = [];
  if ($session.key !== record.key) wrong.push(`${path} is of ${$session.key}`);
  if ($session.revision !== record.revision)
    wrong.push(`${path} has revision ${$session.revision}, not ${record.revision}`);
  if (text(withoutBlobs(entry)) !== text(record.entry, entry)) wrong.push(`${path} has another entry`);
  return wrong;
}

type Fields = Record<string, unknown>;

/** Fields that are in the file in full; big values are only named there. */
function withoutBlobs(entry: object): Fields {
  return Object.fromEntries(Object.entries(entry).filter(([, value]) => !isReference(value)));
}

function text(entry: object, file?: Fields): string {
  const fields = Object.entries(entry).filter(([name]) => file === undefined || !isReference(file[name]));
  return JSON.stringify(Object.fromEntries(fields));
}

function isReference(value: unknown): boolean {
  return typeof value === "object" && value !== null && JSON.stringify(value).includes('"$blob"');
}
