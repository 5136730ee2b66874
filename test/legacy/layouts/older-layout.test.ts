/**
 * Goal: the layouts that forks run are recognised, shown, and migrated with a backup, and killing the migration anywhere
 * loses nothing.
 * Method: one disk each, as those layouts write it.
 */
import { createHash } from "node:crypto";
import { describe, expect, it } from "vitest";
import { inspectOn } from "../../../src/legacy/inspect.js";
import { migrateOn } from "../../../src/legacy/migrate.js";
import {
  DIRECTORY,
  expectSameSessions,
  FILE,
  killAtEveryChange,
  LegacyMachine,
  pretty,
  type Sessions,
} from "../legacy-machine.js";

const base64 = (key: string): string => Buffer.from(key).toString("base64url");
const sha256 = (key: string): string => createHash("sha256").update(key).digest("hex");

function dashed(): LegacyMachine {
  const machine = new LegacyMachine();
  const put = (name: string, entry: object): void =>
    machine.disk.writeRaw(`${DIRECTORY}/${name}/meta.json`, JSON.stringify(entry));
  put("agent--main--main", { updatedAt: 2, v: "from the folder" });
  put("agent--main--odd--name", { updatedAt: 1, sessionKey: "agent:main:odd--name" });
  put("agent--main--backed--up", { updatedAt: 1 });
  put("agent--main--guess", { updatedAt: 1 });
  machine.disk.writeRaw(`${FILE}.bak.1700000000000`, pretty({ "agent:main:backed--up": {} }));
  machine.disk.writeRaw(
    FILE,
    pretty({ "agent:main:main": { updatedAt: 1 }, "agent:main:only": { updatedAt: 1 } }),
  );
  return machine;
}
const DASHED: Sessions = {
  "agent:main:main": { updatedAt: 2, v: "from the folder" },
  "agent:main:odd--name": { updatedAt: 1, sessionKey: "agent:main:odd--name" },
  "agent:main:backed--up": { updatedAt: 1 },
  "agent:main:guess": { updatedAt: 1 },
  "agent:main:only": { updatedAt: 1 },
};

it("dashed folders: keys settled by the entry, by a backup, or read with a colon and a warning", async () => {
  const machine = dashed();
  const before = machine.disk.tree();
  const inspection = await inspectOn(machine.process(), FILE);
  expect(inspection).toMatchObject({
    authority: "file",
    outcome: "migrated",
    layouts: ["sessions_json", "dashed_folders"],
  });
  expect(machine.disk.tree()).toEqual(before);
  const report = await migrateOn(machine.process(), FILE);
  expect(report).toMatchObject({
    outcome: "migrated",
    entries: { read: 6, kept: 5, merged: 1, refused: 0 },
  });
  const ambiguous = report.warnings.find(({ code }) => code === "key_ambiguous");
  expect(ambiguous?.data).toMatchObject({ sessions: 1, examples: "agent:main:guess" });
  expectSameSessions(await machine.sessions(), DASHED);
  const [backup = ""] = report.backups;
  expect(machine.disk.readRaw(`${backup}/agent--main--main/meta.json`)?.toString()).toBe(
    before[`${DIRECTORY}/agent--main--main/meta.json`],
  );
});

it("percent-encoded files", async () => {
  const machine = new LegacyMachine();
  machine.disk.writeRaw(`${DIRECTORY}/${encodeURIComponent("agent:main:a/b")}.json`, '{"a":1}');
  machine.disk.writeRaw(`${DIRECTORY}/bad%zz.json`, "{}");
  machine.disk.writeRaw(`${DIRECTORY}/broken.json`, "{");
  const report = await migrateOn(machine.process(), FILE, { force: true });
  expect(report).toMatchObject({
    outcome: "migrated",
    layouts: ["encoded_files"],
    entries: { read: 3, kept: 1, refused: 2 },
  });
  expect(report.refusals.map(({ key, reason }) => [key, reason])).toEqual([
    [`${DIRECTORY}/bad%zz.json`, "key_unknown"],
    [`${DIRECTORY}/broken.json`, "file_invalid"],
  ]);
  expect(await machine.sessions()).toEqual({ "agent:main:a/b": { a: 1 } });
});

