// @ts-check
/** What somebody sees who looks into a store with `ls`, `cat` and `jq`. */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { dim, say } from "./report.mjs";

const FOLDERS_SHOWN = 5;
/** The first session is always `agent:main:main`. */
const SHOWN = "agent%3Amain%3Amain";

/**
 * @param {string} path The store.
 * @param {readonly { key: string }[]} records
 */
export function showFolders(path, records) {
  const names = readdirSync(path).sort();
  const folders = names.filter((name) => !name.startsWith("."));
  const step = Math.max(1, Math.floor(folders.length / FOLDERS_SHOWN));
  const some = folders
    .filter((name, index) => name === SHOWN || index % step === 0)
    .slice(0, FOLDERS_SHOWN + 1);
  say(dim("  $ ls -A sessions.d"));
  for (const name of [".store", ...some]) say(`  ${name}`);
  say(`  … ${records.length - some.length} more`);
  say();
  say(dim("  $ ls -A sessions.d/.store"));
  say(`  ${readdirSync(join(path, ".store")).sort().join("   ")}`);
  say();
  say(dim(`  $ cat sessions.d/${SHOWN}/meta.json`));
  for (const line of readFileSync(join(path, SHOWN, "meta.json"), "utf8")
    .trimEnd()
    .split("\n"))
    say(`  ${line}`);
  say();
  say(dim("  It is plain JSON, so this works as well:"));
  say(`  jq .lastChannel sessions.d/${SHOWN}/meta.json`);
}
