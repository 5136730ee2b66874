/**
 * A schedule: everything that chance decides about one simulated run, as plain data.
 *
 * It is generated from a seed before anything runs, and interpreted by `world.ts`. So a run is a function of its schedule:
 * the same schedule gives the same calls, a failing one can be shortened by leaving steps out, and what is left can be
 * kept in `test/bug-base/` and be read by people. Numbers that choose among things that exist at that moment (a
 * waiting call, a process) are fractions of 1000, so that they mean something whatever was left out before them.
 */
import { seededRandom } from "../src/testing/seeded-random.js";

export const OPERATIONS = [
  "update",
  "put",
  "create",
  "patch",
  "transfer",
  "pair",
  "guard",
  "delete",
  "read",
  "list",
  "count",
  "watch",
  "flush",
  "checkpoint",
  "append",
  "add turn",
  "repeat",
  "replace suffix",
  "truncate",
  "trim",
  "remove transcript",
  "read items",
  "read names",
] as const;

export type OperationKind = (typeof OPERATIONS)[number];

export interface Operation {
  readonly kind: OperationKind;
  /** Which session, as a fraction of 1000. */
  readonly key: number;
  /** What else the operation has to choose, as a fraction of 1000. */
  readonly variant: number;
}

/** What may happen to a system call, a blocking one included, at the very moment of it. */
export const FAULTS = [
  "kill before",
  "kill after",
  "torn write",
  "short write",
  "EIO",
  "lost answer",
  "lost sync",
  "other calls",
  "other operation",
  "cut power",
] as const;

export type Fault = (typeof FAULTS)[number];

/** Calls before which it matters most to be stopped. */
export const HELD_CALLS = [
  "rename",
  "link",
  "unlink",
  "rmdir",
  "mkdir",
  "write",
  "fdatasync",
  "fsync",
  "open",
] as const;

export type HeldCall = (typeof HELD_CALLS)[number];

export type Step =
  /** Waiting calls of any processes take effect and are answered, one after the other. */
  | { readonly do: "release"; readonly picks: readonly number[] }
  /** Waiting calls take effect, but their processes do not hear of it yet. */
  | { readonly do: "perform"; readonly picks: readonly number[] }
  /** One process goes on for a while, its calls in order. */
  | { readonly do: "run"; readonly process: number; readonly calls: number }
  | { readonly do: "operate"; readonly process: number; readonly operation: Operation }
  /** Timers fire. */
  | { readonly do: "wait"; readonly process: number; readonly ms: number }
  /** The wall clock jumps, forward or back. */
  | { readonly do: "jump"; readonly process: number; readonly ms: number }
  | { readonly do: "kill"; readonly process: number }
  | { readonly do: "close"; readonly process: number }
  /** Of what was not synced, chance with this seed decides what survives. */
  | { readonly do: "cut power"; readonly seed: number }
  /** The process gets no answer, no timer and nothing new to do for this many steps. */
  | { readonly do: "suspend"; readonly process: number; readonly steps: number }
  /** The same as soon as the process waits for a call with this name: right before a rename, say. */
  | { readonly do: "hold"; readonly process: number; readonly steps: number; readonly call: HeldCall }
  /**
   * The process is stopped between two blocking calls of an operation that it begins now: its first `calls` calls see
   * the disk as it is now, and the others as it is after this many steps.
   */
  | {
      readonly do: "stop inside";
      readonly process: number;
      readonly steps: number;
      readonly calls: number;
      readonly operation: Operation;
    }
  /** One process, all others standing still, writes and checkpoints this many times. */
  | { readonly do: "age"; readonly process: number; readonly rounds: number }
  | { readonly do: "fill"; readonly freeBytes: number }
  | { readonly do: "make room" }
  /** Something will happen to the call that is this many calls away; of any process, blocking or not. */
  | {
      readonly do: "arm";
      readonly fault: Fault;
      readonly after: number;
      readonly amount: number;
      readonly operation: Operation;
    }
  /** A person begins to copy the store with `cp -r`, one name after each `pace` calls of the processes. */
  | { readonly do: "copy"; readonly pace: number }
  /** Bytes of a file change behind everybody's back. */
  | { readonly do: "damage"; readonly file: number; readonly at: number; readonly kind: DamageKind };

/** Bits flip, in the log or another file; sectors are lost, or have old content; a line loses its end. */
export const DAMAGES = ["flip a file", "flip", "zeros", "stale", "newline", "cut"] as const;

export type DamageKind = (typeof DAMAGES)[number];

/** What goes on in a schedule: sessions are used, or stores come from a legacy file and go back to one. */
export type Play = "sessions" | "legacy";

