import { exitCodes, explain } from "../doctor/failure.ts";
import { count } from "../kernel/lib/count.ts";
import type { Placement } from "../kernel/model/tenant.ts";
import { migrateAll, type PlacementOutcome } from "../kernel/tenancy/migrate-all.ts";
import type { MainServer } from "../kernel/tenancy/prepare.ts";
import type { CommandContext, Result } from "./command.ts";
import { auditCommand, withInstallation } from "./open.ts";
import { createProgress } from "./progress.ts";

/**
 * Migrates the main database, then every placement. A failure in one placement is reported and does
 * not stop the others; running it again applies what is missing.
 */
export async function migrateUp(
  context: CommandContext,
  { concurrency }: { readonly concurrency: number },
): Promise<Result> {
  context.note("Migrating the control plane and the pool …");
  // Opening it in this mode migrates the main database.
  return withInstallation(context, "migrate", async (installation) => {
    const { config, connect, control, migrations } = installation;
    const progress = createProgress("Placements");
    const found = await migrateAll({
      connect,
      control,
      migrations,
      concurrency,
      lockTimeoutMs: config.lockTimeoutMs,
      onProgress(done, total, outcome) {
        if (outcome.state === "failed") progress.line(describeFailure(outcome));
        progress.update(done, total);
      },
    });
    progress.end();
    const outcomes = found.map((outcome) => withPool(outcome, installation.main));
    const result = report(outcomes, migrations.version);
    await auditCommand(installation)({
      action: "migrations.applied",
      outcome: result.exitCode === exitCodes.ok ? "succeeded" : "failed",
      detail: { version: migrations.version, placements: outcomes.length },
    });
    return result;
  });
}

/** The pool of the main server was migrated when the installation was opened. */
function withPool(outcome: PlacementOutcome, main: MainServer): PlacementOutcome {
  const { placement, state } = outcome;
  const applied = main.poolApplied ?? [];
  const isPool = placement.serverId === main.id && placement.isolation === "pool";
  return isPool && state === "current" && applied.length > 0
    ? { placement, state: "migrated", applied }
    : outcome;
}

type Failed = PlacementOutcome & { readonly state: "failed" };

const nameOf = ({ database, schema }: Placement): string => `${database}.${schema}`;

const describeFailure = ({ placement, error }: Failed): string =>
  `${nameOf(placement)} failed: ${explain(error).message}`;

function report(outcomes: readonly PlacementOutcome[], version: number): Result {
  const inState = (state: PlacementOutcome["state"]) =>
    outcomes.filter((outcome) => outcome.state === state);
  const failed = outcomes.filter((outcome): outcome is Failed => outcome.state === "failed");
  const migrated = inState("migrated").length;
  const current = inState("current").length;
  return {
    document: {
      version,
      placements: outcomes.length,
      migrated,
      current,
      gone: inState("gone").length,
      failed: failed.map(({ placement, error }) => {
        const { code, message } = explain(error);
        const { id, database, schema } = placement;
        return { placement_id: id, database, schema, error: { code, message } };
      }),
    },
    text: [
      `Version ${version}: ${count("placement", migrated)} migrated, ${current} were up to date.`,
      ...(failed.length === 0 ? [] : [`${failed.length} failed:`]),
      ...failed.map((outcome) => `  ${describeFailure(outcome)}`),
    ].join("\n"),
    exitCode: failed.length === 0 ? exitCodes.ok : exitCodes.failed,
  };
}
