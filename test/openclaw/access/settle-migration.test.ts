/**
 * Goal: a process writes to a directory that is new to it only when everything that was acknowledged in the legacy file is in it.
 * Method: a migration is stopped between its steps by hand; what lies there decides whether the process may go on.
 */
import { existsSync, readdirSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { nodeFileSystem } from "../../../src/fs/node-file-system.js";
import { systemHost } from "../../../src/legacy/base/host.js";
import { startMirror } from "../../../src/legacy/back/mirror.js";
import { configureSessionStores, updateSessionStoreEntry } from "../../../src/openclaw/index.js";
import { waitForMigration } from "../../../src/openclaw/access/settle-migration.js";
import { FileBackend } from "../../../src/openclaw/backend/file-backend.js";
import { KeyQueue } from "../../../src/store/key-queue.js";
import {
  gatewayFolder,
  hasFile,
  loaded,
  migrate,
  session,
  type GatewayFolder,
} from "../support/gateway-folder.js";

const MERGING = "sessions.json.merging-2026-11-21T00-00-00.000Z-00000000";

/** Migrated, but somebody has written the file once more before the directory came. */
async function writtenMeanwhile(label: string): Promise<GatewayFolder> {
  const place = await gatewayFolder("legacy file", { a: session(1, { totalTokens: 1 }), b: session(1) });
  await migrate(place);
  writeFileSync(place.storePath, JSON.stringify({ a: session(1, { totalTokens: 1, label }), b: session(1) }));
  return place;
}

function addOne({ storePath }: GatewayFolder): Promise<unknown> {
  return updateSessionStoreEntry({
    storePath,
    sessionKey: "a",
    update: ({ totalTokens }) => ({ totalTokens: totalTokens! + 1 }),
  });
}

describe("the first write to a directory", () => {
  it("merges what was written to the file meanwhile, if nobody else does", async () => {
    const place = await writtenMeanwhile("acknowledged");
    await addOne(place);
    expect(loaded(place.storePath)["a"]).toMatchObject({ totalTokens: 2, label: "acknowledged" });
    expect(hasFile(place, "sessions.json")).toBe(false);
  });

  it("finishes a merge that was killed", async () => {
    const place = await writtenMeanwhile("acknowledged");
    renameSync(place.storePath, join(place.folder, MERGING));
    await addOne(place);
    expect(loaded(place.storePath)["a"]).toMatchObject({ totalTokens: 2, label: "acknowledged" });
    expect(hasFile(place, MERGING)).toBe(false);
  });

  it("sees a file that is renamed between its looks", async () => {
    const place = await writtenMeanwhile("acknowledged");
    let looked = false;
    const later = {
      ...nodeFileSystem.later,
      lstat: async (path: string) => {
        const status = await nodeFileSystem.later.lstat(path);
        if (path === place.storePath && !looked) {
          looked = true;
          renameSync(place.storePath, join(place.folder, MERGING));
        }
        return status;
      },
    };
    const host = { ...systemHost, fs: { ...nodeFileSystem, later } };
    const backend = new FileBackend(host, place.storePath, {
      turns: new KeyQueue(),
      settings: () => ({ migrateFirst: false, lockWaitMsMax: 1000 }),
      removeFromDirectory: () => Promise.resolve(),
    });
    await waitForMigration(host, place.storePath, backend, { onWarning: () => {} });
    expect(looked).toBe(true);
    expect(hasFile(place, MERGING)).toBe(false);
    expect(loaded(place.storePath)["a"]?.label).toBe("acknowledged");
  });

  it("leaves the file of a mirror alone", async () => {
    const place = await gatewayFolder("directory", { a: session(1, { totalTokens: 1 }) });
    const mirror = await startMirror(place.storePath);
    await mirror.flush();
    await mirror.stop();
    await addOne(place);
    expect(existsSync(place.storePath)).toBe(true);
    expect(readdirSync(place.folder).filter((name) => name.includes(".saved-"))).toEqual([]);
  });

  it("goes on beside a file that nobody can read, and says so", async () => {
    const place = await gatewayFolder("directory", { a: session(1, { totalTokens: 1 }) });
    const warnings: string[] = [];
    configureSessionStores({ onWarning: ({ code, message }) => warnings.push(`${code} ${message}`) });
    writeFileSync(place.storePath, "{ broken");
    await addOne(place);
    expect(loaded(place.storePath)["a"]?.totalTokens).toBe(2);
    expect(warnings).toEqual([expect.stringContaining(`source_unreadable ${place.storePath}`)]);
    rmSync(place.storePath);
  });
});
