/**
 * Connection strings, as libpq has them: `postgres://user:password@host1:5432,host2:5432/database?…`, of which the driver knows
 * one host at a time.
 */
import type { ClientConfig } from "pg";

const URL_PARTS = /^(postgres(?:ql)?:\/\/)([^@/?#]*@)?([^/?#]*)(.*)$/is;

const HOSTS = /^(?:(?:\[[\w:.]+\]|[\w.%-]*)(?::\d*)?(?:,|$))*$/;

/** A configuration for each host; one without any, if the environment says where the server is. */
export function hostsOf(connectionString: string | undefined): ClientConfig[] {
  if (connectionString === undefined) return [{}];
  const parts = URL_PARTS.exec(connectionString);
  if (parts === null) {
    // It may hold a password, and is not repeated.
    throw new TypeError("connectionString must be a URL that begins with postgres:// or postgresql://");
  }
  const [, scheme = "", user = "", hosts = "", rest = ""] = parts;
  // What is taken for hosts is shown to people.
  if (`${hosts}${rest.replace(/[?].*/s, "")}`.includes("@") || !HOSTS.test(hosts)) {
    throw new TypeError(
      "connectionString must be postgres://user:password@host:port/database; in its user and password, what is not a letter or " +
        "digit has to be percent-encoded, as encodeURIComponent does it",
    );
  }
  return hosts.split(",").map((host) => ({ connectionString: `${scheme}${user}${host}${rest}` }));
}

/** Where the servers are, for people: without user, password and options. */
export function namesOfHosts(connectionString: string | undefined): string {
  return URL_PARTS.exec(connectionString ?? "")?.[3] || process.env["PGHOST"] || "localhost";
}
