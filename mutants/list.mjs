// @ts-check
/** All mutants. Whoever adds a step to a protocol adds the mutant that lacks it. */
import { CHECKPOINTS } from "./checkpoint.mjs";
import { GROUND } from "./ground.mjs";
import { LEGACY_FILES } from "./legacy.mjs";
import { LOG } from "./log.mjs";
import { SESSIONS } from "./sessions.mjs";

export const MUTANTS = [...GROUND, ...LOG, ...CHECKPOINTS, ...SESSIONS, ...LEGACY_FILES];
