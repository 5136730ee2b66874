/**
 * A legacy file and the store that it becomes, for tests that interrupt the way from one to the other: which side
 * counts, and whether it is complete.
 */
import {
  closeSync,
  existsSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { openDirectoryStore } from "../../../src/index.js";

export type Action = "migrate" | "rollback";
type Sessions = Record<string, Record<string, unknown>>;

/** What a run says when there was nothing left to do, or when it did it. */
const FINISHED: Record<Action, readonly string[]> = {
  migrate: ["migrated", "merged", "already_directory"],
  rollback: ["rolled_back", "already_legacy"],
};

export class LegacyScene {
  readonly file: string;
  readonly #directory: string;
  #expected: Sessions;

  /** Makes the folder with a durable legacy file in it. */
  constructor(
    readonly folder: string,
    count: number,
  ) {
    this.file = join(folder, "sessions.json");
    this.#directory = join(folder, "sessions.d");
    this.#expected = Object.fromEntries(
      Array.from({ length: count }, (_, index) => [`agent:main:${index}`, someEntry(index)]),
    );
    mkdirSync(folder, { mode: 0o700 });
    writeFileSync(this.file, JSON.stringify(this.#expected, null, 2), { mode: 0o600 });
    for (const path of [this.file, folder, join(folder, "..")]) sync(path);
  }

  /** Changes the store, which has to count at this time: a later rollback must not bring the old file back. */
  async change(): Promise<void> {
    const store = await openDirectoryStore<Record<string, unknown>>(this.#directory);
    const entry = { updatedAt: 2, changed: true };
    await store.put("agent:main:1", entry);
    await store.delete("agent:main:2");
    await store.close();
    const { "agent:main:2": _deleted, ...rest } = this.#expected;
    this.#expected = { ...rest, "agent:main:1": entry };
  }

  /** Which side is authoritative, by the one rule of docs/legacy.md. */
  authority(): "file" | "directory" {
    return existsSync(join(this.#directory, ".store")) ? "directory" : "file";
  }

  /**
   * What is wrong with the side that counts, in words.
   * @param outcome What the interrupted run had said, if it came to that.
   */
  async wrong(action: Action, outcome?: string): Promise<string[]> {
    const authority = this.authority();
    const wrong: string[] = [];
    const after = action === "migrate" ? "directory" : "file";
    if (outcome !== undefined && FINISHED[action].includes(outcome) && authority !== after) {
      wrong.push(`the run said ${outcome}, but the ${authority} counts`);
    }
    if (authority === "file" && !existsSync(this.file)) return [...wrong, "neither side is there"];
    const found = authority === "file" ? this.#readFile() : await this.#readStore();
    if (sorted(found) !== sorted(this.#expected)) {
      const keys = new Set([...Object.keys(found), ...Object.keys(this.#expected)]);
      const differing = [...keys].filter(
        (key) => JSON.stringify(found[key]) !== JSON.stringify(this.#expected[key]),
      );
      wrong.push(`the ${authority} differs in ${differing.slice(0, 5).join(", ")} of ${keys.size}`);
    }
    return wrong;
  }

  /** What is wrong after a run that was left to finish. */
  async wrongAfterAll(action: Action, outcome: unknown): Promise<string[]> {
    const wrong = await this.wrong(action, String(outcome));
    if (!FINISHED[action].includes(String(outcome))) wrong.push(`the run said ${String(outcome)}`);
    const leftovers = readdirSync(this.folder).filter((name) =>
      /building|removing|writing|merging/.test(name),
    );
    if (leftovers.length > 0) wrong.push(`left behind: ${leftovers.join(", ")}`);
    return wrong;
  }

  #readFile(): Sessions {
    return JSON.parse(readFileSync(this.file, "utf8")) as Sessions;
  }

  async #readStore(): Promise<Sessions> {
    const store = await openDirectoryStore<Record<string, unknown>>(this.#directory, { readOnly: true });
    const { sessions } = await store.list();
    const found = sessions.map(
      ({ key, entry }) => [key, JSON.parse(JSON.stringify(entry)) as Record<string, unknown>] as const,
    );
    await store.close();
    return Object.fromEntries(found);
  }
}

function someEntry(index: number): Record<string, unknown> {
  const skillsSnapshot = { prompt: "p".repeat(6000), version: index % 3 };
  return { sessionId: `s-${index}`, updatedAt: 1, skillsSnapshot, text: `é🙂${index}` };
}

function sorted(sessions: Sessions): string {
  return JSON.stringify(Object.entries(sessions).sort(([a], [b]) => (a < b ? -1 : 1)));
}

function sync(path: string): void {
  const descriptor = openSync(path, "r");
  fsyncSync(descriptor);
  closeSync(descriptor);
}
