/**
 * Goal: every input that was seen in the field has its own, typed outcome, and what cannot be taken is named (fault 35).
 * Method: one input each on the simulated disk: inspect, dry run and migration must agree, and the first two change
 * nothing.
 */
import { expect, it } from "vitest";
import { inspectOn } from "../../../src/legacy/inspect.js";
import { migrateOn } from "../../../src/legacy/migrate.js";
import type { ChangingOptions, MigrationReport, Refusal } from "../../../src/legacy/base/types.js";
import {
  DIRECTORY,
  expectSameSessions,
  FILE,
  LegacyMachine,
  pretty,
  someSessions,
  type Sessions,
} from "../legacy-machine.js";

async function migrate(
  content: string | Buffer | undefined,
  options: ChangingOptions = {},
): Promise<{ report: MigrationReport; machine: LegacyMachine }> {
  const machine = new LegacyMachine();
  if (content !== undefined) machine.disk.writeRaw(FILE, content);
  const before = machine.disk.tree();
  const dry = await migrateOn(machine.process(), FILE, { ...options, dryRun: true });
  const inspection = await inspectOn(machine.process(), FILE, options);
  expect(machine.disk.tree()).toEqual(before);
  const report = await migrateOn(machine.process(), FILE, options);
  const { outcome, entries, refusals } = report;
  for (const planned of [dry, inspection]) {
    expect(planned).toMatchObject({ outcome, entries });
    expect(byKey(planned.refusals)).toEqual(byKey(refusals));
  }
  const { read, kept, merged, unchanged, refused } = entries;
  expect(kept + merged + unchanged + refused).toBe(read);
  if (outcome.startsWith("skipped") || outcome === "failed" || outcome === "missing") {
    expect(machine.disk.tree()).toEqual(before);
    expect(report.backups).toEqual([]);
  }
  return { report, machine };
}

/** What is special about this input: that a file was moved is said of every migration. */
function codesOf({ warnings }: MigrationReport): string[] {
  return warnings.map(({ code }) => code).filter((code) => code !== "file_moved");
}

/** A plan meets what only the store can know at once, a migration batch by batch. */
function byKey(refusals: readonly Refusal[]): Refusal[] {
  return refusals.toSorted((a, b) => (a.key < b.key ? -1 : 1));
}

it("nothing there", async () => {
  expect((await migrate(undefined)).report.outcome).toBe("missing");
});

it("a store and nothing else", async () => {
  const { machine } = await migrate(pretty(someSessions()));
  const before = machine.disk.tree();
  expect((await migrateOn(machine.process(), FILE)).outcome).toBe("already_directory");
  expect(machine.disk.tree()).toEqual(before);
});

it.each([
  ["an empty object", "{}"],
  ["an empty object with spaces", " {\n}\n"],
])("%s is skipped", async (_name, text) => {
  expect((await migrate(text)).report.outcome).toBe("skipped_empty");
});

it.each([
  ["no bytes", ""],
  ["spaces", " \n"],
])("%s at all: skipped with a warning, for something must have emptied it", async (_name, text) => {
  const { report } = await migrate(text);
  expect(report.outcome).toBe("skipped_empty");
  expect(report.warnings.map(({ code }) => code)).toEqual(["source_zero_bytes"]);
});

it.each([
  ["an array", '[{"a":1}]', "array", 0],
  ["a string", '"text"', "not_an_object", 0],
  ["NULs, as a power cut leaves them", "\0\0\0\0", "syntax", 0],
  ["something behind the end", '{"a":{}}\n}', "trailing", 9],
  ["two objects", '{"a":{}}{"b":{}}', "trailing", 8],
  ["a missing comma", '{"a":{} "b":{}}', "syntax", 8],
  ["a missing value", '{"a":,"b":{}}', "syntax", 5],
  ["a missing colon", '{"a" {}}', "syntax", 5],
  ["damage inside an entry", '{"a":{"b":tru}}', "syntax", 13],
  ["mixed brackets", '{"a":{"b":[1}]}}', "syntax", 12],
  ["a control character in a string", '{"a":{"b":"\n"}}', "syntax", 11],
  ["damage behind bytes that are not UTF-8", Buffer.from('{"a":{"\xe9":"n"//}}', "latin1"), "syntax", 13],
])("%s: skipped, with the byte", async (_name, text, reason, offset) => {
  const { report } = await migrate(text);
  expect(report.outcome).toBe("skipped_invalid");
  expect(report.error).toMatchObject({ code: "legacy_invalid", data: { reason, offset, path: FILE } });
  expect(report.next).toBe(`sessiondir inspect --store ${FILE}`);
});

