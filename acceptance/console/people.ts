/** Tenants and users for journeys, made through the API. */
import { clientOf } from "../client.ts";
import { adminEmail, adminPassword } from "../server.ts";
import type { Person } from "./harness.ts";

type Method = "GET" | "POST" | "PUT" | "PATCH" | "DELETE";
// biome-ignore lint/suspicious/noExplicitAny: tests read what they expect out of it
export type Ask = (method: Method, path: string, body?: unknown) => Promise<any>;

const password = "a-Fine-passphrase-7";

function askWith(url: string, token?: string): Ask {
  const client = clientOf(url);
  return async (method, path, body) => {
    const call = { ...(token !== undefined && { token }), ...(body !== undefined && { body }) };
    const reply = await client(method, `/api/v1${path}`, call);
    if (reply.status >= 300) throw new Error(`${method} ${path}: ${JSON.stringify(reply.body)}`);
    return reply.body;
  };
}

/** @returns requests in the name of the administrator */
export async function asAdministrator(url: string): Promise<Ask> {
  const body = { email: adminEmail, password: adminPassword };
  const { access_token } = await askWith(url)("POST", "/auth/login", body);
  return askWith(url, access_token);
}

/** The administrator owns it. @returns requests in its owner's name */
export async function makeTenant(
  url: string,
  { key, ...given }: { readonly key: string; readonly name: string; readonly isolation?: string },
): Promise<Ask> {
  const admin = await asAdministrator(url);
  await admin("POST", "/tenants", { key, ...given });
  return actIn(url, key);
}

/** Requests in the name of the administrator, in a tenant of theirs. */
export async function actIn(url: string, tenant: string): Promise<Ask> {
  const admin = await asAdministrator(url);
  const { access_token } = await admin("POST", "/auth/tenant-tokens", { tenant });
  return askWith(url, access_token);
}

/** Somebody who signs in at the tenant's own host. */
export async function makeUser(
  owner: Ask,
  role: string,
): Promise<Person & { readonly id: string }> {
  const login = `${role}@example.org`;
  const given = { email: login, password, role, first_name: "Ada", last_name: role };
  const { id } = await owner("POST", "/users", given);
  return { login, password, id };
}