it("hashed entries with state.json", async () => {
  const machine = new LegacyMachine();
  const long = `agent:main:${"x".repeat(300)}`;
  const put = (name: string, value: object): void =>
    machine.disk.writeRaw(`${DIRECTORY}/entries/${name}.json`, JSON.stringify(value));
  put(`session-${base64("agent:main:main")}`, { a: 1 });
  put(`session-hash-${sha256(long)}`, { b: 2 });
  put(`session-hash-${sha256("own")}`, { key: "own", entry: { c: 3 } });
  put(`session-hash-${sha256("nobody knows")}`, { d: 4 });
  machine.disk.writeRaw(
    `${DIRECTORY}/state.json`,
    JSON.stringify({ version: 1, keys: { [long]: sha256(long) } }),
  );
  const report = await migrateOn(machine.process(), FILE, { force: true });
  expect(report).toMatchObject({
    outcome: "migrated",
    layouts: ["hashed_entries"],
    entries: { read: 4, kept: 3, refused: 1 },
  });
  expect(report.refusals[0]?.reason).toBe("key_unknown");
  expect(await machine.sessions()).toEqual({ "agent:main:main": { a: 1 }, [long]: { b: 2 }, own: { c: 3 } });
});

function withSidecars(): LegacyMachine {
  const machine = new LegacyMachine();
  machine.disk.writeRaw(
    FILE,
    pretty({
      a: { sessionId: "s1", updatedAt: 5, model: "old" },
      b: { sessionId: "s2", updatedAt: 9, model: "new" },
      c: { sessionId: "s4" },
    }),
  );
  machine.disk.writeRaw(
    "/home/sessions/s1.meta.json",
    JSON.stringify({ sessionId: "s1", updatedAt: 7, model: "newer", big: [1] }),
  );
  machine.disk.writeRaw(
    "/home/sessions/s2.meta.json",
    JSON.stringify({ updatedAt: 3, model: "older", big: [2] }),
  );
  machine.disk.writeRaw(
    "/home/sessions/s3.meta.json",
    JSON.stringify({ sessionId: "s3", sessionKey: "by itself" }),
  );
  machine.disk.writeRaw("/home/sessions/other-tool.meta.json", "{}");
  return machine;
}
const JOINED: Sessions = {
  a: { sessionId: "s1", updatedAt: 7, model: "newer", big: [1] },
  b: { sessionId: "s2", updatedAt: 9, model: "new", big: [2] },
  c: { sessionId: "s4" },
  "by itself": { sessionId: "s3", sessionKey: "by itself" },
};

it("sidecars: joined with their session, the newer side's fields", async () => {
  const machine = withSidecars();
  const report = await migrateOn(machine.process(), FILE);
  expect(report).toMatchObject({
    outcome: "migrated",
    layouts: ["sessions_json", "meta_sidecars"],
    warnings: [{ code: "file_moved" }],
  });
  expectSameSessions(await machine.sessions(), JOINED);
  expect(report.backups).toHaveLength(4);
  expect(machine.names().filter((name) => name.endsWith(".meta.json"))).toEqual(["other-tool.meta.json"]);
  expect((await migrateOn(machine.process(), FILE)).outcome).toBe("already_directory");
});

describe("killed at every call", () => {
  it.each([
    ["dashed folders", dashed, DASHED],
    ["sidecars", withSidecars, JOINED],
  ])(
    "%s: the next run finishes",
    async (_name, prepare, expected) => {
      await killAtEveryChange(
        prepare,
        (host) => migrateOn(host, FILE),
        async (machine, at) => {
          const report = await migrateOn(machine.process(), FILE);
          expect(report.outcome, `${at} ${JSON.stringify(report)}`).toMatch(
            /^(migrated|merged|already_directory)$/,
          );
          expectSameSessions(await machine.sessions(), expected);
          expect(
            machine.names().filter((name) => /building|removing|merging|writing/.test(name)),
            at,
          ).toEqual([]);
          expect(
            machine.names().some((name) => name.startsWith("sessions.json.saved-2")),
            at,
          ).toBe(true);
        },
      );
    },
    120_000,
  );
});