it("a file that is cut at any byte: skipped, with the byte", async () => {
  const text = Buffer.from('{"a":{"b":["c\\"é",{"d":null}]},"e\\\\":{}}');
  for (let length = 1; length < text.length; length++) {
    const machine = new LegacyMachine();
    machine.disk.writeRaw(FILE, text.subarray(0, length));
    const { outcome, error } = await migrateOn(machine.process(), FILE);
    expect(outcome, `${length}`).toBe("skipped_invalid");
    expect(error?.data["reason"], `${length}`).toBe("truncated");
    expect(error?.data["offset"], `${length}`).toBe(length);
  }
});

it("JSON5: comments, single quotes, trailing commas; with a warning", async () => {
  const text =
    "// by hand\n{ 'agent:main': { updatedAt: +5, list: [1, 2,], __proto__: { a: 1 } }, \"b\": {}, }";
  const { report, machine } = await migrate(text);
  expect(report).toMatchObject({ outcome: "migrated", entries: { read: 2, kept: 2 } });
  expect(codesOf(report)).toEqual(["source_json5"]);
  const sessions = await machine.sessions();
  expect(Object.keys(sessions?.["agent:main"] ?? {})).toEqual(["updatedAt", "list", "__proto__"]);
  expect(machine.files(`${FILE}.saved-`)).toEqual([text]);
});

it("JSON5 that is too long for one piece: skipped, and the limit named", async () => {
  const { report } = await migrate("{a: {}}", { json5BytesMax: 6 });
  expect(report.error).toMatchObject({ code: "legacy_invalid", data: { limit: 6, actual: 7 } });
});

it("a byte order mark", async () => {
  const { report, machine } = await migrate(`\uFEFF${pretty(someSessions())}`);
  expect(report.outcome).toBe("migrated");
  expectSameSessions(await machine.sessions(), someSessions());
});

it("entries that are no sessions: refused by name, the others migrated", async () => {
  const { report, machine } = await migrate(
    '{"n":null,"a":[1],"s":"x","ok":{"updatedAt":1},"":{"b":1},"\\ud800":{}}',
    { force: true },
  );
  expect(report).toMatchObject({ outcome: "migrated", entries: { read: 6, kept: 1, refused: 5 } });
  expect(report.refusals.map(({ key, reason }) => [key, reason])).toEqual([
    ["n", "null_entry"],
    ["a", "not_an_object"],
    ["s", "not_an_object"],
    ["", "key_invalid"],
    ["\ud800", "key_invalid"],
  ]);
  expect(codesOf(report)).toEqual(["entries_refused"]);
  expect(await machine.sessions()).toEqual({ ok: { updatedAt: 1 } });
});

it("nothing but nulls: not an empty store, but none", async () => {
  const { report } = await migrate('{"a":null,"b":null}');
  expect(report).toMatchObject({ outcome: "skipped_invalid", entries: { read: 2, kept: 0, refused: 2 } });
});

it("entries beyond the limits: refused by name, in whatever batch they are", async () => {
  const deep = `${"[".repeat(200)}${"]".repeat(200)}`;
  const text = `{"big":{"t":"${"x".repeat(9000)}"},"deep":{"a":${deep}},"${"k".repeat(2000)}":{},"ok":{"a":1},"dup":{"a":1},"dup":{"t":"${"x".repeat(9000)}"}}`;
  const { report, machine } = await migrate(text, { limits: { entryBytesMax: 8000 }, force: true });
  expect(report.refusals.map(({ reason }) => reason).sort()).toEqual([
    "entry_too_large",
    "entry_too_large",
    "key_too_long",
    "value_too_deep",
  ]);
  expect(await machine.sessions()).toEqual({ ok: { a: 1 }, dup: { a: 1 } });
});

it("an entry that nests 100,000 deep is refused without harm", async () => {
  const { report } = await migrate(`{"deep":{"a":${"[".repeat(100_000)}${"]".repeat(100_000)}},"ok":{}}`);
  expect(report.refusals.map(({ key, reason }) => [key, reason])).toEqual([["deep", "value_too_deep"]]);
});

