/** The tables and columns that the sources describe, as an administrator finds them with psql. */
import pg from "pg";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createMember } from "../src/testing/fixtures.ts";
import { createTestApp } from "../src/testing/index.ts";
import type { TestApp as App } from "../src/testing/test-app.ts";

let app: App;
let client: pg.Client;
/** The type of each column, by table. */
const tables: Record<string, Record<string, string>> = {};
/** What `unique` and `primary key` say, by table. */
const keys: Record<string, string[]> = {};

const rowsOf = async <Row extends object>(text: string): Promise<Row[]> =>
  (await client.query<Row>(text)).rows;

beforeAll(async () => {
  app = await createTestApp();
  client = new pg.Client(app.config.databaseUrl);
  await client.connect();
  const columns = await rowsOf<{ table: string; name: string; type: string }>(`
    select nspname || '.' || relname as table, attname as name,
      format_type(atttypid, atttypmod) as type
    from pg_attribute
    join pg_class on pg_class.oid = attrelid
    join pg_namespace on pg_namespace.oid = relnamespace
    where nspname in ('control', 'data') and relkind = 'r' and attnum > 0 and not attisdropped`);
  for (const { table, name, type } of columns) tables[table] = { ...tables[table], [name]: type };
  const unique = await rowsOf<{ table: string; key: string }>(`
    select indrelid::regclass::text as table,
      string_agg(attname, ', ' order by ordinality) as key
    from pg_index, unnest(indkey) with ordinality as part (attnum, ordinality)
    join pg_attribute a on a.attnum = part.attnum
    where indisunique and a.attrelid = indrelid
    group by indexrelid, indrelid`);
  for (const { table, key } of unique) keys[table] = [...(keys[table] ?? []), key];
});
afterAll(async () => {
  await client?.end();
  await app?.close();
});

const times = {
  created_at: "timestamp with time zone",
  updated_at: "timestamp with time zone",
};
const own = { id: "uuid", tenant_id: "uuid" };

describe("the control plane has", () => {
  test("tenants, their hosts, and where their rows are", () => {
    expect(tables["control.tenants"]).toMatchObject({
      id: "uuid",
      key: "text",
      slug: "text",
      number: "bigint",
      name: "text",
      status: "text",
      plan: "text",
      settings: "jsonb",
      owner_account_id: "uuid",
      ...times,
    });
    expect(keys["control.tenants"]).toEqual(expect.arrayContaining(["id", "slug", "number"]));
    expect(tables["control.hosts"]).toMatchObject({ hostname: "text", tenant_id: "uuid" });
    expect(tables["control.placements"]).toMatchObject({ database: "text", schema: "text" });
    expect(tables["control.signing_keys"]).toMatchObject({ sealed_private_jwk: "text" });
  });

  test("accounts, with an e-mail that is unique, and tokens to verify it", () => {
    expect(tables["control.accounts"]).toMatchObject({
      id: "uuid",
      email: "text",
      password_hash: "text",
      is_owner: "boolean",
      email_verified: "boolean",
      ...times,
    });
    expect(keys["control.accounts"]).toContain("email");
    expect(tables["control.one_time_tokens"]).toMatchObject({ hash: "bytea" });
  });

  test("sessions, with the hash of a refresh token", () => {
    expect(tables["control.sessions"]).toMatchObject({
      refresh_hash: "bytea",
      expires_at: "timestamp with time zone",
      ended_at: "timestamp with time zone",
    });
  });
});

