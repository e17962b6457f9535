/** Adds, changes and removes servers. */
import { type Kysely, sql } from "kysely";
import pg from "pg";
import { checkConnections } from "../engine/pooler.ts";
import { dataSchema } from "../engine/scope.ts";
import { withDeadline } from "../lib/deadline.ts";
import { eachOf } from "../lib/each-of.ts";
import { AppError, defineError } from "../lib/errors.ts";
import type { TenantId } from "../lib/ids.ts";
import { isUuid } from "../lib/uuid.ts";
import type { Isolation, TenantStatus } from "../model/tenant.ts";
import type { ControlTables } from "../schema/control-tables.ts";
import {
  connectionConfig,
  readUrls,
  roleSettings,
  type ServerUrls,
  serverUrls,
  writeUrls,
} from "./connection-config.ts";
import { asOwner } from "./main-server.ts";
import { prepareDataServer } from "./prepare.ts";
import type { Server, ServersOptions } from "./server.ts";
import { inMainDatabase, readMark, writeMark } from "./server-mark.ts";
import { forgetServer } from "./server-removal.ts";

export const serverExists = defineError("server_exists", 409, "This server is already registered");
export const serverNameInvalid = defineError(
  "server_name_invalid",
  400,
  "The server's name is invalid. Use at most 63 characters: a-z and 0-9 and, except at the start, _ and -. It must not look like an id.",
);
export const serverUnusable = defineError(
  "server_unusable",
  422,
  "The database server at this URL cannot be used",
);
export const serverDiffers = defineError(
  "server_differs",
  409,
  "The server at this URL does not hold the databases placed on this server. Give the URL of the same server.",
);
export const serverIsMain = defineError(
  "server_is_main",
  409,
  "The main server holds the control plane. To change its URL, set DATABASE_URL and restart all nodes.",
);

export interface NewServer {
  readonly name: string;
  /** The administrator's connection URL. */
  readonly url: string;
  /** PostgreSQL's own URL, if `url` leads to a connection pooler. */
  readonly directUrl?: string | undefined;
  readonly weight?: number | undefined;
}

export interface ServerUpdate {
  /** A new URL of the same databases: after a change of password, or a move. */
  readonly url?: string | undefined;
  /** PostgreSQL's own URL, if `url` leads to a connection pooler. */
  readonly directUrl?: string | undefined;
  readonly weight?: number | undefined;
  /** Whether new tenants are placed on it automatically. */
  readonly accepting?: boolean | undefined;
}

/** The properties of a tenant that a server's operator needs. */
export interface ServerTenant {
  readonly id: TenantId;
  readonly key: string;
  readonly name: string;
  /** `deleted`: its rows are still there until they are erased. */
  readonly status: TenantStatus;
  readonly isolation: Isolation;
  readonly database: string;
  readonly schema: string;
}

export interface RemovedServer extends Server {
  /** The number of deleted tenants whose rows were given up with it. */
  readonly given_up: number;
}

export interface ServerChanges {
  /**
   * Prepares the server (roles, database, tables) and adds it, unless it is listed under another
   * name. Safe to repeat after a failure.
   *
   * @throws serverNameInvalid, serverExists, serverUnusable
   */
  add(server: NewServer): Promise<Server>;
  /**
   * Changes a server. All nodes open new connections to a new URL; running statements finish on the
   * old one.
   *
   * @param server its id or name
   * @throws serverNotFound, serverIsMain, serverUnusable, serverDiffers
   */
  update(server: string, change: ServerUpdate): Promise<Server>;
  /**
   * Removes the server from the list. Its database and roles stay.
   *
   * @param how.lost the server is lost for good: don't wait until deleted tenants are erased from
   * it
   * @throws serverNotFound, serverIsMain, serverInUse
   */
  remove(server: string, how?: { readonly lost?: boolean }): Promise<RemovedServer>;
}

