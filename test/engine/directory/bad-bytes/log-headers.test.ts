/**
 * Goal: a segment whose header is damaged is a gap like others, and its bytes are kept; one that contradicts the store or the
 * segment in front of it is an error that names it (fault 21).
 * Method: the headers of a small store's segments are damaged and replaced, also under a store in use.
 */
import { appendFileSync, readFileSync, truncateSync, writeFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { codeOf, failureOf, logLine, useSandbox } from "../sandbox.js";
import { headerOf, lines, logged } from "./logged.js";

const holder = useSandbox();

describe("the header", () => {
  const DAMAGES: Record<string, (path: string) => void> = {
    "a flipped letter": (path) => {
      const bytes = readFileSync(path);
      bytes[12] = bytes[12]! ^ 1;
      writeFileSync(path, bytes);
    },
    "an empty file": (path) => truncateSync(path, 0),
    "a cut header": (path) => truncateSync(path, 20),
    "a header without newline": (path) => truncateSync(path, Buffer.byteLength(lines(path)[0]!)),
    "zeros in front of the newline": (path) => {
      const bytes = readFileSync(path);
      writeFileSync(path, bytes.fill(0, 0, bytes.indexOf(10)));
    },
    "zeros all over": (path) => writeFileSync(path, Buffer.alloc(readFileSync(path).length)),
    "40 MiB of zeros": (path) => {
      writeFileSync(path, "");
      truncateSync(path, 40 * 1024 * 1024);
    },
    "another segment's number": (path) => {
      const rest = lines(path).slice(1);
      const header = logLine({ ...headerOf(path), segment: 9 }).toString();
      writeFileSync(path, header + rest.map((line) => `${line}\n`).join(""));
    },
  };

  it.each(Object.keys(DAMAGES))("%s: is a gap like others, and the bytes are kept", async (name) => {
    const box = await logged(holder.box);
    const path = box.segment();
    DAMAGES[name]!(path);
    const before = readFileSync(path);
    const reader = await box.open({ readOnly: true });
    expect((await reader.list()).sessions).toEqual([]);
    const store = await box.open();
    expect(box.warned("log_gap").map(({ data }) => data["segment"])).toEqual([1, 1]);
    // The former if a change of it can be read behind the header.
    expect(["session_damaged", "log_damaged"]).toContain(await codeOf(() => store.update("a", () => ({}))));
    const { revision } = await store.put("a", { version: 3 });
    expect(revision).toBeGreaterThan(before.length);
    expect(await reader.get("a")).toEqual({ version: 3 });
    expect(readFileSync(path).subarray(0, before.length).equals(before)).toBe(true);
    expect(box.segments()).toHaveLength(2);
    const mended = await box.reopen({ soleProcess: true });
    expect(await mended.update("a", ({ version } = {}) => ({ version: Number(version) + 1 }))).toMatchObject({
      entry: { version: 4 },
    });
  });

  it("of another store: log_foreign", async () => {
    const box = await logged(holder.box);
    const path = box.segment();
    const header = logLine({ ...headerOf(path), store: "c0ffee" });
    writeFileSync(
      path,
      Buffer.concat([header, readFileSync(path).subarray(Buffer.byteLength(`${lines(path)[0]}\n`))]),
    );
    const error = await failureOf(() => box.open());
    expect(error.code).toBe("log_foreign");
    expect(error.data).toMatchObject({ path, found: "c0ffee" });
  });

  it("that goes back behind its predecessor: log_damaged", async () => {
    const box = await logged(holder.box);
    const header = headerOf(box.segment());
    appendFileSync(box.segment(), logLine({ seal: 2 }));
    const next = box.segment().replace("00000001", "00000002");
    writeFileSync(next, logLine({ ...header, segment: 2, firstRevision: 2, stage: "2-00" }), { mode: 0o600 });
    expect(await codeOf(() => box.open())).toBe("log_damaged");
  });

  it("that appears damaged under a store in use is known from its predecessor", async () => {
    const box = await logged(holder.box);
    const store = await box.open();
    appendFileSync(box.segment(), logLine({ seal: 2 }));
    const next = box.segment().replace("00000001", "00000002");
    writeFileSync(next, "damage\n", { mode: 0o600 });
    expect(await store.get("a")).toEqual({ version: 2 });
    expect(await codeOf(() => store.update("a", () => ({})))).toBe("log_damaged");
    expect(box.warned("log_gap")[0]).toMatchObject({ data: { path: next, segment: 2, offset: 0 } });
    await store.put("a", { version: 3 });
    expect(box.segments()).toHaveLength(3);
    const again = await box.reopen();
    expect(await again.get("a")).toEqual({ version: 3 });
  });
});