it("the same key twice, and keys that normalize to one: the newest counts, the last one of equals", async () => {
  const text =
    '{"A":{"updatedAt":5,"v":1},"a":{"updatedAt":3,"v":2},"b":{"updatedAt":1,"v":3},"b":{"updatedAt":1,"v":4},"C":{"v":5},"c":{"updatedAt":0.5,"v":6}}';
  const { report, machine } = await migrate(text, { normalizeKey: (key) => key.toLowerCase() });
  expect(report).toMatchObject({ outcome: "migrated", entries: { read: 6, kept: 3, merged: 3 } });
  expect(codesOf(report)).toEqual(["duplicate_keys"]);
  const found = Object.entries((await machine.sessions()) ?? {}).map(([key, { v }]) => [key, v]);
  expect(found).toEqual([
    ["a", 1],
    ["b", 4],
    ["c", 6],
  ]);
});

it("fields of a big entry that are there twice count as JSON.parse has it", async () => {
  const big = JSON.stringify({ list: Array.from({ length: 900 }, (_, index) => index) });
  const text = `{"k":{"a":${big},"b":1,"a":2,"c":3,"c":${big},"__proto__":${big}}}`;
  const { machine } = await migrate(text, { force: true });
  expect(JSON.stringify((await machine.sessions())?.["k"])).toBe(JSON.stringify(JSON.parse(text).k));
});

it.each([
  ["JSON", '{"a":{"b":"\xff"}}'],
  ["JSON5", '{a:{b:"\xff"}}'],
])("bytes that are not UTF-8 in %s: as the old gateway reads them, with a warning", async (_kind, text) => {
  const { report, machine } = await migrate(Buffer.from(text, "latin1"), { force: true });
  expect(report.warnings.map(({ code }) => code)).toContain("source_not_utf8");
  expect(await machine.sessions()).toEqual({ a: { b: "\uFFFD" } });
});

it.each(["directory", "special"] as const)("a %s in its place: skipped", async (kind) => {
  const machine = new LegacyMachine();
  if (kind === "directory") machine.disk.makeDirectory(FILE);
  else machine.disk.makeSpecial(FILE);
  const before = machine.disk.tree();
  const report = await migrateOn(machine.process(), FILE);
  expect(report).toMatchObject({ outcome: "skipped_invalid", error: { code: "file_unsafe" } });
  expect(machine.disk.tree()).toEqual(before);
});

it("something else where the store is to be: nothing is changed, and it is named", async () => {
  const machine = new LegacyMachine();
  machine.disk.writeRaw(FILE, pretty(someSessions()));
  machine.disk.writeRaw(`${DIRECTORY}/holiday.jpg`, "");
  const report = await migrateOn(machine.process(), FILE);
  expect(report).toMatchObject({
    outcome: "skipped_invalid",
    error: { code: "not_a_store", data: { found: "holiday.jpg" } },
  });
});

it("wrong arguments are a TypeError", async () => {
  const machine = new LegacyMachine();
  await expect(migrateOn(machine.process(), "/home/sessions")).rejects.toThrow(TypeError);
  await expect(migrateOn(machine.process(), FILE, { limits: { nonsense: 1 } as never })).rejects.toThrow(
    TypeError,
  );
});

it("an aborted signal: the reason, and everything as it was", async () => {
  const machine = new LegacyMachine();
  machine.disk.writeRaw(FILE, pretty(someSessions()));
  const before = machine.disk.tree();
  const reason = new Error("enough");
  for (const phase of ["reading", "verifying", "syncing"]) {
    const controller = new AbortController();
    const onProgress = (progress: { phase: string }): void => {
      if (progress.phase === phase) controller.abort(reason);
    };
    await expect(migrateOn(machine.process(), FILE, { signal: controller.signal, onProgress })).rejects.toBe(
      reason,
    );
    expect(machine.disk.tree()).toEqual(before);
  }
});

it.each([
  [
    "package.json",
    { name: "x", version: "1", scripts: { a: "b" }, dependencies: { c: "1" }, type: "module" },
  ],
  ["tsconfig.json", { compilerOptions: { strict: true }, include: ["src"] }],
  ["a configuration", { agents: { list: [] }, channels: { telegram: {} }, gateway: { port: 1 } }],
])("%s is not taken for sessions and stays where it is, unless that is wanted", async (_name, content) => {
  const text = pretty(content);
  const { report, machine } = await migrate(text);
  expect(report).toMatchObject({
    outcome: "skipped_invalid",
    error: { code: "legacy_invalid", data: { path: FILE, reason: "not_sessions" } },
  });
  expect(report.error?.message).toContain(`sessiondir migrate --store ${FILE} --force`);
  expect(machine.names()).toEqual(["sessions.json"]);
  const forced = await migrate(text, { force: true });
  expect(forced.report.outcome).toBe("migrated");
  expect(forced.machine.files(`${FILE}.saved-`)).toEqual([text]);
});

