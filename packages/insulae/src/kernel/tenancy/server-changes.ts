/** How servers are added, changed and removed. */
import { type Kysely, sql } from "kysely";
import pg from "pg";
import { parseIntoClientConfig } from "pg-connection-string";
import { openClient } from "../database/connect.ts";
import type { ControlTables } from "../database/control-tables.ts";
import { checkConnections } from "../database/pooler.ts";
import { dataSchema } from "../database/scope.ts";
import { withDeadline } from "../deadline.ts";
import { AppError, defineError } from "../errors.ts";
import { isUuid } from "../uuid.ts";
import {
  connectionConfig,
  roleSettings,
  type ServerUrls,
  serverUrls,
  writeUrls,
} from "./connection-config.ts";
import { asOwner } from "./main-server.ts";
import { prepareDataServer } from "./prepare.ts";
import type { Server, ServersOptions } from "./servers.ts";
import type { Isolation, TenantId, TenantStatus } from "./tenant.ts";

export const serverExists = defineError("server_exists", 409, "There is a server of this name");
export const serverNameInvalid = defineError(
  "server_name_invalid",
  400,
  "Server names are [a-z0-9] then [a-z0-9_-], at most 63, and not in the form of an id",
);
export const serverUnusable = defineError(
  "server_unusable",
  422,
  "The server at this URL can't be used",
);
export const serverDiffers = defineError(
  "server_differs",
  409,
  "The server at this URL does not hold what is placed on this one",
);
export const serverIsMain = defineError(
  "server_is_main",
  409,
  "The main server holds the control plane. Its URL is DATABASE_URL: set it, and restart all nodes.",
);
export const serverInUse = defineError("server_in_use", 409, "Tenants are placed on the server");

export interface NewServer {
  readonly name: string;
  /** The administrator's connection URL. */
  readonly url: string;
  /** If `url` leads to a connection pooler: the administrator's of PostgreSQL itself. */
  readonly directUrl?: string | undefined;
  readonly weight?: number | undefined;
}

export interface ServerUpdate {
  /** Another URL of the same databases: a new password, or where they have moved. */
  readonly url?: string | undefined;
  /** If `url` leads to a connection pooler: the administrator's of PostgreSQL itself. */
  readonly directUrl?: string | undefined;
  readonly weight?: number | undefined;
  /** Whether new tenants are placed on it by themselves. */
  readonly accepting?: boolean | undefined;
}

/** A tenant as a server's operator wants to know it. */
export interface ServerTenant {
  readonly id: TenantId;
  readonly key: string;
  readonly name: string;
  /** `deleted`: its rows are there until they are erased. */
  readonly status: TenantStatus;
  readonly isolation: Isolation;
  readonly database: string;
  readonly schema: string;
}

export interface ServerChanges {
  /**
   * Prepares the server (roles, database, tables) and adds it. Can be repeated if it failed.
   *
   * @throws serverNameInvalid, serverExists, serverUnusable
   */
  add(server: NewServer): Promise<Server>;
  /**
   * Changes a server. All nodes connect to a new URL from now on; what runs on the old one may finish.
   *
   * @param server its id or name.
   * @throws serverNotFound, serverIsMain, serverUnusable, serverDiffers
   */
  update(server: string, change: ServerUpdate): Promise<Server>;
  /**
   * Forgets the server. What Insulae made on it (the database, its roles) stays there.
   *
   * @throws serverNotFound, serverIsMain, serverInUse
   */
  remove(server: string): Promise<Server>;
}

export const sealPurpose = "server-url";
const prepareMs = 120_000;
/** So many databases and schemas are looked for at a new URL. */
const mostLookedFor = 1_000;

