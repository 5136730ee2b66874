/**
 * Goal: whatever is in the log, every process reads the same from it: damage makes a line malformed or is refused with
 * a code, revisions never go back, what a session is told to be was once committed (fault 21).
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
  writeFileSync,
} from "node:fs";
import { describe, expect, it } from "vitest";
import { codeOf, failureOf, logLine, useSandbox, type Sandbox } from "../sandbox.js";

const holder = useSandbox();

interface Header {
  segment: number;
  firstRevision: number;
  stage: string;
  store: string;
}

/** Three commits in the live log, in no file: `a` 1, `b` 2, `a` 3. */
async function logged(): Promise<Sandbox> {
  const { box } = holder;
  const store = await box.open();
  await store.put("a", { version: 1 });
  await store.put("b", { version: 1 });
  await store.put("a", { version: 2 });
  await store.close();
  // The closing store wrote the files; here only the log is to count.
  for (const key of ["a", "b"]) rmSync(box.folderOf(key), { recursive: true, force: true });
  return box;
}

function lines(path: string): string[] {
  return readFileSync(path, "utf8").split("\n").slice(0, -1);
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
    const step = 7; // every cut is a reopening; neighbours differ in nothing
    for (let cut = 1; cut <= lastLine; cut += cut < 12 ? 1 : step) {
      writeFileSync(path, whole.subarray(0, whole.length - cut));
      const store = await box.reopen();
      expect(await store.get("a"), `cut by ${cut}`).toEqual({ version: 1 });
      expect(await store.get("b")).toEqual({ version: 1 });
      expect(await store.revision()).toBe(2);
      const { revision } = await store.put("c", { cut });
      // A line that lacks its newline only is completed by the next writer's, and then counts.
      expect(revision).toBe(cut === 1 ? 4 : 3);
      expect(await store.get("a")).toEqual({ version: cut === 1 ? 2 : 1 });
      await box.close();
      for (const key of ["a", "b", "c"]) rmSync(box.folderOf(key), { recursive: true, force: true });
      const again = await box.reopen();
      expect(await again.get("c")).toEqual({ cut });
      expect(await again.revision()).toBe(revision);
      expect(box.warned("log_line_malformed")).toHaveLength(cut === 1 || cut === lastLine ? 0 : 1);
    }
  });

  it("garbage without an end does not hide what comes behind it", async () => {
    const box = await logged();
    appendFileSync(box.segment(), "\u0001garbage");
    const store = await box.open();
    const { revision } = await store.put("c", { version: 1 });
    expect(revision).toBe(4);
    const again = await box.reopen();
    expect(await again.get("c")).toEqual({ version: 1 });
    expect((await again.list()).sessions).toHaveLength(3);
  });

  it("zeros, as a power cut leaves them, end the segment and nothing else", async () => {
    const box = await logged();
    appendFileSync(box.segment(), Buffer.alloc(4096));
    const store = await box.open();
    expect(await store.revision()).toBe(3);
    const { revision } = await store.put("c", { version: 1 });
    expect(revision).toBe(4);
    expect(box.warned("log_hole")).toHaveLength(1);
    expect(box.segments()).toHaveLength(2);
    const again = await box.reopen();
    expect((await again.list()).sessions.map(({ key }) => key)).toEqual(["a", "b", "c"]);
    await again.checkpoint();
    expect(box.segments()).toHaveLength(1);
  });
});

describe("a line in the middle", () => {
  const DAMAGES: Record<string, (line: string) => string> = {
    "a flipped digit of the checksum": (line) => (line.startsWith("0") ? "1" : "0") + line.slice(1),
    "a flipped letter": (line) => line.replace('"version":1', '"version":7'),
    "a cut": (line) => line.slice(0, 20),
    "an empty line": () => "",
    "one space": () => " ",
    garbage: () => "\u00ff\u0001garbage",
    "two glued lines": (line) => line + line,
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
    "another segment's record": () =>
      logLine(record(2, [{ k: "b", s: {} }]))
        .toString()
        .trimEnd(),
    "a second header": () =>
      logLine({ segment: 1, firstRevision: 900, stage: "1-00", store: "x" }).toString().trimEnd(),
    "nesting of 100,000 levels": () =>
      logLine(
        `{"w":"f0","n":1,"g":1,"t":1,"ops":[{"k":"b","s":{"deep":${"[".repeat(1e5)}${"]".repeat(1e5)}}}]}`,
      )
        .toString()
        .trimEnd(),
  };

  it.each(Object.keys(DAMAGES))("%s: is malformed for every process, the others stand", async (name) => {
    const box = await logged();
    const path = box.segment();
    const all = lines(path);
    const bad = DAMAGES[name]!(all[2]!);
    expect(bad).not.toBe(all[2]);
    writeFileSync(path, [...all.slice(0, 2), bad, ...all.slice(3)].map((line) => `${line}\n`).join(""));
    const store = await box.open();
    const reader = await box.open({ readOnly: true });
    for (const one of [store, reader]) {
      expect(await one.get("a")).toEqual({ version: 2 });
      expect(await one.get("b")).toBeUndefined();
      expect((await one.list()).sessions.map(({ key }) => key)).toEqual(["a"]);
      expect(await one.revision()).toBe(2);
    }
    const { revision } = await store.put("b", { healed: true }, { ifRevision: 0 });
    expect(revision).toBe(3);
    expect(await reader.get("b")).toEqual({ healed: true });
    await store.checkpoint();
    const again = await box.reopen();
    expect((await again.list()).sessions).toHaveLength(2);
    expect(await again.revision()).toBe(3);
  });

  it("tells of the line and its place", async () => {
    const box = await logged();
    const path = box.segment();
    const all = lines(path);
    const offset = Buffer.byteLength(`${all[0]}\n${all[1]}\n`);
    writeFileSync(
      path,
      readFileSync(path, "utf8").replace(all[2]!, all[2]!.replace('"version":1', '"version":7')),
    );
    await box.open();
    expect(box.warned("log_line_malformed")).toHaveLength(1);
    expect(box.warned("log_line_malformed")[0]).toMatchObject({ data: { path, offset, segment: 1 } });
    expect(box.warned("log_line_malformed")[0]?.message).toContain(`byte ${offset}`);
  });

  it("survives a warning callback that throws", async () => {
    const box = await logged();
    const path = box.segment();
    const all = lines(path);
    writeFileSync(path, [all[0], all[1], "damage", all[2], all[3]].map((line) => `${line}\n`).join(""));
    const warnings: unknown[] = [];
    const listen = (warning: Error): void => void warnings.push(warning);
    process.on("warning", listen);
    const store = await box.open({
      onWarning: () => {
        throw new Error("the logger is broken");
      },
    });
    expect(await store.revision()).toBe(3);
    expect(await store.get("a")).toEqual({ version: 2 });
    await new Promise((resolve) => setImmediate(resolve));
    process.off("warning", listen);
    expect(warnings).toHaveLength(1);
  });
});

