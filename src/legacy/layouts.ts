import type { LegacySource } from "./source.js";
import type { LegacyWork } from "./work.js";
export interface OlderLayout { readonly source: LegacySource; readonly inDirectory: boolean }
export async function findLayout(_work: LegacyWork, _store: boolean): Promise<OlderLayout | undefined> { return undefined; }
export async function finishReplacement(_work: LegacyWork): Promise<void> {}
export async function backUpLayout(_work: LegacyWork, _older: OlderLayout): Promise<void> {}
