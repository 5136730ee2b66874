// @ts-check
/** Mutants of the retention of any store: what goes, that it is in the archive first, and that it comes back. */
import { ARCHIVES, KILLED_RETENTION, PLANNER, RUNS_OF_RETENTION, inFile } from "../suites.mjs";

const RUNS = inFile(
  "src/care/retention/apply.ts",
  [RUNS_OF_RETENTION],
  [
    {
      name: "a plan that may not be carried out is",
      rule: "archive",
      find: `if (stop !== undefined) throw stopped(stop, planned, sessions);`,
      replace: `if (stop !== undefined && planned < 0) throw stopped(stop, planned, sessions);`,
    },
    {
      name: "a plan that only warns removes",
      rule: "archive",
      find: `if (plan.mode !== "enforce")`,
      replace: `if (plan.mode === "off")`,
    },
    {
      name: "a plan of another store is carried out",
      rule: "archive",
      find: `directory?.storeId !== plan.storeId)`,
      replace: `directory?.storeId === "")`,
    },
    {
      name: "a record that was changed since the plan is removed",
      rule: "archive",
      find: `if (record?.revision !== revision) return false;`,
      replace: ``,
    },
    {
      name: "a transcript that was cut since the plan goes",
      rule: "archive",
      find: `if (info.revision > since || info.cut > since) return false;`,
      replace: ``,
    },
    {
      name: "a transcript that was appended to since the plan goes",
      rule: "archive",
      find: `if ((items[0]?.revision ?? 0) > since) return false;`,
      replace: ``,
    },
    {
      name: "the removal does not look whether the session is what was archived",
      rule: "archive",
      find: `        await assertUnchanged(tx, snapshot);
`,
      replace: ``,
    },
    {
      name: "the removal does not look at the record's revision",
      rule: "archive",
      find: `if (now?.revision !== record?.revision || names.length`,
      replace: `if (names.length`,
    },
    {
      name: "the removal does not look at how many transcripts there are",
      rule: "archive",
      find: `|| names.length !== transcripts.size) throw`,
      replace: `) throw`,
    },
    {
      name: "the removal does not look at what transcripts are",
      rule: "archive",
      find: `if (!isStill(before, found) || found?.last !== before.last || found.length !== before.length)`,
      replace: `if (names.length < 0)`,
    },
    {
      name: "sessions go that were not written to the archive",
      rule: "archive",
      find: `if (pieces !== undefined) await writer.add(pieces, () => [...written.keys()]);`,
      replace: `if (pieces !== undefined) for await (const _ of pieces);`,
    },
    {
      name: "an abort is not heard between batches",
      rule: "archive",
      find: `        throwIfAborted(signal);
`,
      replace: ``,
    },
    {
      name: "the last batch is left out",
      rule: "archive",
      find: `if (batch.size > 0) await next();`,
      replace: ``,
    },
  ],
);

const WRITING = inFile(
  "src/care/retention/archive-writer.ts",
  [KILLED_RETENTION, RUNS_OF_RETENTION],
  [
    {
      name: "sessions go before the archive is durable",
      rule: "archive",
      find: `      await fs.later.fdatasync(this.fd);
`,
      replace: ``,
    },
    {
      name: "the name of the archive's file is not durable",
      rule: "archive",
      find: `if (this.#end === 0) await syncDirectoryOnTheWay(fs, dirname(this.path));`,
      replace: ``,
    },
    {
      name: "the archive is not read back",
      rule: "archive",
      find: `    await this.#assertReadable(end, keys());
`,
      replace: `    keys();
`,
    },
    {
      name: "a file that has members is removed at the end",
      rule: "archive",
      find: `if (this.#end === 0) await fs.later.unlink`,
      replace: `if (this.#end >= 0) await fs.later.unlink`,
    },
    {
      name: "a file without a member is left behind",
      rule: "archive",
      find: `if (this.#end === 0) await fs.later.unlink(this.path).catch(() => {});`,
      replace: ``,
    },
  ],
);

