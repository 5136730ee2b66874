/**
 * Goal: the commands on transcripts do what they say, once, to what was named; what they acknowledge is there; bad input is told by its
 * place and writes nothing by half. Method: the built program on stores of real folders, beside a reader or writer in this process; killed
 * in the middle.
 */
import {
  appendFileSync,
  linkSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { describe, expect, it, vi } from "vitest";
import { openDirectoryStore, openSessionStore, type SessionStore } from "../../../src/index.js";
import { deviations, documentedExamples } from "../support/documented-shape.js";
import { errorOf, run, start } from "../support/program.js";
import { emptyFolder, MAIN_KEY, makeStore, traces } from "../support/stores.js";

type Entry = Record<string, unknown>;

const KEY = MAIN_KEY;
const MIB = 1024 * 1024;

const linesOf = (text: string): Entry[] =>
  text
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => JSON.parse(line) as Entry);
const jsonl = (...items: readonly unknown[]): string =>
  items.map((item) => `${JSON.stringify(item)}\n`).join("");

async function withStore<R>(path: string, use: (store: SessionStore<Entry>) => Promise<R>): Promise<R> {
  const store = await openSessionStore<Entry>(path);
  try {
    return await use(store);
  } finally {
    await store.close();
  }
}

const itemsIn = (path: string, transcript = "main", key = KEY): Promise<unknown[]> =>
  withStore(path, async (store) => {
    const items: unknown[] = [];
    for await (const { item } of store.iterateItems(key, { transcript })) items.push(item);
    return items;
  });

/** `main` has five items, of which the fourth and fifth were replaced: 1, 2, 3, 6, 7. */
async function storeWithItems(): Promise<string> {
  const path = await makeStore();
  await withStore(path, async (store) => {
    await store.append(KEY, [
      { role: "user", text: "one" },
      "two",
      { type: "tool", content: [{ text: "three" }] },
      4,
      5,
    ]);
    await store.truncate(KEY, { afterSeq: 3 });
    await store.append(KEY, [{ message: { role: "assistant", content: "six" } }, [7, { a: 1 }]], {
      ids: ["six", undefined],
    });
    await store.append(KEY, [1], { transcript: "tools" });
  });
  return path;
}

describe("transcript ls", () => {
  it("lists transcripts with the documented JSON", async () => {
    const path = await storeWithItems();
    const { code, stdout } = await run(["transcript", "ls", KEY, "--store", path]);
    expect(code).toBe(0);
    expect(stdout).toMatch(/^NAME +ITEMS +LAST +TIME\nmain +5 +7 +\d{4}-.*Z\ntools +1 +1 +\d{4}-.*Z\n$/);
    const listed = JSON.parse(
      (await run(["transcript", "ls", KEY, "--store", path, "--json"])).stdout,
    ) as Entry;
    expect(deviations(listed, documentedExamples("`sessiondir transcript ls`")[0])).toEqual([]);
  });

  it("tells a session without transcripts from one that is not there", async () => {
    const path = await makeStore();
    const none = await run(["transcript", "ls", KEY, "--store", path, "--json"]);
    expect(none.code).toBe(0);
    expect(JSON.parse(none.stdout)).toEqual({ store: path, key: KEY, transcripts: [] });
    const missing = await run(["transcript", "ls", `${KEY}x`, "--store", path]);
    expect(missing.code).toBe(1);
    expect(missing.stderr).toContain(`Did you mean "${KEY}"?`);
  });

  it("goes on behind a damaged one, and ends with 3", async () => {
    const path = await storeWithItems();
    await withStore(path, async (store) => {
      await store.flush();
    });
    await run(["flush", "--checkpoint", "--store", path]);
    const [file = ""] = traces(path).filter((trace) => /\/main\.\d+-\d+\.jsonl /.test(trace));
    const chunk = join(path, file.split(" ")[0] ?? "");
    const bytes = readFileSync(chunk);
    bytes[bytes.length - 3] = (bytes.at(-3) ?? 0) ^ 1;
    writeFileSync(chunk, bytes);
    const { code, stdout, stderr } = await run(["transcript", "ls", KEY, "--store", path]);
    expect(code).toBe(3);
    expect(stdout).toMatch(/^main +damaged/m);
    expect(stdout).toMatch(/^tools +1 /m);
    expect(stderr).toContain(chunk);
    const stats = await run(["stats", "--store", path]);
    expect(stats.code).toBe(3);
    expect(stats.stdout).toMatch(/^transcripts .*: 1 item in 1, 1 damaged$/m);
  });
});

