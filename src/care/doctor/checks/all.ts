/** All checks, in the order in which they are done: what the others stand on first. */
import { checkCatalog } from "./catalog.js";
import type { Check } from "./check.js";
import { checkEntries } from "./entries.js";
import { checkFormat } from "./format.js";
import { checkLeftovers, checkStrays } from "./leftovers.js";
import { checkLegacyFiles, checkMirror } from "./legacy.js";
import { checkLinks } from "./links.js";
import { checkLog } from "./log.js";
import { checkPermissions } from "./permissions.js";
import { checkCloudFolder, checkFileSystem, checkSpace } from "./place.js";
import { checkStoreFolder } from "./store-folder.js";
import { checkTranscripts } from "./transcripts.js";
import { checkValues } from "./values.js";

export const CHECKS: readonly Check[] = [
  checkFileSystem,
  checkSpace,
  checkCloudFolder,
  checkPermissions,
  checkStoreFolder,
  checkFormat,
  checkLog,
  checkCatalog,
  checkEntries,
  checkValues,
  checkTranscripts,
  checkLeftovers,
  checkStrays,
  checkLinks,
  checkLegacyFiles,
  checkMirror,
];
