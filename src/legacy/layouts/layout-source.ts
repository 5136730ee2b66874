/**
 * Older layouts of many files as one source: the legacy file, if there is one, then every file of the layout, each an
 * entry. For a session in both, the newer `updatedAt` counts, and the layout's where they are the same.
 *
 * A sidecar has fields of a session whose key only the legacy file knows: the two are one entry, and of a field in
 * both the newer side's counts.
 */
import { plural } from "../../plural.js";
import { createHash } from "node:crypto";
import { errnoOf, SessionStoreError } from "../../errors.js";
import { readRegularFile } from "../../fs/regular-file.js";
import { statusOf } from "../../fs/status.js";
import { keysIn, LayoutKeys } from "./layout-keys.js";
import { levelsOf } from "../reading/nesting.js";
import { parseJson, type OddNumber } from "../reading/odd-numbers.js";
import { plainEntry, type LegacyEntry, type ReadingOptions } from "../reading/read-file.js";
import { FileSource, type LegacySource, type SourceReading } from "../reading/source.js";
import type { LegacyLayout, LegacyWarning, Refusal } from "../base/types.js";
import type { LegacyWork } from "../run/work.js";

export interface LayoutFile {
  readonly path: string;
  readonly layout: LegacyLayout;
  /** What names the session: folder or file without its extension. */
  readonly name: string;
}

const FILE_BYTES_MAX = 64 * 1024 * 1024;
const FILES_AT_ONCE = 64;

export class LayoutSource implements LegacySource {
  readonly layouts: readonly LegacyLayout[];

  constructor(
    private readonly work: LegacyWork,
    readonly path: string,
    private readonly files: readonly LayoutFile[],
    hasLegacyFile: boolean,
  ) {
    const found = new Set(files.map(({ layout }) => layout));
    this.layouts = [...(hasLegacyFile ? (["sessions_json"] as const) : []), ...found];
  }

  async read(options: ReadingOptions): Promise<SourceReading> {
    const { work } = this;
    const keys = await LayoutKeys.collect(work);
    const hash = createHash("sha256");
    const refusals: Refusal[] = [];
    const warnings: LegacyWarning[] = [];
    let bytes = 0;
    let ordinal = 0;
    let part: Pick<SourceReading, "file"> = {};
    const sidecars = this.#sidecars(refusals);
    if (this.layouts.includes("sessions_json")) {
      const onEntry = (entry: LegacyEntry): void =>
        options.onEntry(withSidecar(work, { ...entry, ordinal: ordinal++ }, sidecars));
      const file = new FileSource(work.host, work.paths.file, work.json5BytesMax);
      const reading = await file.read({ ...options, onEntry });
      warnings.push(...reading.warnings);
      bytes += reading.bytes;
      part = { file: { bytes: reading.bytes, sha256: reading.sha256 } };
      hash.update(reading.sha256);
    }
    for (const [index, file] of this.files.entries()) {
      const read = readJson(work, file);
      hash.update(`${file.path}\0${read.sha256}\0`);
      bytes += read.bytes;
      if (index % FILES_AT_ONCE === 0) await options.afterPiece?.(index, this.files.length);
      if (sidecars.get(file.name)?.used === true && file.layout === "meta_sidecars") continue;
      const refusal = "refusal" in read ? read.refusal : this.#give(file, read, keys, ordinal, options);
      if (refusal === undefined) ordinal++;
      else if (!refusals.some(({ key }) => key === refusal.key)) refusals.push(refusal);
    }
    await options.afterPiece?.(this.files.length, this.files.length);
    const ambiguous = warningOf(keys, this.path);
    if (ambiguous !== undefined) warnings.push(ambiguous);
    return {
      ...part,
      bytes,
      sha256: hash.digest("hex"),
      entries: ordinal,
      notUtf8: false,
      warnings,
      refusals,
    };
  }

  #sidecars(refusals: Refusal[]): Map<string, { value: object; used: boolean }> {
    const sidecars = new Map<string, { value: object; used: boolean }>();
    for (const file of this.files) {
      if (file.layout !== "meta_sidecars") continue;
      const read = readJson(this.work, file);
      if ("refusal" in read) refusals.push(read.refusal);
      else if (typeof read.value === "object" && read.value !== null)
        sidecars.set(file.name, { value: read.value, used: false });
    }
    return sidecars;
  }

  #give(
    file: LayoutFile,
    { value: content, bytes, odd }: JsonFile,
    keys: LayoutKeys,
    ordinal: number,
    options: ReadingOptions,
  ): Refusal | undefined {
    const value = unwrapped(content);
    const key = keyOf(
      file,
      value === content ? content : { ...(content as object), ...(value as object) },
      keys,
    );
    if (key === undefined) return refused(file, "key_unknown", "nothing says which session it belongs to");
    const levels = levelsOf(value, options.levelsMax);
    const known = levels > options.levelsMax ? undefined : value;
    options.onEntry({ ...plainEntry({ ordinal, key, value: known, levels, bytes }), odd });
    return undefined;
  }
}

