/** Clients whose tokens come from another one, as a tab's do. */
import type { App } from "insulae";
import { createTestApp } from "insulae/testing";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type Answered, ApiError, createClient } from "./index.ts";

const ada = { email: "ada@example.com", password: "a-Fine-passphrase-7" };
let app: App;
let baseUrl: string;

beforeAll(async () => {
  app = await createTestApp();
  baseUrl = await app.listen({ port: 0 });
  const account = createClient({ baseUrl });
  await account.post("/auth/register", { body: ada });
  for (const key of ["acme", "globex"]) {
    await account.post("/tenants", { body: { key, name: key } });
  }
});
afterAll(() => app?.close());

/** Signed in at the platform. */
async function atPlatform() {
  const account = createClient({ baseUrl });
  await account.signIn(ada);
  await account.post("/auth/switch", { body: { tenant: null } });
  return account;
}
type Account = Awaited<ReturnType<typeof atPlatform>>;

/** As a tab keeps its token. */
function tabOf(account: Account, tenant: string, first?: string) {
  let kept = first;
  const asked: (string | undefined)[] = [];
  const ended: string[] = [];
  const client = createClient({
    baseUrl,
    tenant,
    onSessionEnd: () => ended.push(tenant),
    session: {
      async bearer(refused) {
        asked.push(refused);
        if (kept === undefined || kept === refused) {
          const body = { tenant };
          kept = (await account.post("/auth/tenant-tokens", { body })).access_token;
        }
        return kept;
      },
    },
  });
  return { client, asked, ended };
}

describe("a client with a source of tokens", () => {
  it("acts in its own tenant while others act in theirs", async () => {
    const account = await atPlatform();
    const tabs = ["acme", "globex"].map((tenant) => tabOf(account, tenant).client);
    await Promise.all(
      tabs.map(async (tab, index) => {
        await tab.post("/contacts", { body: { name: `tab ${index}` } });
        const { items } = await tab.get("/contacts");
        expect(items.map(({ name }) => name)).toEqual([`tab ${index}`]);
      }),
    );
    expect((await account.get("/auth/me")).tenant).toBeNull();
  });

  it("asks for another token once, if the server refuses the one that it has", async () => {
    const tab = tabOf(await atPlatform(), "acme", "no token");
    await Promise.all([tab.client.get("/auth/me"), tab.client.get("/auth/me")]);
    expect(tab.asked.filter((refused) => refused === "no token")).toHaveLength(1);
    expect(tab.ended).toEqual([]);
  });

  it("has ended if there is no other token, and says so", async () => {
    let ended = 0;
    const session = { bearer: async () => "no token" };
    const client = createClient({ baseUrl, session, onSessionEnd: () => (ended += 1) });
    await expect(client.get("/auth/me")).rejects.toMatchObject({ code: "invalid_token" });
    expect(ended).toBe(1);
  });

  it("fails as its source does", async () => {
    const refusal = await tabOf(await atPlatform(), "initech")
      .client.get("/contacts")
      .catch((error: unknown) => error);
    expect(refusal).toBeInstanceOf(ApiError);
    expect(refusal).toMatchObject({ code: "tenant_not_found" });
  });

  it("is refused at another tenant than its token's", async () => {
    const account = await atPlatform();
    const { access_token } = await account.post("/auth/tenant-tokens", {
      body: { tenant: "acme" },
    });
    const session = { bearer: async () => access_token };
    const mixed = createClient({ baseUrl, tenant: "globex", session });
    await expect(mixed.get("/contacts")).rejects.toMatchObject({ code: "tenant_access_denied" });
  });
});

describe("onAnswer", () => {
  it("hears of each response: of errors, and of refreshes too", async () => {
    const answers: Answered[] = [];
    const client = createClient({ baseUrl, onAnswer: (answered) => answers.push(answered) });
    await client.signIn(ada);
    await client.get("/tenants/{id}", { params: { path: { id: "acme" } } }).catch(() => {});
    expect(answers.map(({ method, path, status }) => `${method} ${path} ${status}`)).toEqual([
      "post /auth/login 200",
      expect.stringMatching(/^get \/tenants\/\{id\} \d{3}$/),
    ]);
    const [, last] = answers;
    expect(last?.url).toBe(`${baseUrl}/api/v1/tenants/acme`);
    expect(last?.headers.get("x-request-id")).toEqual(expect.any(String));
    expect(last?.ms).toBeGreaterThan(0);
  });
});