describe("transcript cat", () => {
  it("prints a line for each item, with who and what", async () => {
    const { code, stdout } = await run(["transcript", "cat", KEY, "--store", await storeWithItems()]);
    expect(code).toBe(0);
    const lines = stdout
      .trimEnd()
      .split("\n")
      .map((line) => line.trim().split(/ {2,}/));
    expect(lines.map(([seq, , ...rest]) => [seq, ...rest])).toEqual([
      ["1", "user", "one"],
      ["2", "-", "two"],
      ["3", "tool", "three"],
      ["6", "assistant", "six"],
      ["7", "-", "[7,{…}]"],
    ]);
  });

  it.each([
    [[], [1, 2, 3, 6, 7]],
    [
      ["--from", "3"],
      [3, 6, 7],
    ],
    [
      ["--to", "4"],
      [1, 2, 3],
    ],
    [
      ["--last", "2"],
      [6, 7],
    ],
    [
      ["--last", "2", "--to", "5"],
      [2, 3],
    ],
    [
      ["--last", "9", "--from", "2"],
      [2, 3, 6, 7],
    ],
    [["--from", "8", "--last", "1"], []],
  ])("%j gives these numbers", async (range, seqs) => {
    const args = ["transcript", "cat", KEY, "--store", await storeWithItems(), "--json", ...range];
    const { code, stdout } = await run(args);
    expect(code).toBe(0);
    expect(linesOf(stdout).map(({ seq }) => seq)).toEqual(seqs);
  });

  it("has the documented JSON, and says what there is where there is none", async () => {
    const path = await storeWithItems();
    const { stdout } = await run([
      "transcript",
      "cat",
      KEY,
      "--store",
      path,
      "--json",
      "--from",
      "6",
      "--to",
      "6",
    ]);
    const [item] = linesOf(stdout);
    expect(item).toMatchObject({
      seq: 6,
      id: "six",
      item: { message: { role: "assistant", content: "six" } },
    });
    const [example] = documentedExamples("`sessiondir transcript cat`");
    expect(deviations({ ...item, item: {} }, { ...(example as Entry), item: {} })).toEqual([]);
    const missing = await run(["transcript", "cat", KEY, "--name", "tool", "--store", path, "--json"]);
    expect(missing.code).toBe(1);
    expect(errorOf(missing)).toMatchObject({ code: "not_found", data: { key: KEY, transcript: "tool" } });
    expect(errorOf(missing).message).toContain('"main", "tools"');
  });

  it("shows no control characters, in an item and in a name", async () => {
    const path = await makeStore();
    const name = "t\u001b[2J\u202e";
    await withStore(path, (store) =>
      store.append(KEY, [{ role: "\u009b1m", text: "\u001b[2J\n" }], { transcript: name }),
    );
    for (const args of [
      ["cat", KEY, "--name", name],
      ["ls", KEY],
      ["cat", KEY, "--name", name, "--json"],
      ["rm", KEY, "--name", name, "--dry-run"],
    ]) {
      const { code, stdout } = await run(["transcript", ...args, "--store", path]);
      expect(code).toBe(0);
      // oxlint-disable-next-line no-control-regex
      expect(stdout).not.toMatch(/[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u202e]/u);
      expect(stdout.trimEnd().split("\n").length).toBeLessThanOrEqual(2);
    }
  });
});

