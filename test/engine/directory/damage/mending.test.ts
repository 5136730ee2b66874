/**
 * Goal: with `soleProcess`, the best of what is left of each session is taken, what could not be proved is told with its
 * candidates, and a crash at any call leaves the next run the same to do.
 * Method: one log a case, of which one record is damaged; then the doctor, also one that is killed at every call.
 */
import { beforeEach, describe, expect, it } from "vitest";
import { SimulatedDisk } from "../../../../src/testing/simulated/disk.js";
import {
  boot,
  openOn,
  settled,
  start,
  STORE,
  turn,
  type Entry,
  type Process,
} from "../../../support/processes.js";
import { changesIn, flip, quarantine, segments, type Change } from "./scenes.js";

const plusOne = (entry: Entry | undefined): Entry => ({ n: Number(entry?.["n"] ?? 0) + 1 });

let disk: SimulatedDisk;
let before: Process;

beforeEach(async () => {
  disk = new SimulatedDisk();
  before = await start(disk, "before");
});

/** Ends the process that wrote, and damages a session's records of these numbers, from 0. */
function damageRecords(key: string, ...numbers: readonly number[]): Change[] {
  before.fs.kill();
  const changes = changesIn(disk).filter(({ op }) => op.k === key);
  for (const number of numbers) {
    const change = changes[number];
    if (change === undefined) throw new Error(`no record ${number} of ${key}`);
    flip(disk, change.path, change.at + 30);
  }
  return changes;
}

const revisionsOf = (key: string): number[] =>
  changesIn(disk).flatMap(({ op, revision }) => (op.k === key ? [revision] : []));

async function mended(): Promise<Process> {
  const process = await start(disk, "doctor", { soleProcess: true });
  expect(segments(disk)).toHaveLength(1);
  const kept = quarantine(disk).filter((name) => !name.endsWith(".guessed.json"));
  expect(kept).toEqual([expect.stringMatching(/^0000000\d\.jsonl\./)]);
  expect(listed(disk)).toEqual(told(process));
  expect(process.warnings.filter(({ code }) => code === "log_mended")).toHaveLength(1);
  return process;
}

const guesses = ({ warnings }: Process): Record<string, unknown>[] =>
  warnings.filter(({ code }) => code === "session_guessed").map(({ data }) => data);

interface Listed {
  readonly key: string;
  readonly revision: number;
  readonly candidates: readonly number[];
}

const byKey = (guesses: readonly Listed[]): readonly Listed[] =>
  [...guesses].sort((a, b) => (a.key < b.key ? -1 : 1));

/** What a doctor has told, as its list has it. */
const told = (process: Process): readonly Listed[] =>
  byKey(
    guesses(process).map(({ key, revision, candidates }) => ({
      key: String(key),
      revision: Number(revision),
      candidates: candidates === "" ? [] : String(candidates).split(", ").map(Number),
    })),
  );

/** What the quarantine says of sessions that could not be proved. */
function listed(of: SimulatedDisk): readonly Listed[] {
  const lists = quarantine(of).filter((name) => name.endsWith(".guessed.json"));
  return byKey(
    lists.flatMap((name) => {
      const bytes = of.readRaw(`${STORE}/.store/quarantine/${name}`)!;
      return (JSON.parse(bytes.toString()) as { readonly guessed: readonly Listed[] }).guessed;
    }),
  );
}

it("what stands behind the last newline is damage too, unless it is the beginning of a line", async () => {
  await before.store.put("a", { n: 1 });
  before.fs.kill();
  const [path = ""] = segments(disk);
  disk.writeRaw(path, Buffer.concat([disk.readRaw(path) ?? Buffer.alloc(0), Buffer.alloc(40)]));
  const doctor = await mended();
  expect(await doctor.store.update("a", plusOne)).toMatchObject({ entry: { n: 2 } });
  expect(await doctor.store.put("b", { n: 1 })).toMatchObject({ entry: { n: 1 } });
});

