/**
 * Goal: a test can fail, park, kill and interleave simulated processes at any system call, and nothing else
 * happens than what it asked for.
 * Method: each handle on its own. That the calls themselves are right is the business of
 * `simulated-against-real.test.ts`.
 */
import { describe, expect, it } from "vitest";
import { SimulatedDisk } from "../../../src/testing/simulated/disk.js";
import {
  ProcessKilled,
  failNth,
  type DeferredCall,
  type SimulatedCall,
  type SimulatedFileSystem,
} from "../../../src/testing/simulated/file-system.js";
import { systemError } from "../../../src/testing/simulated/system-error.js";

const BYTES = Buffer.from("0123456789");

/** Lets every microtask run that is ready. */
const settle = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

function content(disk: SimulatedDisk, path: string): string | undefined {
  return disk.readRaw(path)?.toString();
}

/** Runs a little workload with the Nth call failing, for N = 1, 2, 3 … until it runs through. */
function countCallsOf(workload: (fs: SimulatedFileSystem) => void): number {
  for (let n = 1; ; n++) {
    const fs = new SimulatedDisk().mount("a");
    fs.onCall = failNth(n, "EIO");
    try {
      workload(fs);
      return n - 1;
    } catch (error) {
      expect(error).toMatchObject({ code: "EIO" });
    }
  }
}

describe("processes", () => {
  it("share the disk and nothing else", () => {
    const disk = new SimulatedDisk();
    const [a, b] = [disk.mount("a"), disk.mount("b")];
    const fd = a.open("/file", "create");
    a.write(fd, BYTES, 0, 3);
    const other = b.open("/file", "append");
    b.write(other, BYTES, 3, 3);
    expect(content(disk, "/file")).toBe("012345");
    a.close(fd);
    expect(() => a.close(fd)).toThrow(expect.objectContaining({ code: "EBADF" }));
    expect(b.openPaths).toEqual(["/file"]);
  });

  it("keep an unlinked or replaced file alive while it is open", () => {
    const disk = new SimulatedDisk();
    disk.writeRaw("/file", "old");
    disk.writeRaw("/new", "new!");
    const fs = disk.mount("a");
    const fd = fs.open("/file", "read");
    fs.rename("/new", "/file");
    expect(fs.fstat(fd)).toMatchObject({ links: 0, size: 3 });
    const buffer = Buffer.alloc(3);
    expect(fs.read(fd, buffer, 0, 3, 0)).toBe(3);
    expect(buffer.toString()).toBe("old");
    expect(disk.usedBytes).toBe(7);
    fs.close(fd);
    expect(disk.usedBytes).toBe(4);
  });

  it("work through a pinned folder after its path was swapped, and fail in one that is gone", () => {
    const disk = new SimulatedDisk();
    disk.makeDirectory("/store");
    const fs = disk.mount("a");
    const fd = fs.open("/store", "directory");
    const pin = `/proc/self/fd/${fd}`;
    fs.rename("/store", "/away");
    fs.close(fs.open(`${pin}/file`, "create"));
    expect(disk.tree()).toEqual({ "/away/": "", "/away/file": "" });
    expect(fs.realpath(`${pin}/file`)).toBe("/away/file");
    fs.unlink(`${pin}/file`);
    fs.rmdir("/away");
    expect(() => fs.mkdir(`${pin}/x`)).toThrow(expect.objectContaining({ code: "ENOENT", path: `${pin}/x` }));
    fs.close(fd);
    expect(() => fs.readdir(pin)).toThrow(expect.objectContaining({ code: "ENOENT" }));
    const without = disk.mount("b", { pinnedRoot: false });
    const plain = without.open("/", "directory");
    expect(() => without.readdir(`/proc/self/fd/${plain}`)).toThrow(
      expect.objectContaining({ code: "ENOENT" }),
    );
  });

  it("refuse reads and writes that reach out of the buffer, as Node does", () => {
    const fs = new SimulatedDisk().mount("a");
    const fd = fs.open("/file", "create");
    expect(() => fs.write(fd, BYTES, 5, 6)).toThrow(RangeError);
    expect(() => fs.read(fd, BYTES, 0, 11, 0)).toThrow(RangeError);
  });
});

