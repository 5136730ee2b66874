/**
 * Goal: a migration that nobody asked for at that moment is never an outage: where it fails, the file goes on being used, and the
 * owner hears the reason once.
 * Method: folders that others may write, and files that no store can be made of, with both automatic settings.
 */
import { chmodSync, readdirSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { PostponedMigrations } from "../../../src/openclaw/access/postponed-migrations.js";
import {
  closeSessionStores,
  configureSessionStores,
  updateLastRoute,
  updateSessionStore,
} from "../../../src/openclaw/index.js";
import { ManualRuntime } from "../../../src/testing/manual-runtime.js";
import { gatewayFolder, hasFile, loaded, session } from "../support/gateway-folder.js";

describe.each(["on-write", "on-open"] as const)("migrate: %s", (migrate) => {
  const listen = (): string[] => {
    const codes: string[] = [];
    configureSessionStores({
      migrate,
      onWarning: ({ code, data }) => codes.push(`${code} ${String((data as { code?: string }).code)}`),
    });
    return codes;
  };

  it("in a folder that others may write goes on with the file, and says why once", async () => {
    const { folder, storePath } = await gatewayFolder("legacy file", { a: session(1) });
    const codes = listen();
    chmodSync(folder, 0o777);
    await updateLastRoute({ storePath, sessionKey: "a", channel: "slack", to: "C" });
    await updateSessionStore(storePath, (store) => void (store["b"] = session(2)));
    expect(loaded(storePath)).toMatchObject({ a: { lastTo: "C" }, b: session(2) });
    expect(readdirSync(folder)).toEqual(["sessions.json"]);
    expect(codes).toEqual(["migration_postponed path_untrusted"]);
    chmodSync(folder, 0o700);
    await closeSessionStores();
    await updateLastRoute({ storePath, sessionKey: "a", channel: "slack", to: "D" });
    expect(readdirSync(folder)).toContain("sessions.d");
    expect(loaded(storePath)).toMatchObject({ a: { lastTo: "D" }, b: session(2) });
  });

  it("in a folder that the group may write is done where the group is trusted", async () => {
    const { folder, storePath } = await gatewayFolder("legacy file", { a: session(1) });
    configureSessionStores({ migrate, trust: "group" });
    chmodSync(folder, 0o770);
    await updateLastRoute({ storePath, sessionKey: "a", channel: "slack", to: "C" });
    expect(readdirSync(folder)).toContain("sessions.d");
    expect(loaded(storePath)).toMatchObject({ a: { lastTo: "C" } });
    await closeSessionStores();
    configureSessionStores({ trust: undefined });
    expect(() => loaded(storePath)).toThrow(expect.objectContaining({ code: "path_untrusted" }));
  });

  it("of a file with nothing but nulls goes on with the file", async () => {
    const place = await gatewayFolder("legacy file", { k: null });
    const codes = listen();
    const { storePath } = place;
    await updateLastRoute({ storePath, sessionKey: "a", channel: "slack", to: "C" });
    await updateLastRoute({ storePath, sessionKey: "k", channel: "slack", to: "D" });
    expect(await place.stored()).toMatchObject({ a: { lastTo: "C" }, k: { lastTo: "D" } });
    expect(hasFile(place, "sessions.d")).toBe(false);
    expect(codes).toEqual(["migration_postponed legacy_invalid"]);
  });
});

it("is tried again after a while, and another reason is told again", () => {
  const runtime = new ManualRuntime();
  const postponed = new PostponedMigrations(runtime);
  const messages: string[] = [];
  const fail = (reason: string): void =>
    postponed.add("/x/sessions.json", new Error(reason), ({ message }) => messages.push(message));
  expect(postponed.covers("/x/sessions.json")).toBe(false);
  fail("one");
  expect(postponed.covers("/x/sessions.json")).toBe(true);
  expect(postponed.covers("/y/sessions.json")).toBe(false);
  runtime.advance(10 * 60_000);
  expect(postponed.covers("/x/sessions.json")).toBe(false);
  fail("one");
  fail("two");
  expect(messages).toEqual([expect.stringContaining("one"), expect.stringContaining("two")]);
});
