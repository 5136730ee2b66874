/** The reader of `sessions.json`, compared with JSON.parse; whatever pieces the bytes come in. */
import assert from "node:assert/strict";
import { SessionStoreError } from "../../src/errors.js";
import { JsonScanner } from "../../src/legacy/reading/json-scanner.js";
import type { LegacyHost } from "../../src/legacy/base/host.js";
import { readLegacyFile } from "../../src/legacy/reading/read-file.js";
import { JSON5_BYTES_MAX, readJson5File } from "../../src/legacy/reading/read-json5.js";
import { ManualRuntime } from "../../src/testing/manual-runtime.js";
import { seededRandom } from "../../src/testing/seeded-random.js";
import { SimulatedDisk } from "../../src/testing/simulated/disk.js";
import type { Target } from "./targets.js";

const PATH = "/home/sessions.json";
const LEVELS_MAX = 128;

const disk = new SimulatedDisk({ random: seededRandom(1), now: () => 1 });
disk.makeDirectory("/home");
const host: LegacyHost = {
  fs: disk.mount("fuzz"),
  runtime: new ManualRuntime({ seed: 1, yields: "event-loop" }),
};

export const legacyFile: Target = {
  name: "legacy file",
  seeds: [
    '{"agent:main:main":{"sessionId":"s-1","updatedAt":1795200000000,"skills":{"prompt":"p\\"\\\\"}},"b":null}',
    '{\n  "a": {"__proto__": {"polluted": 1}, "n": [-0.5e-3, true, [[]]]},\n  "a": {"é🙂": "\\ud83d\\ude00"}\n}\n',
    "// by hand\n{a: {'updatedAt': +1, b: [1,],}, /* and */ c: .5}",
    `{"big":{"text":"${"x".repeat(5000)}"},"again":{"text":"${"x".repeat(5000)}"}}`,
  ]
    .map((text) => Buffer.from(text))
    .concat(Buffer.from('{"a": {"\xe9\xe9": "n"//}}', "latin1")), // neither UTF-8 nor JSON
  check: async (bytes) => {
    checkPieces(bytes);
    disk.writeRaw(PATH, bytes);
    const expected = expectedEntries(bytes);
    const found = new Map<string, string | undefined>();
    const options = {
      levelsMax: LEVELS_MAX,
      onEntry: ({ key, value }: { key: string; value: unknown }) =>
        void found.set(key, value === undefined ? undefined : JSON.stringify(value)),
    };
    try {
      const reading = await readLegacyFile(host, PATH, options);
      assert.equal(reading.bytes, bytes.length);
    } catch (error) {
      checkRefusal(error, bytes);
      assert.equal(expected, undefined);
      await readJson5File(
        host,
        PATH,
        { ...options, json5BytesMax: JSON5_BYTES_MAX },
        error as SessionStoreError,
      ).catch((refusal: unknown) => checkRefusal(refusal, bytes));
      return;
    }
    // What nests too deep is refused without being parsed, so nobody looks whether it is JSON.
    if ([...found.values()].includes(undefined)) return;
    assert.deepEqual(found, expected);
  },
};

function checkRefusal(error: unknown, bytes: Buffer): void {
  if (!(error instanceof SessionStoreError)) throw error;
  assert.equal(error.code, "legacy_invalid");
  const { offset } = error.data;
  assert.ok(typeof offset === "number" && offset >= 0 && offset <= bytes.length);
}

/** What JSON.parse makes of it; undefined if it is no object. */
function expectedEntries(bytes: Buffer): Map<string, string> | undefined {
  let value: unknown;
  try {
    const text = bytes.toString();
    value = JSON.parse(text.startsWith("\ufeff") ? text.slice(1) : text);
  } catch {
    return undefined;
  }
  if (typeof value !== "object" || value === null || Array.isArray(value)) return undefined;
  return new Map(Object.entries(value).map(([key, entry]) => [key, text(entry)]));
}

/** JSON.stringify has less stack than JSON.parse; what is so deep is not compared. */
function text(entry: unknown): string {
  try {
    return JSON.stringify(entry);
  } catch {
    return "";
  }
}

/** The scanner says the same of bytes that come at once, one by one, and anything between. */
function checkPieces(bytes: Buffer): void {
  const random = seededRandom(bytes.length);
  const whole = scan(bytes, () => bytes.length);
  assert.deepEqual(
    scan(bytes, () => 1 + Math.trunc(random() * 7)),
    whole,
  );
  if (bytes.length < 300)
    assert.deepEqual(
      scan(bytes, () => 1),
      whole,
    );
}

function scan(bytes: Buffer, pieceBytes: () => number): unknown {
  const members: unknown[] = [];
  const scanner = new JsonScanner(
    {
      member: (...positions) => members.push(["member", ...positions]),
      field: (...positions) => members.push(["field", ...positions]),
    },
    16,
  );
  for (let from = 0; from < bytes.length;) {
    const end = Math.min(bytes.length, from + pieceBytes());
    if (!scanner.scan(bytes.subarray(0, end), from, 0)) break;
    assert.ok(scanner.retained <= end);
    from = end;
  }
  scanner.end(bytes.length);
  return { members, fault: scanner.fault, done: scanner.done };
}
