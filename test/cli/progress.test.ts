/**
 * Goal: progress is a bar for a person, lines for a log, and silence for a program. Method: a terminal that only records.
 */
import { describe, expect, it, vi } from "vitest";
import { Progress } from "../../src/cli/progress.js";
import type { Terminal } from "../../src/cli/terminal.js";

function recorder(
  interactive: boolean,
  json = false,
): { terminal: Terminal; drawn: string[]; said: string[] } {
  const drawn: string[] = [];
  const said: string[] = [];
  const terminal = {
    interactive,
    json,
    draw: (text: string) => void drawn.push(text),
    say: (text: string) => void said.push(text),
    erase: () => void drawn.push("erased"),
  } as unknown as Terminal;
  return { terminal, drawn, said };
}

const at = (done: number, doing = "reading x"): Parameters<Progress["show"]>[0] => ({
  doing,
  done,
  total: 80e6,
  unit: "bytes",
  note: "325 entries",
});

describe("progress", () => {
  it("draws a bar over and over when a person watches, ten times a second", () => {
    const now = vi.spyOn(performance, "now").mockReturnValue(0);
    const { terminal, drawn, said } = recorder(true);
    const progress = new Progress(terminal);
    progress.show(at(0));
    progress.show(at(20e6)); // too soon
    now.mockReturnValue(100);
    progress.show(at(40e6));
    progress.end();
    now.mockRestore();
    expect(drawn).toEqual([
      `${"░".repeat(24)}   0 %  0 B of 80.0 MB, 325 entries  reading x`,
      `${"█".repeat(12)}${"░".repeat(12)}  50 %  40.0 MB of 80.0 MB, 325 entries  reading x`,
      "erased",
    ]);
    expect(said).toEqual([]);
  });

  it("is a line for each phase and every five seconds in a log, nothing with --json", () => {
    const now = vi.spyOn(performance, "now").mockReturnValue(0);
    const log = recorder(false);
    const json = recorder(false, true);
    for (const { terminal } of [log, json]) {
      const progress = new Progress(terminal);
      for (const [time, doing] of [
        [0, "a"],
        [4999, "a"],
        [5000, "a"],
        [5001, "b"],
      ] as const) {
        now.mockReturnValue(time);
        progress.show(at(time, doing));
      }
    }
    now.mockRestore();
    expect(log.said.map((line) => line.split(",")[0])).toEqual([
      "a: 0 B of 80.0 MB",
      "a: 5.0 kB of 80.0 MB",
      "b: 5.0 kB of 80.0 MB",
    ]);
    expect(json.said).toEqual([]);
  });

  it("says nothing of work that is over soon", () => {
    const { terminal, drawn } = recorder(true);
    new Progress(terminal, 60_000).show(at(0));
    expect(drawn).toEqual([]);
  });
});
