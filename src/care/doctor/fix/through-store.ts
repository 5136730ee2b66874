/**
 * Repairs by the store's own means, which are safe beside other processes: what the log has goes into files, transcripts keep the
 * items that can be read, fields whose shared values are gone are taken out. Where the store is alone, opening it mends its log.
 */
import { SessionStoreError, type StoreWarning } from "../../../errors.js";
import { existsNow } from "../../../fs/status.js";
import { openDirectoryStoreOn } from "../../../store/open.js";
import type { Entry, Patient, Store } from "../patient.js";
import type { Finding, FindingCode } from "../types.js";
import { inside } from "./foundations.js";
import type { Surgery } from "./surgery.js";
import { salvageTranscript } from "./transcripts.js";

/** Files are written by the checkpoint at the end; nothing has to hurry. */
const FLUSH_DELAY_MS = 60_000;

export async function mendThroughStore(
  surgery: Surgery,
  patient: Patient,
  findings: readonly Finding[],
): Promise<void> {
  const { fs, runtime, path, options } = patient;
  const { alone = false, trust } = options;
  for (const finding of findings)
    if (KEPT_FIRST.has(finding.code))
      await surgery.attempt(patient, () => keepFirst(surgery, patient, finding));
  const warnings: StoreWarning[] = [];
  let store: Store;
  try {
    store = await openDirectoryStoreOn<Entry>(fs, runtime, path, {
      create: false,
      soleProcess: alone,
      flushDelayMs: FLUSH_DELAY_MS,
      ...(trust !== undefined && { trust }),
      onWarning: (warning) => void warnings.push(warning),
    });
  } catch (error) {
    patient.signal?.throwIfAborted();
    surgery.failures.push(error); // what it needs first may be mended in this round, and it opens in the next one
    return;
  }
  try {
    for (const finding of findings) {
      if (finding.repair === undefined || (finding.repair === "alone" && !alone)) continue;
      await surgery.attempt(patient, () => mendOne(surgery, patient, store, finding));
    }
    await surgery.attempt(patient, async () => {
      await store.list({ limit: 1 }); // a catalog that cannot be used is found by who uses it
      await store.checkpoint();
    });
  } finally {
    await store.close().catch((error: unknown) => void surgery.failures.push(error));
  }
  await new Promise(setImmediate); // warnings come a little later than what they are about
  for (const warning of warnings) await tell(surgery, patient, warning);
}

async function mendOne(surgery: Surgery, patient: Patient, store: Store, finding: Finding): Promise<void> {
  const { code, key } = finding;
  if (key === undefined) return;
  if (code === "transcript_damaged") await salvageTranscript(surgery, patient, store, finding);
  else if (code === "value_missing" && finding.severity === "lost" && !surgery.rebuilt)
    await takeFieldOut(surgery, patient, store, finding, key);
}

/** The rest of the entry is as good as ever; what had the field before is kept. */
async function takeFieldOut(
  surgery: Surgery,
  patient: Patient,
  store: Store,
  finding: Finding,
  key: string,
): Promise<void> {
  const { field, hash } = finding;
  if (field === undefined) return;
  const found = await store.read(key);
  if (found === undefined || !Object.hasOwn(found.entry, field)) return;
  if (canBeRead(found.entry, field)) return; // somebody has put it meanwhile
  const path = patient.layout.entryFile(key);
  const kept = existsNow(patient.fs, path) ? await surgery.keepCopy(patient, path, finding) : undefined;
  await store.patch(key, { [field]: undefined }, { ifRevision: found.revision });
  const done = `its field ${JSON.stringify(field)} was taken out: the shared value ${hash ?? ""} is nowhere`;
  await surgery.did(patient, finding, path, done, { kept, lost: true });
}

function canBeRead(entry: Readonly<Entry>, field: string): boolean {
  try {
    return JSON.stringify(entry[field]) !== undefined;
  } catch (error) {
    if (error instanceof SessionStoreError) return false;
    throw error;
  }
}

/** The store removes these by itself as soon as nothing needs them, and somebody may want to look at the bytes. */
const KEPT_FIRST: ReadonlySet<FindingCode> = new Set<FindingCode>(["log_line_malformed", "value_damaged"]);

async function keepFirst(surgery: Surgery, patient: Patient, finding: Finding): Promise<void> {
  const { code, path, severity } = finding;
  if (code === "value_damaged" && severity !== "lost") return;
  if (surgery.actions.some((action) => action.path === path && action.code === code)) return;
  const kept = await surgery.keepCopy(patient, inside(patient, path), finding);
  await surgery.did(patient, finding, path, "a copy of it was kept", { kept });
}

/** What the store did by itself, in the words of the history. */
const TOLD: ReadonlyMap<StoreWarning["code"], readonly [code: FindingCode, lost: boolean]> = new Map([
  ["log_mended", ["log_unreadable", true]], // of what only the damaged bytes had nobody knows
  ["session_guessed", ["session_in_doubt", true]],
  ["transcript_guessed", ["session_in_doubt", true]],
  ["transcript_quarantined", ["transcript_damaged", false]],
  ["transcript_damaged", ["transcript_damaged", true]],
  ["entry_quarantined", ["entry_damaged", false]],
  ["segment_garbage", ["segment_left_behind", false]],
  ["log_replaced", ["log_missing", true]],
] as const);

async function tell(
  surgery: Surgery,
  patient: Patient,
  { code, message, data }: StoreWarning,
): Promise<void> {
  const [about, lost] = TOLD.get(code) ?? [];
  if (about === undefined) return;
  const { key, path, kept, list } = data;
  const keptAt = kept ?? list;
  await surgery.did(
    patient,
    { code: about, ...(typeof key === "string" && { key }) },
    typeof path === "string" ? path : patient.path,
    message,
    { lost: lost ?? false, ...(typeof keptAt === "string" && { kept: keptAt }) },
  );
}
