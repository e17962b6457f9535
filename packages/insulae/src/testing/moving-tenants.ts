/** Tenants to move, in an installation without HTTP. */
import { pino } from "pino";
import type { TenantId } from "../kernel/lib/ids.ts";
import type { Isolation } from "../kernel/model/tenant.ts";
import { createMover, type Mover, type MoverOptions } from "../kernel/moves/mover.ts";
import { inScope, oddities, openSession } from "./move-writer.ts";
import type { TestInstallation } from "./test-installation.ts";

export const moverOf = (
  installation: TestInstallation,
  options: Partial<MoverOptions> = {},
): Mover =>
  createMover({
    ...installation,
    forget: () => {},
    audit: async () => {},
    log: pino({ level: "silent" }),
    ...options,
  });

/** A tenant with rows of all kinds. */
export async function createMovingTenant(
  installation: TestInstallation,
  isolation: Isolation,
  rows = 3_000,
): Promise<TenantId> {
  const { control, provisioning } = installation;
  const key = `t-${crypto.randomUUID()}`;
  const { id } = await control
    .insertInto("control.tenants")
    .values({ key, slug: key, name: key, settings: "{}", owner_account_id: null })
    .returning("id")
    .executeTakeFirstOrThrow();
  const placement = await provisioning.place(id, { isolation });
  await control
    .updateTable("control.tenants")
    .set({ placement_id: placement.id, status: "active" })
    .where("id", "=", id)
    .execute();
  const session = await openSession(installation, id);
  await inScope(session, id, async (client) => {
    await client.query("insert into counters default values");
    await client.query(oddities);
    await client.query(
      "insert into parents (name) select 'seed ' || n from generate_series(1, $1::int) n",
      [rows],
    );
  });
  await session.client.end();
  return id;
}

/** All values of the tables that nobody else writes to meanwhile, as text. */
export async function contentOf(installation: TestInstallation, id: TenantId): Promise<string> {
  const session = await openSession(installation, id);
  const texts = await inScope(session, id, async (client) => {
    const found: string[] = [];
    for (const rows of ["oddities", "(select * from parents where name like 'seed %')"]) {
      const {
        rows: [row],
      } = await client.query<{ text: string }>(
        `select string_agg(r::text, E'\n' order by r::text) as text from ${rows} r`,
      );
      found.push(row?.text ?? "");
    }
    return found;
  });
  await session.client.end();
  return texts.join("\n\n");
}