describe("transcript append", () => {
  it("appends a line an item, with ids if it is told where, and has the documented JSON", async () => {
    const path = await makeStore();
    const args = ["transcript", "append", KEY, "--store", path];
    const plain = await run(args, { input: `{"a":1}\n\n"text"\r\n[1]` });
    expect(plain).toEqual({
      code: 0,
      stdout: `appended 3 items to transcript main of ${KEY} (1-3)\n`,
      stderr: "",
    });
    expect(await itemsIn(path)).toEqual([{ a: 1 }, "text", [1]]);
    const input = jsonl({ m: { id: "x" } }, { m: { id: 7 } }, { m: { id: "x" } });
    const withIds = [...args, "--name", "tools", "--id-field", "m.id"];
    const before = traces(path);
    const planned = await run([...withIds, "--dry-run", "--json"], { input });
    expect(linesOf(planned.stdout)).toMatchObject([{ dryRun: true, lines: [1, 3], appended: 2, skipped: 1 }]);
    expect(traces(path)).toEqual(before);
    const [done] = linesOf((await run([...withIds, "--json"], { input })).stdout);
    expect(done).toMatchObject({
      dryRun: false,
      lines: [1, 3],
      appended: 2,
      skipped: 1,
      first: 1,
      last: 2,
      length: 2,
    });
    expect(deviations(done, documentedExamples("`sessiondir transcript append`")[0])).toEqual([]);
    const again = await run(withIds, { input });
    expect(again.stdout).toContain("appended 0 items");
    expect(await itemsIn(path, "tools")).toHaveLength(2);
  });

  it.each([
    ["{bad}\n", 'is not JSON: found "b" at column 2'],
    ["{\n", "is not JSON: it ends too early"],
    [`{"id":12345678901234567890}\n`, "has id with 12345678901234567890"],
    [`${"[".repeat(200)}${"]".repeat(200)}\n`, "is nested deeper than 128 levels"],
    [`{"a":1}\n`, "has no id in id"],
    [`{"id":"${"x".repeat(201)}"}\n`, "has no id in id"],
  ])("a line %j ends it with its number, and nothing of its batch is written", async (bad, reason) => {
    const path = await makeStore();
    const args = ["transcript", "append", KEY, "--store", path, "--json", "--id-field", "id"];
    const ended = await run(args, { input: jsonl({ id: 1 }, { id: 2 }) + bad });
    expect({ code: ended.code, stdout: ended.stdout }).toEqual({ code: 1, stdout: "" });
    const { code, message, data } = errorOf(ended);
    expect({ code, data }).toEqual({
      code: "line_invalid",
      data: { line: 3, from: 1, appended: 0, skipped: 0 },
    });
    expect(message).toContain(`line 3 of standard input ${reason}`);
    expect(await itemsIn(path)).toEqual([]);
  });

  it.each([
    ['{"half', "is torn: it ends too early, without a line break"],
    ["12", "is torn: it has no line break"],
  ])(
    "an end %j without a line break is not taken for an item, and what is in front of it is there",
    async (end, reason) => {
      const path = await makeStore();
      const args = ["transcript", "append", KEY, "--store", path, "--json"];
      const ended = await run(args, { input: jsonl(1, 2) + end });
      expect(errorOf(ended).data).toEqual({ line: 3, from: 3, appended: 2, skipped: 0 });
      expect(errorOf(ended).message).toContain(`line 3 of standard input ${reason}`);
      expect(await itemsIn(path)).toEqual([1, 2]);
    },
  );

  it("says which lines are there when it is interrupted, for the same command would append them again", async () => {
    const path = await makeStore();
    const append = start(["transcript", "append", KEY, "--store", path], { keepInputOpen: true });
    append.process.stdin?.write(jsonl(1, 2, 3));
    await vi.waitFor(async () => expect(await itemsIn(path)).toEqual([1, 2, 3]), 30_000);
    append.process.kill("SIGINT");
    const { code, stderr } = await append.ended;
    expect(code).toBe(130);
    expect(stderr).toMatch(
      /Lines 1 to 3 (of the input are appended\. Append the lines behind|are appended all or)/,
    );
  });

  it("says the same command again where ids keep it from appending twice", async () => {
    const path = await makeStore();
    const args = ["transcript", "append", KEY, "--store", path, "--id-field", "id"];
    const append = start(args, { keepInputOpen: true });
    append.process.stdin?.write(jsonl({ id: "a" }));
    await vi.waitFor(async () => expect(await itemsIn(path)).toEqual([{ id: "a" }]), 30_000);
    append.process.kill("SIGINT");
    expect((await append.ended).stderr).toContain("run the same command again");
  });

  it("says from where to go on when batches in front of the bad line are there", async () => {
    const path = await makeStore();
    const input = jsonl(...Array.from({ length: 1500 }, (_, n) => n)) + "nonsense\n";
    const ended = await run(["transcript", "append", KEY, "--store", path, "--json"], { input });
    expect(errorOf(ended).data).toEqual({ line: 1501, from: 1001, appended: 1000, skipped: 0 });
    expect(linesOf(ended.stdout)).toMatchObject([{ lines: [1, 1000], last: 1000 }]);
    expect(await itemsIn(path)).toHaveLength(1000);
  });

  it("takes an item of 16 MiB, and names a line that is larger without keeping it", async () => {
    const path = await makeStore();
    const args = ["transcript", "append", KEY, "--store", path, "--json"];
    const largest = JSON.stringify("x".repeat(16 * MIB - 2));
    const done = await run(args, { input: `1\n${largest}\n2\n` });
    expect(linesOf(done.stdout).reduce((sum, { appended }) => sum + Number(appended), 0)).toBe(3);
    expect((await itemsIn(path)).map((item) => JSON.stringify(item).length)).toEqual([1, 16 * MIB, 1]);
    const ended = await run(args, { input: `${largest.slice(0, -1)}y"\n` });
    expect(ended.code).toBe(1);
    expect(errorOf(ended).message).toContain(
      `line 1 of standard input has ${16 * MIB + 1} bytes; at most ${16 * MIB}`,
    );
  });

  it("killed, has what it acknowledged", async () => {
    const path = await makeStore();
    const appending = start(["transcript", "append", KEY, "--store", path, "--json"], {
      keepInputOpen: true,
    });
    appending.process.stdin?.write(jsonl({ n: 1 }, { n: 2 }));
    await appending.says('"last":2');
    appending.process.stdin?.write(jsonl({ n: 3 }));
    await appending.says('"last":3');
    appending.process.stdin?.write(jsonl({ n: 4 }));
    appending.process.kill("SIGKILL");
    const { stdout } = await appending.ended;
    const acknowledged = linesOf(stdout.slice(0, stdout.lastIndexOf("\n") + 1)).at(-1)?.["length"] as number;
    const items = await itemsIn(path);
    expect(items.length).toBeGreaterThanOrEqual(acknowledged);
    expect(items).toEqual([{ n: 1 }, { n: 2 }, { n: 3 }, { n: 4 }].slice(0, items.length));
  });
});

