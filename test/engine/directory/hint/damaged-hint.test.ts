/**
 * Goal (H1): a hint that is not right of the log's bytes changes nothing.
 * Method: hints, and the log that they are about, are damaged byte by byte, and exchanged; what is read then is what is read line by line.
 */
import { describe, expect, it } from "vitest";
import { encodeLogLine } from "../../../../src/format/log-line.js";
import { start, STORE } from "../../../support/processes.js";
import { each, stride } from "../../../support/thoroughness.js";
import { hintPath, hinted, readLog } from "./scene.js";

const INTERNAL = `${STORE}/.store`;

function attempt<T>(work: () => T): { readonly value?: T; readonly failure?: string } {
  try {
    return { value: work() };
  } catch (error) {
    return { failure: String(error) };
  }
}

describe("a hint that is not right", () => {
  it(`counts for nothing: ${each("byte", 37)} of it is damaged, or missing with all behind it`, async () => {
    const { disk, hint } = await hinted();
    const path = hintPath(hint);
    const good = disk.readRaw(path)!;
    const { known } = readLog(disk, 0);
    for (let at = 0; at < good.length; at += stride(37)) {
      const flipped = Buffer.from(good);
      flipped[at] = good[at]! ^ (1 << (at % 8));
      for (const bytes of [flipped, good.subarray(0, at)]) {
        disk.writeRaw(path, bytes);
        expect(readLog(disk, hint), `byte ${at}`).toMatchObject({ resumed: false, known });
      }
    }
  }, 120_000);

  it("counts for nothing: a line of it is missing, doubled or at another place", async () => {
    const { disk, hint } = await hinted();
    const path = hintPath(hint);
    const lines = disk
      .readRaw(path)!
      .toString()
      .split(/(?<=\n)/);
    const { known } = readLog(disk, 0);
    disk.writeRaw(path, lines.slice(0, -1).join(""));
    expect(readLog(disk, hint)).toMatchObject({ resumed: false, known });
    disk.writeRaw(path, [...lines, lines.at(-1)].join(""));
    expect(readLog(disk, hint)).toMatchObject({ resumed: false, known });
    disk.writeRaw(path, [lines[1], lines[0], ...lines.slice(2)].join(""));
    expect(readLog(disk, hint)).toMatchObject({ resumed: false, known });
    disk.writeRaw(path, [lines[0], ...lines].join(""));
    expect(readLog(disk, hint)).toMatchObject({ resumed: false, known });
  });

  it(`counts for nothing: ${each("byte", 61)} of the log is another one, or the log is shorter`, async () => {
    const { disk, hint } = await hinted();
    const log = `${INTERNAL}/log`;
    let resumed = 0; // where the damage is behind what the hint is about
    for (const name of disk.names(log)) {
      const good = disk.readRaw(`${log}/${name}`)!;
      for (let at = 0; at < good.length; at += stride(61)) {
        const flipped = Buffer.from(good);
        flipped[at] = good[at]! ^ (1 << (at % 8));
        for (const bytes of [flipped, good.subarray(0, at)]) {
          disk.writeRaw(`${log}/${name}`, bytes);
          const where = `byte ${at} of ${name}`;
          const whole = attempt(() => readLog(disk, 0));
          const read = attempt(() => readLog(disk, hint));
          expect(read.failure, where).toBe(whole.failure);
          expect(read.value?.known, where).toBe(whole.value?.known);
          if (read.value?.resumed === true) resumed++;
        }
      }
      disk.writeRaw(`${log}/${name}`, good);
    }
    expect(resumed).toBeGreaterThan(0);
  }, 120_000);

  it("counts for nothing: it came from another store", async () => {
    const { disk, hint } = await hinted();
    const other = await hinted();
    const path = hintPath(hint);
    disk.writeRaw(path, other.disk.readRaw(hintPath(other.hint))!);
    expect(readLog(disk, hint)).toMatchObject({ resumed: false });
  });

  it("is no reason to fail: lines of another form, though their checksums are right", async () => {
    const { disk, hint } = await hinted();
    const path = hintPath(hint);
    const lines = disk.readRaw(path)!.toString().split("\n").slice(0, -1);
    const { known } = readLog(disk, 0);
    for (const [number, line] of lines.entries()) {
      const [name = ""] = Object.keys(JSON.parse(line.slice(9)) as object);
      for (const other of [{ [name]: 7 }, { [name]: null }, { later: [] }, {}, null]) {
        const changed: Buffer[] = lines.map((text) => Buffer.from(`${text}\n`));
        changed[number] = encodeLogLine(JSON.stringify(other));
        disk.writeRaw(path, Buffer.concat(changed));
        expect(readLog(disk, hint), `line ${number}`).toMatchObject({ resumed: false, known });
      }
    }
    const first = { ...(JSON.parse(lines[0]!.slice(9)) as object), form: 2 };
    const rest = Buffer.from(`${lines.slice(1).join("\n")}\n`);
    disk.writeRaw(path, Buffer.concat([encodeLogLine(JSON.stringify(first)), rest]));
    expect(readLog(disk, hint)).toMatchObject({ resumed: false, known });
    disk.writeRaw(path, Buffer.concat([encodeLogLine("{"), encodeLogLine('"end"')]));
    expect(readLog(disk, hint)).toMatchObject({ resumed: false, known });
  });

  it("is no reason to fail: a folder, a link or a file that is not ours in its place", async () => {
    const { disk, hint } = await hinted();
    const path = hintPath(hint);
    disk.removeRaw(path);
    disk.makeDirectory(path);
    const p = await start(disk, "p");
    expect(await p.store.count()).toBeGreaterThan(0);
    await p.store.checkpoint();
    await p.store.close();
    expect(p.warnings).toEqual([]);
  });
});
