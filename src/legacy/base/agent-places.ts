/**
 * Where a gateway's agents have their sessions: the shape of these paths, for everything that looks for them. Pure.
 *
 * Below a state directory it is `agents/<agent>/sessions/sessions.json`, or the store `sessions.d` beside that. A
 * configuration may name other places, by a path or by a template with `{agentId}`.
 */
import { join, sep } from "node:path";

/** Stands for an agent's id in a store's path, as often as it likes. */
export const AGENT = "{agentId}";

/** The folder that has one folder for each agent. */
export function agentsFolderIn(stateDirectory: string): string {
  return join(stateDirectory, "agents");
}

/** An agent's legacy file, whether it is there or not. */
export function fileOfAgent(agentsFolder: string, agent: string): string {
  return join(agentsFolder, agent, "sessions", "sessions.json");
}

/** `…/agents/<agent>/sessions/NAME` is an agent's store; undefined for a path of any other shape. */
export function placeOfAgent(
  storePath: string,
): { readonly agentsFolder: string; readonly agent: string; readonly name: string } | undefined {
  const parts = storePath.split(sep);
  const [agents, agent, sessions, name] = parts.slice(-4);
  if (agents !== "agents" || sessions !== "sessions" || agent === undefined || name === undefined)
    return undefined;
  return { agentsFolder: parts.slice(0, -3).join(sep), agent, name };
}

/** What has to be looked at to know for which agents a template stands: `…/{agentId}/sessions.json`, `…/sessions-{agentId}.json`. */
export interface AgentTemplate {
  /** The folder whose names depend on the agent. */
  readonly folder: string;
  /** The agents that have something there. @param names In that folder. */
  readonly agentsIn: (names: Iterable<string>) => Set<string>;
}

/** @param path A path with {@link AGENT} in it. */
export function agentTemplate(path: string): AgentTemplate {
  const parts = path.split(sep);
  const index = parts.findIndex((part) => part.includes(AGENT));
  const part = parts[index] ?? "";
  // The store of sessions-main.json is sessions-main.d: after a migration only that is there.
  const shapes = [part, index === parts.length - 1 ? part.replace(/\.json$/, ".d") : part].map(shapeOf);
  return {
    folder: parts.slice(0, index).join(sep) || sep,
    agentsIn: (names) => {
      const agents = new Set<string>();
      for (const name of names) {
        for (const shape of shapes) {
          const agent = shape.exec(name)?.groups?.["agent"];
          if (agent !== undefined) agents.add(agent);
        }
      }
      return agents;
    },
  };
}

/** Matches names with the agent as a group. */
function shapeOf(template: string): RegExp {
  const [before = "", ...rest] = template
    .split(AGENT)
    .map((text) => text.replaceAll(/[\\^$.*+?()[\]{}|]/g, "\\$&"));
  return new RegExp(`^${before}(?<agent>.+)${rest.join("\\k<agent>")}$`, "s");
}
