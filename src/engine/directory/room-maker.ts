/**
 * Makes room for commits when the disk is full, or when the reserve is gone: collects what is dead in the store. Before that,
 * entry files are written that would otherwise need the reserve.
 *
 * All commits that wait for room wait for the same work. Once everything was collected without success, it is not
 * collected again unless something died since, or some time has passed: commits that are refused must not keep the disk
 * busy.
 */
import { isStoreGone } from "../../log/store-place.js";
import type { BlobTrash } from "../../entries/blob-trash.js";
import type { DeadValues } from "./dead-values.js";
import { RETRY_MS } from "./sealer.js";
import type { SessionLog } from "./session-log.js";
import type { Space } from "./space.js";

export class RoomMaker {
  /** Room that is being made, for all commits that wait for it. */
  #making: Promise<void> | undefined;
  /**
   * Everything that is dead was collected: before this time there is nothing to collect, unless something died since.
   */
  #collectNotBefore = Number.NEGATIVE_INFINITY;

  /**
   * @param flush Writes the entry files of all sessions.
   * @param collect Removes everything that is dead, through all phases of a removal.
   */
  constructor(
    private readonly log: SessionLog,
    private readonly space: Space,
    private readonly dead: DeadValues,
    private readonly trash: BlobTrash,
    private readonly flush: () => Promise<void>,
    private readonly collect: () => Promise<void>,
  ) {}

  /**
   * Resolves when there is room.
   * @param full Whether a commit has just met a full disk.
   * @throws `disk_full` when what is dead was collected and there is no room even so.
   */
  makeRoom(full: boolean): Promise<void> {
    return (this.#making ??= this.#makeRoom(full).finally(() => (this.#making = undefined)));
  }

  /** Nothing is under way. */
  async settled(): Promise<void> {
    await this.#making?.catch(() => {});
  }

  async #makeRoom(full: boolean): Promise<void> {
    const { space } = this;
    const { runtime } = this.log.options;
    let cause: unknown;
    try {
      const enough = await space.tend();
      if (space.inDebt) await this.flush();
      if (!full && enough) return;
      if (runtime.monotonic() >= this.#collectNotBefore || (await this.#mayCollect())) {
        await this.collect();
        this.#collectNotBefore = runtime.monotonic() + RETRY_MS;
      }
      if (await space.tend()) return;
    } catch (error) {
      if (isStoreGone(error)) throw error; // then nobody asks for room
      cause = error;
    }
    throw space.full(cause);
  }

  /** Whether anything happened since everything was collected that is a reason to do so again. */
  async #mayCollect(): Promise<boolean> {
    const { dead, log } = this;
    if (dead.bytes > 0 || log.segments.length > 1 || log.active.ledger.changed.size > 0) return true;
    return !(await this.trash.isEmpty());
  }
}
