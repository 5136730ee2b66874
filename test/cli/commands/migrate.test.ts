/**
 * Goal: `migrate` brings everything over, says what it did store by store, and may be interrupted at any time.
 * Method: the built program on legacy files, then a reader of the library.
 */
import { existsSync, readdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { setTimeout } from "node:timers/promises";
import { describe, expect, it } from "vitest";
import { deviationsBut, documentedExamples } from "../support/documented-shape.js";
import { makeLegacy, OPTIONAL, storeOf } from "../support/legacy.js";
import { errorOf, run, start } from "../support/program.js";
import { emptyFolder, MAIN_KEY, read, SESSIONS, traces } from "../support/stores.js";

interface Result {
  readonly reports: Record<string, unknown>[];
  readonly [name: string]: unknown;
}

describe("migrate", () => {
  it("--lowercase-keys takes keys as OpenClaw's functions do: ids of Matrix rooms keep their case", async () => {
    const room = "agent:main:matrix:channel:!AbC:Server.org";
    const legacy = join(emptyFolder(), "sessions.json");
    const entry = { sessionId: "s", updatedAt: 1 };
    writeFileSync(legacy, JSON.stringify({ "Agent:Main:Main ": entry, [room]: entry }));
    const { code } = await run(["migrate", "--store", legacy, "--lowercase-keys"]);
    expect(code).toBe(0);
    const { stdout } = await run(["ls", "--store", storeOf(legacy), "--json"]);
    const { sessions } = JSON.parse(stdout) as { sessions: { key: string }[] };
    expect(sessions.map(({ key }) => key).sort()).toEqual(["agent:main:main", room].sort());
  });

  it("says of refused entries where they are: in the backup once there is one, else in the file", async () => {
    const entry = { sessionId: "s", updatedAt: 1 };
    for (const [sessions, where] of [
      [{ a: entry, b: null }, "They are in the backup."],
      [{ b: null }, "They stay in the file."],
    ] as const) {
      const legacy = join(emptyFolder(), "sessions.json");
      writeFileSync(legacy, JSON.stringify(sessions));
      const plan = await run(["migrate", "--store", legacy, "--dry-run", "--force"]);
      expect(plan.stderr).toContain("1 entry of");
      expect(plan.stderr).toContain("They stay in the file.");
      expect((await run(["migrate", "--store", legacy, "--force"])).stderr).toContain(where);
    }
  });

  it("migrates one file and keeps it as a backup; a dry run says the same and changes nothing", async () => {
    const legacy = makeLegacy();
    const before = traces(dirname(legacy));
    const planned = await run(["migrate", "--store", legacy, "--json", "--dry-run"]);
    expect(planned).toMatchObject({ code: 0, stderr: "" });
    expect(traces(dirname(legacy))).toEqual(before);
    const done = await run(["migrate", "--store", legacy, "--json"]);
    expect(done).toMatchObject({ code: 0, stderr: "" });
    const [plan, report] = [planned, done].map(({ stdout }) => (JSON.parse(stdout) as Result).reports[0]);
    for (const name of [
      "outcome",
      "path",
      "directory",
      "layouts",
      "entries",
      "refusals",
      "bytesBefore",
      "warnings",
    ]) {
      expect(report?.[name]).toEqual(plan?.[name]);
    }
    expect(
      deviationsBut(OPTIONAL, JSON.parse(done.stdout), documentedExamples("`sessiondir migrate`")[0]),
    ).toEqual([]);
    for (const [key, entry] of Object.entries(SESSIONS))
      expect(await read(storeOf(legacy), key)).toEqual(entry);
    const { backups } = report as { backups: string[] };
    expect(backups.map((backup) => existsSync(backup))).toEqual([true]);
    expect(existsSync(legacy)).toBe(false);
    const again = await run(["migrate", "--store", legacy]);
    expect(again).toMatchObject({ code: 0, stdout: expect.stringContaining("already a store") as string });
  });

  it("prints what it did", async () => {
    const legacy = makeLegacy({ ...SESSIONS, nothing: null });
    const { code, stdout, stderr } = await run(["migrate", "--store", legacy]);
    expect(code).toBe(3);
    expect(stdout).toContain(`migrated: ${legacy} -> ${storeOf(legacy)} (sessions_json)\n`);
    expect(stdout).toContain("  entries   4 read, 3 kept, 1 refused\n");
    expect(stdout).toMatch(/^ {2}bytes {5}.* -> .*$/m);
    expect(stdout).toContain(`  backup    ${legacy}.saved-`);
    expect(stderr).toMatch(/^sessiondir: warning: .*refused/m);
  });

  it("migrates a state directory; one bad store does not stop the others", async () => {
    const state = emptyFolder();
    const legacyOf = (agent: string): string => join(state, "agents", agent, "sessions/sessions.json");
    makeLegacy(SESSIONS, legacyOf("main"));
    writeFileSync(makeLegacy({}, legacyOf("bad")), '{"a":{');
    const named = makeLegacy(
      { [MAIN_KEY]: { named: true, updatedAt: 1 } },
      join(emptyFolder(), "sessions-main.json"),
    );
    const template = join(dirname(named), "sessions-{agentId}.json");
    const args = ["migrate", "--state-dir", state, "--store-path", template];
    const { code, stdout, stderr } = await run(args);
    expect(code).toBe(3);
    expect(stdout.trimEnd().split("\n").at(-1)).toBe(
      "session-store migration summary: inspected=3 migrated=2 already_directory=0 skipped_empty=0 " +
        "skipped_invalid=1 missing=0 failed=0",
    );
    expect(stderr).toContain(`sessiondir: ${legacyOf("bad")}`);
    expect(await read(storeOf(legacyOf("main")), MAIN_KEY)).toEqual(SESSIONS[MAIN_KEY]);
    expect(await read(storeOf(named), MAIN_KEY)).toEqual({ named: true, updatedAt: 1 });
    const again = JSON.parse((await run([...args, "--json"])).stdout) as Result;
    expect(again).toMatchObject({
      stateDirectory: state,
      counts: { already_directory: 2, skipped_invalid: 1 },
    });
    expect(deviationsBut(OPTIONAL, again, documentedExamples("`sessiondir migrate`")[0])).toEqual([]);
  });

  it("stopped by Ctrl-C it leaves one side complete, and the next run finishes", async () => {
    const entries = Object.fromEntries(
      Array.from({ length: 300 }, (_, index) => [
        `agent:main:${index}`,
        { index, updatedAt: 1, text: `${index} `.repeat(20_000) },
      ]),
    );
    const legacy = makeLegacy(entries);
    const migrating = start(["migrate", "--store", legacy, "--json"]);
    const building = (): boolean =>
      readdirSync(dirname(legacy)).some((name) => name.includes(".d.building-"));
    while (!building() && migrating.process.exitCode === null) await setTimeout(2);
    migrating.process.kill("SIGINT");
    const ended = await migrating.ended;
    expect({ code: ended.code, stdout: ended.stdout }).toEqual({ code: 130, stdout: "" });
    expect(errorOf(ended)).toMatchObject({ code: "interrupted", exitCode: 130 });
    expect([existsSync(legacy), existsSync(storeOf(legacy))]).toEqual([true, false]);
    const again = await run(["migrate", "--store", legacy, "--json"]);
    expect(again.code).toBe(0);
    expect(JSON.parse(again.stdout)).toMatchObject({
      reports: [{ outcome: "migrated", entries: { kept: 300 } }],
    });
    expect(await read(storeOf(legacy), "agent:main:299")).toEqual(entries["agent:main:299"]);
    expect(building()).toBe(false);
  });

  it.each([
    [["--store", "x/sessions.txt"], "must end in .json or .d"],
    [["--store", "sessions.json", "--store-path", "y"], "--store-path belongs to a whole state directory"],
  ])("refuses %j", async (args, message) => {
    const { code, stdout, stderr } = await run(["migrate", ...args], { cwd: emptyFolder() });
    expect({ code, stdout }).toEqual({ code: 2, stdout: "" });
    expect(stderr).toContain(message);
  });

  it("names the file in a folder that was given instead", async () => {
    const legacy = makeLegacy();
    const { code, stderr } = await run(["migrate", "--store", dirname(legacy)]);
    expect(code).toBe(2);
    expect(stderr).toContain(`Did you mean ${legacy}?`);
  });
});
