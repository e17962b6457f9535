/**
 * A feature is a unit of product: permissions, migrations, tables and routes. The built-in features
 * and those of an application are made by the same `feature()` call.
 *
 * A route says what the server has to know of it, and the server refuses to start if something is
 * missing or wrong: who may call it (`permission`), on whose behalf it runs (`context`), the shapes of
 * what goes in and out, and, if it changes something, what the audit log calls that (`audit`).
 *
 * Long because it is all that a route may say, and is read in one place.
 */
import type { Kysely } from "kysely";
import type { Static, TSchema } from "typebox";
import type { QuotaName } from "../config.quotas.ts";
import type { Audit, AuditAction, TenantAudit } from "./audit/audit.ts";
import type { Credential, SessionCredential } from "./auth/credential.ts";
import type { Passwords } from "./auth/passwords.ts";
import type { Permissions } from "./auth/permissions.ts";
import type { CorePrincipal, Principal, TenantPrincipal } from "./auth/principal.ts";
import type { Cache } from "./cache/cache.ts";
import { checkFeature, checkRoutes } from "./check-feature.ts";
import type { TenantDatabase } from "./database/tenant-database.ts";
import type { ErrorFactory } from "./errors.ts";
import type { EventDeclaration, EventDefinition, EventName, Events } from "./events.ts";
import { type Hooks, pickHooks } from "./hooks.ts";
import type { BoundedWork } from "./http/bounded-routes.ts";
import type { Outbound } from "./http/outbound.ts";
import type { Page } from "./http/page.ts";
import type { JobDefinition } from "./jobs/job.ts";
import type { TenantJobs } from "./jobs/jobs.ts";
import type { TenantMail } from "./mail/mail.ts";
import type { AnyMailTemplate } from "./mail/template.ts";
import type { PermissionDefinition } from "./permission-definition.ts";
import type { Platform } from "./platform.ts";
import type { ErrorShape, RequestInfo } from "./request-info.ts";
import type { TenantSecrets } from "./secrets.ts";
import type { Session } from "./sessions/session.ts";
import type { TenantStorage } from "./storage/storage.ts";
import type { Logger } from "./telemetry/log.ts";
import type { Metrics } from "./telemetry/metrics.ts";
import type { Tenant } from "./tenancy/tenant.ts";
import type { CountedMetric } from "./usage/counts.ts";

export {
  type PermissionDefinition,
  type SystemRole,
  systemRoles,
} from "./permission-definition.ts";
export type { ErrorShape, RequestInfo } from "./request-info.ts";

/**
 * Who may call a route: anybody (`public`), anybody signed in (`authenticated`), platform
 * administrators (`platform`), or whoever holds the named permission in the tenant.
 */
export type Access = "public" | "authenticated" | "platform" | `${string}:${string}`;

/**
 * On whose behalf a route runs. `tenant`: a tenant must be known, and `db` is bound to it. `core`:
 * no tenant is involved. `any`: either, for routes such as log-in; `tenant` and `db` may be absent.
 */
export type RouteContext = "tenant" | "core" | "any";

export type HttpMethod = "GET" | "POST" | "PUT" | "PATCH" | "DELETE";

/** One schema (status 200), or schemas by status; `null` is an answer without a body (204). */
export type ResponseSchemas = TSchema | { readonly [status: number]: TSchema | null };

export interface RouteOptions<
  A extends Access = Access,
  C extends RouteContext = RouteContext,
  P extends TSchema = TSchema,
  Q extends TSchema = TSchema,
  B extends TSchema = TSchema,
  Tables = never,
