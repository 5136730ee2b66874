/**
 * A codec and its blobs, anew for each test of a file that asks for it. The threshold is small, so that ordinary values
 * become blobs.
 */
import { beforeEach } from "vitest";
import { EntryCodec, type Encoded } from "../../src/format/entry-codec.js";
import { DEFAULT_LIMITS, type Limits } from "../../src/format/limits.js";
import type { BlobReference, StoredObject } from "../../src/format/stored-value.js";
import { reparsed } from "./arbitraries.js";

export const THRESHOLD = 200;
export const big = (seed: string): string => seed.repeat(THRESHOLD);
/** An object that is a big value itself, without having any in it. */
export const bigObject = (seed: string): Record<string, string> =>
  Object.fromEntries(Array.from({ length: 20 }, (_, index) => [`${seed}${index}`, "filled up"]));

/** The blobs that were kept, by hash. */
export const blobs = new Map<string, Buffer>();
/** Hashes of blobs that a codec loaded, in order. */
export const loads: string[] = [];
/** The codec under test, a new one for each test. */
export let codec: EntryCodec;

function loadBlob({ hash }: BlobReference): Buffer {
  loads.push(hash);
  const bytes = blobs.get(hash);
  if (bytes === undefined) throw new Error(`no blob ${hash}`);
  return bytes;
}

export function newCodec(
  options: { thresholdBytes?: number; limits?: Partial<Limits>; cacheBytes?: number } = {},
): EntryCodec {
  const { thresholdBytes = THRESHOLD, limits = {}, ...rest } = options;
  return new EntryCodec({ thresholdBytes, limits: { ...DEFAULT_LIMITS, ...limits }, loadBlob, ...rest });
}

export function keep<T extends Encoded>(encoded: T): T {
  for (const [hash, bytes] of encoded.newBlobs) blobs.set(hash, bytes);
  return encoded;
}

/** Encodes, and gives the stored form as another process reads it. */
export function stored(entry: object, base?: StoredObject): StoredObject {
  return reparsed(keep(codec.encode(entry, base)).stored);
}

/** Encodes, and decodes in another process. */
export function roundTrip(entry: object): object {
  return newCodec().decode(stored(entry));
}

export function isDeeplyFrozen(value: unknown): boolean {
  if (typeof value !== "object" || value === null) return true;
  return Object.isFrozen(value) && Object.values(value).every(isDeeplyFrozen);
}

/** Goes on with another codec, as another process would. */
export function useCodec(options?: Parameters<typeof newCodec>[0]): void {
  codec = newCodec(options);
}

/** Makes all of it anew for each test of the file that calls this. */
export function useCodecScene(): void {
  beforeEach(() => {
    blobs.clear();
    loads.length = 0;
    useCodec();
  });
}
