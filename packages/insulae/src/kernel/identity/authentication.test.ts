import { describe, expect, it } from "vitest";
import type { AccountId, TenantId, UserId } from "../lib/ids.ts";
import type { Tenant } from "../model/tenant.ts";
import { createAuthentication } from "./authentication.ts";
import type { CorePrincipal, TenantPrincipal } from "./principal.ts";
import type { Claims } from "./tokens.ts";

const tenant = { id: "tenant" as TenantId } as Tenant;
const ada: TenantPrincipal = {
  kind: "tenant",
  id: "ada" as UserId,
  tenantId: tenant.id,
  email: "ada@example.org",
  role: "user",
  permissions: new Set(),
  epoch: "now",
};
const root: CorePrincipal = {
  kind: "core",
  id: "root" as AccountId,
  email: "root@example.org",
  platformAdmin: true,
  epoch: "now",
};

const claims: Claims = {
  kind: "token",
  subject: ada.id,
  tenantId: tenant.id,
  sessionId: "open",
  tokenId: "t",
  epoch: "now",
  issuedAt: 0,
  expiresAt: 0,
  impersonator: undefined,
};

const shown = (token: string | undefined) => ({
  token,
  cookies: undefined,
  csrfToken: undefined,
  changes: false,
});

/** The other kinds of credentials, unused here. */
const others = {
  cookieSessions: { find: () => undefined, csrfToken: () => "" },
  onApiKeyUsed: () => undefined,
};

/** The principal of a token with these claims, with warm or cold caches. */
async function whoIs(changes: Partial<Claims>, now: { admin?: boolean; cached?: boolean } = {}) {
  const { admin = true, cached = true } = now;
  const later = <T>(value: T): T | Promise<T> => (cached ? value : Promise.resolve(value));
  const authenticate = createAuthentication({
    verifyToken: () => later({ ...claims, ...changes }),
    authority: {
      findUser: (_tenant, id) => later(id === ada.id ? ada : undefined),
      findAccount: (id) => later(id === root.id ? { ...root, platformAdmin: admin } : undefined),
      findUserOfKey: () => undefined,
    },
    ...others,
    isEnded: (id) => later(id === "ended"),
  });
  const proof = await authenticate(shown("a token"));
  return (await proof?.findPrincipal(proof.tenantId ? tenant : undefined))?.id;
}

describe.each([{ cached: true }, { cached: false }])("a token ($cached)", ({ cached }) => {
  it("belongs to its user or account", async () => {
    expect(await whoIs({}, { cached })).toBe("ada");
    expect(await whoIs({ subject: "root", tenantId: undefined }, { cached })).toBe("root");
    expect(await whoIs({ subject: "eve" }, { cached })).toBeUndefined();
  });

  it("is refused when its session has ended", async () => {
    await expect(whoIs({ sessionId: "ended" }, { cached })).rejects.toMatchObject({
      code: "invalid_token",
    });
  });

  it("is invalid in another epoch", async () => {
    expect(await whoIs({ epoch: "before" }, { cached })).toBeUndefined();
    const core = { subject: "root", tenantId: undefined, epoch: "before" };
    expect(await whoIs(core, { cached })).toBeUndefined();
  });

  it("of an impersonator is valid while they are an administrator", async () => {
    const impersonator = root.id;
    expect(await whoIs({ impersonator }, { cached })).toBe("ada");
    expect(await whoIs({ impersonator }, { cached, admin: false })).toBeUndefined();
    const gone = { impersonator: "gone" as AccountId };
    expect(await whoIs(gone, { cached })).toBeUndefined();
  });
});

it("without credentials there is no proof", () => {
  const authenticate = createAuthentication({
    verifyToken: () => claims,
    authority: { findUser: () => ada, findAccount: () => root, findUserOfKey: () => undefined },
    ...others,
    isEnded: () => false,
  });
  expect(authenticate(shown(undefined))).toBeUndefined();
});
