/** An HTTP client of the API. */
export interface Reply {
  readonly status: number;
  readonly headers: Headers;
  // Tests read what they expect out of it; a missing field is undefined and fails them.
  // biome-ignore lint/suspicious/noExplicitAny: the shape is what the tests are about
  readonly body: any;
}

export interface Call {
  readonly token?: string;
  readonly tenant?: string;
  readonly body?: unknown;
  readonly headers?: Readonly<Record<string, string>>;
}

export type Client = (method: string, path: string, call?: Call) => Promise<Reply>;

export const clientOf =
  (url: string): Client =>
  async (method, path, { token, tenant, body, headers } = {}) => {
    const response = await fetch(url + path, {
      method,
      headers: {
        ...(token !== undefined && { authorization: `Bearer ${token}` }),
        ...(tenant !== undefined && { "x-tenant": tenant }),
        ...(body !== undefined && { "content-type": "application/json" }),
        ...headers,
      },
      ...(body !== undefined && { body: JSON.stringify(body) }),
    });
    const text = await response.text();
    const json = response.headers.get("content-type")?.includes("json") === true;
    return {
      status: response.status,
      headers: response.headers,
      body: json ? JSON.parse(text) : text,
    };
  };

/** Creates a tenant with one signed-in user through the API. */
export async function newTenantWithUser(
  client: Client,
  tenant: { key: string; isolation: "pool" | "schema" | "database" },
): Promise<{ key: string; id: string; token: string }> {
  const created = await client("POST", "/api/v1/tenants", {
    body: { name: tenant.key, ...tenant },
  });
  if (created.status !== 201) throw new Error(JSON.stringify(created.body));
  const registered = await client("POST", "/api/v1/auth/register", {
    tenant: tenant.key,
    body: { email: `ada@example.com`, password: "a-Fine-passphrase-7", first_name: "Ada" },
  });
  if (registered.status !== 201) throw new Error(JSON.stringify(registered.body));
  return { key: tenant.key, id: created.body.id, token: registered.body.access_token };
}
