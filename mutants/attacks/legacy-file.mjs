// @ts-check
/** Mutants of a legacy file that is written in place of a store, its lock, and its place. */
import { FILE_FORM, LINKS, LOCK, inFile } from "../suites.mjs";

const LOCKS = inFile(
  "src/openclaw/backend/legacy-lock.ts",
  [LOCK, FILE_FORM],
  [
    {
      name: "a stale lock is taken over without a guard",
      rule: "lock",
      find: `if (!this.#create(guard)) {`,
      replace: `if (!this.#create(guard) && guard === "") {`,
    },
    {
      name: "a stale lock is not looked at again before it is taken over",
      rule: "lock",
      find: `if (!found.stale) return false;`,
      replace: ``,
    },
    {
      name: "a lock that was moved by mistake is not given back",
      rule: "lock",
      find: `if (!same) fs.link(aside, path);`,
      replace: ``,
    },
    {
      name: "whatever was moved away is the stale lock",
      rule: "lock",
      find: `const same = findLock(fs, aside, runtime.now())?.identity === expected.identity;`,
      replace: `const same = expected.identity !== "";`,
    },
    {
      name: "a lock is held for ever once it was had",
      rule: "lock",
      find: `return findLock(this.host.fs, this.path, this.host.runtime.now())?.identity === this.#held;`,
      replace: `return this.#held !== undefined;`,
    },
    {
      name: "somebody else's lock is released",
      rule: "lock",
      find: `if (this.isHeld()) remove(this.host, this.path);`,
      replace: `remove(this.host, this.path);`,
    },
    {
      name: "a lock is waited for without end",
      rule: "bound",
      find: `if (runtime.monotonic() - started >= waitMsMax) throw lockedError(lock.path, holder, waitMsMax);`,
      replace: `if (runtime.monotonic() - started >= waitMsMax * 1e9 + 1e12) throw lockedError(lock.path, holder, waitMsMax);`,
    },
    {
      name: "a lock file that could not be written stays",
      rule: "full disk",
      find: `remove(this.host, path); // a full disk: nobody could tell whose it is`,
      replace: ``,
    },
  ],
);

const HOLDER = inFile(
  "src/openclaw/backend/lock-holder.ts",
  [LOCK, FILE_FORM],
  [
    {
      name: "the lock of a dead process is held",
      rule: "lock",
      find: `if (!isAlive(pid)) return true;`,
      replace: ``,
    },
    {
      name: "the lock of another process with the same number is held",
      rule: "lock",
      find: `if (running !== undefined && running !== starttime) return true;`,
      replace: `void running;`,
    },
    {
      name: "a lock is held however old it is",
      rule: "lock",
      find: `const old = (since: number): boolean => now - since > LOCK_STALE_MS;`,
      replace: `const old = (since: number): boolean => now - since > LOCK_STALE_MS * 1e9;`,
    },
    {
      name: "a lock file that is just being written is stale",
      rule: "lock",
      find: `return old(createdAt === undefined ? modifiedAt : Math.max(createdAt, modifiedAt));`,
      replace: `return pid === undefined || old(createdAt ?? modifiedAt);`,
    },
  ],
);

const FILE = inFile(
  "src/openclaw/backend/session-file.ts",
  [FILE_FORM],
  [
    {
      name: "a legacy file is not synced before it has its name",
      rule: "fdatasync",
      find: `await createFile(host.fs, complete, Buffer.from(text), { sync: true });`,
      replace: `await createFile(host.fs, complete, Buffer.from(text), { sync: false });`,
    },
    {
      name: "the rename of a legacy file is not synced",
      rule: "fsync",
      find: `if (replaced) await syncDirectory(host.fs, paths.folder);`,
      replace: ``,
    },
    {
      name: "nobody asks whether the lock is still held before the rename",
      rule: "lock",
      find: `if (mayReplace()) {`,
      replace: `if (mayReplace !== undefined) {`,
    },
    {
      name: "a file that changed within a tick of the clock is not read again",
      rule: "cache",
      find: `const same = settled && this.#stamp()?.text === stamp.text;`,
      replace: `const same = settled || stamp.text !== "";`,
    },
    {
      name: "a file that a migration has put aside is an empty store",
      rule: "which side is authoritative",
      find: `if (aside === undefined) return NOTHING;`,
      replace: `if (aside === undefined || aside !== "") return NOTHING;`,
    },
    {
      name: "a file with nothing in it is an empty store",
      rule: "legacy_invalid",
      suites: ["test/openclaw/one-store/load-session-store.test.ts"],
      find: `if (json.trim() === "")\n    throw`,
      replace: `if (json.trim() === "") return {};\n  if (json === "")\n    throw`,
    },
    {
      name: "members of the file that are no sessions are dropped",
      rule: "legacy file",
      find: `const members = new Map<string, unknown>(Object.entries(value));`,
      replace: `const members = new Map<string, unknown>(Object.entries(value).filter(([, entry]) => isEntry(entry)));`,
    },
    {
      name: "what killed writers left stays",
      rule: "leftovers",
      find: `await this.#removeUnfinished();`,
      replace: ``,
    },
  ],
);

const PLACE = inFile(
  "src/store/legacy-place.ts",
  [LINKS],
  [
    {
      name: "links on the way are not followed",
      rule: "symlinks, 1",
      find: `return fs.realpath(folder);`,
      replace: `fs.realpath(folder);\n    return folder;`,
    },
    {
      name: "a link in place of the file is not followed",
      rule: "symlinks, 3",
      find: `if (target === undefined) return { folder, name, identity };`,
      replace: `if (target === undefined || name !== "") return { folder, name, identity };`,
    },
    {
      name: "`link/..` is taken for nothing",
      rule: "symlinks, 3",
      find: "path = isAbsolute(target) ? target : `${folder}/${target}`;",
      replace: "path = isAbsolute(target) ? join(target) : join(folder, target);",
    },
  ],
);

export const LEGACY_FILE = [...LOCKS, ...HOLDER, ...FILE, ...PLACE];
