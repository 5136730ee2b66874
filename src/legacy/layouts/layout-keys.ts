/**
 * Which session a file of an older layout belongs to. Only some of those layouts say so:
 *
 *     agent--main--main/meta.json       `--` stands for `:`, or for itself: what the entry says about itself settles it,
 *                                       or a key of a legacy file beside it; else it is read as `:`, with a warning
 *     agent%3Amain%3Amain.json          percent-encoded
 *     session-YWdlbnQ6bWFpbg.json       base64url
 *     session-hash-<sha256>.json        nothing but a hash: looked up among all keys that can be found
 */
import { createHash } from "node:crypto";
import { readRegularFile } from "../../fs/regular-file.js";
import { namesIn } from "../../fs/status.js";
import { readLegacyFile } from "../reading/read-file.js";
import type { LegacyWork } from "../run/work.js";

/** Backups are looked into for their keys; the newest few have them all. */
const BACKUPS_MAX = 10;
const STATE_BYTES_MAX = 64 * 1024 * 1024;

export class LayoutKeys {
  readonly ambiguous: string[] = [];
  readonly #byDashes = new Map<string, Set<string>>();
  readonly #byHash = new Map<string, string>();

  /** Looks for keys in the legacy file, its backups, and `state.json`. Damage there only means fewer keys. */
  static async collect(work: LegacyWork): Promise<LayoutKeys> {
    const keys = new LayoutKeys();
    const { host, paths } = work;
    const names = (await namesIn(host.fs, paths.folder)).filter((name) => name.startsWith(paths.fileName));
    for (const name of names.slice(-BACKUPS_MAX)) {
      const onEntry = ({ key }: { key: string }): void => keys.#learn(key);
      await readLegacyFile(host, `${paths.folder}/${name}`, {
        levelsMax: 0,
        onEntry,
        signal: work.signal,
      }).catch(() => {});
    }
    work.throwIfAborted();
    try {
      const text = readRegularFile(host.fs, `${paths.directory}/state.json`, {
        bytesMax: STATE_BYTES_MAX,
      }).toString();
      keys.#learnAll(JSON.parse(text), 0);
    } catch {
      // no state.json, or nothing that could be read
    }
    return keys;
  }

  ofDashedName(name: string, entry: unknown): string {
    const own = keysIn(entry).find((key) => dashed(key) === name);
    const candidates = this.#byDashes.get(name);
    if (own !== undefined) return own;
    if (candidates?.size === 1) return [...candidates][0]!;
    const key = name.replaceAll("--", ":");
    if (key !== name) this.ambiguous.push(key);
    return key;
  }

  ofEncodedName(name: string): string | undefined {
    try {
      return decodeURIComponent(name);
    } catch {
      return undefined;
    }
  }

  /** @param name Without `.json`. */
  ofHashedName(name: string, entry: unknown): string | undefined {
    const hash = /^session-hash-(.+)$/.exec(name)?.[1];
    if (hash !== undefined)
      return keysIn(entry).find((key) => hashesOf(key).includes(hash)) ?? this.#byHash.get(hash);
    const encoded = /^session-([\w-]+)$/.exec(name)?.[1];
    if (encoded === undefined) return undefined;
    const bytes = Buffer.from(encoded, "base64url");
    const key = bytes.toString();
    return Buffer.from(key).equals(bytes) && bytes.toString("base64url") === encoded ? key : undefined;
  }

  #learn(key: string): void {
    const name = dashed(key);
    const same = this.#byDashes.get(name) ?? new Set();
    this.#byDashes.set(name, same.add(key));
    for (const hash of hashesOf(key)) this.#byHash.set(hash, key);
  }

  /** Any text in `state.json`, names of fields included, may be a key; its hash shows whether it is. */
  #learnAll(value: unknown, level: number): void {
    if (typeof value === "string") this.#learn(value);
    if (typeof value !== "object" || value === null || level > 8) return;
    for (const [name, child] of Object.entries(value)) {
      this.#learn(name);
      this.#learnAll(child, level + 1);
    }
  }
}

/** What an entry says about its own key. */
export function keysIn(entry: unknown): string[] {
  if (typeof entry !== "object" || entry === null) return [];
  const { sessionKey, key, systemPromptReport } = entry as Record<string, unknown>;
  const report = (systemPromptReport as { sessionKey?: unknown } | undefined | null)?.sessionKey;
  return [sessionKey, key, report].filter((found) => typeof found === "string");
}

function dashed(key: string): string {
  return key.replaceAll(":", "--");
}

function hashesOf(key: string): string[] {
  const hash = createHash("sha256").update(key).digest();
  return [hash.toString("hex"), hash.toString("base64url")];
}
