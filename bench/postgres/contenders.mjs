// @ts-check
/**
 * Who is measured: a compare-and-swap on one row by hand, which is the floor; sessiondir; and `@keyv/postgres`, which has no
 * compare-and-swap: its update reads and writes over whatever is there then.
 */
import { createHash } from "node:crypto";

/** @typedef {{ n: number, updatedAt: number, text: string }} Entry */
/**
 * @typedef {object} Contender
 * @property {string} name
 * @property {(key: string) => Promise<unknown>} get
 * @property {(key: string) => Promise<unknown>} update
 * @property {(() => Promise<number>) | undefined} list The 50 newest; their number.
 * @property {((key: string) => Promise<unknown>) | undefined} getWithin What was right within the last second.
 * @property {(entries: readonly [string, Entry][]) => Promise<void>} fill
 * @property {() => Promise<void>} close
 */

/**
 * Their types would bring those of Node to every script that the linter looks at.
 * @param {string} name
 * @returns {Promise<any>}
 */
export function load(name) {
  return import(name);
}

/** About 2 KB. @param {number} n @returns {Entry} */
export function entryOf(n) {
  let text = "";
  for (let i = 0; text.length < 1900; i++) text += createHash("sha256").update(`${n} ${i}`).digest("base64");
  return { n: 0, updatedAt: 1_700_000_000_000 + n, text };
}

/** @param {string} name @param {string} url @returns {Promise<Contender>} */
export async function contender(name, url) {
  switch (name) {
    case "bare":
      return bare(url);
    case "sessiondir":
      return sessiondir(url);
    default:
      return keyv(url);
  }
}

/** @param {string} url @returns {Promise<Contender>} */
async function bare(url) {
  const { default: pg } = await load("pg");
  const pool = new pg.Pool({ connectionString: url, max: 32 });
  await pool
    .query(
      `create table if not exists bare (key text collate "C" primary key, rev bigint not null, updated_at float8 not null, val text not null);
create index if not exists bare_by_time on bare (updated_at, key)`,
    )
    .catch(() => {}); // another process makes it
  /** What this process knows of each row. @type {Map<string, { rev: number, entry: Entry }>} */
  const known = new Map();
  /** @param {string} key */
  const read = async (key) => {
    const query = { name: "get", text: "select rev, val from bare where key = $1", values: [key] };
    const { rows } = await pool.query(query);
    const found = { rev: Number(rows[0]?.rev), entry: /** @type {Entry} */ (JSON.parse(rows[0]?.val)) };
    known.set(key, found);
    return found;
  };
  return {
    name: "bare",
    get: read,
    async update(key) {
      for (;;) {
        const { rev, entry } = known.get(key) ?? (await read(key));
        const next = { ...entry, n: entry.n + 1 };
        const text = "update bare set rev = rev + 1, updated_at = $3, val = $4 where key = $1 and rev = $2";
        const values = [key, rev, next.updatedAt, JSON.stringify(next)];
        const { rowCount } = await pool.query({ name: "cas", text, values });
        if (rowCount === 1) return known.set(key, { rev: rev + 1, entry: next });
        known.delete(key);
      }
    },
    async list() {
      const text = "select key, rev, val from bare order by updated_at desc, key desc limit 50";
      const { rows } = await pool.query({ name: "list", text });
      return rows.map(({ val }) => /** @type {Entry} */ (JSON.parse(val))).length;
    },
    getWithin: undefined,
    async fill(entries) {
      for (let from = 0; from < entries.length; from += 1000) {
        const part = entries.slice(from, from + 1000);
        await pool.query(
          "insert into bare select k, 1, t, v from unnest($1::text[], $2::float8[], $3::text[]) as i(k, t, v) on conflict (key) do nothing",
          [
            part.map(([key]) => key),
            part.map(([, { updatedAt }]) => updatedAt),
            part.map(([, one]) => JSON.stringify(one)),
          ],
        );
      }
      await pool.query("analyze bare");
    },
    close: () => pool.end(),
  };
}

/** @param {string} url @returns {Promise<Contender>} */
async function sessiondir(url) {
  const { openPostgresStore } = await load("../../dist/postgres/index.js");
  const store = await openPostgresStore({ connectionString: url, store: "bench" });
  return {
    name: "sessiondir",
    get: (key) => store.get(key),
    update: (key) => store.update(key, (entry) => ({ ...entry, n: Number(entry?.["n"] ?? 0) + 1 })),
    async list() {
      const { sessions } = await store.list({ orderBy: "updatedAt", descending: true, limit: 50 });
      return sessions.length;
    },
    getWithin: (key) => store.get(key, { staleOkMs: 1000 }),
    async fill(entries) {
      for (let from = 0; from < entries.length; from += 500)
        await Promise.all(entries.slice(from, from + 500).map(([key, entry]) => store.put(key, entry)));
      const { default: pg } = await load("pg");
      const client = new pg.Client({ connectionString: url });
      await client.connect();
      await client.query("analyze sessiondir.session, sessiondir.log"); // as the server does it within a minute
      await client.end();
    },
    close: () => store.close(),
  };
}

/** @param {string} url @returns {Promise<Contender>} */
async function keyv(url) {
  const { Keyv } = await load("keyv");
  const { default: KeyvPostgres } = await load("@keyv/postgres");
  const store = new Keyv({ store: new KeyvPostgres({ uri: url, max: 32 }) });
  return {
    name: "@keyv/postgres",
    get: (key) => store.get(key),
    async update(key) {
      const entry = await store.get(key);
      await store.set(key, { ...entry, n: Number(entry?.n ?? 0) + 1 });
    },
    list: undefined,
    getWithin: undefined,
    async fill(entries) {
      for (let from = 0; from < entries.length; from += 200)
        await Promise.all(entries.slice(from, from + 200).map(([key, entry]) => store.set(key, entry)));
    },
    close: () => store.disconnect(),
  };
}