export function createServerChanges(
  { control, main, migrations, secrets, settings }: ServersOptions,
  servers: {
    find(server: string): Promise<{ readonly id: string; readonly name: string }>;
    get(server: string): Promise<Server>;
    refresh(serverId: string): Promise<void>;
  },
): ServerChanges {
  const { database } = main;

  const prepare = (urls: ServerUrls) =>
    attempt(async () => {
      const ofRoles = urls.poolerUrl === undefined ? undefined : roleSettings(settings);
      await prepareDataServer({
        ...{ url: urls.url, database, secrets, migrations },
        roleSettings: ofRoles,
      });
      await checkConnections([
        connectionConfig({
          ...{ ...urls, database, role: "app", mainDatabase: database, secrets, settings },
        }),
      ]);
    });

  /** @throws serverDiffers unless the databases and schemas that are placed on the server are there. */
  const refuseOther = async (id: string, url: string): Promise<void> => {
    const placed = await control
      .selectFrom("control.placements")
      .select(["isolation", "database", "schema"])
      .where("server_id", "=", id)
      .where("isolation", "<>", "pool")
      .limit(mostLookedFor)
      .execute();
    const named = (isolation: Isolation) => placed.filter((each) => each.isolation === isolation);
    const lacking = await attempt(async () => {
      const client = await openClient({ ...parseIntoClientConfig(url), database });
      try {
        return await asOwner(client, async () => {
          const { rows } = await client.query<{ name: string }>(
            `select name from unnest($1::text[]) as name
             where not exists (select from pg_database where datname = name)
             union all
             select name from unnest($2::text[]) as name where to_regnamespace(name) is null`,
            [
              named("database").map(({ database }) => database),
              [dataSchema, ...named("schema").map(({ schema }) => schema)],
            ],
          );
          return rows.map(({ name }) => name);
        });
      } finally {
        void client.end().catch(() => undefined);
      }
    });
    if (lacking.length === 0) return;
    const more = lacking.length > 3 ? ` and ${lacking.length - 3} more` : "";
    throw serverDiffers({ detail: `It lacks ${lacking.slice(0, 3).join(", ")}${more}.` });
  };

  return {
    async add({ name, url, directUrl, weight = 1 }) {
      if (!/^[a-z0-9][a-z0-9_-]{0,62}$/.test(name) || isUuid(name)) throw serverNameInvalid();
      const taken = await servers.find(name).catch(() => undefined);
      if (taken) throw serverExists();
      const urls = serverUrls(url, directUrl);
      await prepare(urls);
      await control.transaction().execute(async (tx) => {
        const server = await tx
          .insertInto("control.servers")
          .values({ name, weight, sealed_url: secrets.seal(sealPurpose, writeUrls(urls)) })
          .onConflict((conflict) => conflict.doNothing())
          .returning("id")
          .executeTakeFirst();
        if (!server) throw serverExists();
        // Its pool is migrated from now on with all others, also while no tenant is in it.
        await tx
          .insertInto("control.placements")
          .values({
            server_id: server.id,
            database,
            schema: dataSchema,
            isolation: "pool",
            version: migrations.version,
          })
          .execute();
      });
      return servers.get(name);
    },

    async update(server, { url, directUrl, weight, accepting }) {
      const { id } = await servers.find(server);
      const urls = url === undefined ? undefined : serverUrls(url, directUrl);
      if (urls !== undefined) {
        if (id === main.id) throw serverIsMain();
        await refuseOther(id, urls.url);
        await prepare(urls);
      }
      const set = {
        ...(urls !== undefined && { sealed_url: secrets.seal(sealPurpose, writeUrls(urls)) }),
        ...(weight !== undefined && { weight }),
        ...(accepting !== undefined && { accepting }),
      };
      if (Object.keys(set).length > 0) {
        await control.updateTable("control.servers").set(set).where("id", "=", id).execute();
      }
      if (urls !== undefined) await servers.refresh(id);
      return servers.get(id);
    },

    async remove(server) {
      const removed = await servers.get(server);
      const { id } = removed;
      if (id === main.id) throw serverIsMain({ detail: "The main server can't be removed." });
      await control.transaction().execute(async (tx) => {
        // Nobody is placed on it meanwhile.
        await tx
          .selectFrom("control.servers")
          .select("id")
          .where("id", "=", id)
          .forUpdate()
          .execute();
        const left = await tx
          .selectFrom("control.placements as p")
          .leftJoin("control.tenants as t", "t.placement_id", "p.id")
          .where("p.server_id", "=", id)
          .where((eb) => eb.or([eb("p.isolation", "<>", "pool"), eb("t.id", "is not", null)]))
          .select(({ fn }) => [
            fn.countAll<string>().as("all"),
            sql<string>`count(*) filter (where t.status = 'deleted')`.as("deleted"),
          ])
          .executeTakeFirstOrThrow();
        if (Number(left.all) > 0) throw inUse(Number(left.all), Number(left.deleted));
        await tx.deleteFrom("control.placements").where("server_id", "=", id).execute();
        await tx.deleteFrom("control.servers").where("id", "=", id).execute();
      });
      await servers.refresh(id);
      return removed;
    },
  };
}

const inUse = (all: number, deleted: number): AppError =>
  serverInUse({
    detail: `${all} are placed on it${deleted > 0 ? `, of which ${deleted} are deleted and not erased yet (DELETED_TENANT_DAYS)` : ""}. Delete them, or wait until they are erased.`,
    members: { tenants: all, deleted },
  });

/** What the other side says is for the operator who has given the URL. @throws serverUnusable */
async function attempt<Result>(work: () => Promise<Result>): Promise<Result> {
  try {
    return await withDeadline(prepareMs, work);
  } catch (error) {
    if (error instanceof AppError) throw error;
    throw serverUnusable({ detail: `The server at this URL can't be used: ${reasonOf(error)}.` });
  }
}

function reasonOf(error: unknown): string {
  if (error instanceof pg.DatabaseError) return error.message;
  const { code, message } = error as { code?: unknown; message?: unknown };
  // An attempt on several addresses has no message of its own.
  return String(message || code || error);
}

export async function tenantsOn(
  control: Kysely<ControlTables>,
  serverId: string,
  { after, limit }: { readonly after?: string | undefined; readonly limit: number },
): Promise<readonly ServerTenant[]> {
  return control
    .selectFrom("control.tenants as t")
    .innerJoin("control.placements as p", "p.id", "t.placement_id")
    .select(["t.id", "t.key", "t.name", "t.status", "p.isolation", "p.database", "p.schema"])
    .where("p.server_id", "=", serverId)
    .$if(after !== undefined, (query) => query.where(sql`t.id`, ">", after))
    .orderBy("t.id")
    .limit(limit)
    .execute();
}
