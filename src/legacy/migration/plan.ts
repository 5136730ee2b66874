/**
 * What a migration would do: the same looks, readings and decisions, and no change. A place where no store can be is refused
 * as the run refuses it, and every entry is shown to the store's own codec, so what the store would not take is refused too.
 */
import { assertLocalFileSystem, assertTrustedParents } from "../../fs/trusted-path.js";
import { EntryCodec } from "../../format/entry-codec.js";
import { BLOB_THRESHOLD_BYTES } from "../../format/limits.js";
import { Intake, readSource, whileChanging } from "../run/checked-source.js";
import type { Journal } from "../base/journal.js";
import { assertPlaceIsFree, type OlderLayout } from "../layouts/older-layout.js";
import { nextFile, notAFile, planForeign } from "../merging/absorb.js";
import { refusalOf } from "../reading/check-entry.js";
import { hashFile } from "../reading/read-file.js";
import { FileSource, type LegacySource } from "../reading/source.js";
import { assertSessions } from "../run/resemblance.js";
import type { Ending } from "../run/run.js";
import { EMPTY_TALLY } from "../base/tally.js";
import type { MigrationOutcome } from "../base/types.js";
import type { LegacyWork } from "../run/work.js";
import { tallyOf, type SourceRead } from "./build.js";
import { endingWithout, endingWithoutBytes, noteSource } from "./ending.js";
import { decide, lookAround } from "./situation.js";

export async function planMigration(work: LegacyWork, journal: Journal): Promise<Ending<MigrationOutcome>> {
  const situation = await lookAround(work);
  const step = decide(situation);
  const fileAt = (path: string): LegacySource => new FileSource(work.host, path, work.json5BytesMax);
  switch (step.step) {
    case "keep":
      journal.layouts = ["session_store"];
      return { outcome: "already_directory", tally: EMPTY_TALLY };
    case "absorb":
      journal.layouts = ["session_store", ...(step.older?.source.layouts ?? [])];
      return planAbsorbing(work, journal);
    case "give back":
      await assertPlaceTakesStore(work, situation.older);
      return planBuilding(work, journal, fileAt((await nextFile(work)) ?? work.paths.file));
    case "build":
    case "replace":
      await assertPlaceTakesStore(work, step.older);
      return planBuilding(work, journal, step.older?.source ?? fileAt(work.paths.file));
    case "refuse":
      throw notAFile(work.paths.file, step.kind);
    case "stop":
      return { outcome: "missing", tally: EMPTY_TALLY };
  }
}

/**
 * What the run would hear before it reads anything: from the place itself, and from the store that it begins to make there.
 * @throws `not_a_store`, `file_unsafe`, `path_untrusted`, `file_system_unsupported`.
 */
async function assertPlaceTakesStore(work: LegacyWork, older: OlderLayout | undefined): Promise<void> {
  const { host, paths, options } = work;
  await assertPlaceIsFree(work, older);
  const { existing } = assertTrustedParents(host.fs, paths.building(host.runtime), options.trust);
  assertLocalFileSystem(host.fs, existing, "write");
}

async function planAbsorbing(work: LegacyWork, journal: Journal): Promise<Ending<MigrationOutcome>> {
  const path = await nextFile(work);
  const { tally } = await work.peek(work.paths.directory, (store) => planForeign(work, store));
  if (path !== undefined) {
    const { bytes, sha256 } = await hashFile(work.host, path, work.signal);
    journal.bytesBefore = bytes;
    journal.sha256 = sha256;
  }
  return { outcome: "merged", tally };
}

async function planBuilding(
  work: LegacyWork,
  journal: Journal,
  source: LegacySource,
): Promise<Ending<MigrationOutcome>> {
  journal.layouts = source.layouts;
  let read: SourceRead;
  try {
    read = await whileChanging(work, source, () => tryOut(work, source));
  } catch (error) {
    return endingWithoutBytes(work, journal, error);
  }
  noteSource(journal, read);
  return endingWithout(read) ?? { outcome: "migrated", tally: read.tally };
}

/** Reads everything, and lets the store's own codec look at every entry. */
async function tryOut(work: LegacyWork, source: LegacySource): Promise<SourceRead> {
  const intake = new Intake();
  const codec = new EntryCodec({
    thresholdBytes: BLOB_THRESHOLD_BYTES,
    limits: work.rules.limits,
    loadBlob: () => {
      throw new Error("nothing was stored");
    },
  });
  const reading = await readSource(work, source, intake, {
    phase: "reading",
    onKept: (key, entry, from, prior) => {
      try {
        codec.encode(entry, undefined, key);
      } catch (error) {
        const refusal = refusalOf(error);
        if (refusal === undefined) throw error;
        intake.refuseWinner(key, prior, { ...refusal, key: from.key });
      }
    },
  });
  assertSessions(work, source.path, intake);
  return { reading, tally: tallyOf(source, reading, intake) };
}
