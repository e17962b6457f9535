/**
 * A route says what the server has to know of it, and the server refuses to start if something is
 * missing or wrong: who may call it (`permission`), on whose behalf it runs (`context`), the shapes of
 * what goes in and out, and, if it changes something, what the audit log calls that (`audit`).
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

/** What a route's requests count as; all routes of a kind share its limits (http/api/bounded-routes.ts). */
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

/** @param declared gets each route that is made. */
export function routeBuilder<Tables>(declared: Set<Route>): RouteBuilder<Tables> {
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

type Part<Options, Name extends string, Otherwise> =
  Options extends Readonly<Record<Name, infer Given extends Otherwise>> ? Given : Otherwise;

/** What a handler gets whose route is declared by these options. */
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
 * A handler that stands on its own, apart from where its route is declared.
 *
 * @typeParam Options the route's, declared `as const satisfies RouteOptions`.
 * @typeParam Tables the feature's.
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

/** What the handlers of a tenant's routes have in common, for functions that several of them call. */
export type TenantContext<Tables = Record<never, never>> = Omit<
  HandlerContext<{ permission: "authenticated"; summary: string; response: TSchema }, Tables>,
  "params" | "query" | "body" | "credential" | "status"
>;

/** The same of routes without a tenant (`context: "core"`). */
export type CoreContext = Omit<
  HandlerContext<{
    permission: "authenticated";
    context: "core";
    summary: string;
    response: TSchema;
  }>,
  "params" | "query" | "body" | "credential" | "status"
>;
