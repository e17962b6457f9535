/** What the engine's tests stand on: a database with one tenant table, and roles that can log in. */
import pg from "pg";
import { parseIntoClientConfig } from "pg-connection-string";
import { pino } from "pino";
import { createTestDatabase } from "../../testing/index.ts";
import { alwaysAt } from "../data/place.ts";
import { createTenantDatabase, type TenantDatabase } from "../data/tenant-database.ts";
import type { TenantId } from "../lib/ids.ts";
import { type Broker, type BrokerOptions, createBroker } from "./broker.ts";
import { createLanes, type Lanes, type LanesOptions } from "./lanes.ts";
import { dataSchema, type Scope } from "./scope.ts";
import type { Target } from "./target.ts";

export interface NoteTables {
  notes: { id: number; text: string; tenant_id: string };
}

export interface Engine {
  readonly target: Target & { readonly role: "app" };
  readonly url: string;
  /** How a broker of this engine connects. */
  readonly resolve: (target: Target) => pg.ClientConfig;
  broker(options?: Partial<BrokerOptions>): Broker;
  lanes(broker: Broker, options?: Partial<LanesOptions>): Lanes;
  /** As the administrator, on a connection of its own. */
  admin<Row extends pg.QueryResultRow>(sql: string, values?: unknown[]): Promise<Row[]>;
  /** Closes all brokers and lanes that were made here, then drops the database. */
  close(): Promise<void>;
}

export const tenantA = "0190aaaa-0000-7000-8000-00000000000a" as TenantId;
export const tenantB = "0190bbbb-0000-7000-8000-00000000000b" as TenantId;
export const scopeOf = (tenantId: TenantId, schema = dataSchema): Scope => ({ tenantId, schema });

/** The n-th of many tenants. */
export const tenantNumber = (n: number) =>
  `01900000-0000-7000-8000-${n.toString(16).padStart(12, "0")}` as TenantId;

const login = "insulae_engine_test";

const schema = `
  create schema app;
  create schema data;
  grant usage on schema app, data to ${login};
  create function app.current_tenant_id() returns uuid language sql stable
    as $$ select nullif(current_setting('app.current_tenant_id', true), '')::uuid $$;
  create table data.notes (
    tenant_id uuid not null default app.current_tenant_id(),
    id int not null,
    text text not null,
    primary key (tenant_id, id)
  );
  alter table data.notes enable row level security;
  alter table data.notes force row level security;
  create policy notes_tenant_isolation on data.notes
    using (tenant_id = app.current_tenant_id())
    with check (tenant_id = app.current_tenant_id());
  grant select, insert, update, delete on data.notes to ${login};`;

export async function createEngine(): Promise<Engine> {
  const database = await createTestDatabase();
  const admin: Engine["admin"] = async (sql, values) => {
    const client = new pg.Client({ connectionString: database.url });
    await client.connect();
    try {
      return (await client.query(sql, values)).rows;
    } finally {
      await client.end();
    }
  };
  await admin(`do $$ begin create role ${login} login password '${login}';
    exception when duplicate_object or unique_violation then null; end $$`);
  await admin(schema);

  const server = parseIntoClientConfig(database.url);
  const resolve = (target: Target): pg.ClientConfig => ({
    ...server,
    user: login,
    password: login,
    database: target.database,
    options: "-c search_path=data -c statement_timeout=5000",
  });
  const brokers: Broker[] = [];
  const allLanes: Lanes[] = [];
  return {
    target: { serverId: "main", database: database.name, role: "app" },
    url: database.url,
    resolve,
    admin,
    broker(options = {}) {
      const broker = createBroker({
        budget: 10,
        idleMs: 10_000,
        acquireTimeoutMs: 3_000,
        answerTimeoutMs: 10_000,
        log: pino({ level: "silent" }),
        resolve,
        ...options,
      });
      brokers.push(broker);
      return broker;
    },
    lanes(broker, options = {}) {
      const lanes = createLanes({ broker, ...options });
      allLanes.push(lanes);
      return lanes;
    },
    async close() {
      await Promise.all(allLanes.map((lanes) => lanes.close()));
      await Promise.all(brokers.map((broker) => broker.close()));
      await database.drop();
    },
  };
}

/** A database object of the tenant, as a request would get it. */
export const databaseOf = (
  engine: Engine,
  lanes: Lanes,
  broker: Broker,
  tenantId: TenantId,
): TenantDatabase<NoteTables> =>
  createTenantDatabase<NoteTables>({
    lanes,
    broker,
    where: alwaysAt({ target: engine.target, scope: scopeOf(tenantId) }),
  });
