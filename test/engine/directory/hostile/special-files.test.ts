/**
 * Goal: only regular files are files of a store, whatever names they have; a FIFO, a device, a socket or a folder in
 * place of one is refused at once, never read, written or waited for (fault 29).
 * Method: each file of a store is replaced by each of these, before opening and while the store is open. A FIFO
 * without a writer would block for ever, so the tests' own timeout is the check for that.
 */
import { execFileSync } from "node:child_process";
import { linkSync, lstatSync, mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type Server } from "node:net";
import { afterEach, describe, expect, it } from "vitest";
import { BIG, codeOf, ROOT, snapshot, useSandbox, type Sandbox, type Store } from "../sandbox.js";

const POSIX = process.platform !== "win32";
const holder = useSandbox();

const servers: Server[] = [];
afterEach(() => {
  for (const server of servers.splice(0)) server.close();
});

type Plant = (box: Sandbox, path: string) => Promise<void> | void;

const KINDS: Record<string, Plant> = {
  "a FIFO": (_box, path) => {
    rmSync(path);
    execFileSync("mkfifo", ["-m", "600", path]);
  },
  "a socket": async (box, path) => {
    rmSync(path);
    // The name of a socket has at most 107 bytes: made elsewhere, it is linked in.
    const made = `${box.root}/socket`;
    const server = createServer();
    servers.push(server);
    await new Promise<void>((resolve) => server.listen(made, resolve));
    linkSync(made, path);
    rmSync(made);
  },
  "a folder": (_box, path) => {
    rmSync(path);
    mkdirSync(path, { mode: 0o700 });
  },
  ...(ROOT && {
    "a device": (_box: Sandbox, path: string) => {
      rmSync(path);
      execFileSync("mknod", ["-m", "600", path, "c", "1", "3"]); // /dev/null
    },
    "an endless device": (_box: Sandbox, path: string) => {
      rmSync(path);
      execFileSync("mknod", ["-m", "600", path, "c", "1", "5"]); // /dev/zero
    },
  }),
};

it.skipIf(ROOT)("devices: not tested, for only root can make them: sudo npm test", () => {});

async function filled(): Promise<Sandbox> {
  const { box } = holder;
  await box.filled({ a: { updatedAt: 1, big: BIG }, b: { updatedAt: 2 } });
  return box;
}

const catalogOf = (box: Sandbox): string =>
  box.at(
    ".store",
    readdirSync(box.at(".store")).find((name) => name.startsWith("catalog-"))!,
  );