describe("session folders of our own store without the store's hidden folder", () => {
  async function copiedWithoutDotFiles(): Promise<LegacyMachine> {
    const machine = new LegacyMachine();
    machine.disk.writeRaw(FILE, pretty({ "agent:main:a": { updatedAt: 1 }, b: { updatedAt: 2 } }));
    expect((await migrateOn(machine.process(), FILE)).outcome).toBe("migrated");
    machine.disk.removeRaw(`${DIRECTORY}/.store`);
    for (const name of machine.names().filter((name) => name.includes(".saved-")))
      machine.disk.removeRaw(`/home/sessions/${name}`);
    return machine;
  }

  it.each(["alone", "beside a legacy file", "of which one is damaged"])(
    "%s: no older layout",
    async (how) => {
      const machine = await copiedWithoutDotFiles();
      if (how === "beside a legacy file") machine.disk.writeRaw(FILE, pretty({ b: { updatedAt: 9 } }));
      if (how === "of which one is damaged") {
        machine.disk.removeRaw(`${DIRECTORY}/b`);
        const path = `${DIRECTORY}/agent%3Amain%3Aa/meta.json`;
        machine.disk.writeRaw(path, machine.disk.readRaw(path)!.subarray(0, 40));
      }
      const before = machine.disk.tree();
      const reports = [
        await inspectOn(machine.process(), FILE),
        await migrateOn(machine.process(), FILE, { dryRun: true }),
        await migrateOn(machine.process(), FILE, { force: true }),
      ];
      for (const { outcome, error } of reports) {
        expect(outcome).toBe("skipped_invalid");
        expect(error).toMatchObject({ code: "not_a_store", data: { path: DIRECTORY } });
        expect(error?.message).toContain(`sessiondir rebuild --store ${DIRECTORY}`);
      }
      expect(machine.disk.tree()).toEqual(before);
    },
  );
});

it("a sidecar that is no object is refused by name, and stops no other", async () => {
  const machine = new LegacyMachine();
  machine.disk.writeRaw(
    FILE,
    pretty({ a: { sessionId: "s1", updatedAt: 1 }, b: { sessionId: "s2", updatedAt: 1 } }),
  );
  expect((await migrateOn(machine.process(), FILE)).outcome).toBe("migrated");
  machine.disk.writeRaw(
    FILE,
    pretty({ a: { sessionId: "s1", updatedAt: 1 }, b: { sessionId: "s2", updatedAt: 1 } }),
  );
  machine.disk.writeRaw("/home/sessions/s1.meta.json", "[]");
  machine.disk.writeRaw("/home/sessions/s2.meta.json", '{"sessionId":"s2","updatedAt":5,"model":"m"}');
  const report = await migrateOn(machine.process(), FILE);
  expect(report.refusals).toMatchObject([{ key: "a", reason: "not_an_object" }]);
  expect((await machine.sessions())?.["b"]).toMatchObject({ model: "m" });
});

it("sessions that only together are too much for one commit are all taken", async () => {
  const machine = new LegacyMachine();
  machine.disk.freeBytes = Infinity;
  const fields = Object.fromEntries(Array.from({ length: 240 }, (_, n) => [`f${n}`, "x".repeat(3700)]));
  for (let n = 0; n < 20; n++)
    machine.disk.writeRaw(`${DIRECTORY}/k${n}.json`, JSON.stringify({ updatedAt: n + 1, ...fields }));
  const report = await migrateOn(machine.process(), FILE);
  expect(report).toMatchObject({ outcome: "migrated", entries: { read: 20, kept: 20 } });
}, 30_000);