export const sealPurpose = "server-url";
const prepareMs = 120_000;
/** The timeout and parallelism for asking servers who they are. */
const asked = { ms: 10_000, atOnce: 8 } as const;
/** At most this many databases and schemas are checked at a new URL. */
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

  /**
   * @throws serverDiffers unless the databases and schemas placed on the server exist at the URL
   */
  const refuseOther = async (id: string, url: string): Promise<void> => {
    const placed = await control
      .selectFrom("control.placements")
      .select(["isolation", "database", "schema"])
      .where("server_id", "=", id)
      .where("isolation", "<>", "pool")
      .limit(mostLookedFor)
      .execute();
    const named = (isolation: Isolation) => placed.filter((each) => each.isolation === isolation);
    const lacking = await attempt(() =>
      inMainDatabase(url, database, (client) =>
        asOwner(client, async () => {
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
        }),
      ),
    );
    if (lacking === undefined) {
      throw serverDiffers({ detail: `The server lacks the database ${database}.` });
    }
    if (lacking.length === 0) return;
    const more = lacking.length > 3 ? ` and ${lacking.length - 3} more` : "";
    throw serverDiffers({ detail: `The server lacks ${lacking.slice(0, 3).join(", ")}${more}.` });
  };

  /** Marks the reachable servers that an earlier version added without a mark. */
  const markKnown = async (): Promise<void> => {
    const known = await control
      .selectFrom("control.servers")
      .select(["id", "sealed_url"])
      .orderBy(sql`id <> ${main.id}`)
      .execute();
    const mark = async ({ id, sealed_url }: (typeof known)[number]) => {
      await withDeadline(asked.ms, async () => {
        const { url } =
          sealed_url === null ? main : readUrls(secrets.open(sealPurpose, sealed_url));
        await inMainDatabase(url, database, async (client) => {
          // Don't overwrite a mark, even another server's.
          if ((await readMark(client)) === undefined) await writeMark(client, id);
        });
      }).catch(() => undefined);
    };
    // The main server first: if it is listed twice, the mark is main's.
    await eachOf(known.slice(0, 1), 1, mark);
    await eachOf(known.slice(1), asked.atOnce, mark);
  };

  type Refuse = (tx: Kysely<ControlTables>, mark: string | undefined) => Promise<void>;

  const nameOf = async (tx: Kysely<ControlTables>, id: string): Promise<string | undefined> => {
    const row = await tx
      .selectFrom("control.servers")
      .select("name")
      .where((eb) => eb(eb.cast("id", "text"), "=", id))
      .executeTakeFirst();
    return row?.name;
  };

  /** @throws serverExists if the server at the URL is listed already */
  const refuseKnown: Refuse = async (tx, mark) => {
    const known = mark === undefined ? undefined : await nameOf(tx, mark);
    if (known === undefined) return;
    throw serverExists({
      detail: `The database at this URL belongs to the server ${known}. Use that entry, or another URL.`,
      members: { server: known },
    });
  };

  /** @throws serverDiffers if the server at the URL is not `id` */
  const refuseAnother =
    (id: string): Refuse =>
    async (tx, mark) => {
      if (mark === undefined || mark === id) return;
      const known = await nameOf(tx, mark);
      const whose =
        known === undefined
          ? "a server that is not in the list (add it with `insulae server add`)"
          : `the server ${known}`;
      throw serverDiffers({ detail: `The database at this URL belongs to ${whose}.` });
    };

  /** Checks before anything is changed there. */
  const look = async (url: string, refuse: Refuse): Promise<void> => {
    await markKnown();
    const mark = await attempt(() => inMainDatabase(url, database, readMark), asked.ms);
    await refuse(control, mark);
  };

  /** Marks the server at the URL, in the transaction that writes its row. */
  const claim = (tx: Kysely<ControlTables>, id: string, url: string, refuse: Refuse) =>
    attempt(
      () =>
        inMainDatabase(url, database, async (client) => {
          const mark = await readMark(client);
          await refuse(tx, mark);
          if (mark !== id) await writeMark(client, id);
        }),
      asked.ms,
    );

  /** Serialises changes of the list: a second one sees the first one's mark and row. */
  const exclusively = <Result>(work: (tx: Kysely<ControlTables>) => Promise<Result>) =>
    control.transaction().execute(async (tx) => {
      await sql`select pg_advisory_xact_lock(hashtextextended('insulae servers', 0))`.execute(tx);
      return work(tx);
    });

  return {
    async add({ name, url, directUrl, weight = 1 }) {
      if (!/^[a-z0-9][a-z0-9_-]{0,62}$/.test(name) || isUuid(name)) throw serverNameInvalid();
      const taken = await servers.find(name).catch(() => undefined);
      if (taken) throw serverExists();
      const urls = serverUrls(url, directUrl);
      await look(urls.url, refuseKnown);
      await prepare(urls);
      await exclusively(async (tx) => {
        const server = await tx
          .insertInto("control.servers")
          .values({ name, weight, sealed_url: secrets.seal(sealPurpose, writeUrls(urls)) })
          .onConflict((conflict) => conflict.doNothing())
          .returning("id")
          .executeTakeFirst();
        if (!server) throw serverExists();
        // From now on its pool is migrated with all others, even while it has no tenants.
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
        await claim(tx, server.id, urls.url, refuseKnown);
      });
      return servers.get(name);
    },

    async update(server, { url, directUrl, weight, accepting }) {
      const { id } = await servers.find(server);
      const urls = url === undefined ? undefined : serverUrls(url, directUrl);
      if (urls !== undefined) {
        if (id === main.id) throw serverIsMain();
        await look(urls.url, refuseAnother(id));
        await refuseOther(id, urls.url);
        await prepare(urls);
      }
      const set = {
        ...(urls !== undefined && { sealed_url: secrets.seal(sealPurpose, writeUrls(urls)) }),
        ...(weight !== undefined && { weight }),
        ...(accepting !== undefined && { accepting }),
      };
      if (Object.keys(set).length > 0) {
        await exclusively(async (tx) => {
          if (urls !== undefined) await claim(tx, id, urls.url, refuseAnother(id));
          await tx.updateTable("control.servers").set(set).where("id", "=", id).execute();
        });
      }
      if (urls !== undefined) await servers.refresh(id);
      return servers.get(id);
    },

    async remove(server, { lost = false } = {}) {
      const removed = await servers.get(server);
      const { id } = removed;
      if (id === main.id)
        throw serverIsMain({
          detail: "The main server holds the control plane and cannot be removed.",
        });
      const givenUp = await forgetServer(control, id, lost);
      await servers.refresh(id);
      return { ...removed, given_up: givenUp };
    },
  };
}

/** Includes the server's error, for the operator who gave the URL. @throws serverUnusable */
async function attempt<Result>(work: () => Promise<Result>, ms = prepareMs): Promise<Result> {
  try {
    return await withDeadline(ms, work);
  } catch (error) {
    if (error instanceof AppError) throw error;
    throw serverUnusable({
      detail: `The database server at this URL cannot be used: ${reasonOf(error)}.`,
    });
  }
}

function reasonOf(error: unknown): string {
  if (error instanceof pg.DatabaseError) return error.message;
  const { code, message } = error as { code?: unknown; message?: unknown };
  // The error for several addresses has no message of its own.
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
