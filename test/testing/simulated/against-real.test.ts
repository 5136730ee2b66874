/**
 * Goal: the simulated file system answers as Linux does, so that what a simulator finds is true.
 * Method: random sequences of calls run on both, blocking or deferred at random; every answer, every errno and
 * the final tree must agree. fast-check prints the seed and the shrunken sequence of a failure.
 */
import {
  mkdtempSync,
  readFileSync,
  readdirSync,
  readlinkSync,
  realpathSync,
  rmSync,
  symlinkSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { FileStatus, FileSystem, OpenMode } from "../../../src/fs/file-system.js";
import { nodeFileSystem } from "../../../src/fs/node-file-system.js";
import { SimulatedDisk } from "../../../src/testing/simulated/disk.js";

type PathCall = "lstat" | "readdir" | "mkdir" | "rmdir" | "unlink" | "realpath" | "readlink";
type Step =
  | { call: PathCall; path: string; deferred: boolean }
  | { call: "rename" | "link"; from: string; to: string; deferred: boolean }
  | { call: "open"; path: string; mode: OpenMode; deferred: boolean }
  | { call: "close" | "fstat" | "fdatasync" | "fsync"; slot: number; deferred: boolean }
  | { call: "write"; slot: number; text: string; deferred: boolean }
  | { call: "read"; slot: number; length: number; position: number; deferred: boolean }
  | { call: "symlink"; path: string; target: string };

/** `{base}` is the folder itself, `{pin}` the same through an open descriptor. */
const path = fc
  .tuple(
    fc.constantFrom("{base}", "{base}", "{base}", "{pin}"),
    fc.array(fc.constantFrom("a", "b", "c", "l", ".", ".."), { minLength: 0, maxLength: 3 }),
  )
  .map(([base, names]) => [base, ...names].join("/"))
  // Out of the base folder the two have different neighbours.
  .filter((found) => !found.includes(".."));
/** Moving or removing the base folder itself would end the game. */
const changed = path.filter((found) => !/^\{(base|pin)\}\/?$/.test(found));
const linkTarget = fc.constantFrom("a", "b", "c", "l", "../a", "a/b", "b/c", "{base}/a", "{base}/b/a", ".");
const slot = fc.nat({ max: 5 });
const deferred = fc.boolean();
const step: fc.Arbitrary<Step> = fc.oneof(
  fc.record({
    call: fc.constantFrom<PathCall[]>("lstat", "readdir", "realpath", "readlink"),
    path,
    deferred,
  }),
  fc.record({
    call: fc.constantFrom<PathCall[]>("mkdir", "mkdir", "mkdir", "rmdir", "unlink"),
    path: changed,
    deferred,
  }),
  fc.record({
    call: fc.constantFrom("rename" as const, "link" as const),
    from: changed,
    to: changed,
    deferred,
  }),
  fc.record({
    call: fc.constant("open" as const),
    path,
    mode: fc.constantFrom<OpenMode[]>("create", "create", "create", "read", "append", "directory"),
    deferred,
  }),
  fc.record({
    call: fc.constantFrom("close" as const, "fstat" as const, "fdatasync" as const, "fsync" as const),
    slot,
    deferred,
  }),
  fc.record({ call: fc.constant("write" as const), slot, text: fc.string({ maxLength: 40 }), deferred }),
  fc.record({
    call: fc.constant("read" as const),
    slot,
    // Node answers a read of no bytes without asking the system.
    length: fc.integer({ min: 1, max: 50 }),
    position: fc.nat({ max: 60 }),
    deferred,
  }),
  fc.record({ call: fc.constant("symlink" as const), path, target: linkTarget }),
);

const NEVER_OPEN = 1_000_000;

/** One of the two sides: a file system, its base folder, and the descriptors by slot. */
class Side {
  readonly #slots: number[] = [];
  readonly #pin: number;

  constructor(
    readonly fs: FileSystem,
    readonly base: string,
  ) {
    this.#pin = fs.open(base, "directory");
  }

  resolve(path: string): string {
    return path.replace("{base}", this.base).replace("{pin}", `/proc/self/fd/${this.#pin}`);
  }

  /** What a step answers, in terms that the two sides share. */
  async run(step: Exclude<Step, { call: "symlink" }>): Promise<unknown> {
    try {
      return await this.#answer(step);
    } catch (error) {
      const { code, syscall, path, dest } = error as NodeJS.ErrnoException & { dest?: string };
      if (code === undefined) throw error;
      return { code, syscall, path: path && this.#hide(path), dest: dest && this.#hide(dest) };
    }
  }

  close(): void {
    for (const fd of this.#slots) {
      try {
        this.fs.close(fd);
      } catch {
        // A step closed it.
      }
    }
    this.fs.close(this.#pin);
  }

  async #answer(step: Exclude<Step, { call: "symlink" }>): Promise<unknown> {
    const calls = "deferred" in step && step.deferred ? this.fs.later : this.fs;
    switch (step.call) {
      case "realpath":
      case "readlink":
        return this.#hide(this.fs[step.call](this.resolve(step.path)));
      case "lstat":
        return comparable(await calls.lstat(this.resolve(step.path)));
      case "readdir":
        return (await calls.readdir(this.resolve(step.path))).sort();
      case "mkdir":
      case "rmdir":
      case "unlink":
        return calls[step.call](this.resolve(step.path));
      case "rename":
      case "link":
        return calls[step.call](this.resolve(step.from), this.resolve(step.to));
      case "open":
        this.#slots.push(await calls.open(this.resolve(step.path), step.mode));
        return "opened";
      case "fstat":
        return comparable(await calls.fstat(this.#descriptor(step.slot)));
      case "close": {
        const fd = this.#descriptor(step.slot);
        // The real system soon uses the number again, the simulated one never does.
        if (fd !== NEVER_OPEN) this.#slots[this.#index(step.slot)] = NEVER_OPEN;
        return calls.close(fd);
      }
      case "fdatasync":
      case "fsync":
        return calls[step.call](this.#descriptor(step.slot));
      case "write": {
        const bytes = Buffer.from(step.text);
        return calls.write(this.#descriptor(step.slot), bytes, 0, bytes.length);
      }
      case "read": {
        const buffer = Buffer.alloc(step.length + 2);
        const count = await calls.read(this.#descriptor(step.slot), buffer, 1, step.length, step.position);
        return { count, text: buffer.toString() };
      }
    }
  }

  /** A descriptor that never was, if nothing is open there. */
  #descriptor(slot: number): number {
    return this.#slots[this.#index(slot)] ?? NEVER_OPEN;
  }

  #index(slot: number): number {
    return this.#slots.length - 1 - (slot % this.#slots.length);
  }

  #hide(path: string): string {
    return path.replace(this.base, "{base}").replace(`/proc/self/fd/${this.#pin}`, "{pin}");
  }
}

function comparable({ kind, size, links, mode, owner }: FileStatus): unknown {
  // Sizes and links of folders, and modes of symlinks, are each file system's own affair.
  return kind === "file"
    ? { kind, size, links, mode, owner }
    : kind === "directory"
      ? { kind, mode }
      : { kind };
}

function realTree(base: string, prefix = base + "/"): [string, string][] {
  return readdirSync(base, { withFileTypes: true }).flatMap((entry): [string, string][] => {
    const full = join(base, entry.name);
    const shown = prefix + entry.name;
    if (entry.isDirectory()) return [[shown + "/", ""], ...realTree(full, shown + "/")];
    return [[shown, entry.isSymbolicLink() ? `-> ${readlinkSync(full)}` : readFileSync(full, "utf8")]];
  });
}

async function compare(steps: Step[]): Promise<void> {
  const base = realpathSync(mkdtempSync(join(tmpdir(), "sessiondir-against-real-")));
  const disk = new SimulatedDisk();
  disk.makeDirectory(base);
  const sides = [
    new Side(nodeFileSystem, base),
    new Side(disk.mount("simulated", { userId: process.getuid?.() }), base),
  ] as const;
  const [real, simulated] = sides;
  try {
    for (const step of steps) {
      if (step.call === "symlink") {
        const target = step.target.replace("{base}", base);
        if (trySymlink(target, real.resolve(step.path))) {
          disk.symlink(simulated.resolve(step.path).replace(/^\/proc\/self\/fd\/\d+/, base), target);
        }
      } else {
        const expected = await real.run(step);
        expect({ step, answer: await simulated.run(step) }).toEqual({ step, answer: expected });
      }
    }
    expect(disk.tree(base)).toEqual(Object.fromEntries(realTree(base)));
  } finally {
    for (const side of sides) side.close();
    rmSync(base, { recursive: true, force: true });
  }
}

function trySymlink(target: string, path: string): boolean {
  try {
    symlinkSync(target, path);
    return true;
  } catch {
    return false;
  }
}

describe("the simulated file system against the real one", () => {
  it.runIf(process.platform === "linux" && process.getuid?.() === 0)(
    "agrees on random sequences of calls",
    async () => {
      await fc.assert(fc.asyncProperty(fc.array(step, { maxLength: 40 }), compare), {
        numRuns: Number(process.env["SIMULATED_RUNS"] ?? 300),
      });
    },
    120_000,
  );
});
