/**
 * Goal: `--store postgres://…` is a store like any other for every command that is not about files, and a password is nowhere to be seen.
 * Method: the built program on a real server that asks for passwords; every command once, each of those that need a directory too.
 */
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { openPostgresStore } from "../../../src/postgres/open-postgres-store.js";
import { startServer, versionsHere, type TestServer } from "../../support/postgres/server.js";
import { connected } from "../../support/postgres/sql.js";
import { errorOf, run, start, type Ended, type RunOptions } from "../support/program.js";

const SECRET = "s3cr3t-Passwort";
const KEY = "agent:main:main";
const MOVED = fileURLToPath(new URL("../support/moved.jsonl", import.meta.url));
const LINES = fileURLToPath(new URL("../support/item.jsonl", import.meta.url));

const here = versionsHere().length > 0;

describe.runIf(here)(`stores in a database${here ? "" : " (skipped: no PostgreSQL here)"}`, () => {
  let server: TestServer;
  let folder: string;
  /** With the password, and as it is shown. */
  let url: string;
  let shown: string;

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), "sessiondir-server-"));
    server = await startServer({ fsync: "off" });
    await connected(server.url, async (sql) => {
      await sql(`create role gateway login password '${SECRET}'`);
      await sql("create database agents owner gateway");
    });
    await server.askForPasswords("gateway");
    url = `postgres://gateway:${SECRET}@127.0.0.1:${server.port}/agents`;
    shown = `postgres://gateway@127.0.0.1:${server.port}/agents`;
  });
  afterAll(async () => {
    await server.stop();
    rmSync(folder, { recursive: true, force: true });
  });

  async function ran(args: readonly string[], options: RunOptions = {}): Promise<Ended> {
    const ended = await run(args, options);
    expect(ended.stdout + ended.stderr).not.toContain(SECRET);
    return ended;
  }

  async function succeeds(args: readonly string[], options?: RunOptions): Promise<string> {
    const { code, stdout, stderr } = await ran(args, options);
    expect({ code, stderr, args }).toEqual({ code: 0, stderr: "", args });
    return stdout;
  }

  it("is made by put --create and nothing else", async () => {
    const store = `${url}?store=first&schema=made`;
    const error = errorOf(await ran(["get", KEY, "--store", store, "--json"]));
    expect(error).toMatchObject({ code: "store_not_found", exitCode: 1 });
    expect(error.data).toMatchObject({ store: "first", schema: "made" });
    expect((await ran(["put", KEY, "--data", "{}", "--store", store])).code).toBe(1);
    const put = ["put", KEY, "--data", '{"model":"large"}', "--store", store, "--create", "--json"];
    expect(JSON.parse(await succeeds([...put, "--dry-run"]))).toMatchObject({
      storeCreated: true,
      dryRun: true,
    });
    expect((await ran(["ls", "--store", store])).code).toBe(1);
    expect(JSON.parse(await succeeds(put))).toMatchObject({
      store: `${shown}?store=first&schema=made`,
      action: "create",
      storeCreated: true,
    });
    expect(JSON.parse(await succeeds(put))).not.toHaveProperty("storeCreated");
    expect(JSON.parse(await succeeds(["get", KEY, "--store", store]))).toMatchObject({ model: "large" });
  });

  it("is what every command on sessions and transcripts works on", async () => {
    const SESSIONDIR_STORE = `${url}?store=every`;
    const env = { SESSIONDIR_STORE, EDITOR: "true" };
    const file = join(folder, "every.jsonl.gz");
    const steps: readonly (readonly [readonly string[], RegExp])[] = [
      [["put", KEY, "--create", "--data", '{"model":"large","updatedAt":5}'], /created/],
      [["patch", KEY, "turns=1"], /patched/],
      [["edit", KEY], /unchanged/],
      [["get", KEY, "--field", "turns"], /^1\n$/],
      [["ls", "--json"], /"key":"agent:main:main"/],
      [["ls", "--prefix", "none", "--quiet", "--json"], /"sessions":\[\]/],
      [["transcript", "import", KEY, LINES], /1/],
      [["transcript", "append", KEY, "--name", "main"], /1/],
      [["transcript", "ls", KEY], /main/],
      [["transcript", "cat", KEY], /hello[^]*hi/],
      [["transcript", "tail", KEY, "-n", "1"], /hi/],
      [["watch", "--since", "0", "--limit", "2", "--json"], /"revision":2/],
      [["stats", "--json"], /"transcripts":\{"count":1,"items":2/],
      [["stats"], /transcripts/],
      [["export", "-o", file], /exported 1 session/],
      [["rename-key", KEY, "agent:main:moved"], /agent:main:moved/],
      [["rewrite", "model", "large", "small"], /1/],
      [["import", file, "--on-conflict", "fail"], /1/],
      [["import", MOVED, "--on-conflict", "replace"], /1/],
      [["prune", "--keys", "agent:none:*", "--older-than", "1d", "--dry-run"], /./],
      [["transcript", "truncate", KEY, "--after-seq", "1"], /1/],
      [["transcript", "rm", KEY, "--name", "main"], /main/],
      [["rm", KEY], /deleted/],
      [["__keys", "agent", "--", "ls"], /agent:main:moved/],
    ];
    for (const [args, said] of steps)
      expect(await succeeds(args, { env, input: '{"text":"hi"}' }), args.join(" ")).toMatch(said);
  });

  it.each([
    ["flush"],
    ["doctor"],
    ["mend"],
    ["rebuild"],
    ["backup create --backups /nowhere"],
    ["backup run --backups /nowhere --every 5m"],
    ["inspect"],
    ["migrate"],
    ["rollback"],
    ["mirror --once"],
  ])("%s says that it is for directories, and what there is instead", async (command) => {
    const error = errorOf(await ran([...command.split(" "), "--store", url, "--json"]));
    expect(error).toMatchObject({ code: "usage", exitCode: 2, data: { store: shown } });
    expect(error.message).toContain(
      `sessiondir ${command.replace(/ --.*/, "")} is for a store in a directory`,
    );
  });

  it("a password comes from the environment, from a password file and from a service", async () => {
    await (await openPostgresStore({ connectionString: url })).close();
    const bare = `postgres://gateway@127.0.0.1:${server.port}/agents`;
    await succeeds(["ls", "--quiet", "--store", bare], { env: { PGPASSWORD: SECRET } });
    const PGPASSFILE = join(folder, "pgpass");
    writeFileSync(PGPASSFILE, `# ours\nx:*:*:*:no\n127.0.0.1:${server.port}:*:gateway:${SECRET}\n`, {
      mode: 0o644,
    });
    expect((await ran(["ls", "--store", bare], { env: { PGPASSFILE } })).code).toBe(1);
    chmodSync(PGPASSFILE, 0o600);
    await succeeds(["ls", "--quiet", "--store", bare], { env: { PGPASSFILE } });
    const PGSERVICEFILE = join(folder, "services.conf");
    const lines = `host=127.0.0.1\nport=${server.port}\ndbname=agents\nuser=gateway\npassword=${SECRET}\n`;
    writeFileSync(PGSERVICEFILE, `[agents]\n${lines}`, { mode: 0o600 });
    await succeeds(["ls", "--quiet", "--store", "postgres://"], {
      env: { PGSERVICEFILE, PGSERVICE: "agents" },
    });
    await succeeds(["ls", "--quiet", "--store", "postgres://?service=agents&store=main"], {
      env: { PGSERVICEFILE },
    });
  });

  it.each([
    ["a wrong password", (): string => url.replace(SECRET, `${SECRET}x`), "server_refused", 1],
    ["no password", (): string => shown, "server_refused", 1],
    ["another database", (): string => `${url}x`, "server_refused", 1],
    ["no server", (): string => url.replace(/:\d+\/agents/, ":1/agents"), "server_unavailable", 1],
    ["a port that is none", (): string => url.replace(/:\d+\/agents/, ":99999/agents"), "usage", 2],
    ["TLS where there is none", (): string => `${url}?sslmode=require`, "server_unavailable", 1],
    ["a wrong schema", (): string => `${url}?schema=Public;drop`, "usage", 2],
    ["a parameter twice", (): string => `${url}?store=a&store=b`, "usage", 2],
    ["half an encoded character", (): string => `${url}?store=%e`, "usage", 2],
    ["an at sign that is not encoded", (): string => url.replace(SECRET, `${SECRET}@${SECRET}`), "usage", 2],
    ["a slash that is not encoded", (): string => url.replace(SECRET, `${SECRET}/${SECRET}`), "usage", 2],
    ["a store without a name", (): string => `${url}?store=`, "usage", 2],
  ] as const)(
    "%s: one line, a code, and what to do",
    async (_name, make, code, exitCode) => {
      const ended = await ran(["ls", "--store", make(), "--json"]);
      const error = errorOf(ended);
      expect(error).toMatchObject({ code, exitCode });
      expect(ended.stderr).not.toMatch(/should not happen|\n\s+at /);
    },
    20_000,
  );

  it("a password is not repeated by what complains of the command line", async () => {
    for (const args of [
      ["ls", `--stor=${url}`],
      ["ls", url, "--store", url],
      ["get", url, "--store", url],
      [url],
      ["put", KEY, "--data", url, "--store", url],
    ])
      expect((await ran(args)).code, args.join(" ")).not.toBe(0);
  });

  it.runIf(process.platform === "linux")("ps shows no password of a program that runs", async () => {
    const running = start(["watch", "--store", url]);
    await running.says("watching");
    const seen = readFileSync(`/proc/${running.process.pid}/cmdline`, "utf8");
    expect(seen).toContain("sessiondir");
    expect(seen).not.toContain(SECRET);
    running.process.kill("SIGINT");
    const { code, stdout, stderr } = await running.ended;
    expect(stdout + stderr).not.toContain(SECRET);
    expect(code).toBe(130);
  });

  it("keys of any characters are the same there", async () => {
    const store = `${url}?store=${encodeURIComponent("odd & 'names'?/#%")}`;
    const keys = ["a'b\"c;--", "%_\\", "\u{1f600}\ue000", "__proto__", "x y\tz", "$1"];
    for (const key of keys) await succeeds(["put", key, "--create", "--store", store, "--data", `{"k":1}`]);
    const { sessions } = JSON.parse(await succeeds(["ls", "--store", store, "--json"])) as {
      sessions: { key: string }[];
    };
    expect(sessions.map(({ key }) => key)).toEqual(keys.toSorted());
    for (const key of keys)
      expect(await succeeds(["get", key, "--store", store, "--field", "k"])).toBe("1\n");
  });
});
