/**
 * Goal: a repair that dies at any call, or meets a full disk there, loses nothing that the store still had: what was put aside is in the
 * quarantine, and the next run finishes.
 * Method: a store with several damages at once; the file system stops, or says that the disk is full, at the Nth call that changes
 * something, for each N; then a doctor repairs what it finds.
 */
import { cpSync, mkdirSync, readdirSync, readFileSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeEach, describe, expect, it } from "vitest";
import { nodeFileSystem } from "../../../src/fs/node-file-system.js";
import type { FileSystem } from "../../../src/fs/file-system.js";
import { examineStoreOn } from "../../../src/care/doctor/examine.js";
import { SessionStoreError } from "../../../src/errors.js";
import { ManualRuntime } from "../../../src/testing/manual-runtime.js";
import { BIG, filesBelow, useSandbox, type Sandbox } from "../../engine/directory/sandbox.js";
import { each, stride } from "../../support/thoroughness.js";
import { cured, expectSessions } from "./ward.js";

const holder = useSandbox();

const CHANGES = ["write", "mkdir", "rmdir", "unlink", "rename", "link"] as const;

/** Fails from the Nth change on: always, as for a process that is dead, or as long as the disk is full. */
function failing(from: number, code: "EKILLED" | "ENOSPC"): { fs: FileSystem; readonly calls: number } {
  let calls = 0;
  const refuse = (name: string): void => {
    const frees = name === "unlink" || name === "rmdir" || name === "rename";
    if (++calls < from || (code === "ENOSPC" && frees)) return;
    throw Object.assign(new Error(`${code}: ${name}`), { code, syscall: name });
  };
  const fs = Object.create(nodeFileSystem) as Record<string, unknown>;
  const later = Object.create(nodeFileSystem.later) as Record<string, unknown>;
  const real = nodeFileSystem as unknown as Record<string, (...args: unknown[]) => unknown>;
  const deferred = nodeFileSystem.later as unknown as Record<string, (...args: unknown[]) => unknown>;
  for (const name of CHANGES) {
    fs[name] = (...args: unknown[]) => (refuse(name), real[name]?.(...args));
    later[name] = async (...args: unknown[]) => (refuse(name), deferred[name]?.(...args));
  }
  const open = (mode: string): void => {
    if (mode === "create") refuse("open");
  };
  fs["open"] = (path: string, mode: "read") => (open(mode), nodeFileSystem.open(path, mode));
  later["open"] = async (path: string, mode: "read") => (open(mode), nodeFileSystem.later.open(path, mode));
  fs["later"] = later;
  return {
    fs: fs as unknown as FileSystem,
    get calls() {
      return calls;
    },
  };
}

/** Each of these bytes must be somewhere afterwards: in its place or in the quarantine. */
const PRECIOUS = ["precious damage of b", "precious bytes of the value"];

async function prepare(box: Sandbox): Promise<void> {
  const store = await box.open();
  await store.put("a", { n: 1 });
  await store.put("b", { n: 2 });
  await store.put("c", { n: 3 });
  await store.put("d", { n: 4, prompt: BIG });
  await store.append("a", [{ i: 1 }, { i: 2 }, { i: 3 }]);
  await store.checkpoint();
  await box.close();
  writeFileSync(box.entryFile("b"), PRECIOUS[0]!);
  const [one, three] = [readFileSync(box.entryFile("a")), readFileSync(box.entryFile("c"))];
  writeFileSync(box.entryFile("a"), three);
  writeFileSync(box.entryFile("c"), one);
  writeFileSync(box.blobs()[0]!, PRECIOUS[1]!);
  truncateSync(box.at(".store", "format.json"), 0);
  const chunk = readdirSync(box.folderOf("a")).find((name) => name.endsWith(".jsonl"))!;
  const bytes = readFileSync(join(box.folderOf("a"), chunk));
  const at = bytes.indexOf('"i":2');
  bytes[at + 4] = bytes[at + 4]! ^ 1;
  writeFileSync(join(box.folderOf("a"), chunk), bytes);
  cpSync(box.path, box.outside("damaged"), { recursive: true });
}

beforeEach(() => prepare(holder.box));

function putBack(box: Sandbox): void {
  rmSync(box.path, { recursive: true });
  mkdirSync(box.path, { mode: 0o700 });
  cpSync(box.outside("damaged"), box.path, { recursive: true });
}

const OPTIONS = { settleMs: 0, level: "deep", fix: true, alone: true } as const;

async function expectNothingLost(box: Sandbox, what: string): Promise<void> {
  const everything = filesBelow(box.path).map((path) => readFileSync(path, "latin1"));
  for (const bytes of PRECIOUS)
    expect(
      everything.some((content) => content.includes(bytes)),
      `${what}: ${bytes}`,
    ).toBe(true);
  for (const key of ["a", "c"])
    expect(
      everything.some((content) => content.startsWith(`{"$session":{"key":"${key}"`)),
      `${what}: ${key}`,
    ).toBe(true);
}

async function expectFinished(box: Sandbox): Promise<void> {
  await cured(box);
  const store = await box.open();
  const { items } = await store.readItems<{ i: number }>("a");
  expect(items.map(({ item }) => item.i)).toEqual([1, 3]);
  await box.close();
  await expectSessions(box, { a: { n: 1 }, c: { n: 3 }, d: { n: 4 } });
}

describe("a repair", () => {
  it(`that dies at ${each("call", 12)}: the next one finishes`, { timeout: 600_000 }, async () => {
    const { box } = holder;
    const all = failing(Number.POSITIVE_INFINITY, "EKILLED");
    await examineStoreOn(
      { fs: all.fs, runtime: new ManualRuntime({ yields: "event-loop" }) },
      box.path,
      OPTIONS,
    );
    expect(all.calls).toBeGreaterThan(60);
    for (let at = 1; at <= all.calls; at += stride(12)) {
      putBack(box);
      const { fs } = failing(at, "EKILLED");
      const runtime = new ManualRuntime({ seed: at, yields: "event-loop" });
      await examineStoreOn({ fs, runtime }, box.path, OPTIONS).catch(() => {});
      await expectNothingLost(box, `call ${at}`);
      await expectFinished(box);
    }
  });

  it(
    `on a disk that is full from ${each("call", 20)} on: a code, nothing lost, and room lets it finish`,
    { timeout: 600_000 },
    async () => {
      const { box } = holder;
      for (let at = 1; at < 150; at += stride(20)) {
        putBack(box);
        const { fs } = failing(at, "ENOSPC");
        const runtime = new ManualRuntime({ seed: at, yields: "event-loop" });
        const ended = await examineStoreOn({ fs, runtime }, box.path, OPTIONS).catch(
          (error: unknown) => error,
        );
        if (ended instanceof Error) {
          expect(ended, `call ${at}`).toBeInstanceOf(SessionStoreError);
          expect((ended as SessionStoreError).code).toBe("disk_full");
        }
        await expectNothingLost(box, `call ${at}`);
        await expectFinished(box);
      }
    },
  );
});
