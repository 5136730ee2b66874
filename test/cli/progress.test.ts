/**
 * Goal: progress is a bar for a person, lines for a log, and silence for a program. Method: a terminal that only records.
 */
import { describe, expect, it, vi } from "vitest";
import { Progress } from "../../src/cli/progress.js";
import type { Terminal } from "../../src/cli/terminal.js";

interface Recorder {
  readonly invocation: { terminal: Terminal; doing: string };
  readonly drawn: string[];
}

function recorder(interactive: boolean, talkColumns = 80): Recorder {
  const drawn: string[] = [];
  const terminal = {
    interactive,
    talkColumns,
    draw: (text: string) => void drawn.push(text),
    erase: () => void drawn.push("erased"),
  } as unknown as Terminal;
  return { invocation: { terminal, doing: "starting" }, drawn };
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
    const { invocation, drawn } = recorder(true);
    const progress = new Progress(invocation);
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
  });

  it("has a short bar on a narrow terminal", () => {
    const { invocation, drawn } = recorder(true, 40);
    new Progress(invocation).show(at(40e6));
    expect(drawn).toEqual([
      `${"█".repeat(4)}${"░".repeat(4)}  50 %  40.0 MB of 80.0 MB, 325 entries  reading x`,
    ]);
  });

  it("writes nothing where nobody watches, and still knows what is going on", () => {
    const { invocation, drawn } = recorder(false);
    const progress = new Progress(invocation);
    progress.show(at(0));
    progress.show(at(80e6, "reading y"));
    expect(drawn).toEqual([]);
    expect(invocation.doing).toBe("reading y");
  });

  it("says nothing of work that is over soon", () => {
    const { invocation, drawn } = recorder(true);
    new Progress(invocation, 60_000).show(at(0));
    expect(drawn).toEqual([]);
  });
});
