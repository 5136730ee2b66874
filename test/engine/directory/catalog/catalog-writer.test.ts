/**
 * Goal: a catalog costs by what changed, and whatever happens to the process that writes it, nobody ever finds a catalog
 * whose parts are not there, and no part stays for ever.
 * Method: a store whose catalog has two parts, of which the next checkpoint replaces one. At every call of that checkpoint the process
 * is killed, or goes to sleep while others go on, or the power fails; then a new process lists, and must not have to make
 * the catalog anew. Controls in which parts go too early show that these tests would see it.
 */
import { describe, expect, it } from "vitest";
import { SimulatedDisk } from "../../../../src/testing/simulated/disk.js";
import type { SimulatedCall } from "../../../../src/testing/simulated/file-system.js";
import { parkAt } from "../protocol/rule-scenes.js";
import { boot, openOn, settled, start, STORE, turn, type Process } from "../../../support/processes.js";
import { each, stride } from "../../../support/thoroughness.js";
import { partsNamedIn } from "../../../support/store-checks.js";

const INTERNAL = `${STORE}/.store`;
const MANY = 40;

const partsOf = (disk: SimulatedDisk): string[] =>
  disk
    .names(INTERNAL)
    .filter((name) => /^catalog-\d+-/.test(name))
    .sort();

function manifestOf(disk: SimulatedDisk): string {
  const names = disk.names(INTERNAL).filter((name) => /^catalog-\d+$/.test(name));
  expect(names).toHaveLength(1);
  return String(disk.readRaw(`${INTERNAL}/${names[0]}`));
}

async function checkpoint(process: Process): Promise<void> {
  await settled(process.store.checkpoint(), process);
}

let filled: SimulatedDisk | undefined;

/** Sessions 0 … 39 in one part, "x" in a newer one; and "y" in the log, with a deletion of another. */
async function prepared(): Promise<{ disk: SimulatedDisk; a: Process; keys: string[] }> {
  filled ??= await fill();
  const disk = filled.clone();
  const keys = Array.from({ length: MANY }, (_, n) => `${n}`).filter((key) => key !== "4");
  return { disk, a: await start(disk, "A"), keys: [...keys, "x", "y"].sort() };
}

async function fill(): Promise<SimulatedDisk> {
  const disk = new SimulatedDisk();
  const a = await start(disk, "maker");
  for (let n = 0; n < MANY; n++) await a.store.put(`${n}`, { n, updatedAt: n });
  await checkpoint(a);
  await a.store.put("x", { updatedAt: 1000 });
  await checkpoint(a);
  expect(partsOf(disk)).toHaveLength(2);
  await a.store.put("y", { updatedAt: 1001 });
  await a.store.delete("4");
  await a.store.close();
  return disk;
}

/** Whether a call has to do with the catalog: from the first such call on, a checkpoint is at its catalog. */
const ofCatalog = ({ args }: SimulatedCall): boolean => args.some((arg) => /catalog/.test(String(arg)));

/** What a new process lists, and whether it had to make the catalog anew. */
async function listed(disk: SimulatedDisk): Promise<{ keys: string[]; newest: string[]; rebuilt: boolean }> {
  const reader = await start(disk, "reader", { readOnly: true });
  const page = await reader.store.list({ orderBy: "updatedAt", descending: true, limit: 3 });
  const all = (await reader.store.list()).sessions.map(({ key }) => key);
  expect(await reader.store.count()).toBe(all.length);
  const rebuilt = reader.warnings.some(({ code }) => code === "catalog_rebuilt");
  await reader.store.close();
  return { keys: all, newest: page.sessions.map(({ key }) => key), rebuilt };
}

async function expectTidy(disk: SimulatedDisk, label: string): Promise<void> {
  const next = await start(disk, "next");
  await next.store.put("last", {});
  await checkpoint(next);
  expect(await next.store.count(), label).toBe(MANY + 2);
  expect(next.warnings, label).toEqual([]);
  expect(partsOf(disk), label).toEqual(partsNamedIn(manifestOf(disk)).sort());
  expect(disk.names(`${INTERNAL}/stage`), label).toHaveLength(1);
  await next.store.close();
}