describe("transcript tail", () => {
  it("prints the newest", async () => {
    const path = await storeWithItems();
    const { stdout } = await run(["transcript", "tail", KEY, "-n", "2", "--store", path, "--json"]);
    expect(linesOf(stdout).map(({ seq }) => seq)).toEqual([6, 7]);
    expect((await run(["transcript", "tail", KEY, "-n", "0", "--store", path])).stdout).toBe("");
    expect((await run(["transcript", "tail", KEY, "--name", "none", "--store", path])).code).toBe(1);
  });

  it("follows two writers, tells what is removed, and ends by Ctrl-C", async () => {
    const path = await storeWithItems();
    const tail = start(["transcript", "tail", KEY, "-f", "-n", "1", "--store", path, "--json"]);
    await tail.says('"seq":7');
    const [one, other] = [await openDirectoryStore<Entry>(path), await openDirectoryStore<Entry>(path)];
    const write = async (store: SessionStore<Entry>, who: string): Promise<void> => {
      for (let n = 0; n < 25; n++) await store.append(KEY, [{ who, n }]);
    };
    await Promise.all([
      write(one, "one"),
      write(other, "other"),
      one.append(`${KEY}:longer`, ["not this one"]),
    ]);
    await one.append(KEY, ["nor this one"], { transcript: "tools" });
    await tail.says('"seq":57');
    // What is gone again by the time it is told of is not told.
    await other.truncate(KEY, { afterSeq: 50 });
    await tail.says("truncatedAfter");
    await one.removeTranscript(KEY);
    await tail.says("removed");
    await one.append(KEY, ["again"]);
    await tail.says("again");
    await one.delete(KEY);
    await tail.says("deleted");
    await other.append(KEY, ["the end"]);
    for (const store of [one, other]) await store.close();
    await tail.says("the end");
    tail.process.kill("SIGINT");
    const { code, stdout, stderr } = await tail.ended;
    expect({ code, stderr }).toEqual({ code: 130, stderr: "" });
    const told = linesOf(stdout);
    const [example] = documentedExamples("`sessiondir transcript tail`");
    expect(told.slice(0, 51).map(({ seq }) => seq)).toEqual(Array.from({ length: 51 }, (_, n) => n + 7));
    for (const who of ["one", "other"]) {
      const own = told.map(({ item }) => item as Entry).filter((item) => item?.["who"] === who);
      expect(own.map(({ n }) => n)).toEqual(Array.from({ length: 25 }, (_, n) => n));
    }
    expect(told.slice(51)).toMatchObject([
      { truncatedAfter: 50 },
      { removed: true },
      { seq: 1, item: "again" },
      { deleted: true },
      { seq: 1, item: "the end" },
    ]);
    expect(deviations(told[51], example)).toEqual([]);
  });

  it("waits for a transcript of a session that is there, and ends quietly when its reader goes", async () => {
    const path = await makeStore();
    const tail = start(["transcript", "tail", KEY, "-f", "--name", "later", "--store", path]);
    await tail.says("following");
    await withStore(path, (store) => store.append(KEY, ["first"], { transcript: "later" }));
    await tail.says("first");
    tail.process.stdout?.destroy();
    await withStore(path, async (store) => {
      for (let n = 0; n < 5; n++) await store.append(KEY, [n], { transcript: "later" });
    });
    expect((await tail.ended).code).toBe(0);
  });
});