export interface Schedule {
  readonly seed: number;
  readonly play: Play;
  /** Which of the prepared disks it starts from; see `images.ts`. */
  readonly image: number;
  readonly processes: number;
  /** That process, if there is one, opens the store read-only. */
  readonly reader: number | undefined;
  readonly segmentBytes: number;
  readonly blobs: boolean;
  /** Big values that take the place of others stay in the log; left out: they do not. */
  readonly inline?: boolean | undefined;
  /** Processes that acknowledge without waiting for the disk. */
  readonly careless: boolean;
  readonly steps: readonly Step[];
  readonly end: {
    /** Whatever is under way is finished. */
    readonly settle: boolean;
    /** A power cut, with this seed. */
    readonly cutSeed: number | undefined;
    /** Checkpoint everything, and see that nothing is left over. */
    readonly tidy: boolean;
  };
}

type Random = () => number;

/** What a schedule mostly consists of; each finds what the others rarely meet. */
type Flavour = "mixed" | "power" | "crowd" | "space" | "errors" | "damage" | "copy" | "calm";

const FLAVOURS: readonly (readonly [Flavour, number])[] = [
  ["mixed", 0.23],
  ["power", 0.17],
  ["crowd", 0.12],
  ["space", 0.04],
  ["errors", 0.05],
  ["damage", 0.33],
  ["copy", 0.04],
  ["calm", 0.06],
];

/** Schedules in which transcripts grow, and are cut, among all else. */
const TRANSCRIPTS_SHARE = 0.55;
/** Such a schedule takes five times as long. */
const LEGACY_SHARE = 0.02;
const LEGACY_FLAVOURS: typeof FLAVOURS = [
  ["mixed", 1],
  ["power", 1],
  ["crowd", 1],
  ["space", 0.4],
  ["errors", 0.4],
];

/**
 * The schedule of a seed.
 * @param only Nothing but this goes on, whatever the seed would have decided.
 */
export function generate(seed: number, only?: Play): Schedule {
  const random = seededRandom(seed);
  for (let warm = 0; warm < 3; warm++) random(); // neighbouring seeds begin alike
  const drawn = random() < LEGACY_SHARE ? "legacy" : "sessions";
  const play = only ?? drawn;
  const flavour = weighted(random, play === "legacy" ? LEGACY_FLAVOURS : FLAVOURS);
  const long = random() < 0.01;
  const count = long ? 200 + int(random, 200) : 10 + int(random, 26);
  const steps: Step[] = [];
  // What a person copies while it is in use may miss files of transcripts (docs/durability.md).
  const transcripts = play === "sessions" && flavour !== "copy" && random() < TRANSCRIPTS_SHARE;
  const weights = transcripts ? [...OPERATION_WEIGHTS, ...TRANSCRIPT_WEIGHTS] : OPERATION_WEIGHTS;
  for (let index = 0; index < count; index++) steps.push(makeStep(random, flavour, weights));
  const lossy = steps.some((step) => step.do === "arm" && step.fault === "lost sync");
  return {
    seed,
    play,
    image: int(random, 1000),
    processes: flavour === "crowd" ? 3 + int(random, 3) : 2 + int(random, 2),
    reader: play === "sessions" && random() < 0.15 ? int(random, 1000) : undefined,
    segmentBytes: [20, 100, 700, 4096][int(random, 4)] ?? 700, // sealed at once, or when others keep up
    blobs: random() < 0.4 && flavour !== "damage",
    careless: random() < 0.15,
    // What a sync lost for good is gone with the power: no store can promise otherwise. And of a damaged log the oracle, too,
    // could say less after a power cut than before.
    steps: lossy || flavour === "damage" ? steps.filter(keepsPower) : steps,
    end: makeEnd(random, lossy || flavour === "damage"),
    inline: random() < 0.5,
  };
}

function makeEnd(random: Random, lossy: boolean): Schedule["end"] {
  const way = random();
  const cutSeed = way < 0.55 && !lossy ? int(random, 1_000_000) : undefined;
  return { settle: cutSeed === undefined || way < 0.15, cutSeed, tidy: random() < 0.12 };
}

function keepsPower(step: Step): boolean {
  return step.do !== "cut power" && !(step.do === "arm" && step.fault === "cut power");
}

const COMMON: readonly (readonly [Step["do"], number])[] = [
  ["release", 30],
  ["run", 18],
  ["operate", 34],
  ["perform", 3],
  ["wait", 4],
  ["suspend", 3],
  ["hold", 5],
  ["stop inside", 3],
  ["age", 2],
  ["arm", 3],
  ["kill", 1.2],
  ["close", 0.7],
  ["jump", 0.5],
];

const RARE: Readonly<Record<Flavour, readonly (readonly [Step["do"], number])[]>> = {
  mixed: [["cut power", 1]],
  power: [
    ["cut power", 5],
    ["age", 2],
    ["hold", 3],
  ],
  crowd: [
    ["suspend", 2],
    ["hold", 6],
    ["stop inside", 5],
    ["age", 3],
  ],
  space: [
    ["fill", 6],
    ["make room", 4],
    ["cut power", 0.5],
  ],
  errors: [["arm", 6]],
  damage: [["damage", 4]],
  copy: [
    ["copy", 5],
    ["age", 3],
  ],
  calm: [],
};