it("one change costs a small part; what is not much larger goes into it, what is stays as it is", async () => {
  const { disk, a } = await prepared();
  const before = partsOf(disk);
  const written: number[] = [];
  a.fs.onCall = ({ name, args }) => {
    if (name === "write") written.push(Number(args[3]));
  };
  await checkpoint(a);
  a.fs.onCall = undefined;
  expect(Math.max(...written)).toBeLessThan(1000);
  const after = partsOf(disk);
  expect(after).toHaveLength(2);
  expect(after.filter((name) => before.includes(name))).toEqual([
    before.find((name) => name.startsWith("catalog-1-")),
  ]);
});

it("a deleted session stays deleted, though an older part has it, and its missing file is no damage", async () => {
  const { disk, a, keys } = await prepared();
  await checkpoint(a);
  expect(partsOf(disk)).toHaveLength(2);
  const reader = await start(disk, "reader");
  expect(await reader.store.get("4")).toBeUndefined();
  expect(await listed(disk)).toEqual({ keys, newest: ["y", "x", "39"], rebuilt: false });
  for (let n = 10; n < MANY; n++) await a.store.delete(`${n}`);
  await checkpoint(a);
  expect((await listed(disk)).keys).toEqual(["0", "1", "2", "3", "5", "6", "7", "8", "9", "x", "y"]);
  const { parts } = JSON.parse(manifestOf(disk).slice(9)) as { parts: { rows: number; deleted: number }[] };
  expect(parts).toMatchObject([{ rows: 11, deleted: 0 }]);
});

describe("a process that writes a catalog", () => {
  it(`killed before ${each("call", 2)} leaves nothing that the next one does not put right`, async () => {
    for (let at = 1, killed = true; killed; at += stride(2)) {
      const { disk, a, keys } = await prepared();
      let calls = 0;
      a.fs.onCall = (call) => {
        if ((calls > 0 || ofCatalog(call)) && ++calls === at) a.fs.kill();
      };
      void a.store.checkpoint().catch(() => {});
      for (let turns = 0; turns < 400 && !a.fs.killed; turns++) await turn();
      killed = a.fs.killed;
      expect(await listed(disk), `call ${at}`).toEqual({ keys, newest: ["y", "x", "39"], rebuilt: false });
      await expectTidy(disk, `call ${at}`);
    }
  });

  it.each([0, 1, 2])(
    `asleep before ${each("call", 3)}, while others go on with %i further checkpoints`,
    async (further) => {
      for (let at = 1 + (further % stride(3)), reached = true; reached; at += stride(3)) {
        const { disk, a, keys } = await prepared();
        let calls = 0;
        let label = "";
        const parking = parkAt(a, (call) => {
          if (calls > 0 || ofCatalog(call)) calls++;
          label ||= calls >= at ? `${call.name} ${String(call.args)}` : "";
          return calls >= at;
        });
        const late = a.store.checkpoint().catch(() => {});
        for (let turns = 0; turns < 200 && !parking.reached; turns++) await turn();
        ({ reached } = parking);
        const b = await start(disk, "B");
        await checkpoint(b);
        for (let round = 0; round < further; round++) {
          await b.store.put("x", { updatedAt: 1000, round });
          await checkpoint(b);
        }
        parking.release();
        await settled(late, a);
        expect(await listed(disk), label).toEqual({ keys, newest: ["y", "x", "39"], rebuilt: false });
        await expectTidy(disk, label);
      }
    },
  );
});

/** Copies of the disk behind each call of a checkpoint, after a power cut. */
async function cuts(before?: (disk: SimulatedDisk, name: string, to: string) => void): Promise<{
  copies: SimulatedDisk[];
  keys: string[];
}> {
  const { disk, a, keys } = await prepared();
  const copies: SimulatedDisk[] = [];
  let begun = false;
  a.fs.onCall = (call) => {
    begun ||= ofCatalog(call);
    if (!begun) return;
    before?.(disk, call.name, String(call.args[1]));
    for (const mode of ["durable-only", "random"] as const) {
      const copy = disk.clone();
      copy.powerCut(mode);
      copies.push(copy);
    }
  };
  await checkpoint(a);
  return { copies, keys };
}

