/** Connections of a test: it counts what is sent on them, and can keep an answer back. */
import pg from "pg";

export interface WatchedPool {
  readonly pool: pg.Pool;
  /** Texts of the statements that were sent, but for those that only look at the connection. */
  readonly sent: string[];
  /** About how long each of these was with its values. */
  readonly bytes: number[];
  /** The answer to the next statement whose text fits is kept back until the function is called. */
  holdNext(text: RegExp): { readonly there: Promise<void>; readonly release: () => void };
  /** Runs before the next statement whose text fits is sent. */
  beforeNext(text: RegExp, run: () => Promise<unknown>): void;
  end(): Promise<void>;
}

interface Sent {
  readonly text: string;
  readonly values: readonly unknown[];
}

export function watchedPool(connectionString: string, max = 3): WatchedPool {
  const pool = new pg.Pool({ connectionString, max });
  const sent: string[] = [];
  const bytes: number[] = [];
  const seen = new WeakSet<object>();
  let held: { text: RegExp; there: () => void; released: Promise<void> } | undefined;
  let before: { text: RegExp; run: () => Promise<unknown> } | undefined;
  pool.on("acquire", (client) => {
    if (seen.has(client)) return;
    seen.add(client);
    const query = client.query.bind(client) as (...given: unknown[]) => Promise<unknown>;
    const watched = async (config: Sent, ...more: unknown[]): Promise<unknown> => {
      if (typeof config !== "object" || more.length > 0) return query(config, ...more); // the test's own
      if (!config.text.includes("pg_backend_pid")) {
        sent.push(config.text);
        bytes.push(JSON.stringify(config.values).length);
      }
      if (before?.text.test(config.text) === true) {
        const { run } = before;
        before = undefined;
        await run();
      }
      const holding = held?.text.test(config.text) === true ? held : undefined;
      if (holding !== undefined) held = undefined;
      const answer = await query(config);
      holding?.there();
      await holding?.released;
      return answer;
    };
    Object.assign(client, { query: watched });
  });
  return {
    pool,
    sent,
    bytes,
    holdNext: (text) => {
      let release!: () => void;
      let there!: () => void;
      const released = new Promise<void>((resolve) => (release = resolve));
      const answered = new Promise<void>((resolve) => (there = resolve));
      held = { text, there, released };
      return { there: answered, release };
    },
    beforeNext: (text, run) => void (before = { text, run }),
    end: () => pool.end(),
  };
}
