/**
 * Goal: everything that looks for agents' sessions means the same places, and finds agents by a template before and after a
 * migration.
 * Method: paths and names in, paths and agents out; the round trip of every place.
 */
import { describe, expect, it } from "vitest";
import {
  AGENT,
  agentsFolderIn,
  agentTemplate,
  fileOfAgent,
  placeOfAgent,
} from "../../../src/legacy/base/agent-places.js";

const FOLDER = agentsFolderIn("/home/me/.openclaw");

it("a place leads back to its agent", () => {
  for (const agent of ["main", "Work", "a.b", "{agentId}"])
    expect(placeOfAgent(fileOfAgent(FOLDER, agent))).toEqual({
      agentsFolder: "/home/me/.openclaw/agents",
      agent,
      name: "sessions.json",
    });
  expect(placeOfAgent("/home/me/.openclaw/agents/main/sessions/sessions.d")?.name).toBe("sessions.d");
});

it.each([
  "/home/me/sessions.json",
  "/agents/main/sessions",
  "/home/agents/main/other/sessions.json",
  "/home/people/main/sessions/sessions.json",
  "",
])("%j is no agent's place", (path) => {
  expect(placeOfAgent(path)).toBeUndefined();
});

describe("a template", () => {
  const agents = (template: string, names: readonly string[]): string[] => [
    ...agentTemplate(template).agentsIn(names),
  ];

  it("says which folder's names depend on the agent", () => {
    expect(agentTemplate(`/data/${AGENT}/sessions.json`).folder).toBe("/data");
    expect(agentTemplate(`/data/all/sessions-${AGENT}.json`).folder).toBe("/data/all");
    expect(agentTemplate(`/${AGENT}/sessions.json`).folder).toBe("/");
  });

  it("finds agents by their files and by their stores, each once", () => {
    const names = ["sessions-a.json", "sessions-a.d", "sessions-b.d", "sessions-.json", "sessions-c.txt"];
    expect(agents(`/data/sessions-${AGENT}.json`, names)).toEqual(["a", "b"]);
    expect(agents(`/data/${AGENT}/sessions.json`, ["a", "b.d", "c.json"])).toEqual(["a", "b.d", "c.json"]);
  });

  it("takes names as they are, whatever they mean to an expression", () => {
    expect(agents(`/data/x(${AGENT})+.json`, ["x(a)+.json", "xxa.json"])).toEqual(["a"]);
    expect(agents(`/data/${AGENT}.json`, ["$&.json", "a\nb.json"])).toEqual(["$&", "a\nb"]);
  });

  it("may name the agent more than once", () => {
    const names = ["a-of-a.json", "a-of-b.json", "-of-.json"];
    expect(agents(`/data/${AGENT}-of-${AGENT}.json`, names)).toEqual(["a"]);
  });
});
