import { randomUUID } from "node:crypto";
import { describe, expect, it, vi } from "vitest";
import { createFollowers } from "../announcements/followers.ts";
import type { AccountId, TenantId, UserId } from "../lib/ids.ts";
import type { Tenant } from "../model/tenant.ts";
import { hashApiKeySecret } from "./api-key.ts";
import { createAuthority, epochOf, type UserStanding } from "./authority.ts";

const tenant = { id: randomUUID() as TenantId } as Tenant;
const other = { id: randomUUID() as TenantId } as Tenant;
const ada = randomUUID() as UserId;
const account = randomUUID() as AccountId;
const validFrom = new Date(1_700_000_000_000);
/** A user with a password of their own. */
const own = { added: [], accountId: null, sessionsValidFrom: validFrom, apiKeys: [] };

const permissions = new Map([
  ["admin", new Set(["notes:read", "notes:write"])],
  ["viewer", new Set(["notes:read"])],
]);

const clerk: UserStanding = { email: "ada@example.org", role: "viewer", ...own };

interface SetUp {
  readonly ttlMs?: number;
  readonly listening?: () => boolean;
  readonly max?: number;
}

/** An authority over users whose standing the test changes, with a record of its queries. */
function setUp({ listening = () => true, ...options }: SetUp = {}) {
  const followers = createFollowers();
  const standings = new Map<string, UserStanding>([
    [`${tenant.id}/${ada}`, { email: "ada@example.org", role: "admin", ...own }],
  ]);
  const loadUser = vi.fn(async ({ id }: Tenant, user: UserId) => standings.get(`${id}/${user}`));
  const loadAccount = vi.fn(async (id: AccountId) =>
    id === account
      ? { email: "root@example.org", platformAdmin: true, sessionsValidFrom: validFrom }
      : undefined,
  );
  const authority = createAuthority({
    loadUser,
    loadAccount,
    permissionsOf: (role, added) => new Set([...(permissions.get(role) ?? []), ...added]),
    follow: (reactions) => {
      followers.add(reactions);
      return listening;
    },
    ...options,
  });
  return { authority, forgetAll: followers.missSome, standings, loadUser, loadAccount };
}

