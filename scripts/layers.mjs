// @ts-check
/**
 * The rooms of src/, lowest first, each with what lives in it: the one list that `check-layers.mjs` enforces and
 * `draw-layers.mjs` draws into ARCHITECTURE.md. A file belongs to the first room whose pattern matches its path in src/.
 * Imports go down, or stay in the room.
 */

/**
 * @typedef {object} Room
 * @property {string} name Folder in src/, or the files that stand at its root.
 * @property {RegExp} pattern
 * @property {string} what One line: what lives here.
 */

/** @type {ReadonlyArray<Room>} */
export const ROOMS = [
  {
    name: "errors, runtime",
    pattern: /^(errors|runtime|plural|home|measures)\.ts$/,
    what: "the one error class; time and chance; words",
  },
  { name: "fs", pattern: /^fs\//, what: "the only door to node:fs; which paths can be trusted" },
  { name: "format", pattern: /^format\//, what: "pure: keys, lines, documents, values, limits" },
  { name: "log", pattern: /^log\//, what: "segments: append, follow, decide, sync" },
  { name: "entries", pattern: /^entries\//, what: "session files, staging folders, shared values" },
  {
    name: "engine",
    pattern: /^engine\/[^/]+\.ts$/,
    what: "thirteen methods",
  },
  {
    name: "engine/*",
    pattern: /^engine\/[^/]+\//,
    what: "directory, postgres; memory: the reference",
  },
  {
    name: "store",
    pattern: /^store\//,
    what: "what all engines share",
  },
  { name: "postgres", pattern: /^postgres\//, what: "`sessiondir/postgres`" },
  { name: "lease", pattern: /^lease\//, what: "`sessiondir/lease`: whose turn it is" },
  {
    name: "legacy/base",
    pattern: /^legacy\/base\//,
    what: "reports, names and trees around a legacy file",
  },
  { name: "legacy/reading", pattern: /^legacy\/reading\//, what: "a file of any size in bounded memory" },
  {
    name: "legacy/run",
    pattern: /^legacy\/run\//,
    what: "one run over one store",
  },
  { name: "legacy/layouts", pattern: /^legacy\/layouts\//, what: "four older layouts, read as one source" },
  {
    name: "legacy/merging",
    pattern: /^legacy\/merging\//,
    what: "a foreign file goes in, session by session",
  },
  { name: "legacy/migration", pattern: /^legacy\/migration\//, what: "built aside, compared, one rename" },
  {
    name: "legacy/back",
    pattern: /^legacy\/back\//,
    what: "today's sessions as a legacy file: rollback, mirror",
  },
  {
    name: "legacy (public)",
    pattern: /^legacy\/[^/]+\.c?ts$/,
    what: "`sessiondir/legacy`: one store, or all of a gateway",
  },
  {
    name: "care/moving",
    pattern: /^(?:care\/)?moving\//,
    what: "`sessiondir/moving`",
  },
  {
    name: "care/retention",
    pattern: /^(?:care\/)?retention\//,
    what: "`sessiondir/retention`",
  },
  { name: "openclaw/base", pattern: /^openclaw\/base\//, what: "keys, paths, what a process says once" },
  {
    name: "openclaw/entry",
    pattern: /^openclaw\/entry\//,
    what: "what a gateway keeps of a session, in all its spellings",
  },
  {
    name: "openclaw/maintenance",
    pattern: /^openclaw\/maintenance\//,
    what: "OpenClaw's retention, of either backend",
  },
  {
    name: "openclaw/directory",
    pattern: /^openclaw\/directory\//,
    what: "directories and migrations by OpenClaw's names",
  },
  {
    name: "openclaw/backend",
    pattern: /^openclaw\/backend\//,
    what: "a store as gateways see it: a directory or a `sessions.json`",
  },
  {
    name: "openclaw/access",
    pattern: /^openclaw\/access\//,
    what: "from a path to the store behind it, at this instant",
  },
  {
    name: "openclaw/one-store",
    pattern: /^openclaw\/one-store\//,
    what: "load, update the store, update an entry",
  },
  { name: "openclaw/agents", pattern: /^openclaw\/agents\//, what: "the stores of all agents" },
  { name: "openclaw (public)", pattern: /^openclaw\/index\.c?ts$/, what: "`sessiondir/openclaw`" },
  {
    name: "care/backup",
    pattern: /^(care\/)?backup\//,
    what: "`sessiondir/backup`",
  },
  {
    name: "care/doctor",
    pattern: /^(?:care\/)?doctor\//,
    what: "`sessiondir/doctor`",
  },
  { name: "index", pattern: /^index\.c?ts$/, what: "`sessiondir`: the public surface" },
  {
    name: "cli",
    pattern: /^cli\/(?!commands\/|program|command-line|main)/,
    what: "from a command line to an exit code",
  },
  { name: "cli/commands", pattern: /^cli\/commands\//, what: "one file a verb" },
  { name: "cli (program)", pattern: /^cli\//, what: "the program `sessiondir`" },
  {
    name: "testing/simulated",
    pattern: /^testing\/(simulated\/|seeded-random|manual-runtime)/,
    what: "a disk that forgets, a clock that tests move",
  },
  {
    name: "testing/conformance",
    pattern: /^testing\/conformance\//,
    what: "the suite that every engine passes",
  },
  { name: "testing", pattern: /^testing\//, what: "`sessiondir/testing`" },
];

/**
 * Wings that a stranger walks through: their rooms are the folders and files at their root, an arrow is a room that imports
 * another one, floors are the longest way down. No more of each than this. A wing that outgrows it is arranged anew.
 * @type {ReadonlyMap<string, Walk>}
 */
export const WINGS = new Map([
  ["legacy", { rooms: 12, floors: 7, arrows: 38 }],
  ["openclaw", { rooms: 10, floors: 7, arrows: 32 }],
]);

/** @typedef {{ rooms: number, floors: number, arrows: number }} Walk */

/** Folders that stand on everything and carry nothing: nobody outside may import them. */
export const PRIVATE_TOPS = ["cli", "testing"];

/** @param {string} file Path in src/. @returns Index of its room, or -1. */
export const roomOf = (file) => ROOMS.findIndex(({ pattern }) => pattern.test(file));
