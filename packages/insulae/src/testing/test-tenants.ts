/** Tenants, and people who are signed in. */
import { randomUUID } from "node:crypto";
import type { App } from "../app/app-api.ts";
import type { UserTables } from "../features/users/users.feature.ts";
import type { SystemRole } from "../kernel/feature/feature.ts";
import { createPasswords } from "../kernel/identity/passwords.ts";
import type { AccountId, UserId } from "../kernel/lib/ids.ts";
import type { Tenant } from "../kernel/model/tenant.ts";
import type { NewTenant } from "../kernel/tenancy/tenants.ts";
import { canonicalEmail } from "../kernel/validation/email.ts";
import { createTestClient, type TestClient, type TestReply } from "./test-client.ts";
import { cheapHashes } from "./test-config.ts";

/** The password of all test users and accounts. */
export const testPassword = "a-Fine-passphrase-7";

export interface TestUser extends TestClient {
  readonly id: UserId;
  readonly email: string;
  /** The access token of its requests. */
  readonly token: string;
  /**
   * A client with an API key of this user, whose role needs `api-keys:write`: an admin or owner.
   *
   * @param permissions the subset of the user's permissions that it has
   */
  createApiKey(permissions: readonly string[]): Promise<TestClient & { readonly key: string }>;
}

export interface NewTestUser {
  /** Default `user`. */
  readonly role?: SystemRole;
  /** Default: a unique address. */
  readonly email?: string;
}

/** A tenant with people of its own. Can be used as a `Tenant`: `app.withTenant(acme, …)`. */
export interface TestTenant extends Tenant {
  /** Adds a user and signs them in. */
  createUser(user?: NewTestUser): Promise<TestUser>;
  /** A client that isn't signed in and names the tenant by the header `X-Tenant`. */
  readonly visitor: TestClient;
}

/** An account, signed in without a tenant. */
export interface TestAccount extends TestClient {
  readonly id: AccountId;
  readonly email: string;
  readonly token: string;
}

export type NewTestTenant = Partial<Omit<NewTenant, "key">>;

/** @param key default: a unique one */
export async function createTestTenant(
  app: App,
  key = `t-${randomUUID()}`,
  options: NewTestTenant = {},
): Promise<TestTenant> {
  const tenant = await app.tenants.create({ name: key, ...options, key });
  return {
    ...tenant,
    createUser: (user) => createTestUser(app, tenant, user),
    visitor: createTestClient(app, { "x-tenant": tenant.key }),
  };
}

/** As if an owner had added them and they had signed in, but without e-mails. */
export async function createTestUser(
  app: App,
  tenant: Tenant,
  { role = "user", email: typed = newEmail() }: NewTestUser = {},
): Promise<TestUser> {
  const email = canonicalEmail(typed); // as the API would
  const password_hash = await createPasswords(cheapHashes).hash(testPassword);
  const { id } = await app.withTenant<UserTables, { id: UserId }>(tenant, ({ db }) =>
    db
      .insertInto("users")
      .values({ email, username: null, password_hash, account_id: null, role })
      .returning("id")
      .executeTakeFirstOrThrow(),
  );
  const visitor = createTestClient(app, { "x-tenant": tenant.key });
  const signedIn = await visitor.post("/auth/login", { email, password: testPassword });
  const token = tokenIn(signedIn);
  const client = createTestClient(app, { authorization: `Bearer ${token}` });
  return {
    ...client,
    id,
    email,
    token,
    async createApiKey(permissions) {
      const made = await client.post("/api-keys", { name: "test", scopes: permissions });
      if (made.status !== 201) throw new Error(`no API key could be made: ${made.text}`);
      const { key } = made.body;
      return { key, ...createTestClient(app, { "x-api-key": key }) };
    },
  };
}

export async function createTestAccount(app: App, email = newEmail()): Promise<TestAccount> {
  const visitor = createTestClient(app);
  const registered = await visitor.post("/auth/register", { email, password: testPassword });
  const token = tokenIn(registered);
  const client = createTestClient(app, { authorization: `Bearer ${token}` });
  const { user } = registered.body;
  return { ...client, id: user.id, email: user.email, token };
}

/** An account that administers the platform. */
export async function createTestAdmin(app: App): Promise<TestAccount> {
  const account = await createTestAccount(app);
  await app.withPlatform("a test makes an administrator", ({ control }) =>
    control
      .updateTable("control.accounts")
      .set({ platform_admin: true })
      .where("id", "=", account.id)
      .execute(),
  );
  return account;
}

const newEmail = (): string => `${randomUUID()}@example.com`;

function tokenIn({ status, body, text }: TestReply): string {
  if (status >= 300) throw new Error(`nobody could be signed in: ${status} ${text}`);
  return body.access_token;
}