describe("onCall", () => {
  it("sees every call, blocking and deferred, with a number", async () => {
    const fs = new SimulatedDisk().mount("a");
    const seen: SimulatedCall[] = [];
    fs.onCall = (call) => void seen.push(call);
    fs.mkdir("/folder");
    await fs.later.rename("/folder", "/other");
    expect(seen).toEqual([
      { process: "a", name: "mkdir", args: ["/folder"], index: 1, deferred: false },
      { process: "a", name: "rename", args: ["/folder", "/other"], index: 2, deferred: true },
    ]);
    expect(fs.calls).toBe(2);
  });

  it("fails a call with an error that looks like Node's", () => {
    const fs = new SimulatedDisk().mount("a");
    fs.onCall = (call) => {
      throw systemError("ENOSPC", call);
    };
    expect(() => fs.rename("/a", "/b")).toThrow(
      expect.objectContaining({
        message: "ENOSPC: no space left on device, rename '/a' -> '/b'",
        code: "ENOSPC",
        errno: -28,
        syscall: "rename",
        path: "/a",
        dest: "/b",
      }),
    );
    expect(() => fs.fsync(3)).toThrow(
      expect.objectContaining({ message: "ENOSPC: no space left on device, fsync" }),
    );
  });

  it("can fail the first, the second, the third … call of a workload", () => {
    const calls = countCallsOf((fs) => {
      fs.mkdir("/folder");
      fs.close(fs.open("/folder/file", "create"));
      fs.unlink("/folder/file");
    });
    expect(calls).toBe(4);
  });

  it("runs other processes in between", () => {
    const disk = new SimulatedDisk();
    disk.writeRaw("/file", "x");
    const [a, b] = [disk.mount("a"), disk.mount("b")];
    a.onCall = (call) => {
      if (call.name === "open") b.unlink("/file");
    };
    expect(a.lstat("/file").size).toBe(1);
    expect(() => a.open("/file", "read")).toThrow(expect.objectContaining({ code: "ENOENT" }));
  });

  it("shortens a write, loses an answer, or kills after the effect", async () => {
    const disk = new SimulatedDisk();
    const fs = disk.mount("a");
    const fd = fs.open("/file", "create");
    fs.onCall = () => ({ shortWrite: 4 });
    expect(fs.write(fd, BYTES, 0, 10)).toBe(4);
    fs.onCall = (call) => ({ failAfter: systemError("EIO", call) });
    await expect(fs.later.mkdir("/made")).rejects.toMatchObject({ code: "EIO", path: "/made" });
    fs.onCall = () => ({ shortWrite: 2, killAfter: true });
    expect(() => fs.write(fd, BYTES, 4, 6)).toThrow(ProcessKilled);
    expect(disk.tree()).toEqual({ "/file": "012345", "/made/": "" });
    expect(fs.killed).toBe(true);
  });
});

describe("gate", () => {
  it("parks one deferred call while everything else goes on", async () => {
    const disk = new SimulatedDisk();
    const fs = disk.mount("a");
    let open: () => void = () => {};
    fs.gate = (call) =>
      call.name === "rename" ? new Promise<void>((resolve) => (open = resolve)) : undefined;
    disk.writeRaw("/temp", "x");
    let done = false;
    const renamed = fs.later.rename("/temp", "/file").then(() => (done = true));
    await fs.later.mkdir("/folder");
    await settle();
    expect(done).toBe(false);
    expect(disk.tree()).toEqual({ "/folder/": "", "/temp": "x" });
    open();
    await renamed;
    expect(disk.tree()).toEqual({ "/file": "x", "/folder/": "" });
  });

  it("takes effect after the caller's own turn, without a gate too", async () => {
    const disk = new SimulatedDisk();
    const fs = disk.mount("a");
    const made = fs.later.mkdir("/folder");
    expect(disk.tree()).toEqual({});
    await made;
    expect(disk.tree()).toEqual({ "/folder/": "" });
  });

  it("keeps the order of calls that wait for nothing", async () => {
    const fs = new SimulatedDisk().mount("a");
    await Promise.all([fs.later.mkdir("/a"), fs.later.rename("/a", "/b"), fs.later.rmdir("/b")]);
    expect(fs.readdir("/")).toEqual([]);
  });
});

