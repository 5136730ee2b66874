/**
 * Goal: an acknowledgement rests on a sync that began behind the commit, and on every name on the way to the log.
 * Method: the answer of a sync is held back while another commit comes; a store that was renamed into its place and not
 * synced since; a power cut of the worst kind.
 */
import { expect, it } from "vitest";
import { SimulatedDisk } from "../../src/testing/simulated/disk.js";
import { HeldAnswers, start, STORE, turn } from "../support/processes.js";

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
