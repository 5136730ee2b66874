// @ts-check
/** Mutants of what is done while bytes of the log cannot be read, and of mending it. */
import * as suite from "../suites.mjs";
import { inFile } from "../suites.mjs";
import { CUT_OFF } from "./cut-off.mjs";

const [EXAMPLE = "", READER = "", LIVING = "", POWER_CUT = "", LISTING = "", NEVER_LOWER = "", MENDING = ""] =
  suite.DAMAGED_LOG;
const HIDDEN = suite.DAMAGED_LOG.find((path) => path.includes("/hidden.")) ?? "";

const BEGINNING = inFile(
  "src/engine/directory/session-log.ts",
  [READER],
  [
    {
      name: "where a segment begins is guessed from one of which the end is not known",
      rule: "reader's rule",
      find: `if (before === undefined || before.endUnknown) return`,
      replace: `if (before === undefined) return`,
    },
  ],
);

const GUESSED = inFile(
  "src/engine/directory/guessed-sessions.ts",
  [MENDING],
  [
    {
      name: "what was guessed is told, and listed nowhere",
      rule: "D5",
      find: `if (guesses.length > 0) {`,
      replace: `if (guesses.length < 0) {`,
    },
    {
      name: "a list of guesses has its name before it is durable there",
      rule: "D5",
      find: `await syncDirectory(fs, layout.quarantine);`,
      replace: `void syncDirectory;`,
    },
    {
      name: "who mends again takes for proved what the run before has guessed",
      rule: "D5",
      find: `const all = [...guesses, ...earlier];`,
      replace: `const all = [...guesses, ...earlier.slice(0, 0)];`,
    },
    {
      name: "what was guessed once is told again although the session was put since",
      rule: "D5",
      find: `decided.get(nameOf(guess)) === guess.revision`,
      replace: `decided.size >= 0`,
    },
  ],
);

const ENDS = [
  ...inFile(
    "src/log/cut-segment.ts",
    [READER],
    [
      {
        name: "the next segment begins where a seal stands that may be a copy",
        rule: "no revision twice",
        find: `ledger.wantedFirstRevision = Math.max(ledger.wantedFirstRevision, end);`,
        replace: `void end;`,
      },
    ],
  ),
  ...inFile(
    "src/engine/directory/checkpointer.ts",
    [POWER_CUT],
    [
      {
        name: "a catalog says that the next segment begins where this process has read the end of its own",
        rule: "reader's rule",
        find: `this.log.segments[1]?.firstRevision ?? segment.nextFirstRevision`,
        replace: `segment.nextFirstRevision`,
      },
    ],
  ),
];

const DOUBTS = inFile("src/engine/directory/log-doubts.ts", suite.DAMAGED_LOG, [
  {
    name: "damage puts no session in doubt",
    rule: "doubt",
    suites: [EXAMPLE],
    find: `if (damaged === 0) return false;\n    if (this.table`,
    replace: `if (damaged >= 0) return false;\n    if (this.table`,
  },
  {
    name: "what is in a later segment than the damage is in doubt",
    rule: "doubt",
    suites: [READER],
    find: `if (this.table.statesFrom(damaged + 1, key).length > 0) return false;`,
    replace: ``,
  },
  {
    name: "a process in doubt does not notice that the log was mended",
    rule: "doubt",
    suites: [LIVING],
    find: `.length > 0) return false;\n    return !this.#isMended();`,
    replace: `.length > 0) return false;\n    void this.#isMended;\n    return true;`,
  },
  {
    name: "a file that is older than what is mentioned behind the damage is given",
    rule: "reader's rule",
    suites: [READER],
    find: `file.status === "present" && written >= (behind ?? 0) && written`,
    replace: `file.status === "present" && written`,
  },
  {
    name: "a file is given though the log in front of the damage is newer",
    rule: "reader's rule",
    suites: [READER],
    find: ` && written > (known?.revision ?? 0))`,
    replace: `)`,
  },
  {
    name: "what a power cut leaves is damage",
    rule: "power cut",
    suites: [POWER_CUT],
    find: `return segment.damaged && !this.isLeftByPowerCut(segment);`,
    replace: `return segment.damaged;`,
  },
  {
    name: "NUL bytes that came after the start of the system are what a power cut leaves",
    rule: "power cut",
    suites: [POWER_CUT],
    find: `if (identity.modifiedAt >= this.options.fs.bootedAt()) return false;`,
    replace: `void identity;`,
  },
  {
    name: "NUL bytes are what a power cut leaves, although a file knows of a change behind them",
    rule: "power cut",
    suites: [POWER_CUT],
    find: `return file.status !== "present" || file.revision < behind;`,
    replace: `return file.status !== "present" || behind > 0;`,
  },
]);

