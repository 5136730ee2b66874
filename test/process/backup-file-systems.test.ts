/**
 * Goal: a folder of backups on a file system that has no hard links, no modes or no atomic appends works: backups are made, listed, verified,
 * restored and pruned there, an increment writes only what changed, and one that was killed harms none. What such a disk cannot
 * promise is said.
 * Method: the built program on real file systems in images and behind FUSE, as far as this machine has them.
 */
import { spawn, spawnSync } from "node:child_process";
import { linkSync, mkdirSync, mkdtempSync, readdirSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, it, onTestFinished } from "vitest";
import { openDirectoryStore } from "../../src/index.js";
import { temporaryFolder } from "./support/temporary-folder.js";

const MAIN = fileURLToPath(new URL("../../dist/cli/main.js", import.meta.url));
const IMAGE_BYTES = 64 * 2 ** 20;

interface Kind {
  readonly name: string;
  readonly needs: string;
  /** Mounts it. @returns How it is unmounted. */
  readonly mount: (image: string, folder: string) => () => void;
}

function run(command: string, ...args: readonly string[]): string {
  const { status, stdout, stderr, error } = spawnSync(command, args, { encoding: "utf8", timeout: 30_000 });
  if (status !== 0) throw new Error(`${command} ${args.join(" ")}: ${error?.message ?? stderr}`);
  return stdout.trim();
}

function imageFile(path: string): void {
  writeFileSync(path, "");
  truncateSync(path, IMAGE_BYTES);
}

const KINDS: readonly Kind[] = [
  {
    name: "vfat",
    needs: "root, loop devices, vfat in the kernel, apt-get install dosfstools",
    mount(image, folder) {
      imageFile(image);
      run("mkfs.vfat", image);
      run("mount", "-t", "vfat", "-o", "loop,umask=077", image, folder);
      return () => run("umount", "--lazy", folder);
    },
  },
  {
    name: "exFAT behind FUSE",
    needs: "root, loop devices, /dev/fuse, apt-get install exfat-fuse exfatprogs",
    mount(image, folder) {
      imageFile(image);
      run("mkfs.exfat", image);
      const device = run("losetup", "--find", "--show", image);
      try {
        run("mount.exfat-fuse", "-o", "umask=077", device, folder);
      } catch (error) {
        run("losetup", "--detach", device);
        throw error;
      }
      return () => {
        run("umount", "--lazy", folder);
        run("losetup", "--detach", device);
      };
    },
  },
  {
    name: "a bucket that rclone mounts",
    needs: "root, /dev/fuse, apt-get install rclone fuse3",
    mount(image, folder) {
      mkdirSync(image);
      const config = ["--config", "/dev/null", "--cache-dir", `${image}.cache`];
      run("rclone", "mount", ...config, "--vfs-cache-mode", "writes", "--daemon", `:local:${image}`, folder);
      return () => run("umount", "--lazy", folder);
    },
  },
];

/** Whether this machine has it, and it has no hard links. */
function works({ mount }: Kind): boolean {
  if (process.platform !== "linux" || process.getuid?.() !== 0) return false;
  const folder = mkdtempSync(join(tmpdir(), "sessiondir-mount-"));
  const mounted = join(folder, "mounted");
  mkdirSync(mounted);
  let unmount: (() => void) | undefined;
  try {
    unmount = mount(join(folder, "image"), mounted);
    writeFileSync(join(mounted, "a"), "");
    try {
      linkSync(join(mounted, "a"), join(mounted, "b"));
      return false;
    } catch {
      return true;
    }
  } catch {
    return false;
  } finally {
    unmount?.();
    rmSync(folder, { recursive: true, force: true });
  }
}

interface Ended {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

function sessiondir(...args: readonly string[]): Ended {
  const { status, stdout, stderr } = spawnSync(process.execPath, [MAIN, ...args], { encoding: "utf8" });
  return { status, stdout, stderr };
}

async function commit(path: string, sessions: number, changed = sessions): Promise<void> {
  const store = await openDirectoryStore<Record<string, unknown>>(path);
  for (let n = sessions - changed; n < sessions; n++) {
    await store.put(`session ${n}`, { n, changed, text: Math.random().toString(36).repeat(100) });
    await store.append(`session ${n}`, [{ changed }]);
  }
  await store.checkpoint();
  await store.close();
}

const contentOf = (path: string): unknown =>
  JSON.parse(sessiondir("ls", "--store", path, "--json").stdout.replace(path, ""));

for (const kind of KINDS) {
  const has = works(kind);
  describe.runIf(has)(`backups on ${kind.name}${has ? "" : ` (skipped: needs ${kind.needs})`}`, () => {
    it("are made, listed, verified, restored and pruned", { timeout: 120_000 }, async () => {
      const folder = temporaryFolder();
      const disk = join(folder, "disk");
      mkdirSync(disk, { mode: 0o700 });
      const unmount = kind.mount(join(folder, "image"), disk);
      onTestFinished(unmount);
      const store = join(folder, "sessions.d");
      const backups = ["--backups", join(disk, "backups")];
      await commit(store, 40);
      const good = (args: readonly string[]): string => {
        const { status, stdout, stderr } = sessiondir(...args);
        // That folders cannot be synced is the one thing that there may be to say.
        const warnings = stderr.split("\n").filter((line) => /warning|error/.test(line));
        const others = warnings.filter((line) => !line.includes("folders cannot be synced"));
        expect({ status, others }, args.join(" ")).toEqual({ status: 0, others: [] });
        return stdout;
      };
      const create = ["backup", "create", "--store", store, ...backups, "--json"];
      const first = JSON.parse(good(create)) as { bytes: number; writtenBytes: number; name: string };
      await commit(store, 40, 2);
      const second = JSON.parse(good(create)) as typeof first;
      expect(second.writtenBytes).toBeLessThan(first.writtenBytes / 3);

      // Killed while it writes, at whatever call: the two that count are as they were.
      await commit(store, 80);
      const killed = spawn(process.execPath, [MAIN, ...create], { stdio: "ignore" });
      const ended = new Promise((resolve) => killed.once("close", resolve));
      while (killed.exitCode === null && readdirSync(join(disk, "backups", "making")).length === 0)
        await new Promise((resolve) => setTimeout(resolve, 5));
      killed.kill("SIGKILL");
      await ended;
      const verified = good(["backup", "verify", "--deep", ...backups]);
      expect(verified).toContain(`${first.name}: good, 40 sessions`);
      expect(verified).toContain(`${second.name}: good, 40 sessions`);

      good(create);
      const restored = join(folder, "restored.d");
      good(["backup", "restore", ...backups, "--to", restored]);
      expect(contentOf(restored)).toEqual(contentOf(store));
      expect(sessiondir("doctor", "--deep", restored).stdout).toMatch(/^healthy/);
      good(["backup", "prune", ...backups, "--keep-last", "1"]);
      expect(good(["backup", "verify", ...backups]).match(/: good, 80 sessions/g)).toHaveLength(1);
      expect(good(["backup", "list", "--attempts", ...backups])).toMatch(/create +(running|killed)/);
      const run = good([
        "backup",
        "run",
        "--store",
        store,
        ...backups,
        "--every",
        "1s",
        "--times",
        "2",
        "--keep-last",
        "2",
      ]);
      expect(run.match(/: 80 sessions at/g)).toHaveLength(2);
    });
  });
}
