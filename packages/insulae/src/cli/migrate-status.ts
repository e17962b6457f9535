import { exitCodes } from "../doctor/failure.ts";
import {
  controlPlaneDue,
  type PlacementState,
  placementStates,
} from "../doctor/placement-states.ts";
import { count } from "../kernel/lib/count.ts";
import type { CommandContext, Result } from "./command.ts";
import { withInstallation } from "./open.ts";
import { table } from "./table.ts";

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
