import type pg from "pg";
import type { Installation } from "../app/installation.ts";
import { withOwner, withOwnerOnce } from "../kernel/engine/connect.ts";
import type { Placement } from "../kernel/model/tenant.ts";
import { label, type MigrationPlan, MigrationRefused } from "../kernel/schema/ledger.ts";
import { placementPlans } from "../kernel/schema/migrator.ts";
import { asOwner, controlPlans } from "../kernel/tenancy/main-server.ts";
import { byDatabase, listPlacements } from "../kernel/tenancy/migrate-all.ts";
import type { CommandContext, Result } from "./command.ts";
import { exitCodes, explain } from "./failure.ts";
import { withInstallation } from "./open.ts";
import { count, table } from "./table.ts";

export interface PlacementState {
  readonly placement: Placement;
  readonly version: number | undefined;
  readonly pending: readonly string[];
  /** Migrations applied by a newer version of the application. */
  readonly unknown: readonly string[];
  /** Features with tables here that the application neither loads nor lists as retired. */
  readonly foreign: readonly string[];
  readonly problem: string | undefined;
}

/** The applied and pending migrations of each placement. Changes nothing. */
export const migrateStatus = (context: CommandContext): Promise<Result> =>
  withInstallation(context, "inspect", async (installation) => {
    const states = await placementStates(installation);
    const control = await controlPlaneDue(installation);
    const names = new Map((await installation.servers.list()).map(({ id, name }) => [id, name]));
    const broken = states.some(({ problem }) => problem !== undefined);
    return {
      document: {
        control_plane: { pending: control },
        version: installation.migrations.version,
        placements: states.map(({ placement, ...state }) => ({
          server: names.get(placement.serverId),
          database: placement.database,
          schema: placement.schema,
          isolation: placement.isolation,
          ...state,
        })),
      },
      text: [describeControlPlane(control), "", describePlacements(states, names)].join("\n"),
      exitCode: broken ? exitCodes.failed : exitCodes.ok,
    };
  });

/** The pending migrations of the control plane, and outdated functions of its database. */
export const controlPlaneDue = ({ main, connect, migrations }: Installation) =>
  withOwner(connect, { serverId: main.id, database: main.database }, (client) =>
    asOwner(client, async () =>
      (await controlPlans(client, migrations)).flatMap(({ pending }) => pending.map(label)),
    ),
  );

export interface PlannedPlacement {
  readonly placement: Placement;
  readonly plan: MigrationPlan;
}

/**
 * The state of each placement.
 *
 * @param look called for the placements of each database, on the same connection; returns problems
 * by schema, if any
 * @param isAsked which servers to query; placements of others are left out
 */
export async function placementStates(
  { control, connect, migrations }: Installation,
  look?: (
    client: pg.Client,
    planned: readonly PlannedPlacement[],
  ) => Promise<ReadonlyMap<string, string>>,
  isAsked: (serverId: string) => boolean = () => true,
): Promise<readonly PlacementState[]> {
  const placements = (await listPlacements(control)).filter(({ serverId }) => isAsked(serverId));
  const states: PlacementState[] = [];
  const queue = byDatabase(placements).values();
  const worker = async () => {
    for (const together of queue) {
      try {
        states.push(...(await lookAt(together)));
      } catch (error) {
        states.push(...together.map((placement) => unknownState(placement, error)));
      }
    }
  };
  const lookAt = async (together: readonly Placement[]): Promise<readonly PlacementState[]> => {
    const [first] = together;
    if (!first) return [];
    return withOwnerOnce(connect, first, async (client) => {
      const schemas = together.map(({ schema }) => schema);
      const plans = await placementPlans(client, schemas, migrations);
      const planned = together.flatMap((placement) => {
        const plan = plans.get(placement.schema);
        return plan && "pending" in plan ? [{ placement, plan }] : [];
      });
      const problems = await look?.(client, planned);
      const known = planned.map(({ placement, plan }) => ({
        placement,
        version: plan.applied.length,
        pending: plan.pending.map(label),
        unknown: plan.unknown.map(label),
        foreign: plan.foreign.filter((name) => !migrations.retired.has(name)),
        problem: problems?.get(placement.schema),
      }));
      const refused = together.flatMap((placement) => {
        const plan = plans.get(placement.schema);
        return plan instanceof MigrationRefused ? [unknownState(placement, plan)] : [];
      });
      return [...known, ...refused];
    });
  };
  await Promise.all(Array.from({ length: 4 }, worker));
  const order = new Map(placements.map(({ id }, index) => [id, index]));
  const rank = ({ placement }: PlacementState) => order.get(placement.id) ?? 0;
  return states.sort((a, b) => rank(a) - rank(b));
}

const unknownState = (placement: Placement, error: unknown): PlacementState => ({
  placement,
  version: undefined,
  pending: [],
  unknown: [],
  foreign: [],
  problem: explain(error).message,
});

const describeControlPlane = (due: readonly string[]): string =>
  due.length === 0
    ? "The control plane is up to date."
    : `The control plane lacks ${due.join(", ")}.`;

function describePlacements(
  states: readonly PlacementState[],
  names: ReadonlyMap<string, string>,
): string {
  const rows = states.map(({ placement, version, pending, unknown, foreign, problem }) => [
    names.get(placement.serverId) ?? placement.serverId,
    placement.database,
    placement.schema,
    version === undefined ? "?" : String(version),
    problem?.split("\n")[0] ?? standing({ pending, unknown, foreign }),
  ]);
  return table(["SERVER", "DATABASE", "SCHEMA", "VERSION", "STATE"], rows);
}

function standing({
  pending,
  unknown,
  foreign,
}: Pick<PlacementState, "pending" | "unknown" | "foreign">): string {
  if (foreign.length > 0) return `has features that this application lacks: ${foreign.join(", ")}`;
  if (pending.length > 0) return `lacks ${pending.join(", ")}`;
  if (unknown.length > 0) return `${count("migration", unknown.length)} of a newer version`;
  return "up to date";
}
