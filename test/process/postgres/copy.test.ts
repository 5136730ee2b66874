/**
 * Goal: a gateway moves from a directory into a database and back with every session, also if the copy is killed on the way again and again.
 * Method: the built program between a directory and a real server; killed with SIGKILL at random moments ten times, each way, then compared.
 * SESSIONDIR_SESSIONS says how many sessions.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { openSessionStore } from "../../../src/index.js";
import { compareStores } from "../../../src/moving/index.js";
import { openPostgresStore } from "../../../src/postgres/open-postgres-store.js";
import { seededRandom } from "../../../src/testing/seeded-random.js";
import { errorOf, runAlone, start } from "../../cli/support/program.js";
import { startServer, versionsHere, type TestServer } from "../../support/postgres/server.js";
import { many } from "../../support/thoroughness.js";

const SESSIONS = Number(process.env["SESSIONDIR_SESSIONS"] ?? many(1000, 200));
const MANY = SESSIONS > 1000;
const KILLS = 10;
const here = versionsHere().length > 0;

describe.runIf(here)(`sessiondir copy${here ? "" : " (skipped: no PostgreSQL here)"}`, () => {
  let server: TestServer;
  let folder: string;
  let source: string;

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), "sessiondir-copy-"));
    source = join(folder, "sessions.d");
    server = await startServer({ fsync: "off" });
    const store = await openSessionStore<Record<string, unknown>>(source);
    for (let first = 0; first < SESSIONS; first += 100)
      await Promise.all(
        Array.from({ length: 100 }, async (_, index) => {
          const key = `agent:main:${"é'\"%_\\"[index % 6]}:${first + index}`;
          await store.put(key, { n: first + index, updatedAt: index, text: "x".repeat(1000) });
          await store.append(key, [{ n: 1 }, "two", null], { ids: ["a", undefined, "c"] });
        }),
      );
    await store.put("large", { n: 1 });
    await store.append("large", ["y".repeat(15 * 1024 * 1024)]);
    await store.append("without a record", [1, 2, 3]);
    await store.close();
  }, 300_000);
  afterAll(async () => {
    await server.stop();
    rmSync(folder, { recursive: true, force: true });
  }, 300_000);

  async function killedOnTheWay(from: string, to: string, seed: number): Promise<void> {
    const random = seededRandom(seed);
    for (let kill = 0; kill < KILLS; kill++) {
      const running = start(["copy", "--from", from, "--to", to]);
      await Promise.race([sleep(300 + random() * (MANY ? 8000 : 700)), running.ended]);
      running.process.kill("SIGKILL");
      const { code, stderr } = await running.ended;
      if (code === null) continue;
      // It was faster: complete, so the next one is refused.
      expect([0, 1], stderr).toContain(code);
      break;
    }
  }

  it(
    "there and back, killed ten times each way, is equal",
    { timeout: MANY ? 1_800_000 : 240_000 },
    async () => {
      const url = `${server.url}?store=killed`;
      const back = join(folder, "back.d");
      for (const [seed, from, to] of [
        [1, source, url],
        [2, url, back],
      ] as const) {
        await killedOnTheWay(from, to, seed);
        const { code, stderr } = await runAlone(["copy", "--from", from, "--to", to, "--json"]);
        if (code !== 0) expect(errorOf({ code, stderr, stdout: "" })).toMatchObject({ code: "copy_refused" });
        const same = await runAlone(["copy", "--from", from, "--to", to, "--verify-only", "--json"]);
        expect(JSON.parse(same.stdout)).toMatchObject({
          equal: true,
          sessions: SESSIONS + 2,
          differenceCount: 0,
        });
      }
      const [one, other] = [
        await openSessionStore(source, { readOnly: true }),
        await openSessionStore(back, { readOnly: true }),
      ];
      expect(await compareStores(one, other)).toMatchObject({ equal: true, sessions: SESSIONS + 2 });
      expect((await other.list()).sessions.map(({ key }) => key)).toEqual(
        (await one.list()).sessions.map(({ key }) => key),
      );
      await one.close();
      await other.close();
    },
  );

  it(
    "follows until Ctrl-C, goes on after a kill, and refuses what is not its own",
    { timeout: 120_000 },
    async () => {
      const url = `${server.url}?store=followed`;
      const small = join(folder, "small.d");
      const store = await openSessionStore<Record<string, unknown>>(small);
      await store.put("a", { n: 1 });
      const args = ["copy", "--from", small, "--to", url, "--follow"];
      for (const end of ["SIGKILL", "SIGINT"] as const) {
        const running = start(args);
        await running.says("in step");
        await store.append("a", [end]);
        await store.put("b", { end });
        const copy = await openPostgresStore<Record<string, unknown>>({
          connectionString: server.url,
          store: "followed",
        });
        while ((await copy.get("b"))?.["end"] !== end) await sleep(20);
        running.process.kill(end);
        const { code, stderr } = await running.ended;
        expect({ code: code ?? end, stderr }).toMatchObject({ code: end === "SIGKILL" ? end : 130 });
        expect(await compareStores(store, copy, { ignoreOthers: end === "SIGKILL" })).toMatchObject({
          equal: true,
        });
        await copy.close();
      }
      await store.close();
      const again = await runAlone([...args, "--json"]);
      expect(errorOf(again)).toMatchObject({
        code: "copy_refused",
        exitCode: 1,
        data: { reason: "not_empty" },
      });
      const same = await runAlone(["copy", "--from", small, "--to", small]);
      expect(same.code).toBe(2);
    },
  );
});
