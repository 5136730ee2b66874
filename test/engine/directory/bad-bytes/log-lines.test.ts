/**
 * Goal: a line of the log that cannot be read puts the sessions behind it in doubt and takes nothing away; one that was
 * written wrong is malformed for every process alike, and the others stand (fault 21).
 * Method: one line of the segment of a small store is replaced by another; fresh stores, writers and readers, open it.
 */
import { readFileSync, writeFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { codeOf, failureOf, logLine, useSandbox } from "../sandbox.js";
import { damageLine, lines, logged, record, revisionAt } from "./logged.js";

const holder = useSandbox();

describe("a line in the middle that cannot be read", () => {
  const DAMAGES: Record<string, (line: string) => string> = {
    "a flipped digit of the checksum": (line) => (line.startsWith("0") ? "1" : "0") + line.slice(1),
    "a flipped letter": (line) => line.replace('"version":1', '"version":7'),
    "a cut": (line) => line.slice(0, 20),
    "one space": () => " ",
    garbage: () => "\u00ff\u0001garbage",
    "two glued lines": (line) => line + line,
    "another segment's record": () =>
      logLine(record(2, [{ k: "b", s: {} }]))
        .toString()
        .trimEnd(),
    "a second header": () =>
      logLine({ segment: 1, firstRevision: 900, after: 899, stage: "1-00", store: "x" }).toString().trimEnd(),
  };

  it.each(Object.keys(DAMAGES))(
    "%s: behind it nothing is decided, and nothing of it is written over",
    async (name) => {
      const box = await logged(holder.box);
      const path = box.segment();
      const bytes = damageLine(path, 2, DAMAGES[name]!);
      const glued = name === "two glued lines"; // the first of them is good, and the second one has been there already
      const store = await box.open();
      const reader = await box.open({ readOnly: true });
      for (const one of [store, reader]) {
        expect(await codeOf(() => one.get("a"))).toBe("session_damaged"); // it changed behind it
        expect(await one.get("b")).toEqual(glued ? { version: 1 } : undefined);
        const { sessions, damaged } = await one.list();
        expect(sessions.map(({ key }) => key)).toEqual(glued ? ["b"] : []);
        expect(damaged).toMatchObject([{ key: "a", path, missing: false }]);
        expect(await one.revision()).toBe(revisionAt(path, glued ? 2 : 1));
      }
      expect(await codeOf(() => store.put("b", {}, { ifRevision: glued ? revisionAt(path, 2) : 0 }))).toBe(
        "log_damaged",
      );
      for (const key of ["a", "b"]) await store.put(key, { healed: true });
      await store.update("b", (entry) => ({ ...entry, again: true }));
      expect(await reader.get("b")).toEqual({ healed: true, again: true });
      await store.checkpoint();
      expect(readFileSync(path).subarray(0, bytes.length).equals(bytes)).toBe(true);
      const again = await box.reopen();
      expect((await again.list()).sessions.map(({ entry }) => entry)).toEqual([
        { healed: true },
        { healed: true, again: true },
      ]);
      const mended = await box.reopen({ soleProcess: true });
      expect(box.warned("log_mended")).toHaveLength(1);
      expect(await mended.count()).toBe(2);
      expect(box.segments()).toHaveLength(1);
    },
  );

  it("is not meant by an empty one: a writer that ended its own record came late with the newline", async () => {
    const box = await logged(holder.box);
    const path = box.segment();
    const all = lines(path);
    writeFileSync(path, [all[0], all[1], "", all[2]].map((line) => `${line}\n`).join(""));
    const store = await box.open();
    expect(await store.read("b")).toMatchObject({ entry: { version: 1 }, revision: revisionAt(path, 3) });
    await store.update("b", () => ({ version: 2 }));
    expect(box.warnings).toEqual([]);
  });

  it("is told with its place, once", async () => {
    const box = await logged(holder.box);
    const path = box.segment();
    const all = lines(path);
    const offset = Buffer.byteLength(`${all[0]}\n${all[1]}\n`);
    damageLine(path, 2, (line) => line.replace('"version":1', '"version":7'));
    const store = await box.open();
    await store.count();
    expect(box.warned("log_gap")).toHaveLength(1);
    expect(box.warned("log_gap")[0]).toMatchObject({ data: { path, offset, segment: 1 } });
    expect(box.warned("log_gap")[0]?.message).toContain(`byte ${offset}`);
    const { data } = await failureOf(() => store.update("b", () => ({})));
    expect(data).toMatchObject({ key: "b", path, segment: 1, offset });
  });
});

describe("a line in the middle that was written wrong", () => {
  const WRONG: Record<string, () => string> = {
    "not JSON under a valid checksum": () => logLine("{").toString().trimEnd(),
    "an array under a valid checksum": () => logLine([]).toString().trimEnd(),
    "null under a valid checksum": () => logLine(null).toString().trimEnd(),
    "an unknown kind of line": () => logLine({ hint: 1 }).toString().trimEnd(),
    "an unknown op": () =>
      logLine(record(1, [{ k: "b", x: 1 }]))
        .toString()
        .trimEnd(),
    "an unknown member": () =>
      logLine(record(1, [{ k: "b", s: {}, x: 1 }]))
        .toString()
        .trimEnd(),
    "an unknown member of the record": () =>
      logLine({ ...(record(1, [{ k: "b", s: {} }]) as object), x: 1 })
        .toString()
        .trimEnd(),
    "no ops": () => logLine(record(1, [])).toString().trimEnd(),
    "an entry that is no object": () =>
      logLine(record(1, [{ k: "b", s: [] }]))
        .toString()
        .trimEnd(),
    "a key twice": () =>
      logLine(
        record(1, [
          { k: "b", s: {} },
          { k: "b", s: {} },
        ]),
      )
        .toString()
        .trimEnd(),
    "a key with half a character": () =>
      logLine('{"w":"f0","n":1,"g":1,"t":1,"ops":[{"k":"\\ud800","s":{}}]}').toString().trimEnd(),
    "a negative base": () =>
      logLine(record(1, [{ k: "b", b: -1, s: {} }]))
        .toString()
        .trimEnd(),
    "nesting of 100,000 levels": () =>
      logLine(
        `{"w":"f0","n":1,"g":1,"t":1,"ops":[{"k":"b","s":{"deep":${"[".repeat(1e5)}${"]".repeat(1e5)}}}]}`,
      )
        .toString()
        .trimEnd(),
  };

  it.each(Object.keys(WRONG))("%s: is malformed for every process, the others stand", async (name) => {
    const box = await logged(holder.box);
    const path = box.segment();
    damageLine(path, 2, WRONG[name]!);
    const last = revisionAt(path, 3);
    const store = await box.open();
    const reader = await box.open({ readOnly: true });
    for (const one of [store, reader]) {
      expect(await one.get("a")).toEqual({ version: 2 });
      expect(await one.get("b")).toBeUndefined();
      expect((await one.list()).sessions.map(({ key }) => key)).toEqual(["a"]);
      expect(await one.revision()).toBe(last);
    }
    expect(new Set(box.warnings.map(({ code }) => code))).toEqual(new Set(["log_line_malformed"]));
    const { revision } = await store.put("b", { healed: true }, { ifRevision: 0 });
    expect(revision).toBe(revisionAt(path, 4));
    expect(await reader.get("b")).toEqual({ healed: true });
    await store.checkpoint();
    const again = await box.reopen();
    expect((await again.list()).sessions).toHaveLength(2);
    expect(await again.revision()).toBe(revision);
  });

  it("is told with its place", async () => {
    const box = await logged(holder.box);
    const path = box.segment();
    damageLine(path, 2, WRONG["no ops"]!);
    await box.open();
    const offset = revisionAt(path, 2) - 1;
    expect(box.warned("log_line_malformed")).toHaveLength(1);
    expect(box.warned("log_line_malformed")[0]).toMatchObject({ data: { path, offset, segment: 1 } });
    expect(box.warned("log_line_malformed")[0]?.message).toContain(`byte ${offset}`);
  });

  it("survives a warning callback that throws", async () => {
    const box = await logged(holder.box);
    const path = box.segment();
    const all = lines(path);
    const odd = logLine({ hint: 1 }).toString().trimEnd();
    writeFileSync(path, [all[0], all[1], odd, all[2], all[3]].map((line) => `${line}\n`).join(""));
    const warnings: unknown[] = [];
    const listen = (warning: Error): void => void warnings.push(warning);
    process.on("warning", listen);
    const store = await box.open({
      onWarning: () => {
        throw new Error("the logger is broken");
      },
    });
    expect(await store.revision()).toBe(revisionAt(path, 4));
    expect(await store.get("a")).toEqual({ version: 2 });
    await new Promise((resolve) => setImmediate(resolve));
    process.off("warning", listen);
    expect(warnings).toHaveLength(1);
  });
});
