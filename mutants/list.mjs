// @ts-check
/** All mutants. A step of a protocol that is added brings the mutant that lacks it. */
import { APPENDING } from "./attacks/appending.mjs";
import { ARCHIVING_OF_SESSIONS } from "./attacks/archiving.mjs";
import { BEHIND_GAP } from "./attacks/behind-gap.mjs";
import { CARE } from "./attacks/care.mjs";
import { CATALOGS } from "./attacks/catalogs.mjs";
import { CHECKPOINTS } from "./attacks/checkpoints.mjs";
import { COMMITS } from "./attacks/commits.mjs";
import { DAMAGED_LOG } from "./attacks/damaged-log.mjs";
import { ENTRY_FILES } from "./attacks/entry-files.mjs";
import { GROUND } from "./attacks/ground.mjs";
import { OF_HINTS } from "./attacks/hints.mjs";
import { LEASE } from "./attacks/leases.mjs";
import { LEGACY_FILE } from "./attacks/legacy-file.mjs";
import { LISTINGS } from "./attacks/listings.mjs";
import { BACKGROUND_WORK } from "./attacks/background-work.mjs";
import { LEGACY_MERGING } from "./attacks/merging.mjs";
import { LOG_LINES } from "./attacks/log-lines.mjs";
import { MIGRATION } from "./attacks/migration.mjs";
import { OPENING } from "./attacks/opening.mjs";
import { POSTGRES_ENGINE } from "./attacks/postgres.mjs";
import { READING_ON } from "./attacks/reading-on.mjs";
import { RETENTION_OF_SESSIONS } from "./attacks/retention.mjs";
import { SHARED_VALUES } from "./attacks/shared-values.mjs";
import { SIMULATOR } from "./attacks/simulator.mjs";
import { TRANSCRIPT_COMMITS } from "./attacks/transcript-commits.mjs";
import { TRANSCRIPTS } from "./attacks/transcripts.mjs";
import { VERDICTS } from "./attacks/verdict.mjs";
import { WAY_BACK } from "./attacks/way-back.mjs";

export const MUTANTS = [
  ...GROUND,
  ...VERDICTS,
  ...BEHIND_GAP,
  ...LOG_LINES,
  ...READING_ON,
  ...APPENDING,
  ...CHECKPOINTS,
  ...ENTRY_FILES,
  ...BACKGROUND_WORK,
  ...COMMITS,
  ...DAMAGED_LOG,
  ...LISTINGS,
  ...CATALOGS,
  ...SHARED_VALUES,
  ...OPENING,
  ...OF_HINTS,
  ...MIGRATION,
  ...LEGACY_MERGING,
  ...WAY_BACK,
  ...LEASE,
  ...LEGACY_FILE,
  ...RETENTION_OF_SESSIONS,
  ...ARCHIVING_OF_SESSIONS,
  ...TRANSCRIPTS,
  ...TRANSCRIPT_COMMITS,
  ...SIMULATOR,
  ...POSTGRES_ENGINE,
  ...CARE,
];
