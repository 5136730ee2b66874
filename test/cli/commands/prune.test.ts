/**
 * Goal: prune and restore as an operator meets them: what they say and do, dry runs that say the same, policies that are wrong, plans that are
 * stopped, wrong archives, Ctrl-C, and the JSON that docs/cli.md promises. Method: the built program.
 */
import { createHash } from "node:crypto";
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { dirname, join } from "node:path";
import { describe, expect, it } from "vitest";
import { openSessionStore } from "../../../src/index.js";
import { deviationsBut, documentedExamples } from "../support/documented-shape.js";
import { errorOf, run, start, type Ended } from "../support/program.js";
import { emptyFolder, makeStore, read, traces, type Sessions } from "../support/stores.js";

const DAY = 24 * 3600 * 1000;
const at = (days: number, fields: object = {}): Record<string, unknown> => ({
  ...fields,
  updatedAt: Date.now() - days * DAY,
});

/** Three cron runs of which two are old, and three chats. */
const SESSIONS: Sessions = {
  "agent:a:cron:1": at(9, { ["__proto__"]: { n: 1 }, text: "é\u0000" }),
  "agent:a:cron:2": at(8),
  "agent:a:cron:3": at(1),
  "agent:a:main": at(20),
  "agent:a:new": at(0),
  "agent:a:none": { text: "no time" },
};

const CRON = { name: "cron runs", keys: "agent:*:cron:*", olderThan: "7d" };

function policyFile(policy: object, folder = emptyFolder()): string {
  const path = join(folder, "retention.json");
  writeFileSync(path, JSON.stringify({ version: 1, mode: "enforce", ...policy }));
  return path;
}

const store = (): Promise<string> => makeStore(SESSIONS);
const archiveOf = (path: string): string => path.replace(/\.d$/, ".archive");
const keysIn = async (path: string): Promise<string[]> => {
  const { stdout } = await run(["ls", "--store", path, "--json"]);
  const { sessions } = JSON.parse(stdout) as { sessions: { key: string }[] };
  return sessions.map(({ key }) => key).sort();
};

