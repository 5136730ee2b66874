/**
 * Goal: `edit` writes what a person wrote over exactly what they were shown, or says why not and where their text is.
 * Method: the built program with a script in the place of an editor, which also does what others do meanwhile.
 */
import { existsSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { openSessionStore } from "../../../src/index.js";
import { deviations, documentedExamples } from "../support/documented-shape.js";
import { errorOf, MAIN, run, runAlone, start, type Ended } from "../support/program.js";
import {
  emptyFolder,
  JAMES_KEY,
  MAIN_KEY,
  makeStore,
  read,
  revisionOf,
  SESSIONS,
} from "../support/stores.js";

/** Runs `edit` with this shell script as the editor; `$1` is the file. */
function edit(store: string, script: string, ...more: string[]): Promise<Ended> & { folder: string } {
  const folder = emptyFolder();
  const editor = join(folder, "editor.sh");
  writeFileSync(editor, script);
  const temporary = emptyFolder();
  const env = { EDITOR: `/bin/sh ${editor}`, TMPDIR: temporary };
  const ended = runAlone(["edit", MAIN_KEY, "--store", store, ...more], { env });
  return Object.assign(ended, { folder: temporary });
}

const SET_MODEL = `sed -i 's/"model": "large"/"model": "small"/' "$1"`;

it("replaces the session by what was written, big values included, and leaves no file behind", async () => {
  const store = await makeStore();
  const editing = edit(store, SET_MODEL);
  const { code, stdout, stderr } = await editing;
  expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
  const now = await revisionOf(store, MAIN_KEY);
  expect(stdout).toBe(`replaced ${MAIN_KEY}, revision ${now}\n`);
  expect(await read(store, MAIN_KEY)).toEqual({ ...SESSIONS[MAIN_KEY], model: "small" });
  expect(await read(store, JAMES_KEY)).toEqual(SESSIONS[JAMES_KEY]);
  expect(readdirSync(editing.folder)).toEqual([]);
});

it("shows the text to nobody else", async () => {
  const store = await makeStore();
  const editing = edit(store, `stat -c '%a %n' "$1" "$(dirname "$1")" >&2; exit 1`);
  const { stderr } = await editing;
  expect(stderr).toMatch(/^600 \S+entry\.json\n700 /);
});

it("writes nothing where nothing was changed, and in a dry run", async () => {
  const store = await makeStore();
  const revision = await revisionOf(store, MAIN_KEY);
  expect((await edit(store, ":")).stdout).toBe(`unchanged ${MAIN_KEY}, revision ${revision}\n`);
  expect((await edit(store, `printf ' ' >> "$1"`)).stdout).toContain("unchanged");
  const planned = await edit(store, SET_MODEL, "--dry-run");
  expect(planned.stdout).toBe(`would replace ${MAIN_KEY}, now at revision ${revision}\n`);
  expect(await revisionOf(store, MAIN_KEY)).toBe(revision);
});

it("has the documented JSON", async () => {
  const store = await makeStore();
  const { stdout } = await edit(store, SET_MODEL, "--json");
  expect(deviations(JSON.parse(stdout), documentedExamples("`sessiondir edit`")[0])).toEqual([]);
});

it("keeps what somebody else wrote meanwhile, and the text that was edited", async () => {
  const path = await makeStore();
  const store = await openSessionStore<Record<string, unknown>>(path);
  const gate = join(emptyFolder(), "go");
  const editing = edit(
    path,
    `${SET_MODEL}; echo editing >&2; while [ ! -e ${gate} ]; do sleep 0.05; done`,
    "--json",
  );
  await expect.poll(() => readdirSync(editing.folder).length, { timeout: 20_000 }).toBe(1);
  const { revision } = await store.patch(MAIN_KEY, { model: "other" });
  await store.close();
  writeFileSync(gate, "");
  const ended = await editing;
  expect(ended.code).toBe(1);
  const { code, message, data } = errorOf(ended);
  expect({ code, actual: data["actual"] }).toEqual({ code: "conflict", actual: revision });
  const kept = String(data["kept"]);
  const put = `put ${MAIN_KEY} --store ${path} --file ${kept} --if-revision ${revision}`;
  expect(message).toContain(`sessiondir get ${MAIN_KEY} --store ${path}`);
  expect(message).toContain(`sessiondir ${put}`);
  expect(JSON.parse(readFileSync(kept, "utf8"))).toMatchObject({ model: "small" });
  expect(await read(path, MAIN_KEY)).toMatchObject({ model: "other" });
  expect((await run(put.split(" "))).code).toBe(0); // the command that it names works
  expect(await read(path, MAIN_KEY)).toEqual({ ...SESSIONS[MAIN_KEY], model: "small" });
});

it.each([
  ["is no JSON", `echo '{"a":' > "$1"`, "entry.json is not JSON"],
  ["is no object", `echo '[1]' > "$1"`, "must be a JSON object"],
  ["has a number that cannot be kept", `echo '{"id":12345678901234567890}' > "$1"`, "would become"],
  ["is not UTF-8", `printf '{"a":"\\377"}' > "$1"`, "is not UTF-8"],
])("a text that %s is kept and named, with the place of the fault", async (_what, script, message) => {
  const store = await makeStore();
  const ended = await edit(store, script, "--json");
  expect(ended.code).toBe(2);
  const error = errorOf(ended);
  expect(error.message).toContain(message);
  const kept = String(error.data["kept"]);
  expect(existsSync(kept)).toBe(true);
  // It replaces nothing that the person has not seen.
  const revision = await revisionOf(store, MAIN_KEY);
  expect(error.message).toContain(`. What you wrote is kept in ${kept}`);
  expect(error.message).toContain(`--store ${store} --file ${kept} --if-revision ${revision}`);
  expect(await read(store, MAIN_KEY)).toEqual(SESSIONS[MAIN_KEY]);
});

it("nothing was changed, though somebody else did meanwhile: nothing to do", async () => {
  const path = await makeStore();
  const ended = await edit(path, `node ${MAIN} patch ${MAIN_KEY} model=other --store ${path} >/dev/null`);
  expect(ended).toMatchObject({ code: 0, stderr: "" });
  expect(ended.stdout).toContain("unchanged");
  expect(await read(path, MAIN_KEY)).toMatchObject({ model: "other" });
});

it("an editor that fails writes nothing; what it had changed is kept", async () => {
  const store = await makeStore();
  const failed = edit(store, "exit 3");
  const { code, stderr } = await failed;
  expect(code).toBe(1);
  expect(stderr).toMatch(/^sessiondir: the editor \(.*\) ended with code 3, so nothing was written/);
  expect(readdirSync(failed.folder)).toEqual([]);
  const changed = await edit(store, `${SET_MODEL}; exit 3`, "--json");
  expect(existsSync(String(errorOf(changed).data["kept"]))).toBe(true);
  expect(await read(store, MAIN_KEY)).toEqual(SESSIONS[MAIN_KEY]);
});

it("Ctrl-C is the editor's; a SIGTERM ends the program, which says where the text is", async () => {
  const store = await makeStore();
  const folder = emptyFolder();
  const editor = join(folder, "editor.sh");
  writeFileSync(editor, `echo ready >&2; while [ ! -e ${folder}/go ]; do sleep 0.05; done; ${SET_MODEL}`);
  const env = { EDITOR: `/bin/sh ${editor}`, TMPDIR: folder };
  const running = start(["edit", MAIN_KEY, "--store", store], { env });
  await running.says("ready");
  running.process.kill("SIGINT");
  writeFileSync(join(folder, "go"), "");
  expect((await running.ended).code).toBe(0);
  expect(await read(store, MAIN_KEY)).toMatchObject({ model: "small" });
  writeFileSync(editor, "echo ready >&2; exec sleep 3");
  const ended = start(["edit", MAIN_KEY, "--store", store], { env });
  await ended.says("ready");
  ended.process.kill("SIGTERM");
  const { code, stderr } = await ended.ended;
  expect(code).toBe(130);
  const [, path = ""] = /the text is in (\S+)\.\n/.exec(stderr) ?? [];
  expect(statSync(path).isFile()).toBe(true);
});

it("a session that is not there has the nearest keys, and no editor is started", async () => {
  const store = await makeStore();
  const env = { EDITOR: "false", TMPDIR: emptyFolder() };
  const { code, stderr } = await run(["edit", "agent:main:mian", "--store", store], { env });
  expect(code).toBe(1);
  expect(stderr).toContain(`Did you mean "${MAIN_KEY}"?`);
});
