/** A tenant with a real provider, and a browser that signs in through it. */
import { createHash, randomBytes, randomUUID } from "node:crypto";
import { onTestFinished } from "vitest";
import type { Tenant } from "../../kernel/model/tenant.ts";
import type { TestPeople } from "../../testing/test-people.ts";
import { openTestProvider, type TestProvider, testClient, visit } from "./provider-fixture.ts";

export interface Configured {
  readonly tenant: Tenant;
  readonly owner: Awaited<ReturnType<TestPeople["newOwner"]>>;
  readonly provider: TestProvider;
  /** The id of the tenant's provider. */
  readonly id: string;
}

/** A sign-in that has been started. */
export interface Begun {
  readonly location: string;
  readonly cookie: string;
  readonly verifier: string;
}

interface Outcome {
  readonly status: number;
  /** Where the callback sends the browser. */
  readonly next: URL | undefined;
  /** The code for the page. */
  readonly code: string;
  /** The error, either in the redirect to the page or on the callback itself. */
  readonly error: string | null;
}

export function signInTools(people: TestPeople) {
  const returnTo = `${people.app.config.appUrl}/welcome?from=here`;

  const newPerson = () => ({
    sub: randomUUID(),
    email: people.newEmail(),
    email_verified: true as unknown,
    given_name: "Ada",
  });

  /** Creates a tenant and a provider that knows a person with a verified e-mail. */
  const configure = async (more: object = {}, claimsInToken = false): Promise<Configured> => {
    const provider = await openTestProvider(claimsInToken);
    onTestFinished(provider.close);
    provider.person = newPerson();
    const tenant = await people.newTenant();
    const owner = await people.newOwner(tenant);
    const id = await add({ tenant, owner, provider }, more);
    return { tenant, owner, provider, id };
  };

  const add = async (
    { owner, provider }: Omit<Configured, "id">,
    more: object = {},
  ): Promise<string> => {
    const { issuer } = provider;
    const body = { name: "Work", issuer, ...testClient, create_users: true, ...more };
    const made = await people.post("/api/v1/identity-providers", { token: owner.token, body });
    if (made.status !== 201) throw new Error(`configuring: ${JSON.stringify(made.body)}`);
    return made.body.id;
  };

  const start = (
    { tenant, id }: Pick<Configured, "tenant" | "id">,
    more: { query?: object; headers?: Record<string, string> } = {},
  ) => {
    const verifier = randomBytes(32).toString("base64url");
    const query = new URLSearchParams({
      return_to: returnTo,
      code_challenge: createHash("sha256").update(verifier).digest("base64url"),
      tenant: tenant.key,
      ...more.query,
    });
    const url = `/api/v1/auth/oidc/${id}/start?${query}`;
    return people.app
      .inject({ url, headers: more.headers ?? {} })
      .then((answer) => ({ answer, verifier }));
  };

  const begin = async (
    configured: Pick<Configured, "tenant" | "id">,
    headers: Record<string, string> = {},
  ): Promise<Begun> => {
    const { answer, verifier } = await start(configured, { headers });
    if (answer.statusCode !== 302) throw new Error(`beginning: ${answer.body}`);
    const cookie = String(answer.headers["set-cookie"]).split(";")[0] ?? "";
    return { location: String(answer.headers.location), cookie, verifier };
  };

  /** Calls the callback. @returns where it redirects, or the error it shows */
  const finish = async (
    back: URL,
    cookie: string | undefined,
    host = back.host,
  ): Promise<Outcome> => {
    const answer = await people.app.inject({
      url: `${back.pathname}${back.search}`,
      headers: { host, ...(cookie && { cookie }) },
    });
    const next = answer.headers.location && new URL(String(answer.headers.location));
    return {
      status: answer.statusCode,
      next: next || undefined,
      code: next ? (next.searchParams.get("code") ?? "") : "",
      error: next ? next.searchParams.get("error") : answer.json().code,
    };
  };

  const exchange = (code: string, verifier: string, more: object = {}) =>
    people.post("/api/v1/auth/oidc/exchange", { body: { code, code_verifier: verifier, ...more } });

  return {
    ...{ returnTo, newPerson, configure, add, start, begin, finish, exchange },
    auditOf: ({ tenant }: Pick<Configured, "tenant">) =>
      people.onTenant(tenant, (db) =>
        db.query<{ action: string; outcome: string; detail: { reason?: string } }>(
          "select action, outcome, detail from audit_log order by id",
        ),
      ),
    /** Signs in up to the code for the page. */
    async reachPage(configured: Configured): Promise<Outcome & { readonly verifier: string }> {
      const { location, cookie, verifier } = await begin(configured);
      const back = await visit(configured.provider, location);
      return { ...(await finish(back, cookie)), verifier };
    },
    /** Signs in completely. @returns the response of the exchange, or the callback's error */
    async signIn(configured: Configured) {
      const { location, cookie, verifier } = await begin(configured);
      const back = await visit(configured.provider, location);
      const { code, error } = await finish(back, cookie);
      const reply = error === null ? await exchange(code, verifier) : undefined;
      return { error, status: reply?.status, body: reply?.body };
    },
  };
}