const COMMITTER = inFile("src/engine/directory/committer.ts", suite.DAMAGED_LOG, [
  {
    name: "an op builds on the state of a session in doubt",
    rule: "refusal",
    suites: [EXAMPLE],
    find: `if (op.base !== undefined) throw this.log.doubts.refusal(op.key);\n          return undefined;`,
    replace: `if (op.base !== undefined) return this.log.read(op.key);\n          return undefined;`,
  },
  {
    name: "a record is appended behind damage",
    rule: "seal instead",
    suites: [EXAMPLE, READER],
    find: `return seal && { next: "seal", segment, seal };`,
    replace: `void seal;\n    return undefined;`,
  },
]);

const FLUSH = inFile("src/engine/directory/entry-flush.ts", suite.DAMAGED_LOG, [
  {
    name: "files of sessions in doubt are written",
    rule: "W4",
    suites: [EXAMPLE],
    find: `log.doubts.isInDoubt(key) ? undefined : log.hot.get(key)`,
    replace: `log.hot.get(key)`,
    equivalent:
      "what is written then is the newest that this process knows, and a newer file is not replaced anyway",
  },
]);

const ENTRY = inFile("src/entries/entry-file.ts", suite.DAMAGED_LOG, [
  {
    name: "a late flusher replaces a newer file",
    rule: "W4",
    suites: [NEVER_LOWER],
    find: `if (policy.isOvertaken(key, file.revision)) return "done";`,
    replace: `if (policy.isOvertaken(key, file.revision)) return "replace";`,
  },
  {
    name: "a newer file that nothing explains is not kept",
    rule: "W4",
    suites: [NEVER_LOWER],
    find: `return kept === "done" ? "replace" : kept;\n    }\n    const damaged`,
    replace: `return kept === "done" ? "done" : kept;\n    }\n    const damaged`,
  },
]);

const CHECKPOINT = inFile("src/engine/directory/checkpointer.ts", suite.DAMAGED_LOG, [
  {
    name: "a process in doubt checkpoints",
    rule: "no checkpoint in doubt",
    suites: [EXAMPLE],
    find: `if (this.log.doubts.damagedSegment > 0) return false;`,
    replace: ``,
  },
  {
    name: "a damaged segment is removed like others",
    rule: "quarantine",
    suites: [EXAMPLE],
    find: `if (ledger.sealedGap === undefined) return ignoreMissing`,
    replace: `if (ledger.sealedGap !== -1) return ignoreMissing`,
  },
]);

const BACKGROUND = inFile("src/engine/directory/background-work.ts", suite.DAMAGED_LOG, [
  {
    name: "who knows what was in damaged bytes lets others wait",
    rule: "mending",
    suites: [LIVING],
    find: `this.#checkpointSoon(damaged ? 0 : `,
    replace: `this.#checkpointSoon(damaged ? 600_000 : `,
  },
]);

const MEND = inFile(
  "src/engine/directory/mending.ts",
  [MENDING],
  [
    {
      name: "the doctor does not look behind the last newline",
      rule: "mending",
      find: `log.doubts.lookAtEnd(log.active);`,
      replace: ``,
    },
    {
      name: "the doctor forgets sessions of which only a file is left",
      rule: "mending",
      find: `...log.doubts.mentioned().keys(), ...made]`,
      replace: `...log.doubts.mentioned().keys(), ...made.slice(made.length)]`,
    },
    {
      name: "a patch is put on a base that is not its own",
      rule: "mending",
      find: `if (before?.stored === undefined || op.b !== base) return undefined;`,
      replace: `if (before?.stored === undefined) return undefined;`,
    },
    {
      name: "records behind the damage are no candidates",
      rule: "mending",
      find: `const records = damaged.flatMap((segment) => recordsBehindGap(log, segment));`,
      replace: `const records = damaged.flatMap((segment) => recordsBehindGap(log, segment)).slice(0, 0);`,
    },
    {
      name: "a guess is not told",
      rule: "mending",
      find: `onWarning(warningOf(guess, last.path, listed.path));`,
      replace: `void warningOf;`,
    },
  ],
);

const IN_DOUBT = inFile(
  "src/engine/directory/listing-in-doubt.ts",
  [LISTING],
  [
    {
      name: "a listing in doubt leaves out sessions that only files have",
      rule: "listing",
      find: `...inFiles, ...unreadable.map(({ key }) => key)]`,
      replace: `...unreadable.slice(inFiles.length).map(({ key }) => key)]`,
    },
    {
      name: "a listing in doubt does not name what cannot be read",
      rule: "listing",
      find: `const all = query.after === undefined ? [...damaged, ...unnamed] : [];`,
      replace: `const all = query.after === undefined ? [...unnamed] : [];`,
    },
  ],
);

