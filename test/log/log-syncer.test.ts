/**
 * Goal: an acknowledgement rests on a sync that began behind the commit, and on every name on the way to the log.
 * Method: the answer of a sync is held back while another commit comes; a store that was renamed into its place and not
 * synced since; a power cut of the worst kind.
 */
import { describe, expect, it } from "vitest";
import { SimulatedDisk } from "../../src/testing/simulated/disk.js";
import { systemError } from "../../src/testing/simulated/system-error.js";
import {
  FULL_SEGMENT,
  HeldAnswers,
  settled,
  start,
  STORE,
  turn,
  type Process,
  type ProcessOptions,
} from "../support/processes.js";

it("a commit that comes while a sync is under way waits for the next one", async () => {
  const disk = new SimulatedDisk();
  const answers = new HeldAnswers();
  const a = await start(disk, "A", { through: answers.through });
  await a.store.put("k", { n: 0 });
  answers.holdFrom(1); // the sync takes effect, and nobody hears of it yet
  const first = a.store.put("k", { n: 1 });
  await turn();
  expect(answers.held).toBe("fdatasync");
  let acknowledged = false;
  const second = a.store.put("k", { n: 2 }).then(() => (acknowledged = true));
  await turn();
  let go = (): void => {};
  const going = new Promise<void>((resolve) => (go = resolve));
  a.fs.gate = ({ name }) => (name === "fdatasync" ? going : undefined);
  answers.release();
  await first;
  await turn();
  expect(acknowledged).toBe(false);
  go();
  await second;
  disk.powerCut("durable-only");
  expect(await (await start(disk, "survivor")).store.get("k")).toEqual({ n: 2 });
});

it("O6, F3: the store's own name is synced by whoever acknowledges: somebody may have renamed it into its place", async () => {
  const disk = new SimulatedDisk();
  const maker = await start(disk, "maker");
  await maker.store.put("old", {});
  await maker.store.close();
  const mover = disk.mount("mover");
  mover.rename(STORE, "/elsewhere");
  const root = mover.open("/", "directory");
  mover.fsync(root);
  mover.rename("/elsewhere", STORE); // and dies
  const b = await start(disk, "B");
  await b.store.put("k", { n: 1 });
  disk.powerCut("durable-only");
  expect(await (await start(disk, "survivor")).store.get("k")).toEqual({ n: 1 });
});

it("closing ends although a round of another segment has failed", async () => {
  const disk = new SimulatedDisk();
  const a = await start(disk, "A");
  await a.store.put("k", { n: 0 });
  let go = (): void => {};
  const going = new Promise<void>((resolve) => (go = resolve));
  let syncs = 0;
  a.fs.gate = ({ name }) => (name === "fdatasync" && syncs++ === 0 ? going : undefined);
  const first = a.store.put("k", { n: 1 }); // its round is under way
  const second = a.store.put("k", { n: 2 }); // waits for the next one in this segment
  await turn();
  const b = await start(disk, "B");
  await b.store.put("k", { n: 3 });
  await b.store.checkpoint(); // the log goes on in another segment
  a.fs.onCall = ({ name }) => (name === "fdatasync" ? { failSync: true } : undefined);
  await expect(a.store.put("k", { n: 4 })).rejects.toMatchObject({ code: "durability_unknown" });
  a.fs.onCall = undefined;
  go();
  await first;
  await expect(second).rejects.toMatchObject({ code: "durability_unknown" });
  await a.store.close();
  expect(a.fs.openPaths).toEqual([]);
});

/** What comes and goes with the load of a machine, or with a person's hand. */
const PASSING = ["EMFILE", "ENFILE", "ENOMEM", "EACCES", "EINTR", "EAGAIN"];

it.each(PASSING)("%s in front of the first sync passes: the next commit makes both durable", async (code) => {
  const disk = new SimulatedDisk();
  const { store, fs } = await start(disk, "A");
  let failures = 0;
  fs.onCall = (call) => {
    // The folders that lead to the log are opened to be synced; those of others may be closed to us.
    if (call.name !== "open" || call.args[1] !== "directory" || !String(call.args[0]).endsWith("/log"))
      return;
    failures++;
    throw systemError(code, call);
  };
  const first = store.put("k", { n: 1 });
  await expect(first).rejects.toMatchObject({
    code: "durability_unknown",
    data: { written: true, final: false },
  });
  expect(failures).toBe(1);
  fs.onCall = undefined;
  await store.put("l", { n: 2 });
  disk.powerCut("durable-only");
  const survivor = await start(disk, "survivor");
  expect(await survivor.store.get("k")).toEqual({ n: 1 });
  expect(await survivor.store.get("l")).toEqual({ n: 2 });
});

it("a failing look behind the sync passes as well", async () => {
  const disk = new SimulatedDisk();
  const { store, fs } = await start(disk, "A");
  fs.onCall = (call) => {
    if (call.name === "lstat" && call.deferred) throw systemError("ENOMEM", call);
  };
  await expect(store.put("k", { n: 1 })).rejects.toMatchObject({
    code: "durability_unknown",
    data: { final: false },
  });
  fs.onCall = undefined;
  await store.put("k", { n: 2 });
});

