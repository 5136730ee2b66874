/** Goal: `rm` deletes the session that was named and nothing else. Method: the built program, then a reader. */
import { describe, expect, it } from "vitest";
import { openSessionStore } from "../../../src/index.js";
import { deviations, documentedExamples } from "../support/documented-shape.js";
import { errorOf, run } from "../support/program.js";
import {
  CRON_KEY,
  JAMES_KEY,
  MAIN_KEY,
  makeStore,
  read,
  revisionOf,
  SESSIONS,
  traces,
} from "../support/stores.js";

describe("rm", () => {
  it("deletes one session", async () => {
    const store = await makeStore();
    const revision = await revisionOf(store, MAIN_KEY);
    expect(await run(["rm", MAIN_KEY, "--store", store])).toEqual({
      code: 0,
      stdout: `deleted ${MAIN_KEY}, was at revision ${revision}\n`,
      stderr: "",
    });
    expect(await read(store, MAIN_KEY)).toBeUndefined();
    expect(await read(store, JAMES_KEY)).toEqual(SESSIONS[JAMES_KEY]);
  });

  it("has the documented JSON; a dry run says the same and changes nothing", async () => {
    const store = await makeStore();
    const before = traces(store);
    const args = ["rm", MAIN_KEY, "--store", store, "--json"];
    const planned = JSON.parse((await run([...args, "--dry-run"])).stdout) as Record<string, unknown>;
    expect(traces(store)).toEqual(before);
    const done = JSON.parse((await run(args)).stdout) as Record<string, unknown>;
    expect(done).toEqual({ ...planned, dryRun: false });
    expect(deviations(done, documentedExamples("`sessiondir rm`")[0])).toEqual([]);
  });

  it("fails for a session that is not there, and for another revision", async () => {
    const store = await makeStore();
    const missing = await run(["rm", "agent:main:mains", "--store", store]);
    expect(missing.code).toBe(1);
    expect(missing.stderr).toContain(`Did you mean "${MAIN_KEY}"?`);
    const conflict = await run(["rm", MAIN_KEY, "--if-revision", "2", "--store", store, "--json"]);
    expect(errorOf(conflict).code).toBe("conflict");
    expect(await read(store, MAIN_KEY)).toEqual(SESSIONS[MAIN_KEY]);
  });

  it("deletes several, and one that is not there stops none of the others", async () => {
    const store = await makeStore();
    const args = ["rm", "-", "nobody", "--store", store];
    const planned = await run([...args, "--dry-run"], { input: `${MAIN_KEY}\n${CRON_KEY}\n` });
    expect(planned.stdout.split("\n").filter((line) => line.startsWith("would delete"))).toHaveLength(2);
    expect(await read(store, MAIN_KEY)).toBeDefined();
    const done = await run([...args, "--json"], { input: `${MAIN_KEY}\n${CRON_KEY}\n` });
    expect(done.code).toBe(1);
    expect(errorOf(done)).toMatchObject({ code: "not_found", data: { key: "nobody" } });
    const deleted = done.stdout.trimEnd().split("\n");
    expect(deleted.map((line) => (JSON.parse(line) as { key: string }).key)).toEqual([MAIN_KEY, CRON_KEY]);
    expect(await read(store, MAIN_KEY)).toBeUndefined();
    expect(await read(store, JAMES_KEY)).toEqual(SESSIONS[JAMES_KEY]);
    const one = await run(["rm", MAIN_KEY, JAMES_KEY, "--if-revision", "2", "--store", store]);
    expect(one.code).toBe(2);
  });

  it("--unchanged-since leaves alone what was used since a listing, in its record or a transcript", async () => {
    const path = await makeStore();
    const listed = JSON.parse((await run(["ls", "--store", path, "--json"])).stdout) as { revision: number };
    const store = await openSessionStore<Record<string, unknown>>(path);
    await store.patch(MAIN_KEY, { model: "new" });
    await store.append(JAMES_KEY, ["hello"]);
    await store.close();
    const args = ["rm", MAIN_KEY, JAMES_KEY, CRON_KEY, "--unchanged-since", String(listed.revision)];
    const planned = await run([...args, "--store", path, "--dry-run"]);
    expect(planned.stdout).toMatch(new RegExp(`^would delete ${CRON_KEY},[^\n]*\n$`));
    const done = await run([...args, "--store", path]);
    expect(done.code).toBe(1);
    expect(done.stdout).toMatch(new RegExp(`^deleted ${CRON_KEY},[^\n]*\n$`));
    for (const key of [MAIN_KEY, JAMES_KEY]) {
      expect(done.stderr).toContain(`session "${key}" was changed at revision`);
      expect(await read(path, key)).toBeDefined();
    }
  });
});
