/**
 * Goal: an operator makes, lists, verifies, restores and prunes backups, and is told what is wrong and what to do, in every wrong
 * place: on nothing, on a wrong path, on a read-only disk, on a full one, with Ctrl-C.
 * Method: the built program. Each JSON is compared with the example in docs/cli.md.
 */
import {
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  writeFileSync,
} from "node:fs";
import { dirname, join } from "node:path";
import { describe, expect, it } from "vitest";
import { openDirectoryStore, openSessionStore } from "../../../src/index.js";
import { deviations, documentedExamples } from "../support/documented-shape.js";
import { errorOf, run, start, type Ended } from "../support/program.js";
import { CRON_KEY, emptyFolder, makeReadOnly, makeStore, SESSIONS, traces } from "../support/stores.js";

/** Root may write anywhere: in a read-only directory another user has to try. */
const user = process.getuid?.() === 0 ? 65534 : undefined;

interface Place {
  readonly store: string;
  readonly backups: string;
}

async function makePlace(): Promise<Place> {
  const store = await makeStore();
  return { store, backups: join(dirname(store), "backups") };
}

function create({ store, backups }: Place, ...options: readonly string[]): Promise<Ended> {
  return run(["backup", "create", "--store", store, "--backups", backups, ...options]);
}

function on(
  { backups }: Pick<Place, "backups">,
  command: string,
  ...options: readonly string[]
): Promise<Ended> {
  return run(["backup", command, "--backups", backups, ...options]);
}

const json = ({ stdout }: Ended): Record<string, unknown> => JSON.parse(stdout) as Record<string, unknown>;

describe("the documented shapes", () => {
  it("create, list, verify, restore, prune and run", async () => {
    const place = await makePlace();
    const [created] = documentedExamples("`sessiondir backup create`");
    const made = await create(place, "--json");
    expect(made).toMatchObject({ code: 0, stderr: "" });
    expect(deviations(json(made), created)).toEqual([]);
    expect(json(made)).toMatchObject({
      sessions: Object.keys(SESSIONS).length,
      store: place.store,
      path: place.backups,
    });

    const [listed, attempted] = documentedExamples("`sessiondir backup list`");
    expect(deviations(json(await on(place, "list", "--json")), listed)).toEqual([]);
    const attempts = json(await on(place, "list", "--attempts", "--json"));
    expect(attempts).toMatchObject({ attempts: [{ what: "create", outcome: "done" }] });
    const [done] = (attempted as { attempts: unknown[] }).attempts;
    expect(deviations((attempts["attempts"] as unknown[])[0], done)).toEqual([]);

    const [verified] = documentedExamples("`sessiondir backup verify`") as [Record<string, unknown>];
    const deep = await on(place, "verify", "--deep", "--json", "--scratch", dirname(place.store));
    expect(deep.code).toBe(0);
    expect(deviations({ ...json(deep), unknown: verified["unknown"] }, verified)).toEqual([]);

    const to = join(dirname(place.store), "restored.d");
    const [restored] = documentedExamples("`sessiondir backup restore`");
    const seen = await on(place, "restore", "--to", to, "--json", "--dry-run");
    expect(deviations(json(seen), restored)).toEqual([]);
    expect(existsSync(to)).toBe(false);
    const told = await on(place, "restore", "--to", to, "--dry-run");
    expect(told.stdout).toContain(`would restore ${String(json(made)["name"])} to ${to}: `);
    expect(deviations(json(await on(place, "restore", "--to", to, "--json")), restored)).toEqual([]);
    const entries = async (path: string): Promise<string> =>
      JSON.stringify(json(await run(["ls", "--store", path, "--json"]))["sessions"]);
    expect(await entries(to)).toBe(await entries(place.store));

    await create(place);
    const [pruned] = documentedExamples("`sessiondir backup prune`");
    const plan = await on(place, "prune", "--keep-last", "1", "--dry-run", "--json");
    expect(deviations(json(plan), pruned)).toEqual([]);
    expect(json(plan)).toMatchObject({ dryRun: true, removed: [json(made)["name"]] });

    const [ran, failed] = documentedExamples("`sessiondir backup run`");
    const loop = ["--store", place.store, "--every", "1s", "--keep-last", "1", "--json"];
    const twice = await on(place, "run", ...loop, "--times", "2");
    expect(twice.code).toBe(0);
    const lines = twice.stdout.trimEnd().split("\n");
    expect(lines).toHaveLength(2);
    for (const line of lines) expect(deviations(JSON.parse(line), ran)).toEqual([]);
    expect(readdirSync(join(place.backups, "manifests"))).toHaveLength(1);
    expect(deviations({ error: { code: "x", message: "y" } }, failed)).toEqual([]);
  });
});