it.each([
  [3, 3, "migrated"],
  [3, 4, "skipped_invalid"],
])("a file of %i sessions and %i values that must be refused: %s", async (sessions, others, outcome) => {
  const content: Record<string, unknown> = {};
  for (let n = 0; n < sessions; n++) content[`session ${n}`] = { sessionId: `s-${n}`, updatedAt: n };
  for (let n = 0; n < others; n++) content[`other ${n}`] = [n];
  const { report, machine } = await migrate(pretty(content));
  expect(report.outcome).toBe(outcome);
  expect(machine.names().includes("sessions.json")).toBe(outcome === "skipped_invalid");
});

it("sessions without any field say nothing against the others", async () => {
  const { report } = await migrate('{"a":{},"b":{},"c":{"sessionId":"x"}}');
  expect(report).toMatchObject({ outcome: "migrated", entries: { kept: 3 } });
  const own = { updatedAt: (entry: object): number => (entry as { used: number }).used };
  expect((await migrate('{"a":{"used":5}}', own)).report.outcome).toBe("migrated");
});

it("numbers that JSON cannot write become null, as for the old gateway, and are named; so are those that are rounded", async () => {
  const text =
    '{"a":{"updatedAt":1,"n":1e999,"in":{"list":[1,-1E+400]},"s":"1e999, 12345678901234567890","__proto__":1e999},' +
    '"b":{"updatedAt":12345678901234567890,"small":0.1000000000000000055,"none":1e-400,"fine":[1.50,1e21,0.1,-0.0,1795000000000]}}';
  const { report, machine } = await migrate(text);
  expect(report).toMatchObject({ outcome: "migrated", entries: { read: 2, kept: 2, refused: 0 } });
  const found = new Map(report.warnings.map((warning) => [warning.code, warning]));
  expect(found.get("number_not_finite")?.data).toMatchObject({
    numbers: 3,
    key: "a",
    field: "n",
    text: "1e999",
  });
  expect(found.get("number_not_finite")?.message).toContain('"a" in.list.1 = -1E+400');
  expect(found.get("number_rounded")?.data).toMatchObject({ numbers: 3, key: "b", field: "updatedAt" });
  expect(found.get("number_rounded")?.message).toContain('"b" small = 0.1000000000000000055');
  expect(found.get("number_rounded")?.message).toContain('"b" none = 1e-400');
  const asOldGateway = JSON.parse(JSON.stringify(JSON.parse(text))) as Sessions;
  expectSameSessions(await machine.sessions(), asOldGateway);
});

it("in JSON5 too, and in a big value that sessions share", async () => {
  const json5 = await migrate("{a: {updatedAt: 1, n: NaN, m: [-Infinity]}, b: {updatedAt: 2}}");
  expect(await json5.machine.sessions()).toEqual({
    a: { updatedAt: 1, n: null, m: [null] },
    b: { updatedAt: 2 },
  });
  const big = `{"list":[${"1,".repeat(3000)}1e999]}`;
  const { report, machine } = await migrate(
    `{"a":{"updatedAt":1,"big":${big}},"b":{"updatedAt":2,"big":${big}}}`,
  );
  expect(report.warnings.find(({ code }) => code === "number_not_finite")?.data).toMatchObject({
    numbers: 1,
    key: "a",
    field: "big.list.3000",
  });
  const { a, b } = (await machine.sessions()) as Sessions;
  expect((a!["big"] as { list: unknown[] }).list.at(-1)).toBeNull();
  expect(a?.["big"]).toEqual(b?.["big"]);
});

it("a big value below a name that stands there twice costs nobody anything", async () => {
  const inner = JSON.stringify("x".repeat(5000));
  const text = `{"k":{"updatedAt":1,"a":{"b":{"c":{"d":${inner}}}},"a":1},"other":{"updatedAt":2}}`;
  const { report, machine } = await migrate(text);
  expect(report).toMatchObject({ outcome: "migrated", entries: { kept: 2 } });
  expect(await machine.sessions()).toEqual({ k: { updatedAt: 1, a: 1 }, other: { updatedAt: 2 } });
});
