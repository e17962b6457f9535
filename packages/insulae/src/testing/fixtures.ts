/** What tests of features begin with: tenants, each with a user who calls the API. */
import type { App } from "../app.ts";
import type { SystemRole } from "../kernel/feature.ts";
import type { Isolation, Tenant } from "../kernel/tenancy/tenant.ts";

export interface TestReply {
  readonly status: number;
  /** The body's JSON, with an empty request id; undefined where there is no body. */
  // Tests read what they expect out of it; a missing field is undefined and fails them.
  // biome-ignore lint/suspicious/noExplicitAny: the shape is what the tests are about
  readonly body: any;
  /** The body as it was sent, less the request id: what two replies must share to be the same. */
  readonly text: string;
}

type Method = "GET" | "POST" | "PUT" | "PATCH" | "DELETE";

/** Calls a path below `/api/v1` as one user. */
export type TestCall = (method: Method, path: string, body?: unknown) => Promise<TestReply>;

export interface TestMember {
  readonly tenant: Tenant;
  readonly userId: string;
  readonly token: string;
  readonly call: TestCall;
}

/** An id that nothing has. */
export const unknownId = "01900000-0000-7000-8000-000000000000";

/**
 * Makes a tenant with one user, who has the role `user`.
 *
 * @example
 * const acme = await createMember(app, "schema");
 * const { status } = await acme.call("POST", "/contacts", { name: "Ada" });
 */
export async function createMember(app: App, isolation: Isolation = "pool"): Promise<TestMember> {
  const key = `t${crypto.randomUUID().replaceAll("-", "")}`;
  const tenant = await app.tenants.create({
    key,
    name: key,
    isolation,
    settings: { registration: "open" },
  });
  return addMember(app, tenant);
}

/** Has the tenant's events recorded, for a webhook that nobody answers. @returns those that there are */
export async function recordEvents(app: App, tenant: Tenant, wanted: readonly string[] = ["*"]) {
  await app.withTenant(tenant, async ({ db, events }) => {
    await db.query(
      "insert into webhooks (url, events, sealed_secret) values ('http://127.0.0.1:1/', $1, 'none')",
      [wanted],
    );
    await events.forget();
  });
  return () =>
    app.withTenant(tenant, async ({ db }) => {
      const rows = await db.query<{ payload: string }>(
        "select payload from webhook_events order by id",
      );
      return rows.map(({ payload }) => JSON.parse(payload));
    });
}

/** Adds one more user to the tenant. @param role other than `user`: as if given by an owner. */
export async function addMember(
  app: App,
  tenant: Tenant,
  role: SystemRole = "user",
): Promise<TestMember> {
  const visitor = callerOf(app, { "x-tenant": tenant.key });
  const credentials = { email: `${crypto.randomUUID()}@example.com`, password };
  let signedIn = await visitor("POST", "/auth/register", credentials);
  if (role !== "user") {
    // The new user's role is cached by now; a copy of the user, with another address, is not.
    const email = `${role}.${credentials.email}`;
    await app.withTenant(tenant, ({ db }) =>
      db.query(
        `insert into users (email, password_hash, role)
         select $1, password_hash, $2 from users where email = $3`,
        [email, role, credentials.email],
      ),
    );
    signedIn = await visitor("POST", "/auth/login", { email, password });
  }
  if (signedIn.status >= 300) throw new Error(`no user could be made: ${signedIn.text}`);
  const { access_token: token, user } = signedIn.body;
  const call = callerOf(app, { authorization: `Bearer ${token}` });
  return { tenant, userId: user.id, token, call };
}

const password = "a-Fine-passphrase-7";

const callerOf =
  (app: App, headers: Record<string, string>): TestCall =>
  async (method, path, body) => {
    const reply = await app.inject({
      method,
      url: `/api/v1${path}`,
      headers: { ...headers, ...(body !== undefined && { "content-type": "application/json" }) },
      ...(body !== undefined && { payload: JSON.stringify(body) }),
    });
    const text = reply.body.replace(/"request_id":"[^"]*"/, '"request_id":""');
    return { status: reply.statusCode, body: text === "" ? undefined : JSON.parse(text), text };
  };
