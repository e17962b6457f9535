/** Lists of tenants: which, in which order, from where. Each is read by an index (`0029_platform_lists.sql`). */
import { type Kysely, type RawBuilder, sql } from "kysely";
import type { Isolation, Tenant } from "../model/tenant.ts";
import type { ControlTables } from "../schema/control-tables.ts";
import { selectTenants, toTenant } from "./tenant-queries.ts";

type Control = Kysely<ControlTables>;

export type ListedStatus = "active" | "suspended" | "deleted";

/** `created`: newest first; by name or key: ascending, in the order of characters. */
export type TenantOrder = "created" | "name" | "key";

export interface WantedTenants {
  /** `deleted`: within the grace period. Default: active and suspended ones. */
  readonly status?: ListedStatus | undefined;
  readonly ownerAccountId?: string | undefined;
  /** The id, or what the key, the name or a host begins with, ignoring case. */
  readonly search?: string | undefined;
  readonly plan?: string | undefined;
  readonly isolation?: Isolation | undefined;
  readonly serverId?: string | undefined;
}

export interface TenantFilter extends WantedTenants {
  /** Default `created`. */
  readonly order?: TenantOrder | undefined;
  /** The id of the last tenant of the previous page. */
  readonly after?: string | undefined;
  readonly limit: number;
}

/** A search looks at so many tenants by their keys, names and hosts each. */
const mostFound = 1_000;

export async function listTenants(control: Control, filter: TenantFilter): Promise<Tenant[]> {
  const { order = "created", after, limit } = filter;
  const pages = statusesOf(filter).map((status) => {
    const page = selectTenants(control)
      .select(sql<string>`${orders[order].text}`.as("text"))
      .where(isWanted(status, filter))
      .limit(limit);
    const rest = after === undefined ? page : page.where(orders[order].isAfter(after));
    return orders[order].by.reduce((query, expression) => query.orderBy(expression), rest);
  });
  // Each status has its own part of the indexes; together they are at most two pages.
  const [first, ...others] = pages;
  if (!first) return [];
  const all = others.reduce(
    (query, page) => query.unionAll(control.selectFrom(page.as("page")).selectAll()),
    control.selectFrom(first.as("page")).selectAll(),
  );
  const sorted = control.selectFrom(all.as("t")).selectAll().limit(limit);
  const rows = await orders[order].ofPages
    .reduce((query, expression) => query.orderBy(expression), sorted)
    .execute();
  return rows.map(toTenant);
}

export async function countTenants(control: Control, wanted: WantedTenants): Promise<number> {
  const counts = statusesOf(wanted).map(async (status) => {
    const { count } = await control
      .selectFrom("control.tenants as t")
      .innerJoin("control.placements as p", "p.id", "t.placement_id")
      .select((eb) => eb.fn.countAll<string>().as("count"))
      .where(isWanted(status, wanted))
      .executeTakeFirstOrThrow();
    return Number(count);
  });
  return (await Promise.all(counts)).reduce((sum, count) => sum + count, 0);
}

const statusesOf = ({ status }: WantedTenants): readonly ListedStatus[] =>
  status ? [status] : ["active", "suspended"];

function isWanted(status: ListedStatus, wanted: WantedTenants): RawBuilder<boolean> {
  const { ownerAccountId, search, plan, isolation, serverId } = wanted;
  const conditions: RawBuilder<boolean>[] = [
    sql`t.status = ${sql.lit(status)} and t.placement_id is not null`,
  ];
  if (ownerAccountId !== undefined) conditions.push(sql`t.owner_account_id = ${ownerAccountId}`);
  if (plan !== undefined) conditions.push(sql`t.plan = ${plan}`);
  if (isolation !== undefined) conditions.push(sql`p.isolation = ${isolation}`);
  if (serverId !== undefined) conditions.push(sql`p.server_id = ${serverId}`);
  if (search !== undefined) conditions.push(sql`t.id = any(${found(status, search)})`);
  return sql.join(conditions, sql` and `);
}

const key = sql`t.key`;
const name = sql`lower(t.name)`;
const isUuid = /^[0-9a-f]{8}-([0-9a-f]{4}-){3}[0-9a-f]{12}$/;

/** An array, so that PostgreSQL looks the tenants up by id, and doesn't walk all in the list's order. */
function found(status: ListedStatus, search: string): RawBuilder<string[]> {
  const text = search.trim().toLowerCase();
  const ids = sql<
    string[]
  >`control.tenants_beginning_with(${text}, ${status}, ${sql.lit(mostFound)})`;
  const found = isUuid.test(text) ? sql<string[]>`${ids} || ${text}::uuid` : ids;
  return sql`array(select unnest(${found}))`;
}

interface Order {
  /** What it is sorted by, beside the id; the pages of the statuses are merged by it. */
  readonly text: RawBuilder<unknown>;
  readonly by: readonly RawBuilder<unknown>[];
  readonly ofPages: readonly RawBuilder<unknown>[];
  isAfter(id: string): RawBuilder<boolean>;
}

const byText = (column: RawBuilder<unknown>): Order => ({
  text: column,
  by: [sql`${column} collate "C"`, sql`t.id`],
  ofPages: [sql`t.text collate "C"`, sql`t.id`],
  isAfter: (id) => sql`(${column} collate "C", t.id) >
    ((select ${column} collate "C" from control.tenants t where t.id = ${id}), ${id}::uuid)`,
});

const orders: Readonly<Record<TenantOrder, Order>> = {
  created: {
    text: sql`''`,
    by: [sql`t.id desc`],
    ofPages: [sql`t.id desc`],
    isAfter: (id) => sql`t.id < ${id}`,
  },
  key: byText(key),
  name: byText(name),
};