describe("the authority", () => {
  it("returns a user's role and permissions, synchronously the second time", async () => {
    const { authority, loadUser } = setUp();
    const first = authority.findUser(tenant, ada);
    expect(first).toBeInstanceOf(Promise);
    expect(await first).toEqual({
      kind: "tenant",
      id: ada,
      tenantId: tenant.id,
      email: "ada@example.org",
      role: "admin",
      permissions: new Set(["notes:read", "notes:write"]),
      epoch: epochOf(validFrom),
    });
    expect(authority.findUser(tenant, ada)).toBe(await first);
    expect(loadUser).toHaveBeenCalledTimes(1);
  });

  it("returns an account, synchronously the second time", async () => {
    const { authority } = setUp();
    const expected = {
      kind: "core",
      id: account,
      email: "root@example.org",
      platformAdmin: true,
      epoch: epochOf(validFrom),
    };
    expect(await authority.findAccount(account)).toEqual(expected);
    expect(authority.findAccount(account)).toEqual(expected);
  });

  it("queries once, however many wait", async () => {
    const { authority, loadUser } = setUp();
    await Promise.all(Array.from({ length: 50 }, () => authority.findUser(tenant, ada)));
    expect(loadUser).toHaveBeenCalledTimes(1);
  });

  it("caches that nobody was found", async () => {
    const { authority, loadUser } = setUp();
    const nobody = randomUUID() as UserId;
    expect(await authority.findUser(tenant, nobody)).toBeUndefined();
    expect(authority.findUser(tenant, nobody)).toBeUndefined();
    expect(loadUser).toHaveBeenCalledTimes(1);
  });

  it("does not confuse users of different tenants with the same id", async () => {
    const { authority } = setUp();
    expect(await authority.findUser(tenant, ada)).toBeDefined();
    expect(await authority.findUser(other, ada)).toBeUndefined();
  });

  it("drops a changed user and nobody else", async () => {
    const { authority, standings, loadUser } = setUp();
    const eve = randomUUID() as UserId;
    await Promise.all([authority.findUser(tenant, ada), authority.findUser(tenant, eve)]);
    standings.set(`${tenant.id}/${ada}`, { email: "ada@example.org", role: "viewer", ...own });
    authority.forgetUser(tenant.id, ada);
    const changed = await authority.findUser(tenant, ada);
    expect(changed).toMatchObject({ role: "viewer", permissions: new Set(["notes:read"]) });
    expect(authority.findUser(tenant, eve)).toBeUndefined();
    expect(loadUser).toHaveBeenCalledTimes(3);
  });

  it("drops all users of one tenant only", async () => {
    const { authority, standings, loadUser } = setUp();
    await Promise.all([authority.findUser(tenant, ada), authority.findUser(other, ada)]);
    standings.set(`${tenant.id}/${ada}`, { ...clerk, added: ["notes:shred"] });
    authority.forgetUser(tenant.id);
    const changed = await authority.findUser(tenant, ada);
    expect(changed?.permissions).toEqual(new Set(["notes:read", "notes:shred"]));
    expect(changed).not.toHaveProperty("added");
    expect(authority.findUser(other, ada)).toBeUndefined();
    expect(loadUser).toHaveBeenCalledTimes(3);
  });

  it("does not cache a result requested before all users of the tenant were dropped", async () => {
    const { authority, standings, loadUser } = setUp();
    const before = Promise.withResolvers<UserStanding>();
    loadUser.mockImplementationOnce(() => before.promise);
    const stale = authority.findUser(tenant, ada);
    standings.set(`${tenant.id}/${ada}`, clerk);
    authority.forgetUser(tenant.id);
    before.resolve({ ...clerk, role: "admin" });
    await stale;
    expect(await authority.findUser(tenant, ada)).toMatchObject({ role: "viewer" });
  });

  it("does not cache a result requested before the change", async () => {
    const { authority, standings, loadUser } = setUp();
    const before = Promise.withResolvers<UserStanding>();
    loadUser.mockImplementationOnce(() => before.promise);
    const stale = authority.findUser(tenant, ada);
    standings.delete(`${tenant.id}/${ada}`);
    authority.forgetUser(tenant.id, ada);
    const fresh = authority.findUser(tenant, ada);
    before.resolve({ email: "ada@example.org", role: "admin", ...own });
    expect(await stale).toBeDefined();
    expect(await fresh).toBeUndefined();
    expect(await authority.findUser(tenant, ada)).toBeUndefined();
  });

  it("does not cache a failure", async () => {
    const { authority, loadUser } = setUp();
    loadUser.mockRejectedValueOnce(new Error("the database is away"));
    await expect(authority.findUser(tenant, ada)).rejects.toThrow("away");
    expect(await authority.findUser(tenant, ada)).toBeDefined();
  });

  it("drops an account, or everything", async () => {
    const { authority, forgetAll, loadAccount, loadUser } = setUp();
    await Promise.all([authority.findAccount(account), authority.findUser(tenant, ada)]);
    authority.forgetAccount(account);
    await authority.findAccount(account);
    expect(loadAccount).toHaveBeenCalledTimes(2);
    forgetAll();
    await Promise.all([authority.findAccount(account), authority.findUser(tenant, ada)]);
    expect(loadAccount).toHaveBeenCalledTimes(3);
    expect(loadUser).toHaveBeenCalledTimes(2);
  });

  it("caches a result for a limited time, and for a second while announcements are not received", async () => {
    const elapsed = vi.spyOn(performance, "now").mockReturnValue(1_000);
    // The cache refreshes its clock every tenth of a second, by a timer.
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
    const timeIs = (ms: number) => {
      elapsed.mockReturnValue(ms);
      vi.advanceTimersByTime(100);
    };
    try {
      for (const [listening, lifetime] of [
        [true, 30_000],
        [false, 1_000],
      ] as const) {
        const { authority, loadUser } = setUp({ listening: () => listening });
        const start = performance.now();
        await authority.findUser(tenant, ada);
        timeIs(start + lifetime - 10);
        expect(authority.findUser(tenant, ada)).not.toBeInstanceOf(Promise);
        timeIs(start + lifetime + 10);
        await authority.findUser(tenant, ada);
        expect(loadUser).toHaveBeenCalledTimes(2);
      }
    } finally {
      vi.useRealTimers();
      elapsed.mockRestore();
    }
  });

  it("caches a bounded number", async () => {
    const { authority, loadUser } = setUp({ max: 10 });
    await authority.findUser(tenant, ada);
    for (let i = 0; i < 10; i += 1) await authority.findUser(tenant, randomUUID() as UserId);
    await authority.findUser(tenant, ada);
    expect(loadUser).toHaveBeenCalledTimes(12);
  });
});

describe("an API key in the authority", () => {
  const secret = Buffer.alloc(32, 7);
  const key = { id: randomUUID(), tenantId: tenant.id, userId: ada, secret };
  const standing = (expiresAt = Number.POSITIVE_INFINITY): UserStanding => ({
    ...clerk,
    role: "admin",
    apiKeys: [
      {
        id: key.id,
        secretHash: hashApiKeySecret(secret),
        scopes: ["notes:write", "notes:shred"],
        expiresAt,
      },
    ],
  });

  it("acts as its maker, with those of its permissions that the maker has, synchronously if cached", async () => {
    const { authority, standings, loadUser } = setUp();
    standings.set(`${tenant.id}/${ada}`, standing());
    const maker = await authority.findUser(tenant, ada);
    const found = authority.findUserOfKey(tenant, key);
    expect(found).toEqual({ ...maker, permissions: new Set(["notes:write"]) });
    expect(authority.findUserOfKey(tenant, { ...key, secret: Buffer.alloc(32) })).toBeUndefined();
    expect(authority.findUserOfKey(tenant, { ...key, id: randomUUID() })).toBeUndefined();
    expect(await authority.findUserOfKey(other, key)).toBeUndefined();
    expect(loadUser).toHaveBeenCalledTimes(2);
  });

  it("is invalid from the moment it expires, even if cached", async () => {
    const { authority, standings, loadUser } = setUp();
    const now = vi.spyOn(Date, "now").mockReturnValue(1_000);
    try {
      standings.set(`${tenant.id}/${ada}`, standing(2_000));
      expect(await authority.findUserOfKey(tenant, key)).toBeDefined();
      now.mockReturnValue(1_999);
      expect(authority.findUserOfKey(tenant, key)).toBeDefined();
      now.mockReturnValue(2_000);
      expect(authority.findUserOfKey(tenant, key)).toBeUndefined();
      expect(loadUser).toHaveBeenCalledTimes(1);
    } finally {
      now.mockRestore();
    }
  });
});