describe("prune and restore", () => {
  it("say what would go and why, remove it into an archive, and bring it back", async () => {
    const path = await store();
    await run(["transcript", "append", "agent:a:cron:1", "--store", path], { input: '{"n":1}\n{"n":2}\n' });
    const policy = policyFile({ rules: [CRON, { name: "rest", olderThan: "90d" }] });
    const args = ["prune", "--policy", policy, "--store", path];
    const before = traces(path);
    const planned = await run([...args, "--dry-run"]);
    expect(planned).toEqual({
      code: 0,
      stdout:
        "would remove 2 of 6 sessions\n  cron runs: 3 matched, 2 to remove\n" +
        "  rest: 3 matched, 0 to remove, 1 that cannot be judged\n",
      stderr: "",
    });
    const listed = (await run([...args, "--dry-run", "--list"])).stdout.trimEnd().split("\n");
    expect(listed.map((line) => line.replace(/ \(updated [^)]*\)/, ""))).toEqual([
      'remove  agent:a:cron:1  older than 7d, rule "cron runs"',
      'remove  agent:a:cron:2  older than 7d, rule "cron runs"',
      'keep  agent:a:cron:3  no limit takes it, rule "cron runs"',
      'keep  agent:a:main  no limit takes it, rule "rest"',
      'keep  agent:a:new  no limit takes it, rule "rest"',
      'keep  agent:a:none  it has no updatedAt, so nobody knows how old it is, rule "rest"',
    ]);
    const explained = await run([...args, "--explain", "agent:a:cron:2"]);
    expect(explained.stdout.trimEnd()).toBe(
      listed.length === 0 ? "" : (await run([...args, "--dry-run", "--list"])).stdout.split("\n")[1],
    );
    expect(errorOf(await run([...args, "--explain", "nobody", "--json"]))).toMatchObject({
      code: "not_found",
    });
    expect(traces(path)).toEqual(before);
    expect(existsSync(archiveOf(path))).toBe(false);

    const done = await run(args);
    expect(done.code).toBe(0);
    const file = join(archiveOf(path), `${new Date().toISOString().slice(0, 7)}.jsonl.gz`);
    expect(done.stdout).toMatch(/^removed 2 of 6 sessions to .*\.jsonl\.gz \(\d+ B\)\n$/);
    expect(done.stdout).toContain(file);
    expect(statSync(file).mode & 0o777).toBe(0o600);
    expect(statSync(archiveOf(path)).mode & 0o777).toBe(0o700);
    expect(await keysIn(path)).toEqual(Object.keys(SESSIONS).slice(2));
    expect((await run(args)).stdout).toBe("removed 0 of 4 sessions\n");
    expect(readdirSync(archiveOf(path))).toHaveLength(2);

    const list = await run(["restore", "--list", "--store", path]);
    expect(list.stdout.trimEnd().split("\n")).toHaveLength(2);
    expect(list.stdout).toContain("agent:a:cron:1");
    const dry = await run(["restore", "agent:a:cron:1", "--store", path, "--dry-run"]);
    expect(dry.stdout).toMatch(/^would restore agent:a:cron:1 \(2 items appended\), archived /);
    const back = await run(["restore", "agent:a:cron:1", "--store", path]);
    expect(back.stdout).toBe(dry.stdout.replace("would restore", "restored"));
    expect(back.stderr).toContain("unless --keep names it");
    expect(JSON.stringify(await read(path, "agent:a:cron:1"))).toBe(
      JSON.stringify(SESSIONS["agent:a:cron:1"]),
    );
    const items = await run(["transcript", "cat", "agent:a:cron:1", "--store", path]);
    expect(items.stdout).toContain('{"n":1}');

    const history = await run(["prune", "--history", "--store", path]);
    expect(history.stdout.match(/ {2}done {2}/g)).toHaveLength(3);
    expect(history.stdout).toContain("restore  done  key agent:a:cron:1");
    const doctor = await run(["doctor", "--store", path]);
    expect(doctor.code).toBe(0);
    expect(doctor.stdout).not.toContain("retention.jsonl");
  });

  it("take one rule from the command line, and keep who is named", async () => {
    const path = await store();
    const args = ["prune", "--store", path, "--keys", "agent:a:cron:*", "--keys", "agent:a:main"];
    const kept = await run([...args, "--older-than", "1w", "--keep", "*:cron:1", "--keep-newest", "2"]);
    expect(kept.stdout).toMatch(/^removed 1 of 6 sessions to /);
    expect(await keysIn(path)).not.toContain("agent:a:main");
    const count = await run([...args, "--max-count", "1", "--archive", join(emptyFolder(), "old")]);
    expect(count.stdout).toMatch(/^removed 2 of 5 sessions to .*\/old\//);
    expect(await keysIn(path)).toEqual(["agent:a:cron:3", "agent:a:new", "agent:a:none"]);
  });

  it("a policy that is off or only warns removes nothing", async () => {
    const path = await store();
    const before = traces(path);
    const off = await run(["prune", "--store", path, "--policy", policyFile({ mode: "off", rules: [CRON] })]);
    expect(off).toMatchObject({ code: 0, stdout: expect.stringContaining("mode is off") });
    const unsaid = await run([
      "prune",
      "--store",
      path,
      "--policy",
      policyFile({ mode: undefined, rules: [CRON] }),
    ]);
    expect(unsaid.stdout).toBe(off.stdout);
    const warn = await run([
      "prune",
      "--store",
      path,
      "--policy",
      policyFile({ mode: "warn", rules: [CRON] }),
    ]);
    expect(warn).toMatchObject({ code: 0 });
    expect(warn.stdout).toMatch(/^would remove 2 of 6 sessions \(mode warn: nothing is removed\)\n/);
    expect(traces(path)).toEqual(before);
  });
});

