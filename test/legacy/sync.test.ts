/**
 * Goal: what a migration, a rollback or a mirror makes is durable and compared before the one rename that makes it count, and
 * that rename is durable before anything leans on it.
 * Method: the order of the system calls, with what is random left out of their names; and codecs and disks that change
 * what they were given.
 */
import { afterEach, describe, expect, it, vi } from "vitest";
import type { FileSystem } from "../../src/fs/file-system.js";
import { EntryCodec } from "../../src/format/entry-codec.js";
import type { LegacyHost } from "../../src/legacy/base/host.js";
import { migrateOn } from "../../src/legacy/migrate.js";
import { startMirrorOn } from "../../src/legacy/back/mirror.js";
import { rollbackOn } from "../../src/legacy/back/rollback.js";
import { openDirectoryStoreSyncOn } from "../../src/store/open.js";
import { CallLog } from "../support/call-log.js";
import { interceptCalls } from "../support/intercept-calls.js";
import { DIRECTORY, FILE, LegacyMachine, pretty, someSessions, type Sessions } from "./legacy-machine.js";

const SESSIONS = someSessions();
const OTHER: Sessions = { "agent:other": { updatedAt: 3e12, n: 1 } };

afterEach(() => {
  vi.restoreAllMocks();
});

function withFile(): LegacyMachine {
  const machine = new LegacyMachine();
  machine.disk.writeRaw(FILE, pretty(SESSIONS));
  return machine;
}

async function withStore(): Promise<LegacyMachine> {
  const machine = withFile();
  expect((await migrateOn(machine.process(), FILE)).outcome).toBe("migrated");
  return machine;
}

/** The calls of some work, with one name for every file and folder of a kind. */
async function callsOf(
  machine: LegacyMachine,
  work: (host: LegacyHost) => Promise<unknown>,
): Promise<CallLog> {
  const { fs, runtime } = machine.process();
  const log = new CallLog();
  await work({ fs: log.through(fs), runtime });
  log.calls = log.calls.map((call) =>
    call
      .replaceAll(/home\/sessions\.building-…/g, "BUILDING")
      .replaceAll(/home\/sessions\.saved-\S+/g, "BACKUP")
      .replaceAll(/home\/sessions\/sessions\.json\.(writing|merging|saved)-\S+/g, "$1")
      .replaceAll("home/sessions/sessions.json", "FILE")
      .replaceAll(/legacy\/\d{16}-[0-9a-f]{16}\.json\.[0-9a-f]+/g, "legacy/temporary")
      .replaceAll(/legacy\/\d{16}-[0-9a-f]{16}\.json/g, "legacy/record")
      .replaceAll(/(BUILDING|home\/sessions)\/\.store/g, "STORE"),
  );
  return log;
}

const migrate = (host: LegacyHost) => migrateOn(host, FILE);
const mirror = async (host: LegacyHost): Promise<void> => {
  const running = await startMirrorOn(host, FILE);
  await running.stop();
};

describe("in this order", () => {
  it("a migration", async () => {
    const log = await callsOf(withFile(), migrate);
    for (const made of ["fdatasync STORE/format.json", "fdatasync STORE/blobs/xx/blob", "fsync STORE/log/"])
      log.expectInOrder(made, "fsync STORE/", "fsync BUILDING/", "rename BUILDING -> home/sessions");
    log.expectInOrder("rename BUILDING -> home/sessions", "fsync home/sessions/", "rename FILE -> merging");
    const moved = log.calls.indexOf("rename BUILDING -> home/sessions");
    expect(log.calls.slice(moved + 1).find((call) => /^(fsync|rename|link|unlink)/.test(call))).toBe(
      "fsync home/sessions/",
    );
  });

  it("putting a legacy file aside, and its backup", async () => {
    const log = await callsOf(withFile(), migrate);
    log.expectInOrder("link FILE -> merging", "fsync home/sessions/", "rename FILE -> merging");
    const [put, gone] = [
      log.calls.indexOf("rename FILE -> merging"),
      log.calls.lastIndexOf("unlink merging"),
    ];
    expect(log.calls.slice(put + 1).find((call) => /^(fsync|unlink|link|rename)/.test(call))).toBe(
      "fsync home/sessions/",
    );
    expect(log.calls.slice(put, gone)).toContain("link merging -> saved");
    expect(log.calls.slice(log.calls.indexOf("link merging -> saved"), gone)).toContain(
      "fsync home/sessions/",
    );
    expect(log.calls.slice(gone)).toContain("fsync home/sessions/");
  });

  it("a record of a known file", async () => {
    const machine = await withStore();
    const log = await callsOf(machine, mirror);
    const [segment] = log.calls.filter((call) => /^fdatasync STORE\/log\/\d+$/.test(call));
    log.expectInOrder(
      segment ?? "fdatasync STORE/log/…",
      "fsync STORE/log/",
      "fsync STORE/",
      "create STORE/legacy/temporary",
      "fdatasync STORE/legacy/temporary",
      "rename STORE/legacy/temporary -> STORE/legacy/record",
      "fsync STORE/legacy/",
      "rename writing -> FILE",
    );
  });

  it("a mirrored file", async () => {
    const log = await callsOf(await withStore(), mirror);
    log.expectInOrder(
      "create writing",
      "fdatasync writing",
      "rename writing -> FILE",
      "fsync home/sessions/",
    );
  });

  it("a rollback", async () => {
    const log = await callsOf(await withStore(), (host) => rollbackOn(host, FILE));
    log.expectInOrder(
      "fdatasync writing",
      "rename STORE/legacy/temporary -> STORE/legacy/record",
      "fsync STORE/legacy/",
      "rename writing -> FILE",
      "fsync home/sessions/",
      "rename home/sessions -> BACKUP",
      "fsync home/sessions/",
    );
  });

  it("the replacement of an older layout", async () => {
    const machine = new LegacyMachine();
    for (const [key, entry] of Object.entries(OTHER))
      machine.disk.writeRaw(
        `${DIRECTORY}/${key.replaceAll(":", "--")}/meta.json`,
        JSON.stringify({ ...entry, sessionKey: key }),
      );
    const log = await callsOf(machine, migrate);
    log.expectInOrder(
      "fdatasync STORE/legacy/replaces.json",
      "fsync STORE/legacy/",
      "rename home/sessions -> BACKUP",
      "fsync home/sessions/",
      "rename BUILDING -> home/sessions",
      "fsync home/sessions/",
    );
  });
});

