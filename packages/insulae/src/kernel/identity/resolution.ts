/**
 * Whose request is it? Whether they may use the route is in `authorise.ts`.
 *
 * The host, the credential (`authentication.ts`), a client certificate and the headers `X-Tenant` and
 * `X-Tenant-ID` may each name a tenant. Host, credential and certificate are trusted, a header only
 * selects, and all that are present must agree: there is no order of precedence to abuse. A credential is good in one
 * context: a tenant's, or the core's. Where there is none, a certificate that was registered for
 * acting is one. While everything is in the caches the answer is there at once, without a promise.
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

/** What a request says about itself. */
export interface ResolverInput extends PresentedCredentials {
  readonly host: string;
  /** `X-Tenant`. */
  readonly tenantHeader: string | undefined;
  /** `X-Tenant-ID`, which some clients send instead. */
  readonly tenantIdHeader?: string | undefined;
  readonly certificate: PresentedCertificate | undefined;
  /** Where it came from, for the audit log. */
  readonly request?: FastifyRequest;
}

/** Somebody with a credential of one tenant asked for another. */
export interface CrossTenantAttempt {
  readonly user: string;
  /** Of a machine whose certificate is registered in several: not known. */
  readonly userTenant: Tenant | undefined;
  /** undefined: there is none of that name. */
  readonly requestTenant: Tenant | undefined;
  /** What the request called it. */
  readonly named: string;
  readonly request: ResolverInput["request"];
}

export interface ResolverOptions {
  readonly catalogue: Catalogue;
  readonly hostLookup: HostLookup;
  /** The key of `DEFAULT_TENANT`, if one is set. */
  readonly defaultTenant: string | undefined;
  readonly authenticate: Authenticate;
  readonly certificates: Pick<ClientCertificates, "find" | "proofOf">;
  readonly onCrossTenantAttempt: (attempt: CrossTenantAttempt) => void;
}

export type Resolver = (input: ResolverInput, route: GuardedRoute) => MaybePromise<Identity>;

/** The tenants that a request names; `undefined` where it names none, `null` where there is no such. */
interface Candidates {
  readonly host: Tenant | null | undefined;
  readonly header: Tenant | null | undefined;
  readonly idHeader: Tenant | null | undefined;
  readonly credential: Tenant | null | undefined;
  /** Only where the certificate is registered for one tenant alone. */
  readonly certificate: Tenant | null | undefined;
}

export function createResolver(options: ResolverOptions): Resolver {
  const { catalogue, hostLookup, authenticate, certificates, onCrossTenantAttempt } = options;

  /** The host's tenant. A host that nobody registered names none; a subdomain that is no slug is an error. */
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
   * Refuses whoever asks for another tenant than their own, and notes it: of people who are known, and of
   * certificates that are registered. What a stranger claims (a key that nobody made) is in no log of a tenant's.
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

  /** The registrations of the certificate that is shown; undefined where none is. */
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

  /** What the certificate proves of who calls, in the tenant that everything agreed on. */
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
    // Who calls a public route need not prove anything, so what is no good is nothing.
    if (route.options.permission !== "public") return authenticate(input);
    try {
      const proof = authenticate(input);
      return proof instanceof Promise ? proof.catch(() => undefined) : proof;
    } catch {
      return undefined;
    }
  };

  return (input, route) => {
    const { permission, context = "tenant" } = route.options;
    const open = permission === "public";
    const resolve = (
      registered: readonly Registration[] | undefined,
      proof: Proof | undefined,
    ): MaybePromise<Identity> => {
      const core = proof !== undefined && proof.tenantId === undefined;
      // In the core no tenant is involved, and a core credential is good nowhere else; a route that
      // is open to all lets its host or header select a tenant in spite of one.
      const inCore = context === "core" || (core && !open);
      if (inCore && open && !core) return anonymous;
      const stranger = proof === undefined && registered === undefined;
      // Whether there is such a tenant is nothing that the answer tells.
      if (stranger && !open) throw authenticationRequired();
      const candidates =
        inCore && core ? noCandidates : candidatesOf(input, route, proof, registered);
      return chain(candidates, (named) => {
        const counted = candidates === noCandidates ? undefined : registered;
        const { header = named.idHeader, idHeader = header } = named;
        if (stranger && named.host === undefined && header !== undefined) {
          if (route.options.byHost) return anonymous;
          // Two headers that differ name no tenant, whichever of them there is.
          const isThere = header?.status === "active" && header.id === idHeader?.id;
          if (route.options.unknownTenant && !isThere) return ofUnknownTenant;
        }
        return chain(agree(input, named, proof, counted), (tenant) => {
          if (open && core && tenant) return { tenant, user: undefined, credential: undefined };
          const proven = proof ?? machineProof(counted, tenant);
          return chain(proven?.findPrincipal(tenant), (user) => {
            if (proven && !user && !open) throw invalidToken();
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
