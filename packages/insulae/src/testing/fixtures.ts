/** What tests of features begin with: tenants, each with a user who calls the API. */
import type { App } from "../app.ts";
import type { Isolation, Tenant } from "../kernel/tenancy/tenant.ts";

export interface TestReply {
  readonly status: number;
  /** The body's JSON; undefined where there is none. */
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

/** Adds one more user to the tenant. */
export async function addMember(app: App, tenant: Tenant): Promise<TestMember> {
  const registered = await callerOf(app, { "x-tenant": tenant.key })("POST", "/auth/register", {
    email: `${crypto.randomUUID()}@example.com`,
    password: "a-Fine-passphrase-7",
    first_name: "Ada",
  });
  if (registered.status !== 201) throw new Error(`no user could be made: ${registered.text}`);
  const { access_token: token, user } = registered.body;
  return {
    tenant,
    userId: user.id,
    token,
    call: callerOf(app, { authorization: `Bearer ${token}` }),
  };
}

const callerOf =
  (app: App, headers: Record<string, string>): TestCall =>
  async (method, path, body) => {
    const { statusCode, body: text } = await app.inject({
      method,
      url: `/api/v1${path}`,
      headers,
      ...(body !== undefined && { payload: JSON.stringify(body) }),
      ...(body !== undefined && { headers: { ...headers, "content-type": "application/json" } }),
    });
    return {
      status: statusCode,
      body: text === "" ? undefined : JSON.parse(text),
      text: text.replace(/"request_id":"[^"]*"/, '"request_id":""'),
    };
  };
