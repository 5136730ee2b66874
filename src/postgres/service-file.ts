/**
 * Connection service files, as libpq has them: `[name]`, and below it `host=`, `port=`, `dbname=`, `user=`, `password=` and the like. The
 * driver does not know them, so what a service says is put into the URL, where the URL itself does not say it.
 *
 * The service is that of `?service=NAME` or `$PGSERVICE`; it is looked for in `$PGSERVICEFILE` or else `~/.pg_service.conf`, then in
 * `$PGSYSCONFDIR/pg_service.conf`.
 */
import { homedir } from "node:os";
import { join } from "node:path";
import { asStoreError, errnoOf } from "../errors.js";
import type { FileSystem } from "../fs/file-system.js";
import { nodeFileSystem } from "../fs/node-file-system.js";
import { readRegularFile } from "../fs/regular-file.js";

type Environment = Readonly<Record<string, string | undefined>>;

/** Far more than anybody has services. */
const FILE_BYTES_MAX = 1024 * 1024;
/** Those that have a place in a URL; all others are parameters behind it. */
const PLACED: ReadonlySet<string> = new Set(["host", "port", "dbname", "user", "password"]);
const URL_FORM = /^(postgres(?:ql)?:\/\/)(?:([^@/?#]*)@)?([^/?#]*)(?:\/([^?#]*))?(?:\?([^#]*))?/is;

/**
 * The URL with what its service says, if one is named; else as it is.
 * @throws `TypeError` where there is no such service, or its file is none; `io_error`, `file_unsafe`.
 */
export function withService(
  connectionString: string | undefined,
  environment: Environment = process.env,
  fs: FileSystem = nodeFileSystem,
): string | undefined {
  const [, scheme = "postgres://", account, hosts = "", database, query = ""] =
    URL_FORM.exec(connectionString ?? "postgres://") ?? [];
  const pairs = query.split("&").filter((pair) => pair !== "");
  const named = pairs.find((pair) => pair.startsWith("service="))?.slice("service=".length);
  const service = named === undefined ? environment["PGSERVICE"] : decodeURIComponent(named);
  if (service === undefined || service === "") return connectionString;
  const settings = settingsOf(fs, service, environment);
  const [user, password] = splitAt(account ?? "", ":");
  const own = new Set(pairs.map((pair) => pair.split("=")[0]));
  const further = [...settings].filter(([name]) => !PLACED.has(name) && !own.has(name));
  const parameters = [
    ...pairs.filter((pair) => !pair.startsWith("service=")),
    ...further.map(([name, value]) => `${name}=${encodeURIComponent(value)}`),
  ];
  const encoded = (name: string): string => encodeURIComponent(settings.get(name) ?? "");
  const theUser = user || encoded("user");
  const thePassword = password || encoded("password");
  const socket = hosts === "" && settings.get("host")?.startsWith("/") === true;
  if (socket) parameters.push(`host=${encoded("host")}`, ...portOf(settings));
  const theHosts = hosts || (socket ? "" : hostsIn(settings));
  const theAccount = theUser + (thePassword === "" ? "" : `:${thePassword}`);
  const theDatabase = database || encoded("dbname");
  return (
    `${scheme}${theAccount === "" ? "" : `${theAccount}@`}${theHosts}/${theDatabase}` +
    (parameters.length === 0 ? "" : `?${parameters.join("&")}`)
  );
}

function portOf(settings: ReadonlyMap<string, string>): string[] {
  const port = settings.get("port");
  return port === undefined ? [] : [`port=${encodeURIComponent(port)}`];
}

/** `host=a,b` and `port=1,2`, or one port for all. */
function hostsIn(settings: ReadonlyMap<string, string>): string {
  const hosts = (settings.get("host") ?? settings.get("hostaddr") ?? "").split(",");
  const ports = (settings.get("port") ?? "").split(",");
  return hosts
    .map((host, index) => {
      const port = ports.length === 1 ? ports[0] : ports[index];
      const name = host.includes(":") ? `[${host}]` : host;
      return port ? `${name || "localhost"}:${port}` : name;
    })
    .join(",");
}

function settingsOf(fs: FileSystem, service: string, environment: Environment): ReadonlyMap<string, string> {
  const paths = [environment["PGSERVICEFILE"] || join(environment["HOME"] || homedir(), ".pg_service.conf")];
  if (environment["PGSYSCONFDIR"]) paths.push(join(environment["PGSYSCONFDIR"], "pg_service.conf"));
  for (const path of paths) {
    const text = textOf(fs, path);
    const found = text === undefined ? undefined : section(text, service, path);
    if (found !== undefined) return found;
  }
  throw new TypeError(
    `there is no connection service ${JSON.stringify(service)} in ${paths.join(" or ")}. Check $PGSERVICE (or service= in the ` +
      "URL), and the file that $PGSERVICEFILE names",
  );
}

function textOf(fs: FileSystem, path: string): string | undefined {
  try {
    return readRegularFile(fs, path, { bytesMax: FILE_BYTES_MAX }).toString();
  } catch (error) {
    if (errnoOf(error) === "ENOENT") return undefined;
    throw asStoreError(error, `read the connection services in ${path}`);
  }
}

function section(text: string, service: string, path: string): Map<string, string> | undefined {
  let found: Map<string, string> | undefined;
  let inside = false;
  for (const [index, raw] of text.split(/\r?\n/).entries()) {
    const line = raw.trim();
    if (line === "" || line.startsWith("#")) continue;
    if (line.startsWith("[")) {
      if (found !== undefined) return found;
      inside = line === `[${service}]`;
      if (inside) found = new Map();
      continue;
    }
    if (!inside || found === undefined) continue;
    const [name, value] = splitAt(line, "=");
    // The value may be a password, and is not repeated.
    if (value === undefined || name === "service" || name === "")
      throw new TypeError(`line ${index + 1} of ${path} is no setting of a connection service: NAME=VALUE`);
    if (!found.has(name.trim())) found.set(name.trim(), value.trim());
  }
  return found;
}

function splitAt(text: string, separator: string): readonly [string, string | undefined] {
  const at = text.indexOf(separator);
  return at === -1 ? [text, undefined] : [text.slice(0, at), text.slice(at + 1)];
}