describe("a line without end", () => {
  it("of more than 16 MiB is malformed, and what comes behind it counts", async () => {
    const box = await logged();
    const path = box.segment();
    const huge = logLine(record(1, [{ k: "b", s: { text: "x".repeat(17 * 1024 * 1024) } }]));
    appendFileSync(path, huge);
    const store = await box.open();
    expect(await store.get("b")).toEqual({ version: 1 });
    expect(await store.revision()).toBe(3);
    expect((await store.put("c", {})).revision).toBe(4);
    expect(box.warned("log_line_malformed")).toHaveLength(1);
    expect(await (await box.reopen()).revision()).toBe(4);
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

  it("of 1 GiB of zeros costs neither memory nor the sessions", async () => {
    const box = await logged();
    const fd = openSync(box.segment(), "r+");
    ftruncateSync(fd, 1024 ** 3);
    closeSync(fd);
    const before = process.resourceUsage().maxRSS;
    const store = await box.open();
    expect(await store.get("a")).toEqual({ version: 2 });
    expect((await store.put("c", { version: 1 })).revision).toBe(4);
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

  it.each(Object.keys(DAMAGES))(
    "%s: log_damaged for readers and writers, nothing is changed",
    async (name) => {
      const box = await logged();
      const path = box.segment();
      DAMAGES[name]!(path);
      const before = readFileSync(path);
      for (const readOnly of [true, false]) {
        const error = await failureOf(() => box.open({ readOnly }));
        expect(error.code).toBe("log_damaged");
        expect(error.message).toContain(path);
        expect(error.message).toMatch(/restore/);
      }
      expect(readFileSync(path).equals(before)).toBe(true);
      expect(box.segments()).toHaveLength(1);
    },
  );

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

  it("that appears damaged under a store in use fails its calls, and a good one lets it go on", async () => {
    const box = await logged();
    const header = headerOf(box.segment());
    const store = await box.open();
    appendFileSync(box.segment(), logLine({ seal: 2 }));
    const next = box.segment().replace("00000001", "00000002");
    writeFileSync(next, "damage\n", { mode: 0o600 });
    expect(await codeOf(() => store.get("a"))).toBe("log_damaged");
    expect(await codeOf(() => store.put("a", {}))).toBe("log_damaged");
    writeFileSync(next, logLine({ ...header, segment: 2, firstRevision: 4, stage: "2-00" }), { mode: 0o600 });
    const again = await box.reopen();
    expect(await again.get("a")).toEqual({ version: 2 });
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
    expect(await store.revision()).toBe(3);
    expect((await store.put("s4", {})).revision).toBe(4);
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
    expect(last).toBe(7);
    await box.close();
    for (const name of box.segments()) rmSync(box.at(".store", "log", name));

    expect(await codeOf(() => box.open({ readOnly: true }))).toBe("log_damaged");
    const again = await box.open();
    expect(box.warned("log_replaced")).toHaveLength(1);
    expect(box.warned("log_replaced")[0]?.message).toContain(String(last + 1));
    expect(await again.revision()).toBe(last);
    expect(await again.get("a")).toEqual({ version: 5 });
    expect(await again.get("b")).toBeUndefined();
    expect((await again.put("a", { version: 6 })).revision).toBe(last + 1);
    expect((await again.list()).sessions).toHaveLength(1);
    await again.checkpoint();
    expect(await (await box.reopen()).get("a")).toEqual({ version: 6 });
  });

  it("all of them, and damaged files as well: the damaged ones do not count, the others are kept", async () => {
    const { box } = holder;
    await box.filled({ a: { version: 1 }, b: { version: 1 } });
    writeFileSync(box.entryFile("b"), "damage");
    rmSync(box.at(".store", "log"), { recursive: true });
    const store = await box.open();
    expect(await store.get("a")).toEqual({ version: 1 });
    expect(await codeOf(() => store.get("b"))).toBe("entry_corrupt");
    expect((await store.put("b", { version: 2 })).revision).toBe(3);
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

it("a copy of a segment under the next number stops the log before anything is lost", async () => {
  const box = await logged();
  copyFileSync(box.segment(), box.segment().replace("00000001", "00000002"));
  const store = await box.open();
  expect((await store.put("c", {})).revision).toBe(4);
  expect(await codeOf(() => store.checkpoint())).toBe("log_damaged");
  expect(await codeOf(() => store.get("a"))).toBe("log_damaged");
  rmSync(box.segment());
  const again = await box.reopen();
  expect((await again.list()).sessions.map(({ key }) => key)).toEqual(["a", "b", "c"]);
});
