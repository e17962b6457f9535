import { existsSync } from "node:fs";
import { join } from "node:path";
import type { Config } from "../config.ts";
import { type Installation, openInstallation } from "../installation.ts";
import { withOwner } from "../kernel/database/connect.ts";
import { findProblemsOf } from "../kernel/database/isolation-check.ts";
import { asOwner, NotSetUp } from "../kernel/tenancy/main-server.ts";
import { type Check, failure, look, ok, warning } from "./check.ts";
import { checkCertificates } from "./doctor-certificates.ts";
import { checkConnections } from "./doctor-connections.ts";
import { createLeftovers } from "./doctor-leftovers.ts";
import { createTableCheck } from "./doctor-tables.ts";
import { createTerminalLogger } from "./logger.ts";
import { controlPlaneDue, type PlacementState, placementStates } from "./migrate-status.ts";
import { serverFeatures } from "./open.ts";
import { count } from "./table.ts";

/** Roles, control plane, placements: what there is once Insulae has been set up. */
export async function checkTenants(config: Config, url: string): Promise<readonly Check[]> {
  // To open it without the secret would make a new one.
  if (!config.masterSecret && !existsSync(join(config.dataDir, "secret"))) return [];
  return look("set-up", "run insulae migrate up", async () => {
    let installation: Installation;
    try {
      const log = createTerminalLogger("silent");
      installation = await openInstallation(
        { ...config, databaseUrl: url },
        serverFeatures,
        log,
        "leave",
      );
    } catch (error) {
      if (!(error instanceof NotSetUp)) throw error;
      return warning("set-up", error.message, "run insulae start, or insulae migrate up");
    }
    try {
      return await checkInstallation(installation);
    } finally {
      await installation.close();
    }
  });
}

async function checkInstallation(installation: Installation): Promise<readonly Check[]> {
  const logIns = await checkLogIns(installation);
  // The rest is asked of the control plane.
  if (logIns.some(({ state }) => state === "failure")) return logIns;
  const leftovers = createLeftovers(installation);
  const tables = createTableCheck(installation);
  const states = await placementStates(installation, async (client, planned) => {
    const schemas = planned.map(({ placement }) => placement.schema);
    const found = await asOwner(client, () => findProblemsOf(client, schemas));
    await tables.look(client, planned);
    const broken = [...found].filter(([, problems]) => problems.length > 0);
    // The rows of a table that is not a tenant's can't be told apart.
    const sound = planned.flatMap(({ placement }) =>
      found.get(placement.schema)?.length === 0 ? [placement] : [],
    );
    await leftovers.look(client, sound);
    return new Map(
      broken.map(([schema, problems]) => [
        schema,
        problems.map(({ object, problem }) => `${object} ${problem}`).join("\n"),
      ]),
    );
  });
  return [
    ...logIns,
    ...(await checkServers(installation)),
    ...checkIsolation(states),
    ...(await checkMigrations(installation, states)),
    ...tables.checks(),
    ...(await leftovers.checks()),
    ...(await checkCertificates(installation)),
  ];
}

/** The passwords of the roles come from the master secret: another one opens nothing. */
const checkLogIns = ({ connect, main }: Installation): Promise<readonly Check[]> =>
  look("roles", "use the MASTER_SECRET that the database was set up with", async () => {
    for (const role of ["control", "app"] as const) {
      (await connect({ serverId: main.id, database: main.database, role })).release();
    }
    return ok("roles", "insulae_control and insulae_app can log in");
  });

async function checkServers({ connect, main, servers, config }: Installation) {
  const checks: Check[] = [];
  for (const { id, name } of (await servers.list()).filter((server) => server.id !== main.id)) {
    const remedy = `see whether the server ${name} runs, and can be reached from here`;
    checks.push(
      ...(await look(`server ${name}`, remedy, () =>
        withOwner(connect, { serverId: id, database: main.database }, async (client) => [
          ok(`server ${name}`, "can be reached"),
          await checkConnections(client, name, config.databaseConnections),
        ]),
      )),
    );
  }
  return checks;
}

const mostNamed = 10;

/** Names the first few; a problem of all placements is one problem. */
function name(states: readonly PlacementState[]): string {
  const names = states
    .slice(0, mostNamed)
    .map(({ placement }) => `${placement.database}.${placement.schema}`);
  const more = states.length - names.length;
  return `${names.join(", ")}${more > 0 ? ` and ${more} more` : ""}`;
}

function checkIsolation(states: readonly PlacementState[]): readonly Check[] {
  const broken = states.filter(({ problem }) => problem !== undefined);
  if (broken.length === 0) {
    return [ok("isolation", `${count("placement", states.length)} looked at`)];
  }
  return broken
    .slice(0, mostNamed)
    .map((state) =>
      failure(
        "isolation",
        `${name([state])}: ${state.problem}`,
        "undo what was changed by hand; a table of a feature needs app.tenant_table()",
      ),
    );
}

async function checkMigrations(installation: Installation, states: readonly PlacementState[]) {
  return look("migrations", "run insulae migrate status", async () => {
    const control = await controlPlaneDue(installation);
    const behind = states.filter(({ pending }) => pending.length > 0);
    const ahead = states.filter(({ unknown }) => unknown.length > 0);
    const remedy = "run insulae migrate up";
    return [
      ...(control.length > 0
        ? [warning("migrations", `the control plane lacks ${control.join(", ")}`, remedy)]
        : []),
      ...(behind.length > 0 ? [warning("migrations", `behind: ${name(behind)}`, remedy)] : []),
      ...(ahead.length > 0
        ? [
            warning(
              "migrations",
              `made by a newer version: ${name(ahead)}`,
              "use that version, or wait until all nodes have it",
            ),
          ]
        : []),
      ...(control.length + behind.length + ahead.length === 0
        ? [ok("migrations", `all have version ${installation.migrations.version}`)]
        : []),
    ];
  });
}
