/** Long because it is a table: what a request can contain about its tenant, and the result. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { Access, Route, RouteContext } from "../feature/feature.ts";
import type { AccountId, TenantId, UserId } from "../lib/ids.ts";
import { chain, type MaybePromise } from "../lib/maybe-promise.ts";
import type { Tenant } from "../model/tenant.ts";
import { createHostLookup } from "../tenancy/host-lookup.ts";
import type { Proof } from "./authentication.ts";
import { createAuthorise } from "./authorise.ts";
import type { Registration } from "./client-certificates.ts";
import { CallerRefused } from "./errors.ts";
import type { Principal } from "./principal.ts";
import { type CrossTenantAttempt, createResolver, type ResolverInput } from "./resolution.ts";

const tenantOf = (key: string, status: "active" | "suspended" = "active"): Tenant => ({
  id: `id-${key}` as TenantId,
  key,
  slug: key,
  number: 1,
  name: key,
  status,
  plan: "free",
  hosts: [`${key}.shop.example`],
  settings: {},
  ownerAccountId: undefined,
  placement: {
    id: "",
    serverId: "",
    database: "",
    schema: "data",
    isolation: "pool",
    role: undefined,
    version: 1,
  },
  createdAt: new Date(0),
  updatedAt: new Date(0),
});

const tenants = [tenantOf("a"), tenantOf("b"), tenantOf("late", "suspended")];

/**
 * The text of a token determines it: `user@a` is a token of tenant a, `account` one of the core.
 */
const proofOf = (token: string, later: <T>(value: T) => MaybePromise<T>): Proof => {
  const [subject = "", key] = token.split("@");
  if (!["user", "account", "admin", "gone"].includes(subject)) throw new Error("invalid token");
  return {
    credential: {
      kind: "token",
      sessionId: "s",
      issuedAt: 0,
      expiresAt: 0,
      impersonator: undefined,
    },
    subject,
    tenantId: key === undefined ? undefined : (`id-${key}` as TenantId),
    findPrincipal: (tenant) => later(tenant ? userOf(tenant, subject) : accountOf(subject)),
  };
};

/** The fingerprint of a certificate determines it: `names:a,b`, `acts:a`, or unregistered. */
const registrationsOf = (fingerprint: string): readonly Registration[] => {
  const [what, keys] = fingerprint.split(":");
  return (keys ?? "")
    .split(",")
    .filter(Boolean)
    .map((key) => ({
      id: `certificate-${key}`,
      tenantId: `id-${key}` as TenantId,
      tenantKey: key,
      userId: what === "acts" ? ("user" as UserId) : undefined,
      scopes: [],
      notAfter: Number.POSITIVE_INFINITY,
    }));
};

const shows = (fingerprint: string) => ({
  certificate: { fingerprint } as ResolverInput["certificate"], // only that is looked at here
});

const userOf = (tenant: Tenant, id: string): Principal | undefined =>
  id === "user"
    ? {
        kind: "tenant",
        id: id as UserId,
        tenantId: tenant.id,
        email: "",
        role: "user",
        permissions: new Set(["contacts:read"]),
        epoch: "",
      }
    : undefined;

const accountOf = (id: string): Principal => ({
  kind: "core",
  id: id as AccountId,
  email: "",
  platformAdmin: id === "admin",
  epoch: "",
});

/** Everything cached, or everything to be awaited. */
function resolverFor(cached: boolean) {
  const attempts: CrossTenantAttempt[] = [];
  const later = <T>(value: T): T | Promise<T> => (cached ? value : Promise.resolve(value));
  const resolver = createResolver({
    defaultTenant: "none",
    hostLookup: createHostLookup({
      baseDomain: "insulae.example",
      platformHosts: ["localhost"],
    }),
    catalogue: {
      findKnown: () => undefined,
      find: ({ by, value }) =>
        later(
          tenants.find((tenant) =>
            by === "host" ? tenant.hosts.includes(value) : String(tenant[by]) === value,
          ),
        ),
      findByReference: (key) => later(tenants.find((tenant) => tenant.key === key)),
      forget: () => undefined,
      forgetAll: () => undefined,
    },
    certificates: {
      find: ({ fingerprint }) => later(registrationsOf(fingerprint)),
      proofOf: ({ id, tenantId, userId }) =>
        userId && {
          credential: { kind: "certificate", certificateId: id },
          subject: userId,
          tenantId,
          findPrincipal: (tenant) => later(tenant && userOf(tenant, userId)),
        },
    },
    authenticate: ({ token }) => {
      if (token === undefined) return undefined;
      if (cached) return proofOf(token, later);
      return Promise.resolve().then(() => proofOf(token, later));
    },
    onCrossTenantAttempt: (attempt) => attempts.push(attempt),
  });
  const authorise = createAuthorise();
  const resolve: typeof resolver = (given, to) =>
    chain(resolver(given, to), (identity) => {
      authorise(to, identity);
      return identity;
    });
  return { attempts, resolve };
}

