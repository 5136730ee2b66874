/**
 * Goal: no command says of a damaged log's sessions what it cannot know: listings name what they leave out, writes do what needs
 * no base and refuse the rest, a flush does not claim to be complete, and a watch says why it ends.
 * Method: the built program on stores that a killed process left, of whose log one bit was flipped.
 */
import { mkdirSync, cpSync } from "node:fs";
import { dirname, join } from "node:path";
import { describe, expect, it } from "vitest";
import { damagedStore, damageRecord, killedAfter } from "./support/damaged-log.js";
import { errorOf, run } from "./support/program.js";
import { emptyFolder, read, revisionOf, traces } from "./support/stores.js";

/** The log in front of the damage has `a`, only the damaged record has `hidden`. */
async function hidingStore(): Promise<{ path: string; revision: number }> {
  let revision = 0;
  const path = await killedAfter(async (store) => {
    await store.put("a", { n: 1 });
    ({ revision } = await store.put("hidden", { n: 1 }));
  });
  damageRecord(path, "hidden");
  return { path, revision };
}

const LEFT_OUT = { key: "b", reason: expect.stringMatching(/^its latest state is behind damage/) as string };

describe("a listing of a store with a damaged log", () => {
  it("names in ls what is left out, in text and in JSON, and ends with 3", async () => {
    const path = await damagedStore();
    const text = await run(["ls", "--store", path]);
    expect(text.code).toBe(3);
    expect(text.stderr).toContain('warning: session "b" cannot be read and is left out: its latest state');
    expect(text.stderr).toContain(`sessiondir mend --dry-run --store ${path}`);
    const json = await run(["ls", "--store", path, "--json"]);
    expect(json.code).toBe(3);
    expect(JSON.parse(json.stdout)).toMatchObject({ sessions: [{ key: "a" }], damaged: [LEFT_OUT] });
  });

  it("does not say that none match where some may be hidden", async () => {
    const path = await damagedStore();
    const named = await run(["ls", "--store", path, "--prefix", "b"]);
    expect(named.stderr).toContain("no sessions that can be read in");
    const { path: hiding } = await hidingStore();
    const unnamed = await run(["ls", "--store", hiding, "--prefix", "h"]);
    expect(unnamed).toMatchObject({ code: 3, stdout: "" });
    expect(unnamed.stderr).toContain("no sessions that can be read in");
  });

  it("names in ls --all-agents what is left out", async () => {
    const stateDirectory = emptyFolder();
    const path = join(stateDirectory, "agents/main/sessions/sessions.d");
    mkdirSync(dirname(path), { recursive: true });
    cpSync(await damagedStore(), path, { recursive: true });
    const json = await run(["ls", "--state-dir", stateDirectory, "--all-agents", "--json"]);
    expect(json.code).toBe(3);
    expect(JSON.parse(json.stdout)).toMatchObject({ stores: [{ agent: "main", damaged: [LEFT_OUT] }] });
    const none = await run(["ls", "--state-dir", stateDirectory, "--all-agents", "--prefix", "x"]);
    expect(none.stderr).toContain("no sessions that can be read in");
  });

  it("names in stats what does not count", async () => {
    const path = await damagedStore();
    const text = await run(["stats", "--store", path]);
    expect(text.code).toBe(3);
    expect(text.stderr).toContain('warning: session "b" cannot be read and is left out');
    const json = await run(["stats", "--store", path, "--json"]);
    expect(JSON.parse(json.stdout)).toMatchObject({ sessions: 1, damaged: [LEFT_OUT] });
  });
});

describe("a session that is hidden in a damaged log", () => {
  it("is deleted by rm, and planned to be", async () => {
    const { path } = await hidingStore();
    const before = traces(path);
    const planned = await run(["rm", "hidden", "--store", path, "--dry-run"]);
    expect(planned.stdout).toBe("would delete hidden, which was damaged\n");
    expect(traces(path)).toEqual(before);
    const { stdout } = await run(["rm", "hidden", "--store", path]);
    expect(stdout).toBe("deleted hidden, which was damaged\n");
    const again = await run(["rm", "hidden", "--store", path, "--json"]); // now it is known not to be there
    expect(errorOf(again)).toMatchObject({ code: "not_found" });
  });

  it("is replaced by a put without a condition", async () => {
    const { path } = await hidingStore();
    expect((await run(["put", "hidden", "--store", path, "--data", '{"n":2}'])).stdout).toContain(
      "created hidden",
    );
    expect(await read(path, "hidden")).toEqual({ n: 2 });
  });

  it.each([
    ["put", "--data", "{}", "--if-revision"],
    ["put", "--data", "{}", "--if-revision", "0"],
    ["rm", "--if-revision"],
    ["patch", "n=2"],
    ["patch", "n=2", "--if-revision"],
  ])("is refused %s %s %s %s", async (command, ...options) => {
    const { path, revision } = await hidingStore();
    const given = options.at(-1) === "--if-revision" ? [...options, String(revision)] : options;
    const refused = await run([command, "hidden", "--store", path, "--json", ...given]);
    expect(errorOf(refused)).toMatchObject({ code: "log_damaged", data: { key: "hidden" }, exitCode: 3 });
    if (given.at(-1) === "0") return; // a dry run cannot know: nothing is there as far as it can see
    const planned = await run([command, "hidden", "--store", path, "--json", "--dry-run", ...given]);
    expect(errorOf(planned)).toMatchObject({ code: "log_damaged", data: { key: "hidden" }, exitCode: 3 });
  });

  it("does not keep a key that was never there from being missed", async () => {
    const path = await damagedStore();
    await run(["rm", "x", "--store", path]); // from here on it is known
    for (const args of [
      ["patch", "x", "n=1"],
      ["rm", "x", "--if-revision", "7"],
    ]) {
      const missed = await run([...args, "--store", path, "--json"]);
      expect(errorOf(missed)).toMatchObject({ code: "not_found" });
    }
    const revision = await revisionOf(path, "a");
    const wrong = await run([
      "put",
      "x",
      "--data",
      "{}",
      "--if-revision",
      String(revision),
      "--store",
      path,
      "--json",
    ]);
    expect(errorOf(wrong)).toMatchObject({ code: "conflict" });
  });
});

describe("files and watches of a store with a damaged log", () => {
  it.each([[], ["--checkpoint"]])(
    "flush %s says what it could not write, and ends with 3",
    async (...options) => {
      const path = await damagedStore();
      const refused = await run(["flush", "--store", path, "--json", ...options]);
      expect(errorOf(refused)).toMatchObject({ code: "log_damaged", data: { key: "b" }, exitCode: 3 });
      expect(errorOf(refused).message).toContain(`sessiondir mend --store ${path}`);
    },
  );

  it("watch from in front of the damage says that it is damage", async () => {
    const path = await damagedStore();
    await run(["put", "other", "--store", path, "--data", "{}"]); // the log goes on behind it
    const ended = await run(["watch", "--store", path, "--since", "1", "--limit", "100", "--json"]);
    expect(errorOf(ended)).toMatchObject({ code: "revision_too_old", data: { damaged: true }, exitCode: 3 });
    expect(errorOf(ended).message).toMatch(/cannot be read.*damaged/);
    expect(errorOf(ended).message).not.toContain("in their files only");
  });
});
