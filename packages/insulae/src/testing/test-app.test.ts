import pg from "pg";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { feature, job, mailTemplate, onlyId, Type } from "../index.ts";
import { createTestApp, type TestApp } from "./test-app.ts";
import { testServerUrl } from "./test-server.ts";

async function databaseExists(name: string): Promise<boolean> {
  const client = new pg.Client({ connectionString: await testServerUrl() });
  await client.connect();
  try {
    const { rowCount } = await client.query("select from pg_database where datname = $1", [name]);
    return rowCount === 1;
  } finally {
    await client.end();
  }
}

test("two apps in one process don't share tenants", async () => {
  const [one, two] = await Promise.all([createTestApp(), createTestApp()]);
  await one.tenants.create({ key: "acme", name: "Acme", isolation: "schema" });
  await two.tenants.create({ key: "acme", name: "Another Acme", isolation: "pool" });
  const nameOf = (app: typeof one) => app.withTenant("acme", async ({ tenant }) => tenant.name);
  expect([await nameOf(one), await nameOf(two)]).toEqual(["Acme", "Another Acme"]);
  await Promise.all([one.close(), two.close()]);
});

test("a closed app leaves no database behind, its own or its tenants'", async () => {
  const app = await createTestApp();
  const tenant = await app.tenants.create({ key: "acme", name: "Acme", isolation: "database" });
  const { database } = tenant.placement;
  expect(await databaseExists(database)).toBe(true);
  await app.close();
  expect(await databaseExists(database)).toBe(false);
});

test("closing an app again has no effect", async () => {
  const app = await createTestApp();
  await Promise.all([app.close(), app.close()]);
  await app.close();
});

test("an address may be given in any form", async () => {
  const app = await createTestApp();
  const acme = await app.createTenant();
  const ada = await acme.createUser({ email: " Ada@Example.com" });
  const account = await app.createAccount("Grace@Example.com");
  expect([ada.email, account.email]).toEqual(["ada@example.com", "grace@example.com"]);
  expect((await ada.get("/auth/me")).body.user.email).toBe(ada.email);
  await expect(acme.createUser({ email: "ada" })).rejects.toThrow("The e-mail address is invalid");
  await app.close();
});

test("an app that can't start says why, and leaves no connection", async () => {
  const broken = feature("broken", {
    routes: (r) => [
      r.get("/x", { permission: "nobody:knows", response: {}, summary: "x" }, () => "x"),
    ],
  });
  await expect(createTestApp({ features: [broken] })).rejects.toThrow(/nobody:knows/);
});

