/**
 * How much room there is, and what that means: how large the active segment may grow, how much may be dead before it is
 * collected, and whether commits may still take room.
 *
 *  - Plenty of room: the limits are those of the options, and of what is alive.
 *  - Little room: segments are sealed, and dead values collected, the earlier the less room there is.
 *  - A full disk: work at the store that frees space gives the reserve up and goes on in its room. From then on the store
 *    is *short*, until there is enough of a reserve again: commits that need room first collect what is dead, and are refused when
 *    that does not help. Deletes and checkpoints are not, for the room that the reserve left is theirs.
 *
 * Entry files are written after their commits, and each takes blocks of its own: until then they are a debt. Where that is
 * much of the room that is left, commits wait for the files, or the reserve would not be enough to write them.
 *
 * The room is asked for rarely, and in the background. A missing reserve is also noticed when a store is opened, which
 * lists the folder anyway.
 */
import { errnoOf, isDiskFull, SessionStoreError } from "../../errors.js";
import { Reserve, reserveBytesOn } from "../../entries/reserve.js";
import type { FileSystem } from "../../fs/file-system.js";
import type { Layout } from "../../format/layout.js";
import type { Runtime } from "../../runtime.js";

export interface SpaceOptions {
  readonly segmentBytes: number;
  readonly reserveBytes: number;
  readonly fs: FileSystem;
  readonly layout: Layout;
  readonly runtime: Runtime;
  /** Staging folder of the active segment. */
  readonly stage: () => string;
  /** How many sessions wait for their entry files. */
  readonly unwritten: () => number;
}

/** The parts of the free room that the log and dead values may take. A segment under load becomes 16 times as large. */
const LOG_SHARE = 1 / 64;
const DEAD_SHARE = 1 / 8;
/** Below this it is the checkpoints that take the room. */
const LOG_BYTES_MIN = 64 * 1024;
/** Dead values may take this part of what the live ones take; half of it while they wait in the trash. */
const DEAD_SHARE_OF_LIVE = 1 / 8;
/** A reserve is made of what is left, however little, before other programs take it. The rest is for making it. */
const TAKEN_SHARE = 15 / 16;
/** Below this part of what there should be, a reserve is not worth making. */
const SMALLEST_SHARE = 1 / 8;
/** Taking such a part of the room that was left at the last look is a reason to look again. */
const LOOK_SHARE = 1 / 8;
/** Files that are still to be written may take such a part of the room that is left. */
const DEBT_SHARE = 1 / 8;
/** A block for a session's folder, and one for its file. */
const FILE_BYTES = 2 * 4096;
/** Before the first look it is taken for so little. */
const UNKNOWN_FREE_BYTES = 8 * 1024 * 1024;
/** Below this part no commit may take room: each way out of a full disk uses some of the reserve up. */
const SHORT_SHARE = 1 / 2;

export class Space {
  /** The reserve is gone: what commits write now would be missing on the way out. */
  short = false;
  /** Size at which the active segment is full. */
  logBytesMax: number;
  /** Once dead values have this many bytes they are collected. As much again may wait in the trash. */
  deadBytesMax: number;
  /** Size of the values that were in use at the last removal. */
  liveBytes = 0;
  /** About what the latest checkpoint has added to the catalog; the next one may add as much. */
  catalogBytes = 0;
  readonly #reserve: Reserve;
  /** Settled unless this process is making a reserve. */
  #makingReserve: Promise<unknown> = Promise.resolve();
  /** Work under way in the room of the reserve. */
  #spending = 0;
  /** Room at the last look, and what commits of this process have taken since. */
  #freeBytes = UNKNOWN_FREE_BYTES;
  #takenBytes = 0;

  constructor(private readonly options: SpaceOptions) {
    const { fs, layout, runtime } = options;
    this.#reserve = new Reserve(fs, layout, runtime);
    this.logBytesMax = options.segmentBytes;
    this.deadBytesMax = options.segmentBytes / 2;
  }

  /** A commit has taken room. */
  took(bytes: number): void {
    this.#takenBytes += bytes;
  }

  /** Whether commits that need room must wait for a look at it, for files, or for more room. Arithmetic. */
  get mustWait(): boolean {
    return this.short || this.inDebt || this.#takenBytes > this.#freeBytes * LOOK_SHARE;
  }

