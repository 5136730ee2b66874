/**
 * Goal: an item whose id the transcript has is left out, and no other one, however old the item and whoever appended, cut or trimmed since.
 * Method: A knows the ids of a transcript; B changes it, and checkpoints, so that no live segment tells; then A appends all ids again.
 */
import { beforeEach, describe, expect, it } from "vitest";
import { SimulatedDisk } from "../../../../src/testing/simulated/disk.js";
import { settled, type Process } from "../../../support/processes.js";
import { append, batch, startSmall, type Change } from "./scene.js";

let a: Process;
let b: Process;

beforeEach(async () => {
  const disk = new SimulatedDisk();
  [a, b] = [
    await startSmall(disk, "A", { durability: "os" }),
    await startSmall(disk, "B", { durability: "os" }),
  ];
  await append("k", 1, 8)(a.store);
  await settled(a.store.checkpoint(), a);
  expect(await append("k", 8, 2)(a.store)).toMatchObject({ skipped: [0] });
});

/** Which of the ids from 1 to 12 A finds there. */
async function found(): Promise<number[]> {
  const { items, ids } = batch(1, 12);
  const { skipped } = await a.store.append("k", items, { ids });
  return skipped.map((index) => index + 1);
}

describe("another process", () => {
  it.each<[string, Change, number[]]>([
    ["did nothing", async () => {}, [1, 2, 3, 4, 5, 6, 7, 8, 9]],
    ["appended", append("k", 11, 2), [1, 2, 3, 4, 5, 6, 7, 8, 9, 11, 12]],
    ["cut items off", (store) => store.truncate("k", { afterSeq: 5 }), [1, 2, 3, 4, 5]],
    ["trimmed items away", (store) => store.trim("k", { length: 3 }), [7, 8, 9]],
    ["removed it", (store) => store.removeTranscript("k"), []],
    ["deleted the session", (store) => store.delete("k"), []],
    [
      "cut items off and appended as many others",
      async (store) => {
        await store.truncate("k", { afterSeq: 7 });
        await append("k", 11, 2)(store);
      },
      [1, 2, 3, 4, 5, 6, 7, 11, 12],
    ],
    [
      "removed it and made it anew",
      async (store) => {
        await store.removeTranscript("k");
        await append("k", 3, 9)(store);
      },
      [3, 4, 5, 6, 7, 8, 9, 10, 11],
    ],
  ])("%s", async (_name, change, expected) => {
    await change(b.store);
    await settled(b.store.checkpoint(), b);
    expect(await found()).toEqual(expected);
  });

  it.each<[string, Change, number[]]>([
    ["cut items off", (store) => store.truncate("k", { afterSeq: 5 }), [1, 2, 3, 4, 5]],
    ["removed it", (store) => store.removeTranscript("k"), []],
  ])("%s, and the log still says so", async (_name, change, expected) => {
    await change(b.store);
    expect(await found()).toEqual(expected);
  });
});