> {
  readonly permission: A;
  /** Default `tenant`. */
  readonly context?: C;
  /** Where neither host nor header names a tenant, the host is `DEFAULT_TENANT`'s. */
  readonly defaultTenant?: true;
  /**
   * For public routes in the context `any`: what strangers are answered in place of `tenant_not_found`. It
   * is what they hear at a tenant that exists, after the same work, so that nobody can list tenants.
   */
  unknownTenant?(context: UnknownTenantContext<B>): unknown;
  /** Strangers say by the host which tenant they mean, and by nothing else: `X-Tenant` can be guessed. */
  readonly byHost?: true;
  /**
   * For the person themself: no machine (an API key, a client certificate), no administrator who acts as
   * them. Default: true where no permission is named (`authenticated`), since that is about the caller.
   */
  readonly personal?: boolean;
  /**
   * False: closed to administrators who act as somebody else, because what it makes would give access
   * after the impersonation has ended. Machines may call it.
   */
  readonly impersonators?: false;
  /** Also for platform administrators, in the core: where a permission is named, context `any`. */
  readonly orPlatform?: boolean;
  /**
   * It is a WebSocket, over which the server speaks (`GET`, status 101). Beside the usual credentials it
   * takes `?token=`, and `?ticket=`: a one-time token issued for this purpose. The handler refuses by
   * throwing, or returns `(socket) => void`; it is asked again every second, so it must do nothing else.
   */
  readonly socket?: { readonly ticketsFor: string };
  readonly params?: P;
  readonly query?: Q;
  readonly body?: B;
  readonly response: ResponseSchemas;
  /** One line for the API reference. */
  readonly summary: string;
  readonly description?: string;
  /**
   * The largest body in bytes. Default: `BODY_LIMIT` (1 MiB), or 16 KiB where strangers may send one: at
   * public routes and those with `limit: "credentials"`.
   */
  readonly bodyLimit?: number;
  /**
   * `credentials`: 5 calls a minute for a client (`RATE_LIMIT_CREDENTIALS`). For routes at which somebody
   * could try out passwords and codes, or that hash a password or send a mail. See docs/limits.md.
   * `signed` is for URLs that this server signed: a valid one is charged to the tenant that it was signed for.
   */
  readonly limit?: "credentials" | "signed";
  /** So many of these run at a time, for a tenant and for the process (docs/limits.md). */
  readonly atATime?: BoundedWork;
  /**
   * What the audit log calls it when the route has succeeded: `"invoice.sent"`. The server writes the entry
   * before it answers, with the id of what the route is about, unless the handler has written one itself.
   * `{ none: reason }`: nothing to account for. Every route that is not a GET has to say.
   */
  readonly audit?: AuditAction | { readonly none: string };
  /**
   * For the GET of something that people edit: its answers have an `ETag`, and the PUT, PATCH and
   * DELETE of the same path take `If-Match`. It is the name of the table whose row `/:id` names. The
   * row is locked and this GET's handler asked what there is, in the transaction of the first write.
   *
   * A function locks the row in another way; `true`: it is no row of the tenant's, and handlers call
   * `precondition` where they have locked it.
   */
  readonly etag?: (keyof Tables & string) | LockRow<Tables> | true;
  /** Errors that this route may answer with. */
  readonly errors?: readonly ErrorFactory[];
  /** How errors look here, if not as problem+json. */
  readonly errorShape?: ErrorShape;
}

/** A request for a tenant that there is not. */
export interface UnknownTenantContext<B extends TSchema = TSchema> {
  readonly platform: Platform;
  readonly request: RequestInfo;
  readonly body: Shape<B>;
  readonly audit: TenantAudit;
  readonly log: Logger;
}

/** Locks a row until the transaction ends. */
export type LockRow<Tables> = (
  tx: [Tables] extends [never] ? never : Kysely<Tables>,
  id: string,
) => Promise<unknown>;

type Shape<S extends TSchema> = TSchema extends S ? Record<string, never> : Static<S>;

export interface BaseContext<P extends TSchema, Q extends TSchema, B extends TSchema> {
  readonly params: Shape<P>;
  readonly query: Shape<Q>;
  readonly body: Shape<B>;
  readonly log: Logger;
  /** Counts what `counter()`, `gauge()` and `histogram()` describe, for `/metrics`. */
  readonly metrics: Metrics;
  readonly request: RequestInfo;
  /** The part of a list that is asked for; only in routes whose query is a `pageQuery()`. */
  readonly page: Page;
  /** Sets a header of the answer. */
  readonly header: (name: string, value: string) => void;
  /** Chooses the status, where the route declares several that are no errors. */
  readonly status: (code: number) => void;
  /** Hashes and verifies passwords, a bounded number at a time. */
  readonly passwords: Passwords;
  /** Sends mail about the tenant that the request is for, if it is for one. */
  readonly mail: TenantMail;
  /** What permissions there are, and which roles hold them. */
  readonly permissions: Permissions;
  /** Makes every node forget what it cached of this user (without an id: of all the tenant's users). */
  readonly forgetUser: (userId?: string) => Promise<void>;
  /**
   * Compares what there is, as the GET of this path answers it, with the request's `If-Match` (undefined
   * if it has none), and throws `precondition_failed`. For what is no row of the tenant's: see `etag`.
   */
  readonly precondition: ((current: unknown) => void) | undefined;
}

