/**
 * Goal: one rule for symlinks. Whatever name a file is called by, every function works on the real file in its real folder,
 * and finds there what another function has left under another name.
 * Method: one real file on the simulated disk, reached through links at every level, relative, absolute, in a row, dangling.
 */
import { describe, expect, it } from "vitest";
import { startMirrorOn } from "../../src/legacy/back/mirror.js";
import { rollbackOn } from "../../src/legacy/back/rollback.js";
import { inspectOn } from "../../src/legacy/inspect.js";
import { migrateOn } from "../../src/legacy/migrate.js";
import { findStores, migrateEachStore } from "../../src/legacy/state-directory.js";
import { openDirectoryStoreOn } from "../../src/store/open.js";
import { LegacyMachine, pretty, type Sessions } from "./legacy-machine.js";

const STATE = "/home/state";
const SESSIONS: Sessions = { a: { updatedAt: 1 } };
const REAL = "/data/real/sessions.json";

type Prepare = (disk: LegacyMachine["disk"]) => string;

/** Each makes links to `/data/real` and gives a name of the file in it. */
const LINKS: readonly (readonly [string, Prepare])[] = [
  ["the file", (disk) => link(disk, "/home/agent/sessions.json", REAL)],
  ["the file, by another name", (disk) => link(disk, "/home/agent/alias.json", REAL)],
  [
    "the file, relatively",
    (disk) => link(disk, "/home/agent/sessions.json", "../../data/real/sessions.json"),
  ],
  [
    "the file, through `..` of a linked folder",
    (disk) => {
      disk.makeDirectory("/data/deep/folder");
      disk.symlink("/home/deep", "/data/deep/folder");
      return link(disk, "/home/agent/sessions.json", "/home/deep/../../real/sessions.json");
    },
  ],
  [
    "a link to a link",
    (disk) =>
      link(disk, "/home/two.json", link(disk, "/home/agent/one.json", "../../data/real/sessions.json")),
  ],
  ["its folder", (disk) => `${link(disk, "/home/agent/sessions", "/data/real")}/sessions.json`],
  [
    "the agent's folder",
    (disk) => {
      disk.symlink("/data/real/sessions", "/data/real");
      return `${link(disk, "/home/agents/main", "/data/real")}/sessions/sessions.json`;
    },
  ],
  ["a folder above", (disk) => `${link(disk, "/home/volume", "/data")}/real/sessions.json`],
];

function link(disk: LegacyMachine["disk"], path: string, target: string): string {
  disk.makeDirectory(path.slice(0, path.lastIndexOf("/")));
  disk.symlink(path, target);
  return path;
}

describe.each(LINKS)("a link in place of %s", (_name, prepare) => {
  it("is followed by every function, there and back", async () => {
    const machine = new LegacyMachine();
    machine.disk.writeRaw(REAL, pretty(SESSIONS));
    const path = prepare(machine.disk);
    const host = machine.process();
    expect(await inspectOn(host, path)).toMatchObject({ path: REAL, outcome: "migrated" });
    const report = await migrateOn(machine.process(), path);
    expect(report).toMatchObject({ outcome: "migrated", path: REAL, directory: "/data/real/sessions.d" });
    expect(report.backups[0]).toMatch(/^\/data\/real\/sessions\.json\.saved-/);
    expect((await migrateOn(machine.process(), path)).outcome).toBe("already_directory");
    expect(await machine.sessions("/data/real/sessions.d")).toEqual(SESSIONS);
    const { fs, runtime } = machine.process();
    const store = await openDirectoryStoreOn<object>(fs, runtime, path);
    await store.put("b", { updatedAt: 2 });
    await store.close();
    const mirror = await startMirrorOn(machine.process(), path);
    expect(mirror.path).toBe(REAL);
    await mirror.flush();
    await mirror.stop();
    expect((await rollbackOn(machine.process(), path)).outcome).toBe("rolled_back");
    const expected = { ...SESSIONS, b: { updatedAt: 2 } };
    expect(JSON.parse(machine.disk.readRaw(REAL)?.toString() ?? "")).toEqual(expected);
    expect((await rollbackOn(machine.process(), path)).outcome).toBe("already_legacy");
  });
});

describe("the links of a state directory", () => {
  it.each([
    ["the state directory", STATE, "/data/state"],
    ["the agents' folder", `${STATE}/agents`, `${STATE}/elsewhere`],
    ["an agent's folder", `${STATE}/agents/main`, `${STATE}/elsewhere/main`],
    ["a sessions folder", `${STATE}/agents/main/sessions`, `${STATE}/elsewhere/main/sessions`],
  ])("%s", async (_name, from, to) => {
    const machine = new LegacyMachine();
    const within = `${STATE}/agents/main/sessions/sessions.json`.slice(from.length);
    machine.disk.writeRaw(`${to}${within}`, pretty(SESSIONS));
    link(machine.disk, from, to);
    const result = await migrateEachStore(machine.process(), { stateDirectory: STATE }, migrateOn);
    expect(result).toMatchObject({ counts: { inspected: 1, migrated: 1 }, warnings: [], exitCode: 0 });
    expect(result.reports[0]?.path).toBe(`${to}${within}`);
  });

  it("one that leads out is left alone, whatever it stands for", async () => {
    const machine = new LegacyMachine();
    machine.disk.writeRaw(REAL, pretty(SESSIONS));
    link(machine.disk, `${STATE}/agents/one/sessions/sessions.json`, REAL);
    link(machine.disk, `${STATE}/agents/two/sessions`, "/data/real");
    const { targets, warnings } = await findStores(machine.process(), STATE, []);
    expect(targets).toEqual([]);
    expect(warnings.map(({ code }) => code)).toEqual(["link_outside", "link_outside"]);
  });
});

it.each([
  ["nothing", "/data/none/sessions.json", "missing", undefined],
  ["itself", "/home/link.json", "skipped_invalid", "file_unsafe"],
  ["a name without .json", "/data/real/other.txt", "skipped_invalid", "file_unsafe"],
  ["a folder", "/data/folder.json", "skipped_invalid", "file_unsafe"],
])("a link to %s has an outcome, and nothing is changed", async (_name, target, outcome, code) => {
  const machine = new LegacyMachine();
  machine.disk.makeDirectory("/data/folder.json");
  machine.disk.symlink("/home/link.json", target);
  const before = machine.disk.tree();
  const report = await migrateOn(machine.process(), "/home/link.json");
  expect(report.outcome).toBe(outcome);
  expect(report.error?.code).toBe(code);
  expect((await rollbackOn(machine.process(), "/home/link.json")).outcome).toBe(outcome);
  expect(machine.disk.tree()).toEqual(before);
});

it("a failure behind the rename says that the store is authoritative, and not that nothing was changed", async () => {
  const machine = new LegacyMachine();
  machine.disk.writeRaw(REAL, pretty(SESSIONS));
  const host = machine.process();
  let moved = false;
  host.fs.onCall = ({ name, args }) => {
    if (moved && name === "fsync") return { failSync: true };
    moved ||= name === "rename" && args[1] === "/data/real/sessions.d";
    return undefined;
  };
  const report = await migrateOn(host, REAL);
  expect(report).toMatchObject({ outcome: "failed", error: { code: "io_error" } });
  expect(report.error?.message).toContain("The store /data/real/sessions.d was made");
  expect(report.error?.message).not.toMatch(/unchanged|nothing was changed/i);
  expect((await migrateOn(machine.process(), REAL)).outcome).toBe("merged");
});
