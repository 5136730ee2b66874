/**
 * Goal: `sessiondir doctor` says what is wrong with the next command, repairs what it is told to, and ends with the right code, wherever a
 * person tries it.
 * Method: the built program on healthy and damaged stores, on nothing, on a read-only folder, on agents, and stopped in the middle.
 */
import { chmodSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { describe, expect, it } from "vitest";
import { folderNameForKey } from "../../../src/format/session-key.js";
import { deviationsBut, documentedExamples } from "../support/documented-shape.js";
import { MAIN, run, start } from "../support/program.js";
import {
  CRON_KEY,
  emptyFolder,
  MAIN_KEY,
  makeReadOnly,
  makeStore,
  read,
  SESSIONS,
  traces,
} from "../support/stores.js";

const OPTIONAL = ["offset", "key", "transcript", "field", "hash", "bytes", "repair", "skipped", "kept"];
const user = process.getuid?.() === 0 ? 65534 : undefined;

async function checkpointed(): Promise<string> {
  const path = await makeStore();
  expect((await run(["flush", "--checkpoint", "--store", path])).code).toBe(0);
  return path;
}

const fileOf = (path: string, key: string): string => join(path, folderNameForKey(key), "meta.json");

describe("doctor", () => {
  it("finds a healthy store healthy, at each level, and changes nothing", async () => {
    const path = await checkpointed();
    const before = traces(path);
    for (const options of [[], ["--quick"], ["--deep"], ["--sample", "5%"], ["--sample", "0.5"]]) {
      const { code, stdout, stderr } = await run(["doctor", "--store", path, ...options]);
      expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
      expect(stdout).toMatch(/^healthy: .*, 0 findings\)\n$/);
    }
    expect(traces(path)).toEqual(before);
  });

  it("names damage with the next command, ends with 3, and repairs when it is told to", async () => {
    const path = await checkpointed();
    const file = fileOf(path, MAIN_KEY);
    const damage = readFileSync(file, "utf8").slice(0, 50);
    writeFileSync(file, damage);
    const before = traces(path);
    for (const options of [[], ["--fix", "--dry-run"], ["--fix", "--alone", "--dry-run"]]) {
      const { code, stdout } = await run(["doctor", path, ...options]);
      expect(code).toBe(3);
      expect(stdout).toContain(`lost        entry_damaged  ${file} at byte 50, session ${MAIN_KEY}: `);
      expect(stdout).toContain(`sessiondir doctor --fix --alone --store ${path}`);
    }
    expect(traces(path)).toEqual(before);

    const fixed = await run(["doctor", "--store", path, "--fix", "--alone", "--json"]);
    expect(fixed.code).toBe(3); // something is lost
    const report = JSON.parse(fixed.stdout) as { verdict: string; actions: { kept?: string }[] };
    expect(report.verdict).toBe("lost");
    expect(readFileSync(report.actions[0]?.kept ?? "", "utf8")).toBe(damage);
    const [example] = documentedExamples("`sessiondir doctor`");
    expect(deviationsBut(OPTIONAL, report, example)).toEqual([]);

    const again = await run(["doctor", "--store", path]);
    expect(again.code).toBe(0);
    expect(again.stdout).toMatch(/^healthy: /);
    expect(again.stdout).toContain("earlier ");
    expect(await read(path, CRON_KEY)).toEqual(SESSIONS[CRON_KEY]);
  });

  it("takes what is lost from a backup that it is given", async () => {
    const path = await checkpointed();
    const backup = join(dirname(path), "backup");
    mkdirSync(join(backup, folderNameForKey(MAIN_KEY)), { recursive: true });
    renameSync(fileOf(path, MAIN_KEY), fileOf(backup, MAIN_KEY));
    const { code, stdout } = await run(["doctor", path, "--fix", "--alone", "--backup", backup]);
    expect(code).toBe(0);
    expect(stdout).toMatch(/^repaired: /);
    expect(stdout).toContain(`restored from ${fileOf(backup, MAIN_KEY)}`);
    expect(await read(path, MAIN_KEY)).toEqual(SESSIONS[MAIN_KEY]);
  });

  it("makes a store of its folders, and names what is missing session by session", async () => {
    const path = await checkpointed();
    rmSync(join(path, ".store"), { recursive: true });
    expect((await run(["doctor", path])).stdout).toContain("store_incomplete");
    const { code, stdout } = await run(["doctor", path, "--fix", "--alone"]);
    expect(code).toBe(3);
    expect(stdout).toContain("value_missing");
    expect(await read(path, CRON_KEY)).toEqual(SESSIONS[CRON_KEY]);
  });

  it("looks at all agents, and the worst of them decides the code", async () => {
    const stateDirectory = emptyFolder();
    for (const agent of ["main", "ops"]) {
      const sessions = join(stateDirectory, "agents", agent, "sessions");
      mkdirSync(sessions, { recursive: true });
      renameSync(await checkpointed(), join(sessions, "sessions.d"));
    }
    const args = ["doctor", "--state-dir", stateDirectory, "--all-agents"];
    expect((await run(args)).code).toBe(0);
    writeFileSync(fileOf(join(stateDirectory, "agents/ops/sessions/sessions.d"), MAIN_KEY), "damage");
    const { code, stdout } = await run(args);
    expect(code).toBe(3);
    expect(stdout).toMatch(/^agent main\nhealthy: .*\nagent ops\nlost: /);
    const json = JSON.parse((await run([...args, "--json"])).stdout) as {
      stores: { agent: string; verdict: string }[];
    };
    expect(json.stores.map(({ agent, verdict }) => [agent, verdict])).toEqual([
      ["main", "healthy"],
      ["ops", "lost"],
    ]);
    const none = await run(["doctor", "--state-dir", emptyFolder(), "--all-agents"]);
    expect(none).toMatchObject({ code: 1, stdout: "" });
  });

  it("on a read-only folder looks, and a fix fails without having moved anything", async ({ skip }) => {
    const path = await checkpointed();
    writeFileSync(fileOf(path, MAIN_KEY), "damage");
    makeReadOnly(dirname(path), user);
    if ((await run(["--version"], { user })).code !== 0) skip(`another user cannot read ${MAIN}`);
    const before = traces(path);
    const looked = await run(["doctor", path], { user });
    expect(looked.code).toBe(3);
    expect(looked.stdout).toContain("entry_damaged");
    const fixed = await run(["doctor", path, "--fix", "--alone"], { user });
    expect([1, 3]).toContain(fixed.code);
    expect(fixed.stdout + fixed.stderr).toMatch(/EACCES/);
    expect(traces(path)).toEqual(before);
  });

  it("is stopped by Ctrl-C, and changes nothing", async () => {
    const path = await checkpointed();
    writeFileSync(fileOf(path, MAIN_KEY), "damage"); // looked at twice, with a pause
    const before = traces(path);
    const running = start(["doctor", path, "--deep"]);
    setTimeout(() => running.process.kill("SIGINT"), 350);
    const { code, stderr } = await running.ended;
    if (code === 130) expect(stderr).toContain("interrupted while");
    else expect(code).toBe(3); // it was faster
    expect(traces(path)).toEqual(before);
  });

  it("says what is wrong with its options", async () => {
    const path = await makeStore();
    for (const [options, message] of [
      [["--quick", "--deep"], "--quick and --deep exclude each other"],
      [["--alone"], "--alone belongs to --fix"],
      [["--dry-run"], "--dry-run belongs to --fix"],
      [["--sample", "0"], "--sample must be a share above 0"],
      [["--sample", "101%"], "--sample must be a share above 0"],
      [["--all-agents"], "--all-agents is of a state directory"],
    ] as const) {
      const { code, stderr } = await run(["doctor", "--store", path, ...options]);
      expect(code, options.join(" ")).toBe(2);
      expect(stderr).toContain(message);
    }
  });

  it("tells of folders that others may change, with the command that mends it", async () => {
    const path = await checkpointed();
    chmodSync(path, 0o777);
    const { code, stdout } = await run(["doctor", path]);
    expect(code).toBe(3);
    expect(stdout).toContain(`next: chmod go-w ${path}`);
  });
});
