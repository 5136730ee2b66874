/**
 * Goal: each command for the care of a store, on a disk that is read-only, on one that is full, and with Ctrl-C in the middle, ends with a
 * code and a sentence that names what it is about, never with a stack trace, and leaves the store as it was or as it was told to be.
 * Method: the built program on small file systems in memory; nothing, and wrong paths, are in test/cli/wrong-places.test.ts, backups in
 * backup-disks, archives in retention-disks.
 */
import { spawn, spawnSync } from "node:child_process";
import { existsSync, readdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { openDirectoryStore } from "../../src/index.js";
import { canMountMemory, fill, memoryDisk } from "./support/memory-disk.js";
import { temporaryFolder } from "./support/temporary-folder.js";

const MAIN = fileURLToPath(new URL("../../dist/cli/main.js", import.meta.url));
const canMount = canMountMemory();
const MiB = 2 ** 20;
const STACK = /\n\s+at |node:internal|unexpected|this should not happen/;

interface Ended {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

function sessiondir(args: readonly string[], input = ""): Ended {
  const env = { ...process.env, EDITOR: "sed -i s/large/small/" };
  const { status, stdout, stderr } = spawnSync(process.execPath, [MAIN, ...args], {
    encoding: "utf8",
    input,
    env,
  });
  return { code: status, stdout, stderr };
}

async function makeStore(path: string, sessions: number, items = 1): Promise<void> {
  const store = await openDirectoryStore<Record<string, unknown>>(path);
  for (let n = 0; n < sessions; n++) {
    const text = Math.random().toString(36).repeat(50);
    await store.put(`agent:main:${n}`, { n, text, model: "large", updatedAt: Date.UTC(2026, 0, 1) + n });
    await store.append(
      `agent:main:${n}`,
      Array.from({ length: items }, (_, index) => ({ index, text })),
    );
  }
  await store.checkpoint();
  await store.close();
}

/** With `STORE` and `DISK` in the place of paths. What reads works wherever it can be read. */
const READS: readonly (readonly string[])[] = [
  ["doctor", "--deep", "--store", "STORE"],
  ["mend", "--dry-run", "--store", "STORE"],
  [
    "ls",
    "--store",
    "STORE",
    "--where",
    "model=large",
    "--older-than",
    "1d",
    "--larger-than",
    "10B",
    "--grep",
    "agent",
  ],
  ["get", "-", "--store", "STORE"],
  ["export", "--store", "STORE"],
  ["prune", "--keys", "*", "--older-than", "1d", "--yes-remove", "1000", "--dry-run", "--store", "STORE"],
  ["rewrite", "model", "large", "small", "--dry-run", "--store", "STORE"],
];
const WRITES: readonly (readonly string[])[] = [
  ["mend", "--store", "STORE"],
  ["export", "--store", "STORE", "-o", "DISK/export.jsonl"],
  ["import", "FILE", "--store", "STORE", "--on-conflict", "replace"],
  ["rename-key", "agent:main:1", "agent:main:new", "--store", "STORE"],
  ["rewrite", "model", "large", "small", "--store", "STORE"],
  ["prune", "--keys", "*", "--older-than", "1d", "--yes-remove", "1000", "--store", "STORE"],
  ["restore", "agent:main:gone", "--store", "STORE"],
  ["edit", "agent:main:2", "--store", "STORE"],
  ["rm", "-", "--store", "STORE"],
];

const stateOf = (store: string): string => {
  const { stdout } = sessiondir(["export", "--store", store]);
  return stdout.split("\n").slice(1, -2).join("\n"); // without the time of the header, and its checksum
};

/** An export that differs from the store. */
async function foreignFile(): Promise<string> {
  const other = join(temporaryFolder(), "other.d");
  await makeStore(other, 30, 20);
  const path = join(temporaryFolder(), "moved.jsonl");
  expect(sessiondir(["export", "--store", other, "-o", path]).code).toBe(0);
  return path;
}

describe.runIf(canMount)(
  `disks for the care of stores${canMount ? "" : " (skipped: only root can mount some)"}`,
  () => {
    it(
      "mounted read-only: what reads works, what writes names the disk and changes nothing",
      { timeout: 120_000 },
      async () => {
        const { path: disk, freeze } = memoryDisk(16 * MiB);
        const store = join(disk, "sessions.d");
        await makeStore(store, 20);
        const file = await foreignFile();
        freeze();
        const before = stateOf(store);
        const given = (args: readonly string[]): string[] =>
          args.map((one) => one.replace("STORE", store).replace("DISK", disk).replace("FILE", file));
        for (const args of READS) {
          const { code, stderr } = sessiondir(given(args), "agent:main:1\n");
          expect({ code, isStack: STACK.test(stderr) }, `${args.join(" ")}: ${stderr}`).toEqual({
            code: 0,
            isStack: false,
          });
        }
        for (const args of WRITES) {
          const { code, stdout, stderr } = sessiondir(given(args), "agent:main:1\n");
          expect({ code, stdout }, args.join(" ")).toEqual({ code: 1, stdout: "" });
          expect(stderr, args.join(" ")).toMatch(/^sessiondir: .*(read-only|EROFS|archive)/m);
          expect(stderr).not.toMatch(STACK);
        }
        expect(readdirSync(disk)).toEqual(["sessions.d"]);
        expect(stateOf(store)).toBe(before);
      },
    );

    it.each(WRITES.filter(([name]) => name !== "restore"))(
      "full: %s %s %s says so or is done whole, and room helps",
      { timeout: 120_000 },
      async (...args) => {
        const { path: disk } = memoryDisk(16 * MiB);
        const store = join(disk, "sessions.d");
        await makeStore(store, 20);
        const file = await foreignFile();
        const keys = "agent:main:1\n";
        const given = args.map((one) =>
          one.replace("STORE", store).replace("DISK", disk).replace("FILE", file),
        );
        const filler = fill(disk);
        const before = stateOf(store);
        const { code, stdout, stderr } = sessiondir(given, keys);
        expect(stderr).not.toMatch(STACK);
        // A store keeps a reserve, so that small changes go through.
        if (code === 0) expect(stdout).not.toBe("");
        else {
          expect(code, stderr).toBe(1);
          expect(stderr).toMatch(/full|room|space/i);
          if (args[0] !== "import") expect(stateOf(store)).toBe(before);
        }
        const isThere = existsSync(join(disk, "export.jsonl"));
        if (args[0] === "export") expect(isThere).toBe(code === 0);
        rmSync(filler);
        expect(sessiondir(["doctor", "--deep", "--store", store]).code).toBe(0);
        if (code !== 0) expect(sessiondir(given, keys).code).toBe(0);
      },
    );
  },
);

/** Long enough for a key to be pressed in the middle. */
const LONG: readonly (readonly string[])[] = [
  ["doctor", "--deep", "--store", "STORE"],
  ["ls", "--store", "STORE", "--grep", "nowhere"],
  ["export", "--store", "STORE", "-o", "FOLDER/export.jsonl"],
  ["import", "FILE", "--store", "STORE", "--on-conflict", "replace"],
  ["rewrite", "model", "large", "small", "--store", "STORE"],
  ["prune", "--keys", "*", "--older-than", "1d", "--yes-remove", "1000", "--store", "STORE"],
  ["backup", "create", "--store", "STORE", "--backups", "FOLDER/backups"],
];

describe("Ctrl-C in the middle", () => {
  it.each(LONG)(
    "%s %s: a sentence and 130, or it was done already; nothing half is taken for whole",
    { timeout: 120_000 },
    async (...args) => {
      const folder = temporaryFolder();
      const store = join(folder, "sessions.d");
      await makeStore(store, 300, 30);
      const file = args.includes("FILE") ? await foreignFile() : "";
      const given = args.map((one) =>
        one.replace("STORE", store).replace("FOLDER", folder).replace("FILE", file),
      );
      for (const ms of [120, 220, 320]) {
        const child = spawn(process.execPath, [MAIN, ...given], { stdio: ["ignore", "pipe", "pipe"] });
        let stderr = "";
        child.stderr.setEncoding("utf8").on("data", (text: string) => (stderr += text));
        child.stdout.resume();
        const ended = new Promise<[number | null, NodeJS.Signals | null]>((resolve) =>
          child.once("close", (code, signal) => resolve([code, signal])),
        );
        setTimeout(() => child.kill("SIGINT"), ms);
        const [code, signal] = await ended;
        expect(stderr).not.toMatch(STACK);
        if (code === 0 || code === 3) continue; // it was done already
        // Before the program has begun to read its command line the system ends it.
        if (signal === "SIGINT" && stderr === "") continue;
        expect(code, stderr).toBe(130);
        expect(stderr).toMatch(/interrupted|stopped/i);
        expect(existsSync(join(folder, "export.jsonl"))).toBe(false);
      }
      expect(sessiondir(["doctor", "--deep", "--store", store]).code).toBe(0);
      if (existsSync(join(folder, "backups", "sessiondir-backups.json")))
        expect(sessiondir(["backup", "verify", "--backups", join(folder, "backups")]).stderr).not.toMatch(
          STACK,
        );
      rmSync(join(folder, "export.jsonl"), { force: true });
      const again = sessiondir(given);
      expect(again.code, again.stderr).toBe(0);
    },
  );
});
