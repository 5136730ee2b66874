/**
 * Goal: damage costs what stood there and no more: of a file it is named and the other items can be read; behind damage of the log nothing
 * is made up, nothing is built on a transcript that nobody knows, and the doctor keeps what fits and says what it guessed.
 * Method: one bit of a chunk or of a record is flipped, on a disk without living processes; then others read, append, or mend.
 */
import { beforeEach, describe, expect, it } from "vitest";
import { seededRandom } from "../../../../src/testing/seeded-random.js";
import { SimulatedDisk } from "../../../../src/testing/simulated/disk.js";
import { settled, STORE, type Process } from "../../../support/processes.js";
import { flip, segments } from "../damage/scenes.js";
import { append, chunkNames, contentsOf, startSmall } from "./scene.js";

const OS = { durability: "os" } as const;

let disk: SimulatedDisk;
let a: Process;

beforeEach(async () => {
  disk = new SimulatedDisk();
  a = await startSmall(disk, "A", OS);
});

/** Flips a bit of the record that has a text. */
function damageRecord(text: string): void {
  const path = segments(disk).at(-1) ?? "";
  const at = disk.readRaw(path)?.indexOf(text) ?? -1;
  if (at < 0) throw new Error(`no ${text}`);
  flip(disk, path, at + 1);
}

const seqs = async (process: Process, key = "k", transcript = "main"): Promise<number[]> =>
  (await contentsOf(process.store, key, transcript)).items.map(([seq]) => seq);

