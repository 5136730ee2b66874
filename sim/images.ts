/**
 * The disks that schedules start from, made once: most schedules need not see a store being made. Each comes with what
 * the oracle knows of it.
 */
import { SimulatedDisk } from "../src/testing/simulated/disk.js";
import { seededRandom } from "../src/testing/seeded-random.js";
import { Oracle, TOTAL, FROM, TO, type Commit } from "./oracle.js";
import { SimulatedProcess, type Store } from "./process.js";

export interface Image {
  readonly disk: SimulatedDisk;
  readonly history: readonly Commit[];
}

interface Making {
  readonly disk: SimulatedDisk;
  readonly oracle: Oracle;
  readonly open: (
    segmentBytes?: number,
  ) => Promise<{ readonly process: SimulatedProcess; readonly store: Store }>;
}

const FILLER = "y".repeat(120);

const RECIPES: readonly ((making: Making) => Promise<void>)[] = [
  // No store at all: it is made in the schedule. Rarely, for that takes many calls.
  async () => {},
  async ({ open }) => {
    const { process, store } = await open();
    await begin(store);
    process.fs.kill();
  },
  async ({ open }) => {
    const { process, store } = await open();
    await begin(store);
    await fill(store, ["a", "b", "c"]);
    await say(store, "a", 9);
    await store.checkpoint();
    process.fs.kill();
  },
  async ({ open }) => {
    const { process, store } = await open();
    await begin(store);
    await fill(store, ["a", "b"]);
    await store.checkpoint();
    await fill(store, ["b", "c"]);
    await store.delete("a");
    await say(store, "b", 3);
    process.fs.kill();
  },
  // A sealed segment that nobody has checkpointed.
  async ({ open }) => {
    const { process, store } = await open(300);
    await begin(store);
    await fill(store, ["a", "b", "c"]);
    process.fs.kill();
  },
  async ({ open }) => {
    const { process, store } = await open(300);
    await begin(store);
    await fill(store, ["a", "b", "c"]);
    await store.flush();
    await fill(store, ["a"]);
    process.fs.kill();
  },
];

/** One schedule in this many starts without a store. */
const NEW_EVERY = 25;

export class Images {
  private constructor(private readonly all: readonly Image[]) {}

  static async make(): Promise<Images> {
    const images: Image[] = [];
    for (const [number, recipe] of RECIPES.entries()) {
      const disk = new SimulatedDisk({ random: seededRandom(number) });
      disk.makeDirectory("/data");
      const oracle = new Oracle(disk);
      let ordinal = 1_000 + number * 10; // no process of a schedule has such a number
      const open: Making["open"] = async (segmentBytes = 4096) => {
        const process = new SimulatedProcess(disk, ++ordinal, {
          segmentBytes,
          inline: false,
          durability: "disk",
          readOnly: false,
          soleProcess: false,
        });
        process.fs.onCall = () => oracle.readOn();
        return { process, store: await process.open() };
      };
      await recipe({ disk, oracle, open });
      oracle.readOn();
      images.push({ disk, history: oracle.history });
    }
    return new Images(images);
  }

  /** @param choice A fraction of 1000. */
  choose(choice: number): Image {
    if (choice % NEW_EVERY === 0) return this.all[0]!;
    return this.all[1 + (choice % (this.all.length - 1))]!;
  }
}

async function begin(store: Store): Promise<void> {
  await store.transact(async (tx) => {
    await tx.put(FROM, { tokens: TOTAL, token: "i1" });
    await tx.put(TO, { tokens: 0, token: "i2" });
  });
}

async function fill(store: Store, keys: readonly string[]): Promise<void> {
  for (const key of keys) {
    const updatedAt = (await store.revision()) + 1;
    await store.put(key, { token: `i${2 + updatedAt}`, n: 0, updatedAt, filler: FILLER });
  }
}

async function say(store: Store, key: string, count: number): Promise<void> {
  for (let index = 0; index < count; index++) {
    const token = `i${(await store.revision()) + 1}s`;
    await store.append(key, [{ token, filler: FILLER }], { ids: [`i${index % 5}`], maxLength: 5 });
  }
}
