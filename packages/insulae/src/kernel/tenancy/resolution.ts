/**
 * Whose request is it, and may they? The first two steps of a request's path.
 *
 * The host, the access token and the header `X-Tenant` may each name a tenant. Host and token are
 * trusted, the header only selects, and all that are present must agree: there is no order of
 * precedence to abuse. (A client certificate will be one more candidate in `candidatesOf`.) A token
 * is good in one context: a tenant's, or the core's. While everything is in the caches the answer is
 * there at once, without a promise.
 */
import {
  authenticationRequired,
  invalidToken,
  permissionDenied,
  wrongContext,
} from "../auth/errors.ts";
import type { CorePrincipal, Principal, TenantPrincipal } from "../auth/principal.ts";
import type { Claims } from "../auth/tokens.ts";
import type { Route } from "../feature.ts";
import { all, chain, type MaybePromise } from "../maybe-promise.ts";
import type { Catalogue } from "./catalogue.ts";
import { tenantAccessDenied, tenantInactive, tenantNotFound, tenantRequired } from "./errors.ts";
import type { HostLookup } from "./host-lookup.ts";
import type { AccountId, Tenant, UserId } from "./tenant.ts";

/** What a request says about itself. */
export interface RequestFacts {
  readonly host: string;
  /** The bearer token, without `Bearer`. */
  readonly token: string | undefined;
  readonly tenantHeader: string | undefined;
}

export interface Caller {
  readonly tenant: Tenant | undefined;
  readonly user: Principal | undefined;
}

/** Somebody with a token of one tenant asked for another. */
export interface CrossTenantAttempt {
  readonly user: string;
  readonly userTenant: string;
  readonly requestTenant: string;
}

export interface ResolverOptions {
  readonly catalogue: Catalogue;
  readonly hostLookup: HostLookup;
  readonly verifyToken: (token: string) => MaybePromise<Claims>;
  /** The user as they are now; undefined if there is none or they are not active. */
  readonly findUser: (tenant: Tenant, id: UserId) => MaybePromise<TenantPrincipal | undefined>;
  readonly findAccount: (id: AccountId) => MaybePromise<CorePrincipal | undefined>;
  readonly onCrossTenantAttempt: (attempt: CrossTenantAttempt) => void;
}

export type Resolver = (facts: RequestFacts, route: Route) => MaybePromise<Caller>;

/** The tenants that a request names; `undefined` where it names none, `null` where there is no such. */
interface Candidates {
  readonly host: Tenant | null | undefined;
  readonly header: Tenant | null | undefined;
  readonly token: Tenant | null | undefined;
}

export function createResolver(options: ResolverOptions): Resolver {
  const { catalogue, hostLookup, verifyToken, findUser, findAccount, onCrossTenantAttempt } =
    options;

  const candidatesOf = (
    facts: RequestFacts,
    claims: Claims | undefined,
  ): MaybePromise<Candidates> => {
    const lookup = hostLookup(facts.host);
    const named = <T>(
      value: T | undefined,
      find: (value: T) => MaybePromise<Tenant | undefined>,
    ) => (value === undefined ? undefined : chain(find(value), (tenant) => tenant ?? null));
    return chain(
      all([
        // A host that nobody registered names no tenant; a subdomain that is no slug is an error.
        chain(named(lookup, catalogue.find), (tenant) =>
          tenant === null && lookup?.by === "host" ? undefined : tenant,
        ),
        named(facts.tenantHeader, catalogue.findByReference),
        named(claims?.tenantId, (value) => catalogue.find({ by: "id", value })),
      ] as const),
      ([host, header, token]) => ({ host, header, token }),
    );
  };

  /** The one tenant that all candidates agree on. */
  const agree = (facts: RequestFacts, { host, header, token }: Candidates, claims?: Claims) => {
    if (token === null) throw invalidToken();
    const selected = [host, header].filter((candidate) => candidate !== undefined);
    const expected = token ?? selected[0];
    if (expected === undefined) return undefined;
    if (selected.some((candidate) => candidate?.id !== expected?.id)) {
      if (claims && token) {
        onCrossTenantAttempt({
          user: claims.subject,
          userTenant: token.key,
          requestTenant: header?.key ?? host?.key ?? facts.tenantHeader ?? facts.host,
        });
      }
      throw tenantAccessDenied();
    }
    if (expected === null) throw tenantNotFound();
    if (expected.status === "suspended") throw claims ? tenantInactive() : tenantNotFound();
    return expected;
  };

  const verify = (token: string | undefined, route: Route): MaybePromise<Claims | undefined> => {
    if (token === undefined) return undefined;
    // Who calls a public route need not show a token, so a bad one is none.
    if (route.options.permission !== "public") return verifyToken(token);
    try {
      const claims = verifyToken(token);
      return claims instanceof Promise ? claims.catch(() => undefined) : claims;
    } catch {
      return undefined;
    }
  };

  const principalOf = (claims: Claims | undefined, tenant: Tenant | undefined) => {
    if (!claims) return undefined;
    const found: MaybePromise<Principal | undefined> = tenant
      ? findUser(tenant, claims.subject as UserId)
      : findAccount(claims.subject as AccountId);
    return found;
  };

  return (facts, route) =>
    chain(verify(facts.token, route), (claims) => {
      const { permission, context = "tenant" } = route.options;
      const open = permission === "public";
      const coreToken = claims !== undefined && claims.tenantId === undefined;
      // In the core no tenant is involved, and a core token is good nowhere else; a route that is
      // open to all lets its host or header select a tenant in spite of one.
      const inCore = context === "core" || (coreToken && !open);
      if (inCore && open && !coreToken) return anonymous;
      const candidates = inCore && coreToken ? noCandidates : candidatesOf(facts, claims);
      return chain(candidates, (named) => {
        const tenant = agree(facts, named, claims);
        if (open && coreToken && tenant) return { tenant, user: undefined };
        return chain(principalOf(claims, tenant), (user) => {
          if (claims && !user && !open) throw invalidToken();
          authorise(route, tenant, user);
          return { tenant, user };
        });
      });
    });
}

const anonymous: Caller = { tenant: undefined, user: undefined };
const noCandidates: Candidates = { host: undefined, header: undefined, token: undefined };

/** Whether the caller may use the route, in the context that the route runs in. */
function authorise(route: Route, tenant: Tenant | undefined, user: Principal | undefined): void {
  const { permission, context = "tenant" } = route.options;
  if (permission !== "public") {
    if (!user) throw authenticationRequired();
    if (permission === "platform") {
      if (user.kind !== "core" || !user.platformAdmin) throw permissionDenied();
      return;
    }
  }
  if (user && context !== "any" && user.kind !== context) throw wrongContext();
  if (context === "tenant" && !tenant) throw tenantRequired();
  if (permission === "public" || permission === "authenticated") return;
  if (user?.kind !== "tenant" || !user.permissions.has(permission)) throw permissionDenied();
}