const route = (permission: Access, context: RouteContext = "tenant"): Route => ({
  method: "GET",
  path: "/x",
  absolute: false,
  options: { permission, context, response: {}, summary: "" },
  handler: () => undefined,
  at: {},
});

const inputWith = (given: Partial<ResolverInput>): ResolverInput => ({
  host: "localhost:8000",
  token: undefined,
  cookies: undefined,
  csrfToken: undefined,
  changes: false,
  tenantHeader: undefined,
  certificate: undefined,
  ...given,
});

const read = route("contacts:read");
const open = route("public");

interface Outcome {
  readonly tenant?: string | undefined;
  readonly user?: Principal["kind"] | undefined;
  readonly error?: string;
}

async function outcomeOf(
  given: Partial<ResolverInput>,
  to: Route,
  cached = true,
): Promise<Outcome> {
  try {
    const { tenant, user } = await resolverFor(cached).resolve(inputWith(given), to);
    return { tenant: tenant?.key, user: user?.kind };
  } catch (error) {
    return {
      error: error instanceof Error && "code" in error ? String(error.code) : String(error),
    };
  }
}

const withCertificates: readonly (readonly [string, Partial<ResolverInput>, Route, Outcome])[] = [
  ["a certificate names its tenant", shows("names:a"), open, { tenant: "a", user: undefined }],
  ["and does not act", shows("names:a"), read, { error: "authentication_required" }],
  ["one that was given a user acts", shows("acts:a"), read, { tenant: "a", user: "tenant" }],
  [
    "but not where only people do",
    shows("acts:a"),
    route("authenticated"),
    { error: "personal_only" },
  ],
  [
    "all agree",
    { ...shows("names:a"), token: "user@a", host: "a.insulae.example", tenantHeader: "a" },
    read,
    { tenant: "a", user: "tenant" },
  ],
  [
    "a certificate against the host",
    { ...shows("names:a"), host: "b.shop.example" },
    open,
    { error: "tenant_access_denied" },
  ],
  [
    "a certificate against the token",
    { ...shows("acts:a"), token: "user@b" },
    read,
    { error: "tenant_access_denied" },
  ],
  [
    "a certificate against the header",
    { ...shows("acts:a"), tenantHeader: "b" },
    read,
    { error: "tenant_access_denied" },
  ],
  [
    "a certificate against a header that names nobody",
    { ...shows("acts:a"), tenantHeader: "nobody" },
    read,
    { error: "tenant_access_denied" },
  ],
  [
    "one that two tenants registered says nothing alone",
    shows("acts:a,b"),
    read,
    { error: "authentication_required" },
  ],
  [
    "and acts in the one that the host names",
    { ...shows("acts:a,b"), host: "b.insulae.example" },
    read,
    { tenant: "b", user: "tenant" },
  ],
  ["one that nobody registered", shows("foreign"), read, { error: "invalid_client_certificate" }],
  [
    "one that nobody registered, beside a token",
    { ...shows("foreign"), token: "user@a" },
    read,
    { error: "invalid_client_certificate" },
  ],
  [
    "one that nobody registered is none where nothing has to be shown",
    { ...shows("foreign"), host: "a.insulae.example" },
    open,
    { tenant: "a", user: undefined },
  ],
  ["one of a suspended tenant", shows("acts:late"), read, { error: "tenant_inactive" }],
  ["one of a tenant that is gone", shows("acts:gone"), read, { error: "tenant_access_denied" }],
];

test.each(withCertificates)("%s", async (_, given, to, outcome) => {
  expect(await outcomeOf(given, to)).toEqual(outcome);
  expect(await outcomeOf(given, to, false)).toEqual(outcome);
});