describe.runIf(POSIX).each(Object.entries(KINDS))("%s", (kind, plant) => {
  it("in place of meta.json: that session is refused, and a put replaces it", async () => {
    const box = await filled();
    await plant(box, box.entryFile("b"));
    const outside = lstatSync(box.outside(), { throwIfNoEntry: false }) && snapshot(box.outside());
    const store = await box.open();
    expect(await codeOf(() => store.get("b"))).toBe("entry_corrupt");
    expect((await store.list()).sessions.map(({ key }) => key)).toEqual(["a"]);
    expect(box.warned("entry_corrupt")).toHaveLength(1);
    await store.put("b", { version: 2 });
    expect(await store.get("b")).toEqual({ version: 2 });
    if (kind === "a folder") {
      expect(await codeOf(() => store.checkpoint())).toBe("file_unsafe"); // it may hold what a user wants to keep
      rmSync(box.entryFile("b"), { recursive: true });
    }
    await store.checkpoint();
    expect(await (await box.reopen()).get("b")).toEqual({ version: 2 });
    expect(lstatSync(box.entryFile("b")).isFile()).toBe(true);
    if (outside !== undefined) {
      const [content] = Object.values(snapshot(box.outside("theirs")));
      expect(content!.split(" ").at(-1)).toBe(outside[box.outside("theirs")]!.split(" ").at(-1));
    }
  });

  it("in place of meta.json of a session that is deleted: the session is gone all the same", async () => {
    const box = await filled();
    const store = await box.open();
    await store.delete("b");
    await plant(box, box.entryFile("b"));
    await store.checkpoint();
    expect((await store.list()).sessions.map(({ key }) => key)).toEqual(["a"]);
    if (kind === "a folder") expect(readdirSync(box.folderOf("b"))).toEqual(["meta.json"]);
    else expect(readdirSync(box.path)).not.toContain("b");
  });

  it("in place of the log: file_unsafe, for readers and writers", async () => {
    const box = await filled();
    await plant(box, box.segment());
    for (const readOnly of [true, false])
      expect(await codeOf(() => box.open({ readOnly }))).toBe("file_unsafe");
  });

  it("in place of the next segment of a store in use: its calls fail, nothing is written to it", async () => {
    const box = await filled();
    const store = await box.open();
    const next = box.segment().replace(/\d{8}/, (number) => String(Number(number) + 1).padStart(8, "0"));
    writeFileSync(next, readFileSync(box.segment()));
    await plant(box, next);
    await store.put("c", { version: 1 });
    const before = snapshot(next);
    expect(await codeOf(() => store.checkpoint())).toBe("file_unsafe");
    expect(await codeOf(() => store.put("d", { version: 1 }))).toBe("file_unsafe");
    expect(snapshot(next)).toEqual(before);
  });

  it("in place of a blob: refused when touched, and a put of the same content replaces it", async () => {
    const box = await filled();
    const [blob] = box.blobs();
    await plant(box, blob!);
    const store = await box.open();
    expect(await codeOf(async () => (await store.get("a"))?.["big"])).toBe("file_unsafe");
    expect((await store.list()).sessions).toHaveLength(2);
    const put = (): Promise<unknown> => store.put("c", { big: BIG });
    if (kind === "a folder") {
      expect(await codeOf(put)).toMatch(/io_error|file_unsafe|blob_corrupt/);
    } else {
      await put();
      expect((await store.get("a"))?.["big"]).toBe(BIG);
      expect(lstatSync(blob!).nlink).toBe(1);
    }
  });

  it("in place of format.json: file_unsafe", async () => {
    const box = await filled();
    await plant(box, box.at(".store", "format.json"));
    for (const readOnly of [true, false])
      expect(await codeOf(() => box.open({ readOnly }))).toBe("file_unsafe");
  });

  it("in place of the catalog: listings are made from the files", async () => {
    const box = await filled();
    await plant(box, catalogOf(box));
    const store = await box.open();
    expect((await store.list()).sessions.map(({ key }) => key)).toEqual(["a", "b"]);
    expect(box.warned("catalog_rebuilt")).toHaveLength(1);
    if (kind === "a folder") return;
    await store.put("c", {});
    await store.checkpoint();
    expect((await (await box.reopen()).list()).sessions).toHaveLength(3);
  });
});

describe("a segment with two names", () => {
  it("is good while the other one is in its staging folder, as a killed maker leaves it", async () => {
    const { box } = holder;
    await box.filled({ a: { version: 1 } });
    const before = box.revisionOf("a");
    const stages = readdirSync(box.at(".store", "stage"));
    linkSync(box.segment(), box.at(".store", "stage", stages.at(-1)!, "segment"));
    const store: Store = await box.open();
    expect((await store.put("b", {})).revision).toBeGreaterThan(before);
    await store.checkpoint();
    expect(await (await box.reopen()).count()).toBe(2);
  });

  it("is good while the other one is in a snapshot: cp -al, of every file of the store", async () => {
    const { box } = holder;
    await box.filled({ a: { version: 1, big: BIG } });
    execFileSync("cp", ["-al", box.path, box.outside()]);
    const store = await box.open();
    await store.put("a", { version: 2, big: BIG });
    await store.put("b", { version: 2 });
    await store.checkpoint();
    expect(await (await box.reopen()).get("b")).toEqual({ version: 2 });
    expect(readFileSync(box.entryFile("a").replace(box.path, box.outside()), "utf8")).toContain(
      '"version":1',
    );
  });
});