  /** Whether too many entry files are still to be written. */
  get inDebt(): boolean {
    return this.options.unwritten() * FILE_BYTES > (this.#freeBytes - this.#takenBytes) * DEBT_SHARE;
  }

  /** Does work that may be begun again; if it meets a full disk, once more in the room of the reserve. */
  async inReserve<T>(work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (error) {
      if (!isDiskFull(error)) throw error;
      return this.spendReserve(work, () => {
        throw error;
      });
    }
  }

  /**
   * Gives the reserve up and does work in its room. Meanwhile this process makes no new one: it would take that very room.
   * @param otherwise Done instead when there is no reserve; another process, or other work, may have been faster.
   */
  async spendReserve<T>(work: () => Promise<T>, otherwise: () => Promise<T>): Promise<T> {
    this.short = true;
    this.#spending++;
    try {
      await this.#makingReserve; // it has the blocks already, and can be given up only once it has its name
      if (await this.#reserve.giveUp()) return await work();
    } finally {
      this.#spending--;
    }
    return otherwise();
  }

  /**
   * Finds out how much room there is, and makes the reserve anew if it is gone or has become too small. Two system calls,
   * normally. A call that fails changes nothing: the commit that needs the room will find out.
   * @returns Whether there is enough of a reserve, so that commits may take room.
   */
  async tend(): Promise<boolean> {
    try {
      const { fs, layout } = this.options;
      const { freeBytes, totalBytes } = fs.room(layout.store);
      this.#freeBytes = freeBytes;
      this.#takenBytes = 0;
      this.#limit(freeBytes);
      const bytes = this.#reserve.bytes();
      const { reserveBytes } = this.options;
      const least = reserveBytesOn(totalBytes, reserveBytes + this.catalogBytes);
      this.short = bytes < least * SHORT_SHARE;
      if (bytes >= least) return true;
      // With room for more, or every larger checkpoint would mean a new reserve.
      const wanted = reserveBytesOn(totalBytes, reserveBytes + 2 * this.catalogBytes);
      const possible = Math.floor(Math.min(wanted, freeBytes * TAKEN_SHARE));
      if (this.#spending > 0 || possible <= Math.max(bytes, least * SMALLEST_SHARE)) return !this.short;
      const making = this.#reserve.make(this.options.stage(), possible);
      this.#makingReserve = making.catch(() => {});
      if (await making) this.short = possible < least * SHORT_SHARE;
    } catch (error) {
      if (errnoOf(error) === undefined) throw error;
    }
    return !this.short;
  }

  #limit(freeBytes: number): void {
    const { segmentBytes } = this.options;
    const part = (share: number): number => Math.max(LOG_BYTES_MIN, freeBytes * share);
    this.logBytesMax = Math.min(segmentBytes, part(LOG_SHARE));
    const deadBytesMax = Math.max(segmentBytes / 2, this.liveBytes * DEAD_SHARE_OF_LIVE);
    this.deadBytesMax = Math.min(deadBytesMax, part(DEAD_SHARE));
  }

  /** The error of a commit that needs room. */
  full(cause: unknown): SessionStoreError {
    const { fs, layout } = this.options;
    const { store } = layout;
    const inTheWay = cause instanceof SessionStoreError && !isDiskFull(cause) ? cause : undefined;
    const { data } = cause instanceof SessionStoreError ? cause : { data: { errno: errnoOf(cause) } };
    const errno = data["errno"] ?? "ENOSPC";
    const dead =
      inTheWay === undefined ? "was removed already." : `could not be removed: ${inTheWay.message}`;
    let freeBytes: number | undefined;
    try {
      ({ freeBytes } = fs.room(store));
    } catch {
      // It is full, however full.
    }
    return new SessionStoreError(
      "disk_full",
      `the disk of ${store} is full (${errno}), and what is dead in this store ${dead} Nothing was ` +
        "changed. Free some space on that disk, or delete sessions: deletes still work, and so do all writes once there " +
        "is room.",
      {
        data: {
          errno,
          path: store,
          freeBytes,
          neededBytes: this.options.reserveBytes,
          reason: inTheWay?.code,
        },
        cause,
      },
    );
  }
}
