/** Goal: after `flush` every session's file is as the log has it. Method: a store whose files are behind; the files. */
import { existsSync, readdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { deviations, documentedExamples } from "../support/documented-shape.js";
import { run } from "../support/program.js";
import { CRON_KEY, makeStore, read, revisionOf, SESSIONS, traces } from "../support/stores.js";

/** A store in which the files of some sessions were lost; the log still has them. */
async function storeBehind(): Promise<{ path: string; files: string[] }> {
  const path = await makeStore();
  const files = readdirSync(path)
    .filter((name) => !name.startsWith("."))
    .map((name) => join(path, name, "meta.json"));
  for (const file of files) rmSync(file);
  return { path, files };
}

describe("flush", () => {
  it("writes what the files lack", async () => {
    const { path, files } = await storeBehind();
    expect(await run(["flush", "--store", path])).toEqual({
      code: 0,
      stdout: `every meta.json is up to revision ${await revisionOf(path)}\n`,
      stderr: "",
    });
    expect(files.map((file) => existsSync(file))).toEqual([true, true, true]);
  });

  it("removes the old log with --checkpoint, and loses nothing", async () => {
    const { path } = await storeBehind();
    const { code, stdout } = await run(["flush", "--checkpoint", "--store", path]);
    expect(code).toBe(0);
    expect(stdout).toMatch(/^every meta.json is up to revision \d+; the log had .* and has .*\n$/);
    expect(readdirSync(join(path, ".store/log"))).toEqual(["00000002.jsonl"]);
    expect(await read(path, CRON_KEY)).toEqual(SESSIONS[CRON_KEY]);
  });

  it("has the documented JSON; a dry run changes nothing", async () => {
    const { path } = await storeBehind();
    const before = traces(path);
    const [example] = documentedExamples("`sessiondir flush`");
    const planned = JSON.parse(
      (await run(["flush", "--dry-run", "--store", path, "--json"])).stdout,
    ) as unknown;
    expect(traces(path)).toEqual(before);
    expect(deviations(planned, example)).toEqual([]);
    const done = JSON.parse((await run(["flush", "--store", path, "--json"])).stdout) as unknown;
    expect(deviations(done, example)).toEqual([]);
    expect(done).toMatchObject({ dryRun: false, revision: await revisionOf(path) });
    const plan = await run(["flush", "--dry-run", "--checkpoint", "--store", path]);
    expect(plan.stdout).toMatch(/^would bring every meta.json up to revision \d+ and remove a log of /);
  });
});
