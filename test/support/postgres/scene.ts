/** A server for all tests of a file, and the stores and connections of each, which are closed behind it. */
import { afterAll, afterEach, beforeAll } from "vitest";
import type { SessionStore } from "../../../src/store/types.js";
import { startServer, versionsHere, type TestServer } from "./server.js";
import type { WatchedPool } from "./watched-pool.js";

export type Entry = Record<string, unknown>;

export const HERE = versionsHere();

export interface Scene {
  /** Only within tests. */
  readonly server: TestServer;
  readonly opened: SessionStore<Entry>[];
  readonly pools: WatchedPool[];
}

export function useServer(): Scene {
  let server: TestServer | undefined;
  const opened: SessionStore<Entry>[] = [];
  const pools: WatchedPool[] = [];
  beforeAll(async () => {
    if (HERE.length > 0) server = await startServer({ fsync: "off" });
  });
  afterEach(async () => {
    for (const one of opened.splice(0)) await one.close();
    for (const one of pools.splice(0)) await one.end();
  });
  afterAll(() => server?.stop());
  return {
    get server() {
      if (server === undefined) throw new Error("the server has not begun");
      return server;
    },
    opened,
    pools,
  };
}
