/**
 * Hints of one process to the others that something was committed, so that they look at once.
 *
 * They are sent after a commit and outside of it, by statements of their own: NOTIFY within a transaction would have all commits of the
 * server wait for each other. They are heard on a connection that does nothing else. A hint that is lost costs time
 * and nothing more: whoever waits also looks every `pollMs`.
 *
 * A connection that died without a word would never bring a hint again and look well all the time, so it is asked now and then.
 */
import type { Client } from "pg";
import type { Runtime, Timer } from "../../runtime.js";
import { sqlStateOf } from "./schema.js";
import { isTransient, type Server } from "./server.js";
import type { Place } from "./place.js";

export interface HintsOptions {
  readonly server: Server;
  readonly place: Place;
  readonly runtime: Runtime;
  /** Another process has committed something. */
  readonly onHint: () => void;
}

/** Commits that come sooner share a hint. */
const BETWEEN_MS = 25;
const HEARTBEAT_MS = 10_000;
const HEARTBEAT_MS_MAX = 5000;
const AGAIN_MS = 1000;

export class Hints {
  readonly #channel: string;
  /** Tells its own hints from those of others. */
  readonly #self: string;
  #pause: Timer | undefined;
  #due = false;
  #sending: Promise<unknown> | undefined;
  #isListening = false;
  #client: Client | undefined;
  #timer: Timer | undefined;
  #closed = false;

  constructor(private readonly options: HintsOptions) {
    this.#channel = `sessiondir_${options.place.history}`;
    this.#self = options.runtime.randomName(8);
  }

  /** Something was committed. */
  send(): void {
    this.#due = true;
    if (this.#pause !== undefined || this.#sending !== undefined || this.#closed) return;
    this.#due = false;
    // Nobody waits for the disk of the server because of a hint.
    const sent = this.options.server.query(
      "select set_config('synchronous_commit', 'off', true), pg_notify($1, $2)",
      [this.#channel, this.#self],
    );
    const over = (): void => {
      this.#sending = undefined;
      if (this.#closed) return;
      this.#pause = this.options.runtime.setTimer(() => {
        this.#pause = undefined;
        if (this.#due) this.send();
      }, BETWEEN_MS);
    };
    this.#sending = sent.then(over, over);
  }

  /** From now on others' hints are heard. */
  listen(): void {
    if (this.#closed || this.#isListening) return;
    this.#isListening = true;
    void this.#listen();
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#pause?.cancel();
    this.#timer?.cancel();
    await this.#sending;
    // One that is being made ends when it is there: a server that does not answer holds nobody up.
    await this.#client?.end().catch(() => {});
  }

  async #listen(): Promise<void> {
    const { server, onHint } = this.options;
    let client: Client | undefined;
    try {
      client = await server.connectAlone();
      if (this.#closed) return await client.end();
      const lost = (): void => this.#lost(client);
      client.on("error", lost);
      client.on("end", lost);
      client.on("notification", ({ payload }) => {
        if (payload !== this.#self) onHint();
      });
      await client.query(`listen ${this.#channel}`);
      this.#client = client;
      this.#beat(client);
      onHint(); // what was committed before anybody listened
    } catch (error) {
      await client?.end().catch(() => {});
      // A server that knows no LISTEN, or a standby, is asked once.
      if (sqlStateOf(error) === undefined || isTransient(error)) this.#again();
    }
  }

  #beat(client: Client): void {
    this.#timer = this.options.runtime.setTimer(() => {
      const asked = client.query({ text: "select 1", query_timeout: HEARTBEAT_MS_MAX } as { text: string });
      asked.then(
        () => this.#client === client && this.#beat(client),
        () => this.#lost(client),
      );
    }, HEARTBEAT_MS);
  }

  #lost(client: Client | undefined): void {
    if (client === undefined || this.#client !== client) return;
    this.#client = undefined;
    this.#timer?.cancel();
    client.end().catch(() => {});
    this.#again();
  }

  #again(): void {
    if (this.#closed) return;
    this.#timer = this.options.runtime.setTimer(() => {
      this.#isListening = false;
      this.listen();
    }, AGAIN_MS);
  }
}