describe("a damaged line of a file", () => {
  it("is named by path and byte, and the other items can be read by their numbers", async () => {
    await append("k", 1, 12)(a.store);
    await settled(a.store.checkpoint(), a);
    const file = chunkNames(disk, "k")[1] ?? "";
    const path = `${STORE}/k/${file}`;
    const bytes = disk.readRaw(path) ?? Buffer.alloc(0);
    const at = bytes.indexOf('{"$item"');
    const seq = Number(/"seq":(\d+)/.exec(bytes.toString("utf8", at))?.[1]);
    flip(disk, path, at + 90);
    const b = await startSmall(disk, "B", OS);
    await expect(b.store.readItems("k")).rejects.toMatchObject({
      code: "transcript_damaged",
      data: { path, offset: at },
    });
    for (let wanted = 1; wanted <= 12; wanted++) {
      for (const backwards of [false, true]) {
        const reading = b.store.readItems("k", { from: wanted, to: wanted, backwards });
        if (wanted === seq) await expect(reading).rejects.toMatchObject({ code: "transcript_damaged" });
        else expect((await reading).items.map((item) => item.seq)).toEqual([wanted]);
      }
    }
    expect(
      (await b.store.readItems("k", { backwards: true, limit: 3 })).items.map((item) => item.seq),
    ).toEqual([12, 11, 10]);
    for (const backwards of [false, true]) {
      const limit = backwards ? 12 - seq : seq - 1;
      const page = await b.store.readItems("k", { backwards, limit });
      expect(page.items).toHaveLength(limit);
      expect(page.next).toBe(seq); // who reads on is told
      expect(b.fs.openPaths.filter((open) => open.endsWith(".jsonl") && !open.includes("/log/"))).toEqual([]);
    }
    // The ways out: what is left without it, or nothing.
    await b.store.truncate("k", { afterSeq: seq - 1 });
    expect(await seqs(b)).toEqual(Array.from({ length: seq - 1 }, (_, index) => index + 1));
    expect(await b.store.removeTranscript("k")).toBe(true);
  });

  it.each(["first line", "last line"])(
    "its %s, does not stop a removal: then it begins anew",
    async (where) => {
      await append("k", 1, 12)(a.store);
      await settled(a.store.checkpoint(), a);
      const path = `${STORE}/k/${chunkNames(disk, "k").at(-1)}`;
      flip(disk, path, where === "first line" ? 5 : (disk.readRaw(path)?.length ?? 0) - 10);
      const b = await startSmall(disk, "B", OS);
      await expect(b.store.readItems("k")).rejects.toMatchObject({ code: "transcript_damaged" });
      await expect(b.store.removeTranscript("k", { ifLast: 12 })).rejects.toMatchObject({
        code: "transcript_damaged",
      });
      expect(await b.store.removeTranscript("k")).toBe(true);
      expect(await b.store.transcripts("k")).toEqual([]);
      await settled(b.store.checkpoint(), b);
      expect(chunkNames(disk, "k")).toEqual([]);
      expect(await b.store.append("k", ["new"])).toMatchObject({ first: 1 });
    },
  );

  it.each(["first line", "last line"])("its %s, does not stop a removal in a transaction", async (where) => {
    await append("k", 1, 12)(a.store);
    await settled(a.store.checkpoint(), a);
    const path = `${STORE}/k/${chunkNames(disk, "k").at(-1)}`;
    flip(disk, path, where === "first line" ? 5 : (disk.readRaw(path)?.length ?? 0) - 10);
    const b = await startSmall(disk, "B", OS);
    const damaged = { code: "transcript_damaged" };
    await expect(b.store.transact((tx) => tx.removeTranscript("k", { ifLength: 12 }))).rejects.toMatchObject(
      damaged,
    );
    const done = await b.store.transact(async (tx) => {
      await expect(tx.transcript("k")).rejects.toMatchObject(damaged);
      // One after the other, though nobody waits.
      const removed = await Promise.all([tx.removeTranscript("k"), tx.removeTranscript("k")]);
      const left = { info: await tx.transcript("k"), names: await tx.transcripts("k") };
      await tx.put("k", { removed: true });
      return { removed, ...left, appended: await tx.append("k", ["new"]) };
    });
    expect(done).toMatchObject({
      removed: [true, false],
      info: undefined,
      names: [],
      appended: { first: 1 },
    });
    expect(await seqs(b)).toEqual([1]);
    await settled(b.store.checkpoint(), b);
    expect(chunkNames(disk, "k")).toHaveLength(1);
    expect(await seqs(await startSmall(disk, "C", OS))).toEqual([1]);
  });

  it("goes along when its neighbours are taken into a new file, and stops no checkpoint", async () => {
    const wide = { ...OS, chunkBytes: 4000 };
    disk = new SimulatedDisk();
    a = await startSmall(disk, "A", wide);
    await append("k", 1, 12)(a.store);
    await settled(a.store.checkpoint(), a);
    const [old = ""] = chunkNames(disk, "k");
    const tenth = (disk.readRaw(`${STORE}/k/${old}`) ?? Buffer.alloc(0)).indexOf('{"$item":{"seq":10');
    flip(disk, `${STORE}/k/${old}`, tenth + 90);
    const b = await startSmall(disk, "B", wide);
    await b.store.trim("k", { beforeSeq: 8 });
    await settled(b.store.checkpoint(), b);
    expect(chunkNames(disk, "k")).toHaveLength(1);
    expect(chunkNames(disk, "k")).not.toEqual([old]);
    const c = await startSmall(disk, "C", OS);
    for (const wanted of [8, 9, 11, 12])
      expect((await c.store.readItems("k", { from: wanted, to: wanted })).items).toMatchObject([
        { seq: wanted },
      ]);
    await expect(c.store.readItems("k", { from: 10, to: 10 })).rejects.toMatchObject({
      code: "transcript_damaged",
    });
    expect(b.warnings).toEqual([]);
  });

  it.each([6, 7, 12])(
    "of item %i is met by who reads over it, wherever trimmed items end",
    async (damaged) => {
      const wide = { ...OS, chunkBytes: 40_000 };
      disk = new SimulatedDisk();
      a = await startSmall(disk, "A", wide);
      await append("k", 1, 12)(a.store);
      await a.store.trim("k", { beforeSeq: 6 });
      await settled(a.store.checkpoint(), a);
      const path = `${STORE}/k/${chunkNames(disk, "k")[0]}`;
      const bytes = disk.readRaw(path) ?? Buffer.alloc(0);
      const at = bytes.indexOf(`{"$item":{"seq":${damaged},`);
      const end = bytes.indexOf("\n", at);
      for (const place of [at + 3, at + 90, end]) {
        disk.writeRaw(path, bytes);
        flip(disk, path, place);
        const b = await startSmall(disk, "B", OS);
        for (const from of [1, 6, damaged])
          await expect(
            b.store.readItems("k", { from, to: 11 }),
            `byte ${place} from ${from}`,
          ).rejects.toMatchObject({
            code: "transcript_damaged",
          });
        b.fs.kill();
      }
    },
  );

  it("does not stop appends, nor the end from being read", async () => {
    await append("k", 1, 12)(a.store);
    await settled(a.store.checkpoint(), a);
    flip(disk, `${STORE}/k/${chunkNames(disk, "k")[0]}`, 5);
    const b = await startSmall(disk, "B", OS);
    expect(await b.store.append("k", ["more"])).toMatchObject({ first: 13 });
    expect((await b.store.readItems("k", { backwards: true, limit: 2 })).items).toHaveLength(2);
    await settled(b.store.checkpoint(), b);
  });

  it("a file that is gone is named, and nothing else is said to be missing", async () => {
    await append("k", 1, 12)(a.store);
    await settled(a.store.checkpoint(), a);
    disk.removeRaw(`${STORE}/k/${chunkNames(disk, "k")[1]}`);
    const b = await startSmall(disk, "B", OS);
    for (const backwards of [false, true])
      await expect(b.store.readItems("k", { backwards })).rejects.toMatchObject({
        code: "transcript_damaged",
      });
    expect((await b.store.readItems("k", { to: 2 })).items.map(({ seq }) => seq)).toEqual([1, 2]);
  });

  it("is mended by a checkpoint as long as the log has it", async () => {
    await append("k", 1, 4)(a.store);
    await settled(a.store.flush(), a);
    const path = `${STORE}/k/${chunkNames(disk, "k")[0]}`;
    const before = disk.readRaw(path);
    flip(disk, path, 40);
    flip(disk, path, (before?.length ?? 0) - 10);
    await settled(a.store.checkpoint(), a);
    expect(disk.readRaw(path)).toEqual(before);
  });
});

