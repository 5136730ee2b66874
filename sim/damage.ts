/** A bit of a file of the store flips: of a session's `meta.json`, or of a catalog. */
import { keyFromFolderName } from "../src/format/session-key.js";
import type { SimulatedDisk } from "../src/testing/simulated/disk.js";
import { FROM, STORE, TO } from "./oracle.js";

/** Not damaged: the invariant over these sessions is checked in every state. */
const SPARED: ReadonlySet<string> = new Set([".store", FROM, TO]);

/**
 * @param file Which file, as a fraction of 1000 of all.
 * @param at Which byte of it, likewise.
 * @returns Key of the session that is damaged, "" for a catalog; undefined if there was nothing to damage.
 */
export function damage(disk: SimulatedDisk, file: number, at: number): string | undefined {
  const folders = disk.names(STORE).filter((name) => !SPARED.has(name));
  const catalogs = disk.names(`${STORE}/.store`).filter((name) => name.startsWith("catalog-"));
  const all = [...folders.map((name) => `${name}/meta.json`), ...catalogs.map((name) => `.store/${name}`)];
  const chosen = all[Math.floor((file * all.length) / 1000)];
  const content = chosen === undefined ? undefined : disk.readRaw(`${STORE}/${chosen}`);
  if (chosen === undefined || content === undefined || content.length === 0) return undefined;
  const place = Math.floor((at * content.length) / 1000);
  content[place] = content[place]! ^ (1 << (at % 8));
  disk.writeRaw(`${STORE}/${chosen}`, content);
  return keyFromFolderName(chosen.split("/")[0] ?? "") ?? "";
}
