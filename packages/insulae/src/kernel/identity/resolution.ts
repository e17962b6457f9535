/**
 * Resolves a request to its tenant and caller. `authorise.ts` decides whether they may use the
 * route.
 *
 * The host, the credential (`authentication.ts`), a client certificate and the headers `X-Tenant`
 * and `X-Tenant-ID` may each name a tenant. Host, credential and certificate are trusted; a header
 * only selects. All that are present must agree, so there is no order of precedence to abuse. A
 * credential is valid in one context: a tenant's, or the core's. If there is none, a certificate
 * registered for acting as a user is used. With warm caches the result is synchronous, without a
 * promise.
 */
import type { FastifyRequest } from "fastify";
import { all, chain, type MaybePromise } from "../lib/maybe-promise.ts";
import type { Tenant } from "../model/tenant.ts";
import type { Catalogue } from "../tenancy/catalogue.ts";
import { tenantAccessDenied, tenantInactive, tenantNotFound } from "../tenancy/errors.ts";
import type { HostLookup } from "../tenancy/host-lookup.ts";
import {
  invalidClientCertificate,
  type PresentedCertificate,
} from "../tls/presented-certificate.ts";
import type { Authenticate, PresentedCredentials, Proof } from "./authentication.ts";
import type { ClientCertificates, Registration } from "./client-certificates.ts";
import { authenticationRequired, CallerRefused, invalidToken } from "./errors.ts";
import type { GuardedRoute } from "./guarded-route.ts";
import type { Identity } from "./identity.ts";

/** What the resolver reads from a request. */
export interface ResolverInput extends PresentedCredentials {
  readonly host: string;
  /** `X-Tenant`. */
  readonly tenantHeader: string | undefined;
  /** `X-Tenant-ID`, which some clients send instead. */
  readonly tenantIdHeader?: string | undefined;
  readonly certificate: PresentedCertificate | undefined;
  /** The source of the request, for the audit log. */
  readonly request?: FastifyRequest;
}

/** A caller with a credential of one tenant requested another. */
export interface CrossTenantAttempt {
  readonly user: string;
  /** Unknown for a machine whose certificate is registered in several. */
  readonly userTenant: Tenant | undefined;
  /** Undefined: it does not exist. */
  readonly requestTenant: Tenant | undefined;
  /** The name that the request used. */
  readonly named: string;
  readonly request: ResolverInput["request"];
}

export interface ResolverOptions {
  readonly catalogue: Catalogue;
  readonly hostLookup: HostLookup;
  /** The key of `DEFAULT_TENANT`, if set. */
  readonly defaultTenant: string | undefined;
  readonly authenticate: Authenticate;
  readonly certificates: Pick<ClientCertificates, "find" | "proofOf">;
  readonly onCrossTenantAttempt: (attempt: CrossTenantAttempt) => void;
}

export type Resolver = (input: ResolverInput, route: GuardedRoute) => MaybePromise<Identity>;

/** The tenants that a request names: `undefined` if it names none, `null` if it does not exist. */
interface Candidates {
  readonly host: Tenant | null | undefined;
  readonly header: Tenant | null | undefined;
  readonly idHeader: Tenant | null | undefined;
  readonly credential: Tenant | null | undefined;
  /** Only if the certificate is registered for exactly one tenant. */
  readonly certificate: Tenant | null | undefined;
}