describe("a file that others begin with is taken away before they are made", () => {
  beforeEach(async () => {
    disk = new SimulatedDisk();
    a = await startSmall(disk, "A", { ...OS, chunkBytes: 1024 * 1024 });
    await append("k", 1, 8)(a.store);
    await settled(a.store.checkpoint(), a);
  });

  it("and the log has none of their items: a checkpoint says what is lost", async () => {
    const [old] = chunkNames(disk, "k");
    await a.store.truncate("k", { afterSeq: 6 });
    disk.removeRaw(`${STORE}/k/${old}`);
    await settled(a.store.flush(), a);
    expect(a.warnings).toEqual([]); // it may come back as long as the log tells of it
    await settled(a.store.checkpoint(), a);
    const path = expect.stringMatching(/\/k\/main\.0+1-\d+\.jsonl$/) as string;
    expect(a.warnings).toMatchObject([
      { code: "transcript_damaged", data: { key: "k", transcript: "main", path, items: 6 } },
    ]);
  });

  it("numbers go on, for no number is used twice", async () => {
    const [old] = chunkNames(disk, "k");
    await a.store.truncate("k", { afterSeq: 6 });
    disk.removeRaw(`${STORE}/k/${old}`);
    await settled(a.store.checkpoint(), a);
    const b = await startSmall(disk, "B", OS);
    expect(await b.store.transcript("k")).toMatchObject({ last: 8, length: 0 });
    expect(await a.store.append("k", ["next"])).toMatchObject({ first: 9, length: 1 });
    expect(await seqs(b)).toEqual([9]);
    await settled(b.store.checkpoint(), a, b);
    expect(await seqs(await startSmall(disk, "C", OS))).toEqual([9]);
  });

  it("and the log has some of their items: a checkpoint keeps these where they belong", async () => {
    const [old] = chunkNames(disk, "k");
    await append("k", 9, 2)(a.store);
    await a.store.truncate("k", { afterSeq: 9 });
    await append("k", 11, 2)(a.store);
    disk.removeRaw(`${STORE}/k/${old}`);
    await settled(a.store.checkpoint(), a);
    expect(a.warnings).toMatchObject([{ code: "transcript_damaged", data: { items: 8 } }]);
    const b = await startSmall(disk, "B", OS);
    const left = await b.store.readItems("k", { from: 9 });
    expect(left).toMatchObject({ last: 12, items: [{ seq: 9 }, { seq: 11 }, { seq: 12 }] });
    await expect(b.store.readItems("k")).rejects.toMatchObject({ code: "transcript_damaged" });
    expect(await b.store.append("k", ["next"])).toMatchObject({ first: 13 });
    expect(await b.store.trim("k", { length: 4 })).toMatchObject({ length: 4 });
    expect(await seqs(b)).toEqual([9, 11, 12, 13]);
  });

  it("and another process has made the file meanwhile: nothing is lost, and nothing said", async () => {
    await a.store.truncate("k", { afterSeq: 6 });
    const [old = ""] = chunkNames(disk, "k");
    const elsewhere = disk.clone();
    const b = await startSmall(elsewhere, "B", OS);
    await settled(b.store.flush(), b);
    const made = chunkNames(elsewhere, "k").find((name) => name !== old) ?? "";
    // A finds that the new file is missing, and lists the old one; B makes the new one, and removes that; A then finds nothing to begin with.
    let [missed, done] = [false, false];
    a.fs.onCall = ({ name, args }) => {
      if (name !== "open") return;
      missed ||= String(args[0]).endsWith(made);
      if (!String(args[0]).endsWith(old) || !missed || done) return;
      done = true;
      disk.writeRaw(`${STORE}/k/${made}`, elsewhere.readRaw(`${STORE}/k/${made}`) ?? "");
      disk.removeRaw(`${STORE}/k/${old}`);
    };
    await settled(a.store.checkpoint(), a);
    a.fs.onCall = undefined;
    expect(done).toBe(true);
    expect(a.warnings).toEqual([]);
    expect(await seqs(await startSmall(disk, "C", OS))).toEqual([1, 2, 3, 4, 5, 6]);
  });
});

