import { existsSync } from "node:fs";
import { join } from "node:path";
import { sql } from "kysely";
import type { Config } from "../config.ts";
import { type Installation, openInstallation } from "../installation.ts";
import { withOwner } from "../kernel/database/connect.ts";
import { findIsolationProblems } from "../kernel/database/isolation-check.ts";
import { asOwner, NotSetUp } from "../kernel/tenancy/main-server.ts";
import { type Check, failure, look, ok, warning } from "./check.ts";
import { checkCertificates } from "./doctor-certificates.ts";
import { checkConnections } from "./doctor-connections.ts";
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
  const states = await placementStates(installation, async (client, { schema }) => {
    const problems = await asOwner(client, () => findIsolationProblems(client, [schema]));
    return problems.map(({ object, problem }) => `${object} ${problem}`).join("\n") || undefined;
  });
  return [
    ...logIns,
    ...(await checkServers(installation)),
    ...checkIsolation(states),
    ...(await checkMigrations(installation, states)),
    ...(await checkLeftovers(installation)),
    ...(await checkCertificates(installation)),
  ];
}

/** The passwords of the roles come from the master secret: another one opens nothing. */
const checkLogIns = ({ connect, main }: Installation): Promise<readonly Check[]> =>
  look(
    "roles",
    "use the MASTER_SECRET that the database was set up with; a start with another one sets the passwords anew",
    async () => {
      for (const role of ["control", "app"] as const) {
        (await connect({ serverId: main.id, database: main.database, role })).release();
      }
      return ok("roles", "insulae_control and insulae_app can log in");
    },
  );

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

/** What crashes left behind. */
async function checkLeftovers({ provisioning, control }: Installation) {
  const orphans = await look("orphans", "see whether all servers can be reached", async () => {
    const found = await provisioning.findOrphans();
    if (found.length === 0) return ok("orphans", "no database or schema without a tenant");
    const names = found.map(({ database, schema }) => `${database}.${schema}`).join(", ");
    return warning(
      "orphans",
      `without a tenant: ${names}`,
      "if no other Insulae uses this server, they can be dropped by hand",
    );
  });
  const stuck = await look("tenants", "see whether the control plane can be read", async () => {
    const { rows } = await sql<{ key: string; status: string }>`
      select key, status from control.tenants
      where status = 'provisioning' and created_at < now() - interval '15 minutes'
        or status = 'deleted' and erase_after < now() - interval '1 day'`.execute(control);
    if (rows.length === 0) return ok("tenants", "none is half made or overdue for erasure");
    const names = rows.map(({ key, status }) => `${key} (${status})`).join(", ");
    return warning(
      "tenants",
      `left half way: ${names}`,
      "a running server finishes them within the hour; if it doesn't, its log says why",
    );
  });
  return [...orphans, ...stuck];
}
