/** A way to a server that can be cut, made slow, or go silent without a word: both ends believe that the other one is there. */
import { once } from "node:events";
import { connect, createServer, type Socket } from "node:net";

export interface Proxy {
  readonly port: number;
  /** Ends every connection. */
  cut(): void;
  /** From now on nothing passes, and nobody is told; new connections are taken and get no answer either. */
  silence(): void;
  /** Each piece waits so long. */
  delay(ms: number): void;
  /** New connections pass again. Those that were silenced stay so. */
  heal(): void;
  close(): Promise<void>;
}

export async function startProxy(target: number): Promise<Proxy> {
  const pairs = new Set<{ readonly ends: readonly Socket[]; silent: boolean }>();
  let silent = false;
  let delayMs = 0;
  const server = createServer((client) => {
    const upstream = connect(target, "127.0.0.1");
    const pair = { ends: [client, upstream], silent };
    pairs.add(pair);
    const pass = (from: Socket, to: Socket): void => {
      from.on("data", (piece) => {
        if (pair.silent) return;
        if (delayMs === 0) to.write(piece);
        else setTimeout(() => to.writable && !pair.silent && to.write(piece), delayMs);
      });
      from.on("error", () => {});
      from.on("close", () => {
        pairs.delete(pair);
        if (!pair.silent) to.destroy();
      });
    };
    pass(client, upstream);
    pass(upstream, client);
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  const destroyAll = (): void => {
    for (const { ends } of pairs) for (const end of ends) end.destroy();
  };
  return {
    port: typeof address === "object" && address !== null ? address.port : 0,
    cut: destroyAll,
    silence: () => {
      silent = true;
      for (const pair of pairs) pair.silent = true;
    },
    delay: (ms) => (delayMs = ms),
    heal: () => {
      silent = false;
      delayMs = 0;
    },
    close: async () => {
      destroyAll();
      server.close();
      await once(server, "close");
    },
  };
}
