/** What was done, counted; figures of several workers add up. */
export interface Figures {
  schedules: number;
  calls: number;
  operations: number;
  commits: number;
  opened: number;
  kills: number;
  powerCuts: number;
  suspensions: number;
  fullDisks: number;
  /** Reserves that were given up. */
  reserves: number;
  errors: number;
  clockJumps: number;
  damages: number;
  copies: number;
  migrations: number;
  rollbacks: number;
  violations: number;
}

export function noFigures(): Figures {
  return {
    schedules: 0,
    calls: 0,
    operations: 0,
    commits: 0,
    opened: 0,
    kills: 0,
    powerCuts: 0,
    suspensions: 0,
    fullDisks: 0,
    reserves: 0,
    errors: 0,
    clockJumps: 0,
    damages: 0,
    copies: 0,
    migrations: 0,
    rollbacks: 0,
    violations: 0,
  };
}

export function addFigures(to: Figures, from: Figures): void {
  for (const name of Object.keys(to) as (keyof Figures)[]) to[name] += from[name];
}