describe("what stops a run", () => {
  it("more than the share would go: nothing does, code 3, until the number is said", async () => {
    const path = await store();
    const args = ["prune", "--store", path, "--policy", policyFile({ rules: [CRON], maxShare: 0.2 })];
    const dry = await run([...args, "--dry-run"]);
    expect(dry).toMatchObject({ code: 3, stdout: expect.stringMatching(/^would remove 2 of 6/) });
    expect(dry.stderr).toMatch(/A run would be stopped:.*--yes-remove 2\.\n$/);
    const stopped = await run([...args, "--json"]);
    expect(errorOf(stopped)).toMatchObject({
      code: "retention_stopped",
      exitCode: 3,
      data: { reason: "share", removing: 2, sessions: 6, allowed: 1 },
    });
    expect(await keysIn(path)).toHaveLength(6);
    expect((await run([...args, "--yes-remove", "1"])).code).toBe(3);
    expect((await run([...args, "--yes-remove", "2"])).stdout).toMatch(/^removed 2 of 6/);
    const history = (await run(["prune", "--history", "--store", path])).stdout;
    expect(history.match(/prune {2}stopped; retention_stopped/g)).toHaveLength(2);
  });

  it("a limit that is exceeded although nothing goes is an alarm, code 3", async () => {
    const path = await makeStore({ a: {}, b: {}, c: {} });
    const policy = policyFile({ rules: [{ name: "few", maxCount: 2 }] });
    for (const more of [["--dry-run"], []]) {
      const { code, stderr } = await run(["prune", "--store", path, "--policy", policy, ...more]);
      expect({ code, stderr }).toEqual({
        code: 3,
        stderr: expect.stringMatching(
          /warning: rule "few" has 3, and maxCount is 2, and the policy removes nothing/,
        ),
      });
    }
  });

  it("a limit that is exceeded although something goes is said, and no alarm", async () => {
    const path = await makeStore({ a: {}, b: {}, c: at(9), d: at(0) });
    const policy = policyFile({ rules: [{ name: "few", olderThan: "7d", maxCount: 2 }] });
    const { code, stdout, stderr } = await run(["prune", "--store", path, "--policy", policy]);
    expect({ code, stderr }).toEqual({
      code: 0,
      stderr: 'still too much: rule "few" has 3, and maxCount is 2\n',
    });
    expect(stdout).toMatch(/^removed 1 of 4/);
  });

  it("a session that cannot be read stays and is told, code 3", async () => {
    const path = await store();
    await run(["flush", "--checkpoint", "--store", path]);
    writeFileSync(join(path, "agent%3Aa%3Acron%3A1/meta.json"), "{");
    const { code, stdout, stderr } = await run([
      "prune",
      "--store",
      path,
      "--policy",
      policyFile({ rules: [CRON] }),
    ]);
    expect(code).toBe(3);
    expect(stdout).toMatch(/^removed 1 of 6/);
    expect(stderr).toContain("1 session cannot be read, and stays");
    expect(readFileSync(join(path, "agent%3Aa%3Acron%3A1/meta.json"), "utf8")).toBe("{");
  });
});

describe("a wrong command line", () => {
  it("says what is missing or wrong, and does nothing", async () => {
    const path = await store();
    const before = traces(path);
    const some = policyFile({ rules: [CRON] });
    for (const [args, message] of [
      [["prune"], "nothing is pruned unasked"],
      [["prune", "--keys", "x"], "Give --older-than or --max-count"],
      [["prune", "--policy", some, "--older-than", "1d"], "leave out --policy"],
      [["prune", "--older-than", "0d"], "--older-than must be a time above 0"],
      [["prune", "--older-than", "7"], "--older-than must be a time above 0"],
      [["prune", "--max-count", "0"], "--max-count must be"],
      [["prune", "--max-count", "1", "--keep-newest", "2"], "maxCount allows 1"],
      [["prune", "--policy", some, "--list"], "--list belongs to --dry-run"],
      [["prune", "--policy", some, "--yes-remove", "many"], "--yes-remove must be"],
      [["restore"], "which session?"],
      [["restore", "k", "--at", "yesterday"], "--at must be a time"],
      [["restore", "k", "--on-conflict", "merge"], "--on-conflict must be"],
    ] as const) {
      const ended = await run([...args, "--store", path]);
      expect({ args, code: ended.code, stdout: ended.stdout }).toEqual({ args, code: 2, stdout: "" });
      expect(ended.stderr).toContain(message);
    }
    expect(traces(path)).toEqual(before);
  });

  it("a wrong policy is refused with its member and what was meant", async () => {
    const path = await store();
    const policy = policyFile({ rules: [{ name: "r", olderThn: "7d" }] });
    const wrong = errorOf(await run(["prune", "--store", path, "--policy", policy, "--json"]));
    expect(wrong).toMatchObject({
      code: "policy_invalid",
      data: { path: policy, member: "rules[0].olderThn" },
      exitCode: 1,
    });
    expect(wrong.message).toContain("Did you mean olderThan?");
    const missing = await run(["prune", "--store", path, "--policy", "no/such.json", "--json"]);
    expect(errorOf(missing)).toMatchObject({ code: "file_not_found", exitCode: 1 });
    const folder = await run(["prune", "--store", path, "--policy", path, "--json"]);
    expect(errorOf(folder)).toMatchObject({ code: "file_unsafe" });
  });
});

