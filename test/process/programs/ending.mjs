// @ts-check
/**
 * Ends in one of many ways, most of them in the middle of updates. What was acknowledged is told first.
 */
import { openDirectoryStore } from "sessiondir";
import { argument, onMessage, say } from "./conversation.mjs";

const { path, ending, options } = argument;

const store = await openDirectoryStore(path, options);
let acknowledged = 0;
let enough = () => {};

/** Updates of several sessions at once, for ever. */
function keepUpdating() {
  for (let lane = 0; lane < 8; lane++) {
    (async () => {
      for (;;) {
        await store.update(`session:${lane}`, (/** @type {any} */ entry) => ({
          count: (entry?.count ?? 0) + 1,
        }));
        say({ event: "acknowledged", key: `session:${lane}` });
        if (++acknowledged === 100) enough();
        if (acknowledged % 10 === 0) await new Promise((resolve) => setImmediate(resolve));
      }
    })().catch((error) => say({ event: "refused", code: error.code }));
  }
}

switch (ending) {
  case "process.exit":
    enough = () => process.exit(7);
    keepUpdating();
    break;
  case "uncaught exception":
    enough = () =>
      void setImmediate(() => {
        throw new Error("nobody catches this");
      });
    keepUpdating();
    break;
  case "unhandled rejection":
    enough = () => void Promise.reject(new Error("nobody catches this either"));
    keepUpdating();
    break;
  case "SIGTERM":
    enough = () => say({ event: "busy" });
    keepUpdating();
    break;
  case "SIGTERM with a handler that closes":
    process.on("SIGTERM", () => void store.close().then(() => say({ event: "closed" })));
    enough = () => say({ event: "busy" });
    keepUpdating();
    break;
  case "the end of the program":
    for (let step = 0; step < 20; step++) {
      await store.put(`session:${step % 8}`, { count: 1 + Math.trunc(step / 8) });
      say({ event: "acknowledged", key: `session:${step % 8}` });
    }
    break;
  case "the end of the program, with a watch that nobody awaits":
    store.watch()[Symbol.asyncIterator]();
    await store.put("session:0", { count: 1 });
    say({ event: "acknowledged", key: "session:0" });
    break;
  case "the end of the program, with a loop that was left": {
    const changes = store.watch();
    await store.put("session:0", { count: 1 });
    say({ event: "acknowledged", key: "session:0" });
    for await (const { key } of changes) if (key === "session:0") break;
    break;
  }
  case "an aborted watch": {
    const stop = new AbortController();
    const changes = store.watch({ signal: stop.signal });
    say({ event: "watching" });
    for await (const { key } of changes) {
      say({ event: "change", key });
      if (key === "stop") stop.abort();
    }
    say({ event: "ended" });
    break;
  }
  case "a back-off": {
    const other = await openDirectoryStore(path, options);
    let attempts = 0;
    const record = await store.update("session:0", () => {
      attempts += 1;
      // Somebody else is faster, again and again: a commit that is decided when `put` has returned.
      if (attempts <= 20) void other.put("session:0", { count: -attempts });
      return { count: 1 };
    });
    say({ event: "acknowledged", key: "session:0" });
    say({ event: "updated", attempts, entry: record?.entry });
    break;
  }
  case "a transaction's back-off": {
    const other = await openDirectoryStore(path, options);
    let attempts = 0;
    await store.transact(async (tx) => {
      attempts += 1;
      await tx.get("session:0");
      if (attempts <= 20) void other.put("session:0", { count: -attempts });
      await tx.put("session:0", { count: 1 });
    });
    say({ event: "acknowledged", key: "session:0" });
    say({ event: "updated", attempts, entry: store.getSync("session:0") });
    break;
  }
  case "an aborted back-off": {
    const other = await openDirectoryStore(path, options);
    const stop = new AbortController();
    let attempts = 0;
    const updating = store.update(
      "session:0",
      () => {
        attempts += 1;
        void other.put("session:0", { count: -attempts });
        if (attempts === 20) setImmediate(() => stop.abort(new Error("enough")));
        return { count: 1 };
      },
      { signal: stop.signal },
    );
    await updating.catch((error) => say({ event: "refused", message: error.message }));
    break;
  }
  case "a listing in slices": {
    const { sessions } = await store.list();
    say({ event: "listed", sessions: sessions.length });
    break;
  }
  case "a close": {
    const stopListening = onMessage(() => {});
    await store.put("session:0", { count: 1 });
    say({ event: "acknowledged", key: "session:0" });
    await Promise.all([store.close(), store.close()]);
    stopListening();
    break;
  }
  default:
    throw new Error(`unknown ending ${ending}`);
}