/** What is there only where somebody is signed in, which a public route does not ask for. */
type IfSignedIn<A extends Access, T> = A extends "public" ? T | undefined : T;

/** Machines get past named permissions only, and may show themselves where nothing is asked for. */
type CredentialFor<A extends Access> = A extends "authenticated" | "platform"
  ? SessionCredential
  : IfSignedIn<A, Credential>;

export type HandlerContext<
  Tables,
  A extends Access,
  C extends RouteContext,
  P extends TSchema,
  Q extends TSchema,
  B extends TSchema,
> = BaseContext<P, Q, B> & {
  /** How the caller proved who they are. */
  readonly credential: CredentialFor<A>;
} & (C extends "tenant"
    ? {
        readonly tenant: Tenant;
        /** What the tenant keeps to save itself work. */
        readonly cache: Cache;
        /** What is kept of the caller from one request to the next; saved after the handler. */
        readonly session: Session;
        readonly user: IfSignedIn<A, TenantPrincipal>;
        readonly db: TenantDatabase<Tables>;
        /** Sends jobs of the tenant. */
        readonly jobs: TenantJobs;
        /** Counts what the tenant does in a day. It throws `quota_exceeded`. */
        readonly countUsage: (metric: CountedMetric) => void;
        /** The tenant's part of where files are. */
        readonly storage: TenantStorage;
        readonly audit: Audit;
        /** Tells of changes whoever wants to know: `events.recording("contact.created", …)`. */
        readonly events: Events<Tables>;
        /** Asks addresses that the tenant has chosen: public ones only. */
        readonly outbound: Outbound;
        /** Seals what the tenant's rows keep of others' secrets. */
        readonly secrets: TenantSecrets;
        /** How much of it the tenant's plan allows; undefined: as much as it likes. */
        readonly quota: (name: QuotaName) => number | undefined;
      }
    : C extends "core"
      ? {
          readonly user: IfSignedIn<A, CorePrincipal>;
          readonly platform: Platform;
          readonly audit: TenantAudit;
        }
      : {
          readonly tenant: Tenant | undefined;
          readonly user: IfSignedIn<A, Principal>;
          readonly db: TenantDatabase<Tables> | undefined;
          readonly platform: Platform;
          readonly audit: TenantAudit;
        });

/**
 * What a handler may return: a value of the response schema, a Kysely query (run, and its rows
 * passed on as JSON text), `Json` text, nothing where the answer has no body, or, with a header
 * `content-type` and a schema that names the same `contentMediaType`, text, bytes, or an async
 * generator of either, which is sent piece by piece.
 */
export type Handler<
  Tables,
  A extends Access,
  C extends RouteContext,
  P extends TSchema,
  Q extends TSchema,
  B extends TSchema,
> = (context: HandlerContext<Tables, A, C, P, Q, B>) => unknown;

export interface Route {
  readonly method: HttpMethod;
  /** Below `/api/v1`, with parameters as `:id`; `{ absolute: true }` routes stand as they are. */
  readonly path: string;
  readonly absolute: boolean;
  readonly options: RouteOptions;
  // The types of the context were checked where the route was declared.
  readonly handler: (context: never) => unknown;
}

type Declare<Tables> = <
  A extends Access,
  C extends RouteContext = "tenant",
  P extends TSchema = TSchema,
  Q extends TSchema = TSchema,
  B extends TSchema = TSchema,
>(
  path: string,
  options: RouteOptions<A, C, P, Q, B, Tables>,
  handler: Handler<Tables, A, C, P, Q, B>,
) => Route;

export interface RouteBuilder<Tables> {
  readonly get: Declare<Tables>;
  readonly post: Declare<Tables>;
  readonly put: Declare<Tables>;
  readonly patch: Declare<Tables>;
  readonly delete: Declare<Tables>;
  /** The same, for paths outside `/api/v1` (a dialect's, `/.well-known/…`). */
  readonly absolute: Omit<RouteBuilder<Tables>, "absolute">;
}