test.each([
  ["a user at another tenant", { token: "user@a", tenantHeader: "b" }, read],
  ["a user where there is no such tenant", { token: "user@a", tenantHeader: "nowhere" }, read],
  ["a certificate at another tenant", { ...shows("acts:a"), host: "b.insulae.example" }, read],
  ["a user without the permission", { token: "user@a" }, route("contacts:write")],
  ["an account at a platform administrator's", { token: "account" }, route("platform", "core")],
])("%s is refused as a known caller, who is charged for it", async (_what, given, to) => {
  for (const cached of [true, false]) {
    const refused = async () => resolverFor(cached).resolve(inputWith(given), to);
    const error = await refused().catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(CallerRefused);
    expect(error).toMatchObject({ status: 403, detail: expect.any(String) });
  }
});

test.each([
  ["somebody who is gone", { token: "gone@a", tenantHeader: "b" }],
  ["a certificate that names and does not act", { ...shows("names:a"), host: "b.insulae.example" }],
])("%s is refused as a stranger", async (_what, given) => {
  const { attempts, resolve } = resolverFor(true);
  const refused = async () => resolve(inputWith(given), read);
  const error = await refused().catch((thrown: unknown) => thrown);
  expect(error).toMatchObject({ code: "tenant_access_denied" });
  expect(error).not.toBeInstanceOf(CallerRefused);
  // A forged claim appears in no tenant's audit log: only registered callers do.
  expect(attempts).toHaveLength("token" in given ? 0 : 1);
});

test("a certificate of one tenant at another's host is reported", async () => {
  const { attempts, resolve } = resolverFor(true);
  const crossing = inputWith({ ...shows("acts:a"), host: "b.insulae.example" });
  expect(() => resolve(crossing, read)).toThrow("the same tenant");
  expect(attempts).toMatchObject([
    {
      user: "certificate:certificate-a",
      userTenant: { key: "a" },
      requestTenant: { key: "b" },
    },
  ]);
});

const cases: readonly (readonly [string, Partial<ResolverInput>, Route, Outcome])[] = [
  ["a token names its tenant", { token: "user@a" }, read, { tenant: "a", user: "tenant" }],
  [
    "token and header agree",
    { token: "user@a", tenantHeader: "a" },
    read,
    { tenant: "a", user: "tenant" },
  ],
  [
    "token, header and subdomain agree",
    { token: "user@a", tenantHeader: "a", host: "a.insulae.example" },
    read,
    { tenant: "a", user: "tenant" },
  ],
  [
    "a registered host names its tenant",
    { host: "A.shop.example.:443" },
    open,
    { tenant: "a", user: undefined },
  ],
  ["a header selects", { tenantHeader: "b" }, open, { tenant: "b", user: undefined }],
  ["X-Tenant-ID selects as well", { tenantIdHeader: "b" }, open, { tenant: "b", user: undefined }],
  [
    "both headers, the token and the host agree",
    { token: "user@a", tenantHeader: "a", tenantIdHeader: "a", host: "a.insulae.example" },
    read,
    { tenant: "a", user: "tenant" },
  ],
  [
    "X-Tenant-ID against X-Tenant",
    { tenantHeader: "a", tenantIdHeader: "b" },
    open,
    { error: "tenant_access_denied" },
  ],
  [
    "X-Tenant-ID against X-Tenant, which names the token's tenant",
    { token: "user@a", tenantHeader: "a", tenantIdHeader: "b" },
    read,
    { error: "tenant_access_denied" },
  ],
  [
    "X-Tenant-ID against the token",
    { token: "user@a", tenantIdHeader: "b" },
    read,
    { error: "tenant_access_denied" },
  ],
  [
    "X-Tenant-ID against the host",
    { tenantIdHeader: "b", host: "a.insulae.example" },
    open,
    { error: "tenant_access_denied" },
  ],
  [
    "an X-Tenant-ID that names nobody, against X-Tenant",
    { tenantHeader: "a", tenantIdHeader: "nobody" },
    open,
    { error: "tenant_access_denied" },
  ],
  [
    "a header against the token",
    { token: "user@a", tenantHeader: "b" },
    read,
    { error: "tenant_access_denied" },
  ],
  [
    "a host against the token",
    { token: "user@a", host: "b.insulae.example" },
    read,
    { error: "tenant_access_denied" },
  ],
  [
    "a registered host against the token",
    { token: "user@a", host: "b.shop.example" },
    read,
    { error: "tenant_access_denied" },
  ],
  [
    "a header against the host",
    { tenantHeader: "b", host: "a.insulae.example" },
    open,
    { error: "tenant_access_denied" },
  ],
  [
    "an unknown header against the token",
    { token: "user@a", tenantHeader: "nobody" },
    read,
    { error: "tenant_access_denied" },
  ],
  ["an unknown header", { tenantHeader: "nobody" }, open, { error: "tenant_not_found" }],
  ["an unknown subdomain", { host: "nobody.insulae.example" }, open, { error: "tenant_not_found" }],
  ["an unknown host names none", { host: "elsewhere.example" }, open, { error: "tenant_required" }],
  [
    "a suspended tenant, to strangers, is none",
    { tenantHeader: "late" },
    open,
    { error: "tenant_not_found" },
  ],
  ["a suspended tenant, to its user", { token: "user@late" }, read, { error: "tenant_inactive" }],
  ["a token of a tenant that is gone", { token: "user@deleted" }, read, { error: "invalid_token" }],
  ["a user that is gone", { token: "gone@a" }, read, { error: "invalid_token" }],
  ["no token", { tenantHeader: "a" }, read, { error: "authentication_required" }],
  [
    "a permission that the user lacks",
    { token: "user@a" },
    route("contacts:write"),
    { error: "permission_denied" },
  ],
  [
    "a core token in a tenant's context",
    { token: "account", tenantHeader: "a" },
    read,
    { error: "wrong_context" },
  ],
  [
    "a core token in either context enters no tenant",
    { token: "account", tenantHeader: "a" },
    route("authenticated", "any"),
    { tenant: undefined, user: "core" },
  ],
  [
    "a tenant's token in the core",
    { token: "user@a" },
    route("authenticated", "core"),
    { error: "wrong_context" },
  ],
  [
    "a tenant's token on the platform's routes",
    { token: "user@a" },
    route("platform", "core"),
    { error: "permission_denied" },
  ],
  [
    "an account on the platform's routes",
    { token: "account" },
    route("platform", "core"),
    { error: "permission_denied" },
  ],
  [
    "a platform administrator",
    { token: "admin" },
    route("platform", "core"),
    { tenant: undefined, user: "core" },
  ],
  [
    "a core token at a tenant's open route is no hindrance",
    { token: "account", tenantHeader: "a" },
    open,
    { tenant: "a", user: undefined },
  ],
  [
    "a token of nobody at an open route counts as none",
    { token: "gone@a", tenantHeader: "a" },
    open,
    { tenant: "a", user: undefined },
  ],
  [
    "junk for a token at an open route counts as none",
    { token: "junk", tenantHeader: "a" },
    open,
    { tenant: "a", user: undefined },
  ],
  ["a Host header that is no host", { host: "a@b" }, open, { error: "invalid_host" }],
];

