/** Goal: `mirror` keeps the file in step and merges what others wrote to it. Method: the built program beside a writer. */
import { existsSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import { describe, expect, it } from "vitest";
import { openSessionStore } from "../../../src/index.js";
import { deviations, documentedExamples } from "../support/documented-shape.js";
import { readJson } from "../support/legacy.js";
import { run, start } from "../support/program.js";
import { MAIN_KEY, makeStore, NOW, read, SESSIONS, traces } from "../support/stores.js";

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

  it("follows until Ctrl-C, and writes what is missing before it ends", async () => {
    const path = await makeStore();
    const mirroring = start(["mirror", "--store", path, "--debounce", "10"]);
    await mirroring.says("up to revision 3");
    const store = await openSessionStore<Record<string, unknown>>(path);
    await store.put("new", { a: 1 });
    await mirroring.says("up to revision 4");
    expect(readJson(legacyOf(path))).toEqual({ ...SESSIONS, new: { a: 1 } });
    await store.put("last", { b: 2 });
    await store.close();
    mirroring.process.kill("SIGINT");
    expect((await mirroring.ended).code).toBe(130);
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