describe("for people", () => {
  it("the restore drill of the docs: make, damage, restore, compare", async () => {
    const place = await makePlace();
    const drill = /^## Restore drill[\s\S]*?^```\n([\s\S]*?)^```/m.exec(
      readFileSync("docs/backup.md", "utf8"),
    )?.[1];
    expect(drill?.trim().split("\n")).toHaveLength(4);
    const { spawnSync } = await import("node:child_process");
    const { MAIN } = await import("../support/program.js");
    const cwd = dirname(place.store);
    const script = `set -e\nsessiondir() { "${process.execPath}" "${MAIN}" "$@"; }\n${drill}`;
    const { status, stdout, stderr } = spawnSync("sh", ["-c", script], { cwd, encoding: "utf8" });
    expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
    expect(stdout).toContain("3 sessions at revision");
    expect(stdout.trimEnd().split("\n").at(-1)).toBe("the same");
  });

  it("says what was made, found and removed, and where the newest attempts failed", async () => {
    const place = await makePlace();
    const first = await create(place);
    expect(first.stdout).toMatch(
      /^backup \S+: 3 sessions at revision [\d,]+, .* written, verified, in .* s\n$/,
    );
    await create(place, "--quiet");
    const list = await on(place, "list");
    expect(list.stdout).toMatch(/^NAME .*\n(\S+Z-[0-9a-f]{6} .*\n){2}$/);
    expect(list.stderr).toBe("");
    const verify = await on(place, "verify");
    expect(verify.stdout).toMatch(/^(\S+: good, 3 sessions at revision .*\n){2}$/);
    const prune = await on(place, "prune", "--keep-last", "1");
    expect(prune.stdout).toMatch(/^removed {2}\S+\nremoved 1 backup, 1 stay; .* are free\n$/);
    // A log that cannot be read is not backed up.
    const log = join(place.store, ".store/log");
    for (const name of readdirSync(log)) {
      const bytes = readFileSync(join(log, name));
      bytes[200] = bytes[200]! ^ 1;
      writeFileSync(join(log, name), bytes);
    }
    const failed = await create(place);
    expect(failed).toMatchObject({ code: 3, stdout: "" });
    expect(failed.stderr).toMatch(
      /No backup was made\. .*mend the log first \(sessiondir mend --store .*\)\.\n$/,
    );
    expect((await on(place, "list")).stderr).toMatch(
      /^1 of the newest attempts made no backup; the last one: .*\n$/,
    );
    expect((await on(place, "list", "--attempts")).stdout).toMatch(/create +failed .*log_damaged: /);
  });

  it("damage is named, with code 3, and not restored", async () => {
    const place = await makePlace();
    await create(place);
    const objects = join(place.backups, "objects");
    const [prefix = ""] = readdirSync(objects);
    const [name = ""] = readdirSync(join(objects, prefix));
    const path = join(objects, prefix, name);
    writeFileSync(path, "");
    writeFileSync(join(place.backups, "notes.txt"), "");
    const { code, stdout } = await on(place, "verify");
    expect(code).toBe(3);
    expect(stdout).toContain(`damaged  ${path}`);
    expect(stdout).toContain(`unknown  ${join(place.backups, "notes.txt")}`);
    const to = join(dirname(place.store), "restored.d");
    const restore = await on(place, "restore", "--to", to, "--json");
    expect(errorOf(restore)).toMatchObject({ code: "backup_damaged", exitCode: 3, data: { path } });
    expect(existsSync(to)).toBe(false);
    const list = await on(place, "list");
    expect(list.code).toBe(3);
    expect(list.stdout).toContain("DAMAGED");
  });
});

