/**
 * Goal: several processes, or calls, that look after one store at the same time remove no more than one would, nothing that
 * another one touched, and leave nothing half done, wherever they are killed.
 * Method: processes on one simulated disk that act between the look and the removal of another; death at every change, with the
 * power lost too.
 */
import { describe, expect, it } from "vitest";
import { DirectorySessions } from "../../../src/openclaw/maintenance/directory-sessions.js";
import { SessionMaintenance } from "../../../src/openclaw/maintenance/session-maintenance.js";
import { resolveMaintenanceConfig } from "../../../src/openclaw/maintenance/config.js";
import type { SessionEntry } from "../../../src/openclaw/entry/session-entry.js";
import { openDirectoryStoreOn } from "../../../src/store/open.js";
import type { LegacyHost } from "../../../src/legacy/base/host.js";
import { DIRECTORY, FILE, killAtEveryChange, LegacyMachine } from "../../legacy/legacy-machine.js";
import { Gateway } from "./maintained-gateway.js";

describe.each(["directory", "legacy"] as const)("%s", (backend) => {
  it("calls at the same time take turns", async () => {
    const gateway = await Gateway.start(backend);
    await gateway.putAged({ old1: 31, old2: 32 });
    const [first, second, third] = await Promise.all([
      gateway.maintain({}),
      gateway.maintain({}, { force: true }),
      gateway.maintain({}),
    ]);
    expect([first?.pruned, second?.pruned, third]).toEqual([2, 0, undefined]);
  });
});

describe("several processes", () => {
  it("a session that somebody touches between the look and the removal is alive", async () => {
    const gateway = await Gateway.start("directory");
    await gateway.putAged({ old1: 31, old2: 32, old3: 33 });
    const other = await Gateway.start("directory", gateway.machine);
    const { store } = gateway;
    if (store === undefined) throw new Error("no store");
    const list = store.list.bind(store);
    store.list = async (query) => {
      const page = await list(query);
      if (query?.updatedBefore !== undefined)
        await other.store?.patch("old2", { updatedAt: other.runtime.now() });
      return page;
    };
    expect(await gateway.maintain({})).toMatchObject({ pruned: 2 });
    expect(await gateway.keys()).toEqual(["old2"]);
    expect(gateway.transcripts()).toEqual(["id-old2.jsonl"]);
  });

  it("that cap at the same time remove no more than one of them would", async () => {
    const gateway = await Gateway.start("directory");
    const ages = Object.fromEntries(Array.from({ length: 300 }, (_, index) => [`s${index}`, index / 100]));
    await gateway.putAged(ages);
    const others = await Promise.all([1, 2, 3].map(() => Gateway.start("directory", gateway.machine)));
    const reports = await Promise.all([gateway, ...others].map((one) => one.maintain({ maxEntries: 50 })));
    expect(reports.reduce((sum, report) => sum + (report?.capped ?? 0), 0)).toBe(250);
    expect((await gateway.keys()).sort()).toEqual(
      Array.from({ length: 50 }, (_, index) => `s${index}`).sort(),
    );
    expect(gateway.transcripts()).toHaveLength(50);
  });

  it("one that capped before the other has counted leaves nothing to remove", async () => {
    const gateway = await Gateway.start("directory");
    await gateway.putAged(Object.fromEntries(Array.from({ length: 20 }, (_, index) => [`s${index}`, index])));
    const other = await Gateway.start("directory", gateway.machine);
    const { store } = gateway;
    if (store === undefined) throw new Error("no store");
    const list = store.list.bind(store);
    let meanwhile = false;
    store.list = async (query) => {
      if (!meanwhile && query?.updatedBefore === undefined && query?.orderBy === "updatedAt") {
        meanwhile = true;
        await other.maintain({ maxEntries: 10 });
      }
      return list(query);
    };
    expect(await gateway.maintain({ maxEntries: 10 })).toMatchObject({ capped: 0, afterCount: 10 });
  });

  it("a store that is closed in the middle is no error", async () => {
    const gateway = await Gateway.start("directory");
    await gateway.putAged({ old: 31 });
    const running = gateway.maintain({});
    await gateway.store?.close();
    await running;
    expect(gateway.errors).toEqual([]);
  });
});

it("killed anywhere, with the power lost too, no live session and no transcript is lost, and the next run finishes", async () => {
  const live = { sessionId: "live", updatedAt: 1_795_200_000_000 };
  const old = [1, 2, 3].map((index) => ({ sessionId: `old${index}`, updatedAt: index }));
  const run = async (host: LegacyHost): Promise<void> => {
    const store = await openDirectoryStoreOn<SessionEntry>(host.fs, host.runtime, DIRECTORY);
    const options = { storePath: FILE, config: resolveMaintenanceConfig({}), force: true };
    const sessions = new DirectorySessions(store);
    await new SessionMaintenance(host).maintain(sessions, { ...options, onError: () => {} });
    await store.close();
  };
  const transcriptsOf = (machine: LegacyMachine, id: string): string[] =>
    machine.names().filter((name) => name.startsWith(`${id}.jsonl`));
  const changes = await killAtEveryChange(
    async () => {
      const machine = new LegacyMachine();
      const { fs, runtime } = machine.process();
      const store = await openDirectoryStoreOn<SessionEntry>(fs, runtime, DIRECTORY);
      for (const entry of [live, ...old]) {
        await store.put(entry.sessionId, entry);
        machine.disk.writeRaw(`/home/sessions/${entry.sessionId}.jsonl`, entry.sessionId);
      }
      await store.close();
      return machine;
    },
    run,
    async (machine, at) => {
      const found = (await machine.sessions()) ?? {};
      expect(found["live"], at).toEqual(live);
      expect(transcriptsOf(machine, "live"), at).toEqual(["live.jsonl"]);
      for (const { sessionId } of old) {
        // A power cut may leave a file under both its names.
        const names = transcriptsOf(machine, sessionId);
        expect(names.length, `${at}: ${sessionId}`).toBeGreaterThan(0);
        if (sessionId in found) expect(names, at).toEqual([`${sessionId}.jsonl`]);
      }
      await run(machine.process());
      expect(Object.keys((await machine.sessions()) ?? {}), at).toEqual(["live"]);
    },
    "random",
  );
  expect(changes).toBeGreaterThan(20);
});