describe("a wrong archive", () => {
  it("is refused, and nothing goes", async () => {
    const path = await store();
    const folder = emptyFolder();
    writeFileSync(join(folder, "mine.txt"), "mine");
    const other = await store();
    await run(["prune", "--older-than", "7d", "--keys", "*:cron:*", "--store", other]);
    symlinkSync(archiveOf(other), join(emptyFolder(), "link"));
    const prune = (archive: string): Promise<Ended> =>
      run([
        "prune",
        "--keys",
        "*:cron:*",
        "--older-than",
        "7d",
        "--store",
        path,
        "--archive",
        archive,
        "--json",
      ]);
    for (const archive of [folder, join(folder, "mine.txt"), join(path, "archive"), archiveOf(other)])
      expect(errorOf(await prune(archive)), archive).toMatchObject({ code: "archive_place", exitCode: 1 });
    expect(await keysIn(path)).toHaveLength(6);
    expect(readdirSync(folder)).toEqual(["mine.txt"]);
    for (const args of [["--list"], ["agent:a:cron:1"]]) {
      const ended = await run(["restore", ...args, "--store", path, "--json"]);
      expect(errorOf(ended)).toMatchObject({ code: "archive_not_found", exitCode: 1 });
    }
    const foreign = await run([
      "restore",
      "agent:a:cron:1",
      "--store",
      path,
      "--archive",
      archiveOf(other),
      "--json",
    ]);
    expect(errorOf(foreign)).toMatchObject({ code: "archive_place" });
  });

  it("one that is damaged gives what can be read, and says so, code 3", async () => {
    const path = await store();
    const prune = ["prune", "--store", path, "--keys", "*:cron:*", "--older-than"];
    await run([...prune, "8.5d"]);
    await run([...prune, "7d"]);
    const names = readdirSync(archiveOf(path)).filter((name) => name.endsWith(".gz"));
    expect(names).toHaveLength(2);
    const first = join(archiveOf(path), names.find((name) => !/-2\./.test(name)) ?? "");
    const bytes = readFileSync(first);
    bytes[40] = (bytes[40] ?? 0) ^ 0xff;
    writeFileSync(first, bytes);
    const listed = await run(["restore", "--list", "--store", path]);
    expect(listed.code).toBe(3);
    expect(listed.stdout).toMatch(/^\S+ {2}agent:a:cron:\d, .*-2\.jsonl\.gz\n$/);
    expect(listed.stderr).toContain("cannot be read, and its sessions are left out");
  });

  it("old files of it go if the policy says so", async () => {
    const path = await store();
    const archive = archiveOf(path);
    await run(["prune", "--store", path, "--keys", "*:cron:*", "--older-than", "7d"]);
    const [file = ""] = readdirSync(archive).filter((name) => name.endsWith(".gz"));
    for (const name of ["2020-01.jsonl.gz", "2020-02.jsonl.gz"])
      writeFileSync(join(archive, name), readFileSync(join(archive, file)));
    const prune = (policy: object, ...more: string[]): Promise<Ended> =>
      run([
        "prune",
        "--store",
        path,
        "--policy",
        policyFile({ archive: { olderThan: "365d" }, ...policy }),
        ...more,
      ]);
    const stopped = await prune({});
    expect(stopped).toMatchObject({ code: 3, stdout: "removed 0 of 4 sessions\n" });
    expect(stopped.stderr).toContain("2 of 3 files of the archive");
    expect((await prune({}, "--yes-remove", "2")).stderr).toMatch(/larger maxShare for one run/);
    expect(readdirSync(archive)).toHaveLength(4);
    const dry = await prune({ maxShare: 1 }, "--dry-run");
    expect(dry.stdout).toContain(`would remove 2 files of ${archive}`);
    expect(readdirSync(archive)).toHaveLength(4);
    expect((await prune({ maxShare: 1 })).stdout).toContain(`removed 2 files of ${archive}`);
    expect(readdirSync(archive).sort()).toEqual([file, "sessiondir-archive.json"]);
  });

  it("never loses what the run has just archived, also after a clock that was ahead", async () => {
    const path = await store();
    await run(["prune", "--store", path, "--keys", "*:cron:1", "--older-than", "7d"]);
    const archive = archiveOf(path);
    const [file = ""] = readdirSync(archive).filter((name) => name.endsWith(".gz"));
    renameSync(join(archive, file), join(archive, "2999-01.jsonl.gz"));
    const policy = policyFile({ rules: [CRON], archive: { maxBytes: 1 } });
    const ended = await run(["prune", "--store", path, "--policy", policy]);
    expect(ended.stdout).toMatch(/^removed 1 of 5/);
    const back = await run(["restore", "agent:a:cron:2", "--store", path]);
    expect(back.stdout).toMatch(/^restored agent:a:cron:2/);
  });
});

