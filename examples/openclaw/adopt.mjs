// @ts-check
/**
 * The adoption itself: an installed OpenClaw, copied, with its session store's functions re-pointed to `sessiondir/openclaw`.
 *
 * In OpenClaw's sources this is one import for each module. The package that is installed is bundled, so the same is done to
 * the bundle: in the chunk of each module the functions of the table get another name, and ours are imported under theirs.
 * Nothing else is touched; every other line that runs is OpenClaw's own.
 *
 * The copy is made of hard links, so it costs no space; a chunk that is edited is a new file.
 */
import {
  cpSync,
  linkSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";

/** By OpenClaw's module: the functions that come from here. What is not listed stays OpenClaw's. */
const REPLACED = {
  "config/sessions/store.ts": [
    "archiveRemovedSessionTranscripts",
    "readSessionUpdatedAt",
    "recordSessionMetaFromInbound",
    "saveSessionStore",
    "updateLastRoute",
    "updateSessionStore",
    "updateSessionStoreEntry",
  ],
  "config/sessions/disk-budget.ts": ["enforceSessionDiskBudget"],
  "config/sessions/metadata.ts": ["snapshotSessionOrigin"],
  "config/sessions/store-entry.ts": ["normalizeStoreSessionKey", "resolveSessionStoreEntry"],
  "config/sessions/store-load.ts": ["loadSessionStore", "normalizeSessionStore"],
  "config/sessions/store-lock-state.ts": [
    "clearSessionStoreCacheForTest",
    "drainSessionStoreLockQueuesForTest",
  ],
  "config/sessions/store-maintenance.ts": [
    "capEntryCount",
    "getActiveSessionMaintenanceWarning",
    "pruneStaleEntries",
    "resolveMaintenanceConfigFromInput",
    "rotateSessionFile",
  ],
  "config/sessions/store-maintenance-runtime.ts": ["resolveMaintenanceConfig"],
  "config/sessions/targets.ts": [
    "resolveAllAgentSessionStoreTargets",
    "resolveAllAgentSessionStoreTargetsSync",
    "resolveSessionStoreTargets",
  ],
  "config/sessions/combined-store-gateway.ts": ["loadCombinedSessionStoreForGateway"],
  "config/sessions/types.ts": [
    "mergeSessionEntry",
    "mergeSessionEntryPreserveActivity",
    "mergeSessionEntryWithPolicy",
  ],
  // Code that reads the file itself, past the functions above.
  "config/sessions/store-read.ts": ["readSessionStoreReadOnly"],
};

/** The reader of `subagent-depth.ts` has no name of its own in the bundle. */
const OWN_READERS = [
  {
    module: "agents/subagent-depth.ts",
    name: /function (readSessionStore(?:\$\d+)?)\(/,
    ours: "readSessionStoreReadOnly",
  },
];

/** Plugins that the gateway cannot do without. All others would install packages of their own when it starts. */
const PLUGINS = ["speech-core"];

/**
 * @param {string} installed The folder with `node_modules/openclaw`.
 * @param {string} folder Where the copy is made.
 * @param {string} setUp Path of the module that the functions are taken from: ours, configured.
 * @param {{ replace?: boolean }} options `replace: false`: a copy with OpenClaw's own functions, to compare with.
 * @returns {{ program: string, replaced: number }} The program to start, and how many functions were replaced.
 */
export function adopt(installed, folder, setUp, { replace = true } = {}) {
  const source = join(installed, "node_modules/openclaw");
  mkdirSync(folder, { recursive: true });
  for (const name of readdirSync(source)) {
    if (name === "dist") linkTree(join(source, name), join(folder, name), (path) => !isOtherPlugin(path));
    else if (name !== "node_modules") cpSync(join(source, name), join(folder, name), { recursive: true });
  }
  symlinkSync(join(installed, "node_modules"), join(folder, "node_modules"));
  const program = join(folder, "openclaw.mjs");
  if (!replace) return { program, replaced: 0 };
  const dist = join(folder, "dist");
  const chunks = new Map(
    readdirSync(dist)
      .filter((name) => name.endsWith(".js"))
      .map((name) => [name, readFileSync(join(dist, name), "utf8")]),
  );
  let replaced = 0;
  /** @type {Map<string, string[]>} */
  const imports = new Map();
  const rename = (/** @type {string} */ chunk, /** @type {string} */ theirs, /** @type {string} */ ours) => {
    const text = chunks.get(chunk) ?? "";
    chunks.set(chunk, text.replace(`function ${theirs}(`, `function ${theirs}$before(`));
    imports.set(chunk, [...(imports.get(chunk) ?? []), theirs === ours ? ours : `${ours} as ${theirs}`]);
    replaced++;
  };
  for (const [module, names] of Object.entries(REPLACED)) {
    for (const name of names) {
      const chunk = chunkWith(chunks, module, name);
      if (chunk !== undefined) rename(chunk, name, name);
      else if (!name.endsWith("ForTest")) throw new Error(`this OpenClaw has no ${name} in ${module}`);
    }
  }
  for (const { module, name, ours } of OWN_READERS) {
    const [chunk, text = ""] = [...chunks].find(([, content]) => content.includes(region(module))) ?? [];
    const found = name.exec(text.slice(text.indexOf(region(module))))?.[1];
    if (chunk === undefined || found === undefined)
      throw new Error(`this OpenClaw has no reader in ${module}`);
    rename(chunk, found, ours);
  }
  const from = JSON.stringify(pathToFileURL(setUp).href);
  for (const [chunk, names] of imports) {
    rmSync(join(dist, chunk)); // the link; the installed file stays as it is
    writeFileSync(join(dist, chunk), `import { ${names.join(", ")} } from ${from};\n${chunks.get(chunk)}`);
  }
  return { program, replaced };
}

/** @param {ReadonlyMap<string, string>} chunks @param {string} module @param {string} name */
function chunkWith(chunks, module, name) {
  for (const [chunk, text] of chunks) {
    const start = text.indexOf(region(module));
    if (start < 0) continue;
    const end = text.indexOf("//#endregion", start);
    if (text.slice(start, end).includes(`function ${name}(`)) return chunk;
  }
  return undefined;
}

/** How a bundle says which module a part of it was. @param {string} module */
function region(module) {
  return `//#region src/${module}\n`;
}

/** @param {string} path */
function isOtherPlugin(path) {
  const plugin = /[\\/]dist[\\/]extensions[\\/]([^\\/]+)$/.exec(path)?.[1];
  return plugin !== undefined && !PLUGINS.includes(plugin);
}

/** @param {string} from @param {string} to @param {(path: string) => boolean} wanted */
function linkTree(from, to, wanted) {
  mkdirSync(to, { recursive: true });
  for (const entry of readdirSync(from, { withFileTypes: true })) {
    const [source, target] = [join(from, entry.name), join(to, entry.name)];
    if (!wanted(source)) continue;
    if (entry.isDirectory()) linkTree(source, target, wanted);
    else link(source, target);
  }
}

/** @param {string} source @param {string} target */
function link(source, target) {
  try {
    linkSync(source, target);
  } catch {
    cpSync(source, target); // the temporary folder is on another file system
  }
}
