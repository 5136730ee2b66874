/**
 * Goal: a process that has ended is told from one that runs, sleeps, waits to be asked after, or is another one by now; and nothing is said of
 * processes of another machine. Method: real processes.
 */
import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { expect, it } from "vitest";
import { isAlive, startTimeOf, systemProcesses, type ProcessName } from "../../src/fs/processes.js";
import { nodeFileSystem } from "../../src/fs/node-file-system.js";

const LINUX = process.platform === "linux";
const title = (text: string): string => (LINUX ? text : `${text}: only Linux tells`);

function nameOf(pid: number | undefined): ProcessName {
  const { self } = systemProcesses;
  const start = startTimeOf(nodeFileSystem, pid ?? 0);
  if (self === undefined || pid === undefined || start === undefined) throw new Error("no such process");
  return { pid, start, space: self.space };
}

it.skipIf(!LINUX)(title("this process runs"), () => {
  const { self } = systemProcesses;
  expect(self).toMatchObject({ pid: process.pid, start: startTimeOf(nodeFileSystem, process.pid) });
  expect(systemProcesses.isGone(self as ProcessName)).toBe(false);
});

it.skipIf(!LINUX)(title("one that stands still runs, one that was killed has ended"), async () => {
  const child = spawn("sleep", ["60"]);
  await once(child, "spawn");
  const name = nameOf(child.pid);
  child.kill("SIGSTOP");
  expect(systemProcesses.isGone(name)).toBe(false);
  expect(systemProcesses.isGone({ ...name, start: name.start - 1 })).toBe(true); // the id was used again
  child.kill("SIGKILL");
  await once(child, "exit");
  expect(systemProcesses.isGone(name)).toBe(true);
  expect(systemProcesses.isGone({ ...name, space: "another machine" })).toBe(false);
});

it.skipIf(!LINUX)(title("one that its parent has not asked after has ended"), async () => {
  // The shell's child ends; the shell, which has become another program, never asks.
  const parent = spawn("sh", ["-c", "sleep 0.2 & echo $!; exec sleep 60"]);
  const [output] = (await once(parent.stdout, "data")) as [Buffer];
  const name = nameOf(Number(output.toString()));
  for (let wait = 0; wait < 100 && !systemProcesses.isGone(name); wait++)
    await new Promise((resolve) => setTimeout(resolve, 50));
  expect(isAlive(name.pid)).toBe(true);
  expect(systemProcesses.isGone(name)).toBe(true);
  parent.kill("SIGKILL");
  await once(parent, "exit");
});

it("a process of nobody, and ids that are none, are not looked for", () => {
  const { pid } = spawnSync("true");
  expect(isAlive(pid)).toBe(false);
  const space = systemProcesses.self?.space ?? "";
  for (const odd of [0, -1, 1.5, Number.NaN])
    expect(systemProcesses.isGone({ pid: odd, start: 1, space })).toBe(false);
});
