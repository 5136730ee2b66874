/**
 * Goal: what a catalog names is read back as it was written, or not at all.
 * Method: changed and cut at every byte; wrong shapes under valid checksums.
 */
import { expect, it } from "vitest";
import {
  composeManifest,
  parseManifest,
  type Manifest,
} from "../../../../src/engine/directory/catalog/manifest.js";
import { logLine } from "../sandbox.js";

const STORE = "c0ffee";
const PART = { name: "6-4dbb0b523a03f03d", rows: 12, deleted: 1, bytes: 1843, newest: 912, index: 1650 };
const MANIFEST: Manifest = {
  segment: 6,
  revision: 9,
  next: 12,
  incomplete: false,
  parts: [PART, { ...PART, name: "0-00" }],
};

it("is read back as it was", () => {
  for (const incomplete of [true, false]) {
    for (const parts of [MANIFEST.parts, []]) {
      const manifest = { ...MANIFEST, incomplete, parts };
      expect(parseManifest(composeManifest(manifest, STORE), 6, STORE)).toEqual(manifest);
    }
  }
});

it("of another store or segment, cut, prolonged or changed at any byte is refused", () => {
  const bytes = composeManifest(MANIFEST, STORE);
  expect(parseManifest(bytes, 7, STORE)).toBeUndefined();
  expect(parseManifest(bytes, 6, "c0ffef")).toBeUndefined();
  for (let index = 0; index < bytes.length; index++) {
    expect(parseManifest(bytes.subarray(0, index), 6, STORE), `cut at ${index}`).toBeUndefined();
    const changed = Buffer.from(bytes);
    changed[index] = changed[index]! ^ (1 << (index % 7));
    expect(parseManifest(changed, 6, STORE), `changed at ${index}`).toBeUndefined();
  }
  for (const more of ["\n", "x", String(bytes)])
    expect(parseManifest(Buffer.concat([bytes, Buffer.from(more)]), 6, STORE)).toBeUndefined();
});

it.each([
  ["no parts", { parts: undefined }],
  ["parts that are none", { parts: {} }],
  ["a part that is none", { parts: [7] }],
  ["nothing for a part", { parts: [null] }],
  ["a part that leads elsewhere", { parts: [{ ...PART, name: "../6-00" }] }],
  ["a part with the name of a catalog", { parts: [{ ...PART, name: "6" }] }],
  ["a size that is none", { parts: [{ ...PART, bytes: "1843" }] }],
  ["a negative count", { parts: [{ ...PART, rows: -1 }] }],
  ["orders that overlap", { parts: [{ ...PART, newest: 1651 }] }],
  ["an index behind the end", { parts: [{ ...PART, index: 1843 }] }],
  ["too many parts", { parts: Array.from({ length: 1001 }, () => PART) }],
  ["a revision that is a fraction", { revision: 1.5 }],
  ["no next revision", { next: undefined }],
  ["an incompleteness that is none", { incomplete: 1 }],
])("%s, under a valid checksum, are refused", (_what, wrong) => {
  const line = {
    catalog: 6,
    store: STORE,
    revision: 9,
    next: 12,
    incomplete: false,
    parts: [PART],
    ...wrong,
  };
  expect(parseManifest(logLine(line), 6, STORE)).toBeUndefined();
});
