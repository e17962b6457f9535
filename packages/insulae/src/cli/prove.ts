/** `insulae prove`: a proof of the tables' isolation, in a scratch database, as a report. */

import { version } from "../app/version.ts";
import { exitCodes } from "../doctor/failure.ts";
import { count } from "../kernel/lib/count.ts";
import { isProven, type MutantScore, type Proof, proveTables } from "../prove/prove.ts";
import type { CommandContext, Result } from "./command.ts";
import { withInstallation } from "./open.ts";
import { createProgress } from "./progress.ts";
import { table } from "./table.ts";

export const prove = (context: CommandContext): Promise<Result> =>
  withInstallation(context, "look", async ({ connect, main, migrations }) => {
    const progress = createProgress("Faults");
    const startedAt = new Date();
    try {
      const onProgress = progress.update;
      const proof = await proveTables({ connect, main, migrations, onProgress });
      progress.end();
      const proven = isProven(proof);
      return {
        document: {
          proven,
          started_at: startedAt.toISOString(),
          took_ms: Date.now() - startedAt.getTime(),
          insulae: version,
          migrations: migrations.hash,
          ...proof,
        },
        text: describe(proof),
        exitCode: proven ? exitCodes.ok : exitCodes.failed,
      };
    } finally {
      progress.end();
    }
  });

function describe(proof: Proof): string {
  const { tables, probes, unfilled, broken, mutants } = proof;
  const sum = (of: (score: MutantScore) => number) =>
    mutants.reduce((total, each) => total + of(each), 0);
  const made = sum((each) => each.made);
  const noticed = sum((each) => each.byProbes + each.byCheck);
  const rows = mutants.map(({ name, made: all, byProbes, byCheck, survivors }) => [
    ...[name, all, byProbes, byCheck],
    survivors.length === 0 ? "-" : survivors.join(", "),
  ]);
  return [
    `${count("table", tables)}, ${count("probe", probes)}: ${broken.length === 0 ? "all hold" : "NOT ISOLATED"}`,
    ...broken.map((each) => `✘ ${each.table}: it does not hold that ${each.probes.join("; ")}`),
    ...unfilled.map((line) => `✘ no rows could be made, so nothing is proven of ${line}`),
    "",
    table(["FAULT", "MADE", "BY PROBES", "BY THE CHECK", "NOT NOTICED"], rows),
    "",
    `${noticed} of ${made} faults are noticed (${((100 * noticed) / Math.max(1, made)).toFixed(1)} %).`,
  ].join("\n");
}