it("a file of an archive is imported as it is: the recipe for undoing a run", async () => {
  const path = await store();
  await run(["prune", "--store", path, "--keys", "*:cron:*", "--older-than", "7d"]);
  const [file = ""] = readdirSync(archiveOf(path)).filter((name) => name.endsWith(".gz"));
  const ended = await run(["import", join(archiveOf(path), file), "--store", path, "--on-conflict", "skip"]);
  expect(ended.stdout).toContain("2 created");
  expect(await keysIn(path)).toHaveLength(6);
});

it("a store and its archive are moved together", async () => {
  const path = await store();
  await run(["prune", "--store", path, "--keys", "*:cron:*", "--older-than", "7d"]);
  const moved = join(emptyFolder(), "moved");
  mkdirSync(moved, { mode: 0o700 });
  for (const from of [path, archiveOf(path)])
    renameSync(from, join(moved, from.slice(dirname(from).length + 1)));
  const ended = await run([
    "restore",
    "agent:a:cron:1",
    "--store",
    join(moved, path.slice(dirname(path).length + 1)),
  ]);
  expect(ended.code).toBe(0);
});

/** A store of sessions that are older than a week, of some bytes that do not pack well. */
async function manyOld(sessions: number): Promise<string> {
  const path = join(emptyFolder(), "sessions.d");
  const made = await openSessionStore(path, { durability: "os" });
  const noise = (n: number): string => createHash("sha512").update(String(n)).digest("hex").repeat(20);
  for (let first = 0; first < sessions; first += 500)
    await Promise.all(
      Array.from({ length: 500 }, (_, index) =>
        made.put(`s${first + index}`, at(9, { t: noise(first + index) })),
      ),
    );
  await made.close();
  return path;
}

async function archivedKeys(path: string): Promise<ReadonlySet<string>> {
  const { stdout } = await run(["restore", "--list", "--store", path, "--json"]);
  return new Set(
    stdout
      .trimEnd()
      .split("\n")
      .map((line) => (JSON.parse(line) as { key: string }).key),
  );
}

