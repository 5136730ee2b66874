// @ts-check
/** The test files that kill mutants, by short names, and rows of mutants of one file. */

const PROTOCOL = "test/engine/directory/protocol";
const DIRECTORY = "test/engine/directory";

export const VERDICT = "test/log/verdict.test.ts";
export const TAIL = ["log-tail", "successive-segments"].map((subject) => `test/log/${subject}.test.ts`);
export const FRESH_VALUES = "test/format/fresh-values.test.ts";
export const LOG_LINE = "test/format/log-line.test.ts";
/** One file for each of the ideas that the ordering rules are about. */
export const RULES = ["commit", "log", "entry-file", "checkpoint", "shared-value"].map(
  (idea) => `${PROTOCOL}/${idea}-rules.test.ts`,
);
export const APPEND = `${PROTOCOL}/append.test.ts`;
export const NEXT_SEGMENT = `${PROTOCOL}/next-segment.test.ts`;
export const CHECKPOINT = `${PROTOCOL}/checkpoint.test.ts`;
export const INTERLEAVED = `${PROTOCOL}/interleaved.test.ts`;
export const FAILING = `${PROTOCOL}/failing-calls.test.ts`;
export const SUSPENDED = `${PROTOCOL}/suspended.test.ts`;
export const POWER_CUT = `${PROTOCOL}/power-cut.test.ts`;
/** Schedules of the simulator that failed once, many of them with a step of the protocol taken away. */
export const BUG_BASE = "test/sim/bug-base.test.ts";
/** Whether the simulator would notice what damage costs. */
export const SIMULATED_DAMAGE = "test/sim/damage.test.ts";
export const WRITER = "test/log/log-writer.test.ts";
export const PLACE = "test/log/store-place.test.ts";
export const SHARED_LOG = "test/engine/directory/shared-log.test.ts";
export const DURABLE = "test/log/log-syncer.test.ts";
export const BLOBS = "test/entries/blob-store.test.ts";
export const RESERVE = "test/entries/reserve.test.ts";
export const BLOB_TRASH = "test/entries/blob-trash.test.ts";
export const ENTRY_FILE = "test/entries/entry-file.test.ts";
export const COMMIT = `${DIRECTORY}/committer.test.ts`;
export const SESSION_LOG = `${DIRECTORY}/session-log.test.ts`;
export const OVERTAKEN = `${DIRECTORY}/listing-overtaken.test.ts`;
export const CATALOG_LOADER = `${DIRECTORY}/catalog-loader.test.ts`;
export const FULL_DISK = `${DIRECTORY}/full-disk.test.ts`;
export const SPACE = `${DIRECTORY}/space.test.ts`;
export const DEAD_VALUES = `${DIRECTORY}/dead-values.test.ts`;
export const BIG_FIELD = `${DIRECTORY}/fresh-values.test.ts`;
export const REMOVAL = `${DIRECTORY}/blob-removal.test.ts`;
export const FLUSH = `${DIRECTORY}/entry-flush.test.ts`;
export const TURNS = `${DIRECTORY}/turns.test.ts`;
export const HINTS = ["hint", "damaged-hint"].map((subject) => `${DIRECTORY}/hint/${subject}.test.ts`);
export const SWEEP = `${DIRECTORY}/sweep.test.ts`;
export const BAD_LOG = ["end", "lines", "headers", "segments"].map(
  (part) => `${DIRECTORY}/bad-bytes/log-${part}.test.ts`,
);
export const BAD_ENTRY = `${DIRECTORY}/bad-bytes/entry-file.test.ts`;
export const WAYS_OUT = `${DIRECTORY}/bad-bytes/ways-out.test.ts`;
export const BAD_BLOBS = `${DIRECTORY}/bad-bytes/blobs.test.ts`;
export const COPIES = `${DIRECTORY}/bad-bytes/copies.test.ts`;
export const BAD_FORMAT = `${DIRECTORY}/bad-bytes/format.test.ts`;
export const STRAY = `${DIRECTORY}/bad-bytes/stray-files.test.ts`;
export const SIZES = `${DIRECTORY}/hostile/sizes.test.ts`;
export const SYMLINKS = `${DIRECTORY}/hostile/symlinks.test.ts`;
export const SPECIAL = `${DIRECTORY}/hostile/special-files.test.ts`;
export const TRUST = `${DIRECTORY}/hostile/trust.test.ts`;
export const READ_ONLY = `${DIRECTORY}/hostile/read-only.test.ts`;
export const CALLBACKS = `${DIRECTORY}/callbacks.test.ts`;
export const COMMIT_OUTCOME = `${DIRECTORY}/commit-outcome.test.ts`;
export const BUSY = `${DIRECTORY}/busy-checkpoint.test.ts`;
export const NEWEST = `${DIRECTORY}/newest.test.ts`;
export const LISTING = `${DIRECTORY}/listing.test.ts`;
export const CATALOG_PARTS = `${DIRECTORY}/catalog/part-file.test.ts`;
export const CATALOG_LAYERS = `${DIRECTORY}/catalog/layer.test.ts`;
export const CATALOG_MANIFEST = `${DIRECTORY}/catalog/manifest.test.ts`;
export const CATALOG_WRITER = `${DIRECTORY}/catalog/catalog-writer.test.ts`;
export const CHANGES = `${DIRECTORY}/change-feed.test.ts`;
export const LOST_LOG = `${DIRECTORY}/lost-log.test.ts`;
export const STORE_FOLDER = `${DIRECTORY}/store-folder.test.ts`;
export const BACKGROUND = `${PROTOCOL}/background.test.ts`;
export const NESTED = `${DIRECTORY}/nested-blobs.test.ts`;
export const DAMAGED_LOG = [
  "example",
  "reader",
  "living",
  "power-cut",
  "listing",
  "never-lower",
  "mending",
  "cut",
  "cut-before-files",
  "hidden",
  "idle",
].map((subject) => `${DIRECTORY}/damage/${subject}.test.ts`);
export const CUT = DAMAGED_LOG.filter((suite) => suite.includes("/cut"));
export const LEFT_BY_POWER_CUT = `${DIRECTORY}/damage/power-cut.test.ts`;
export const CONFORMANCE = "test/engine/conformance.test.ts";