function keyOf(file: LayoutFile, entry: unknown, keys: LayoutKeys): string | undefined {
  switch (file.layout) {
    case "dashed_folders":
      return keys.ofDashedName(file.name, entry);
    case "encoded_files":
      return keys.ofEncodedName(file.name);
    case "hashed_entries":
      return keys.ofHashedName(file.name, entry);
    default:
      return keysIn(entry)[0];
  }
}

/** `{ key, entry: { … } }`, as some of the layouts wrap it. */
function unwrapped(value: unknown): unknown {
  if (typeof value !== "object" || value === null || !Object.hasOwn(value, "entry")) return value;
  const { entry, sessionId, key, sessionKey } = value as Record<string, unknown>;
  const wraps = sessionId === undefined && (typeof key === "string" || typeof sessionKey === "string");
  return wraps && typeof entry === "object" && entry !== null ? entry : value;
}

function withSidecar(
  work: LegacyWork,
  from: LegacyEntry,
  sidecars: ReadonlyMap<string, { value: object; used: boolean }>,
): LegacyEntry {
  const { value } = from;
  if (typeof value !== "object" || value === null) return from;
  const { sessionId } = value as { sessionId?: unknown };
  const sidecar = typeof sessionId === "string" ? sidecars.get(sessionId) : undefined;
  if (sidecar === undefined) return from;
  sidecar.used = true;
  return { ...from, value: joined(work, value, sidecar.value), firsts: [] }; // no longer the shared ones alone
}

/** Fields of both, in the order of the first; of a field in both, that of the newer side. */
export function joined(work: LegacyWork, entry: object, sidecar: object): object {
  const { updatedAt } = work.rules;
  const newer = updatedAt(sidecar) >= updatedAt(entry);
  const fields = new Map(Object.entries(entry));
  for (const [name, value] of Object.entries(sidecar))
    if (newer || !fields.has(name)) fields.set(name, value as unknown);
  return Object.fromEntries(fields);
}

interface JsonFile {
  readonly value: unknown;
  readonly bytes: number;
  readonly odd: readonly OddNumber[];
}

/** What opening or reading says of this one file; anything else may be over the next time. */
const UNREADABLE: ReadonlySet<string> = new Set(["EACCES", "EPERM", "EIO", "ENAMETOOLONG"]);

/** The content of one file, or why it cannot be had: one bad file never stops the others. */
export function readJson(
  work: LegacyWork,
  file: LayoutFile,
): { sha256: string; bytes: number } & (JsonFile | { refusal: Refusal }) {
  try {
    const content = readRegularFile(work.host.fs, file.path, {
      bytesMax: FILE_BYTES_MAX,
    });
    const sha256 = createHash("sha256").update(content).digest("hex");
    const bytes = content.length;
    try {
      return { sha256, bytes, ...parseJson(content.toString()) };
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      return { sha256, bytes, refusal: refused(file, "file_invalid", `it is not JSON: ${reason}`) };
    }
  } catch (error) {
    const code = error instanceof SessionStoreError ? error.code : (errnoOf(error) ?? "");
    if (!(error instanceof SessionStoreError) && !UNREADABLE.has(code)) throw error;
    const reason = error instanceof Error ? error.message : code;
    return { sha256: code, bytes: 0, refusal: refused(file, "file_invalid", reason) };
  }
}

function refused(file: LayoutFile, reason: Refusal["reason"], what: string): Refusal {
  return { key: file.path, reason, message: `${file.path}: ${what}` };
}

function warningOf({ ambiguous }: LayoutKeys, path: string): LegacyWarning | undefined {
  if (ambiguous.length === 0) return undefined;
  const some = ambiguous.slice(0, 5).join(", ");
  const message =
    `${path}: for ${plural(ambiguous.length, "session")} nothing says whether "--" in the folder's name was ":" or "--". That was ` +
    `read as ":", for example ${some}. Look at them before a gateway runs.`;
  return { code: "key_ambiguous", message, data: { path, sessions: ambiguous.length, examples: some } };
}

export async function hasLegacyFile({ host, paths }: LegacyWork): Promise<boolean> {
  return (await statusOf(host.fs, paths.file))?.kind === "file";
}