it.runIf(process.platform !== "win32")("Ctrl-C stops it, and it goes on", { timeout: 60_000 }, async () => {
  const path = await manyOld(3000);
  const args = ["prune", "--store", path, "--older-than", "7d", "--yes-remove", "3000"];
  const running = start(args);
  const archive = archiveOf(path);
  const bytes = (): number =>
    existsSync(archive)
      ? readdirSync(archive).reduce((sum, name) => sum + statSync(join(archive, name)).size, 0)
      : 0;
  await expect.poll(() => bytes() > 30_000, { timeout: 20_000, interval: 2 }).toBe(true);
  running.process.kill("SIGINT");
  const { code, stderr } = await running.ended;
  expect(code).toBe(130);
  expect(stderr).toContain(`interrupted while pruning ${path}`);
  const rest = await run([...args, "--json"]);
  expect(rest.code).toBe(0);
  const { removed, sessions } = JSON.parse(rest.stdout) as { removed: number; sessions: number };
  expect(removed).toBe(sessions);
  expect(removed).toBeLessThan(3000);
  expect((await archivedKeys(path)).size).toBe(3000);
});

it("two at once: each session goes once, and all of them come back", { timeout: 60_000 }, async () => {
  const path = await manyOld(1000);
  const args = ["prune", "--store", path, "--older-than", "7d", "--yes-remove", "1000", "--json"];
  const ended = await Promise.all([start(args).ended, start(args).ended]);
  const reports = ended.map(({ code, stdout, stderr }) => {
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    return JSON.parse(stdout) as { planned: number; removed: number; gone: number; changed: number };
  });
  expect(reports.reduce((sum, { removed }) => sum + removed, 0)).toBe(1000);
  for (const { planned, removed, gone, changed } of reports) expect(removed + gone + changed).toBe(planned);
  expect(await keysIn(path)).toEqual([]);
  expect((await archivedKeys(path)).size).toBe(1000);
  const [first = ""] = readdirSync(archiveOf(path)).filter((name) => name.endsWith(".gz"));
  expect((await run(["import", join(archiveOf(path), first), "--store", path])).code).toBe(0);
});

/** A number or a text, as it was written. */
const limitOf = (line: string): object => {
  const { limit } = JSON.parse(line) as { limit?: unknown };
  return typeof limit === "number" ? { limit } : {};
};

describe("--json", () => {
  it("is as documented", async () => {
    const path = await makeStore({ "x:1": at(9), "x:2": at(8), "x:3": at(1), y: {}, z: {} });
    const [report, decision, , history] = documentedExamples("`sessiondir prune`");
    const rules = [
      { name: "x", keys: "x:*", olderThan: "7d", keepNewest: 2 },
      { name: "y", keys: ["y", "z"], ttl: { field: "until" } },
    ];
    const some = policyFile({
      rules,
      archive: { maxBytes: "1GB" },
      store: { maxBytes: "1GB" },
      maxShare: 0.1,
    });
    const args = ["prune", "--store", path, "--policy", some, "--json"];
    const result = async (...more: string[]): Promise<unknown> =>
      JSON.parse((await run([...args, ...more])).stdout) as unknown;
    const example = { ...(report as object), archive: null };
    expect(deviationsBut(["archives"], await result("--dry-run"), example)).toEqual([]);
    expect(deviationsBut([], await result("--explain", "x:1"), decision)).toEqual([]);
    const listed = (await run([...args, "--dry-run", "--list"])).stdout.trimEnd().split("\n");
    expect(listed).toHaveLength(5);
    for (const line of listed)
      expect(
        deviationsBut(["limit", "updatedAt"], JSON.parse(line), {
          ...(decision as object),
          ...limitOf(line),
        }),
      ).toEqual([]);
    await run(args);
    expect(deviationsBut(["stop"], await result("--yes-remove", "1"), report)).toEqual([]);
    const attempts = JSON.parse((await run(["prune", "--history", "--store", path, "--json"])).stdout) as {
      attempts: object[];
    };
    const [stopped] = attempts.attempts;
    expect(deviationsBut([], { attempts: [stopped] }, history)).toEqual([]);
    expect(attempts.attempts).toHaveLength(2);

    const [restored] = documentedExamples("`sessiondir restore`") as { from: object }[];
    const list = await run(["restore", "--list", "--store", path, "--json"]);
    expect(deviationsBut([], JSON.parse(list.stdout), restored?.from)).toEqual([]);
    const back = await run(["restore", "x:1", "--store", path, "--json"]);
    expect(deviationsBut([], JSON.parse(back.stdout), restored)).toEqual([]);
  });
});

