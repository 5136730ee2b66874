/**
 * Goal: connection services mean what they mean to libpq, and passwords go no further than the driver.
 * Method: files of services, and the URL that comes of them.
 */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { hostsOf, namesOfHosts } from "../../src/postgres/hosts.js";
import { withoutPasswords } from "../../src/postgres/secrets.js";
import { withService } from "../../src/postgres/service-file.js";

const folder = mkdtempSync(join(tmpdir(), "sessiondir-service-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
const PGSERVICEFILE = join(folder, "services.conf");
writeFileSync(
  PGSERVICEFILE,
  "# ours\n[other]\nhost=elsewhere\n\n[agents]\nhost=db1,db2\nport=5433\ndbname=the agents\nuser=gate@way\n" +
    "password=p:w/%=\nsslmode=require\n[pair]\nhost=a,::1\nport=1,2\n[socket]\nhost=/run/postgresql\ndbname=x\nport=6000\n[bad]\nsecret\n",
);
const env = { PGSERVICEFILE, PGSERVICE: "agents" };

describe("a connection service", () => {
  it("of the environment says all that the URL does not", () => {
    const url = "postgres://gate%40way:p%3Aw%2F%25%3D@db1:5433,db2:5433/the%20agents?sslmode=require";
    expect(withService(undefined, env)).toBe(url);
    expect(hostsOf(url)).toHaveLength(2);
    expect(namesOfHosts(url)).toBe("db1:5433,db2:5433");
  });
  it("says nothing where the URL does", () => {
    expect(withService("postgres://me:mine@here:1/that?sslmode=disable", env)).toBe(
      "postgres://me:mine@here:1/that?sslmode=disable",
    );
    expect(withService("postgresql://me@/", env)).toMatch(/^postgresql:\/\/me:p%3Aw%2F%25%3D@db1/);
  });
  it("is named in the URL, in front of that of the environment", () => {
    expect(withService("postgres://?service=pair&x=1", env)).toBe("postgres://a:1,[::1]:2/?x=1");
    expect(withService("postgres:///?service=socket", env)).toBe(
      "postgres:///x?host=%2Frun%2Fpostgresql&port=6000",
    );
  });
  it("is not needed", () => {
    expect(withService(undefined, {})).toBeUndefined();
    expect(withService("postgres://h/d", { PGSERVICE: "" })).toBe("postgres://h/d");
  });
  it("that is not there, and a file that is none, are told without what is in it", () => {
    expect(() => withService("postgres://?service=none", env)).toThrow(TypeError);
    expect(() => withService("postgres://?service=none", env)).toThrow(PGSERVICEFILE);
    expect(() => withService("postgres://?service=bad", env)).toThrow(/line 20 of/);
    expect(() => withService("postgres://?service=bad", env)).not.toThrow(/secret/);
    expect(() => withService("postgres://", { PGSERVICE: "x", HOME: folder })).toThrow(".pg_service.conf");
  });
});

describe("what is shown", () => {
  it.each([
    ["postgres://u:secret@h:5432/db", "postgres://u@h:5432/db"],
    ['said "postgresql://u:se\'cr"et@h/db" of it', 'said "postgresql://u@h/db" of it'],
    ["--stor=postgres://u:se/cr?et@h/db", "--stor=postgres://u@h/db"],
    ["postgres://h/db?password=secret&x=1", "postgres://h/db?password=***&x=1"],
    ["postgres://h:5432/db is a@b", "postgres://h:5432/db is a@b"],
    ["https://u:kept@h/", "https://u:kept@h/"],
  ])("%s", (text, shown) => expect(withoutPasswords(text)).toBe(shown));
});
