/** What PostgreSQL itself answers, past all of the application: the same SQL in each tenant's scope and in none. */
import type { Client, Schemas } from "@insulae/client";
import { acme, globex, type Outcome } from "./demo.ts";

export type Probes = Schemas["IsolationProbes"];
export type Probe = Schemas["IsolationProbe"];

/** One request answers all three; the server runs the statements and takes back what they did. */
export const askProbes = (platform: Client): Promise<Probes> =>
  platform.post("/platform/isolation/probes", { body: { a: acme, b: globex } });

const isWrite = ({ name }: Probe): boolean => name.startsWith("write");

const answerOf = ({ rows, sqlstate }: Probe): string => sqlstate ?? String(rows);

export function sameSql({ probes }: Probes): Outcome {
  const reads = probes.filter((probe) => !isWrite(probe));
  return {
    passed: reads.length > 0 && reads.every(({ passed }) => passed),
    lines: reads
      .filter(({ name }) => name.startsWith("count"))
      .map((probe) => `${scopeOf(probe)}: ${answerOf(probe)}`),
    statements: reads,
  };
}

export function writeAnothers({ probes }: Probes): Outcome {
  const writes = probes.filter(isWrite);
  return {
    passed: writes.length > 0 && writes.every(({ passed }) => passed),
    lines: writes.map((probe) => [answerOf(probe), probe.message].filter(Boolean).join(" ")),
    statements: writes,
  };
}

export function policyOf({ policies }: Probes): Outcome {
  const texts = policies.flatMap(({ policies: own }) => own.map(({ using }) => using ?? "–"));
  return {
    passed: policies.length > 0 && policies.every(({ passed }) => passed),
    lines: [...new Set(texts)],
    policies,
  };
}

export const scopeOf = ({ scope, placement }: Probe): string => {
  if (scope === "a") return acme;
  if (scope === "b") return globex;
  return `∅ (${placement.isolation})`;
};