describe("a power cut behind any call of a checkpoint", () => {
  it("leaves a catalog whose parts are there", async () => {
    const { copies, keys } = await cuts();
    for (const [number, copy] of copies.entries())
      expect(await listed(copy), `${number}`).toEqual({ keys, newest: ["y", "x", "39"], rebuilt: false });
  });

  it("control: does not, if the parts that a catalog replaces go before it is durable", async () => {
    const { copies, keys } = await cuts((disk, name, to) => {
      if (name !== "rename" || !to.endsWith("/catalog-3")) return;
      for (const part of partsOf(disk))
        if (part.startsWith("catalog-2-")) disk.removeRaw(`${INTERNAL}/${part}`);
    });
    let rebuilt = 0;
    for (const copy of copies) {
      const found = await listed(copy);
      expect(found.keys).toEqual(keys); // never a wrong answer, only a slow one
      if (found.rebuilt) rebuilt++;
    }
    expect(rebuilt).toBeGreaterThan(0);
  });
});

describe("a part that is damaged", () => {
  const DAMAGES: Readonly<Record<string, (disk: SimulatedDisk, path: string) => void>> = {
    missing: (disk, path) => disk.removeRaw(path),
    cut: (disk, path) => disk.writeRaw(path, disk.readRaw(path)!.subarray(0, -5)),
    changed: (disk, path) =>
      disk.writeRaw(path, String(disk.readRaw(path)).replace("updatedAt", "x").replace('"7"', '"8"')),
  };

  it.each(Object.keys(DAMAGES))(
    "%s: listings come from files, and the next checkpoint heals it",
    async (how) => {
      for (const number of ["1", "2"]) {
        const { disk, a, keys } = await prepared();
        await a.store.close();
        const part = partsOf(disk).find((name) => name.startsWith(`catalog-${number}-`))!;
        const content = disk.readRaw(`${INTERNAL}/${part}`)!;
        DAMAGES[how]!(disk, `${INTERNAL}/${part}`);
        if (disk.readRaw(`${INTERNAL}/${part}`)?.equals(content) === true) continue;
        const b = await start(disk, "B");
        expect((await b.store.list()).sessions.map(({ key }) => key)).toEqual(keys);
        expect(b.warnings.map(({ code }) => code)).toContain("catalog_rebuilt");
        await b.store.put("x", { updatedAt: 1000 });
        await checkpoint(b);
        expect(await listed(disk)).toEqual({ keys, newest: ["y", "x", "39"], rebuilt: false });
      }
    },
  );

  it("and met by the checkpoint that would take it in, costs that one a look at all files", async () => {
    const { disk, a, keys } = await prepared();
    const part = partsOf(disk).find((name) => name.startsWith("catalog-2-"))!;
    const content = disk.readRaw(`${INTERNAL}/${part}`)!;
    content[content.length >> 1]! ^= 1;
    disk.writeRaw(`${INTERNAL}/${part}`, content);
    await checkpoint(a);
    expect(a.warnings.map(({ code }) => code)).toEqual(["catalog_rebuilt"]);
    expect(await listed(disk)).toEqual({ keys, newest: ["y", "x", "39"], rebuilt: false });
    expect(partsOf(disk)).toHaveLength(1);
  });

  it("or not there, and one that the checkpoint would leave as it is, costs that one the same", async () => {
    for (const size of [0, 40]) {
      const { disk, a, keys } = await prepared();
      const part = `${INTERNAL}/${partsOf(disk).find((name) => name.startsWith("catalog-1-"))!}`;
      if (size === 0) disk.removeRaw(part);
      else disk.writeRaw(part, disk.readRaw(part)!.subarray(0, size));
      await checkpoint(a);
      expect(a.warnings.map(({ code }) => code)).toEqual(["catalog_rebuilt"]);
      expect(await listed(disk)).toEqual({ keys, newest: ["y", "x", "39"], rebuilt: false });
    }
  });

  it("or gone while a process reads it, is looked for again: a checkpoint may have replaced it", async () => {
    for (let calls = 1; calls < 16; calls++) {
      const { disk, a, keys } = await prepared();
      const machine = boot(disk, "reader");
      const reader = await openOn(machine, { readOnly: true });
      let made = 0;
      let done: Promise<void> | undefined;
      machine.fs.onCall = () => {
        if (++made === calls) done = checkpoint(a);
      };
      const counting = reader.store.count();
      await settled(counting, reader);
      await done;
      expect(
        (await reader.store.list()).sessions.map(({ key }) => key),
        `call ${calls}`,
      ).toEqual(keys);
      expect(reader.warnings, `call ${calls}`).toEqual([]);
    }
  });
});
