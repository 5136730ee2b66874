/**
 * Goal: a process that knows all of a damaged log mends it within seconds, however idle it is: though its files are written, and
 * though those who came behind the damage only read.
 * Method: one process has read everything and does nothing more; one bit of the log is flipped; a newcomer does little; then time
 * passes.
 */
import { describe, expect, it } from "vitest";
import { SimulatedDisk } from "../../../../src/testing/simulated/disk.js";
import { pass, settled, start } from "../../../support/processes.js";
import { changesIn, flip, quarantine, segments } from "./scenes.js";

describe("a damaged log of which a living process knows all", () => {
  it("is mended by it within seconds, though it is idle and its files are written", async () => {
    const disk = new SimulatedDisk();
    const living = await start(disk, "living");
    await living.store.put("a", { n: 1 });
    await living.store.put("b", { n: 1 });
    await settled(living.store.flush(), living);
    await pass(10_000, living);
    flip(disk, segments(disk)[0] ?? "", (changesIn(disk)[0]?.at ?? 0) + 30);
    const newcomer = await start(disk, "newcomer");
    await settled(newcomer.store.put("other", { n: 1 }), newcomer);
    await pass(10_000, living, newcomer);
    const updated = newcomer.store.update("a", (entry) => ({ n: Number(entry?.["n"]) + 1 }));
    await expect(settled(updated, newcomer)).resolves.toMatchObject({ entry: { n: 2 } });
  });

  it("is mended, too, when a newcomer only reads", async () => {
    const disk = new SimulatedDisk();
    const living = await start(disk, "living");
    await living.store.put("a", { n: 1 });
    await settled(living.store.flush(), living);
    flip(disk, segments(disk)[0] ?? "", (changesIn(disk)[0]?.at ?? 0) + 30);
    const newcomer = await start(disk, "newcomer");
    expect(await newcomer.store.get("a")).toEqual({ n: 1 });
    await pass(10_000, living, newcomer);
    expect(quarantine(disk)).toHaveLength(1);
  });

  it("is mended, too, when a newcomer only reads and updates", async () => {
    const disk = new SimulatedDisk();
    const living = await start(disk, "living");
    await living.store.put("a", { n: 1 });
    await living.store.put("b", { n: 1 });
    await settled(living.store.flush(), living);
    flip(disk, segments(disk)[0] ?? "", (changesIn(disk)[0]?.at ?? 0) + 30);
    const newcomer = await start(disk, "newcomer");
    const update = () => newcomer.store.update("a", (entry) => ({ n: Number(entry?.["n"]) + 1 }));
    await expect(update()).rejects.toMatchObject({ code: "log_damaged" });
    await living.store.put("b", { n: 2 });
    await pass(10_000, living, newcomer);
    await expect(settled(update(), newcomer)).resolves.toMatchObject({ entry: { n: 2 } });
  });
});