it("a file that an older segment began is taken away: a checkpoint keeps the items that the log has for it", async () => {
  disk = new SimulatedDisk();
  a = await startSmall(disk, "A", { ...OS, chunkBytes: 1024 * 1024 });
  await append("k", 1, 8)(a.store);
  await settled(a.store.checkpoint(), a);
  const [old] = chunkNames(disk, "k");
  await append("k", 9, 2)(a.store);
  disk.removeRaw(`${STORE}/k/${old}`);
  await settled(a.store.flush(), a);
  expect(a.warnings).toEqual([]);
  await settled(a.store.checkpoint(), a);
  expect(a.warnings.map(({ code }) => code)).toEqual(["transcript_quarantined"]);
  const kept = disk.readRaw(String(a.warnings[0]?.data["kept"]))?.toString() ?? "";
  expect(kept.match(/"seq":\d+/g)).toEqual(['"seq":9', '"seq":10']);
});

describe("behind damage of the log", () => {
  /** In files: items 1 to 3 of each. In the log, in this order: k, the damaged record, k, other. */
  beforeEach(async () => {
    for (const key of ["k", "other", "quiet"]) await append(key, 1, 3)(a.store);
    await settled(a.store.checkpoint(), a);
    await append("k", 4, 1)(a.store);
    await a.store.put("damaged", { text: "damaged" });
    await append("k", 5, 2)(a.store);
    await append("other", 4, 2)(a.store);
    damageRecord("damaged");
    a.fs.kill();
  });

  it("a transcript that is mentioned there cannot be read, the others can", async () => {
    const b = await startSmall(disk, "B", OS);
    for (const key of ["k", "other"]) {
      await expect(b.store.readItems(key)).rejects.toMatchObject({ code: "session_damaged" });
      await expect(b.store.transcript(key)).rejects.toMatchObject({ code: "session_damaged" });
      await expect(b.store.transcripts(key)).rejects.toMatchObject({ code: "session_damaged" });
    }
    expect(await seqs(b, "quiet")).toEqual([1, 2, 3]);
    expect(await b.store.transcripts("quiet")).toEqual(["main"]);
  });

  it.each(["k", "quiet"])("nothing is built on %s, which may have been changed", async (key) => {
    const b = await startSmall(disk, "B", OS);
    for (const change of [
      () => b.store.append(key, [1]),
      () => b.store.truncate(key, { length: 1 }),
      () => b.store.removeTranscript(key),
    ])
      await expect(change()).rejects.toMatchObject({
        code: expect.stringMatching(/^(log|session)_damaged$/),
      });
    b.fs.kill();
    const doctor = await startSmall(disk, "doctor", { ...OS, soleProcess: true });
    expect(await seqs(doctor, key)).toEqual(key === "k" ? [1, 2, 3, 4, 5, 6] : [1, 2, 3]);
  });

  it("the doctor keeps what fits, says what it guessed, and goes on", async () => {
    const b = await startSmall(disk, "B", { ...OS, soleProcess: true });
    expect(await seqs(b)).toEqual([1, 2, 3, 4, 5, 6]);
    expect(await seqs(b, "other")).toEqual([1, 2, 3, 4, 5]);
    expect(await seqs(b, "quiet")).toEqual([1, 2, 3]);
    const guessed = b.warnings.filter(({ code }) => code === "transcript_guessed");
    expect(guessed.map(({ data }) => data["key"])).toEqual(["k", "other"]);
    for (const { data } of guessed) expect(data["transcript"]).toBe("main");
    expect(await b.store.append("k", ["behind"])).toMatchObject({ first: 7 });
    await settled(b.store.checkpoint(), b);
    const c = await startSmall(disk, "C", OS);
    expect(await seqs(c)).toEqual([1, 2, 3, 4, 5, 6, 7]);
    expect(c.warnings).toEqual([]);
  });
});

