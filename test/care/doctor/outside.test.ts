/**
 * Goal: no repair writes, moves or removes anything outside of the store, whatever stands in the place of its folders and files; and what
 * stands in the place of the doctor's own files neither stops it nor makes it say things twice.
 * Method: a damaged session beside links, FIFOs and folders where the store has something else; what the links lead to is compared.
 */
import { execFileSync } from "node:child_process";
import {
  cpSync,
  existsSync,
  lstatSync,
  mkdirSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
  readFileSync,
  readdirSync,
} from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { inside } from "../../../src/care/doctor/fix/foundations.js";
import { Layout } from "../../../src/format/layout.js";
import { BIG, snapshot, useSandbox, type Sandbox } from "../../engine/directory/sandbox.js";
import { cured, examine, expectSessions, wrong } from "./ward.js";

const holder = useSandbox();
const SESSIONS = { a: { updatedAt: 1 }, z: { updatedAt: 9, big: BIG } };
const KEY = "agent:main:main";

/** One session is damaged, so that something has to go to the quarantine. */
async function damaged(): Promise<Sandbox> {
  const { box } = holder;
  await box.filled({ ...SESSIONS, [KEY]: { updatedAt: 5 } });
  writeFileSync(box.entryFile(KEY), "damaged");
  return box;
}

describe("a link in the place of a folder", () => {
  it.each([
    [".store/quarantine"],
    [".store/trash"],
    [".store/stage"],
    [".store/log"],
    [".store/blobs"],
    ["agent%3Amain%3Amain"],
    ["z"],
  ])("%s: nothing goes through it", async (place) => {
    const box = await damaged();
    const elsewhere = join(box.root, "elsewhere");
    if (existsSync(box.at(...place.split("/")))) renameSync(box.at(...place.split("/")), elsewhere);
    else mkdirSync(elsewhere, { mode: 0o700 });
    symlinkSync(elsewhere, box.at(...place.split("/")));
    const before = snapshot(elsewhere);
    const first = await examine(box, { level: "deep", fix: true, alone: true });
    expect(snapshot(elsewhere)).toEqual(before);
    for (const { kept = box.path } of first.actions)
      expect(existsSync(kept) || isLink(kept), kept).toBe(true);
    const again = await examine(box, { level: "deep", fix: true, alone: true });
    expect(wrong(again)).toEqual([]);
    expect(snapshot(elsewhere)).toEqual(before);
    const store = await box.open();
    await store.put("new", { written: true });
    expect(await store.get("a")).toEqual(SESSIONS.a);
    await box.close();
    expect(snapshot(elsewhere)).toEqual(before);
  });

  it("a file in the quarantine's place makes room for it as well, and is kept in it", async () => {
    const box = await damaged();
    rmSync(box.at(".store", "quarantine"), { recursive: true, force: true });
    writeFileSync(box.at(".store", "quarantine"), "mine", { mode: 0o600 });
    await examine(box, { fix: true, alone: true });
    await cured(box);
    const names = readdirSync(box.at(".store", "quarantine"));
    const kept = names.find((name) => name.startsWith("quarantine.") && !name.endsWith(".note.json"));
    expect(readFileSync(box.at(".store", "quarantine", kept ?? ""), "utf8")).toBe("mine");
    await expectSessions(box, SESSIONS);
  });

  it("of the quarantine is in the new quarantine afterwards, with a note", async () => {
    const box = await damaged();
    rmSync(box.at(".store", "quarantine"), { recursive: true, force: true });
    mkdirSync(join(box.root, "elsewhere"), { mode: 0o700 });
    symlinkSync(join(box.root, "elsewhere"), box.at(".store", "quarantine"));
    const { actions } = await cured(box);
    const kept = actions.find(({ path }) => path.endsWith("/quarantine"))?.kept ?? "";
    expect(isLink(kept)).toBe(true);
    expect(existsSync(`${kept}.note.json`)).toBe(true);
    await expectSessions(box, SESSIONS);
  });
});

function isLink(path: string): boolean {
  return lstatSync(path, { throwIfNoEntry: false })?.isSymbolicLink() === true;
}

describe("in the place of doctor.jsonl", () => {
  it.each([
    ["a FIFO", (path: string) => void execFileSync("mkfifo", ["-m", "600", path])],
    ["a folder", (path: string) => mkdirSync(path, { mode: 0o700 })],
    ["a link", (path: string) => symlinkSync("/etc/hostname", path)],
  ])("%s: it is put aside, and each thing is done and said once", async (_, make) => {
    const box = await damaged();
    make(box.at(".store", "doctor.jsonl"));
    const { actions } = await cured(box);
    const about = actions.filter(({ key }) => key === KEY);
    expect(about).toHaveLength(1);
    expect(lstatSync(box.at(".store", "doctor.jsonl")).isFile()).toBe(true);
    await expectSessions(box, SESSIONS);
  });

  it("what is no action is not told, such as one at a time that no calendar has", async () => {
    const box = await damaged();
    const line = { code: "entry_damaged", done: "x", path: "/x", lost: false };
    const lines = [-1, 1.5, 1e300, "5", null, 7].map((at) => JSON.stringify({ ...line, at }));
    writeFileSync(box.at(".store", "doctor.jsonl"), `${lines.join("\n")}\nnull\n[]\n`, { mode: 0o600 });
    const { history } = await examine(box);
    expect(history).toEqual([{ ...line, at: 7 }]);
  });
});

it("a copy of the store beside it, with a longer name, is not in it", async () => {
  const patient = { path: "/home/g/sessions.d", layout: new Layout("/proc/self/fd/9/.") };
  expect(inside(patient, "/home/g/sessions.d/a/meta.json")).toBe("/proc/self/fd/9/./a/meta.json");
  expect(inside(patient, "/home/g/sessions.d")).toBe("/proc/self/fd/9/.");
  for (const path of [
    "/home/g/sessions.d-copy/a/meta.json",
    "/home/g/sessions.d.old",
    "/home/g/sessions.d/../other/x",
    "/home/g",
    "",
  ])
    expect(() => inside(patient, path), path).toThrow(expect.objectContaining({ code: "file_unsafe" }));
  const box = await damaged();
  cpSync(box.path, `${box.path}-copy`, { recursive: true });
  const before = snapshot(`${box.path}-copy`);
  await cured(box);
  expect(snapshot(`${box.path}-copy`)).toEqual(before);
});