export const TRANSCRIPT_FORMAT = ["head", "lines", "op"].map(
  (part) => `test/format/transcript-${part}.test.ts`,
);
export const TRANSCRIPT_VERDICT = "test/log/transcript-verdict.test.ts";
export const CHUNK_WRITER = "test/entries/chunk-writer.test.ts";
export const CHUNK_FILE = "test/entries/chunk-file.test.ts";
export const TRANSCRIPT_ORDER = `${DIRECTORY}/transcripts/checkpoint-order.test.ts`;
export const TRANSCRIPT_FLUSH = `${DIRECTORY}/transcripts/flush-rules.test.ts`;
export const TRANSCRIPT_COMPOSING = `${DIRECTORY}/transcripts/composing.test.ts`;
export const TRANSCRIPT_WRITTEN = `${DIRECTORY}/transcripts/written-lines.test.ts`;
export const HOT_TRANSCRIPT = `${DIRECTORY}/transcripts/hot-transcript.test.ts`;
export const KNOWN_IDS = `${DIRECTORY}/transcripts/known-ids.test.ts`;
export const TRANSCRIPT_READING = `${DIRECTORY}/transcripts/reading.test.ts`;
export const TRANSCRIPT_DAMAGE = `${DIRECTORY}/transcripts/damage.test.ts`;
export const TRANSCRIPT_POWER_CUT = `${DIRECTORY}/transcripts/power-cut.test.ts`;
export const TRANSCRIPT_SUSPENDED = `${DIRECTORY}/transcripts/suspended.test.ts`;

/** What tells about a step of the commit or checkpoint protocol, the cheapest first. */
export const ENGINE = [
  ...RULES,
  APPEND,
  NEXT_SEGMENT,
  CHECKPOINT,
  CALLBACKS,
  COMMIT_OUTCOME,
  FLUSH,
  BUG_BASE,
  INTERLEAVED,
  POWER_CUT,
  FAILING,
  SUSPENDED,
];

