/** What is applied to each placement, and what is wrong there. Changes nothing. */
import type { Kysely } from "kysely";
import type pg from "pg";
import type { Config } from "../config/config.ts";
import { type Connect, withOwner, withOwnerOnce } from "../kernel/engine/connect.ts";
import type { Secrets } from "../kernel/lib/secrets.ts";
import type { Placement } from "../kernel/model/tenant.ts";
import type { ControlTables } from "../kernel/schema/control-tables.ts";
import { label, type MigrationPlan, MigrationRefused } from "../kernel/schema/ledger.ts";
import type { Migrations } from "../kernel/schema/migration-files.ts";
import { placementPlans } from "../kernel/schema/migrator.ts";
import { asOwner, controlPlans } from "../kernel/tenancy/main-server.ts";
import { byDatabase, listPlacements } from "../kernel/tenancy/migrate-all.ts";
import type { MainServer } from "../kernel/tenancy/prepare.ts";
import type { Provisioning } from "../kernel/tenancy/provisioning.ts";
import type { Servers } from "../kernel/tenancy/servers.ts";
import { explain } from "./failure.ts";

/** What is examined: an installation that is open, of a command or of a server. */
export interface Examined {
  readonly config: Config;
  readonly main: MainServer;
  readonly control: Kysely<ControlTables>;
  readonly connect: Connect;
  readonly servers: Servers;
  readonly migrations: Migrations;
  readonly provisioning: Provisioning;
  readonly secrets: Secrets;
}

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

/** The pending migrations of the control plane, and outdated functions of its database. */
export const controlPlaneDue = ({ main, connect, migrations }: Examined) =>
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
  { control, connect, migrations }: Examined,
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
