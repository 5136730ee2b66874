/**
 * Goal: every engine is a session store in the full sense of the published suite.
 * Method: one row an engine, one run of the suite a row. Directory stores run on the real file system, and once more
 * with tiny segments and no cache on a simulated disk, so that sealing, checkpoints and cold reads happen all the time.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, test } from "vitest";
import { createMemoryEngine } from "../../src/engine/memory/memory-engine.js";
import type { FileSystem } from "../../src/fs/file-system.js";
import { nodeFileSystem } from "../../src/fs/node-file-system.js";
import { systemRuntime } from "../../src/runtime.js";
import { openDirectoryStoreOn } from "../../src/store/open.js";
import { resolveOptions, type OpenOptions } from "../../src/store/options.js";
import { createSessionStore } from "../../src/store/session-store.js";
import type { DirectorySessionStore } from "../../src/store/types.js";
import {
  sessionStoreConformance,
  type ConformanceCapabilities,
  type ConformanceEntry,
  type ConformanceFixture,
  type ConformanceOpenOptions,
} from "../../src/testing/conformance/suite.js";
import { SimulatedDisk } from "../../src/testing/simulated/disk.js";
import { interceptCalls } from "../support/intercept-calls.js";

interface Row {
  readonly engine: string;
  readonly capabilities: ConformanceCapabilities;
  readonly open: (options?: ConformanceOpenOptions) => Promise<ConformanceFixture>;
}

const DIRECTORY: ConformanceCapabilities = {
  persistent: true,
  shared: true,
  syncReads: true,
  forgets: true,
  lazyValues: true,
  limits: ["entry_too_large", "record_too_large", "blob_too_large", "value_too_deep"],
};

const ROWS: readonly Row[] = [
  {
    engine: "memory",
    capabilities: {
      persistent: false,
      shared: false,
      syncReads: false,
      forgets: true,
      lazyValues: false,
      limits: ["entry_too_large", "value_too_deep"],
    },
    open: openMemory,
  },
  {
    engine: "directory, os durability",
    capabilities: DIRECTORY,
    open: (options) => openOnRealDisk({ ...options, durability: "os" }),
  },
  {
    engine: "directory, tiny segments and no cache on a simulated disk",
    capabilities: DIRECTORY,
    open: (options) =>
      openOnSimulatedDisk({ ...options, segmentBytes: 4096, cacheBytes: 0, flushDelayMs: 1 }),
  },
];

for (const { engine, capabilities, open } of ROWS) {
  describe(engine, () => sessionStoreConformance({ test, describe, open, capabilities }));
}

async function openMemory(options?: ConformanceOpenOptions): Promise<ConformanceFixture> {
  const historyMax = 1000;
  const resolved = resolveOptions(options);
  const store = createSessionStore<ConformanceEntry>(
    createMemoryEngine({ ...resolved, historyMax }),
    resolved,
  );
  return {
    store,
    forgetHistory: async () => {
      for (let commits = 0; commits < historyMax; commits++) await store.put("filler", {});
    },
    dispose: () => store.close(),
  };
}

async function openOnRealDisk(options: OpenOptions<ConformanceEntry>): Promise<ConformanceFixture> {
  const folder = mkdtempSync(join(tmpdir(), "sessiondir-conformance-"));
  const fixture = await openDirectory(nodeFileSystem, join(folder, "sessions.d"), options);
  return {
    ...fixture,
    dispose: async () => {
      await fixture.dispose();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

function openOnSimulatedDisk(options: OpenOptions<ConformanceEntry>): Promise<ConformanceFixture> {
  return openDirectory(new SimulatedDisk().mount("conformance"), "/sessions.d", options);
}

async function openDirectory(
  base: FileSystem,
  path: string,
  options: OpenOptions<ConformanceEntry>,
): Promise<ConformanceFixture> {
  let valuesLoaded = 0;
  const fileSystem = countingOpens(base, (opened) => {
    if (opened.includes("/blobs/")) valuesLoaded += 1;
  });
  const opened: DirectorySessionStore<ConformanceEntry>[] = [];
  const open = async (more?: ConformanceOpenOptions) => {
    const store = await openDirectoryStoreOn<ConformanceEntry>(fileSystem, systemRuntime, path, {
      ...options,
      ...more,
    });
    opened.push(store);
    return store;
  };
  const closeAll = async () => {
    for (const store of opened.splice(0)) await store.close();
  };
  const store = await open();
  return {
    store,
    reopen: async (more) => {
      await closeAll();
      return open(more);
    },
    another: () => open(),
    forgetHistory: () => store.checkpoint(),
    valuesLoaded: () => valuesLoaded,
    dispose: closeAll,
  };
}

/** The same file system, telling of every blocking `open` for reading. */
function countingOpens(base: FileSystem, onOpen: (path: string) => void): FileSystem {
  return interceptCalls(base, {
    open: (path, mode) => {
      if (mode === "read") onOpen(path);
      return base.open(path, mode);
    },
  });
}
