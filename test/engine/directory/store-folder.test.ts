/**
 * Goal: a store comes into being whole and once, whoever else opens it at the same time and wherever a process dies.
 * Method: simulated processes that open the same new store with their calls interleaved in many ways; a kill and a
 * power cut at every call of the first opening; every call failing once.
 */
import { describe, expect, it } from "vitest";
import { SessionStoreError, type StoreWarning } from "../../../src/errors.js";
import {
  findStoreFolder,
  makeStoreFolder,
  type StoreFolder,
} from "../../../src/engine/directory/store-folder.js";
import { openDirectoryStoreOn } from "../../../src/store/open.js";
import { systemError } from "../../../src/testing/simulated/system-error.js";
import { ManualRuntime } from "../../../src/testing/manual-runtime.js";
import { seededRandom } from "../../../src/testing/seeded-random.js";
import { SimulatedDisk, type PowerCutMode } from "../../../src/testing/simulated/disk.js";
import { failNth, type SimulatedFileSystem } from "../../../src/testing/simulated/file-system.js";
import { codeOf } from "./sandbox.js";

const PATH = "/home/gateway/sessions.d";

async function openFolder(
  fs: SimulatedFileSystem,
  seed: number,
  warnings: StoreWarning[] = [],
): Promise<StoreFolder> {
  const options = {
    fs,
    runtime: new ManualRuntime({ seed }),
    path: PATH,
    readOnly: false,
    create: true,
    trust: "owner" as const,
    onWarning: (warning: StoreWarning) => warnings.push(warning),
  };
  return findStoreFolder(options) ?? (await makeStoreFolder(options));
}

/** The store works, and nothing is left of unfinished ones once a checkpoint has swept. */
async function expectGood(disk: SimulatedDisk, seed: number): Promise<void> {
  const fs = disk.mount("after");
  const store = await openDirectoryStoreOn<object>(fs, new ManualRuntime({ seed }), PATH, {
    durability: "os",
  });
  await store.put("a", { version: 1 });
  await store.checkpoint();
  expect(await store.get("a")).toEqual({ version: 1 });
  await store.close();
  expect(fs.openPaths).toEqual([]);
  expect(Object.keys(disk.tree(PATH)).filter((path) => path.includes("building"))).toEqual([]);
}

describe("a new store", () => {
  it("has what the format says, synced, with private modes", async () => {
    const disk = new SimulatedDisk();
    const folder = await openFolder(disk.mount("one"), 1);
    expect(folder.root.realPath).toBe(PATH);
    folder.root.close();
    disk.powerCut("durable-only");
    const names = Object.keys(disk.tree(PATH)).map((path) => path.slice(PATH.length));
    expect(names.map((name) => name.replace(/1-[0-9a-f]+/, "1-x"))).toEqual([
      "/.store/",
      "/.store/blobs/",
      "/.store/format.json",
      "/.store/log/",
      "/.store/log/00000001.jsonl",
      "/.store/quarantine/",
      "/.store/reserve",
      "/.store/stage/",
      "/.store/stage/1-x/",
      "/.store/trash/",
    ]);
  });

  it("is made in a folder that only has hidden files, and nowhere else", async () => {
    const disk = new SimulatedDisk();
    disk.writeRaw(`${PATH}/.gitignore`, "*");
    (await openFolder(disk.mount("one"), 1)).root.close();
    expect(disk.readRaw(`${PATH}/.gitignore`)?.toString()).toBe("*");
    const other = new SimulatedDisk();
    other.writeRaw(`${PATH}/document.txt`, "theirs");
    expect(await codeOf(() => openFolder(other.mount("one"), 1))).toBe("not_a_store");
    expect(Object.keys(other.tree(PATH))).toEqual([`${PATH}/document.txt`]);
  });

  it.each(Array.from({ length: 60 }, (_, seed) => seed))(
    "opened by three at once is one store (schedule %i)",
    async (seed) => {
      const disk = new SimulatedDisk();
      const random = seededRandom(seed + 1);
      const waiting: (() => void)[] = [];
      const mounts = ["p1", "p2", "p3"].map((name) => disk.mount(name));
      for (const mount of mounts) mount.gate = () => new Promise<void>((resolve) => waiting.push(resolve));
      let open = mounts.length;
      const folders = mounts.map((mount, index) =>
        openFolder(mount, seed * 10 + index).finally(() => {
          open -= 1;
        }),
      );
      while (open > 0) {
        for (let turn = 0; turn < 20; turn++) await Promise.resolve();
        const [next] = waiting.splice(Math.floor(random() * waiting.length), 1);
        next?.();
      }
      const opened = await Promise.all(folders);
      expect(new Set(opened.map(({ storeId }) => storeId)).size).toBe(1);
      for (const { root } of opened) root.close();
      for (const mount of mounts) expect(mount.openPaths).toEqual([]);
      await expectGood(disk, 500 + seed);
    },
  );
});

