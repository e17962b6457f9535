/** Looks for leftovers of crashes, restores and manual changes. */
import { sql } from "kysely";
import type pg from "pg";
import { withOwner } from "../kernel/engine/connect.ts";
import type { Placement } from "../kernel/model/tenant.ts";
import { findLoginProblems } from "../kernel/schema/isolation-check.ts";
import { openStorage } from "../kernel/storage/open-storage.ts";
import { asOwner } from "../kernel/tenancy/main-server.ts";
import type { Server } from "../kernel/tenancy/server.ts";
import {
  findControlStrays,
  findStrayFiles,
  findStrayRows,
  type Stray,
} from "../kernel/tenancy/strays.ts";
import { type Check, look, ok, warning } from "./check.ts";
import { controlPlaneDue, type Examined } from "./placement-states.ts";

export interface Leftovers {
  /** Looks for rows in the placements of one database that belong to tenants not placed there. */
  look(client: pg.Client, placements: readonly Placement[]): Promise<void>;
  /** @param servers the servers that respond */
  checks(servers: readonly Server[]): Promise<readonly Check[]>;
}

/** At most this many lines are shown. */
const mostShown = 20;

export function createLeftovers(installation: Examined): Leftovers {
  const rows: string[] = [];
  return {
    async look(client, placements) {
      const strays = await findStrayRows(client, installation.control, placements);
      rows.push(...strays.map((stray) => `${placements[0]?.database}: ${describe(stray)}`));
    },
    async checks(servers) {
      const checks = [
        ...(await checkOrphans(installation, servers)),
        ...(await checkStuck(installation)),
        checkRows(rows),
        ...(await checkFiles(installation)),
      ];
      // Another check reports a control plane that is behind.
      if ((await controlPlaneDue(installation)).length > 0) return checks;
      return [
        ...checks,
        ...(await checkControl(installation)),
        ...(await checkLogins(installation, servers)),
      ];
    },
  };
}

const describe = ({ where, tenantIds }: Stray): string => `${where}, of ${tenantIds.join(", ")}`;

const shown = (lines: readonly string[]): string => lines.slice(0, mostShown).join("\n");

const checkOrphans = ({ provisioning }: Examined, servers: readonly Server[]) =>
  look("orphans", "check that all servers can be reached", async () => {
    const found = await provisioning.findOrphans(servers.map(({ id }) => id));
    if (found.length === 0) return ok("orphans", "every database and schema has a tenant");
    const names = found.map(({ database, schema }) => `${database}.${schema}`).join(", ");
    return warning(
      "orphans",
      `without a tenant: ${names}`,
      "if no other Insulae installation uses this server, drop them by hand",
    );
  });

const checkStuck = ({ control }: Examined) =>
  look("tenants", "check that the control plane can be read", async () => {
    const { rows } = await sql<{ key: string; status: string }>`
      select key, status from control.tenants
      where status = 'provisioning' and created_at < now() - interval '15 minutes'
        or status = 'deleted' and erase_after < now() - interval '1 day'`.execute(control);
    if (rows.length === 0) return ok("tenants", "none is half created or overdue for erasure");
    const names = rows.map(({ key, status }) => `${key} (${status})`).join(", ");
    return warning(
      "tenants",
      `half created or half erased: ${names}`,
      "a running server finishes them within an hour; if it does not, see its log",
    );
  });

const checkRows = (rows: readonly string[]): Check =>
  rows.length === 0
    ? ok("rows", "every row is in its tenant's placement")
    : warning(
        "rows",
        `rows of tenants that do not exist or are placed elsewhere:\n${shown(rows)}`,
        "inspect them, then delete them as the administrator, by tenant_id (docs/erasure.md)",
      );

const checkControl = ({ control }: Examined) =>
  look("control plane", "check that the control plane can be read", async () => {
    const strays = await findControlStrays(control);
    if (strays.length === 0) return ok("control plane", "no rows of erased tenants");
    return warning(
      "control plane",
      `rows of erased tenants:\n${shown(strays.map(describe))}`,
      "delete them by tenant_id (docs/erasure.md)",
    );
  });

const checkFiles = ({ config, control, secrets }: Examined) =>
  look("files", "check that the storage can be reached", async () => {
    const storage = openStorage(config, secrets);
    try {
      const [stray] = await findStrayFiles(control, storage);
      if (!stray) return ok("files", "every file's tenant exists");
      return warning(
        "files",
        `files of tenants that do not exist: ${stray.tenantIds.join(", ")}`,
        "delete the objects whose names begin with these ids",
      );
    } finally {
      storage.close();
    }
  });

/** Objects that a tenant's login has created for itself, in any database that let it connect. */
async function checkLogins({ connect, main }: Examined, servers: readonly Server[]) {
  const checks: Check[] = [];
  for (const { id, name } of servers) {
    const remedy = `check that the server ${name} runs and can be reached from here`;
    checks.push(
      ...(await look("log-ins", remedy, () =>
        withOwner(connect, { serverId: id, database: main.database }, async (client) => {
          const problems = await asOwner(client, () => findLoginProblems(client));
          return problems
            .slice(0, mostShown)
            .map(({ login, problem }) =>
              warning(
                "log-ins",
                `${login} of the server ${name} ${problem}`,
                `its password has leaked: as the administrator, \`drop owned by "${login}"\` in that database and revoke its members`,
              ),
            );
        }),
      )),
    );
  }
  return checks.length > 0
    ? checks
    : [ok("log-ins", "the logins of tenants' databases own nothing")];
}