export function createResolver(options: ResolverOptions): Resolver {
  const { catalogue, hostLookup, authenticate, certificates, onCrossTenantAttempt } = options;

  /**
   * The host's tenant. An unregistered host names none; a subdomain that is not a valid slug is an
   * error.
   */
  const tenantOfHost = (
    { host, tenantHeader, tenantIdHeader }: ResolverInput,
    { options: { defaultTenant } }: GuardedRoute,
  ): MaybePromise<Tenant | null | undefined> => {
    const lookup = hostLookup(host);
    const found = lookup && catalogue.find(lookup);
    return chain(found, (tenant) => {
      if (tenant) return tenant;
      if (lookup && lookup.by !== "host") return null;
      const named = tenantHeader ?? tenantIdHeader;
      const key = defaultTenant && named === undefined ? options.defaultTenant : undefined;
      return key === undefined ? undefined : catalogue.findByReference(key);
    });
  };

  const candidatesOf = (
    input: ResolverInput,
    route: GuardedRoute,
    proof: Proof | undefined,
    registered: readonly Registration[] | undefined,
  ): MaybePromise<Candidates> => {
    const only = registered?.length === 1 ? registered[0]?.tenantId : undefined;
    const named = <T>(
      value: T | undefined,
      find: (value: T) => MaybePromise<Tenant | undefined>,
    ) => (value === undefined ? undefined : chain(find(value), (tenant) => tenant ?? null));
    return chain(
      all([
        tenantOfHost(input, route),
        named(input.tenantHeader, catalogue.findByReference),
        named(input.tenantIdHeader, catalogue.findByReference),
        named(proof?.tenantId, (value) => catalogue.find({ by: "id", value })),
        named(only, (value) => catalogue.find({ by: "id", value })),
      ] as const),
      ([host, header, idHeader, credential, certificate]) => ({
        host,
        header,
        idHeader,
        credential,
        certificate,
      }),
    );
  };

  /**
   * Refuses a request for another tenant than the caller's, and records it if the caller is known
   * or the certificate registered. Unverified claims (a forged key) appear in no tenant's log.
   */
  const refuseElsewhere = (
    input: ResolverInput,
    { host, header, idHeader, credential, certificate }: Candidates,
    proof: Proof | undefined,
    registered: readonly Registration[] | undefined,
  ): MaybePromise<never> => {
    const home = (proof ? credential : certificate) ?? undefined;
    const shown = proof ?? machineProof(registered, home);
    return chain(home && shown?.findPrincipal(home), (user) => {
      const [machine] = registered ?? [];
      if (user || machine) {
        onCrossTenantAttempt({
          user: proof && user ? proof.subject : `certificate:${machine?.id}`,
          userTenant: credential ?? certificate ?? undefined,
          requestTenant: header ?? idHeader ?? host ?? undefined,
          named:
            header?.key ??
            idHeader?.key ??
            host?.key ??
            input.tenantHeader ??
            input.tenantIdHeader ??
            input.host,
          request: input.request,
        });
      }
      throw user ? new CallerRefused(accessDenied(), user) : accessDenied();
    });
  };

  /** The one tenant that all candidates agree on. */
  const agree = (
    input: ResolverInput,
    named: Candidates,
    proof: Proof | undefined,
    registered: readonly Registration[] | undefined,
  ): MaybePromise<Tenant | undefined> => {
    const { host, header, idHeader, credential, certificate } = named;
    if (credential === null) throw invalidToken();
    const selected = [host, header, idHeader].filter((candidate) => candidate !== undefined);
    const expected = credential ?? (selected.length > 0 ? selected[0] : certificate);
    if (expected === undefined) return undefined;
    if (
      selected.some((candidate) => candidate?.id !== expected?.id) ||
      registered?.every(({ tenantId }) => tenantId !== expected?.id)
    ) {
      return refuseElsewhere(input, named, proof, registered);
    }
    if (expected === null) throw tenantNotFound();
    if (expected.status === "suspended") {
      throw proof || registered ? tenantInactive() : tenantNotFound();
    }
    return expected;
  };

  /** The registrations of the presented certificate; undefined without one. */
  const registeredFor = (
    input: ResolverInput,
    route: GuardedRoute,
    open: boolean,
  ): MaybePromise<readonly Registration[] | undefined> => {
    const { certificate, tenantHeader = input.tenantIdHeader } = input;
    if (!certificate) return undefined;
    const named =
      tenantHeader === undefined
        ? tenantOfHost(input, route)
        : catalogue.findByReference(tenantHeader);
    return chain(
      chain(named, (tenant) => certificates.find(certificate, tenant?.id)),
      (registered) => {
        if (registered.length > 0) return registered;
        if (open) return undefined;
        throw invalidClientCertificate();
      },
    );
  };

  /** What the certificate proves about the caller in the agreed tenant. */
  const machineProof = (
    registered: readonly Registration[] | undefined,
    tenant: Tenant | undefined,
  ): Proof | undefined => {
    const acting = registered?.find(
      ({ tenantId, userId }) => tenantId === tenant?.id && userId !== undefined,
    );
    return acting && certificates.proofOf(acting);
  };

  const proofFor = (input: ResolverInput, route: GuardedRoute): MaybePromise<Proof | undefined> => {
    // Most public routes need no credential, so an invalid one is ignored.
    if (route.options.permission !== "public" || route.options.forCaller) {
      return authenticate(input);
    }
    try {
      const proof = authenticate(input);
      return proof instanceof Promise ? proof.catch(() => undefined) : proof;
    } catch {
      return undefined;
    }
  };

  return (input, route) => {
    const { permission, context = "tenant", forCaller = false } = route.options;
    const open = permission === "public";
    const resolve = (
      registered: readonly Registration[] | undefined,
      proof: Proof | undefined,
    ): MaybePromise<Identity> => {
      const core = proof !== undefined && proof.tenantId === undefined;
      // A core credential is valid only without a tenant. A route that is open to all still lets
      // its host or header select a tenant.
      const inCore = context === "core" || (core && !open);
      const isIgnored = proof === undefined || !forCaller;
      if (inCore && open && !core && isIgnored) return anonymous;
      const stranger = proof === undefined && registered === undefined;
      // Don't reveal whether the tenant exists.
      if (stranger && !open) throw authenticationRequired();
      const candidates =
        inCore && core ? noCandidates : candidatesOf(input, route, proof, registered);
      return chain(candidates, (named) => {
        const counted = candidates === noCandidates ? undefined : registered;
        const { header = named.idHeader, idHeader = header } = named;
        if (stranger && named.host === undefined && header !== undefined) {
          if (route.options.byHost) return anonymous;
          // Two headers that differ name no tenant, even if one of them exists.
          const isThere = header?.status === "active" && header.id === idHeader?.id;
          if (route.options.unknownTenant && !isThere) return ofUnknownTenant;
        }
        return chain(agree(input, named, proof, counted), (tenant) => {
          if (open && core && tenant) return { tenant, user: undefined, credential: undefined };
          const proven = proof ?? machineProof(counted, tenant);
          return chain(proven?.findPrincipal(tenant), (user) => {
            if (proven && !user && !(open && isIgnored)) throw invalidToken();
            return { tenant, user, credential: user && proven?.credential };
          });
        });
      });
    };
    return chain(registeredFor(input, route, open), (registered) =>
      chain(proofFor(input, route), (proof) => resolve(registered, proof)),
    );
  };
}

const anonymous: Identity = { tenant: undefined, user: undefined, credential: undefined };
const ofUnknownTenant: Identity = { ...anonymous, isUnknownTenant: true };
const noCandidates: Candidates = {
  host: undefined,
  header: undefined,
  idHeader: undefined,
  credential: undefined,
  certificate: undefined,
};

const accessDenied = () =>
  tenantAccessDenied({
    detail: "The host, X-Tenant and your credential must name the same tenant",
  });
