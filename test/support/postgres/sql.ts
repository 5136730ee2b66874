/** A connection of a test's own, for what a person does beside the store. */
import pg from "pg";

export type SqlCall = (text: string, values?: unknown[]) => Promise<Record<string, unknown>[]>;

export async function connected<R>(url: string, use: (sql: SqlCall) => Promise<R>): Promise<R> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    return await use(
      async (text, values) => (await client.query<Record<string, unknown>>(text, values)).rows,
    );
  } finally {
    await client.end();
  }
}
