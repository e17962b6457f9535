import { cpus, loadavg, totalmem } from "node:os";
import type { Section, Verdict } from "./scenario.ts";

/** The machine of the measurements. */
export interface Machine {
  readonly processor: string;
  readonly cores: number;
  readonly memoryGb: number;
  readonly node: string;
  readonly postgres: string;
  /** The load average when the benchmark began. */
  readonly loadBefore: number;
}

export const machine = (postgres: string): Machine => ({
  processor: cpus()[0]?.model ?? process.arch,
  cores: cpus().length,
  memoryGb: Math.round(totalmem() / 2 ** 30),
  node: process.versions.node,
  postgres,
  loadBefore: loadavg()[0] ?? 0,
});

export const isBusy = ({ loadBefore, cores }: Machine): boolean => loadBefore > cores / 2;

/** The report as Markdown. */
export function markdown(on: Machine, sections: readonly Section[]): string {
  const verdicts = sections.flatMap((section) => section.verdicts);
  return [
    `Measured on ${on.cores} cores (${on.processor}) and ${on.memoryGb} GB for everything: server, PostgreSQL ${on.postgres} and load generator. Node ${on.node}; 1000 tenants of 200 contacts, forced Row-Level Security.${isBusy(on) ? ` The machine was busy with other work (load ${on.loadBefore.toFixed(1)}): the figures are unreliable.` : ""}`,
    ...sections.map(sectionText),
    ...(verdicts.length > 0 ? [`### Promises\n\n${verdictTable(verdicts)}`] : []),
  ].join("\n\n");
}

function sectionText({ title, text, columns, rows }: Section): string {
  return [`### ${title}`, ...(text ? [text] : []), table(columns, rows)].join("\n\n");
}

const verdictTable = (verdicts: readonly Verdict[]) =>
  table(
    ["promise", "target", "found", ""],
    verdicts.map(({ promise, target, found, met }) => [
      promise,
      target,
      found,
      met ? "met" : "**missed**",
    ]),
  );

/** A Markdown table with the first column left-aligned, figures right-aligned. */
function table(columns: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]) => `| ${cells.join(" | ")} |`;
  const rule = columns.map((_, i) => (i === 0 ? "---" : "---:"));
  return [line(columns), line(rule), ...rows.map(line)].join("\n");
}
