import type { Application } from "../app/app-api.ts";
import { stockApplication } from "../app/application.ts";
import type { Installation } from "../app/installation.ts";
import type { Config } from "../config/config.ts";
import { CommandError, exitCodes, explain } from "../doctor/failure.ts";
import { coreFeatures } from "../features/index.ts";
import { withOwner, withOwnerOnce } from "../kernel/engine/connect.ts";
import { count } from "../kernel/lib/count.ts";
import type { Placement } from "../kernel/model/tenant.ts";
import { label } from "../kernel/schema/ledger.ts";
import { findRevertible, type RevertChoice, revertPlacement } from "../kernel/schema/migrator.ts";
import { lookupsOf } from "../kernel/tenancy/catalogue.ts";
import { tenantNotFound } from "../kernel/tenancy/errors.ts";
import { byDatabase, listPlacements } from "../kernel/tenancy/migrate-all.ts";
import { writeVersion } from "../kernel/tenancy/placements.ts";
import { findTenant } from "../kernel/tenancy/tenant-queries.ts";
import type { CommandContext, Result } from "./command.ts";
import { confirm } from "./confirm.ts";
import { auditCommand, commandSettings, withInstallation } from "./open.ts";
import { createProgress } from "./progress.ts";

export interface DownOptions {
  readonly steps: number;
  readonly feature?: string;
  readonly tenant?: string;
  readonly all: boolean;
  readonly yes: boolean;
  readonly inProduction: boolean;
}

interface Outcome {
  readonly placement: Placement;
  readonly reverted: readonly string[];
  readonly error: unknown;
}

/** Reverts migrations, for one tenant that has a placement of its own, or for all. */
export async function migrateDown(context: CommandContext, options: DownOptions): Promise<Result> {
  const { steps, feature, tenant, all, yes } = options;
  if (all === (tenant !== undefined)) {
    throw new CommandError("usage", "Give either --tenant <tenant> or --all.", exitCodes.usage);
  }
  refuseInProduction(commandSettings(context).config, options);
  const own = ownFeatures(await context.application());
  return withInstallation(context, "revert", async (installation) => {
    refuseUnknownFeature(installation, feature);
    const features = feature === undefined ? own : [feature];
    if (features.length === 0) {
      const message = "Give --feature: this application has no features of its own.";
      throw new CommandError("usage", message, exitCodes.usage);
    }
    const placements =
      tenant === undefined
        ? await listPlacements(installation.control)
        : [await placementOfTenant(installation, tenant)];
    const choice = { steps, features };
    const found = await findApplied(installation, placements, choice);
    if (found.size === 0) return nothingToRevert(features);
    const lines = [...found].map(([name, places]) => `  ${name} in ${count("placement", places)}`);
    await confirm(context, yes, {
      message: `Reverts these migrations and deletes the rows in their tables:\n${lines.join("\n")}\n`,
    });

    const progress = createProgress("Placements");
    const outcomes: Outcome[] = [];
    for (const placement of placements) {
      outcomes.push(await revert(installation, placement, choice));
      progress.update(outcomes.length, placements.length);
    }
    progress.end();
    const result = report(outcomes);
    await auditCommand(installation)({
      action: "migrations.reverted",
      outcome: result.exitCode === exitCodes.ok ? "succeeded" : "failed",
      detail: { steps, feature, tenant, placements: outcomes.length },
    });
    return result;
  });
}

/** The application's own features. For Insulae's features, `--feature` is required. */
function ownFeatures({ features }: Application): readonly string[] {
  const brought = new Set([...coreFeatures, ...stockApplication.features].map(({ name }) => name));
  return features.map(({ name }) => name).filter((name) => !brought.has(name));
}

/** The migrations that would be reverted, and in how many placements each is applied. */
async function findApplied(
  { connect, migrations }: Installation,
  placements: readonly Placement[],
  choice: RevertChoice,
): Promise<ReadonlyMap<string, number>> {
  const found = new Map<string, number>();
  for (const together of byDatabase(placements)) {
    const [first] = together;
    if (!first) continue;
    const schemas = together.map(({ schema }) => schema);
    const revertible = await withOwnerOnce(connect, first, (client) =>
      findRevertible(client, schemas, migrations, choice),
    );
    for (const name of [...revertible.values()].flat().map(label)) {
      found.set(name, (found.get(name) ?? 0) + 1);
    }
  }
  return found;
}

const nothingToRevert = (features: readonly string[]): Result => ({
  document: { placements: [] },
  text: `There is nothing to revert: no placement has a migration of ${features.join(", ")}.`,
});

function refuseInProduction({ env }: Config, { inProduction }: DownOptions): void {
  if (env !== "production" || inProduction) return;
  throw new CommandError(
    "production_guard",
    "APP_ENV is production, and reverting migrations loses rows. Use --in-production to do it anyway.",
    exitCodes.refused,
  );
}

function refuseUnknownFeature({ migrations }: Installation, feature: string | undefined): void {
  const names = migrations.features.map(({ name }) => name);
  if (feature === undefined || names.includes(feature)) return;
  const message = `There is no feature ${feature} with migrations. Features: ${names.join(", ")}.`;
  throw new CommandError("feature_not_found", message, exitCodes.usage);
}

async function placementOfTenant({ control }: Installation, reference: string): Promise<Placement> {
  for (const lookup of lookupsOf(reference)) {
    const tenant = await findTenant(control, lookup);
    if (!tenant) continue;
    if (tenant.placement.isolation !== "pool") return tenant.placement;
    throw new CommandError(
      "placement_shared",
      `${tenant.key} shares the pool with other tenants, so migrations can't be reverted for it alone. Use --all to revert them everywhere.`,
      exitCodes.refused,
    );
  }
  throw tenantNotFound();
}

async function revert(
  { connect, control, migrations, config }: Installation,
  placement: Placement,
  { steps, features }: Required<RevertChoice>,
): Promise<Outcome> {
  const { lockTimeoutMs } = config;
  const reverted: string[] = [];
  try {
    // Each in its own transaction: completed reverts stay, and are reported, whatever happens next.
    while (reverted.length < steps) {
      const step = await withOwner(connect, placement, (client) =>
        revertPlacement(client, placement.schema, migrations, {
          ...{ steps: 1, features, lockTimeoutMs },
        }),
      );
      if (step.reverted.length === 0) break;
      await writeVersion(control, placement, step.version);
      reverted.push(...step.reverted);
    }
    return { placement, reverted, error: undefined };
  } catch (error) {
    return { placement, reverted, error };
  }
}

function report(outcomes: readonly Outcome[]): Result {
  const failed = outcomes.filter(({ error }) => error !== undefined);
  const items = outcomes.map(({ placement: { id, database, schema }, reverted, error }) => ({
    placement_id: id,
    database,
    schema,
    reverted,
    error: error === undefined ? null : explain(error).message,
  }));
  const lines = items.map(({ database, schema, reverted, error }) => {
    const done = reverted.length === 0 ? [] : [`reverted ${reverted.join(", ")}`];
    const said = [...done, ...(error === null ? [] : [error])].join("; then ");
    return `${database}.${schema}: ${said || "nothing to revert"}`;
  });
  const hint =
    "If MIGRATE_ON_START is true (the default in development), the next start migrates up again.";
  return {
    document: { placements: items },
    text: [...lines, hint].join("\n"),
    exitCode: failed.length === 0 ? exitCodes.ok : exitCodes.failed,
  };
}