it("a folder that cannot be opened for the next segment refuses that commit, and no later one", async () => {
  const disk = new SimulatedDisk();
  const { store, fs } = await start(disk, "A", { segmentBytes: 4096 });
  await store.put("k", { n: 1, text: "x".repeat(200) });
  for (let n = 0; n < 40; n++) await store.put("k", { n, text: `${n}`.repeat(100) });
  let failing = true;
  fs.onCall = (call) => {
    if (failing && call.name === "open" && call.args[1] === "directory") throw systemError("EMFILE", call);
  };
  const endings = new Set<unknown>();
  for (let n = 0; n < 40; n++) {
    await store.put("k", { n, text: `${n}`.repeat(100) }).catch((error: { code: string; data: object }) => {
      endings.add(`${error.code} ${JSON.stringify((error.data as { final?: boolean }).final)}`);
    });
  }
  for (const ending of endings) expect(ending).toMatch(/^(io_error|durability_unknown false)/);
  failing = false;
  await store.put("k", { n: 99 });
  await store.close();
});

it("a sync that failed is final, whatever else failed at the same time", async () => {
  const disk = new SimulatedDisk();
  const { store, fs } = await start(disk, "A");
  fs.onCall = (call) => {
    if (call.name === "fdatasync") return { failSync: true };
    if (call.name === "open" && call.args[1] === "directory") throw systemError("EMFILE", call);
    return undefined;
  };
  await expect(store.put("k", { n: 1 })).rejects.toMatchObject({ data: { written: true, final: true } });
  fs.onCall = undefined;
  await expect(store.put("k", { n: 2 })).rejects.toMatchObject({
    code: "durability_unknown",
    data: { written: false, final: true },
  });
});

describe("behind a sync, when others went on and the log is damaged where it goes on", () => {
  /** A has a call of its own under way; until that is answered, B makes the next segment, which is damaged behind both. */
  async function scene(
    options: ProcessOptions = {},
  ): Promise<{ a: Process; hold: () => void; go: () => Promise<void> }> {
    const disk = new SimulatedDisk();
    const a = await start(disk, "A", options);
    await a.store.put("k", { n: 1 });
    await a.store.put("k", { n: 2 });
    let answer = (): void => {};
    const answered = new Promise<void>((resolve) => (answer = resolve));
    const hold = (): void => {
      a.fs.gate = ({ name }) => (name === "fdatasync" ? answered : undefined);
    };
    const go = async (): Promise<void> => {
      const b = await start(disk, "B");
      await settled(b.store.put("other", {}), b);
      await settled(b.store.checkpoint(), b);
      b.fs.kill();
      const [name = "", ...others] = disk.names(`${STORE}/.store/log`);
      expect([name, others]).toEqual([expect.not.stringMatching("00000001"), []]);
      disk.writeRaw(`${STORE}/.store/log/${name}`, Buffer.from("no header of ours\n"));
      disk.removeRaw(`${STORE}/.store/catalog-${Number.parseInt(name, 10) - 1}`); // it says where that begins
      a.fs.gate = undefined;
      answer();
    };
    return { a, hold, go };
  }
  const DAMAGE = /0000000[23]\.jsonl is damaged: it has no valid header line\. Restore this file/;

  it("a commit that was appended may not last: its caller hears of the damage, and nothing of the disk", async () => {
    const { a, hold, go } = await scene();
    hold();
    const put = a.store.put("k", { n: 3 });
    put.catch(() => {});
    await go();
    const failure: unknown = await put.catch((error: unknown) => error);
    expect(failure).toMatchObject({
      code: "durability_unknown",
      data: { written: true, final: false, reason: "log_damaged" },
      cause: { code: "log_damaged" },
    });
    expect(String(failure)).toMatch(DAMAGE);
    expect(String(failure)).not.toMatch(/disk|try again|\/proc\//);
  });

  it("a commit that had yet to be written is refused with the damage itself", async () => {
    const { a, hold, go } = await scene({ segmentBytes: 4096 });
    await a.store.put("k", FULL_SEGMENT);
    hold();
    const put = a.store.put("k", { n: 3 }); // makes the next segment, and first the last one durable
    put.catch(() => {});
    await go();
    const failure: unknown = await put.catch((error: unknown) => error);
    expect(failure).toMatchObject({ code: "log_damaged" });
    expect(failure).not.toHaveProperty("data.written");
    expect(String(failure)).toMatch(DAMAGE);
    expect(String(failure)).not.toMatch(/disk|try again|\/proc\//);
  });

  it("files that had yet to be written are refused with the damage itself", async () => {
    const { a, hold, go } = await scene();
    hold();
    const flush = a.store.flush();
    flush.catch(() => {});
    await turn();
    await go();
    await expect(settled(flush, a)).rejects.toMatchObject({ code: "log_damaged" });
  });
});
