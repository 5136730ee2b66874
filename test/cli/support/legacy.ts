/** Legacy files for the command line to work on. */
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { emptyFolder, SESSIONS } from "./stores.js";

/** A `sessions.json` with these entries; the path of it. */
export function makeLegacy(
  entries: Readonly<Record<string, unknown>> = SESSIONS,
  path = join(emptyFolder(), "sessions.json"),
): string {
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, JSON.stringify(entries, null, 2));
  return path;
}

export function readJson(path: string): unknown {
  return JSON.parse(readFileSync(path, "utf8"));
}

/** Names of what docs/cli.md says is not always there. */
export const OPTIONAL = [
  "error",
  "next",
  "sha256",
  "sessions",
  "damaged",
  "mirror",
  "stateDirectory",
  "counts",
  "summary",
  "warnings",
];

export const storeOf = (legacy: string): string => legacy.replace(/\.json$/, ".d");
