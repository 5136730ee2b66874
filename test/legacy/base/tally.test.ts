/**
 * Goal: what an attempt came to is a value: every entry that was read is in exactly one count, whatever versions of a session
 * came in which order, and adding tallies loses nothing but refusals beyond the limit.
 * Method: intakes filled by hand, as a reading fills them.
 */
import { expect, it } from "vitest";
import { Intake } from "../../../src/legacy/run/checked-source.js";
import { EMPTY_TALLY, Refusals, sumOf } from "../../../src/legacy/base/tally.js";
import type { Refusal } from "../../../src/legacy/base/types.js";

const refusal = (key: string): Refusal => ({ key, reason: "null_entry", message: `${key}: it is null` });
const kept = (intake: Intake): { kept: number; unchanged: number } => ({
  kept: intake.winners.size,
  unchanged: 0,
});

it("an older version of a session is merged, a refused entry is not", () => {
  const intake = new Intake();
  intake.read = 3;
  intake.winners.set("a", { ordinal: 1, updatedAt: 2 });
  intake.refusals.add(refusal("c"));
  expect(intake.tally(kept(intake), []).counts).toEqual({
    read: 3,
    kept: 1,
    merged: 1,
    unchanged: 0,
    refused: 1,
  });
});

it("where the store refuses the newest version, the one before it is the session and no longer merged", () => {
  const intake = new Intake();
  const older = { ordinal: 0, updatedAt: 1 };
  intake.read = 3;
  intake.winners.set("a", { ordinal: 1, updatedAt: 2 });
  intake.winners.set("b", { ordinal: 2, updatedAt: 2 });
  intake.refuseWinner("a", older, refusal("a"));
  intake.refuseWinner("b", undefined, refusal("b"));
  expect([...intake.winners]).toEqual([["a", older]]);
  const { counts } = intake.tally(kept(intake), []);
  expect(counts).toEqual({ read: 3, kept: 1, merged: 0, unchanged: 0, refused: 2 });
});

it("a sum has every count and warning, and names the first thousand refusals", () => {
  const refusals = new Refusals();
  for (let count = 0; count < 1500; count++) refusals.add(refusal(`k${count}`));
  expect(refusals.count).toBe(1500);
  const counts = { read: 1502, kept: 1, merged: 1, unchanged: 0, refused: 1500 };
  const warnings = [{ code: "source_json5", message: "by hand", data: {} }] as const;
  const tally = { counts, refusals: refusals.named, warnings };
  const sum = sumOf(tally, EMPTY_TALLY, tally);
  expect(sum.counts).toEqual({ read: 3004, kept: 2, merged: 2, unchanged: 0, refused: 3000 });
  expect(sum.refusals).toHaveLength(1000);
  expect(sum.warnings).toHaveLength(2);
  expect(tally.refusals).toHaveLength(1000);
});
