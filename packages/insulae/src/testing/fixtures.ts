/** Fixtures of feature tests: tenants, each with a user who calls the API. */
import type { App } from "../app/app-api.ts";
import type { SystemRole } from "../kernel/feature/feature.ts";
import type { Isolation, Tenant } from "../kernel/model/tenant.ts";
import { createTestUser } from "./test-tenants.ts";

export interface TestReply {
  readonly status: number;
  /** The body's JSON, with the request id blanked; undefined without a body. */
  // Tests read what they expect out of it; a missing field is undefined and fails them.
  // biome-ignore lint/suspicious/noExplicitAny: the shape is what the tests are about
  readonly body: any;
  /** The body as sent, without the request id, for comparing replies. */
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

/** An id that does not exist. */
export const unknownId = "01900000-0000-7000-8000-000000000000";

/**
 * Creates a tenant with one user, who has the role `user`.
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

/**
 * Records the tenant's events, for a webhook that nobody answers. @returns a function that reads
 * them
 */
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

/** Adds another user to the tenant. */
export async function addMember(
  app: App,
  tenant: Tenant,
  role: SystemRole = "user",
): Promise<TestMember> {
  const { id: userId, token } = await createTestUser(app, tenant, { role });
  return { tenant, userId, token, call: callerOf(app, { authorization: `Bearer ${token}` }) };
}

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
