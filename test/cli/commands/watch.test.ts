/**
 * Goal: `watch` prints every change of other processes in order, begins and ends where it was told, and leaves quietly.
 * Method: the built program beside a writer in this process.
 */
import { describe, expect, it } from "vitest";
import { openDirectoryStore, openSessionStore } from "../../../src/index.js";
import { deviations, documentedExamples } from "../support/documented-shape.js";
import { errorOf, run, start } from "../support/program.js";
import { CRON_KEY, JAMES_KEY, MAIN_KEY, makeStore, revisionOf } from "../support/stores.js";

describe("watch", () => {
  it("follows another process until Ctrl-C, and says where to go on", async () => {
    const path = await makeStore();
    const watching = start(["watch", "--store", path]);
    await watching.says("watching");
    const store = await openSessionStore<Record<string, unknown>>(path);
    const { revision: put } = await store.put("new", { a: 1 });
    await store.delete(MAIN_KEY);
    const deleted = await store.revision();
    await store.close();
    await watching.says(MAIN_KEY);
    watching.process.kill("SIGINT");
    const { code, stdout, stderr } = await watching.ended;
    expect(code).toBe(130);
    const lines = stdout
      .trimEnd()
      .split("\n")
      .map((line) => line.trim().split(/ +/));
    expect(lines).toEqual([
      [String(put), expect.stringMatching(/^\d{4}-.*Z$/), "put", "new"],
      [String(deleted), expect.stringMatching(/^\d{4}-.*Z$/), "delete", MAIN_KEY],
    ]);
    expect(stderr).toContain(`stopped after revision ${deleted}; go on with --since ${deleted}`);
  });

  it("has the documented JSON, one object a line, and ends at --limit", async () => {
    const path = await makeStore();
    const examples = documentedExamples("`sessiondir watch`");
    const args = ["watch", "--store", path, "--since", "0", "--json"];
    const { code, stdout, stderr } = await run([...args, "--limit", "2", "--entries"]);
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    const changes = stdout
      .trimEnd()
      .split("\n")
      .map((line) => JSON.parse(line) as Record<string, unknown>);
    expect(changes.map(({ revision, kind }) => [revision, kind])).toEqual([
      [await revisionOf(path, MAIN_KEY), "put"],
      [await revisionOf(path, JAMES_KEY), "put"],
    ]);
    expect(changes[0]).toMatchObject({ key: MAIN_KEY, entry: { model: "large" } });
    const { entry: _, ...bare } = changes[0] ?? {};
    expect(deviations(bare, examples[0])).toEqual([]);
    const ops = await run([...args, "--prefix", "agent:ops:", "--limit", "1"]);
    expect(JSON.parse(ops.stdout)).toMatchObject({ revision: await revisionOf(path, CRON_KEY) });
  });

  it("says where to begin when the log no longer has that", async () => {
    const path = await makeStore();
    const store = await openDirectoryStore(path);
    await store.checkpoint();
    const last = await store.revision();
    await store.close();
    const { code, stderr } = await run(["watch", "--store", path, "--since", "0", "--limit", "1"]);
    expect(code).toBe(1);
    expect(stderr).toContain(`then watch --since ${last}`);
    const json = await run(["watch", "--store", path, "--since", "0", "--limit", "1", "--json"]);
    expect(errorOf(json)).toMatchObject({ code: "revision_too_old", data: { revision: last } });
  });
});