const COMMANDS: readonly (readonly string[])[] = [
  ["list"],
  ["list", "--attempts"],
  ["verify"],
  ["verify", "latest", "--deep"],
  ["restore", "--to", "restored.d"],
  ["prune", "--keep-last", "1"],
  ["prune", "--keep-last", "1", "--dry-run"],
];

describe.each(COMMANDS)("%s %s %s %s in a wrong place", (...args) => {
  it("on nothing, in an empty folder, in one that is none of ours, in a file", async () => {
    const cwd = emptyFolder();
    mkdirSync(join(cwd, "empty"));
    mkdirSync(join(cwd, "photos"));
    writeFileSync(join(cwd, "photos/a.jpg"), "");
    writeFileSync(join(cwd, "file"), "");
    const before = traces(cwd);
    const none = await run(["backup", ...args], { cwd });
    expect(none).toMatchObject({ code: 2, stdout: "" });
    expect(none.stderr).toContain("Give --backups PATH");
    for (const [backups, code] of [
      ["none", "backup_not_found"],
      ["empty", "backup_not_found"],
      ["photos", "backup_place"],
      ["file", "backup_place"],
    ] as const) {
      const ended = await run(["backup", ...args, "--backups", backups, "--json"], { cwd });
      expect(ended).toMatchObject({ code: 1, stdout: "" });
      expect(errorOf(ended)).toMatchObject({ code, data: { path: join(cwd, backups) } });
    }
    expect(traces(cwd)).toEqual(before);
  });
});

describe.each([["create"], ["run", "--every", "1s", "--times", "1"]])("%s in a wrong place", (...args) => {
  it("without a store, in an empty folder, on a missing path", async () => {
    const cwd = emptyFolder();
    for (const store of [".", "sessions.d", "no/such.d"]) {
      const { code, stdout, stderr } = await run(["backup", ...args, "--store", store, "--backups", "b"], {
        cwd,
      });
      expect({ code, stdout }).toEqual({ code: 1, stdout: "" });
      expect(stderr).toMatch(/^sessiondir: there is no session store at .*Check --store; .*\n$/);
    }
    expect(readdirSync(cwd)).toEqual([]);
  });
});

describe("a session that this user may not read", () => {
  it("costs that session and no backup: named by create, list and restore, and the code tells", async ({
    skip,
  }) => {
    if (user === undefined) skip("only root can give a folder to another user");
    const place = await makePlace();
    const folder = dirname(place.store);
    const store = await openDirectoryStore(place.store);
    await store.checkpoint();
    await store.close();
    for (const name of [".", ...readdirSync(folder, { recursive: true, encoding: "utf8" })])
      chownSync(join(folder, name), user ?? 0, user ?? 0);
    if ((await run(["--version"], { user })).code !== 0) skip("another user cannot read the program");
    const lost = join(place.store, encodeURIComponent(CRON_KEY));
    chownSync(lost, 0, 0);
    const made = await run(["backup", "create", "--store", place.store, "--backups", place.backups], {
      user,
    });
    expect(made.code).toBe(3);
    expect(made.stderr).toContain(
      `${lost} of session ${JSON.stringify(CRON_KEY)} is not in the backup: this user may not`,
    );
    expect(made.stdout).toMatch(/: 2 sessions at .*; 1 file could not be read\n$/);
    const verified = await run(["backup", "verify", "--deep", "--backups", place.backups], { user });
    expect(verified).toMatchObject({ code: 0, stderr: "" });
    expect(verified.stdout).toMatch(
      /: good, 2 sessions .*\n {2}without agent:ops:.* could not be read when it was made\n$/,
    );
    const listed = await run(["backup", "list", "--backups", place.backups], { user });
    expect(listed).toMatchObject({ code: 0 });
    expect(listed.stderr).toContain(`is without ${CRON_KEY}, which could not be read`);
    const to = join(folder, "restored.d");
    const restored = await run(["backup", "restore", "--backups", place.backups, "--to", to, "--json"], {
      user,
    });
    expect(restored.code).toBe(3);
    expect(json(restored)["leftOut"]).toEqual([
      { path: encodeURIComponent(CRON_KEY), key: CRON_KEY, reason: "this user may not read it" },
    ]);
    expect(restored.stderr).toContain(`without ${CRON_KEY}`);
    const keys = Object.keys(SESSIONS).filter((key) => key !== CRON_KEY);
    const { sessions } = json(await run(["ls", "--store", to, "--json"], { user })) as {
      sessions: { key: string }[];
    };
    expect(sessions.map(({ key }) => key)).toEqual(keys);
  });
});

