// @ts-check
/** Mutants of what is noted of records behind bytes that cannot be read, and of what tells of such bytes though they look torn. */
import { TRANSCRIPT_VERDICT, VERDICT, inFile } from "../suites.mjs";

export const BEHIND_GAP = [
  ...inFile(
    "src/log/behind-gap.ts",
    [VERDICT],
    [
      {
        name: "a check behind a gap counts as a change",
        rule: "rule 6",
        find: `if (isChange(op)) behind.set`,
        replace: `behind.set`,
      },
      {
        name: "a base that is not there was overtaken",
        rule: "rule 4",
        find: `return base >= firstRevision && (`,
        replace: `return base < 0 && base >= firstRevision && (`,
      },
      {
        name: "the first revision of the segment is older than the segment",
        rule: "rule 4",
        find: `return base >= firstRevision && (`,
        replace: `return base > firstRevision && (`,
      },
      {
        name: "a base behind the latest change was overtaken",
        rule: "rule 4",
        find: `(latest > 0 && latest < base)`,
        replace: `(latest > 0 && latest < 0)`,
      },
    ],
  ),
  ...inFile(
    "src/log/behind-gap.ts",
    [TRANSCRIPT_VERDICT],
    [
      {
        name: "a change that is not there is no gap",
        rule: "rule 7",
        find: `return b >= firstRevision && (`,
        replace: `return b < 0 && (`,
      },
      {
        name: "a change of before the segment is missed",
        rule: "rule 7",
        find: `return b >= firstRevision && (`,
        replace: `return b > 0 && (`,
      },
      {
        name: "behind a gap no transcripts are noted",
        rule: "rule 6",
        find: `if (changesTranscript(op))\n      mentionTranscript(`,
        replace: `if (op.k === "")\n      mentionTranscript(`,
      },
      {
        name: "behind a gap a delete is not noted for transcripts",
        rule: "rule 6",
        find: `if (d !== undefined) mentionTranscript(`,
        replace: `if (k === "") mentionTranscript(`,
      },
    ],
  ),
];
