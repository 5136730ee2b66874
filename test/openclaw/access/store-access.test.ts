/**
 * Goal: a read that meets a migration in the middle gives the sessions, from one backend or the other, never none.
 * And an update that has been written counts, whatever fails after it.
 * Method: the migration is finished inside the very call in which the read looks at the legacy file.
 */
import { renameSync, rmSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it, onTestFinished } from "vitest";
import { SessionStoreError } from "../../../src/errors.js";
import { nodeFileSystem } from "../../../src/fs/node-file-system.js";
import { systemHost } from "../../../src/legacy/base/host.js";
import { OpenStores } from "../../../src/openclaw/access/open-stores.js";
import { configureSessionStores } from "../../../src/openclaw/base/settings.js";
import { readStore, updateStore } from "../../../src/openclaw/access/store-access.js";
import type { StoreBackend } from "../../../src/openclaw/backend/store-backend.js";
import { resolveMaintenanceConfig } from "../../../src/openclaw/maintenance/config.js";
import type { SessionMaintenanceReport } from "../../../src/openclaw/maintenance/session-maintenance.js";
import { ManualRuntime } from "../../../src/testing/manual-runtime.js";
import { FILE, LegacyMachine, pretty } from "../../legacy/legacy-machine.js";
import { gatewayFolder, migrate, session, type GatewayFolder } from "../support/gateway-folder.js";

const SESSIONS = { a: session(1), b: session(2) };

/** A file system on which `happens` comes once, right before somebody looks at the legacy file itself. */
function storesOn({ storePath }: GatewayFolder, call: "lstat" | "open", happens: () => void): OpenStores {
  let looks = 0;
  const before = (path: string): void => {
    // The first look of `lstat` asks whether the path is a link.
    if (path === storePath && ++looks === (call === "lstat" ? 2 : 1)) happens();
  };
  const fs = {
    ...nodeFileSystem,
    lstat: (path: string) => {
      if (call === "lstat") before(path);
      return nodeFileSystem.lstat(path);
    },
    open: (path: string, mode: Parameters<typeof nodeFileSystem.open>[1]) => {
      if (call === "open") before(path);
      return nodeFileSystem.open(path, mode);
    },
  };
  const stores = new OpenStores({ ...systemHost, fs });
  onTestFinished(() => stores.close());
  return stores;
}

describe("a read while the store is being migrated", () => {
  it.each(["lstat", "open"] as const)(
    "that finds the file gone at its %s finds the directory",
    async (call) => {
      const place = await gatewayFolder("legacy file", SESSIONS);
      const aside = await gatewayFolder("legacy file", SESSIONS);
      await migrate(aside);
      const stores = storesOn(place, call, () => {
        renameSync(join(aside.folder, "sessions.d"), join(place.folder, "sessions.d"));
        rmSync(place.storePath);
      });
      const keys = readStore(place.storePath, (backend) => [...backend.snapshot().keys()], stores);
      expect(keys).toEqual(["a", "b"]);
    },
  );

  it("that finds the file put aside says so, unless the directory is there", async () => {
    const place = await gatewayFolder("legacy file", SESSIONS);
    const aside = await gatewayFolder("legacy file", SESSIONS);
    await migrate(aside);
    const merging = `${place.storePath}.merging-2026-11-21T00-00-00.000Z-00000000`;
    renameSync(place.storePath, merging);
    const read = (): string[] =>
      readStore(place.storePath, (backend) => [...backend.snapshot().keys()], stores);
    const stores = storesOn(place, "open", () => {});
    expect(read).toThrow(expect.objectContaining({ code: "legacy_changing" }));
    renameSync(join(aside.folder, "sessions.d"), join(place.folder, "sessions.d"));
    expect(read()).toEqual(["a", "b"]);
  });
});

it("an update counts, and says so, although looking after the store failed", async () => {
  const place = await gatewayFolder("directory", SESSIONS);
  let gone = false;
  class RolledBack extends OpenStores {
    override directoryNow(
      target: Parameters<OpenStores["directoryNow"]>[0],
    ): ReturnType<OpenStores["directoryNow"]> {
      if (gone) throw new SessionStoreError("store_not_found", "another process rolled it back");
      return super.directoryNow(target);
    }
  }
  const stores = new RolledBack(systemHost);
  onTestFinished(() => stores.close());
  const codes: string[] = [];
  configureSessionStores({ onWarning: (warning) => codes.push(warning.code) });
  onTestFinished(() => configureSessionStores({ onWarning: undefined }));
  const update = async (): Promise<{ wrote: boolean }> => {
    gone = true;
    return { wrote: true };
  };
  expect(await updateStore(place.storePath, update, {}, stores)).toEqual({ wrote: true });
  expect(codes).toEqual(["maintenance_failed"]);
});

it("looks after a store by the clock of the host that it was given, in its own turn", async () => {
  const machine = new LegacyMachine();
  machine.disk.writeRaw(FILE, pretty({ old: session(NOW - 31 * DAY), fresh: session(NOW - DAY) }));
  const [first, second] = [1, 2].map((seed) => {
    const host = { fs: machine.process().fs, runtime: new ManualRuntime({ seed, now: NOW }) };
    const stores = new OpenStores(host);
    onTestFinished(() => stores.close());
    return { stores };
  }) as [Process, Process];
  const pruned = async ({ stores }: Process, key: string): Promise<number | undefined> => {
    let told: number | undefined;
    const touch = (backend: StoreBackend) =>
      backend.updateAll((view) => view.set(key, { ...session(0), updatedAt: NOW }), {});
    const config = resolveMaintenanceConfig({ pruneAfter: "30d" });
    const onMaintenanceApplied = (report: SessionMaintenanceReport): void => void (told = report.pruned);
    await updateStore(FILE, touch, { config, onMaintenanceApplied }, stores);
    return told;
  };
  expect(await pruned(first, "a")).toBe(1);
  expect(await pruned(first, "b")).toBeUndefined(); // it ran a moment ago
  expect(await pruned(second, "c")).toBe(0); // another process has a schedule of its own
});

/** In milliseconds since 1970; by the system's clock, all of these sessions are of the future. */
const NOW = 4_000_000_000_000;
const DAY = 86_400_000;
type Process = { readonly stores: OpenStores };
