/**
 * The lock file of a legacy file, `sessions.json.lock`: the one that old gateways take for every change, in their format and by
 * their rules, so that they and we never change the file at the same time.
 *
 * Calling sequence: `acquire`, read, compute, `assertHeld`, rename, `release`. Taking over a stale lock is where lock files
 * go wrong: two who both saw the dead one's file, and one removes what the other has just made. Here whoever wants to take over
 * first makes a second file, `….lock.takeover`, looks at the lock **again** and only then moves it away, under a name of
 * its own, and looks at what it has moved. So among our processes nobody loses a lock that it has. Old gateways
 * remove without looking twice; `assertHeld` notices that, as it does when we were suspended for so long that somebody took over.
 *
 * A crash leaves the lock file, which others take over because its process is dead; or the takeover file, likewise; or a file
 * `….lock.stale-…` that nobody looks at, which the next takeover removes.
 */
import { basename, dirname } from "node:path";
import { errnoOf, SessionStoreError } from "../../errors.js";
import { namesIn } from "../../fs/status.js";
import { isMissing, unlessMissing } from "../../fs/missing.js";
import type { LegacyHost } from "../../legacy/base/host.js";
import { findLock, lockContent, type FoundLock } from "./lock-holder.js";

const POLL_MS_MIN = 1;
const POLL_MS_MAX = 100;

export class LegacyLock {
  readonly path: string;
  #held: string | undefined;

  private constructor(
    private readonly host: LegacyHost,
    file: string,
  ) {
    this.path = lockPathOf(file);
  }

  /**
   * Waits for the lock of a legacy file; its folder must exist.
   * @throws `legacy_locked` after `waitMsMax`.
   */
  static async acquire(host: LegacyHost, file: string, waitMsMax: number): Promise<LegacyLock> {
    const lock = new LegacyLock(host, file);
    const { runtime } = host;
    const started = runtime.monotonic();
    for (let attempt = 0; ; attempt++) {
      if (lock.#create(lock.path)) {
        lock.#held = findLock(host.fs, lock.path, runtime.now())?.identity;
        if (lock.#held !== undefined) return lock;
        continue; // removed by an old gateway at once
      }
      const holder = findLock(host.fs, lock.path, runtime.now());
      if (holder === undefined) continue;
      if (holder.stale && (await lock.#takeOver())) continue;
      if (runtime.monotonic() - started >= waitMsMax) throw lockedError(lock.path, holder, waitMsMax);
      // Not in step with others who wait for the same lock.
      const pauseMs = Math.min(POLL_MS_MAX, POLL_MS_MIN * 1.5 ** attempt);
      await runtime.sleep(pauseMs * (0.5 + runtime.random()));
    }
  }

  /** Whether the lock is still ours: to be asked right before the change, with nothing in between. */
  isHeld(): boolean {
    return findLock(this.host.fs, this.path, this.host.runtime.now())?.identity === this.#held;
  }

  release(): void {
    if (this.isHeld()) remove(this.host, this.path);
    this.#held = undefined;
  }

  /** @returns False if the name is taken. */
  #create(path: string): boolean {
    const { fs, runtime } = this.host;
    const bytes = Buffer.from(lockContent(fs, runtime.now()));
    let fd: number;
    try {
      fd = fs.open(path, "create");
    } catch (error) {
      if (errnoOf(error) === "EEXIST") return false;
      throw error;
    }
    try {
      fs.write(fd, bytes, 0, bytes.length);
    } catch (error) {
      remove(this.host, path); // a full disk: nobody could tell whose it is
      throw error;
    } finally {
      fs.close(fd);
    }
    return true;
  }

  /** @returns Whether the stale lock is gone. */
  async #takeOver(): Promise<boolean> {
    const { host, path } = this;
    const guard = `${path}.takeover`;
    if (!this.#create(guard)) {
      const other = findLock(host.fs, guard, host.runtime.now());
      // Its maker was killed in these few calls: the file is moved away like a lock, and it is somebody's turn again.
      if (other?.stale === true) moveAway(host, guard, other);
      return false;
    }
    try {
      const found = findLock(host.fs, path, host.runtime.now());
      if (found === undefined) return true;
      if (!found.stale) return false;
      const moved = moveAway(host, path, found);
      await removeLeftovers(host, path);
      return moved;
    } finally {
      remove(host, guard);
    }
  }
}

/** The lock file that old gateways use for this legacy file. */
export function lockPathOf(file: string): string {
  return `${file}.lock`;
}

/** Takes exactly this file away; if another one has its name by now, that gets it back. */
function moveAway(host: LegacyHost, path: string, expected: FoundLock): boolean {
  const { fs, runtime } = host;
  const aside = `${path}.stale-${runtime.randomName(8)}`;
  try {
    fs.rename(path, aside);
  } catch (error) {
    if (isMissing(error)) return true;
    throw error;
  }
  const same = findLock(fs, aside, runtime.now())?.identity === expected.identity;
  try {
    if (!same) fs.link(aside, path);
  } catch (error) {
    if (errnoOf(error) !== "EEXIST") throw error; // a third one was faster; whoever had it will notice
  } finally {
    remove(host, aside);
  }
  return same;
}

async function removeLeftovers(host: LegacyHost, path: string): Promise<void> {
  const prefix = `${basename(path)}.stale-`;
  for (const name of await namesIn(host.fs, dirname(path))) {
    if (name.startsWith(prefix)) remove(host, `${dirname(path)}/${name}`);
  }
}

function remove({ fs }: LegacyHost, path: string): void {
  unlessMissing(() => fs.unlink(path));
}

function lockedError(lock: string, { pid }: FoundLock, waitMsMax: number): SessionStoreError {
  const who = pid === 0 ? "by an unknown process" : `by process ${pid}`;
  return new SessionStoreError(
    "legacy_locked",
    `${lock} is held ${who} and was not released within ${waitMsMax} ms. Nothing was written. Try again; if that process ` +
      "is stuck, stop it: the lock of a dead process is taken over.",
    { data: { lock, pid, waitMsMax } },
  );
}