describe("of a session in doubt is kept", () => {
  it("its file, if nothing newer is mentioned: no guess", async () => {
    await before.store.put("a", { n: 1 });
    await before.store.update("a", plusOne);
    await before.store.flush();
    damageRecords("a", 1);
    const doctor = await mended();
    expect(await doctor.store.get("a")).toEqual({ n: 2 });
    expect(guesses(doctor)).toEqual([]);
  });

  it("what the log has in front of the damage, if that is newer than its file: no guess", async () => {
    await before.store.put("a", { n: 1 });
    await before.store.flush();
    await before.store.update("a", plusOne);
    await before.store.put("b", { n: 1 });
    damageRecords("b", 0);
    const doctor = await mended();
    expect(await doctor.store.get("a")).toEqual({ n: 2 });
    expect(guesses(doctor)).toEqual([]);
  });

  it("a whole entry behind the damage, which is told", async () => {
    await before.store.put("a", { n: 1 });
    await before.store.put("b", { n: 1 });
    await before.store.put("a", { n: 5 });
    damageRecords("b", 0);
    const [first, last] = revisionsOf("a");
    const doctor = await mended();
    expect(await doctor.store.read("a")).toMatchObject({ entry: { n: 5 }, revision: last });
    expect(guesses(doctor)).toMatchObject([{ key: "a", revision: last, candidates: `${first}, ${last}` }]);
  });

  it("patches behind the damage whose base is there, which is told", async () => {
    await before.store.put("a", { n: 1 });
    await before.store.put("b", { n: 1 });
    await before.store.update("a", plusOne);
    await before.store.update("a", plusOne);
    damageRecords("b", 0);
    const revisions = revisionsOf("a");
    const doctor = await mended();
    expect(await doctor.store.read("a")).toMatchObject({ entry: { n: 3 }, revision: revisions[2] });
    expect(guesses(doctor)).toMatchObject([{ key: "a", candidates: revisions.join(", ") }]);
  });

  it("what was in front of a patch whose base is lost, which is told", async () => {
    await before.store.put("a", { n: 1 });
    await before.store.update("a", plusOne);
    await before.store.update("a", plusOne);
    const [first] = damageRecords("a", 1);
    const doctor = await mended();
    expect(await doctor.store.get("a")).toEqual({ n: 1 });
    expect(guesses(doctor)).toMatchObject([
      { key: "a", revision: first?.revision, candidates: String(first?.revision) },
    ]);
    await doctor.store.update("a", plusOne);
    expect(await doctor.store.get("a")).toEqual({ n: 2 });
  });

  it("nothing, if only a patch is left of it, which is told", async () => {
    await before.store.put("a", { n: 1 });
    await before.store.update("a", plusOne);
    damageRecords("a", 0);
    const doctor = await mended();
    expect(await doctor.store.get("a")).toBeUndefined();
    expect(guesses(doctor)).toMatchObject([{ key: "a", revision: 0, candidates: "" }]);
    expect(await doctor.store.update("a", plusOne)).toMatchObject({ entry: { n: 1 } });
  });

  it("its deletion behind the damage, which is told", async () => {
    await before.store.put("a", { n: 1 });
    await before.store.put("b", { n: 1 });
    await before.store.delete("a");
    damageRecords("b", 0);
    const [first] = revisionsOf("a");
    const doctor = await mended();
    expect(await doctor.store.get("a")).toBeUndefined();
    expect((await doctor.store.list()).sessions).toEqual([]);
    expect(guesses(doctor)).toMatchObject([{ key: "a", revision: 0, candidates: `${first}, 0` }]);
  });

  it("a session that was made anew behind a deletion that is lost, which is told", async () => {
    await before.store.put("a", { n: 1 });
    await before.store.delete("a");
    await before.store.update("a", () => ({ n: 7 }));
    damageRecords("a", 1);
    const [first, last] = revisionsOf("a");
    const doctor = await mended();
    expect(await doctor.store.get("a")).toEqual({ n: 7 });
    expect(guesses(doctor)).toMatchObject([{ key: "a", revision: last, candidates: `${first}, ${last}` }]);
  });

  it("a file that is all that is left of a session: listings have it as well", async () => {
    await before.store.put("a", { n: 1 });
    await before.store.put("b", { n: 1 });
    await before.store.flush();
    damageRecords("b", 0);
    const doctor = await mended();
    expect((await doctor.store.list()).sessions.map(({ key }) => key)).toEqual(["a", "b"]);
    expect(await (await start(disk, "later")).store.count()).toBe(2);
    expect(guesses(doctor)).toEqual([]);
  });

  it("what a process wrote in doubt, behind everything else: no guess", async () => {
    await before.store.put("a", { n: 1 });
    await before.store.put("b", { n: 1 });
    await before.store.put("a", { n: 5 });
    damageRecords("b", 0);
    const writer = await start(disk, "writer");
    await settled(writer.store.put("a", { n: 20 }), writer);
    writer.fs.kill();
    const doctor = await mended();
    expect(await doctor.store.get("a")).toEqual({ n: 20 });
    expect(guesses(doctor)).toEqual([]);
  });
});