describe.each([true, false])("with cached results: %s", (cached) => {
  test.each(cases)("%s", async (_name, given, to, expected) => {
    expect(await outcomeOf(given, to, cached)).toEqual(expected);
  });
});

test("with warm caches nothing is awaited", () => {
  const { resolve } = resolverFor(true);
  expect(resolve(inputWith({ token: "user@a", tenantHeader: "a" }), read)).not.toBeInstanceOf(
    Promise,
  );
});

test("a cross-tenant attempt is reported with the user and both tenants", async () => {
  const { attempts, resolve } = resolverFor(true);
  expect(() => resolve(inputWith({ token: "user@a", tenantHeader: "b" }), read)).toThrow();
  expect(attempts).toMatchObject([
    { user: "user", userTenant: { key: "a" }, requestTenant: { key: "b" }, named: "b" },
  ]);
});

test("no combination of host, header and token enters a tenant that one of them contradicts", async () => {
  const keys = ["a", "b", "late", "nobody"];
  const maybe = fc.option(fc.constantFrom(...keys), { nil: undefined });
  const input = fc.record({
    host: maybe,
    header: maybe,
    token: fc.option(fc.constantFrom("user@a", "user@b", "account", "admin", "junk"), {
      nil: undefined,
    }),
    permission: fc.constantFrom<Access>("public", "authenticated", "contacts:read"),
    context: fc.constantFrom<RouteContext>("tenant", "any", "core"),
    cached: fc.boolean(),
  });
  await fc.assert(
    fc.asyncProperty(input, async ({ host, header, token, permission, context, cached }) => {
      const given = {
        host: host === undefined ? "localhost" : `${host}.insulae.example`,
        tenantHeader: header,
        token,
      };
      const { tenant } = await outcomeOf(given, route(permission, context), cached);
      if (tenant === undefined) return;
      for (const named of [host, header, token?.split("@")[1]]) {
        if (named !== undefined) expect(named).toBe(tenant);
      }
      expect(tenant).not.toBe("late");
    }),
    { numRuns: 1_000 },
  );
});
