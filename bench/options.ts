import { parseArgs } from "node:util";

/** The scenarios, in order. `list`, `one` and `insert` are columns of one table. */
export const scenarioNames = [
  "list",
  "one",
  "insert",
  "memory",
  "flood",
  "provisioning",
  "moves",
  "schemas",
  "databases",
  "start",
  "limits",
  "clients",
  "signins",
  "checks",
  "revocation",
  "soak",
  "viewers",
  "sick-server",
  "workers",
  "tenants",
] as const;
export type ScenarioName = (typeof scenarioNames)[number];

export interface Options {
  readonly only: ReadonlySet<ScenarioName>;
  readonly rounds: number;
  /** How long each figure is measured, plus warm-up. */
  readonly seconds: number;
  /** 1000 tenant databases instead of 100, and 1000 schemas instead of 300. */
  readonly full: boolean;
  /** Print one JSON document instead of Markdown. */
  readonly json: boolean;
}

export const usage = `npm run bench -- [options]

  --only a,b     only these: ${scenarioNames.join(", ")}
  --rounds N     rounds, of which the median counts (default 3)
  --seconds N    how long each figure is measured in a round (default 3)
  --full         1000 tenant databases rather than 100, and 1000 schemas rather than 300 (minutes more)
  --json         one JSON document rather than Markdown`;

/** @throws Error if the arguments are invalid */
export function parseOptions(args: readonly string[]): Options {
  const { values } = parseArgs({
    args: [...args],
    options: {
      only: { type: "string" },
      rounds: { type: "string", default: "3" },
      seconds: { type: "string", default: "3" },
      full: { type: "boolean", default: false },
      json: { type: "boolean", default: false },
    },
  });
  return {
    only: new Set(values.only?.split(",").map(scenarioName) ?? scenarioNames),
    rounds: positive("--rounds", values.rounds),
    seconds: positive("--seconds", values.seconds),
    full: values.full,
    json: values.json,
  };
}

function scenarioName(text: string): ScenarioName {
  const name = scenarioNames.find((candidate) => candidate === text);
  if (!name) throw new Error(`--only ${text}: there are ${scenarioNames.join(", ")}`);
  return name;
}

function positive(option: string, text: string): number {
  const number = Number(text);
  if (!Number.isInteger(number) || number < 1) throw new Error(`${option} ${text}: not a number`);
  return number;
}
