/**
 * What lies at a legacy store's place, and what a migration does next for that. Looking reads names and never sessions;
 * deciding reads nothing at all, so a run and its dry run cannot decide differently.
 */
import { statusOf } from "../../fs/status.js";
import { isStore } from "../base/host.js";
import { findLayout, type OlderLayout } from "../layouts/older-layout.js";
import { nextFile } from "../merging/absorb.js";
import type { LegacyWork } from "../run/work.js";

/** What lies there, as of one look. */
export interface Situation {
  readonly store: boolean;
  readonly file: "none" | "file" | "directory" | "symlink" | "other";
  /** A legacy file that a killed run was merging. */
  readonly merging: boolean;
  readonly older: OlderLayout | undefined;
}

export type Step =
  /** The store is authoritative, and nothing lies beside it. */
  | { readonly step: "keep" }
  /** The store is authoritative: what lies beside it goes into it. */
  | { readonly step: "absorb"; readonly older: OlderLayout | undefined }
  /** A run was killed while it merged the file, and its store is gone: that file is the legacy file again. */
  | { readonly step: "give back" }
  /** A store is built from the file, from sidecars, or from both. */
  | { readonly step: "build"; readonly older: OlderLayout | undefined }
  /** A store is built from the older layout in `NAME.d`, and takes its place. */
  | { readonly step: "replace"; readonly older: OlderLayout }
  /** What has the legacy file's name is no file. */
  | { readonly step: "refuse"; readonly kind: string }
  /** There is nothing. */
  | { readonly step: "stop" };

export async function lookAround(work: LegacyWork): Promise<Situation> {
  const { host, paths } = work;
  const store = await isStore(host, paths.directory);
  const file = (await statusOf(host.fs, paths.file))?.kind ?? "none";
  const next = await nextFile(work);
  const merging = next !== undefined && next !== paths.file;
  const older = await findLayout(work, store);
  // The folders of a store that another process has just put there look like an older layout.
  if (older?.inDirectory === true && (await isStore(host, paths.directory))) return lookAround(work);
  return { store, file, merging, older };
}

/** Which side is authoritative is the first question, and the directory's `.store` alone answers it. */
export function decide({ store, file, merging, older }: Situation): Step {
  const alone = file === "none" && !merging && older === undefined;
  if (store) return alone ? { step: "keep" } : { step: "absorb", older };
  if (alone) return { step: "stop" };
  if (merging && file === "none") return { step: "give back" };
  if (older?.inDirectory === true) return { step: "replace", older };
  if (older === undefined && file !== "file") return { step: "refuse", kind: file };
  return { step: "build", older };
}
