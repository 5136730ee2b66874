/**
 * Goal: any number of processes may be the first to open a store, at the same moment, folders above it included; one
 * store comes of it, and nothing else.
 * Method: processes open a path that does not exist, together, again and again; each says which store it got.
 */
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { start } from "./support/child.js";
import { temporaryFolder } from "./support/temporary-folder.js";

it.each(Array.from({ length: 4 }, (_, round) => round))(
  "first openers get one store (round %i)",
  async () => {
    const folder = temporaryFolder();
    const path = join(folder, "agents/main/sessions.d");
    const openers = Array.from({ length: 6 }, () => start("opening", { path, times: 3 }));
    const opened = await Promise.all(openers.map((opener) => opener.next("opened")));
    await Promise.all(openers.map((opener) => opener.finished()));
    const stores = new Set(opened.flatMap(({ storeIds }) => storeIds as string[]));
    expect(stores.size).toBe(1);
    expect(readdirSync(path)).toEqual([".store"]);
    expect(readdirSync(join(path, ".store/log"))).toEqual(["00000001.jsonl"]);
    expect(readdirSync(join(path, ".store/stage"))).toHaveLength(1);
  },
);