describe("a disk that takes nothing", () => {
  it("a read-only place for backups, or for a restore: refused with what to do", async ({ skip }) => {
    if (process.platform === "win32") skip("modes mean something else here");
    const place = await makePlace();
    await create(place);
    const folder = dirname(place.store);
    makeReadOnly(folder, user);
    if ((await run(["--version"], { user })).code !== 0) skip("another user cannot read the program");
    const before = traces(folder);
    const made = await run(["backup", "create", "--store", place.store, "--backups", join(folder, "new")], {
      user,
    });
    expect(made).toMatchObject({ code: 1, stdout: "" });
    expect(made.stderr).toMatch(/EACCES.*Run it as the user that the gateway runs as/);
    const restored = await run(
      ["backup", "restore", "--backups", place.backups, "--to", join(folder, "r.d")],
      { user },
    );
    expect(restored).toMatchObject({ code: 1, stdout: "" });
    expect(restored.stderr).toMatch(/EACCES/);
    // Reading works there: what it found is told, and that it could not be recorded.
    const verified = await run(["backup", "verify", "--backups", place.backups], { user });
    expect(verified.code).toBe(0);
    expect(verified.stdout).toContain(": good, 3 sessions");
    expect(verified.stderr).toMatch(/warning: could not record the attempt/);
    expect((await run(["backup", "list", "--backups", place.backups], { user })).code).toBe(0);
    expect(traces(folder)).toEqual(before);
    chmodSync(folder, 0o700);
  });
});

describe("interrupted", () => {
  it("run ends with 130, and leaves whole backups and no half ones", async () => {
    const place = await makePlace();
    const running = start([
      "backup",
      "run",
      "--store",
      place.store,
      "--backups",
      place.backups,
      "--every",
      "1s",
    ]);
    await expect.poll(() => running.stdout, { timeout: 20_000 }).toMatch(/verified/);
    running.process.kill("SIGTERM");
    expect((await running.ended).code).toBe(130);
    expect((await on(place, "verify")).code).toBe(0);
    expect(readdirSync(join(place.backups, "making"))).toEqual([]);
  });

  it("create at any moment: nothing is half done, and the next one is made", async () => {
    const place = await makePlace();
    const store = await openSessionStore<Record<string, unknown>>(place.store);
    for (let n = 0; n < 400; n++) await store.put(`session ${n}`, { n, text: "x".repeat(2000) });
    await store.flush?.();
    await store.close();
    const running = start(["backup", "create", "--store", place.store, "--backups", place.backups]);
    await expect.poll(() => existsSync(join(place.backups, "objects")), { timeout: 20_000 }).toBe(true);
    running.process.kill("SIGINT");
    const { code, stderr } = await running.ended;
    if (code === 130) expect(stderr).toContain("No backup was made; those that were there are as they were.");
    else expect(code).toBe(0); // it was faster
    expect((await create(place)).code).toBe(0);
    expect((await on(place, "verify")).code).toBe(0);
  });
});

describe("a wrong command line", () => {
  it.each([
    [["backup"], /which command: it has create, list, verify, restore, prune, run/],
    [["backup", "make"], /backup has no command "make"/],
    [["backup", "prune", "--backups", "b"], /nothing is pruned unasked/],
    [["backup", "prune", "--backups", "b", "--keep-last", "x"], /--keep-last must be a whole number/],
    [["backup", "run", "--backups", "b", "--store", "s", "--every", "5"], /--every must be a time such as/],
    [["backup", "run", "--backups", "b", "--store", "s", "--every", "0s"], /--every must be a time such as/],
    [["backup", "restore", "--backups", "b"], /required option '--to <path>'/],
  ])("%j", async (args, message) => {
    const { code, stderr } = await run(args, { cwd: emptyFolder() });
    expect(code).toBe(2);
    expect(stderr).toMatch(message);
  });
});