const READING = [
  ...inFile(
    "src/care/retention/archived.ts",
    [ARCHIVES],
    [
      {
        name: "a member that a kill left is told as damage",
        rule: "archive",
        find: `else if (!isLast || found.data["reason"] !== "cut") warn`,
        replace: `else warn`,
      },
      {
        name: "damage of a member is not told",
        rule: "archive",
        find: `else if (!isLast || found.data["reason"] !== "cut") warn(damaged(path, member, found));`,
        replace: ``,
      },
      {
        name: "the first bytes of a torn member cost the one in front of it",
        rule: "archive",
        find: `if (shorter !== undefined) found = await read(shorter);`,
        replace: ``,
      },
    ],
  ),
  ...inFile(
    "src/care/retention/members.ts",
    [ARCHIVES],
    [
      {
        name: "a member that begins in two pieces is not found",
        rule: "archive",
        find: `rest = bytes.subarray(Math.max(0, bytes.length - BEGINNING.length + 1));`,
        replace: `rest = Buffer.alloc(0);`,
      },
    ],
  ),
  ...inFile(
    "src/care/retention/restore.ts",
    [ARCHIVES],
    [
      {
        name: "the oldest state comes back",
        rule: "archive",
        find: `(newest === undefined || isLater(place, newest))`,
        replace: `newest === undefined`,
      },
      {
        name: "whatever time is given, the last state comes back",
        rule: "archive",
        find: `if (place.archivedAt <= at && (newest`,
        replace: `if (at < Infinity * 2 && (newest`,
      },
      {
        name: "other sessions of the file come along",
        rule: "archive",
        find: `isIt = isThen && event.session.key === key && (event.session.revision ?? 0) === revision;`,
        replace: `isIt = isThen && key !== "" && revision > 0;`,
      },
      {
        name: "of a file that was put together every state of a session comes back",
        rule: "archive",
        find: `isIt = isThen && event.session.key === key && (event.session.revision ?? 0) === revision;`,
        replace: `isIt = event.session.key === key && revision > 0;`,
      },
    ],
  ),
];

const PLACES = [
  ...inFile(
    "src/care/retention/archive-folder.ts",
    [ARCHIVES],
    [
      {
        name: "an archive lies in its store",
        rule: "archive",
        find: `\${fs.realpath(storePath)}\${sep}\`))`,
        replace: `\${fs.realpath(storePath)}\${sep}none\`))`,
      },
      {
        name: "two stores share an archive",
        rule: "archive",
        find: `if (storeId !== undefined && found !== storeId)`,
        replace: `if (storeId === "")`,
      },
      {
        name: "a folder with other things becomes an archive",
        rule: "archive",
        find: `if (!isUnused(fs, realPath)) throw holdsOthers(fs, realPath);
    const`,
        replace: `const`,
      },
      {
        name: "files of a month are in the order of their names",
        rule: "archive",
        find: `a.month === b.month ? a.number - b.number`,
        replace: `a.month === b.month ? (a.name < b.name ? -1 : 1)`,
      },
    ],
  ),
  ...inFile(
    "src/care/retention/archive-retention.ts",
    [ARCHIVES],
    [
      {
        name: "the latest file of an archive goes",
        rule: "archive",
        find: `const isLatest = index === all.length - 1 || file === made;`,
        replace: `const isLatest = index === all.length;`,
      },
      {
        name: "a dry run removes files of an archive",
        rule: "archive",
        find: `if (dryRun || going.length === 0) return report;`,
        replace: `if (going.length === 0) return report;`,
      },
      {
        name: "any number of files of an archive goes at once",
        rule: "archive",
        find: `if (going.length > allowed) throw`,
        replace: `if (going.length > files.length) throw`,
      },
      {
        name: "a file of an archive goes by the beginning of its month",
        rule: "archive",
        find: `const isOld = olderThanMs !== undefined && endedAt <= now - olderThanMs;`,
        replace: `const isOld = olderThanMs !== undefined && endedAt - 31 * 24 * 3600 * 1000 <= now - olderThanMs;`,
      },
    ],
  ),
];