describe("transcript truncate", () => {
  it("removes the newest items, numbers go on, and a dry run changes nothing", async () => {
    const path = await storeWithItems();
    const before = await itemsIn(path);
    const args = ["transcript", "truncate", KEY, "--after-seq", "1", "--store", path];
    const planned = await run([...args, "--dry-run"]);
    expect(planned.stdout).toBe(
      `would truncate transcript main of ${KEY} after item 1, now ${before.length} items\n`,
    );
    expect(await itemsIn(path)).toEqual(before);
    const { stdout } = await run([...args, "--json"]);
    const done = JSON.parse(stdout) as Entry;
    expect(done).toMatchObject({ previousLength: before.length, length: 1, last: 7 });
    expect(deviations(done, documentedExamples("`sessiondir transcript truncate`")[0])).toEqual([]);
    expect(await itemsIn(path)).toEqual(before.slice(0, 1));
  });

  it("is the way out in front of a damaged item", async () => {
    const path = await makeStore();
    await withStore(path, async (store) => {
      await store.append(KEY, [{ n: 1 }, { n: 2 }, { n: 3 }]);
    });
    await run(["flush", "--checkpoint", "--store", path]);
    const folder = join(path, readdirSync(path).find((name) => name.endsWith("main")) ?? "");
    const file = join(folder, readdirSync(folder).find((name) => name.endsWith(".jsonl")) ?? "");
    writeFileSync(file, readFileSync(file, "utf8").replace('"n":2', '"n":9'));
    expect((await run(["transcript", "cat", KEY, "--store", path])).code).toBe(3);
    const ended = await run(["transcript", "truncate", KEY, "--after-seq", "1", "--store", path]);
    expect(ended).toEqual({
      code: 0,
      stdout: `truncated transcript main of ${KEY} after item 1, 2 items removed, 1 item left\n`,
      stderr: "",
    });
    expect(await itemsIn(path)).toEqual([{ n: 1 }]);
  });

  it("a transcript that is not there has the names of those that are", async () => {
    const path = await storeWithItems();
    const args = ["transcript", "truncate", KEY, "--name", "nope", "--after-seq", "1", "--store", path];
    const { code, stderr } = await run(args);
    expect(code).toBe(1);
    expect(stderr).toContain('"main"');
  });
});

