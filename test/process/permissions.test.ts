/**
 * Goal: every folder of a store has mode 0700 and every file 0600, whatever the umask and whoever runs; a store of
 * somebody else is refused; and a reader writes nothing, not a byte and not a time.
 * Method: programs run under the extreme umasks and as users without rights, and look at the whole tree after each
 * step. A reader works on a tree without any permission to write, which is compared before and after, while
 * strace listens for calls that could change something.
 */
import { chmodSync, chownSync, mkdirSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { openDirectoryStore } from "../../src/index.js";
import { start, type Child } from "./support/child.js";
import {
  asOthers,
  canBeOthers,
  copyPrograms,
  fingerprint,
  giveTo,
  protect,
  SOMEBODY,
  SOMEBODY_ELSE,
} from "./support/ownership.js";
import { canTrace, trace, traced } from "./support/strace.js";
import { temporaryFolder } from "./support/temporary-folder.js";

const POSIX = process.platform !== "win32";
const OPTIONS = { durability: "disk", flushDelayMs: 2 ** 30 } as const; // no temp file comes while a program looks
const STEPS = 14;

describe.runIf(POSIX)(POSIX ? "modes" : "modes (skipped: Windows has none)", () => {
  it.each([0o000, 0o777])("are 0700 and 0600 under umask %o", async (umask) => {
    const path = join(temporaryFolder(), "new/sessions.d");
    expect(await wrongModes(start("modes", { path, umask, options: OPTIONS }))).toEqual([]);
  });

  it.runIf(canBeOthers).each([0o000, 0o777])(
    asOthers("are 0700 and 0600 for a user without rights under umask %o"),
    async (umask) => {
      const folder = temporaryFolder();
      const programs = copyPrograms(folder);
      const home = homeOf(SOMEBODY, folder);
      const path = join(home, "new/sessions.d");
      const child = start("modes", { path, umask, options: OPTIONS }, { user: SOMEBODY, programs });
      expect(await wrongModes(child)).toEqual([]);
      expect(await child.next("done")).toMatchObject({ user: SOMEBODY });
    },
  );
});

describe.runIf(canBeOthers)(asOthers("a store of somebody else"), () => {
  it.each([
    { owner: SOMEBODY_ELSE, user: SOMEBODY, readOnly: false },
    { owner: SOMEBODY_ELSE, user: SOMEBODY, readOnly: true },
    { owner: SOMEBODY, user: 0, readOnly: false },
    { owner: SOMEBODY, user: 0, readOnly: true },
  ])(
    "of user $owner is refused to user $user, readOnly $readOnly, untouched",
    async ({ owner, user, readOnly }) => {
      const folder = temporaryFolder();
      const programs = copyPrograms(folder);
      const path = join(folder, "sessions.d");
      await fill(path);
      giveTo(owner, path);
      const before = fingerprint(path);
      const child = start("opening", { path, options: { readOnly } }, { user, programs });
      expect(await child.next("refused")).toMatchObject({ code: "path_untrusted", data: { path, owner } });
      await child.finished();
      expect(fingerprint(path)).toEqual(before);
    },
  );

  it("is refused as a folder above the own store, too", async () => {
    const folder = temporaryFolder();
    const programs = copyPrograms(folder);
    const above = join(folder, "above");
    const path = join(above, "sessions.d");
    await fill(path);
    giveTo(SOMEBODY, path);
    chmodSync(above, 0o755);
    chownSync(above, SOMEBODY_ELSE, SOMEBODY_ELSE);
    const child = start("opening", { path }, { user: SOMEBODY, programs });
    const refused = await child.next("refused");
    expect(refused).toMatchObject({ code: "path_untrusted", data: { path: above, owner: SOMEBODY_ELSE } });
  });

  it("is open to its owner", async () => {
    const folder = temporaryFolder();
    const programs = copyPrograms(folder);
    const path = join(folder, "home/sessions.d");
    await fill(path);
    giveTo(SOMEBODY, join(folder, "home"));
    const child = start("opening", { path }, { user: SOMEBODY, programs });
    expect(await child.next("opened")).toMatchObject({ sessions: 3 });
    await child.finished();
  });
});

describe.each([
  { state: "checkpointed", checkpoint: true },
  { state: "with everything in the log", checkpoint: false },
])("a reader of a store that is $state", ({ checkpoint }) => {
  it.runIf(canBeOthers)(asOthers("needs no permission to write and changes nothing"), async () => {
    const folder = temporaryFolder();
    const programs = copyPrograms(folder);
    const path = join(folder, "sessions.d");
    await fill(path, checkpoint);
    giveTo(SOMEBODY, path);
    protect(path);
    const before = fingerprint(path);
    const child = start("reading", { path }, { user: SOMEBODY, programs });
    expect(await child.next("read")).toMatchObject(EXPECTED);
    await child.finished();
    expect(fingerprint(path)).toEqual(before);
  });

  it.runIf(canTrace)(traced("makes no call that could change anything, although it might"), async () => {
    const folder = temporaryFolder();
    const path = join(folder, "sessions.d");
    await fill(path, checkpoint);
    const before = fingerprint(path);
    const calls = await trace(
      folder,
      "reading",
      { path },
      {
        during: async (child) => expect(await child.next("read")).toMatchObject(EXPECTED),
      },
    );
    const [reading = []] = calls.regions("reading");
    expect(reading.length).toBeGreaterThan(50);
    expect(
      reading.filter(({ name, text }) => couldChange(name, text)).map(({ name, text }) => `${name}(${text}`),
    ).toEqual([]);
    expect(fingerprint(path)).toEqual(before);
  });
});

const EXPECTED = {
  keys: ["agent:main:a", "agent:main:b", "agent:main:c"],
  same: true,
  big: [0, 10_000, 10_000],
  count: 3,
  one: { updatedAt: 1 },
  now: 2,
  nothing: "nothing",
  stats: 3,
  refused: ["read_only", "read_only", "read_only", "read_only", "read_only", "read_only"],
};

/** A store of three sessions, two of which share a big value. */
async function fill(path: string, checkpoint = true): Promise<void> {
  const store = await openDirectoryStore<object>(path, { flushDelayMs: 2 ** 30 });
  const skills = { prompt: "s".repeat(10_000) };
  await store.put("agent:main:a", { updatedAt: 1 });
  await store.put("agent:main:b", { updatedAt: 2, skills });
  await store.put("agent:main:c", { updatedAt: 3, skills });
  await store.put("agent:main:gone", { updatedAt: 4 });
  await store.delete("agent:main:gone");
  if (checkpoint) await store.checkpoint();
  await store.close();
}

/** A folder that belongs to a user, who alone may enter it. */
function homeOf(user: number, folder: string): string {
  const home = join(folder, `home-${user}`);
  mkdirSync(home, { mode: 0o700 });
  giveTo(user, home);
  return home;
}

/** What had a wrong mode at any step of the program. */
async function wrongModes(child: Child): Promise<unknown[]> {
  await child.finished();
  const steps = child.messages.filter(({ event }) => event === "step");
  expect(steps).toHaveLength(STEPS);
  for (const { files } of steps) expect(files).toBeGreaterThan(1);
  return steps.flatMap(({ step, wrong }) => (wrong as string[]).map((path) => `${String(step)}: ${path}`));
}

const CHANGING =
  /^(?:rename|renameat|renameat2|mkdir|mkdirat|unlink|unlinkat|rmdir|link|linkat|symlink|symlinkat|creat|truncate|ftruncate|fallocate|chmod|fchmod|fchmodat|chown|fchown|lchown|fchownat|utime|utimes|utimensat|futimesat|pwrite64|pwritev|pwritev2|writev|fsync|fdatasync|flock|setxattr|fsetxattr|mknod|mknodat|copy_file_range|sendfile)$/;

function couldChange(name: string, text: string): boolean {
  if (name === "open" || name === "openat") return /O_CREAT|O_WRONLY|O_RDWR|O_TRUNC|O_APPEND/.test(text);
  // The program's own words to the test, and Node's to its threads, which it wakes with a number of 8 bytes.
  if (name === "writev") return !text.startsWith("1, ");
  if (name === "write") return !/, 8(?:\)| <unfinished)/.test(text);
  if (name === "fcntl") return text.includes("F_SETLK");
  return CHANGING.test(name);
}
