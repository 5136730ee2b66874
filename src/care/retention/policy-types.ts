/** A policy as a person writes it. `docs/retention.schema.json` says the same of the file. */

/** `off`: nothing is looked at. `warn`: what would go is told, and nothing is removed. `enforce`: it is archived and removed. */
export type RetentionMode = "off" | "warn" | "enforce";

/** A session as a rule of code sees it. */
export interface RetentionSession {
  readonly key: string;
  readonly entry: Readonly<Record<string, unknown>>;
  readonly revision: number;
  /** When its record was committed, in milliseconds since 1970, by its writer's clock. */
  readonly modifiedAt: number;
}

/** The first rule that matches a session decides about it, alone. */
export interface RetentionRule {
  /** For reports; no two have the same. */
  readonly name: string;
  /** Patterns of keys: `*` is any text. Default: every key. */
  readonly keys?: string | readonly string[] | undefined;
  /** Only in code: which of these sessions. It must not take long, and sees each session once. */
  readonly match?: ((session: RetentionSession) => boolean) | undefined;
  /** These stay for ever. */
  readonly keep?: true | undefined;
  /** Removes sessions whose `updatedAt` is older: "7d"; s, m, h, d, w. */
  readonly olderThan?: string | undefined;
  /** Removes all but so many, the latest by `updatedAt`. */
  readonly maxCount?: number | undefined;
  /** Removes sessions whose own field has a time that is over: milliseconds since 1970, or ISO 8601. Steps of a path have dots between them. */
  readonly ttl?: { readonly field: string } | undefined;
  /** The latest so many by `updatedAt` stay, whatever the other limits say. Default 0. */
  readonly keepNewest?: number | undefined;
}

export interface RetentionPolicy {
  readonly version: 1;
  /** Default "off". */
  readonly mode?: RetentionMode | undefined;
  /** Keys that never go; `*` is any text. Default: none. */
  readonly keep?: readonly string[] | undefined;
  readonly rules?: readonly RetentionRule[] | undefined;
  /** A bound for the whole store: above it sessions go, the oldest first, also those that no rule matches. */
  readonly store?:
    | {
        /** Bytes, or "2GB", "500MiB". */
        readonly maxBytes: number | string;
        /** Down to this share of `maxBytes`. Above 0, at most 1; default 0.8. */
        readonly highWater?: number | undefined;
      }
    | undefined;
  readonly archive?:
    | {
        /** In a file relative to it; in code to the current folder. Default: beside the store, `NAME.archive` of `NAME.d`. */
        readonly folder?: string | undefined;
        /** Files of months that ended longer ago are removed. Default: never. */
        readonly olderThan?: string | undefined;
        /** Above so many bytes files are removed, the oldest first. Default: never. */
        readonly maxBytes?: number | string | undefined;
      }
    | undefined;
  /** A plan that removes more than this share of all sessions is stopped. 0 to 1; default 0.5. */
  readonly maxShare?: number | undefined;
}
