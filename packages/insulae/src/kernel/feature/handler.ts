/**
 * What a handler gets, by what its route declares: the parts of the request, the tenant and its database,
 * and the services that it may use.
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
 * administrators (`platform`), or whoever holds the named permission in the tenant.
 */
export type Access = "public" | "authenticated" | "platform" | `${string}:${string}`;

/**
 * On whose behalf a route runs. `tenant`: a tenant must be known, and `db` is bound to it. `core`:
 * no tenant is involved. `any`: either, for routes such as log-in; `tenant` and `db` may be absent.
 */
export type RouteContext = "tenant" | "core" | "any";

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
  /** Counts what `counter()`, `gauge()` and `histogram()` describe, for `/metrics`. */
  readonly metrics: Metrics;
  readonly request: RequestInfo;
  /** The part of a list that is asked for; only in routes whose query is a `pageQuery()`. */
  readonly page: Page;
  /** Sets a header of the answer. */
  readonly header: (name: string, value: string) => void;
  /** Chooses the status, where the route declares several that are no errors. */
  readonly status: (code: StatusOf<R>) => void;
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
        /** What is kept of the caller from one request to the next; saved after the handler. */
        readonly session: Session;
        readonly user: IfSignedIn<A, TenantPrincipal>;
        /** Counts what the tenant does in a day. It throws `quota_exceeded`. */
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

/** A handler by the parts of its route's declaration. */
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