describe("kill", () => {
  it("ends a process: blocking calls throw, deferred ones never settle, descriptors close", async () => {
    const disk = new SimulatedDisk();
    const fs = disk.mount("a");
    fs.open("/file", "create");
    let settled = false;
    const pending = [fs.later.mkdir("/folder"), fs.later.lstat("/missing")];
    fs.kill();
    fs.kill();
    pending.push(fs.later.mkdir("/other"));
    for (const promise of pending) void promise.finally(() => (settled = true)).catch(() => {});
    await settle();
    expect(settled).toBe(false);
    expect(disk.tree()).toEqual({ "/file": "" });
    expect(() => fs.lstat("/file")).toThrow(ProcessKilled);
    expect(() => fs.watch("/", () => {})).toThrow(ProcessKilled);
    expect(fs.openPaths).toEqual([]);
  });

  it("from onCall stops that very call", async () => {
    const disk = new SimulatedDisk();
    const fs = disk.mount("a");
    fs.onCall = () => fs.kill();
    expect(() => fs.mkdir("/folder")).toThrow(ProcessKilled);
    const other = disk.mount("b");
    other.onCall = () => other.kill();
    let settled = false;
    void other.later.mkdir("/folder").finally(() => (settled = true));
    await settle();
    expect(settled).toBe(false);
    expect(disk.tree()).toEqual({});
  });

  it("is what a power cut does to every process, parked ones too", async () => {
    const disk = new SimulatedDisk();
    const [a, b] = [disk.mount("a"), disk.mount("b")];
    let open: () => void = () => {};
    a.gate = () => new Promise<void>((resolve) => (open = resolve));
    void a.later.mkdir("/late");
    disk.powerCut("keep-all");
    open();
    await settle();
    expect(a.killed && b.killed).toBe(true);
    expect(disk.tree()).toEqual({});
    expect(disk.mount("c").readdir("/")).toEqual([]);
  });
});

describe("watch", () => {
  it("hears of names and of writes in that folder, whoever makes them, once a microtask", async () => {
    const disk = new SimulatedDisk();
    disk.writeRaw("/log/1", "");
    disk.makeDirectory("/elsewhere");
    const [a, b] = [disk.mount("a"), disk.mount("b")];
    let heard = 0;
    const stop = a.watch("/log", () => heard++)!;
    const fd = b.open("/log/1", "append");
    await settle();
    expect(heard).toBe(0);
    b.write(fd, BYTES, 0, 1);
    b.write(fd, BYTES, 0, 1);
    expect(heard).toBe(0);
    await settle();
    expect(heard).toBe(1);
    b.rename("/log/1", "/elsewhere/1");
    await settle();
    expect(heard).toBe(2);
    b.mkdir("/elsewhere/2");
    await settle();
    expect(heard).toBe(2);
    b.mkdir("/log/2");
    stop();
    b.mkdir("/log/3");
    await settle();
    expect(heard).toBe(2);
  });

  it("gives undefined where there is nothing to watch, or nobody can", () => {
    const disk = new SimulatedDisk();
    expect(disk.mount("a").watch("/missing", () => {})).toBeUndefined();
    expect(disk.mount("b", { canWatch: false }).watch("/", () => {})).toBeUndefined();
  });
});

