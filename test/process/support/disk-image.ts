/**
 * A disk that can lose power: a file with a file system in it, mounted through a loop device.
 *
 * The cut is the file system's own shutdown call: from then on nothing reaches the disk and every call fails; the
 * journal is not written. What was not synced is lost at the next mount, which replays the journal, as after a real cut.
 * What a drive does with its cache is not tested by this.
 */
import { spawn, spawnSync, type ChildProcessWithoutNullStreams } from "node:child_process";
import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { onTestFinished } from "vitest";

export interface FileSystemKind {
  readonly name: string;
  readonly type: "ext4" | "xfs";
  readonly mountOptions: string;
}

const KINDS: readonly FileSystemKind[] = [
  { name: "ext4", type: "ext4", mountOptions: "loop" },
  // Without its habit of flushing a file that is renamed over another one.
  { name: "ext4 with noauto_da_alloc", type: "ext4", mountOptions: "loop,noauto_da_alloc" },
  { name: "xfs", type: "xfs", mountOptions: "loop" },
];

/** Smallest that the tools make without complaint. */
const IMAGE_BYTES = { ext4: 128 * 2 ** 20, xfs: 320 * 2 ** 20 };

/** `_IOR('X', 125, __u32)`: ext4's EXT4_IOC_SHUTDOWN and xfs' XFS_IOC_GOINGDOWN. 2: do not write the journal first. */
const SHUTDOWN = `
  open(my $root, "<", $ARGV[0]) or die $!;
  $| = 1;
  print "ready\\n";
  <STDIN>;
  my $flags = pack("L", 2);
  ioctl($root, 0x8004587D, $flags) or die $!;
`;

/** A program that waits for a word, so that there is next to no time between the decision and the cut. */
interface Switch {
  readonly child: ChildProcessWithoutNullStreams;
  readonly ended: Promise<void>;
}

export class DiskImage {
  readonly path: string;
  readonly #file: string;
  #mounted = false;
  #wasCut = false;
  #switch: Switch | undefined;

  constructor(
    folder: string,
    readonly kind: FileSystemKind,
    bytes = IMAGE_BYTES[kind.type],
  ) {
    this.#file = join(folder, "disk");
    this.path = join(folder, "mounted");
    mkdirSync(this.path, { mode: 0o700 });
    writeFileSync(this.#file, "");
    truncateSync(this.#file, bytes);
    run(`mkfs.${kind.type}`, "-q", this.#file);
    this.mount();
  }

  mount(): void {
    run("mount", "-o", this.kind.mountOptions, "-t", this.kind.type, this.#file, this.path);
    this.#mounted = true;
    if (this.#wasCut) this.#startAnew();
  }

  /** A machine that lost its power starts after every write that it made; this one goes on, and so what it wrote has to be older. */
  #startAnew(): void {
    this.#wasCut = false;
    const beforeStart = new Date(0);
    for (const name of readdirSync(this.path, { recursive: true, encoding: "utf8" }))
      if (name.endsWith(".jsonl")) utimesSync(join(this.path, name), beforeStart, beforeStart);
  }

  /** Has to be called once before each cut. */
  async prepareCut(): Promise<void> {
    const child = spawn("perl", ["-e", SHUTDOWN, this.path]);
    let stderr = "";
    child.stderr.on("data", (text: Buffer) => (stderr += text.toString()));
    const ended = new Promise<void>((resolve, reject) => {
      child.on("error", reject);
      child.on("close", (code) => {
        if (code === 0) resolve();
        else reject(new Error(`the shutdown call failed: ${stderr}`));
      });
    });
    await Promise.race([ended, new Promise((resolve) => child.stdout.once("data", resolve))]);
    this.#switch = { child, ended };
  }

  /**
   * @returns The last moment, by the monotonic clock in nanoseconds, at which the power was certainly still there. A
   * real cut stops processes with the disk. Here they live on for a moment, and xfs was seen to tell a sync that was
   * under way that it had succeeded, so what they are told after this moment is no promise.
   */
  async cutPower(): Promise<number> {
    if (this.#switch === undefined) throw new Error("nobody prepared the cut");
    const { child, ended } = this.#switch;
    this.#switch = undefined;
    const before = Number(process.hrtime.bigint());
    child.stdin.end("\n");
    await ended;
    this.#wasCut = true;
    return before;
  }

  /** Nobody may have a file open any more. */
  unmount(): void {
    run("umount", this.path);
    this.#mounted = false;
  }

  /** Also while something still holds on to it. */
  remove(): void {
    this.#switch?.child.kill("SIGKILL");
    if (this.#mounted) run("umount", "--lazy", this.path);
    this.#mounted = false;
    rmSync(this.#file, { force: true });
  }
}

/**
 * A disk for the running test.
 * @param bytes Its size. Default is the smallest that the tools make without complaint.
 */
export function diskImage(folder: string, kind: FileSystemKind, bytes?: number): DiskImage {
  const image = new DiskImage(folder, kind, bytes);
  onTestFinished(() => image.remove());
  return image;
}

/** Kinds of disks whose power can be cut on this machine. */
export const diskKinds: readonly FileSystemKind[] = (
  await Promise.all(KINDS.map(async (kind) => ((await canCut(kind)) ? [kind] : [])))
).flat();

/** What tests need that make disks, with the commands that bring it. */
export const DISK_NEEDS =
  "root (sudo npm test), loop devices (modprobe loop; in a container, --privileged), and apt-get install perl mount e2fsprogs xfsprogs";

/** Name of tests that cut power: says so where they are skipped. */
export function withPowerCuts(name: string): string {
  if (diskKinds.length > 0) return name;
  return `${name} (skipped: cutting power needs ${DISK_NEEDS})`;
}

/** Tries all of it once. */
async function canCut(kind: FileSystemKind): Promise<boolean> {
  if (process.platform !== "linux" || process.getuid?.() !== 0) return false;
  const folder = mkdtempSync(join(tmpdir(), "sessiondir-disk-"));
  let image: DiskImage | undefined;
  try {
    image = new DiskImage(folder, kind);
    await image.prepareCut();
    await image.cutPower();
    image.unmount();
    image.mount();
    return true;
  } catch {
    return false;
  } finally {
    image?.remove();
    rmSync(folder, { recursive: true, force: true });
  }
}

function run(command: string, ...args: string[]): void {
  const { status, stderr, error } = spawnSync(command, args, { encoding: "utf8" });
  if (status !== 0) throw new Error(`${command} ${args.join(" ")}: ${error?.message ?? stderr}`);
}
