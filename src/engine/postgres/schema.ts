/**
 * The tables, as numbered steps, and how they come into being: safely when many replicas begin at once, or by hand, from the
 * SQL that {@link schemaSql} gives.
 *
 * Nothing here, and nothing that reads these tables, needs a sequence, a trigger, a function, an advisory lock or LISTEN.
 * Names are in a schema of their own; several stores share the tables and are told apart by a number.
 */
import { SessionStoreError } from "../../errors.js";
import type { Rows, Sql } from "./sql.js";

/** Version of the tables that this program writes. */
export const SCHEMA_VERSION = 1;
/** A lower-case name that needs no quotes. */
const SCHEMA_NAME = /^[a-z_][a-z0-9_]{0,62}$/;

/** @throws `TypeError` */
export function assertSchemaName(name: string): void {
  if (SCHEMA_NAME.test(name)) return;
  throw new TypeError(
    `options.schema must be a name of lower-case letters, digits and underscores, not ${JSON.stringify(name)}`,
  );
}

/** The steps, oldest first. A step is never changed once it was released: what changes is a further step. */
const STEPS: readonly ((schema: string) => readonly string[])[] = [
  (schema) => [
    `create table if not exists ${schema}.store (
  id integer primary key,
  name text collate "C" not null unique,
  history text not null,
  rev bigint not null,
  floor bigint not null,
  created_at bigint not null
) with (fillfactor = 10)`,
    `create table if not exists ${schema}.session (
  store integer not null,
  key text collate "C" not null,
  rev bigint not null,
  present boolean not null,
  updated_at double precision not null,
  modified_at bigint not null,
  primary key (store, key)
)`,
    `create index if not exists session_by_time on ${schema}.session (store, updated_at, key) where present`,
    `create table if not exists ${schema}.log (
  store integer not null,
  rev bigint not null,
  ord integer not null,
  key text collate "C" not null,
  kind text not null,
  base bigint not null,
  batch text not null,
  time bigint not null,
  val text,
  refs text,
  primary key (store, rev, ord)
)`,
    `create table if not exists ${schema}.value (
  store integer not null,
  hash text collate "C" not null,
  val text not null,
  primary key (store, hash)
)`,
    `create table if not exists ${schema}.value_use (
  store integer not null,
  hash text collate "C" not null,
  rev bigint not null,
  key text collate "C" not null,
  primary key (store, hash, rev, key)
)`,
    `create index if not exists value_use_by_rev on ${schema}.value_use (store, rev)`,
    `create table if not exists ${schema}.transcript (
  store integer not null,
  key text collate "C" not null,
  name text collate "C" not null,
  since bigint not null,
  ord integer not null,
  low bigint not null,
  last bigint not null,
  length bigint not null,
  cut bigint not null,
  primary key (store, key, name)
)`,
    `create table if not exists ${schema}.item (
  store integer not null,
  since bigint not null,
  ord integer not null,
  seq bigint not null,
  id text collate "C",
  rev bigint not null,
  time bigint not null,
  val text not null,
  primary key (store, since, ord, seq)
)`,
    `create unique index if not exists item_by_id on ${schema}.item (store, since, ord, id) where id is not null`,
    `create table if not exists ${schema}.operation (
  store integer not null,
  id text collate "C" not null,
  hash text not null,
  rev bigint not null,
  primary key (store, id)
)`,
    `create index if not exists operation_by_rev on ${schema}.operation (store, rev)`,
    `create table if not exists ${schema}.sweep (
  store integer primary key,
  log bigint not null
)`,
    `create table if not exists ${schema}.garbage (
  store integer not null,
  since bigint not null,
  ord integer not null,
  primary key (store, since, ord)
)`,
  ],
];

/** All that has to be run on an empty database, in order, for whoever does it by hand. */
export function schemaSql(schema: string): string {
  assertSchemaName(schema);
  const statements = [
    `create schema if not exists ${schema}`,
    versionTable(schema),
    ...STEPS.flatMap((step) => step(schema)),
    insertVersion(schema),
  ];
  return statements.map((statement) => `${statement};\n`).join("\n");
}

/** `writers`: the version that a program must know at least to write; what a newer program adds may be harmless to older ones. */
function versionTable(schema: string): string {
  return `create table if not exists ${schema}.version (
  one integer primary key check (one = 1),
  version integer not null,
  writers integer not null
)`;
}

function insertVersion(schema: string): string {
  return (
    `insert into ${schema}.version (one, version, writers) values (1, ${SCHEMA_VERSION}, ${SCHEMA_VERSION}) ` +
    "on conflict (one) do nothing"
  );
}

export interface FoundSchema {
  readonly version: number;
  readonly writers: number;
}

/** Undefined: the tables are not there. */
export async function findSchema(sql: Sql, schema: string): Promise<FoundSchema | undefined> {
  let rows: Rows;
  try {
    rows = await sql.query(`select version, writers from ${schema}.version where one = 1`);
  } catch (error) {
    if (isMissingTable(error)) return undefined;
    throw error;
  }
  const [row] = rows;
  return row && { version: Number(row["version"]), writers: Number(row["writers"]) };
}

/** Others that do the same at the same moment make some statements fail; the next attempt finds what they made. */
const ATTEMPTS_MAX = 20;

/** Makes what is missing. */
export async function installSchema(
  sql: Sql,
  schema: string,
  pause: (ms: number) => Promise<void>,
): Promise<void> {
  for (let attempt = 1; ; attempt++) {
    try {
      for (const statement of schemaSql(schema)
        .split(";\n")
        .filter((text) => text.trim() !== ""))
        await sql.query(statement);
      return;
    } catch (error) {
      if (attempt === ATTEMPTS_MAX || !isMadeByOthers(error)) throw error;
      await pause(10 * attempt);
    }
  }
}

/** @throws `format_unsupported` for a program that is too old. */
export function assertSchema({ version, writers }: FoundSchema, schema: string, readOnly: boolean): void {
  if (writers <= SCHEMA_VERSION || (readOnly && version <= SCHEMA_VERSION)) return;
  throw new SessionStoreError(
    "format_unsupported",
    `the tables in schema ${schema} have version ${version}, to which only programs that know version ${writers} may write; ` +
      `this one knows version ${SCHEMA_VERSION}. Update sessiondir.`,
    { data: { schema, found: version, supported: SCHEMA_VERSION } },
  );
}

const UNDEFINED_TABLE = "42P01";
const INVALID_SCHEMA = "3F000";

export function isMissingTable(error: unknown): boolean {
  return [UNDEFINED_TABLE, INVALID_SCHEMA].includes(sqlStateOf(error) ?? "");
}

/** unique_violation, duplicate_object, duplicate_table, duplicate_schema, "tuple concurrently updated". */
const MADE_BY_OTHERS: ReadonlySet<string> = new Set([
  "23505",
  "42710",
  "42P07",
  "42P06",
  "XX000",
  "40001",
  "40P01",
]);

function isMadeByOthers(error: unknown): boolean {
  return MADE_BY_OTHERS.has(sqlStateOf(error) ?? "");
}

/** Five characters that say what a database refused; undefined for any other error. */
export function sqlStateOf(error: unknown): string | undefined {
  const { code } = (error ?? {}) as { code?: unknown };
  return typeof code === "string" && /^[0-9A-Z]{5}$/.test(code) && !/^E[A-Z]+$/.test(code) ? code : undefined;
}