const PLANNING = [
  ...inFile("src/care/retention/planner.ts", PLANNER, [
    {
      name: "a session that is named goes",
      rule: "plan",
      find: `if (policy.isKept(key)) return this.#push(key, revision, time, -1, "named", bytes);`,
      replace: ``,
    },
    {
      name: "the last rule that matches decides",
      rule: "plan",
      find: `policy.rules.findIndex(`,
      replace: `policy.rules.findLastIndex(`,
    },
    {
      name: "a rule that keeps for ever does not",
      rule: "plan",
      find: `if (rule.keep) return "rule";`,
      replace: ``,
    },
    {
      name: "one more stays than maxCount says",
      rule: "plan",
      find: `(stay[of] ?? 0) >= rule.maxCount`,
      replace: `(stay[of] ?? 0) > rule.maxCount`,
    },
    {
      name: "one fewer is kept than keepNewest says",
      rule: "plan",
      find: `if ((seen[of] ?? 0) <= rule.keepNewest) {`,
      replace: `if ((seen[of] ?? 0) < rule.keepNewest) {`,
    },
    {
      name: "a session that goes for its age takes a place",
      rule: "plan",
      find: `} else if (isTaken) continue;`,
      replace: `} else if (isTaken) {
        stay[of] = (stay[of] ?? 0) + 1;
        continue;
      }`,
    },
    {
      name: "the newest goes first for the bytes of the store",
      rule: "plan",
      find: `    for (const [at, index] of order.entries()) {
      if (at % SLICE === 0) await breathe();
      if (before`,
      replace: `    for (const [at, index] of [...order].reverse().entries()) {
      if (at % SLICE === 0) await breathe();
      if (before`,
    },
    {
      name: "bytes go down to the limit alone",
      rule: "plan",
      find: `if (before - removed <= targetBytes) break;`,
      replace: `if (before - removed <= Math.max(maxBytes, targetBytes)) break;`,
    },
    {
      name: "who is protected goes for the bytes of the store",
      rule: "plan",
      find: `if (reason !== "within" && reason !== "noRule" && reason !== "badField") continue;`,
      replace: `if (this.isRemoved(index)) continue;`,
    },
    {
      name: "the latest of a rule go for the bytes of the store",
      rule: "plan",
      find: `if (latest.has(index)) continue;`,
      replace: ``,
    },
    {
      name: "a field that another object has is taken for the entry's own",
      rule: "plan",
      find: `|| !Object.hasOwn(value, step)) return undefined;`,
      replace: `) return undefined;`,
    },
    {
      name: "equal times are ordered by chance",
      rule: "plan",
      find: `return (keys[a] ?? "") < (keys[b] ?? "") ? -1 : 1;`,
      replace: `return (keys[a] ?? "") < (keys[b] ?? "") ? 1 : -1;`,
    },
  ]),
  ...inFile("src/care/retention/plan.ts", PLANNER, [
    {
      name: "the share at which a plan stops is one off",
      rule: "plan",
      find: `if (removed > allowed) return`,
      replace: `if (removed > allowed + 1) return`,
    },
    {
      name: "exactly the share stops a plan",
      rule: "plan",
      find: `if (removed > allowed) return`,
      replace: `if (removed >= allowed) return`,
    },
    {
      name: "more goes than was said",
      rule: "plan",
      find: `return removed > yesRemove ?`,
      replace: `return removed > yesRemove + 1 ?`,
    },
    {
      name: "a clock that is years ahead is believed",
      rule: "plan",
      find: `return byClock > 0 && isSilent ?`,
      replace: `return byClock < 0 && isSilent ?`,
    },
    {
      name: "sessions that are named on top of a policy go",
      rule: "plan",
      find: `const policy = keeping(policyOf(given), keep);`,
      replace: `const policy = keeping(policyOf(given), keep.slice(0, 0));`,
    },
    {
      name: "there is never an alarm",
      rule: "plan",
      find: `alarm: removed === 0 && exceeded.length > 0,`,
      replace: `alarm: removed < 0 && exceeded.length > 0,`,
    },
  ]),
  ...inFile("src/care/retention/policy.ts", PLANNER, [
    {
      name: "a member that is not known is left out",
      rule: "plan",
      find: `if (names.includes(name)) continue;`,
      replace: `if (names.includes(name) || name !== "") continue;`,
    },
    {
      name: "a policy without a mode is enforced",
      rule: "plan",
      find: `const { version, mode = "off"`,
      replace: `const { version, mode = "enforce"`,
    },
    {
      name: "a promise is taken for yes",
      rule: "plan",
      find: `if (typeof answer !== "boolean") throw fault(\`\${at}.match\`, "must return true or false,", answer);
  return answer;`,
      replace: `return Boolean(answer);`,
    },
    {
      name: "a rule without a limit is taken",
      rule: "plan",
      find: `if (keep !== true && limits.length === 0)`,
      replace: `if (keep !== true && limits.length < 0)`,
    },
  ]),
  ...inFile("src/care/retention/glob.ts", PLANNER, [
    {
      name: "the ends of a pattern may overlap in a key",
      rule: "plan",
      find: `if (key.length < first.length + last.length || `,
      replace: `if (`,
    },
  ]),
];

export const ARCHIVING_OF_SESSIONS = [...RUNS, ...WRITING, ...READING, ...PLACES, ...PLANNING];
