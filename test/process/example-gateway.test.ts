/**
 * Goal: the example gateway is what it says: several workers, one store, and a killed worker loses nothing.
 * Method: the real programs. Webhooks at the same time, a worker killed in the middle, the store read past the gateway.
 */
import { spawn, spawnSync, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { expect, it, onTestFinished } from "vitest";
import { openDirectoryStore } from "../../src/store/open.js";
import { deliver, someMessages } from "../../examples/gateway/channel.mjs";
import { temporaryFolder } from "./support/temporary-folder.js";

const program = (name: string): string =>
  fileURLToPath(new URL(`../../examples/gateway/${name}`, import.meta.url));

interface Turns {
  readonly turns?: number;
  readonly answered?: readonly { readonly id: string; readonly turn: number }[];
  readonly lastChannel?: string;
  readonly lastTo?: string;
}

class Gateway {
  readonly lines: string[] = [];
  readonly ended: Promise<unknown[]>;
  readonly #process: ChildProcess;
  readonly #heard = new Set<() => void>();

  constructor(stateDir: string) {
    this.#process = spawn(process.execPath, [program("gateway.mjs"), "--state-dir", stateDir], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    this.ended = once(this.#process, "exit");
    onTestFinished(async () => {
      this.#process.kill("SIGKILL"); // its workers end with it
      await this.ended;
    });
    if (this.#process.stdout === null) throw new Error("no output");
    createInterface({ input: this.#process.stdout }).on("line", (line) => {
      this.lines.push(line);
      for (const listener of this.#heard) listener();
    });
  }

  /** What the pattern finds in so many lines, as soon as they are there. */
  async said(pattern: RegExp, count = 1): Promise<string[]> {
    for (;;) {
      const found = this.lines.flatMap((line) => pattern.exec(line)?.[1] ?? []);
      if (found.length >= count) return found;
      await new Promise<void>((resolve, reject) => {
        const listener = (): void => {
          this.#heard.delete(listener);
          resolve();
        };
        this.#heard.add(listener);
        void this.ended.then(() => reject(new Error(`the gateway ended: ${this.lines.join("; ")}`)));
      });
    }
  }

  async stop(): Promise<unknown> {
    this.#process.kill("SIGTERM");
    const [code] = await this.ended;
    return code;
  }
}

it("a worker that is killed in the middle loses nothing, and another one takes its place", async () => {
  const stateDir = temporaryFolder();
  const sessions = join(stateDir, "agents", "main", "sessions");
  mkdirSync(sessions, { recursive: true });
  writeFileSync(
    join(sessions, "sessions.json"),
    '{"Agent:Main:Main":{"sessionId":"old","updatedAt":1795200000000}}',
  );
  const gateway = new Gateway(stateDir);
  const ready = /is ready, process (\d+)/;
  await gateway.said(ready, 3);
  const [url = ""] = await gateway.said(/^listening on (\S+)/);

  const messages = someMessages(300);
  let killed = 0;
  const { answers, repeated } = await deliver(url, [...messages, ...messages.slice(0, 50)], {
    onAnswer({ process: worker }, answered) {
      if (answered < 80 || killed !== 0) return;
      killed = worker;
      process.kill(worker, "SIGKILL");
    },
  });
  const workers = await gateway.said(ready, 4);
  expect(workers).toContain(String(killed));
  expect(gateway.lines.join("\n")).toContain("SIGKILL");
  expect(repeated).toBeGreaterThan(0);
  const listed = (await (await fetch(`${url}/sessions`)).json()) as { key: string }[];
  expect(listed.map(({ key }) => key)).toContain("agent:main:telegram:group:everybody");
  expect(await gateway.stop()).toBe(0);

  // Read past the gateway and its functions: each acknowledged message exactly once, at the turn that was answered.
  await using store = await openDirectoryStore<Turns>(join(sessions, "sessions.d"), { readOnly: true });
  const found = new Map<string, string>();
  let turns = 0;
  for (const { key, entry } of (await store.list()).sessions) {
    turns += entry.turns ?? 0;
    for (const { id, turn } of entry.answered ?? []) {
      expect(found.has(id)).toBe(false);
      found.set(id, `${key} ${turn}`);
    }
  }
  expect(turns).toBe(300);
  expect(found.size).toBe(300);
  for (const [id, { session, turn }] of answers) expect(found.get(id)).toBe(`${session} ${turn}`);
  expect(await store.get("agent:main:main")).toMatchObject({ sessionId: "old" });
  expect(await store.get("agent:main:telegram:group:everybody")).toMatchObject({
    lastChannel: "telegram",
    lastTo: "everybody",
  });
});

it("what is no message is refused, and the gateway goes on", async () => {
  const gateway = new Gateway(temporaryFolder());
  const [url = ""] = await gateway.said(/^listening on (\S+)/);
  const post = async (body: string): Promise<number> =>
    (await fetch(`${url}/webhook`, { method: "POST", body })).status;
  expect(await post("{")).toBe(400);
  expect(await post("null")).toBe(400);
  expect(await post('{"channel":"../x","from":"a","id":"1","text":"t"}')).toBe(400);
  expect(await post('{"channel":"telegram","from":"a","id":"1"}')).toBe(400);
  expect(await post("x".repeat(70_000))).toBe(413);
  expect((await fetch(`${url}/webhook`)).status).toBe(404);
  expect(await post('{"channel":"telegram","from":"a","id":"1","text":"t"}')).toBe(200);
  expect(await gateway.stop()).toBe(0);
});

it("npm run example:gateway finds it right", () => {
  const { status, stdout, stderr } = spawnSync(process.execPath, [program("try.mjs")], { encoding: "utf8" });
  expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
  expect(stdout).toContain("nothing was lost, nothing was counted twice");
});
