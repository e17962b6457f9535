import { cpus, loadavg, totalmem } from "node:os";
import type { Section, Verdict } from "./scenario.ts";

/** What the figures were measured on. */
export interface Machine {
  readonly processor: string;
  readonly cores: number;
  readonly memoryGb: number;
  readonly node: string;
  readonly postgres: string;
  /** What else was going on when the benchmark began: processes that wanted a core. */
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

/** The report in Markdown, to be read as it is or pasted into a document. */
export function markdown(on: Machine, sections: readonly Section[]): string {
  const verdicts = sections.flatMap((section) => section.verdicts);
  return [
    `Measured on ${on.cores} cores (${on.processor}) and ${on.memoryGb} GB for everything: server, PostgreSQL ${on.postgres} and load generator. Node ${on.node}; 1000 tenants of 200 contacts, forced Row-Level Security.${isBusy(on) ? ` The machine was busy with something else (load ${on.loadBefore.toFixed(1)}): the figures mean little.` : ""}`,
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

/** A Markdown table: the first column to the left, figures to the right. */
function table(columns: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]) => `| ${cells.join(" | ")} |`;
  const rule = columns.map((_, i) => (i === 0 ? "---" : "---:"));
  return [line(columns), line(rule), ...rows.map(line)].join("\n");
}