describe("onDeferred", () => {
  it("hands calls over: effect and answer come when the scheduler says so", async () => {
    const disk = new SimulatedDisk();
    const fs = disk.mount("a");
    const waiting: DeferredCall[] = [];
    fs.onDeferred = (deferred) => void waiting.push(deferred);
    const order: string[] = [];
    const note = (what: string) => (): void => void order.push(what);
    const made = [
      fs.later.mkdir("/one").then(note("made"), note("first fails")),
      fs.later.mkdir("/one").then(note("second made")),
    ];
    await settle();
    expect(disk.names("/")).toEqual([]);
    expect(waiting.map(({ call }) => call.index)).toEqual([1, 2]);
    waiting[1]!.perform();
    await settle();
    expect(disk.names("/")).toEqual(["one"]);
    expect(order).toEqual([]);
    waiting[0]!.answer();
    waiting[1]!.answer();
    waiting[1]!.answer();
    await Promise.all(made);
    expect(order.sort()).toEqual(["first fails", "second made"]);
  });

  it("never answers in a dead process, not even what took effect", async () => {
    const disk = new SimulatedDisk();
    const fs = disk.mount("a");
    const waiting: DeferredCall[] = [];
    fs.onDeferred = (deferred) => void waiting.push(deferred);
    let answered = false;
    void fs.later.mkdir("/one").finally(() => (answered = true));
    void fs.later.mkdir("/two").finally(() => (answered = true));
    waiting[0]!.perform();
    fs.kill();
    for (const deferred of waiting) deferred.answer();
    await settle();
    expect(answered).toBe(false);
    expect(disk.names("/")).toEqual(["one"]);
  });
});

describe("onNotification", () => {
  it("keeps a change from whoever watches until it is delivered", async () => {
    const disk = new SimulatedDisk();
    const fs = disk.mount("a");
    const waiting: (() => void)[] = [];
    fs.onNotification = (deliver) => void waiting.push(deliver);
    let heard = 0;
    const stop = fs.watch("/", () => heard++);
    disk.mount("b").mkdir("/one");
    disk.mount("b").mkdir("/two");
    await settle();
    expect([heard, waiting.length]).toEqual([0, 1]);
    waiting.pop()!();
    disk.mount("b").mkdir("/three");
    stop?.();
    waiting.pop()!();
    expect(heard).toBe(1);
  });
});

describe("a process that was stopped between two blocking calls", () => {
  function prepared(): { disk: SimulatedDisk; fs: SimulatedFileSystem; other: SimulatedFileSystem } {
    const disk = new SimulatedDisk();
    disk.writeRaw("/folder/file", "old");
    return { disk, fs: disk.mount("a"), other: disk.mount("b") };
  }

  function read(fs: SimulatedFileSystem, fd: number): string {
    const buffer = Buffer.alloc(20);
    return buffer.toString("utf8", 0, fs.read(fd, buffer, 0, buffer.length, 0));
  }

  it("sees the past for so many calls, and then the present", () => {
    const { disk, fs, other } = prepared();
    fs.fallAsleep(3);
    expect(fs.asleep).toBe(true);
    other.unlink("/folder/file");
    disk.writeRaw("/folder/new", "new");
    const fd = fs.open("/folder/file", "read");
    expect(fs.readdir("/folder")).toEqual(["file"]);
    expect(read(fs, fd)).toBe("old");
    expect(fs.readdir("/folder")).toEqual(["new"]);
    expect(fs.asleep).toBe(false);
    expect(read(fs, fd)).toBe("old"); // the descriptor outlives the name
    fs.close(fd);
    expect(fs.openPaths).toEqual([]);
    expect(disk.usedBytes).toBe(3);
  });

  it("sees the present from its first change on", () => {
    const { fs, other } = prepared();
    const fd = fs.open("/folder/file", "append");
    fs.fallAsleep(10);
    const writer = other.open("/folder/file", "append");
    other.write(writer, BYTES, 0, 5);
    expect(fs.fstat(fd).size).toBe(3);
    fs.write(fd, BYTES, 9, 1);
    expect(read(fs, fd)).toBe("old012349");
  });

  it("wakes up when it is told, and gives numbers once only", () => {
    const { fs, other } = prepared();
    fs.fallAsleep(10);
    const first = fs.open("/folder/file", "read");
    fs.close(first);
    fs.wakeUp();
    other.mkdir("/folder/sub");
    expect(fs.readdir("/folder")).toEqual(["file", "sub"]);
    fs.fallAsleep(10);
    expect(fs.open("/folder/file", "read")).not.toBe(first);
  });

  it("lets deferred calls have their effect in the present", async () => {
    const { fs, other } = prepared();
    fs.fallAsleep(10);
    other.mkdir("/folder/sub");
    expect(await fs.later.readdir("/folder")).toEqual(["file", "sub"]);
    expect(fs.readdir("/folder")).toEqual(["file"]);
  });
});
