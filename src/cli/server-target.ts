/**
 * A store in a PostgreSQL database, as a command line names it: `postgres://user@host/database?schema=…&store=…`.
 *
 * What follows from here on has no password: the name that is printed, compared and put into messages is the URL without one, and only
 * who opens the store asks for the rest.
 */
import { hostsOf } from "../postgres/hosts.js";
import { withoutPasswords } from "../postgres/secrets.js";
import { asUsage, usageError } from "./failure.js";

export interface ServerTarget {
  /** For `openPostgresStore`; with the password, if it was given. */
  readonly connectionString: string;
  readonly schema?: string;
  readonly store?: string;
}

/** What an invocation knows of them. */
interface Servers {
  readonly servers: Map<string, ServerTarget>;
}

const SCHEME = /^postgres(?:ql)?:\/\//i;
const OWN: ReadonlySet<string> = new Set(["schema", "store"]);

/** Whether this names a store in a database, and not a folder. */
export function isServer(path: string): boolean {
  return SCHEME.test(path);
}

/**
 * Remembers how to get there.
 * @returns What the store is called from here on.
 */
export async function nameServer(invocation: Servers, url: string): Promise<string> {
  const [address = "", query = ""] = splitAt(url.replace(/#.*$/s, ""), "?");
  const given = new Map<string, string>();
  const others: string[] = [];
  for (const pair of query.split("&").filter((one) => one !== "")) {
    const [name = "", value = ""] = splitAt(pair, "=").map(decoded);
    if (!OWN.has(name)) others.push(pair);
    else if (given.has(name)) throw usageError(`the URL has ${name} twice; give it once`);
    else given.set(name, value);
  }
  const connectionString = address + (others.length === 0 ? "" : `?${others.join("&")}`);
  await asUsage(() => hostsOf(connectionString));
  const shown = [...given].map(([name, value]) => `${name}=${encodeURIComponent(value)}`);
  const name = withoutPasswords(address) + (shown.length === 0 ? "" : `?${shown.join("&")}`);
  invocation.servers.set(name, { connectionString, ...Object.fromEntries(given) });
  return name;
}

/** The store behind a name that {@link nameServer} gave. */
export function serverOf(invocation: Servers, name: string): ServerTarget {
  return invocation.servers.get(name) ?? { connectionString: name };
}

/** @throws a usage error for a store in a database, which has not what the command works on. */
export function requireDirectory(path: string, command: string, instead: string): string {
  if (!isServer(path)) return path;
  throw usageError(
    `sessiondir ${command} is for a store in a directory, and ${path} is in a database: ${instead}`,
    {
      command,
      store: path,
    },
  );
}

function splitAt(text: string, separator: string): readonly string[] {
  const at = text.indexOf(separator);
  return at === -1 ? [text] : [text.slice(0, at), text.slice(at + 1)];
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    throw usageError("in the parameters of the URL a % must begin an encoded character, as %25 does");
  }
}