export const MIGRATE_CRASH = "test/legacy/migration/migrate-crash.test.ts";
export const ROLLBACK_CRASH = "test/legacy/back/rollback-crash.test.ts";
export const TWO_AT_ONCE = "test/legacy/two-at-once.test.ts";
export const LEGACY_SYNC = "test/legacy/sync.test.ts";
export const MERGE = "test/legacy/merging/merge.test.ts";
export const MIRROR = "test/legacy/back/mirror.test.ts";
export const DECISION = "test/legacy/migration/situation.test.ts";
export const PLAN = "test/legacy/migration/plan.test.ts";
export const MIGRATE_LATE = "test/legacy/migration/migrate.test.ts";
export const ABSORPTION = "test/legacy/merging/absorb.test.ts";
export const ROLLBACK_LATE = "test/legacy/back/rollback.test.ts";
export const REPLACED = "test/legacy/back/replace-file.test.ts";
export const LEFT = "test/legacy/run/leftovers.test.ts";
export const INPUTS = "test/legacy/reading/inputs.test.ts";
export const SEPARATORS = "test/legacy/reading/json5-separators.test.ts";
export const LAYOUTS = "test/legacy/layouts/older-layout.test.ts";
export const DAMAGE = "test/legacy/back/damage.test.ts";
export const LINKS = "test/legacy/links.test.ts";
export const LOCK = "test/openclaw/backend/legacy-lock.test.ts";
export const RETENTION = ["session-maintenance", "maintenance-warnings", "maintenance-processes"].map(
  (subject) => `test/openclaw/maintenance/${subject}.test.ts`,
);
export const PLANNER = ["planner", "policy"].map((subject) => `test/care/retention/${subject}.test.ts`);
export const ARCHIVES = "test/care/retention/archive.test.ts";
export const RUNS_OF_RETENTION = "test/care/retention/runs.test.ts";
export const KILLED_RETENTION = "test/care/retention/kills.test.ts";
const OVER_POSTGRES = "test/engine/postgres";
export const POSTGRES = {
  HOSTILE: `${OVER_POSTGRES}/hostile.test.ts`,
  FRESH: `${OVER_POSTGRES}/fresh-reads.test.ts`,
  CACHE: `${OVER_POSTGRES}/record-cache.test.ts`,
  GUESSED: `${OVER_POSTGRES}/guessed-base.test.ts`,
  SHARED: `${OVER_POSTGRES}/shared-values.test.ts`,
  HISTORY: `${OVER_POSTGRES}/hints-and-history.test.ts`,
  TWIN: `${OVER_POSTGRES}/twin.test.ts`,
  STALE: `${OVER_POSTGRES}/stale-cache.test.ts`,
  FENCE: `${OVER_POSTGRES}/fence.test.ts`,
};
export const FILE_FORM = "test/openclaw/backend/file-backend.test.ts";

/**
 * @typedef {object} Mutant
 * @property {string} name What the program no longer does, or does instead.
 * @property {string} rule What that attacks: an ordering rule of docs/protocol.md, a rule of the verdict, or a word.
 * @property {string} file
 * @property {string} find Text that the file has exactly once.
 * @property {string} replace
 * @property {readonly string[]} suites Test files, in the order in which they are run until one fails.
 * @property {string} [equivalent] Why no test can tell: then none is run.
 */

/**
 * @typedef {Omit<Mutant, "file" | "suites"> & { readonly suites?: readonly string[] }} Row
 */

/**
 * Mutants of one file. Suites of a row come before those of the file.
 * @param {string} file
 * @param {readonly string[]} suites
 * @param {readonly Row[]} rows
 * @returns {Mutant[]}
 */
export function inFile(file, suites, rows) {
  return rows.map((row) => ({ ...row, file, suites: [...new Set([...(row.suites ?? []), ...suites])] }));
}