export interface FeatureOptions<Tables> extends Hooks<Tables> {
  /** Names `resource:action`. A bare string describes it: then `…:read` is held from `viewer` up,
   * `…:write` from `user`, anything else from `admin`. */
  readonly permissions?: Readonly<Record<`${string}:${string}`, string | PermissionDefinition>>;
  /** The folder of numbered SQL files (`0001_contacts.sql`) for the data plane. */
  readonly migrations?: URL;
  /** All tables that its migrations make. The server does not start while a list and the database
   * differ. Erasing a tenant goes by the database; nothing moves or exports tenants yet. */
  readonly tables?: readonly (keyof Tables & string)[];
  /** Features whose tables this one's migrations refer to; they migrate first. */
  readonly dependsOn?: readonly string[];
  /** Which error a violated constraint becomes, by the constraint's name. */
  readonly constraints?: Readonly<Record<string, ErrorFactory>>;
  /** The mails that the feature sends, by `mailTemplate()`. */
  readonly mails?: readonly AnyMailTemplate[];
  /** What the feature does after the answer, by `job()` and `platformJob()`. */
  readonly jobs?: readonly JobDefinition[];
  /**
   * What it tells of, its shape, and the permission without which nobody hears of it:
   * `{ "contact.created": { permission: "contacts:read", data: Contact } }`. Its handlers record them
   * (`events.recording`); tenants hear of them by webhooks.
   */
  readonly events?: Readonly<Record<EventName, EventDeclaration>>;
  readonly routes?: (r: RouteBuilder<Tables>) => readonly Route[];
}

export interface Feature {
  readonly name: string;
  readonly permissions: ReadonlyMap<string, PermissionDefinition>;
  readonly migrations: URL | undefined;
  readonly tables: readonly string[];
  readonly dependsOn: readonly string[];
  readonly constraints: Readonly<Record<string, ErrorFactory>>;
  readonly mails: readonly AnyMailTemplate[];
  readonly jobs: readonly JobDefinition[];
  readonly events: readonly EventDefinition[];
  readonly hooks: Hooks<never>;
  readonly routes: readonly Route[];
}

/**
 * Declares a feature.
 *
 * @param name lower-case, `[a-z][a-z0-9-]*`; it names the feature in the migration ledger, so it
 *   must not change once a migration has run.
 * @throws DeclarationError if an option is not known or not well formed.
 * @example
 * const notes = feature<{ notes: NotesTable }>("notes", {
 *   permissions: { "notes:read": "See notes" },
 *   migrations: new URL("./migrations/", import.meta.url),
 *   tables: ["notes"],
 *   routes: (r) => [
 *     r.get("/notes", { permission: "notes:read", response: Type.Array(Note), summary: "All notes" },
 *       ({ db }) => db.selectFrom("notes").select(["id", "text"])),
 *   ],
 * });
 */
export function feature<Tables = Record<never, never>>(
  name: string,
  options: FeatureOptions<Tables>,
): Feature {
  checkFeature(name, options);
  return Object.freeze({
    name,
    permissions: new Map(
      Object.entries(options.permissions ?? {}).map(([key, value]) => [
        key,
        permission(key, value),
      ]),
    ),
    migrations: options.migrations,
    tables: options.tables ?? [],
    dependsOn: options.dependsOn ?? [],
    constraints: options.constraints ?? {},
    mails: options.mails ?? [],
    jobs: options.jobs ?? [],
    events: Object.entries(options.events ?? {}).map(([name, { permission, data }]) => ({
      name: name as EventName, // the keys are what the option's type says
      permission,
      schema: data,
    })),
    hooks: pickHooks(options),
    routes: options.routes ? routesOf(name, options.routes) : [],
  });
}

function routesOf<Tables>(
  name: string,
  routes: (r: RouteBuilder<Tables>) => readonly Route[],
): readonly Route[] {
  const declared = new Set<Route>();
  const returned = routes(routeBuilder<Tables>(declared));
  checkRoutes(name, returned, declared);
  return returned;
}

function permission(name: string, definition: string | PermissionDefinition): PermissionDefinition {
  if (typeof definition !== "string") return definition;
  const action = name.slice(name.indexOf(":") + 1);
  const role = action === "read" ? "viewer" : action === "write" ? "user" : "admin";
  return { description: definition, role };
}

/** @param declared gets each route that is made. */
function routeBuilder<Tables>(declared: Set<Route>): RouteBuilder<Tables> {
  const methods = (absolute: boolean): Omit<RouteBuilder<Tables>, "absolute"> => {
    const declare =
      (method: HttpMethod): Declare<Tables> =>
      (path, options, handler) => {
        // Its types were checked here; whoever reads it gives it what the route declares.
        const checked = options as unknown as RouteOptions;
        const route: Route = { method, path, absolute, options: checked, handler };
        declared.add(route);
        return route;
      };
    return {
      get: declare("GET"),
      post: declare("POST"),
      put: declare("PUT"),
      patch: declare("PATCH"),
      delete: declare("DELETE"),
    };
  };
  return { ...methods(false), absolute: methods(true) };
}
