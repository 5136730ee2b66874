/**
 * Goal: a session's transcript is found where its entry says, never outside its folder, and what was found is noted once.
 * Method: both backends of a store; entries that say nothing, something, and something that leads away.
 */
import { symlinkSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { resolveAndPersistSessionFile } from "../../../src/openclaw/index.js";
import { BACKENDS, gatewayFolder, session } from "../support/gateway-folder.js";

describe.each(BACKENDS)("in a %s", (backend) => {
  it("notes the default file for a session that has none, once", async () => {
    const place = await gatewayFolder(backend, { a: session(1, { sessionId: "one", label: "kept" }) });
    const { storePath, folder } = place;
    const sessionStore = await place.stored();
    const ask = { sessionId: "one", sessionKey: "a", sessionStore, storePath };
    const { sessionFile, sessionEntry } = await resolveAndPersistSessionFile(ask);
    expect(sessionFile).toBe(join(folder, "one.jsonl"));
    expect(sessionStore["a"]).toBe(sessionEntry);
    expect((await place.stored())["a"]).toMatchObject({ sessionFile, label: "kept", sessionId: "one" });
    const version = await place.version();
    expect((await resolveAndPersistSessionFile(ask)).sessionFile).toBe(sessionFile);
    expect(await place.version()).toBe(version);
  });

  it("another id is another file, and began now", async () => {
    const place = await gatewayFolder(backend, {
      a: session(1, { sessionId: "one", sessionFile: "one.jsonl", sessionStartedAt: 1 }),
    });
    const sessionStore = await place.stored();
    const ask = { sessionKey: "a", sessionStore, storePath: place.storePath };
    const next = await resolveAndPersistSessionFile({
      ...ask,
      sessionId: "two",
      fallbackSessionFile: "kept.jsonl",
    });
    expect(next.sessionFile).toBe(join(place.folder, "kept.jsonl"));
    const { a } = await place.stored();
    expect(a).toMatchObject({ sessionId: "two", sessionFile: next.sessionFile });
    expect(a!.sessionStartedAt).toBeGreaterThan(1);
  });
});

it.each(["../other.jsonl", "/etc/passwd", "."])("does not follow %s", async (sessionFile) => {
  const place = await gatewayFolder("directory", { a: session(1, { sessionId: "one", sessionFile }) });
  const ask = {
    sessionId: "one",
    sessionKey: "a",
    sessionStore: await place.stored(),
    storePath: place.storePath,
  };
  expect((await resolveAndPersistSessionFile(ask)).sessionFile).toBe(join(place.folder, "one.jsonl"));
});

it("takes the folder by any of its names, and refuses an id that is a path", async () => {
  const place = await gatewayFolder("directory");
  const link = `${place.folder}-link`;
  symlinkSync(place.folder, link);
  const sessionStore = { a: session(1, { sessionId: "one", sessionFile: join(link, "x.jsonl") }) };
  const ask = { sessionId: "one", sessionKey: "a", sessionStore, storePath: place.storePath };
  expect((await resolveAndPersistSessionFile(ask)).sessionFile).toBe(join(place.folder, "x.jsonl"));
  await expect(resolveAndPersistSessionFile({ ...ask, sessionId: "../x" })).rejects.toThrow(TypeError);
});
