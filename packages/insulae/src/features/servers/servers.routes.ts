import { Type } from "typebox";
import type { RouteBuilder } from "../../kernel/feature/feature.ts";
import { oneOf, uuid } from "../../kernel/feature/fields.ts";
import { pageOf, pageQuery } from "../../kernel/feature/page.ts";
import {
  serverDiffers,
  serverExists,
  serverIsMain,
  serverNameInvalid,
  serverUnusable,
} from "../../kernel/tenancy/server-changes.ts";
import { serverInUse } from "../../kernel/tenancy/server-removal.ts";
import { serverNotFound } from "../../kernel/tenancy/servers.ts";
import { type Server } from "../../kernel/tenancy/server.ts";

/** Of those who are left, so many are shown by `drain`. */
const mostLeft = 100;

const ServerView = Type.Object(
  {
    id: uuid,
    name: Type.String(),
    address: Type.String({ description: "Its host and port.", examples: ["eu.example:5432"] }),
    weight: Type.Integer({ description: "Its share of new tenants, beside the others' weights." }),
    accepting: Type.Boolean({ description: "Whether new tenants are placed on it." }),
    answers: Type.Boolean({
      description:
        "False while the node that answers this finds that the server does not answer: its tenants get 503.",
    }),
    tenants: Type.Integer({ description: "How many are placed on it, without deleted ones." }),
  },
  { $id: "Server" },
);

const ServerTenant = Type.Object(
  {
    id: uuid,
    key: Type.String(),
    name: Type.String(),
    status: oneOf(["provisioning", "active", "suspended", "deleted"], {
      description: "deleted: its rows are there until they are erased.",
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
const Url = urlOf("The administrator's connection URL. It is kept sealed, and never shown.");
const DirectUrl = Type.Optional(
  urlOf("That of PostgreSQL itself, where `url` leads to a connection pooler."),
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
      summary: "Prepares a PostgreSQL server, and places tenants on it from now on",
      description:
        "Its roles, the database of the main server's name and its tables are made, which takes some seconds. It can be repeated if it failed.",
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
      summary: "Shows a server",
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
        "A new URL is another password, or where the same databases have moved to; what is placed on the server has to be there. All nodes connect to it from now on, and what runs on the old one may finish. The main server's URL is `DATABASE_URL`.",
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
      summary: "Lists who is placed on a server, deleted tenants that are not erased yet included",
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
      summary: "Places no new tenants on a server, and says who is left",
      description: "Whoever names the server when a tenant is made still gets it there.",
      params: ServerParams,
      response: Type.Object({
        server: ServerView,
        left: Type.Array(ServerTenant, {
          description: `Who is placed on it: the first ${mostLeft}. \`GET /servers/:id/tenants\` lists all.`,
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
      summary: "Forgets a server that nobody is placed on",
      description:
        "What was made on it (the database, its roles) stays there. `lost=true`: it never comes back, so nobody waits until what deleted tenants have on it is erased.",
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
