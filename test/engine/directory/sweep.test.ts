/**
 * Goal: the sweep takes empty folders of sessions, and nothing that is not the store's own.
 * Method: folders with names that no session has, empty ones and a hidden one, and a checkpoint.
 */
import { expect, it } from "vitest";
import { SimulatedDisk } from "../../../src/testing/simulated/disk.js";
import { start, STORE } from "../../support/processes.js";

it("an empty folder whose name no session can have is somebody's own, and stays", async () => {
  const disk = new SimulatedDisk();
  const a = await start(disk, "A");
  for (const name of ["UPPER", "a copy", ".hidden", "left"]) disk.makeDirectory(`${STORE}/${name}`);
  await a.store.checkpoint();
  expect(disk.names(STORE).sort()).toEqual([".hidden", ".store", "UPPER", "a copy"]);
});