describe("transcript rm", () => {
  it("removes the one that is named, with the documented JSON; a dry run says the same", async () => {
    const path = await storeWithItems();
    const args = ["transcript", "rm", KEY, "--name", "main", "--store", path, "--json"];
    const before = traces(path);
    const planned = JSON.parse((await run([...args, "--dry-run"])).stdout) as Entry;
    expect(traces(path)).toEqual(before);
    const conflict = await run([...args, "--if-last", "5"]);
    expect(conflict.code).toBe(1);
    expect(errorOf(conflict)).toMatchObject({ code: "conflict", data: { expected: 5, actual: 7 } });
    const done = JSON.parse((await run([...args, "--if-last", "7"])).stdout) as Entry;
    expect(done).toEqual({ ...planned, dryRun: false });
    expect(deviations(done, documentedExamples("`sessiondir transcript rm`")[0])).toEqual([]);
    expect(await withStore(path, (store) => store.transcripts(KEY))).toEqual(["tools"]);
    expect((await run(args)).code).toBe(1);
    expect((await run(["transcript", "rm", KEY, "--store", path])).code).toBe(2);
  });
});

describe("transcript import", () => {
  const FILE =
    "\ufeff" +
    jsonl({ id: "a", n: 1 }, { uuid: "b" }) +
    "{bad}\n\n" +
    jsonl({ id: "a", n: 2 }, { type: "without" }, { type: "without" }, { messageId: 9 });

  it("imports once what is there, names bad lines, and goes on with what comes later", async () => {
    const path = await makeStore();
    const file = join(emptyFolder(), "gateway.jsonl");
    writeFileSync(file, `${FILE}{"torn`);
    const args = ["transcript", "import", KEY, file, "--store", path, "--json"];
    const before = traces(path);
    const planned = await run([...args, "--dry-run"]);
    expect(planned.code).toBe(3);
    expect(traces(path)).toEqual(before);
    const done = await run(args);
    expect(done.code).toBe(3);
    expect(done.stderr.trimEnd().split("\n")).toHaveLength(2);
    const result = JSON.parse(done.stdout) as Entry;
    expect(result).toMatchObject({ appended: 6, skipped: 0, first: 1, last: 6, badLines: 2 });
    expect(result["bad"]).toMatchObject([
      { line: 3 },
      { line: 9, reason: expect.stringContaining("torn") as string },
    ]);
    expect(JSON.parse(planned.stdout)).toMatchObject({ dryRun: true, appended: 6, skipped: 0, badLines: 2 });
    expect(deviations(result, documentedExamples("`sessiondir transcript import`")[0])).toEqual([]);
    appendFileSync(file, `":1}\n${jsonl({ id: "new" })}`);
    expect(JSON.parse((await run([...args, "--dry-run"])).stdout)).toMatchObject({ appended: 2, skipped: 6 });
    expect(JSON.parse((await run(args)).stdout)).toMatchObject({ appended: 2, skipped: 6, badLines: 1 });
    expect(JSON.parse((await run(args)).stdout)).toMatchObject({ appended: 0, skipped: 8 });
    const items = [
      { id: "a", n: 1 },
      { uuid: "b" },
      { id: "a", n: 2 },
      { type: "without" },
      { type: "without" },
    ];
    expect(await itemsIn(path)).toEqual([...items, { messageId: 9 }, { torn: 1 }, { id: "new" }]);
  });

  it("names a line of more than 16 MiB and goes on behind it", async () => {
    const path = await makeStore();
    const file = join(emptyFolder(), "gateway.jsonl");
    writeFileSync(file, `1\n${JSON.stringify("x".repeat(16 * MIB))}\n2\n`);
    const { code, stdout } = await run(["transcript", "import", KEY, file, "--store", path, "--json"]);
    expect(code).toBe(3);
    expect(JSON.parse(stdout)).toMatchObject({ appended: 2, bad: [{ line: 2 }] });
    expect(await itemsIn(path)).toEqual([1, 2]);
  });

  it("takes regular files only, whatever their number of names", async () => {
    const path = await makeStore();
    const folder = emptyFolder();
    const file = join(folder, "gateway.jsonl");
    writeFileSync(file, jsonl(1));
    symlinkSync(file, join(folder, "link"));
    linkSync(file, join(folder, "same"));
    mkdirSync(join(folder, "folder"));
    for (const [name, code] of [
      ["link", "file_unsafe"],
      ["folder", "file_unsafe"],
      ["none", "input_not_found"],
    ] as const) {
      const ended = await run(["transcript", "import", KEY, join(folder, name), "--store", path, "--json"]);
      expect(errorOf(ended).code).toBe(code);
    }
    expect((await run(["transcript", "import", KEY, join(folder, "same"), "--store", path])).code).toBe(0);
    expect(await itemsIn(path)).toEqual([1]);
  });

  it("stopped in the middle and run again, has every line once", async () => {
    const path = await makeStore();
    const file = join(emptyFolder(), "gateway.jsonl");
    const items = Array.from({ length: 20_000 }, (_, n) => ({ n, text: "x".repeat(100) }));
    writeFileSync(file, jsonl(...items));
    const importing = start(["transcript", "import", KEY, file, "--store", path]);
    const store = await openSessionStore<Entry>(path);
    for await (const { transcript } of store.watch({ since: 0 })) if (transcript !== undefined) break;
    importing.process.kill("SIGKILL");
    await importing.ended;
    await store.close();
    expect((await run(["transcript", "import", KEY, file, "--store", path])).code).toBe(0);
    expect(await itemsIn(path)).toEqual(items);
  });
});

