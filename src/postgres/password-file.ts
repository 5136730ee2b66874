/**
 * Password files, as libpq has them: `host:port:database:user:password` a line, `*` for any, `\` before `:` and `\`. `$PGPASSFILE`, or
 * else `~/.pgpass`; a file that others may read is not used. The driver has a reader of its own, and warns that it will go.
 */
import type { ClientConfig } from "pg";
import { homedir, userInfo } from "node:os";
import { join } from "node:path";
import { asStoreError, errnoOf } from "../errors.js";
import type { FileSystem } from "../fs/file-system.js";
import { nodeFileSystem } from "../fs/node-file-system.js";
import { openRegularFile, readRegularFile } from "../fs/regular-file.js";

type Environment = Readonly<Record<string, string | undefined>>;

/** Far more than anybody has servers. */
const FILE_BYTES_MAX = 1024 * 1024;
const OTHERS = 0o077;

/** The configuration with the file's password, where neither it nor the environment has one. */
export function withPasswordFile(
  config: ClientConfig,
  environment: Environment = process.env,
  fs: FileSystem = nodeFileSystem,
): ClientConfig {
  const wanted = wantedOf(config.connectionString, environment);
  if (wanted === undefined || environment["PGPASSWORD"]) return config;
  const path = environment["PGPASSFILE"] || join(environment["HOME"] || homedir(), ".pgpass");
  for (const line of linesOf(fs, path)) {
    const fields = Array.from(line.matchAll(/((?:\\.|[^:\\])*)(?::|$)/g), ([, field = ""]) => field);
    const password = fields[wanted.length];
    const isMeant = wanted.every(
      (name, index) => fields[index] === "*" || plain(fields[index] ?? "") === name,
    );
    if (isMeant && password !== undefined && password !== "") return withPassword(config, plain(password));
  }
  return config;
}

/** In the URL, if there is one: the driver takes what it says, and also what it does not say, before anything else. */
function withPassword({ connectionString, ...others }: ClientConfig, password: string): ClientConfig {
  if (connectionString === undefined) return { ...others, password };
  const [, scheme = "", user = "", rest = ""] =
    /^(postgres(?:ql)?:\/\/)(?:([^@/?#:]*):?@)?(.*)$/is.exec(connectionString) ?? [];
  return { ...others, connectionString: `${scheme}${user}:${encodeURIComponent(password)}@${rest}` };
}

function plain(field: string): string {
  return field.replace(/\\(.)/g, "$1");
}

/** Host, port, database and user; undefined where the URL has a password already. */
function wantedOf(connectionString: string | undefined, environment: Environment): string[] | undefined {
  let url: URL | undefined;
  try {
    url = new URL(connectionString ?? "postgres://");
  } catch {
    return undefined; // the driver says what is wrong with it
  }
  const parameter = (name: string): string | undefined => url.searchParams.get(name) ?? undefined;
  if (url.password !== "" || parameter("password") !== undefined) return undefined;
  const given = parameter("host") || decodeURIComponent(url.hostname) || environment["PGHOST"] || "localhost";
  const host = given.startsWith("/") ? "localhost" : given.replace(/^\[(.*)\]$/, "$1");
  const port = parameter("port") || url.port || environment["PGPORT"] || "5432";
  const user =
    decodeURIComponent(url.username) || environment["PGUSER"] || environment["USER"] || nameOfUser();
  const database = decodeURIComponent(url.pathname.slice(1)) || environment["PGDATABASE"] || user;
  return [host, port, database, user];
}

function nameOfUser(): string {
  try {
    return userInfo().username;
  } catch {
    return "";
  }
}

function linesOf(fs: FileSystem, path: string): string[] {
  try {
    const limits = { bytesMax: FILE_BYTES_MAX };
    const { fd, status } = openRegularFile(fs, path, "read", limits);
    fs.close(fd);
    if ((status.mode & OTHERS) !== 0) return [];
    const lines = readRegularFile(fs, path, limits).toString().split(/\r?\n/);
    return lines.filter((line) => line !== "" && !line.startsWith("#"));
  } catch (error) {
    if (["ENOENT", "ENOTDIR"].includes(errnoOf(error) ?? "")) return [];
    throw asStoreError(error, `read the passwords in ${path}`);
  }
}