describe("a test app has people", () => {
  const failing = { now: "" };
  const greeting = mailTemplate<{ text: string }>(
    {
      name: "greeting",
      about: "A test",
      subject: "{{ text }}",
      body: ["{{ text }}"],
      values: { text: "Hello" },
    },
    ({ text }) => ({ text }),
  );
  const ran: string[] = [];
  const later = job("greetings.later", {
    data: Type.Object({ text: Type.String() }),
    async run({ text }, { tenant }) {
      if (text === failing.now) throw new Error("it can't be greeted");
      ran.push(`${tenant.key}: ${text}`);
    },
  });
  const first = job("greetings.first", {
    data: Type.Object({ text: Type.String() }),
    async run({ text }, { db, jobs }) {
      await db
        .transaction()
        .execute((tx) =>
          jobs.send(later, { text }, { tx, after: new Date(Date.now() + 3_600_000) }),
        );
    },
  });
  const greetings = feature("greetings", {
    permissions: { "greetings:read": "See greetings", "greetings:send": "Send greetings" },
    mails: [greeting],
    jobs: [first, later],
    routes: (r) => [
      r.get(
        "/greetings",
        {
          permission: "greetings:read",
          summary: "Who asks",
          response: Type.Object({
            tenant: Type.String(),
            id: Type.Union([Type.String(), Type.Null()]),
          }),
        },
        ({ tenant, user }) => ({ tenant: tenant.key, id: user.id }),
      ),
      r.post(
        "/greetings",
        {
          permission: "greetings:send",
          audit: { none: "a test" },
          summary: "Greets",
          body: Type.Object({ to: Type.String(), text: Type.String() }),
          response: { 204: null },
        },
        async ({ mail, jobs, body: { to, text } }) => {
          await mail.send(greeting, { to, variables: { text } });
          await jobs.send(first, { text });
        },
      ),
      r.absolute.get(
        "/hello",
        { permission: "public", context: "any", summary: "Anybody", response: Type.Unknown() },
        ({ request }) => ({ host: request.host }),
      ),
    ],
  });

  let app: TestApp;
  beforeAll(async () => {
    app = await createTestApp({ features: [greetings] });
  });
  afterAll(() => app?.close());

  test.each(["pool", "schema", "database"] as const)(
    "users of each role, in a tenant with isolation %s",
    async (isolation) => {
      const tenant = await app.createTenant(`t-${isolation}`, { isolation });
      for (const role of ["owner", "manager", "user", "viewer"] as const) {
        const user = await tenant.createUser({ role, email: `${role}@${isolation}.example` });
        const { status, body } = await user.get("/greetings");
        expect([status, body]).toEqual([200, { tenant: tenant.key, id: user.id }]);
        const sent = await user.post("/greetings", { to: user.email, text: "x" });
        expect(sent.status).toBe(role === "owner" ? 204 : 403);
      }
      expect((await tenant.visitor.get("/greetings")).status).toBe(401);
      const found = await app.withTenant(tenant, async ({ tenant: { id } }) => id);
      expect(found).toBe(tenant.id);
    },
  );

  test("of one tenant, who can't see another's data", async () => {
    const [a, b] = [await app.createTenant(), await app.createTenant()];
    const ada = await a.createUser();
    const at = (key: string) => ada.get("/greetings", { headers: { "x-tenant": key } });
    expect((await at(a.key)).body.tenant).toBe(a.key);
    expect((await at(b.key)).body.code).toBe("tenant_access_denied");
  });

  test("accounts, administrators and API keys", async () => {
    const account = await app.createAccount("grace@example.com");
    expect((await account.get("/auth/me")).body.user.email).toBe("grace@example.com");
    expect((await account.get("/platform/audit")).status).toBe(403);
    expect((await (await app.createAdmin()).get("/platform/audit")).status).toBe(200);
    const owner = await (await app.createTenant()).createUser({ role: "owner" });
    const key = await owner.createApiKey(["greetings:read"]);
    expect((await key.get("/greetings")).status).toBe(200);
    expect((await key.post("/greetings", { to: "x@example.com", text: "x" })).status).toBe(403);
  });

  test("and routes outside the API, for anybody", async () => {
    const { status, body } = await app.visitor.absolute.get("/hello");
    expect([status, Object.keys(body)]).toEqual([200, ["host"]]);
  });

  test("who get e-mails, and whose jobs run, also delayed ones and those sent in a transaction", async () => {
    const acme = await app.createTenant("acme");
    const owner = await acme.createUser({ role: "owner" });
    const to = "somebody@example.com";
    await owner.post("/greetings", { to, text: "Good morning" });
    await app.runJobs();
    expect(ran).toContain("acme: Good morning");
    expect(await app.mailsTo(to)).toMatchObject([
      { template: "greeting", subject: "Good morning" },
    ]);

    failing.now = "No";
    await owner.post("/greetings", { to, text: "No" });
    await expect(app.runJobs()).rejects.toThrow(
      /^the job greetings.later failed: .*it can't be greeted/,
    );
    await app.runJobs();
    expect((await app.mailsTo(to, 2)).map(({ subject }) => subject)).toEqual([
      "Good morning",
      "No",
    ]);
  });
});

describe("an unexpected error", () => {
  const broken = feature("broken", {
    routes: (r) => [
      r.get(
        "/broken",
        { permission: "public", context: "any", summary: "Fails", response: onlyId },
        () => {
          throw new Error("the handler is wrong");
        },
      ),
    ],
  });
  const printed = async (options: object): Promise<string> => {
    const app = await createTestApp({ features: [broken], ...options });
    const write = vi.spyOn(process.stderr, "write").mockReturnValue(true);
    try {
      expect((await app.visitor.get("/broken")).status).toBe(500);
      return write.mock.calls.map(([text]) => String(text)).join("");
    } finally {
      write.mockRestore();
      await app.close();
    }
  };

  test("is printed by a test app, with its place", async () => {
    const text = await printed({});
    expect(text).toContain("error");
    expect(text).toContain("the handler is wrong");
    expect(text).toContain("test-app.test.ts");
  });

  test("is not printed with `quiet`", async () => {
    expect(await printed({ quiet: true })).toBe("");
  });
});
