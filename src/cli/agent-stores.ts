/**
 * The agents of a state directory that have sessions: `agents/<agent>/sessions/sessions.d`, or a `sessions.json` that can
 * become one. An agent whose folder cannot be read hides none of the others.
 */
import { dirname } from "node:path";
import { asStoreError } from "../errors.js";
import { agentsFolderIn, fileOfAgent, placeOfAgent } from "../legacy/base/agent-places.js";
import { reportOf } from "./failure.js";
import { needsPerson, type Invocation } from "./invocation.js";
import { exists, namesIn } from "./presence.js";

export interface AgentStore {
  readonly agent: string;
  /** The store, whether it is there already or not. */
  readonly path: string;
}

export interface UnreadableAgent extends AgentStore {
  readonly error: unknown;
}

export interface AgentStores {
  /** In the order of their names. */
  readonly readable: readonly AgentStore[];
  readonly unreadable: readonly UnreadableAgent[];
}

export function storeOfAgent(stateDirectory: string, agent: string): string {
  return fileOfAgent(agentsFolderIn(stateDirectory), agent).replace(/\.json$/, ".d");
}

/** @throws a store error when the folder of all agents cannot be read. */
export function agentsWithSessions(stateDirectory: string): AgentStores {
  const readable: AgentStore[] = [];
  const unreadable: UnreadableAgent[] = [];
  for (const agent of agentsIn(stateDirectory)) {
    const path = storeOfAgent(stateDirectory, agent);
    try {
      if (exists(path) || exists(path.replace(/\.d$/, ".json"))) readable.push({ agent, path });
    } catch (error) {
      unreadable.push({ agent, path, error: asStoreError(error, `look for the sessions of agent ${agent}`) });
    }
  }
  return { readable, unreadable };
}

function agentsIn(stateDirectory: string): string[] {
  const folder = agentsFolderIn(stateDirectory);
  try {
    return namesIn(folder);
  } catch (error) {
    throw asStoreError(error, `list the agents in ${folder}`);
  }
}

/** One agent's store cannot be used: the others are, and the program ends with 3. */
export function warnOfAgent(invocation: Invocation, { agent, path }: AgentStore, error: unknown): void {
  const { code, message, data } = reportOf(error);
  needsPerson(invocation);
  invocation.terminal.warn(code, `agent ${agent} was left out: ${message}`, { path, ...data, agent });
}

/** The state directory is a person's own: a few agents, not thousands. */
const LOOKED_AT_MAX = 100;

/**
 * Where a key is that its store does not have: an agent's folder may have got another name, but its keys have not. The
 * next step as a sentence; undefined when no other agent has the key, or none that can be read.
 */
export async function foundElsewhere(path: string, key: string): Promise<string | undefined> {
  const here = placeOfAgent(path);
  if (here === undefined) return undefined;
  const stateDirectory = dirname(here.agentsFolder);
  const { openDirectoryStore } = await import("../store/open.js");
  const { shellQuoted } = await import("../legacy/base/paths.js");
  const { readable } = agentsWithSessions(stateDirectory);
  for (const other of readable.slice(0, LOOKED_AT_MAX)) {
    if (other.agent === here.agent) continue;
    try {
      await using store = await openDirectoryStore(other.path, { readOnly: true });
      if ((await store.read(key)) === undefined) continue;
    } catch {
      continue; // this is only a search for advice
    }
    return (
      `Agent ${JSON.stringify(other.agent)} has it: ` +
      `--state-dir ${shellQuoted(stateDirectory)} --agent ${shellQuoted(other.agent)}`
    );
  }
  return undefined;
}
