/**
 * Goal: transcripts of removed sessions are archived, and nothing else in the world is ever renamed.
 * Method: a sessions folder on the simulated disk, full of what a session's fields may point to.
 */
import { describe, expect, it, test } from "vitest";
import {
  archivedAt,
  archiveTranscripts,
  TranscriptReferences,
} from "../../../src/openclaw/maintenance/transcripts.js";
import type { LegacyHost } from "../../../src/legacy/base/host.js";
import { LegacyMachine } from "../../legacy/legacy-machine.js";

const FOLDER = "/home/sessions";
type Owner = { readonly sessionId: string; readonly sessionFile?: string };

function machineWith(...names: string[]): LegacyMachine {
  const machine = new LegacyMachine();
  for (const name of names) machine.disk.writeRaw(name.startsWith("/") ? name : `${FOLDER}/${name}`, name);
  return machine;
}

/** @param before The sessions that are still there at the first look. @param after At the second. */
async function archive(
  machine: LegacyMachine,
  removed: readonly Owner[],
  before: readonly Owner[] = [],
  after: readonly Owner[] = before,
  host: LegacyHost = machine.process(),
): Promise<string[]> {
  let look = 0;
  const archived = await archiveTranscripts(host, FOLDER, removed, () => {
    const references = new TranscriptReferences();
    for (const owner of look++ === 0 ? before : after) references.add(owner);
    return Promise.resolve(references);
  });
  for (const { source, archive: name } of archived) {
    expect(name.startsWith(`${source}.deleted.`)).toBe(true);
    expect(archivedAt(name)).toBeGreaterThan(0);
    expect(String(machine.disk.readRaw(name))).toBe(source.slice(FOLDER.length + 1));
  }
  return archived.map(({ source }) => source.slice(FOLDER.length + 1));
}

it("by id, and by file: relative, absolute, or through another name of the folder", async () => {
  const machine = machineWith("a.jsonl", "b-topic-5.jsonl", "custom.jsonl", "linked.jsonl", "stays.jsonl");
  machine.disk.symlink("/alias", FOLDER);
  const removed = [
    { sessionId: "a" },
    { sessionId: "b", sessionFile: "b-topic-5.jsonl" },
    { sessionId: "c", sessionFile: `${FOLDER}/custom.jsonl` },
    { sessionId: "d", sessionFile: "/alias/linked.jsonl" },
  ];
  expect(await archive(machine, removed)).toEqual([
    "a.jsonl",
    "b-topic-5.jsonl",
    "custom.jsonl",
    "linked.jsonl",
  ]);
  expect(machine.names()).toContain("stays.jsonl");
});

describe("what a session that is still there refers to stays", () => {
  test.each<readonly [string, Owner, Owner]>([
    ["the same id", { sessionId: "a" }, { sessionId: "a" }],
    ["its file", { sessionId: "a" }, { sessionId: "z", sessionFile: "a.jsonl" }],
    [
      "its file, in another spelling",
      { sessionId: "a" },
      { sessionId: "z", sessionFile: "/old/place/a.jsonl" },
    ],
    ["a topic of the same id", { sessionId: "x", sessionFile: "a-topic-1.jsonl" }, { sessionId: "a" }],
  ])("%s", async (_, removed, remaining) => {
    const machine = machineWith("a.jsonl", "a-topic-1.jsonl");
    let renames = 0;
    const host = machine.process();
    host.fs.onCall = ({ name }) => void (renames += name === "rename" ? 1 : 0);
    expect(await archive(machine, [removed], [remaining], [], host)).toEqual([]);
    expect(renames).toBe(0); // not even for a moment
    expect(machine.names().sort()).toEqual(["a-topic-1.jsonl", "a.jsonl"]);
  });

  it("also when it comes back while the file is being renamed", async () => {
    const machine = machineWith("a.jsonl", "b.jsonl");
    const removed = [{ sessionId: "a" }, { sessionId: "b" }];
    expect(await archive(machine, removed, [], [{ sessionId: "a" }])).toEqual(["b.jsonl"]);
    expect(machine.names()).toContain("a.jsonl");
  });
});

describe("never renamed", () => {
  test.each<readonly [string, Owner]>([
    ["above the folder", { sessionId: "x", sessionFile: "../secret.jsonl" }],
    ["above the folder, by id", { sessionId: "../secret" }],
    ["absolute", { sessionId: "x", sessionFile: "/home/secret.jsonl" }],
    ["the store's log", { sessionId: "x", sessionFile: "sessions.d/.store/log/00000001.jsonl" }],
    ["the legacy file", { sessionId: "x", sessionFile: "sessions.json" }],
    ["no transcript", { sessionId: "x", sessionFile: "notes.txt" }],
    ["through a linked folder", { sessionId: "x", sessionFile: "linked/secret.jsonl" }],
    ["a NUL", { sessionId: "x", sessionFile: "a.jsonl\0" }],
    ["no text", { sessionId: 7, sessionFile: {} } as unknown as Owner],
    ["a symlink", { sessionId: "link" }],
    ["a folder", { sessionId: "folder" }],
    ["a device", { sessionId: "pipe" }],
  ])("%s", async (_, removed) => {
    const machine = machineWith(
      "/home/secret.jsonl",
      "sessions.d/.store/log/00000001.jsonl",
      "sessions.json",
      "notes.txt",
      "folder.jsonl/x",
    );
    machine.disk.symlink(`${FOLDER}/link.jsonl`, "/home/secret.jsonl");
    machine.disk.symlink(`${FOLDER}/linked`, "/home");
    machine.disk.makeSpecial(`${FOLDER}/pipe.jsonl`);
    const before = machine.disk.tree("/home");
    expect(await archive(machine, [removed])).toEqual([]);
    expect(machine.disk.tree("/home")).toEqual(before);
  });
});

it("an archive that is there is not overwritten", async () => {
  const machine = machineWith("a.jsonl");
  await archive(machine, [{ sessionId: "a" }]);
  machine.disk.writeRaw(`${FOLDER}/a.jsonl`, "a.jsonl");
  await archive(machine, [{ sessionId: "a" }]);
  expect(machine.names()).toHaveLength(2);
});

it("two processes archive a file once", async () => {
  const machine = machineWith("a.jsonl");
  const both = await Promise.all([
    archive(machine, [{ sessionId: "a" }]),
    archive(machine, [{ sessionId: "a" }]),
  ]);
  expect(both.flat()).toEqual(["a.jsonl"]);
  expect(machine.names()).toHaveLength(1);
});

test.each([
  ["a.jsonl.deleted.2026-11-21T03-31-13.123Z", Date.UTC(2026, 10, 21, 3, 31, 13, 123)],
  ["a.jsonl.reset.2026-11-21T03-31-13Z", Date.UTC(2026, 10, 21, 3, 31, 13)],
  ["a.jsonl", undefined],
  ["a.jsonl.deleted.yesterday", undefined],
  ["sessions.json.bak.2026-11-21T03-31-13.123Z", undefined],
  ["a.jsonl.deleted.2026-99-99T03-31-13.123Z", undefined],
])("%s was archived at %s", (name, time) => {
  expect(archivedAt(name)).toBe(time);
});
