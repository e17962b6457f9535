import { Type } from "typebox";
import type { RouteBuilder } from "../../kernel/feature/feature.ts";
import { oneOf, uuid } from "../../kernel/feature/fields.ts";
import { pageOf, pageQuery } from "../../kernel/feature/page.ts";
import type { Server } from "../../kernel/tenancy/server.ts";
import {
  serverDiffers,
  serverExists,
  serverIsMain,
  serverNameInvalid,
  serverUnusable,
} from "../../kernel/tenancy/server-changes.ts";
import { serverInUse } from "../../kernel/tenancy/server-removal.ts";
import { serverNotFound } from "../../kernel/tenancy/servers.ts";

/** `drain` lists at most this many of the remaining tenants. */
const mostLeft = 100;

const ServerView = Type.Object(
  {
    id: uuid,
    name: Type.String(),
    address: Type.String({ description: "Host and port.", examples: ["eu.example:5432"] }),
    weight: Type.Integer({
      description: "The server's share of new tenants, relative to the other weights.",
    }),
    accepting: Type.Boolean({ description: "Whether new tenants are placed on it." }),
    answers: Type.Boolean({
      description:
        "False while the responding node cannot reach the server; the server's tenants get 503.",
    }),
    tenants: Type.Integer({
      description: "The number of tenants placed on it, without deleted ones.",
    }),
  },
  { $id: "Server" },
);

const ServerTenant = Type.Object(
  {
    id: uuid,
    key: Type.String(),
    name: Type.String(),
    status: oneOf(["provisioning", "active", "suspended", "deleted"], {
      description: "deleted: its rows are still on the server until they are erased.",
    }),
    isolation: Type.Union([Type.Literal("pool"), Type.Literal("schema"), Type.Literal("database")]),
    database: Type.String(),
    schema: Type.String(),
  },
  { $id: "ServerTenant" },
);

const urlOf = (description: string) =>
  Type.String({
    maxLength: 2_000,
    pattern: "^postgres(ql)?://[^\\s\\u0000-\\u001f]+$",
    writeOnly: true,
    description,
    examples: ["postgresql://admin:password@eu.example:5432/insulae?sslmode=verify-full"],
  });
const Url = urlOf("The administrator's connection URL. Stored encrypted and never returned.");
const DirectUrl = Type.Optional(
  urlOf("The URL of PostgreSQL itself, if `url` leads to a connection pooler."),
);
const Weight = Type.Integer({ minimum: 1, maximum: 1_000_000 });

const ServerParams = Type.Object({
  id: Type.String({ minLength: 1, maxLength: 63, description: "The server's id or name." }),
});

const platformOnly = { permission: "platform", context: "core" } as const;
const targetOf = ({ id }: Pick<Server, "id">) => ({ type: "server", id });