const FAULT_WEIGHTS: readonly (readonly [Fault, number])[] = [
  ["kill before", 3],
  ["kill after", 3],
  ["torn write", 2],
  ["other calls", 5],
  ["other operation", 6],
  ["cut power", 1.5],
];

const ERROR_WEIGHTS: readonly (readonly [Fault, number])[] = [
  ["EIO", 6],
  ["lost answer", 3],
  ["short write", 3],
  ["lost sync", 1],
];

const HELD_WEIGHTS: readonly (readonly [HeldCall, number])[] = HELD_CALLS.map((call) => [
  call,
  call === "rename" ? 6 : call === "link" || call === "fdatasync" || call === "fsync" ? 2 : 1,
]);

function makeStep(random: Random, flavour: Flavour, operations: typeof OPERATION_WEIGHTS): Step {
  const kind = weighted(random, [...COMMON, ...RARE[flavour]]);
  const process = int(random, 1000);
  switch (kind) {
    case "release":
      return { do: kind, picks: picks(random, 12) };
    case "perform":
      return { do: kind, picks: picks(random, 4) };
    case "run":
      return { do: kind, process, calls: 1 + int(random, 40) };
    case "operate":
      return { do: kind, process, operation: makeOperation(random, operations) };
    case "wait":
      return { do: kind, process, ms: 100 + int(random, 8000) };
    case "jump":
      return { do: kind, process, ms: Math.round((random() - 0.5) * 2 * 10 ** (3 + random() * 9)) };
    case "kill":
    case "close":
      return { do: kind, process };
    case "cut power":
      return { do: kind, seed: int(random, 1_000_000) };
    case "suspend":
      return { do: kind, process, steps: 2 + int(random, 30) };
    case "hold": {
      const call = weighted(random, HELD_WEIGHTS);
      return { do: kind, process, steps: 3 + int(random, 20), call };
    }
    case "stop inside":
      return {
        do: kind,
        process,
        steps: 1 + int(random, 15),
        calls: 1 + int(random, 14),
        operation: makeOperation(random, operations),
      };
    case "age":
      return { do: kind, process, rounds: random() < 0.6 ? 1 : 2 + int(random, 2) };
    case "fill":
      return { do: kind, freeBytes: random() < 0.4 ? 0 : int(random, 1200) };
    case "make room":
      return { do: kind };
    case "copy":
      return { do: kind, pace: 1 + int(random, 30) };
    case "arm": {
      const errors = flavour === "errors" && random() < 0.8;
      return {
        do: kind,
        fault: weighted(random, errors ? ERROR_WEIGHTS : FAULT_WEIGHTS),
        after: 1 + int(random, 60),
        amount: int(random, 1000),
        operation: makeOperation(random, operations),
      };
    }
    case "damage":
      return {
        do: kind,
        file: int(random, 1000),
        at: int(random, 1000),
        kind: DAMAGES[int(random, DAMAGES.length)] ?? "flip",
      };
  }
}

const OPERATION_WEIGHTS: readonly (readonly [OperationKind, number])[] = [
  ["update", 20],
  ["put", 14],
  ["create", 6],
  ["patch", 8],
  ["transfer", 11],
  ["pair", 5],
  ["guard", 4],
  ["delete", 9],
  ["read", 8],
  ["list", 7],
  ["count", 2],
  ["watch", 2],
  ["flush", 9],
  ["checkpoint", 7],
];

const TRANSCRIPT_WEIGHTS: typeof OPERATION_WEIGHTS = [
  ["append", 45],
  ["add turn", 14],
  ["repeat", 6],
  ["replace suffix", 7],
  ["truncate", 10],
  ["trim", 9],
  ["remove transcript", 5],
  ["read items", 14],
  ["read names", 3],
];

function makeOperation(random: Random, operations: typeof OPERATION_WEIGHTS): Operation {
  // One session more often than others, for what matters happens when several processes want the same.
  const key = random() < 0.4 ? 0 : int(random, 1000);
  return { kind: weighted(random, operations), key, variant: int(random, 1000) };
}

function picks(random: Random, most: number): number[] {
  return Array.from({ length: 1 + int(random, most) }, () => int(random, 1000));
}

function int(random: Random, below: number): number {
  return Math.floor(random() * below);
}

function weighted<T>(random: Random, choices: readonly (readonly [T, number])[]): T {
  let total = 0;
  for (const [, weight] of choices) total += weight;
  let left = random() * total;
  for (const [choice, weight] of choices) {
    left -= weight;
    if (left < 0) return choice;
  }
  return choices[0]![0];
}
