/** Checks of an installation that has been set up: roles, servers, placements, leftovers. */
import type pg from "pg";
import { withOwner } from "../kernel/engine/connect.ts";
import { count } from "../kernel/lib/count.ts";
import { withDeadline } from "../kernel/lib/deadline.ts";
import { findProblemsOf } from "../kernel/schema/isolation-check.ts";
import { asOwner } from "../kernel/tenancy/main-server.ts";
import type { Server } from "../kernel/tenancy/server.ts";
import { checkCertificates } from "./certificates.ts";
import { type Check, failure, look, ok, warning } from "./check.ts";
import { checkConnections } from "./connections.ts";
import { explain } from "./failure.ts";
import { createLeftovers } from "./leftovers.ts";
import {
  controlPlaneDue,
  type Examined,
  type PlacementState,
  type PlannedPlacement,
  placementStates,
} from "./placement-states.ts";
import { createTableCheck } from "./tables.ts";

export async function checkInstallation(installation: Examined): Promise<readonly Check[]> {
  const logIns = await checkLogIns(installation);
  // The other checks need the control plane.
  if (logIns.some(({ state }) => state === "failure")) return logIns;
  const leftovers = createLeftovers(installation);
  const tables = createTableCheck(installation);
  const servers = await checkServers(installation);
  // Skip what is on unreachable servers; that is one finding.
  const answering = new Set(servers.answering.map(({ id }) => id));
  const look = async (client: pg.Client, planned: readonly PlannedPlacement[]) => {
    const schemas = planned.map(({ placement }) => placement.schema);
    const found = await asOwner(client, () => findProblemsOf(client, schemas));
    await tables.look(client, planned);
    const broken = [...found].filter(([, problems]) => problems.length > 0);
    // Rows can't be attributed if a table is not a proper tenant table.
    const sound = planned.flatMap(({ placement }) =>
      found.get(placement.schema)?.length === 0 ? [placement] : [],
    );
    // If a server is listed twice, the tenants of each entry would look like leftovers of the
    // other.
    if (!planned.some(({ placement }) => servers.twins.has(placement.serverId))) {
      await leftovers.look(client, sound);
    }
    return new Map(
      broken.map(([schema, problems]) => [
        schema,
        problems.map(({ object, problem }) => `${object} ${problem}`).join("\n"),
      ]),
    );
  };
  const states = await placementStates(installation, look, (id) => answering.has(id));
  return [
    ...logIns,
    ...servers.checks,
    ...checkIsolation(states),
    ...(await checkMigrations(installation, states)),
    ...tables.checks(),
    ...(await leftovers.checks(servers.answering.filter(({ id }) => !servers.twins.has(id)))),
    ...(await checkCertificates(installation)),
  ];
}

/** The roles' passwords derive from the master secret, so a different secret can't log in. */
const checkLogIns = ({ connect, main }: Examined): Promise<readonly Check[]> =>
  look("roles", "use the MASTER_SECRET that the database was set up with", async () => {
    for (const role of ["control", "app"] as const) {
      (await connect({ serverId: main.id, database: main.database, role })).release();
    }
    return ok("roles", "insulae_control and insulae_app can log in");
  });

interface FoundServers {
  readonly answering: readonly Server[];
  /** The ids of servers that are the same as another. */
  readonly twins: ReadonlySet<string>;
  readonly checks: readonly Check[];
}

/** Checks all other servers at once; the main one has responded already. */
async function checkServers({ connect, main, servers, config }: Examined): Promise<FoundServers> {
  const all = await servers.list();
  const found = await Promise.all(
    all.map(async (server) => {
      const { id, name, address, tenants } = server;
      const target = { serverId: id, database: main.database, role: "owner" } as const;
      try {
        return await withDeadline(serverMs, () =>
          withOwner(connect, target, async (client) => {
            const identity = await identityOf(client);
            if (id === main.id) return { server, identity, checks: [] };
            const connections = await checkConnections(client, name, config.databaseConnections);
            return {
              server,
              identity,
              checks: [ok(`server ${name}`, "can be reached"), connections],
            };
          }),
        );
      } catch (error) {
        const check = failure(
          `server ${name}`,
          `${explain(error).message} (${address}). Its ${count("tenant", tenants)} get 503, and nothing on it was checked.`,
          `start it, or check the network; if it has moved or its password has changed: insulae server update ${name} --url <url>`,
        );
        return { server, identity: undefined, checks: [check] };
      }
    }),
  );
  const answering = found.filter(({ identity }) => identity !== undefined);
  const same = [...Map.groupBy(answering, ({ identity }) => identity).values()]
    .map((group) => group.map(({ server }) => server))
    .filter((group) => group.length > 1);
  return {
    answering: answering.map(({ server }) => server),
    twins: new Set(same.flat().map(({ id }) => id)),
    checks: [...found.flatMap(({ checks }) => checks), ...same.map(twinsFound)],
  };
}

/**
 * Two URLs have the same identity only if they lead to the same database of the same running
 * server.
 */
async function identityOf(client: pg.Client): Promise<string> {
  const { rows } = await client.query<{ identity: string }>(
    `select concat_ws(' ', extract(epoch from pg_postmaster_start_time()), oid) as identity
     from pg_database where datname = current_database()`,
  );
  return rows[0]?.identity ?? "";
}

function twinsFound(group: readonly Server[]): Check {
  const names = group.map(({ name }) => name).join(" and ");
  return failure(
    "servers",
    `${names} are the same database (${group.map(({ address }) => address).join(", ")}), so leftovers there were not checked`,
    "don't drop or delete anything on it; correct the wrong URL: insulae server update <server> --url <url>",
  );
}

const serverMs = 6_000;
const mostNamed = 10;

/** Names the first few; the same problem in all placements is one finding. */
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
        "undo manual changes; a feature's table needs app.tenant_table()",
      ),
    );
}

async function checkMigrations(installation: Examined, states: readonly PlacementState[]) {
  return look("migrations", "run insulae migrate status", async () => {
    const control = await controlPlaneDue(installation);
    const behind = states.filter(({ pending }) => pending.length > 0);
    const ahead = states.filter(({ unknown }) => unknown.length > 0);
    const foreign = states.filter((state) => state.foreign.length > 0);
    const features = new Set(foreign.flatMap((state) => state.foreign));
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
              `migrated by a newer version: ${name(ahead)}`,
              "use that version, or wait until all nodes run it",
            ),
          ]
        : []),
      ...(foreign.length > 0
        ? [
            warning(
              "migrations",
              `has features that this application lacks (${[...features].join(", ")}): ${name(foreign)}`,
              "run it in the application's folder, use --app, or list them as retired in defineApp()",
            ),
          ]
        : []),
      ...(control.length + behind.length + ahead.length + foreign.length === 0
        ? [ok("migrations", `all placements have version ${installation.migrations.version}`)]
        : []),
    ];
  });
}
