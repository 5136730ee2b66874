/**
 * Goal: a person mends a damaged log with one command, is told what was kept and what cannot be proved, and a dry run says the
 * same before anything is done.
 * Method: a store as a killed process leaves it, of whose log one bit is flipped; every message that sends a person here.
 */
import { existsSync, readdirSync, readFileSync, utimesSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import type { SessionStore } from "../../../src/index.js";
import { damagedStore, damageRecord, killedAfter, segmentOf } from "../support/damaged-log.js";
import { deviations, documentedExamples } from "../support/documented-shape.js";
import { errorOf, run, type Ended } from "../support/program.js";
import { read, revisionOf, traces } from "../support/stores.js";

type Entry = Record<string, unknown>;

const mend = (path: string, ...options: readonly string[]): Promise<Ended> =>
  run(["mend", "--store", path, ...options]);

const UNKNOWN = "not known: sessions of which these bytes had everything, for their names were there, too";

describe("mend", () => {
  it("is what the errors and the warning of a damaged log say, with the store's path", async () => {
    const path = await damagedStore();
    const before = traces(path);
    const get = await run(["get", "b", "--store", path, "--json"]);
    expect(errorOf(get)).toMatchObject({ code: "session_damaged", exitCode: 3 });
    expect(errorOf(get).message).toContain(`sessiondir mend --store ${path}`);
    expect(traces(path)).toEqual(before);
    const patch = await run(["patch", "a", "n=2", "--store", path, "--json"]);
    expect(errorOf(patch)).toMatchObject({ code: "log_damaged", data: { key: "a" }, exitCode: 3 });
    expect(errorOf(patch).message).toContain(`sessiondir mend --store ${path}`);
  });

  it("names what was guessed and where the damaged segment is kept, ends with 3, and all is writable", async () => {
    const path = await damagedStore();
    const segment = segmentOf(path);
    const { code, stdout, stderr } = await mend(path);
    expect(code).toBe(3);
    expect(stderr).toBe(`mending ${path}: no other process may have it open meanwhile\n`);
    const [quarantined = ""] = readdirSync(join(path, ".store/quarantine"));
    const lines = stdout.trimEnd().split("\n");
    expect(lines).toEqual([
      `mended the log of ${path}: 1 session cannot be proved`,
      expect.stringMatching(/^damaged {2}.* at byte \d+ \(.*\), kept as /) as string,
      UNKNOWN,
      expect.stringMatching(/^guessed {2}b: revision (\d+) was kept; found were \d+, \1$/) as string,
    ]);
    expect(lines[1]).toContain(segment);
    expect(lines[1]).toContain(join(path, ".store/quarantine", quarantined));
    expect(existsSync(segment)).toBe(false);
    expect(await read(path, "a")).toEqual({ n: 1 });
    expect(await read(path, "b")).toEqual({ n: 2 });
    expect(await read(path, "c")).toBeUndefined(); // nothing but the damaged bytes had it
    expect(await run(["patch", "b", "n=3", "--store", path])).toMatchObject({ code: 0, stderr: "" });
    expect(await mend(path, "--quiet")).toMatchObject({
      code: 0,
      stdout: `nothing to mend: no session of ${path} is in doubt because of its log\n`,
      stderr: "",
    });
  });

  it("ends with 0 when every session was proved", async () => {
    const path = await killedAfter(async (store) => {
      for (const key of ["a", "b"]) await store.put(key, { n: 1 });
      await store.flush();
    });
    damageRecord(path, "a");
    for (const [option, outcome] of [
      ["--dry-run", "would mend"],
      ["--quiet", "mended"],
    ] as const) {
      const { code, stdout, stderr } = await mend(path, option);
      expect({ code, stderr }, option).toEqual({ code: 0, stderr: "" });
      expect(stdout).toContain(
        `${outcome} the log of ${path}: every session that is left is proved\ndamaged  `,
      );
    }
    for (const key of ["a", "b"]) expect(await read(path, key)).toEqual({ n: 1 });
  });

  it.each([
    [
      "its deletion",
      (store: SessionStore<Entry>) => store.delete("b"),
      /: it is deleted; found were \d+, its deletion\n$/,
    ],
    ["nothing", undefined, /: nothing of it is left\n$/],
  ])("says that %s is all that is left of a session", async (_what, last, told) => {
    const path = await killedAfter(async (store) => {
      await store.put("b", { n: 1 });
      await store.put("c", { n: 1 });
      await (last === undefined ? store.update("b", () => ({ n: 2 })) : last(store));
    });
    damageRecord(path, last === undefined ? "b" : "c");
    const { code, stdout } = await mend(path, "--quiet");
    expect(code).toBe(3);
    expect(stdout).toMatch(told);
    expect(await read(path, "b")).toBeUndefined();
  });

  it("--dry-run changes nothing, and names the sessions in doubt and no others", async () => {
    const path = await damagedStore();
    writeFileSync(join(path, "a/meta.json"), "{"); // damage of another kind, with ways out of its own
    const before = traces(path);
    const { code, stdout, stderr } = await mend(path, "--dry-run");
    expect(code).toBe(3);
    expect(stderr).toBe("");
    expect(stdout.trimEnd().split("\n")).toEqual([
      `would mend the log of ${path}: 1 session cannot be proved`,
      expect.stringMatching(/^damaged {2}.*00000001\.jsonl at byte \d+ \(.*\)$/) as string,
      UNKNOWN,
      "in doubt b",
    ]);
    expect(traces(path)).toEqual(before);
  });

  it("has the documented JSON, with and without --dry-run", async () => {
    const path = await damagedStore();
    const [done, planned] = documentedExamples("`sessiondir mend`");
    const dry = await mend(path, "--dry-run", "--json");
    expect(deviations(JSON.parse(dry.stdout), planned)).toEqual([]);
    const { stdout, stderr } = await mend(path, "--json");
    expect(stderr).toBe("");
    expect(deviations(JSON.parse(stdout), done)).toEqual([]);
    const { damaged, guessed } = JSON.parse(stdout) as { damaged: { path: string }[]; guessed: Entry[] };
    expect(guessed).toMatchObject([
      { key: "b", path: segmentOf(path), revision: await revisionOf(path, "b") },
    ]);
    expect(damaged[0]?.path).toBe(segmentOf(path));
  });

  it("takes what a power cut left for no damage: a warning, nothing to mend, 0", async () => {
    const path = await killedAfter(async (store) => {
      for (const key of ["a", "b", "c"]) await store.put(key, { n: 1 });
    });
    const segment = segmentOf(path);
    const bytes = readFileSync(segment);
    const at = bytes.indexOf('"k":"b"');
    writeFileSync(segment, bytes.fill(0, at, bytes.indexOf("\n", at)));
    utimesSync(segment, 1, 1); // long before the system was started
    for (const options of [["--dry-run"], []]) {
      const { code, stdout, stderr } = await mend(path, "--json", ...options);
      expect(code).toBe(0);
      expect(JSON.parse(stdout)).toMatchObject({ damaged: [], guessed: [] });
      expect(JSON.parse(stderr)).toMatchObject({ warning: { code: "log_gap" } });
    }
    expect(await read(path, "a")).toEqual({ n: 1 });
  });

  it("leaves a log that is whole as it is", async () => {
    const path = await killedAfter((store) => store.put("a", { n: 1 }));
    const segment = readFileSync(segmentOf(path));
    expect(await mend(path, "--quiet")).toMatchObject({ code: 0, stderr: "" });
    expect(readFileSync(segmentOf(path))).toEqual(segment);
    expect(await read(path, "a")).toEqual({ n: 1 });
  });
});

describe("mend, where the damaged bytes had all of a session", () => {
  it("does not say that every session is proved", async () => {
    const path = await killedAfter((store) => store.put("only", { n: 1 }));
    damageRecord(path, "only");
    const mended = await mend(path);
    expect(mended.stdout).not.toContain("every session proved");
  });
});

describe("ls, behind damage", () => {
  it("names the sessions that it leaves out", async () => {
    const path = await damagedStore();
    const listed = await run(["ls", "--store", path]);
    expect(listed.stdout + listed.stderr).toMatch(/\bb\b.*(damaged|cannot be read)/);
  });
});
