/**
 * Backups that are being made, beside prunes that remove what no backup needs: nobody waits, and neither harms the other.
 *
 * Who makes a backup first makes a folder in `making/`, its **claim**, then removes every folder in `sweeping/`, and only
 * then looks which objects are there. Who prunes first makes a folder in `sweeping/`, then looks into `making/`, and if
 * there is a claim, leaves all objects where they are. It removes an object by a rename into its folder; when that is gone,
 * so is every rename that comes late, however long its process slept. So whichever of the two looked second knows of the
 * other one. (It is the fence of the store's own staging folders; see docs/protocol.md.)
 *
 * The manifest comes by a rename out of the claim, so a claim that was taken away makes no backup. That happens to one that
 * has been silent for an hour: its process was killed, or sleeps and will fail, with all backups as they were.
 */
import { errnoOf } from "../../errors.js";
import { ignoreMissing, isMissing } from "../../fs/missing.js";
import { createFile } from "../../fs/regular-file.js";
import { namesInNow, statusNow } from "../../fs/status.js";
import { removeTree } from "../../legacy/base/tree.js";
import type { BackupFolder } from "./folder.js";
import type { BackupHost } from "./types.js";

/** A claim tells that it lives more often than that, by a factor of sixty. */
const SILENT_MS = 60 * 60 * 1000;
const BEAT_MS = 60 * 1000;

export class Claim {
  #beat: number;
  #beats = 0;

  private constructor(
    private readonly host: BackupHost,
    readonly path: string,
  ) {
    this.#beat = host.runtime.monotonic();
  }

  static async make(host: BackupHost, folder: BackupFolder): Promise<Claim> {
    const { fs, runtime } = host;
    const path = `${folder.making}/${runtime.randomName(8)}`;
    await fs.later.mkdir(path);
    const claim = new Claim(host, path);
    for (const name of namesInNow(fs, folder.sweeping)) {
      const sweeping = `${folder.sweeping}/${name}`;
      // Nothing is ever moved into anything else, whoever put that there.
      if (statusNow(fs, sweeping)?.kind === "directory") await fence(host, sweeping);
    }
    return claim;
  }

  /** Says that it is alive. */
  async beat(): Promise<void> {
    const now = this.host.runtime.monotonic();
    if (now - this.#beat < BEAT_MS) return;
    this.#beat = now;
    await touch(this.host, `${this.path}/beat-${++this.#beats}`);
  }

  /** Removes it with what is in it. */
  release(): Promise<void> {
    return fence(this.host, this.path);
  }
}

/**
 * Removes claims that have been silent for an hour. One from the future, of before the clock was set back, is given the time of now:
 * if nobody beats it, its hour begins.
 * @returns Whether there are others.
 */
export async function removeSilentClaims(host: BackupHost, folder: BackupFolder): Promise<boolean> {
  const { fs, runtime } = host;
  let others = false;
  for (const name of namesInNow(fs, folder.making)) {
    const path = `${folder.making}/${name}`;
    const status = statusNow(fs, path);
    if (status?.kind !== "directory") continue;
    const silentMs = runtime.now() - status.modifiedAt;
    if (silentMs >= SILENT_MS) {
      await fence(host, path);
      continue;
    }
    others = true;
    if (silentMs < -SILENT_MS) await ignoreMissing(touch(host, `${path}/${runtime.randomName(8)}`));
  }
  return others;
}

/** Gives a folder the time of now. @param path A name in it that nobody has. */
async function touch({ fs }: BackupHost, path: string): Promise<void> {
  await createFile(fs, path, Buffer.alloc(0), { sync: false });
  await fs.later.unlink(path);
}

/** Others may still be moving files into it. */
export async function fence(host: BackupHost, path: string): Promise<void> {
  for (;;) {
    try {
      await removeTree(host, path);
      return;
    } catch (error) {
      if (isMissing(error)) return;
      if (errnoOf(error) !== "ENOTEMPTY" && errnoOf(error) !== "EEXIST") throw error;
    }
  }
}
