/** The kinds of revocation, each with a fresh credential made on the first node. */
import { retireKey, rotateKeys } from "../../packages/insulae/src/kernel/identity/key-rotation.ts";
import { signingKeySealer } from "../../packages/insulae/src/kernel/identity/signing-keys.ts";
import type { Database } from "../database.ts";
import { tenantId } from "../dataset.ts";
import type { Installation } from "../insulae.ts";
import { hashOfPassword, password, signIn } from "../people.ts";

export interface Nodes {
  readonly one: string;
  readonly other: string;
}

export interface Revocation {
  readonly name: string;
  /**
   * Creates what will be revoked: a token that uses it, and the function that revokes it on the
   * first node.
   */
  prepare(): Promise<{ readonly token: string; revoke(): Promise<unknown> }>;
}

/** A tenant that no other scenario uses. */
const ordinal = 900;
const ownerEmail = "owner@bench.example";

export async function createRevocations(
  database: Database,
  { control, secrets, config }: Installation,
  { one }: Nodes,
): Promise<Revocation[]> {
  await database.connected(async (client) =>
    client.query(
      "insert into data.users (tenant_id, email, role, password_hash) values ($1, $2, 'owner', $3)",
      [tenantId(ordinal), ownerEmail, await hashOfPassword()],
    ),
  );
  const owner = await signIn(one, ordinal, ownerEmail);
  const call = (method: string, path: string, token: string, body?: object) =>
    callApi(one, method, path, token, body);
  const newUser = async () => {
    const email = `${crypto.randomUUID()}@bench.example`;
    const { id } = await call("POST", "/users", owner, { email, password, role: "user" });
    return { id, token: await signIn(one, ordinal, email) };
  };
  const sealer = signingKeySealer(secrets);
  const rotate = () =>
    rotateKeys(control, { sealer, accessTtlSeconds: config.accessTokenSeconds, now: true });

  return [
    {
      name: "a log-out",
      async prepare() {
        const { token } = await newUser();
        return { token, revoke: () => call("POST", "/auth/logout", token) };
      },
    },
    {
      name: "a demotion",
      async prepare() {
        const { id, token } = await newUser();
        return { token, revoke: () => call("PATCH", `/users/${id}`, owner, { role: "viewer" }) };
      },
    },
    {
      name: "an API key",
      async prepare() {
        const body = { name: "benchmark", scopes: ["users:read"] };
        const { id, key } = await call("POST", "/api-keys", owner, body);
        return { token: key, revoke: () => call("DELETE", `/api-keys/${id}`, owner) };
      },
    },
    {
      name: "a signing key",
      async prepare() {
        const key = await rotate();
        let token = await signIn(one, ordinal);
        while (keyOf(token) !== key) token = await signIn(one, ordinal);
        await rotate();
        return { token, revoke: () => retireKey(control, key) };
      },
    },
  ];
}

/** The id of the key that signed a token (RFC 7515, section 4.1.4). */
const keyOf = (token: string): unknown =>
  JSON.parse(Buffer.from(token.split(".")[0] ?? "", "base64url").toString()).kid;

interface Made {
  readonly id: string;
  readonly key: string;
}

async function callApi(
  baseUrl: string,
  method: string,
  path: string,
  token: string,
  body?: object,
): Promise<Made> {
  const answer = await fetch(`${baseUrl}/api/v1${path}`, {
    method,
    headers: {
      authorization: `Bearer ${token}`,
      ...(body && { "content-type": "application/json" }),
    },
    ...(body && { body: JSON.stringify(body) }),
  });
  const text = await answer.text();
  if (!answer.ok) throw new Error(`${method} ${path}: ${answer.status} ${text}`);
  return JSON.parse(text || "{}");
}