describe("other commands", () => {
  it("get names transcripts, rm says which go along, and deletes where there is no record", async () => {
    const path = await storeWithItems();
    await withStore(path, (store) => store.append("bare", [1]));
    const got = await run(["get", KEY, "--store", path]);
    expect(got.stderr).toBe("transcripts: main, tools\n");
    expect(JSON.parse((await run(["get", KEY, "--store", path, "--json"])).stdout)).toMatchObject({
      transcripts: ["main", "tools"],
    });
    const bare = await run(["get", "bare", "--store", path]);
    expect(bare.code).toBe(1);
    expect(bare.stderr).toContain("only transcripts: sessiondir transcript ls bare");
    const planned = await run(["rm", KEY, "--store", path, "--dry-run"]);
    expect(planned.stdout).toContain("with 2 transcripts (main, tools)");
    const removed = await run(["rm", "bare", "--store", path, "--json"]);
    expect(JSON.parse(removed.stdout)).toMatchObject({
      action: "delete",
      previousRevision: 0,
      transcripts: ["main"],
    });
    expect(await withStore(path, (store) => store.transcripts("bare"))).toEqual([]);
  });

  it("watch tells ranges, truncations and removals; with --json the whole change", async () => {
    const path = await makeStore();
    await withStore(path, async (store) => {
      await store.append(KEY, [1, 2, 3]);
      await store.truncate(KEY, { afterSeq: 1 });
      await store.replaceSuffix(KEY, { from: 1, items: [1] }, ["new"]);
      await store.append(KEY, [4, 5], { maxLength: 2 });
      await store.trim(KEY, { length: 1 });
      await store.removeTranscript(KEY);
    });
    const args = ["watch", "--store", path, "--since", "0", "--limit", "9"];
    const { stdout } = await run(args);
    const told = stdout.split("\n").filter((line) => line.includes("  transcript  "));
    expect(told.map((line) => line.slice(line.indexOf(KEY) + KEY.length).trim())).toEqual([
      "main 1-3 (3 items)",
      "main truncated after 1 (1 item)",
      "main truncated after 0, 4 (1 item)",
      "main 5-6 (2 items)",
      "main trimmed (1 item)",
      "main removed (0 items)",
    ]);
    const changes = linesOf((await run([...args, "--json"])).stdout).filter(
      ({ kind }) => kind === "transcript",
    );
    expect(deviations(changes[0], documentedExamples("`sessiondir watch`")[1])).toEqual([]);
    expect(changes[0]).toMatchObject({ transcript: { name: "main", first: 1, last: 3, length: 3 } });
    const [whole] = linesOf((await run([...args, "--json", "--entries"])).stdout).filter(
      ({ kind }) => kind === "transcript",
    );
    expect(Object.keys(whole?.["transcript"] as Entry)).toContain("items");
  });

  it("a group without a command says which there are", async () => {
    for (const args of [["transcript"], ["transcript", "lss"]]) {
      const { code, stderr } = await run(args);
      expect(code).toBe(2);
      expect(stderr).toContain("it has ls, tail, cat, append, truncate, rm, import");
    }
  });
});
