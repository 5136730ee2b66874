/** `sessiondir/postgres`: the same store over PostgreSQL, for gateways on several hosts. */
export { openPostgresStore } from "./open-postgres-store.js";
export type { PostgresStoreOptions } from "./open-postgres-store.js";
export { SCHEMA_VERSION, schemaSql } from "../engine/postgres/schema.js";
