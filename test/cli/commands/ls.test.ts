/**
 * Goal: `ls` shows every session with what is known of it, in the order and portion that was asked for.
 * Method: the built program on a store of three sessions; its JSON against docs/cli.md.
 */
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { describe, expect, it } from "vitest";
import { openDirectoryStore, openSessionStore } from "../../../src/index.js";
import { documentedExamples, deviations } from "../support/documented-shape.js";
import { run } from "../support/program.js";
import {
  CRON_KEY,
  emptyFolder,
  JAMES_KEY,
  MAIN_KEY,
  makeStore,
  NOW,
  revisionOf,
  type Sessions,
} from "../support/stores.js";

interface Listing {
  readonly store: string;
  readonly sessions: Record<string, unknown>[];
  readonly cursor?: string;
}

async function list(...args: string[]): Promise<Listing> {
  const { code, stdout, stderr } = await run(["ls", "--json", ...args]);
  expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
  return JSON.parse(stdout) as Listing;
}

const keys = (listing: Listing): unknown[] => listing.sessions.map((session) => session["key"]);

describe("ls", () => {
  it("prints a table with key, time, age, revision, channel, model and tokens", async () => {
    const store = await makeStore();
    const { code, stdout, stderr } = await run(["ls", "--store", store]);
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    const revision = async (key: string): Promise<string> => String(await revisionOf(store, key));
    const rows = stdout
      .trimEnd()
      .split("\n")
      .map((line) => line.split(/ {2,}/));
    expect(rows[0]).toEqual(["KEY", "UPDATED", "AGE", "REVISION", "CHANNEL", "MODEL", "TOKENS"]);
    const iso = new Date(NOW - 3 * 3_600_000).toISOString().replace(/\.\d+Z/, "Z");
    expect(rows[1]).toEqual([MAIN_KEY, iso, "3 h", await revision(MAIN_KEY), "webchat", "large", "123,456"]);
    expect(rows[2]).toEqual([
      JAMES_KEY,
      expect.anything(),
      "4 d",
      await revision(JAMES_KEY),
      "telegram",
      "-",
      "15",
    ]);
    expect(rows[3]).toEqual([CRON_KEY, "-", "-", await revision(CRON_KEY), "cron", "-", "-"]);
  });

  it("has the documented JSON", async () => {
    const store = await makeStore();
    const [example] = documentedExamples("`sessiondir ls`");
    const listing = await list("--store", store, "--limit", "1");
    expect(deviations(listing, example)).toEqual([]);
    expect(listing).toMatchObject({
      store,
      sessions: [
        { key: MAIN_KEY, revision: await revisionOf(store, MAIN_KEY), agent: "main", tokens: 123_456 },
      ],
    });
    const bare = (await list("--store", store, "--prefix", "agent:ops")).sessions[0] ?? {};
    expect(Object.keys(bare).sort()).toEqual(["agent", "channel", "key", "modifiedAt", "revision"]);
  });

  it("orders, reverses, selects and goes on page by page", async () => {
    const store = await makeStore();
    expect(keys(await list("--store", store))).toEqual([MAIN_KEY, JAMES_KEY, CRON_KEY]);
    expect(keys(await list("--store", store, "--descending"))).toEqual([CRON_KEY, JAMES_KEY, MAIN_KEY]);
    expect(keys(await list("--store", store, "--prefix", "agent:main:telegram:"))).toEqual([JAMES_KEY]);
    const newest = ["--store", store, "--order", "updatedAt", "--descending", "--limit", "2"];
    const first = await list(...newest);
    expect(keys(first)).toEqual([MAIN_KEY, JAMES_KEY]);
    const second = await list(...newest, "--cursor", first.cursor ?? "");
    expect(keys(second)).toEqual([CRON_KEY]);
    expect(second.cursor).toBeUndefined();
    const table = await run(["ls", ...newest]);
    expect(table.stderr).toContain(`--cursor ${first.cursor ?? ""}`);
  });

  it.each([
    [["--cursor", "nonsense"], "cursor"],
    [["--limit", "0"], "--limit must be a whole number of at least 1"],
    [["--limit", "1e3"], "--limit"],
    [["--order", "size"], "--order must be key or updatedAt"],
  ])("refuses %j", async (args, message) => {
    const { code, stdout, stderr } = await run(["ls", "--store", await makeStore(), ...args]);
    expect({ code, stdout }).toEqual({ code: 2, stdout: "" });
    expect(stderr).toContain(message);
  });

  it("says so when nothing matches", async () => {
    const store = await makeStore();
    const table = await run(["ls", "--store", store, "--prefix", "nobody"]);
    expect(table).toEqual({ code: 0, stdout: "", stderr: `no sessions in ${store} match\n` });
    expect(await list("--store", store, "--prefix", "nobody")).toEqual({
      store,
      revision: await revisionOf(store),
      sessions: [],
    });
  });

  it("finds the store of an agent in a state directory", async () => {
    const state = emptyFolder();
    for (const agent of ["main", "ops"]) {
      await makeStore(
        { [`agent:${agent}:main`]: { model: agent } },
        `${state}/agents/${agent}/sessions/sessions.d`,
      );
    }
    expect(keys(await list("--state-dir", state, "--agent", "ops"))).toEqual(["agent:ops:main"]);
    const several = await run(["ls"], { env: { OPENCLAW_STATE_DIR: state } });
    expect(several.code).toBe(2);
    expect(several.stderr).toContain("choose one with --agent, or all with --all-agents: main, ops");
    const got = await run(["get", "agent:main:main", "--state-dir", state, "--field", "model"]);
    expect(got.stdout).toBe('"main"\n'); // the key says whose it is
    const foreign = await run(["ls", "--state-dir", state, "--agent", "../ops"]);
    expect(foreign.code).toBe(2);
  });

  it("finds the store without an option: the argument, $SESSIONDIR_STORE, the current folder", async () => {
    const store = await makeStore();
    const other = await makeStore({ other: {} });
    const cwd = dirname(store);
    const found = async (args: string[], env = {}): Promise<unknown[]> => {
      const { code, stdout, stderr } = await run(["ls", "--json", ...args], { cwd, env });
      expect({ code, stderr }).toEqual({ code: 0, stderr: "" }); // no person's terminal: nothing is said
      return keys(JSON.parse(stdout) as Listing);
    };
    expect(await found([])).toHaveLength(3);
    expect(await found([other])).toEqual(["other"]);
    expect(await found([], { SESSIONDIR_STORE: other })).toEqual(["other"]);
    expect(await found(["sessions.d"], { SESSIONDIR_STORE: other })).toHaveLength(3);
    const inside = await run(["ls", "--json"], { cwd: store });
    expect(keys(JSON.parse(inside.stdout) as Listing)).toHaveLength(3);
  });

  it("lists all agents, says whose a row is, and leaves out an agent that is not a store", async () => {
    const state = emptyFolder();
    for (const agent of ["main", "ops"]) {
      await makeStore(
        { [`agent:${agent}:main`]: {}, same: {} },
        `${state}/agents/${agent}/sessions/sessions.d`,
      );
    }
    const all = ["ls", "--state-dir", state, "--all-agents"];
    const whole = JSON.parse((await run([...all, "--json"])).stdout) as Listing;
    expect(whole.sessions.map(({ agent, key }) => [agent, key])).toEqual([
      ["main", "agent:main:main"],
      ["ops", "agent:ops:main"],
      ["main", "same"],
      ["ops", "same"],
    ]);
    mkdirSync(`${state}/agents/broken/sessions/sessions.d/.store`, { recursive: true });
    const ended = await run([...all, "--limit", "2"]);
    expect(ended.code).toBe(3);
    expect(ended.stderr).toContain("agent broken was left out");
    expect(ended.stdout.split("\n").map((line) => line.split(/ +/)[0])).toEqual(["AGENT", "main", "ops", ""]);
    const json = JSON.parse((await run([...all, "--json"])).stdout) as object;
    expect(
      deviations(json, documentedExamples("`sessiondir ls`")[1]).filter((at) => !at.startsWith("- ")),
    ).toEqual([]);
  });

  it("says where a key is whose agent has another name now", async () => {
    const state = emptyFolder();
    await makeStore({ "agent:old:main": {} }, `${state}/agents/new/sessions/sessions.d`);
    const gone = await run(["get", "agent:old:main", "--state-dir", state]);
    expect(gone.code).toBe(1);
    expect(gone.stderr).toContain(`Agent "new" has it: --state-dir ${state} --agent new`);
    await makeStore({ "agent:old:other": {} }, `${state}/agents/old/sessions/sessions.d`);
    expect((await run(["get", "agent:old:main", "--state-dir", state])).stderr).toContain(
      'Agent "new" has it',
    );
  });
});

