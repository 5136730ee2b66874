/**
 * Where a migration's entries come from: something that can be read any number of times, gives its entries one by one,
 * and has a fingerprint that is the same exactly when its content is.
 */
import { SessionStoreError } from "../../errors.js";
import { statusOf } from "../../fs/status.js";
import type { LegacyHost } from "../base/host.js";
import { readJson5File } from "./read-json5.js";
import { readLegacyFile, type Reading, type ReadingOptions } from "./read-file.js";
import type { LegacyLayout, LegacyWarning, Refusal } from "../base/types.js";

export interface SourceReading extends Reading {
  readonly warnings: readonly LegacyWarning[];
  /** The legacy file, where it is only a part of the source. */
  readonly file?: { readonly bytes: number; readonly sha256: string };
  /** What could not even be given as an entry. */
  readonly refusals: readonly Refusal[];
}

export interface LegacySource {
  /** Path for people and progress. */
  readonly path: string;
  readonly layouts: readonly LegacyLayout[];
  /** @throws `legacy_invalid`, `file_unsafe`, or what the system says. */
  read(options: ReadingOptions): Promise<SourceReading>;
}

/** A `sessions.json`, read as JSON or else as JSON5. */
export class FileSource implements LegacySource {
  readonly layouts = ["sessions_json"] as const;
  /** After the first reading: JSON has failed on this very file. */
  #json5 = false;

  constructor(
    private readonly host: LegacyHost,
    readonly path: string,
    private readonly json5BytesMax: number,
  ) {}

  async read(options: ReadingOptions): Promise<SourceReading> {
    let started = 0;
    const counting: ReadingOptions = {
      ...options,
      onEntry: (entry) => {
        started++;
        options.onEntry(entry);
      },
    };
    try {
      if (!this.#json5) return this.#finished(await readLegacyFile(this.host, this.path, counting));
      return await this.#readJson5(options, this.#notJson());
    } catch (error) {
      if (!(error instanceof SessionStoreError) || error.code !== "legacy_invalid" || this.#json5)
        throw error;
      // Probing first: entries of a file that turns out to be neither must not be given twice.
      await this.#readJson5({ ...options, onEntry: () => {}, afterPiece: undefined }, error);
      this.#json5 = true;
      if (started > 0) throw new ReadAgain();
      return this.#readJson5(options, error);
    }
  }

  async #readJson5(options: ReadingOptions, notJson: SessionStoreError): Promise<SourceReading> {
    const { json5BytesMax } = this;
    const reading = await readJson5File(this.host, this.path, { ...options, json5BytesMax }, notJson);
    const message = `${this.path} is not JSON but JSON5, so somebody edited it by hand: comments are lost.`;
    return this.#finished(reading, [{ code: "source_json5", message, data: { path: this.path } }]);
  }

  #notJson(): SessionStoreError {
    const message = `${this.path} is not JSON.`;
    return new SessionStoreError("legacy_invalid", message, {
      data: { path: this.path, reason: "syntax", offset: 0 },
    });
  }

  #finished(reading: Reading, warnings: LegacyWarning[] = []): SourceReading {
    if (reading.notUtf8) {
      const message = `${this.path} has bytes that are not UTF-8; they became U+FFFD, as for the old gateway.`;
      warnings.push({ code: "source_not_utf8", message, data: { path: this.path } });
    }
    return { ...reading, warnings, refusals: [] };
  }
}

/** The reading has to start over, with nothing kept of it: thrown where entries have been given already. */
export class ReadAgain extends Error {
  override readonly name = "ReadAgain";
}

/** Size and time of a file, to tell "it is damaged" from "it is being written". */
export async function stampOf({ fs }: LegacyHost, path: string): Promise<string | undefined> {
  const status = await statusOf(fs, path);
  return status === undefined ? undefined : `${status.inode} ${status.size} ${status.modifiedAt}`;
}