it("behind damage of the log, the transcripts of a session that was deleted there cannot be read, whatever is in files", async () => {
  await append("gone", 1, 3)(a.store);
  await settled(a.store.checkpoint(), a);
  await a.store.put("x", { text: "unreadable" });
  await a.store.delete("gone");
  const revision = await a.store.revision();
  a.fs.kill();
  damageRecord("unreadable");
  const b = await startSmall(disk, "B", OS);
  for (const reading of [b.store.readItems("gone"), b.store.transcript("gone"), b.store.transcripts("gone")])
    await expect(reading).rejects.toMatchObject({ code: "session_damaged", data: { revision } });
});

it("items behind it that a living process has not written yet are in doubt, and no file is called damaged", async () => {
  await append("k", 1, 4)(a.store);
  await a.store.put("damaged", { text: "damaged" });
  await append("k", 5, 4)(a.store);
  damageRecord("damaged");
  const b = await startSmall(disk, "B", OS);
  await b.store.put("other", { text: "seals the segment, and goes on in the next" });
  await append("k", 9, 1)(a.store);
  for (const backwards of [true, false])
    await expect(b.store.readItems("k", { backwards })).rejects.toMatchObject({ code: "session_damaged" });
  expect((await b.store.readItems("k", { from: 9 })).items.map(({ seq }) => seq)).toEqual([9]);
  await settled(a.store.checkpoint(), a);
  expect(await seqs(b)).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9]);
});

describe("a file that knows more than the log in front of the damage", () => {
  beforeEach(async () => {
    await append("k", 1, 3)(a.store);
    await settled(a.store.checkpoint(), a);
    await a.store.put("damaged", { text: "damaged" });
    await append("k", 4, 2)(a.store);
    await settled(a.store.flush(), a);
    damageRecord("damaged");
    a.fs.kill();
  });

  it("is read", async () => {
    expect(await seqs(await startSmall(disk, "B", OS))).toEqual([1, 2, 3, 4, 5]);
  });

  it("wins, and then nothing was guessed", async () => {
    const b = await startSmall(disk, "B", { ...OS, soleProcess: true });
    expect(await seqs(b)).toEqual([1, 2, 3, 4, 5]);
    expect(b.warnings.map(({ code }) => code)).not.toContain("transcript_guessed");
    await settled(b.store.checkpoint(), b);
    expect(await b.store.append("k", ["behind"])).toMatchObject({ first: 6 });
  });

  it("is not taken for whole if its writer died in the middle of a commit: the doctor takes the rest from the log", async () => {
    const path = `${STORE}/k/${chunkNames(disk, "k").at(-1)}`;
    const bytes = disk.readRaw(path) ?? Buffer.alloc(0);
    disk.writeRaw(path, bytes.subarray(0, bytes.lastIndexOf("\n", -2) + 1));
    const b = await startSmall(disk, "B", OS);
    await expect(b.store.readItems("k")).rejects.toMatchObject({ code: "session_damaged" });
    await expect(b.store.transcript("k")).rejects.toMatchObject({ code: "session_damaged" });
    b.fs.kill();
    const doctor = await startSmall(disk, "doctor", { ...OS, soleProcess: true });
    expect(await seqs(doctor)).toEqual([1, 2, 3, 4, 5]);
    expect(await doctor.store.append("k", ["behind"])).toMatchObject({ first: 6 });
    await settled(doctor.store.checkpoint(), doctor);
    expect(await seqs(await startSmall(disk, "C", OS))).toEqual([1, 2, 3, 4, 5, 6]);
  });
});

it("of several commits behind the damage that files have, none is taken again", async () => {
  await append("k", 1, 2)(a.store);
  await a.store.put("damaged", { text: "damaged" });
  for (const first of [3, 5, 7]) await append("k", first, 2)(a.store);
  await settled(a.store.flush(), a);
  damageRecord("damaged");
  a.fs.kill();
  const b = await startSmall(disk, "B", { ...OS, soleProcess: true });
  expect(await seqs(b)).toEqual([1, 2, 3, 4, 5, 6, 7, 8]);
  expect(await b.store.append("k", ["behind"])).toMatchObject({ first: 9 });
});