describe("prune of the stores of all agents", () => {
  const CRON_RULE = { name: "cron runs", keys: "agent:*:cron:*", olderThan: "7d" };
  const pathOf = (stateDirectory: string, agent: string): string =>
    join(stateDirectory, "agents", agent, "sessions", "sessions.d");

  /** @param agents How many old cron runs each has, beside three sessions that stay. */
  async function agents(counts: Readonly<Record<string, number>>): Promise<string> {
    const stateDirectory = emptyFolder();
    for (const [agent, count] of Object.entries(counts)) {
      const sessions: Record<string, Record<string, unknown>> = {};
      for (let n = 0; n < count; n++) sessions[`agent:${agent}:cron:${n}`] = at(9);
      for (let n = 0; n < 3; n++) sessions[`agent:${agent}:chat:${n}`] = at(1);
      mkdirSync(dirname(pathOf(stateDirectory, agent)), { recursive: true });
      await makeStore(sessions, pathOf(stateDirectory, agent));
    }
    return stateDirectory;
  }

  it("one plan and one result an agent, each with an archive of its own", async () => {
    const stateDirectory = await agents({ main: 2, ops: 1, quiet: 0 });
    const args = [
      "prune",
      "--policy",
      policyFile({ rules: [CRON_RULE] }),
      "--state-dir",
      stateDirectory,
      "--all-agents",
    ];
    const before = traces(stateDirectory);
    const planned = await run([...args, "--dry-run"]);
    const lines = (agent: string, of: number, remove: number): string =>
      `agent ${agent}\nwould remove ${remove} of ${of} sessions\n  cron runs: ${remove} matched, ${remove} to remove\n`;
    expect(planned).toEqual({
      code: 0,
      stdout: lines("main", 5, 2) + lines("ops", 4, 1) + lines("quiet", 3, 0),
      stderr: "",
    });
    const listed = await run([...args, "--dry-run", "--list", "--json"]);
    const rows = listed.stdout
      .trimEnd()
      .split("\n")
      .map((line) => JSON.parse(line) as { agent: string; action: string });
    expect(rows.filter(({ action }) => action === "remove").map(({ agent }) => agent)).toEqual([
      "main",
      "main",
      "ops",
    ]);
    expect(rows).toHaveLength(12);
    expect(traces(stateDirectory)).toEqual(before);

    const done = await run([...args, "--json"]);
    expect(done).toMatchObject({ code: 0, stderr: "" });
    const [, , example] = documentedExamples("`sessiondir prune`");
    const result = JSON.parse(done.stdout) as { stateDirectory: string; stores: Record<string, unknown>[] };
    expect(Object.keys(result)).toEqual(Object.keys(example as object));
    expect(result.stores.map(({ agent, removed, sessions }) => [agent, removed, sessions])).toEqual([
      ["main", 2, 5],
      ["ops", 1, 4],
      ["quiet", 0, 3],
    ]);
    for (const agent of ["main", "ops"]) {
      expect(await keysIn(pathOf(stateDirectory, agent))).toEqual(
        [0, 1, 2].map((n) => `agent:${agent}:chat:${n}`),
      );
      expect(readdirSync(archiveOf(pathOf(stateDirectory, agent)))).toHaveLength(2);
    }
    expect(existsSync(archiveOf(pathOf(stateDirectory, "quiet")))).toBe(false);
    const back = await run(["restore", "agent:ops:cron:0", "--state-dir", stateDirectory]);
    expect(back).toMatchObject({ code: 0 });
    const history = JSON.parse((await run(["prune", "--history", "--json", ...args.slice(3)])).stdout) as {
      stores: { agent: string; attempts: unknown[] }[];
    };
    expect(history.stores.map(({ agent, attempts }) => [agent, attempts.length])).toEqual([
      ["main", 1],
      ["ops", 2],
      ["quiet", 1],
    ]);
  });

  it("what is wrong with one agent, or stops its plan, is told, and the others have their turn", async () => {
    const stateDirectory = await agents({ broken: 1, main: 2, much: 9, old: 0 });
    rmSync(join(pathOf(stateDirectory, "broken"), ".store", "log"), { recursive: true });
    writeFileSync(join(pathOf(stateDirectory, "broken"), ".store", "format.json"), "{");
    renameSync(pathOf(stateDirectory, "old"), join(stateDirectory, "elsewhere"));
    writeFileSync(pathOf(stateDirectory, "old").replace(/\.d$/, ".json"), "{}");
    const policy = policyFile({ rules: [CRON_RULE] });
    const args = ["prune", "--policy", policy, "--state-dir", stateDirectory, "--all-agents"];
    const { code, stdout, stderr } = await run(args);
    expect(code).toBe(3);
    expect(stdout).toMatch(/agent main\nremoved 2 of 5 sessions/);
    expect(stderr).toMatch(/warning: agent broken: .*broken/);
    expect(stderr).toMatch(/warning: agent much: .*9 of 12/);
    expect(stderr).toMatch(/warning: agent old: .*sessiondir migrate/);
    expect(await keysIn(pathOf(stateDirectory, "much"))).toHaveLength(12);
    const json = JSON.parse((await run([...args, "--json"])).stdout) as {
      stores: { agent: string; error?: { code: string } }[];
    };
    expect(json.stores.map(({ agent, error }) => [agent, error?.code])).toEqual([
      ["broken", expect.any(String)],
      ["main", undefined],
      ["much", "retention_stopped"],
      ["old", "not_migrated"],
    ]);
    const one = [
      "prune",
      "--policy",
      policy,
      "--state-dir",
      stateDirectory,
      "--agent",
      "much",
      "--yes-remove",
      "9",
    ];
    expect((await run(one)).stdout).toMatch(/^removed 9 of 12/);
  });

  it("is told what it needs: --all-agents or --agent, and nothing that is of one store", async () => {
    const stateDirectory = await agents({ main: 1, ops: 1 });
    const policy = policyFile({ rules: [CRON_RULE] });
    const before = traces(stateDirectory);
    const args = ["prune", "--policy", policy, "--state-dir", stateDirectory];
    const usage = async (more: readonly string[], text: RegExp, env = {}): Promise<void> => {
      const { code, stdout, stderr } = await run([...args, ...more], { env });
      expect({ code, stdout }, more.join(" ")).toEqual({ code: 2, stdout: "" });
      expect(stderr).toMatch(text);
    };
    await usage(
      [],
      /2 agents have sessions below .*; choose one with --agent, or all with --all-agents: main, ops/,
    );
    await usage(["--all-agents", "--agent", "main"], /contradict each other/);
    await usage(["--all-agents", "--store", "x.d"], /leave out --store/);
    await usage(["--all-agents", "--archive", "x"], /each agent has its own/);
    await usage(["--all-agents", "--yes-remove", "3"], /--yes-remove is of one store/);
    await usage(["--all-agents", "--explain", "agent:main:cron:0"], /--explain is of one session/);
    const shared = policyFile({ rules: [CRON_RULE], archive: { folder: "a" } });
    args[2] = shared;
    await usage(["--all-agents"], /archive\.folder, and an archive is of one store/);
    args[2] = policy;
    // A key says whose it is.
    expect((await run([...args, "--explain", "agent:ops:cron:0"])).stdout).toMatch(
      /^remove {2}agent:ops:cron:0/,
    );
    expect(traces(stateDirectory)).toEqual(before);
    const none = await run(["prune", "--policy", policy, "--state-dir", emptyFolder(), "--all-agents"]);
    expect(none).toMatchObject({ code: 1, stdout: "" });
    expect(none.stderr).toMatch(/no agent has sessions below/);
  });
});