const TAIL = inFile("src/log/log-tail.ts", suite.DAMAGED_LOG, [
  {
    name: "what a copy of a seal hides is not mentioned",
    rule: "rule 6",
    suites: [READER],
    find: `if (segment.ledger.sealed && segment.damaged) mentionRest(this.fs, segment);`,
    replace: ``,
  },
  {
    name: "a seal in front of what was durable is believed",
    rule: "cut off",
    suites: [READER],
    find: `if (sealed.damaged || sealed.position >= (this.observer.durableBytes?.(sealed) ?? 0)) return;`,
    replace: `if (sealed.number >= 0) return;`,
  },
]);

const GAPS = inFile("src/log/gap-finder.ts", suite.DAMAGED_LOG, [
  {
    name: "a segment without a header is an empty one",
    rule: "log_damaged",
    suites: [READER],
    find: `if (beginning === undefined) throw damaged(segment, "it has no valid header line");`,
    replace: `if (beginning === undefined) return;`,
  },
  {
    name: "what a copy of a seal hides is not mentioned, although the next segment says that it counted",
    rule: "rule 6",
    suites: [READER],
    find: `mentionRest(this.fs, sealed, header.after);`,
    replace: ``,
  },
]);

const HIDING = [
  ...inFile(
    "src/store/session-store.ts",
    [HIDDEN],
    [
      {
        name: "a write decides on what only seems to be known",
        rule: "doubt",
        find: `if (reads && this.calls.isInDoubt(key)) {`,
        replace: `if (false as boolean) {`,
      },
    ],
  ),
  ...inFile(
    "src/store/transaction.ts",
    [HIDDEN],
    [
      {
        name: "a transaction deletes nothing of what only seems not to be there",
        rule: "doubt",
        find: `if (!touched.read && this.#host.calls.isInDoubt(key)) return true;`,
        replace: ``,
      },
      {
        name: "a patch in a transaction says that a hidden session is not there",
        rule: "doubt",
        find: `if (this.#host.calls.isInDoubt(key)) await this.#host.calls.refuseInDoubt(key, touched.base);`,
        replace: ``,
      },
    ],
  ),
  ...inFile(
    "src/engine/directory/entry-flush.ts",
    [HIDDEN],
    [
      {
        name: "a flush claims what it left out",
        rule: "doubt",
        find: `if (doubts.isInDoubt(key)) throw unwritten(doubts.refusal(key), key);`,
        replace: `void unwritten;`,
      },
      {
        name: "a flush fails for what is in its file",
        rule: "doubt",
        find: `file.revision >= (behind ?? known?.revision ?? 0)) continue;`,
        replace: `file.revision > (behind ?? known?.revision ?? 0)) continue;`,
      },
      {
        name: "a flush fails for what is deleted",
        rule: "doubt",
        find: `if (file.status === "absent" && behind === undefined && known?.stored === undefined) continue;`,
        replace: ``,
      },
    ],
  ),
  ...inFile(
    "src/engine/directory/background-work.ts",
    [HIDDEN],
    [
      {
        name: "a checkpoint claims what it left out",
        rule: "doubt",
        find: `await sweep(this.log);\n      await this.#assertNoneUnwritten();`,
        replace: `await sweep(this.log);`,
      },
      {
        name: "a process that has stopped says that nothing is lost",
        rule: "cut off",
        suites: suite.CUT,
        find: `const assurance = lost ? "" :`,
        replace: `const assurance = !lost && lost ? "" :`,
      },
    ],
  ),
  ...inFile(
    "src/engine/directory/real-paths.ts",
    [HIDDEN],
    [
      {
        name: "a watch that is refused names a descriptor",
        rule: "paths",
        find: `next: () => iterator.next().catch(refuse),`,
        replace: `next: () => (void refuse, iterator.next()),`,
      },
    ],
  ),
  ...inFile(
    "src/entries/damaged-file.ts",
    [suite.WAYS_OUT],
    [
      {
        name: "what has the name of a copy is taken for the copy",
        rule: "I6",
        find: `(there !== "other" && there.equals(bytes))`,
        replace: `there !== "other"`,
      },
    ],
  ),
];

export const DAMAGED_LOG = [
  ...HIDING,
  ...CUT_OFF,
  ...BEGINNING,
  ...ENDS,
  ...GUESSED,
  ...DOUBTS,
  ...COMMITTER,
  ...FLUSH,
  ...ENTRY,
  ...CHECKPOINT,
  ...BACKGROUND,
  ...MEND,
  ...IN_DOUBT,
  ...TAIL,
  ...GAPS,
];
