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
import type { TSchema } from "typebox";
import type { AuditAction } from "../audit/audit.ts";
import type { JobDefinition } from "../jobs/job.ts";
import { type CallSite, callSite } from "../lib/call-site.ts";
import type { ErrorFactory } from "../lib/errors.ts";
import type { AnyMailTemplate } from "../mail/template.ts";
import type { Answer, ResponseSchemas } from "./answer-type.ts";
import { checkFeature, checkRoutes } from "./check-feature.ts";
import type { EventDeclaration, EventDefinition, EventName } from "./events.ts";
import type { Access, HandlerOf, LockRow, RouteContext, UnknownTenantContext } from "./handler.ts";
import { type Hooks, pickHooks } from "./hooks.ts";
import type { PermissionDefinition } from "./permission-definition.ts";
import type { ErrorShape } from "./request-info.ts";

export type { ResponseSchemas } from "./answer-type.ts";
export type { Access, RouteContext } from "./handler.ts";
export {
  type PermissionDefinition,
  type SystemRole,
  systemRoles,
} from "./permission-definition.ts";
export type { ErrorShape, RequestInfo } from "./request-info.ts";

export type HttpMethod = "GET" | "POST" | "PUT" | "PATCH" | "DELETE";

/** What a route's requests count as, where only so many run at a time; all routes of a kind share its limits. */
export type BoundedWork = "imports" | "exports";

export interface RouteOptions<
  A extends Access = Access,
  C extends RouteContext = RouteContext,
  P extends TSchema = TSchema,
  Q extends TSchema = TSchema,
  B extends TSchema = TSchema,
  R extends ResponseSchemas = ResponseSchemas,
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
  unknownTenant?(context: UnknownTenantContext<B>): Answer<R> | Promise<Answer<R>>;
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
  readonly response: R;
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

export interface Route {
  readonly method: HttpMethod;
  /** Below `/api/v1`, with parameters as `:id`; `{ absolute: true }` routes stand as they are. */
  readonly path: string;
  readonly absolute: boolean;
  readonly options: RouteOptions;
  // The types of the context were checked where the route was declared.
  readonly handler: (context: never) => unknown;
  /** Where in the code it is declared. */
  readonly at: CallSite;
}

type Declare<Tables> = <
  A extends Access,
  C extends RouteContext = "tenant",
  P extends TSchema = TSchema,
  Q extends TSchema = TSchema,
  B extends TSchema = TSchema,
  R extends ResponseSchemas = TSchema,
  const Given = unknown,
>(
  path: string,
  options: RouteOptions<A, C, P, Q, B, R, Tables>,
  handler: HandlerOf<Tables, A, C, P, Q, B, R, Given>,
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
    const declare = (method: HttpMethod): Declare<Tables> => {
      const route: Declare<Tables> = (path, options, handler) => {
        // Its types were checked here; whoever reads it gives it what the route declares.
        const checked = options as unknown as RouteOptions;
        const made: Route = {
          ...{ method, path, absolute, options: checked, handler },
          at: callSite(route),
        };
        declared.add(made);
        return made;
      };
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
