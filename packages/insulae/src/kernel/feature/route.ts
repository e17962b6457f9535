/**
 * A route's declaration. The server refuses to start if something is missing or wrong: who may call
 * it (`permission`), on whose behalf it runs (`context`), the schemas of its input and output, and,
 * if it changes something, its audit action (`audit`).
 */
import type { TSchema } from "typebox";
import type { AuditAction } from "../audit/audit.ts";
import { type CallSite, callSite } from "../lib/call-site.ts";
import type { ErrorFactory } from "../lib/errors.ts";
import type { Answer, ResponseSchemas } from "./answer-type.ts";
import type {
  Access,
  ContextOf,
  HandlerOf,
  LockRow,
  RouteContext,
  UnknownTenantContext,
} from "./handler.ts";
import type { ErrorShape } from "./request-info.ts";

/** The kinds of bounded work; routes of the same kind share limits (http/api/bounded-routes.ts). */
export type BoundedWork = "imports" | "exports";

export type HttpMethod = "GET" | "POST" | "PUT" | "PATCH" | "DELETE";

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
  /** If neither host nor header names a tenant, use `DEFAULT_TENANT`. */
  readonly defaultTenant?: true;
  /**
   * For public routes that act for the caller, if there is one: a credential that is invalid, or
   * of another context, is refused. Other public routes ignore it.
   */
  readonly forCaller?: true;
  /**
   * For public routes in the context `any`: the response in place of `tenant_not_found`. Make it
   * the same as for an existing tenant, after the same work, so that nobody can enumerate tenants.
   */
  unknownTenant?(context: UnknownTenantContext<B>): Answer<R> | Promise<Answer<R>>;
  /** Unauthenticated callers can select the tenant only by the host: `X-Tenant` can be guessed. */
  readonly byHost?: true;
  /**
   * Closed to machines (API keys, client certificates) and impersonators. Default: true without a
   * named permission (`authenticated`), because such a route is about the caller.
   */
  readonly personal?: boolean;
  /**
   * False: closed to impersonators, because the result would give access after the impersonation
   * has ended. Machines may call it.
   */
  readonly impersonators?: false;
  /**
   * Also open to platform administrators in the core; for a named permission in the context `any`.
   */
  readonly orPlatform?: boolean;
  /**
   * A WebSocket on which only the server sends (`GET`, status 101). Besides the usual credentials
   * it accepts `?token=`, and `?ticket=`, a one-time token issued for this purpose. The handler
   * refuses by throwing, or returns `(socket) => void`. It runs again every second as a check, so
   * it must have no side effects.
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
   * The largest body in bytes. Default: `BODY_LIMIT` (1 MiB); 16 KiB for public routes and those
   * with `limit: "credentials"`.
   */
  readonly bodyLimit?: number;
  /**
   * `credentials`: 5 calls a minute per client (`RATE_LIMIT_CREDENTIALS`), for routes where
   * passwords or codes could be guessed, or that hash a password or send an e-mail. `signed`: for
   * URLs signed by this server; a valid one is charged to its tenant. See docs/limits.md.
   */
  readonly limit?: "credentials" | "signed";
  /** Bounds concurrent requests per tenant and per process (docs/limits.md). */
  readonly atATime?: BoundedWork;
  /**
   * The audit action of a successful call: `"invoice.sent"`. The server writes the entry, with the
   * id of the target, before it responds, unless the handler has written one. `{ none: reason }`:
   * nothing to record. Required for every route that is not a GET.
   */
  readonly audit?: AuditAction | { readonly none: string };
  /**
   * For the GET of an editable resource: its responses have an `ETag`, and PUT, PATCH and DELETE of
   * the same path accept `If-Match`. The value is the name of the table whose row `/:id`
   * identifies. In the transaction of the first write, that row is locked and this GET's handler
   * called for the current state.
   *
   * A function locks the row in another way. `true`: the resource is not a row of the tenant;
   * handlers call `precondition` once they have locked it.
   */
  readonly etag?: (keyof Tables & string) | LockRow<Tables> | true;
  /** Errors that this route may return. */
  readonly errors?: readonly ErrorFactory[];
  /** The error format, if not problem+json. */
  readonly errorShape?: ErrorShape;
}

export interface Route {
  readonly method: HttpMethod;
  /**
   * Below `/api/v1`, with parameters as `:id`; paths of `{ absolute: true }` routes are complete.
   */
  readonly path: string;
  readonly absolute: boolean;
  readonly options: RouteOptions;
  // the context's types were checked at the declaration
  readonly handler: (context: never) => unknown;
  /** The place of the declaration. */
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
  /** The same for paths outside `/api/v1` (a dialect's, `/.well-known/…`). */
  readonly absolute: Omit<RouteBuilder<Tables>, "absolute">;
}

/** @param declared collects the routes made */
export function routeBuilder<Tables>(declared: Set<Route>): RouteBuilder<Tables> {
  const methods = (absolute: boolean): Omit<RouteBuilder<Tables>, "absolute"> => {
    const declare = (method: HttpMethod): Declare<Tables> => {
      const route: Declare<Tables> = (path, options, handler) => {
        // checked above; callers provide the context that the route declares
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

type Part<Options, Name extends string, Otherwise> =
  Options extends Readonly<Record<Name, infer Given extends Otherwise>> ? Given : Otherwise;

/** The context of a handler whose route has these options. */
export type HandlerContext<Options extends RouteOptions, Tables = Record<never, never>> = ContextOf<
  Tables,
  Options["permission"],
  Options extends { readonly context: infer C extends RouteContext } ? C : "tenant",
  Part<Options, "params", TSchema>,
  Part<Options, "query", TSchema>,
  Part<Options, "body", TSchema>,
  Options["response"]
>;

/**
 * The type of a handler defined apart from its route.
 *
 * @typeParam Options the route's, declared `as const satisfies RouteOptions`
 * @typeParam Tables the feature's
 * @example
 * // notes.show.ts
 * export const showNote = {
 *   permission: "notes:read",
 *   summary: "Shows a note",
 *   params: idParams,
 *   response: Note,
 * } as const satisfies RouteOptions;
 *
 * export const onShowNote: Handler<typeof showNote, NoteTables> = ({ db, params }) =>
 *   findNote.json(db, params).then(orThrow(noteNotFound));
 *
 * // notes.feature.ts
 * r.get("/notes/:id", showNote, onShowNote)
 */
export type Handler<Options extends RouteOptions, Tables = Record<never, never>> = (
  context: HandlerContext<Options, Tables>,
) => Answer<Options["response"]> | Promise<Answer<Options["response"]>>;

/** The common context of tenants' handlers, for functions that several of them call. */
export type TenantContext<Tables = Record<never, never>> = Omit<
  HandlerContext<{ permission: "authenticated"; summary: string; response: TSchema }, Tables>,
  "params" | "query" | "body" | "credential" | "status"
>;

/** The same for routes without a tenant (`context: "core"`). */
export type CoreContext = Omit<
  HandlerContext<{
    permission: "authenticated";
    context: "core";
    summary: string;
    response: TSchema;
  }>,
  "params" | "query" | "body" | "credential" | "status"
>;