describe("what is not what it was made from does not count", () => {
  it("a store with another entry: the file is authoritative, and nothing is left of the store", async () => {
    const machine = withFile();
    const encode = EntryCodec.prototype.encode;
    vi.spyOn(EntryCodec.prototype, "encode").mockImplementation(function (
      this: EntryCodec,
      entry,
      ...rest
    ): ReturnType<typeof encode> {
      const { zero: _, ...changed } = entry as Record<string, unknown>;
      return encode.call(this, changed, ...rest);
    });
    const report = await migrateOn(machine.process(), FILE);
    const error = { code: "legacy_mismatch", data: { key: "__proto__" } };
    expect(report).toMatchObject({ outcome: "failed", error });
    expect(machine.names()).toEqual(["sessions.json"]);
    expect(machine.disk.readRaw(FILE)?.toString()).toBe(pretty(SESSIONS));
  });

  it("a store with one session more", async () => {
    const machine = withFile();
    const { fs, runtime } = machine.process();
    let intruded = false;
    const report = await migrateOn(machine.process(), FILE, {
      onProgress: ({ phase }) => {
        const building = machine.names().find((name) => name.includes(".building-"));
        if (phase !== "verifying" || intruded || building === undefined) return;
        intruded = true;
        const path = `/home/sessions/${building}`;
        const store = openDirectoryStoreSyncOn(fs, runtime, path, { durability: "os" });
        void store.put("intruder", { n: 1 });
      },
    });
    expect(intruded).toBe(true);
    expect(report).toMatchObject({ outcome: "failed", error: { code: "legacy_mismatch" } });
    expect(machine.disk.readRaw(FILE)?.toString()).toBe(pretty(SESSIONS));
  });

  it("a legacy file that was written with another value: the directory is authoritative", async () => {
    const machine = await withStore();
    const { stringify } = JSON;
    vi.spyOn(JSON, "stringify").mockImplementation((value: unknown, _replacer?: unknown, space?: unknown) => {
      const text = stringify(value, null, space as number | undefined);
      return space === undefined ? text : text.replace('"id-1"', '"id-7"');
    });
    const report = await rollbackOn(machine.process(), FILE);
    const error = { code: "legacy_mismatch", data: { key: "agent:main:Telegram:1" } };
    expect(report).toMatchObject({ outcome: "failed", error });
    vi.restoreAllMocks();
    expect(await machine.sessions()).toBeDefined();
    expect(machine.disk.readRaw(FILE)).toBeUndefined();
  });

  it("a legacy file that the disk stored with another byte: the directory is authoritative", async () => {
    const machine = await withStore();
    const { fs, runtime } = machine.process();
    const report = await rollbackOn({ fs: flippingWrites(fs), runtime }, FILE);
    expect(report).toMatchObject({ outcome: "failed" });
    expect(await machine.sessions()).toBeDefined();
    expect(machine.disk.readRaw(FILE)).toBeUndefined();
  });
});

/** A disk that changes a digit of every piece of a legacy file. */
function flippingWrites(fs: FileSystem): FileSystem {
  const flipped = (bytes: Uint8Array, offset: number, length: number): Buffer => {
    const text = Buffer.from(bytes.subarray(offset, offset + length)).toString("latin1");
    return Buffer.from(text.replace('"id-1"', '"id-7"'), "latin1");
  };
  return interceptCalls(fs, {
    write: (fd, bytes, offset, length) => fs.write(fd, flipped(bytes, offset, length), 0, length),
    later: {
      write: (fd, bytes, offset, length) => fs.later.write(fd, flipped(bytes, offset, length), 0, length),
    },
  });
}
