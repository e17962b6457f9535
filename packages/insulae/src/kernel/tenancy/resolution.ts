/**
 * Whose request is it, and may they? The first two steps of a request's path.
 *
 * The host, the credential (`authentication.ts`) and the header `X-Tenant` may each name a tenant.
 * Host and credential are trusted, the header only selects, and all that are present must agree:
 * there is no order of precedence to abuse. (A client certificate will be one more candidate in
 * `candidatesOf`.) A credential is good in one context: a tenant's, or the core's. While everything
 * is in the caches the answer is there at once, without a promise.
 */
import type { Authenticate, Proof, Shown } from "../auth/authentication.ts";
import type { Credential } from "../auth/credential.ts";
import {
  authenticationRequired,
  invalidToken,
  permissionDenied,
  wrongContext,
} from "../auth/errors.ts";
import type { Principal } from "../auth/principal.ts";
import type { Route } from "../feature.ts";
import { all, chain, type MaybePromise } from "../maybe-promise.ts";
import type { Catalogue } from "./catalogue.ts";
import { tenantAccessDenied, tenantInactive, tenantNotFound, tenantRequired } from "./errors.ts";
import type { HostLookup } from "./host-lookup.ts";
import type { Tenant } from "./tenant.ts";

/** What a request says about itself. */
export interface RequestFacts extends Shown {
  readonly host: string;
  readonly tenantHeader: string | undefined;
}

export interface Caller {
  readonly tenant: Tenant | undefined;
  readonly user: Principal | undefined;
  /** How they proved who they are; there if and only if `user` is. */
  readonly credential: Credential | undefined;
}

/** Somebody with a credential of one tenant asked for another. */
export interface CrossTenantAttempt {
  readonly user: string;
  readonly userTenant: string;
  readonly requestTenant: string;
}

export interface ResolverOptions {
  readonly catalogue: Catalogue;
  readonly hostLookup: HostLookup;
  readonly authenticate: Authenticate;
  readonly onCrossTenantAttempt: (attempt: CrossTenantAttempt) => void;
}

export type Resolver = (facts: RequestFacts, route: Route) => MaybePromise<Caller>;

/** The tenants that a request names; `undefined` where it names none, `null` where there is no such. */
interface Candidates {
  readonly host: Tenant | null | undefined;
  readonly header: Tenant | null | undefined;
  readonly credential: Tenant | null | undefined;
}

export function createResolver(options: ResolverOptions): Resolver {
  const { catalogue, hostLookup, authenticate, onCrossTenantAttempt } = options;

  const candidatesOf = (
    facts: RequestFacts,
    proof: Proof | undefined,
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
        named(proof?.tenantId, (value) => catalogue.find({ by: "id", value })),
      ] as const),
      ([host, header, credential]) => ({ host, header, credential }),
    );
  };

  /** The one tenant that all candidates agree on. */
  const agree = (facts: RequestFacts, named: Candidates, proof?: Proof) => {
    const { host, header, credential } = named;
    if (credential === null) throw invalidToken();
    const selected = [host, header].filter((candidate) => candidate !== undefined);
    const expected = credential ?? selected[0];
    if (expected === undefined) return undefined;
    if (selected.some((candidate) => candidate?.id !== expected?.id)) {
      if (proof && credential) {
        onCrossTenantAttempt({
          user: proof.subject,
          userTenant: credential.key,
          requestTenant: header?.key ?? host?.key ?? facts.tenantHeader ?? facts.host,
        });
      }
      throw tenantAccessDenied();
    }
    if (expected === null) throw tenantNotFound();
    if (expected.status === "suspended") throw proof ? tenantInactive() : tenantNotFound();
    return expected;
  };

  const proofFor = (facts: RequestFacts, route: Route): MaybePromise<Proof | undefined> => {
    // Who calls a public route need not prove anything, so what is no good is nothing.
    if (route.options.permission !== "public") return authenticate(facts);
    try {
      const proof = authenticate(facts);
      return proof instanceof Promise ? proof.catch(() => undefined) : proof;
    } catch {
      return undefined;
    }
  };

  return (facts, route) =>
    chain(proofFor(facts, route), (proof) => {
      const { permission, context = "tenant" } = route.options;
      const open = permission === "public";
      const core = proof !== undefined && proof.tenantId === undefined;
      // In the core no tenant is involved, and a core credential is good nowhere else; a route that
      // is open to all lets its host or header select a tenant in spite of one.
      const inCore = context === "core" || (core && !open);
      if (inCore && open && !core) return anonymous;
      const candidates = inCore && core ? noCandidates : candidatesOf(facts, proof);
      return chain(candidates, (named) => {
        const tenant = agree(facts, named, proof);
        if (open && core && tenant) return { tenant, user: undefined, credential: undefined };
        return chain(proof?.findPrincipal(tenant), (user) => {
          if (proof && !user && !open) throw invalidToken();
          authorise(route, tenant, user);
          return { tenant, user, credential: user && proof?.credential };
        });
      });
    });
}

const anonymous: Caller = { tenant: undefined, user: undefined, credential: undefined };
const noCandidates: Candidates = { host: undefined, header: undefined, credential: undefined };

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
