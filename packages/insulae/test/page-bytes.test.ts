/** However large its rows are, no page of a list is more than a process builds in passing. */
import { sql } from "kysely";
import { afterAll, beforeAll, expect, test } from "vitest";
import { addMember, createMember, type TestMember } from "../src/testing/fixtures.ts";
import { createTestApp } from "../src/testing/index.ts";
import { parkJob } from "../src/testing/parked-job.ts";
import type { TestApp as App } from "../src/testing/test-app.ts";

const maxBytes = 4 * 1024 * 1024;
const rows = "from generate_series(1, 201) as n";
const text = (bytes: number) => `repeat('x', ${bytes})`;

/** Lists of a tenant, and rows of them that are as large as may be, or were before there were bounds. */
const tenantLists: Readonly<Record<string, string>> = {
  "/contacts": `insert into contacts (name, notes) select 'c' || n, repeat('é', 10000) ${rows}`,
  "/products": `insert into products (name, price, description)
    select 'p' || n, 1, repeat('é', 10000) ${rows}`,
  "/documents": `insert into documents (title, content) select 'd' || n, ${text(20_000)} ${rows}`,
  "/files": `insert into files (file_name, mime_type, file_size, status, metadata)
    select 'f' || n, 'text/plain', 1, 'ready', (
      select jsonb_object_agg('k' || k, repeat('é', 1000)) from generate_series(1, 50) as k
    ) ${rows}`,
  "/notifications/templates": `insert into notification_templates (name, type, body, html)
    select 't' || n, 'email', ${text(20_000)}, ${text(50_000)} ${rows}`,
  "/notifications/history": `insert into notifications (type, recipient, priority, error_message)
    select 'email', 'r' || n, 'low', ${text(50_000)} ${rows}`,
  "/audit": `insert into audit_log (action, outcome, actor_kind, detail)
    select 'a.b', 'succeeded', 'user', jsonb_build_object('d', ${text(300_000)}) ${rows}`,
};

/** Lists of the platform. */
const platformLists: Readonly<Record<string, string>> = {
  "/tenants": `insert into control.tenants (key, slug, name, plan, settings, placement_id, status)
    select 'b' || n, 'b' || n, 'b', 'free', jsonb_build_object('custom', ${text(32_000)}),
      (select min(id::text)::uuid from control.placements), 'active' ${rows}`,
  "/mails": `with made as (
      insert into control.mails (template, recipient, variables) select 'm', 'r' || n, '{}' ${rows}
      returning id, recipient
    ) insert into control.captured_messages (id, channel, template, recipient, content)
      select id, 'email', 'm', recipient,
        json_build_object('subject', '', 'text', ${text(250_000)}, 'html', ${text(250_000)}) from made`,
  "/platform/audit": `insert into control.audit_log (action, outcome, actor_kind, detail)
    select 'a.b', 'succeeded', 'user', jsonb_build_object('d', ${text(300_000)}) ${rows}`,
};

/** Their rows are short, by their schemas and by how many names of permissions or events there are. */
const shortLists = [
  ...[
    "/api-keys",
    "/auth/sessions",
    "/impersonations",
    "/invitations",
    "/orders",
    "/platform/moves",
    "/roles",
    "/servers/{id}/tenants",
    "/users",
    "/users/{id}/sessions",
  ],
  ...[
    "/notifications/suppressions",
    "/platform/impersonations",
    "/platform/accounts",
    "/platform/tenants/{id}/users",
    "/webhooks/{id}/deliveries",
  ],
  // A placement has as many tables and problems as there are features.
  "/platform/isolation/report",
  // Other systems' APIs: of contacts what those show, without notes; of tenants no settings.
  ...["/api/address-book", "/api/address-book/filter"],
  ...["health", "stats", "status"].map((of) => `/api/admin/tenant/${of}`),
  ...["/api/admin/tenants", "/api/admin/tenants/filter", "/api/tenants", "/api/tenants/filter"],
];

let app: App;
let member: TestMember;
let admin: string;

beforeAll(async () => {
  app = await createTestApp();
  member = await addMember(app, (await createMember(app)).tenant, "owner");
  const account = { email: "admin@example.com", password: "a-Fine-passphrase-7" };
  await app.inject({ method: "POST", url: "/api/v1/auth/register", payload: account });
  await app.withPlatform("fill the lists", async ({ control }) => {
    await control
      .updateTable("control.accounts")
      .set({ platform_admin: true })
      .where("email", "=", account.email)
      .execute();
  });
  const login = { method: "POST", url: "/api/v1/auth/login", payload: account } as const;
  admin = (await app.inject(login)).json().access_token;
});

afterAll(() => app?.close());

async function bytesOfPages(path: string, token: string): Promise<{ most: number; items: number }> {
  let cursor = "";
  let items = 0;
  for (let most = 0, pages = 0; ; pages += 1) {
    expect(pages).toBeLessThan(60);
    const reply = await app.inject({
      url: `/api/v1${path}?limit=200${cursor && `&cursor=${cursor}`}`,
      headers: { authorization: `Bearer ${token}` },
    });
    expect(reply.statusCode, reply.body.slice(0, 500)).toBe(200);
    const page = reply.json();
    items += page.items.length;
    most = Math.max(most, Buffer.byteLength(reply.body));
    cursor = page.next_cursor ?? "";
    if (cursor === "") return { most, items };
  }
}

test.each(Object.entries(tenantLists))("%s", async (path, fill) => {
  await app.withTenant(member.tenant, ({ db }) => db.query(fill));
  const { most, items } = await bytesOfPages(path, member.token);
  expect(items).toBeGreaterThanOrEqual(201);
  expect(most).toBeLessThan(maxBytes);
});

test.each(Object.entries(platformLists))("%s, for platform administrators", async (path, fill) => {
  await app.withPlatform("fill a list", async ({ control }) => {
    await sql.raw(fill).execute(control);
  });
  const { most, items } = await bytesOfPages(path, admin);
  expect(items).toBeGreaterThanOrEqual(201);
  expect(most).toBeLessThan(maxBytes);
});

test("/jobs", async () => {
  const id = await parkJob(app, member.tenant.id);
  await app.withPlatform("make its data large", ({ control }) =>
    sql`update control.jobs set data = to_jsonb(repeat('x', 9000))
      where id = ${id}::uuid`.execute(control),
  );
  expect((await member.call("GET", "/jobs")).body.items).toMatchObject([{ id, data: null }]);
  expect((await member.call("GET", `/jobs/${id}`)).body.data).toHaveLength(9_000);
});

test("no other list there is has rows that may be large", async () => {
  const documents = await Promise.all(
    ["/api-docs/openapi.json", "/api-docs/dialects.json"].map(
      async (url): Promise<Record<string, { get?: { parameters?: { name: string }[] } }>> =>
        (await app.inject(url)).json().paths,
    ),
  );
  const lists = documents
    .flatMap((paths) => Object.entries(paths))
    .filter(([, { get }]) => get?.parameters?.some(({ name }) => name === "cursor"))
    .map(([path]) => path.replace("/api/v1", ""));
  const known = [...Object.keys({ ...tenantLists, ...platformLists }), "/jobs", ...shortLists];
  expect(lists.toSorted()).toEqual(known.toSorted());
});
