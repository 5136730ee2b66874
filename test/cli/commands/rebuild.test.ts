/** Goal: a store without `.store` is refused with its next step, and that step works. Method: copies without dot files. */
import { chmodSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { describe, expect, it } from "vitest";
import { folderNameForKey } from "../../../src/format/session-key.js";
import { deviations, documentedExamples } from "../support/documented-shape.js";
import { errorOf, run } from "../support/program.js";
import { CRON_KEY, MAIN_KEY, makeStore, read, SESSIONS, traces } from "../support/stores.js";

async function withoutDotFiles(): Promise<string> {
  const path = await makeStore();
  expect((await run(["flush", "--store", path])).code).toBe(0);
  rmSync(join(path, ".store"), { recursive: true });
  return path;
}

describe("rebuild", () => {
  it("is what every other command says when .store is gone", async () => {
    const path = await withoutDotFiles();
    const before = traces(path);
    for (const command of [["ls"], ["get", MAIN_KEY], ["rm", MAIN_KEY], ["stats"]]) {
      const { code, stderr } = await run([...command, "--store", path]);
      expect(code, command.join(" ")).toBe(3);
      expect(stderr, command.join(" ")).toContain("sessiondir rebuild --store");
    }
    expect(traces(path)).toEqual(before);
  });

  it("makes a store of the sessions' files; a dry run changes nothing", async () => {
    const path = await withoutDotFiles();
    const before = traces(path);
    const planned = await run(["rebuild", "--dry-run", "--store", path]);
    expect(planned).toMatchObject({ code: 3, stderr: "" }); // shared values were in .store
    expect(planned.stdout).toMatch(/^would rebuild a store of 3 sessions, up to revision \d+\nincomplete /);
    expect(traces(path)).toEqual(before);
    const done = await run(["rebuild", "--store", path]);
    expect(done).toMatchObject({ code: 3, stderr: "" });
    expect(done.stdout).toBe(planned.stdout.replace("would rebuild", "rebuilt"));
    expect(await read(path, CRON_KEY)).toEqual(SESSIONS[CRON_KEY]);
    for (const options of [[], ["--dry-run"]]) {
      const again = await run(["rebuild", "--store", path, ...options]);
      expect(again).toMatchObject({ code: 0, stdout: expect.stringMatching(/^left alone/) as string });
    }
  });

  it("names what is lost, ends with 3, and has the documented JSON", async () => {
    const path = await withoutDotFiles();
    const file = join(path, folderNameForKey(MAIN_KEY), "meta.json");
    writeFileSync(file, readFileSync(file).subarray(0, 40));
    const { code, stdout } = await run(["rebuild", "--dry-run", "--store", path]);
    expect(code).toBe(3);
    expect(stdout).toContain(`damaged    ${file}`);
    const { stdout: json } = await run(["rebuild", "--store", path, "--json"]);
    const [example] = documentedExamples("`sessiondir rebuild`");
    expect(deviations(JSON.parse(json), example)).toEqual([]);
  });

  it("takes --trust group, where the groups of the folders may change the store", async () => {
    const path = await withoutDotFiles();
    chmodSync(dirname(path), 0o770);
    expect((await run(["rebuild", "--dry-run", "--store", path])).stderr).toContain("--trust group");
    const trusting = await run(["rebuild", "--dry-run", "--store", path, "--trust", "group"]);
    expect(trusting.stdout).toContain("would rebuild a store of 3 sessions");
  });

  it("of a folder that is not there fails", async () => {
    const path = join(await makeStore(), "nowhere");
    const result = await run(["rebuild", "--store", path, "--json"]);
    expect(result.code).toBe(1);
    expect(errorOf(result)).toMatchObject({ code: "store_not_found" });
  });
});
