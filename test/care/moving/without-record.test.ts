/**
 * Goal: an export of all has all, also sessions that have transcripts and no record, which no listing knows; so have a renaming and a dry run.
 * Method: stores in memory and on the disk, with what is only in the log, what is only in files, hashed folder names, and folders that
 * only look like sessions.
 */
import { mkdirSync, writeFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { renamePrefix } from "../../../src/moving/index.js";
import { useSandbox } from "../../engine/directory/sandbox.js";
import { exported, linesOf, memoryStore, type Store } from "./support/stores.js";

const holder = useSandbox();
const LONG = `agent:main:${"ä".repeat(200)}`;

async function keysIn(store: Store, prefix?: string): Promise<unknown[]> {
  const { text } = await exported(store, { prefix });
  return linesOf(text).flatMap(({ type, key }) => (type === "session" ? [key] : []));
}

async function fill(store: Store): Promise<void> {
  await store.put("agent:main:record", { n: 1 });
  await store.append("agent:main:record", ["x"]);
  await store.put("agent:main:gone", { n: 1 });
  await store.append("agent:main:gone", ["x"]);
  await store.delete("agent:main:gone");
  await store.append("agent:main:emptied", ["x"]);
  await store.removeTranscript("agent:main:emptied");
  await store.append("agent:main:alone", ["x"]);
  await store.append("__proto__", ["x"], { transcript: "__proto__" });
  await store.append(LONG, ["x"], { transcript: "side" });
}

const ALL = ["agent:main:record", "__proto__", "agent:main:alone", LONG];

describe("sessions without a record", () => {
  it("of a store in memory", async () => {
    const store = await memoryStore();
    await fill(store);
    expect(await keysIn(store)).toEqual(ALL);
    expect(await keysIn(store, "agent:main:a")).toEqual(["agent:main:alone"]);
  });

  it.each(["only in the log", "only in files"])("of a store on the disk, %s", async (where) => {
    const { box } = holder;
    const store = await box.open();
    await fill(store);
    if (where === "only in files") await store.checkpoint();
    mkdirSync(box.at("looks-like-one"));
    mkdirSync(box.at("not one"));
    writeFileSync(box.at("looks-like-one", "main.txt"), "x");
    writeFileSync(box.at("a-file"), "x");
    expect(await keysIn(store)).toEqual(ALL);
    const reader = await box.open({ readOnly: true });
    expect(await keysIn(reader)).toEqual(ALL);
    expect(await keysIn(reader, "looks")).toEqual([]);
  });

  it("are renamed with the others of a prefix", async () => {
    const { box } = holder;
    const store = await box.open();
    await fill(store);
    mkdirSync(box.at("agent%3Amain%3Anothing"));
    await renamePrefix(store, "agent:main:", "agent:new:");
    expect(await keysIn(store)).toEqual([
      "agent:new:record",
      "__proto__",
      "agent:new:alone",
      LONG.replace("main", "new"),
    ]);
  });
});
