/**
 * Goal: the program runs what it is asked for, tells what it did, and says so when something is wrong.
 * Method: the command in this process, with its own thread and with the workers' code left out.
 */
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, expect, it, vi } from "vitest";
import { runCommand } from "../../sim/command.js";
import { SimulatedFile } from "../../src/testing/simulated/inode.js";

const folder = mkdtempSync(join(tmpdir(), "sessiondir-sim-"));

afterEach(() => {
  vi.restoreAllMocks();
  rmSync(folder, { recursive: true, force: true });
});

async function run(...args: string[]): Promise<{ code: number; text: string }> {
  const lines: string[] = [];
  const code = await runCommand([...args, "--workers", "0", "--out", folder], (text) => lines.push(text));
  return { code, text: lines.join("\n") };
}

it("runs schedules until so many steps were made, the same for the same seed", async () => {
  const first = await run("--seed", "42", "--steps", "4000");
  expect(first.code).toBe(0);
  const calls = /file-system calls +([\d,]+)/.exec(first.text)?.[1];
  expect(Number(calls?.replaceAll(",", ""))).toBeGreaterThanOrEqual(4000);
  const second = await run("--seed", "42", "--steps", "4000");
  const figures = (text: string): string => text.slice(0, text.indexOf(" minutes")).replace(/[\d.]+$/, "");
  expect(figures(second.text)).toBe(figures(first.text));
});

it("writes a shortened schedule of what fails, which fails again when it is replayed", async () => {
  vi.spyOn(SimulatedFile.prototype, "sync").mockImplementation(() => {});
  const { code, text } = await run("--seed", "3", "--schedules", "10", "--only", "sessions", "--shrink");
  expect(code).toBe(1);
  expect(text).toMatch(/seed \d+ fails: Violation/);
  const [name] = readdirSync(folder);
  const replayed = await run("--replay", join(folder, name!));
  expect(replayed.code).toBe(1);
  expect(replayed.text).toContain("Violation");
});

it("explains itself when it does not understand", async () => {
  expect(await run("--sede", "1")).toEqual({ code: 2, text: expect.stringContaining("--seed N") as string });
  expect((await run("--seed", "abc")).code).toBe(2);
});