describe("another process that makes it at the same time", () => {
  it("O6, F3: what it made on the way to the store, and did not sync, is synced", async () => {
    const disk = new SimulatedDisk();
    const slow = disk.mount("slow");
    slow.gate = ({ name }) => (name === "fsync" ? new Promise(() => {}) : undefined);
    void openFolder(slow, 1);
    await turns();
    expect(disk.tree("/")).toHaveProperty(["/home/"]);
    const options = { durability: "disk" } as const;
    const store = await openDirectoryStoreOn<object>(disk.mount("other"), new ManualRuntime(), PATH, options);
    await store.put("a", { version: 1 });
    disk.powerCut("durable-only");
    const next = await openDirectoryStoreOn<object>(disk.mount("next"), new ManualRuntime(), PATH, options);
    expect(await next.get("a")).toEqual({ version: 1 });
  });

  it("may have put it in place between two looks", async () => {
    const disk = new SimulatedDisk();
    (await openFolder(disk.mount("maker"), 1)).root.close();
    disk.makeDirectory(`${PATH} not yet`);
    const mover = disk.mount("mover");
    mover.rename(`${PATH}/.store`, `${PATH} not yet/.store`);
    const fs = disk.mount("opener");
    let moved = 0;
    fs.onCall = ({ name, args }) => {
      if (name !== "readdir" || String(args[0]).includes(".store") || moved++ > 0) return;
      mover.rename(`${PATH} not yet/.store`, `${PATH}/.store`);
    };
    (await openFolder(fs, 2)).root.close();
    expect(moved).toBeGreaterThan(0);
  });
});

describe("a death while it is made", () => {
  const AFTERWARDS: readonly ("killed" | PowerCutMode)[] = ["killed", "durable-only", "keep-all", "random"];

  it.each(AFTERWARDS)("at every call (%s): the next one opens a good store", async (how) => {
    for (let at = 1; ; at++) {
      const disk = new SimulatedDisk({ random: seededRandom(at) });
      const fs = disk.mount("dying");
      fs.onCall = (call) => {
        if (call.index === at) fs.kill();
      };
      const opening = openFolder(fs, 1).catch(() => "failed");
      await Promise.race([opening, turns()]);
      const finished = !fs.killed;
      if (how !== "killed") disk.powerCut(how);
      await expectGood(disk, 1000 + at);
      if (finished) {
        expect(at).toBeGreaterThan(30);
        return;
      }
    }
  });
});

describe("a call that fails", () => {
  it.each(["EIO", "ENOSPC", "EACCES", "EMFILE"])(
    "with %s, whichever: a typed error, no leak, and then a good store",
    async (errno) => {
      for (let at = 1; ; at++) {
        const disk = new SimulatedDisk();
        const fs = disk.mount("unlucky");
        const fail = failNth(at, errno);
        // A close that fails has let go of its descriptor all the same.
        fs.onCall = (call) => (call.name === "close" ? undefined : fail(call));
        let failed = false;
        try {
          const store = await openDirectoryStoreOn<object>(fs, new ManualRuntime({ seed: 1 }), PATH);
          await store.close();
        } catch (error) {
          failed = true;
          expect(error, `call ${at}`).toBeInstanceOf(SessionStoreError);
          expect((error as Error).message).not.toContain("/proc/self/fd");
        }
        const reached = fs.calls >= at;
        fs.onCall = undefined;
        if (failed) expect(fs.openPaths, `call ${at}`).toEqual([]);
        await expectGood(disk, 2000 + at);
        if (!reached) return;
      }
    },
  );
});