it("an earlier list counts no more for a session that was put since, and one that cannot be read is none", async () => {
  await before.store.put("b", { n: 1 });
  for (const key of ["a", "c"]) await before.store.put(key, { n: 1 });
  damageRecords("b", 0);
  const [a] = revisionsOf("a");
  const list = `${STORE}/.store/quarantine/00000001.jsonl.guessed.json`;
  const earlier = { key: "a", revision: a, candidates: [a] };
  const doctorOf = async (content: string): Promise<unknown> => {
    const copy = disk.clone();
    copy.writeRaw(list, Buffer.from(content));
    const writer = await start(copy, "writer");
    await settled(writer.store.put("a", { n: 9 }), writer);
    writer.fs.kill();
    const doctor = await start(copy, "doctor", { soleProcess: true });
    expect(await doctor.store.get("a")).toEqual({ n: 9 });
    return guesses(doctor).map(({ key }) => key);
  };
  expect(await doctorOf(JSON.stringify({ guessed: [earlier] }))).toEqual(["c"]);
  for (const content of ["{", "null", '{"guessed":[null,{"key":1}]}', '{"guessed":7}'])
    expect(await doctorOf(content)).toEqual(["c"]);
});

it("a log that is whole is left as it is", async () => {
  await before.store.put("a", { n: 1 });
  before.fs.kill();
  const tree = disk.tree();
  const { store, warnings } = await start(disk, "doctor", { soleProcess: true });
  expect(disk.tree()).toEqual(tree);
  expect(await store.get("a")).toEqual({ n: 1 });
  expect(warnings).toEqual([]);
});

it("a reader mends nothing", async () => {
  await before.store.put("a", { n: 1 });
  damageRecords("a", 0);
  const tree = disk.tree();
  const { store } = await start(disk, "reader", { soleProcess: true, readOnly: true });
  expect(await store.get("a")).toBeUndefined();
  expect(disk.tree()).toEqual(tree);
});

it.each(["killed", "power cut"] as const)(
  "%s at every call of it, the next run comes to the same, and what was guessed is told or listed",
  async (how) => {
    for (const key of ["a", "b", "c", "d"]) await before.store.put(key, { n: 1 });
    await before.store.flush();
    for (const key of ["a", "c", "d"]) await before.store.update(key, plusOne);
    await before.store.delete("d");
    before.fs.kill();
    disk.powerCut("keep-all"); // what a power cut may take afterwards is the doctor's own work
    damageRecords("b", 0);
    const wanted = { a: { n: 2 }, b: { n: 1 }, c: { n: 2 } };
    const guessed = told(await start(disk.clone(), "doctor", { soleProcess: true }));
    expect(guessed.map(({ key }) => key)).toEqual(["a", "c", "d"]);
    for (let at = 1; ; at++) {
      const copy = disk.clone();
      const machine = boot(copy, "dying");
      machine.fs.onCall = (call) => {
        if (call.index === at) machine.fs.kill();
      };
      const opening = openOn(machine, { soleProcess: true }).catch(() => {});
      for (let turns = 0; turns < 200 && !machine.fs.killed; turns++) {
        if ((await Promise.race([opening, turn()])) !== undefined) break;
      }
      const finished = !machine.fs.killed;
      machine.fs.kill();
      if (how === "power cut") copy.powerCut("durable-only");
      const mustTell = segments(copy).some((path) => path.endsWith("/00000001.jsonl"));
      const next = await start(copy, "next", { soleProcess: true });
      const { store } = next;
      expect(told(next), `at call ${at}`).toEqual(mustTell ? guessed : []);
      expect(listed(copy), `at call ${at}`).toEqual(guessed);
      const { sessions } = await store.list();
      expect(Object.fromEntries(sessions.map(({ key, entry }) => [key, entry])), `at call ${at}`).toEqual(
        wanted,
      );
      for (const key of Object.keys(wanted)) await store.update(key, plusOne);
      if (!finished) continue;
      expect(at).toBeGreaterThan(40);
      return;
    }
  },
);
