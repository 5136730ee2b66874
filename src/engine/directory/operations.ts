/**
 * What was committed under a name, so that it happens once: the live log knows its own, and a file beside it the latest ones of the
 * segments that are gone.
 *
 * The file is written with a checkpoint of a segment that has operations, before that segment goes, through the staging folder of the
 * active one. Its bytes follow from the log, so it does not matter which process writes it. A crash leaves an older file besides, or
 * a temporary one that the fence removes.
 */
import { errnoOf, operationMismatch, SessionStoreError } from "../../errors.js";
import { ignoreMissing } from "../../fs/missing.js";
import { createFile, readRegularFile, syncDirectory } from "../../fs/regular-file.js";
import { CRC_DIGITS, crc32Number, readHex } from "../../format/crc32.js";
import { operationsNumber } from "../../format/layout.js";
import { encodeLogLine } from "../../format/log-line.js";
import type { Segment } from "../../log/segment.js";
import { OPERATIONS_KEPT, type Operation } from "../contract.js";
import type { SessionLog } from "./session-log.js";

/** An id is at most 200 bytes, six each as JSON. */
const FILE_BYTES_MAX = OPERATIONS_KEPT * 1500;
const PREFIX_BYTES = CRC_DIGITS + 1;

/** Id, SHA-256 of the content, revision; oldest first. */
type Entries = readonly (readonly [id: string, hash: string, revision: number])[];

export class Operations {
  #known:
    | { readonly number: number; readonly byId: ReadonlyMap<string, { hash: string; revision: number }> }
    | undefined;

  constructor(private readonly log: SessionLog) {}

  /**
   * The revision that an operation was committed as, as of what was read of the log; undefined: it was not.
   * @throws `operation_mismatch`
   */
  find({ id, hash }: Operation): number | undefined {
    const live = this.log.segments
      .map(({ ledger }) => ledger.operations.get(id))
      .findLast((found) => found !== undefined);
    const found = live ?? this.#inFile().get(id);
    if (found === undefined) return undefined;
    if (found.hash === hash) return found.revision;
    throw operationMismatch(id, found.revision);
  }

  /** For a checkpoint, before the segment goes. @returns False when the staging folder is gone. */
  async save({ number, ledger }: Segment): Promise<boolean> {
    if (ledger.operations.size === 0) return true;
    const { fs, layout, runtime } = this.log.options;
    const before = this.#latest();
    if (before !== undefined && before >= number) return true; // another process was faster
    const older: Entries = before === undefined ? [] : this.#read(before);
    const added = [...ledger.operations].map(([id, { hash, revision }]) => [id, hash, revision] as const);
    const entries = [...older, ...added].slice(-OPERATIONS_KEPT);
    const active = await this.log.end.becomeActive();
    const temporary = `${layout.stageFolder(active.ledger.stage)}/${runtime.randomName(8)}`;
    try {
      await createFile(fs, temporary, encodeLogLine(JSON.stringify({ operations: entries })), { sync: true });
      await fs.later.rename(temporary, layout.operations(number));
    } catch (error) {
      if (errnoOf(error) !== "ENOENT") throw error;
      await this.log.end.stageGone(active);
      return false;
    }
    await syncDirectory(fs, layout.store);
    for (const other of this.#numbers())
      if (other < number) await ignoreMissing(fs.later.unlink(layout.operations(other)));
    return true;
  }

  #inFile(): ReadonlyMap<string, { hash: string; revision: number }> {
    const number = this.#latest() ?? 0;
    if (this.#known?.number === number) return this.#known.byId;
    const entries = number === 0 ? [] : this.#read(number);
    const byId = new Map(entries.map(([id, hash, revision]) => [id, { hash, revision }]));
    this.#known = { number, byId };
    return byId;
  }

  #latest(): number | undefined {
    return this.#numbers().at(-1);
  }

  #numbers(): number[] {
    const { fs, layout } = this.log.options;
    return fs
      .readdir(layout.store)
      .map(operationsNumber)
      .filter((number) => number !== undefined)
      .sort((a, b) => a - b);
  }

  #read(number: number): Entries {
    const { fs, layout } = this.log.options;
    const path = layout.operations(number);
    const bytes = readRegularFile(fs, path, { bytesMax: FILE_BYTES_MAX });
    const json = bytes.subarray(PREFIX_BYTES, -1);
    if (crc32Number(json) === readHex(bytes, 0)) {
      const { operations } = JSON.parse(json.toString()) as { operations: Entries };
      return operations;
    }
    throw new SessionStoreError(
      "log_damaged",
      `${path} is damaged: which operations were committed before can no longer be told. Restore it from a backup; or remove it, if ` +
        "no program repeats an operation of before.",
      { data: { path, offset: 0 } },
    );
  }
}