describe("ls of some sessions only", () => {
  it.each([
    [["--where", "model=large"], [MAIN_KEY]],
    [
      ["--where", "model!=large"],
      [CRON_KEY, JAMES_KEY],
    ],
    [["--where", "usage.total>=7"], [MAIN_KEY]],
    [["--where", "usage.total>7"], []],
    [["--where", "usage.parts[0].name=first"], [MAIN_KEY]],
    [["--where", 'model="large"'], [MAIN_KEY]],
    [["--where", "usage"], [MAIN_KEY]],
    [["--where", "tokens=15"], [JAMES_KEY]],
    [["--where", "channel=webchat"], [MAIN_KEY]],
    [["--where", "channel=telegram"], [JAMES_KEY]],
    [["--where", "model>a", "--where", "tokens<1"], []],
    [["--where", "toString"], []],
    [["--where", "__proto__"], []],
    [["--older-than", "1d"], [JAMES_KEY]],
    [
      ["--older-than", "1h"],
      [JAMES_KEY, MAIN_KEY],
    ],
    [
      ["--larger-than", "10kB"],
      [JAMES_KEY, MAIN_KEY],
    ],
    [["--larger-than", "1MB"], []],
    [["--grep", "webchat"], [MAIN_KEY]],
    [["--grep", "nightly"], [CRON_KEY]],
    [
      ["--prefix", "agent:main:", "--where", "sessionId"],
      [JAMES_KEY, MAIN_KEY],
    ],
  ])("%j", async (filter, expected) => {
    const found = keys(await list("--store", await makeStore(), ...filter));
    expect(new Set(found)).toEqual(new Set(expected));
  });

  it("means by channel what it shows", async () => {
    const path = await makeStore({ both: { channel: "webchat", lastChannel: "telegram" } });
    expect(keys(await list("--store", path, "--where", "channel=telegram"))).toEqual(["both"]);
    expect(keys(await list("--store", path, "--where", "channel=webchat"))).toEqual([]);
    expect(keys(await list("--store", path, "--where", "lastChannel=telegram"))).toEqual(["both"]);
  });

  it("finds a text in what was said, quotes and line breaks included", async () => {
    const path = await makeStore();
    const store = await openSessionStore(path);
    await store.append(JAMES_KEY, [{ role: "user", text: 'say "hi"\nthen go' }], { transcript: "tools" });
    await store.close();
    expect(keys(await list("--store", path, "--grep", 'say "hi"\nthen'))).toEqual([JAMES_KEY]);
    expect(keys(await list("--store", path, "--grep", "say hi"))).toEqual([]);
  });

  it("its limit is of those that match, and its cursor goes on right behind them", async () => {
    const sessions = Array.from({ length: 25 }, (_, n) => [
      `k${String(n).padStart(2, "0")}`,
      { even: n % 2 === 0 },
    ]);
    const path = await makeStore(Object.fromEntries(sessions) as Sessions);
    const all = keys(await list("--store", path, "--where", "even=true"));
    expect(all).toHaveLength(13);
    const seen: unknown[] = [];
    let cursor: string | undefined;
    do {
      const go = cursor === undefined ? [] : ["--cursor", cursor];
      const page = await list("--store", path, "--where", "even=true", "--limit", "5", ...go);
      seen.push(...keys(page));
      ({ cursor } = page);
    } while (cursor !== undefined);
    expect(seen).toEqual(all);
  });

  it("a transcript that cannot be searched is said, and the code is 3", async () => {
    const path = await makeStore();
    const store = await openDirectoryStore(path);
    await store.append(JAMES_KEY, ["one", "two"]);
    await store.checkpoint();
    await store.close();
    const folder = readdirSync(path).find((name) => name.endsWith("james")) ?? "";
    const chunk = readdirSync(join(path, folder)).find((name) => name.endsWith(".jsonl")) ?? "";
    const bytes = readFileSync(join(path, folder, chunk));
    bytes[bytes.length - 5] = 0x21;
    writeFileSync(join(path, folder, chunk), bytes);
    const { code, stderr } = await run(["ls", "--store", path, "--grep", "nothing like it"]);
    expect(code).toBe(3);
    expect(stderr).toContain("not all of it was searched");
  });

  it.each([
    [["--older-than", "30"], "as in 30d"],
    [["--older-than", "month"], "as in 30d"],
    [["--larger-than", "1XB"], "as in 1.5MB"],
    [["--where", "=1"], "--where"],
  ])("refuses %j with what it should be", async (args, message) => {
    const { code, stderr } = await run(["ls", "--store", await makeStore(), ...args]);
    expect(code).toBe(2);
    expect(stderr).toContain(message);
  });

  it("works over all agents", async () => {
    const state = emptyFolder();
    for (const agent of ["main", "ops"]) {
      const path = join(state, "agents", agent, "sessions", "sessions.d");
      mkdirSync(dirname(path), { recursive: true });
      await makeStore(undefined, path);
    }
    const found = await list("--state-dir", state, "--all-agents", "--where", "model=large");
    expect(found.sessions.map(({ key, agent }) => [key, agent])).toEqual([
      [MAIN_KEY, "main"],
      [MAIN_KEY, "ops"],
    ]);
  });
});