export const serverRoutes = (r: RouteBuilder<Record<never, never>>) => [
  r.get(
    "/servers",
    {
      ...platformOnly,
      summary: "Lists the PostgreSQL servers that tenants are placed on",
      response: Type.Object({ items: Type.Array(ServerView) }),
    },
    async ({ platform }) => ({ items: [...(await platform.servers.list())] }),
  ),

  r.post(
    "/servers",
    {
      ...platformOnly,
      audit: "server.added",
      summary: "Adds a PostgreSQL server and starts placing tenants on it",
      description:
        "Creates the roles, a database with the name of the main server's, and its tables, which takes some seconds. Safe to repeat after a failure.",
      body: Type.Object({
        name: Type.String({ pattern: "^[a-z0-9][a-z0-9_-]{0,62}$", examples: ["eu"] }),
        url: Url,
        direct_url: DirectUrl,
        weight: Type.Optional(Weight),
      }),
      response: { 201: ServerView },
      errors: [serverExists, serverNameInvalid, serverUnusable],
    },
    async ({ platform, body: { direct_url: directUrl, ...server }, audit }) => {
      const added = await platform.servers.add({ ...server, directUrl });
      const { name, address, weight } = added;
      const detail = { name, address, weight };
      await audit({ action: "server.added", target: targetOf(added), detail });
      return added;
    },
  ),

  r.get(
    "/servers/:id",
    {
      ...platformOnly,
      summary: "Returns a server",
      params: ServerParams,
      response: ServerView,
      errors: [serverNotFound],
    },
    ({ platform, params }) => platform.servers.get(params.id),
  ),

  r.patch(
    "/servers/:id",
    {
      ...platformOnly,
      audit: "server.changed",
      summary: "Changes a server's URL, its weight, or whether new tenants are placed on it",
      description:
        "Use a new URL for a new password, or after moving the same databases; everything placed on the server must be there. All nodes open new connections to it, while running statements finish on the old one. The main server's URL is `DATABASE_URL`.",
      params: ServerParams,
      body: Type.Object(
        {
          url: Type.Optional(Url),
          direct_url: DirectUrl,
          weight: Type.Optional(Weight),
          accepting: Type.Optional(Type.Boolean()),
        },
        { minProperties: 1 },
      ),
      response: ServerView,
      errors: [serverNotFound, serverIsMain, serverUnusable, serverDiffers],
    },
    async ({ platform, params, body: { url, direct_url: directUrl, ...change }, audit }) => {
      const changed = await platform.servers.update(params.id, { url, directUrl, ...change });
      const detail = { ...change, ...(url !== undefined && { address: changed.address }) };
      await audit({ action: "server.changed", target: targetOf(changed), detail });
      return changed;
    },
  ),

  r.get(
    "/servers/:id/tenants",
    {
      ...platformOnly,
      summary:
        "Lists the tenants placed on a server, including deleted ones that are not erased yet",
      params: ServerParams,
      query: pageQuery(),
      response: pageOf(ServerTenant),
      errors: [serverNotFound],
    },
    async ({ platform, params, page: { limit, after, cursor } }) => {
      const id = await platform.servers.idOf(params.id);
      const found = await platform.servers.tenantsOn(id, { after: after[0], limit: limit + 1 });
      const items = found.slice(0, limit);
      const last = items.at(-1);
      const next_cursor = last && found.length > limit ? cursor.encode([last.id]) : null;
      return { items, next_cursor };
    },
  ),

  r.post(
    "/servers/:id/drain",
    {
      ...platformOnly,
      audit: "server.drained",
      summary: "Stops placing new tenants on a server and lists the remaining ones",
      description: "A request that creates a tenant and names this server still places it there.",
      params: ServerParams,
      response: Type.Object({
        server: ServerView,
        left: Type.Array(ServerTenant, {
          description: `The tenants placed on it: the first ${mostLeft}. \`GET /servers/:id/tenants\` lists all.`,
        }),
      }),
      errors: [serverNotFound],
    },
    async ({ platform, params, audit }) => {
      const server = await platform.servers.update(params.id, { accepting: false });
      const left = await platform.servers.tenantsOn(server.id, { limit: mostLeft });
      const detail = { tenants: server.tenants };
      await audit({ action: "server.drained", target: targetOf(server), detail });
      return { server, left: [...left] };
    },
  ),

  r.delete(
    "/servers/:id",
    {
      ...platformOnly,
      audit: "server.removed",
      summary: "Removes a server without tenants",
      description:
        "The database and roles on it stay. `lost=true`: the server is lost for good, so don't wait until the rows of deleted tenants are erased from it.",
      params: ServerParams,
      query: Type.Object({ lost: Type.Optional(Type.Boolean()) }),
      response: { 204: null },
      errors: [serverNotFound, serverIsMain, serverInUse],
    },
    async ({ platform, params, query: { lost = false }, audit }) => {
      const removed = await platform.servers.remove(params.id, { lost });
      const { name, address, given_up } = removed;
      await audit({
        action: "server.removed",
        target: targetOf(removed),
        detail: { name, address, ...(lost && { lost, given_up }) },
      });
    },
  ),
];
