/**
 * Goal: a store that somebody else could change is not opened, with the command that mends it; what is made has its
 * exact mode, whatever the umask (fault 30).
 * Method: modes and owners of the store's folders and parents on the real file system, through `openSessionStore`;
 * foreign owners on a simulated disk as well, for only root can make them here.
 */
import { chmodSync, chownSync, lstatSync, mkdirSync, readdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { openDirectoryStoreOn, openSessionStore } from "../../../../src/store/open.js";
import { ManualRuntime } from "../../../../src/testing/manual-runtime.js";
import { SimulatedDisk } from "../../../../src/testing/simulated/disk.js";
import { BIG, failureOf, ROOT, snapshot, useSandbox } from "../sandbox.js";

const POSIX = process.platform !== "win32";
const holder = useSandbox();

const USUAL_UMASK = 0o022;
let before = USUAL_UMASK;
beforeEach(() => {
  before = process.umask(USUAL_UMASK);
});
afterEach(() => void process.umask(before));

async function expectRefused(path: string, code = "path_untrusted"): Promise<string> {
  const before = snapshot(dirname(path));
  for (const readOnly of [false, true]) {
    const error = await failureOf(() => openSessionStore(path, { readOnly, onWarning: () => {} }));
    expect(error.code).toBe(code);
    expect(snapshot(dirname(path))).toEqual(before);
    if (!readOnly) continue;
    return error.message;
  }
  throw new Error("unreachable");
}

describe.runIf(POSIX)("others may write", () => {
  it.each([0o770, 0o707, 0o722, 0o777])("the store's folder, mode %o: refused, with chmod", async (mode) => {
    const { box } = holder;
    await box.filled({ a: {} });
    chmodSync(box.path, mode);
    expect(await expectRefused(box.path)).toContain(`chmod go-w ${box.path}`);
    chmodSync(box.path, 0o755);
    await using store = await openSessionStore(box.path, { durability: "os" });
    expect(await store.count()).toBe(1);
  });

  it.each([".store", "log", "stage", "blobs", "trash", "quarantine"])(
    "its %s: refused, with chmod",
    async (name) => {
      const { box } = holder;
      await box.filled({ a: {} });
      const folder = name === ".store" ? box.at(name) : box.at(".store", name);
      chmodSync(folder, 0o770);
      expect(await expectRefused(box.path)).toContain(`chmod go-w ${folder}`);
    },
  );

  it("a parent: refused, whether the store exists or not", async () => {
    const { box } = holder;
    const parent = join(box.root, "parent");
    mkdirSync(parent);
    chmodSync(parent, 0o777);
    expect(await failureOf(() => openSessionStore(join(parent, "sessions.d")))).toMatchObject({
      code: "path_untrusted",
      data: { path: parent, mode: "0777" },
    });
    expect(readdirSync(parent)).toEqual([]);
    chmodSync(parent, 0o700);
    await (await openSessionStore(join(parent, "sessions.d"))).close();
    chmodSync(parent, 0o777);
    expect(await expectRefused(join(parent, "sessions.d"))).toContain(`chmod go-w ${parent}`);
  });

  it("a sticky parent, like the system's temporary folder: accepted, what is ours in it is safe", async () => {
    const { box } = holder;
    const parent = join(box.root, "parent");
    mkdirSync(parent);
    chmodSync(parent, 0o1777);
    await using store = await openSessionStore(join(parent, "sessions.d"), { durability: "os" });
    await store.put("a", {});
    expect(await store.count()).toBe(1);
  });
});

describe("a foreign owner", () => {
  it.runIf(ROOT)("of the store, of .store or of a parent: refused, with chown", async () => {
    const { box } = holder;
    await box.filled({ a: {} });
    for (const path of [box.path, box.at(".store"), box.at(".store", "stage"), box.root]) {
      chownSync(path, 4321, 4321);
      const error = await failureOf(() => openSessionStore(box.path));
      expect(error.code).toBe("path_untrusted");
      expect(error.message).toContain("chown -h 0 ");
      expect(error.data).toMatchObject({ path, owner: 4321 });
      chownSync(path, 0, 0);
    }
    await (await openSessionStore(box.path)).close();
  });

  it.skipIf(ROOT)(
    "on the real file system: not tested, for only root can give files away: sudo npm test",
    () => {},
  );

  it.each(["/home/gateway", "/home/gateway/sessions.d", "/home/gateway/sessions.d/.store/stage"])(
    "of %s, for a user who is not root: refused",
    async (path) => {
      const disk = new SimulatedDisk();
      const open = () =>
        openDirectoryStoreOn(
          disk.mount("gateway", { userId: 1000 }),
          new ManualRuntime(),
          "/home/gateway/sessions.d",
        );
      await (await open()).close();
      disk.setStatus(path, { owner: 1001 });
      expect((await failureOf(open)).code).toBe("path_untrusted");
      disk.setStatus(path, { owner: 1000 });
      await (await open()).close();
      disk.setStatus(path, { owner: 0 }); // root could do anything anyway
      await (await open()).close();
    },
  );
});

describe.runIf(POSIX)("the mode of what is made", () => {
  it.each([0, 0o022, 0o077, 0o777])("is exact under umask %o", async (mask) => {
    const { box } = holder;
    process.umask(mask);
    const path = join(box.root, "new", "parents", "sessions.d");
    const store = await openSessionStore<object>(path, { durability: "os", segmentBytes: 4096 });
    await store.put("a", { big: BIG });
    await store.put("b", {});
    await store.flush();
    await store.delete("b");
    for (let index = 0; index < 40; index++) await store.put("c", { index, text: "x".repeat(200) });
    await store.flush();
    await store.close();
    const again = await openSessionStore<object>(path, { durability: "os" });
    await again.put("d", {});
    await again.close();
    process.umask(USUAL_UMASK);
    const visit = (at: string): void => {
      const status = lstatSync(at);
      const octal = (status.mode & 0o7777).toString(8);
      expect(octal, at).toBe(status.isDirectory() ? "700" : "600");
      if (status.isDirectory()) for (const name of readdirSync(at)) visit(join(at, name));
    };
    visit(join(box.root, "new"));
  });
});

describe("what is no store", () => {
  it("a file, a folder with other things, a folder below a file: refused, untouched", async () => {
    const { box } = holder;
    writeFileSync(join(box.root, "file"), "theirs");
    mkdirSync(join(box.root, "folder"), { mode: 0o700 });
    writeFileSync(join(box.root, "folder", "document.txt"), "theirs");
    const before = snapshot(box.root);
    for (const [path, code] of [
      ["file", "not_a_store"],
      ["folder", "not_a_store"],
      ["file/below", "not_a_store"],
    ] as const) {
      expect((await failureOf(() => openSessionStore(join(box.root, path)))).code, path).toBe(code);
    }
    expect(snapshot(box.root)).toEqual(before);
  });
});

describe.runIf(POSIX)('trust: "group"', () => {
  it("opens, makes and checkpoints a store on a volume that its group may write, as fsGroup leaves it", async () => {
    const disk = new SimulatedDisk();
    disk.makeDirectory("/data");
    disk.setStatus("/data", { owner: 0, mode: 0o2775 });
    const open = (trust: "owner" | "group") =>
      openDirectoryStoreOn<object>(
        disk.mount("pod", { userId: 1000 }),
        new ManualRuntime(),
        "/data/sessions.d",
        { trust },
      );
    await expect(open("owner")).rejects.toMatchObject({
      code: "path_untrusted",
      data: { path: "/data", folders: 1 },
    });
    const store = await open("group");
    await store.put("k", { n: 1 });
    await store.close();
    // The next start of the pod: everything gets the group's bits.
    for (const name of ["", "/.store", "/.store/log", "/.store/stage", "/.store/blobs"])
      disk.setStatus(`/data/sessions.d${name}`, { owner: 1000, mode: 0o2770 });
    await expect(open("owner")).rejects.toMatchObject({ data: { folders: 6 } });
    const again = await open("group");
    await again.checkpoint();
    expect(await again.get("k")).toEqual({ n: 1 });
  });

  it("is an option that is checked", async () => {
    const wrong = openSessionStore("/nowhere.d", { trust: "everybody" as "group" });
    await expect(wrong).rejects.toThrow(/options\.trust/);
  });
});
