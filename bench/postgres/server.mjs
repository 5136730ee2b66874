// @ts-check
/** A PostgreSQL server for the bench: the one that BENCH_POSTGRES names, or one of this machine's programs, on a folder that goes afterwards. */
import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { chownSync, existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";

const NOBODY = 65_534;
const ROOT = "/usr/lib/postgresql";

/** @returns {Promise<{ url: string, stop: () => Promise<void> }>} */
export async function startServer() {
  const given = process.env["BENCH_POSTGRES"];
  if (given !== undefined) return { url: given, stop: () => Promise.resolve() };
  const versions = existsSync(ROOT) ? readdirSync(ROOT).map(Number) : [];
  const bin = join(ROOT, String(Math.max(...versions)), "bin");
  if (!existsSync(join(bin, "postgres"))) {
    console.error("there is no PostgreSQL here: apt-get install postgresql, or BENCH_POSTGRES=postgres://…");
    process.exit(2);
  }
  const folder = mkdtempSync(join(process.env["BENCH_FOLDER"] ?? tmpdir(), "sessiondir-bench-postgres-"));
  const data = join(folder, "data");
  mkdirSync(data, { mode: 0o700 });
  // It does not run as root.
  const identity = process.getuid?.() === 0 ? { uid: NOBODY, gid: NOBODY } : {};
  if ("uid" in identity) for (const path of [folder, data]) chownSync(path, NOBODY, NOBODY);
  const env = { PATH: process.env["PATH"] ?? "", LC_ALL: "C", TZ: "UTC" };
  const initdb = ["-D", data, "-U", "bench", "--auth=trust", "-E", "UTF8", "--locale=C"];
  execFileSync(join(bin, "initdb"), initdb, { ...identity, env, cwd: data, stdio: "pipe" });
  const port = await freePort();
  const settings = ["listen_addresses=127.0.0.1", "unix_socket_directories=", "max_connections=400"];
  const args = ["-D", data, "-p", String(port), ...settings.flatMap((one) => ["-c", one])];
  const child = spawn(join(bin, "postgres"), args, {
    ...identity,
    env,
    cwd: data,
    stdio: ["ignore", "ignore", "pipe"],
  });
  let output = "";
  child.stderr.on("data", (text) => (output += String(text)));
  while (!output.includes("ready to accept connections")) {
    if (child.exitCode !== null) throw new Error(`PostgreSQL did not start: ${output}`);
    await sleep(20);
  }
  const stop = async () => {
    const exited = once(child, "exit");
    child.kill("SIGINT");
    await exited;
    rmSync(folder, { recursive: true, force: true });
  };
  return { url: `postgres://bench@127.0.0.1:${port}/postgres`, stop };
}

/** @returns {Promise<number>} */
async function freePort() {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  server.close();
  return typeof address === "object" && address !== null ? address.port : 0;
}
