/**
 * Goal: archives that are too old go, and more of them while the folder is too large; nothing that is no archive does, and no
 * archive whose transcript a session names.
 * Method: a sessions folder on the simulated disk with everything in it that looks a little like an archive.
 */
import { expect, it } from "vitest";
import { sweepArchives } from "../../../src/openclaw/maintenance/archives.js";
import {
  resolveMaintenanceConfig,
  type SessionMaintenanceConfig,
} from "../../../src/openclaw/maintenance/config.js";
import { TranscriptReferences, type TranscriptOwner } from "../../../src/openclaw/maintenance/transcripts.js";
import { ManualRuntime } from "../../../src/testing/manual-runtime.js";
import { LegacyMachine } from "../../legacy/legacy-machine.js";

const FOLDER = "/home/sessions";
const DAY = 86_400_000;
const NOW = new ManualRuntime().now();
const archive = (id: string, days: number, reason = "deleted"): string =>
  `${id}.jsonl.${reason}.${new Date(NOW - days * DAY).toISOString().replaceAll(":", "-")}`;

function machineWith(names: readonly string[], text = "x"): LegacyMachine {
  const machine = new LegacyMachine();
  for (const name of names) machine.disk.writeRaw(`${FOLDER}/${name}`, text);
  return machine;
}

function sweep(
  machine: LegacyMachine,
  config: SessionMaintenanceConfig,
  {
    change = true,
    sessions = () => [],
  }: { change?: boolean; sessions?: () => readonly TranscriptOwner[] } = {},
): ReturnType<typeof sweepArchives> {
  const ask = (): Promise<TranscriptReferences> => {
    const references = new TranscriptReferences();
    for (const session of sessions()) references.add(session);
    return Promise.resolve(references);
  };
  return sweepArchives(machine.process(), FOLDER, resolveMaintenanceConfig(config), ask, { change });
}

it("old archives go, young ones and everything else stay", async () => {
  const old = [archive("x", 31), archive("y", 31, "reset")];
  const others = [
    archive("z", 29),
    "z.jsonl",
    "sessions.json.bak.1",
    archive("n", 99).replace(".jsonl", ".txt"),
  ];
  const machine = machineWith([...old, ...others]);
  machine.disk.symlink(`${FOLDER}/${archive("link", 99)}`, "/home/x");
  machine.disk.makeDirectory(`${FOLDER}/${archive("folder", 99)}`);
  expect(await sweep(machine, { resetArchiveRetention: false })).toEqual({
    expired: 0,
    diskBudget: null,
    kept: [],
  });
  expect(await sweep(machine, {}, { change: false })).toEqual({ expired: 0, diskBudget: null, kept: [] });
  expect(await sweep(machine, {})).toEqual({ expired: 2, diskBudget: null, kept: [] });
  const names = machine.names();
  expect(names).toEqual(expect.arrayContaining([...others, archive("link", 99)]));
  for (const name of old) expect(names).not.toContain(name);
});

it("above the size archives go, the oldest first, and no more than need be", async () => {
  const names = [archive("a", 3), archive("b", 1), archive("c", 2), "live.jsonl"];
  const machine = machineWith(names, "x".repeat(100));
  const config = { maxDiskBytes: 350, highWaterBytes: 300 };
  expect((await sweep(machine, config, { change: false })).diskBudget).toMatchObject({
    overBudget: true,
    removedFiles: 0,
  });
  expect((await sweep(machine, config)).diskBudget).toEqual({
    totalBytesBefore: 400,
    totalBytesAfter: 300,
    removedFiles: 1,
    removedEntries: 0,
    freedBytes: 100,
    maxBytes: 350,
    highWaterBytes: 300,
    overBudget: false,
  });
  expect(machine.names().sort()).toEqual([archive("b", 1), archive("c", 2), "live.jsonl"].sort());
});

it("a transcript that is in use never goes, and the report says that this was not enough", async () => {
  const machine = machineWith([archive("a", 1), "live.jsonl", "sessions.json"], "x".repeat(100));
  expect((await sweep(machine, { maxDiskBytes: 50 })).diskBudget).toMatchObject({
    removedFiles: 1,
    totalBytesAfter: 200,
    overBudget: true,
  });
  expect(machine.names().sort()).toEqual(["live.jsonl", "sessions.json"]);
});

it("two processes at the same time count each file once", async () => {
  const machine = machineWith([archive("a", 99), archive("b", 99), archive("c", 99)]);
  const [first, second] = await Promise.all([sweep(machine, {}), sweep(machine, {})]);
  expect(first.expired + second.expired).toBe(3);
  expect(machine.names()).toEqual([]);
});

it("an archive whose transcript a session names stays, whatever its age and the size of the folder", async () => {
  const [byId, byTopic, byFile, young, nobodys] = [
    archive("id", 99),
    archive("id-topic-5", 99, "reset"),
    archive("other", 99),
    archive("id", 1),
    archive("x", 99),
  ] as const;
  const machine = machineWith([byId, byTopic, byFile, young, nobodys], "x".repeat(100));
  const sessions = (): TranscriptOwner[] => [
    { sessionId: "id" },
    { sessionId: "f", sessionFile: "../s/other.jsonl" },
  ];
  const swept = await sweep(machine, { maxDiskBytes: 50 }, { sessions });
  expect(machine.names().sort()).toEqual([byId, byTopic, byFile, young].sort());
  expect(swept).toMatchObject({ expired: 1, diskBudget: { removedFiles: 0, overBudget: true } });
  expect(swept.kept.map(({ archive: path }) => path).sort()).toEqual(
    [byId, byTopic, byFile, young].map((name) => `${FOLDER}/${name}`).sort(),
  );
  expect(swept.kept).toContainEqual({ source: `${FOLDER}/other.jsonl`, archive: `${FOLDER}/${byFile}` });
});

it("sessions are asked right before each removal", async () => {
  const machine = machineWith([archive("a", 99), archive("b", 99), archive("c", 99)]);
  // Somebody brings the session back as soon as the first archive has gone.
  const sessions = (): TranscriptOwner[] => (machine.names().length < 3 ? [{ sessionId: "b" }] : []);
  expect(await sweep(machine, {}, { sessions })).toMatchObject({ expired: 2 });
  expect(machine.names()).toEqual([archive("b", 99)]);
});
