/** Holds shared values for a transaction that is about to use them: rule 3 of shared-values.ts. */
import type { Place } from "./place.js";
import type { Sql } from "./sql.js";

/**
 * Values that are not there are stored. Rows are locked, and made, in the order of their names, by everybody.
 * @param wanted By name, the JSON.
 * @returns Whether all of them are there, and stay until the transaction is over.
 */
export async function lockValues(
  sql: Sql,
  { schema, store }: Place,
  wanted: ReadonlyMap<string, () => string>,
): Promise<boolean> {
  if (wanted.size === 0) return true;
  const lock = async (hashes: readonly string[]): Promise<ReadonlySet<string>> => {
    const rows = await sql.query(
      `select hash from ${schema}.value where store = $1 and hash = any($2::text[]) order by hash for key share`,
      [store, hashes],
    );
    return new Set(rows.map(({ hash }) => String(hash)));
  };
  const hashes = [...wanted.keys()].sort();
  const there = await lock(hashes);
  const lacking = hashes.filter((hash) => !there.has(hash));
  if (lacking.length === 0) return true;
  const stored = sql.query(
    `insert into ${schema}.value (store, hash, val)
select $1, i.hash, i.val from unnest($2::text[], $3::text[]) as i(hash, val) order by i.hash on conflict do nothing`,
    [store, lacking, lacking.map((hash) => wanted.get(hash)?.() ?? "")],
  );
  const [locked] = await Promise.all([lock(lacking), stored]);
  return locked.size === lacking.length;
}
