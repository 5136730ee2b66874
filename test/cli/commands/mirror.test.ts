/** Goal: `mirror` keeps the file in step and merges what others wrote to it. Method: the built program beside a writer. */
import { existsSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import { describe, expect, it } from "vitest";
import { openSessionStore } from "../../../src/index.js";
import { deviations, documentedExamples } from "../support/documented-shape.js";
import { readJson } from "../support/legacy.js";
import { run, start } from "../support/program.js";
import { MAIN_KEY, makeStore, NOW, read, revisionOf, SESSIONS, traces } from "../support/stores.js";

/** What it may take after Ctrl-C to write what is missing. */
const FINISH_MS_MAX = 10_000;

const legacyOf = (store: string): string => store.replace(/\.d$/, ".json");

describe("mirror", () => {
  it("brings the file in step once, with the documented JSON", async () => {
    const store = await makeStore();
    const [example] = documentedExamples("`sessiondir mirror`");
    const before = traces(dirname(store));
    const planned = JSON.parse(
      (await run(["mirror", "--store", store, "--dry-run", "--json"])).stdout,
    ) as object;
    expect(traces(dirname(store))).toEqual(before);
    const done = JSON.parse((await run(["mirror", "--store", store, "--once", "--json"])).stdout) as object;
    expect(done).toEqual({ ...planned, dryRun: false });
    expect(deviations(done, example)).toEqual([]);
    expect(readJson(legacyOf(store))).toEqual(SESSIONS);
  });

  it("merges what somebody else wrote", async () => {
    const store = await makeStore();
    await run(["mirror", "--store", store, "--once"]);
    const foreign = { ...SESSIONS, [MAIN_KEY]: { model: "foreign", updatedAt: NOW + 1000 } };
    writeFileSync(legacyOf(store), JSON.stringify(foreign));
    const plan = await run(["mirror", "--store", store, "--dry-run"]);
    expect(plan.stdout).toMatch(/^would merge 1 entry of somebody else's, then bring /);
    const { code, stdout } = await run(["mirror", "--store", store, "--once"]);
    expect(code).toBe(0);
    expect(stdout).toContain("after merging 1 foreign writes");
    expect(await read(store, MAIN_KEY)).toEqual(foreign[MAIN_KEY]);
    expect(readJson(legacyOf(store))).toEqual(foreign);
  });

  it("says what there is to know of the foreign file, planned or done, in the JSON and on stderr", async () => {
    const store = await makeStore();
    await run(["mirror", "--store", store, "--once"]);
    writeFileSync(legacyOf(store), JSON.stringify({ ...SESSIONS, list: [1], new: { updatedAt: NOW } }));
    for (const mode of ["--dry-run", "--once"]) {
      const { stdout, stderr } = await run(["mirror", "--store", store, mode, "--json"]);
      const { warnings } = JSON.parse(stdout) as { warnings: { code: string }[] };
      const told = stderr.split("\n").flatMap((line) => (line === "" ? [] : [JSON.parse(line) as object]));
      expect(
        warnings.map(({ code }) => code),
        mode,
      ).toContain("foreign_merged");
      expect(told, mode).toEqual(warnings.map((warning) => ({ warning })));
    }
  });

  it("plans no more than the run can do: a file that cannot be read fails both alike", async () => {
    const store = await makeStore();
    writeFileSync(legacyOf(store), "{ broken");
    const before = traces(dirname(store));
    const planned = await run(["mirror", "--store", store, "--dry-run", "--json"]);
    expect(traces(dirname(store))).toEqual(before);
    const done = await run(["mirror", "--store", store, "--once", "--json"]);
    const errorOf = (stderr: string): unknown =>
      (JSON.parse(stderr.trim().split("\n").at(-1)!) as { error: { code: string; exitCode: number } }).error;
    expect([planned.stdout, planned.code]).toEqual(["", 3]);
    expect([done.stdout, done.code]).toEqual(["", 3]);
    expect(errorOf(planned.stderr)).toMatchObject({ code: "legacy_invalid", exitCode: 3 });
    expect(errorOf(done.stderr)).toMatchObject({ code: "legacy_invalid", exitCode: 3 });
  });

  it("follows until Ctrl-C, and writes what is missing before it ends", async () => {
    const path = await makeStore();
    const mirroring = start(["mirror", "--store", path, "--debounce", "10"]);
    await mirroring.says(`up to revision ${await revisionOf(path)}`);
    const store = await openSessionStore<Record<string, unknown>>(path);
    const { revision } = await store.put("new", { a: 1 });
    await mirroring.says(`up to revision ${revision}`);
    expect(readJson(legacyOf(path))).toEqual({ ...SESSIONS, new: { a: 1 } });
    await store.put("last", { b: 2 });
    await store.close();
    mirroring.process.kill("SIGINT");
    await mirroring.says("writing what is missing");
    const stopped = performance.now();
    expect((await mirroring.ended).code).toBe(130);
    expect(performance.now() - stopped).toBeLessThan(FINISH_MS_MAX / 2); // done is done
    expect(readJson(legacyOf(path))).toEqual({ ...SESSIONS, new: { a: 1 }, last: { b: 2 } });
  });

  it("does not make a store", async () => {
    const store = await makeStore();
    const legacy = `${dirname(store)}/other.json`;
    writeFileSync(legacy, "{}");
    const { code, stderr } = await run(["mirror", "--store", legacy]);
    expect(code).toBe(3);
    expect(stderr).toContain(`sessiondir migrate --store ${legacy}`);
    expect(existsSync(`${dirname(store)}/other.d`)).toBe(false);
  });
});
