/**
 * Goal: exports that stand one after the other in a file are read like each of them, and nothing of one is known to the next. Method: texts put
 * together, whole, cut and changed, packed each for itself and together.
 */
import { gzipSync } from "node:zlib";
import { expect, it } from "vitest";
import { importSessions } from "../../../src/moving/index.js";
import { contentOf, exported, linesOf, memoryStore, piecesOf, type Entry } from "./support/stores.js";

const prompt = "skill ".repeat(1000);

async function exportOf(sessions: Record<string, Entry>): Promise<string> {
  const store = await memoryStore();
  for (const [key, entry] of Object.entries(sessions)) await store.put(key, entry);
  await store.append(Object.keys(sessions)[0] ?? "", ["hi"]);
  return (await exported(store)).text;
}

const two = (): Promise<[string, string]> =>
  Promise.all([exportOf({ a: { prompt, n: 1 }, b: { prompt } }), exportOf({ c: { prompt }, d: { n: 2 } })]);

it("are imported one after the other, packed or not", async () => {
  const [first, second] = await two();
  const separately = await memoryStore();
  for (const text of [first, second]) await importSessions(separately, piecesOf(text));
  const packed = Buffer.concat([gzipSync(first), gzipSync(second)]);
  for (const file of [first + second, `${first}\n\n${second}\n`, packed, gzipSync(first + second)]) {
    const store = await memoryStore();
    expect(await importSessions(store, piecesOf(file))).toMatchObject({ created: 4, faultCount: 0 });
    expect(await contentOf(store)).toEqual(await contentOf(separately));
  }
});

it("do not know each other's shared values", async () => {
  const [first, second] = await two();
  const without = second
    .split("\n")
    .filter((line) => !line.includes('"type":"value"') && !line.includes('"type":"end"'))
    .join("\n");
  expect(linesOf(second)).toHaveLength(without.trimEnd().split("\n").length + 2);
  const end = '{"type":"end"}\n';
  const import_ = importSessions(await memoryStore(), piecesOf(first + without + end));
  await expect(import_).rejects.toMatchObject({ code: "export_invalid", data: { reason: "line" } });
});

it("are wrong where one of them is: each has its checksum, its count and its end", async () => {
  const [first, second] = await two();
  const wrong = async (text: string): Promise<unknown> => importSessions(await memoryStore(), piecesOf(text));
  const changed = first.replace('"n":1', '"n":7');
  await expect(wrong(changed + second)).rejects.toMatchObject({ data: { reason: "checksum" } });
  const after = second.replace('"n":2', '"n":7');
  await expect(wrong(first + after)).rejects.toMatchObject({ data: { reason: "checksum" } });
  await expect(wrong(first + second.slice(0, -20))).rejects.toMatchObject({ data: { reason: "cut" } });
  const line = first.split("\n").find((one) => one.includes('"type":"session"')) ?? "";
  await expect(wrong(`${first}${line}\n`)).rejects.toMatchObject({ data: { reason: "line" } });
  await expect(wrong(first + second.replace('"version":1', '"version":2'))).rejects.toMatchObject({
    data: { reason: "version" },
  });
});

it("are salvaged: what is wrong with one does not cost the next", async () => {
  const [first, second] = await two();
  const store = await memoryStore();
  const broken = first.replace('"n":1', '"n":');
  const report = await importSessions(store, piecesOf(broken + second.slice(0, -20)), { salvage: true });
  expect(Object.keys(await contentOf(store)).sort()).toEqual(["b", "c", "d"]);
  expect(report.created).toBe(3);
  expect(report.faultCount).toBeGreaterThan(1);
});