describe("a tenant has", () => {
  test("users, with an e-mail that is unique among them", () => {
    expect(tables["data.users"]).toMatchObject({
      ...own,
      email: "text",
      password_hash: "text",
      first_name: "text",
      last_name: "text",
      email_verified: "boolean",
      is_active: "boolean",
      ...times,
    });
    expect(keys["data.users"]).toContain("tenant_id, email");
  });

  test("products, orders of a user, and documents", () => {
    expect(tables["data.products"]).toMatchObject({
      ...{ ...own, name: "text", description: "text", price: "numeric(12,2)" },
      ...times,
    });
    expect(tables["data.orders"]).toMatchObject({
      ...{ ...own, user_id: "uuid", status: "text", total: "numeric(18,2)" },
      ...times,
    });
    expect(tables["data.order_lines"]).toMatchObject({ product_id: "uuid", quantity: "integer" });
    expect(tables["data.documents"]).toMatchObject({ ...own, title: "text", content: "text" });
  });

  test("roles, with a name that is unique among them, and who has which, once", () => {
    expect(tables["data.roles"]).toMatchObject({
      ...{ ...own, name: "text", description: "text", permissions: "text[]" },
      ...times,
    });
    expect(tables["data.user_roles"]).toMatchObject({
      user_id: "uuid",
      role_id: "uuid",
      assigned_at: "timestamp with time zone",
    });
    expect(keys["data.user_roles"]).toContain("tenant_id, user_id, role_id");
  });

  test("templates of messages, with a name that is unique among them, and a log of messages", () => {
    expect(tables["data.notification_templates"]).toMatchObject({
      ...{ ...own, name: "text", type: "text", subject: "text", body: "text" },
      ...{ variables: "jsonb", is_active: "boolean" },
      ...times,
    });
    expect(keys["data.notification_templates"]).toContain("tenant_id, name");
    expect(tables["data.notifications"]).toMatchObject({
      ...{ ...own, user_id: "uuid", type: "text", recipient: "text", subject: "text" },
      ...{ template_name: "text", status: "text", error_message: "text" },
      sent_at: "timestamp with time zone",
      created_at: "timestamp with time zone",
    });
  });

  test("files, with what is known of them", async () => {
    expect(tables["data.files"]).toMatchObject({
      ...{ ...own, user_id: "uuid", file_key: "character varying(500)" },
      ...{ file_name: "character varying(255)", mime_type: "character varying(100)" },
      ...{ file_size: "bigint", metadata: "jsonb" },
      ...times,
    });
    // The key is made of tenant and id, so that it is unique as they are.
    expect(keys["data.files"]).toContain("tenant_id, id");
    const indexes = await rowsOf<{ definition: string }>(
      "select pg_get_indexdef(indexrelid) as definition from pg_index where indrelid = 'data.files'::regclass",
    );
    expect(indexes.map(({ definition }) => definition).join()).toContain("(tenant_id, user_id");
  });
});

test("permissions go by the platform's names, too", async () => {
  const { call } = await createMember(app);
  const { items } = (await call("GET", "/permissions")).body;
  const aliases = items.flatMap((item: { aliases: string[] }) => item.aliases);
  const users = ["CreateUser", "ReadUser", "UpdateUser", "DeleteUser"];
  expect(aliases).toEqual(
    expect.arrayContaining([...users, "ManageTenant", "ManageRoles", "ViewReports"]),
  );
});

test("all tables that have times keep them by themselves", async () => {
  const touched = await rowsOf<{ table: string }>(`
    select nspname || '.' || relname as table from pg_trigger
    join pg_class on pg_class.oid = tgrelid
    join pg_namespace on pg_namespace.oid = relnamespace
    where tgfoid = 'app.touch'::regproc`);
  const timed = Object.keys(tables).filter((table) => tables[table]?.updated_at);
  expect(timed.length).toBeGreaterThan(10);
  expect(touched.map(({ table }) => table)).toEqual(expect.arrayContaining(timed));

  const { call } = await createMember(app);
  const made = (await call("POST", "/contacts", { name: "Ada" })).body;
  expect(made.updated_at).toBe(made.created_at);
  expect(made.created_at).toMatch(/T\d\d:\d\d:\d\d\.\d{6}Z$/);
  const changed = (await call("PATCH", `/contacts/${made.id}`, { name: "Ada L." })).body;
  expect(changed.created_at).toBe(made.created_at);
  expect(Date.parse(changed.updated_at)).toBeGreaterThanOrEqual(Date.parse(made.updated_at));
});

test("every tenant's table has the tenant first, and a policy that is forced", async () => {
  const rows = await rowsOf<{ name: string; secured: boolean; policies: string[]; using: string }>(`
    select relname as name, relrowsecurity and relforcerowsecurity as secured,
      array_agg(polname order by polname) as policies,
      min(pg_get_expr(polqual, polrelid)) filter (where polpermissive) as using
    from pg_class left join pg_policy on polrelid = pg_class.oid
    where relnamespace = 'data'::regnamespace and relkind = 'r'
    group by pg_class.oid`);
  const tenants = rows.filter(({ name }) => tables[`data.${name}`]?.tenant_id);
  expect(tenants.length).toBeGreaterThan(15);
  for (const { name, secured, policies, using } of tenants) {
    expect([name, secured]).toEqual([name, true]);
    expect(policies).toContain(`${name}_tenant_isolation`);
    expect(using).toBe("(tenant_id = app.current_tenant_id())");
    for (const key of keys[`data.${name}`] ?? []) expect(key).toMatch(/^tenant_id/);
  }
  expect(tenants.map(({ name }) => name)).toEqual(expect.arrayContaining(["users", "files"]));
  const [setting] = await rowsOf<{ source: string }>(
    "select pg_get_functiondef('app.current_tenant_id'::regproc) as source",
  );
  expect(setting?.source).toContain("current_setting('app.current_tenant_id'");
});