it("what only a file has of a record that is lost is kept", async () => {
  await append("k", 1, 3)(a.store);
  await append("other", 1, 2)(a.store);
  await a.store.append("k", ["damaged", 2]);
  await settled(a.store.flush(), a);
  damageRecord("damaged");
  await append("other", 3, 1)(a.store).catch(() => {});
  a.fs.kill();
  const b = await startSmall(disk, "B", OS);
  expect(await seqs(b)).toEqual([1, 2, 3, 4, 5]);
  b.fs.kill();
  const doctor = await startSmall(disk, "doctor", { ...OS, soleProcess: true });
  expect(await seqs(doctor)).toEqual([1, 2, 3, 4, 5]);
  await settled(doctor.store.checkpoint(), doctor);
  const c = await startSmall(disk, "C", OS);
  expect(await seqs(c)).toEqual([1, 2, 3, 4, 5]);
  expect(await c.store.append("k", ["behind"])).toMatchObject({ first: 6 });
});

it("a record of the transcript itself that is lost: what does not fit behind it is left out", async () => {
  await append("k", 1, 3)(a.store);
  await settled(a.store.checkpoint(), a);
  await a.store.append("k", ["damaged"]);
  await a.store.append("k", ["kept"], { ifLast: 4 }); // it demanded what is lost
  await a.store.append("k", ["kept too"]);
  damageRecord("damaged");
  a.fs.kill();
  const b = await startSmall(disk, "B", { ...OS, soleProcess: true });
  const { items } = await contentsOf(b.store, "k");
  expect(items.slice(3).map(([, item]) => item)).not.toContain("kept");
  expect(items.slice(0, 3).map(([seq]) => seq)).toEqual([1, 2, 3]);
  expect(b.warnings.map(({ code }) => code)).toContain("transcript_guessed");
  expect(await b.store.append("k", ["behind"])).toMatchObject({ first: items.length + 1 });
  await settled(b.store.checkpoint(), b);
});

describe("operations", () => {
  const pay = (process: Process, content: string, id = "pay"): Promise<{ readonly repeated: boolean }> =>
    process.store.transact((tx) => tx.append("k", [content]), { operation: { id, content } });

  it("happen once, in the log and behind checkpoints, and say if they are others", async () => {
    expect(await pay(a, "one")).toMatchObject({ repeated: false });
    expect(await pay(a, "one")).toMatchObject({ repeated: true });
    for (let round = 0; round < 3; round++) {
      await settled(a.store.checkpoint(), a);
      await pay(a, "again", `round ${round}`);
    }
    const b = await startSmall(disk, "B", OS);
    for (const process of [a, b])
      for (const [id, content] of [
        ["pay", "one"],
        ["round 0", "again"],
        ["round 2", "again"],
      ] as const) {
        expect(await pay(process, content, id)).toMatchObject({ repeated: true });
        await expect(pay(process, "other", id)).rejects.toMatchObject({ code: "operation_mismatch" });
      }
    expect((await contentsOf(b.store, "k")).length).toBe(4);
    expect(disk.names(`${STORE}/.store`).filter((name) => name.startsWith("operations"))).toHaveLength(1);
  });

  it("are durable before their segment goes, and before the file that had the older ones", async () => {
    const process = await startSmall(disk, "durable");
    await pay(process, "one");
    await settled(process.store.checkpoint(), process);
    await pay(process, "two", "second");
    const copies: SimulatedDisk[] = [];
    process.fs.onCall = ({ name }) => {
      if (["unlink", "rename", "fsync", "fdatasync"].includes(name)) copies.push(disk.clone());
    };
    await settled(process.store.checkpoint(), process);
    copies.push(disk.clone());
    for (const copy of copies)
      for (let seed = 0; seed < 6; seed++) {
        const after = copy.clone();
        after.powerCut(seed === 0 ? "durable-only" : "random", seededRandom(seed));
        const later = await startSmall(after, "later", OS);
        expect(await pay(later, "one")).toMatchObject({ repeated: true });
        expect(await pay(later, "two", "second")).toMatchObject({ repeated: true });
      }
  });

  it("that cannot be told any more are not done again", async () => {
    await pay(a, "one");
    await settled(a.store.checkpoint(), a);
    const name = disk.names(`${STORE}/.store`).find((other) => other.startsWith("operations")) ?? "";
    flip(disk, `${STORE}/.store/${name}`, 30);
    const b = await startSmall(disk, "B", OS);
    await expect(pay(b, "one")).rejects.toMatchObject({ code: "log_damaged", data: { offset: 0 } });
    expect((await contentsOf(b.store, "k")).length).toBe(1);
  });
});
