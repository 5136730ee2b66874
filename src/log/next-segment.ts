/**
 * Makes the segment that follows a sealed one, so that exactly one of all processes that try succeeds, and one that
 * was suspended in the middle for any time does no harm.
 *
 * Ordering rule O7. The steps and what each is for:
 *   1. fdatasync the sealed segment, fsync `log/`: the next one must not survive a power cut that this one's
 *      tail does not survive.
 *   2. Make `stage/<n>-<random>/`, never twice the same (O13), write the whole segment into it (a header), sync
 *      it, fsync `stage/`: a published segment always has its header and its staging folder.
 *   3. Look whether the sealed segment is still the very file that the seal was read from. If not, others went
 *      on and checkpointed it long ago: rewind.
 *   4. link(2) the staged file to `log/<n>`. EEXIST: another one was first. ENOENT: the staging folder was
 *      fenced, which happens only when `n` itself is being checkpointed.
 *   5. Unlink the staged name, fsync `log/`.
 *
 * A crash in between leaves a staging folder that the checkpoint of `n` removes.
 */
import { errnoOf } from "../errors.js";
import { assertFolder, createFile, syncDirectory } from "../fs/regular-file.js";
import { withoutHardLinks } from "../fs/trusted-path.js";
import type { FileSystem } from "../fs/file-system.js";
import type { Layout } from "../format/layout.js";
import { encodeLogLine, type LogHeader } from "../format/log-line.js";
import { CHUNK_BYTES } from "../format/transcript-lines.js";
import type { Runtime } from "../runtime.js";
import type { LogSyncer } from "./log-syncer.js";
import type { Segment } from "./segment.js";
import type { LogTail } from "./log-tail.js";

/** Name of a staged segment inside its staging folder. */
const STAGED = "segment";

/** What a file system says that has no hard links. */
const NO_LINKS: ReadonlySet<string> = new Set(["EPERM", "ENOTSUP", "EOPNOTSUPP", "ENOSYS", "EMLINK"]);

export interface SegmentMaker {
  readonly fs: FileSystem;
  readonly layout: Layout;
  readonly runtime: Runtime;
  readonly tail: LogTail;
  readonly syncer: LogSyncer;
  readonly storeId: string;
  /** Revision of the last commit before the segment that is made. */
  readonly after: number;
}

/** Tries once to make the successor of a sealed segment that was read to its seal; then catch up again. */
export async function makeNextSegment(maker: SegmentMaker, sealed: Segment): Promise<void> {
  const { fs, layout, tail } = maker;
  for (const folder of [layout.store, layout.log, layout.stage]) assertFolder(fs, folder);
  const header: LogHeader = {
    segment: sealed.number + 1,
    firstRevision: sealed.nextFirstRevision,
    after: maker.after,
    store: maker.storeId,
    stage: newStageName(maker.runtime, sealed.number + 1),
    ...chunkMember(sealed.ledger.chunkBytes),
  };
  sealed.directorySynced = false; // the seal's own directory entry must be durable too, whichever process made it
  await maker.syncer.sync(sealed);
  if (tail.active !== sealed) return; // rewound meanwhile: then nothing is known to be durable
  const staged = await stageSegment(maker, header).catch(async (error: unknown) => {
    // A disk that ran full: every further attempt would leave a folder, and take the room that was just made.
    await withdraw(fs, layout, header.stage, stagedPath(layout, header.stage), false).catch(() => {});
    throw error;
  });
  const stillThere = isSameFile(fs, sealed);
  const published = stillThere && (await publish(fs, staged, layout.segment(header.segment)));
  await withdraw(fs, layout, header.stage, staged, published);
  if (published) await syncDirectory(fs, layout.log);
  if (!stillThere && tail.active === sealed) tail.rewind();
}

/** Names are random for every attempt: a name made twice would undo the fence (O13). */
export function newStageName(runtime: Runtime, segment: number): string {
  return `${segment}-${runtime.randomName(8)}`;
}

/** A header that differs from the default says so: all segments of a store are alike in this. */
export function chunkMember(chunkBytes: number): Pick<LogHeader, "chunk"> {
  return chunkBytes === CHUNK_BYTES ? {} : { chunk: chunkBytes };
}

/** Writes a segment that consists of its header into a new staging folder, durably. Returns its path there. */
export async function stageSegment(
  { fs, layout }: Pick<SegmentMaker, "fs" | "layout">,
  header: LogHeader,
): Promise<string> {
  const folder = layout.stageFolder(header.stage);
  const staged = stagedPath(layout, header.stage);
  await fs.later.mkdir(folder);
  await createFile(fs, staged, encodeLogLine(JSON.stringify(header)), { sync: true }).catch(ignoreFenced);
  await syncDirectory(fs, layout.stage);
  return staged;
}

/** Path of a segment while it is made; for a moment, or after a crash in that moment, it is a second name of it. */
export function stagedPath(layout: Layout, stage: string): string {
  return `${layout.stageFolder(stage)}/${STAGED}`;
}

/** Another process may fence the folder while it is being filled; then the link fails. */
function ignoreFenced(error: unknown): void {
  if (errnoOf(error) !== "ENOENT") throw error;
}

function isSameFile(fs: FileSystem, segment: Segment): boolean {
  try {
    const { inode, device } = fs.lstat(segment.path);
    return inode === segment.identity.inode && device === segment.identity.device;
  } catch (error) {
    if (errnoOf(error) === "ENOENT") return false;
    throw error;
  }
}

/**
 * @returns Whether the segment is now in the log under our hand.
 * @throws `file_system_unsupported` where files cannot have two names, not even for a moment.
 */
export async function publish(fs: FileSystem, staged: string, path: string): Promise<boolean> {
  try {
    await fs.later.link(staged, path);
    return true;
  } catch (error) {
    const errno = errnoOf(error);
    if (errno === "EEXIST" || errno === "ENOENT") return false;
    throw NO_LINKS.has(errno ?? "") ? withoutHardLinks(path, error) : error;
  }
}

/** Removes the staged name, and the folder as well if it did not become the new segment's. */
async function withdraw(
  fs: FileSystem,
  layout: Layout,
  stage: string,
  staged: string,
  won: boolean,
): Promise<void> {
  await gone(fs.later.unlink(staged));
  if (!won) await gone(fs.later.rmdir(layout.stageFolder(stage)));
}

async function gone(removal: Promise<void>): Promise<void> {
  await removal.catch(ignoreFenced);
}
