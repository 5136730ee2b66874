/**
 * Goal: the doctor is safe beside processes that use the store: it changes nothing, finds nothing where nothing is wrong, and what it repairs
 * there takes nothing from anybody.
 * Method: two stores are open and write, flush, checkpoint and delete without pause while the doctor looks, and repairs.
 */
import { readFileSync, writeFileSync } from "node:fs";
import { expect, it } from "vitest";
import { nodeFileSystem } from "../../../src/fs/node-file-system.js";
import { examineStoreOn } from "../../../src/care/doctor/examine.js";
import { systemRuntime } from "../../../src/runtime.js";
import { BIG, useSandbox, type Sandbox, type Store } from "../../engine/directory/sandbox.js";
import type { DoctorOptions } from "../../../src/care/doctor/types.js";
import { codes, wrong } from "./ward.js";

const holder = useSandbox();

/** Writes until it is told to stop. @returns What was acknowledged last, by key. */
function traffic(stores: readonly Store[]): { stop(): Promise<Map<string, number | undefined>> } {
  let running = true;
  const last = new Map<string, number | undefined>();
  const work = (async () => {
    for (let n = 0; running; n++) {
      const store = stores[n % stores.length]!;
      const key = `agent:main:${n % 40}`;
      if (n % 13 === 12) {
        await store.delete(key);
        last.set(key, undefined);
      } else {
        await store.put(key, { n, ...(n % 4 === 0 && { prompt: `${BIG} ${n % 7}` }) });
        last.set(key, n);
      }
      if (n % 5 === 0) await store.append(`agent:main:${n % 10}`, [{ n }]);
      if (n % 17 === 0) await store.flush();
      if (n % 53 === 0) await store.checkpoint();
      if (n % 8 === 0) await new Promise(setImmediate);
    }
  })();
  return {
    async stop() {
      running = false;
      await work;
      return last;
    },
  };
}

const look = (box: Sandbox, options: DoctorOptions = {}): ReturnType<typeof examineStoreOn> =>
  examineStoreOn({ fs: nodeFileSystem, runtime: systemRuntime }, box.path, { settleMs: 20, ...options });

it("finds nothing in a healthy store that two processes change all the time", async () => {
  const { box } = holder;
  const stores = [await box.open(), await box.open()];
  const busy = traffic(stores);
  for (let time = 0; time < 12; time++) {
    const level = (["quick", "default", "deep"] as const)[time % 3]!;
    const report = await look(box, { level });
    expect(wrong(report), `${time}`).toEqual([]);
    expect(report.actions).toEqual([]);
  }
  await busy.stop();
});

it("a fix beside them takes nothing from them", async () => {
  const { box } = holder;
  const stores = [await box.open(), await box.open()];
  await stores[0]!.put("agent:main:still", { n: 1 });
  await stores[0]!.flush();
  const busy = traffic(stores);
  for (let time = 0; time < 6; time++) {
    writeFileSync(box.entryFile("agent:main:still"), `damage ${time}`);
    await look(box, { level: "deep", fix: true });
    await stores[1]!.put("agent:main:still", { n: time });
  }
  const last = await busy.stop();
  for (const store of stores) for (const [key, n] of last) expect((await store.get(key))?.["n"], key).toBe(n);
  expect(await stores[0]!.get("agent:main:still")).toEqual({ n: 5 });
  await stores[0]!.checkpoint();
  expect(codes(await look(box, { level: "deep" }))).toEqual([]);
  expect(readFileSync(box.entryFile("agent:main:still"), "utf8")).toContain('"n":5');
});