describe("what a platform cannot do", () => {
  it("is said once, with the path", async () => {
    const disk = new SimulatedDisk();
    const warnings: StoreWarning[] = [];
    const fs = disk.mount("one", { fileSystemType: undefined, directorySync: false, pinnedRoot: false });
    (await openFolder(fs, 1, warnings)).root.close();
    expect(warnings.map(({ code }) => code).sort()).toEqual(["durability_limited", "file_system_unknown"]);
    for (const warning of warnings) expect(warning.message).toContain(PATH);
  });

  it.each([0x6969n, 0xff534d42n, 0x01021997n])(
    "a network file system (%i) is refused before anything is made",
    async (type) => {
      const disk = new SimulatedDisk();
      disk.makeDirectory("/home");
      const before = disk.tree();
      expect(await codeOf(() => openFolder(disk.mount("one", { fileSystemType: type }), 1))).toBe(
        "file_system_unsupported",
      );
      expect(disk.tree()).toEqual(before);
    },
  );
});

/** Long enough for everything that can still happen without a dead process. */
async function turns(): Promise<"hangs"> {
  for (let turn = 0; turn < 2000; turn++) await Promise.resolve();
  return "hangs";
}

it.each(["EPERM", "ENOTSUP", "ENOSYS"])(
  "a file system without hard links (%s) is found out when the store is made",
  async (code) => {
    const disk = new SimulatedDisk();
    const fs = disk.mount("A");
    fs.onCall = (call) => {
      if (call.name === "link") throw systemError(code, call);
    };
    const making = openDirectoryStoreOn<object>(fs, new ManualRuntime(), PATH, {});
    await expect(making).rejects.toMatchObject({
      code: "file_system_unsupported",
      data: { missing: "hard links" },
    });
    expect(disk.names(PATH)).not.toContain(".store");
  },
);

it("a file system that is known to have none is refused for writing, also if a store was copied there", async () => {
  const disk = new SimulatedDisk();
  const open = (fileSystemType: bigint, readOnly: boolean) =>
    openDirectoryStoreOn<object>(disk.mount("A", { fileSystemType }), new ManualRuntime(), PATH, {
      readOnly,
    });
  const [ext4, exfat] = [0xef53n, 0x2011bab0n];
  const refused = { code: "file_system_unsupported", data: { fileSystem: "exFAT", missing: "hard links" } };
  await expect(open(exfat, false)).rejects.toMatchObject(refused);
  expect(disk.names(PATH)).toEqual([]);
  const store = await open(ext4, false);
  await store.put("k", { n: 1 });
  await store.close();
  await expect(open(exfat, false)).rejects.toMatchObject(refused);
  expect(await (await open(exfat, true)).get("k")).toEqual({ n: 1 });
});

it("a store is made beside what systems put into folders, and lists no session of it", async () => {
  const disk = new SimulatedDisk();
  for (const name of ["lost+found", "@eaDir", "$RECYCLE.BIN", "System Volume Information"])
    disk.makeDirectory(`${PATH}/${name}`);
  for (const name of [".DS_Store", "desktop.ini", "Thumbs.db"]) disk.writeRaw(`${PATH}/${name}`, "x");
  const fs = disk.mount("A");
  fs.onCall = (call) => {
    // Of root, with mode 0700.
    if (String(call.args[0]).includes("lost+found/")) throw systemError("EACCES", call);
  };
  const store = await openDirectoryStoreOn<object>(fs, new ManualRuntime(), PATH, {});
  await store.put("k", { n: 1 });
  await store.checkpoint();
  disk.removeRaw(`${PATH}/.store/catalog-1`);
  const reader = await openDirectoryStoreOn<object>(fs, new ManualRuntime({ seed: 5 }), PATH, {
    readOnly: true,
    onWarning: () => {},
  });
  expect((await reader.list()).sessions.map(({ key }) => key)).toEqual(["k"]);
  expect(disk.names(PATH)).toContain("lost+found");
});
