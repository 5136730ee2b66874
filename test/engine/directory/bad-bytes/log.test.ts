/**
 * Goal: whatever is in the log, every process reads the same from it: what cannot be read puts sessions in doubt and takes
 * nothing away, revisions never go back, what a session is told to be was once committed (fault 21).
 * Method: the segment files of a small store are damaged, removed and filled up; fresh stores open them.
 */
import {
  appendFileSync,
  copyFileSync,
  existsSync,
  ftruncateSync,
  openSync,
  closeSync,
  readdirSync,
  readFileSync,
  rmSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { describe, expect, it } from "vitest";
import { codeOf, failureOf, logLine, useSandbox, type Sandbox } from "../sandbox.js";

const holder = useSandbox();

interface Header {
  segment: number;
  firstRevision: number;
  after: number;
  stage: string;
  store: string;
}

/** Three commits in the live log, in no file: of `a`, of `b`, and of `a` again. */
async function logged(): Promise<Sandbox> {
  const { box } = holder;
  const store = await box.open();
  await store.put("a", { version: 1 });
  await store.put("b", { version: 1 });
  await store.put("a", { version: 2 });
  await store.close();
  // The closing store wrote the files; here only the log is to count.
  for (const key of ["a", "b"]) rmSync(box.folderOf(key), { recursive: true, force: true });
  rmSync(`${box.path}/.store/durable`); // and its tests cut it as they like
  return box;
}

function lines(path: string): string[] {
  return readFileSync(path, "utf8").split("\n").slice(0, -1);
}

/** Revision of the record in a line of the first segment: one more than its offset. */
function revisionAt(path: string, index: number): number {
  return 1 + Buffer.byteLength(lines(path).slice(0, index).join("\n")) + 1;
}

/** Puts something else in place of a line. Gives the segment's bytes then. */
function damageLine(path: string, index: number, change: (line: string) => string): Buffer {
  const all = lines(path);
  const bad = change(all[index]!);
  expect(bad).not.toBe(all[index]);
  writeFileSync(
    path,
    [...all.slice(0, index), bad, ...all.slice(index + 1)].map((line) => `${line}\n`).join(""),
  );
  return readFileSync(path);
}

/** As if the file had been written before the system started. */
function writtenBeforeBoot(path: string): void {
  utimesSync(path, 1, 1);
}

function headerOf(path: string): Header {
  return JSON.parse(lines(path)[0]!.slice(9)) as Header;
}

function record(segment: number, ops: unknown, n = 1): unknown {
  return { w: "f0f0f0f0f0f0", n, g: segment, t: 1, ops };
}

describe("the end of the log", () => {
  it("torn at each byte: earlier commits stand, the next one goes behind", async () => {
    const box = await logged();
    const path = box.segment();
    const whole = readFileSync(path);
    const lastLine = Buffer.byteLength(`${lines(path).at(-1)}\n`);
    const [inFront, last] = [revisionAt(path, 2), revisionAt(path, 3)];
    const step = 7; // every cut is a reopening; neighbours differ in nothing
    for (let cut = 1; cut <= lastLine; cut += cut < 12 ? 1 : step) {
      writeFileSync(path, whole.subarray(0, whole.length - cut));
      rmSync(`${box.path}/.store/durable`, { force: true });
      const store = await box.reopen();
      expect(await store.get("a"), `cut by ${cut}`).toEqual({ version: 1 });
      expect(await store.get("b")).toEqual({ version: 1 });
      expect(await store.revision()).toBe(inFront);
      const { revision } = await store.put("c", { cut });
      // Glued to what is there. A line that lacks its newline only counts as soon as another one is.
      expect(revision).toBe(last + lastLine - cut);
      expect(await store.get("a")).toEqual({ version: cut === 1 ? 2 : 1 });
      await box.close();
      for (const key of ["a", "b", "c"]) rmSync(box.folderOf(key), { recursive: true, force: true });
      const again = await box.reopen();
      expect(await again.get("c")).toEqual({ cut });
      expect(await again.revision()).toBe(revision);
      expect(box.warnings.filter(({ code }) => code.startsWith("log_"))).toEqual([]);
    }
  });

  it("garbage without an end does not hide what comes behind it", async () => {
    const box = await logged();
    appendFileSync(box.segment(), "\u0001garbage");
    const last = revisionAt(box.segment(), 3);
    const store = await box.open();
    const { revision } = await store.put("c", { version: 1 });
    expect(revision).toBeGreaterThan(last);
    expect(box.segments()).toHaveLength(2); // nothing but a seal is written behind it
    expect(box.warned("log_gap")).toHaveLength(1);
    const again = await box.reopen();
    expect(await again.get("c")).toEqual({ version: 1 });
    expect((await again.list()).sessions).toHaveLength(3);
    expect(await codeOf(() => again.update("a", () => ({})))).toBe("log_damaged");
  });

  it("zeros that nobody can tell from damage put in doubt what is in front of them", async () => {
    const box = await logged();
    appendFileSync(box.segment(), Buffer.alloc(4096));
    const store = await box.open();
    expect((await store.list()).sessions.map(({ key }) => key)).toEqual(["a", "b"]);
    await store.put("c", { version: 1 });
    expect(await store.get("a")).toEqual({ version: 2 });
    expect(await codeOf(() => store.update("a", () => ({})))).toBe("log_damaged");
    expect(box.warned("log_gap")).toHaveLength(1);
    expect(await (await box.reopen({ soleProcess: true })).update("a", () => ({ version: 3 }))).toBeDefined();
  });

  it("zeros, as a power cut leaves them, end the segment and nothing else", async () => {
    const box = await logged();
    const last = revisionAt(box.segment(), 3);
    appendFileSync(box.segment(), Buffer.alloc(4096));
    writtenBeforeBoot(box.segment());
    const store = await box.open();
    expect(await store.revision()).toBe(last);
    expect(await store.update("a", (entry) => ({ ...entry, more: 1 }))).toMatchObject({
      entry: { version: 2, more: 1 },
    });
    expect((await store.put("c", { version: 1 })).revision).toBeGreaterThan(last);
    expect(box.segments()).toHaveLength(2);
    const again = await box.reopen();
    expect((await again.list()).sessions.map(({ key }) => key)).toEqual(["a", "b", "c"]);
    await again.checkpoint();
    expect(box.segments()).toHaveLength(1);
  });
});

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
      const box = await logged();
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
    const box = await logged();
    const path = box.segment();
    const all = lines(path);
    writeFileSync(path, [all[0], all[1], "", all[2]].map((line) => `${line}\n`).join(""));
    const store = await box.open();
    expect(await store.read("b")).toMatchObject({ entry: { version: 1 }, revision: revisionAt(path, 3) });
    await store.update("b", () => ({ version: 2 }));
    expect(box.warnings).toEqual([]);
  });

  it("is told with its place, once", async () => {
    const box = await logged();
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
    const box = await logged();
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
    const box = await logged();
    const path = box.segment();
    damageLine(path, 2, WRONG["no ops"]!);
    await box.open();
    const offset = revisionAt(path, 2) - 1;
    expect(box.warned("log_line_malformed")).toHaveLength(1);
    expect(box.warned("log_line_malformed")[0]).toMatchObject({ data: { path, offset, segment: 1 } });
    expect(box.warned("log_line_malformed")[0]?.message).toContain(`byte ${offset}`);
  });

  it("survives a warning callback that throws", async () => {
    const box = await logged();
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

describe("a line without end", () => {
  it("of more than 16 MiB cannot be read, and what comes behind it goes into the next segment", async () => {
    const box = await logged();
    const path = box.segment();
    const last = revisionAt(path, 3);
    const huge = logLine(record(1, [{ k: "b", s: { text: "x".repeat(17 * 1024 * 1024) } }]));
    appendFileSync(path, huge);
    const store = await box.open();
    expect(await store.get("b")).toEqual({ version: 1 });
    expect(await store.revision()).toBe(last);
    const { revision } = await store.put("c", {});
    expect(revision).toBeGreaterThan(last + huge.length);
    expect(box.warned("log_gap")).toHaveLength(1);
    expect(await (await box.reopen()).revision()).toBe(revision);
  });

  it("is refused before it is written", async () => {
    const { box } = holder;
    const store = await box.open();
    const error = await failureOf(() =>
      store.transact(async (tx) => {
        for (let key = 0; key < 40; key++) {
          const fields = Array.from({ length: 150 }, (_, index) => [`f${index}`, "x".repeat(4000)] as const);
          await tx.put(`k${key}`, Object.fromEntries(fields));
        }
      }),
    );
    expect(error.code).toBe("record_too_large");
    expect(await store.revision()).toBe(0);
  });

  it("of 512 MiB of zeros costs neither memory nor the sessions", async () => {
    const box = await logged();
    const fd = openSync(box.segment(), "r+");
    ftruncateSync(fd, 512 * 1024 ** 2);
    closeSync(fd);
    writtenBeforeBoot(box.segment());
    const before = process.resourceUsage().maxRSS;
    const store = await box.open();
    expect(await store.get("a")).toEqual({ version: 2 });
    const { revision } = await store.put("c", { version: 1 });
    expect(revision).toBeGreaterThan((await store.read("a"))!.revision);
    expect((process.resourceUsage().maxRSS - before) * 1024).toBeLessThan(200 * 1024 ** 2);
    expect((await (await box.reopen()).list()).sessions).toHaveLength(3);
    const again = await box.reopen();
    await again.checkpoint();
    expect(box.segments()).toHaveLength(1);
    expect((await again.list()).sessions).toHaveLength(3);
  });
});

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
    const box = await logged();
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
    const box = await logged();
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
    const box = await logged();
    const header = headerOf(box.segment());
    appendFileSync(box.segment(), logLine({ seal: 2 }));
    const next = box.segment().replace("00000001", "00000002");
    writeFileSync(next, logLine({ ...header, segment: 2, firstRevision: 2, stage: "2-00" }), { mode: 0o600 });
    expect(await codeOf(() => box.open())).toBe("log_damaged");
  });

  it("that appears damaged under a store in use is known from its predecessor", async () => {
    const box = await logged();
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

describe("segments that are missing", () => {
  /** Segments 1, 2 and 3, each with one session of its own; nothing was checkpointed. */
  async function threeSegments(): Promise<Sandbox> {
    const { box } = holder;
    const store = await box.open();
    for (let number = 1; number <= 3; number++) {
      await store.put(`s${number}`, { number });
      if (number < 3) appendFileSync(box.segment(), logLine({ seal: number + 1 }));
    }
    expect(box.segments()).toHaveLength(3);
    await store.close();
    for (let number = 1; number <= 3; number++) {
      rmSync(box.folderOf(`s${number}`), { recursive: true, force: true });
    }
    return box;
  }

  it("none is: everything is there", async () => {
    const box = await threeSegments();
    const store = await box.open();
    expect((await store.list()).sessions.map(({ key }) => key)).toEqual(["s1", "s2", "s3"]);
    await store.checkpoint();
    expect(box.segments()).toHaveLength(1);
    expect((await (await box.reopen()).list()).sessions).toHaveLength(3);
  });

  it("in the middle: what lies below the gap counts for nothing, but is kept aside", async () => {
    const box = await threeSegments();
    const [first, second] = [box.segment(0), box.segment(1)];
    const content = readFileSync(first);
    rmSync(second);
    const store = await box.open();
    expect((await store.list()).sessions.map(({ key }) => key)).toEqual(["s3"]);
    const { revision } = (await store.read("s3"))!;
    expect(await store.revision()).toBe(revision);
    expect((await store.put("s4", {})).revision).toBeGreaterThan(revision);
    expect(box.warned("catalog_rebuilt")).toHaveLength(1);
    await store.checkpoint();
    expect(existsSync(first)).toBe(false);
    expect(box.warned("segment_garbage")).toHaveLength(1);
    const [kept] = readdirSync(box.at(".store", "quarantine"));
    expect(readFileSync(box.at(".store", "quarantine", kept!)).equals(content)).toBe(true);
    expect((await (await box.reopen()).list()).sessions.map(({ key }) => key)).toEqual(["s3", "s4"]);
  });

  it("below: an old segment that a power cut brought back is removed, and changes nothing", async () => {
    const box = await threeSegments();
    const old = readFileSync(box.segment(0));
    const store = await box.open();
    await store.checkpoint();
    await store.put("s1", { number: "newer" });
    await store.checkpoint();
    await box.close();
    writeFileSync(box.at(".store", "log", "00000001.jsonl"), old, { mode: 0o600 });
    const again = await box.reopen();
    expect(await again.get("s1")).toEqual({ number: "newer" });
    expect(await again.count()).toBe(3);
    await again.put("s5", {});
    await again.checkpoint();
    expect(box.warned("segment_garbage")).toHaveLength(1);
    expect(box.segments()).toHaveLength(1);
    expect(readdirSync(box.at(".store", "quarantine"))).toEqual([]);
    expect(await (await box.reopen()).get("s1")).toEqual({ number: "newer" });
  });

  it("all of them, beside sessions: a new log begins above everything that is known", async () => {
    const { box } = holder;
    const store = await box.open();
    for (let version = 1; version <= 5; version++) await store.put("a", { version });
    await store.put("b", { version: 1 });
    await store.delete("b");
    await store.checkpoint();
    const last = await store.revision();
    await box.close();
    for (const name of box.segments()) rmSync(box.at(".store", "log", name));

    expect(await codeOf(() => box.open({ readOnly: true }))).toBe("log_damaged");
    const again = await box.open();
    expect(box.warned("log_replaced")).toHaveLength(1);
    expect(box.warned("log_replaced")[0]?.message).toContain(String(last + 1));
    expect(await again.revision()).toBe(last);
    expect(await again.get("a")).toEqual({ version: 5 });
    expect(await again.get("b")).toBeUndefined();
    expect((await again.put("a", { version: 6 })).revision).toBeGreaterThan(last);
    expect((await again.list()).sessions).toHaveLength(1);
    await again.checkpoint();
    expect(await (await box.reopen()).get("a")).toEqual({ version: 6 });
  });

  it("all of them, and damaged files as well: the damaged ones do not count, the others are kept", async () => {
    const { box } = holder;
    await box.filled({ a: { version: 1 }, b: { version: 1 } });
    const last = box.revisionOf("b");
    writeFileSync(box.entryFile("b"), "damage");
    rmSync(box.at(".store", "log"), { recursive: true });
    const store = await box.open();
    expect(await store.get("a")).toEqual({ version: 1 });
    expect(await codeOf(() => store.get("b"))).toBe("entry_corrupt");
    expect((await store.put("b", { version: 2 })).revision).toBeGreaterThan(last);
  });

  it("while a store is in use: it notices, and starts no second history", async () => {
    const { box } = holder;
    const store = await box.open();
    await store.put("a", { version: 1 });
    rmSync(box.segment());
    // Its descriptor still has the log; the name is missed as soon as the segment is to be followed by another.
    expect(await store.get("a")).toEqual({ version: 1 });
    expect(await codeOf(() => store.checkpoint())).toBe("log_damaged");
    expect(box.segments()).toEqual([]);
  });
});

it("a copy of a segment under the next number is damage, and nothing is lost", async () => {
  const box = await logged();
  copyFileSync(box.segment(), box.segment().replace("00000001", "00000002"));
  const before = readFileSync(box.segment(0));
  for (const readOnly of [true, false]) {
    const store = await box.open({ readOnly });
    expect(await store.get("a")).toEqual({ version: 2 });
    const code = await codeOf(() => store.update("a", () => ({})));
    expect(code).toBe(readOnly ? "read_only" : "log_damaged");
    await store.close();
  }
  expect(readFileSync(box.segment(0)).equals(before)).toBe(true);
  const store = await box.open({ soleProcess: true });
  expect((await store.list()).sessions.map(({ key, entry }) => [key, entry])).toEqual([
    ["a", { version: 2 }],
    ["b", { version: 1 }],
  ]);
  await store.update("a", () => ({ version: 3 }));
});
