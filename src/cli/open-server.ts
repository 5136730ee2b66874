/** Opens a store in a PostgreSQL database; loaded only by a command that is on one. */
import { SessionStoreError } from "../errors.js";
import { openPostgresStore } from "../postgres/open-postgres-store.js";
import type { SessionStore, UntypedEntry } from "../store/types.js";
import { asUsage, CliError } from "./failure.js";
import type { Invocation } from "./invocation.js";
import { serverOf } from "./server-target.js";

/** A person waits; a gateway, which must outlive a failover, waits longer. */
const UNAVAILABLE_MS = 5000;

export interface ServerMode {
  readonly write: boolean;
  readonly create: boolean;
  readonly cacheBytes?: number | undefined;
  /** How long calls wait for a server that can be used, in milliseconds. Default 5000. */
  readonly unavailableMs?: number;
}

/** @param name What `resolveStore` gave. */
export async function openServer(
  invocation: Invocation,
  name: string,
  mode: ServerMode,
): Promise<SessionStore<UntypedEntry>> {
  const { write, create, cacheBytes, unavailableMs = UNAVAILABLE_MS } = mode;
  try {
    return await asUsage(() =>
      openPostgresStore({
        ...serverOf(invocation, name),
        readOnly: !write,
        create,
        unavailableMs,
        ...(cacheBytes !== undefined && { cacheBytes }),
      }),
    );
  } catch (error) {
    if (!(error instanceof SessionStoreError) || error.code !== "store_not_found") throw error;
    throw missingStore(name, error);
  }
}

/** Whether there is one, without making anything. */
export async function hasServerStore(invocation: Invocation, name: string): Promise<boolean> {
  try {
    await (await openServer(invocation, name, { write: false, create: false })).close();
    return true;
  } catch (error) {
    if (error instanceof CliError && error.code === "store_not_found") return false;
    throw error;
  }
}

function missingStore(name: string, { data }: SessionStoreError): CliError {
  return new CliError(
    "store_not_found",
    `there is no session store ${JSON.stringify(data["store"])} in schema ${String(data["schema"])} of ${name}. ` +
      "Check schema= and store= in the URL; put KEY --create, import --create and copy make one.",
    { data: { ...data, path: name } },
  );
}
