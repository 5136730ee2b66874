/**
 * Goal: what is around the sessions is named: modes, links, strays (fault 23), leftovers, a full disk, legacy files that came back, mirrors,
 * cloud folders, copies; notes stay notes, and users' files stay where they are.
 * Method: each is put into a healthy store, which stays healthy or says who has to do what.
 */
import {
  chmodSync,
  existsSync,
  linkSync,
  mkdirSync,
  readFileSync,
  renameSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { nodeFileSystem } from "../../../src/fs/node-file-system.js";
import type { FileSystem } from "../../../src/fs/file-system.js";
import { examineStoreOn } from "../../../src/care/doctor/examine.js";
import { ManualRuntime } from "../../../src/testing/manual-runtime.js";
import { startMirror } from "../../../src/legacy/index.js";
import { logLine, useSandbox, type Sandbox } from "../../engine/directory/sandbox.js";
import { codes, cured, diagnosed, examine, expectSessions, found } from "./ward.js";

const holder = useSandbox();
const SESSIONS = { a: { updatedAt: 1 }, b: { updatedAt: 2 } };

async function healthy(): Promise<Sandbox> {
  await holder.box.filled(SESSIONS);
  return holder.box;
}

describe("stray files", () => {
  const LITTER = [
    ".DS_Store",
    "._meta.json",
    "Thumbs.db",
    ".nfs000000000001",
    "meta.json~",
    ".meta.json.swp",
    "#meta.json#",
    "meta.json.orig",
    ".meta.json.Xy12Zq",
  ];

  it("are named one by one as notes; a fix puts litter aside, and leaves what people saved", async () => {
    const box = await healthy();
    const folders = [box.folderOf("a"), box.at(".store"), box.at(".store", "log")];
    const litter = folders.flatMap((folder) => LITTER.map((name) => join(folder, name)));
    const theirs = folders.map((folder) => join(folder, "notes of mine.txt"));
    for (const path of [...litter, ...theirs]) writeFileSync(path, `in ${path}`);
    mkdirSync(box.at("a copy of mine"));
    const report = await diagnosed(box);
    expect(report.verdict).toBe("healthy");
    const named = report.findings.filter(({ code }) => code === "stray_file").map(({ path }) => path);
    expect(named.toSorted()).toEqual([...litter, ...theirs, box.at("a copy of mine")].toSorted());
    const { verdict, actions } = await cured(box);
    expect(verdict).toBe("repaired");
    for (const path of litter) expect(existsSync(path), path).toBe(false);
    for (const path of theirs) expect(readFileSync(path, "utf8")).toBe(`in ${path}`);
    expect(existsSync(box.at("a copy of mine"))).toBe(true);
    for (const { kept } of actions) expect(existsSync(kept ?? "")).toBe(true);
    await expectSessions(box, SESSIONS);
  });
});

describe("modes", () => {
  it.each([
    ["a folder that others may write", 0o777],
    ["one that others may read", 0o755],
  ])("%s: the command that mends it", async (_, mode) => {
    const box = await healthy();
    chmodSync(box.folderOf("a"), mode);
    const finding = found(await diagnosed(box), "mode_wrong");
    expect(finding).toMatchObject({ path: box.folderOf("a"), severity: "needs-you" });
    expect(finding.next).toBe(`chmod 0700 ${box.folderOf("a")}`);
  });

  it("a file of the log that others may read", async () => {
    const box = await healthy();
    chmodSync(box.segment(), 0o644);
    expect(found(await diagnosed(box, { level: "quick" }), "mode_wrong").next).toBe(
      `chmod 0600 ${box.segment()}`,
    );
  });

  it("a path that others could change: nothing else is looked at, and the command is there", async () => {
    const box = await healthy();
    chmodSync(box.path, 0o777);
    const report = await examine(box);
    expect(report.verdict).toBe("needs-you");
    expect(found(report, "path_untrusted").next).toContain(`chmod go-w ${box.path}`);
    chmodSync(box.path, 0o770);
    expect(codes(await examine(box, { trust: "group" }))).toEqual([]);
  });
});

describe("links", () => {
  it("in place of something of the store: put aside; what it leads to is not touched", async () => {
    const box = await healthy();
    renameSync(box.at(".store", "blobs"), join(box.root, "elsewhere"));
    symlinkSync(join(box.root, "elsewhere"), box.at(".store", "blobs"));
    expect(codes(await diagnosed(box))).toContain("link_found");
    await cured(box);
    expect(existsSync(join(box.root, "elsewhere"))).toBe(true);
    await expectSessions(box, SESSIONS);
  });

  it("beside it are notes, and a second name of the log is one", async () => {
    const box = await healthy();
    symlinkSync("/nowhere", join(box.folderOf("a"), "link of mine"));
    linkSync(box.segment(), join(box.root, "copy.jsonl"));
    const report = await diagnosed(box);
    expect(report.verdict).toBe("healthy");
    expect(found(report, "link_found")).toMatchObject({ severity: "note" });
    expect(found(report, "second_name").path).toBe(box.segment());
  });

  it("in place of .store: nobody but a person can say what was meant", async () => {
    const box = await healthy();
    renameSync(box.at(".store"), join(box.root, "store"));
    symlinkSync(join(box.root, "store"), box.at(".store"));
    const report = await examine(box, { fix: true, alone: true });
    expect(report.verdict).toBe("needs-you");
    expect(found(report, "link_found")).toMatchObject({ severity: "needs-you", path: box.at(".store") });
    expect(report.actions).toEqual([]);
  });
});

describe("leftovers", () => {
  it("of processes that were killed are notes, and go with a fix", async () => {
    const box = await healthy();
    mkdirSync(box.at(".store.building-00ff"), { mode: 0o700 });
    mkdirSync(box.at(".store", "stage", "1-00ff"), { mode: 0o700 });
    const report = await diagnosed(box);
    expect(report.findings.map(({ code }) => code)).toEqual(["leftover", "leftover"]);
    expect(report.verdict).toBe("healthy");
    await examine(box, { fix: true });
    await expectSessions(box, SESSIONS);
    expect((await diagnosed(box)).findings.filter(({ code }) => code === "leftover")).toEqual([]);
  });
});

describe("the disk", () => {
  it("that is nearly full", async () => {
    const box = await healthy();
    const fs: FileSystem = { ...nodeFileSystem, room: () => ({ freeBytes: 1000, totalBytes: 1e12 }) };
    const report = await examineStoreOn({ fs, runtime: new ManualRuntime() }, box.path, { settleMs: 0 });
    expect(found(report, "disk_nearly_full")).toMatchObject({ severity: "needs-you", bytes: 1000 });
  });

  it("that has no inodes left", async () => {
    const box = await healthy();
    const room = { freeBytes: 1e12, totalBytes: 1e12, freeFiles: 3, totalFiles: 1e6 };
    const fs: FileSystem = { ...nodeFileSystem, room: () => room };
    const report = await examineStoreOn({ fs, runtime: new ManualRuntime() }, box.path, { settleMs: 0 });
    expect(found(report, "inodes_nearly_out")).toMatchObject({ severity: "needs-you" });
    expect(codes(await examine(box))).toEqual([]);
  });

  it("that is a network's", async () => {
    const box = await healthy();
    const fs: FileSystem = { ...nodeFileSystem, fileSystemType: () => 0x6969n };
    const report = await examineStoreOn({ fs, runtime: new ManualRuntime() }, box.path, {
      settleMs: 0,
      level: "quick",
    });
    expect(found(report, "file_system_unsupported").cause).toContain("NFS");
  });
});

describe("beside a legacy file", () => {
  it("that came back: who wrote it, and what to do", async () => {
    const box = await healthy();
    writeFileSync(join(box.root, "sessions.json"), '{"x":{"sessionId":"1"}}');
    const report = await diagnosed(box);
    expect(found(report, "legacy_came_back")).toMatchObject({ severity: "needs-you" });
    expect(found(report, "legacy_came_back").next).toContain("sessiondir migrate --store");
  });

  it("that a mirror keeps: nothing, and a note when it is behind", async () => {
    const box = await healthy();
    const mirror = await startMirror(box.path);
    await mirror.flush();
    await mirror.stop();
    expect(codes(await diagnosed(box))).toEqual([]);
    await box.filled({ c: { updatedAt: 3 } });
    expect(found(await diagnosed(box), "mirror_behind")).toMatchObject({ severity: "note" });
  });

  it("that was left unfinished", async () => {
    const box = await healthy();
    mkdirSync(join(box.root, "sessions.d.building-00ff"));
    expect(found(await diagnosed(box), "legacy_unfinished").severity).toBe("note");
  });
});

describe("a folder that some program synchronises", () => {
  it.each(["Dropbox", "Library/CloudStorage/x", "OneDrive - Us"])("called %s", async (name) => {
    const box = await healthy();
    const path = join(box.root, name, "sessions.d");
    mkdirSync(join(path, ".."), { recursive: true, mode: 0o700 });
    renameSync(box.path, path);
    const report = await examineStoreOn({ fs: nodeFileSystem, runtime: new ManualRuntime() }, path, {
      settleMs: 0,
      level: "quick",
    });
    expect(found(report, "cloud_folder").severity).toBe("needs-you");
  });

  it("by what such a program leaves there", async () => {
    const box = await healthy();
    mkdirSync(join(box.root, ".stfolder"));
    writeFileSync(join(box.folderOf("a"), "meta.sync-conflict-20260101-000000-AAAAAAA.json"), "{}");
    const report = await diagnosed(box, { level: "quick" });
    expect(codes(report)).toEqual(["cloud_conflict", "cloud_folder"]);
  });
});

it("a copy that was made in the middle of writes: catalogs ahead, files ahead, a temporary file", async () => {
  const box = await healthy();
  box.writeEntry(box.entryFile("c"), "c", 999_999, { updatedAt: 3 });
  chmodSync(box.entryFile("c"), 0o600);
  writeFileSync(box.at("a", ".meta.json.Ab12Cd"), "half", { mode: 0o600 });
  const { storeId } = JSON.parse(readFileSync(box.at(".store", "format.json"), "utf8")) as {
    storeId: string;
  };
  const manifest = { catalog: 99, store: storeId, revision: 5, next: 6, incomplete: false, parts: [] };
  writeFileSync(box.at(".store", "catalog-99"), logLine(manifest), { mode: 0o600 });
  const report = await diagnosed(box);
  expect(report.findings.map(({ code }) => code).toSorted()).toEqual([
    "catalog_ahead",
    "entry_ahead",
    "entry_unlisted",
    "stray_file",
  ]);
  await cured(box);
  await expectSessions(box, { ...SESSIONS, c: { updatedAt: 3 } });
});
