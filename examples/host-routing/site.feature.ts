import {
  type ColumnType,
  counter,
  feature,
  logIn,
  type Tenant,
  Type,
  tenantNotFound,
  uuid,
} from "insulae";
import { errorShape, featureNotAvailable, tooManyDocuments } from "./errors.ts";
import { settings } from "./settings.ts";

interface Tables {
  documents: {
    id: ColumnType<string, never, never>;
    title: string;
    content: ColumnType<string, string | undefined, string>;
    created_at: ColumnType<Date, never, never>;
  };
  users: { id: string; email: string; role: string };
}

const apiRequests = counter("api_requests_total", "Requests to /api/data", ["tenant", "endpoint"]);
const answers = counter("site_answers_total", "Answers of the site", ["tenant", "status"]);

const Document = Type.Object({ id: uuid, title: Type.String(), content: Type.String() });
const Profile = Type.Object({ id: uuid, email: Type.String(), role: Type.String() });

/** The middleware below has seen to it that there is one. */
const known = (tenant: Tenant | undefined): Tenant => {
  if (!tenant) throw tenantNotFound();
  return tenant;
};

/** What a tenant's host serves. Whose data it is, nothing here says: each `db` is one tenant's. */
export const site = feature<Tables>("site", {
  permissions: { "documents:read": "See documents", "documents:write": "Add documents" },
  migrations: new URL("./migrations/", import.meta.url),
  tables: ["documents"],

  onRequest: ({ tenant, route }) => {
    const ours = route.path.startsWith("/api/") && !route.path.startsWith("/api/v1/");
    if (ours && !tenant) throw tenantNotFound();
  },
  onResponse: ({ tenant, response, metrics }) => {
    if (!tenant) return;
    metrics.counter(answers, { tenant: tenant.key, status: `${response.status}` }).add();
  },

  routes: ({ absolute: r }) => [
    r.get(
      "/api/data",
      {
        permission: "public",
        context: "any",
        summary: "Says whose host this is",
        response: Type.Object({ tenant: Type.String(), message: Type.String() }),
        errorShape,
      },
      ({ metrics, ...context }) => {
        const tenant = known(context.tenant).key;
        metrics.counter(apiRequests, { tenant, endpoint: "/api/data" }).add();
        return { tenant, message: "Tenant-specific data" };
      },
    ),

    r.get(
      "/api/tenant/info",
      {
        permission: "public",
        context: "any",
        summary: "Shows the tenant, its hosts and what is set for it",
        response: Type.Object({
          tenant_id: Type.String(),
          hosts: Type.Array(Type.String()),
          config: Type.Unknown(),
        }),
        errorShape,
      },
      (context) => {
        const tenant = known(context.tenant);
        return { tenant_id: tenant.key, hosts: [...tenant.hosts], config: settings.of(tenant) };
      },
    ),

    r.post(
      "/login",
      {
        permission: "public",
        context: "any",
        limit: "credentials",
        audit: "auth.logged_in",
        summary: "Logs in, by a cookie",
        body: Type.Object({
          username: Type.String({ minLength: 1, maxLength: 254 }),
          password: Type.String({ minLength: 1, maxLength: 128 }),
        }),
        response: Type.Object({
          message: Type.String(),
          csrf_token: Type.String({ description: "For `X-CSRF-Token`, where something changes." }),
        }),
        errorShape,
      },
      async ({ platform, request, audit, log, header, body, ...context }) => {
        const by = body.username.includes("@") ? "email" : "username";
        const { csrf_token } = await logIn(
          { platform, request, audit, log, browser: header },
          known(context.tenant),
          { by, name: body.username, password: body.password },
        );
        return { message: "Login successful", csrf_token };
      },
    ),

    r.get(
      "/api/users",
      {
        permission: "users:read",
        summary: "Lists the tenant's users",
        response: Type.Object({ tenant: Type.String(), users: Type.Array(Profile) }),
        errorShape,
      },
      async ({ db, tenant }) => ({
        tenant: tenant.key,
        users: await db.sql`select id, email, role from users order by id limit ${100}`,
      }),
    ),

    r.get(
      "/api/profile",
      {
        permission: "authenticated",
        summary: "Shows who is signed in, as of at most ten minutes ago",
        response: Profile,
        errorShape,
      },
      ({ db, user, cache }) =>
        cache.getOrSet(
          `user:profile:${user.id}`,
          () =>
            db
              .selectFrom("users")
              .select(["id", "email", "role"])
              .where("id", "=", user.id)
              .executeTakeFirstOrThrow(),
          { ttl: 600 },
        ),
    ),

    r.get(
      "/api/secure/data",
      {
        permission: "authenticated",
        summary: "Counts one's visits, in the session",
        response: Type.Object({
          tenant: Type.String(),
          user_id: uuid,
          visits: Type.Integer(),
        }),
        errorShape,
      },
      async ({ tenant, user, session }) => {
        const visits = ((await session.get<number>("visits")) ?? 0) + 1;
        session.set("visits", visits);
        return { tenant: tenant.key, user_id: user.id, visits };
      },
    ),

    r.get(
      "/api/documents",
      {
        permission: "documents:read",
        summary: "Lists the newest documents",
        response: Type.Array(Document),
        errorShape,
      },
      ({ db }) =>
        db
          .selectFrom("documents")
          .select(["id", "title", "content"])
          .orderBy("id", "desc")
          .limit(100),
    ),

    r.post(
      "/api/documents",
      {
        permission: "documents:write",
        audit: "document.created",
        summary: "Adds a document",
        body: Type.Object({
          title: Type.String({ minLength: 1, maxLength: 300 }),
          content: Type.Optional(Type.String()),
        }),
        response: { 201: Type.Object({ id: uuid }) },
        errors: [featureNotAvailable, tooManyDocuments],
        errorShape,
      },
      async ({ db, tenant, body }) => {
        const { features, limits } = settings.of(tenant);
        if (!features.documents) throw featureNotAvailable();
        const [has] = await db.sql<{ n: number }>`select count(*)::int as n from documents`;
        if ((has?.n ?? 0) >= limits.max_documents) throw tooManyDocuments();
        return db.insertInto("documents").values(body).returning("id").executeTakeFirstOrThrow();
      },
    ),
  ],
});
