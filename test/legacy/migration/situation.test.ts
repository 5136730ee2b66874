/**
 * Goal: what a migration does next follows from what lies there, for every combination of it, and a dry run cannot decide
 * differently.
 * Method: the table of all combinations. Deciding reads nothing, so nothing has to lie anywhere.
 */
import { describe, expect, it } from "vitest";
import type { OlderLayout } from "../../../src/legacy/layouts/older-layout.js";
import { decide, type Situation, type Step } from "../../../src/legacy/migration/situation.js";

const SOURCE: OlderLayout["source"] = {
  path: "/sessions.d",
  layouts: ["dashed_folders"],
  read: () => Promise.reject(new Error("deciding reads nothing")),
};
const FOLDER: OlderLayout = { source: SOURCE, inDirectory: true, sidecars: [] };
const SIDECARS: OlderLayout = { source: SOURCE, inDirectory: false, sidecars: [] };
const OLDER = { none: undefined, folder: FOLDER, sidecars: SIDECARS };
const KINDS = ["none", "file", "directory", "symlink", "other"] as const;

/** Without a store: what is there (file, left from merging, older layout) and what follows. */
const WITHOUT_STORE: readonly (readonly [
  Situation["file"],
  merging: boolean,
  keyof typeof OLDER,
  Step["step"],
])[] = [
  ["none", false, "none", "stop"],
  ["none", false, "sidecars", "build"],
  ["none", false, "folder", "replace"],
  ["none", true, "none", "give back"],
  ["none", true, "sidecars", "give back"],
  ["none", true, "folder", "give back"],
  ["file", false, "none", "build"],
  ["file", false, "sidecars", "build"],
  ["file", false, "folder", "replace"],
  ["file", true, "none", "build"],
  ["file", true, "sidecars", "build"],
  ["file", true, "folder", "replace"],
  ...(["directory", "symlink", "other"] as const).flatMap((file) =>
    [false, true].flatMap(
      (merging) =>
        [
          [file, merging, "none", "refuse"],
          [file, merging, "sidecars", "build"],
          [file, merging, "folder", "replace"],
        ] as const,
    ),
  ),
];

describe("without a store", () => {
  it("the table has every combination", () => {
    const rows = new Set(WITHOUT_STORE.map(([file, merging, older]) => `${file} ${merging} ${older}`));
    expect(rows.size).toBe(KINDS.length * 2 * Object.keys(OLDER).length);
    expect(WITHOUT_STORE).toHaveLength(rows.size);
  });

  it.each(WITHOUT_STORE)("a name that is %s, left from merging %s, older layout %s: %s", (...row) => {
    const [file, merging, name, step] = row;
    const decided = decide({ store: false, file, merging, older: OLDER[name] });
    expect(decided.step).toBe(step);
    if (decided.step === "build" || decided.step === "replace") expect(decided.older).toBe(OLDER[name]);
    if (decided.step === "refuse") expect(decided.kind).toBe(file);
  });
});

describe("a store is authoritative", () => {
  it.each(KINDS)("whatever lies beside it, also where its file's name is %s", (file) => {
    for (const merging of [false, true]) {
      for (const older of [undefined, SIDECARS]) {
        const alone = file === "none" && !merging && older === undefined;
        expect(decide({ store: true, file, merging, older })).toEqual(
          alone ? { step: "keep" } : { step: "absorb", older },
        );
      }
    }
  });
});
