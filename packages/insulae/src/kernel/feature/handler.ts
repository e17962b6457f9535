/**
 * The type of a handler's context, derived from its route's declaration: the parts of the request,
 * the tenant and its database, and the available services.
 */
import type { Kysely } from "kysely";
import type { Static, TSchema } from "typebox";
import type { TenantAudit } from "../audit/audit.ts";
import type { TenantDatabase } from "../data/tenant-database.ts";
import type { Credential, SessionCredential } from "../identity/credential.ts";
import type { Passwords } from "../identity/passwords.ts";
import type { Permissions } from "../identity/permissions.ts";
import type { CorePrincipal, Principal, TenantPrincipal } from "../identity/principal.ts";
import type { TenantMail } from "../mail/mail.ts";
import type { Tenant } from "../model/tenant.ts";
import type { Session } from "../sessions/session.ts";
import type { Logger } from "../telemetry/log.ts";
import type { Metrics } from "../telemetry/metrics.ts";
import type { CountedMetric } from "../usage/counts.ts";
import type { Checked, ResponseSchemas, StatusOf } from "./answer-type.ts";
import type { Page } from "./page.ts";
import type { Platform } from "./platform.ts";
import type { RequestInfo } from "./request-info.ts";
import type { ForTenant } from "./tenant-scope.ts";

/**
 * Who may call a route: anybody (`public`), anybody signed in (`authenticated`), platform
 * administrators (`platform`), or holders of the named permission in the tenant.
 */
export type Access = "public" | "authenticated" | "platform" | `${string}:${string}`;

/**
 * On whose behalf a route runs. `tenant`: a tenant is required, and `db` is bound to it. `core`:
 * without a tenant. `any`: either, for routes such as log-in; `tenant` and `db` may be undefined.
 */
export type RouteContext = "tenant" | "core" | "any";

/** A request for a tenant that does not exist. */
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

export interface BaseContext<
  P extends TSchema,
  Q extends TSchema,
  B extends TSchema,
  R extends ResponseSchemas,
> {
  readonly params: Shape<P>;
  readonly query: Shape<Q>;
  readonly body: Shape<B>;
  readonly log: Logger;
  /** Records what `counter()`, `gauge()` and `histogram()` declare, for `/metrics`. */
  readonly metrics: Metrics;
  readonly request: RequestInfo;
  /** The requested page; only in routes whose query is a `pageQuery()`. */
  readonly page: Page;
  /** Sets a response header. */
  readonly header: (name: string, value: string) => void;
  /** Chooses the status, if the route declares several successful ones. */
  readonly status: (code: StatusOf<R>) => void;
  /** Hashes and verifies passwords, with bounded concurrency. */
  readonly passwords: Passwords;
  /** Sends e-mail about the request's tenant, if there is one. */
  readonly mail: TenantMail;
  /** All permissions, and the roles that hold them. */
  readonly permissions: Permissions;
  /** Clears every node's cache of this user (without an id: of all the tenant's users). */
  readonly forgetUser: (userId?: string) => Promise<void>;
  /**
   * Compares the current resource, as this path's GET returns it, with the request's `If-Match`
   * (undefined without one). @throws precondition_failed. For resources that are not a row of the
   * tenant: see `etag`.
   */
  readonly precondition: ((current: unknown) => void) | undefined;
}

/** Always present where callers must be signed in, optional in public routes. */
type IfSignedIn<A extends Access, T> = A extends "public" ? T | undefined : T;

/** Machines can call routes with a named permission, and public ones. */
type CredentialFor<A extends Access> = A extends "authenticated" | "platform"
  ? SessionCredential
  : IfSignedIn<A, Credential>;

export type ContextOf<
  Tables,
  A extends Access,
  C extends RouteContext,
  P extends TSchema,
  Q extends TSchema,
  B extends TSchema,
  R extends ResponseSchemas,
> = BaseContext<P, Q, B, R> & {
  /** How the caller proved who they are. */
  readonly credential: CredentialFor<A>;
} & (C extends "tenant"
    ? ForTenant<Tables> & {
        /** Session data, kept between the caller's requests; saved after the handler. */
        readonly session: Session;
        readonly user: IfSignedIn<A, TenantPrincipal>;
        /** Counts the tenant's daily usage. @throws quota_exceeded */
        readonly countUsage: (metric: CountedMetric) => void;
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

/** A handler's type, from the parts of its route's declaration. */
export type HandlerOf<
  Tables,
  A extends Access,
  C extends RouteContext,
  P extends TSchema,
  Q extends TSchema,
  B extends TSchema,
  R extends ResponseSchemas,
  Given,
> = (context: ContextOf<Tables, A, C, P, Q, B, R>) => Checked<Given, R>;
