/**
 * Goal: over PostgreSQL a store is a session store in the full sense of the published suite, transcripts included.
 * Method: one run of the suite for the newest version of the server that this machine can start (SESSIONDIR_THOROUGH=1: for each), on a real server; each case has
 * a store of its own in the same tables.
 */
import { afterAll, beforeAll, describe, test } from "vitest";
import { openPostgresStore } from "../../../src/postgres/open-postgres-store.js";
import {
  sessionStoreConformance,
  type ConformanceEntry,
  type ConformanceFixture,
  type ConformanceOpenOptions,
  type ConformanceStore,
} from "../../../src/testing/conformance/suite.js";
import { THOROUGH } from "../../support/thoroughness.js";
import { startServer, versionsHere, type TestServer } from "../../support/postgres/server.js";

/** The newest alone takes half a minute. */
const VERSIONS = versionsHere().slice(THOROUGH ? 0 : -1);

if (VERSIONS.length === 0) test.skip("no PostgreSQL here: npm ci, or apt-get install postgresql", () => {});

for (const version of VERSIONS)
  describe(`PostgreSQL ${version}${THOROUGH ? "" : " (SESSIONDIR_THOROUGH=1: each version here)"}`, () => {
    let server: TestServer;
    let stores = 0;
    beforeAll(async () => {
      server = await startServer({ fsync: "off" }, version);
    });
    afterAll(() => server.stop());

    async function open(options?: ConformanceOpenOptions): Promise<ConformanceFixture> {
      const name = `case ${++stores}`;
      const opened: ConformanceStore[] = [];
      const start = async (own?: ConformanceOpenOptions): Promise<ConformanceStore> => {
        const store = await openPostgresStore<ConformanceEntry>({
          ...own,
          connectionString: server.url,
          store: name,
          pollMs: 20,
          historyRevisions: 50,
        });
        opened.push(store);
        return store;
      };
      if (options?.readOnly === true) await (await start()).close();
      const store = await start(options);
      return {
        store,
        reopen: async (again = options) => {
          for (const one of opened.splice(0)) await one.close();
          return start(again);
        },
        forgetHistory: async () => {
          // What can be watched for is forgotten in the background.
          for (let gone = false; !gone;) {
            for (let n = 0; n < 60; n++) await store.put("filler", { n });
            gone = await isForgotten(store);
          }
        },
        another: () => start(options),
        dispose: async () => {
          for (const one of opened) await one.close();
        },
      };
    }

    sessionStoreConformance({
      test,
      describe,
      open,
      capabilities: {
        persistent: true,
        shared: true,
        syncReads: false,
        forgets: true,
        lazyValues: false,
        limits: ["entry_too_large", "value_too_deep"],
      },
    });
  });

async function isForgotten(store: ConformanceStore): Promise<boolean> {
  try {
    for await (const _change of store.watch({ since: 0 })) return false;
  } catch {
    return true;
  }
  return false;
}
