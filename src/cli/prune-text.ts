/** What `prune` and `restore` say: decisions, rules and limits as sentences. */
import type { Decision, ExceededLimit, RuleSummary } from "../care/retention/planner.js";
import { formatBytes, formatCount, formatTime } from "./figures.js";
import { visible } from "./visible-text.js";

const BECAUSE: Readonly<Record<Decision["reason"], string>> = {
  olderThan: "older than",
  ttl: "its time is over, by the field",
  maxCount: "not among the latest",
  maxBytes: "among the oldest, and the store has more bytes than",
  named: "named to be kept",
  rule: "the rule keeps it",
  noRule: "no rule matches it",
  within: "no limit takes it",
  keepNewest: "among the latest",
  noTime: "it has no updatedAt, so nobody knows how old it is",
  unbelievableTime: "its updatedAt is before the year 2000, so it is no time in milliseconds",
  futureTime: "its updatedAt is in the future, so it tells nothing",
  badField: "there is no time in the field",
  damaged: "it cannot be read",
};

/** As in `older than 7d (updated 2026-11-01T00:00:00Z), rule "cron runs"`. */
export function becauseOf({ reason, limit, rule, updatedAt }: Decision): string {
  const shown = reason === "maxBytes" && typeof limit === "number" ? formatBytes(limit) : limit;
  const value = shown === undefined ? "" : ` ${visible(String(shown))}`;
  const time = updatedAt === undefined ? undefined : formatTime(updatedAt);
  const by = rule === undefined ? "" : `, rule ${JSON.stringify(visible(rule))}`;
  return `${BECAUSE[reason]}${value}${time === undefined ? "" : ` (updated ${time})`}${by}`;
}

export function lineOfDecision(decision: Decision): string {
  return `${decision.action}  ${visible(decision.key)}  ${becauseOf(decision)}`;
}

export function lineOfRule({ name, matched, removed, unjudged }: RuleSummary): string {
  const unknown = unjudged === 0 ? "" : `, ${formatCount(unjudged)} that cannot be judged`;
  return `  ${visible(name)}: ${formatCount(matched)} matched, ${formatCount(removed)} to remove${unknown}`;
}

export function sentenceOfLimit({ limit, rule, allowed, actual }: ExceededLimit): string {
  const number = limit === "maxBytes" ? formatBytes : formatCount;
  const whose = rule === undefined ? "the store" : `rule ${JSON.stringify(rule)}`;
  return `${whose} has ${number(actual)}, and ${limit} is ${number(allowed)}`;
}
